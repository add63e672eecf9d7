# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Answers without the members that AWS always sends: empty, or an error in the form of another service."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.errors import cause_of
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.members import MEMBERS, missing_member
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import (
    Call,
    CallFailed,
    Facet,
    Failure,
    Target,
    TfstateError,
    Unknown,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import TABLE
from botocore.awsrequest import AWSResponse

from tests.unit.plugins.module_utils._aws.test_client import (
    ACCOUNT,
    REGION,
    SSE_C,
    WHO,
    Script,
    botocore_does_not_sleep,
    heard_by,
    s3_error,
    says,
)

__all__ = ["botocore_does_not_sleep"]

STORE = "http://127.0.0.1:9000"
TARGET = Target("tf-state", REGION, arn=f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/tf-state")
FACETS = {
    f"{resource.kind} {facet.name}": facet
    for resource in (BUCKET, TABLE)
    for facet in (*resource.facets, *resource.teardown, *resource.refusal_inputs)
    if facet.read(TARGET).operation != "head_bucket"
}
OBJECT = {"Bucket": "tf-state", "Key": "k"}
READS = {
    "objects": Call("s3", "list_objects_v2", {"Bucket": "tf-state"}),
    "versions": Call("s3", "list_object_versions", {"Bucket": "tf-state"}),
    "buckets": Call("s3", "list_buckets", {}),
    "tags": Call("s3", "get_object_tagging", OBJECT),
    "retention": Call("s3", "get_object_retention", OBJECT),
    "legal hold": Call("s3", "get_object_legal_hold", OBJECT),
    "ACL": Call("s3", "get_bucket_acl", {"Bucket": "tf-state"}),
    "item": Call("dynamodb", "get_item", {"TableName": "tf-state", "Key": {"LockID": {"S": "a"}}}),
    "scan": Call("dynamodb", "scan", {"TableName": "tf-state"}),
    "policy of a table": Call("dynamodb", "get_resource_policy", {"ResourceArn": TARGET.arn}),
    "regions": Call("account", "list_regions", {}),
    "key": Call("kms", "describe_key", {"KeyId": "1111"}),
    **{name: facet.read(TARGET) for name, facet in FACETS.items()},
}
EMPTY = says(200, content_length="0")


def asked(call: Call, answer: AWSResponse) -> Any:
    script = Script([answer], {"GetCallerIdentity": WHO})
    return script.connect(endpoint_url=STORE).read([call])[0]


@pytest.mark.parametrize("call", READS.values(), ids=READS)
def test_an_empty_answer_says_nothing(call: Call) -> None:
    answer = asked(call, EMPTY)
    assert isinstance(answer, Failure)
    assert f"{call}: IncompleteAnswer; the answer of this store is incomplete" in str(answer)


@pytest.mark.parametrize("facet", FACETS.values(), ids=FACETS)
def test_a_setting_of_an_empty_answer_is_unknown(facet: Facet) -> None:
    assert isinstance(facet.value(asked(facet.read(TARGET), EMPTY), TARGET), Unknown)


@pytest.mark.parametrize("call", READS.values(), ids=READS)
def test_an_answer_without_any_member_lacks_what_it_must_have(call: Call) -> None:
    content = b"<L/>" if call.service == "s3" else b"{}"
    answer = asked(call, says(200, content, content_length="4"))
    always = (*MEMBERS.get(call.operation, ()), *(["Name"] if call.operation in LISTINGS else []))
    assert isinstance(answer, Failure) == any("*" not in each for each in always)


#: These name the member that is missing by another list than MEMBERS.
LISTINGS = ("scan", "list_objects_v2", "list_object_versions", "get_bucket_policy")


@pytest.mark.parametrize("facet", FACETS.values(), ids=FACETS)
def test_no_setting_of_an_answer_without_any_member_raises(facet: Facet) -> None:
    call = facet.read(TARGET)
    facet.value(asked(call, says(200, b"<L/>" if call.service == "s3" else b"{}", content_length="4")), TARGET)


ERRORS = {
    "without a body": says(405),
    "without a code": says(405, b"<Error/>"),
    "in the form of S3": s3_error("MethodNotAllowed", 405),
    "a page": says(501, b"<html>Not here</html>"),
    "JSON of its own": says(400, b'{"error": "no"}'),
}


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize("call", READS.values(), ids=READS)
def test_an_error_without_members_is_a_failure(call: Call, error: AWSResponse) -> None:
    try:
        answer = asked(call, error)
    except TfstateError as failed:  # a page where botocore expects XML or JSON
        assert str(failed).startswith(f"{call}: ")
    else:
        assert isinstance(answer, Failure) and answer.code not in ("", "?")


def test_who_we_are_is_an_account_and_an_arn() -> None:
    for content in (b"", b"<R><GetCallerIdentityResult><Account>1</Account></GetCallerIdentityResult></R>"):
        script = Script([says(200, content)])
        answer = script.connect(account_id=None, endpoint_url=STORE).read([Call("sts", "get_caller_identity")])[0]
        assert isinstance(answer, Failure) and answer.code == "NotImplemented"


def test_an_assumed_role_at_a_store_without_sts_names_the_code_that_it_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = heard_by(Script([s3_error("MethodNotAllowed", 405)]), monkeypatch)
    role = f"arn:aws:iam::{ACCOUNT}:role/ci"
    with pytest.raises(CallFailed, match=rf"assume_role on {role}: MethodNotAllowed; .*leave out assume_role_arn"):
        script.connect(endpoint_url=STORE, assume_role_arn=role).read([READS["objects"]])


def test_a_tag_may_have_a_blank_value() -> None:
    call = Call("s3", "get_bucket_tagging", {"Bucket": "tf-state"})
    assert missing_member(call, {"TagSet": [{"Key": "Team", "Value": ""}]}) is None
    assert missing_member(call, {"TagSet": [{"Key": "Team"}]}) == "TagSet.*.Value"


@pytest.mark.parametrize("call", READS.values(), ids=READS)
def test_an_answer_that_aws_would_not_give_is_one_unknown(call: Call) -> None:
    """It ended a whole audit, in which everything else can be told."""
    (answer,) = Script([EMPTY], {"GetCallerIdentity": WHO}).connect().read([call])
    assert isinstance(answer, Failure) and not answer.is_unsupported
    assert "answered by something else than AWS, without " in str(answer)
    assert "; look for a proxy or a captive portal before" in str(answer)
    assert cause_of(answer) == "not_aws"


@pytest.mark.parametrize("facet", FACETS.values(), ids=FACETS)
def test_a_setting_that_aws_would_not_answer_so_is_unknown(facet: Facet) -> None:
    (answer,) = Script([EMPTY], {"GetCallerIdentity": WHO}).connect().read([facet.read(TARGET)])
    assert isinstance(facet.value(answer, TARGET), Unknown)


def test_a_key_whose_arn_is_none_is_no_key_of_the_region() -> None:
    with pytest.raises(TfstateError, match="it lies in made-up, not in eu-west-1"):
        Script([says(200, b'{"KeyMetadata": {"Arn": "made-up"}}')]).connect().key_arn("1111", must_exist=True)


def test_objects_that_were_not_deleted_are_told_without_their_codes_and_keys() -> None:
    delete = Call("s3", "delete_objects", {"Bucket": "tf-state", "Delete": {"Objects": [{"Key": "k"}]}})
    script = Script([says(200, b"<DeleteResult><Error/></DeleteResult>")], {"GetCallerIdentity": WHO})
    with pytest.raises(CallFailed, match=r"delete_objects on tf-state: \?; see what AWS says"):
        script.connect(endpoint_url=STORE).write(delete)


@pytest.mark.parametrize(
    ("code", "message", "cause"),
    [
        ("AccessDenied", "", "denied"),
        ("NotImplemented", "", "unsupported"),
        ("IncompleteAnswer", "", "unsupported"),
        ("InvalidObjectState", "", "archived"),
        ("InvalidRequest", SSE_C, "customer_key"),
        ("InvalidRequest", "", "other"),
        ("KMS.DisabledException", "", "kms_key"),
        ("SlowDown", "", "busy"),
        ("NoSuchBucket", "", "other"),
    ],
)
def test_a_failure_has_a_cause(code: str, message: str, cause: str) -> None:
    assert cause_of(Failure(READS["objects"], code, message, "")) == cause


def test_an_archived_object_needs_no_permission() -> None:
    answer = asked(Call("s3", "get_object", OBJECT), s3_error("InvalidObjectState", 403))
    assert "it is archived: request its restore with aws s3api restore-object" in str(answer)
    assert "needs s3:" not in str(answer)


PAGES = {
    "a page": b"<html>Sign in</html>",
    "XML": b"<A/>",
    "JSON that is cut off": b'{"Item": {"LockID": {"S": "a"}, "In',
    "a list": b"[]",
    "null": b"null",
    "a text": b'"no"',
    "no UTF-8": b"\xff\xfe",
}
LOCK = Call("dynamodb", "delete_item", {"TableName": "tf-state", "Key": {"LockID": {"S": "a"}}})


@pytest.mark.parametrize("content", PAGES.values(), ids=PAGES)
@pytest.mark.parametrize(
    "call", [READS["item"], READS["scan"], READS["key"], FACETS["table tags"].read(TARGET)], ids=str
)
def test_a_success_that_is_no_json_object_is_no_answer(call: Call, content: bytes) -> None:
    """Botocore takes it for an answer without members, or fails on it. Without an item there would be no lock."""
    answer = asked(call, says(200, content))
    assert isinstance(answer, Failure) and f"{call}: IncompleteAnswer" in str(answer)
    (answer,) = Script([says(200, content)], {"GetCallerIdentity": WHO}).connect().read([call])
    assert "UnexpectedAnswer; answered by something else than AWS, without JSON; look for" in str(answer)


@pytest.mark.parametrize("content", PAGES.values(), ids=PAGES)
def test_a_write_with_an_answer_that_is_no_json_object_may_not_be_done(content: bytes) -> None:
    with pytest.raises(TfstateError, match="answered by something else than AWS"):
        Script([says(200, content)], {"GetCallerIdentity": WHO}).connect(endpoint_url=STORE).write(LOCK)


def test_an_empty_answer_to_a_write_is_one() -> None:
    Script([EMPTY], {"GetCallerIdentity": WHO}).connect(endpoint_url=STORE).write(LOCK)


@pytest.mark.parametrize("call", READS.values(), ids=READS)
def test_an_error_of_another_form_raises_no_error_of_python(call: Call) -> None:
    for content in (b"null", b"[]", b"\xff\xfe"):
        try:
            answer = asked(call, says(400, content))
        except TfstateError as failed:
            assert str(failed).startswith(f"{call}: ")
        else:
            assert isinstance(answer, Failure)


MISTYPED = {
    "a size": (READS["objects"], b"<L><IsTruncated>false</IsTruncated><Contents><Size>many</Size></Contents></L>"),
    "a time": (READS["versions"], b"<L><Version><LastModified>soon</LastModified></Version></L>"),
    "a table": (Call("dynamodb", "describe_table", {"TableName": "tf-state"}), b'{"Table": "tf-state"}'),
    "items": (READS["scan"], b'{"Items": {"LockID": "a"}}'),
}


@pytest.mark.parametrize(("call", "content"), MISTYPED.values(), ids=MISTYPED)
def test_a_member_of_another_type_raises_no_error_of_python(call: Call, content: bytes) -> None:
    with pytest.raises(TfstateError, match=f"^{call}: answered by something else than AWS"):
        asked(call, says(200, content))


BROKEN_ITEMS = ({}, {"LockID": {}}, {"LockID": None}, {"LockID": {"S": "a"}, "Info": {"S": None}})


@pytest.mark.parametrize("item", [None, *BROKEN_ITEMS], ids=str)
def test_an_item_without_values_is_neither_a_lock_nor_none(item: Any) -> None:
    """It would be no lock, or end in a traceback."""
    answers = [(READS["scan"], {"Items": [item], "Count": 1}, "Items")]
    answers += [(READS["item"], {"Item": item}, "Item")] if item is not None else []
    for call, content, member in answers:
        answer = asked(call, says(200, json.dumps(content).encode()))
        assert isinstance(answer, Failure) and f"the answer has no {member}" in str(answer)


def test_a_count_of_items_without_them_is_no_answer() -> None:
    assert isinstance(asked(READS["scan"], says(200, b'{"Count": 3, "ScannedCount": 3}')), Failure)
    assert not isinstance(asked(READS["scan"], says(200, b'{"Count": 0, "ScannedCount": 3}')), Failure)


@pytest.mark.parametrize("operation", ["head_bucket", "head_object", "get_object"])
def test_a_page_of_a_proxy_is_no_bucket_and_no_object(operation: str) -> None:
    """It was a bucket that exists, or a state that is damaged."""
    call = Call("s3", operation, OBJECT if "object" in operation else {"Bucket": "tf-state"})
    page = says(200, b"" if "head" in operation else b"<html>", content_length="6", content_type="text/html")
    (answer,) = Script([page], {"GetCallerIdentity": WHO}).connect().read([call])
    assert isinstance(answer, Failure) and cause_of(answer) == "not_aws"
    theirs = says(200, b"", content_length="6", content_type="text/html", x_amz_request_id="1", x_amz_bucket_region="x")
    (answer,) = Script([theirs], {"GetCallerIdentity": WHO}).connect().read([call])
    assert not isinstance(answer, Failure)
