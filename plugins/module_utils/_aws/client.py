# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The AWS client of a task: parallel reads, retries up to a deadline, answers instead of exceptions."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from typing import Any, TypeAlias, TypeVar

from .._core.model import (
    IDENTITY,
    Answer,
    Call,
    CallFailed,
    Failure,
    Invalid,
    Response,
    TfstateError,
    WriteCallback,
    no_op,
)
from .._core.regions import partition_of
from .._policy.baseline import bucket_region, old_region
from . import uploads
from .consistency import OwnObjects
from .deadline import end_by, timeouts
from .errors import (
    DONE,
    EXPIRED,
    INCOMPLETE,
    NOT_OF_AWS,
    NOT_TAKEN,
    OWNER,
    SKEWED,
    UNRECOGNISED,
    advice_on,
    cause_of,
    not_enabled,
    or_foreign,
    passes,
    skew,
    strange_answer,
    translated,
    undeleted,
    whose,
)
from .kms import check_arn, unseen_key, usable_key
from .members import is_read, is_strange, missing_member
from .pages import page_after
from .parallel import in_parallel
from .parent import Parent
from .session import (
    BOTOCORE_MISSING,
    Connection,
    NotJson,
    client_of,
    credentials_name,
    is_account,
    is_of_aws,
    known_caller,
    remember_caller,
    session_for,
    warm,
)

if not BOTOCORE_MISSING:
    import botocore.exceptions
    import botocore.parsers

    NO_ANSWER = (
        *(botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError),
        botocore.parsers.ResponseParserError,
    )

__all__ = ["BOTOCORE_MISSING", "Aws", "Connection", "warm"]

NO_STS = "the store has no STS, which would say whose account this is"
UNOWNED = (
    "{where} has no STS, which would say whose account this is: account_id is not known, and nobody compares whose the "
    "bucket is"
)
#: The size of the chunks in which a body is read.
PIECE = 256 * 1024
#: How often a body is requested if its transfer breaks off.
BODY_ATTEMPTS = 5
HEADS = {"head_bucket", "head_object"}
#: It has other hosts than S3, named after accounts.
S3_CONTROL = "s3control"
T = TypeVar("T")
BeforeWrite: TypeAlias = Callable[[Call], None]


class _Incomplete(Exception):
    """An answer without a member that it must have."""


