# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every read of settings, denied in turn: whoever may not read one leaves it alone, or is told what is missing."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.client import Aws
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.errors import iam_action
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core import model as _core
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import EXISTENCE, Facet, Target
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import TABLE

from tests.integration.conftest import behind_the_shim
from tests.integration.module_runs import RunTasks, through_core
from tests.integration.subject import Subject, changed
from tests.integration.test_table import make
from tests.support.aws_access import denials
from tests.support.aws_behaviours import mfa_delete_is_on
from tests.support.aws_defaults import aws_defaults
from tests.support.emulators import RunningEmulator
from tests.support.http_relay import Answer
from tests.support.relay import Call, Proceed, Relay, error

PACKAGES = Path(_core.__file__).parents[1]
RESOURCES = {"bucket": BUCKET, "table": TABLE}
READ_VERBS = ("get_", "head_", "list_", "describe_", "scan")
TARGET = Target("tf-state", "us-east-1", arn="arn:aws:dynamodb:us-east-1:000000000000:table/tf-state")
#: What has to be asked for before a facet without baseline is read.
ASKED: dict[str, dict[str, Any]] = {"object_lock": {"object_lock": False}, "logging": {"logging_target_bucket": "none"}}


def own_read(kind: str, facet: Facet) -> _core.Call | None:
    """What reads this facet, unless it comes with the existence."""
    call = facet.read(TARGET)
    return None if call == RESOURCES[kind].existence.read(TARGET) else call


def api_name(operation: str) -> str:
    return operation.title().replace("_", "")


def deny(subject: Subject, operation: str) -> None:
    """An SCP may deny a single operation on a single resource."""
    resource = None if operation == "describe_scalable_targets" else subject.name  # which names many
    subject.relay.use_first(denials(api_name(operation), resource=resource))


FACETS = [
    pytest.param(kind, facet, id=f"{kind} {facet.name}")
    for kind, resource in RESOURCES.items()
    for facet in resource.facets
    if own_read(kind, facet)
]
#: Every other read there is -> the test that denies it.
OTHERS = {
    "head_bucket": "test_who_may_not_look_for_a_resource_is_told",
    "describe_table": "test_who_may_not_look_for_a_resource_is_told",
    "get_bucket_location": "test_a_region_that_nobody_tells_is_not_taken_for_ours",
    "list_object_versions": "test_contents_that_may_not_be_read_are_never_taken_for_none",
    "list_objects_v2": "test_contents_that_may_not_be_read_are_never_taken_for_none",
    "scan": "test_contents_that_may_not_be_read_are_never_taken_for_none",
    "describe_time_to_live": "test_what_is_only_for_a_warning_stops_nobody",
    "list_buckets": "test_who_may_not_list_buckets_is_told_both_ways_to_read_a_403",
    "get_caller_identity": "test_who_may_not_ask_who_he_is_does_without",
    "get_bucket_acl": "test_a_look_around_that_is_denied_names_the_permission_and_the_option",
    "describe_scalable_targets": "test_a_look_around_that_is_denied_names_the_permission_and_the_option",
    "describe_key": "test_a_key_that_may_not_be_described",
    "list_access_points": "test_access_points_that_may_not_be_listed_are_warned_of",
}

#: Reads of IAM, of organizations, and of an audit alone -> the unit tests that deny them.
ELSEWHERE = {
    **dict.fromkeys(("get_role", "get_resource_policy"), "_engine/test_permissions.py"),
    **dict.fromkeys(
        ("list_accounts", "list_accounts_for_parent", "list_organizational_units_for_parent", "list_roots"),
        "modules/test_tf_backend_accounts.py",
    ),
    "list_tags_for_resource": "modules/test_tf_backend_accounts.py",
    "get_bucket_replication": "_audit/test_unseen.py",
}


def test_every_read_of_settings_is_denied_here() -> None:
    """What the modules of states read is denied in test_denied_states."""
    written = {
        ast.literal_eval(node.args[1])
        for path in PACKAGES.rglob("*.py")
        if path.parent.name not in ("_locks", "_state", "_repair", "_migration", "_lock_mode", "_backup", "_teardown")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "Call"
    }
    reads = {operation for operation in written if operation.startswith(READ_VERBS)}
    of_facets = {call.operation for kind, facet in (each.values for each in FACETS) if (call := own_read(kind, facet))}
    assert reads == of_facets | {*OTHERS} | {*ELSEWHERE}
    assert {*OTHERS.values()} <= {*globals()}


