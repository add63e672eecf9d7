# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the role's task asks before it changes anything, and what it tells the modules."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Invalid
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.no_log import scrubbed
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.role_variables import (
    PREFIX,
    arguments,
    backend_options,
    config_arguments,
    in_variables,
    typed,
    validated,
)

GOOD = {
    "name": "eu",
    "bucket_name": "state-eu",
    "region": "eu-west-1",
    "lock_mode": "both",
    "table_name": "locks-eu",
    "config_directory": "backends/eu",
}
#: What is given otherwise, and what must be said.
PROBLEMS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "no bucket": ({"bucket_name": None}, ("terraform_backend_bucket_name",)),
    "no region": ({"region": None}, ("terraform_backend_region",)),
    "neither bucket nor region": (
        {"bucket_name": None, "region": None},
        ("terraform_backend_bucket_name", "terraform_backend_region"),
    ),
    "no table": ({"table_name": None}, ("terraform_backend_table_name",)),
    "old clients": ({"client_version": ">= 1.5"}, ("lock_mode dynamodb",)),
    "a version that nobody can read": ({"client_version": "new"}, ("client_version",)),
    "a name and a key that are both wrong": ({"name": "eu/west", "state_key": "/a"}, ("'eu/west'", "'/a'")),
    "a workspace prefix with a slash last": ({"workspace_key_prefix": "team/"}, ("'team/'",)),
    "a name that is no file name": ({"name": "eu/west"}, ("'eu/west'",)),
    "a host whose name is no file name": (
        {"name": "zürich-1"},
        ("terraform_backend_name (by default the name of the host) 'zürich-1' is no file name", "a-z, A-Z, 0-9"),
    ),
    "a key that is none": ({"state_key": "/a"}, ("terraform_backend_state_key '/a'",)),
    "clients that are too old": ({"client_version": ">= 1.5"}, ("terraform_backend_client_version",)),
    "a lock mode that does not exist": ({"lock_mode": "paper"}, ("terraform_backend_lock_mode must be one of",)),
    "a type that does not fit": ({"table_read_capacity": "many"}, ("terraform_backend_table_read_capacity",)),
    "a word that lifts no refusal": ({"bucket_allow": ["everything"]}, ("terraform_backend_bucket_allow",)),
}
ACCEPTED: dict[str, dict[str, Any]] = {
    "all is well": {},
    "not given": {"state_key": None, "client_version": None, "workspace_key_prefix": None},
    "lock files need no table": {"table_name": None, "lock_mode": "lockfile"},
    "clients that are too old for lock files use a table": {"lock_mode": "dynamodb", "client_version": ">= 1.5"},
}


def given(otherwise: dict[str, Any]) -> dict[str, Any]:
    return {PREFIX + name: value for name, value in (GOOD | otherwise).items() if value is not None}


@pytest.mark.parametrize(("otherwise", "words"), PROBLEMS.values(), ids=PROBLEMS)
def test_every_problem_is_told_at_once(otherwise: dict[str, Any], words: tuple[str, ...]) -> None:
    with pytest.raises(Invalid) as raised:
        validated(given(otherwise))
    assert not [word for word in words if word not in str(raised.value)], raised.value


@pytest.mark.parametrize("otherwise", ACCEPTED.values(), ids=ACCEPTED)
def test_what_can_work_is_accepted(otherwise: dict[str, Any]) -> None:
    assert validated(given(otherwise)) == given(otherwise)


def test_the_region_of_the_shell_is_the_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert validated(given({"region": None})) == given({})


def test_what_was_given_reaches_the_modules_under_their_names() -> None:
    found = validated(
        given({"bucket_tags": {"owner": "platform"}, "table_allow": [], "profile": "ops", "wait_timeout": "9"})
    )
    assert arguments("bucket", found) == {
        "name": "state-eu",
        "tags": {"owner": "platform"},
        "lock_mode": "both",
        "table": "locks-eu",
        "region": "eu-west-1",
        "profile": "ops",
        "wait_timeout": 9,
    }
    assert arguments("table", found) == {
        "name": "locks-eu",
        "allow": [],
        "region": "eu-west-1",
        "profile": "ops",
        "wait_timeout": 9,
    }
    assert arguments("config", found) == {"name": "eu", "directory": "backends/eu", "lock_mode": "both"}


KEY = "arn:aws-cn:kms:cn-north-1:1:key/1"


def results(**encryption: Any) -> dict[str, Any]:
    bucket = {
        "name": "state-eu",
        "arn": "arn:aws-cn:s3:::state-eu",
        "region": "cn-north-1",
        "encryption": {"algorithm": "aws:kms", "kms_key_id": KEY} | encryption,
    }
    return {"bucket": {"bucket": bucket}, "table": {"table": {"name": "locks-eu", "arn": None}}}


