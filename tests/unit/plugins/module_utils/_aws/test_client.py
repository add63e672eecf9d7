# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The room that talks to AWS, with AWS's words put into its mouth: no byte leaves the machine.

The answers are given at `before-send`, behind signing and serialising: so that retries, redirects and the parsing of
errors are botocore's own.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, TypeAlias

import botocore.endpoint
import botocore.exceptions
import botocore.session
import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.client import Aws, Connection
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.errors import (
    advice_on,
    iam_action,
    translated,
    undeleted,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.session import Session, session_of
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import (
    Call,
    CallFailed,
    Failure,
    Invalid,
    TfstateError,
)
from botocore.awsrequest import AWSResponse

REGION, ACCOUNT = "eu-west-1", "111122223333"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1111"
TIMEOUT_S = 300
HEAD = Call("s3", "head_bucket", {"Bucket": "tf-state", "ExpectedBucketOwner": ACCOUNT})
VERSIONING = Call("s3", "get_bucket_versioning", {"Bucket": "tf-state", "ExpectedBucketOwner": ACCOUNT})
PUT_VERSIONING = Call(
    "s3", "put_bucket_versioning", {"Bucket": "tf-state", "VersioningConfiguration": {"Status": "Enabled"}}
)
CREATE_BUCKET = Call("s3", "create_bucket", {"Bucket": "tf-state"})
PUT_LOCK = Call(
    "s3",
    "put_object_lock_configuration",
    {"Bucket": "tf-state", "ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}},
)
PUT_LOCK_FILE = Call("s3", "put_object", {"Bucket": "tf-state", "Key": "k.tflock", "Body": b"{}", "IfNoneMatch": "*"})
GET_ITEM = Call("dynamodb", "get_item", {"TableName": "tf-locks", "Key": {"LockID": {"S": "b/k"}}})
IDENTITY = Call("sts", "get_caller_identity")
DESCRIBE = Call("dynamodb", "describe_table", {"TableName": "tf-locks"})
UPDATE = Call("dynamodb", "update_table", {"TableName": "tf-locks", "DeletionProtectionEnabled": True})
CREATE = Call(
    "dynamodb",
    "create_table",
    {
        "TableName": "tf-locks",
        "AttributeDefinitions": [{"AttributeName": "LockID", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "LockID", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
    },
)
TAG = Call(
    "dynamodb", "tag_resource", {"ResourceArn": "arn:aws:dynamodb:::table/t", "Tags": [{"Key": "a", "Value": ""}]}
)

Reply: TypeAlias = "AWSResponse | Exception"


@dataclass
class Script:
    """What AWS says, in turn; the last thing it says again and again. And what it was asked."""

    replies: list[Reply] = field(default_factory=list)
    by_operation: dict[str, Reply] = field(default_factory=dict)
    requests: list[Any] = field(default_factory=list)
    clock: float = 0.0
    slept: list[float] = field(default_factory=list)

    def __call__(self, request: Any, event_name: str, **_unused: Any) -> AWSResponse:
        self.requests.append(request)
        operation = event_name.rpartition(".")[2]
        reply = self.by_operation.get(operation) or (self.replies.pop(0) if len(self.replies) > 1 else self.replies[0])
        if isinstance(reply, Exception):
            raise reply
        return AWSResponse(request.url, reply.status_code, reply.headers, Raw(reply.content))

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock += seconds

    def connect(self, timeout_s: float = TIMEOUT_S, **options: Any) -> Aws:
        """With account_id: a script that says nothing of STS need not, unless it is asked without."""
        usual = {"region": REGION, "access_key": "AKIATEST", "secret_key": "secret", "cache_credentials": False}
        usual["account_id"] = ACCOUNT
        connection = Connection(**{**usual, **options})
        aws = Aws(connection, timeout_s, now=lambda: self.clock, sleep=self.sleep)
        aws._session = Session(session_of(connection))  # of its own: the scripts of a test must not mix
        aws._session.botocore.register("before-send", self)
        aws.renew()
        return aws


class Raw:
    """As much of urllib3's response as botocore reads."""

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    def stream(self, *_unused: Any, **_more: Any) -> Iterator[bytes]:
        yield self._content.getvalue()

    def read(self, size: int | None = None) -> bytes:
        return self._content.read(size)

    def close(self) -> None:
        self._content.close()


def says(status: int, content: bytes = b"", **headers: str) -> AWSResponse:
    usual = {"ETag": '"e"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
    named = {**usual, **{name.replace("_", "-"): value for name, value in headers.items()}}
    response = AWSResponse("", status, named, Raw(content))
    assert response.content is not None
    return response


def s3_error(code: str, status: int = 400, message: str = "said AWS") -> AWSResponse:
    return says(status, f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode())


def json_error(code: str, status: int = 400, message: str = "said AWS") -> AWSResponse:
    return says(status, json.dumps({"__type": f"com.amazonaws#{code}", "message": message}).encode())


def sts_error(code: str, status: int = 403) -> AWSResponse:
    return says(
        status, f"<ErrorResponse><Error><Code>{code}</Code><Message>said AWS</Message></Error></ErrorResponse>".encode()
    )


def described_key(**changed: Any) -> AWSResponse:
    usual = {
        "Arn": KEY,
        "KeyId": "1111",
        "KeyState": "Enabled",
        "KeyUsage": "ENCRYPT_DECRYPT",
        "KeySpec": "SYMMETRIC_DEFAULT",
    }
    return says(200, json.dumps({"KeyMetadata": {**usual, **changed}}).encode())


VERSIONED = says(200, b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
DONE = says(200)
HERE = says(200, x_amz_bucket_region=REGION)
WHO = says(
    200,
    b"<GetCallerIdentityResponse><GetCallerIdentityResult><Account>111122223333</Account>"
    b"<Arn>arn:aws:iam::111122223333:user/ann</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>",
)
ITEM = says(200, b"{}")
TABLE = says(200, b'{"Table": {"TableName": "tf-locks"}}')


@pytest.fixture(autouse=True)
def botocore_does_not_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(sleep=lambda _seconds: None, time=botocore.endpoint.time.time)
    monkeypatch.setattr(botocore.endpoint, "time", clock)


# Retries: by code and operation, and never past the deadline.


PUT_POLICY = Call("s3", "put_bucket_policy", {"Bucket": "tf-state", "Policy": "{}"})
INVALID_PRINCIPAL = s3_error("MalformedPolicy", message="Invalid principal in policy")
PASSES = {
    "another change is under way": (PUT_VERSIONING, s3_error("OperationAborted", 409), DONE),
    "the name was deleted recently": (CREATE_BUCKET, s3_error("OperationAborted", 409), DONE),
    "slow down, says HeadBucket": (HEAD, says(503), HERE),
    "versioning was switched on a moment ago": (PUT_LOCK, s3_error("InvalidBucketState", 409), DONE),
    "the table is busy": (UPDATE, json_error("ResourceInUseException"), says(200, b"{}")),
    "backups are being enabled": (DESCRIBE, json_error("ContinuousBackupsUnavailableException"), TABLE),
    "tags are being changed": (TAG, json_error("LimitExceededException"), says(200, b"{}")),
    "too much is asked for": (DESCRIBE, json_error("ThrottlingException"), TABLE),
    "the capacity of the table is used up": (GET_ITEM, json_error("ProvisionedThroughputExceededException"), ITEM),
    "the role was made a moment ago": (PUT_POLICY, INVALID_PRINCIPAL, DONE),
    "another lock is being taken": (PUT_LOCK_FILE, s3_error("ConditionalRequestConflict", 409), DONE),
    "slow down": (VERSIONING, s3_error("SlowDown", 503), VERSIONED),
}


@pytest.mark.aws("1.4", "1.8", "2.3", "2.5", "2.12", "4.2", "4.3", "4.14", "4.16", "6.5", "7.1")
@pytest.mark.parametrize(("call", "error", "reply"), PASSES.values(), ids=PASSES)
def test_what_passes_is_waited_for(call: Call, error: AWSResponse, reply: AWSResponse) -> None:
    script = Script([*[error] * 10, reply])
    (answer,) = script.connect().read([call])
    assert not isinstance(answer, Failure)
    assert len(script.requests) == 11


STAYS = {
    "a quota of table classes": (UPDATE, json_error("LimitExceededException")),
    "a bucket that is not there": (VERSIONING, s3_error("NoSuchBucket", 404)),
    "a table that is not there": (DESCRIBE, json_error("ResourceNotFoundException")),
    "a table that exists already": (CREATE, json_error("ResourceInUseException")),
    "a missing permission": (VERSIONING, s3_error("AccessDenied", 403)),
    "a bad policy": (VERSIONING, s3_error("MalformedPolicy")),
    "a name that another account has": (CREATE_BUCKET, s3_error("BucketAlreadyExists", 409)),
    "a bucket that exists already": (CREATE_BUCKET, s3_error("BucketAlreadyOwnedByYou", 409)),
    "a quota of buckets": (CREATE_BUCKET, s3_error("TooManyBuckets")),
}


@pytest.mark.aws("1.3", "1.5", "1.12", "2.5", "4.3", "4.11", "4.16")
@pytest.mark.parametrize(("call", "error"), STAYS.values(), ids=STAYS)
def test_what_stays_is_said_at_once(call: Call, error: AWSResponse) -> None:
    script = Script([error])
    (answer,) = script.connect().read([call])
    assert isinstance(answer, Failure)
    assert script.slept == []


@pytest.mark.aws("2.5")
def test_a_principal_that_is_misspelt_is_told_after_a_minute() -> None:
    script = Script([INVALID_PRINCIPAL])
    with pytest.raises(CallFailed, match=r"check the principals.*made a moment ago, run again"):
        script.connect().write(PUT_POLICY)
    assert 40 < script.clock < 90


@pytest.mark.aws("1.5", "4.1")
@pytest.mark.parametrize(
    ("call", "error", "reply"),
    [
        (VERSIONING, s3_error("NoSuchBucket", 404), VERSIONED),
        (DESCRIBE, json_error("ResourceNotFoundException"), TABLE),
        (DESCRIBE, json_error("TableNotFoundException"), TABLE),
    ],
)
def test_what_is_young_may_not_be_visible_yet(call: Call, error: AWSResponse, reply: AWSResponse) -> None:
    script = Script([error, error, error, reply])
    (answer,) = script.connect().read([call], newly_created=True)
    assert not isinstance(answer, Failure)
    assert len(script.slept) == 3


PUT = Call("s3", "put_object", {"Bucket": "tf-state", "Key": "k", "Body": b"{}"})
DELETE = Call("s3", "delete_object", {"Bucket": "tf-state", "Key": "k", "IfMatch": "1"})
DELETE_ALL = Call("s3", "delete_objects", {"Bucket": "tf-state", "Delete": {"Objects": [{"Key": "k"}, {"Key": "l"}]}})
#: What asks for an object that we have put.
ASKS = {
    "get": (Call("s3", "get_object", {"Bucket": "tf-state", "Key": "k"}), s3_error("NoSuchKey", 404)),
    "head": (Call("s3", "head_object", {"Bucket": "tf-state", "Key": "k"}), says(404)),
    "tags": (Call("s3", "get_object_tagging", {"Bucket": "tf-state", "Key": "k"}), s3_error("NoSuchKey", 404)),
    "delete": (DELETE, s3_error("NoSuchKey", 404)),
}


@pytest.mark.aws("2.2")
@pytest.mark.parametrize(("call", "unseen"), ASKS.values(), ids=ASKS)
def test_what_we_have_put_may_not_be_visible_yet(call: Call, unseen: AWSResponse) -> None:
    """In the first 15 minutes of versioning."""
    shown = says(200, b"<Tagging><TagSet/></Tagging>", content_length="28")
    script = Script([DONE, unseen, unseen, unseen, shown])
    aws = script.connect()
    aws.write(PUT)
    (answer,) = aws.read([call])
    assert not isinstance(answer, Failure)
    assert len(script.slept) == 3


@pytest.mark.aws("2.2")
@pytest.mark.parametrize(
    "before", [[], [PUT, DELETE], [PUT, DELETE_ALL]], ids=["never put", "deleted by us", "deleted with others"]
)
def test_what_is_not_ours_is_not_waited_for(before: list[Call]) -> None:
    script = Script([*[DONE] * len(before), s3_error("NoSuchKey", 404)])
    aws = script.connect()
    for call in before:
        aws.write(call)
    (answer,) = aws.read([ASKS["get"][0]])
    assert isinstance(answer, Failure) and "in the first 15 minutes of versioning" in str(answer)
    assert script.slept == []


@pytest.mark.aws("2.2")
def test_what_somebody_else_took_away_keeps_us_for_seconds() -> None:
    script = Script([DONE, s3_error("NoSuchKey", 404)])
    aws = script.connect()
    aws.write(PUT)
    aws.read([ASKS["get"][0]])
    assert 10 < script.clock < 40


def test_nothing_is_tried_again_past_the_deadline() -> None:
    script = Script([s3_error("OperationAborted", 409)])
    with pytest.raises(CallFailed, match="OperationAborted; another change of this bucket is under way"):
        script.connect(timeout_s=60).write(PUT_VERSIONING)
    assert script.clock - script.slept[-1] < 60


@pytest.mark.parametrize("way", ["works", "pages"])
def test_each_work_and_each_page_has_the_whole_time(way: str) -> None:
    """Else one refusal that passes fails a listing, or locks of many states, that takes longer than that as a whole."""
    script = Script([s3_error("OperationAborted", 409), says(200, b"<L><Name>tf-state</Name></L>")])
    aws = script.connect(timeout_s=60)
    script.clock = 61.0
    listing = Call("s3", "list_object_versions", {"Bucket": "tf-state"})
    (answer,) = aws.pages(listing) if way == "pages" else aws.together([lambda: aws.read([listing])[0]])
    assert not isinstance(answer, Failure)


def test_those_who_share_a_session_share_its_deadline() -> None:
    """Botocore's clients are the session's: the last one who asked for them would else end those of the others."""
    script = Script([DONE])
    main = script.connect(timeout_s=60)
    vault = Aws(main.connection, 60, now=lambda: script.clock, sleep=script.sleep)
    vault._session = main._session
    vault._client("s3")
    script.clock = 100.0
    assert vault.late()
    main.renew()
    assert not vault.late() and vault.left_s() == 60


def test_no_pause_reaches_past_the_deadline() -> None:
    script = Script([s3_error("OperationAborted", 409)])
    with pytest.raises(CallFailed):
        script.connect(timeout_s=7).write(PUT_VERSIONING)
    assert script.clock <= 7


@pytest.mark.aws("4.16")
def test_pauses_grow_to_five_seconds_and_are_never_in_step() -> None:
    script = Script()
    aws = script.connect()
    for attempt in (0, 1, 2, 10, 100):
        aws.pause(attempt)
    assert script.slept[0] < 0.4
    assert all(3.5 <= seconds <= 6.5 for seconds in script.slept[3:])
    assert script.slept[3] != script.slept[4]


def test_a_long_wait_is_no_overflow() -> None:
    Script().connect().pause(1100)


DONE_ALREADY = {
    "delete_bucket": (Call("s3", "delete_bucket", {"Bucket": "tf-state"}), s3_error("NoSuchBucket", 404)),
    "delete_table": (Call("dynamodb", "delete_table", {"TableName": "t-1"}), json_error("ResourceNotFoundException")),
}


@pytest.mark.aws("3.5", "4.3")
@pytest.mark.parametrize(("call", "error"), DONE_ALREADY.values(), ids=DONE_ALREADY)
def test_what_is_done_already_is_done(call: Call, error: AWSResponse) -> None:
    Script([error]).connect().write(call)


@pytest.mark.aws("3.3")
def test_a_version_that_is_held_is_told_as_such() -> None:
    denial = b"<Key>k</Key><Code>AccessDenied</Code><Message>Access Denied because object protected by object lock."
    kept = b"<DeleteResult><Error>" + denial + b"</Message></Error></DeleteResult>"
    delete = Call("s3", "delete_objects", {"Bucket": "b-1", "Delete": {"Objects": [{"Key": "k", "VersionId": "1"}]}})
    with pytest.raises(CallFailed, match=r"AccessDenied; a retention or legal hold keeps it: wait .*k: Access Denied"):
        Script([says(200, kept)]).connect().write(delete)


@pytest.mark.aws("3.1", "3.2")
def test_objects_that_were_not_deleted_are_a_failure() -> None:
    kept = b"<DeleteResult><Error><Key>k</Key><Code>AccessDenied</Code><Message>locked</Message></Error></DeleteResult>"
    delete = Call("s3", "delete_objects", {"Bucket": "b-1", "Delete": {"Objects": [{"Key": "k", "VersionId": "null"}]}})
    script = Script([says(200, kept)])
    with pytest.raises(
        CallFailed, match=r"delete_objects on b-1: AccessDenied; needs s3:DeleteObjectVersion.*k: locked"
    ):
        script.connect().write(delete)
    assert b"<VersionId>null</VersionId>" in bytes(script.requests[0].body)


@pytest.mark.aws("3.1")
@pytest.mark.parametrize(("asked", "is_write"), [("k", False), ("kl", True)], ids=["none", "some"])
def test_objects_that_were_deleted_beside_those_that_were_not_are_a_write(asked: str, is_write: bool) -> None:
    objects = [{"Key": key, "VersionId": "1"} for key in asked]
    delete = Call("s3", "delete_objects", {"Bucket": "b-1", "Delete": {"Objects": objects}})
    written: list[Call] = []
    assert undeleted(delete, {"Errors": [{"Key": "k", "Code": "AccessDenied"}]}, written.append)
    assert written == [delete] * is_write


# What is sent.


def test_s3_is_told_whose_the_bucket_has_to_be() -> None:
    script = Script([VERSIONED])
    script.connect().read([VERSIONING])
    assert header(script, "x-amz-expected-bucket-owner") == ACCOUNT


def test_we_say_who_we_are() -> None:
    script = Script([VERSIONED])
    script.connect().read([VERSIONING])
    assert "cornerstone.tfstate" in header(script, "User-Agent")


def header(script: Script, name: str) -> str:
    value = script.requests[-1].headers[name]
    return value.decode() if isinstance(value, bytes) else str(value)


def test_reads_come_back_in_order_however_they_overtake_each_other() -> None:
    script = Script(by_operation={"GetBucketVersioning": VERSIONED, "DescribeTable": TABLE, "HeadBucket": HERE})
    answers = script.connect().read([VERSIONING, DESCRIBE, HEAD, DESCRIBE, VERSIONING])
    assert ["Status" in each for each in answers] == [True, False, False, False, True]
    assert ["Table" in each for each in answers] == [False, True, False, True, False]


ENDPOINTS = {
    "us-east-1": r"https://tf-state\.s3(\.us-east-1)?\.amazonaws\.com/",
    "af-south-1": r"https://tf-state\.s3\.af-south-1\.amazonaws\.com/",
    "cn-north-1": r"https://tf-state\.s3\.cn-north-1\.amazonaws\.com\.cn/",
    "us-gov-west-1": r"https://tf-state\.s3\.us-gov-west-1\.amazonaws\.com/",
}


@pytest.mark.aws("6.4")
@pytest.mark.parametrize(("region", "url"), ENDPOINTS.items(), ids=ENDPOINTS)
def test_a_region_is_asked_at_its_own_endpoint_and_signed_for_itself(region: str, url: str) -> None:
    script = Script([VERSIONED])
    script.connect(region=region).read([VERSIONING])
    assert re.match(url, script.requests[0].url)
    assert f"/{region}/s3/aws4_request" in header(script, "Authorization")


@pytest.mark.aws("6.3")
@pytest.mark.parametrize(
    ("region", "partition"), [("eu-west-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]
)
def test_a_region_lies_in_a_partition(region: str, partition: str) -> None:
    assert Script().connect(region=region).partition() == partition


def test_a_region_that_is_none_is_said() -> None:
    with pytest.raises(Invalid, match="'mars' is no AWS region; set region to one such as eu-west-1"):
        Script().connect(region="mars").partition()


def test_an_endpoint_serves_every_service_by_path() -> None:
    script = Script(by_operation={"GetBucketVersioning": VERSIONED, "DescribeTable": TABLE, "GetCallerIdentity": WHO})
    aws = script.connect(endpoint_url="http://127.0.0.1:9")
    for call in (VERSIONING, DESCRIBE, IDENTITY):
        aws.read([call])
    assert {request.url.split("?")[0] for request in script.requests} == {
        "http://127.0.0.1:9/tf-state",
        "http://127.0.0.1:9/",
    }


@pytest.mark.aws("6.4")
def test_endpoint_variables_work_for_each_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:8")
    script = Script(by_operation={"GetBucketVersioning": VERSIONED, "DescribeTable": TABLE})
    aws = script.connect()
    for call in (VERSIONING, DESCRIBE):
        aws.read([call])
    assert [request.url.split("?")[0] for request in script.requests] == [
        "http://127.0.0.1:9/tf-state",
        "http://127.0.0.1:8/",
    ]


# Credentials.


@pytest.mark.aws("6.7")
def test_explicit_keys_beat_the_environment_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nosuch")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "env")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "env")
    script = Script([VERSIONED])
    script.connect().read([VERSIONING])
    assert "Credential=AKIATEST/" in header(script, "Authorization")
    assert "X-Amz-Security-Token" not in script.requests[0].headers


def test_a_session_token_goes_with_its_keys() -> None:
    script = Script([VERSIONED])
    script.connect(session_token="mine").read([VERSIONING])
    assert header(script, "X-Amz-Security-Token") == "mine"


def test_without_keys_the_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "env")
    script = Script([VERSIONED])
    script.connect(access_key=None, secret_key=None).read([VERSIONING])
    assert "Credential=AKIAENV/" in header(script, "Authorization")


@pytest.mark.parametrize("named_by", ["profile", "AWS_PROFILE"])
def test_a_profile_that_is_none_is_said(named_by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    option = {"profile": "nosuch"} if named_by == "profile" else {}
    if not option:
        monkeypatch.setenv("AWS_PROFILE", "nosuch")
    with pytest.raises(TfstateError, match=r"nosuch.*correct profile or AWS_PROFILE, or run aws configure"):
        Script([VERSIONED]).connect(access_key=None, secret_key=None, **option).read([VERSIONING])


def test_no_credentials_at_all_are_said() -> None:
    with pytest.raises(TfstateError, match="set profile, access_key and secret_key, or the AWS_"):
        Script([VERSIONED]).connect(access_key=None, secret_key=None).read([VERSIONING])


NOT_OURS = {
    "expired, says S3": (VERSIONING, s3_error("ExpiredToken"), "have expired: get new ones"),
    "expired, says DynamoDB": (DESCRIBE, json_error("ExpiredTokenException"), "have expired: get new ones"),
    "expired, says STS": (IDENTITY, sts_error("ExpiredToken"), "have expired: get new ones"),
    "unknown, says S3": (VERSIONING, s3_error("InvalidAccessKeyId", 403), "check access_key, session_token or profile"),
    "unknown, says DynamoDB": (
        DESCRIBE,
        json_error("UnrecognizedClientException"),
        "enable the region for the account",
    ),
    "unknown, says STS": (IDENTITY, sts_error("InvalidClientTokenId"), "from a regional STS endpoint"),
    "skewed": (VERSIONING, s3_error("RequestTimeTooSkewed", 403), "check the secret key and this machine's clock"),
    "wrong": (VERSIONING, s3_error("SignatureDoesNotMatch", 403), "check the secret key"),
    "skewed, says DynamoDB": (DESCRIBE, json_error("InvalidSignatureException"), "this machine's clock"),
}


@pytest.mark.aws("6.7")
@pytest.mark.parametrize(("call", "error", "said"), NOT_OURS.values(), ids=NOT_OURS)
def test_credentials_that_do_not_work_end_the_run_at_once(call: Call, error: AWSResponse, said: str) -> None:
    script = Script([error])
    with pytest.raises(CallFailed, match=said):
        script.connect().read([call])
    assert script.slept == []


def heard_by(script: Script, monkeypatch: pytest.MonkeyPatch) -> Script:
    """A role is assumed through a session of its own; the script shall answer that one, too."""
    create = botocore.session.Session.create_client

    def create_client(self: Any, *names: Any, **options: Any) -> Any:
        client = create(self, *names, **options)
        client.meta.events.register("before-send.sts", script)
        return client

    monkeypatch.setattr(botocore.session.Session, "create_client", create_client)
    return script


def test_a_tag_that_a_service_of_aws_added_in_the_meantime_is_no_wrong_character() -> None:
    call = Call("s3", "put_bucket_tagging", {"Bucket": "tf-state"})
    assert "run again" in advice_on(call, "InvalidTag", "System tags cannot be removed by requester")
    assert "check its characters" in advice_on(call, "InvalidTag", "The TagKey you have provided is invalid")


def test_a_role_that_cannot_be_assumed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    script = heard_by(Script([sts_error("AccessDenied")]), monkeypatch)
    role = f"arn:aws:iam::{ACCOUNT}:role/tf"
    with pytest.raises(TfstateError, match=f"assume_role on {role}: AccessDenied; needs sts:AssumeRole"):
        script.connect(assume_role_arn=role).read([VERSIONING])


@pytest.mark.aws("6.2")
def test_an_assumed_role_signs_what_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    assumed = (
        b"<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>s"
        b"</SecretAccessKey><SessionToken>role</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration></Credentials>"
        b"</AssumeRoleResult></AssumeRoleResponse>"
    )
    replies = {"AssumeRole": says(200, assumed), "GetBucketVersioning": VERSIONED}
    script = heard_by(Script(by_operation=replies), monkeypatch)
    options = {"assume_role_external_id": "own", "assume_role_session_name": "me"}
    script.connect(assume_role_arn=f"arn:aws:iam::{ACCOUNT}:role/tf", **options).read([VERSIONING])
    asked = script.requests[0]
    assert "sts.eu-west-1.amazonaws.com" in asked.url  # tokens of the global endpoint do not work everywhere
    assert "ExternalId=own" in str(asked.body)
    assert "Credential=ASIAROLE/" in header(script, "Authorization")
    assert header(script, "X-Amz-Security-Token") == "role"


# What an error means.


@pytest.mark.aws("6.10")
def test_a_missing_permission_is_named_as_iam_calls_it() -> None:
    (answer,) = (
        Script([s3_error("AccessDenied", 403, "explicit deny in a service control policy")])
        .connect()
        .read([Call("s3", "get_bucket_encryption", {"Bucket": "tf-state"})])
    )
    assert str(answer) == (
        "get_bucket_encryption on tf-state: AccessDenied; needs s3:GetEncryptionConfiguration, which a service control "
        "policy denies: only whoever keeps that policy can permit it (AWS: explicit deny in a service control policy)"
    )


BEHIND = "User: u is not authorized to perform: it on resource: it with an explicit deny in a resource-based policy"
DENIED_DIGESTS: dict[str, tuple[Call, str, bool]] = {
    "read": (Call("dynamodb", "get_item", {"Key": {"LockID": {"S": "b/k-md5"}}}), BEHIND, True),
    "written": (Call("dynamodb", "put_item", {"Item": {"LockID": {"S": "b/k-md5"}}}), BEHIND, True),
    "a lock": (Call("dynamodb", "get_item", {"Key": {"LockID": {"S": "b/k"}}}), BEHIND, False),
    "no permission": (
        Call("dynamodb", "get_item", {"Key": {"LockID": {"S": "b/k-md5"}}}),
        "no policy allows it",
        False,
    ),
    "of the table": (Call("dynamodb", "scan", {"TableName": "t"}), BEHIND, False),
}


@pytest.mark.parametrize(("call", "message", "is_denied"), DENIED_DIGESTS.values(), ids=list(DENIED_DIGESTS))
def test_whoever_stops_at_the_digest_policy_is_told_so(call: Call, message: str, is_denied: bool) -> None:
    told = advice_on(call, "AccessDeniedException", message)
    assert ("the digest policy of tf_lock_mode denies it" in told) is is_denied
    assert ("needs dynamodb:" in told) is not is_denied


@pytest.mark.aws("6.10")
@pytest.mark.parametrize(
    ("service", "operation", "action"),
    [
        ("s3", "put_bucket_policy", "s3:PutBucketPolicy"),
        ("s3", "head_bucket", "s3:ListBucket"),
        ("s3", "put_bucket_encryption", "s3:PutEncryptionConfiguration"),
        ("s3", "get_public_access_block", "s3:GetBucketPublicAccessBlock"),
        ("s3", "delete_bucket_lifecycle", "s3:PutLifecycleConfiguration"),
        ("dynamodb", "list_tags_of_resource", "dynamodb:ListTagsOfResource"),
        ("dynamodb", "describe_continuous_backups", "dynamodb:DescribeContinuousBackups"),
        ("kms", "describe_key", "kms:DescribeKey"),
        ("application-autoscaling", "describe_scalable_targets", "application-autoscaling:DescribeScalableTargets"),
    ],
)
def test_an_action_is_called_as_iam_calls_it(service: str, operation: str, action: str) -> None:
    assert iam_action(Call(service, operation)) == action


LISTED = b"<ListAllMyBucketsResult><Buckets><Bucket><Name>%s</Name></Bucket></Buckets></ListAllMyBucketsResult>"
WHOSE = {
    "ours": (says(200, LISTED % b"tf-state"), r"the bucket is yours: you need s3:ListBucket"),
    "a longer name is another bucket": (says(200, LISTED % b"tf-state-2"), "belongs to another account"),
    "theirs": (
        says(200, LISTED % b"other"),
        "the bucket belongs to another account than 111122223333: choose another name",
    ),
    "nobody knows": (s3_error("AccessDenied", 403), r"or you need s3:ListBucket on it.*needs s3:ListAllMyBuckets"),
}


@pytest.mark.aws("1.4")
@pytest.mark.parametrize(("reply", "said"), WHOSE.values(), ids=WHOSE)
def test_a_forbidden_bucket_is_told_apart_from_a_foreign_one(reply: AWSResponse, said: str) -> None:
    (answer,) = Script(by_operation={"HeadBucket": says(403), "ListBuckets": reply}).connect().read([HEAD])
    assert isinstance(answer, Failure)
    assert re.search(said, str(answer))


def test_a_bucket_that_is_not_there_is_no_error() -> None:
    (answer,) = Script([says(404)]).connect().read([HEAD])
    assert isinstance(answer, Failure)
    assert answer.code == "404"


UNREACHABLE = {
    "nobody listens": (
        botocore.exceptions.EndpointConnectionError(endpoint_url="https://x"),
        "cannot be reached: check region, endpoint_url, proxy and network",
    ),
    "nobody answers": (
        botocore.exceptions.ReadTimeoutError(endpoint_url="https://x"),
        "no answer came back.*run again",
    ),
    "a reply is cut off": (botocore.exceptions.ConnectionClosedError(endpoint_url="https://x"), "no answer came back"),
    "a proxy that is none": (botocore.exceptions.ProxyConnectionError(proxy_url="http://p"), "cannot be reached"),
    "an unknown certificate": (
        botocore.exceptions.SSLError(endpoint_url="https://x", error="self-signed"),
        "self-signed",
    ),
    "a login that has ended": (botocore.exceptions.UnauthorizedSSOTokenError(), "run aws sso login"),
    "redirects in a circle": (RecursionError("maximum depth"), "redirected without end; look for a proxy"),
}


@pytest.mark.parametrize(("operation", "may_be_done"), [("head_bucket", False), ("put_bucket_versioning", True)])
def test_only_a_write_without_an_answer_may_be_done(operation: str, may_be_done: bool) -> None:
    error = botocore.exceptions.ReadTimeoutError(endpoint_url="https://x")
    said = str(translated(error, "eu-west-1", Call("s3", operation, {"Bucket": "b"})))
    assert ("no answer came back, but AWS may have done it: run again" in said) is may_be_done
    assert ("no answer came back: run again" in said) is not may_be_done


@pytest.mark.aws("6.7")
@pytest.mark.parametrize(("error", "said"), UNREACHABLE.values(), ids=UNREACHABLE)
def test_what_is_no_answer_is_told_in_one_sentence(error: Exception, said: str) -> None:
    with pytest.raises(TfstateError, match=said) as failure:
        Script([error]).connect().read([VERSIONING])
    assert str(failure.value).startswith("get_bucket_versioning on tf-state: ")
    assert "\n" not in str(failure.value)


@pytest.mark.aws("6.7")
def test_a_parameter_that_botocore_does_not_know_is_told() -> None:
    with pytest.raises(TfstateError, match="this botocore is too old for the request: update botocore"):
        Script([DONE]).connect().read([Call("s3", "head_bucket", {"Bucket": "b-1", "OfTomorrow": True})])


def test_the_first_exception_of_reads_side_by_side_is_ours() -> None:
    script = Script(
        by_operation={"GetBucketVersioning": VERSIONED, "DescribeTable": json_error("ExpiredTokenException")}
    )
    with pytest.raises(CallFailed, match="have expired"):
        script.connect().read([VERSIONING, DESCRIBE, VERSIONING])


# Pages, and bodies in pieces.

LIST = Call("s3", "list_objects_v2", {"Bucket": "tf-state"})
GET = Call("s3", "get_object", {"Bucket": "tf-state", "Key": "network/terraform.tfstate"})
LISTED_OBJECT = b"<LastModified>2026-01-01T00:00:00Z</LastModified><Size>1</Size>"
FIRST = (
    b"""<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>more</NextContinuationToken>
<Contents><Key>a</Key>%s</Contents></ListBucketResult>"""
    % LISTED_OBJECT
)
LAST = (
    b"<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>b</Key>%s</Contents></ListBucketResult>"
    % LISTED_OBJECT
)


def test_pages_come_one_at_a_time() -> None:
    script = Script([says(200, FIRST), s3_error("SlowDown", 503), says(200, LAST)])
    pages = script.connect().pages(LIST)
    assert [each["Key"] for each in next(pages)["Contents"]] == ["a"]
    assert len(script.requests) == 1
    assert [[each["Key"] for each in page["Contents"]] for page in pages] == [["b"]]
    assert "continuation-token=more" in script.requests[-1].url


def test_a_page_that_is_denied_is_the_last() -> None:
    first, second = Script([says(200, FIRST), s3_error("AccessDenied", 403)]).connect().pages(LIST)
    assert not isinstance(first, Failure)
    assert isinstance(second, Failure) and "needs s3:ListBucket" in str(second)


def test_a_scan_goes_on_where_it_stopped() -> None:
    more = {"Items": [], "LastEvaluatedKey": {"LockID": {"S": "x"}}}
    script = Script([says(200, json.dumps(more).encode()), says(200, b'{"Items": []}')])
    assert len(list(script.connect().pages(Call("dynamodb", "scan", {"TableName": "tf-locks"})))) == 2
    assert json.loads(script.requests[1].body)["ExclusiveStartKey"] == {"LockID": {"S": "x"}}


def taken(script: Script, **options: Any) -> list[list[bytes]]:
    """The pieces of each attempt to read a body."""
    attempts: list[list[bytes]] = []

    def begin() -> Any:
        attempts.append([])
        return attempts[-1].append

    script.connect(**options).stream(GET, begin)
    return attempts


def test_a_body_comes_in_pieces_and_anew_where_it_broke_off() -> None:
    body = b"x" * 600_000
    half = says(200, body[:300_000], content_length="600000")
    first, second = taken(Script([half, says(200, body, content_length="600000")]))
    assert b"".join(second) == body and len(first) < len(second) == 3


def test_a_body_that_always_breaks_off_is_told() -> None:
    with pytest.raises(TfstateError, match=r"get_object on tf-state/network/terraform\.tfstate: 1 read, but"):
        taken(Script([says(200, b"x", content_length="2")]))


def test_a_body_that_is_denied_is_a_failure() -> None:
    script = Script([s3_error("AccessDenied", 403, "User x is not authorized to perform: kms:Decrypt on y")])
    answer = script.connect().stream(GET, lambda: lambda piece: None)
    assert isinstance(answer, Failure) and "needs kms:Decrypt on its KMS key" in str(answer)


def test_a_disabled_key_is_told() -> None:
    answer = Script([s3_error("KMS.DisabledException")]).connect().stream(GET, lambda: lambda piece: None)
    assert isinstance(answer, Failure) and "enable that key again" in str(answer)


def test_a_call_may_say_its_action_itself() -> None:
    call = Call("s3", "get_bucket_example", action="s3:GetExample")
    assert iam_action(call) == "s3:GetExample"
    assert call == Call("s3", "get_bucket_example")


def test_a_version_of_an_object_has_an_action_of_its_own() -> None:
    assert iam_action(GET) == "s3:GetObject"
    assert iam_action(Call("s3", "head_object", {**GET.params, "VersionId": "1"})) == "s3:GetObjectVersion"


def test_a_bucket_that_is_looked_at_with_credentials_that_expired_meanwhile_says_so() -> None:
    """HeadBucket has no body: STS is asked again, although it has said before whose they are."""
    script = Script(by_operation={"HeadBucket": says(400), "GetCallerIdentity": WHO})
    aws = script.connect()
    aws.read([IDENTITY])
    script.by_operation["GetCallerIdentity"] = sts_error("ExpiredToken")
    with pytest.raises(CallFailed, match="have expired: get new ones"):
        aws.read([HEAD])


def test_a_bucket_that_is_refused_without_a_word_although_the_credentials_work_names_region_and_credentials() -> None:
    aws = Script(by_operation={"HeadBucket": says(400), "GetCallerIdentity": WHO}).connect()
    (answer,) = aws.read([HEAD])
    assert isinstance(answer, Failure)
    assert "AWS gives no reason" in str(answer)


LOOK = Call("s3", "head_object", {"Bucket": "tf-state", "Key": "k", "ExpectedBucketOwner": ACCOUNT})
SCP = "User: u is not authorized to perform: s3:GetObject with an explicit deny in a service control policy"
SSE_C = (
    "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to "
    "retrieve the object."
)
#: What GetObject is answered where HeadObject was refused without a word -> what is told.
WORDED = {
    "denied": (
        s3_error("AccessDenied", 403),
        "get_object on tf-state/k: AccessDenied; needs s3:GetObject; or the bucket is not of account",
    ),
    "by a policy": (s3_error("AccessDenied", 403, SCP), "needs s3:GetObject, which a service control policy denies"),
    "its key": (
        s3_error("AccessDenied", 403, "not authorized to perform: kms:Decrypt"),
        "needs kms:Decrypt on its KMS",
    ),
    "a disabled key": (s3_error("KMS.DisabledException"), "enable that key again"),
    "a key of its writer": (s3_error("InvalidRequest", 400, SSE_C), "only a client that has the key can read it"),
    "not at all": (says(206, b"{"), "head_object on tf-state/k: 403; needs s3:GetObject"),
    "gone by now": (s3_error("NoSuchKey", 404), "head_object on tf-state/k: 403; needs s3:GetObject"),
}


@pytest.mark.aws("1.4")
@pytest.mark.parametrize(("answered", "said"), WORDED.values(), ids=WORDED)
def test_an_object_that_is_refused_without_a_word_is_asked_for_once_more_in_words(
    answered: AWSResponse, said: str
) -> None:
    script = Script(by_operation={"HeadObject": says(403), "GetObject": answered})
    (answer,) = script.connect().read([LOOK])
    assert isinstance(answer, Failure) and said in str(answer)
    assert header(script, "range") == "bytes=0-0"
    assert header(script, "x-amz-expected-bucket-owner") == ACCOUNT


@pytest.mark.aws("1.4", "6.7")
def test_an_object_that_is_looked_at_with_credentials_that_expired_meanwhile_says_so() -> None:
    answers = {"HeadObject": says(400), "HeadBucket": says(400), "GetCallerIdentity": sts_error("ExpiredToken")}
    script = Script(by_operation=answers)  # botocore asks for the bucket's region
    with pytest.raises(CallFailed, match="have expired: get new ones"):
        script.connect().read([LOOK])


@pytest.mark.aws("6.7")
def test_an_object_that_is_looked_at_with_a_wrong_secret_blames_no_permission() -> None:
    script = Script(by_operation={"HeadObject": says(403), "GetObject": s3_error("SignatureDoesNotMatch", 403)})
    with pytest.raises(CallFailed, match="the signature is wrong: check the secret key"):
        script.connect().read([LOOK])


ADVISED = {
    "throttled": (s3_error("SlowDown", 503), "was asked too much"),
    "of little capacity": (
        s3_error("ProvisionedThroughputExceededException"),
        "for its capacity .* take PAY_PER_REQUEST with tf_lock_table",
    ),
    "broken": (s3_error("InternalError", 500), "AWS itself failed, which passes: run again"),
    "not there yet": (s3_error("NoSuchBucket", 404), "there is no such bucket: check its name"),
}


@pytest.mark.parametrize(("error", "said"), ADVISED.values(), ids=ADVISED)
def test_what_passes_says_that_it_does(error: AWSResponse, said: str) -> None:
    (answer,) = Script([error]).connect(timeout_s=0).read([VERSIONING])
    assert isinstance(answer, Failure)
    assert re.search(said, str(answer))


# KMS keys.


@pytest.mark.aws("4.9")
def test_a_key_is_known_by_its_arn() -> None:
    assert Script([described_key()]).connect().key_arn("alias/state", must_exist=True) == KEY


UNUSABLE = {
    "pending deletion": ({"KeyState": "PendingDeletion"}, "it is PendingDeletion: cancel its deletion"),
    "for signing": ({"KeyUsage": "SIGN_VERIFY"}, "it is no symmetric encryption key"),
    "asymmetric": ({"KeySpec": "RSA_4096"}, "it is no symmetric encryption key"),
    "elsewhere": ({"Arn": KEY.replace(REGION, "af-south-1")}, "it lies in af-south-1, not in eu-west-1"),
}


@pytest.mark.aws("4.9", "4.10", "5.1")
@pytest.mark.parametrize(("changed", "said"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_key_that_cannot_encrypt_is_said(changed: dict[str, str], said: str) -> None:
    with pytest.raises(Invalid, match=f"kms_key_id alias/state cannot be used: {said}"):
        Script([described_key(**changed)]).connect().key_arn("alias/state", must_exist=True)


@pytest.mark.aws("5.1")
@pytest.mark.parametrize(
    "part", [("eu-west-1", "af-south-1"), ("arn:aws:", "arn:aws-cn:")], ids=["region", "partition"]
)
def test_a_key_whose_arn_lies_elsewhere_is_refused_though_it_may_not_be_described(part: tuple[str, str]) -> None:
    script = Script([json_error("AccessDeniedException")])
    with pytest.raises(
        Invalid, match=r"cannot be used: choose a key in eu-west-1, whose ARN begins with arn:aws:kms:eu-"
    ):
        script.connect().key_arn(KEY.replace(*part), must_exist=True)
    assert script.requests == []


def test_a_key_in_use_is_only_named_whatever_its_state() -> None:
    assert Script([described_key(KeyState="Disabled")]).connect().key_arn("alias/state", must_exist=False) == KEY


def test_a_key_that_is_none_is_said() -> None:
    with pytest.raises(Invalid, match=r"kms_key_id alias/nope cannot be used: .*NotFoundException"):
        Script([json_error("NotFoundException")]).connect().key_arn("alias/nope", must_exist=True)


def test_a_key_in_use_that_is_gone_is_called_as_it_was() -> None:
    aws = Script([json_error("NotFoundException")]).connect()
    assert aws.key_arn("alias/gone", must_exist=False) == "alias/gone"


def test_a_managed_key_is_made_by_its_first_use() -> None:
    aws = Script([json_error("NotFoundException")]).connect()
    assert aws.key_arn("alias/aws/dynamodb", must_exist=True) == "alias/aws/dynamodb"


def test_a_key_of_another_account_that_may_not_be_described_is_a_warning() -> None:
    aws = Script([json_error("AccessDeniedException")]).connect()
    assert aws.key_arn(KEY, must_exist=True) == KEY
    assert "could not be checked" in aws.warnings[0]
    assert "needs kms:DescribeKey" in aws.warnings[0]


def test_an_alias_that_may_not_be_described_stands_for_nothing() -> None:
    with pytest.raises(Invalid, match=r"needs kms:DescribeKey.*or give the full ARN of the key as kms_key_id"):
        Script([json_error("AccessDeniedException")]).connect().key_arn("alias/theirs", must_exist=True)
