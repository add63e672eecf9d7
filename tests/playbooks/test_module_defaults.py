# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The account in which a play works is that of its `module_defaults`, for the role as for every module."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.playbooks.conftest import emulator, project, unique
from tests.playbooks.project import Project
from tests.support.emulators import RunningEmulator
from tests.support.relay import Relay

__all__ = ["emulator", "project", "unique"]

KEYS = {"shell": "AKIAEXAMPLEOFSHELL00", "prod": "AKIAEXAMPLEOFPROD000", "role": "AKIAEXAMPLEOFROLE000"}
GROUP = "group/cornerstone.tfstate.tfstate"
#: The account of the emulator.
ACCOUNT = "000000000000"
EXECUTIONS = [
    pytest.param(True, id="in the worker"),
    # The options are merged before that is decided.
    pytest.param(False, id="as a module", marks=pytest.mark.thorough),
]


@pytest.fixture
def shell(project: Project, unique: str) -> Project:
    """Whose shell has the keys of one account, and profiles for others."""
    told = [f"[{name}]\naws_access_key_id = {key}\naws_secret_access_key = secret\n" for name, key in KEYS.items()]
    project.environment |= {
        "AWS_SHARED_CREDENTIALS_FILE": project.write("credentials", "\n".join(told)),
        "AWS_ACCESS_KEY_ID": KEYS["shell"],
        "AWS_SECRET_ACCESS_KEY": "secret",
    }
    return project


def host(unique: str, **more: Any) -> dict[str, Any]:
    names = {"bucket_name": f"acme-{unique}", "table_name": f"locks-{unique}", **more}
    return {f"terraform_backend_{name}": value for name, value in names.items()}


def play(defaults: dict[str, Any], *tasks: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "hosts": "states",
        "gather_facts": False,
        "module_defaults": {GROUP: defaults},
        "tasks": [{"name": f"Task {place}", **task} for place, task in enumerate(tasks)],
        **more,
    }


ROLE = {"ansible.builtin.import_role": {"name": "cornerstone.tfstate.terraform_backend"}}
SUMMARY = {"cornerstone.tfstate.tf_backend_summary": None}


def seen(relay: Relay, end: str = "") -> set[str]:
    """By whose keys AWS was called about resources whose names end so."""
    owners = {key: name for name, key in KEYS.items()}
    return {owners[call.operation.access_key] for call in relay.calls if call.resource.endswith(end)}


@pytest.mark.parametrize("is_fast", EXECUTIONS)
def test_the_role_and_its_companions_take_the_defaults_of_the_group(
    shell: Project, relay: Relay, unique: str, is_fast: bool
) -> None:
    without = {f"terraform_backend_{name}": None for name in ("access_key", "secret_key", "endpoint_url", "region")}
    hosts = {"by-group": host(unique), "by-role": host(f"{unique}-r", profile="role")}
    shell.inventory(hosts, cornerstone_tfstate_in_process=is_fast, **without)
    defaults = {"profile": "prod", "endpoint_url": relay.url, "aws_region": "eu-west-1", "account_id": ACCOUNT}
    audit = {"cornerstone.tfstate.tf_backend_audit": {"gather": ["settings"]}}
    digest = {"cornerstone.tfstate.tf_state_digest": {}}
    shell.write("site.yml", [play(defaults, ROLE, audit, digest, SUMMARY)])
    run = shell.play("site.yml")
    assert run.code == 0, run.output
    assert seen(relay, f"-{unique}") == {"prod"}
    assert seen(relay, f"-{unique}-r") == {"role"}
    assert seen(relay, "") == {"prod", "role"}
    for credentials, backend in (("prod", "by-group"), ("role", "by-role")):
        assert f"Account {ACCOUNT}, credentials: profile {credentials}: {backend}\n" in run.output
        described = json.loads((shell.home / "backends" / backend / "backend-config.json").read_text())
        assert described["account_id"] == ACCOUNT
    owners = {
        call.request.headers.get("x-amz-expected-bucket-owner")
        for call in relay.calls
        if call.name == "PutBucketVersioning"
    }
    assert owners == {ACCOUNT}


@pytest.mark.parametrize("is_fast", EXECUTIONS)
def test_the_account_of_the_group_guards_bucket_and_table(
    shell: Project, relay: Relay, unique: str, is_fast: bool
) -> None:
    shell.inventory({"eu": host(unique)}, cornerstone_tfstate_in_process=is_fast)
    shell.write("site.yml", [play({"account_id": "999999999999"}, ROLE)])
    run = shell.play("site.yml", "--check")
    assert run.code != 0
    assert "999999999999" in run.output, run.output
    assert not relay.writes


