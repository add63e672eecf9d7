# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Buckets on an S3 that behaves as AWS does: late, stale, busy, rewriting and strict. See docs/aws-behaviours.md."""

from __future__ import annotations

import json
import math
import threading
import time
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.client import Aws

from tests.integration.conftest import behind_the_shim
from tests.integration.module_runs import RunTasks, Task, through_core
from tests.integration.scenarios import deny
from tests.integration.subject import Subject, changed, foretold
from tests.integration.test_lives import LIVES
from tests.support.aws_access import (
    BucketsLieIn,
    ConcurrentPutsConflict,
    SlowsDown,
    clock_is_off,
    credentials_have_expired,
    denials,
    global_tokens_are_unknown_in,
    not_enabled,
)
from tests.support.aws_behaviours import (
    SIZE_HEADER,
    HeadBucket,
    LifecyclesAreRewritten,
    PoliciesAreRewritten,
    PutsAreLost,
    ReadsAreStale,
    benign,
    mfa_delete_is_on,
    owners_are_compared,
    system_tags,
    tags_are_demanded,
    tags_grant_access,
    tags_on_create_are_denied,
)
from tests.support.emulators import RunningEmulator
from tests.support.http_relay import Answer, Body
from tests.support.relay import Relay, error

AUDIT = {
    "Sid": "Audit",
    "Effect": "Allow",
    "Principal": {"AWS": "111122223333"},
    "Action": ["s3:ListBucket"],
    "Resource": ["arn:aws:s3:::{name}"],
    "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}},
}


@pytest.fixture
def strict(emulator: RunningEmulator, relay: Relay) -> Subject:
    """A bucket to be, on an S3 with everything switched on that AWS does to everybody."""
    relay.use(*benign(emulator))
    return behind_the_shim("bucket", emulator, relay)


@pytest.fixture
def adopted(strict: Subject) -> Subject:
    """A bucket that somebody made long ago, with a state, a rule and a statement of theirs."""
    s3, name = strict.emulator.client("s3"), strict.name
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=name, Key="terraform.tfstate", Body=b"1")
    rule = {"ID": "logs", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 30}}
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [rule]})
    policy = {"Version": "2012-10-17", "Statement": [json.loads(json.dumps(AUDIT).replace("{name}", name))]}
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps(policy))
    return strict


# Everything at once


@pytest.mark.aws("1.1", "1.5", "2.2", "2.3", "2.5", "2.6", "2.15", "3.5")
@pytest.mark.parametrize("region", ["us-east-1", "af-south-1"])
def test_a_bucket_lives_its_life_among_all_that_aws_does_to_everybody(strict: Subject, region: str):
    strict.region = region
    for step, asked, facets in LIVES["bucket"]:
        foreseen = strict.task(True, **asked)
        assert (step, strict.writes) == (step, [])
        result = strict.done(**asked)
        told = [each for each in result["warnings"] if "anybody may take its name" not in each]
        assert (step, changed(result), told) == (step, facets, [])
        assert foretold(foreseen, result)
        assert {"create": {404, 409}, "modify": {409}, "delete": {404}}[step] <= {
            each.status for each in strict.requests
        }
        for check_mode in (True, False):
            again = strict.task(check_mode, **asked)
            assert (step, again["changes"], strict.writes) == (step, [], [])


@pytest.mark.aws("1.7", "2.5", "2.6", "2.8")
def test_an_adopted_bucket_is_modified_among_all_that_aws_does_to_everybody(adopted: Subject):
    account = adopted.aws("sts").get_caller_identity()["Account"]
    asked = {
        "account_id": account,
        "tags": {"Stage": "prod"},
        "noncurrent_version_expiration_days": 365,
        "allow": ["shorten_retention"],
    }
    foreseen = adopted.task(True, **asked)
    result = adopted.done(**asked)
    assert result["changes"] == foreseen["changes"]
    assert {"lifecycle", "tags", "policy"} <= {*changed(result)}
    assert "versioning" not in changed(result)
    seen = adopted.state()
    assert {rule["ID"] for rule in seen["lifecycle"]} == {"logs", "cornerstone.tfstate"}
    assert "Audit" in [statement.get("Sid") for statement in seen["policy"]]
    assert (adopted.done(**asked)["changes"], adopted.writes) == ([], [])


