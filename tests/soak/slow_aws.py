# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""`FakeAws` behind real botocore clients: real serialising, signing, retrying and parsing of errors, and no socket.

Requests are answered at `before-send`. A success is laid over the parsed answer, so nothing has to be spelt as XML; an
error travels in the words of its protocol, because what is made of errors is what is under test here. Time is a number:
a sleep of botocore or of ours moves it.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import botocore.endpoint
import botocore.retries.quota
import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws import client as _aws
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws import session as _aws_session
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.session import client_of
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Answer, Call, Failure
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules import entry as _module
from botocore import xform_name
from botocore.awsrequest import AWSResponse

from tests.soak.faults import ErrorAnswer, RandomFaults, Request
from tests.support.aws_wire import Operation, error_answer
from tests.unit.plugins.module_utils.fake_aws import (
    KEYS,
    READ_VERBS,
    Bucket,
    FakeAws,
    Params,
    Rejected,
    Table,
)

#: What takes a request on its way and back.
ROUND_TRIP_S = 0.05
#: A run with more calls is taken for an endless loop.
MAX_CALLS = 4000
#: What may be read old. Objects and items are read as they are.
SETTINGS = {
    "head_bucket",
    "describe_table",
    "describe_continuous_backups",
    "list_tags_of_resource",
    "get_public_access_block",
    *(f"get_bucket_{what}" for what in ("encryption", "logging", "ownership_controls", "policy", "tagging")),
    *(f"get_bucket_{what}" for what in ("versioning", "lifecycle_configuration")),
    "get_object_lock_configuration",
}
STATUS = {"AccessDenied": 403, "OperationAborted": 409, "BucketNotEmpty": 409, "BucketAlreadyOwnedByYou": 409}


class EndlessRun(BaseException):
    """A run made more than MAX_CALLS calls."""


class Clock:
    """Seconds that pass when somebody sleeps."""

    def __init__(self) -> None:
        self.now = self.deadline = 0.0
        #: How long we waited past the deadline, and how many requests were begun there.
        self.overslept_s = 0.0
        self.belated = 0

    def __call__(self) -> float:
        return self.now

    def begin(self, timeout_s: float) -> None:
        self.deadline, self.overslept_s, self.belated = self.now + timeout_s, 0.0, 0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def pause(self, seconds: float) -> None:
        """Our own sleep, which ends at the deadline."""
        self.now += seconds
        self.overslept_s += min(seconds, max(0.0, self.now - self.deadline - 1e-6))


