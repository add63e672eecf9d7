# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who else gets at states and locks, and whom a policy keeps out who needs them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.convergence import DECIDE
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.expectations import Expectations
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.findings import (
    Finding,
    Tuning,
    evaluate,
    waivers_of,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.settings import audit
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET, public_access
from ansible_collections.cornerstone.tfstate.plugins.module_utils._policy.document import canonical, exact_name
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import TABLE

from tests.support.commands import command_of
from tests.unit.plugins.module_utils.audited import TODAY, facts, resource

US = Expectations("us-east-1", inventory=("hosts.yml",))
ARN, TABLE_ARN = "arn:aws:s3:::state-us", "arn:aws:dynamodb:us-east-1:111122223333:table/locks-us"
OTHER, OURS = "arn:aws:iam::444455556666:root", "arn:aws:iam::111122223333:role/ci"
ANYBODY = {"AWS": ["*"]}
ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"
AUTHENTICATED = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
LOGS = "http://acs.amazonaws.com/groups/s3/LogDelivery"
OPEN = dict.fromkeys(public_access.FLAGS, False)


def statement(**more: Any) -> dict[str, Any]:
    given = {"Sid": "More", "Effect": "Allow", "Principal": {"AWS": [OTHER]}, "Action": ["s3:GetObject"], **more}
    given = {name: value for name, value in given.items() if value is not None}
    return canonical({"Resource": [ARN, f"{ARN}/*"], **given} if "NotResource" not in given else given, "aws")


def policy(*statements: dict[str, Any], **facets: Any) -> dict[str, Any]:
    own = resource(BUCKET, "state-us", "us-east-1")["policy"]
    found = {**own, "statements": [*own["statements"], *statements]}
    return {"bucket": resource(BUCKET, "state-us", "us-east-1", policy=found, **facets)}


def allowing(*actions: str, **more: Any) -> dict[str, Any]:
    return policy(statement(Action=list(actions), **more))


def denying(*actions: str, **more: Any) -> dict[str, Any]:
    return policy(statement(**{"Effect": "Deny", "Principal": ANYBODY, "Action": list(actions), **more}))


def acl(*grants: tuple[str, str], **facets: Any) -> dict[str, Any]:
    found = [{"grantee": who, "permission": what} for who, what in grants]
    return {"bucket": resource(BUCKET, "state-us", "us-east-1", acl=found, ownership="ObjectWriter", **facets)}


def copying(account: str | None) -> dict[str, Any]:
    rule = {"rule": "all", "bucket": "elsewhere", "account": account, "prefix": ""}
    return {"bucket": resource(BUCKET, "state-us", "us-east-1", replication=[rule])}


def table(**more: Any) -> dict[str, Any]:
    found = statement(Resource=[TABLE_ARN], **more)
    return {"table": {**resource(TABLE, "locks-us", "us-east-1", policy=[found]), "arn": TABLE_ARN}}


def found_in(more: dict[str, Any], mode: str = "both") -> list[Finding]:
    return audit(facts(**{"table": None, **more}), replace(US, lock_mode=mode))


CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "another account reads": (allowing("s3:GetObject"), ["policy_read medium"]),
    "another account reads old versions": (allowing("s3:GetObjectVersion"), ["policy_read medium"]),
    "another account reads by a pattern": (allowing("s3:Get*"), ["policy_read medium"]),
    "a canonical user reads": (
        allowing("s3:GetObject", Principal={"CanonicalUser": ["79a59df900b949e5"]}),
        ["policy_read medium"],
    ),
    "another account lists": (allowing("s3:ListBucket"), []),
    "another account writes": (allowing("s3:PutObject"), ["policy_write high"]),
    "another account deletes lock files": (
        allowing("s3:DeleteObject", Resource=[f"{ARN}/*.tflock"]),
        ["policy_write high"],
    ),
    "another account replicates into it": (allowing("s3:ReplicateObject"), ["policy_write high"]),
    "two other accounts write, and one reads": (
        policy(
            statement(Action=["s3:PutObject"], Principal={"AWS": [OTHER, OTHER.replace("4444", "7777")]}),
            statement(Sid="Read"),
        ),
        ["policy_write high", "policy_write high", "policy_read medium"],
    ),
    "another account deletes versions": (allowing("s3:DeleteObjectVersion"), ["policy_foreign high"]),
    "another account writes the lifecycle": (allowing("s3:PutLifecycleConfiguration"), ["policy_foreign high"]),
    "another account suspends versioning": (allowing("s3:PutBucketVersioning"), ["policy_foreign high"]),
    "another account opens the bucket": (allowing("s3:PutBucketPublicAccessBlock"), ["policy_foreign high"]),
    "another account replicates the bucket": (allowing("s3:PutReplicationConfiguration"), ["policy_foreign high"]),
    "a canonical user does everything": (
        allowing("s3:*", Principal={"CanonicalUser": ["79a59df900b949e5"]}),
        ["policy_foreign high"],
    ),
    "another account does all but one thing": (
        policy(statement(Action=None, NotAction=["s3:DeleteBucket"])),
        ["policy_foreign high"],
    ),
    "everybody but one": (
        policy(statement(Principal=None, NotPrincipal={"AWS": [OTHER]})),
        ["policy_public high"],
    ),
    "everybody, and nothing blocks them": (
        policy(statement(Principal=ANYBODY), public_access=OPEN),
        ["public_access high", "policy_public critical"],
    ),
    "the whole organization does everything": (
        allowing("s3:*", Principal=ANYBODY, Condition={"StringEquals": {"aws:PrincipalOrgID": ["o-1"]}}),
        ["policy_foreign high"],
    ),
    "a role of the account": (allowing("s3:*", Principal={"AWS": [OURS]}), []),
    "a service": (allowing("s3:GetObject", Principal={"Service": ["cloudtrail.amazonaws.com"]}), []),
    "a role that was deleted": (allowing("s3:GetObject", Principal={"AWS": ["AROAEXAMPLE"]}), []),
    "a denial for another account": (allowing("s3:*", Effect="Deny"), []),
    "nobody deletes": (denying("s3:DeleteObject"), ["policy_denies high"]),
    "nobody deletes lock files": (denying("s3:DeleteObject", Resource=[f"{ARN}/*.tflock"]), ["policy_denies high"]),
    "nobody deletes states": (denying("s3:DeleteObject", Resource=[f"{ARN}/*.tfstate"]), []),
    "nobody deletes anything but lock files": (
        policy(
            statement(Effect="Deny", Principal=ANYBODY, Action=["s3:DeleteObject"], NotResource=[f"{ARN}/*.tflock"])
        ),
        [],
    ),
    "nobody deletes versions": (denying("s3:DeleteObjectVersion"), []),
    "nobody reads": (denying("s3:GetObject"), ["policy_denies high"]),
    "nobody writes": (denying("s3:PutObject"), ["policy_denies high"]),
    "nobody lists": (denying("s3:List*"), ["policy_denies high"]),
    "nobody does anything": (denying("*"), ["policy_denies high"]),
    "nobody of the account writes": (
        denying("s3:PutObject", Principal={"AWS": [OURS.replace("role/ci", "root")]}),
        ["policy_denies high"],
    ),
    "nobody with TLS": (denying("s3:*", Condition={"Bool": {"aws:SecureTransport": ["true"]}}), ["policy_denies high"]),
    "nobody from elsewhere": (
        denying("s3:*", Condition={"StringNotEquals": {"aws:SourceVpce": ["vpce-1"]}}),
        [],
    ),
    "nobody but one": (
        policy(statement(Effect="Deny", Principal=None, NotPrincipal={"AWS": [OURS]}, Action=["s3:*"])),
        [],
    ),
    "one role writes nothing": (denying("s3:PutObject", Principal={"AWS": [OURS]}), []),
    "everybody by ACL": (
        acl((ALL_USERS, "READ"), public_access=OPEN),
        ["ownership medium", "public_access high", "acl_public critical"],
    ),
    "all users of AWS by ACL": (
        acl((AUTHENTICATED, "WRITE"), public_access=OPEN),
        ["ownership medium", "public_access high", "acl_public critical"],
    ),
    "everybody by an ACL that is ignored": (acl((ALL_USERS, "READ")), ["ownership medium"]),
    "another account by ACL": (acl(("79a59df900b949e5", "FULL_CONTROL")), ["ownership medium", "acl_foreign high"]),
    "the logs of S3 by ACL": (acl((LOGS, "WRITE")), ["ownership medium"]),
    "copies in another account": (copying("444455556666"), ["replication high"]),
    "copies nobody knows where": (copying(None), ["replication medium"]),
    "copies in the account": (copying("111122223333"), []),
    "another account uses the table": (table(Action=["dynamodb:PutItem"]), ["policy_foreign high"]),
    "another account deletes the table": (table(Action=["dynamodb:DeleteTable"]), ["policy_foreign high"]),
    "the organization uses the table": (
        table(
            Principal=ANYBODY,
            Action=["dynamodb:*"],
            Condition={"StringEquals": {"aws:PrincipalOrgID": ["o-1"]}},
        ),
        ["policy_foreign high"],
    ),
    "everybody uses the table": (table(Principal=ANYBODY, Action=["dynamodb:*"]), ["policy_public high"]),
    "a role of the account uses the table": (table(Principal={"AWS": [OURS]}, Action=["dynamodb:*"]), []),
    **{
        f"another account may {action}": (table(Action=[f"dynamodb:{action}"]), ["policy_foreign high"])
        for action in (
            *("BatchGetItem", "PartiQLSelect", "PartiQLInsert", "PartiQLUpdate", "PartiQLDelete"),
            *("ExportTableToPointInTime", "UpdateContinuousBackups"),
        )
    },
    "another account describes the table": (table(Action=["dynamodb:DescribeTable"]), []),
    "nobody releases a lock": (
        table(Effect="Deny", Principal=ANYBODY, Action=["dynamodb:DeleteItem"]),
        ["policy_denies high"],
    ),
    "nobody reads some items": (
        table(
            Effect="Deny",
            Principal=ANYBODY,
            Action=["dynamodb:GetItem"],
            Condition={"ForAnyValue:StringLike": {"dynamodb:LeadingKeys": ["a/*-md5"]}},
        ),
        [],
    ),
    "digests that a step of the lock mode denies": (
        table(Sid="CornerstoneTfstateDigests", Effect="Deny", Principal=ANYBODY, Action=["dynamodb:PutItem"]),
        [],
    ),
    "an account that blocks nothing": ({"account": {"public_access": OPEN}}, ["public_access low"]),
    "an account that blocks everything": ({"account": {"public_access": dict.fromkeys(OPEN, True)}}, []),
    "an account of another store": ({"account": {"public_access": None}}, []),
}


