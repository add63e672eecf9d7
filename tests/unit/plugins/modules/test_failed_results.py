# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a failed task returns besides its message: the keys that playbooks read, and what was done before it failed."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.write_tracker import WriteTracker
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Call, Change, TfstateError
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.reconcile import Interrupted
from ansible_collections.cornerstone.tfstate.plugins.module_utils._lock_mode.transition import TransitionOutcome
from ansible_collections.cornerstone.tfstate.plugins.module_utils._locks.stores import Place
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules import entry as _entry
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import result_of
from ansible_collections.cornerstone.tfstate.plugins.module_utils._state.state_lookup import FoundState

MODULES = "ansible_collections.cornerstone.tfstate.plugins.modules"
#: Nobody listens at this port.
AWS = {
    "region": "eu-west-1",
    "access_key": "AKIATESTTESTTEST0001",
    "secret_key": "secret",
    "account_id": "111122223333",
    "endpoint_url": "http://127.0.0.1:9",
    "wait_timeout": 1,
}
BUCKET, TABLE = {"bucket": "state-eu"}, {"table": "locks-eu"}
OPTIONS: dict[str, dict[str, Any]] = {
    "tf_state_bucket": {"name": "state-eu"},
    "tf_lock_table": {"name": "locks-eu"},
    "tf_backend_info": BUCKET,
    "tf_backend_audit": BUCKET,
    "tf_backend_adopt": {**BUCKET, "path": "no/adopted.yml"},
    "tf_backend_backup": {**BUCKET, "backup": "no/backup"},
    "tf_backend_restore": {**BUCKET, "backup": "no/backup"},
    "tf_backend_teardown": BUCKET,
    "tf_backend_freeze": BUCKET,
    "tf_backend_verify": {**BUCKET, "snapshot": "no/snapshot"},
    "tf_backend_handover": {**BUCKET, "directory": "no/project", "name": "eu"},
    "tf_state_lock": {**BUCKET, "key": "a", "state": "held"},
    "tf_state_digest": {**BUCKET, **TABLE, "key": "a"},
    "tf_state_version": {**BUCKET, "key": "a", "state": "undeleted"},
    "tf_state_move": {**BUCKET, "key": "a", "source_bucket": "old", "source_table": "none"},
    "tf_lock_mode": {**BUCKET, **TABLE, "lock_mode": "both", "observe_seconds": 0},
}
CODE = {"unknown": None, "code_known": []}
#: Without `failed`, `msg` and `changed: False`, which all of them have.
MORE: dict[str, dict[str, Any]] = {
    "tf_state_bucket": {"changes": []},
    "tf_lock_table": {"changes": []},
    "tf_backend_adopt": {"changes": []},
    "tf_backend_handover": {"changes": []},
    "tf_backend_teardown": {"done": [], **CODE},
    "tf_lock_mode": {"digests": [], **CODE},
}
HAS_CREDENTIALS = ("tf_state_bucket", "tf_lock_table")
CREDENTIALS = "access key AKIA...0001"
UNREACHABLE = "http://127.0.0.1:9 cannot be reached"


def failed(module: str, **options: Any) -> dict[str, Any]:
    """The result of a task that fails, less what both ways to run a module remove."""
    entry = importlib.import_module(f"{MODULES}.{module}").MODULE
    arguments = {name: value for name, value in options.items() if value is not None}
    validated = ArgumentSpecValidator(entry.spec, **entry.rules).validate(arguments)
    assert not validated.error_messages, validated.error_messages
    result = result_of(entry, validated.validated_parameters, check_mode=False, diff=True)
    if not result.get("warnings"):
        result.pop("warnings", None)
    return result


@pytest.mark.parametrize("module", OPTIONS)
def test_a_task_that_is_refused_before_any_request(module: str) -> None:
    result = failed(module, **{**AWS, **OPTIONS[module], "region": None})
    credentials = {"credentials": None} if module in HAS_CREDENTIALS else {}
    msg = "region is not set: set region, or AWS_REGION in your shell, or name a profile that has one"
    if module == "tf_backend_restore":
        msg = result["msg"]
        assert msg.endswith("no/backup holds no backup.json, and so no backup that was finished")
    assert result == {"failed": True, "msg": msg, "changed": False, **credentials, **MORE.get(module, {})}


@pytest.mark.parametrize("module", [name for name in OPTIONS if name != "tf_backend_restore"])
def test_a_task_whose_first_request_fails(module: str) -> None:
    result = failed(module, **{**AWS, **OPTIONS[module]})
    credentials = {"credentials": CREDENTIALS} if module in HAS_CREDENTIALS else {}
    assert UNREACHABLE in result["msg"]
    assert result == {"failed": True, "msg": result["msg"], "changed": False, **credentials, **MORE.get(module, {})}


