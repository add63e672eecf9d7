# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What cannot work is refused before AWS hears of it, in words that say what to set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.playbooks.project import BOOTSTRAP, Project
from tests.support.relay import Relay

COMPLETE = {
    "terraform_backend_bucket_name": "state",
    "terraform_backend_table_name": "locks",
    "terraform_backend_region": "eu-west-1",
}
#: What is set otherwise, None for not at all, and the words that must be said.
PROBLEMS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "old-clients-and-both": (
        {"terraform_backend_client_version": ">= 1.5", "terraform_backend_lock_mode": "both"},
        (">= 1.5", "1.10", "lock_mode dynamodb"),
    ),
    "old-clients-and-lock-files": (
        {"terraform_backend_client_version": ">= 1.5", "terraform_backend_lock_mode": "lockfile"},
        (">= 1.5", "1.10", "lock_mode dynamodb"),
    ),
    "no-table": ({"terraform_backend_table_name": None}, ("terraform_backend_table_name",)),
    "no-bucket": ({"terraform_backend_bucket_name": None}, ("terraform_backend_bucket_name",)),
    "no-region": ({"terraform_backend_region": None}, ("terraform_backend_region", "AWS_REGION")),
    "no-such-lock-mode": ({"terraform_backend_lock_mode": "paper"}, ("lock_mode", "paper", "lockfile")),
    "no-such-variable": (
        {"terraform_backend_bucket_name": "state-{{ nosuch }}"},
        ("terraform_backend_bucket_name", "nosuch", "undefined"),
    ),
    "no-number": (
        {"terraform_backend_bucket_noncurrent_version_expiration_days": "many"},
        ("terraform_backend_bucket_noncurrent_version_expiration_days", "convert to int"),
    ),
    "no-variable-of-the-role": (
        {"terraform_backend_kms_key_id": "alias/state"},
        ("terraform_backend_kms_key_id is not a variable", "terraform_backend_bucket_kms_key_id", "_custom_"),
    ),
    "no-good-state-key": ({"terraform_backend_state_key": "/app/terraform.tfstate"}, ("/app/terraform.tfstate",)),
}


@pytest.fixture(scope="module")
def reasons(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Each reason by host: a host for each problem, and all in one run, since nothing happens in it."""
    with Relay("http://127.0.0.1:9") as relay:
        project = Project(tmp_path_factory.mktemp("preflight"), relay.url)
        hosts = {name: without_none(COMPLETE | otherwise) for name, (otherwise, _unused) in PROBLEMS.items()}
        project.inventory(hosts, terraform_backend_region=None)
        run = project.play("cornerstone.tfstate.bootstrap")
    assert run.code != 0, run.output
    assert relay.calls == []
    assert not (project.home / "backends").exists()
    return run.reasons


def without_none(variables: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in variables.items() if value is not None}


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_problem_is_told_in_words_of_the_role(name: str, reasons: dict[str, str]) -> None:
    _unused, words = PROBLEMS[name]
    assert not [word for word in words if word not in reasons[name]], reasons[name]


def test_older_clients_may_use_a_table(project: Project, unique: str) -> None:
    old = {
        "terraform_backend_bucket_name": f"state-{unique}",
        "terraform_backend_table_name": f"locks-{unique}",
        "terraform_backend_client_version": ">= 1.5",
        "terraform_backend_lock_mode": "dynamodb",
    }
    project.inventory({"old": old})
    run = project.play("cornerstone.tfstate.bootstrap")
    assert run.code == 0, run.output
    written = (project.home / "backends" / "old" / "backend.tf").read_text()
    assert 'required_version = ">= 1.5"' in written
    assert "use_lockfile" not in written


def test_an_extra_variable_that_the_playbook_does_not_take_is_refused(project: Project, relay: Relay) -> None:
    project.inventory({name: {**COMPLETE, "terraform_backend_bucket_name": name} for name in ("eu", "us")})
    mistyped = project.play("cornerstone.tfstate.backup", "-e", "bakup=backups/eu")
    assert (mistyped.code, relay.calls) == (2, []), mistyped.output
    assert (
        "the extra variable bakup is not a variable of this playbook (did you mean terraform_backend_backup_location?)"
        in mistyped.output
    )
    for_two = project.play("cornerstone.tfstate.backup", "-e", "backup=backups/eu", "-e", "stage=prod")
    assert (for_two.code, relay.calls) == (2, []), for_two.output
    assert "terraform_backend_backup_location is the location of one backend" in for_two.output


@pytest.mark.parametrize("name", ["restore_backup", "rebuild"])
def test_one_backup_is_not_brought_back_into_several_backends(project: Project, relay: Relay, name: str) -> None:
    """Two backends would have the same states, which do not exclude each other."""
    project.inventory({each: {**COMPLETE, "terraform_backend_bucket_name": each} for each in ("eu", "us")})
    run = project.play(f"cornerstone.tfstate.{name}", "-e", f"terraform_backend_{name}_location=backups/eu")
    assert (run.code, relay.calls) == (2, []), run.output
    assert f"terraform_backend_{name}_location is the backup of one backend" in run.output


@pytest.mark.parametrize("name", ["restore_version", "repair_digest"])
def test_one_state_is_not_repaired_in_several_backends(project: Project, relay: Relay, name: str) -> None:
    """A copy would go to all of them, with what is secret in it, and the same key may be another state there."""
    project.inventory({each: {**COMPLETE, "terraform_backend_bucket_name": each} for each in ("eu", "us")})
    run = project.play(f"cornerstone.tfstate.{name}", "-e", f"terraform_backend_{name}_key=network/terraform.tfstate")
    assert (run.code, relay.calls) == (2, []), run.output
    said = " ".join(run.output.split())
    assert f"{name} is about one state of one backend" in said and "These are eu, us" in said


def test_a_variable_that_does_not_exist_is_told_by_the_failing_task_alone(tmp_path: Path) -> None:
    """Since 2.19, Ansible prints the message of a failed task twice. Our table does not say it once more."""
    project = Project(tmp_path, "http://127.0.0.1:9")
    names = {"terraform_backend_bucket_name": "one-states", "terraform_backend_table_name": "one-locks"}
    project.inventory({"one": {**names, "terraform_backend_lockmode": "both"}})
    run = project.play(BOOTSTRAP)
    said = "terraform_backend_lockmode is not a variable of the role"
    _before, _play, summary = run.output.partition("PLAY [Sum up]")
    assert run.code != 0 and 1 <= summary.count(said) <= 2, run.output
    assert said in run.reasons["one"]