@pytest.mark.parametrize("case", CASES)
def test_this_is_found(case: str) -> None:
    more, expected = CASES[case]
    found = found_in(more)
    assert [f"{each.id.partition('.')[2]} {each.severity}" for each in found] == expected
    for each in found:
        assert each.why and each.detail
        assert each.fix.startswith(DECIDE) or command_of(each.fix).problems == []


def test_a_denial_counts_where_clients_lock_by_file() -> None:
    for mode, expected in (("dynamodb", 0), ("lockfile", 1), ("both", 1)):
        assert len(found_in(denying("s3:DeleteObject"), mode)) == expected
    assert found_in(table(Effect="Deny", Principal=ANYBODY, Action=["dynamodb:*"]), "lockfile") == []


def test_a_denial_of_one_state_is_found() -> None:
    more = denying("s3:GetObject", Resource=[f"{ARN}/a/terraform.tfstate"])
    state = {"path": "a/terraform.tfstate", "is_deleted": False, "is_readable": True}
    assert [each.id for each in found_in({**more, "states": [state]})] == ["bucket.policy_denies"]
    assert found_in(more) == []


def test_a_waiver_of_one_account_lets_in_no_other() -> None:
    both = policy(statement(Principal={"AWS": [OTHER, OTHER.replace("4444", "7777")]}))
    about = {"id": "bucket.policy_read", "resource": "*444455556666", "reason": "reads outputs", "until": "2999-12-31"}
    tuning = Tuning(TODAY, waivers=waivers_of([about]))
    found = evaluate(found_in(both), "us-east-1", tuning)
    assert {each.resource: bool(each.waived) for each in found} == {
        "state-us: 444455556666": True,
        "state-us: 777755556666": False,
    }


