# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tables as AWS keeps them, in front of an emulator whose tables are at rest at once and take everything.

    tables = AwsTables(creating=5, updating=3, tag_lock=2)
    relay.use(tables, *aws_defaults(emulator))

Time passes by calls: every request about a table is one tick of its clock. So no test waits, and none is lucky.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from typing import Any

from tests.support.http_relay import Answer, Body
from tests.support.relay import Call, Proceed, error

ALONE = ("SSESpecification", "TableClass", "DeletionProtectionEnabled", "WarmThroughput", "ReplicaUpdates")
TOGETHER = ("BillingMode", "ProvisionedThroughput", "OnDemandThroughput", "StreamSpecification")
TAGS = ("TagResource", "UntagResource", "ListTagsOfResource")
BACKUPS = ("UpdateContinuousBackups", "DescribeContinuousBackups")
CLASS_CHANGES, ENCRYPTION_CHANGES = 2, 4
MOST_TAGS = 50
ACTIVE_ALL_THE_SAME = 3


@dataclass
class Table:
    """What AWS is still doing, in ticks, and how often it did what it does not do often."""

    creating: int = 0
    updating: int = 0
    encrypting: int = 0
    deleting: int = 0
    backups: int = 0
    tag_lock: int = 0
    stale_tags: int = 0
    protection: int = 0
    class_changes: int = 0
    encryptions: int = 0
    #: How many more descriptions say ACTIVE although an update is under way.
    untold: int = 0
    #: What DescribeTable and ListTagsOfResource answered last in earnest.
    described: dict[str, Any] = field(default_factory=dict)
    tags: bytes = b'{"Tags": []}'
    #: Those that it has, as far as calls told.
    tagged: frozenset[str] = frozenset()

    def tick(self) -> None:
        for name in ("creating", "updating", "deleting", "backups", "tag_lock", "stale_tags", "protection"):
            if name != "backups" or not self.creating:
                setattr(self, name, max(0, getattr(self, name) - 1))
        if not self.updating:
            self.encrypting = max(0, self.encrypting - 1)


@dataclass
class AwsTables:
    """How many ticks each thing takes."""

    creating: int = 0
    updating: int = 0
    encrypting: int = 0
    deleting: int = 0
    backups: int = 0
    tag_lock: int = 0
    stale_tags: int = 0
    protection: int = 0
    #: Every so many control-plane calls of the account, one is let through.
    one_in: int = 1
    refused: list[str] = field(default_factory=list)
    _tables: dict[tuple[str, str], Table] = field(default_factory=dict)
    _calls: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def of(self, name: str, region: str = "us-east-1") -> Table:
        return self._tables.setdefault((region, name), Table())

    def __call__(self, call: Call, proceed: Proceed) -> Answer:
        if call.service != "dynamodb" or not call.resource:
            return proceed()
        with self._lock:
            table = self.of(call.resource, call.region)
            table.tick()
            refusal = self._rate(call) or _refusal(call, table)
            if refusal:
                self.refused.append(f"{call.name} {refusal[0]}")
                return error(refusal[0], message=refusal[1])(call, proceed)
            return self._effect(call, table, proceed)

    def _rate(self, call: Call) -> tuple[str, str] | None:
        if call.name not in ("CreateTable", "UpdateTable", "DeleteTable"):
            return None
        self._calls += 1
        if self._calls % self.one_in == 0:
            return None
        return "ThrottlingException", "Rate of control plane requests made by this account is too high"

    def _effect(self, call: Call, table: Table, proceed: Proceed) -> Answer:
        if call.name == "DescribeTable" and table.deleting:
            return _describes(call, {**table.described, "TableStatus": "DELETING"})
        if call.name == "ListTagsOfResource" and table.stale_tags:
            return Answer(200, {"content-type": "application/x-amz-json-1.0"}, Body((table.tags,)))
        before = table.described
        answer = proceed()
        if answer.status != 200:
            return answer
        content = json.loads(answer.body.read())
        if call.name == "ListTagsOfResource":
            table.tags = answer.body.read()
            table.tagged = frozenset(tag["Key"] for tag in content["Tags"])
        if call.name == "DescribeTable":
            return answer.with_body(json.dumps({"Table": _shown(content["Table"], table)}).encode())
        if call.name == "CreateTable":
            table.creating, table.backups, table.described = self.creating, self.backups, content["TableDescription"]
            return _describes(call, {**content["TableDescription"], "TableStatus": "CREATING"}, "TableDescription")
        if call.name == "UpdateTable":
            self._updated(call, table)
            return _describes(call, {**before, "TableStatus": "UPDATING"}, "TableDescription")
        if call.name == "DeleteTable":
            table.deleting = self.deleting
        if call.name in ("TagResource", "UntagResource"):
            table.tag_lock, table.stale_tags = self.tag_lock, self.stale_tags
            table.tagged = _tagged(call, table)
        return answer

    def _updated(self, call: Call, table: Table) -> None:
        table.updating, table.untold = self.updating, ACTIVE_ALL_THE_SAME
        if "SSESpecification" in call.params:
            table.encryptions += 1
            table.encrypting = self.encrypting
        table.class_changes += "TableClass" in call.params
        if "DeletionProtectionEnabled" in call.params:
            table.protection = self.protection


