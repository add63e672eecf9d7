# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Healthy backends in a fake AWS: what can be made wrong in them, audited, and what is printed, pasted."""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from itertools import count
from pathlib import Path
from typing import Any

import botocore.exceptions
import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.code import (
    further_buckets,
    further_tables,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.code_keys import further_keys
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.findings import Tuning, waivers_of
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws import client as _client
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.client import Aws
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.code_keys import keys_there
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.code_options import code_of
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import CONNECTION_SPEC
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import LockInfo, marshal
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report.build import RESULT, audit_of, build_report

from tests.support import aws_cli
from tests.support.inline_plays import Plays
from tests.support.pasting import paste
from tests.unit.plugins.module_utils.fake_aws import ACCOUNT, KEYS, Rejected
from tests.unit.plugins.module_utils.fake_backend import FakeBackend, Kept

HOST, REGION = "prod", "us-east-1"
BUCKET, TABLE, LOGS = "acme-states", "acme-locks", "acme-logs"
TODAY = date(2026, 11, 21)
CONNECTION = {"region": REGION, "account_id": ACCOUNT, "access_key": "AKIA", "secret_key": "hush-hush"}
CONNECTION["endpoint_url"] = "http://127.0.0.1:9"
CODE = """terraform {{
  backend "s3" {{
    bucket = "{bucket}"
    key    = "{key}"
    region = "{region}"
{lock}
  }}
}}
"""
LOCKED_BY = {
    "dynamodb": f'    dynamodb_table = "{TABLE}"',
    "lockfile": "    use_lockfile = true",
    "both": f'    dynamodb_table = "{TABLE}"\n    use_lockfile = true',
}
Raw = dict[str, Any]


def code(
    mode: str = "both", bucket: str = BUCKET, key: str = "app.tfstate", region: str = REGION, more: str = ""
) -> str:
    """A root configuration of Terraform that uses a backend."""
    lock = "\n".join(filter(None, (LOCKED_BY.get(mode, mode), more)))
    return CODE.format(bucket=bucket, key=key, region=region, lock=lock)


def state(serial: int = 4, size: int = 0) -> bytes:
    about = {"version": 4, "terraform_version": "1.11.4", "serial": serial, "lineage": "2d29fd45"}
    return json.dumps({**about, "outputs": {}, "resources": [], "check_results": None, "pad": "x" * size}).encode()


def md5(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


class AuditedAws(FakeBackend):
    """With what commands of an audit do besides."""

    def __post_init__(self) -> None:
        super().__post_init__()
        #: By ARN what KMS says of keys that are not as they should be.
        self.keys: dict[str, dict[str, Any]] = {}

    def use_for(self, patch: pytest.MonkeyPatch) -> None:
        super().use_for(patch)
        patch.setattr(_client, "is_of_aws", lambda _client: self.serves_like_aws)
        # S3 Control has hosts of its own, which an endpoint does not have.
        patch.setattr(Aws, "_addressed", lambda _aws, call: call)
        patch.setattr(_client, "known_caller", lambda *_unused: None)
        patch.setattr(_client, "remember_caller", lambda *_unused: None)
        for arn in (ARN, OTHER_ARN, FOREIGN_ARN):
            patch.setitem(KEYS, arn, arn)

    def _kms_describe_key(self, params: Any) -> Any:
        arn = KEYS.get(params["KeyId"])
        if arn is None or self.keys.get(arn, {}).get("KeyState") == "Missing":
            raise Rejected("NotFoundException")
        about = {"Arn": arn, "KeyId": arn.rpartition("/")[2], "KeyManager": "CUSTOMER", "Enabled": True}
        return {"KeyMetadata": {**about, **self.keys.get(arn, {})}}

    def _kms_enable_key(self, params: Any) -> None:
        assert self.keys.pop(params["KeyId"])["KeyState"] == "Disabled"

    def _kms_cancel_key_deletion(self, params: Any) -> None:
        assert self.keys[params["KeyId"]]["KeyState"] == "PendingDeletion"
        self.keys[params["KeyId"]] = {"KeyState": "Disabled"}

    def _kms_list_key_rotations(self, params: Any) -> Any:
        return {"Rotations": []}

    def _dynamodb_update_time_to_live(self, params: Any) -> None:
        asked = params["TimeToLiveSpecification"]
        self._table(params).ttl = asked["AttributeName"] if asked["Enabled"] else None

    def _dynamodb_update_table(self, params: Any) -> None:
        for update in params.get("ReplicaUpdates", ()):
            ((what, region),) = update.items()
            replicas = self._table(params).replicas
            replicas.append(region["RegionName"]) if what == "Create" else replicas.remove(region["RegionName"])
        if "ReplicaUpdates" not in params:
            super()._dynamodb_update_table(params)

    def _dynamodb_delete_table(self, params: Any) -> None:
        super()._dynamodb_delete_table(params)

    def _s3_put_bucket_acl(self, params: Any) -> None:
        if self._bucket(params).ownership == "BucketOwnerEnforced":
            raise Rejected("AccessControlListNotSupported")
        asked = params.get("AccessControlPolicy", {"Grants": []})
        assert "AccessControlPolicy" in params or params["ACL"] == "private"
        self._bucket(params).grants = copy.deepcopy(asked["Grants"])

    def _s3_put_bucket_replication(self, params: Any) -> None:
        self._bucket(params).replication = copy.deepcopy(params["ReplicationConfiguration"]["Rules"])

    def _s3_delete_bucket_replication(self, params: Any) -> None:
        self._bucket(params).replication = []

    def _s3_copy_object(self, params: Any) -> None:
        bucket, _slash, key = params["CopySource"].partition("/")
        found = self._found({"Bucket": bucket, "Key": key}, "NoSuchKey")
        self._add(params, Body=found["Body"], Size=found["Size"], Tags=found["Tags"])


@dataclass
class Backend:
    """One host of an inventory, its backend, and the folder that commands are pasted in."""

    home: Path
    aws: AuditedAws
    host: dict[str, Any] = field(default_factory=dict)
    asked: dict[str, Any] = field(default_factory=dict)
    is_reached: bool = True
    #: The lock modes of other hosts with the same bucket.
    twins: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.s3, self.dynamodb = (self.aws.client(each, REGION) for each in ("s3", "dynamodb"))
        self.host["terraform_backend_backup"] = str(self.home / "backups")
        self.plays = Plays({HOST: self.host}, self.home)

    # What is done to it, by raw calls.

    def put(self, key: str, *bodies: bytes | None, digest: bytes | str | None = None) -> None:
        """Versions of a state, None for a delete marker; and its digest, of the last version if not said."""
        where = {"Bucket": BUCKET, "Key": key}
        for body in bodies:
            self.s3.delete_object(**where) if body is None else self.s3.put_object(**where, Body=body)
        last = digest if digest is not None else next((each for each in reversed(bodies) if each is not None), None)
        if TABLE in self.aws.tables and last is not None and last != "":
            text = md5(last) if isinstance(last, bytes) else last
            self.item(f"{key}-md5", Digest={"S": text})

    def item(self, path: str, **more: Any) -> None:
        self.dynamodb.put_item(TableName=TABLE, Item={"LockID": {"S": f"{BUCKET}/{path}"}, **more})

    def lock(self, path: str, *stores: str, age_s: float = 60, text: str | None = None, **more: Any) -> None:
        """A lock as clients write it, or other text in its place."""
        created = datetime.now(timezone.utc) - timedelta(seconds=age_s)
        about = {"id": "b1c095f2-855b-d3a8-2d5d-50f638809c5c", "operation": "OperationTypeApply", "info": ""}
        about |= {"who": "ana@laptop", "version": "1.11.4", "path": f"{BUCKET}/{path}", **more}
        info = LockInfo(**{"created": created.strftime("%Y-%m-%dT%H:%M:%SZ"), **about})
        content = marshal(info) if text is None else text
        if "file" in stores:
            self.s3.put_object(Bucket=BUCKET, Key=f"{path}.tflock", Body=content.encode())
        if "table" in stores:
            self.item(path, Info={"S": content})

    def statement(self, **statement: Any) -> None:
        """One more statement in the policy."""
        policy = json.loads(self.s3.get_bucket_policy(Bucket=BUCKET)["Policy"])
        policy["Statement"].append({"Resource": f"arn:aws:s3:::{BUCKET}/*", "Effect": "Allow", **statement})
        self.s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy))

    def rule(self, name: str, **rule: Any) -> None:
        """One more rule in the lifecycle."""
        try:
            rules = self.s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
        except botocore.exceptions.ClientError:
            rules = []
        rules = [*rules, {"ID": name, "Status": "Enabled", "Filter": {}, **rule}]
        self.s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": rules})

    def write(self, path: str, text: str) -> None:
        file = self.home / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def replace(self, path: str, old: str, new: str) -> None:
        text = (self.home / path).read_text()
        assert old in text
        self.write(path, text.replace(old, new))

    def run(
        self,
        playbook: str,
        extra: Mapping[str, Any] | None = None,
        check: bool = False,
        tags: Sequence[str] = ("all",),
    ) -> None:
        for result in self.plays.run(playbook, HOST, extra, check, tags):
            assert not result.get("failed") and result.get("converged") is not False, (playbook, result["msg"])

    # What people do with it.

    def audit(self) -> list[dict[str, Any]]:
        """What the report tells of it and of its code."""
        Kept.files.clear()  # each audit is another run
        asked = {"backup": str(self.home / "backups" / HOST), **self.asked}
        result = self.plays.task("tf_backend_audit", asked, HOST, {"terraform_backend_playbook": "audit"})
        tuning = Tuning(TODAY, waivers=waivers_of(asked.get("waivers", ())))
        inventory = [self.plays.inventory]
        seen = audit_of(HOST, {**self.host, RESULT: result if self.is_reached else {}}, tuning, inventory)
        tree = self.home / "code"
        layers = code_of({"code": [str(tree)]}) if tree.exists() else None
        tables = further_tables(layers, [seen["backend"]]).get(HOST, set()) if layers else set()
        buckets = further_buckets(layers, [seen["backend"]]).get(HOST, set()) if layers else set()
        looked_up = {
            "tables": {name: name in self.aws.tables for name in tables},
            "buckets": {name: name in self.aws.buckets for name in buckets},
        }
        used = further_keys(layers, [seen["backend"]]).get(HOST, set()) if layers else set()
        keys = {HOST: keys_there({**dict.fromkeys(CONNECTION_SPEC), **CONNECTION}, used)}
        other = [{**seen["backend"], "name": f"twin {mode}", "lock_mode": mode} for mode in self.twins]
        seen_of_others = [{**seen, "backend": each, "findings": []} for each in other]
        report = build_report([seen, *seen_of_others], layers, {HOST: looked_up}, tuning, inventory, keys)
        rows = [row for row in report.rows if row.name == HOST]
        return [*(each for row in rows for each in row.findings), *report.others]

    def paste(self, commands: Sequence[str], folder: Path) -> list[str]:
        """Paste them into a shell in the folder of the audit. The programs that only a person can go on with."""
        by_hand = []
        for program, *words in paste(commands, folder):
            if program == "ansible-playbook":
                self._play(words)
            elif program == "aws":
                self._call(words)
            else:
                by_hand.append(program)
        return by_hand

    def _play(self, words: Sequence[str]) -> None:
        name, *rest = words
        names = ("-i", "-l", "-e", "--tags")
        given = {rest[place]: rest[place + 1] for place in range(len(rest) - 1) if rest[place] in names}
        assert (given["-i"], given["-l"]) == (self.plays.inventory, HOST)
        self.run(
            name.rpartition(".")[2],
            json.loads(given.get("-e", "{}")),
            "--check" in rest,
            given.get("--tags", "all").split(","),
        )

    def _call(self, words: Sequence[str]) -> None:
        def client(service: str, shared: dict[str, str]) -> Any:
            assert shared["--region"] == REGION
            return self.aws.client(service, REGION)

        aws_cli.call(words, client)

    def raw(self) -> Raw:
        """All that AWS answers about it, and all files, by name."""
        s3 = {name: _answer(self.s3, f"get_{name}", Bucket=BUCKET) for name in OF_BUCKETS}
        described = _answer(self.dynamodb, "describe_table", TableName=TABLE)
        arn = described["Table"]["TableArn"] if "Table" in described else ""
        of_table = {name: _answer(self.dynamodb, name, TableName=TABLE) for name in OF_TABLES}
        of_table |= {name: _answer(self.dynamodb, name, ResourceArn=arn) for name in OF_ARNS if arn}
        raw: Raw = {**s3, "describe_table": described, **of_table, **self._items(), **self._objects()}
        files = (each for each in self.home.rglob("*") if each.is_file() and "backups" not in each.parts)
        raw |= {f"file {each.relative_to(self.home)}": each.read_text() for each in files}
        return {name: value for name, value in raw.items() if value != {}}

    def _items(self) -> Raw:
        found = self.aws.tables[TABLE].items if TABLE in self.aws.tables else []
        return {f"item {each['LockID']['S'].partition('/')[2]}": each for each in found}

    def _objects(self) -> Raw:
        """By key: body and storage class of all versions, the newest first. Locks that were released are over."""
        found: Raw = {}
        for each in self.aws.buckets[BUCKET].objects if BUCKET in self.aws.buckets else ():
            body = None if each.get("Marker") else bytes(each["Body"])
            found.setdefault(f"object {each['Key']}", []).append((body, each.get("StorageClass")))
        return {name: each for name, each in found.items() if not name.endswith(".tflock") or each[0][0] is not None}


