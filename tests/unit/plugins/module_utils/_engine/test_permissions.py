# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What IAM says of planned writes, by scripted answers: only a denial is a refusal; what is no answer is unknown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import (
    Answer,
    Call,
    Change,
    Failure,
    Response,
    Target,
    TfstateError,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.permissions import (
    OPT_OUT,
    Permissions,
    check_writes,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import TABLE

ACCOUNT = "111122223333"
USER = f"arn:aws:iam::{ACCOUNT}:user/ci"
BUCKET_ARN = "arn:aws:s3:::acme-state"
TARGET = Target("acme-state", "eu-west-1", arn=BUCKET_ARN)
LOCKS = Target("locks", "eu-west-1", arn=f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/locks")
NO_POLICY: dict[str, Any] = {"existence": {}, "policy": {"statements": []}}
VERSIONING = Change(
    "versioning", "Disabled", "Enabled", (Call("s3", "put_bucket_versioning", {"Bucket": "acme-state"}),)
)
POLICY = Change("policy", None, None, (Call("s3", "put_bucket_policy", {"Bucket": "acme-state"}),))
UPDATE = Change("deletion_protection", False, True, (Call("dynamodb", "update_table", {"TableName": "locks"}),))


def failure(operation: str, code: str) -> Failure:
    return Failure(Call("iam", operation), code, "", "needs it")


@dataclass
class Iam:
    """What STS, IAM and a table's policy answer."""

    caller: str = USER
    #: action -> what IAM says of it, if it is not allowed.
    decisions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    answers: Mapping[str, Answer | TfstateError] = field(default_factory=dict)
    asked: list[Call] = field(default_factory=list)

    def read(self, calls: Sequence[Call], newly_created: bool = False) -> list[Answer]:
        (call,) = calls
        self.asked.append(call)
        answer = self.answers.get(call.operation)
        if isinstance(answer, TfstateError):
            raise answer
        answer_of: dict[str, Callable[[Call], Answer]] = {
            "get_caller_identity": lambda _call: {"Account": ACCOUNT, "Arn": self.caller},
            "simulate_principal_policy": self._simulated,
        }
        return [answer if answer is not None else answer_of[call.operation](call)]

    def write(self, call: Call, newly_created: bool = False) -> Response:
        raise AssertionError(call)

    def _simulated(self, call: Call) -> Answer:
        (arn,) = call.params["ResourceArns"]
        return {"EvaluationResults": [self._result(action, arn) for action in call.params["ActionNames"]]}

    def _result(self, action: str, arn: str) -> dict[str, Any]:
        """As AWS answers today: the decision on a resource stands beside that on the action."""
        said = {"EvalDecision": "allowed", **self.decisions.get(action, {})}
        specific = {"EvalResourceName": arn, "EvalResourceDecision": said["EvalDecision"]}
        specific |= {name: said[name] for name in ("MissingContextValues",) if name in said}
        template = "arn:${Partition}:s3:::${BucketName}"
        return {"EvalActionName": action, "EvalResourceName": template, **said, "ResourceSpecificResults": [specific]}

    @property
    def simulation(self) -> Mapping[str, Any]:
        return next(each.params for each in self.asked if each.operation == "simulate_principal_policy")


def of_bucket(
    iam: Iam, *changes: Change, before: Mapping[str, Any] = NO_POLICY, target: Target = TARGET
) -> Permissions:
    return check_writes(iam, BUCKET, target, dict(before), changes or (VERSIONING, POLICY))


def denied(kind: str, **more: Any) -> dict[str, Any]:
    return {"EvalDecision": kind, **more}


def test_what_is_allowed_needs_no_word_and_exactly_the_planned_actions_are_asked_for() -> None:
    iam = Iam()
    assert of_bucket(iam) == Permissions()
    assert iam.simulation["PolicySourceArn"] == USER
    assert iam.simulation["ActionNames"] == ["s3:PutBucketPolicy", "s3:PutBucketVersioning"]
    assert iam.simulation["ResourceArns"] == [BUCKET_ARN]
    given = {each["ContextKeyName"]: each["ContextKeyValues"] for each in iam.simulation["ContextEntries"]}
    assert given["aws:RequestedRegion"] == ["eu-west-1"] and given["aws:SecureTransport"] == ["true"]


def test_without_planned_requests_nobody_is_asked() -> None:
    iam = Iam()
    carried = Change("tags", {}, {"a": "b"})
    assert of_bucket(iam, carried) == Permissions() and not iam.asked


DENIALS = {
    "no policy": (denied("implicitDeny"), "no policy allows it (implicitDeny)"),
    "a policy": (denied("explicitDeny"), "a policy denies it (explicitDeny)"),
    "the organisation": (
        denied("implicitDeny", OrganizationsDecisionDetail={"AllowedByOrganizations": False}),
        "a service control policy denies it (implicitDeny)",
    ),
    "the boundary": (
        denied("implicitDeny", PermissionsBoundaryDecisionDetail={"AllowedByPermissionsBoundary": False}),
        "the permissions boundary denies it (implicitDeny)",
    ),
}


@pytest.mark.parametrize("by", DENIALS)
def test_a_denial_names_who_what_and_where(by: str) -> None:
    decision, reason = DENIALS[by]
    found = of_bucket(Iam(decisions={"s3:PutBucketPolicy": decision}))
    assert found.refused == [f"{USER} may not do s3:PutBucketPolicy on {BUCKET_ARN}: {reason}. Permit it, or {OPT_OUT}"]
    assert found.unknown == []


ALLOWING = {"existence": {}, "policy": {"statements": [{"Effect": "Allow"}]}}
DOUBTS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "a condition": (
        denied("implicitDeny", MissingContextValues=["aws:SourceVpc"]),
        NO_POLICY,
        "it depends on aws:SourceVpc, which only a request has",
    ),
    "the bucket's policy": (denied("implicitDeny"), ALLOWING, "but that of the bucket may"),
    "a policy that was not read": (denied("implicitDeny"), {"existence": {}}, "but that of the bucket may"),
    "a word of tomorrow": (denied("perhaps"), NO_POLICY, "IAM answers perhaps"),
}


@pytest.mark.parametrize("doubt", DOUBTS)
def test_what_may_be_permitted_after_all_is_unknown(doubt: str) -> None:
    decision, before, reason = DOUBTS[doubt]
    found = of_bucket(Iam(decisions={"s3:PutBucketPolicy": decision}), before=before)
    assert found.refused == [] and len(found.unknown) == 1 and reason in found.unknown[0]


def test_a_new_bucket_has_no_policy_that_could_allow_anything() -> None:
    create = Change("existence", None, {}, (Call("s3", "create_bucket", {"Bucket": "acme-state"}),))
    found = of_bucket(Iam(decisions={"s3:CreateBucket": denied("implicitDeny")}), create, before={"existence": None})
    assert len(found.refused) == 1


def test_an_explicit_denial_is_one_whatever_the_bucket_allows() -> None:
    assert of_bucket(Iam(decisions={"s3:PutBucketPolicy": denied("explicitDeny")}), before=ALLOWING).refused


TAG = Call("s3control", "tag_resource", {"ResourceArn": BUCKET_ARN, "Tags": [{"Key": "a", "Value": "b"}]})
TAGS = Change("tags", {}, {"a": "b"}, (Call("s3", "put_bucket_tagging", {"Bucket": "acme-state"}, instead=(TAG,)),))


def test_one_of_two_ways_is_enough() -> None:
    no_whole_set = {"s3:PutBucketTagging": denied("implicitDeny")}
    assert of_bucket(Iam(decisions=no_whole_set), TAGS) == Permissions()
    neither = Iam(decisions={**no_whole_set, "s3:TagResource": denied("explicitDeny")})
    assert "s3:PutBucketTagging" in of_bucket(neither, TAGS).refused[0]
    perhaps = {**no_whole_set, "s3:TagResource": denied("implicitDeny", MissingContextValues=["aws:PrincipalTag/team"])}
    assert of_bucket(Iam(decisions=perhaps), TAGS).refused == []


def test_a_bucket_may_be_created_without_its_tags() -> None:
    bare = Call("s3", "create_bucket", {"Bucket": "acme-state"})
    whole = replace(bare, params={**bare.params, "CreateBucketConfiguration": {"Tags": []}}, instead=(bare,))
    create = Change("existence", None, {}, (whole,))
    only_later = {"s3:TagResource": denied("implicitDeny")}
    assert of_bucket(Iam(decisions=only_later), create, before={"existence": None}) == Permissions()
    never = {**only_later, "s3:PutBucketTagging": denied("implicitDeny")}
    assert "s3:TagResource" in of_bucket(Iam(decisions=never), create, before={"existence": None}).refused[0]


def test_the_policy_of_a_table_is_looked_at_only_where_nothing_else_allows_a_write() -> None:
    nothing = {"dynamodb:UpdateTable": denied("implicitDeny")}

    def of_table(answer: Answer | None, decisions: Mapping[str, Any] = nothing) -> Permissions:
        answers = {} if answer is None else {"get_resource_policy": answer}
        return check_writes(Iam(decisions=decisions, answers=answers), TABLE, LOCKS, {"existence": {}}, [UPDATE])

    assert of_table(None, {}) == Permissions()
    assert of_table(failure("get_resource_policy", "PolicyNotFoundException")).refused
    for unclear in ({"Policy": "{}"}, failure("get_resource_policy", "AccessDeniedException")):
        found = of_table(unclear)
        assert found.refused == [] and "that of the table may" in found.unknown[0]


ROLE = f"arn:aws-us-gov:sts::{ACCOUNT}:assumed-role/apply/session"


def test_of_a_session_the_role_is_asked_for_with_its_path() -> None:
    with_path = f"arn:aws-us-gov:iam::{ACCOUNT}:role/teams/apply"
    iam = Iam(caller=ROLE, answers={"get_role": {"Role": {"Arn": with_path}}})
    assert of_bucket(iam) == Permissions()
    assert iam.simulation["PolicySourceArn"] == with_path
    assert next(each for each in iam.asked if each.operation == "get_role").params == {"RoleName": "apply"}


def test_a_role_that_may_not_be_looked_at_is_one_without_a_path_or_unknown() -> None:
    unseen = {"get_role": failure("get_role", "AccessDenied")}
    iam = Iam(caller=ROLE, answers=unseen)
    assert of_bucket(iam) == Permissions()
    assert iam.simulation["PolicySourceArn"] == f"arn:aws-us-gov:iam::{ACCOUNT}:role/apply"
    missing = {**unseen, "simulate_principal_policy": failure("simulate_principal_policy", "NoSuchEntity")}
    found = of_bucket(Iam(caller=ROLE, answers=missing))
    assert found.refused == [] and "need iam:GetRole" in found.unknown[0]


NO_ANSWERS: dict[str, tuple[Iam, str]] = {
    "root": (Iam(caller=f"arn:aws:iam::{ACCOUNT}:root"), "is the root user"),
    "a federated user": (Iam(caller=f"arn:aws:sts::{ACCOUNT}:federated-user/bob"), "is a federated user"),
    "an emulator's user": (Iam(caller="arn:aws:sts::123456789012:user/moto"), "is not a user or role of IAM"),
    "no ARN": (Iam(caller=""), "the caller is not a user or role of IAM"),
    "a role that cannot be found": (
        Iam(caller=ROLE, answers={"get_role": failure("get_role", "Throttling")}),
        "get_role: Throttling",
    ),
    "a role without an ARN": (Iam(caller=ROLE, answers={"get_role": {}}), "IAM did not answer with the role"),
    **{
        code: (Iam(answers={"simulate_principal_policy": failure("simulate_principal_policy", code)}), code)
        for code in ("AccessDenied", "Throttling", "NotImplemented", "InvalidInput")
    },
    "no connection": (Iam(answers={"simulate_principal_policy": TfstateError("nobody there")}), "nobody there"),
    "half an answer": (Iam(answers={"simulate_principal_policy": {}}), "IAM did not answer for s3:PutBucketPolicy"),
}


@pytest.mark.parametrize("case", NO_ANSWERS)
def test_without_an_answer_of_iam_it_is_unknown_in_one_sentence(case: str) -> None:
    iam, reason = NO_ANSWERS[case]
    found = of_bucket(iam)
    assert found.refused == []
    (sentence,) = found.unknown
    assert sentence.startswith("Whether ") and "is unknown: " in sentence and reason in sentence


def test_a_bucket_of_another_account_has_policies_that_iam_does_not_see() -> None:
    found = of_bucket(Iam(), target=replace(TARGET, owner="444455556666"))
    assert found.refused == [] and "of the account 444455556666" in found.unknown[0]


def test_the_policy_of_a_key_is_not_simulated() -> None:
    sse = {"SSESpecification": {"Enabled": True, "KMSMasterKeyId": "arn:aws:kms:eu-west-1:1:key/1"}}
    create = Call("dynamodb", "create_table", {"TableName": "locks", **sse})
    iam = Iam()
    found = check_writes(iam, TABLE, LOCKS, {"existence": None}, [Change("existence", None, {}, (create,))])
    assert found.refused == [] and "the policy of the key decides" in found.unknown[0]
    assert iam.simulation["ActionNames"] == ["dynamodb:CreateTable"]