def test_a_task_s_own_options_win_and_unknown_defaults_are_refused(shell: Project, relay: Relay, unique: str) -> None:
    backend = "cornerstone.tfstate.tf_backend"
    directory = {"terraform_backend_config_directory": "backends/x", "terraform_backend_name": "x"}
    given = {**host(unique, profile="role"), **directory, "terraform_backend_access_key": None}
    shell.inventory({"eu": given}, terraform_backend_access_key=None, terraform_backend_secret_key=None)
    own = {backend: {"profile": "prod"}, "check_mode": True}
    shell.write("own.yml", [play({"profile": "prod"}, own)])
    run = shell.play("own.yml")
    assert run.code == 0, run.output
    assert seen(relay) == {"prod"}
    relay.calls.clear()
    bad = (play({"acount_id": ACCOUNT}, {backend: {}}), play({}, {backend: {"bucket": "x"}}))
    shell.write("bad.yml", [{**each, "ignore_errors": True} for each in bad])
    run = shell.play("bad.yml")
    assert run.recap["eu"]["ignored"] == 2
    for option in ("acount_id", "bucket"):
        assert f"Unsupported parameters for ({backend}) module: {option}" in run.output
    assert not relay.calls


def make(emulator: RunningEmulator, name: str) -> None:
    where = {"LocationConstraint": "eu-west-1"}
    emulator.client("s3", region="eu-west-1").create_bucket(Bucket=f"acme-{name}", CreateBucketConfiguration=where)
    emulator.client("dynamodb", region="eu-west-1").create_table(
        TableName=f"locks-{name}",
        KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


def test_every_action_about_the_backend_takes_defaults_and_variables_by_one_rule(
    shell: Project, emulator: RunningEmulator, relay: Relay, unique: str
) -> None:
    """Without a bucket the backend is that of the role's variables, whose connection wins over that of the group."""
    without = {f"terraform_backend_{name}": None for name in ("access_key", "secret_key", "endpoint_url", "region")}
    more = {"workspace_key_prefix": "spaces"}
    hosts = {"by-group": host(unique, **more), "by-role": host(f"{unique}-r", profile="role", **more)}
    shell.inventory(hosts, **without)
    defaults = {
        **{"profile": "prod", "endpoint_url": relay.url, "region": "eu-west-1", "account_id": ACCOUNT},
        **{"wait_timeout": 60, "cache_credentials": False},
    }
    one = {"key": "a", "workspace": "qa"}
    tasks: dict[str, dict[str, Any]] = {
        "tf_backend_info": {},
        "tf_backend_audit": {},
        "tf_state_lock": {**one, "state": "held", "lock_id": "x"},
        "tf_state_version": {**one, "state": "restored", "version_id": "null"},
        "tf_state_digest": {},
        "tf_state_move": {"source_bucket": f"acme-{unique}", "source_table": "none", "keys": ["b"]},
        "tf_backend_handover": {"directory": "handover/{{ inventory_hostname }}"},
        "tf_backend_backup": {"backup": "backups/{{ inventory_hostname }}"},
        "tf_backend_teardown": {"backup": "backups/{{ inventory_hostname }}"},
        "tf_lock_mode": {"lock_mode": "both"},
    }
    each = [
        {f"cornerstone.tfstate.{module}": options, "register": f"told_{module}", "failed_when": False}
        for module, options in tasks.items()
    ]
    told = {module: f"{{{{ told_{module}.msg | default('') }}}}" for module in tasks}
    for name in (unique, f"{unique}-r"):
        make(emulator, name)
    shell.write("site.yml", [play(defaults, *each, {"ansible.builtin.debug": {"msg": told}})])
    run = shell.play("site.yml", "--check")
    assert run.code == 0, run.output
    assert "Unsupported" not in run.output, run.output
    assert "missing required" not in run.output, run.output
    assert seen(relay, f"-{unique}-r") == {"role"}
    assert seen(relay, f"-{unique}") <= {"prod", "role"}
    assert seen(relay) == {"prod", "role"}
    assert "spaces/qa/a is locked" in run.output, run.output
    assert "no version of spaces/qa/a" in run.output, run.output