def test_through_each_execution_a_bucket_is_made_among_all_that_aws_does_to_everybody(
    ministack: RunningEmulator, run_tasks: RunTasks
):
    with Relay(ministack.url) as relay:
        relay.use(*benign(ministack))
        subject = behind_the_shim("bucket", ministack, relay)
        tasks = [subject.as_task(tags={"Stage": "test"}), subject.as_task(tags={"Stage": "prod"})]
        made, modified, again = run_tasks([*tasks, tasks[-1]])
    assert changed(made) == ["existence", "lifecycle", "versioning", "tags", "policy"]
    assert changed(modified) == ["tags"]
    assert again["changes"] == []


# One by one: what a run has to see through


SEEN_THROUGH = {
    "no reason at all": (HeadBucket(400), "head_bucket on {name}: 400; AWS gives no reason: the session token"),
    "somebody else's": (HeadBucket(403), "the bucket belongs to another account than {account}: choose another name"),
    "no reason, though it says where": (HeadBucket(400, "us-east-1"), "400; AWS gives no reason"),
    "somebody else's, wherever it is": (HeadBucket(403, "eu-west-1"), "the bucket belongs to another account"),
    "in another region": (HeadBucket(301, "eu-west-1"), "301"),
    "not for these credentials": (credentials_have_expired, "the credentials have expired: get new ones"),
    "not with this clock": (clock_is_off(3), "this machine's clock says"),
    "not by this policy": (
        denials("HeadBucket", "ListBuckets"),
        "you need s3:ListBucket on it; if you know whose it is, set",
    ),
}


@pytest.mark.aws("1.4", "6.7")
@pytest.mark.parametrize("case", SEEN_THROUGH)
def test_only_a_404_says_that_there_is_no_bucket(bare_bucket: Subject, case: str):
    behaviour, said = SEEN_THROUGH[case]
    bare_bucket.relay.use(behaviour)
    account = bare_bucket.emulator.client("sts").get_caller_identity()["Account"]
    said = said.format(name=bare_bucket.name, account=account)
    for state in ("present", "absent"):
        assert said in bare_bucket.refused(state=state)
    of_state = replace(bare_bucket, asked={"bucket": bare_bucket.name, "table": "tf-locks", "key": "app.tfstate"})
    (result,) = through_core([Task("tf_state_digest", of_state.as_task(name=None).params)])
    assert said in result["msg"]


@pytest.mark.aws("1.6")
@pytest.mark.parametrize("status", [301, 307, 400])
def test_a_bucket_that_we_are_led_to_in_another_region_is_refused(bare_bucket: Subject, status: int):
    there = {"LocationConstraint": "eu-central-1"}
    s3 = bare_bucket.emulator.client("s3", region="eu-central-1")
    s3.create_bucket(Bucket=bare_bucket.name, CreateBucketConfiguration=there)
    bare_bucket.relay.use(BucketsLieIn("eu-central-1", status))
    said = bare_bucket.refused()
    assert "lies in eu-central-1, not in us-east-1; correct region" in said
    assert "eu-central-1" in {call.region for call in bare_bucket.requests}


