# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The Terraform project of a hand-over: every setting has its place, in words that the aws provider knows."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.code import DEPRECATED
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import EXISTENCE, CallFailed, Invalid
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.provider import Block, Json, Reference
from ansible_collections.cornerstone.tfstate.plugins.module_utils._handover.project import (
    Project,
    bucket_resources,
    configuration,
    table_resources,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._handover.provider_arguments import LEFT_ALONE
from ansible_collections.cornerstone.tfstate.plugins.module_utils._handover.readme import (
    FILES,
    is_unedited,
    project_files,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._migration.deny_policy import with_denied
from ansible_collections.cornerstone.tfstate.plugins.module_utils._policy.document import MOVED
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import TABLE
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.backend_config import (
    BackendConfig,
    arguments,
)
from ansible_collections.cornerstone.tfstate.plugins.modules.tf_backend_handover import MODULE, project_of

from tests.unit.plugins.module_utils.fake_aws import KEY as FAKE_KEY
from tests.unit.plugins.module_utils.fake_aws import MANAGED_TABLE_KEY, REGION, Bucket, FakeAws, Table

SCHEMA = json.loads(Path(__file__).with_name("aws_provider_schema.json").read_text())["resources"]
TERRAFORM = shutil.which("terraform")
KEY = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ARN = "arn:aws:s3:::acme-state"

BACKEND = BackendConfig(
    name="eu-west-1",
    bucket="acme-state",
    bucket_arn=ARN,
    region="eu-west-1",
    key="terraform-backend/terraform.tfstate",
    account_id="111122223333",
    table="acme-locks",
    encryption="aws:kms",
    kms_key_id=KEY,
)
#: Every facet set, and every part of each that AWS knows.
RICH_BUCKET: dict[str, Any] = {
    "existence": {"region": "eu-west-1"},
    "ownership": "BucketOwnerEnforced",
    "public_access": {
        "block_public_acls": True,
        "ignore_public_acls": True,
        "block_public_policy": True,
        "restrict_public_buckets": False,
    },
    "encryption": [
        {
            "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY},
            "BucketKeyEnabled": True,
            "BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]},
        }
    ],
    "lifecycle": {
        "Rules": [
            {
                "ID": "tagged",
                "Status": "Enabled",
                "Filter": {"Tag": {"Key": "scratch", "Value": "yes"}},
                "Expiration": {"Date": "2031-01-01T00:00:00+00:00"},
            },
            {
                "ID": "cornerstone.tfstate",
                "Status": "Enabled",
                "Filter": {"Prefix": ""},
                "NoncurrentVersionExpiration": {"NoncurrentDays": 91, "NewerNoncurrentVersions": 21},
                "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 8},
                "Expiration": {"ExpiredObjectDeleteMarker": True},
            },
            {
                "ID": "reports",
                "Status": "Disabled",
                "Filter": {
                    "And": {
                        "Prefix": "reports/",
                        "ObjectSizeGreaterThan": 1025,
                        "ObjectSizeLessThan": 4097,
                        "Tags": [{"Key": "team", "Value": "finance"}],
                    }
                },
                "Transitions": [
                    {"Days": 31, "StorageClass": "STANDARD_IA"},
                    {"Date": "2030-01-01T00:00:00+00:00", "StorageClass": "GLACIER"},
                ],
                "NoncurrentVersionTransitions": [
                    {"NoncurrentDays": 32, "NewerNoncurrentVersions": 3, "StorageClass": "DEEP_ARCHIVE"}
                ],
                "Expiration": {"Days": 367},
            },
        ],
        "TransitionDefaultMinimumObjectSize": "varies_by_storage_class",
    },
    "versioning": "Enabled",
    "object_lock": {"enabled": True, "mode": "GOVERNANCE", "days": 33},
    "tags": {"team": "network", "cost centre": "42 ${not} %{this}"},
    "logging": {
        "TargetBucket": "acme-logs",
        "TargetPrefix": "acme-state/",
        "TargetGrants": [
            {
                "Permission": "READ",
                "Grantee": {"Type": "Group", "URI": "http://acs.amazonaws.com/groups/s3/LogDelivery"},
            },
            {"Permission": "WRITE", "Grantee": {"Type": "CanonicalUser", "ID": "79a59df9"}},
        ],
        "TargetObjectKeyFormat": {"PartitionedPrefix": {"PartitionDateSource": "EventTime"}},
    },
    "policy": {
        "Version": "2012-10-17",
        "Id": "terraform-state",
        "Statement": [
            {
                "Sid": "CornerstoneTfstateRequireTls",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [ARN, f"{ARN}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
            {
                "Sid": "HomeFolders",
                "Effect": "Allow",
                "Principal": {"AWS": ["arn:aws:iam::111122223333:root"]},
                "Action": ["s3:GetObject"],
                "Resource": [f"{ARN}/${{aws:username}}/*"],
            },
        ],
    },
}
RICH_TABLE: dict[str, Any] = {
    "existence": {"key": {"LockID": "S HASH"}},
    "billing": {"billing_mode": "PROVISIONED", "read_capacity": 5, "write_capacity": 6},
    "encryption": {"kms_key_id": KEY},
    "deletion_protection": True,
    "recovery": {"enabled": True, "period_days": 34},
    "table_class": "STANDARD_INFREQUENT_ACCESS",
    "tags": {"team": "locks"},
}
BARE_BUCKET = {"versioning": "Disabled", "tags": {}, "logging": {}}
BARE_TABLE = {facet.name: facet.absent for facet in TABLE.facets}

RICH = Project(BACKEND, RICH_BUCKET, RICH_TABLE)
BARE = Project(replace(BACKEND, lock_mode="lockfile", table=None, encryption="AES256", kms_key_id=None), BARE_BUCKET)
PROJECTS = {
    "everything there is": RICH,
    "nothing but a bucket": BARE,
    "a bare table": replace(BARE, backend=replace(BACKEND, encryption="AES256", kms_key_id=None), table=BARE_TABLE),
    "somebody else's settings": replace(
        RICH, unmanaged=(frozenset({"policy", "tags", "versioning"}), frozenset({"billing", "tags"}))
    ),
    "a production backend": replace(RICH, production_bucket="acme-prod", production_table="acme-prod-locks"),
    "a production bucket of the account": replace(RICH, production_bucket="acme-111122223333-eu-west-1-an"),
    "through a role": replace(
        RICH,
        backend=replace(
            BACKEND,
            assume_role_arn="arn:aws:iam::111122223333:role/state",
            assume_role_external_id="x-1",
            assume_role_session_name="hand-over",
            profile="acme",
            client="opentofu",
        ),
    ),
    "on an emulator": replace(RICH, backend=replace(BACKEND, endpoint_url="http://127.0.0.1:4566")),
    "simple log names": replace(
        RICH, bucket={**RICH_BUCKET, "logging": {"TargetBucket": "b", "TargetObjectKeyFormat": {"SimplePrefix": {}}}}
    ),
    "a table with more than locks": replace(RICH, besides=tuple(LEFT_ALONE)),
    "object lock for years": replace(
        RICH, bucket={**RICH_BUCKET, "object_lock": {"enabled": True, "mode": "GOVERNANCE", "days": 730, "years": 2}}
    ),
    "object lock without a default": replace(
        RICH, bucket={**RICH_BUCKET, "object_lock": {"enabled": True, "mode": None, "days": None}}
    ),
}
projects = pytest.mark.parametrize("project", PROJECTS.values(), ids=PROJECTS)
without_terraform = pytest.mark.skipif(not TERRAFORM, reason="NOT PROVEN: terraform is not on PATH")


def text_of(project: Project) -> str:
    return "\n".join(configuration(project).values())


def test_every_facet_has_its_place() -> None:
    for resource, values in ((BUCKET, RICH_BUCKET), (TABLE, RICH_TABLE)):
        for facet in resource.facets:
            is_place = [*facet.provider_arguments(values[facet.name])]
            assert is_place or (resource is BUCKET and facet.name == EXISTENCE), facet.name


def test_an_unmanaged_facet_is_ignored_where_it_has_no_resource_of_its_own() -> None:
    for resource, values, main in ((BUCKET, RICH_BUCKET, "aws_s3_bucket"), (TABLE, RICH_TABLE, "aws_dynamodb_table")):
        for facet in resource.facets[1:]:
            parts = [*facet.provider_arguments(values[facet.name])]
            names = {name for part in parts if part.resource == main for name in part.attributes}
            names |= {block.type for part in parts if part.resource == main for block in part.blocks}
            has_its_own = any(part.resource != main for part in parts)
            assert has_its_own or names <= {*facet.provider_ignores}, facet.name


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if members is None:
        yield path
    else:
        for name, member in members:
            yield from leaves(member, (*path, name))


def other_than(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int) else f"{value}x"


def with_another(facets: dict[str, Any], path: tuple[Any, ...]) -> tuple[dict[str, Any], Any]:
    changed = copy.deepcopy(facets)
    holder: Any = changed
    for name in path[:-1]:
        holder = holder[name]
    holder[path[-1]] = other_than(holder[path[-1]])
    return changed, holder[path[-1]]


SETTINGS = [
    *(("bucket", path) for path in leaves({**RICH_BUCKET}) if path[0] != EXISTENCE),
    *(("table", path) for path in leaves({**RICH_TABLE}) if path[0] != EXISTENCE),
]


@pytest.mark.parametrize(("kind", "path"), SETTINGS, ids=[f"{kind}-{path}" for kind, path in SETTINGS])
def test_no_setting_is_lost_on_the_way(kind: str, path: tuple[Any, ...]) -> None:
    """Each value that AWS told stands in the project, and another value makes another project."""
    changed, value = with_another({"bucket": RICH_BUCKET, "table": RICH_TABLE}[kind], path)
    before, after = text_of(RICH), text_of(replace(RICH, **{kind: changed}))
    assert before != after
    if isinstance(value, str):
        written = value.replace("${", "$${").replace("%{", "%%{").replace("+00:00", "Z")
        assert written in after
    elif not isinstance(value, bool):
        assert re.search(rf"= {value}$", after, re.MULTILINE)


def test_what_is_not_configured_is_neither_imported_nor_described() -> None:
    assert [block.labels[0] for block in bucket_resources(BARE)] == ["aws_s3_bucket", "aws_s3_bucket_versioning"]
    assert set(configuration(BARE)) == {"terraform.tf", "provider.tf", "bucket.tf", "imports.tf", "outputs.tf"}


def walk(block: Block, known: dict[str, Any], where: str) -> Iterator[str]:
    """What the provider would say against a block."""
    for name, value in block.attributes.items():
        about = known.get(name)
        if about is None or about["type"] == "block":
            yield f"{where}.{name} is no argument"
        elif "deprecated" in about:
            yield f"{where}.{name}: {about['deprecated']}"
        elif about["type"] not in kinds(value):
            yield f"{where}.{name} is a {about['type']}, not {value!r}"
    for inner in block.blocks:
        about = known.get(inner.type, {})
        if about.get("type") != "block" or "deprecated" in about:
            yield f"{where} takes no block {inner.type}: {about}"
        else:
            yield from walk(inner, about["arguments"], f"{where}.{inner.type}")
    given = [*block.attributes, *(inner.type for inner in block.blocks)]
    yield from (f"{where} lacks {name}" for name, about in known.items() if about["required"] and name not in given)
    once = [inner.type for inner in block.blocks if not known.get(inner.type, {}).get("repeats")]
    yield from (f"{where} takes {name} once" for name in set(once) if once.count(name) > 1)


def kinds(value: Any) -> set[str]:
    if isinstance(value, bool):
        return {"bool"}
    by_type = {int: "number", str: "string", Reference: "string", Json: "string", list: "list", dict: "map"}
    return {by_type[type(value)]}


@projects
def test_the_provider_knows_every_argument_and_deprecates_none(project: Project) -> None:
    """Compared with terraform-provider-aws by its generated bindings: the provider itself is not at hand here."""
    for block in (*bucket_resources(project), *table_resources(project)):
        resource = block.labels[0]
        own = replace(
            block,
            attributes={name: value for name, value in block.attributes.items() if name != "depends_on"},
            blocks=tuple(inner for inner in block.blocks if inner.type != "lifecycle"),
        )
        assert list(walk(own, SCHEMA[resource]["arguments"], resource)) == []


def test_the_comparison_with_the_schema_finds_what_is_wrong() -> None:
    wrong = Block(
        "resource",
        ("aws_s3_bucket_versioning", "state"),
        {"bucket": 1, "expected_bucket_owner": "1", "bukket": "b"},
        (Block("versioning_configuration", (), {}), Block("version")),
    )
    found = "\n".join(walk(wrong, SCHEMA["aws_s3_bucket_versioning"]["arguments"], "it"))
    for said in (
        "is a string",
        "expected_bucket_owner is deprecated",
        "bukket is no",
        "lacks status",
        "no block version",
    ):
        assert said in found


def terraform(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    assert TERRAFORM
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "CHECKPOINT_DISABLE": "1"}
    return subprocess.run(
        [TERRAFORM, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@without_terraform
def test_every_project_is_as_terraform_formats_it(tmp_path: Path) -> None:
    for number, project in enumerate(PROJECTS.values()):
        folder = tmp_path / str(number)
        folder.mkdir()
        for name, text in project_files(project).items():
            (folder / name).write_text(text)
    done = terraform(tmp_path, "fmt", "-check", "-diff", "-recursive")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@without_terraform
@projects
def test_terraform_loads_every_project(project: Project, tmp_path: Path) -> None:
    """`get` reads and checks a configuration as a whole, but for what only providers know."""
    for name, text in project_files(project).items():
        (tmp_path / name).write_text(text)
    done = terraform(tmp_path, "get", "-no-color")
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@without_terraform
def test_terraform_objects_to_a_resource_that_is_there_twice(tmp_path: Path) -> None:
    """So that the test above can fail."""
    files = project_files(RICH)
    for name in ("table.tf", "again.tf"):
        (tmp_path / name).write_text(files["table.tf"])
    assert "Duplicate resource" in terraform(tmp_path, "get", "-no-color").stderr


@projects
def test_every_resource_is_kept_from_being_destroyed(project: Project) -> None:
    for block in (*bucket_resources(project), *table_resources(project)):
        (kept,) = [inner for inner in block.blocks if inner.type == "lifecycle"]
        assert kept.attributes["prevent_destroy"] is True


def test_every_resource_is_imported_and_nothing_else() -> None:
    described = re.findall(r'^resource "(\w+)" "(\w+)"', text_of(RICH), re.MULTILINE)
    imported = re.findall(r'to = (\w+)\.(\w+)\n +id = "([\w-]+)"', configuration(RICH)["imports.tf"])
    assert [(kind, name) for kind, name, _id in imported] == described
    assert {(kind == "aws_dynamodb_table", id_) for kind, _name, id_ in imported} == {
        (False, "acme-state"),
        (True, "acme-locks"),
    }


def test_the_project_keeps_its_state_in_the_bootstrap_backend() -> None:
    for project in (RICH, PROJECTS["a production backend"]):
        text = configuration(project)["terraform.tf"]
        assert 'bucket              = "acme-state"' in text
        assert 'key                 = "terraform-backend/terraform.tfstate"' in text


@projects
def test_it_locks_as_the_backend_does(project: Project) -> None:
    """Else an audit would miss the digest of its state, and no table would keep others from it."""
    block = arguments(project.backend)
    assert "use_lockfile = true" in re.sub(" +", " ", configuration(project)["terraform.tf"])
    assert ("dynamodb_table" in configuration(project)["terraform.tf"]) is project.backend.locks_in_table
    assert bool(block.keys() & DEPRECATED) is project.backend.locks_in_table
    assert ("-md5" in project_files(project)["README.md"]) is (project.adopts and project.backend.locks_in_table)


def test_others_are_told_to_lock_as_the_backend_does() -> None:
    assert "dynamodb_table      = aws_dynamodb_table.locks.name" in configuration(RICH)["outputs.tf"]
    assert "use_lockfile        = true" in configuration(RICH)["outputs.tf"]
    assert "dynamodb_table" not in configuration(BARE)["outputs.tf"]


def test_where_nobody_may_lock_by_files_it_does_not_either() -> None:
    project = replace(RICH, backend=replace(BACKEND, lock_mode="dynamodb", client_version=">= 1.5"))
    text = configuration(project)["terraform.tf"]
    assert 'dynamodb_table      = "acme-locks"' in text and "use_lockfile" not in text
    assert (
        "digest, the item `acme-state/terraform-backend/terraform.tfstate-md5`" in project_files(project)["README.md"]
    )


def test_a_production_backend_is_another_one_with_the_same_settings() -> None:
    adopted, production = text_of(RICH), configuration(PROJECTS["a production backend"])
    assert "imports.tf" not in production
    described = "".join(production[name] for name in ("bucket.tf", "table.tf"))
    assert "acme-state" not in described
    assert "acme-locks" not in described
    restored = described.replace("acme-prod-locks", "acme-locks").replace("acme-prod", "acme-state")
    for resource in re.findall(r"^resource .*?^}$", restored, re.MULTILINE | re.DOTALL):
        assert resource in adopted


@pytest.mark.parametrize("client", ["terraform", "opentofu"])
def test_a_production_backend_says_that_the_client_manages_it(client: str) -> None:
    tags = {"Managed-By": "Ansible", "created-by": "alice", "team": "ansible"}
    backend = replace(BACKEND, client=client)
    tagged = replace(RICH, backend=backend, bucket={**RICH_BUCKET, "tags": tags}, table={**RICH_TABLE, "tags": tags})
    production = replace(tagged, production_bucket="acme-prod", production_table="acme-prod-locks")
    for name in ("bucket.tf", "table.tf"):
        tags_in = configuration(production)[name]
        assert f'Managed-By = "{client}"' in tags_in and 'created-by = "alice"' in tags_in
        assert 'team       = "ansible"' in tags_in
        assert 'Managed-By = "Ansible"' in configuration(tagged)[name]


def test_a_production_table_is_protected_whoever_manages_its_protections() -> None:
    unmanaged = (frozenset[str](), frozenset({"recovery", "deletion_protection"}))
    unread = {"recovery": {"enabled": False, "period_days": None}, "deletion_protection": False}
    project = replace(PROJECTS["a production backend"], table={**RICH_TABLE, **unread}, unmanaged=unmanaged)
    text = configuration(project)["table.tf"]
    assert "enabled                 = true\n    recovery_period_in_days = 35" in text
    assert "deletion_protection_enabled = true" in text
    assert "ignore_changes  = [deletion_protection_enabled, point_in_time_recovery]" in text


@pytest.mark.parametrize("path", ["network/terraform.tfstate", "*"])
def test_what_keeps_clients_from_moved_states_keeps_them_from_none_in_production(path: str) -> None:
    bucket = copy.deepcopy(RICH_BUCKET)
    bucket["policy"]["Statement"] += json.loads(with_denied(None, ARN, [path]))["Statement"]
    assert MOVED in text_of(replace(RICH, bucket=bucket))
    production = PROJECTS["a production backend"]
    assert text_of(replace(production, bucket=bucket)) == text_of(production)


def test_a_bucket_in_the_namespace_of_the_account_says_so() -> None:
    assert 'bucket_namespace    = "account-regional"' in text_of(PROJECTS["a production bucket of the account"])


def test_what_is_somebody_elses_is_left_out_or_ignored() -> None:
    text = text_of(PROJECTS["somebody else's settings"])
    assert "aws_s3_bucket_policy" not in text
    assert "aws_s3_bucket_versioning" not in text
    assert "ignore_changes  = [tags]" in text
    assert "ignore_changes  = [billing_mode, read_capacity, write_capacity, tags]" in text


def test_the_key_that_aws_manages_is_not_named() -> None:
    table = {**RICH_TABLE, "encryption": {"kms_key_id": "alias/aws/dynamodb"}}
    text = configuration(replace(RICH, table=table))["table.tf"]
    assert "server_side_encryption {\n    enabled = true\n  }" in text


def test_years_stay_years() -> None:
    text = configuration(PROJECTS["object lock for years"])["bucket.tf"]
    assert "years = 2" in text and "730" not in text


def test_tags_of_aws_are_not_written() -> None:
    bucket = {**RICH_BUCKET, "tags": {"aws:cloudformation:stack-name": "base"}}
    assert "stack-name" not in configuration(replace(RICH, bucket=bucket))["bucket.tf"]


def test_a_rule_that_cannot_be_written_is_no_secret() -> None:
    bucket = {**RICH_BUCKET, "lifecycle": {"Rules": [{"ID": "new", "Status": "Enabled", "Teleport": {"Days": 1}}]}}
    with pytest.raises(Invalid, match="lifecycle rule new has Teleport"):
        configuration(replace(RICH, bucket=bucket))


def test_an_edit_breaks_the_seal() -> None:
    for name, text in project_files(RICH).items():
        assert name in FILES
        assert is_unedited(text)
        assert not is_unedited(text + "\n")
        assert not is_unedited(text.replace("sha256 ", "sha256 0"))
        assert not is_unedited(text.partition("\n\n")[2])


@projects
def test_the_readme_counts_what_the_plan_will(project: Project) -> None:
    text = project_files(project)["README.md"]
    resources = len(re.findall(r"^resource ", text_of(project), re.MULTILINE))
    assert f"**{resources} to {'import' if project.adopts else 'add'}, 0 to" in text
    assert len(re.findall(r"^(?:terraform|tofu) state rm ", text, re.MULTILINE)) == resources


def test_what_a_table_has_besides_is_left_alone_by_names_that_the_provider_knows() -> None:
    text = text_of(PROJECTS["a table with more than locks"])
    ignored = ", ".join(dict.fromkeys(name for names in LEFT_ALONE.values() for name in names))
    assert f"ignore_changes  = [{ignored}]" in text
    assert {name for names in LEFT_ALONE.values() for name in names} <= SCHEMA["aws_dynamodb_table"]["arguments"].keys()
    assert "replicas of the table" in project_files(PROJECTS["a table with more than locks"])["README.md"]
    production = replace(PROJECTS["a production backend"], besides=tuple(LEFT_ALONE))
    assert "ignore_changes" not in text_of(production)


BESIDES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "as we make it": ({}, ()),
    "whose stream is off": ({"StreamSpecification": {"StreamEnabled": False}}, ()),
    "with a stream": ({"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}}, ("a stream",)),
    "with an index": ({"GlobalSecondaryIndexes": [{"IndexName": "x"}]}, ("global secondary indexes",)),
    "with an index of its own": ({"LocalSecondaryIndexes": [{"IndexName": "x"}]}, ("local secondary indexes",)),
    "in two regions": ({"Replicas": [{"RegionName": "eu-west-1"}]}, ("replicas",)),
    "with a limit": (
        {"OnDemandThroughput": {"MaxReadRequestUnits": -1, "MaxWriteRequestUnits": 9}},
        ("a limit of its throughput",),
    ),
    "without one any more": (
        {"OnDemandThroughput": {"MaxReadRequestUnits": -1, "MaxWriteRequestUnits": -1}},
        ("a lifted limit of its throughput",),
    ),
}


@pytest.mark.parametrize(("more", "besides"), BESIDES.values(), ids=BESIDES)
def test_what_a_table_has_besides_is_seen_and_said(more: dict[str, Any], besides: tuple[str, ...]) -> None:
    aws = FakeAws(buckets={"tf-state": Bucket()}, tables={"tf-locks": Table(more=more)})
    assert observed_in(aws).besides == besides
    assert aws.warnings == [
        f"table tf-locks has {each}, which no lock table needs: the project leaves that alone" for each in besides
    ]


def observed(table: Table) -> Project:
    """What is read of a new bucket and this table."""
    return observed_in(FakeAws(buckets={"tf-state": Bucket()}, tables={"tf-locks": table}))


def observed_in(aws: FakeAws, **asked: Any) -> Project:
    spec = {name: option.get("default") for name, option in MODULE.spec.items()}
    given = {"name": "x", "directory": "x", "region": REGION, "bucket": "tf-state", "table": "tf-locks"}
    return project_of(aws, {**spec, **given, **asked})


def encrypted() -> FakeAws:
    bucket = Bucket()
    bucket.encryption["ApplyServerSideEncryptionByDefault"] = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": FAKE_KEY}
    return FakeAws(buckets={"tf-state": bucket}, tables={"tf-locks": Table()})


def test_clients_ask_for_the_encryption_that_somebody_else_manages() -> None:
    """Without the key they would ask for AES256."""
    files = configuration(observed_in(encrypted(), bucket_unmanaged=["encryption"]))
    assert "aws_s3_bucket_server_side_encryption_configuration" not in files["bucket.tf"]
    for name in ("terraform.tf", "outputs.tf"):
        assert re.search(rf'kms_key_id += "{FAKE_KEY}"', files[name])


def test_where_the_encryption_cannot_be_read_nobody_is_told_to_weaken_it() -> None:
    aws = encrypted()
    aws.faults["get_bucket_encryption"] = ["AccessDenied"]
    with pytest.raises(CallFailed, match="get_bucket_encryption on tf-state: AccessDenied"):
        observed_in(aws, bucket_unmanaged=["encryption"])


def test_the_key_that_aws_manages_is_known_by_its_arn() -> None:
    assert "kms_key_arn" not in configuration(observed(Table(sse=MANAGED_TABLE_KEY)))["table.tf"]
    assert f'kms_key_arn = "{FAKE_KEY}"' in configuration(observed(Table(sse=FAKE_KEY)))["table.tf"]


def test_a_table_with_another_key_is_not_handed_over() -> None:
    with pytest.raises(Invalid, match="tf-locks has another key than LockID"):
        observed(Table(key=[{"AttributeName": "id", "KeyType": "HASH"}]))
