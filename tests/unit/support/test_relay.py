# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The relay passes everything on, tells what it saw, and answers as a scenario says."""

from __future__ import annotations

import http.client
import math
import threading
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError

from tests.support.emulators import RunningEmulator, client
from tests.support.relay import Relay, delay, error, lose_reply, reset_connection, stale, then

NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def s3(relay: Relay) -> Any:
    return client(relay.url, "s3")


@pytest.fixture
def bucket(s3: Any, relay: Relay, bucket_name: str) -> str:
    s3.create_bucket(Bucket=bucket_name)
    relay.calls.clear()
    return bucket_name


def enable_versioning(s3: Any, bucket: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


def versioning(s3: Any, bucket: str) -> str | None:
    status: str | None = s3.get_bucket_versioning(Bucket=bucket).get("Status")
    return status


def test_calls_are_logged_in_order_with_resource_and_status(relay: Relay, s3: Any, bucket: str):
    enable_versioning(s3, bucket)
    with pytest.raises(ClientError):
        s3.get_bucket_policy(Bucket=bucket)
    seen = [(call.number, call.name, call.resource, call.status) for call in relay.calls]
    assert seen == [(1, "PutBucketVersioning", bucket, 200), (2, "GetBucketPolicy", bucket, 404)]
    assert [call.name for call in relay.writes] == ["PutBucketVersioning"]


@pytest.mark.parametrize("size", [0, 1, 5_000_000])
def test_objects_pass_unchanged(s3: Any, bucket: str, size: int):
    content = bytes(range(256)) * (size // 256 + 1)
    s3.put_object(Bucket=bucket, Key="a b/ü", Body=content[:size])
    assert s3.get_object(Bucket=bucket, Key="a b/ü")["Body"].read() == content[:size]


def test_chunked_uploads_pass_unchanged(emulator: RunningEmulator, relay: Relay, bucket: str):
    chunks = [b"abc", b"defgh" * 10_000]
    connection = http.client.HTTPConnection(relay.url.removeprefix("http://"))
    connection.request("PUT", f"/{bucket}/k", body=iter(chunks), encode_chunked=True)
    assert connection.getresponse().status == 200
    connection.close()
    assert emulator.client("s3").get_object(Bucket=bucket, Key="k")["Body"].read() == b"".join(chunks)


def test_one_client_connection_serves_answers_with_and_without_a_body(relay: Relay, s3: Any, bucket: str):
    connection = http.client.HTTPConnection(relay.url.removeprefix("http://"))
    for method, path, status in [
        ("DELETE", f"/{bucket}/none", 204),
        ("HEAD", f"/{bucket}", 200),
        ("HEAD", f"/{bucket}/none", 404),
        ("GET", f"/{bucket}?versioning", 200),
        ("DELETE", f"/{bucket}?tagging", 204),
        ("GET", f"/{bucket}?location", 200),
    ]:
        connection.request(method, path)
        answer = connection.getresponse()
        assert (answer.status, bool(answer.read())) == (status, method == "GET"), path
    connection.close()


def test_an_error_takes_the_place_of_some_calls_and_the_emulator_never_hears_of_them(
    relay: Relay, s3: Any, bucket: str
):
    relay.on("PutBucketVersioning", nth=2, times=2, reply=error("OperationAborted", 409, "try again"))
    codes = []
    for _unused in range(4):
        try:
            enable_versioning(s3, bucket)
            codes.append(None)
        except ClientError as refusal:
            codes.append((refusal.response["Error"]["Code"], refusal.response["ResponseMetadata"]["HTTPStatusCode"]))
    assert codes == [None, ("OperationAborted", 409), ("OperationAborted", 409), None]


@pytest.mark.parametrize(
    ("service", "operation", "method", "params"),
    [
        ("s3", "GetBucketPolicy", "get_bucket_policy", {"Bucket": "some-bucket"}),
        ("dynamodb", "DescribeTable", "describe_table", {"TableName": "some-table"}),
        ("kms", "DescribeKey", "describe_key", {"KeyId": "some-key"}),
        ("sts", "GetCallerIdentity", "get_caller_identity", {}),
    ],
)
def test_errors_speak_the_protocol_of_their_service(service: str, operation: str, method: str, params: dict[str, str]):
    with Relay(NOBODY) as relay:
        relay.on(operation, reply=error("AccessDenied", 403, "no <you> don't"))
        with pytest.raises(ClientError) as refusal:
            getattr(client(relay.url, service), method)(**params)
    answer = refusal.value.response
    assert (answer["Error"]["Code"], answer["Error"]["Message"]) == ("AccessDenied", "no <you> don't")
    assert answer["ResponseMetadata"]["RequestId"]
    assert (relay.calls[0].service, relay.calls[0].status) == (service, 403)


def test_an_error_to_head_has_headers_and_no_body(relay: Relay, s3: Any):
    relay.on("HeadBucket", times=math.inf, reply=error("x", 400, headers={"x-amz-bucket-region": "eu-west-1"}))
    with pytest.raises(ClientError) as refusal:
        s3.head_bucket(Bucket="some-bucket")
    headers = refusal.value.response["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-amz-bucket-region"] == "eu-west-1"


def test_a_lost_reply_hides_a_write_that_happened(relay: Relay, s3: Any, bucket: str):
    relay.on("PutBucketVersioning", reply=lose_reply)
    with pytest.raises(ConnectionClosedError):
        enable_versioning(s3, bucket)
    assert relay.calls[0].status is None
    assert versioning(s3, bucket) == "Enabled"


def test_a_lost_reply_to_an_upload_hides_an_object_that_is_there(relay: Relay, s3: Any, bucket: str):
    relay.on("PutObject", reply=lose_reply)
    with pytest.raises(ConnectionClosedError):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x" * 300_000)
    assert s3.head_object(Bucket=bucket, Key="k")["ContentLength"] == 300_000


def test_a_reset_connection_hides_a_write_that_never_happened(relay: Relay, s3: Any, bucket: str):
    relay.on("PutBucketVersioning", reply=reset_connection)
    with pytest.raises((ConnectionClosedError, EndpointConnectionError)) as broken:
        enable_versioning(s3, bucket)
    assert "reset" in str(broken.value.kwargs["error"]).lower()
    assert versioning(s3, bucket) is None


def test_a_stale_read_repeats_the_answer_from_before_the_write(relay: Relay, s3: Any, bucket: str):
    relay.on("GetBucketVersioning", after="PutBucketVersioning", times=2, reply=stale)
    before = versioning(s3, bucket)
    enable_versioning(s3, bucket)
    assert [before, *(versioning(s3, bucket) for _unused in range(3))] == [None, None, None, "Enabled"]


def test_a_rule_after_another_call_counts_anew_for_each_resource(relay: Relay, s3: Any, bucket_name: str):
    relay.on("GetBucketVersioning", after="CreateBucket", times=1, reply=error("NoSuchBucket", 404))
    outcomes = []
    for name in (f"{bucket_name}-a", f"{bucket_name}-b"):
        s3.create_bucket(Bucket=name)
        for _unused in range(2):
            try:
                outcomes.append(versioning(s3, name))
            except ClientError as refusal:
                outcomes.append(refusal.response["Error"]["Code"])
    assert outcomes == ["NoSuchBucket", None, "NoSuchBucket", None]


def test_a_rule_may_name_its_resource(relay: Relay, s3: Any, bucket: str):
    rule = relay.on("HeadBucket", resource="another", reply=error("x", 500))
    s3.head_bucket(Bucket=bucket)
    assert relay.unfired == [rule]


def test_rules_combine_so_that_an_error_can_be_slow(relay: Relay, s3: Any, bucket: str):
    relay.on("GetBucketPolicy", reply=delay(0.2))
    relay.on("GetBucketPolicy", reply=error("SlowDown", 503))
    start = time.monotonic()
    with pytest.raises(ClientError, match="SlowDown"):
        s3.get_bucket_policy(Bucket=bucket)
    assert time.monotonic() - start > 0.2
    assert relay.unfired == []


def test_the_callback_comes_when_the_kth_call_is_done_and_not_yet_answered(
    emulator: RunningEmulator, relay: Relay, s3: Any, bucket: str
):
    seen: list[tuple[str, str | None, bool]] = []
    relay.kill_after(2, lambda call: seen.append((call.name, versioning(emulator.client("s3"), bucket), is_answered)))
    is_answered = False
    s3.head_bucket(Bucket=bucket)
    enable_versioning(s3, bucket)
    is_answered = True
    s3.head_bucket(Bucket=bucket)
    assert seen == [("PutBucketVersioning", "Enabled", False)]


def test_a_misspelt_operation_is_refused_at_once(relay: Relay):
    with pytest.raises(ValueError, match="PutBucketLifecycle matches no operation"):
        relay.on("PutBucketLifecycle", reply=lose_reply)
    with pytest.raises(ValueError, match="CreateBuckets"):
        relay.on("Get*", after="CreateBuckets", reply=lose_reply)


def test_a_failing_hook_fails_the_test(ministack: RunningEmulator):
    def fail(call: object) -> None:
        raise LookupError("from the hook")

    with pytest.raises(LookupError, match="from the hook"), Relay(ministack.url) as relay:
        relay.on("ListBuckets", reply=then(fail))
        with pytest.raises(ConnectionClosedError):
            client(relay.url, "s3").list_buckets()


def test_ten_clients_at_once_are_served_and_counted(relay: Relay, s3: Any, bucket: str):
    threads = [
        threading.Thread(target=lambda: [s3.head_bucket(Bucket=bucket) for _unused in range(20)])
        for _unused in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [call.status for call in relay.calls] == [200] * 200
    assert sorted(call.number for call in relay.calls) == list(range(1, 201))


def test_the_relay_itself_carries_many_requests_a_second():
    """Alone it does thousands; the bound is what a test with an emulator behind may count on, on a busy machine."""
    with Relay(NOBODY) as relay:
        relay.on("*", times=math.inf, reply=error("SlowDown", 503))
        connection = http.client.HTTPConnection(relay.url.removeprefix("http://"))
        start = time.monotonic()
        for _unused in range(500):
            connection.request("GET", "/b?versioning")
            connection.getresponse().read()
        connection.close()
        assert 500 / (time.monotonic() - start) > 300


def test_a_closed_relay_answers_nobody(ministack: RunningEmulator):
    with Relay(ministack.url) as relay:
        connection = http.client.HTTPConnection(relay.url.removeprefix("http://"), timeout=5)
        connection.request("GET", "/")
        connection.getresponse().read()
    with pytest.raises(OSError):
        http.client.HTTPConnection(relay.url.removeprefix("http://"), timeout=5).request("GET", "/")
    connection.close()