@pytest.mark.aws("4.19", "6.10")
@pytest.mark.parametrize("kind", RESOURCES)
def test_a_facet_that_may_not_be_read_is_left_alone_or_told(
    ministack: RunningEmulator, kind: str, run_tasks: RunTasks
) -> None:
    """In-process and as a subprocess; what else changes meanwhile is the business of test_facets."""
    facets = [facet for facet in RESOURCES[kind].facets if own_read(kind, facet)]
    with Relay(ministack.url) as relay:
        relay.use(*aws_defaults(ministack))
        made = behind_the_shim(kind, ministack, relay)
        subjects = [replace(made, name=f"{made.name}-{place}") for place, _unused in enumerate(facets)]
        tasks = []
        for subject, facet in zip(subjects, facets, strict=True):
            subject.done()
            call = own_read(kind, facet)
            assert call
            deny(subject, call.operation)
            asked = ASKED.get(facet.name, {})
            tasks += [subject.as_task(**asked), subject.as_task(**asked, unmanaged=[facet.name])]
        start = len(relay.calls)
        results = run_tasks(tasks)
        assert not [call for call in relay.calls[start:] if call.is_write]
    for place, facet in enumerate(facets):
        told, left = results[2 * place : 2 * place + 2]
        call = own_read(kind, facet)
        assert call
        assert told["failed"], facet.name
        assert f"needs {iam_action(call)}" in told["msg"]
        assert f"or leave it alone with unmanaged: [{facet.name}]" in told["msg"]
        assert not left.get("failed"), left
        assert left["changes"] == []
        assert facet.name not in left[kind]


@pytest.mark.aws("4.19", "6.10")
@pytest.mark.parametrize(("kind", "facet"), FACETS)
def test_a_denied_facet_keeps_no_other_from_converging(
    bare_bucket: Subject, bare_table: Subject, kind: str, facet: Facet
) -> None:
    subject = {"bucket": bare_bucket, "table": bare_table}[kind]
    make_bare(subject)
    call = own_read(kind, facet)
    assert call
    deny(subject, call.operation)
    result = subject.done(unmanaged=[facet.name], tags={"Stage": "test"} if facet.name != "tags" else None)
    assert changed(result)
    assert facet.name not in {*changed(result), *result[kind]}


def make_bare(subject: Subject) -> None:
    if subject.kind == "bucket":
        subject.aws().create_bucket(Bucket=subject.name)
    else:
        make(subject)


@pytest.mark.aws("4.19", "6.10")
@pytest.mark.parametrize(("kind", "permission"), [("bucket", "s3:ListBucket"), ("table", "dynamodb:DescribeTable")])
def test_who_may_not_look_for_a_resource_is_told(
    bare_bucket: Subject, bare_table: Subject, kind: str, permission: str
) -> None:
    subject = {"bucket": bare_bucket, "table": bare_table}[kind]
    make_bare(subject)
    deny(subject, RESOURCES[kind].existence.read(TARGET).operation)
    every = [facet.name for facet in RESOURCES[kind].facets if facet.name != EXISTENCE]
    for unmanaged in ([], every):
        said = subject.refused(unmanaged=unmanaged)
        assert permission in said
        assert "unmanaged" not in said


def hide_region(call: Call, proceed: Proceed) -> Answer:
    """As some services in the place of S3 answer HeadBucket."""
    answer = proceed()
    kept = {name: value for name, value in answer.headers.items() if name.lower() != "x-amz-bucket-region"}
    return Answer(answer.status, kept, answer.body)


@pytest.mark.aws("1.6", "6.10")
def test_a_region_that_nobody_tells_is_not_taken_for_ours(bare_bucket: Subject) -> None:
    make_bare(bare_bucket)
    bare_bucket.relay.on("HeadBucket", reply=hide_region, times=math.inf)
    bare_bucket.done()
    assert "GetBucketLocation" in bare_bucket.calls
    deny(bare_bucket, "get_bucket_location")
    said = bare_bucket.refused()
    assert "needs s3:GetBucketLocation" in said
    assert "unmanaged" not in said


@pytest.mark.aws("4.19", "6.10")
@pytest.mark.parametrize(
    ("kind", "operation", "permission"),
    [
        ("bucket", "list_object_versions", "s3:ListBucketVersions"),
        ("bucket", "list_objects_v2", "s3:ListBucket"),
        ("table", "scan", "dynamodb:Scan"),
    ],
)
def test_contents_that_may_not_be_read_are_never_taken_for_none(
    bare_bucket: Subject, bare_table: Subject, kind: str, operation: str, permission: str
) -> None:
    subject = {"bucket": bare_bucket, "table": bare_table}[kind]
    make_bare(subject)
    deny(subject, operation)
    said = subject.refused(state="absent", allow=["delete_state"], confirm_name=subject.name)
    assert f"needs {permission}" in said
    assert "unmanaged" not in said


