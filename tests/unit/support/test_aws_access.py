# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Each behaviour refuses whom its name says, in the words of each service, and nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.support import aws_access as aws
from tests.support.emulators import RunningEmulator, client
from tests.support.relay import Relay, Reply
from tests.unit.support.test_aws_behaviours import ON, answer


@pytest.fixture
def scripted(ministack: RunningEmulator) -> Iterator[Relay]:
    with Relay(ministack.url) as relay:
        yield relay


def asked(relay: Relay, region: str = "us-east-1", token: str | None = None) -> list[str]:
    """What S3, with and without a body, STS and DynamoDB answer; None is no bucket."""
    session = boto3.Session("test", "test", token, region_name=region)
    s3, sts, dynamodb = (session.client(name, endpoint_url=relay.url) for name in ("s3", "sts", "dynamodb"))
    return [
        answer(s3.list_buckets),
        answer(s3.head_bucket, Bucket="no-such-bucket"),
        answer(sts.get_caller_identity),
        answer(dynamodb.list_tables),
    ]


KNOWN = ["ok", "404", "ok", "ok"]
CALLERS: dict[str, tuple[Reply, list[str]]] = {
    "expired": (aws.credentials_have_expired, ["ExpiredToken", "400", "ExpiredToken", "ExpiredTokenException"]),
    "skewed": (
        aws.clock_is_off(3),
        ["RequestTimeTooSkewed", "403", "SignatureDoesNotMatch", "InvalidSignatureException"],
    ),
    "denied": (aws.denied, ["AccessDenied", "403", "AccessDenied", "AccessDeniedException"]),
}


@pytest.mark.parametrize("case", CALLERS)
def test_every_service_refuses_in_its_own_words(scripted: Relay, case: str) -> None:
    behaviour, said = CALLERS[case]
    scripted.use(behaviour)
    assert asked(scripted) == said


def test_who_is_refused_for_his_clock_hears_the_time(scripted: Relay) -> None:
    scripted.use(aws.clock_is_off(-3))
    with pytest.raises(ClientError) as refusal:
        client(scripted.url, "s3").list_buckets()
    told = parsedate_to_datetime(refusal.value.response["ResponseMetadata"]["HTTPHeaders"]["date"])
    assert abs(told - datetime.now(timezone.utc) + timedelta(hours=3)) < timedelta(minutes=1)


def test_a_region_that_is_not_enabled_knows_nobody(scripted: Relay) -> None:
    scripted.use(aws.not_enabled("af-south-1"))
    assert asked(scripted, "af-south-1") == [
        *("InvalidAccessKeyId", "403"),
        *("InvalidClientTokenId", "UnrecognizedClientException"),
    ]
    assert asked(scripted) == KNOWN


def test_old_tokens_are_known_in_old_regions_alone(scripted: Relay) -> None:
    scripted.use(aws.global_tokens_are_unknown_in("af-south-1"))
    assert asked(scripted, "af-south-1", "v1")[0] == "InvalidToken"
    assert asked(scripted, "af-south-1") == asked(scripted, "us-east-1", "v1") == KNOWN


def test_single_operations_are_denied_on_single_resources(scripted: Relay, bucket_name: str) -> None:
    scripted.use(aws.denials("GetBucketVersioning", resource=bucket_name))
    s3 = client(scripted.url, "s3")
    for name in (bucket_name, f"{bucket_name}-2"):
        s3.create_bucket(Bucket=name)
    found = [answer(s3.get_bucket_versioning, Bucket=name) for name in (bucket_name, f"{bucket_name}-2")]
    assert found == ["AccessDenied", "ok"]
    assert answer(s3.get_bucket_acl, Bucket=bucket_name) == "ok"


def test_too_much_is_too_much_again_and_again(scripted: Relay) -> None:
    scripted.use(aws.SlowsDown(2, of=3))
    no_wait = boto3.Session("test", "test").client(
        "dynamodb", "us-east-1", endpoint_url=scripted.url, config=boto3.session.Config(retries={"max_attempts": 0})
    )
    assert [answer(no_wait.list_tables) for _unused in range(6)] == 2 * [*2 * ["ThrottlingException"], "ok"]


def test_puts_conflict_while_they_are_under_way(scripted: Relay, bucket_name: str) -> None:
    scripted.use(aws.ConcurrentPutsConflict())
    s3 = client(scripted.url, "s3")
    s3.create_bucket(Bucket=bucket_name)

    def put(_unused: Any) -> str:
        return answer(s3.put_bucket_versioning, Bucket=bucket_name, VersioningConfiguration=ON)

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(put, range(2))) == ["OperationAborted", "ok"]
    assert put(None) == "ok"


@pytest.mark.parametrize("status", [301, 307, 400])
def test_a_client_is_led_to_the_region_of_a_bucket(scripted: Relay, bucket_name: str, status: int) -> None:
    scripted.use(aws.BucketsLieIn("eu-central-1", status))
    there = {"LocationConstraint": "eu-central-1"}
    client(scripted.url, "s3", "eu-central-1").create_bucket(Bucket=bucket_name, CreateBucketConfiguration=there)
    s3 = client(scripted.url, "s3")
    assert s3.head_bucket(Bucket=bucket_name)["BucketRegion"] == "eu-central-1"
    s3.put_bucket_versioning(Bucket=bucket_name, VersioningConfiguration=ON)
    assert [(call.region, call.status) for call in scripted.calls[1:3]] == [
        ("us-east-1", status),
        ("eu-central-1", 200),
    ]
