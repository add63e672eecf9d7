# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The policies of docs/permissions.md are what the code and the clients need, and no more."""

from __future__ import annotations

import ast
import fnmatch
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.errors import IAM_ACTIONS, iam_action
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Call, Target
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import TABLE
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import digest_id, lock_id

from tests.docs.pages import MARKDOWN, ROOT, examples, section, tables
from tests.support.clean_environment import without_aws
from tests.support.relay import Relay

PAGE = "docs/permissions.md"
MODULE_UTILS = ROOT / "plugins" / "module_utils"
POLICIES = [each for page in MARKDOWN for each in examples(page) if each.language == "json"]

#: AWS asks nobody for the first; the second is for the credentials one starts from.
NEEDS_NOTHING_HERE = {"sts:GetCallerIdentity", "sts:AssumeRole"}
#: What preflight alone asks, if it may.
OF_PREFLIGHT = {"iam:SimulatePrincipalPolicy", "iam:GetRole", "dynamodb:GetResourcePolicy"}
#: What an audit alone asks of the account.
OF_AUDIT = {"s3:GetAccountPublicAccessBlock"}
#: What only a deletion reads.
BEFORE_DELETION = {"s3:ListAccessPoints"}
#: Asked for besides the operation's own action. Source: the API reference of CreateBucket, on tags.
COMPANIONS = {"s3:TagResource"}