@pytest.mark.aws("4.15", "6.10")
def test_what_is_only_for_a_warning_stops_nobody(bare_table: Subject) -> None:
    make_bare(bare_table)
    deny(bare_table, "describe_time_to_live")
    assert bare_table.done()["warnings"] == []
    assert "DescribeTimeToLive" in bare_table.calls


@pytest.mark.aws("6.10")
def test_who_may_not_list_buckets_is_told_both_ways_to_read_a_403(bare_bucket: Subject) -> None:
    make_bare(bare_bucket)
    for name in ("HeadBucket", "ListBuckets"):
        bare_bucket.relay.on(name, reply=error("AccessDenied", 403), times=math.inf)
    said = bare_bucket.refused()
    account = bare_bucket.emulator.client("sts").get_caller_identity()["Account"]
    assert f"the bucket belongs to another account than {account}, or you need s3:ListBucket on it" in said
    assert "needs s3:ListAllMyBuckets" in said


@pytest.mark.aws("6.8", "6.10")
@pytest.mark.parametrize("kind", RESOURCES)
@pytest.mark.parametrize("is_there", [True, False])
def test_who_may_not_ask_who_he_is_does_without(
    bare_bucket: Subject, bare_table: Subject, kind: str, is_there: bool
) -> None:
    subject = {"bucket": bare_bucket, "table": bare_table}[kind]
    if is_there:
        make_bare(subject)
    subject.relay.on("GetCallerIdentity", reply=error("AccessDenied", 403), times=math.inf)
    account = subject.emulator.client("sts").get_caller_identity()["Account"]
    # No store without STS is told to deny plain HTTP, by which it is asked here.
    asked = {"require_tls": False, "allow": ["weaken_policy"]} if kind == "bucket" else {}
    without, given = subject.task(True, **asked), subject.done(account_id=account, **asked)
    assert not without.get("failed")
    assert given["changed"] and given[kind]["account_id"] == account
    said = [each for each in without["warnings"] if "has no STS" in each]
    assert (len(said), without[kind]["account_id"]) == {
        "bucket": (1, None),
        "table": (0, account if is_there else None),
    }[kind]


def with_acls(bucket: Subject) -> None:
    bucket.aws().create_bucket(Bucket=bucket.name, ObjectOwnership="ObjectWriter")


def with_versions(bucket: Subject) -> None:
    bucket.aws().create_bucket(Bucket=bucket.name)
    bucket.aws().put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})


def with_capacity(table: Subject) -> None:
    make(table, BillingMode="PROVISIONED", ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1})
    table.relay._rules.clear()  # of what answers for autoscaling


@dataclass(frozen=True)
class Look:
    """What a facet looks at before a change, and who makes it look there."""

    kind: str
    facet: str
    operation: str
    permission: str
    make: Callable[[Subject], None]
    asked: dict[str, Any]


LOOKS = (
    Look(
        "bucket",
        "ownership",
        "get_bucket_acl",
        "s3:GetBucketAcl",
        with_acls,
        {"object_ownership": "BucketOwnerEnforced"},
    ),
    Look(
        "bucket",
        "versioning",
        "get_object_lock_configuration",
        "s3:GetBucketObjectLockConfiguration",
        with_versions,
        {"versioning": False, "allow": ["suspend_versioning"]},
    ),
    Look(
        "table",
        "billing",
        "describe_scalable_targets",
        "application-autoscaling:DescribeScalableTargets",
        with_capacity,
        {"billing_mode": "PAY_PER_REQUEST"},
    ),
)
#: Every other look before a change -> the test that denies it.
OTHER_LOOKS = {
    ("contents", "get_object_lock_configuration"): "test_a_lock_that_may_not_be_read_is_never_taken_for_none",
    ("contents", "list_access_points"): "test_access_points_that_may_not_be_listed_are_warned_of",
    ("logging", "head_bucket"): "test_a_log_bucket_that_may_not_be_looked_for_is_told",
    ("mfa_delete_probe", "get_bucket_versioning"): "test_mfa_delete_that_may_not_be_read_is_left_to_aws",
}


def test_every_look_around_is_denied_here() -> None:
    written = {
        (path.stem, ast.literal_eval(look.args[0].args[1]))
        for path in PACKAGES.rglob("*.py")
        for look in ast.walk(ast.parse(path.read_text()))
        if isinstance(look, ast.Call)
        and getattr(look.func, "id", None) == "Probe"
        and isinstance(look.args[0], ast.Call)
    }
    assert written == {(look.facet, look.operation) for look in LOOKS} | {*OTHER_LOOKS}
    assert {*OTHER_LOOKS.values()} <= {*globals()}


