# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The role on whatever ansible-core, botocore and Python this is, in-process and as a subprocess.

How Ansible hands over variables is what changed most between its versions, and the role's task reads its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.playbooks.conftest import emulator, project, unique
from tests.playbooks.project import Project
from tests.support.emulators import RunningEmulator
from tests.support.relay import Relay

__all__ = ["emulator", "project", "unique"]

EXECUTIONS = {"in the worker": "true", "as a module": "{{ false }}"}


@pytest.mark.parametrize("run_tasks", EXECUTIONS.values(), ids=EXECUTIONS)
def test_the_role_makes_a_backend_once(project: Project, relay: Relay, unique: str, run_tasks: str):
    """Variables are templates of templates, of every type; one is `omit`, one is empty."""
    project.inventory({"here": {}}, cornerstone_tfstate_in_process=run_tasks, **variables(unique))
    made = project.play("cornerstone.tfstate.bootstrap", "--diff")
    assert made.code == 0, made.output
    assert "1 ok, 0 failed, 1 changed" in made.summary
    put = next(call for call in relay.calls if call.name == "PutBucketLifecycleConfiguration")
    assert b"<NoncurrentDays>120</NoncurrentDays>" in put.body
    created = next(call for call in relay.calls if call.name == "CreateTable")
    assert created.params["Tags"] == [{"Key": "Stage", "Value": "test"}]
    assert created.params["ProvisionedThroughput"] == {"ReadCapacityUnits": 2, "WriteCapacityUnits": 2}
    assert f'"acme-{unique}"' in (project.home / "backends" / "here" / "backend.tf").read_text()
    writes = len(relay.writes)
    again = project.play("cornerstone.tfstate.bootstrap")
    assert (again.code, len(relay.writes)) == (0, writes), again.output
    assert "1 ok, 0 failed, 0 changed" in again.summary


@pytest.mark.parametrize("run_tasks", EXECUTIONS.values(), ids=EXECUTIONS)
def test_a_variable_that_cannot_be_evaluated_is_named_before_anything_is_done(
    project: Project, relay: Relay, unique: str, run_tasks: str
):
    given = {**variables(unique), "terraform_backend_bucket_tags": {"Owner": "{{ nobody_knows }}"}}
    project.inventory({"here": {}}, cornerstone_tfstate_in_process=run_tasks, **given)
    run = project.play("cornerstone.tfstate.bootstrap")
    assert run.code != 0
    assert "cannot evaluate terraform_backend_bucket_tags" in run.output, run.output
    assert "nobody_knows" in run.output
    assert relay.calls == []


@pytest.mark.parametrize("run_tasks", EXECUTIONS.values(), ids=EXECUTIONS)
def test_the_modules_alone_make_a_bucket_and_a_table_once(
    emulator: RunningEmulator, relay: Relay, unique: str, tmp_path: Path, run_tasks: str
):
    project = Project(tmp_path, relay.url)
    project.inventory({"localhost": {}}, cornerstone_tfstate_in_process=run_tasks, days="{{ 100 + 20 }}")
    options = {**project.connection(), "tags": "{{ omit }}"}
    bucket = {**options, "name": f"acme-{unique}", "noncurrent_version_expiration_days": "{{ days }}"}
    tasks: list[dict[str, Any]] = [
        {"name": "Bucket", "cornerstone.tfstate.tf_state_bucket": bucket, "register": "bucket"},
        {"name": "Table", "cornerstone.tfstate.tf_lock_table": {**options, "name": f"locks-{unique}"}},
        {"name": "Look", "ansible.builtin.debug": {"msg": "arn is {{ bucket.bucket.arn }}"}},
    ]
    project.write("site.yml", [{"hosts": "localhost", "gather_facts": False, "tasks": tasks}])
    made = project.play("site.yml")
    assert made.code == 0, made.output
    assert f"arn is arn:aws:s3:::acme-{unique}" in made.output
    assert made.recap["localhost"]["changed"] == 2
    assert project.play("site.yml").recap["localhost"]["changed"] == 0


def variables(unique: str) -> dict[str, Any]:
    return {
        "number": "{{ 120 }}",
        "stage": "test",
        "prefix": "acme-{{ ending }}",
        "ending": unique,
        "terraform_backend_bucket_name": "{{ prefix }}",
        "terraform_backend_table_name": f"locks-{unique}",
        "terraform_backend_bucket_noncurrent_version_expiration_days": "{{ number }}",
        "terraform_backend_bucket_kms_key_id": "{{ omit }}",
        "terraform_backend_bucket_unmanaged": "{{ [] }}",
        "terraform_backend_table_tags": {"Stage": "{{ stage }}"},
        "terraform_backend_table_read_capacity": "{{ 1 + 1 }}",
        "terraform_backend_table_write_capacity": "2",
        "terraform_backend_client_version": "{{ nothing | default(omit) }}",
    }
