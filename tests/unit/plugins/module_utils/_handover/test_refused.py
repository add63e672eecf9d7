# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is not handed over, and why; nothing is read or written before the options are right."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Invalid
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.guard import Refused
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import ModuleRun
from ansible_collections.cornerstone.tfstate.plugins.modules.tf_backend_handover import MODULE, hand_over

from tests.unit.plugins.module_utils.fake_aws import REGION, Bucket, FakeAws, Table

TWO_PHASE = {"mode": "two_phase", "production_bucket": "tf-production", "production_table": "tf-production"}


def run(folder: Path, aws: FakeAws | None = None, **asked: Any) -> dict[str, Any]:
    """Without an account, nothing may be read."""
    options = {name: option.get("default") for name, option in MODULE.spec.items()}
    named = {"name": "x", "directory": str(folder), "region": REGION, "bucket": "tf-state", "table": "tf-locks"}
    task = SimpleNamespace(
        params={**options, **named, **asked},
        client=lambda: aws,
        check_mode=False,
        diff=False,
        on_write=lambda _call: None,
        failure=None,
    )
    return hand_over(cast(ModuleRun, task))


@pytest.fixture
def aws() -> FakeAws:
    return FakeAws(buckets={"tf-state": Bucket()}, tables={"tf-locks": Table()})


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a name with a template": (
        {**TWO_PHASE, "production_bucket": "Bad_Name${x}"},
        r"production_bucket: 'Bad_Name\$\{x\}' is no bucket name: 3 to 63 lower-case letters",
    ),
    "a reserved name": ({**TWO_PHASE, "production_bucket": "xn--state"}, "production_bucket: .* AWS reserves"),
    "a bucket of another account": (
        {**TWO_PHASE, "production_bucket": f"tf-444455556666-{REGION}-an", "account_id": "111122223333"},
        "production_bucket: .* it must hold account_id 111122223333",
    ),
    "no name of a table": ({**TWO_PHASE, "production_table": "a b"}, "production_table: 'a b' is no table name"),
    "no version": (
        {"provider_version": 'banana" }'},
        r"provider_version cannot be read at 'banana\" }': write comma separated",
    ),
    "a version too old": ({"provider_version": "~> 5.80.0"}, "admits no version from 5.100 on"),
    "a version that knows no bucket of the account": (
        {**TWO_PHASE, "production_bucket": f"tf-111122223333-{REGION}-an", "provider_version": "~> 5.100"},
        "admits no version from 6.37 on",
    ),
    "a table that would be dropped": (
        {**TWO_PHASE, "production_table": None},
        "lock_mode both locks in a table, and without production_table the production backend has none",
    ),
    "a table that would be dropped by name": (
        {**TWO_PHASE, "production_table": None, "lock_mode": "dynamodb"},
        "lock_mode dynamodb locks in a table",
    ),
    "a table without settings": ({**TWO_PHASE, "table": None}, "takes its settings from table, which is missing"),
    "names without a mode": ({"production_table": "tf-production"}, "need mode: two_phase"),
}


@pytest.mark.parametrize(("asked", "reason"), WRONG.values(), ids=WRONG)
def test_wrong_options_are_refused_before_anything_is_read(asked: dict[str, Any], reason: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=reason):
        run(tmp_path, **asked)
    assert [*tmp_path.iterdir()] == []


def test_a_table_name_of_the_whole_fleet_does_not_fail_a_backend_that_locks_by_files(
    aws: FakeAws, tmp_path: Path
) -> None:
    result = run(tmp_path, aws, **TWO_PHASE, lock_mode="lockfile", table=None)
    assert result["project"]["table"] is None
    assert not (tmp_path / "table.tf").exists()
    assert "dynamodb_table" not in (tmp_path / "outputs.tf").read_text()


@pytest.mark.parametrize("lock_mode", [None, "both", "lockfile"])
def test_the_production_backend_has_the_table_that_its_lock_mode_needs(
    lock_mode: str | None, aws: FakeAws, tmp_path: Path
) -> None:
    assert run(tmp_path, aws, **TWO_PHASE, lock_mode=lock_mode)["project"]["table"] == "tf-production"
    locks = "aws_dynamodb_table.locks.name" in (tmp_path / "outputs.tf").read_text()
    assert locks is (lock_mode != "lockfile")
    assert ("dynamodb_table" in (tmp_path / "terraform.tf").read_text()) is locks


DECLARING = {
    "main.tf": 'terraform {\n  backend "s3" {\n    bucket = "other"\n  }\n}\n',
    "override.tf": 'terraform {\n  backend "local" {}\n}\n',
    "cloud.tf": 'terraform {\n  cloud {\n    organization = "acme"\n  }\n}\n',
    "main.tf.json": '{"terraform": {"backend": {"gcs": {}}}}',
    "main.tofu": 'terraform {\n  backend "s3" {}\n}\n',
}


@pytest.mark.parametrize(("name", "text"), DECLARING.items(), ids=DECLARING)
@pytest.mark.parametrize("allow", [None, ["overwrite_files"]])
def test_a_folder_with_another_backend_is_left_alone(
    name: str, text: str, allow: list[str] | None, aws: FakeAws, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(Refused, match=rf"{name} declares a backend, too, .* choose another directory"):
        run(tmp_path, aws, allow=allow)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_file_that_may_have_a_backend_is_not_passed_over(aws: FakeAws, tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text('terraform {\n  backend "s3" {\n')
    with pytest.raises(Refused, match=r"main\.tf may declare a backend, and cannot be read"):
        run(tmp_path, aws)


def test_files_without_a_backend_are_no_obstacle(aws: FakeAws, tmp_path: Path) -> None:
    (tmp_path / "extra.tf").write_text('resource "aws_s3_bucket" "logs" {\n  bucket = "logs"\n}\n')
    (tmp_path / ".hidden.tf").write_text(DECLARING["main.tf"])
    (tmp_path / "notes.md").write_text('terraform { backend "s3" {} }')
    (tmp_path / "module").mkdir()
    (tmp_path / "module" / "main.tf").write_text(DECLARING["main.tf"])
    assert run(tmp_path, aws)["changed"]
    assert not run(tmp_path, aws)["changed"]


def test_a_project_of_another_backend_is_not_overwritten(tmp_path: Path) -> None:
    """As if a variable of all hosts named one directory, without the name of the host in it."""
    aws = FakeAws(buckets={"tf-state": Bucket(), "tf-other": Bucket()}, tables={"tf-locks": Table()})
    run(tmp_path, aws)
    before = {path.name: path.read_text() for path in tmp_path.iterdir()}
    with pytest.raises(Refused, match=r"terraform\.tf is of a project whose state is in the bucket tf-state, not"):
        run(tmp_path, aws, bucket="tf-other")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == before
    assert run(tmp_path, aws, bucket="tf-other", allow=["overwrite_files"])["changed"]
