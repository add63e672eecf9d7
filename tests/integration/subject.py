# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A bucket or table under test: what tasks say about it, which requests they send, and what it really is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from tests.integration.module_runs import Result, RunTasks, Task, through_core
from tests.support.emulators import RunningEmulator, client
from tests.support.relay import Call, Relay

MODULES = {"bucket": "tf_state_bucket", "table": "tf_lock_table"}

#: What two runs tell differently.
CLOCK = re.compile(r"\d\d:\d\d:\d\d")


@dataclass
class Subject:
    """`task` runs the module on it; `calls` and `writes` are the requests of the last task."""

    kind: str
    name: str
    relay: Relay
    emulator: RunningEmulator
    region: str = "us-east-1"
    #: What every task says besides, because the emulator keeps nothing else.
    asked: dict[str, Any] = field(default_factory=dict)
    run_tasks: RunTasks = through_core
    _start: int = 0

    def as_task(self, check_mode: bool = False, **params: Any) -> Task:
        connection = {
            "endpoint_url": self.relay.url,
            "region": self.region,
            "access_key": "test",
            "secret_key": "no-secret-at-all",
            "wait_timeout": 60,
        }
        asked = {"name": self.name, **connection, **self.asked, **params}
        return Task(MODULES[self.kind], {key: value for key, value in asked.items() if value is not None}, check_mode)

    def task(self, check_mode: bool = False, **params: Any) -> Result:
        self._start = len(self.relay.calls)
        (result,) = self.run_tasks([self.as_task(check_mode, **params)])
        return result

    def done(self, **params: Any) -> Result:
        """A task that has to succeed."""
        result = self.task(**params)
        assert not result.get("failed"), result["msg"]
        return result

    def refused(self, **params: Any) -> str:
        """The sentence of a task that has to fail before its first write, alike in check mode."""
        seen = []
        for check_mode in (True, False):
            result = self.task(check_mode, **params)
            assert result.get("failed"), changed(result)
            assert (result["changed"], self.writes) == (False, [])
            seen.append(result["msg"])
        assert CLOCK.sub("", seen[0]) == CLOCK.sub("", seen[1])
        return str(seen[0])

    @property
    def calls(self) -> list[str]:
        return [call.name for call in self.requests]

    @property
    def writes(self) -> list[str]:
        return [call.name for call in self.requests if call.is_write]

    @property
    def requests(self) -> list[Call]:
        return self.relay.calls[self._start :]

    def aws(self, service: str | None = None) -> Any:
        """A client of somebody else, who sees what the module sees."""
        return client(self.relay.url, service or {"bucket": "s3", "table": "dynamodb"}[self.kind], self.region)

    def state(self) -> dict[str, Any]:
        """All its settings, read back by botocore and nothing of ours; names and accounts made comparable."""
        seen = {name: read(self.aws(), self.name) for name, read in READERS[self.kind].items()}
        return dict(json.loads(json.dumps(seen, sort_keys=True, default=str).replace(self.name, "NAME")))


def changed(result: Result) -> list[str]:
    """The facets that a task changed."""
    return [change["facet"] for change in result["changes"]]


def foretold(foreseen: Result, result: Result) -> bool:
    """Whether check mode said in every word what the run did."""
    return _comparable(foreseen) == _comparable(result)


def _comparable(result: Result) -> Result:
    """What AWS blocks on a new bucket has a test of its own."""
    told: Result = json.loads(json.dumps(result))
    told.get("bucket", {}).get("encryption", {}).pop("blocked_encryption_types", None)
    return told


def _answer(call: Callable[..., Any], *members: str, **params: Any) -> Any:
    """A member of an answer; None for an error."""
    found = None
    with suppress(ClientError):
        found = call(**params)
        found.pop("ResponseMetadata", None)
        for member in members:
            found = found.get(member)
    return found


def _policy(s3: Any, name: str) -> Any:
    text = _answer(s3.get_bucket_policy, "Policy", Bucket=name)
    return json.loads(text)["Statement"] if text else None


def _table(dynamodb: Any, name: str) -> dict[str, Any]:
    return _answer(dynamodb.describe_table, "Table", TableName=name) or {}


def _key(dynamodb: Any, name: str) -> Any:
    return [_table(dynamodb, name).get(member) for member in ("KeySchema", "AttributeDefinitions")]


def _billing(dynamodb: Any, name: str) -> Any:
    table = _table(dynamodb, name)
    if not table or table.get("BillingModeSummary", {}).get("BillingMode") == "PAY_PER_REQUEST":
        return "PAY_PER_REQUEST" if table else None
    return [table["ProvisionedThroughput"][name] for name in ("ReadCapacityUnits", "WriteCapacityUnits")]


def _key_in_use(dynamodb: Any, name: str) -> Any:
    encryption = _table(dynamodb, name).get("SSEDescription", {})
    return encryption.get("KMSMasterKeyArn") if encryption.get("Status") == "ENABLED" else None


def _recovery_days(dynamodb: Any, name: str) -> Any:
    found = _answer(dynamodb.describe_continuous_backups, "ContinuousBackupsDescription", TableName=name) or {}
    recovery = found.get("PointInTimeRecoveryDescription", {})
    is_on = recovery.get("PointInTimeRecoveryStatus") == "ENABLED"
    return recovery.get("RecoveryPeriodInDays", 35) if is_on else None


def _table_class(dynamodb: Any, name: str) -> Any:
    table = _table(dynamodb, name)
    return table.get("TableClassSummary", {}).get("TableClass", "STANDARD") if table else None


def _table_tags(dynamodb: Any, name: str) -> Any:
    arn = _table(dynamodb, name).get("TableArn")
    found = _answer(dynamodb.list_tags_of_resource, "Tags", ResourceArn=arn) if arn else None
    return {tag["Key"]: tag["Value"] for tag in found or []}  # moto keeps old values beside new ones


def _bucket_tags(s3: Any, name: str) -> Any:
    return {tag["Key"]: tag["Value"] for tag in _answer(s3.get_bucket_tagging, "TagSet", Bucket=name) or []}


Reader = Callable[[Any, str], Any]


def _bucket(operation: str, *members: str) -> Reader:
    return lambda s3, name: _answer(getattr(s3, operation), *members, Bucket=name)


READERS: dict[str, dict[str, Reader]] = {
    "bucket": {
        "ownership": _bucket("get_bucket_ownership_controls", "OwnershipControls"),
        "public_access": _bucket("get_public_access_block", "PublicAccessBlockConfiguration"),
        "encryption": _bucket("get_bucket_encryption", "ServerSideEncryptionConfiguration"),
        "lifecycle": _bucket("get_bucket_lifecycle_configuration", "Rules"),
        "versioning": _bucket("get_bucket_versioning", "Status"),
        "object_lock": _bucket("get_object_lock_configuration", "ObjectLockConfiguration"),
        "logging": _bucket("get_bucket_logging", "LoggingEnabled"),
        "tags": _bucket_tags,
        "policy": _policy,
    },
    "table": {
        "key": _key,
        "billing": _billing,
        "encryption": _key_in_use,
        "deletion_protection": lambda dynamodb, name: _table(dynamodb, name).get("DeletionProtectionEnabled"),
        "recovery": _recovery_days,
        "table_class": _table_class,
        "tags": _table_tags,
    },
}
