# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Uploads to a bucket whose policy demands that they name an encryption."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.client import Aws, Connection
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Call, CallFailed

from tests.unit.plugins.module_utils.fake_aws import Bucket, Rejected
from tests.unit.plugins.module_utils.fake_backend import FakeBackend

B, KEY = "acme-state", "arn:aws:kms:us-east-1:111122223333:key/k"
DENY = {
    **{"Sid": "DenyUnEncryptedObjectUploads", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject"},
    **{"Resource": f"arn:aws:s3:::{B}/*", "Condition": {"Null": {"s3:x-amz-server-side-encryption": "true"}}},
}
PUT = Call("s3", "put_object", {"Bucket": B, "Key": "a.tfstate", "Body": b"{}", "IfNoneMatch": "*"})


class Demanding(FakeBackend):
    """Denies an upload that does not name this algorithm."""

    demanded = "aws:kms"

    def _s3_put_object(self, params: Any) -> Any:
        if params.get("ServerSideEncryption") != self.demanded:
            raise Rejected("AccessDenied", "with an explicit deny in a resource-based policy")
        return super()._s3_put_object(params)


@pytest.fixture
def fake() -> Iterator[Demanding]:
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY}}
    policy = {"Version": "2012-10-17", "Statement": [DENY]}
    fake = Demanding(buckets={B: Bucket(region="us-east-1", encryption=rule, policy=policy)})
    with pytest.MonkeyPatch.context() as patch:
        fake.use_for(patch)
        yield fake


def client(fake: FakeBackend) -> Aws:
    return Aws(Connection(region="us-east-1", endpoint_url=fake.url), 5)


def operations(fake: FakeBackend) -> list[str]:
    return [call.name for call in fake.relay.calls if call.name != "GetCallerIdentity"]


def test_a_denied_upload_is_sent_as_the_bucket_encrypts_by_default_and_later_ones_at_once(fake: Demanding) -> None:
    aws = client(fake)
    aws.write(PUT)
    (sent,) = (call for call in fake.relay.calls if call.name == "PutObject" and call.status == 200)
    named = {name: sent.call.params[name] for name in ("ServerSideEncryption", "SSEKMSKeyId", "IfNoneMatch")}
    assert named == {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": KEY, "IfNoneMatch": "*"}
    aws.write(Call("s3", "put_object", {**PUT.params, "Key": "b.tfstate"}))
    assert operations(fake) == ["PutObject", "GetBucketEncryption", "PutObject", "PutObject"]


def test_an_upload_that_is_not_denied_takes_no_further_request(fake: Demanding) -> None:
    client(fake).write(Call("s3", "put_object", {**PUT.params, "ServerSideEncryption": "aws:kms"}))
    assert operations(fake) == ["PutObject"]


def test_the_condition_of_a_lock_holds_for_the_second_attempt(fake: Demanding) -> None:
    client(fake).write(PUT)
    with pytest.raises(CallFailed) as failed:
        client(fake).write(PUT)
    assert failed.value.failure.code == "PreconditionFailed"


def test_a_demand_that_the_default_does_not_meet_is_named(fake: Demanding) -> None:
    fake.demanded = "aws:kms:dsse"
    with pytest.raises(CallFailed) as failed:
        client(fake).write(PUT)
    told = str(failed.value)
    assert "DenyUnEncryptedObjectUploads" in told and "set encryption and kms_key_id" in told
    assert "needs s3:PutObject" not in told


def test_a_permission_that_is_missing_is_still_named(fake: Demanding) -> None:
    fake.demanded, fake.buckets[B].policy = "none", None
    with pytest.raises(CallFailed, match="s3:PutObject"):
        client(fake).write(PUT)


def test_what_the_bucket_does_not_tell_changes_nothing(fake: Demanding) -> None:
    fake.faults = {"get_bucket_encryption": ["AccessDenied"], "get_bucket_policy": ["AccessDenied"]}
    with pytest.raises(CallFailed, match="put_object on"):
        client(fake).write(PUT)
    assert "PutObject" in operations(fake)
