# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whose a bucket must be: told to S3 with every call that takes it, by default the account of the credentials."""

from __future__ import annotations

import ast
import json
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws import session as _aws_session
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.client import Aws
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import (
    Call,
    CallFailed,
    Invalid,
    Target,
    TfstateError,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.location import check_bucket
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.reconcile import reconcile
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import TABLE
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError

from tests.unit.plugins.module_utils._aws.test_client import (
    DONE,
    IDENTITY,
    VERSIONED,
    WHO,
    Script,
    botocore_does_not_sleep,
    header,
    s3_error,
    says,
    sts_error,
)
from tests.unit.plugins.module_utils.fake_aws import ACCOUNT, REGION, Bucket, FakeAws, Table

__all__ = ["botocore_does_not_sleep"]

PLUGINS = Path(__file__).parents[5] / "plugins"
NAME, STRANGER = "tf-state", "999988887777"
OWNER = "x-amz-expected-bucket-owner"
VERSIONING = Call("s3", "get_bucket_versioning", {"Bucket": NAME})
HEAD = Call("s3", "head_bucket", {"Bucket": NAME})
#: Of these AWS says that they take no owner.
UNOWNED = {"create_bucket", "list_buckets"}
S3 = botocore.session.get_session().get_service_model("s3")
STORE = "https://minio.example.org:9000"


def built() -> Iterator[tuple[str, str]]:
    """Service and operation of every call in the source."""
    texts = {path: path.read_text(encoding="utf-8") for path in PLUGINS.rglob("*.py")}
    for path, text in texts.items():
        for node in ast.walk(ast.parse(text)) if "Call(" in text else ():
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Call":
                names = [each.value for each in node.args[:2] if isinstance(each, ast.Constant)]
                assert len(names) == 2, f"{path}:{node.lineno} does not say which operation it calls"
                yield str(names[0]), str(names[1])


OPERATIONS = sorted({operation for service, operation in built() if service == "s3"})


def asked(script: Script) -> list[str]:
    return [request.url for request in script.requests if "sts." in request.url]


def owners(script: Script) -> set[str | None]:
    found = [request.headers.get(OWNER) for request in script.requests if "s3" in request.url]
    return {each.decode() if isinstance(each, bytes) else each for each in found}


# Every call


def test_all_calls_to_s3_are_looked_at() -> None:
    assert {"head_bucket", "create_bucket", "delete_objects", "put_object", "get_object_legal_hold"} <= {*OPERATIONS}
    assert not [each for each in OPERATIONS if "copy" in each], "it names two owners: ExpectedSourceBucketOwner, too"


@pytest.mark.aws("1.7")
@pytest.mark.parametrize("operation", OPERATIONS)
def test_whatever_is_asked_of_s3_says_whose_the_bucket_must_be(operation: str) -> None:
    shape = S3.operation_model("".join(part.title() for part in operation.split("_"))).input_shape
    takes = shape is not None and "ExpectedBucketOwner" in shape.members
    assert takes == (operation not in UNOWNED)
    script = Script([says(200, b"<L/>", x_amz_bucket_region=REGION)], {"GetCallerIdentity": WHO})
    aws = script.connect(account_id=None, aws_config={"parameter_validation": False})
    given = {name: NAME for name in ("Bucket", "Key") if shape is not None and name in shape.members}
    with suppress(TfstateError):  # the answer has nothing that the operation should return
        aws.read([Call("s3", operation, given)])
    assert owners(script) == ({ACCOUNT} if takes else {None})


@pytest.mark.aws("1.7")
@pytest.mark.parametrize("way", ["read", "side by side", "pages", "stream", "write", "together"])
def test_no_way_to_aws_leaves_it_out(way: str) -> None:
    listing = Call("s3", "list_objects_v2", {"Bucket": NAME})
    ways: dict[str, Callable[[Aws], Any]] = {
        "read": lambda aws: aws.read([VERSIONING]),
        "side by side": lambda aws: aws.read([VERSIONING] * 6),
        "pages": lambda aws: [*aws.pages(listing)],
        "stream": lambda aws: aws.stream(Call("s3", "get_object", {"Bucket": NAME, "Key": "k"}), lambda: len),
        "write": lambda aws: aws.write(Call("s3", "delete_bucket_policy", {"Bucket": NAME})),
        "together": lambda aws: aws.together([lambda: aws.read([VERSIONING])] * 4),
    }
    script = Script([says(200, b"<L><Name>tf-state</Name></L>")], {"GetCallerIdentity": WHO})
    ways[way](script.connect(account_id=None))
    assert owners(script) == {ACCOUNT}
    assert len(asked(script)) == 1


@pytest.mark.aws("1.7")
def test_an_account_that_is_given_is_asked_for_nowhere() -> None:
    script = Script([VERSIONED])
    script.connect(account_id=STRANGER).read([VERSIONING])
    assert (owners(script), asked(script)) == ({STRANGER}, [])


def test_tags_by_s3_control_are_those_of_the_owner() -> None:
    plain = Call("s3", "put_bucket_tagging", {"Bucket": NAME, "Tagging": {"TagSet": []}})
    arn = {"ResourceArn": f"arn:aws:s3:::{NAME}", "Tags": [{"Key": "a", "Value": "b"}]}
    call = Call(plain.service, plain.operation, plain.params, instead=(Call("s3control", "tag_resource", arn),))
    for account, owner in ((None, ACCOUNT), (STRANGER, STRANGER)):
        denied = s3_error("MethodNotAllowed", 405)
        script = Script([DONE], {"GetCallerIdentity": WHO, "PutBucketTagging": denied})
        script.connect(account_id=account).write(call)
        assert header(script, "x-amz-account-id") == owner


# Who cannot be asked


#: What stores without STS answer to a question that they do not know.
WITHOUT_STS = {
    "an error of STS": sts_error("InvalidParameterValue"),
    "unknown credentials": sts_error("InvalidClientTokenId"),
    "an error of S3": s3_error("NotImplemented", 501),
    "not this method": says(405),
    "no such page": says(404, b"<html>404</html>"),
    "a page of their own": says(200, b"<html>Welcome</html>"),
    "JSON": says(400, b'{"error": "no"}'),
    "nothing": says(200),
}


@pytest.mark.aws("1.7")
@pytest.mark.parametrize("answer", WITHOUT_STS.values(), ids=WITHOUT_STS)
def test_a_store_without_sts_is_exempt_and_that_is_said_once(answer: AWSResponse) -> None:
    script = Script([VERSIONED], {"GetCallerIdentity": answer})
    aws = script.connect(account_id=None, endpoint_url=STORE)
    for _turn in range(2):
        aws.read([VERSIONING] * 2)
    assert {request.headers.get(OWNER) for request in script.requests} == {None}
    assert [f"{STORE} has no STS" in each for each in aws.warnings] == [True]
    assert aws.owner() is None


def test_a_store_for_buckets_alone_is_not_asked_about_by_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its access keys are none of AWS's."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", STORE)
    script = Script([VERSIONED])
    aws = script.connect(account_id=None)
    aws.read([VERSIONING])
    aws.read([IDENTITY])
    assert asked(script) == [] and aws.owner() is None
    assert len(aws.warnings) == 1


def test_a_store_that_is_given_an_account_is_told_it() -> None:
    script = Script([VERSIONED])
    script.connect(account_id=ACCOUNT, endpoint_url=STORE).read([VERSIONING])
    assert script.requests[0].headers[OWNER] in (ACCOUNT, ACCOUNT.encode())


UNREACHABLE = {
    "an endpoint policy": (sts_error("AccessDenied"), "permit sts:GetCallerIdentity there, or set account_id"),
    "no such host": (EndpointConnectionError(endpoint_url="x"), "if no way leads to STS, set account_id"),
    "no way": (ConnectTimeoutError(endpoint_url="x"), "if no way leads to STS, set account_id"),
    "a captive portal": (says(200, b"<html>Log in</html>"), "answered by something else than AWS"),
}


@pytest.mark.aws("6.7")
@pytest.mark.parametrize(("answer", "said"), UNREACHABLE.values(), ids=UNREACHABLE)
def test_aws_without_a_way_to_sts_says_what_to_do(answer: AWSResponse | Exception, said: str) -> None:
    script = Script([VERSIONED], {"GetCallerIdentity": answer})
    with pytest.raises(TfstateError, match=said):
        script.connect(account_id=None).read([VERSIONING])
    assert not [request for request in script.requests if "s3" in request.url]


@pytest.mark.parametrize("answer", [each for each, _said in UNREACHABLE.values()], ids=UNREACHABLE)
def test_with_account_id_all_goes_on_without_sts(answer: AWSResponse | Exception) -> None:
    """A bucket that is missing is made, and what follows says whose it must be; a table is made, too."""
    missing = json.dumps({"__type": "ResourceNotFoundException"}).encode()
    script = Script([DONE], {"GetCallerIdentity": answer, "HeadBucket": says(404), "DescribeTable": says(400, missing)})
    for resource in (BUCKET, TABLE):
        target = Target(NAME, REGION, owner=ACCOUNT)
        params = {"state": "absent", "confirm_name": NAME}
        assert not reconcile(script.connect(), resource, target, params, True).changes


# What a denial can mean


def test_a_denial_without_a_reason_names_the_account_until_the_bucket_has_shown_whose_it_is() -> None:
    script = Script([VERSIONED], {"GetBucketPolicy": s3_error("AccessDenied", 403, "Access Denied")})
    policy = Call("s3", "get_bucket_policy", {"Bucket": NAME})
    aws = script.connect()
    said = [str(answer) for answer in (*aws.read([policy]), *aws.read([VERSIONING]), *aws.read([policy]))]
    doubt = (
        f"needs s3:GetBucketPolicy; or the bucket is not of account {ACCOUNT}: if you know whose it is, set account_id"
    )
    assert doubt in said[0]
    assert "needs s3:GetBucketPolicy (AWS: Access Denied)" in said[2]
    explained = s3_error(
        "AccessDenied", 403, "u is not authorized to perform: s3:GetBucketPolicy because no policy allows"
    )
    (answer,) = Script([explained]).connect().read([policy])
    assert "is not of account" not in str(answer)


# Asked once, by a fleet


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / ".aws" / "cli" / "cache"


def session(answer: AWSResponse = WHO, **options: Any) -> Script:
    """A task in a process of its own."""
    script = Script([VERSIONED], {"GetCallerIdentity": answer})
    script.connect(**{"account_id": None, "cache_credentials": True, **options}).read([VERSIONING])
    return script


def who(account: str) -> AWSResponse:
    return says(200, WHO.content.replace(ACCOUNT.encode(), account.encode()))


def test_a_fleet_asks_once_for_each_access_key(home: Path) -> None:
    assert [len(asked(session(region=region))) for region in ("eu-west-1", "us-east-1", "af-south-1")] == [1, 0, 0]
    assert owners(session()) == {ACCOUNT}
    (file,) = home.glob("tfstate-caller-*")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "AKIATEST" not in file.read_text()


def test_another_access_key_is_asked_for_by_whatever_way_it_came(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the keys of a role are others each time. There is one file for each way to them, however often they change."""
    found = []
    for turn in range(3):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", f"ASIA{turn}")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
        script = session(who(f"{turn:012}"), access_key=None, secret_key=None)
        found.append((len(asked(script)), owners(script)))
    assert found == [(1, {f"{turn:012}"}) for turn in range(3)]
    assert len([*home.glob("tfstate-caller-*")]) == 1


def test_who_caches_nothing_asks_each_time(home: Path) -> None:
    assert [len(asked(session(cache_credentials=False))) for _turn in range(2)] == [1, 1]
    assert not home.exists()


def test_a_store_is_asked_each_time(home: Path) -> None:
    """Another one may answer at the same place tomorrow, and know the key by another account."""
    for account in (ACCOUNT, STRANGER):
        script = session(who(account), endpoint_url=STORE)
        assert {request.headers.get(OWNER) for request in script.requests if request.method == "GET"} <= {
            account,
            account.encode(),
        }
    assert not home.exists()


SPOILT = {
    "half": '{"Account": "1111',
    "no object": "[]",
    "empty": "{}",
    "another key": json.dumps({"Account": STRANGER, "Arn": f"arn:aws:iam::{STRANGER}:root", "Key": "0"}),
    "no account": json.dumps({"Account": None, "Arn": None, "Key": "0"}),
}


@pytest.mark.parametrize("text", SPOILT.values(), ids=SPOILT)
def test_a_file_that_does_not_fit_is_not_believed(home: Path, text: str) -> None:
    session()
    (file,) = home.glob("tfstate-caller-*")
    file.write_text(text)
    again = session()
    assert (len(asked(again)), owners(again)) == (1, {ACCOUNT})
    assert asked(session()) == []


@pytest.mark.aws("1.4", "6.7")
def test_credentials_that_aws_no_longer_takes_are_asked_about_anew(home: Path) -> None:
    session()
    script = Script([says(400)], {"GetCallerIdentity": sts_error("ExpiredToken")})
    with pytest.raises(CallFailed, match="the credentials have expired"):
        script.connect(account_id=None, cache_credentials=True).read([HEAD])


def test_a_home_that_cannot_be_written_costs_a_request(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_aws_session, "CACHE", "/proc/no/cache")
    assert [len(asked(session())) for _turn in range(2)] == [1, 1]


# Buckets of others, and tables that are never theirs


def converged(aws: FakeAws, owner: str, resource: Any = BUCKET, **params: Any) -> Any:
    return reconcile(aws, resource, Target(NAME, REGION, owner=owner), {"state": "present", **params}, False)


@pytest.mark.aws("1.7")
def test_a_bucket_of_another_account_is_converged_where_that_is_said() -> None:
    aws = FakeAws({NAME: Bucket(owner=STRANGER)})
    assert converged(aws, STRANGER).changes
    assert {call.params["ExpectedBucketOwner"] for call in aws.writes} == {STRANGER}


@pytest.mark.aws("1.7")
@pytest.mark.parametrize("owner", [ACCOUNT, STRANGER])
def test_a_bucket_of_another_account_than_said_is_not_written_to(owner: str) -> None:
    other = {ACCOUNT: STRANGER, STRANGER: ACCOUNT}[owner]
    aws = FakeAws({NAME: Bucket(owner=other)})
    with pytest.raises(TfstateError, match="AccessDenied"):
        converged(aws, owner)
    assert aws.writes == []


def test_a_bucket_is_not_made_in_another_account_than_said() -> None:
    aws = FakeAws()
    with pytest.raises(Invalid, match=f"account_id is {STRANGER}, but these credentials belong to account {ACCOUNT}"):
        converged(aws, STRANGER)
    assert aws.writes == []


@pytest.mark.parametrize("found", [None, Table()], ids=["missing", "there"])
@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_table_is_never_of_another_account(found: Table | None, state: str) -> None:
    aws = FakeAws(tables={NAME: found} if found else {})
    with pytest.raises(Invalid, match=f"account_id is {STRANGER}, but"):
        converged(aws, STRANGER, TABLE, state=state, confirm_name=NAME, allow=["delete_state"])
    assert aws.writes == []


def test_a_table_goes_with_a_bucket_of_the_same_account_only() -> None:
    aws = FakeAws({NAME: Bucket(owner=STRANGER)})
    check_bucket(aws, Target(NAME, REGION, owner=STRANGER))
    with pytest.raises(Invalid, match="as a lock table is always one of their own account"):
        check_bucket(aws, Target(NAME, REGION, owner=STRANGER), "tf-locks")
