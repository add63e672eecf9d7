# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the destination decides: the encryption that code asks for, and what an audit of the source reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.integration.module_runs import Task, through_core
from tests.integration.moves import KEY, World, state
from tests.support.relay import error


def encrypted(world: World, **default: str) -> None:
    rules = [{"ApplyServerSideEncryptionByDefault": default}]
    world.new.s3.put_bucket_encryption(Bucket=world.new.bucket, ServerSideEncryptionConfiguration={"Rules": rules})


def block(world: World, project: Path, **params: Any) -> str:
    result = world.moved(project=str(project), check_mode=True, **params)
    return " ".join(result["project"]["block"].split())


def test_the_code_asks_for_the_encryption_that_the_bucket_has(world: World, project: Path):
    encrypted(world, SSEAlgorithm="aws:kms", KMSMasterKeyID="arn:aws:kms:eu-west-1:000000000000:key/k")
    assert 'kms_key_id = "arn:aws:kms:eu-west-1:000000000000:key/k"' in block(world, project)
    assert "kms_key_id" not in block(world, project, encryption="AES256")
    encrypted(world, SSEAlgorithm="aws:kms")
    assert 'kms_key_id = "alias/aws/s3"' in block(world, project)
    encrypted(world, SSEAlgorithm="AES256")
    assert "kms_key_id" not in block(world, project)


def test_encryption_that_cannot_be_read_is_a_warning(world: World, project: Path):
    world.relay.on("GetBucketEncryption", reply=error("AccessDenied", 403))
    result = world.moved(project=str(project))
    assert [text for text in result["warnings"] if "s3:GetEncryptionConfiguration" in text and "AES256" in text]


def test_the_audit_tells_what_has_moved_and_where_to(world: World):
    world.old.put(state())
    world.moved()
    connection = {"endpoint_url": world.relay.url, "access_key": "test", "secret_key": "test"}
    old = {"region": world.old.region, "bucket": world.old.bucket, "table": world.old.table}
    (result,) = through_core([Task("tf_backend_audit", {**connection, **old})])
    found = [each for each in result["findings"] if each["id"].startswith("lock.")]
    assert [(each["id"], each["severity"]) for each in found] == [("lock.moved_state", "info")] * 2
    assert f"to s3://{world.new.bucket}/{KEY}" in found[0]["detail"]
