# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Refusals: every word has a plan that needs it, and some plans no word permits."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Target
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.guard import ALLOW, RENAMED, Refused
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.reconcile import reconcile
from ansible_collections.cornerstone.tfstate.plugins.module_utils._policy.baseline import (
    KMS_KEY,
    KMS_KEY_HEADER,
    ORGANIZATION,
    TLS,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._policy.document import (
    canonical,
    meaning,
    statements_of,
)

from tests.unit.plugins.module_utils.fake_aws import ACCOUNT, FLAGS, KEY, REGION, Bucket, Table
from tests.unit.plugins.module_utils.starting_points import (
    ARN,
    AUDITOR,
    FOREIGN_RULE,
    KINDS,
    LOGS,
    NAME,
    OUR_RULE,
    READER,
    STATE_OBJECTS,
    Kind,
    tls,
)


@dataclass(frozen=True)
class Case:
    """What is there and asked; `also`: what else has to be allowed for the plan to be carried out."""

    kind: str
    word: str | None
    found: Any
    params: dict[str, Any] = field(default_factory=dict)
    also: tuple[str, ...] = ()


def bucket(word: str | None, found: Bucket | None, *also: str, **params: Any) -> Case:
    return Case("bucket", word, found, params, also)


def table(word: str | None, found: Table, *also: str, **params: Any) -> Case:
    return Case("table", word, found, params, also)


def used(**more: Any) -> Bucket:
    return Bucket(**{"versioning": "Enabled", "objects": STATE_OBJECTS, **more})


def kms(key: str | None = KEY) -> dict[str, Any]:
    named = {"KMSMasterKeyID": key} if key else {}
    return {"encryption": {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", **named}}}


def policy(*statements: Any) -> dict[str, Any]:
    return {"policy": {"Version": "2012-10-17", "Statement": [*statements]}}


def readers(sid: str, count: int) -> dict[str, Any]:
    roots = [f"arn:aws:iam::{400000000000 + number}:root" for number in range(count)]
    return {"Sid": sid, "Effect": "Allow", "Principal": {"AWS": roots}, "Action": "s3:ListBucket", "Resource": ARN}


EVERYBODY = {"Sid": "Everybody", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"{ARN}/*"}
NOBODY = {"Sid": "Nobody", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": ARN}
ONLY_HERE = {**NOBODY, "Condition": {"StringNotEquals": {"aws:SourceVpce": "vpce-1"}}}
ONLY_PLAIN = {**NOBODY, "Condition": {"Bool": {"aws:SecureTransport": "true"}}}
NOT_US = {**NOBODY, "Principal": {"AWS": ACCOUNT}}
TLS_ONLY = {**tls("1.2"), "Sid": TLS, "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
OTHERS_OUT = {
    "Sid": ORGANIZATION,
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:*",
    "Resource": f"{ARN}/*",
    "Condition": {
        "StringNotEquals": {"aws:PrincipalOrgID": "o-1"},
        "Bool": {"aws:PrincipalIsAWSService": "false"},
    },
}
ONLY_KEY = {
    "Sid": KMS_KEY,
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:PutObject",
    "Resource": f"{ARN}/*",
    "Condition": {"Null": {KMS_KEY_HEADER: "false"}, "StringNotEquals": {KMS_KEY_HEADER: KEY}},
}
TWO_ORGANIZATIONS = {"aws:PrincipalOrgID": ["o-1", "o-2"]}
FOREIGN_TLS = {**TLS_ONLY, "Sid": "OnlyTls"}
#: Of others: an account that is kept out, and one that may do anything.
BARRED = {**NOBODY, "Sid": "Barred", "Principal": {"AWS": "444455556666"}, "Resource": f"{ARN}/*"}
LENT = {**EVERYBODY, "Sid": "Lent", "Principal": {"AWS": "444455556666"}, "Action": "s3:*"}
LOCKED = {
    "ObjectLockEnabled": "Enabled",
    "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 30}},
}
MANY_TAGS = {**{f"tag-{number}": "" for number in range(48)}, "aws:servicecatalog:x": "", "aws:y": ""}
LOCK_FILE = {"Key": "prod.tfstate.tflock", "VersionId": "9", "IsLatest": True}
DIGEST = {"LockID": {"S": "b/k-md5"}, "Digest": {"S": "d41d"}}
LOCK = {"LockID": {"S": "b/k"}}
OLD_LOGS = {"TargetBucket": "old-logs", "TargetPrefix": "tf-state/"}
OPEN = dict.fromkeys(FLAGS, False)
#: What a baseline run makes of a table, so that only what is asked is planned.
SOUND: dict[str, Any] = {"protected": True, "recovery_days": 35}
GONE = {"state": "absent", "confirm_name": NAME}

NEEDS_A_WORD = {
    "versions stop": bucket("suspend_versioning", used(), versioning=False),
    "a creation that was cut short goes on without versions": bucket("suspend_versioning", Bucket(), versioning=False),
    "a creation that was cut short goes on without TLS": bucket("weaken_policy", Bucket(), require_tls=False),
    "versions expire": bucket("shorten_retention", used(), noncurrent_version_expiration_days=90),
    "versions expire earlier": bucket(
        "shorten_retention", used(lifecycle=[OUR_RULE]), noncurrent_version_expiration_days=364
    ),
    "fewer versions are kept": bucket("shorten_retention", used(lifecycle=[OUR_RULE]), newer_noncurrent_versions=49),
    "versions expire elsewhere than today": bucket(
        "shorten_retention", used(lifecycle=[FOREIGN_RULE]), noncurrent_version_expiration_days=90
    ),
    "KMS goes": bucket("weaken_encryption", used(**kms()), encryption="AES256"),
    "another key": bucket("change_kms_key", used(**kms()), kms_key_id="alias/other"),
    "no key of one's own": bucket("change_kms_key", used(**kms()), kms_key_id="alias/aws/s3"),
    "a flag opens": bucket("open_public_access", used(), public_access={"block_public_acls": False}),
    "a statement lets anybody in": bucket(
        "open_public_access", used(), public_access={"block_public_policy": False}, policy_statements=[EVERYBODY]
    ),
    "a statement lets in whoever has an address": bucket(
        "open_public_access",
        used(),
        public_access={"block_public_policy": False},
        policy_statements=[{**EVERYBODY, "Condition": {"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}}],
    ),
    "ACLs come back": bucket("enable_acls", used(), object_ownership="ObjectWriter"),
    "access is no longer logged": bucket("change_logging", used(logging=OLD_LOGS), logging_target_bucket="none"),
    "access is logged elsewhere": bucket("change_logging", used(logging=OLD_LOGS), logging_target_bucket=LOGS),
    "TLS goes": bucket("weaken_policy", used(**policy(TLS_ONLY, tls("1.2"))), require_tls=False),
    "old TLS comes back": bucket("weaken_policy", used(**policy(tls("1.3"))), minimum_tls_version="1.2"),
    "foreign statements go": bucket("drop_policy_statements", used(**policy(AUDITOR)), purge_policy_statements=True),
    "one foreign statement goes": bucket(
        "drop_policy_statements", used(**policy(AUDITOR, LENT)), drop_statements=["Auditor"]
    ),
    "a foreign statement that denies goes": bucket(
        "weaken_policy", used(**policy(BARRED)), "drop_policy_statements", purge_policy_statements=True
    ),
    "a foreign statement that denies is dropped": bucket(
        "drop_policy_statements", used(**policy(BARRED)), "weaken_policy", purge_policy_statements=True
    ),
    "a statement takes the place of one that denies": bucket(
        "drop_policy_statements",
        used(**policy(BARRED)),
        "weaken_policy",
        "grant_foreign_access",
        policy_statements=[{**LENT, "Sid": "Barred"}],
    ),
    "a statement that denies no longer does": bucket(
        "weaken_policy",
        used(**policy(BARRED)),
        "drop_policy_statements",
        "grant_foreign_access",
        policy_statements=[{**LENT, "Sid": "Barred"}],
    ),
    "a statement of one's own lets in fewer": bucket(
        "drop_policy_statements",
        used(**policy(AUDITOR)),
        policy_statements=[{**AUDITOR, "Action": "s3:ListBucket"}],
    ),
    "somebody's words under a Sid of ours": bucket(
        "drop_policy_statements", used(**policy({**LENT, "Sid": TLS})), require_tls=True
    ),
    "more organisations are let in": bucket(
        "weaken_policy",
        used(**policy(OTHERS_OUT)),
        allowed_organization_ids=["o-1", "o-2"],
    ),
    "the policy demands another key": bucket(
        "change_kms_key",
        used(**policy(ONLY_KEY)),
        kms_key_id="alias/other",
        unmanaged=["encryption"],
    ),
    "another account may change the policy": bucket("grant_foreign_access", used(), policy_statements=[LENT]),
    "an account comes in by a condition": bucket(
        "grant_foreign_access",
        used(),
        policy_statements=[{**EVERYBODY, "Condition": {"StringEquals": {"aws:PrincipalAccount": "444455556666"}}}],
    ),
    "an organisation comes in by a condition": bucket(
        "grant_foreign_access",
        used(),
        policy_statements=[{**EVERYBODY, "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}],
    ),
    "nobody may change the policy": bucket("lock_out_operator", used(), policy_statements=[NOBODY]),
    "nobody may with TLS": bucket("lock_out_operator", used(), policy_statements=[ONLY_PLAIN]),
    "nobody of the account may": bucket("lock_out_operator", used(), policy_statements=[NOT_US]),
    "nobody elsewhere may": bucket("lock_out_operator", used(), policy_statements=[ONLY_HERE]),
    "a new bucket forgets early": bucket("shorten_retention", None, noncurrent_version_expiration_days=89),
    "a bucket forgets early that never was used": bucket(
        "shorten_retention", Bucket(), noncurrent_version_expiration_days=1
    ),
    "the lock is shorter": bucket(
        "shorten_retention",
        used(object_lock=LOCKED),
        "enable_object_lock",
        object_lock=True,
        object_lock_mode="GOVERNANCE",
        object_lock_days=29,
    ),
    "a lock for ever": bucket("enable_object_lock", used(), object_lock=True),
    "nobody can take the lock back": bucket(
        "enforce_compliance",
        used(),
        "enable_object_lock",
        object_lock=True,
        object_lock_mode="COMPLIANCE",
        object_lock_days=1,
    ),
    "Terraform has it": bucket("shared_management", used(tags={"ManagedBy": "Terraform"})),
    "a stack has it": bucket("shared_management", used(tags={"aws:cloudformation:stack-name": "x"})),
    "state goes": bucket("delete_state", used(), **GONE),
    "a lock goes": bucket("break_lock", used(objects=[LOCK_FILE]), "delete_state", **GONE),
    "the table's key goes": table("weaken_encryption", Table(sse=KEY, **SOUND), encryption="aws_owned_key"),
    "the table gets another key": table("change_kms_key", Table(sse=KEY, **SOUND), kms_key_id="alias/other"),
    "protection goes": table("disable_deletion_protection", Table(**SOUND), deletion_protection=False),
    "recovery goes": table("disable_recovery", Table(**SOUND), point_in_time_recovery=False),
    "recovery reaches less far": table("disable_recovery", Table(**SOUND), recovery_period_days=7),
    "Pulumi has the table": table("shared_management", Table(tags={"created-by": "pulumi"})),
    "digests go": table("delete_state", Table(items=[DIGEST]), **GONE),
    "a table lock goes": table("break_lock", Table(items=[LOCK]), "delete_state", **GONE),
    "a protected table goes": table("disable_deletion_protection", Table(protected=True), **GONE),
}
cases = pytest.mark.parametrize("case", NEEDS_A_WORD.values(), ids=NEEDS_A_WORD)


def run(case: Case, *allowed: str | None, check_mode: bool = False) -> Any:
    kind: Kind = KINDS[case.kind]
    aws = kind.world(copy.deepcopy(case.found))
    try:
        kind.run(aws, {**case.params, "allow": [*case.also, *allowed]}, check_mode)
    finally:
        assert not aws.writes or case.word in allowed
    return aws


@pytest.mark.aws("2.4", "2.5", "2.6", "2.9", "2.12")
@cases
@pytest.mark.parametrize("check_mode", [False, True])
def test_it_is_refused_before_anything_is_touched_and_the_word_is_named(case: Case, check_mode: bool) -> None:
    with pytest.raises(Refused, match=rf"allow: \[{case.word}\]"):
        run(case, check_mode=check_mode)


@cases
def test_its_word_permits_it(case: Case) -> None:
    run(case, case.word)


@cases
def test_no_other_word_permits_it(case: Case) -> None:
    others = [word for word in ALLOW[case.kind] if RENAMED.get(word, word) != case.word]
    with pytest.raises(Refused, match=rf"allow: \[{case.word}\]"):
        run(case, *others)


@pytest.mark.parametrize("kind", ALLOW)
def test_every_word_has_a_case(kind: str) -> None:
    assert {case.word for case in NEEDS_A_WORD.values() if case.kind == kind} == {*ALLOW[kind]} - {*RENAMED}


def test_a_word_permits_by_its_name_of_before() -> None:
    for name, tags in (("bucket", {"ManagedBy": "Terraform"}), ("table", {"created-by": "pulumi"})):
        found = Bucket(tags=tags) if name == "bucket" else Table(tags=tags)
        aws = KINDS[name].world(found)
        KINDS[name].run(aws, {"allow": ["take_over_resource"]})
        assert any("says that another tool manages it" in each for each in aws.warnings)


NOTHING_PERMITS = {
    "a bucket in another region": (bucket(None, used(region="af-south-1")), "lies in af-south-1, not in eu-west-1"),
    "a bucket in another region to be deleted": (
        bucket(None, Bucket(region="af-south-1"), **GONE),
        "lies in af-south-1, not in eu-west-1",
    ),
    "a table of another key": (
        table(None, Table(key=[{"AttributeName": "id", "KeyType": "HASH"}])),
        "has the key {'id': 'None HASH'}",
    ),
    "a table of another key to be deleted": (
        table(None, Table(key=[{"AttributeName": "id", "KeyType": "HASH"}], items=[{"id": {"S": "1"}}]), **GONE),
        "neither replaced nor deleted",
    ),
    "a range besides": (
        table(None, Table(key=[*Table().key, {"AttributeName": "at", "KeyType": "RANGE"}])),
        "choose another name",
    ),
    "state to be deleted without its name": (
        bucket(None, used(), state="absent"),
        "deleting state needs confirm_name: tf-state",
    ),
    "state to be deleted by another name": (
        bucket(None, used(), state="absent", confirm_name="tf-stale"),
        "deleting state needs confirm_name: tf-state",
    ),
    "digests to be deleted without their name": (
        table(None, Table(items=[DIGEST]), state="absent"),
        "deleting state needs confirm_name: tf-state",
    ),
    "no versions under object lock": (
        bucket(None, used(object_lock={"ObjectLockEnabled": "Enabled"}), versioning=False),
        "cannot be suspended where object lock is on",
    ),
    "more tags than AWS takes, with those of a bucket": (
        bucket(None, used(tags=MANY_TAGS), tags={"one": "", "two": "", "three": ""}),
        "with those that are there it would have 51 tags; AWS takes 50",
    ),
    "more tags than AWS takes, with those of a table": (
        table(None, Table(tags=MANY_TAGS, **SOUND), tags={"one": "", "two": "", "three": ""}),
        "with those that are there it would have 51 tags; AWS takes 50",
    ),
    "a policy that is too long with the statements of others": (
        bucket(None, used(**policy(readers("Theirs", 400))), policy_statements=[readers("Ours", 250)]),
        "with the statements that are there, would have 2",
    ),
    "a policy that is too long with ours": (
        bucket(None, used(**policy(readers("Theirs", 605)))),
        "with the statements that are there, would have 20",
    ),
    "a new Sid that AWS does not take": (
        bucket(None, used(), policy_statements=[{**AUDITOR, "Sid": "my-sid"}]),
        "policy statement my-sid: AWS takes a new Sid of letters and digits only",
    ),
    "a variable in a policy of the old version": (
        bucket(
            None,
            used(policy={"Statement": [{**BARRED, "Resource": f"{ARN}/${{aws:userid}}/*"}]}),
            policy_statements=[
                {**BARRED, "Sid": "New", "Action": "s3:GetObject", "Resource": f"{ARN}/${{aws:userid}}"}
            ],
        ),
        "the ${...} of New is literal text. 2012-10-17, in which it is a variable, would change what Barred does",
    ),
    "a public statement under the block": (
        bucket(None, used(), policy_statements=[EVERYBODY]),
        "AWS takes no policy with Everybody",
    ),
    "a public statement that comes under the block": (
        bucket(None, used(public_access=OPEN, **policy(EVERYBODY))),
        "AWS takes no policy with Everybody",
    ),
}


@pytest.mark.aws("1.6", "2.5", "2.7", "2.8", "2.12", "4.14")
@pytest.mark.parametrize(("case", "said"), NOTHING_PERMITS.values(), ids=NOTHING_PERMITS)
def test_nothing_permits_it(case: Case, said: str) -> None:
    with pytest.raises(Refused) as refusal:
        run(case, *ALLOW[case.kind])
    assert said in str(refusal.value)


FINE = {
    "a policy that fits by a hand's breadth": bucket(None, used(**policy(readers("Theirs", 590)))),
    "a bucket that is logged nowhere is logged": bucket(None, used(), logging_target_bucket=LOGS),
    "logs go by another prefix": bucket(
        None,
        used(logging={**OLD_LOGS, "TargetBucket": LOGS}),
        logging_target_bucket=LOGS,
        logging_target_prefix="new/",
    ),
    "versions are kept longer": bucket(None, used(lifecycle=[OUR_RULE]), noncurrent_version_expiration_days=366),
    "a rule goes": bucket(None, used(lifecycle=[OUR_RULE]), noncurrent_version_expiration_days=0),
    "encryption grows": bucket(None, used(**kms()), encryption="aws:kms:dsse"),
    "the managed key becomes one's own": bucket(None, used(**kms(None)), kms_key_id="alias/state"),
    "TLS grows": bucket(None, used(**policy(tls("1.2"))), minimum_tls_version="1.3"),
    "a statement of one's own lets in more": bucket(
        None, used(**policy({**AUDITOR, "Action": "s3:ListBucket"})), policy_statements=[AUDITOR]
    ),
    "a statement for somebody who was deleted is replaced": bucket(
        None, used(**policy({**AUDITOR, "Principal": {"AWS": "AROAEXAMPLE"}})), policy_statements=[AUDITOR]
    ),
    "an organisation of one's own lets in": bucket(
        None,
        used(),
        policy_statements=[{**EVERYBODY, "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}],
        allowed_organization_ids=["o-1"],
    ),
    "the account lets itself in": bucket(
        None,
        used(),
        policy_statements=[{**EVERYBODY, "Condition": {"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}}],
    ),
    "another account is let in by its number": bucket(None, used(), policy_statements=[READER]),
    "fewer organisations are let in": bucket(
        None,
        used(**policy({**OTHERS_OUT, "Condition": {**OTHERS_OUT["Condition"], "StringNotEquals": TWO_ORGANIZATIONS}})),
        allowed_organization_ids=["o-1"],
    ),
    "a weaker statement under a Sid of ours": bucket(None, used(**policy({**TLS_ONLY, "Resource": f"{ARN}/*"}))),
    "TLS by somebody else is replaced, and ours takes over": bucket(
        None, used(**policy(FOREIGN_TLS)), policy_statements=[{**READER, "Sid": "OnlyTls"}]
    ),
    "the tag that claims it is what is asked for": bucket(
        None, used(tags={"ManagedBy": "Terraform"}), tags={"ManagedBy": "Terraform"}
    ),
    "a human manages it": bucket(None, used(tags={"ManagedBy": "Ansible"})),
    "longer retention of a bucket before its use": bucket(None, Bucket(), noncurrent_version_expiration_days=91),
    "somebody else sees to the policy of an unused bucket": bucket(None, Bucket(), unmanaged=["policy"]),
    "as many tags as AWS takes": bucket(None, used(tags=MANY_TAGS), tags={"one": "", "two": ""}),
    "many tags in place of others": bucket(None, used(tags=MANY_TAGS), tags={"one": ""}, purge_tags=True),
    "an empty bucket goes": bucket(None, Bucket(), state="absent"),
    "an empty table goes": table(None, Table(), state="absent"),
    "recovery reaches further": table(None, Table(protected=True, recovery_days=7), recovery_period_days=35),
    "a table gets a key": table(None, Table(**SOUND), kms_key_id="alias/state"),
}


@pytest.mark.parametrize("case", FINE.values(), ids=FINE)
def test_nobody_has_to_be_asked(case: Case) -> None:
    kind = KINDS[case.kind]
    kind.run(kind.world(copy.deepcopy(case.found)), case.params)


#: By kind, options that each keep something below the baseline, the word, and a resource that is there already.
STAYING = {
    "never had versions": ("bucket", {"versioning": False}, "suspend_versioning", used(versioning=None)),
    "has versioning suspended": ("bucket", {"versioning": False}, "suspend_versioning", used(versioning="Suspended")),
    "takes requests without TLS": ("bucket", {"require_tls": False}, "weaken_policy", used()),
    "is open to the public": (
        "bucket",
        {"public_access": {"block_public_policy": False}},
        "open_public_access",
        used(public_access=None),
    ),
    "has ACLs": ("bucket", {"object_ownership": "ObjectWriter"}, "enable_acls", used(ownership="ObjectWriter")),
    "can be deleted": ("table", {"deletion_protection": False}, "disable_deletion_protection", Table()),
    "cannot be restored": ("table", {"point_in_time_recovery": False}, "disable_recovery", Table()),
}


@pytest.mark.parametrize(("kind", "asked", "word", "found"), STAYING.values(), ids=STAYING)
def test_to_stay_without_a_protection_needs_its_word_each_time(
    kind: str, asked: dict[str, Any], word: str, found: Any
) -> None:
    aws = KINDS[kind].world(copy.deepcopy(found))
    with pytest.raises(Refused, match=rf"would stay without a protection of the baseline: .*allow: \[{word}\]"):
        KINDS[kind].run(aws, asked)
    assert not aws.writes
    for _again in range(2):
        KINDS[kind].run(aws, {**asked, "allow": [word]})
    unmanaged = {"versioning": "versioning", "require_tls": "policy"}.get(next(iter(asked)))
    if unmanaged:
        KINDS[kind].run(aws, {"unmanaged": [unmanaged]})


@pytest.mark.parametrize(("kind", "asked", "word", "found"), STAYING.values(), ids=STAYING)
def test_who_asks_for_nothing_needs_no_word(kind: str, asked: dict[str, Any], word: str, found: Any) -> None:
    KINDS[kind].run(KINDS[kind].world(copy.deepcopy(found)), {})


def test_a_shorter_recovery_that_is_there_may_be_asked_for() -> None:
    for days in (7, 10):
        KINDS["table"].run(KINDS["table"].world(Table(recovery_days=7)), {"recovery_period_days": days})


#: What is there, and what is asked of the policy: each time somebody's statement is what requires TLS so far.
TLS_BY_OTHERS = {
    "theirs is replaced": ([FOREIGN_TLS], {"policy_statements": [{**READER, "Sid": "OnlyTls"}]}),
    "theirs is purged": ([FOREIGN_TLS], {"purge_policy_statements": True}),
    "theirs is replaced, and ours says something else": (
        [FOREIGN_TLS, {**LENT, "Sid": TLS}],
        {"policy_statements": [{**READER, "Sid": "OnlyTls"}]},
    ),
    "theirs has our Sid, and is for objects": ([{**TLS_ONLY, "Resource": f"{ARN}/*"}], {}),
    "theirs has our Sid, and demands more": ([TLS_ONLY, tls("1.3")], {"policy_statements": [READER]}),
    "theirs stands beside ours": ([FOREIGN_TLS, TLS_ONLY], {"policy_statements": [{**READER, "Sid": "OnlyTls"}]}),
}


def requires_tls(it: Bucket) -> bool:
    return meaning(canonical(TLS_ONLY, "aws")) in map(meaning, statements_of(it.policy or {}, "aws"))


@pytest.mark.parametrize(("statements", "params"), TLS_BY_OTHERS.values(), ids=TLS_BY_OTHERS)
def test_tls_is_required_after_every_write_and_after_the_plan(statements: Any, params: dict[str, Any]) -> None:
    kind, seen = KINDS["bucket"], []
    aws = kind.world(used(**policy(*statements)), watch=lambda aws: seen.append(requires_tls(aws.buckets[NAME])))
    planned = kind.run(copy.deepcopy(aws), {**params, **kind.everything_allowed}, check_mode=True).after["policy"]
    assert meaning(canonical(TLS_ONLY, "aws")) in map(meaning, planned["statements"])
    kind.run(aws, {**params, **kind.everything_allowed})
    assert seen and all(seen)
    assert [call.operation for call in aws.writes].count("put_bucket_policy") == 1


def test_one_refusal_says_all_that_stands_against_it() -> None:
    case = bucket(None, used(**kms()), versioning=False, encryption="AES256")
    with pytest.raises(Refused) as refusal:
        run(case)
    assert "suspend_versioning" in str(refusal.value)
    assert "weaken_encryption" in str(refusal.value)


@pytest.mark.parametrize("found", [None, used()], ids=["new", "existing"])
@pytest.mark.parametrize(("account", "is_refused"), [(ACCOUNT, False), ("444455556666", True)])
def test_without_account_id_conditions_are_judged_by_the_callers_account(
    found: Any, account: str, is_refused: bool
) -> None:
    only = {"Condition": {"StringEquals": {"aws:PrincipalAccount": account}}}
    params = {"state": "present", "policy_statements": [{**READER, "Principal": "*", **only}]}
    aws = KINDS["bucket"].world(copy.deepcopy(found))
    target = Target(NAME, REGION)
    if is_refused:
        with pytest.raises(Refused, match=f"others than account {ACCOUNT}: .*grant_foreign_access"):
            reconcile(aws, BUCKET, target, params, False)
        assert not aws.writes
    else:
        reconcile(aws, BUCKET, target, params, False)
