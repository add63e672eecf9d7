# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Call

from tests.unit.plugins.module_utils.facets.given import TABLE_ARN

SYSTEM = {"aws:cloudformation:stack-id": "1"}


def call(operation: str, **params: Any) -> Call:
    return Call("dynamodb", operation, {"ResourceArn": TABLE_ARN, **params})


READS = {"nothing": ({}, {}), "something": ({"Tags": [{"Key": "a", "Value": ""}]}, {"a": ""})}
DESIRES = {"purging keeps what AWS made": ({"tags": {}, "purge_tags": True}, {"a": "1", **SYSTEM}, SYSTEM)}
OLD, NEW = ({f"{name}-{number:02}": "1" for number in range(30)} for name in ("old", "new"))
CALLS = {
    "what goes makes room where AWS takes no more": (
        OLD,
        NEW,
        [
            call("untag_resource", TagKeys=[*OLD]),
            call("tag_resource", Tags=[{"Key": key, "Value": "1"} for key in NEW]),
        ],
    ),
    "only what differs is added, before anything goes": (
        {"a": "1", "b": "1", "c": "1"},
        {"a": "1", "b": "2"},
        [call("tag_resource", Tags=[{"Key": "b", "Value": "2"}]), call("untag_resource", TagKeys=["c"])],
    ),
    "nothing added": ({"a": "1"}, {}, [call("untag_resource", TagKeys=["a"])]),
    "nothing removed": ({}, {"a": "1"}, [call("tag_resource", Tags=[{"Key": "a", "Value": "1"}])]),
}
