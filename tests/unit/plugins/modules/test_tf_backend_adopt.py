# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Backends as public tools make them, adopted: nothing weaker, no dispute, drift found, and put back as they were.

The settings are those that the sources of each tool have by default, with invented names.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.client import Aws
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Failure, Target
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import ModuleEntry
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import TABLE
from ansible_collections.cornerstone.tfstate.plugins.modules import (
    tf_backend_adopt,
    tf_backend_audit,
    tf_backend_info,
    tf_lock_table,
    tf_state_bucket,
)
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions import role_variables

from tests.unit.plugins.module_utils.fake_aws import ACCOUNT, FLAGS, Bucket, Table
from tests.unit.plugins.module_utils.fake_backend import FakeBackend

REGION = "us-east-1"
B, T, LOGS = "acme-state", "acme-locks", "acme-logs"
ARN = f"arn:aws:s3:::{B}"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
ALL_BLOCKED, NONE_BLOCKED = dict.fromkeys(FLAGS, True), dict.fromkeys(FLAGS, False)
EVERYTHING = [ARN, f"{ARN}/*"]
PREFERRED, ENFORCED = "BucketOwnerPreferred", "BucketOwnerEnforced"


def sse(algorithm: str, key: str | None = None, bucket_key: bool = False) -> dict[str, Any]:
    named = {"KMSMasterKeyID": key} if key else {}
    return {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm, **named},
        "BucketKeyEnabled": bucket_key,
    }


def deny_http(sid: str, principal: Any = "*") -> dict[str, Any]:
    condition = {"Bool": {"aws:SecureTransport": "false"}}
    return {
        **{"Sid": sid, "Effect": "Deny", "Principal": principal, "Action": "s3:*"},
        **{"Resource": EVERYTHING, "Condition": condition},
    }


def deny_put(sid: str, condition: Any) -> dict[str, Any]:
    return {
        **{"Sid": sid, "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject"},
        **{"Resource": f"{ARN}/*", "Condition": condition},
    }