def test_an_identifier_that_cannot_be_one_is_refused_alike_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in OPTIONS:
        result = failed(module, **{**AWS, **OPTIONS[module], "account_id": "1"})
        assert (result.keys(), result["changed"]) == ({"failed", "msg", "changed"}, False)


PROBLEM = "it broke"
WROTE = Call("s3", "put_object", {"Key": "a"})
CHANGE = Change("versioning", "Suspended", "Enabled", (WROTE,))
FILES = Change("no/project/bucket.tf", None, "text")


def breaks(*_arguments: Any, **_options: Any) -> Any:
    raise TfstateError(PROBLEM)


def interrupted(change: Change) -> Callable[..., Any]:
    def fails(*_arguments: Any, **_options: Any) -> Any:
        raise Interrupted(TfstateError(PROBLEM), (change,))

    return fails


class Client(SimpleNamespace):
    """A client that warns."""

    def __init__(self, *_arguments: Any, **_options: Any) -> None:
        super().__init__(warnings=["be careful"])


def resource(patch: Callable[[str, Any], None]) -> None:
    patch("reconcile", interrupted(CHANGE))


def handover(patch: Callable[[str, Any], None]) -> None:
    patch("project_of", lambda *_arguments: SimpleNamespace(backend=None))
    patch("problems", lambda _backend: ())
    patch("project_files", lambda _project: {})
    patch("write_files", interrupted(FILES))


def config(patch: Callable[[str, Any], None]) -> None:
    patch("write_files", interrupted(FILES))


def version(patch: Callable[[str, Any], None]) -> None:
    def restoring(aws: Any, scope: Any, place: Any, allow: Any, done: list[str]) -> Any:
        done += ["put_object", "put_item"]
        return SimpleNamespace(plan=breaks)

    patch("Aws", Client)
    patch("check_bucket", lambda *_arguments: None)
    patch("VersionRestore", restoring)


def digest(patch: Callable[[str, Any], None]) -> None:
    def repairing(*_arguments: Any, done: list[str]) -> Any:
        done.append("put_item")
        plan = SimpleNamespace(is_done=False, has_state=True)
        return SimpleNamespace(plan=lambda _state: plan, repair=breaks)

    patch("Aws", Client)
    patch("check_bucket", lambda *_arguments: None)
    patch("check_free", lambda *_arguments: None)
    patch("StateDigest", repairing)


def restore(patch: Callable[[str, Any], None]) -> None:
    def restoring(to: Any, *_arguments: Any) -> Any:
        to.on_write(WROTE)
        return SimpleNamespace(to=to, plan=lambda: None, carry_out=breaks)

    storage = SimpleNamespace(manifest=lambda: "{}", url="no/backup")
    patch("storage_of", lambda *_arguments: storage)
    patch("manifest_of", lambda *_arguments: SimpleNamespace(bucket="state-eu", table=None, region="eu-west-1"))
    patch(
        "Aws", lambda _connection, _timeout_s, on_write: SimpleNamespace(warnings=["be careful"] * 2, on_write=on_write)
    )
    patch("_existing", lambda *_arguments: None)
    patch("_check_bucket", lambda *_arguments: None)
    patch("Destination", lambda aws, *_arguments: SimpleNamespace(aws=aws, on_write=aws.on_write))
    patch("Restore", restoring)


def teardown(patch: Callable[[str, Any], None]) -> None:
    def plan_teardown(aws: Any, *_arguments: Any) -> Any:
        aws.on_write(WROTE)
        return SimpleNamespace(aws=aws)

    def torn_down(plan: Any, *_arguments: Any) -> Any:
        return SimpleNamespace(aws=plan.aws, check=lambda: None, carry_out=breaks, done=["the policy denies writing"])

    patch(
        "Aws", lambda _connection, _timeout_s, on_write: SimpleNamespace(warnings=["be careful"] * 2, on_write=on_write)
    )
    patch("plan_teardown", plan_teardown)
    patch("failed_checks", lambda *_arguments: ())
    patch("Teardown", torn_down)


def lock(patch: Callable[[str, Any], None]) -> None:
    patch("Aws", Client)
    patch("check_bucket", lambda *_arguments: None)
    patch("read_locks", lambda *_arguments: ())
    patch("find_state", lambda *_arguments: FoundState(Place("state-eu", "a")))
    patch("take", breaks_once_taken)
    patch("release", lambda *_arguments: SimpleNamespace(problems=["the lock file is still there"]))


def breaks_once_taken(aws: Any, *_arguments: Any) -> tuple[Any, ...]:
    aws.rest = breaks
    return ("file",)