OF_BUCKETS = (
    *("bucket_versioning", "public_access_block", "bucket_encryption", "bucket_ownership_controls"),
    *("bucket_lifecycle_configuration", "bucket_tagging", "bucket_logging", "bucket_policy", "bucket_acl"),
    *("object_lock_configuration", "bucket_replication"),
)
OF_TABLES = ("describe_continuous_backups", "describe_time_to_live")
OF_ARNS = ("list_tags_of_resource", "get_resource_policy")


def _answer(client: Any, operation: str, **params: Any) -> Any:
    try:
        answer = getattr(client, operation)(**params)
    except botocore.exceptions.ClientError:
        return {}
    answer.pop("ResponseMetadata")
    if "Policy" in answer:
        answer["Policy"] = json.loads(answer["Policy"])
    return _in_order({name: each for name, each in answer.items() if each not in (None, "", {})})


def _in_order(value: Any) -> Any:
    """Lists of settings are sets."""
    if isinstance(value, dict):
        return {name: _in_order(each) for name, each in value.items()}
    return sorted((_in_order(each) for each in value), key=str) if isinstance(value, list) else value


def difference(before: Raw, after: Raw) -> set[str]:
    """The names of what is not the same."""
    return {name for name in {*before, *after} if before.get(name) != after.get(name)}


