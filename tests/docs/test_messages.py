# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Each message of docs/messages.md is provoked, and reads as the page says."""

from __future__ import annotations

import json
import math
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import botocore.exceptions
import botocore.session
import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.client import Aws
from ansible_collections.cornerstone.tfstate.plugins.modules import tf_backend_prices as prices_module
from botocore.retries.standard import ExponentialBackoff

from tests.docs.pages import tables
from tests.integration.conftest import behind_the_shim
from tests.integration.module_runs import Task, through_core
from tests.integration.moves import World
from tests.integration.scenarios import in_region
from tests.integration.subject import MODULES, Subject
from tests.integration.test_lock_mode import ignore
from tests.integration.test_state_repair import KEY, LINEAGE, state
from tests.integration.test_table import make
from tests.playbooks.project import Project
from tests.support.aws_defaults import aws_defaults
from tests.support.aws_tables import CLASS_CHANGES, ENCRYPTION_CHANGES, AwsTables
from tests.support.emulators import RunningEmulator
from tests.support.http_relay import Answer, Body
from tests.support.relay import Call, Proceed, Relay, Reply, error, then
from tests.unit.plugins.module_utils._aws.test_client import (
    LISTED,
    WHO,
    Script,
    botocore_does_not_sleep,
    json_error,
    s3_error,
    says,
    sts_error,
)
from tests.unit.plugins.module_utils._aws.test_credentials import Regions, profile, stamped
from tests.unit.plugins.modules.test_tf_backend_prices import PriceList, audited, without

__all__ = ["botocore_does_not_sleep"]

PAGE = "docs/messages.md"
ROWS = {row[0]: row[1].strip("`") for row in tables(PAGE, "what went wrong")}
NO_KEYS = {"access_key": None, "secret_key": None}
SCP = "User: u is not authorized to perform: s3:x with an explicit deny in a service control policy"


@dataclass
class Stage:
    """AWS's words without AWS (`offline`), or an emulator whose answers are meddled with (`bucket` and `table`)."""

    folder: Path
    patch: pytest.MonkeyPatch
    bucket: Subject
    table: Subject
    aws_tables: AwsTables

    def offline(self, script: Script, kind: str = "table", **asked: Any) -> str:
        create = botocore.session.Session.create_client

        def create_client(session: Any, *names: Any, **options: Any) -> Any:
            client = create(session, *names, **options)
            client.meta.events.register("before-send", script)
            return client

        self.patch.setattr(botocore.session.Session, "create_client", create_client)
        usual = {"name": "tf-name", "region": "eu-west-1", "access_key": "AKIATEST", "secret_key": "s"}
        params = {name: value for name, value in {**usual, **asked}.items() if value is not None}
        (result,) = through_core([Task(MODULES[kind], {**params, "cache_credentials": False})])
        return failed(result)

    def fails(self, error: Exception) -> str:
        return self.offline(Script([error]))

    def refused(self, operation: str, reply: Reply, **asked: Any) -> str:
        """What a task says when AWS answers this to its operation."""
        subject = self.table if "Table" in operation else self.bucket
        subject.relay.on(operation, reply=reply, times=math.inf)
        return failed(subject.task(wait_timeout=0, **asked))


def failed(result: dict[str, Any]) -> str:
    assert result.get("failed"), result
    return str(result["msg"])


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ministack: RunningEmulator) -> Any:
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda _self, _context: 0.002)
    monkeypatch.setattr(Aws, "pause", lambda _self, _attempt: time.sleep(0.002))  # an emulator is at rest at once
    aws_tables = AwsTables()
    with Relay(ministack.url) as relay:
        relay.use(aws_tables, *aws_defaults(ministack))
        bucket, table = (behind_the_shim(kind, ministack, relay) for kind in ("bucket", "table"))
        yield Stage(tmp_path, monkeypatch, bucket, table, aws_tables)


def with_profile(stage: Stage, **more: str) -> dict[str, Any]:
    profile(stage.folder, stage.patch, **more)
    return {**NO_KEYS, "profile": "role"}


def half_of_the_credentials(stage: Stage) -> str:
    stage.patch.setenv("AWS_ACCESS_KEY_ID", "AKIAENV")
    role = "arn:aws:iam::111122223333:role/tf"  # whose credentials are needed at once
    return stage.offline(Script([WHO]), **NO_KEYS, assume_role_arn=role)