@pytest.mark.aws("6.1", "6.2")
@pytest.mark.parametrize("token", [None, "v1"])
def test_a_region_that_is_not_enabled_is_told_from_bad_credentials(
    bucket: Subject, token: str | None, monkeypatch: pytest.MonkeyPatch
):
    """Only without an endpoint_url is there another region to ask."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.relay.url)
    bucket.region = "af-south-1"
    bucket.relay.use_first(global_tokens_are_unknown_in("af-south-1") if token else not_enabled("af-south-1"))
    said = bucket.refused(endpoint_url=None, session_token=token)
    assert "region af-south-1 is not enabled for the account" in said
    assert ("global STS endpoint" in said) == bool(token)


@pytest.mark.aws("2.3", "4.16", "6.5")
def test_who_is_asked_to_slow_down_does(subject: Subject):
    subject.relay.use_first(SlowsDown(2, of=3))
    assert changed(subject.done(tags={"Stage": "test"}))[0] == "existence"
    assert subject.done(tags={"Stage": "test"})["changes"] == []


@pytest.mark.aws("2.3")
def test_a_change_of_somebody_else_at_the_same_time_is_waited_for(bucket: Subject):
    bucket.done()
    conflicts = ConcurrentPutsConflict()
    bucket.relay.use_first(conflicts)
    theirs = threading.Thread(
        target=bucket.aws().put_bucket_accelerate_configuration,
        kwargs={"Bucket": bucket.name, "AccelerateConfiguration": {"Status": "Suspended"}},
    )
    theirs.start()
    while not conflicts.under_way[bucket.name]:
        time.sleep(0.01)
    bucket.done(tags={"Stage": "test"})
    theirs.join()
    assert 409 in [call.status for call in bucket.requests]


@pytest.mark.aws("1.4")
def test_head_bucket_may_ask_for_less(bucket: Subject):
    bucket.relay.on("HeadBucket", reply=error("503", 503), times=20)
    assert changed(bucket.done())[0] == "existence"


@pytest.mark.aws("1.7")
@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_bucket_of_another_owner_than_expected_is_left_alone(bucket: Subject, state: str):
    account = bucket.aws("sts").get_caller_identity()["Account"]
    bucket.done()
    bucket.relay.use_first(owners_are_compared(bucket.emulator, "999988887777"))
    said = bucket.refused(state=state, account_id=account)
    assert "account_id must be right" in said


@pytest.mark.aws("1.8")
def test_a_name_that_was_deleted_a_moment_ago_is_waited_for(bucket: Subject):
    bucket.relay.on("CreateBucket", reply=error("OperationAborted", 409), times=5)
    assert bucket.done()["changed"]


@pytest.mark.aws("1.8")
def test_a_name_that_aws_does_not_forget_in_time_is_told(bucket: Subject):
    bucket.relay.on("CreateBucket", reply=error("OperationAborted", 409), times=math.inf)
    result = bucket.task(wait_timeout=1)
    assert "the name was deleted recently, which AWS may take an hour or more to forget" in result["msg"]
    assert (result["failed"], result["changed"]) == (True, False)


@pytest.mark.aws("1.10")
@pytest.mark.parametrize(("code", "status"), [("AccessDenied", 403), ("UnsupportedArgument", 400)])
def test_a_bucket_that_may_not_be_created_with_tags_gets_them_afterwards(bucket: Subject, code: str, status: int):
    bucket.relay.use_first(tags_on_create_are_denied(code, status))
    asked = {"tags": {"Stage": "test"}}
    foreseen = bucket.task(True, **asked)
    result = bucket.done(**asked)
    assert foretold(foreseen, result)
    assert bucket.writes[:2] == ["CreateBucket", "CreateBucket"]
    assert bucket.state()["tags"] == {"Stage": "test"}
    assert (bucket.done(**asked)["changes"], bucket.writes) == ([], [])


@pytest.mark.aws("1.10")
def test_tags_that_a_policy_demands_are_there_from_the_first_moment(subject: Subject):
    subject.relay.use_first(tags_are_demanded("CostCenter"))
    denied = subject.task(tags={"Team": "core"})
    assert "with an explicit deny in a service control policy" in denied["msg"]
    assert (denied["failed"], denied["changed"]) == (True, False)
    asked = {"tags": {"CostCenter": "42"}}
    assert subject.done(**asked)["changed"]
    assert (subject.done(**asked)["changes"], subject.writes) == ([], [])


@pytest.mark.aws("2.2")
def test_settings_that_read_old_past_the_deadline_are_a_warning_and_no_failure(
    bucket: Subject, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Aws, "is_aws", lambda _aws, _service: True)
    bucket.done()
    bucket.relay.use_first(ReadsAreStale(math.inf))
    bucket.done()
    result = bucket.done(tags={"Stage": "test"}, wait_timeout=1)
    (warning,) = result["warnings"]
    assert "reads back the old tags; run again later to confirm" in warning
    assert result["bucket"]["tags"] == {"Stage": "test"}


@pytest.mark.aws("2.2")
def test_default_encryption_that_aws_forgets_is_put_once_more(bucket: Subject):
    bucket.done()
    bucket.relay.use_first(PutsAreLost("PutBucketEncryption"))
    result = bucket.done(encryption="aws:kms")
    assert (bucket.writes, result["warnings"]) == (["PutBucketEncryption"] * 2, [])
    assert bucket.done(encryption="aws:kms")["changes"] == []


@pytest.mark.aws("2.2")
def test_nothing_else_is_put_twice(bucket: Subject, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Aws, "is_aws", lambda _aws, _service: True)
    bucket.done()
    bucket.relay.use_first(PutsAreLost("PutBucketTagging"))
    result = bucket.done(tags={"Stage": "test"}, wait_timeout=1)
    assert bucket.writes == ["PutBucketTagging"]
    assert "reads back the old tags" in result["warnings"][0]


@pytest.mark.aws("2.5")
def test_a_statement_whose_role_was_deleted_is_told_before_aws_refuses_the_policy(adopted: Subject):
    adopted.relay.use_first(PoliciesAreRewritten({"arn:aws:iam::111122223333:root": "AROAEXAMPLEEXAMPLEEX"}))
    (said,) = {adopted.refused(), adopted.refused(minimum_tls_version="1.3")}
    assert "policy statement Audit names AROAEXAMPLEEXAMPLEEX" in said
    assert "drop it with drop_statements: [Audit], which needs allow: [drop_policy_statements]" in said
    audit = json.loads(json.dumps(AUDIT).replace("{name}", adopted.name))
    adopted.relay.drop_first()
    asked = {"policy_statements": [{**audit, "Principal": {"AWS": "444455556666"}}]}
    assert "allow: [drop_policy_statements]" in adopted.refused(**asked)
    assert "policy" in changed(adopted.done(**asked, allow=["drop_policy_statements"]))


@pytest.mark.aws("2.5", "2.7")
def test_a_block_of_the_account_that_refuses_a_policy_is_no_missing_permission(bucket: Subject):
    denial = "public policies are prevented by the BlockPublicPolicy setting in S3 Block Public Access"
    bucket.relay.on("PutBucketPolicy", reply=error("AccessDenied", 403, denial), times=math.inf)
    said = bucket.task()["msg"]
    assert "a public access block, of the bucket, account or organisation, takes no policy that lets anybody in" in said
    assert "needs s3:PutBucketPolicy" not in said


@pytest.mark.aws("2.5")
def test_a_policy_that_only_the_owning_account_may_put_is_told(bucket: Subject):
    bucket.relay.on("PutBucketPolicy", reply=error("MethodNotAllowed", 405), times=math.inf)
    assert "only the account that owns the bucket may" in bucket.task()["msg"]


@pytest.mark.aws("2.6")
def test_the_smallest_size_that_transitions_is_carried_along(bucket: Subject):
    shim = LifecyclesAreRewritten({bucket.name: "varies_by_storage_class"})
    bucket.done()
    bucket.relay.use_first(shim)
    shim.sizes[bucket.name] = "varies_by_storage_class"  # a bucket from before September 2024
    bucket.done(noncurrent_version_expiration_days=365)
    (put,) = [call for call in bucket.requests if call.name == "PutBucketLifecycleConfiguration"]
    assert put.request.headers[SIZE_HEADER] == "varies_by_storage_class"
    assert shim.sizes[bucket.name] == "varies_by_storage_class"
    assert (bucket.done(noncurrent_version_expiration_days=365)["changes"], bucket.writes) == ([], [])


@pytest.mark.aws("2.8")
def test_tags_of_aws_services_are_sent_back_unchanged_and_are_no_difference(bucket: Subject):
    bucket.done(tags={"Stage": "test"})
    bucket.relay.use_first(system_tags(servicecatalog_x="1"))
    assert bucket.done(tags={"Stage": "test"}, purge_tags=True)["changes"] == []
    result = bucket.done(tags={"Team": "core"}, purge_tags=True)
    assert result["bucket"]["tags"] == {"aws:servicecatalog:x": "1", "Team": "core"}
    assert bucket.done(tags={}, purge_tags=True)["bucket"]["tags"] == {"aws:servicecatalog:x": "1"}
    assert bucket.writes == ["PutBucketTagging"]


@pytest.mark.aws("2.8")
def test_tags_that_cannot_be_written_fail_the_run_and_can_be_left_alone(bucket: Subject):
    bucket.done(tags={"Stage": "test"})
    bucket.relay.use_first(tags_grant_access)
    assert bucket.done(tags={"Stage": "test"})["changes"] == []
    assert "leave it alone with unmanaged" in bucket.task(tags={"Stage": "prod"})["msg"]
    assert bucket.done(unmanaged=["tags"])["changes"] == []


@pytest.mark.aws("2.11", "3.6")
@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"noncurrent_version_expiration_days": 365}, "unmanaged: [lifecycle]"),
        ({"versioning": False, "allow": ["suspend_versioning"]}, "unmanaged: [versioning]"),
        ({"state": "absent", "allow": ["delete_state"]}, "let that user switch it off first"),
    ],
)
def test_what_mfa_delete_forbids_is_refused_before_anything_is_written(
    bucket: Subject, asked: dict[str, Any], said: str
):
    bucket.done(unmanaged=["policy"], allow=["weaken_policy"])  # moto takes no object under our policy
    s3 = bucket.emulator.client("s3")
    s3.put_object(Bucket=bucket.name, Key="terraform.tfstate", Body=b"1")
    bucket.relay.use_first(mfa_delete_is_on)
    refusal = bucket.refused(**asked, confirm_name=bucket.name, unmanaged=["policy"])
    assert "MFA delete is on" in refusal
    assert said in refusal
    assert bucket.done(unmanaged=["policy"])["changes"] == []


@pytest.mark.aws("2.12", "3.3")
def test_versions_that_object_lock_keeps_are_no_half_deleted_bucket(bucket: Subject):
    bucket.done(
        object_lock=True,
        object_lock_mode="GOVERNANCE",
        object_lock_days=30,
        allow=["enable_object_lock", "weaken_policy"],
        unmanaged=["policy"],
    )
    bucket.emulator.client("s3").put_object(Bucket=bucket.name, Key="terraform.tfstate", Body=b"1")
    asked = {"state": "absent", "allow": ["delete_state"], "confirm_name": bucket.name}
    assert "object lock keeps every version for its time (GOVERNANCE)" in bucket.refused(**asked)


@pytest.mark.aws("3.1")
def test_an_object_that_is_not_deleted_fails_the_run_although_aws_answers_200(bucket: Subject):
    bucket.done(unmanaged=["policy"], allow=["weaken_policy"])
    bucket.emulator.client("s3").put_object(Bucket=bucket.name, Key="terraform.tfstate", Body=b"1")
    kept = b"<Error><Key>terraform.tfstate</Key><Code>AccessDenied</Code><Message>legal hold</Message></Error>"
    bucket.relay.on(
        "DeleteObjects",
        reply=lambda call, proceed: Answer(200, {}, Body((b"<DeleteResult>" + kept + b"</DeleteResult>",))),
        times=math.inf,
    )
    result = bucket.task(state="absent", allow=["delete_state"], confirm_name=bucket.name)
    assert result["failed"]
    assert "terraform.tfstate: legal hold" in result["msg"]


@pytest.mark.aws("3.4")
def test_a_bucket_that_is_not_empty_yet_is_deleted_a_little_later(bucket: Subject):
    bucket.done()
    bucket.relay.on("DeleteBucket", reply=error("BucketNotEmpty", 409), times=3)
    assert changed(bucket.done(state="absent")) == ["existence"]


@pytest.mark.aws("3.4")
def test_a_bucket_that_somebody_keeps_filling_says_so(bucket: Subject):
    bucket.done()
    bucket.relay.on("DeleteBucket", reply=error("BucketNotEmpty", 409), times=math.inf)
    assert "somebody goes on writing into it: stop Terraform" in bucket.task(state="absent", wait_timeout=1)["msg"]


STILL_SEEN = {"x-amz-bucket-region": "us-east-1"}


@pytest.mark.aws("3.5")
def test_a_bucket_that_somebody_deletes_first_is_deleted(bucket: Subject):
    bucket.done()
    bucket.emulator.client("s3").delete_bucket(Bucket=bucket.name)
    bucket.relay.on("HeadBucket", reply=lambda call, proceed: Answer(200, STILL_SEEN, Body(())), times=1)
    assert changed(bucket.done(state="absent")) == ["existence"]


@pytest.mark.aws("3.7")
def test_a_policy_that_denies_deletion_stays_and_is_told(bucket: Subject):
    bucket.done()
    denial = "with an explicit deny in a resource-based policy"
    bucket.relay.on("DeleteBucket", reply=error("AccessDenied", 403, denial), times=math.inf)
    said = bucket.task(state="absent")["msg"]
    assert "needs s3:DeleteBucket" in said
    assert denial in said
    assert bucket.writes == ["DeleteBucket"]
    assert bucket.state()["policy"]


@pytest.mark.aws("1.11")
@pytest.mark.parametrize("check_mode", [True, False])
def test_whoever_deletes_a_bucket_is_told_that_its_name_is_free(bucket: Subject, check_mode: bool):
    bucket.done()
    (warning,) = bucket.task(check_mode, state="absent")["warnings"]
    assert f"once {bucket.name} is gone, anybody may take its name" in warning


@pytest.mark.aws("1.12")
def test_a_full_account_is_told_at_once(bucket: Subject):
    bucket.relay.on("CreateBucket", reply=error("TooManyBuckets", 400), times=math.inf)
    assert "as many buckets as its quota allows: ask AWS for more" in bucket.task()["msg"]
    assert bucket.writes == ["CreateBucket"]


@pytest.mark.aws("2.2", "7.5")
def test_no_object_is_read_written_or_listed(bucket: Subject):
    for asked in ({}, {}, {"noncurrent_version_expiration_days": 365}):
        bucket.done(**asked)
        assert not [name for name in bucket.calls if name.endswith(("Object", "Objects", "ObjectsV2"))]
    assert "ListObjectVersions" not in bucket.calls


@pytest.mark.aws("2.1")
def test_a_denied_policy_is_never_taken_for_none(adopted: Subject):
    before = adopted.emulator.client("s3").get_bucket_policy(Bucket=adopted.name)["Policy"]
    deny(adopted.relay, "GetBucketPolicy")
    assert "unmanaged: [policy]" in adopted.refused()
    adopted.done(unmanaged=["policy"])
    assert adopted.emulator.client("s3").get_bucket_policy(Bucket=adopted.name)["Policy"] == before
