# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One state on its way between two buckets, as AWS takes and refuses its calls."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Answer, Call, CallFailed, Failure
from ansible_collections.cornerstone.tfstate.plugins.module_utils._locks.locking import impatient
from ansible_collections.cornerstone.tfstate.plugins.module_utils._locks.stores import Place
from ansible_collections.cornerstone.tfstate.plugins.module_utils._migration.state_move import Move
from ansible_collections.cornerstone.tfstate.plugins.module_utils._migration.stored_state import Stored
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import LockInfo

from tests.unit.plugins.module_utils.fake_aws import Rejected
from tests.unit.plugins.module_utils.test_locking import Stores

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
    sides = (Stored(old, Place("old", PATH)), Stored(new, Place("new", PATH)))
    return Move(*sides, INFO, keeps_lock)


def denied_of_states(code: str) -> Callable[[Any], str | None]:
    return lambda params: code if params["Key"] == PATH else None


def puts(world: Objects) -> dict[str, Call]:
    return {call.params["Key"]: call for call in world.writes if call.operation == "put_object"}


@pytest.mark.parametrize("keeps_lock", [True, False])
def test_a_source_whose_copy_is_refused_is_not_kept_from_anybody(keeps_lock: bool):
    old, new = Objects(files={PATH: STATE}), Objects(refuses=denied_of_states("AccessDenied"))
    with pytest.raises(CallFailed, match="AccessDenied"):
        move(old, new, keeps_lock).carry_out(impatient)
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
        move(old, new).carry_out(impatient)
    assert sorted(old.files) == [PATH, f"{PATH}.tflock"]
    assert "stays, as it may fence a copy" in old.warnings[-1]


@pytest.mark.parametrize(("code", "is_blind"), [("InternalError", False), ("AccessDenied", True)])
def test_a_source_stays_locked_as_long_as_nobody_knows_whether_there_is_a_copy(code: str, is_blind: bool):
    old, new = Objects(files={PATH: STATE}), Objects()

    def refused(params: Any) -> str | None:
        new.faults["get_object"] = ["AccessDenied"] if is_blind and params["Key"] == PATH else []
        return code if params["Key"] == PATH else None

    new.refuses = refused
    with pytest.raises(CallFailed, match="put_object"):
        move(old, new).carry_out(impatient)
    assert sorted(old.files) == [PATH, f"{PATH}.tflock"]


def test_the_lock_of_the_source_is_encrypted_as_its_state_is():
    old, new = Objects(files={PATH: STATE}, encryption=KEY), Objects()
    move(old, new).carry_out(impatient)
    assert KEY.items() <= puts(old)[f"{PATH}.tflock"].params.items()
    assert not {*KEY} & puts(new)[f"{PATH}.tflock"].params.keys()


def test_the_copy_carries_a_checksum_whatever_the_shell_says():
    old, new = Objects(files={PATH: STATE}), Objects()
    move(old, new).carry_out(impatient)
    assert puts(new)[PATH].params["ChecksumAlgorithm"] == "SHA256"
    assert new.files == {PATH: STATE}