class Aws:
    """The AWS client of one task: one region, one set of credentials, one deadline."""

    def __init__(
        self,
        connection: Connection,
        timeout_s: float,
        on_write: WriteCallback = no_op,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.connection = connection
        self._where = connection.endpoint_url or connection.region
        self.warnings: list[str] = []
        self._on_write, self._now, self._sleep = on_write, now, sleep
        self._timeout_s = timeout_s
        self._making = threading.Lock()
        self._clients: dict[str, Any] = {}
        self._own = OwnObjects()
        #: By bucket, what uploads have to say of their encryption, once one without was denied.
        self._upload_headers: dict[str, dict[str, str]] = {}
        #: Called before each attempt at a write; an exception prevents it.
        self.before_write: list[BeforeWrite] = [Parent()]
        #: What DescribeKey answered, by the names and ARNs of keys.
        self._described: dict[str, Answer] = {}
        #: The buckets that are known to belong to the required account.
        self._owned_buckets: set[str] = set()
        self._asking, self._has_asked, self._owner = threading.RLock(), False, connection.account_id or None
        try:
            self._session = session_for(connection)
        except botocore.exceptions.BotoCoreError as error:
            raise translated(error, self._where) from None
        self.renew()

    def partition(self) -> str:
        """The partition of the region; a region that no partition knows is an error, unless an endpoint is given."""
        if self.connection.endpoint_url:
            return partition_of(self.connection.region).name
        try:
            return str(self._session.botocore.get_partition_for_region(self.connection.region))
        except botocore.exceptions.UnknownRegionError:
            known = "set region to one such as eu-west-1, or update botocore if it is new"
            raise Invalid(f"{self.connection.region!r} is no AWS region; {known}") from None

    def is_aws(self, service: str) -> bool:
        """Whether a service is that of AWS, and not of another store."""
        return is_of_aws(self._client(service))

    def http_endpoint(self) -> str:
        """Where S3 is asked by plain HTTP; empty if it is asked by TLS."""
        endpoint = str(self._client("s3").meta.endpoint_url)
        return endpoint if endpoint.startswith("http://") else ""

    def credentials(self) -> str | None:
        """The name of the credentials, without any secret; None before the first call."""
        return credentials_name(self.connection, self._session.botocore)

    def renew(self) -> None:
        """Starts the deadline again, for everything that shares the session."""
        self._session.deadline = self._now() + self._timeout_s

    def late(self) -> bool:
        return self.left_s() <= 0

    def left_s(self) -> float:
        return self._session.deadline - self._now()

    def pause(self, attempt: int) -> None:
        """Exponential backoff with jitter, up to five seconds."""
        wait = min(5.0, 0.25 * 2 ** min(attempt, 5)) * random.uniform(0.7, 1.3)
        self._sleep(max(0.0, min(wait, self.left_s())))

    def rest(self, seconds: float) -> None:
        """Waits the whole time, past any deadline, because a shorter wait would give a wrong result."""
        self._sleep(seconds)

    def read(self, calls: Sequence[Call], newly_created: bool = False) -> list[Answer]:
        """The answers to these calls, read in parallel. `newly_created`: see `ReadWriteClient`."""
        for service in {call.service for call in calls}:
            if service != S3_CONTROL or self.is_aws("s3"):
                self._client(service)  # created here, because creating clients is not thread-safe
        calls = [self._owned(call) for call in calls]
        return in_parallel([partial(self._read_one, call, newly_created) for call in calls])

    def _read_one(self, call: Call, newly_created: bool) -> Answer:
        try:
            return self._answer(self._addressed(call), newly_created)
        except Invalid as nowhere:
            if call.service != S3_CONTROL:
                raise
            return Failure(call, "NoEndpoint" if self.is_aws("s3") else "NotImplemented", "", str(nowhere))

    def pages(self, call: Call) -> Iterator[Answer]:
        """The answers to a call, page by page, each with its own deadline. The last one may be a failure."""
        next_call: Call | None = call
        while next_call:
            self.renew()
            answer = self._answer(next_call, newly_created=False)
            yield answer
            next_call = None if isinstance(answer, Failure) else page_after(next_call, answer)

    def stream(self, call: Call, begin: Callable[[], Callable[[bytes], object]]) -> Answer:
        """The answer to a call. Passes its body in chunks to what `begin` returns, again for each retry."""
        attempt = 0
        while True:
            answer = self._answer(call, newly_created=False)
            if isinstance(answer, Failure):
                return answer
            take = begin()
            try:
                for piece in answer["Body"].iter_chunks(PIECE):
                    take(piece)
                return answer
            except botocore.exceptions.BotoCoreError as error:
                attempt += 1
                if attempt == BODY_ATTEMPTS or self.late():
                    raise translated(error, self._where, call) from None
            finally:
                answer["Body"].close()
            self.pause(attempt)

    def together(self, works: Sequence[Callable[[], T]]) -> list[T]:
        """Runs these in parallel, each with its own deadline, over the connections of the session."""
        self._client("s3")
        self.owner()
        return in_parallel([partial(self._with_own_deadline, work) for work in works])

    def _with_own_deadline(self, work: Callable[[], T]) -> T:
        self.renew()
        return work()

    def write(self, call: Call, newly_created: bool = False) -> Response:
        """The answer to a write; empty if the work was done already."""
        call = self._as_bucket_demands(call)
        answer = self._answer(call, newly_created, self.before_write)
        if uploads.may_lack_headers(call, answer):
            call, answer = self._with_default_encryption(call, answer)
        if isinstance(answer, Failure) and answer.code in NOT_TAKEN and call.instead:
            return self._write_instead(call, answer, newly_created)
        if isinstance(answer, Failure) and answer.code not in DONE.get(call.operation, ()):
            raise CallFailed(answer)
        self._own.note(call)
        self._on_write(call)
        return {} if isinstance(answer, Failure) else answer

    def _as_bucket_demands(self, call: Call) -> Call:
        """An upload with the default encryption of its bucket, if one without was denied before."""
        headers = self._upload_headers.get(str(call.params.get("Bucket")), {})
        is_bare = headers and call.operation == "put_object" and uploads.ALGORITHM not in call.params
        return replace(call, params={**call.params, **headers}) if is_bare else call

    def _with_default_encryption(self, call: Call, denied: Answer) -> tuple[Call, Answer]:
        """A denied upload once more, as its bucket encrypts by default; a denial that stays, with what demands it."""
        (default,) = self.read([uploads.read_default(call)])
        headers = uploads.headers_of(default)
        if headers:
            named = replace(call, params={**call.params, **headers})
            answer = self._answer(named, False, self.before_write)
            if not uploads.is_denied(answer):
                self._upload_headers[str(call.params["Bucket"])] = headers
                return named, answer
        (policy,) = self.read([uploads.read_policy(call)])
        statements = uploads.demanding(policy)
        if statements and isinstance(denied, Failure):
            return call, replace(denied, advice=uploads.advice(statements, headers))
        return call, denied

    def _write_instead(self, call: Call, refused: Failure, newly_created: bool) -> Response:
        """Sends the other form of a call. If AWS refuses that, too, the first refusal is raised."""
        answer: Response = {}
        for place, other in enumerate(call.instead):
            try:
                answer = self.write(self._addressed(other), newly_created)
            except TfstateError as failed:
                if place or (isinstance(failed, CallFailed) and failed.failure.code not in NOT_TAKEN):
                    raise
                raise CallFailed(refused) from failed
        return answer

    def _addressed(self, call: Call) -> Call:
        """S3 Control requires the account of the bucket."""
        if call.service != S3_CONTROL:
            return call
        if self.connection.endpoint_url or not self.is_aws("s3"):
            raise Invalid("endpoint_url serves no S3 Control, whose hosts are named after accounts")
        owner = self.owner()
        if owner is None:
            raise Invalid("this store has no accounts, and so no S3 Control, either")
        return replace(call, params={"AccountId": owner, **call.params})

    def owner(self) -> str | None:
        """The account that must own every bucket: account_id, or the caller's. None if the store has no accounts."""
        with self._asking:
            if not self._has_asked and self._owner is None:
                self._owner = self._own_account()
            self._has_asked = True
            return self._owner

    def _own_account(self) -> str | None:
        """The account of the caller. AWS always returns it if STS can be reached; other stores may have no STS."""
        if is_of_aws(self._client("s3")):
            answer = self._answer(IDENTITY, newly_created=False)
            if isinstance(answer, Failure):
                raise CallFailed(answer)
            return str(answer["Account"])
        answer = self._caller_of_store()
        if isinstance(answer, Failure):
            self.warnings.append(UNOWNED.format(where=self._where))
            return None
        return str(answer["Account"])

    def _caller_of_store(self) -> Answer:
        """The caller according to another store. Without STS, it can answer anything."""
        try:
            return self._answer(IDENTITY, newly_created=False)
        except CallFailed as failed:
            if failed.failure.call.operation == "assume_role":
                raise
            return failed.failure

    def _owned(self, call: Call) -> Call:
        """Adds the required account of the bucket. It is added here, so that no call can omit it."""
        if call.service != "s3" or OWNER in call.params or not self._takes_owner(call.operation):
            return call
        owner = self.owner()
        return replace(call, params={**call.params, OWNER: owner}) if owner else call

    def _takes_owner(self, operation: str) -> bool:
        meta = self._client("s3").meta
        shape = meta.service_model.operation_model(meta.method_to_api_mapping[operation]).input_shape
        return shape is not None and OWNER in shape.members

    def described_key(self, name: str) -> Answer:
        """What KMS says of a key, which is asked once."""
        if name not in self._described:
            (answer,) = self.read([Call("kms", "describe_key", {"KeyId": name})])
            self._described[name] = answer
            if not isinstance(answer, Failure):
                self._described[str(answer["KeyMetadata"].get("Arn", name))] = answer
        return self._described[name]

    def key_arn(self, name: str, must_exist: bool) -> str:
        """The ARN of the KMS key that `name` (id, alias or ARN) stands for, provided that it can encrypt."""
        if must_exist:
            check_arn(name, self.connection.region, self.partition())
        answer = self.described_key(name)
        if not isinstance(answer, Failure):
            key = answer["KeyMetadata"]
            return usable_key(name, key, self.connection.region) if must_exist else str(key["Arn"])
        if must_exist:
            self.warnings += unseen_key(name, answer)
        return name

    def _answer(self, call: Call, newly_created: bool, before_each: Sequence[BeforeWrite] = ()) -> Answer:
        attempt = 0
        while True:
            for check in before_each:
                check(call)
            answer = self._once(call)
            if isinstance(answer, Failure) and attempt:
                answer = replace(answer, is_repeated=True)
            if not isinstance(answer, Failure) or self.late():
                return answer
            if not (passes(answer, newly_created, attempt) or self._own.may_show(answer, attempt)):
                return answer
            self.pause(attempt)
            attempt += 1

    def _once(self, call: Call) -> Answer:
        asks_who = call.operation == IDENTITY.operation
        known: Response | None = self._session.identity
        if asks_who and known:
            return known
        call = self._owned(call)
        client = self._client(call.service)
        if asks_who and self._has_own_s3(client):
            return Failure(call, "NotImplemented", "", NO_STS)
        if hasattr(call.params.get("Body"), "seek"):
            call.params["Body"].seek(0)  # an earlier attempt has read it
        try:
            response = self._caller(client) if asks_who else _checked(client, call, _send(client, call))
        except (_Incomplete, NotJson) as incomplete:
            return self._incomplete(call, client, str(incomplete))
        except botocore.exceptions.ClientError as error:
            return self._failure(call, error)
        except (botocore.exceptions.BotoCoreError, botocore.parsers.ResponseParserError, RecursionError) as error:
            return self._without_answer(call, client, error)
        if asks_who:
            self._session.identity = response
        if OWNER in call.params:
            self._owned_buckets.add(str(call.params["Bucket"]))
        if call.operation == "head_bucket" and not bucket_region(response):
            return self._with_region(call, response)
        return undeleted(call, response, self._on_write) or response

    def _without_answer(self, call: Call, client: Any, error: Exception) -> Failure:
        """The failure of a call to which no service answered. Raises TfstateError if that cannot be a failure."""
        if call.instead and "Unknown parameter" in str(error):  # this botocore does not know the parameter yet
            return Failure(call, "UnsupportedArgument", " ".join(str(error).split()), "update botocore")
        is_parser_error = isinstance(error, botocore.parsers.ResponseParserError)
        if call.operation == IDENTITY.operation and is_parser_error and not is_of_aws(client):
            return Failure(call, "NotImplemented", "", NO_STS)
        problem = translated(error, self._where, call)
        if call.service == S3_CONTROL:  # a closed network may not reach it, and nothing depends on it alone
            return Failure(call, "NoAnswer", "", str(problem))
        raise problem from None

    def _incomplete(self, call: Call, client: Any, missing: str) -> Failure:
        """AWS leaves out nothing, so something else has answered in its place. Other stores do.

        Raises TfstateError on a write, which may be done.
        """
        if not (is_read(call) or call.operation in HEADS):
            raise translated(botocore.parsers.ResponseParserError(), self._where, call)
        if is_of_aws(client):
            what = f"answered by something else than AWS, without {missing}"
            return Failure(call, NOT_OF_AWS, "", strange_answer(what, self._where))
        return Failure(call, INCOMPLETE, f"the answer has no {missing}", advice_on(call, INCOMPLETE))

    def _caller(self, sts: Any) -> Response:
        """The answer to GetCallerIdentity, requested once for each access key by all tasks of a run."""
        lasts = is_of_aws(sts)  # another store may start at the same address with another account
        known = (
            known_caller(self._session.botocore, self.connection) if lasts and not self._session.ignores_cache else None
        )
        caller = known or _send(sts, IDENTITY)
        if not (is_account(caller.get("Account")) and str(caller.get("Arn")).startswith("arn:")):
            raise botocore.parsers.ResponseParserError("no account in the answer")
        if lasts and not known:
            remember_caller(self._session.botocore, self.connection, caller)
        return caller

    def _has_own_s3(self, sts: Any) -> bool:
        """Whether only S3 is at another store (AWS_ENDPOINT_URL_S3): AWS does not know our account there."""
        s3 = self._session.clients.get("s3")
        return s3 is not None and is_of_aws(sts) and not is_of_aws(s3)

    def _failure(self, call: Call, error: Any) -> Failure:
        details = error.response.get("Error") or error.response  # a store without STS may answer as S3
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", "?")
        code, message = str(details.get("Code") or status), str(details.get("Message") or "")
        if error.operation_name in ("AssumeRole", "AssumeRoleWithWebIdentity"):  # before the call itself
            call = Call("sts", "assume_role", {"RoleArn": self.connection.assume_role_arn})
            raise CallFailed(Failure(call, code, message, advice_on(call, code, message)))
        if code in UNRECOGNISED:
            raise CallFailed(Failure(call, code, message, self._region_not_enabled() or advice_on(call, code)))
        if code in EXPIRED | SKEWED:
            wrong = skew(error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}), datetime.now(timezone.utc))
            raise CallFailed(Failure(call, code, message, wrong or advice_on(call, code)))
        advice = advice_on(call, code, message)
        if call.params.get("Bucket") not in self._owned_buckets:
            advice += or_foreign(call, code, message)
        retries = error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0)
        failure = Failure(call, code, message, advice, is_repeated=retries > 0)
        if code == "400" and call.operation in HEADS:  # without a body: expired credentials get this code
            self._session.identity, self._session.ignores_cache = None, True
            self._answer(IDENTITY, newly_created=False)
        if call.operation == "head_bucket" and code == "403":
            return Failure(call, code, "", self._owner_message(call))
        if call.operation == "head_object" and code in ("400", "403"):
            return self._with_reason(failure)
        return failure

    def _with_reason(self, failure: Failure) -> Failure:
        """HeadObject has no body: GetObject is denied in the same way and says why."""
        first_byte = {**failure.call.params, "Range": "bytes=0-0"}
        answer = self._once(replace(failure.call, operation="get_object", params=first_byte))
        if isinstance(answer, Failure):
            return answer if cause_of(answer).startswith(("denied", "kms_key", "customer_key")) else failure
        answer["Body"].close()
        return failure

    def _region_not_enabled(self) -> str | None:
        """The message for credentials that are unknown here but known in a region that is always enabled."""
        home = partition_of(self.connection.region).home
        if self.connection.endpoint_url or home == self.connection.region:
            return None
        once = {"retries": {"total_max_attempts": 1}, "connect_timeout": 5}  # a closed network may not reach it
        there = replace(self.connection, region=home, aws_config={**(self.connection.aws_config or {}), **once})
        try:
            with self._making:
                sts = client_of(self._session.botocore, "sts", there)
            sts.get_caller_identity()
        except NO_ANSWER:
            return None
        return not_enabled(self.connection.region, bool(self._session.botocore.get_credentials().token))

    def _with_region(self, head: Call, response: Response) -> Answer:
        """The answer of HeadBucket, completed by the region."""
        answer = self._once(Call("s3", "get_bucket_location", head.params))
        return answer if isinstance(answer, Failure) else {**response, "BucketRegion": old_region(answer)}

    def _owner_message(self, call: Call) -> str:
        """HeadBucket has no body: the list of our buckets distinguishes a foreign bucket from a missing permission."""
        name = call.params["Bucket"]
        answer = self._answer(
            Call("s3", "list_buckets", {"Prefix": name, "MaxBuckets": 1000}, paged=True), newly_created=False
        )
        return whose(name, answer, call.params.get(OWNER))

    def _client(self, service: str) -> Any:
        limits = timeouts(self._timeout_s)
        if service not in self._session.clients or self._is_slower(service, limits):
            connection = replace(self.connection, aws_config={**limits, **(self.connection.aws_config or {})})
            try:
                self._session.clients[service] = client_of(self._session.botocore, service, connection)
            except (botocore.exceptions.BotoCoreError, ValueError) as error:
                raise translated(error, self._where) from None
        if service not in self._clients:
            self._clients[service] = self._session.clients[service]
            end_by(self._clients[service], self.left_s)
        return self._clients[service]

    def _is_slower(self, service: str, limits: Mapping[str, float]) -> bool:
        """Whether the client of an earlier task would wait past the deadline of this one."""
        if service in self._clients:
            return False
        chosen, config = self.connection.aws_config or {}, self._session.clients[service].meta.config
        return any(getattr(config, name) > limit for name, limit in limits.items() if name not in chosen)


