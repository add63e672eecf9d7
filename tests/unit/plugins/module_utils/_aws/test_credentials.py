# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Credentials, clocks and connections that are not as they should be, and what botocore is told instead of guessing."""

from __future__ import annotations

import json
import socket
import time
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import botocore.exceptions
import botocore.session
import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws import deadline
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.client import Aws, Connection
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.deadline import timeouts
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import (
    Call,
    CallFailed,
    Failure,
    TfstateError,
)
from botocore.awsrequest import AWSResponse

from tests.unit.plugins.module_utils._aws.test_client import (
    ACCOUNT,
    DESCRIBE,
    HEAD,
    IDENTITY,
    PUT_VERSIONING,
    TABLE,
    TIMEOUT_S,
    VERSIONED,
    VERSIONING,
    WHO,
    Script,
    botocore_does_not_sleep,
    heard_by,
    json_error,
    s3_error,
    says,
    sts_error,
)

__all__ = ["botocore_does_not_sleep"]

FAR = "af-south-1"
UNKNOWN_HERE = {
    "S3": (VERSIONING, s3_error("InvalidAccessKeyId", 403)),
    "S3, of a token": (VERSIONING, s3_error("InvalidToken")),
    "DynamoDB": (DESCRIBE, json_error("UnrecognizedClientException")),
    "STS": (IDENTITY, sts_error("InvalidClientTokenId")),
}


class Regions(Script):
    """AWS, where credentials are known in one region only."""

    def __init__(self, known_in: str, otherwise: AWSResponse) -> None:
        super().__init__(by_operation={"GetCallerIdentity": WHO})
        self.known_in, self.otherwise = known_in, otherwise

    def __call__(self, request: Any, event_name: str, **more: Any) -> AWSResponse:
        if f"/{self.known_in}/" in str(request.headers["Authorization"]):
            return super().__call__(request, event_name, **more)
        self.requests.append(request)
        return AWSResponse(request.url, self.otherwise.status_code, {}, self.otherwise.raw)


# Regions that have to be enabled, and tokens that are not known there.


@pytest.mark.aws("6.1")
@pytest.mark.parametrize("service", UNKNOWN_HERE)
def test_a_region_that_is_not_enabled_is_told_from_bad_credentials(service: str) -> None:
    call, error = UNKNOWN_HERE[service]
    with pytest.raises(
        CallFailed, match=f"region {FAR} is not enabled for the account: enable it, which takes"
    ) as said:
        Regions("us-east-1", error).connect(region=FAR).read([call])
    assert "global STS endpoint" not in str(said.value)
    with pytest.raises(CallFailed, match="AWS does not know the credentials here: check access_key, session_token"):
        Regions("nowhere", error).connect(region=FAR).read([call])


@pytest.mark.aws("6.1", "6.3")
@pytest.mark.parametrize(("region", "home"), [("cn-northwest-1", "cn-north-1"), ("us-gov-east-1", "us-gov-west-1")])
def test_the_region_to_compare_with_lies_in_the_same_partition(region: str, home: str) -> None:
    with pytest.raises(CallFailed, match=f"region {region} is not enabled"):
        Regions(home, UNKNOWN_HERE["DynamoDB"][1]).connect(region=region).read([DESCRIBE])


@pytest.mark.aws("6.1", "6.2")
@pytest.mark.parametrize("service", UNKNOWN_HERE)
def test_a_session_token_that_is_unknown_in_an_enabled_region_is_told(service: str) -> None:
    call, error = UNKNOWN_HERE[service]
    with pytest.raises(CallFailed, match="or the session token came from the global STS endpoint: take one from"):
        Regions("us-east-1", error).connect(region=FAR, session_token="v1").read([call])


@pytest.mark.aws("6.1")
def test_several_readers_at_once_ask_in_the_home_region_in_turn() -> None:
    script = Regions("us-east-1", json_error("UnrecognizedClientException"))
    with pytest.raises(CallFailed, match="is not enabled"):
        script.connect(region=FAR).read([DESCRIBE] * 5)


ROLE = f"arn:aws:iam::{ACCOUNT}:role/tf"
ASSUMED = says(
    200,
    b"<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>s"
    b"</SecretAccessKey><SessionToken>role</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration></Credentials>"
    b"</AssumeRoleResult></AssumeRoleResponse>",
)


