# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Backends of another tool in an inventory: written down, bootstrapped, and put back, by the playbooks."""

from __future__ import annotations

import json

import yaml

from tests.playbooks.project import Project
from tests.support.emulators import RunningEmulator
from tests.support.relay import Relay


def test_an_inventory_is_adopted_bootstrapped_and_put_back(
    project: Project, relay: Relay, emulator: RunningEmulator, unique: str
) -> None:
    name, note = f"made-{unique}", "{{ 7 * 7 }}"
    s3, dynamodb = emulator.client("s3"), emulator.client("dynamodb")
    s3.create_bucket(Bucket=name, ObjectOwnership="BucketOwnerPreferred")
    tags = [{"Key": "Terraform", "Value": "true"}, {"Key": "note", "Value": note}]
    s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tags})
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=name, Key="net/terraform.tfstate", Body=json.dumps({"version": 4}).encode())
    dynamodb.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    dynamodb.put_item(
        TableName=name, Item={"LockID": {"S": f"{name}/net/terraform.tfstate-md5"}, "Digest": {"S": "0" * 32}}
    )
    host = {"terraform_backend_bucket_name": name, "terraform_backend_table_name": name}
    project.inventory({"eu-1": {**host, "terraform_backend_region": "us-east-1"}})
    start = len(relay.writes)
    first = project.play("cornerstone.tfstate.adopt")
    assert first.code == 0, first.output
    assert relay.writes[start:] == []
    file = project.home / "inventory" / "host_vars" / "eu-1" / "adopted.yml"
    assert f'!unsafe "{note}"' in file.read_text()
    record = project.home / "terraform-backends" / "adopted" / "eu-1.json"
    assert record.stat().st_mode & 0o777 == 0o600

    refused = project.play("cornerstone.tfstate.bootstrap")
    assert refused.code != 0
    assert "terraform_backend_bucket_allow: [shared_management]" in refused.output.replace("\n", " "), refused.output
    assert relay.writes[start:] == [], "neither bucket nor table was written to"
    words = json.dumps({f"terraform_backend_{kind}_allow": ["shared_management"] for kind in ("bucket", "table")})
    done = project.play("cornerstone.tfstate.bootstrap", "-e", words)
    assert done.code == 0, done.output
    assert {each["Key"]: each["Value"] for each in s3.get_bucket_tagging(Bucket=name)["TagSet"]}["note"] == note
    described = json.loads((project.home / "backends" / "eu-1" / "backend-config.json").read_text())
    assert (described["key"], described["lock_mode"]) == ("net/terraform.tfstate", "dynamodb")
    second = project.play("cornerstone.tfstate.adopt", "-e", "cornerstone_tfstate_in_process=false")
    assert (second.code, second.recap["eu-1"]["changed"]) == (0, 0), second.output
    assert yaml.safe_load(file.read_text().replace("!unsafe ", ""))["terraform_backend_lock_mode"] == "dynamodb"

    allow = (
        "terraform_backend_unadopt_allow=shared_management,weaken_policy,enable_acls,disable_deletion_protection,"
        "disable_recovery,open_public_access"
    )
    back = project.play("cornerstone.tfstate.unadopt", "-e", allow)
    assert back.code == 0, back.output
    rules = s3.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]["Rules"]
    assert rules == [{"ObjectOwnership": "BucketOwnerPreferred"}]
    assert not dynamodb.describe_table(TableName=name)["Table"].get("DeletionProtectionEnabled")