def policy(*statements: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", **more, "Statement": [*statements]}


ROOT = {
    **{"Sid": "RootAccess", "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}},
    **{"Action": "s3:*", "Resource": EVERYTHING},
}
HEADER = "s3:x-amz-server-side-encryption"


def expiring(name: str, days: int, **more: Any) -> dict[str, Any]:
    noncurrent = {"NoncurrentVersionExpiration": {"NoncurrentDays": days}}
    return {"ID": name, "Status": "Enabled", "Filter": {"Prefix": ""}, **noncurrent, **more}


@dataclass
class Made:
    """A backend as a tool makes it."""

    bucket: Bucket
    table: Table | None
    #: What shows of it; None where it leaves nothing behind.
    maker: str | None
    #: What its next run sets to what it was, by the names of the fields.
    sets: tuple[str, ...] = ()
    table_sets: tuple[str, ...] = ()


def on_demand(**more: Any) -> Table:
    return Table(was_on_demand=True, **more)


MADE = {
    "nozaq/remote-state-s3-backend": Made(
        Bucket(
            versioning="Enabled",
            encryption=sse("aws:kms", KEY),
            ownership=PREFERRED,
            lifecycle=[
                {
                    **{"ID": "tf-s3", "Status": "Enabled", "Filter": {"Prefix": ""}},
                    "NoncurrentVersionTransitions": [{"NoncurrentDays": 7, "StorageClass": "GLACIER"}],
                }
            ],
            policy=policy(deny_http("AllowSSLRequestsOnly")),
            tags={"Terraform": "true"},
        ),
        on_demand(recovery_days=35, tags={"Terraform": "true"}),
        "Terraform",
        ("versioning", "encryption", "ownership", "lifecycle", "policy", "public_access", "tags"),
        ("protected", "recovery_days", "tags"),
    ),
    "cloudposse/tfstate-backend": Made(
        Bucket(
            versioning="Enabled",
            encryption=sse("AES256"),
            policy=policy(
                deny_put("DenyIncorrectEncryptionHeader", {"StringNotEquals": {HEADER: ["AES256", "aws:kms"]}}),
                deny_put("DenyUnEncryptedObjectUploads", {"Null": {HEADER: "true"}}),
                deny_http("EnforceTlsRequestsOnly", {"AWS": "*"}),
            ),
            logging={"TargetBucket": LOGS, "TargetPrefix": "logs/acme/"},
            tags={"Name": "acme-state", "Namespace": "acme", "Stage": "root"},
        ),
        on_demand(sse=KEY, recovery_days=35, tags={"Name": "acme-locks", "Attributes": "lock"}),
        "the Terraform module cloudposse/tfstate-backend",
        ("versioning", "encryption", "ownership", "policy", "public_access", "tags", "logging"),
        ("protected", "recovery_days", "tags", "sse"),
    ),
    "Terragrunt": Made(
        Bucket(
            versioning="Enabled",
            encryption=sse("aws:kms", bucket_key=True),
            ownership="ObjectWriter",
            policy=policy(ROOT, deny_http("EnforcedTLS")),
            tags={"owner": "terragrunt"},
        ),
        on_demand(tags={}),
        "Terragrunt",
        ("versioning", "encryption", "public_access"),
    ),
    "Account Factory for Terraform": Made(
        Bucket(
            versioning="Enabled",
            encryption=sse("aws:kms", KEY),
            ownership=PREFERRED,
            public_access={**NONE_BLOCKED, "BlockPublicAcls": True, "BlockPublicPolicy": True},
            policy=policy(deny_http("ssl")),
            tags={"Name": "aft-backend-primary-region", "managed_by": "AFT"},
        ),
        on_demand(replicas=["us-west-2"], tags={"managed_by": "AFT"}),
        "AWS Control Tower Account Factory for Terraform",
        ("versioning", "encryption", "ownership", "policy", "public_access", "tags"),
        ("protected", "tags"),
    ),
    "Atmos": Made(
        Bucket(
            versioning="Enabled", encryption=sse("AES256", bucket_key=False), tags={"Name": B, "ManagedBy": "Atmos"}
        ),
        None,
        "Atmos",
        ("versioning", "encryption", "public_access", "tags"),
    ),
    "CDK bootstrap": Made(
        Bucket(
            versioning="Enabled",
            encryption=sse("aws:kms", KEY),
            lifecycle=[
                expiring("CleanupOldVersions", 30),
                {
                    **{"ID": "Abort", "Status": "Enabled", "Filter": {"Prefix": ""}},
                    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
                },
            ],
            policy=policy(deny_http("AllowSSLRequestsOnly"), Id="AccessControl"),
            tags={"aws:cloudformation:stack-name": "CDKToolkit", "aws:cloudformation:logical-id": "StagingBucket"},
        ),
        None,
        "AWS CDK",
    ),
    "CloudFormation": Made(
        Bucket(
            versioning="Enabled",
            encryption=sse("aws:kms", KEY, True),
            logging={"TargetBucket": LOGS, "TargetPrefix": ""},
            lifecycle=[expiring("keep", 365)],
            tags={"aws:cloudformation:stack-name": "state", "CostCentre": "42"},
        ),
        on_demand(recovery_days=35, protected=True, tags={"aws:cloudformation:stack-name": "state"}),
        "AWS CloudFormation",
    ),
    "terraform-aws-modules/s3-bucket": Made(
        Bucket(
            versioning="Enabled",
            encryption=sse("aws:kms", KEY),
            policy=policy(deny_http("denyInsecureTransport"), ROOT | {"Sid": "Readers"}),
            ownership=ENFORCED,
        ),
        Table(capacity={"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}, table_class="STANDARD_INFREQUENT_ACCESS"),
        "the Terraform module terraform-aws-modules/s3-bucket",
        ("versioning", "encryption", "policy", "public_access", "ownership"),
    ),
    "tfscaffold": Made(
        Bucket(
            versioning="Enabled",
            encryption=sse("aws:kms", KEY),
            ownership=PREFERRED,
            lifecycle=[expiring("default", 90)],
            policy=policy(deny_http("DontAllowNonSecureConnection", {"AWS": "*"}), ROOT | {"Sid": "AllowManaged"}),
            tags={"tfscaffold:project": "acme", "tfscaffold:environment": "prod"},
        ),
        Table(capacity={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}, tags={"tfscaffold:project": "acme"}),
        "tfscaffold",
        ("versioning", "encryption", "ownership", "lifecycle", "policy", "public_access", "tags"),
        ("protected", "tags", "capacity"),
    ),
    "trussworks/bootstrap": Made(
        Bucket(
            versioning="Enabled",
            encryption=sse("AES256"),
            lifecycle=[expiring("keep", 365)],
            logging={"TargetBucket": LOGS, "TargetPrefix": "s3/acme/"},
            policy=policy(deny_http("enforce-tls-requests-only", {"AWS": "*"})),
            tags={"Automation": "Terraform"},
        ),
        on_demand(sse=KEY, tags={"Automation": "Terraform"}),
        "Terraform",
        ("versioning", "encryption", "lifecycle", "policy", "public_access", "logging", "tags"),
        ("protected", "tags", "sse"),
    ),
    "Pulumi": Made(
        Bucket(
            versioning="Enabled",
            encryption=sse("aws:kms", KEY),
            tags={"pulumi:project": "state", "pulumi:stack": "prod"},
        ),
        on_demand(tags={"pulumi:project": "state"}),
        "Pulumi",
        ("versioning", "encryption", "tags"),
        ("protected", "tags"),
    ),
    "Spacelift": Made(
        Bucket(versioning="Enabled", tags={"ManagedBy": "Spacelift"}, public_access=None),
        on_demand(tags={"ManagedBy": "Spacelift"}),
        "Spacelift",
        ("versioning", "tags"),
        ("protected", "tags"),
    ),
    "Crossplane": Made(
        Bucket(
            versioning="Enabled",
            encryption=sse("aws:kms:dsse", KEY),
            tags={"crossplane-kind": "bucket.s3.aws.upbound.io", "crossplane-name": B},
        ),
        None,
        "Crossplane",
        ("versioning", "encryption", "tags"),
    ),
    "Control Tower": Made(
        Bucket(
            versioning="Enabled",
            lifecycle=[expiring("RetentionRule", 365)],
            tags={"aws:cloudformation:stack-name": "StackSet-AWSControlTowerLoggingResources-1"},
        ),
        None,
        "AWS Control Tower",
    ),
    "by hand, before 2023": Made(
        Bucket(
            encryption=sse("AES256"),
            public_access=None,
            ownership=None,
            policy=policy({**ROOT, "Sid": "Ops team; {{ lookup('pipe', 'id') }}"}),
            tags={"note": "{{ 7 * 7 }}", "cost: centre": "yes", "emoji": "\U0001f512 \u2028"},
        ),
        Table(capacity={"ReadCapacityUnits": 20, "WriteCapacityUnits": 20}, autoscaled=True),
        None,
    ),
}
made = pytest.mark.parametrize("name", MADE)


class Unsafe(str):
    """A text that Ansible does not template."""


class Loader(yaml.SafeLoader):
    pass


Loader.add_constructor("!unsafe", lambda loader, node: Unsafe(loader.construct_scalar(node)))


@dataclass
class Adopted:
    """One backend in memory, its file of variables, and its record."""

    fake: FakeBackend
    folder: Path
    name: str
    has_table: bool
    warnings: list[str] = field(default_factory=list)

    @property
    def path(self) -> Path:
        return self.folder / "adopted.yml"

    def run(self, entry: ModuleEntry, check_mode: bool = False, **options: Any) -> dict[str, Any]:
        given = {
            "region": REGION,
            "access_key": "AKIA0000000000000001",
            "secret_key": "x",
            "wait_timeout": 5,
            "endpoint_url": self.fake.url,
            **options,
        }
        validated = ArgumentSpecValidator(entry.spec).validate(entry.without_blanks(given))
        assert not validated.error_messages, validated.error_messages
        result = entry.run(validated.validated_parameters, check_mode, True)
        json.dumps(result, default=str)
        self.warnings = list(result.get("warnings", ()))
        return result

    def adopt(self, check_mode: bool = False, **options: Any) -> dict[str, Any]:
        table = {"table": T} if self.has_table else {}
        where = {"path": str(self.path), "record": str(self.folder / "record" / "x.json")}
        return self.run(tf_backend_adopt.MODULE, check_mode, bucket=B, **table, **where, **options)

    @property
    def variables(self) -> dict[str, Any]:
        loaded: dict[str, Any] = yaml.load(self.path.read_text(), Loader)
        return loaded or {}

    def bootstrap(self, check_mode: bool = False, allow: tuple[str, ...] = ()) -> list[str]:
        """The facets that change, as `bucket.policy`."""
        names = {"terraform_backend_region": REGION, "terraform_backend_bucket_name": B}
        names |= {"terraform_backend_table_name": T} if self.has_table else {"terraform_backend_lock_mode": "lockfile"}
        values = role_variables.typed({**names, **self.variables})
        changed = []
        for kind, entry in (("bucket", tf_state_bucket.MODULE), ("table", tf_lock_table.MODULE)):
            if kind == "table" and not self.has_table:
                continue
            arguments = {
                name: value for name, value in role_variables.arguments(kind, values).items() if name != "allow"
            }
            done = self.run(
                entry,
                check_mode,
                **{**arguments, "allow": list(allow), "probe_lock_files": False}
                if kind == "bucket"
                else {**arguments, "allow": list(allow)},
            )
            assert not done.get("failed"), done["msg"]
            changed += [f"{kind}.{each['facet']}" for each in done["changes"]]
        return changed

    def raw(self) -> dict[str, Any]:
        """What AWS answers of each setting."""
        found = {}
        for resource, name in ((BUCKET, B), *(((TABLE, T),) if self.has_table else ())):
            target = Target(name, REGION, arn=f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}")
            for facet in resource.facets[1:]:
                answer = self.fake._answer(facet.read(target), reading=True)
                found[f"{resource.kind}.{facet.name}"] = answer.code if isinstance(answer, Failure) else answer
        return found


@pytest.fixture
def adopted(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Adopted]:
    name = request.getfixturevalue("name") if "name" in request.fixturenames else "CloudFormation"
    it = copy.deepcopy(MADE[name])
    with pytest.MonkeyPatch.context() as patch:
        fake = FakeBackend(buckets={B: replace(it.bucket, region=REGION), LOGS: Bucket(region=REGION)})
        if it.table:
            fake.tables[T] = it.table
            it.table.items = [{"LockID": {"S": f"{B}/net/terraform.tfstate-md5"}, "Digest": {"S": "0" * 32}}]
        fake.use_for(patch)
        patch.setattr(Aws, "key_arn", lambda _aws, name, must_exist: name)
        key = {"Arn": KEY, "KeyState": "Enabled", "Enabled": True, "KeyManager": "CUSTOMER"}
        patch.setattr(FakeBackend, "_kms_describe_key", lambda _fake, _params: {"KeyMetadata": key}, raising=False)
        for name_of_variable in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
            patch.delenv(name_of_variable, raising=False)
        state = json.dumps({"version": 4, "serial": 1, "lineage": "a", "outputs": {}, "resources": []}).encode()
        fake.client("s3").put_object(Bucket=B, Key="net/terraform.tfstate", Body=state)
        yield Adopted(fake, tmp_path, name, it.table is not None)


SHARED = ("shared_management",)


@made
def test_what_was_made_is_adopted_kept_and_put_back(name: str, adopted: Adopted) -> None:
    it, before = MADE[name], adopted.raw()
    done = adopted.adopt()
    assert not done.get("failed"), done["msg"]
    assert not [call for call in adopted.fake.relay.writes if not call.name.startswith("PutObject")]
    assert adopted.raw() == before, "adopting only reads"
    assert {each["name"] for each in done["adopted"]["makers"]} <= {it.maker}
    assert bool(done["adopted"]["makers"]) == bool(it.maker)
    assert adopted.variables["terraform_backend_state_key"] == "net/terraform.tfstate"
    assert adopted.variables["terraform_backend_account_id"] == ACCOUNT
    assert adopted.variables.get("terraform_backend_lock_mode") == ("dynamodb" if it.table else None)
    assert not adopted.adopt()["changed"], "a second run writes nothing"
    record = adopted.folder / "record" / "x.json"
    assert record.stat().st_mode & 0o777 == 0o600

    changed = adopted.bootstrap(allow=SHARED)
    assert {*changed} <= {
        *("bucket.ownership", "bucket.public_access", "bucket.policy", "bucket.versioning"),
        *("table.recovery", "table.deletion_protection"),
        *(() if it.table else ("bucket.tags",)),  # which record that clients lock by file
    }, "no more than what is missing"
    assert adopted.bootstrap() == [], "a second run is quiet"
    assert not adopted.adopt()["changed"], "what bootstrap added is no reason to write the file again"
    options = dict.fromkeys(["record", "path"])
    words = [each for each in tf_backend_adopt.WORDS if each != "shared_management"]
    refused = adopted.adopt(state="original", check_mode=True)
    assert bool(refused.get("failed")) == bool(changed), (refused.get("msg"), options)
    back = adopted.adopt(state="original", allow=[*words, *SHARED])
    assert not back.get("failed"), back["msg"]
    unversioned = before["bucket.versioning"].get("Status") is None
    expected = {**before, **({"bucket.versioning": {"Status": "Suspended"}} if unversioned else {})}
    assert adopted.raw() == expected
    assert not adopted.adopt(state="original", allow=[*words, *SHARED])["changed"]


@made
def test_the_next_run_of_the_maker_and_ours_agree_once_its_part_is_left_to_it(name: str, adopted: Adopted) -> None:
    it = copy.deepcopy(MADE[name])
    assert not adopted.adopt(leave_to_maker=True).get("failed")
    adopted.bootstrap(allow=SHARED)
    adopted.adopt()  # which keeps what is left to the maker
    settled = adopted.raw()
    bucket, table = adopted.fake.buckets[B], adopted.fake.tables.get(T)
    for each in it.sets:
        setattr(bucket, each, getattr(it.bucket, each))
    for each in it.table_sets:
        setattr(table, each, getattr(it.table, each))
    assert adopted.bootstrap(check_mode=True) == []
    semantic = {key: value for key, value in adopted.raw().items() if key not in ("bucket.policy", "bucket.lifecycle")}
    assert semantic == {key: settled[key] for key in semantic}


@made
def test_what_bootstrap_and_the_maker_dispute_is_said_before(name: str, adopted: Adopted) -> None:
    it = copy.deepcopy(MADE[name])
    adopted.adopt()
    said = " ".join(adopted.warnings)
    changed = adopted.bootstrap(allow=SHARED)
    bucket, table = adopted.fake.buckets[B], adopted.fake.tables.get(T)
    for each in it.sets:
        setattr(bucket, each, getattr(it.bucket, each))
    for each in it.table_sets:
        setattr(table, each, getattr(it.table, each))
    for facet in adopted.bootstrap(check_mode=True, allow=SHARED):
        assert facet in changed and facet.partition(".")[2] in said


#: How somebody weakens a backend behind our back, and the facet that shows it.
DRIFTS = {
    "bucket.encryption": lambda bucket, _table: setattr(bucket, "encryption", sse("AES256")),
    "bucket.logging": lambda bucket, _table: setattr(bucket, "logging", {}),
    "bucket.lifecycle": lambda bucket, _table: setattr(bucket, "lifecycle", [expiring("keep", 1)]),
    "bucket.tags": lambda bucket, _table: bucket.tags.pop("CostCentre"),
    "table.recovery": lambda _bucket, table: setattr(table, "recovery_days", 1),
    "table.billing": lambda _bucket, table: setattr(
        table, "capacity", {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
    ),
    "table.deletion_protection": lambda _bucket, table: setattr(table, "protected", False),
}


@pytest.mark.parametrize("facet", DRIFTS)
def test_drift_from_what_was_adopted_is_a_change_and_a_finding(facet: str, adopted: Adopted) -> None:
    adopted.adopt()
    adopted.bootstrap(allow=SHARED)
    DRIFTS[facet](adopted.fake.buckets[B], adopted.fake.tables[T])
    assert adopted.bootstrap(check_mode=True, allow=SHARED) == [facet]
    given = {"terraform_backend_region": REGION, "terraform_backend_bucket_name": B, "terraform_backend_table_name": T}
    values = role_variables.typed({**given, **adopted.variables})
    options = {
        kind: {
            name: value
            for name, value in role_variables.arguments(kind, values).items()
            if name in tf_backend_audit.options_of(resource)
        }
        for kind, resource in (("bucket", BUCKET), ("table", TABLE))
    }
    audit = adopted.run(
        tf_backend_audit.MODULE,
        **{"bucket": B, "table": T, "name": "eu", "bucket_options": options["bucket"]},
        table_options=options["table"],
        gather=["settings"],
    )
    assert facet in {each["id"] for each in audit["findings"]}
    (found,) = (each for each in audit["findings"] if each["id"] == facet)
    assert "shared_management" in found["fix"]
    assert {"bucket.shared_management", "table.shared_management"} <= {each["id"] for each in audit["findings"]}
    refused = adopted.adopt()
    assert (refused.get("failed") and "differs now" in refused["msg"]) or facet.endswith("protection")


def test_texts_of_aws_are_text(adopted: Adopted) -> None:
    adopted.fake.buckets[B].tags = copy.deepcopy(MADE["by hand, before 2023"].bucket.tags)
    adopted.fake.buckets[B].policy = copy.deepcopy(MADE["by hand, before 2023"].bucket.policy)
    assert not adopted.adopt().get("failed")
    tags = adopted.variables["terraform_backend_bucket_tags"]
    assert tags == {"note": "{{ 7 * 7 }}", "cost: centre": "yes", "emoji": "\U0001f512 \u2028"}
    assert isinstance(tags["note"], Unsafe)
    assert "lookup" not in adopted.path.read_text(), "a Sid that AWS takes no more is named by what it does"
    adopted.fake.buckets[B].tags = {"{{ x }}": "1"}
    done = adopted.adopt(allow=["overwrite_files"])
    assert done["adopted"]["left_out"]["bucket.tags"] == "a name in it would be a template"


def test_clients_that_lock_in_both_stores_are_known_by_versions_of_lock_files(adopted: Adopted) -> None:
    s3 = adopted.fake.client("s3", region="us-east-1")
    s3.put_bucket_versioning(Bucket=B, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=B, Key="net/terraform.tfstate.tflock", Body=b"{}")
    s3.delete_object(Bucket=B, Key="net/terraform.tfstate.tflock")
    assert not adopted.adopt().get("failed")
    assert adopted.variables["terraform_backend_lock_mode"] == "both"


def test_a_file_of_somebody_else_and_a_record_of_another_backend_are_refused(adopted: Adopted) -> None:
    adopted.path.write_text("terraform_backend_lock_mode: both\n")
    assert "allow: [overwrite_files]" in adopted.adopt()["msg"]
    adopted.path.unlink()
    adopted.adopt()
    record = adopted.folder / "record" / "x.json"
    record.write_text(record.read_text().replace(f'"name": "{B}"', '"name": "other"'))
    assert "is the record of bucket other" in adopted.adopt()["msg"]
    assert "name the record of this backend" in adopted.adopt(state="original")["msg"]
    record.write_text("{}")
    assert "is no record of" in adopted.adopt()["msg"]
    record.unlink()
    assert "there is no record" in adopted.adopt(state="original")["msg"]


def test_a_folder_of_variables_does_not_hide_a_file_that_is_there(adopted: Adopted) -> None:
    folder = adopted.folder / "host_vars"
    folder.mkdir()
    (folder / "eu.yml").write_text("x: 1\n")
    refused = adopted.adopt()
    assert not refused.get("failed")
    table = {"table": T}
    told = adopted.run(tf_backend_adopt.MODULE, bucket=B, **table, path=str(folder / "eu" / "adopted.yml"))
    assert "Ansible would no longer read" in told["msg"]
    assert not (folder / "eu").exists()


def test_check_mode_shows_the_file_and_writes_none(adopted: Adopted) -> None:
    done = adopted.adopt(check_mode=True)
    assert done["changed"] and not adopted.path.exists() and not (adopted.folder / "record").exists()
    (diff,) = done["diff"]
    assert "terraform_backend_bucket_kms_key_id" in diff["after"]


def test_what_cannot_be_read_is_not_taken_for_absent(adopted: Adopted) -> None:
    adopted.fake.faults["get_bucket_policy"] = ["AccessDenied"] * 5
    refused = adopted.adopt()
    assert (refused["failed"] and "s3:GetBucketPolicy" in refused["msg"]) or "get_bucket_policy" in refused["msg"]
    assert not adopted.path.exists()


def test_several_states_need_a_word_and_a_wrong_key_is_refused(adopted: Adopted) -> None:
    adopted.fake.client("s3").put_object(Bucket=B, Key="app/terraform.tfstate", Body=b"{}")
    done = adopted.adopt()
    assert "terraform_backend_state_key" not in adopted.variables
    assert done["adopted"]["keys"] == ["app/terraform.tfstate", "net/terraform.tfstate"]
    assert any("terraform_backend_state_key is not known" in each for each in adopted.warnings)
    assert "is the key of no state" in adopted.adopt(key="terraform.tfstate")["msg"]


def test_info_names_the_maker(adopted: Adopted) -> None:
    found = adopted.run(tf_backend_info.MODULE, bucket=B, table=T, gather=["settings"])["backend"]
    assert found["bucket"]["maker"]["name"] == found["table"]["maker"]["name"] == "AWS CloudFormation"


@pytest.mark.parametrize(
    ("key", "is_told"), [("terraform.tfstate", True), ("net/terraform.tfstate", False), (None, False)]
)
def test_a_key_that_no_state_has_is_told_where_there_are_states(
    key: str | None, is_told: bool, adopted: Adopted
) -> None:
    adopted.run(tf_state_bucket.MODULE, check_mode=True, name=B, key=key, allow=["shared_management"])
    assert any("Set terraform_backend_state_key" in each for each in adopted.warnings) is is_told
    if is_told:
        assert any(each.endswith(": net/terraform.tfstate") for each in adopted.warnings)


def test_what_the_inventory_says_elsewhere_is_not_replaced(adopted: Adopted) -> None:
    ours = {"Sid": "Group", **{name: value for name, value in ROOT.items() if name != "Sid"}}
    adopted.fake.buckets[B].policy = policy(ROOT | {"Sid": "Theirs", "Action": "s3:GetObject", "Resource": f"{ARN}/*"})
    said = {"tags": {"managed-by": "ansible"}, "kms_key_id": "alias/ours", "policy_statements": [ours]}
    assert not adopted.adopt(bucket_options=said, table_options={"recovery_period_days": 7}).get("failed")
    variables = adopted.variables
    assert variables["terraform_backend_bucket_tags"] == {"CostCentre": "42", "managed-by": "ansible"}
    sids = [each["Sid"] for each in variables["terraform_backend_bucket_policy_statements"]]
    assert sids == ["Group", "Theirs"]
    gone = ("bucket_kms_key_id", "bucket_encryption", "table_recovery_period_days")
    assert not {f"terraform_backend_{name}" for name in gone} & {*variables}
    prefix = "terraform_backend_bucket_"
    own = {name.removeprefix(prefix): value for name, value in variables.items() if name.startswith(prefix)}
    again = adopted.adopt(bucket_options={**said, **own}, table_options={"recovery_period_days": 7})
    assert not again["changed"]
