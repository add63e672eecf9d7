# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The loop against an AWS in memory: the laws of the design, for whatever is asked and whatever is there."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import policy
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import (
    CallFailed,
    Failure,
    Target,
    TfstateError,
    desire,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.guard import Refused
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.reconcile import Interrupted, Outcome
from ansible_collections.cornerstone.tfstate.plugins.module_utils._policy.baseline import our_statements
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.plugins.module_utils.fake_aws import ACCOUNT, REGION, Bucket, FakeAws, Killed, Table
from tests.unit.plugins.module_utils.starting_points import KINDS, NAME, OUR_RULE, STATE_OBJECTS, TARGET, Kind, strength

settings.register_profile(
    "tfstate",
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
modest = settings(settings.get_profile("tfstate"))

both_kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


@st.composite
def starts(draw: st.DrawFn) -> tuple[str, Any, dict[str, Any]]:
    name = draw(st.sampled_from([*KINDS]))
    found, params = draw(KINDS[name].found), draw(KINDS[name].params)
    if isinstance(found, Bucket) and found.object_lock:
        params.pop("versioning", None)  # which nothing permits
    others = [facet.name for facet in KINDS[name].resource.facets[1:]]
    params["unmanaged"] = draw(st.just([]) | st.lists(st.sampled_from(others), max_size=2))
    if "versioning" in params["unmanaged"]:
        params = {option: value for option, value in params.items() if "object_lock" not in option}  # which needs it
    return name, found, params


def carried_out(kind: Kind, aws: FakeAws, params: dict[str, Any]) -> Outcome:
    return kind.run(aws, {**params, **kind.everything_allowed})


# The laws


@modest
@given(starts())
def test_nothing_is_planned_once_the_plan_is_carried_out(start: Any) -> None:
    kind, found, params = KINDS[start[0]], *start[1:]
    aws = kind.world(found)
    carried_out(kind, aws, params)
    after, written = copy.deepcopy(kind.it(aws)), len(aws.writes)
    again = carried_out(kind, aws, params)
    assert (again.changes, len(aws.writes), kind.it(aws)) == ((), written, after)


@pytest.mark.aws("2.15")
@modest
@given(starts())
def test_check_mode_plans_what_a_run_does_and_writes_nothing(start: Any) -> None:
    kind, found, params = KINDS[start[0]], *start[1:]
    aws = kind.world(found)
    dry, untouched = copy.deepcopy(aws), copy.deepcopy(aws)
    predicted = kind.run(dry, {**params, **kind.everything_allowed}, check_mode=True)
    assert (dry.buckets, dry.tables, dry.writes) == (untouched.buckets, untouched.tables, [])
    outcome = carried_out(kind, aws, params)
    assert (outcome.changes, outcome.before) == (predicted.changes, predicted.before)
    assert without_blocked_types(outcome.after) == without_blocked_types(predicted.after)


def without_blocked_types(facets: dict[str, Any]) -> dict[str, Any]:
    """Which uploads AWS blocks on a new bucket depends on its region: check mode does not guess."""
    encryption = {**facets.get("encryption", {}), "blocked_encryption_types": None}
    return {**facets, "encryption": encryption} if "encryption" in facets else facets


@modest
@given(starts())
def test_only_what_differs_is_written(start: Any) -> None:
    kind, found, params = KINDS[start[0]], *start[1:]
    aws = kind.world(found)
    outcome = carried_out(kind, aws, params)
    assert all(change.before != change.after for change in outcome.changes)
    assert aws.writes == [call for change in outcome.changes for call in change.calls]


@modest
@given(starts(), st.booleans())
def test_desire_is_a_projection(start: Any, fresh: bool) -> None:
    kind, found, params = KINDS[start[0]], *start[1:]
    observed = kind.run(kind.world(found), {**params, **kind.everything_allowed}, check_mode=True).before
    facets = [facet for facet in kind.resource.facets if facet.name in observed]
    target = replace(TARGET, fresh=fresh)
    once = desire(facets, target, params, observed)
    assert desire(facets, target, params, once) == once


@modest
@given(starts(), st.booleans())
def test_a_default_never_lowers(start: Any, tagged: bool) -> None:
    kind, found = KINDS[start[0]], start[1]
    aws = kind.world(found)
    before, fresh = strength(kind.it(aws)), found is None or _is_unused(found)
    kind.run(aws, {"tags": {"Owner": "me"}} if tagged else {})
    after = strength(kind.it(aws))
    lowered = {what for what in before if after[what] < before[what]}
    assert not {what for what in lowered if not (fresh and what.startswith("retention"))}


def _is_unused(it: Bucket | Table) -> bool:
    return isinstance(it, Bucket) and not it.objects and it.versioning is None


@pytest.mark.aws("2.2", "4.5")
@modest
@given(starts())
def test_a_stale_read_is_waited_for(start: Any) -> None:
    kind, found, params = KINDS[start[0]], *start[1:]
    aws, at_once = kind.world(found, stale_rounds=3), kind.world(copy.deepcopy(found))
    carried_out(kind, aws, params)
    carried_out(kind, at_once, params)
    assert kind.it(aws) == kind.it(at_once)
    assert not aws.late()


@settings(modest, max_examples=40)
@given(starts().filter(lambda start: "versioning" not in start[2]["unmanaged"]))
def test_killed_after_any_write_and_run_again_it_converges(start: Any) -> None:
    kind, found, params = KINDS[start[0]], *start[1:]
    undisturbed = kind.world(copy.deepcopy(found))
    carried_out(kind, undisturbed, params)
    for writes in range(1, len(undisturbed.writes)):
        aws = kind.world(copy.deepcopy(found), killed_after=writes)
        with pytest.raises(Killed):
            carried_out(kind, aws, params)
        aws.killed_after = None
        aws._finish_creations()
        carried_out(kind, aws, params)
        assert kind.it(aws) == kind.it(undisturbed)
        assert carried_out(kind, aws, params).changes == ()


@modest
@given(starts())
def test_at_no_moment_is_what_holds_state_weakened(start: Any) -> None:
    kind, found = KINDS[start[0]], start[1]
    if found is None or _is_unused(found):
        return
    least = strength(found)

    def watch(aws: FakeAws) -> None:
        now = strength(kind.it(aws))
        assert not {what: (least[what], now[what]) for what in least if now[what] < least[what]}

    kind.run(kind.world(found, watch=watch), {})


@pytest.mark.aws("2.14")
def test_a_new_bucket_is_versioned_private_and_lasting_before_anything_can_be_lost() -> None:
    kind, seen = KINDS["bucket"], []
    aws = kind.world(None, watch=lambda aws: seen.append(copy.deepcopy(kind.it(aws))))
    kind.run(aws, {})
    # Whoever uses the bucket early finds its retention set before its first old version.
    assert [(bool(it.lifecycle), it.versioning) for it in seen if isinstance(it, Bucket)] == [
        (False, None),
        (True, None),
        (True, "Enabled"),
        (True, "Enabled"),
    ]


def test_killed_while_versioning_is_unmanaged_it_keeps_every_version() -> None:
    """Nobody knows then that there never were any."""
    kind, aws = KINDS["bucket"], KINDS["bucket"].world(None, killed_after=1)
    with pytest.raises(Killed):
        kind.run(aws, {"unmanaged": ["versioning"], "allow": ["suspend_versioning"]})
    aws.killed_after = None
    kind.run(aws, {"unmanaged": ["versioning"]})
    assert aws.buckets[NAME].lifecycle is None
    assert kind.run(aws, {"unmanaged": ["versioning"]}).changes == ()


@pytest.mark.aws("2.6")
@pytest.mark.parametrize("versioning", [None, "Enabled", "Suspended"])
def test_retention_that_was_asked_for_once_stays_although_versioning_is_unmanaged(versioning: str | None) -> None:
    kind, aws = KINDS["bucket"], KINDS["bucket"].world(Bucket(versioning=versioning, lifecycle=[OUR_RULE]))
    kind.run(aws, {"unmanaged": ["versioning"]})
    assert aws.buckets[NAME].lifecycle == [OUR_RULE]
    with pytest.raises(Refused, match="shorten_retention"):
        kind.run(aws, {"unmanaged": ["versioning"], "noncurrent_version_expiration_days": 90})


@pytest.mark.aws("4.1")
def test_killed_right_after_the_creation_of_a_table_the_next_run_waits_for_it() -> None:
    kind, aws = KINDS["table"], KINDS["table"].world(None, killed_after=1)
    with pytest.raises(Killed):
        kind.run(aws, {})
    aws.killed_after = None
    kind.run(aws, {})
    assert aws.tables[NAME].recovery_days == 35


@pytest.mark.aws("4.10")
@pytest.mark.parametrize("status", ["INACCESSIBLE_ENCRYPTION_CREDENTIALS", "ARCHIVED"])
def test_a_table_that_no_waiting_mends_is_told_although_nothing_is_to_change(status: str) -> None:
    table = Table(protected=True, recovery_days=35, status=status)
    with pytest.raises(TfstateError, match=status):
        KINDS["table"].run(KINDS["table"].world(table), {})


def test_a_table_that_is_being_deleted_does_not_pass_for_present() -> None:
    table = Table(protected=True, recovery_days=35, status="DELETING")
    with pytest.raises(TfstateError, match="DELETING"):
        KINDS["table"].run(KINDS["table"].world(table), {})


# What a failure leaves behind


def test_a_failure_after_some_writes_says_what_was_done() -> None:
    kind = KINDS["bucket"]
    aws = kind.world(None, faults={"put_bucket_versioning": ["AccessDenied"]})
    with pytest.raises(Interrupted) as failure:
        kind.run(aws, {})
    assert [change.facet for change in failure.value.done] == ["existence", "lifecycle"]


def test_a_change_whose_reply_was_lost_is_made_once() -> None:
    kind = KINDS["bucket"]

    def lose_a_reply(aws: FakeAws) -> None:
        if aws.writes[-1].operation == "put_bucket_versioning":
            raise CallFailed(Failure(aws.writes[-1], "RequestTimeout", "", "run again"))

    aws = kind.world(None, watch=lose_a_reply)
    kind.run(aws, {})
    assert [call.operation for call in aws.writes].count("put_bucket_versioning") == 1


def test_a_change_whose_answer_was_cut_off_on_a_new_bucket_is_made_once() -> None:
    kind = KINDS["bucket"]

    def cut(aws: FakeAws) -> None:
        raise TfstateError(f"{aws.writes[-1]}: the answer was lost on its way")

    aws = kind.world(None, watch=cut)
    kind.run(aws, {"encryption": "aws:kms"})
    assert len(aws.writes) == len({call.operation for call in aws.writes})
    assert aws.buckets[NAME].encryption["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"


def test_a_repeated_change_of_a_key_that_aws_refuses_as_done_is_looked_for_until_it_can_be_read() -> None:
    kind = KINDS["table"]

    def refuse_as_done(aws: FakeAws) -> None:
        if aws.writes[-1].operation == "update_table":
            raise CallFailed(Failure(aws.writes[-1], "ValidationException", "already encrypted", "see what AWS says"))

    aws = kind.world(Table(protected=True, recovery_days=35), stale_rounds=3, watch=refuse_as_done)
    kind.run(aws, {"encryption": "customer_managed_key", "kms_key_id": "alias/state"})
    assert [call.operation for call in aws.writes] == ["update_table"]


def test_a_refusal_whose_truth_cannot_be_seen_tells_both() -> None:
    kind = KINDS["table"]

    def refuse(aws: FakeAws) -> None:
        aws.faults = {"describe_table": ["ExpiredTokenException"]}
        raise CallFailed(Failure(aws.writes[-1], "ValidationException", "already so", "see what AWS says"))

    aws = kind.world(Table(protected=False, recovery_days=35), watch=refuse)
    with pytest.raises(TfstateError, match=r"ValidationException.*could not be seen: .*ExpiredTokenException"):
        kind.run(aws, {})


def test_a_deletion_that_fails_before_its_first_write_changed_nothing() -> None:
    kind = KINDS["table"]
    aws = kind.world(Table(items=[{"LockID": {"S": "b/k-md5"}, "Digest": {"S": "1"}}]))
    aws.faults = {"delete_table": ["AccessDeniedException"]}
    with pytest.raises(Interrupted) as failure:
        kind.run(aws, {"state": "absent", "allow": ["delete_state"], "confirm_name": NAME})
    assert not failure.value.has_written


@pytest.mark.aws("2.2")
def test_what_reads_back_old_past_the_deadline_is_a_warning() -> None:
    aws = KINDS["bucket"].world(Bucket(), stale_rounds=10_000)
    KINDS["bucket"].run(aws, {})
    assert "reads back the old" in aws.warnings[0]
    assert "run again later to confirm" in aws.warnings[0]


@pytest.mark.aws("4.1", "4.6", "6.6")
def test_a_table_that_stays_busy_past_the_deadline_is_a_failure() -> None:
    aws = KINDS["table"].world(Table(status="UPDATING"))
    with pytest.raises(TfstateError, match="the table is UPDATING, past wait_timeout; run again later"):
        KINDS["table"].run(aws, {})


@pytest.mark.aws("2.1")
def test_a_denied_read_fails_before_the_first_write_and_names_the_way_around() -> None:
    kind = KINDS["bucket"]
    aws = kind.world(Bucket(versioning=None), faults={"get_bucket_policy": ["AccessDenied"]})
    with pytest.raises(TfstateError, match=r"get_bucket_policy on tf-state: AccessDenied.*unmanaged: \[policy\]"):
        kind.run(aws, {})
    assert aws.writes == []


@pytest.mark.aws("2.1")
def test_what_is_unmanaged_is_neither_read_nor_written() -> None:
    kind = KINDS["bucket"]
    aws = kind.world(Bucket(policy=None, public_access=None))
    outcome = kind.run(aws, {"unmanaged": ["policy", "public_access"]})
    touched = {call.operation for call in [*aws.reads, *aws.writes]}
    assert not {each for each in touched if "policy" in each or "public_access" in each}
    assert "policy" not in outcome.after


@pytest.mark.aws("6.8")
def test_another_account_than_declared_is_told_before_anything_is_touched() -> None:
    kind = KINDS["bucket"]
    aws = kind.world(None)
    aws._sts_get_caller_identity = lambda _params: {"Account": "999999999999", "Arn": "arn:aws:iam::999999999999:root"}  # type: ignore[method-assign]
    with pytest.raises(
        TfstateError, match=f"account_id is {ACCOUNT}, but these credentials belong to account 999999999999"
    ):
        kind.run(aws, {})
    assert aws.writes == []


def test_a_bucket_of_another_account_is_neither_adopted_nor_created() -> None:
    kind = KINDS["bucket"]
    aws = kind.world(Bucket(owner="999999999999"))
    with pytest.raises(TfstateError, match="AccessDenied"):
        kind.run(aws, {})
    assert aws.writes == []


@pytest.mark.aws("5.1")
def test_an_unknown_kms_key_is_told_before_the_first_write_in_check_mode_too() -> None:
    for check_mode in (False, True):
        aws = KINDS["bucket"].world(None)
        with pytest.raises(TfstateError, match="alias/nope"):
            KINDS["bucket"].run(aws, {"kms_key_id": "alias/nope"}, check_mode)
        assert aws.writes == []


@pytest.mark.aws("4.7")
def test_an_autoscaled_table_keeps_its_capacity_with_a_warning() -> None:
    aws = KINDS["table"].world(Table(capacity={"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}, autoscaled=True))
    outcome = KINDS["table"].run(aws, {"billing_mode": "PAY_PER_REQUEST"})
    assert "billing" not in [change.facet for change in outcome.changes]
    assert "billing of tf-state is left alone: autoscaling" in aws.warnings[0]


@pytest.mark.aws("2.10")
def test_a_log_bucket_that_is_missing_is_told_before_the_first_write() -> None:
    aws = KINDS["bucket"].world(Bucket())
    with pytest.raises(Refused, match="the log bucket no-logs cannot be used"):
        KINDS["bucket"].run(aws, {"logging_target_bucket": "no-logs"})
    assert aws.writes == []


WITHOUT_TLS = {
    "a store without STS": ("http://10.0.0.5:9000", ""),
    "AWS itself": ("http://s3.eu-west-1.amazonaws.com", ACCOUNT),
}


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize("found", [None, Bucket()], ids=["new", "existing"])
@pytest.mark.parametrize(("endpoint", "account"), WITHOUT_TLS.values(), ids=WITHOUT_TLS)
def test_over_plain_http_no_policy_locks_the_operator_out(
    endpoint: str, account: str, found: Bucket | None, check_mode: bool
) -> None:
    aws = KINDS["bucket"].world(copy.deepcopy(found), http=endpoint, sts_account=account)
    with pytest.raises(Refused, match=rf"yours to {endpoint} included.* https:// .*require_tls: false"):
        KINDS["bucket"].run(aws, {}, check_mode)
    assert aws.writes == []


def test_over_plain_http_a_bucket_without_the_statement_and_an_emulator_are_fine() -> None:
    for asked, account in (({"require_tls": False, "allow": ["weaken_policy"]}, ""), ({}, ACCOUNT)):
        aws = KINDS["bucket"].world(None, http="http://127.0.0.1:5000", sts_account=account)
        KINDS["bucket"].run(aws, asked)
        assert bool(aws.buckets[NAME].policy) == bool(account)


@pytest.mark.parametrize("account", ["RGW33567154695143645", "", None, "1111222233334", "tenant"])
def test_a_store_whose_account_is_none_of_aws_is_no_emulator(account: str | None) -> None:
    target = Target(NAME, "eu-west-1", http_endpoint="http://127.0.0.1:9000")
    (statement,) = [each for each in our_statements({}, [], target) if "SecureTransport" in str(each)]
    (probe,) = policy.probes(target, {"statements": []}, {"statements": [statement]})
    assert probe.verdict({"Account": account}) is not None
    assert probe.verdict({"Account": ACCOUNT}) is None


def test_a_table_is_protected_before_anything_else_is_changed() -> None:
    aws = KINDS["table"].world(Table(capacity={"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}), killed_after=1)
    with pytest.raises(Killed):
        KINDS["table"].run(aws, {"billing_mode": "PAY_PER_REQUEST", "kms_key_id": "alias/state"})
    assert aws.tables[NAME].protected


EVERYBODY = {"Grantee": {"URI": "http://acs.amazonaws.com/groups/global/AllUsers"}, "Permission": "READ"}
SOMEBODY = {"Grantee": {"ID": "theirs", "Type": "CanonicalUser"}, "Permission": "READ"}


@pytest.mark.aws("2.9")
@pytest.mark.parametrize(
    ("grants", "asked"),
    [([SOMEBODY], {}), ([EVERYBODY, SOMEBODY], {}), ([EVERYBODY], {"unmanaged": ["public_access"]})],
    ids=["another account", "everybody and another account", "everybody, and nothing is blocked"],
)
def test_an_acl_that_lets_others_in_is_told_before_the_first_write(grants: list[Any], asked: dict[str, Any]) -> None:
    aws = KINDS["bucket"].world(Bucket(ownership="ObjectWriter", public_access=None, grants=grants))
    with pytest.raises(Refused, match="reset the ACL to private" if not asked else "AllUsers"):
        KINDS["bucket"].run(aws, asked)
    assert aws.writes == []


@pytest.mark.aws("2.9")
def test_a_bucket_that_an_acl_opens_to_everybody_is_closed_and_the_acl_is_left_to_its_owner() -> None:
    aws = KINDS["bucket"].world(Bucket(ownership="ObjectWriter", public_access=None, grants=[EVERYBODY]))
    outcome = KINDS["bucket"].run(aws, {})
    assert aws.writes[0].operation == "put_public_access_block" and outcome.after["ownership"] == "ObjectWriter"
    assert any("AllUsers" in each and "Reset the ACL to private" in each for each in outcome.warnings)
    aws.writes.clear()
    assert KINDS["bucket"].run(aws, {}).changes == () and aws.writes == []


@pytest.mark.aws("2.9")
def test_clients_with_an_acl_are_warned_of_before_acls_are_switched_off() -> None:
    aws = KINDS["bucket"].world(Bucket(ownership="ObjectWriter"))
    (told,) = [each for each in KINDS["bucket"].run(aws, {}).warnings if "ACL" in each]
    assert "other than bucket-owner-full-control (AccessControlListNotSupported)" in told
    aws.warnings.clear()
    assert not KINDS["bucket"].run(aws, {}).warnings


# Access points

GOING = {"state": "absent", "allow": ["delete_state"], "confirm_name": NAME}


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_bucket_with_access_points_keeps_its_versions(check_mode: bool) -> None:
    names = [f"point-{number}" for number in range(7)]
    aws = KINDS["bucket"].world(Bucket(objects=copy.deepcopy(STATE_OBJECTS), access_points=names))
    with pytest.raises(Refused) as refused:
        KINDS["bucket"].run(aws, GOING, check_mode)
    assert str(refused.value) == (
        f"bucket {NAME}: contents: S3 deletes no bucket that has access points, and it has point-0, point-1, point-2, "
        "point-3, point-4 and 2 more: delete each of them first (aws s3control delete-access-point --account-id "
        f"{ACCOUNT} --region {REGION} --name point-0), then run again"
    )
    assert aws.writes == []


@pytest.mark.parametrize(("code", "warnings"), [("AccessDenied", 1), ("NoEndpoint", 1), ("NotImplemented", 0)])
def test_access_points_that_cannot_be_listed_are_warned_of_beforehand(code: str, warnings: int) -> None:
    aws = KINDS["bucket"].world(Bucket(objects=copy.deepcopy(STATE_OBJECTS)))
    aws.faults["list_access_points"] = [code] * 9
    planned = KINDS["bucket"].run(aws, GOING, True)
    told = [each for each in planned.warnings if "access points" in each]
    assert (len(told), aws.writes) == (warnings, [])
    assert all(each.startswith(f"bucket {NAME}: whether it has access points is not known") for each in told)
    assert not KINDS["bucket"].run(aws, GOING).exists


# The end


def test_a_missing_resource_is_absent_already() -> None:
    for kind in KINDS.values():
        aws = kind.world(None)
        assert kind.run(aws, {"state": "absent"}).changes == ()
        assert aws.writes == []


@both_kinds
def test_an_empty_resource_is_deleted_without_ado(kind: Kind) -> None:
    aws = kind.world(Bucket() if kind is KINDS["bucket"] else Table())
    kind.run(aws, {"state": "absent"})
    assert kind.it(aws) is None


@pytest.mark.aws("3.1")
def test_a_bucket_of_many_pages_is_emptied_and_deleted() -> None:
    kind = KINDS["bucket"]
    objects = [{"Key": f"{number}.tfstate", "VersionId": "null", "IsLatest": True} for number in range(2500)]
    aws = kind.world(Bucket(objects=[*objects, *STATE_OBJECTS]))
    kind.run(aws, {"state": "absent", "allow": ["delete_state"], "confirm_name": NAME})
    assert kind.it(aws) is None
    assert [call.operation for call in aws.writes] == [*["delete_objects"] * 3, "delete_bucket"]


@pytest.mark.aws("4.12")
def test_a_table_with_digests_is_deleted_once_allowed() -> None:
    kind = KINDS["table"]
    aws = kind.world(Table(protected=True, items=[{"LockID": {"S": "b/k-md5"}, "Digest": {"S": "1"}}]))
    words = ["delete_state", "disable_deletion_protection"]
    kind.run(aws, {"state": "absent", "allow": words, "confirm_name": NAME})
    assert kind.it(aws) is None
    assert not aws.late()
    assert not aws.warnings


@both_kinds
def test_what_another_tool_manages_is_not_deleted(kind: Kind) -> None:
    tags = {"ManagedBy": "Terraform"}
    aws = kind.world(Bucket(tags=tags) if kind is KINDS["bucket"] else Table(tags=tags))
    with pytest.raises(Refused, match="shared_management"):
        kind.run(aws, {"state": "absent"})


@both_kinds
def test_what_another_tool_manages_is_refused_even_if_tags_are_unmanaged(kind: Kind) -> None:
    tags = {"ManagedBy": "Terraform"}
    aws = kind.world(Bucket(tags=tags) if kind is KINDS["bucket"] else Table(tags=tags))
    with pytest.raises(Refused, match="shared_management"):
        kind.run(aws, {"unmanaged": ["tags"]})


@pytest.mark.aws("3.4")
def test_a_live_lock_on_a_later_page_is_seen_before_anything_is_deleted() -> None:
    kind = KINDS["bucket"]
    objects = [{"Key": f"{number}.tfstate", "VersionId": "1", "IsLatest": True} for number in range(1000)]
    lock = {"Key": "z.tfstate.tflock", "VersionId": "1", "IsLatest": True}
    aws = kind.world(Bucket(objects=[*objects, lock]))
    with pytest.raises(TfstateError, match="break_lock"):
        kind.run(aws, {"state": "absent", "allow": ["delete_state"], "confirm_name": NAME})
    assert aws.writes == []