def login_ended(stage: Stage) -> str:
    settings = ("sso_start_url = https://x", "sso_region = eu-west-1", "sso_account_id = 111122223333")
    (stage.folder / "config").write_text("\n".join(["[profile sso]", *settings, "sso_role_name = r"]))
    stage.patch.setenv("AWS_CONFIG_FILE", str(stage.folder / "config"))
    stage.patch.setenv("HOME", str(stage.folder))
    return stage.offline(Script([WHO]), **NO_KEYS, profile="sso")


def expired(stage: Stage) -> str:
    script = Script(by_operation={"HeadBucket": says(400), "GetCallerIdentity": sts_error("ExpiredToken")})
    return stage.offline(script, "bucket")


def nobody_listens(stage: Stage) -> str:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    (result,) = through_core([stage.table.as_task(endpoint_url=url, wait_timeout=0)])
    return failed(result)


def forbidden_bucket(stage: Stage, listed: Any) -> str:
    answers = {"HeadBucket": says(403), "ListBuckets": listed, "GetCallerIdentity": WHO_IS_ASKED}
    return stage.offline(Script(by_operation=answers), "bucket")


WHO_IS_ASKED = says(
    200,
    b"<GetCallerIdentityResponse><GetCallerIdentityResult><Account>111122223333</Account>"
    b"<Arn>arn:aws:iam::111122223333:user/u</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>",
)


def in_another_region(stage: Stage) -> str:
    stage.bucket.done()
    stage.bucket.relay.on("HeadBucket", reply=in_region("eu-central-1"), times=math.inf)
    return stage.bucket.refused(account_id="000000000000")


def missing_bucket(stage: Stage) -> str:
    connection = {
        "endpoint_url": stage.bucket.relay.url,
        "region": "us-east-1",
        "access_key": "test",
        "secret_key": "x",
    }
    asked = {"bucket": stage.bucket.name, "key": "app.tfstate", "state": "released"}
    (result,) = through_core([Task("tf_state_lock", {**connection, **asked})])
    return failed(result)


def with_versions(stage: Stage, *bodies: bytes) -> list[str]:
    """The bucket with these versions of a state, the oldest first."""
    name, s3 = stage.bucket.name, stage.bucket.emulator.client("s3")
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return [s3.put_object(Bucket=name, Key=KEY, Body=body)["VersionId"] for body in bodies]


def of_states(stage: Stage, module: str, **asked: Any) -> str:
    connection = {"endpoint_url": stage.bucket.relay.url, "region": "us-east-1", "access_key": "test"}
    task = Task(module, {**connection, "secret_key": "x", "bucket": stage.bucket.name, **asked})
    (result,) = through_core([task])
    return failed(result)


def archived(stage: Stage, **asked: Any) -> str:
    def in_glacier(_call: Call, proceed: Proceed) -> Answer:
        answer = proceed()
        archive = b"<StorageClass>GLACIER</StorageClass>"
        body = re.sub(rb"<StorageClass>\w+</StorageClass>", b"", answer.body.read())
        return answer.with_body(body.replace(b"<IsLatest>false", archive + b"<IsLatest>false"))

    with_versions(stage, state(1), state(2))
    stage.bucket.relay.on("ListObjectVersions", reply=in_glacier, times=math.inf)
    stage.bucket.relay.on("GetObject", reply=error("InvalidObjectState", 403), times=math.inf)
    stage.bucket.relay.on("RestoreObject", reply=lambda _call, _proceed: Answer(202, {}, Body(())))
    return of_states(stage, "tf_backend_backup", backup=str(stage.folder / "backup"), **asked)


def archived_version(stage: Stage) -> str:
    (version, _current) = with_versions(stage, state(1), state(2))
    stage.bucket.relay.on("GetObject", reply=error("InvalidObjectState", 403), times=math.inf)
    return of_states(stage, "tf_state_version", key=KEY, state="compared", version_id=version)


def encrypted_version(stage: Stage) -> str:
    text = '{"serial":3,"lineage":"%s","meta":{},"encrypted_data":"x","encryption_version":"v0"}'
    (version, _current) = with_versions(stage, (text % LINEAGE).encode(), state(7))
    return of_states(stage, "tf_state_version", key=KEY, state="restored", version_id=version)


def misnamed(stage: Stage, key: str, workspace: str = "default") -> str:
    """In a bucket with one state."""
    bucket = stage.bucket
    bucket.done()
    bucket.aws("s3").put_object(Bucket=bucket.name, Key="app/one.tfstate", Body=b"{}")
    connection = {"endpoint_url": bucket.relay.url, "region": bucket.region, "access_key": "test", "secret_key": "x"}
    asked = {"bucket": bucket.name, "key": key, "workspace": workspace, "state": "released"}
    (result,) = through_core([Task("tf_state_lock", {**connection, **asked})])
    return failed(result)


