# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.write_tracker import WriteTracker
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Call


def on_object(operation: str, key: str) -> Call:
    return Call("s3", operation, {"Bucket": "b", "Key": key})


def on_item(operation: str, name: str) -> Call:
    where = "Item" if operation == "put_item" else "Key"
    return Call("dynamodb", operation, {"TableName": "t", where: {"LockID": {"S": name}}})


FILE_TAKEN, FILE_FREED = (on_object(f"{verb}_object", "app.tflock") for verb in ("put", "delete"))
ITEM_TAKEN, ITEM_FREED = (on_item(f"{verb}_item", "b/app") for verb in ("put", "delete"))
WRITES: dict[str, tuple[list[Call], bool]] = {
    "nothing": ([], False),
    "locks that were given back": ([FILE_TAKEN, ITEM_TAKEN, ITEM_FREED, FILE_FREED], False),
    "half of a lock": ([FILE_TAKEN, ITEM_TAKEN, ITEM_FREED], True),
    "a lock of somebody else that was broken": ([FILE_FREED], True),
    "a lock that was broken, taken and given back": ([FILE_FREED, FILE_TAKEN, FILE_FREED], True),
    "a state": ([FILE_TAKEN, on_object("put_object", "app"), FILE_FREED], True),
    "a state and its marker": ([on_object("put_object", "app"), on_object("delete_object", "app")], True),
    "a digest that came and went": ([on_item("put_item", "b/app-md5"), on_item("delete_item", "b/app-md5")], True),
    "a policy": ([Call("s3", "put_bucket_policy", {"Bucket": "b", "Policy": "{}"})], True),
    "a batch": ([FILE_TAKEN, Call("s3", "delete_objects", {"Bucket": "b", "Delete": {}}), FILE_FREED], True),
}


@pytest.mark.parametrize("what", WRITES)
def test_this_lasts(what: str) -> None:
    reported: list[Any] = []
    writes, lasts = WRITES[what]
    written = WriteTracker(reported.append)
    for call in writes:
        written(call)
    assert bool(written) is lasts
    assert reported == writes
