# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where requests go and for which region they are signed, and that every ARN lies in the partition of its region."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote, urlsplit

import botocore.exceptions
import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Call, Failure, Target, TfstateError
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.regions import partition_of
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.reconcile import reconcile
from ansible_collections.cornerstone.tfstate.plugins.module_utils._handover.readme import project_files
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.backend_files import backend_of, texts
from ansible_collections.cornerstone.tfstate.plugins.modules.tf_backend_handover import MODULE, project_of

from tests.unit.plugins.module_utils._aws.test_client import (
    DESCRIBE,
    IDENTITY,
    TABLE,
    VERSIONED,
    VERSIONING,
    WHO,
    Script,
    botocore_does_not_sleep,
    described_key,
    header,
    s3_error,
    says,
)
from tests.unit.plugins.module_utils.fake_aws import ACCOUNT, Bucket, FakeAws
from tests.unit.plugins.module_utils.starting_points import KINDS, NAME

__all__ = ["botocore_does_not_sleep"]

SCALED = Call("application-autoscaling", "describe_scalable_targets", {"ServiceNamespace": "dynamodb"})
CALLS = {
    "s3": VERSIONING,
    "dynamodb": DESCRIBE,
    "sts": IDENTITY,
    "kms": Call("kms", "describe_key", {"KeyId": "alias/state"}),
    "application-autoscaling": SCALED,
}
ANSWERS = {
    "GetBucketVersioning": VERSIONED,
    "DescribeTable": TABLE,
    "GetCallerIdentity": WHO,
    "DescribeKey": described_key(),
    "DescribeScalableTargets": says(200, b"{}"),
}
PARTITIONS = {
    "us-east-1": "aws",
    "eu-west-1": "aws",
    "af-south-1": "aws",
    "cn-north-1": "aws-cn",
    "us-gov-west-1": "aws-us-gov",
    "eusc-de-east-1": "aws-eusc",
}
SUFFIXES = {"aws-cn": "amazonaws.com.cn", "aws-eusc": "amazonaws.eu"}
every_region = pytest.mark.parametrize(("region", "partition"), PARTITIONS.items(), ids=PARTITIONS)
every_service = pytest.mark.parametrize("service", CALLS)


def asked(service: str, **options: Any) -> tuple[str, str]:
    """The host that a call of this service goes to, and the region and service that it is signed for."""
    script = Script(by_operation=ANSWERS)
    script.connect(**options).read([CALLS[service]])
    scope = header(script, "Authorization").partition("Credential=AKIATEST/")[2].partition(",")[0]
    _day, *signed, _end = scope.split("/")
    return str(urlsplit(script.requests[-1].url).hostname), "/".join(signed)


@pytest.mark.aws("6.3", "6.4")
@every_service
@every_region
def test_a_service_is_asked_in_the_region_and_signed_for_it(region: str, partition: str, service: str) -> None:
    host, signed = asked(service, region=region)
    where = f"{region}.{SUFFIXES.get(partition, 'amazonaws.com')}"
    expected = {f"tf-state.s3.{where}" if service == "s3" else f"{service}.{where}"}
    if (service, region) == ("s3", "us-east-1"):  # which botocore still calls by its old name
        expected.add("tf-state.s3.amazonaws.com")
    assert host in expected
    assert signed == f"{region}/{service}"


#: Region and service -> host with FIPS, and by dual stack.
VARIANTS = {
    ("us-east-1", "s3"): ("tf-state.s3-fips.us-east-1.amazonaws.com", "tf-state.s3.dualstack.us-east-1.amazonaws.com"),
    ("us-east-1", "dynamodb"): ("dynamodb-fips.us-east-1.amazonaws.com", "dynamodb.us-east-1.api.aws"),
    ("us-east-1", "sts"): ("sts-fips.us-east-1.amazonaws.com", "sts.us-east-1.api.aws"),
    ("us-east-1", "kms"): ("kms-fips.us-east-1.amazonaws.com", "kms.us-east-1.api.aws"),
    ("us-gov-west-1", "s3"): (
        "tf-state.s3-fips.us-gov-west-1.amazonaws.com",
        "tf-state.s3.dualstack.us-gov-west-1.amazonaws.com",
    ),
    ("us-gov-west-1", "sts"): ("sts.us-gov-west-1.amazonaws.com", "sts.us-gov-west-1.api.aws"),
    ("af-south-1", "s3"): (
        "tf-state.s3-fips.af-south-1.amazonaws.com",
        "tf-state.s3.dualstack.af-south-1.amazonaws.com",
    ),
    ("cn-north-1", "s3"): (None, "tf-state.s3.dualstack.cn-north-1.amazonaws.com.cn"),
    ("cn-north-1", "dynamodb"): (
        "dynamodb-fips.cn-north-1.amazonaws.com.cn",
        "dynamodb.cn-north-1.api.amazonwebservices.com.cn",
    ),
}
WAYS = {"the shell": True, "aws_config": False}