def _refusal(call: Call, table: Table) -> tuple[str, str] | None:
    """Code and message of what AWS refuses in the middle of something, or at all."""
    creating, busy = table.creating > 0, table.updating > 0 or table.encrypting > 0
    if call.name == "CreateTable" and table.deleting:
        return "ResourceInUseException", f"Table is being deleted: {call.resource}"
    if call.name in ("UpdateTable", "DeleteTable") and (creating or busy or (table.tag_lock and call.name[0] == "D")):
        return "ResourceInUseException", f"Attempt to change a resource which is still in use: {call.resource}"
    if creating and call.name in (*TAGS, "Scan", "DescribeTimeToLive"):
        return "ResourceNotFoundException", "Requested resource not found"
    if creating and call.name in BACKUPS:
        return "TableNotFoundException", f"Table not found: {call.resource}"
    if table.backups and call.name == "UpdateContinuousBackups":
        return "ContinuousBackupsUnavailableException", "Backups are being enabled for the table. Please retry later"
    if table.tag_lock and call.name in ("TagResource", "UntagResource"):
        return "LimitExceededException", "Subscriber limit exceeded: Table tags are being updated"
    if call.name == "TagResource" and len(_tagged(call, table)) > MOST_TAGS:
        return "ValidationException", "Exceeded the maximum number of tags allowed"
    return _refused_update(call, table) if call.name == "UpdateTable" else None


def _tagged(call: Call, table: Table) -> frozenset[str]:
    """The tags that it has after this call."""
    return table.tagged.union(tag["Key"] for tag in call.params.get("Tags", [])).difference(
        call.params.get("TagKeys", [])
    )


def _refused_update(call: Call, table: Table) -> tuple[str, str] | None:
    asked = [name for name in ALONE if name in call.params] + [name for name in TOGETHER if name in call.params][:1]
    if len(asked) != 1:
        return "ValidationException", f"{asked[0]} must be the only operation in the request"
    if "TableClass" in asked and table.class_changes == CLASS_CHANGES:
        return "LimitExceededException", "Subscriber limit exceeded: too many table class updates"
    if "SSESpecification" in asked:
        key = call.params["SSESpecification"].get("KMSMasterKeyId")
        if key and key == table.described.get("SSEDescription", {}).get("KMSMasterKeyArn"):
            return "ValidationException", "Table is already encrypted with given KMSMasterKeyId"
        if table.encryptions == ENCRYPTION_CHANGES:
            return "LimitExceededException", "Subscriber limit exceeded: next update possible at 2026-11-21T12:00:00Z"
    if "DeletionProtectionEnabled" in asked and table.protection:
        return "ThrottlingException", "Deletion protection was updated. Please try again after 2026-11-21T12:00:00Z"
    return None


def _shown(now: dict[str, Any], table: Table) -> dict[str, Any]:
    """A description as AWS gives it: the old values while it is busy, ACTIVE for some looks before that is told."""
    if table.creating:
        return {**now, "TableStatus": "CREATING"}
    if table.updating:
        status, table.untold = "ACTIVE" if table.untold else "UPDATING", max(0, table.untold - 1)
        return {**table.described, "TableStatus": status}
    table.described = now
    if table.encrypting:
        return {**now, "SSEDescription": {**now.get("SSEDescription", {}), "Status": "UPDATING"}}
    return now


def _describes(call: Call, table: dict[str, Any], member: str = "Table") -> Answer:
    return Answer(200, {"content-type": "application/x-amz-json-1.0"}, Body((json.dumps({member: table}).encode(),)))
