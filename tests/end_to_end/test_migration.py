# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Projects of the real terraform migrate, and terraform finds nothing to do: neither before nor afterwards."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import Backend
from tests.end_to_end.terraform import Run, Workspace, apply
from tests.end_to_end.test_terraform import becomes_true
from tests.integration.module_runs import Task, through_core
from tests.support.relay import then

pytestmark = [pytest.mark.terraform, pytest.mark.slow]


@dataclass(frozen=True)
class Migration:
    """From one backend to another, under keys that no other test uses."""

    source: Backend
    target: Backend
    key: str

    def params(self, **params: Any) -> dict[str, Any]:
        to = {"bucket": self.target.bucket, "table": self.target.table, "lock_mode": self.target.lock_mode}
        if self.target.lock_mode == "lockfile":
            del to["table"]
        of = {"source_bucket": self.source.bucket}
        if self.source.lock_mode != "lockfile":
            of["source_table"] = self.source.table
        connection = {"endpoint_url": self.target.relay.url, "region": "eu-west-1", "key": self.key}
        return {**connection, "access_key": "test", "secret_key": "test", **to, **of, **params}

    def move(self, check_mode: bool = False, **params: Any) -> dict[str, Any]:
        given = {name: value for name, value in self.params(**params).items() if value is not None}
        (result,) = through_core([Task("tf_state_move", given, check_mode)])
        return result

    def moved(self, **params: Any) -> dict[str, Any]:
        result = self.move(**params)
        assert not result.get("failed"), result["msg"]
        return result


def bytes_at(backend: Backend, path: str) -> bytes:
    body: bytes = backend.s3.get_object(Bucket=backend.bucket, Key=path)["Body"].read()
    return body


def serial_and_lineage(body: bytes) -> tuple[int, str]:
    document = json.loads(body)
    return document["serial"], document["lineage"]


def succeeded(run: Run) -> None:
    assert run.code == 0, run.output


@pytest.fixture(autouse=True)
def terraform_in_its_place(monkeypatch: pytest.MonkeyPatch, workspace: Workspace) -> Iterator[None]:
    """What `workspace.run` gives to terraform, the module's own terraform finds too."""
    with monkeypatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("TF_")]:
            patch.delenv(name)
        for name, value in workspace._environment().items():
            patch.setenv(name, value)
        yield


WAYS = [("dynamodb", "lockfile"), ("lockfile", "dynamodb"), ("both", "lockfile"), ("dynamodb", "both")]


@pytest.mark.parametrize(("old", "new"), WAYS)
def test_a_project_with_workspaces_moves_from_bucket_to_bucket(
    backends: dict[str, Backend], workspace: Workspace, old: str, new: str
) -> None:
    migration = Migration(backends[old], backends[new], f"from-{old}-to-{new}/terraform.tfstate")
    succeeded(workspace.init(migration.source.tfbackend, f"-backend-config=key={migration.key}"))
    for name in ("default", "dev", "qa"):
        if name != "default":
            succeeded(workspace.run("workspace", "new", name))
        succeeded(workspace.apply(content=name))
        succeeded(workspace.apply())
        succeeded(workspace.plan())
    paths = [migration.key, f"env:/dev/{migration.key}", f"env:/qa/{migration.key}"]
    before = [bytes_at(migration.source, path) for path in paths]
    # The arguments of its backend lie in no file of the project: now they do.
    result = migration.moved(project=str(workspace.folder), tfbackend="new.s3.tfbackend", init=True, verify_plan=True)
    assert result["project"]["verified"] and result["project"]["edits"] == ["new.s3.tfbackend"]
    assert (workspace.folder / "backend.tf").read_text() == 'terraform {\n  backend "s3" {}\n}\n'
    assert [bytes_at(migration.target, path) for path in paths] == before
    succeeded(workspace.plan())  # still in workspace qa
    serial, lineage = serial_and_lineage(before[2])
    succeeded(workspace.apply(content="after"))
    assert serial_and_lineage(bytes_at(migration.target, paths[2])) == (serial + 1, lineage)
    assert [bytes_at(migration.source, path) for path in paths] == before
    assert not migration.moved(project=str(workspace.folder), tfbackend="new.s3.tfbackend", init=True)["changed"]


