# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Requests are named as AWS names them, and errors are shaped as AWS shapes them."""

from __future__ import annotations

import json

import botocore.session
import pytest

from tests.support.aws_wire import known_operations, recognise

SIGNED = "AWS4-HMAC-SHA256 Credential=AKIA/20260101/af-south-1/{}/aws4_request, SignedHeaders=host, Signature=0"
S3_REQUESTS = [
    ("GET", "/", "ListBuckets", ""),
    ("PUT", "/b", "CreateBucket", "b"),
    ("PUT", "/b/", "CreateBucket", "b"),
    ("HEAD", "/b", "HeadBucket", "b"),
    ("DELETE", "/b", "DeleteBucket", "b"),
    ("GET", "/b?list-type=2&prefix=x", "ListObjectsV2", "b"),
    ("GET", "/b?prefix=x", "ListObjects", "b"),
    ("GET", "/b?versions&key-marker=x", "ListObjectVersions", "b"),
    ("GET", "/b?versioning", "GetBucketVersioning", "b"),
    ("GET", "/b?versioning=", "GetBucketVersioning", "b"),
    ("PUT", "/b?publicAccessBlock", "PutPublicAccessBlock", "b"),
    ("PUT", "/b?lifecycle", "PutBucketLifecycleConfiguration", "b"),
    ("DELETE", "/b?lifecycle", "DeleteBucketLifecycle", "b"),
    ("GET", "/b?policyStatus", "GetBucketPolicyStatus", "b"),
    ("PUT", "/b?object-lock", "PutObjectLockConfiguration", "b"),
    ("POST", "/b?delete", "DeleteObjects", "b"),
    ("GET", "/b/a/b.tfstate?versionId=1", "GetObject", "b"),
    ("HEAD", "/b/k", "HeadObject", "b"),
    ("PUT", "/b/k?x-id=PutObject", "PutObject", "b"),
    ("PUT", "/b/k?tagging", "PutObjectTagging", "b"),
    ("PUT", "/b/k?partNumber=1&uploadId=u", "UploadPart", "b"),
    ("POST", "/b/k?uploads", "CreateMultipartUpload", "b"),
    ("POST", "/b/k?uploadId=u", "CompleteMultipartUpload", "b"),
    ("DELETE", "/b/k", "DeleteObject", "b"),
    ("PATCH", "/b/k", "Unknown", "b"),
]


@pytest.mark.parametrize(("method", "target", "operation", "bucket"), S3_REQUESTS)
def test_s3_requests_are_named_by_method_path_and_query(method: str, target: str, operation: str, bucket: str):
    found = recognise(method, target, {"authorization": SIGNED.format("s3")}, pytest.fail)
    assert (found.service, found.name, found.resource, found.region) == ("s3", operation, bucket, "af-south-1")


def test_a_copy_is_told_from_a_put_by_its_header():
    assert recognise("PUT", "/b/k", {"x-amz-copy-source": "/b/old"}, pytest.fail).name == "CopyObject"


def test_an_object_key_is_a_parameter():
    assert recognise("GET", "/b/a%20b/c?versionId=7", {}, pytest.fail).params == {"Key": "a b/c", "versionId": "7"}


@pytest.mark.parametrize(
    "params", [{"TableName": "t"}, {"ResourceArn": "arn:aws:dynamodb:af-south-1:1:table/t"}, {"KeyId": "t"}]
)
def test_json_requests_are_named_by_their_target_header(params: dict[str, str]):
    headers = {"authorization": SIGNED.format("dynamodb"), "x-amz-target": "DynamoDB_20120810.UpdateTable"}
    found = recognise("POST", "/", headers, lambda: json.dumps(params).encode())
    assert (found.service, found.name, found.resource, found.params) == ("dynamodb", "UpdateTable", "t", params)


def test_form_requests_are_named_by_their_action():
    headers = {
        "authorization": SIGNED.format("sts"),
        "content-type": "application/x-www-form-urlencoded; charset=utf-8",
    }
    found = recognise("POST", "/", headers, lambda: b"Action=AssumeRole&RoleArn=arn%3Aaws&Version=2011-06-15")
    assert (found.service, found.name, found.resource, found.is_write) == ("sts", "AssumeRole", "arn:aws", False)


def test_reads_are_told_from_writes():
    model = botocore.session.Session().get_service_model("dynamodb")
    writes = {name for name in model.operation_names if recognise_json(name).is_write}
    assert {"PutItem", "DeleteItem", "CreateTable", "UpdateTable", "TagResource", "UpdateContinuousBackups"} <= writes
    assert not writes & {"GetItem", "DescribeTable", "ListTagsOfResource", "Query", "Scan", "BatchGetItem"}


def recognise_json(name: str):
    return recognise("POST", "/", {"x-amz-target": f"DynamoDB_20120810.{name}"}, lambda: b"{}")


def test_retired_names_are_not_known():
    assert "PutBucketLifecycleConfiguration" in known_operations()
    assert "PutBucketLifecycle" not in known_operations()