def policy(heading: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(section(PAGE, heading)[0].text)
    return found


def actions(document: dict[str, Any]) -> set[str]:
    return {action for statement in document["Statement"] for action in listed(statement["Action"])}


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def calls_in(module: str) -> Iterator[tuple[str, str]]:
    """Every call that a Python module can make: the function that makes it, and the IAM action that it needs."""
    tree = ast.parse((MODULE_UTILS / f"{module}.py").read_text())
    for top in tree.body:
        for node in ast.walk(top):
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "Call":
                service, operation = (ast.literal_eval(argument) for argument in node.args[:2])
                if service != "file":  # of this machine
                    action = next((each.value.value for each in node.keywords if each.arg == "action"), "")
                    yield (
                        f"{getattr(top, 'name', '')} {operation}",
                        iam_action(Call(service, operation, action=action)),
                    )


def actions_in(folder: str, *names: str) -> set[str]:
    return {action for name in names for _unused, action in calls_in(f"{folder}/{name}")}


#: The facets that a run looks after, by the name that the page gives them.
SETTINGS = {f"{resource.kind}: {facet.name}": facet for resource in (BUCKET, TABLE) for facet in resource.facets}
#: These, and those that a deletion or a refusal reads.
FACETS = SETTINGS | {
    f"{resource.kind}: {facet.name}": facet
    for resource in (BUCKET, TABLE)
    for facet in (*resource.teardown, *resource.refusal_inputs)
}


@pytest.mark.parametrize("name", [*FACETS])
def test_a_facet_declares_the_actions_of_its_calls(name: str) -> None:
    resource, _colon, facet = name.partition(": ")
    reads, writes, deletes = set(), set(), set()
    for place, action in calls_in(f"_{resource}/{facet}"):
        is_deletion = facet in ("existence", "contents") and ("delete_" in place or action in BEFORE_DELETION)
        (deletes if is_deletion else writes if place.startswith("calls ") else reads).add(action)
    if facet == "versioning" or (resource, facet) == ("bucket", "contents"):  # by the probe that they share
        reads.add("s3:GetBucketVersioning")
    declared = FACETS[name].iam_actions
    assert [set(each) for each in (declared.read, declared.write, declared.delete)] == [reads, writes, deletes]


def declared(part: str) -> set[str]:
    return {action for facet in SETTINGS.values() for action in getattr(facet.iam_actions, part)}


ANY = Target("any", "eu-west-1")
#: What is around the facets.
AROUND = sorted(
    f"{folder}/{module.stem}"
    for folder in ("_aws", "_engine", "_modules")
    for module in (MODULE_UTILS / folder).glob("*.py")
)
LOOKS_AROUND = (
    {action for module in AROUND for _unused, action in calls_in(module)} - NEEDS_NOTHING_HERE - OF_PREFLIGHT - OF_AUDIT
)
# An empty bucket that never had versions may be our own unfinished work.
REFUSAL_INPUTS = {
    action
    for resource in (BUCKET, TABLE)
    for each in resource.refusal_inputs
    for action in [iam_action(each.read(ANY))]
}
BUCKET_CONTENTS, TABLE_CONTENTS = (FACETS[f"{kind}: contents"].iam_actions for kind in ("bucket", "table"))
READS = LOOKS_AROUND | REFUSAL_INPUTS | {*BUCKET_CONTENTS.read} | declared("read")
WRITES = declared("write")
DELETES = declared("delete") | {*BUCKET_CONTENTS.delete, *TABLE_CONTENTS.read}


def test_what_preflight_asks_is_optional_and_all_of_it_is_named() -> None:
    assert {action for _unused, action in calls_in("_engine/permissions")} == OF_PREFLIGHT
    assert actions(policy("Preflight")) == OF_PREFLIGHT


@pytest.mark.aws("6.10")
def test_who_converges_needs_exactly_this():
    assert actions(policy("Converge")) == READS | WRITES | COMPANIONS


@pytest.mark.aws("6.10")
def test_who_looks_needs_exactly_this():
    assert actions(policy("Look")) == READS


#: The modules that look into a backend, and what they need besides for an object's older versions.
INSPECTS = actions_in("_state", "listing", "inspection") | actions_in("_repair", "digest_check")
OF_VERSIONS = {"s3:GetObjectVersion"}
READ_SETTINGS = {iam_action(facet.read(ANY)) for facet in SETTINGS.values()}


BESIDES_FACETS = {
    *("dynamodb:DescribeTimeToLive", "dynamodb:GetResourcePolicy"),
    *("s3:GetBucketAcl", "s3:GetReplicationConfiguration", *OF_AUDIT),
}


def test_who_inspects_needs_exactly_this():
    looked_up = {"kms:DescribeKey", "kms:ListKeyRotations", "s3:GetBucketLocation", "s3:ListAllMyBuckets"}
    assert actions(policy("Inspect")) == READ_SETTINGS | INSPECTS | OF_VERSIONS | BESIDES_FACETS | looked_up
    needed = {row[0]: set(re.findall(r"`([^`]+)`", row[1])) for row in tables(PAGE, "gather")}
    assert set(needed) == {"settings", "states, resources", "versions", "usage", "locks", "digests"}
    assert set().union(*needed.values()) == INSPECTS | OF_VERSIONS | BESIDES_FACETS


#: Without it AWS answers 403 for what is not there.
TELLS_ABSENCE = {"s3:ListBucket"}


def test_who_unlocks_needs_exactly_this():
    needed = {action for _unused, action in calls_in("_locks/stores")}
    assert actions(policy("Unlock")) == needed | TELLS_ABSENCE | {"dynamodb:Scan"}


#: The modules that move states.
MOVES = actions_in("_migration", "stored_state", "deny_policy") | actions_in("_locks", "stores")
MOVES |= {*FACETS["bucket: encryption"].iam_actions.read}
#: Whether somebody is at work in a bucket that is to be denied as a whole.
MOVES |= {"dynamodb:Scan"}


def test_who_migrates_needs_exactly_this():
    assert actions(policy("Migrate")) == MOVES | TELLS_ABSENCE


def test_who_repairs_needs_exactly_this():
    modules = (
        "_state/inspection",
        "_state/listing",
        "_repair/digest_item",
        "_repair/version_restore",
        "_locks/stores",
    )
    needed = {action for module in modules for _unused, action in calls_in(module)}
    assert actions(policy("Mend")) == needed | OF_VERSIONS | TELLS_ABSENCE | {"s3:DeleteObjectVersion"}


def test_who_changes_the_lock_mode_needs_exactly_this():
    modules = ("_state/inspection", "_state/listing", "_repair/digest_check", "_locks/stores")
    steps = ("digest_policy", "digest_removal", "store_probe", "transition")
    needed = {action for module in modules for _unused, action in calls_in(module)} | actions_in("_lock_mode", *steps)
    needed |= {"s3:GetBucketPolicy"}  # which states have moved
    needed |= {"s3:GetBucketTagging", "s3:PutBucketTagging"}  # the record of the mode
    assert actions(policy("Change the lock mode")) == needed | OF_VERSIONS | {"s3:DeleteObjectVersion"}


def test_who_lists_accounts_needs_exactly_this():
    needed = {action for _unused, action in calls_in("_organization/organization")}
    assert actions(policy("List accounts")) == needed
    assert actions(policy("Look")) >= {"s3:ListAllMyBuckets", "dynamodb:DescribeTable"}


#: Whether bucket and table are there, and where.
FINDS = {"s3:ListBucket", "dynamodb:DescribeTable"}
OF_TAGS = {"s3:GetObjectVersionTagging"}


def test_who_backs_up_needs_exactly_this():
    saves = actions_in("_backup", "inventory", "backup") - {"s3:GetObject", "s3:GetObjectTagging"}
    keeps = actions_in("_backup", "storage") | {"s3:GetBucketPublicAccessBlock"}
    looks = {"s3:GetBucketPolicy"}
    assert actions(policy("Back up")) == saves | keeps | looks | FINDS | OF_VERSIONS | OF_TAGS
    restores = actions_in("_backup", "archived") - {"s3:GetObject"}  # of a version
    assert actions(json.loads(section(PAGE, "Back up")[1].text)) == restores == {"s3:RestoreObject"}


def test_who_restores_needs_exactly_this():
    writes = actions_in("_backup", "inventory", "restore_target")
    writes |= actions_in("_locks", "stores") | actions_in("_repair", "digest_item")
    looks = {"s3:GetBucketPolicy", "s3:GetBucketVersioning"}
    assert actions(policy("Restore")) == writes | looks | FINDS | OF_VERSIONS | {"s3:PutObjectTagging"}


def test_who_tears_down_needs_what_all_of_these_have():
    needed = actions_in("_backup", "inventory", "backup", "storage", "write_block")
    needed |= actions_in("_teardown", "checks", "teardown") | actions_in("_state", "inspection")
    needed |= actions_in("_locks", "stores") | actions_in("_repair", "digest_item")
    granted = set().union(*(actions(policy(heading)) for heading in ("Converge", "Back up", "Restore", "Delete")))
    kept = actions(json.loads(section(PAGE, "Delete")[1].text))
    assert needed - {"s3:GetObjectTagging"} <= granted | kept
    assert kept == {"s3:GetObjectLegalHold", "s3:GetObjectRetention"}


def test_who_deletes_needs_exactly_this_besides():
    assert actions(policy("Delete")) == DELETES - READS - WRITES


@pytest.mark.parametrize("name", [*SETTINGS])
def test_the_table_tells_what_each_facet_needs(name):
    told = {row[0]: [set(re.findall(r"`([^`]+)`", cell)) for cell in row[1:]] for row in tables(PAGE, "facet")}
    actions_of = SETTINGS[name].iam_actions
    assert told[name] == [{*actions_of.read}, {*actions_of.write}]


@cache
def known_actions() -> frozenset[str]:
    session = botocore.session.Session()
    services = {"s3": ("s3", "s3control"), "dynamodb": ("dynamodb",), "kms": ("kms",), "iam": ("iam",)}
    services |= {name: (name,) for name in ("application-autoscaling", "organizations")}
    named = {
        f"{prefix}:{operation}"
        for prefix, models in services.items()
        for model in models
        for operation in session.get_service_model(model).operation_names
    }
    return frozenset(named | set(IAM_ACTIONS.values()) | OF_VERSIONS | OF_TAGS | OF_AUDIT)


@pytest.mark.parametrize("example", POLICIES, ids=str)
def test_policies_are_such_as_iam_takes(example):
    document = json.loads(example.text)
    assert document["Version"] == "2012-10-17"
    sids = [statement["Sid"] for statement in document["Statement"]]
    assert len(set(sids)) == len(sids) and all(re.fullmatch("[A-Za-z0-9]+", sid) for sid in sids)
    for statement in document["Statement"]:
        assert set(statement) <= {"Sid", "Effect", "Action", "Resource", "Condition"}
        assert statement["Effect"] == "Allow"
        assert all(
            each == "*" or re.fullmatch(r"arn:aws:\w+:[\w*-]*:(\d{12})?:\S+", each)
            for each in listed(statement["Resource"])
        )
        unknown = [each for each in listed(statement["Action"]) if not fnmatch.filter(known_actions(), each)]
        assert unknown == []
        assert listed(statement["Action"]) == sorted(listed(statement["Action"]))


#: What the objects and items of the page are called.
STATE = "network/prod/terraform.tfstate"
BUCKET_NAME, TABLE_NAME, REGION = "acme-terraform-state-eu-west-1", "acme-terraform-locks", "eu-west-1"
MODES = {
    "lockfile": {"use_lockfile": "true"},
    "dynamodb": {"dynamodb_table": f'"{TABLE_NAME}"'},
    "both": {"use_lockfile": "true", "dynamodb_table": f'"{TABLE_NAME}"'},
}
CONFIGURATION = """
terraform {{
  backend "s3" {{
    bucket = "{bucket}"
    key    = "{key}"
    region = "{region}"
    {locking}
  }}
}}
resource "terraform_data" "this" {{
  input = "{mode}"
}}
"""


@pytest.fixture
def network_backend(ministack):
    s3 = ministack.client("s3", region=REGION)
    s3.create_bucket(Bucket=BUCKET_NAME, CreateBucketConfiguration={"LocationConstraint": REGION})
    ministack.client("dynamodb", region=REGION).create_table(
        TableName=TABLE_NAME,
        AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    with Relay(ministack.url) as relay:
        yield relay
    ministack.reset()


@pytest.mark.aws("7.1")
@pytest.mark.terraform
@pytest.mark.parametrize("mode", MODES)
def test_terraform_needs_exactly_this(mode, network_backend, tmp_path):
    terraform = shutil.which("terraform")
    if not terraform:
        pytest.skip("needs the real terraform on PATH")
    use(terraform, mode, network_backend, tmp_path)
    documented = grants("lockfile" if mode == "both" else mode) | (grants("dynamodb") if mode == "both" else set())
    assert {needed(call) for call in network_backend.calls} - {None} == documented


def use(terraform: str, mode: str, relay: Relay, folder: Path) -> None:
    locking = "\n".join(f"{name} = {value}" for name, value in MODES[mode].items())
    text = CONFIGURATION.format(bucket=BUCKET_NAME, key=STATE, region=REGION, locking=locking, mode=mode)
    (folder / "main.tf").write_text(text)
    environment = without_aws(os.environ, folder) | {
        "AWS_ENDPOINT_URL": relay.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    for command in (["init"], ["apply", "-auto-approve"]):
        done = subprocess.run(
            [terraform, *command, "-input=false", "-no-color"],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def grants(mode: str) -> set[tuple[str, str]]:
    """Action and what it is granted on: the bucket, the object, or the table."""
    found = set()
    for statement in policy(f"`{mode}`")["Statement"]:
        for action in listed(statement["Action"]):
            found.add((action, re.sub(r"^arn:aws:(s3:::|dynamodb:[\w-]+:\d+:table/)", "", statement["Resource"])))
    return found


def needed(call: Any) -> tuple[str, str] | None:
    """The action that a request of a client needs, and on what."""
    if call.service == "sts":
        return None
    names = {"HeadObject": "GetObject", "ListObjectsV2": "ListBucket", "ListObjects": "ListBucket"}
    key = call.params.get("Key") if call.service == "s3" else None
    return (f"{call.service}:{names.get(call.name, call.name)}", f"{call.resource}/{key}" if key else call.resource)


@pytest.mark.parametrize("workspace", [None, "staging", "eu/west"])
def test_the_policies_of_clients_let_them_lock_each_workspace_in_the_table(workspace: str | None) -> None:
    bucket, key = "acme-terraform-state-eu-west-1", "network/prod/terraform.tfstate"
    path = f"env:/{workspace}/{key}" if workspace else key
    for item in (lock_id(bucket, path), digest_id(bucket, path)):
        assert any(_admits(each, item) for each in _locking_in_the_table()), item


def _locking_in_the_table() -> Iterator[dict[str, Any]]:
    documents = [json.loads(each.text) for each in POLICIES if "dynamodb:LeadingKeys" in each.text]
    yield from (each for document in documents for each in document["Statement"] if "LeadingKeys" in json.dumps(each))


def _admits(statement: dict[str, Any], item: str) -> bool:
    """As IAM reads the condition: only StringLike knows patterns."""
    ((operator, tests),) = statement["Condition"].items()
    names = tests["dynamodb:LeadingKeys"]
    return any(fnmatch.fnmatchcase(item, each) for each in names) if operator.endswith("Like") else item in names