def healthy(kind: str, home: Path, patch: pytest.MonkeyPatch) -> Backend:
    """A backend as bootstrap leaves it, with states, and code that uses it; adopted ones are stronger."""
    mode, more = KINDS[kind]
    aws = AuditedAws()
    aws.use_for(patch)
    role = {"bucket_name": BUCKET, "lock_mode": mode, **CONNECTION, **more}
    role |= {"table_name": TABLE} if mode != "lockfile" else {}
    backend = Backend(home, aws, {f"terraform_backend_{name}": value for name, value in role.items()})
    aws.client("s3", REGION).create_bucket(Bucket=LOGS)
    backend.run("bootstrap")
    if kind == "adopted":
        backend.statement(**OF_CI)
        backend.rule("drafts", Expiration={"Days": 9}, Filter={"Prefix": "drafts/"})
        backend.run("bootstrap")
    for place, key in enumerate(("app.tfstate", "net/a.tfstate", "env:/dev/app.tfstate")):
        backend.put(key, state(place), state(place + 1))
    backend.write("code/app/main.tf", code(mode))
    return backend


def copied(backend: Backend, home: Path, patch: pytest.MonkeyPatch) -> Backend:
    """To be made wrong, while the healthy one stays."""
    aws = AuditedAws()
    aws.buckets, aws.tables, aws.policies = copy.deepcopy(
        (backend.aws.buckets, backend.aws.tables, backend.aws.policies)
    )
    aws._numbers = count(100)
    aws.use_for(patch)
    shutil.copytree(backend.home, home, dirs_exist_ok=True)
    return Backend(home, aws, copy.deepcopy(backend.host))