def locked_in_table(stage: Stage, denied: bool = False) -> str:
    """By the digest of a state."""
    make(stage.table)
    stage.bucket.done()
    stage.bucket.aws("s3").put_object(Bucket=stage.bucket.name, Key="app/one.tfstate", Body=b"{}")
    item = {"LockID": {"S": f"{stage.bucket.name}/app/one.tfstate-md5"}, "Digest": {"S": "0"}}
    stage.table.aws("dynamodb").put_item(TableName=stage.table.name, Item=item)
    if denied:
        stage.bucket.relay.on("Scan", reply=error("AccessDeniedException", 400), times=math.inf)
    return failed(stage.bucket.task(lock_mode="lockfile", table=stage.table.name))


def another_key(stage: Stage) -> str:
    make(stage.table, "ID")
    return stage.table.refused()


def deleted_meanwhile(stage: Stage) -> str:
    make(stage.table)
    dynamodb = stage.table.emulator.client("dynamodb", region=stage.table.region)

    def delete(_call: Any) -> None:
        dynamodb.update_table(TableName=stage.table.name, DeletionProtectionEnabled=False)
        dynamodb.delete_table(TableName=stage.table.name)

    stage.table.relay.on("UpdateContinuousBackups", reply=then(delete))
    return failed(stage.table.task())


def described(**more: Any) -> Script:
    table = {"TableName": "tf-name", "TableArn": "arn:aws:dynamodb:eu-west-1:111122223333:table/tf-name", **more}
    return Script([says(200, json.dumps({"Table": table}).encode())])


def lost(stage: Stage) -> str:
    key = {"KMSMasterKeyArn": "arn:aws:kms:eu-west-1:111122223333:key/1111"}
    return stage.offline(described(TableStatus="INACCESSIBLE_ENCRYPTION_CREDENTIALS", SSEDescription=key))