def test_local_states_move_with_their_code_and_go_when_that_was_proven(
    backends: dict[str, Backend], tmp_path: Path, terraform: str
) -> None:
    migration = Migration(backends["both"], backends["both"], "was-local/terraform.tfstate")
    local = Workspace.make(tmp_path / "local", terraform, "# No backend yet.\n")
    (local.folder / "backend.tf").unlink()
    succeeded(local.init())
    succeeded(local.apply())
    succeeded(local.run("workspace", "new", "dev"))
    succeeded(local.apply(content="two"))
    succeeded(local.apply())
    succeeded(local.plan())
    states = [local.folder / "terraform.tfstate", local.folder / "terraform.tfstate.d" / "dev" / "terraform.tfstate"]
    before = [path.read_bytes() for path in states]
    params = {"project": str(local.folder), "source_bucket": None, "source_table": None, "init": True}
    planned = migration.move(check_mode=True, **params)
    assert planned["changed"] and [path.read_bytes() for path in states] == before
    migration.moved(**params, verify_plan=True, remove_local=True)
    paths = [migration.key, f"env:/dev/{migration.key}"]
    assert [bytes_at(migration.target, path) for path in paths] == before
    assert [path for path in local.folder.rglob("*tfstate*") if path.is_file() and ".terraform" not in path.parts] == []
    succeeded(local.plan())
    succeeded(local.run("workspace", "select", "default"))
    succeeded(local.plan())
    assert not migration.moved(**params, verify_plan=True, remove_local=True)["changed"]


def test_a_colleague_who_waits_for_a_local_state_stops_once_it_has_moved(
    backends: dict[str, Backend], tmp_path: Path, terraform: str
) -> None:
    """Terraform opens the file before it waits, and then has the lock of one that nobody else finds any more."""
    migration = Migration(backends["both"], backends["both"], "waited-for/terraform.tfstate")
    local = Workspace.make(tmp_path / "local", terraform, "# No backend yet.\n")
    (local.folder / "backend.tf").unlink()
    succeeded(local.init())
    succeeded(local.apply())
    before = (local.folder / "terraform.tfstate").read_bytes()
    waits = tuple("-lock-timeout=60s" if each.startswith("-lock-timeout") else each for each in apply(content="lost"))
    waiting = ExitStack()
    processes: list[subprocess.Popen[str]] = []

    def begins_to_wait(_call: object) -> None:
        processes.append(waiting.enter_context(local.started(*waits)))
        assert becomes_true(lambda: is_open(processes[0].pid, local.folder / "terraform.tfstate"))

    with waiting:
        migration.source.relay.on("PutObject", reply=then(begins_to_wait))
        params = {"project": str(local.folder), "source_bucket": None, "source_table": None, "init": True}
        migration.moved(**params, verify_plan=True)
        said, _unused = processes[0].communicate(timeout=90)
    assert processes[0].returncode == 1 and "Unsupported state file format" in said, said
    assert (local.folder / "terraform.tfstate.moved").read_bytes() == before
    assert bytes_at(migration.target, migration.key) == before
    succeeded(local.plan())


def is_open(pid: int, path: Path) -> bool:
    """Whether the process, or one that it began, has the file open."""
    began = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    mine = any(path.samefile(each) for each in Path(f"/proc/{pid}/fd").iterdir() if each.exists())
    return mine or any(is_open(int(each), path) for each in began)


def test_a_plan_that_is_not_empty_is_told_and_nothing_local_is_removed(
    backends: dict[str, Backend], tmp_path: Path, terraform: str
) -> None:
    migration = Migration(backends["both"], backends["both"], "not-empty/terraform.tfstate")
    local = Workspace.make(tmp_path / "local", terraform, "")
    (local.folder / "backend.tf").unlink()
    succeeded(local.init())
    succeeded(local.apply())
    before = (local.folder / "terraform.tfstate").read_bytes()
    changed = ["-var=content=two"]
    params = {"project": str(local.folder), "source_bucket": None, "source_table": None, "plan_arguments": changed}
    result = migration.move(**params, init=True, verify_plan=True, remove_local=True)
    assert result["failed"] and result["changed"]
    assert "the plan of workspace default in" in result["msg"]
    assert (local.folder / "terraform.tfstate.moved").read_bytes() == before
    assert bytes_at(migration.target, migration.key) == before


@pytest.mark.parametrize(
    ("old", "new"), [pytest.param(*way, marks=[pytest.mark.thorough] * ("both" in way)) for way in WAYS]
)
def test_what_a_colleague_applies_meanwhile_is_never_lost(
    backends: dict[str, Backend], workspace: Workspace, old: str, new: str
) -> None:
    """After each call of the colleague's client in turn: the state moves, or the colleague's lock keeps it here."""
    template = Migration(backends[old], backends[new], f"race-{old}-{new}/terraform.tfstate")
    succeeded(workspace.init(template.source.tfbackend, f"-backend-config=key={template.key}"))
    succeeded(workspace.apply(content="first"))
    first = bytes_at(template.source, template.key)
    relay = template.source.relay
    outcomes = set()
    k, came = 0, True
    while came:
        k += 1
        migration = replace(template, key=f"race-{old}-{new}-{k}/terraform.tfstate")
        place(migration.source, migration.key, first)
        named = (migration.source.tfbackend, f"-backend-config=key={migration.key}")
        succeeded(workspace.init("-reconfigure", *named))
        results: list[dict[str, Any]] = []
        rule = relay.on("*", nth=k, reply=then(lambda _call, at=migration, to=results: to.append(at.move())))
        colleague = workspace.apply(content="second")
        rule.times = 0
        came = bool(results)
        moved_meanwhile = came and not results[0].get("failed")
        if not moved_meanwhile:
            assert not came or "is locked by " in results[0]["msg"], results
            migration.moved()
        document = json.loads(bytes_at(migration.target, migration.key))
        content = document["resources"][0]["instances"][0]["attributes"]["input"]["value"]
        assert (k, content) == (k, "second" if colleague.code == 0 else "first"), colleague.output
        if colleague.code:
            told = " ".join(colleague.output.replace("│", " ").split())
            assert "Error acquiring the state lock" in told
            assert f"to s3://{migration.target.bucket}/{migration.key}" in told
        outcomes.add((moved_meanwhile, colleague.code))
    assert outcomes == {(True, 1), (False, 0), (True, 0)}


