# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One state on its way between two buckets, as AWS takes and refuses its calls."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import (
    Answer,
    Call,
    CallFailed,
    Failure,
    TfstateError,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.guard import Refused
from ansible_collections.cornerstone.tfstate.plugins.module_utils._locks.locking import AlreadyLocked, claim, no_wait
from ansible_collections.cornerstone.tfstate.plugins.module_utils._locks.stores import Place
from ansible_collections.cornerstone.tfstate.plugins.module_utils._migration.state_move import (
    FINISH,
    MOVE,
    NOTHING,
    Move,
    Snapshot,
    evaluate,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._migration.stored_state import (
    StoredState,
    digest_of,
    mark_of,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import LockInfo, marshal

from tests.unit.plugins.module_utils._locks.test_locking import Stores
from tests.unit.plugins.module_utils.fake_aws import Rejected

PATH = "app.tfstate"
STATE = json.dumps({"version": 4, "serial": 4, "lineage": "x", "outputs": {}, "resources": []}).encode()
INFO = LockInfo("", "tf_state_move", "", "me@here", "cornerstone.tfstate", "2026-11-21T10:03:50Z", "")
KEY = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "arn:aws:kms:eu-west-1:111122223333:key/1"}


@dataclass
class Objects(Stores):
    """A bucket of one side, with the tags of its objects, and what they are encrypted with."""

    tags: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    encryption: dict[str, str] = field(default_factory=dict)
    #: What a put of an object is refused with.
    refuses: Callable[[Any], str | None] = lambda _params: None

    def stream(self, call: Call, begin: Callable[[], Callable[[bytes], object]]) -> Answer:
        (answer,) = self.read([call])
        if not isinstance(answer, Failure):
            begin()(answer["Body"])
        return answer

    def _s3_put_object(self, params: Any) -> None:
        code = self.refuses(params)
        if code:
            raise Rejected(code)
        super()._s3_put_object(params)

    def _s3_head_object(self, params: Any) -> Any:
        if params["Key"] not in self.files:
            raise Rejected("404")
        return {"ContentLength": len(self.files[params["Key"]]), **self.encryption}

    def _s3_get_object_tagging(self, params: Any) -> Any:
        if params["Key"] not in self.files:
            raise Rejected("NoSuchKey")
        return {"TagSet": self.tags.get(params["Key"], [])}

    def _s3_put_object_tagging(self, params: Any) -> None:
        self.tags[params["Key"]] = params["Tagging"]["TagSet"]


def move(old: Objects, new: Objects, keeps_lock: bool = True) -> Move:
    sides = (StoredState(old, Place("old", PATH)), StoredState(new, Place("new", PATH)))
    return Move(*sides, INFO, keeps_lock)


def denied_of_states(code: str) -> Callable[[Any], str | None]:
    return lambda params: code if params["Key"] == PATH else None


def puts(world: Objects) -> dict[str, Call]:
    return {call.params["Key"]: call for call in world.writes if call.operation == "put_object"}


@pytest.mark.parametrize("keeps_lock", [True, False])
def test_a_source_whose_copy_is_refused_is_not_kept_from_anybody(keeps_lock: bool):
    old, new = Objects(files={PATH: STATE}), Objects(refuses=denied_of_states("AccessDenied"))
    with pytest.raises(CallFailed, match="AccessDenied"):
        move(old, new, keeps_lock).carry_out(no_wait)
    assert (old.files, new.files) == ({PATH: STATE}, {})
    assert old.warnings == []


def test_a_source_stays_locked_if_the_refused_copy_is_there_all_the_same():
    old, new = Objects(files={PATH: STATE}), Objects()

    def written_and_refused(params: Any) -> str | None:
        if params["Key"] == PATH:
            new.files[PATH] = params["Body"]
        return "AccessDenied" if params["Key"] == PATH else None

    new.refuses = written_and_refused
    with pytest.raises(CallFailed, match="AccessDenied"):
        move(old, new).carry_out(no_wait)
    assert sorted(old.files) == [PATH, f"{PATH}.tflock"]
    assert "stays, as there may be a copy" in old.warnings[-1]


@pytest.mark.parametrize(("code", "is_blind"), [("InternalError", False), ("AccessDenied", True)])
def test_a_source_stays_locked_as_long_as_nobody_knows_whether_there_is_a_copy(code: str, is_blind: bool):
    old, new = Objects(files={PATH: STATE}), Objects()

    def refused(params: Any) -> str | None:
        new.faults["get_object"] = ["AccessDenied"] if is_blind and params["Key"] == PATH else []
        return code if params["Key"] == PATH else None

    new.refuses = refused
    with pytest.raises(CallFailed, match="put_object"):
        move(old, new).carry_out(no_wait)
    assert sorted(old.files) == [PATH, f"{PATH}.tflock"]


def test_the_lock_of_the_source_is_encrypted_as_its_state_is():
    old, new = Objects(files={PATH: STATE}, encryption=KEY), Objects()
    move(old, new).carry_out(no_wait)
    assert KEY.items() <= puts(old)[f"{PATH}.tflock"].params.items()
    assert not {*KEY} & puts(new)[f"{PATH}.tflock"].params.keys()


def test_the_copy_carries_a_checksum_whatever_the_shell_says():
    old, new = Objects(files={PATH: STATE}), Objects()
    move(old, new).carry_out(no_wait)
    assert puts(new)[PATH].params["ChecksumAlgorithm"] == "SHA256"
    assert new.files == {PATH: STATE}


FOREIGN = replace(INFO, id="another-move", path=f"old/{PATH}")


def killed(the_move: Move, *sides: StoredState) -> None:
    """Leaves the locks of a run of this move that was killed, or that goes on elsewhere."""
    earlier = replace(the_move, info=replace(INFO, created="2026-11-21T09:00:00Z"))
    for side in sides:
        claim(side.aws, side.place, earlier._info(side))


def test_an_empty_destination_is_unlocked_if_the_source_is_locked_by_somebody_else():
    """No run of this move can have copied anything."""
    old, new = Objects(files={PATH: STATE}), Objects()
    there = Move(
        StoredState(old, Place("old", PATH)), StoredState(new, Place("new", PATH, "locks")), INFO, keeps_lock=True
    )
    killed(there, there.target)
    old.files[f"{PATH}.tflock"] = marshal(FOREIGN).encode()
    with pytest.raises(AlreadyLocked):
        there.carry_out(no_wait)
    assert (new.files, new.items) == ({}, {})
    assert marshal(FOREIGN).encode() == old.files[f"{PATH}.tflock"]


def test_a_destination_stays_locked_if_it_has_what_may_be_a_copy():
    old, new = Objects(files={PATH: STATE}), Objects(files={PATH: STATE + b" "})
    there = Move(StoredState(old, Place("old", PATH)), StoredState(new, Place("new", PATH)), INFO, keeps_lock=True)
    killed(there, there.target)
    old.files[f"{PATH}.tflock"] = marshal(FOREIGN).encode()
    with pytest.raises(AlreadyLocked):
        there.carry_out(no_wait)
    assert there.lock_name in new.files[f"{PATH}.tflock"].decode()
    (warning,) = new.warnings
    assert f"bucket: new, key: {PATH}, lock_id: {there.lock_name}, state: released" in warning


def test_a_destination_stays_locked_if_an_earlier_run_had_locked_the_source():
    """It may be writing the copy at this moment."""
    old, new = Objects(files={PATH: STATE}), Objects()
    there = move(old, new)
    killed(there, there.source, there.target)
    new.refuses = denied_of_states("AccessDenied")
    with pytest.raises(CallFailed, match="AccessDenied"):
        there.carry_out(no_wait)
    assert there.lock_name in new.files[f"{PATH}.tflock"].decode()
    assert there.lock_name in old.files[f"{PATH}.tflock"].decode()


def test_nothing_is_copied_to_a_destination_whose_lock_another_run_took_over_and_released():
    old, new = Objects(files={PATH: STATE}), Objects()
    there = Move(StoredState(old, Place("old", PATH)), StoredState(new, Place("new", PATH)), INFO, keeps_lock=True)
    old.files[f"{PATH}.tflock"] = marshal(FOREIGN).encode()

    def meanwhile(_attempt: int) -> bool:
        again = replace(there, info=replace(INFO, created="2026-11-21T11:00:00Z"))
        with pytest.raises(AlreadyLocked):
            again.carry_out(no_wait)
        assert new.files == {}
        del old.files[f"{PATH}.tflock"]
        return True

    with pytest.raises(TfstateError, match="released by somebody else"):
        there.carry_out(meanwhile)
    assert (old.files, new.files) == ({PATH: STATE}, {})


@pytest.mark.parametrize(
    ("mark", "has_copy", "is_source_ours", "is_released"),
    [
        ("s3://elsewhere/app.tfstate", False, False, True),
        ("s3://elsewhere/app.tfstate", True, False, False),
        ("s3://elsewhere/app.tfstate", False, True, False),
        ("s3://new/app.tfstate", False, False, False),
        (None, False, False, False),
    ],
)
def test_what_a_killed_run_locked_is_released_once_the_state_has_moved_elsewhere(
    mark: str | None, has_copy: bool, is_source_ours: bool, is_released: bool
):
    tags = {PATH: [{"Key": "cornerstone.tfstate:moved-to", "Value": mark}]} if mark else {}
    old, new = Objects(files={PATH: STATE}, tags=tags), Objects(files={PATH: STATE} if has_copy else {})
    there = move(old, new)
    killed(there, *([there.source] if is_source_ours else []), there.target)
    there.release_idle()
    assert (f"{PATH}.tflock" not in new.files) == is_released
    assert bool(new.warnings) == is_released
    assert (f"{PATH}.tflock" in old.files) == is_source_ours


def state(serial: int, lineage: str = "x") -> bytes:
    return json.dumps({"version": 4, "serial": serial, "lineage": lineage, "outputs": {}, "resources": []}).encode()


SOURCE, TARGET = "s3://old/app.tfstate", StoredState(Objects(), Place("new", PATH, "locks"))
FRESH = Snapshot(STATE, None, digest_of(STATE), None, None)
COPIED = replace(FRESH, there=STATE, digest_there=digest_of(STATE))
ASIDE = replace(COPIED, is_set_aside=True)
MARK, WRONG = mark_of(TARGET), "0" * 32
#: Each case, and those before it that decide where both apply.
CASES: dict[str, tuple[Snapshot, str]] = {
    "nothing is there": (FRESH, MOVE),
    "the copy is there": (replace(COPIED, digest_there=None), FINISH),
    "all but the mark is there": (COPIED, FINISH),
    "the copy and the mark are there": (replace(COPIED, mark=MARK), NOTHING),
    "clients went on at the destination": (replace(COPIED, mark=MARK, there=state(9)), NOTHING),
    "marked comes before a wrong digest": (replace(COPIED, mark=MARK, digest=WRONG), NOTHING),
    "marked comes before a destination that moved": (replace(COPIED, mark=MARK, mark_there="s3://x/y"), NOTHING),
    "marked comes before no room": (replace(COPIED, mark=MARK, lacks_room_for_mark=True), NOTHING),
    "a local state is whole there": (ASIDE, NOTHING),
    "a local state lacks its digest there": (replace(ASIDE, digest_there=None), FINISH),
    "a local state is not there": (replace(FRESH, is_set_aside=True), MOVE),
    "a project works on there": (replace(ASIDE, there=state(9), digest_there=WRONG), NOTHING),
    "moved elsewhere": (replace(COPIED, mark="s3://else/where"), "was moved to s3://else/where before"),
    "moved elsewhere, and no state": (replace(FRESH, mark="s3://else/where", body=None), "was moved to s3://else"),
    "no state": (replace(FRESH, body=None), "holds no state"),
    "marked, and no state": (replace(FRESH, body=None, mark=MARK), "holds no state"),
    "not JSON": (replace(FRESH, body=b'{"version": 4, "serial'), "cannot be moved, as no client takes it for a state"),
    "marked, and not JSON": (
        replace(FRESH, body=b"{", mark=MARK),
        "cannot be moved, as no client takes it for a state",
    ),
    "marked, and gone": (replace(FRESH, mark=MARK), "does not exist there any more: restore it there"),
    "marked, gone, and a wrong digest": (replace(FRESH, mark=MARK, digest=WRONG), "does not exist there any more"),
    "a wrong digest": (replace(FRESH, digest=WRONG), "does not match the digest in its lock table"),
    "a wrong digest, and a destination that moved": (
        replace(COPIED, digest=WRONG, mark_there="s3://x/y"),
        "does not match the digest in its lock table",
    ),
    "the destination moved": (replace(COPIED, mark_there="s3://x/y"), "was itself moved to s3://x/y"),
    "the destination moved on": (replace(ASIDE, there=state(9), mark_there="s3://x/y"), "was itself moved"),
    "another state": (
        replace(COPIED, there=state(9)),
        "serial 9 and s3://old/app.tfstate lineage x, serial 4",
    ),
    "another state, and its digest": (replace(COPIED, there=state(9), digest_there=WRONG), "nothing is overwritten"),
    "another lineage than that of a project": (replace(ASIDE, there=state(9, "y")), "nothing is overwritten"),
    "no state at the destination": (replace(COPIED, there=b"x"), "holds an object that is not a state and"),
    "the digest of another state": (replace(FRESH, digest_there=WRONG), "has the digest of another state"),
    "the digest of another state, and no room": (
        replace(FRESH, digest_there=WRONG, lacks_room_for_mark=True),
        "has the digest of another state",
    ),
    "no room": (replace(FRESH, lacks_room_for_mark=True), "has 10 tags, the most that S3 takes"),
}


@pytest.mark.parametrize(("seen", "decided"), CASES.values(), ids=list(CASES))
def test_what_is_left_to_do_about_a_state(seen: Snapshot, decided: str):
    if decided in (MOVE, FINISH, NOTHING):
        verdict = evaluate(seen, SOURCE, TARGET)
        assert (verdict.action, verdict.digest, verdict.size) == (decided, digest_of(STATE), len(STATE))
    else:
        with pytest.raises(Refused) as refused:
            evaluate(seen, SOURCE, TARGET)
        assert decided in str(refused.value)
