# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The collection from somebody else's project: by playbook, by role, by modules alone."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from tests.playbooks.project import Project, Run
from tests.support.emulators import RunningEmulator
from tests.support.http_relay import Answer
from tests.support.relay import Call, Proceed, Relay


@pytest.fixture
def names(unique: str) -> dict[str, str]:
    return {"bucket": f"state-{unique}", "table": f"locks-{unique}"}


@pytest.fixture
def variables(project: Project, names: dict[str, str]) -> dict[str, Any]:
    """Variables of the role, for those who have no inventory of backends."""
    return {
        **project.connection("terraform_backend_"),
        "terraform_backend_name": "eu",
        "terraform_backend_bucket_name": names["bucket"],
        "terraform_backend_table_name": names["table"],
        "terraform_backend_bucket_tags": {"team": "platform"},
    }


def backend(names: dict[str, str]) -> dict[str, str]:
    return {"terraform_backend_bucket_name": names["bucket"], "terraform_backend_table_name": names["table"]}


def changed(run: Run, host: str) -> int:
    assert run.code == 0, run.output
    return run.recap[host]["changed"]


def test_import_playbook_by_its_full_name(project: Project, names: dict[str, str]) -> None:
    project.inventory({"eu-1": backend(names)})
    book = {"import_playbook": "cornerstone.tfstate.bootstrap", "vars": {"terraform_backend_hosts": "states"}}
    project.write("site.yml", [book])
    first = project.play("site.yml")
    assert first.summary.endswith("1 backend: 1 ok, 0 failed, 1 changed\n")
    assert (project.home / "backends" / "eu-1" / "backend.tf").exists()
    second = project.play("site.yml")
    assert (changed(first, "eu-1"), changed(second, "eu-1")) == (1, 0)


def test_the_playbook_runs_by_its_full_name(project: Project, names: dict[str, str]) -> None:
    project.inventory({"eu-1": backend(names)})
    run = project.play("cornerstone.tfstate.bootstrap", "-l", "eu-1")
    assert changed(run, "eu-1") == 1
    assert names["bucket"] in run.summary


def test_files_go_where_the_command_runs_whatever_the_shell_says(project: Project, names: dict[str, str]) -> None:
    project.inventory({"eu-1": backend(names)})
    run = project.play("cornerstone.tfstate.bootstrap", PWD=str(project.home / "elsewhere"))
    assert run.code == 0, run.output
    assert (project.home / "backends" / "eu-1" / "backend.tf").exists()


@pytest.mark.parametrize("how", ["include_role", "import_role"])
def test_a_role_with_variables_leaves_its_result(
    project: Project, variables: dict[str, Any], names: dict[str, str], how: str, emulator: RunningEmulator
) -> None:
    role = {
        "name": "Converge the backend",
        f"ansible.builtin.{how}": {"name": "cornerstone.tfstate.terraform_backend"},
        "vars": variables,
    }
    remember = {
        "name": "Remember the result",
        "ansible.builtin.copy": {
            "content": "{{ terraform_backend | to_json }}",
            "dest": "facts.json",
            "mode": "0600",
        },
    }
    project.write("site.yml", [{"hosts": "localhost", "gather_facts": False, "tasks": [role, remember]}])
    run = project.play("site.yml")
    assert run.code == 0, run.output
    facts = json.loads((project.home / "facts.json").read_text())
    arn = f"arn:aws:dynamodb:eu-west-1:000000000000:table/{names['table']}"
    assert facts["bucket"] == {"name": names["bucket"], "arn": f"arn:aws:s3:::{names['bucket']}"}
    assert facts["table"] == {"name": names["table"], "arn": arn}
    assert facts["s3"]["bucket"] == names["bucket"]
    written = json.loads((project.home / "backends" / "eu" / "backend-config.json").read_text())
    assert written.items() <= facts.items()
    tags = emulator.client("s3", region="eu-west-1").get_bucket_tagging(Bucket=names["bucket"])["TagSet"]
    assert tags == [{"Key": "team", "Value": "platform"}]


def test_the_modules_alone(project: Project, names: dict[str, str]) -> None:
    connection = project.connection()
    tasks = [
        {"cornerstone.tfstate.tf_state_bucket": {"name": names["bucket"], **connection}},
        {"cornerstone.tfstate.tf_lock_table": {"name": names["table"], **connection}},
        {
            "cornerstone.tfstate.tf_backend_config": {
                "directory": "{{ playbook_dir }}/out",
                "name": "eu",
                "bucket": names["bucket"],
                "table": names["table"],
                "region": "eu-west-1",
            }
        },
    ]
    project.write("site.yml", [{"hosts": "localhost", "gather_facts": False, "tasks": tasks}])
    first, second = project.play("site.yml"), project.play("site.yml")
    assert (changed(first, "localhost"), changed(second, "localhost")) == (3, 0)
    assert {file.name for file in (project.home / "out").iterdir()} == {
        "backend-config.json",
        "backend.tf",
        "eu.s3.tfbackend",
    }


def test_a_store_that_ignores_conditions_is_refused_by_each_run_where_no_tag_says_so(
    project: Project, names: dict[str, str], relay: Relay
) -> None:
    def without_condition(call: Call, proceed: Proceed) -> Answer:
        head = call.request.head
        head[:] = [line for line in head if not line.lower().startswith(b"if-none-match")]
        return proceed()

    relay.on("PutObject", reply=without_condition, times=math.inf)
    unmanaged = {"terraform_backend_bucket_unmanaged": ["tags"]}
    project.inventory({"eu-1": backend(names)}, terraform_backend_lock_mode="lockfile", **unmanaged)
    for _unused in range(2):
        run = project.play("cornerstone.tfstate.bootstrap")
        assert run.code == 2 and "the store ignores If-None-Match" in run.reasons["eu-1"], run.output
        assert not list(project.home.glob("backends/*/*"))


def test_lock_files_leave_an_existing_table_alone(
    project: Project, names: dict[str, str], relay: Relay, emulator: RunningEmulator
) -> None:
    dynamodb = emulator.client("dynamodb", region="eu-west-1")
    dynamodb.create_table(
        TableName=names["table"],
        KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    before = dynamodb.describe_table(TableName=names["table"])["Table"]
    project.inventory({"eu-1": backend(names)}, terraform_backend_lock_mode="lockfile")
    run = project.play("cornerstone.tfstate.bootstrap")
    assert run.code == 0, run.output
    assert {call.name for call in relay.calls if call.service not in ("s3", "sts")} == {"Scan"}, "for locks of clients"
    assert dynamodb.describe_table(TableName=names["table"])["Table"] == before
    assert names["table"] not in run.summary
