# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every read of states, locks and backups, denied in turn: what may not be read is named, and nothing is done.

Which reads there are is seen in check mode, so that a new one is denied here, too.
"""

from __future__ import annotations

import ast
import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.errors import iam_action
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core import model as _core
from botocore import xform_name

from tests.integration import backups
from tests.integration.module_runs import Result, Task, through_core
from tests.integration.moves import DEV, KEY, Place, World, state
from tests.integration.test_denied_reads import READ_VERBS
from tests.support.aws_access import denied
from tests.support.relay import Call

PACKAGES = Path(_core.__file__).parents[1]


def nothing(_place: Place) -> None:
    """What there is will do."""


def lock(place: Place) -> None:
    place.lock()


def spoil_digest(place: Place) -> None:
    place.put(state(6), digest=False)


def forget_digest(place: Place) -> None:
    place.dynamodb.delete_item(TableName=place.table, Key={"LockID": {"S": f"{place.bucket}/{DEV}-md5"}})


def delete_state(place: Place) -> None:
    place.s3.delete_object(Bucket=place.bucket, Key=KEY)


def tag(place: Place) -> None:
    place.s3.put_object(Bucket=place.bucket, Key="README.md", Body=b"# hello", Tagging="team=a")


@dataclass(frozen=True)
class Work:
    """A task in `world.old` that succeeds if everything may be read, and what is made there before."""

    module: str
    asked: dict[str, Any] = field(default_factory=dict)
    make: Callable[[Place], None] = nothing
    has_key: bool = True
    #: In which modes it reads all that it reads, and writes nothing before.
    check_modes: tuple[bool, ...] = (True, False)


CROSSING = {"observe_seconds": 0, "allow": ["unseen_code"]}
GOING = {"allow": ["delete_state", "disable_deletion_protection"]}
WORKS = {
    "hold": Work("tf_state_lock", {"state": "held"}),
    "release": Work("tf_state_lock", {"state": "released", "lock_id": "theirs"}, lock),
    "digest": Work("tf_state_digest", {}, spoil_digest),
    "digests": Work("tf_state_digest", {}, forget_digest, has_key=False),
    "restore": Work("tf_state_version", {"state": "restored"}),
    "undelete": Work("tf_state_version", {"state": "undeleted"}, delete_state),
    "compare": Work("tf_state_version", {"state": "compared"}),
    "cross": Work("tf_lock_mode", {"lock_mode": "lockfile", **CROSSING}, has_key=False),
    "cross back": Work("tf_lock_mode", {"lock_mode": "both", **CROSSING}, spoil_digest, has_key=False),
    "move": Work("tf_state_move"),
    "move behind a policy": Work("tf_state_move", {"source_protection": "deny"}),
    "move all": Work("tf_state_move", has_key=False),
    "back up": Work("tf_backend_backup", {}, tag, has_key=False, check_modes=(False,)),  # it writes nothing into AWS
    "bring back": Work("tf_backend_restore", has_key=False),
    "tear down": Work("tf_backend_teardown", GOING, has_key=False),
}
#: What stops nobody, or not before the first write -> why.
HARMLESS = {
    ("hold", "ListObjectsV2"): "only the name is compared, and a warning says that it was not",
    ("cross", "GetBucketTagging"): "another store is tested again, and a warning says that no result is recorded",
    ("cross back", "GetBucketTagging"): "another store is tested again, and a warning says that no result is recorded",
    ("tear down", "GetBucketVersioning"): "AWS itself heeds MFA delete",
    ("tear down", "DescribeTimeToLive"): "it is only for a warning",
    ("back up", "GetCallerIdentity"): "the account is only written down",
    ("bring back", "GetCallerIdentity"): "the account is only written down",
    ("tear down", "GetCallerIdentity"): "the account is only written down",
}


class Stage:
    """The world of a work, and its task."""

    def __init__(self, world: World, work: Work, home: Path) -> None:
        self.world, self.work, self.home = world, work, home
        world.old.put(state(4))
        world.old.put(state(5).replace(b"1.11.4", b"1.11.5"))
        world.old.put(state(7), DEV)
        work.make(world.old)
        if work.module == "tf_backend_restore":
            backups.World(world.relay, world.old, home).done("tf_backend_backup")

    def task(self, check_mode: bool) -> Task:
        asked = {"key": KEY} if self.work.has_key else {}
        if self.work.asked.get("state") in ("restored", "compared"):
            asked["version_id"] = next(each for each, body in self.world.old.versions() if body == state(4))
        if "_backend_" in self.work.module:
            place = self.world.new if self.work.module == "tf_backend_restore" else self.world.old
            backend = backups.World(self.world.relay, place, self.home)
            return backend.task(self.work.module, check_mode, **self.work.asked)
        if self.work.module == "tf_state_move":
            given = {"key": None} | asked | self.work.asked
            return self.world.task(check_mode, **given)
        old = {"region": self.world.old.region, "bucket": self.world.old.bucket, "table": self.world.old.table}
        connection = {"endpoint_url": self.world.relay.url, "access_key": "test", "secret_key": "test"}
        return Task(self.work.module, {**connection, **old, **asked, **self.work.asked}, check_mode)

    def run(self, check_mode: bool) -> Result:
        self.world.relay.calls.clear()
        (result,) = through_core([self.task(check_mode)])
        return result

    def reads(self) -> dict[str, list[Call]]:
        """The calls of a run that goes well, by what they are called."""
        result = self.run(self.work.check_modes[0])
        assert not result.get("failed"), result
        assert self.world.relay.writes == []
        if self.work.module == "tf_backend_backup":
            shutil.rmtree(self.home / "backup")
        found: dict[str, list[Call]] = {}
        for call in self.world.relay.calls:
            found.setdefault(call.name, []).append(call)
        return found


#: AWS denies it to nobody, and a store that does is not AWS: see test_owners of the unit tests.
WHO = "GetCallerIdentity"


def told(call: Call) -> tuple[str, str]:
    """The action that a call needs, and what it is about."""
    version = {"VersionId": call.params["versionId"]} if "versionId" in call.params else {}
    return iam_action(_core.Call(call.service, xform_name(call.name), version)), call.resource


@pytest.mark.aws("6.10")
@pytest.mark.parametrize("name", WORKS)
def test_whoever_may_not_read_something_is_told_what_and_does_nothing(world: World, name: str, tmp_path: Path) -> None:
    stage = Stage(world, WORKS[name], tmp_path)
    reads = stage.reads()
    for operation in [each for each in reads if (name, each) not in HARMLESS and each != WHO]:
        rule = world.relay.on(operation, reply=denied, times=math.inf)
        for check_mode in stage.work.check_modes:
            result = stage.run(check_mode)
            said = (operation, result.get("msg"))
            assert result.get("failed") and not result["changed"], said
            assert world.relay.writes == [], said
            needed = [told(call) for call in reads[operation]]
            assert any(action in result["msg"] and about in result["msg"] for action, about in needed), said
        rule.times = 0


#: They read no state, or know its MD5 from its ETag.
NEEDS_NO_BODY = {"hold", "release", "digests", "cross"}


@pytest.mark.parametrize("name", WORKS)
def test_an_archived_state_is_told_as_one_and_not_as_a_missing_permission(
    world: World, name: str, tmp_path: Path
) -> None:
    stage = Stage(world, WORKS[name], tmp_path)
    place = world.new if name == "bring back" else world.old
    if name == "bring back":
        place.put(state(4))
    tasks = [stage.task(check_mode) for check_mode in (True, False)]
    for version_id, body in place.versions():
        if body is not None:
            world.emulator.archive(place.bucket, KEY, version_id, "GLACIER")
    for task in tasks:
        world.relay.calls.clear()
        (result,) = through_core([task])
        said = (task.check_mode, result.get("msg"))
        assert bool(result.get("failed")) == (name not in NEEDS_NO_BODY), said
        assert not task.check_mode or world.relay.writes == []
        if result.get("failed"):
            assert "archived" in result["msg"] and "needs s3:" not in result["msg"], said
            assert not result["changed"] or name == "move all", "the other state is moved"


#: Denied in a test of teardown, where a bucket has object lock.
UNDER_OBJECT_LOCK = {"get_object_retention", "get_object_legal_hold"}
#: Of keys, for their cost: test_kms_keys.py.
OF_KEYS = {"describe_key", "list_key_rotations"}
#: The packages that read what states and locks are.
OF_STATES = [
    path
    for folder in ("_locks", "_state", "_repair", "_migration", "_lock_mode", "_backup", "_teardown")
    for path in (PACKAGES / folder).glob("*.py")
]


def test_every_read_of_states_is_denied_here(world: World, tmp_path: Path) -> None:
    written = {
        ast.literal_eval(node.args[1])
        for path in OF_STATES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "Call"
    }
    assert len(written) > 20
    seen: set[str] = set()
    for name, work in WORKS.items():
        world = World(world.relay, world.emulator)
        seen |= {xform_name(operation) for operation in Stage(world, work, tmp_path / name).reads()}
    assert {each for each in written if each.startswith(READ_VERBS)} <= seen | UNDER_OBJECT_LOCK | OF_KEYS