ARN, OTHER_ARN = (f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{name}" for name in ("1234abcd", "5678ef01"))
FOREIGN_ARN = f"arn:aws:kms:{REGION}:444455556666:key/9012abcd"
OF_CI = {
    "Sid": "Ci",
    "Effect": "Allow",
    "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/ci"},
    "Action": ["s3:GetObject"],
    "Resource": [f"arn:aws:s3:::{BUCKET}/*"],
}
STRONGER: dict[str, Any] = {
    "bucket_kms_key_id": ARN,
    "bucket_logging_target_bucket": LOGS,
    "bucket_logging_target_prefix": "states/",
    "bucket_tags": {"team": "platform"},
    "table_tags": {"team": "platform"},
    "table_kms_key_id": ARN,
}
#: Healthy backends: their lock mode, and variables besides.
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("both", {}),
    "adopted": ("both", STRONGER),
    "dynamodb": ("dynamodb", {}),
    "lockfile": ("lockfile", {}),
    "KMS": ("both", {"bucket_encryption": "aws:kms"}),
    "a key, by files": ("lockfile", {"bucket_kms_key_id": ARN}),
    "a required key": ("dynamodb", {"bucket_kms_key_id": ARN, "bucket_require_kms_key": True}),
    "logs": ("lockfile", {"bucket_logging_target_bucket": LOGS}),
    "tags": ("dynamodb", {"bucket_tags": {"a": "b"}, "table_tags": {"a": "b"}}),
    "provisioned": (
        "dynamodb",
        {"table_billing_mode": "PROVISIONED", "table_read_capacity": 5, "table_write_capacity": 5},
    ),
    "infrequent access": ("both", {"table_table_class": "STANDARD_INFREQUENT_ACCESS"}),
    "a table with a key": ("dynamodb", {"table_kms_key_id": ARN}),
    "object lock": ("lockfile", {"bucket_object_lock": True, "bucket_allow": ["enable_object_lock"]}),
    "a longer history": ("both", {"bucket_noncurrent_version_expiration_days": 365}),
    "more versions": ("lockfile", {"bucket_newer_noncurrent_versions": 100}),
    "TLS 1.3": ("both", {"bucket_minimum_tls_version": "1.3"}),
    "one organization": ("lockfile", {"bucket_allowed_organization_ids": ["o-a1b2c3d4e5"]}),
    "statements": ("both", {"bucket_policy_statements": [OF_CI]}),
    "tags of others": ("dynamodb", {"bucket_unmanaged": ["tags"], "table_unmanaged": ["tags", "billing"]}),
    "another prefix": ("both", {"workspace_key_prefix": "teams"}),
    "a key, in both ways": ("both", {"bucket_kms_key_id": ARN}),
}
