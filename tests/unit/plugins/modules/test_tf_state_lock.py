# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A lock that is to stay: looked at again, and wholly held or not at all."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._locks.locking import AlreadyLocked
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import marshal
from ansible_collections.cornerstone.tfstate.plugins.modules.tf_state_lock import _taken_to_stay

from tests.unit.plugins.module_utils._locks.test_locking import FILE, ITEM, OURS, PLACE, THEIRS, Stores


@dataclass
class LockTimeout(Stores):
    """What a client does while a lock that is to stay is waited for."""

    theirs: str = ""
    rests: list[float] = field(default_factory=list)

    def rest(self, seconds: float) -> None:
        self.rests.append(seconds)
        self.files.pop(FILE)
        if self.theirs:
            self.files[FILE] = self.theirs.encode()


def test_a_lock_that_a_client_released_a_second_time_is_taken_again() -> None:
    stores = LockTimeout()
    _taken_to_stay(stores, PLACE, OURS, ())
    assert stores.rests and {*stores.files, *stores.items} == {FILE, ITEM}


def test_nothing_of_ours_is_left_if_a_client_took_the_lock_meanwhile() -> None:
    stores = LockTimeout(theirs=marshal(THEIRS))
    with pytest.raises(AlreadyLocked):
        _taken_to_stay(stores, PLACE, OURS, ())
    assert (stores.files, stores.items) == ({FILE: marshal(THEIRS).encode()}, {})