def _send(client: Any, call: Call) -> Response:
    """Sends a call. Raises ResponseParserError also if botocore fails on, or accepts, a page that is not from AWS."""
    try:
        response: Response = _all_pages(client, call) if call.paged else getattr(client, call.operation)(**call.params)
    except botocore.exceptions.BotoCoreError:  # some are a ValueError, too
        raise
    except (AttributeError, LookupError, SyntaxError, TypeError, ValueError) as error:
        raise botocore.parsers.ResponseParserError(str(error)) from None
    if not call.paged:
        _check_members(call, response)
    return response


def _checked(client: Any, call: Call, answer: Response) -> Response:
    """Raises _Incomplete if it is a page of a proxy. Other stores need not send the headers of S3."""
    if is_strange(call, answer) and is_of_aws(client):
        raise _Incomplete("a header of S3")
    return answer


def _all_pages(client: Any, call: Call) -> Response:
    """The pages as one answer: their lists joined, the rest as in the last one."""
    whole: dict[str, Any] = {}
    for page in client.get_paginator(call.operation).paginate(**call.params):
        _check_members(call, page)
        lists = {name: [*whole.get(name, []), *each] for name, each in page.items() if isinstance(each, list)}
        whole = {**whole, **page, **lists}
    return whole


def _check_members(call: Call, answer: Response) -> None:
    if missing := missing_member(call, answer):
        raise _Incomplete(missing)
