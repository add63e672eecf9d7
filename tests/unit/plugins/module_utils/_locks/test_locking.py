# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Locks are taken as clients take them, and nobody's lock but the one that was seen is ever released."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from hashlib import md5
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import (
    Answer,
    Call,
    CallFailed,
    Failure,
    TfstateError,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._locks.locking import (
    AlreadyLocked,
    check_held,
    claim,
    held,
    read_locks,
    release,
    take,
    take_over,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._locks.stores import Place
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import LockInfo, Wedged, marshal
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.plugins.module_utils.fake_aws import FakeAws, Killed, Rejected

BUCKET, PATH, TABLE = "tf-state", "app/one.tfstate", "tf-locks"
FILE, ITEM = f"{PATH}.tflock", f"{BUCKET}/{PATH}"
PLACE, FILE_ONLY = Place(BUCKET, PATH, TABLE), Place(BUCKET, PATH)
NOW = datetime(2026, 11, 21, 10, 3, 50, tzinfo=timezone.utc)
OURS = LockInfo("ours", "maintenance", "", "me@here", "cornerstone.tfstate", "2026-11-21T10:03:50Z", ITEM)
THEIRS = replace(OURS, id="theirs", operation="OperationTypeApply", version="1.11.4")


@dataclass
class Stores(FakeAws):
    """A bucket with lock files, and a table of locks, with the conditions that AWS puts on their writes."""

    files: dict[str, bytes] = field(default_factory=dict)
    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: Told before each call and after each write: where others may come in between.
    meanwhile: Callable[[Call], None] = lambda _call: None
    #: operation -> how its replies get lost: the call is carried out, and botocore's own repetition of it is answered.
    lost: dict[str, int] = field(default_factory=dict)

    def read(self, calls: Sequence[Call], young: bool = False) -> list[Answer]:
        for call in calls:
            self.meanwhile(call)
        return super().read(calls)

    def stream(self, call: Call, begin: Callable[[], Callable[[bytes], object]]) -> Answer:
        (answer,) = self.read([call])
        if not isinstance(answer, Failure):
            begin()(b"a piece of a body that broke off")
            begin()(answer["Body"])
        return answer

    def write(self, call: Call, young: bool = False) -> None:
        self.meanwhile(call)
        if self.lost.get(call.operation):
            self.lost[call.operation] -= 1
            super().write(call)
        super().write(call)
        self.meanwhile(call)

    def _s3_get_object(self, params: Any) -> Any:
        if params["Key"] not in self.files:
            raise Rejected("NoSuchKey")
        body = self.files[params["Key"]]
        return {"Body": body, "ETag": etag(body), "LastModified": NOW}

    def _s3_put_object(self, params: Any) -> None:
        body = self.files.get(params["Key"])
        assert "IfMatch" in params or params["IfNoneMatch"] == "*"
        if (body and etag(body)) != params.get("IfMatch"):
            raise Rejected("PreconditionFailed" if body is not None else "NoSuchKey")
        self.files[params["Key"]] = params["Body"]

    def _s3_delete_object(self, params: Any) -> None:
        body = self.files.get(params["Key"])
        if "IfMatch" in params and (body is None or params["IfMatch"] != etag(body)):
            raise Rejected("NoSuchKey" if body is None else "PreconditionFailed")
        self.files.pop(params["Key"], None)

    def _dynamodb_get_item(self, params: Any) -> Any:
        assert params["ConsistentRead"] is True
        item = self.items.get(params["Key"]["LockID"]["S"])
        return {"Item": item} if item else {}

    def _dynamodb_put_item(self, params: Any) -> None:
        item, values = self.items.get(params["Item"]["LockID"]["S"]), params.get("ExpressionAttributeValues")
        assert params["ConditionExpression"] == ("Info = :seen" if values else "attribute_not_exists(LockID)")
        if item if not values else (item or {}).get("Info") != values[":seen"]:
            raise Rejected("ConditionalCheckFailedException")
        self.items[params["Item"]["LockID"]["S"]] = params["Item"]

    def _dynamodb_delete_item(self, params: Any) -> None:
        item = self.items.get(params["Key"]["LockID"]["S"])
        values, condition = params.get("ExpressionAttributeValues"), params["ConditionExpression"]
        seen = item and (
            item.get("Info") == values[":seen"] and condition == "Info = :seen"
            if values
            else not {"Info", "Digest"} & item.keys() and condition.startswith("attribute_exists(LockID) AND ")
        )
        if not seen:
            raise Rejected("ConditionalCheckFailedException")
        del self.items[params["Key"]["LockID"]["S"]]

    # Somebody else's client.

    def lock(self, info: LockInfo, file: bool = True, table: bool = True) -> None:
        if file:
            self.files[FILE] = marshal(info).encode()
        if table:
            self.items[ITEM] = {"LockID": {"S": ITEM}, "Info": {"S": marshal(info)}}

    def unlock(self) -> None:
        self.files.pop(FILE, None)
        self.items.pop(ITEM, None)

    @property
    def holders(self) -> tuple[bytes | None, Any]:
        return self.files.get(FILE), self.items.get(ITEM)


def etag(body: bytes) -> str:
    return f'"{md5(body).hexdigest()}"'


FREE = (None, None)


@pytest.fixture
def stores() -> Stores:
    return Stores()


def test_the_lock_is_the_file_and_the_item_of_a_client(stores: Stores) -> None:
    taken = take(stores, PLACE, OURS)
    assert [(lock.store, lock.record) for lock in taken] == [("file", OURS), ("table", OURS)]
    assert stores.holders == (marshal(OURS).encode(), {"LockID": {"S": ITEM}, "Info": {"S": marshal(OURS)}})
    assert [call.operation for call in stores.writes] == ["put_object", "put_item"]


def test_without_a_table_there_is_the_file_alone(stores: Stores) -> None:
    take(stores, FILE_ONLY, OURS)
    assert stores.holders == (marshal(OURS).encode(), None)
    assert release(stores, FILE_ONLY, read_locks(stores, FILE_ONLY)).problems == ()
    assert stores.holders == FREE
    assert {call.service for call in stores.reads} == {"s3"}


@pytest.mark.aws("7.1")
@pytest.mark.parametrize(("file", "table"), [(True, True), (True, False), (False, True)])
def test_a_lock_of_somebody_else_in_either_store_keeps_us_out_and_stays(
    stores: Stores, file: bool, table: bool
) -> None:
    stores.lock(THEIRS, file, table)
    before = stores.holders
    with pytest.raises(AlreadyLocked) as refused:
        take(stores, PLACE, OURS)
    assert refused.value.lock.record == THEIRS
    assert stores.holders == before


@pytest.mark.parametrize("operation", ["put_object", "put_item"])
def test_a_lost_reply_to_our_own_write_is_recognised(stores: Stores, operation: str) -> None:
    stores.lost = {operation: 1}
    assert {lock.id for lock in take(stores, PLACE, OURS)} == {"ours"}


@pytest.mark.parametrize("operation", ["delete_object", "delete_item"])
def test_a_lost_reply_to_our_own_release_is_recognised(stores: Stores, operation: str) -> None:
    taken = take(stores, PLACE, OURS)
    stores.lost = {operation: 1}
    assert release(stores, PLACE, taken).problems == ()
    assert stores.holders == FREE


@pytest.mark.parametrize("code", ["AccessDenied", "ValidationException", "ResourceNotFoundException"])
def test_what_was_taken_is_given_back_if_the_rest_cannot_be(stores: Stores, code: str) -> None:
    stores.faults = {"put_item": [code]}
    with pytest.raises(CallFailed, match=f"put_item on tf-locks: {code}"):
        take(stores, PLACE, OURS)
    assert stores.holders == FREE


def test_what_cannot_be_given_back_is_named(stores: Stores) -> None:
    stores.faults = {"put_item": ["ThrottlingException"], "delete_object": ["AccessDenied"]}
    with pytest.raises(TfstateError, match=r"ThrottlingException.*lock ours may still be held: delete_object.*Denied"):
        take(stores, PLACE, OURS)


def test_a_write_that_was_never_answered_is_taken_back(stores: Stores) -> None:
    def cut_off(call: Call) -> None:
        if call.operation == "put_item" and ITEM in stores.items:
            raise TfstateError("put_item on tf-locks: the connection broke off")

    stores.meanwhile = cut_off
    with pytest.raises(TfstateError, match=r"broke off$"):
        take(stores, PLACE, OURS)
    assert stores.holders == FREE


def test_an_interrupted_user_leaves_no_lock_behind(stores: Stores) -> None:
    def interrupt(call: Call) -> None:
        if call.operation == "put_item":
            raise KeyboardInterrupt

    stores.meanwhile = interrupt
    with pytest.raises(KeyboardInterrupt):
        take(stores, PLACE, OURS)
    assert stores.holders == FREE


def test_a_lock_that_is_released_while_we_ask_who_holds_it_is_taken(stores: Stores) -> None:
    stores.lock(THEIRS, table=False)

    def unlock(call: Call) -> None:
        if call.operation == "get_object" and THEIRS.id in str(stores.holders):
            stores.unlock()

    stores.meanwhile = unlock
    assert {lock.id for lock in take(stores, PLACE, OURS)} == {"ours"}


def test_a_digest_where_the_lock_belongs_is_no_lock_and_stays(stores: Stores) -> None:
    """The digest of `x` and the lock of `x-md5` have one name."""
    digest = {"LockID": {"S": ITEM}, "Digest": {"S": "0" * 32}}
    stores.items[ITEM] = digest
    assert read_locks(stores, PLACE) == ()
    with pytest.raises(CallFailed, match="ConditionalCheckFailed"):
        take(stores, PLACE, OURS)
    assert stores.holders == (None, digest)


def test_what_cannot_be_read_is_unknown_and_not_absent(stores: Stores) -> None:
    stores.faults = {"get_object": ["AccessDenied"]}
    with pytest.raises(CallFailed, match="AccessDenied"):
        read_locks(stores, PLACE)


WEDGED_ITEMS: dict[str, dict[str, Any]] = {
    "no Info": {},
    "Info that is no text": {"Info": {"N": "7"}},
    "Info that is not JSON": {"Info": {"S": "Bob"}},
    "an empty Info": {"Info": {"S": ""}},
}


@pytest.mark.parametrize("attributes", WEDGED_ITEMS.values(), ids=list(WEDGED_ITEMS))
@pytest.mark.parametrize("others", WEDGED_ITEMS.values(), ids=list(WEDGED_ITEMS))
def test_a_wedged_item_is_released_only_as_it_was_seen(stores: Stores, attributes: Any, others: Any) -> None:
    stores.items[ITEM] = {"LockID": {"S": ITEM}, **attributes}
    (seen,) = read_locks(stores, PLACE)
    assert isinstance(seen.record, Wedged)
    assert (seen.since, len(seen.id)) == (None, 64)
    stores.items[ITEM] = {"LockID": {"S": ITEM}, **others}
    (now,) = read_locks(stores, PLACE)
    assert (now.id == seen.id) == (attributes == others)
    done = release(stores, PLACE, [seen])
    assert (stores.holders == FREE) == (attributes == others) == (done.problems == ())


@pytest.mark.parametrize("body", [b"", b"Bob was here", b"\xff\xfe", b"{}"])
def test_a_wedged_file_is_released_only_as_it_was_seen(stores: Stores, body: bytes) -> None:
    stores.files[FILE] = body
    (seen,) = read_locks(stores, PLACE)
    assert isinstance(seen.record, Wedged)
    assert (seen.since, f'"{seen.id}"') == (NOW, etag(body))
    stores.files[FILE] = body + b" "
    assert "changed hands" in release(stores, PLACE, [seen]).problems[0]
    stores.files[FILE] = body
    assert release(stores, PLACE, [seen]).problems == ()
    assert stores.holders == FREE


def test_one_lock_that_cannot_be_released_does_not_keep_the_other(stores: Stores) -> None:
    taken = take(stores, PLACE, OURS)
    stores.faults = {"delete_object": ["AccessDenied"]}
    done = release(stores, PLACE, taken)
    assert ([lock.store for lock in done.done], stores.holders[1]) == (["table"], None)
    assert "delete_object" in done.problems[0]


def test_a_store_without_conditional_deletes_is_read_again_and_said_to_be_so(stores: Stores) -> None:
    taken = take(stores, FILE_ONLY, OURS)
    stores.faults = {"delete_object": ["NotImplemented"]}
    assert release(stores, FILE_ONLY, taken).problems == ()
    assert stores.holders == FREE
    assert "knows no conditional delete" in stores.warnings[0]


def test_a_store_without_conditional_deletes_is_not_touched_if_the_lock_changed_hands(stores: Stores) -> None:
    taken = take(stores, FILE_ONLY, OURS)
    stores.lock(THEIRS, table=False)
    stores.faults = {"delete_object": ["NotImplemented"]}
    (problem,) = release(stores, FILE_ONLY, taken).problems
    assert "changed hands and was left alone: app/one.tfstate is locked by me@here" in problem
    assert stores.holders == (marshal(THEIRS).encode(), None)


EARLIER = replace(OURS, created="2026-11-21T09:00:00Z", info="run 1")


@pytest.mark.parametrize("place", [PLACE, FILE_ONLY])
@pytest.mark.parametrize(("file", "table"), [(True, True), (True, False)])
def test_a_lock_of_another_run_of_the_same_operation_is_taken_over(
    stores: Stores, place: Place, file: bool, table: bool
) -> None:
    """It is released by whoever has its own record in it, and by nobody else."""
    table = table and place is PLACE
    stores.lock(EARLIER, file, table)
    earlier = read_locks(stores, place)
    claimed = claim(stores, place, OURS)
    assert {lock.text for lock in claimed.locks} == {marshal(OURS)}
    assert len(claimed.taken_over) == 1 + table
    assert len(release(stores, place, earlier).problems) == len(earlier)
    check_held(stores, place, claimed.locks)
    assert release(stores, place, claimed.locks).problems == ()
    assert stores.holders == FREE


def test_whoever_loses_a_lock_to_the_next_run_of_the_operation_is_told(stores: Stores) -> None:
    first = claim(stores, PLACE, EARLIER)
    second = claim(stores, PLACE, OURS)
    with pytest.raises(TfstateError, match="changed hands"):
        check_held(stores, PLACE, first.locks)
    check_held(stores, PLACE, second.locks)


def test_a_lock_that_was_released_by_somebody_else_is_no_longer_held(stores: Stores) -> None:
    mine = claim(stores, PLACE, OURS)
    stores.unlock()
    with pytest.raises(TfstateError, match="was released by somebody else"):
        check_held(stores, PLACE, mine.locks)


def test_only_one_of_two_runs_takes_a_lock_over(stores: Stores) -> None:
    """Both saw that of a third one."""
    stores.lock(EARLIER)
    other = replace(OURS, info="run 2")

    def come_first(call: Call) -> None:
        if "IfMatch" in call.params:
            stores.meanwhile = lambda _call: None
            claim(stores, PLACE, other)

    stores.meanwhile = come_first
    with pytest.raises(TfstateError, match="changed hands"):
        claim(stores, PLACE, OURS)
    assert {lock.text for lock in read_locks(stores, PLACE)} == {marshal(other)}


def test_a_run_that_cannot_take_all_locks_over_releases_what_it_made(stores: Stores) -> None:
    stores.lock(EARLIER, table=False)
    stores.meanwhile = lambda call: stores.lock(THEIRS, table=False) if "IfMatch" in call.params else None
    with pytest.raises(TfstateError, match="changed hands"):
        claim(stores, PLACE, OURS)
    assert {lock.id for lock in read_locks(stores, PLACE)} == {"theirs"}


def test_the_lock_is_held_as_long_as_the_block_lasts(stores: Stores) -> None:
    with held(stores, PLACE, OURS) as locks:
        assert {lock.id for lock in locks} == {"ours"}
        with pytest.raises(AlreadyLocked):
            take(stores, PLACE, THEIRS)
    assert stores.holders == FREE


def test_the_lock_is_released_when_the_block_fails(stores: Stores) -> None:
    with pytest.raises(Killed), held(stores, PLACE, OURS):
        raise Killed
    assert stores.holders == FREE


def test_a_lock_that_was_stolen_inside_the_block_is_told_at_its_end(stores: Stores) -> None:
    with pytest.raises(TfstateError, match="changed hands and was left alone"), held(stores, PLACE, OURS):
        stores.lock(THEIRS)
    assert {lock.id for lock in read_locks(stores, PLACE)} == {"theirs"}


LATER = replace(OURS, created="2026-11-21T11:00:00Z")


@pytest.mark.parametrize("lost", [{}, {"put_object": 1}, {"put_item": 1}], ids=str)
def test_a_lock_that_was_taken_over_is_no_longer_released_by_who_took_it(stores: Stores, lost: dict[str, int]) -> None:
    earlier = take(stores, PLACE, OURS)
    stores.lost = lost
    ours = [take_over(stores, PLACE, lock, LATER) for lock in earlier]
    assert len(release(stores, PLACE, earlier).problems) == 2
    assert read_locks(stores, PLACE) == tuple(ours)
    assert release(stores, PLACE, ours).problems == () and read_locks(stores, PLACE) == ()


def test_a_store_without_conditional_writes_leaves_the_lock_as_it_was(stores: Stores) -> None:
    (file, _item) = take(stores, PLACE, OURS)
    stores.faults = {"put_object": ["NotImplemented"]}
    assert take_over(stores, PLACE, file, LATER) == file


def test_a_lock_that_is_gone_cannot_be_taken_over(stores: Stores) -> None:
    locks = take(stores, PLACE, OURS)
    release(stores, PLACE, locks)
    for lock in locks:
        with pytest.raises(TfstateError, match="has just been released: run again"):
            take_over(stores, PLACE, lock, LATER)


def test_who_cannot_take_a_lock_over_hears_who_holds_it_now(stores: Stores) -> None:
    locks = take(stores, PLACE, OURS)
    release(stores, PLACE, locks)
    take(stores, PLACE, THEIRS)
    for lock in locks:
        with pytest.raises(TfstateError, match=r"changed hands .* is locked by me@here since 2026-11-21T10:03:50Z"):
            take_over(stores, PLACE, lock, LATER)


def test_what_bore_our_id_before_is_not_given_back(stores: Stores) -> None:
    earlier = take(stores, FILE_ONLY, OURS)
    stores.faults = {"put_item": ["AccessDeniedException"]}
    with pytest.raises(CallFailed):
        take(stores, PLACE, LATER)
    assert read_locks(stores, FILE_ONLY) == earlier


class Foreigner:
    """A client that locks, unlocks and steals at any moment, and knows what it holds: that must never be touched."""

    def __init__(self, stores: Stores, seed: int, eagerness: float) -> None:
        self.stores, self.dice, self.eagerness = stores, random.Random(seed), eagerness
        self.turn, self.holds = 0, FREE
        self.robbed: list[Call] = []
        stores.meanwhile = self

    def __call__(self, call: Call) -> None:
        if self.holds != FREE and any(
            mine is not None and mine != there for mine, there in zip(self.holds, self.stores.holders, strict=True)
        ):
            self.robbed.append(call)
        if self.dice.random() < self.eagerness:
            self.dice.choice([self.lock, self.unlock, self.steal])()

    def lock(self) -> None:
        """As a client of either kind, or of both."""
        kinds = self.dice.choice([(True, True), (True, False), (False, True)])
        there = self.stores.holders
        if all(present is None for present, wanted in zip(there, kinds, strict=True) if wanted):
            self.take(*kinds)

    def unlock(self) -> None:
        """Only what is its own."""
        if self.holds[0] is not None:
            self.stores.files.pop(FILE, None)
        if self.holds[1] is not None:
            self.stores.items.pop(ITEM, None)
        self.holds = FREE

    def steal(self) -> None:
        """`force-unlock` of whatever there is, and then a lock of its own."""
        self.stores.unlock()
        self.take(True, True)

    def take(self, file: bool, table: bool) -> None:
        self.turn += 1
        self.stores.lock(replace(THEIRS, id=f"theirs-{self.turn}"), file, table)
        self.holds = tuple(
            there if wanted else None for there, wanted in zip(self.stores.holders, (file, table), strict=True)
        )


@settings(max_examples=1000, deadline=None)
@given(seed=st.integers(), eagerness=st.floats(0.1, 1.0), begins=st.sampled_from(["free", "ours", "theirs"]))
def test_a_lock_that_changes_hands_between_look_and_release_is_not_touched(
    seed: int, eagerness: float, begins: str
) -> None:
    stores = Stores()
    if begins != "free":
        stores.lock(OURS if begins == "ours" else replace(THEIRS, id="dead"))
    foreigner = Foreigner(stores, seed, eagerness)
    seen = read_locks(stores, PLACE)
    foreign = {lock.id for lock in seen if lock.id.startswith("theirs-")}
    done = release(stores, PLACE, [lock for lock in seen if lock.id not in foreign])
    foreigner(Call("s3", "get_object"))
    assert foreigner.robbed == []
    assert len(done.done) + len(done.problems) == len([lock for lock in seen if lock.id not in foreign])
    stores.meanwhile = lambda _call: None
    assert not {lock.id for lock in read_locks(stores, PLACE)} & {lock.id for lock in done.done}


@pytest.mark.aws("7.1")
@settings(max_examples=1000, deadline=None)
@given(
    seed=st.integers(),
    eagerness=st.floats(0.1, 1.0),
    lost=st.dictionaries(
        st.sampled_from(["put_object", "put_item", "delete_object", "delete_item"]), st.just(1), max_size=4
    ),
)
def test_whoever_else_locks_meanwhile_keeps_the_lock_and_ours_never_stays(
    seed: int, eagerness: float, lost: dict[str, int]
) -> None:
    stores = Stores(lost=lost)
    foreigner = Foreigner(stores, seed, eagerness)
    try:
        with held(stores, PLACE, OURS) as locks:
            assert {lock.id for lock in locks} <= {"ours"} | {f"theirs-{n}" for n in range(foreigner.turn + 1)}
    except TfstateError:
        pass
    foreigner(Call("s3", "get_object"))
    assert foreigner.robbed == []
    stores.meanwhile = lambda _call: None
    assert "ours" not in {lock.id for lock in read_locks(stores, PLACE)}