def test_the_files_say_the_names_that_were_asked_and_the_rest_as_it_was_found() -> None:
    assert config_arguments(results(), validated(given({"region": "cn-north-1"}))) == {
        "bucket": "state-eu",
        "bucket_arn": "arn:aws-cn:s3:::state-eu",
        "region": "cn-north-1",
        "encryption": "aws:kms",
        "kms_key_id": KEY,
        "table": "locks-eu",
    }
    lockfile = validated(given({"table_name": None, "lock_mode": "lockfile"}))
    bare = {"bucket": {"bucket": {"name": "state-eu", "region": "eu-west-1"}}}
    assert config_arguments(bare, lockfile) == {"bucket": "state-eu", "region": "eu-west-1"}


def test_names_in_files_are_those_that_were_asked_even_if_all_results_are_censored() -> None:
    censored = scrubbed(results(), ["state", "locks", "s3"])
    told = config_arguments(censored, validated(given({})))
    assert (told["bucket"], told["table"]) == ("state-eu", "locks-eu")
    assert "bucket_arn" not in told  # which tf_backend_config makes from the name


@pytest.mark.parametrize("secret", ["key", "aws:kms", KEY])
def test_an_answer_that_was_censored_is_not_written_to_a_file(secret: str) -> None:
    external_id = {"assume_role_external_id": secret, "assume_role_arn": "arn:aws:iam::111122223333:role/r"}
    with pytest.raises(Invalid) as raised:
        config_arguments(scrubbed(results(), [secret]), validated(given(external_id)))
    assert "terraform_backend_assume_role_external_id" in str(raised.value)
    assert "not written" in str(raised.value)


@pytest.mark.parametrize("name", ["bucket_name", "table_name", "bucket_kms_key_id", "config_directory", "state_key"])
def test_a_variable_that_comes_from_a_censored_result_is_refused(name: str) -> None:
    with pytest.raises(Invalid) as raised:
        validated(given({name: "acme-********-x"}))
    assert f"terraform_backend_{name}" in str(raised.value)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, {}),
        ({"bucket_encryption": "AES256"}, {"encryption": "AES256"}),
        ({"bucket_kms_key_id": "alias/k"}, {"encryption": "aws:kms", "kms_key_id": "alias/k"}),
        (
            {"bucket_kms_key_id": "alias/k", "bucket_encryption": "aws:kms:dsse"},
            {"encryption": "aws:kms:dsse", "kms_key_id": "alias/k"},
        ),
    ],
)
def test_lock_files_are_encrypted_as_the_states_of_the_backend_are(given: dict[str, str], told: dict[str, str]) -> None:
    names = {"bucket_name": "state-eu", "region": "eu-west-1", "lock_mode": "lockfile", **given}
    found = backend_options(typed({f"terraform_backend_{name}": value for name, value in names.items()}))
    assert {name: found[name] for name in ("encryption", "kms_key_id") if name in found} == told


NAMED = {
    "a key of the bucket": ("bucket", "kms_key_id is alias/x", "terraform_backend_bucket_kms_key_id is alias/x"),
    "a key of the table": ("table", "check kms_key_id, then", "check terraform_backend_table_kms_key_id, then"),
    "a word of the files": (
        "config",
        "if it may be lost: allow: [overwrite_files]",
        "if it may be lost: terraform_backend_config_allow: [overwrite_files]",
    ),
    "several": (
        "table",
        "set profile, access_key and secret_key, or the AWS_* variables",
        "set terraform_backend_profile, terraform_backend_access_key and terraform_backend_secret_key, or the AWS_* "
        "variables",
    ),
    "a value": (
        "bucket",
        "or if IAM knows better: check_permissions: false",
        "or if IAM knows better: terraform_backend_check_permissions: false",
    ),
    "a setting, and its word": (
        "bucket",
        "public_access of x cannot be read; or unmanaged: [public_access]",
        "public_access of x cannot be read; or terraform_backend_bucket_unmanaged: [public_access]",
    ),
    "words of AWS": (
        "bucket",
        "x: denied (AWS: set region or kms_key_id)",
        "x: denied (AWS: set region or kms_key_id)",
    ),
    "names": ("table", "put on a/kms_key_id-x: key_id", "put on a/kms_key_id-x: key_id"),
    "once": ("bucket", "set terraform_backend_region", "set terraform_backend_region"),
}


@pytest.mark.parametrize("case", NAMED)
def test_messages_name_the_variables_of_the_role(case: str) -> None:
    kind, message, expected = NAMED[case]
    assert in_variables(kind, message) == expected