def key_disabled(stage: Stage) -> str:
    kms = stage.table.aws("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.disable_key(KeyId=key)
    return stage.table.refused(kms_key_id=key)


def damaged_state(stage: Stage) -> str:
    world = World(stage.bucket.relay, stage.bucket.emulator)
    world.old.put(b'{"version": 4, "serial', "app.json", digest=False)
    return failed(world.move(key=None))


def quota(stage: Stage, used: str, limit: int, **asked: Any) -> str:
    stage.table.done()
    setattr(stage.aws_tables.of(stage.table.name), used, limit)
    return failed(stage.table.task(wait_timeout=0, **asked))


def throttled(stage: Stage) -> str:
    stage.table.done()
    return stage.refused("UpdateTable", error("ThrottlingException"), table_class="STANDARD_INFREQUENT_ACCESS")


def unknown_parameter(stage: Stage) -> str:
    report = "Unknown parameter in input"
    return stage.fails(botocore.exceptions.ParamValidationError(report=report))


def botocore_missing(stage: Stage) -> str:
    """A Python that has none, for the controller, too."""
    (stage.folder / "without" / "botocore").mkdir(parents=True)
    (stage.folder / "without" / "botocore" / "__init__.py").write_text("raise ImportError('no botocore')\n")
    project = Project(stage.folder, stage.table.relay.url)
    project.inventory({"localhost": {}})
    options = {**project.connection(), "name": stage.table.name}
    task = {"name": "Fail", "cornerstone.tfstate.tf_lock_table": options}
    project.write("site.yml", [{"hosts": "localhost", "gather_facts": False, "tasks": [task]}])
    run = project.play("site.yml", PYTHONPATH=str(stage.folder / "without"))
    found = re.search(r"Failed to import the required.*?ansible_python_interpreter", run.output, re.DOTALL)
    assert found, run.output
    return " ".join(found.group().split())


def old_python(stage: Stage) -> str:
    """A real one, or else a program that says so and takes no module."""
    real, python = shutil.which("python3.9"), stage.folder / "python3.9"
    if not real or subprocess.run([real, "-c", ""], capture_output=True, check=False).returncode:
        real = None
        python.write_text('#!/bin/sh\ncase "$1" in -c) echo 3.9;; *) echo SyntaxError >&2; exit 1;; esac\n')
        python.chmod(0o755)
    project = Project(stage.folder, stage.table.relay.url)
    project.inventory({"eu": {"terraform_backend_bucket_name": "tf-old-python"}})
    arguments = ("-e", "terraform_backend_lock_mode=lockfile", "-e", f"ansible_python_interpreter={real or python}")
    run = project.play("cornerstone.tfstate.bootstrap", *arguments)
    found = run.reasons["eu"]
    return str(found)


def price_list(stage: Stage, url: str = "http://127.0.0.1:9") -> str:
    params = {"path": str(stage.folder / "prices.csv"), "regions": ["eu-central-1"], "url": url, "timeout": 5}
    told = prices_module.MODULE.run({**params, "validate_certs": True}, check_mode=False, diff=False)
    return str(told["msg"])


def lacking_price(stage: Stage) -> str:
    server = PriceList()
    server.answers["AmazonDynamoDB"] = without("AmazonDynamoDB", "EUC1-ReadRequestUnits")
    try:
        return price_list(stage, server.url)
    finally:
        server.server.shutdown()
        server.server.server_close()


def wrong_prices(stage: Stage) -> str:
    path = stage.folder / "wrong.csv"
    path.write_text("region,item,usd,as_of,source\neu-west-1,storage,cheap,2026-09-11,x\nend,1,,,\n")
    return str(audited(prices_file=str(path))["msg"])


UNRECOGNISED = json_error("UnrecognizedClientException")
CASES: dict[str, Callable[[Stage], str]] = {
    "a blank would lower a protection": lambda stage: stage.bucket.refused(account_id=""),
    "text without its quotes": lambda stage: stage.bucket.refused(account_id=1402433619),
    "the region is mistyped": lambda stage: stage.bucket.refused(region="eu-wets-1"),
    "an identifier of another form": lambda stage: stage.bucket.refused(allowed_organization_ids=["not-an-org"]),
    "no credentials": lambda stage: stage.offline(Script([WHO]), **NO_KEYS),
    "half of the credentials": half_of_the_credentials,
    "the profile is missing": lambda stage: stage.offline(Script([WHO]), **NO_KEYS, profile="nosuch"),
    "the login has ended": login_ended,
    "the profile wants an MFA code": lambda stage: stage.offline(
        Script([WHO]), **with_profile(stage, mfa_serial="arn:aws:iam::111122223333:mfa/me")
    ),
    "the credentials have expired": expired,
    "AWS does not know the credentials": lambda stage: stage.offline(Regions("nowhere", UNRECOGNISED)),
    "the secret is wrong": lambda stage: stage.offline(Script([json_error("SignatureDoesNotMatch")])),
    "the clock is wrong": lambda stage: stage.offline(
        Script([stamped(json_error("InvalidSignatureException"), timedelta(hours=2))])
    ),
    "the role cannot be assumed": lambda stage: stage.offline(
        Script([sts_error("AccessDenied")]), assume_role_arn="arn:aws:iam::111122223333:role/tf"
    ),
    "another account than declared": lambda stage: stage.bucket.refused(account_id="999999999999"),
    "no region": lambda stage: stage.offline(Script([WHO]), region=None),
    "no such region": lambda stage: stage.offline(Script([WHO]), region="mars-north-1"),
    "the region is not enabled": lambda stage: stage.offline(Regions("us-east-1", UNRECOGNISED), region="af-south-1"),
    "the region is not enabled, or the token is of the old kind": lambda stage: stage.offline(
        Regions("us-east-1", UNRECOGNISED), region="af-south-1", session_token="v1"
    ),
    "the endpoint is unreachable": lambda stage: stage.fails(
        botocore.exceptions.EndpointConnectionError(endpoint_url="https://dynamodb.eu-west-1.amazonaws.com")
    ),
    "the emulator does not run": nobody_listens,
    "there is no FIPS endpoint": lambda stage: stage.fails(
        botocore.exceptions.EndpointConnectionError(endpoint_url="https://dynamodb-fips.eu-west-1.amazonaws.com/")
    ),
    "there cannot be such an endpoint": lambda stage: stage.offline(
        Script([WHO]), "bucket", region="cn-north-1", aws_config={"use_fips_endpoint": True}
    ),
    "a proxy sends the task in circles": lambda stage: stage.fails(RecursionError()),
    "something else answers": lambda stage: stage.offline(
        Script([says(200, b"<html>Please log in")]), account_id="111122223333"
    ),
    "the bucket name is taken": lambda stage: forbidden_bucket(stage, says(200, LISTED % b"other")),
    "the bucket name was taken meanwhile": lambda stage: stage.refused(
        "CreateBucket", error("BucketAlreadyExists", 409)
    ),
    "the bucket is yours, and hidden from you": lambda stage: forbidden_bucket(stage, says(200, LISTED % b"tf-name")),
    "nobody knows whose the bucket is": lambda stage: forbidden_bucket(stage, s3_error("AccessDenied", 403)),
    "the bucket lies in another region": in_another_region,
    "the bucket is missing": missing_bucket,
    "lock files do not work at the store": lambda stage: stage.refused(
        "PutObject", ignore("if-none-match"), probe_lock_files=True
    ),
    "clients lock in the table": locked_in_table,
    "whether clients lock in the table cannot be seen": lambda stage: locked_in_table(stage, denied=True),
    "the table has another key": another_key,
    "the table was deleted during the run": deleted_meanwhile,
    "the table has lost its key": lost,
    "the KMS key is disabled": key_disabled,
    "the KMS key does not exist": lambda stage: stage.table.refused(kms_key_id="alias/nope"),
    "versions are archived": archived,
    "the restore of archived versions takes hours": lambda stage: archived(stage, restore_archived=True),
    "an archived object is read": archived_version,
    "OpenTofu encrypted a version": encrypted_version,
    "the state has another name": lambda stage: misnamed(stage, "App/one.tfstate"),
    "the key names another bucket": lambda stage: misnamed(stage, "s3://other/app/one.tfstate"),
    "the key is no more than the URL of a bucket": lambda stage: misnamed(stage, "s3://tf-state"),
    "the workspace and the key disagree": lambda stage: misnamed(stage, "env:/qa/app/one.tfstate", "dev"),
    "the workspace cannot exist": lambda stage: misnamed(stage, "app/one.tfstate", "feature/x"),
    "an object may be a damaged state": damaged_state,
    "a setting may not be read": lambda stage: (
        stage.bucket.done() and stage.refused("GetBucketPolicy", error("AccessDenied", 403))
    ),
    "a setting may not be written": lambda stage: stage.refused("PutBucketVersioning", error("AccessDenied", 403)),
    "the organization forbids it": lambda stage: stage.refused(
        "PutBucketVersioning", error("AccessDenied", 403, message=SCP)
    ),
    "too many buckets": lambda stage: stage.refused("CreateBucket", error("TooManyBuckets")),
    "too many tables": lambda stage: stage.refused("CreateTable", error("LimitExceededException")),
    "too many changes of the table class": lambda stage: quota(
        stage, "class_changes", CLASS_CHANGES, table_class="STANDARD_INFREQUENT_ACCESS"
    ),
    "too many changes of the encryption": lambda stage: quota(
        stage, "encryptions", ENCRYPTION_CHANGES, encryption="aws_managed_key"
    ),
    "throttled past the deadline": throttled,
    "busy past the deadline": lambda stage: stage.offline(described(TableStatus="UPDATING"), wait_timeout=0),
    "the bucket's name was free a moment ago": lambda stage: stage.refused(
        "CreateBucket", error("OperationAborted", 409)
    ),
    "botocore is missing": botocore_missing,
    "Python is too old": old_python,
    "botocore is too old": unknown_parameter,
    "the price list cannot be read": price_list,
    "the price list lacks a price": lacking_price,
    "a file of prices is wrong": wrong_prices,
    "a file of prices is missing": lambda stage: str(audited(prices_file=str(stage.folder / "none.csv"))["msg"]),
}


def test_the_page_tells_what_is_provoked_here_and_no_more() -> None:
    assert list(ROWS) == list(CASES)


@pytest.mark.aws("6.1", "6.2", "6.7", "6.8", "6.10", "4.9", "4.10", "4.11")
@pytest.mark.parametrize("case", CASES)
def test_a_message_reads_as_the_page_says(stage: Stage, case: str) -> None:
    said = CASES[case](stage)
    told = re.sub(r"<\w[\w ]*>", "(.+)", re.escape(ROWS[case]).replace(r"\ ", " "))
    assert re.fullmatch(told, said), f"{said}\n\nand the page says\n\n{ROWS[case]}"


@pytest.mark.parametrize("case", CASES)
def test_a_message_says_what_to_do(case: str) -> None:
    """In its last part, in the imperative or by naming what is needed."""
    words = (
        *("set ", "run ", "correct ", "check ", "choose ", "enable it", "enable that", "need", "update ", "ask AWS"),
        *("get ", "look for", "leave it alone", "please ", "give it", "put quotes", "delete all ", "restore "),
        "use another",
    )
    assert any(word in ROWS[case].lower() for word in [word.lower() for word in words])