@dataclass
class SlowAws(FakeAws):
    """An account that shows changes late, as AWS does."""

    clock: Clock = field(default_factory=Clock)
    random_faults: RandomFaults | None = None
    #: When a change of a table is complete.
    busy_until: dict[str, float] = field(default_factory=dict)
    #: How many reads do not find a new bucket; how many writes find backups and tags of a table not ready.
    invisible: dict[str, int] = field(default_factory=dict)
    not_ready: dict[str, int] = field(default_factory=dict)
    #: The account before the last write, and how long each read still shows that.
    before: FakeAws | None = None
    late_reads: dict[str, float] = field(default_factory=dict)

    def settle(self) -> None:
        """Finish all changes that are in progress, and end the faults."""
        for name in [*self.tables]:
            self._finish(name)
        self.random_faults = self.before = None
        for each in (self.busy_until, self.invisible, self.not_ready, self.late_reads):
            each.clear()

    def respond(self, call: Call) -> Answer:
        call = replace(call, service=call.service.replace("s3-control", "s3control"))
        reading = call.operation.startswith(READ_VERBS)
        if reading and self.before and call.operation in SETTINGS and self._is_late(call.operation):
            return self.before._answer(call, reading=True)
        past = None if reading else FakeAws(copy.deepcopy(self.buckets), copy.deepcopy(self.tables))
        answer = self._answer(call, reading)
        if past and not isinstance(answer, Failure):
            self.before = past
            self.late_reads = {}
            self.writes.append(call)
            self.watch(self)
        return answer

    def _is_late(self, operation: str) -> bool:
        if operation not in self.late_reads:
            self.late_reads[operation] = self.clock() + self._rounds("stale", 5)
        return self.clock() < self.late_reads[operation]

    def _rounds(self, kind: str, most: int) -> int:
        return self.random_faults.rounds(kind, most) if self.random_faults else 0

    def _check_owner(self, params: Params) -> None:
        if "Bucket" in params:  # a list of buckets is of our own
            super()._check_owner(params)

    def _kms_describe_key(self, params: Params) -> Any:
        arn = KEYS.get(params["KeyId"], "")
        if not arn:
            raise Rejected("NotFoundException")
        return {"KeyMetadata": {"KeyId": arn.rpartition("/")[2], "Arn": arn, "KeyState": "Enabled"}}

    def _s3_list_buckets(self, params: Params) -> Any:
        return {"Buckets": [{"Name": name} for name in self.buckets if name.startswith(params.get("Prefix", ""))]}

    def _s3_create_bucket(self, params: Params) -> None:
        super()._s3_create_bucket(params)
        self.invisible[params["Bucket"]] = self._rounds("invisible", 12)

    def _bucket(self, params: Params) -> Bucket:
        if self.invisible.get(params["Bucket"], 0) > 0:
            self.invisible[params["Bucket"]] -= 1
            raise Rejected("NoSuchBucket")
        return super()._bucket(params)

    def _dynamodb_create_table(self, params: Params) -> None:
        super()._dynamodb_create_table(params)
        self._take_time(params, "creating", 90)
        self.not_ready[params["TableName"]] = self._rounds("backups later", 8)

    def _dynamodb_update_table(self, params: Params) -> None:
        if self._table(params).status != "ACTIVE":
            raise Rejected("ResourceInUseException")
        super()._dynamodb_update_table(params)
        self._take_time(params, "updating", 60)
        self.tables[params["TableName"]].status = "UPDATING"

    def _dynamodb_update_continuous_backups(self, params: Params) -> None:
        if self.not_ready.get(params["TableName"], 0) > 0:
            self.not_ready[params["TableName"]] -= 1
            raise Rejected("ContinuousBackupsUnavailableException")
        super()._dynamodb_update_continuous_backups(params)

    def _dynamodb_delete_table(self, params: Params) -> None:
        table = self._table(params)
        if table.status in ("CREATING", "UPDATING"):
            raise Rejected("ResourceInUseException")
        if table.protected:
            raise Rejected("ValidationException", "protected")
        table.status = "DELETING"
        self._take_time(params, "deleting", 30)

    def _take_time(self, params: Params, kind: str, most_s: int) -> None:
        self.busy_until[params["TableName"]] = self.clock() + self._rounds(kind, most_s)

    def _table(self, params: Params) -> Table:
        for name in [*self.tables]:
            if self.clock() >= self.busy_until.get(name, 0):
                self._finish(name)
        return super()._table(params)

    def _finish(self, name: str) -> None:
        if self.tables[name].status == "DELETING":
            del self.tables[name]
        elif self.tables[name].status in ("CREATING", "UPDATING"):
            self.tables[name].status = "ACTIVE"

    def _dynamodb_tag_resource(self, params: Params) -> None:
        self._check_tag_lock(params)
        super()._dynamodb_tag_resource(params)

    def _dynamodb_untag_resource(self, params: Params) -> None:
        self._check_tag_lock(params)
        super()._dynamodb_untag_resource(params)

    def _check_tag_lock(self, params: Params) -> None:
        key = params["ResourceArn"]
        if key not in self.not_ready:
            self.not_ready[key] = self._rounds("tag lock", 5)
        if self.not_ready[key] > 0:
            self.not_ready[key] -= 1
            raise Rejected("LimitExceededException", "Subscriber limit exceeded: Table tags are being updated")