def lock_mode(patch: Callable[[str, Any], None]) -> None:
    transition = SimpleNamespace(
        inspect=breaks,
        aws=Client(),
        scope=None,
        outcome=TransitionOutcome(removed=["b", "a"], changes_policy=True),
        exclusive=nullcontext,
    )
    patch("Aws", Client)
    patch("check_bucket", lambda *_arguments: None)
    patch("Transition", lambda *_arguments: transition)


def state_move(patch: Callable[[str, Any], None]) -> None:
    side = SimpleNamespace(aws=Client(), table="", key=None)
    row = SimpleNamespace(
        action="move", is_done=True, problem=PROBLEM, is_other=False, path=None, to_result=lambda: {"action": "move"}
    )
    migration = SimpleNamespace(
        plan=lambda: None,
        carry_out=breaks,
        rows=[row],
        empty=[],
        project_update=None,
        is_plan=False,
        is_changed=True,
        denied=["a"],
        known=(),
        target=side,
        source=side,
        unlisted=list,
    )
    patch("Aws", Client)
    patch("check_bucket", lambda *_arguments: None)
    patch("Migration", lambda **_options: migration)


CHANGES = [{"facet": "versioning", "before": "Suspended", "after": "Enabled", "calls": ["put_object"]}]
WARNED = {"warnings": ["be careful"]}
NONE_MOVED = {"states": 1, "moved": 0, "finished": 0, "unchanged": 0, "failed": 1, "skipped": 0, "bytes": 0}
CUT_SHORT: dict[str, tuple[Callable[..., None], dict[str, Any]]] = {
    "tf_state_bucket": (resource, {"changed": True, "changes": CHANGES, "credentials": CREDENTIALS}),
    "tf_lock_table": (resource, {"changed": True, "changes": CHANGES, "credentials": CREDENTIALS}),
    "tf_backend_config": (config, {"changed": True, "changes": [{"file": FILES.facet, "action": "create"}]}),
    "tf_backend_handover": (handover, {"changed": True, "changes": [{"file": FILES.facet, "action": "create"}]}),
    "tf_state_version": (
        version,
        {"changed": True, "msg": f"{PROBLEM} (done before: put_object, put_item; run again to go on)", **WARNED},
    ),
    "tf_state_digest": (digest, {"changed": True, "msg": f"{PROBLEM} (done before: put_item)", **WARNED}),
    "tf_backend_restore": (restore, {"changed": True, **WARNED}),
    "tf_backend_teardown": (teardown, {"changed": True, "done": ["the policy denies writing"], **WARNED, **CODE}),
    "tf_state_lock": (lock, {"changed": False, "warnings": ["be careful", "the lock file is still there"]}),
    "tf_lock_mode": (lock_mode, {"changed": True, "digests": ["a", "b"], **WARNED, **CODE}),
    "tf_state_move": (
        state_move,
        {
            "changed": True,
            "states": [{"action": "move"}],
            "skipped_objects": [],
            "progress": NONE_MOVED,
            "denied": ["a"],
            "project": None,
            "code_known": [],
            "warnings": ["be careful", "be careful"],
        },
    ),
}


@pytest.fixture
def patch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Callable[[str, Any], None]]]:
    def of(module: str) -> Callable[[str, Any], None]:
        there = importlib.import_module(f"{MODULES}.{module}")

        def one(name: str, value: Any) -> None:
            owner = _entry if name in ("Aws", "reconcile") else there
            monkeypatch.setattr(owner, name, value)

        return one

    yield of


@pytest.mark.parametrize("module", CUT_SHORT)
def test_a_task_that_fails_after_it_has_written(module: str, patch: Any, tmp_path: Any) -> None:
    prepare, expected = CUT_SHORT[module]
    prepare(patch(module))
    options: Mapping[str, Any] = {**AWS, **OPTIONS.get(module, {})}
    if module == "tf_backend_config":
        options = {**BUCKET, **TABLE, "name": "eu", "region": "eu-west-1", "directory": str(tmp_path)}
    assert failed(module, **options) == {"failed": True, "msg": PROBLEM, **expected}


def test_a_client_reports_its_writes_to_a_tracker_that_has_seen_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A move that is cut short has changed something if its sides have written."""
    callbacks: list[Any] = []
    monkeypatch.setattr(_entry, "Aws", lambda _connection, _timeout_s, on_write: callbacks.append(on_write))
    tracker = WriteTracker(_entry.no_op)
    _entry.ModuleRun({**dict.fromkeys(_entry.CONNECTION_SPEC), "wait_timeout": 1}).client(on_write=tracker)
    assert callbacks == [tracker] and callbacks[0] is tracker