def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **more: str) -> None:
    """Makes a profile `role` of another one's keys."""
    lines = [f"{name} = {value}" for name, value in {"role_arn": ROLE, "source_profile": "keys", **more}.items()]
    keys = ["[profile keys]", "aws_access_key_id = AKIAKEYS", "aws_secret_access_key = s"]
    (tmp_path / "config").write_text("\n".join(["[profile role]", *lines, *keys]))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))


@pytest.mark.aws("6.2")
@pytest.mark.parametrize("by", ["option", "profile"])
@pytest.mark.parametrize("legacy", ["variable", "setting"])
@pytest.mark.parametrize("region", ["eu-west-1", "us-east-1", FAR])
def test_roles_are_assumed_in_the_region_even_where_the_old_way_is_set(
    region: str, legacy: str, by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile(tmp_path, monkeypatch, **({"sts_regional_endpoints": "legacy"} if legacy == "setting" else {}))
    if legacy == "variable":
        monkeypatch.setenv("AWS_STS_REGIONAL_ENDPOINTS", "legacy")
    script = heard_by(Script(by_operation={"AssumeRole": ASSUMED, "GetBucketVersioning": VERSIONED}), monkeypatch)
    no_keys: dict[str, Any] = {"access_key": None, "secret_key": None}
    options = {**no_keys, "profile": "role"} if by == "profile" else {"assume_role_arn": ROLE}
    script.connect(region=region, **options).read([VERSIONING])
    assert {request.url for request in script.requests if "sts" in request.url} == {
        f"https://sts.{region}.amazonaws.com/"
    }


@pytest.mark.aws("6.7")
def test_an_mfa_code_is_not_asked_for_in_the_middle_of_a_play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile(tmp_path, monkeypatch, mfa_serial=f"arn:aws:iam::{ACCOUNT}:mfa/me")
    with pytest.raises(TfstateError, match=r"MFA token required.*a task cannot ask for the code: get a session"):
        Script([VERSIONED]).connect(access_key=None, secret_key=None, profile="role").read([VERSIONING])


# Exceptions that are no answer.

NO_ANSWER: dict[str, tuple[Exception, str]] = {
    "no credentials": (botocore.exceptions.NoCredentialsError(), "set profile, access_key and secret_key"),
    "half of them": (botocore.exceptions.PartialCredentialsError(provider="env", cred_var="x"), "set profile"),
    "not to be had": (
        botocore.exceptions.CredentialRetrievalError(provider="process", error_msg="exit 1"),
        "set profile",
    ),
    "no profile": (botocore.exceptions.ProfileNotFound(profile="p"), "correct profile or AWS_PROFILE"),
    "no login": (botocore.exceptions.SSOTokenLoadError(error_msg="none"), "run aws sso login"),
    "a login that has ended": (botocore.exceptions.UnauthorizedSSOTokenError(), "run aws sso login"),
    "a token that cannot be had": (
        botocore.exceptions.TokenRetrievalError(provider="sso", error_msg="expired"),
        "run aws sso login",
    ),
    "nobody listens": (botocore.exceptions.EndpointConnectionError(endpoint_url="https://x"), "cannot be reached"),
    "nobody lets us in": (botocore.exceptions.ConnectTimeoutError(endpoint_url="https://x"), "cannot be reached"),
    "nobody answers": (botocore.exceptions.ReadTimeoutError(endpoint_url="https://x"), "no answer came back"),
    "a bad certificate": (botocore.exceptions.SSLError(endpoint_url="https://x", error="self-signed"), "self-signed"),
    "no proxy": (botocore.exceptions.ProxyConnectionError(proxy_url="http://p"), "cannot be reached: check region"),
    "no FIPS there": (
        botocore.exceptions.EndpointConnectionError(endpoint_url="https://s3-fips.eu-west-1.amazonaws.com"),
        "not every region has FIPS endpoints",
    ),
    "no region": (botocore.exceptions.InvalidRegionError(region_name="a b"), "check the connection options"),
    "a parameter that botocore does not know": (
        botocore.exceptions.ParamValidationError(report='Unknown parameter in input: "x"'),
        "update botocore",
    ),
    "a value that botocore does not take": (botocore.exceptions.ParamValidationError(report="x"), "correct the option"),
}


@pytest.mark.aws("6.4", "6.6", "6.7")
@pytest.mark.parametrize("case", NO_ANSWER)
def test_whatever_botocore_raises_is_one_sentence_that_says_what_to_do(case: str) -> None:
    error, said = NO_ANSWER[case]
    with pytest.raises(TfstateError, match=said) as failure:
        Script([error]).connect().read([DESCRIBE])
    assert str(failure.value).startswith("describe_table on tf-locks: ")
    assert "\n" not in str(failure.value)


@pytest.mark.aws("6.7")
def test_a_page_of_somebody_else_is_no_answer_of_aws() -> None:
    with pytest.raises(TfstateError, match="answered by something else than AWS; look for a proxy or a captive portal"):
        Script([says(200, b"<html>Please log in")]).connect().read([IDENTITY])


@pytest.mark.aws("6.4")
@pytest.mark.parametrize("region", ["mars-north-1", "eu-west-1 ", ""])
def test_a_region_that_nobody_knows_is_told_before_anything_is_sent(region: str) -> None:
    script = Script([VERSIONED])
    with pytest.raises(TfstateError, match="is no AWS region; set region to one such as eu-west-1, or update botocore"):
        script.connect(region=region).partition()
    assert script.requests == []


@pytest.mark.aws("6.4")
def test_a_new_region_of_a_known_kind_is_taken() -> None:
    assert Script().connect(region="eu-north-7").partition() == "aws"


# Time.


def stamped(error: AWSResponse, ahead: timedelta) -> AWSResponse:
    """As a server says it whose clock is ahead of ours."""
    date = format_datetime(datetime.now(timezone.utc) + ahead, usegmt=True)
    return AWSResponse(error.url, error.status_code, {"date": date}, error.raw)


SKEWED = {
    "S3": (VERSIONING, s3_error("RequestTimeTooSkewed", 403)),
    "DynamoDB": (DESCRIBE, json_error("InvalidSignatureException")),
    "STS": (IDENTITY, sts_error("SignatureDoesNotMatch")),
}


@pytest.mark.aws("6.7")
@pytest.mark.parametrize("service", SKEWED)
@pytest.mark.parametrize("hours", [-3, 3])
def test_a_clock_that_is_wrong_is_told_with_both_times(service: str, hours: int) -> None:
    call, error = SKEWED[service]
    time = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
    with pytest.raises(
        CallFailed, match=f"this machine's clock says {time}, that of AWS {time}: set the clock, then run again"
    ) as failure:
        Script([stamped(error, timedelta(hours=hours))]).connect().read([call])
    ours, theirs = (
        datetime.strptime(text, "%Y-%m-%d %H:%M:%S")
        for text in str(failure.value).replace(" UTC", "|").replace("says ", "|").replace("AWS ", "|").split("|")
        if text[:2] == "20"
    )
    assert abs((theirs - ours) - timedelta(hours=hours)) < timedelta(minutes=1)


@pytest.mark.aws("6.7")
def test_a_wrong_secret_is_not_called_a_wrong_clock() -> None:
    error = stamped(s3_error("SignatureDoesNotMatch", 403), timedelta(seconds=20))
    with pytest.raises(CallFailed, match="the signature is wrong: check the secret key"):
        Script([error]).connect().read([VERSIONING])


@pytest.mark.aws("6.7")
def test_a_token_that_expires_in_the_middle_ends_the_run_at_once_and_is_told() -> None:
    script = Script([json_error("ExpiredTokenException")])
    with pytest.raises(CallFailed, match="the credentials have expired: get new ones and run again"):
        script.connect().read([DESCRIBE] * 6)
    assert script.slept == []
    assert len(script.requests) <= 3


# What botocore is told instead of guessing.

ATTEMPTS = {
    "S3 is busy": (VERSIONING, s3_error("SlowDown", 503), 6),
    "DynamoDB is busy": (DESCRIBE, json_error("ThrottlingException"), 6),
    "a quota": (DESCRIBE, json_error("LimitExceededException"), 6),
    "something went wrong": (DESCRIBE, json_error("InternalServerError", 500), 6),
    "another change is under way": (PUT_VERSIONING, s3_error("OperationAborted", 409), 1),
    "a table in use": (DESCRIBE, json_error("ResourceInUseException"), 1),
}


@pytest.mark.aws("6.5")
@pytest.mark.parametrize("case", ATTEMPTS)
@pytest.mark.parametrize("shell", [{}, {"AWS_RETRY_MODE": "legacy", "AWS_MAX_ATTEMPTS": "1"}], ids=["plain", "set"])
def test_attempts_do_not_depend_on_the_shell_or_on_the_version_of_botocore(
    case: str, shell: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in shell.items():
        monkeypatch.setenv(name, value)
    call, error, attempts = ATTEMPTS[case]
    script = Script([error])
    (answer,) = script.connect().read([call])
    assert isinstance(answer, Failure)
    assert max(attempt_of(request) for request in script.requests) == attempts


def attempt_of(request: Any) -> int:
    return int(request.headers["amz-sdk-request"].decode().split(";")[0].removeprefix("attempt="))


@pytest.mark.aws("6.6")
def test_timeouts_are_short_unless_the_task_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    create = botocore.session.Session.create_client

    def create_client(self: Any, *names: Any, **options: Any) -> Any:
        told.append(options["config"])
        return create(self, *names, **options)

    monkeypatch.setattr(botocore.session.Session, "create_client", create_client)
    Script([VERSIONED]).connect().read([VERSIONING])
    Script([VERSIONED]).connect(aws_config={"read_timeout": 5}).read([VERSIONING])
    assert [(each.connect_timeout, each.read_timeout) for each in told] == [(5, 30), (5, 5)]


@pytest.mark.aws("6.6")
def test_a_network_that_swallows_everything_is_given_up_in_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        no_wait = {"connect_timeout": 0.4, "read_timeout": 0.4}
        connection = Connection(
            region="eu-west-1", access_key="AKIATEST", secret_key="s", endpoint_url=endpoint, aws_config=no_wait
        )
        began = time.monotonic()
        with pytest.raises(TfstateError, match="no answer came back"):
            Aws(connection, timeout_s=1).read([VERSIONING])
        assert time.monotonic() - began < 1 + 0.4 + 0.5


TRIED_AGAIN: dict[str, tuple[Call, AWSResponse | Exception, float]] = {
    "nobody lets us in": (VERSIONING, botocore.exceptions.ConnectTimeoutError(endpoint_url="https://x"), 5),
    "nobody answers": (VERSIONING, botocore.exceptions.ReadTimeoutError(endpoint_url="https://x"), 30),
    "nobody can": (VERSIONING, s3_error("InternalError", 500), 5),
    "nobody has time": (DESCRIBE, json_error("ThrottlingException"), 5),
}


@pytest.mark.aws("6.5", "6.6")
@pytest.mark.parametrize("case", TRIED_AGAIN)
@pytest.mark.parametrize("mode", ["standard", "legacy"])
def test_botocore_tries_nothing_again_past_the_deadline(case: str, mode: str) -> None:
    call, reply, takes_s = TRIED_AGAIN[case]

    class Slow(Script):
        def __call__(self, request: Any, event_name: str, **more: Any) -> AWSResponse:
            self.clock += takes_s
            return super().__call__(request, event_name, **more)

    script = Slow([reply])
    aws = script.connect(timeout_s=70, aws_config={"retries": {"mode": mode, "total_max_attempts": 100}})
    with suppress(TfstateError):
        aws.read([call])
    assert len(script.requests) > 1
    assert script.clock <= 70 + (0 if isinstance(reply, Exception) else takes_s)


UNREACHABLE: dict[str, Exception] = {
    "a name that nobody knows": botocore.exceptions.EndpointConnectionError(endpoint_url="https://x"),
    "a network that lets nothing out": botocore.exceptions.ConnectTimeoutError(endpoint_url="https://x"),
    "a proxy that is not there": botocore.exceptions.ProxyConnectionError(proxy_url="http://x"),
}


@pytest.mark.aws("6.6")
@pytest.mark.parametrize("case", UNREACHABLE)
def test_a_host_that_never_answered_is_given_up_soon_and_one_that_did_is_not(case: str) -> None:
    """A person waits for the first; the other may be back in some seconds, and work is half done."""
    script = Script([UNREACHABLE[case]])
    with pytest.raises(TfstateError, match="cannot be reached"):
        script.connect(timeout_s=300).read([VERSIONING])
    assert len(script.requests) == 3
    script = Script([VERSIONED, *[UNREACHABLE[case]] * 4, VERSIONED])
    aws = script.connect(timeout_s=300)
    for _unused in range(2):
        (answer,) = aws.read([VERSIONING])
        assert not isinstance(answer, Failure)


@pytest.mark.aws("6.6")
def test_no_attempt_is_longer_than_the_deadline() -> None:
    script = Script([VERSIONED])
    first = script.connect(timeout_s=300)
    first.read([VERSIONING])
    assert [timeouts(wait_s) for wait_s in (0, 3, 5, 40, 60, 300)] == [
        {"connect_timeout": 1, "read_timeout": 5},
        {"connect_timeout": 3, "read_timeout": 5},
        {"read_timeout": 5},
        {"read_timeout": 20},
        {},
        {},
    ]
    for wait_s, read_s, chosen in ((300, 30, {}), (18, 9, {}), (9, 30, {"read_timeout": 30})):
        aws = Aws(replace(first.connection, aws_config=chosen), wait_s)
        aws._session = first._session
        assert aws._client("s3").meta.config.read_timeout == read_s
        del first._session.clients["s3"]
        first._clients.clear()
        first._client("s3")


def test_who_waits_is_told_once_for_what(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(deadline, "listeners", [told.append])
    script = Script([botocore.exceptions.ConnectTimeoutError(endpoint_url="https://x")])
    with suppress(TfstateError):
        script.connect(timeout_s=300).read([VERSIONING])
    (only,) = told
    assert "s3.eu-west-1.amazonaws.com does not answer; trying again, for 300 seconds at most (wait_timeout)" in only


@pytest.mark.aws("6.6")
def test_the_next_task_has_a_deadline_of_its_own() -> None:
    """Though it takes over the clients of the last one."""
    script = Script([botocore.exceptions.ReadTimeoutError(endpoint_url="https://x")])
    first = script.connect(timeout_s=0)
    second = Aws(first.connection, TIMEOUT_S, now=lambda: script.clock, sleep=script.sleep)
    second._session = first._session
    for aws, attempts in ((first, 1), (second, 6)):
        aws.renew()  # as each does when it begins
        script.requests.clear()
        with pytest.raises(TfstateError):
            aws.read([VERSIONING])
        assert len(script.requests) == attempts


@pytest.mark.aws("1.6", "6.6")
def test_who_has_no_time_is_still_led_to_the_region_of_a_bucket() -> None:
    script = Script([says(301, x_amz_bucket_region="eu-central-1"), says(200, x_amz_bucket_region="eu-central-1")])
    (answer,) = script.connect(timeout_s=0).read([HEAD])
    assert not isinstance(answer, Failure)


@pytest.mark.aws("6.6", "4.1")
def test_waiting_ends_at_the_deadline_of_the_task() -> None:
    script = Script([json_error("ResourceInUseException")])
    with pytest.raises(CallFailed, match="AWS was busy with it, or was asked too much, until wait_timeout"):
        script.connect().write(Call("dynamodb", "delete_table", {"TableName": "tf-locks"}))
    assert TIMEOUT_S - 7 <= script.clock <= TIMEOUT_S


@pytest.mark.aws("6.4", "6.7")
def test_an_emulator_of_one_service_takes_the_proxy_from_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    aws = Script(by_operation={"GetBucketVersioning": VERSIONED, "DescribeTable": TABLE}).connect()
    aws.read([VERSIONING, DESCRIBE])
    assert aws._session.clients["s3"].meta.config.proxies == {}
    assert aws._session.clients["dynamodb"].meta.config.proxies is None, "None is what the shell says"


@pytest.mark.aws("6.4")
def test_an_endpoint_of_one_service_leads_no_other_astray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    script = Script(by_operation={"GetCallerIdentity": WHO, "DescribeTable": TABLE})
    script.connect().read([IDENTITY, DESCRIBE])
    assert sorted(request.url for request in script.requests) == [
        "https://dynamodb.eu-west-1.amazonaws.com/",
        "https://sts.eu-west-1.amazonaws.com/",
    ]


@pytest.mark.aws("6.9")
@pytest.mark.parametrize("when", [None, "when_required"])
def test_what_s3_must_be_able_to_check_carries_a_checksum(when: str | None) -> None:
    script = Script([says(200)])
    script.connect(aws_config={"request_checksum_calculation": when} if when else None).write(PUT_VERSIONING)
    names = {name.lower() for name in script.requests[0].headers}
    assert names & {"content-md5", "x-amz-checksum-crc32"}
    assert "x-amz-trailer" not in names


@pytest.mark.aws("6.10")
def test_a_policy_above_the_account_is_told_in_the_words_of_aws() -> None:
    text = (
        "User: u is not authorized to perform: dynamodb:DescribeTable with an explicit deny in a service control policy"
    )
    denied = says(400, json.dumps({"__type": "x#AccessDeniedException", "message": text}).encode())
    (answer,) = Script([denied]).connect().read([DESCRIBE])
    assert str(answer) == (
        "describe_table on tf-locks: AccessDeniedException; needs dynamodb:DescribeTable, which a service control "
        f"policy denies: only whoever keeps that policy can permit it (AWS: {text})"
    )
