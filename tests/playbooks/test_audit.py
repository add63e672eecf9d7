# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The audit playbook over a project: what it finds, what it leaves alone, and what its exit code says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.playbooks.project import BOOTSTRAP, ROOT, Project, Run
from tests.support.emulators import RunningEmulator
from tests.support.relay import Relay

AUDIT = str(ROOT / "playbooks" / "audit.yml")
AF, US = "af-south-1", "us-east-1"


@pytest.fixture
def empty(project: Project, unique: str) -> Project:
    """Two regions in the inventory, and no backend in either."""
    project.inventory(
        {
            AF: {
                "terraform_backend_bucket_name": f"cptwn-terraform-state-ezra-{unique}",
                "terraform_backend_table_name": f"terraform-locks-af-south-{unique}",
            },
            US: {
                "terraform_backend_bucket_name": f"usest1-terraform-state-ezra-{unique}",
                "terraform_backend_table_name": f"terraform-locks-us-east-1-{unique}",
            },
        },
        terraform_backend_region="{{ inventory_hostname }}",
        terraform_backend_config_directory="backends/{{ inventory_hostname }}",
        terraform_backend_audit_code=["backends"],
    )
    (project.home / "backends").mkdir()
    return project


@pytest.fixture
def seeded(empty: Project, emulator: RunningEmulator, unique: str) -> Project:
    """af-south-1 complete; us-east-1 with its bucket, but without a lock table and without setup code."""
    run = empty.play(BOOTSTRAP, "-l", AF)
    assert run.code == 0, run.output
    emulator.client("s3", region=US).create_bucket(Bucket=f"usest1-terraform-state-ezra-{unique}")
    return empty


def report(project: Project) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((project.home / "terraform-backends" / "audit" / "audit.json").read_text())
    return told


def found(project: Project, backend: str) -> dict[str, str]:
    """Ids and severities of what is open."""
    rows = {each["name"]: each for each in report(project)["backends"]}
    return {each["id"]: each["severity"] for each in rows[backend]["findings"] if not each["waived"]}


def failed(run: Run) -> set[str]:
    return {host for host, counts in run.recap.items() if counts["failed"] or counts["unreachable"]}


def test_a_region_without_locks_is_found_repaired_and_green(seeded: Project, relay: Relay, unique: str) -> None:
    relay.calls.clear()
    before = seeded.play(AUDIT)
    assert (before.code, failed(before), relay.writes) == (2, {US}, []), before.output
    assert found(seeded, US)["table.missing"] == "critical"
    assert "code.missing" in found(seeded, US)
    assert f"CRITICAL {US}: No state locking: the lock table does not exist" in before.output
    assert set(found(seeded, AF).values()) <= {"info"}

    mended = seeded.play(BOOTSTRAP, "-l", US)
    assert mended.code == 0, mended.output

    relay.calls.clear()
    after = seeded.play(AUDIT)
    assert (after.code, failed(after), relay.writes) == (0, set(), []), after.output
    assert {each["name"]: each["status"] for each in report(seeded)["backends"]} == {AF: "ok", US: "ok"}
    assert (
        f"terraform-locks-us-east-1-{unique}"
        in (seeded.home / "terraform-backends" / "audit" / "audit.html").read_text()
    )


def test_a_table_that_only_code_names_is_looked_up_where_its_bucket_is(seeded: Project, unique: str) -> None:
    bucket = f"cptwn-terraform-state-ezra-{unique}"
    config = {"bucket": bucket, "key": "k", "region": AF, "dynamodb_table": f"mistyped-{unique}", "use_lockfile": True}
    seeded.write("backends/b/main.tf.json", {"terraform": {"backend": {"s3": config}}})
    run = seeded.play(AUDIT, "-l", AF)
    assert (run.code, found(seeded, AF)["code.table_missing"]) == (2, "critical"), run.output


def test_the_limit_and_a_waiver_are_the_users(seeded: Project) -> None:
    waiver = {"id": "table.missing", "backend": US, "reason": "moving to lock files", "until": "2999-01-01"}
    waived = seeded.play(AUDIT, "-e", json.dumps({"terraform_backend_audit_waivers": [waiver]}))
    assert (waived.code, "table.missing" in found(seeded, US)) == (0, False), waived.output
    asked = {"terraform_backend_audit_fail_on": "never", "terraform_backend_audit_gather": ["settings", "locks"]}
    never = seeded.play(AUDIT, "-e", json.dumps(asked))
    assert (never.code, "table.missing" in found(seeded, US)) == (0, True), never.output
    assert report(seeded)["backends"][0]["counts"] == {"states": None, "locks": 0, "digests": None}
    for limit, outcome in (("critical", (0, set())), ("low", (2, {US}))):
        low = {"terraform_backend_audit_severities": {"*": "low"}, "terraform_backend_audit_fail_on": limit}
        run = seeded.play(AUDIT, "-l", US, "-e", json.dumps(low))
        assert (run.code, failed(run)) == outcome, run.output


def test_a_backend_that_cannot_be_looked_at_fails_and_stops_no_other(empty: Project) -> None:
    unreachable = {
        "terraform_backend_endpoint_url": "http://127.0.0.1:9",
        "terraform_backend_aws_config": {"retries": {"total_max_attempts": 1}},
    }
    run = empty.play(AUDIT, "-l", AF, "-e", json.dumps(unreachable))
    assert (run.code, failed(run)) == (2, {AF}), run.output
    assert found(empty, AF)["audit.failed"] == "critical"
    waiver = {"id": "audit.failed", "backend": AF, "reason": "no network yet", "until": "2999-01-01"}
    run = empty.play(AUDIT, "-l", AF, "-e", json.dumps({**unreachable, "terraform_backend_audit_waivers": [waiver]}))
    assert (run.code, "audit.failed" in found(empty, AF)) == (0, False), run.output


def test_what_is_misspelt_is_said_before_anything_is_written(empty: Project) -> None:
    run = empty.play(AUDIT, "-e", json.dumps({"terraform_backend_audit_severities": {"table.mising": "low"}}))
    assert run.code == 2 and "there is no finding 'table.mising'" in run.output
    assert not (empty.home / "terraform-backends" / "audit").exists()


def test_check_mode_looks_and_writes_no_report(empty: Project) -> None:
    run = empty.play(AUDIT, "--check")
    assert run.code == 2 and "CRITICAL 2 times: The state bucket does not exist" in run.output, run.output
    assert not Path(empty.home, "audit").exists()
