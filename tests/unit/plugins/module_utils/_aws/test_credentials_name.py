# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""By which credentials the work was done, as results and the summary say it: enough to see a wrong one; no secret."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.session import (
    Connection,
    credentials_name,
    session_of,
)
from botocore.credentials import Credentials

KEY, SECRET, TOKEN = "AKIAEXAMPLEOFKEYWXYZ", "wJalrXUtnFEMIexampleSECRETkey", "FwoGZXIvYXdzexampleTOKEN"
ROLE = "arn:aws:iam::111122223333:role/terraform"

#: Where botocore found credentials, the profile, and what is said.
METHODS: dict[str, tuple[str, str | None, str]] = {
    "environment": ("env", None, "environment (access key AKIA...WXYZ)"),
    "a profile": ("shared-credentials-file", "prod", "profile prod"),
    "the default profile": ("shared-credentials-file", None, "profile default"),
    "a profile of the configuration file": ("config-file", "prod", "profile prod"),
    "a profile that assumes a role": ("assume-role", "prod", "profile prod (assumes a role)"),
    "SSO": ("sso", "prod", "profile prod (SSO)"),
    "aws login": ("login", "prod", "profile prod (aws login)"),
    "a process": ("custom-process", "prod", "profile prod (credential_process)"),
    "web identity by a profile": ("assume-role-with-web-identity", "prod", "profile prod (web identity)"),
    "web identity by the environment": ("assume-role-with-web-identity", None, f"web identity (role {ROLE})"),
    "a container": ("container-role", None, "container role"),
    "an instance": ("iam-role", None, "instance role"),
    "something new": ("quantum", None, "quantum"),
}


@pytest.mark.parametrize(("method", "profile", "expected"), METHODS.values(), ids=METHODS)
def test_the_origin_is_told(monkeypatch: pytest.MonkeyPatch, method: str, profile: str | None, expected: str) -> None:
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
    session = SimpleNamespace(
        _credentials=Credentials(KEY, SECRET, TOKEN, method=method),
        get_config_variable=lambda name: profile if name == "profile" else None,
    )
    told = credentials_name(Connection("eu-west-1"), session)
    assert told == expected
    assert SECRET not in told and TOKEN not in told and KEY not in told


#: What a task says, and what is said of it.
OPTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "keys": ({"access_key": KEY, "secret_key": SECRET}, "access key AKIA...WXYZ"),
    "keys of an emulator": ({"access_key": "test", "secret_key": "test"}, "access key"),
    "a role by keys": (
        {"access_key": KEY, "secret_key": SECRET, "assume_role_arn": ROLE, "assume_role_external_id": "x"},
        f"role {ROLE} from access key AKIA...WXYZ",
    ),
    "a role by a profile": ({"profile": "prod", "assume_role_arn": ROLE}, f"role {ROLE} from profile prod"),
    "a role": ({"assume_role_arn": ROLE}, f"role {ROLE}"),
}


@pytest.mark.parametrize(("options", "expected"), OPTIONS.values(), ids=OPTIONS)
def test_what_a_task_says_is_told(options: dict[str, Any], expected: str) -> None:
    assert credentials_name(Connection("eu-west-1", **options), SimpleNamespace(_credentials=None)) == expected


def test_nothing_is_looked_up_for_it() -> None:
    """Credentials of an instance may take seconds to find, and those of SSO may have expired."""
    connection = Connection("eu-west-1")
    session = session_of(connection)
    assert credentials_name(connection, session) is None


def test_a_session_of_botocore_has_what_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    connection = Connection("eu-west-1")
    session = session_of(connection)
    session.get_credentials()
    assert credentials_name(connection, session) == "environment (access key AKIA...WXYZ)"
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", "2099-01-01T00:00:00Z")
    session = session_of(connection)
    session.get_credentials()
    assert credentials_name(connection, session) == "environment (access key AKIA...WXYZ)"