@pytest.mark.parametrize(
    ("old", "new"), [("dynamodb", "lockfile"), *(pytest.param(*way, marks=pytest.mark.thorough) for way in WAYS[1:])]
)
def test_whenever_a_colleague_applies_during_a_move_it_is_never_lost(
    backends: dict[str, Backend], workspace: Workspace, old: str, new: str
) -> None:
    """The other way round: after each call of the move in turn, a colleague applies from beginning to end."""
    template = Migration(backends[old], backends[new], f"during-{old}-{new}/terraform.tfstate")
    succeeded(workspace.init(template.source.tfbackend, f"-backend-config=key={template.key}"))
    succeeded(workspace.apply(content="first"))
    first = bytes_at(template.source, template.key)
    relay = template.source.relay
    codes = []
    k, came = 0, True
    while came:
        k += 1
        migration = replace(template, key=f"during-{old}-{new}-{k}/terraform.tfstate")
        place(migration.source, migration.key, first)
        succeeded(workspace.init("-reconfigure", template.source.tfbackend, f"-backend-config=key={migration.key}"))
        runs: list[Run] = []
        rule = relay.on("*", nth=k, reply=then(lambda _call, to=runs: to.append(workspace.apply(content="second"))))
        migration.moved(lock_timeout=5)
        rule.times = 0
        came = bool(runs)
        codes += [run.code for run in runs]
        document = json.loads(bytes_at(migration.target, migration.key))
        content = document["resources"][0]["instances"][0]["attributes"]["input"]["value"]
        assert (k, content) == (k, "second" if came and runs[0].code == 0 else "first")
        assert not came or runs[0].code == 0 or "Error acquiring the state lock" in runs[0].output, runs[0].output
    # Before our lock they get through, and from then on never again.
    assert 0 in codes and 1 in codes and codes == sorted(codes)


def place(backend: Backend, path: str, body: bytes) -> None:
    """A state as a client would have left it."""
    backend.s3.put_object(Bucket=backend.bucket, Key=path, Body=body)
    if backend.lock_mode != "lockfile":
        digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
        item = {"LockID": {"S": f"{backend.bucket}/{path}-md5"}, "Digest": {"S": digest}}
        backend.dynamodb.put_item(TableName=backend.table, Item=item)


def test_a_colleague_who_waits_for_the_lock_meets_the_source_protection(
    backends: dict[str, Backend], workspace: Workspace
) -> None:
    migration = Migration(backends["both"], backends["lockfile"], "waits/terraform.tfstate")
    succeeded(workspace.init(migration.source.tfbackend, f"-backend-config=key={migration.key}"))
    succeeded(workspace.apply(content="first"))
    holder = workspace.copy("holder")
    waiter = workspace.copy("waiter")
    (holder.folder / "applying").unlink()
    relay = migration.source.relay
    release = workspace.folder / "release"
    waits = tuple("-lock-timeout=8s" if each.startswith("-lock-timeout") else each for each in apply(content="third"))
    again = apply(content="second", wait_for=str(release))
    with holder.started(*again, "-replace=terraform_data.this") as applying:
        assert becomes_true(lambda: holder.is_applying)
        before = len(relay.calls)
        with waiter.started(*waits) as waiting:
            assert becomes_true(lambda: any(call.status == 412 for call in relay.calls[before:]))
            release.touch()
            result = migration.moved(lock_timeout=60)
            applied, _unused = applying.communicate(timeout=90)
            said, _unused = waiting.communicate(timeout=90)
    assert applying.returncode == 0, applied
    content = json.loads(bytes_at(migration.target, migration.key))["resources"][0]["instances"][0]["attributes"][
        "input"
    ]
    wanted = "third" if waiting.returncode == 0 else "second"
    assert content["value"] == wanted, said
    assert result["states"][0]["serial"] == json.loads(bytes_at(migration.source, migration.key))["serial"]