@dataclass
class Wire:
    """Between botocore's clients and an account: the place of the faults."""

    clock: Clock = field(default_factory=Clock)
    aws: SlowAws = field(default_factory=SlowAws)
    calls: list[Call] = field(default_factory=list)
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict)
    _quotas: list[Any] = field(default_factory=list)
    _asked: list[Params] = field(default_factory=list)
    _answer: Mapping[str, Any] = field(default_factory=dict)

    def begin(self, aws: SlowAws) -> None:
        """A new run, which is a new process."""
        self.aws = aws
        self.calls.clear()
        _aws_session._last = None
        for quota in self._quotas:
            quota._available_capacity = quota._max_capacity

    def client(self, session: Any, service: str, connection: Any) -> Any:
        key = service, connection.region
        if key not in self._clients:
            client = client_of(session, service, connection)
            client.meta.events.register_first("before-parameter-build", self._remember)
            client.meta.events.register("before-send", self._send)
            client.meta.events.register("after-call", self._fill_in)
            self._clients[key] = client
        return self._clients[key]

    def _remember(self, params: Params, model: Any, **_unused: Any) -> None:
        self._asked = [copy.deepcopy(params)]

    def _send(self, request: Any, event_name: str, **_unused: Any) -> AWSResponse:
        service_id, name = event_name.split(".")[1:]
        service = SERVICES.get(service_id, service_id)
        operation = xform_name(name)
        call = Call(service, operation, self._asked[0])
        self.calls.append(call)
        if len(self.calls) > MAX_CALLS:
            raise EndlessRun(call)
        self.clock.belated += self.clock.now > self.clock.deadline
        self.clock.sleep(ROUND_TRIP_S)
        is_free = operation == "head_bucket" and call.params["Bucket"] not in self.aws.buckets
        current = Request(service, operation, not operation.startswith(READ_VERBS), len(self.calls), is_free)
        self._answer = {}
        where = Operation(service, name, "", "")
        try:
            if self.aws.random_faults:
                self.aws.random_faults.before(current)
            answer = self.aws.respond(call)
            if self.aws.random_faults:
                self.aws.random_faults.after(current)
        except ErrorAnswer as error:
            return _response(request, *error_answer(where, request.method, error.code, error.status, error.message))
        if isinstance(answer, Failure):
            status = _status(answer.code)
            return _response(request, *error_answer(where, request.method, answer.code, status, answer.message))
        self._answer = answer
        return _response(request, 200, {}, _EMPTY.get(service, b""))

    def _fill_in(self, parsed: dict[str, Any], **_unused: Any) -> None:
        if parsed["ResponseMetadata"]["HTTPStatusCode"] == 200:
            parsed.update(copy.deepcopy(self._answer))

    @contextmanager
    def installed(self) -> Iterator[None]:
        wire = self

        class Quota(botocore.retries.quota.RetryQuota):
            def __init__(self, *arguments: Any, **options: Any) -> None:
                super().__init__(*arguments, **options)
                wire._quotas.append(self)

        class Timed(_aws.Aws):
            def __init__(self, connection: Any, timeout_s: float, wrote: Any) -> None:
                super().__init__(connection, timeout_s, wrote, now=wire.clock, sleep=wire.clock.pause)

        def one_by_one(works: Sequence[Callable[[], Answer]]) -> list[Answer]:
            return [work() for work in works]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(botocore.retries.quota, "RetryQuota", Quota)
            patch.setattr(botocore.endpoint, "time", wire.clock)
            patch.setattr(_module, "Aws", Timed)
            # The fakes have short names for keys and organizations.
            patch.setattr(_module.ModuleEntry, "_identifier_problems", lambda _entry, _params: ())
            patch.setattr(_aws, "client_of", self.client)
            patch.setattr(_aws, "in_parallel", one_by_one)
            yield


#: Services whose events bear another name than their clients.
SERVICES = {"application-auto-scaling": "application-autoscaling"}
#: A protocol that wants more than nothing.
_EMPTY = {
    "sts": b"<GetCallerIdentityResponse><GetCallerIdentityResult/></GetCallerIdentityResponse>",
    "dynamodb": b"{}",
}


def _status(code: str) -> int:
    if code.isdigit():
        return int(code)
    return STATUS.get(code, 404 if "NoSuch" in code or code.endswith("NotFoundError") else 400)


def _response(request: Any, status: int, headers: Mapping[str, str], content: bytes) -> AWSResponse:
    return AWSResponse(request.url, status, dict(headers), _Raw(content))


@dataclass
class _Raw:
    """As much of urllib3's response as botocore reads."""

    content: bytes

    def stream(self, *_unused: Any, **_more: Any) -> Iterator[bytes]:
        yield self.content


def observable(it: Bucket | Table | None) -> str | None:
    """All that an outsider can tell about it, comparable; a summary that AWS keeps of the past is no setting.

    A KMS key is the same by any of its names: one that we may not look up keeps the name that it was found by.
    """
    if it is None:
        return None
    values = json.dumps({name: value for name, value in vars(it).items() if name != "was_on_demand"})
    return json.dumps(json.loads(values, object_hook=_with_key_arn), sort_keys=True)


def _with_key_arn(values: dict[str, Any]) -> dict[str, Any]:
    return {name: KEYS.get(value, value) if name == "KMSMasterKeyID" else value for name, value in values.items()}