@pytest.mark.aws("2.1", "4.7", "6.10")
@pytest.mark.parametrize("look", LOOKS, ids=lambda look: f"{look.facet} {look.operation}")
def test_a_look_around_that_is_denied_names_the_permission_and_the_option(
    bare_bucket: Subject, bare_table: Subject, look: Look
) -> None:
    subject = {"bucket": bare_bucket, "table": bare_table}[look.kind]
    look.make(subject)
    deny(subject, look.operation)
    said = subject.refused(**look.asked)
    assert f"needs {look.permission}" in said
    assert f"or leave it alone with unmanaged: [{look.facet}]" in said
    assert look.facet not in changed(subject.done(unmanaged=[look.facet]))


@pytest.mark.aws("2.1", "3.3", "6.10")
def test_a_lock_that_may_not_be_read_is_never_taken_for_none(bare_bucket: Subject) -> None:
    with_versions(bare_bucket)
    bare_bucket.aws().put_object(Bucket=bare_bucket.name, Key="prod.tfstate", Body=b"{}")
    deny(bare_bucket, "get_object_lock_configuration")
    said = bare_bucket.refused(state="absent", allow=["delete_state"], confirm_name=bare_bucket.name)
    assert "needs s3:GetBucketObjectLockConfiguration" in said
    assert "unmanaged" not in said


@pytest.mark.aws("2.10", "6.10")
def test_a_log_bucket_that_may_not_be_looked_for_is_told(bare_bucket: Subject) -> None:
    make_bare(bare_bucket)
    logs = f"{bare_bucket.name}-logs"
    bare_bucket.aws().create_bucket(Bucket=logs)
    bare_bucket.relay.on("HeadBucket", reply=error("403", 403), times=math.inf, resource=logs)
    said = bare_bucket.refused(logging_target_bucket=logs)
    assert f"the log bucket {logs} cannot be used" in said
    assert "you need s3:ListBucket on it" in said
    assert "or leave it alone with unmanaged: [logging]" in said


@pytest.mark.aws("3.6", "6.10")
def test_mfa_delete_that_may_not_be_read_is_left_to_aws(bare_bucket: Subject) -> None:
    """Which denies every version of it, so that nothing is lost."""
    with_versions(bare_bucket)
    bare_bucket.aws().put_object(Bucket=bare_bucket.name, Key="prod.tfstate", Body=b"{}")
    bare_bucket.relay.use(mfa_delete_is_on)
    deny(bare_bucket, "get_bucket_versioning")
    result = bare_bucket.task(state="absent", allow=["delete_state"], confirm_name=bare_bucket.name)
    assert "Mfa Authentication must be used" in result["msg"]
    assert result["changed"] is False
    assert bare_bucket.aws().get_object(Bucket=bare_bucket.name, Key="prod.tfstate")["Body"].read() == b"{}"


def test_access_points_that_may_not_be_listed_are_warned_of(
    bare_bucket: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the store were AWS, by way of an endpoint that serves no S3 Control."""
    with_versions(bare_bucket)
    bare_bucket.aws().put_object(Bucket=bare_bucket.name, Key="prod.tfstate", Body=b"{}")
    monkeypatch.setattr(Aws, "is_aws", lambda _aws, _service: True)
    asked = {"state": "absent", "allow": ["delete_state"], "confirm_name": bare_bucket.name}
    (planned,) = through_core([bare_bucket.as_task(check_mode=True, **asked)])
    assert any("whether it has access points is not known" in each for each in planned["warnings"])
    bare_bucket.done(**asked)


@pytest.mark.aws("4.9", "6.10")
@pytest.mark.parametrize("kind", RESOURCES)
def test_a_key_that_may_not_be_described(bare_bucket: Subject, bare_table: Subject, kind: str) -> None:
    """By its ARN it is taken with a warning; an alias might stand for any key."""
    subject = {"bucket": bare_bucket, "table": bare_table}[kind]
    arn = subject.aws("kms").create_key()["KeyMetadata"]["Arn"]
    subject.relay.on("DescribeKey", reply=error("AccessDeniedException"), times=math.inf)
    asked = {"encryption": "aws:kms"} if kind == "bucket" else {}
    said = subject.refused(kms_key_id="alias/state", **asked)
    assert "needs kms:DescribeKey" in said
    assert "or give the full ARN of the key as kms_key_id" in said
    (warning,) = subject.done(kms_key_id=arn, **asked)["warnings"]
    assert "needs kms:DescribeKey" in warning


@pytest.mark.aws("4.9", "6.10")
def test_the_managed_key_that_may_not_be_described_names_the_permission_and_the_option(bare_table: Subject) -> None:
    """Without it nobody knows whether the table has it already, and to ask again counts against a quota."""
    bare_table.relay.on("DescribeKey", reply=error("AccessDeniedException"), times=math.inf)
    said = bare_table.refused(encryption="aws_managed_key")
    assert "needs kms:DescribeKey" in said
    assert "or leave it alone with unmanaged: [encryption]" in said
    assert "kms_key_id" not in said
