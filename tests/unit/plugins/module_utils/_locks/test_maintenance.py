# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Work on one state under a lock of ours, of which only one run at a time holds it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Call, TfstateError
from ansible_collections.cornerstone.tfstate.plugins.module_utils._locks.maintenance import exclusive, operation_lock
from ansible_collections.cornerstone.tfstate.plugins.module_utils._locks.process import this_process
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import LockInfo, marshal

from tests.unit.plugins.module_utils._locks.test_locking import FILE, ITEM, NOW, PLACE, Stores

WORK = "tf_state_digest"


def of_another_run(info: str) -> LockInfo:
    return replace(operation_lock(PLACE, WORK, NOW), info=info)


@pytest.mark.parametrize("in_table", [True, False])
def test_a_lock_is_not_taken_over_from_a_run_that_took_it_a_moment_ago(in_table: bool) -> None:
    """Between the look and the claim: both runs have found the state free."""
    stores, theirs = Stores(), of_another_run("process 1, started 1, on 0123456789ab")

    def meanwhile(call: Call) -> None:
        if call.operation == "put_object" and not stores.files:
            stores.lock(theirs, file=not in_table, table=in_table)

    stores.meanwhile = meanwhile
    with pytest.raises(TfstateError, match="is locked by"), exclusive(stores, PLACE, WORK, None):
        raise AssertionError("two runs hold it")
    held = {**stores.files, **{name: item["Info"]["S"].encode() for name, item in stores.items.items()}}
    assert held == {ITEM if in_table else FILE: marshal(theirs).encode()}


def test_what_a_run_left_that_was_killed_on_this_machine_is_taken_over() -> None:
    stores = Stores()
    stores.lock(of_another_run(this_process()))  # and not among what this process holds
    with exclusive(stores, PLACE, WORK, None) as exclusion:
        exclusion.check()
    assert (stores.files, stores.items) == ({}, {})