def by(way: str, variant: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The options of a task that wants the variant, or the variable of its shell."""
    if WAYS[way]:
        monkeypatch.setenv(f"AWS_USE_{variant.upper()}_ENDPOINT", "true")
        return {}
    return {"aws_config": {f"use_{variant}_endpoint": True}}


@pytest.mark.aws("6.4")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("place", VARIANTS, ids="-".join)
def test_fips_and_dual_stack_are_asked_for_by_the_shell_or_the_task(
    place: tuple[str, str], way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    region, service = place
    for variant, host in zip(("fips", "dualstack"), VARIANTS[place], strict=True):
        with monkeypatch.context() as patch:
            options = by(way, variant, patch)
            if host:
                assert asked(service, region=region, **options) == (host, f"{region}/{service}")
            else:
                with pytest.raises(TfstateError, match="AWS has no such endpoint: check AWS_USE_FIPS_ENDPOINT"):
                    asked(service, region=region, **options)


@pytest.mark.aws("6.3")
@every_region
@pytest.mark.parametrize(
    "endpoint", [None, "https://vpce-1.example"], ids=["AWS's endpoint", "an endpoint of one's own"]
)
def test_a_partition_is_known_by_its_region(region: str, partition: str, endpoint: str | None) -> None:
    assert Script().connect(region=region, endpoint_url=endpoint).partition() == partition
    assert partition_of(region).name == partition
    assert partition_of(partition_of(region).home).name == partition


OPTIONS: dict[str, dict[str, Any]] = {
    "bucket": {
        "minimum_tls_version": "1.3",
        "allowed_organization_ids": ["o-1234567890"],
        "allowed_vpc_endpoint_ids": ["vpce-1"],
        "policy_statements": [
            {
                "Sid": "Audit",
                "Effect": "Allow",
                "Principal": {"AWS": "444455556666"},
                "Action": "s3:ListBucket",
                "Resource": "arn:{partition}:s3:::" + NAME,
            }
        ],
    },
    "table": {},
}


@pytest.mark.aws("6.3")
@every_region
@pytest.mark.parametrize("kind", KINDS)
def test_every_arn_that_a_run_tells_or_writes_lies_in_the_partition(
    kind: str, region: str, partition: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = {"Account": ACCOUNT, "Arn": f"arn:{partition}:iam::{ACCOUNT}:user/tester"}
    monkeypatch.setattr(FakeAws, "_sts_get_caller_identity", lambda _aws, _params: who)
    monkeypatch.setattr(FakeAws, "partition", lambda _aws: partition)
    params = json.loads(json.dumps(OPTIONS[kind]).replace("{partition}", partition))
    target = Target(NAME, region, owner=ACCOUNT)
    outcome = reconcile(
        KINDS[kind].world(None), KINDS[kind].resource, target, {"state": "present", **params}, check_mode=True
    )
    said = str((outcome.target.arn, outcome.changes, outcome.after))
    assert f"arn:{partition}:" in said
    assert said.count("arn:") == said.count(f"arn:{partition}:")


@pytest.mark.aws("6.3")
@every_region
def test_the_files_of_a_backend_name_the_partition(region: str, partition: str) -> None:
    given = {"name": region, "bucket": "tf-state", "region": region, "table": "tf-locks", "key": "k"}
    backend = backend_of({**given, "lock_mode": "both", "encryption": "AES256", "client_version": ">= 1.10"})
    written = "\n".join(texts(backend, "backends").values())
    assert f"arn:{partition}:s3:::tf-state" in written
    assert written.count("arn:") == written.count(f"arn:{partition}:")


@pytest.mark.aws("6.3")
@every_region
def test_the_project_that_takes_a_backend_over_names_the_partition(
    region: str, partition: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = {"Account": ACCOUNT, "Arn": f"arn:{partition}:iam::{ACCOUNT}:user/tester"}
    monkeypatch.setattr(FakeAws, "_sts_get_caller_identity", lambda _aws, _params: who)
    monkeypatch.setattr(FakeAws, "partition", lambda _aws: partition)
    key = f"arn:{partition}:kms:{region}:{ACCOUNT}:key/1111"
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    statement = {
        **OPTIONS["bucket"]["policy_statements"][0],
        "Principal": {"AWS": f"arn:{partition}:iam::{ACCOUNT}:root"},
    }
    statement["Resource"] = f"arn:{partition}:s3:::{NAME}"
    found = Bucket(region=region, encryption=rule, policy={"Version": "2012-10-17", "Statement": [statement]})
    defaults = {name: option.get("default") for name, option in MODULE.spec.items()}
    asked = {**defaults, "name": "x", "directory": "x", "region": region, "bucket": NAME}
    written = "\n".join(project_files(project_of(FakeAws(buckets={NAME: found}), asked)).values())
    assert key in written
    assert f"arn:{partition}:s3:::{NAME}" in written
    assert not [line for line in written.splitlines() if "arn:" in line and f"arn:{partition}:" not in line]


ACCESS_POINTS = Call("s3control", "list_access_points", {"Bucket": NAME})
LISTED = says(200, b"<ListAccessPointsResult><AccessPointList/></ListAccessPointsResult>")


def test_access_points_are_listed_at_the_host_of_their_account() -> None:
    script = Script(by_operation={"GetCallerIdentity": WHO, "ListAccessPoints": LISTED})
    (answer,) = script.connect(region="eu-west-1").read([ACCESS_POINTS])
    assert not isinstance(answer, Failure)
    url = urlsplit(script.requests[-1].url)
    assert (url.hostname, url.query) == (f"{ACCOUNT}.s3-control.eu-west-1.amazonaws.com", f"bucket={NAME}")


@pytest.mark.parametrize(
    ("endpoint", "code"),
    [("https://minio.example.com", "NotImplemented"), ("https://s3.eu-west-1.amazonaws.com", "NoEndpoint")],
)
def test_access_points_are_listed_nowhere_else(endpoint: str, code: str) -> None:
    script = Script(by_operation={"GetCallerIdentity": WHO})
    (answer,) = script.connect(region="eu-west-1", endpoint_url=endpoint).read([ACCESS_POINTS])
    assert isinstance(answer, Failure) and answer.code == code
    assert not script.requests


def test_s3_control_that_does_not_answer_stops_nothing() -> None:
    lost = botocore.exceptions.EndpointConnectionError(endpoint_url="https://s3-control.eu-west-1.amazonaws.com")
    script = Script(by_operation={"GetCallerIdentity": WHO, "ListAccessPoints": lost})
    (answer,) = script.connect(region="eu-west-1").read([ACCESS_POINTS])
    assert isinstance(answer, Failure) and "cannot be reached" in str(answer)


@pytest.mark.aws("2.8", "6.3", "6.4")
@every_region
def test_the_tags_of_a_bucket_are_written_at_the_host_of_its_account(region: str, partition: str) -> None:
    """Where tags grant access; S3 Control has no host but those of accounts."""
    arn = f"arn:{partition}:s3:::{NAME}"
    refused = s3_error("MethodNotAllowed", 405)
    script = Script(by_operation={"GetCallerIdentity": WHO, "PutBucketTagging": refused, "TagResource": says(204)})
    call = Call("s3control", "tag_resource", {"ResourceArn": arn, "Tags": [{"Key": "a", "Value": "1"}]})
    whole = Call("s3", "put_bucket_tagging", {"Bucket": NAME, "Tagging": {"TagSet": []}}, instead=(call,))
    script.connect(region=region).write(whole)
    url = urlsplit(script.requests[-1].url)
    assert url.hostname == f"{ACCOUNT}.s3-control.{region}.{SUFFIXES.get(partition, 'amazonaws.com')}"
    assert unquote(url.path).endswith(arn)
    assert f"/{region}/s3/aws4_request" in header(script, "Authorization")