def test_a_statement_that_the_inventory_asks_for_is_declared() -> None:
    asked = {"Sid": "More", "Effect": "Allow", "Principal": {"AWS": "444455556666"}, "Action": "s3:GetObject"}
    asked = {**asked, "Resource": [ARN, f"{ARN}/*"]}
    declared = replace(US, bucket={"policy_statements": [asked]})
    assert audit(facts(**allowing("s3:GetObject")), declared) == []
    assert [each.id for each in audit(facts(**allowing("s3:GetObject", "s3:PutObject")), declared)] == [
        "bucket.policy",
        "bucket.policy_write",
    ]


def test_what_is_left_alone_is_not_looked_at() -> None:
    alone = replace(US, bucket={"unmanaged": ["policy", "ownership"]})
    for more in (allowing("s3:GetObject"), denying("*"), acl((ALL_USERS, "READ"))):
        assert audit(facts(**more), alone) == []


def test_no_statement_of_somebody_else_goes_without_a_question() -> None:
    cases = ("another account reads", "another account writes", "nobody deletes", "another account uses the table")
    for case in cases:
        (found,) = found_in(CASES[case][0])
        assert found.fix.startswith(DECIDE) and "\n" not in found.fix
    (read,) = found_in(CASES["another account reads"][0])
    question, _asked, fix = read.fix.partition("If not: ")
    assert "444455556666" in question
    command = command_of(fix)
    assert (command.name, command.inventory, command.host) == ("bootstrap", ("hosts.yml",), "us-east-1")
    assert command.given == {
        "terraform_backend_bucket_drop_statements": [exact_name(statement())],
        "terraform_backend_bucket_allow": ["drop_policy_statements"],
    }


