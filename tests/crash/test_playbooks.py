# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""ansible-playbook with the role, killed again and again, each time a little later, until it gets through."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.safety import harm_to_bucket, harm_to_table
from tests.playbooks.project import Project
from tests.support.callers import kill_caller
from tests.support.emulators import RunningEmulator
from tests.support.relay import Relay, then

#: After which calls the process that made them dies, in the order in which a creation makes them.
MOMENTS = ("HeadBucket", "CreateBucket", "PutBucketVersioning", "CreateTable", "UpdateContinuousBackups")
OF_TABLES = {"CreateTable", "UpdateContinuousBackups"}
EXECUTIONS = ("in the worker", "as a module")


@pytest.mark.parametrize("is_fast", ["true", pytest.param("false", marks=pytest.mark.thorough)], ids=EXECUTIONS)
def test_a_playbook_that_is_killed_again_and_again_gets_through_in_the_end(
    emulator: RunningEmulator, aws_like: Relay, bucket_name: str, table_name: str, tmp_path: Path, is_fast: str
):
    project = Project(tmp_path, aws_like.url)
    names = {"terraform_backend_bucket_name": bucket_name, "terraform_backend_table_name": table_name}
    given = {"terraform_backend_region": "us-east-1", "cornerstone_tfstate_in_process": is_fast}
    elsewhere = {name: f"{value}-2" for name, value in names.items()}
    project.inventory({"here": names, "there": elsewhere}, **given)
    for moment in MOMENTS:
        of = table_name if moment in OF_TABLES else bucket_name
        aws_like.on(moment, reply=then(kill_caller), resource=of)
        run = project.play("cornerstone.tfstate.bootstrap")
        assert "1 ok, 1 failed" in run.summary, (moment, run.output)  # who dies takes nobody along
        assert run.code != 0, (moment, run.output)
        assert "Traceback" not in run.output, run.output
        assert harm_to_bucket(emulator, bucket_name) == set(), moment
        assert harm_to_table(emulator, table_name) == set(), moment
        if is_fast == "true":
            assert "the process that did the work died (signal SIGKILL)" in run.output, run.output
    assert aws_like.unfired == []
    assert project.play("cornerstone.tfstate.bootstrap").code == 0
    writes = len(aws_like.writes)
    again = project.play("cornerstone.tfstate.bootstrap")
    assert (again.code, len(aws_like.writes) - writes) == (0, 0), again.output
    assert "2 ok, 0 failed, 0 changed" in again.summary