def test_a_statement_that_is_for_others_too_is_not_dropped() -> None:
    for other in (OURS, OTHER.replace("4444", "7777")):
        found = found_in(policy(statement(Principal={"AWS": [OTHER, other]})))
        assert found and all("ansible-playbook" not in each.fix and "for others, too" in each.fix for each in found)


def test_a_denial_that_the_inventory_asks_for_is_taken_out_of_it() -> None:
    denial = statement(Effect="Deny", Principal=ANYBODY, Action=["s3:GetObject"])
    asked = replace(US, bucket={"policy_statements": [denial]})
    (found,) = audit(facts(**policy(denial)), asked)
    assert found.id == "bucket.policy_denies" and found.fix.startswith("${EDITOR:-vi} group_vars/all.yml")


def test_an_acl_that_stands_in_the_way_of_bootstrap_goes_first() -> None:
    ownership, block, public = found_in(CASES["everybody by ACL"][0])
    assert (
        "s3api put-bucket-acl" in ownership.fix
        and " && ansible-playbook cornerstone.tfstate.bootstrap" in ownership.fix
    )
    assert command_of(public.fix).name == command_of(block.fix).name == "bootstrap"
    alone = replace(US, bucket={"unmanaged": ["public_access"]})
    (public,) = (each for each in audit(facts(**CASES["everybody by ACL"][0]), alone) if each.id == "bucket.acl_public")
    assert public.fix.count("put-public-access-block") == 1 and "IgnorePublicAcls=true" in public.fix


def test_an_acl_for_another_account_is_decided_about_and_keeps_no_run_from_all_else() -> None:
    kept = acl(("79a59df900b949e5", "FULL_CONTROL"), versioning="Suspended")
    fixes = {each.id: each.fix for each in found_in(kept)}
    assert fixes["bucket.ownership"].startswith(DECIDE) and "set the ACL to private" in fixes["bucket.ownership"]
    assert command_of(fixes["bucket.versioning"]).given == {"terraform_backend_bucket_unmanaged": ["ownership"]}


HOSTILE = "x'; rm -rf ~ #\n{{ lookup('pipe', 'reboot') }}"


@pytest.mark.parametrize(
    "more",
    [
        allowing("s3:GetObject", Sid=HOSTILE),
        allowing("s3:GetObject", Principal={"CanonicalUser": [HOSTILE]}),
        denying("s3:*", Sid=HOSTILE),
        acl((HOSTILE, "READ")),
        table(Sid=HOSTILE, Action=["dynamodb:*"]),
        {
            "bucket": resource(
                BUCKET,
                "state-us",
                "us-east-1",
                replication=[{"rule": HOSTILE, "bucket": HOSTILE, "account": HOSTILE, "prefix": HOSTILE}],
            )
        },
    ],
    ids=["a Sid", "a principal", "a denial", "a grantee", "a statement of a table", "a rule"],
)
def test_text_from_aws_never_becomes_code(more: dict[str, Any]) -> None:
    found = found_in(more)
    assert found
    for each in found:
        assert not {"\n", "{{"} & {*each.fix} and "rm -rf" not in each.fix and "{{" not in each.fix
