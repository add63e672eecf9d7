# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one room that talks to AWS: sessions, clients, retries, and what an error means."""

from __future__ import annotations

import fcntl
import hashlib
import os
import queue
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ._core import Answer, Call, CallFailed, Failure, Invalid, Response, TfstateError, Wrote, unheard

try:
    import botocore.config
    import botocore.credentials
    import botocore.exceptions
    import botocore.loaders
    import botocore.session
    import botocore.utils
except ImportError as missing:
    BOTOCORE_MISSING: ImportError | None = missing
else:
    BOTOCORE_MISSING = None

#: Connections to one target, and reads side by side.
LANES = 3
USER_AGENT = "cornerstone.tfstate"
#: The folder of the AWS CLI.
CACHE = "~/.aws/cli/cache"
LOOPBACK = ("http://127.", "http://localhost", "http://[::1]", "https://127.", "https://localhost", "https://[::1]")

#: IAM actions that are not called as the operation is.
IAM_ACTIONS = {
    "head_bucket": "s3:ListBucket",
    "list_object_versions": "s3:ListBucketVersions",
    "list_objects_v2": "s3:ListBucket",
    "list_buckets": "s3:ListAllMyBuckets",
    "delete_objects": "s3:DeleteObjectVersion",
    "get_bucket_encryption": "s3:GetEncryptionConfiguration",
    "put_bucket_encryption": "s3:PutEncryptionConfiguration",
    "get_public_access_block": "s3:GetBucketPublicAccessBlock",
    "put_public_access_block": "s3:PutBucketPublicAccessBlock",
    "get_bucket_lifecycle_configuration": "s3:GetLifecycleConfiguration",
    "put_bucket_lifecycle_configuration": "s3:PutLifecycleConfiguration",
    "delete_bucket_lifecycle": "s3:PutLifecycleConfiguration",
    "delete_bucket_tagging": "s3:PutBucketTagging",
    "get_object_lock_configuration": "s3:GetBucketObjectLockConfiguration",
    "put_object_lock_configuration": "s3:PutBucketObjectLockConfiguration",
}

DENIED = {"AccessDenied", "AccessDeniedException", "403", "AllAccessDisabled", "UnauthorizedOperation"}
EXPIRED = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"}
UNRECOGNISED = {"InvalidClientTokenId", "InvalidAccessKeyId", "UnrecognizedClientException", "InvalidToken"}
SKEWED = {"RequestTimeTooSkewed", "SignatureDoesNotMatch", "InvalidSignatureException"}
UNSUPPORTED = {"MethodNotAllowed", "NotImplemented", "XNotImplemented", "UnsupportedArgument", "UnsupportedOperation"}

#: What to do about a code that has one meaning whatever the call was.
ADVICE = {
    **dict.fromkeys(EXPIRED, "the credentials have expired: get new ones and run again"),
    **dict.fromkeys(
        UNRECOGNISED,
        "the credentials are not known in this region: if they work elsewhere, the region is not enabled for the "
        "account, or the session token came from the global STS endpoint (use a regional one)",
    ),
    **dict.fromkeys(SKEWED, "the signature is wrong: check the secret key and this machine's clock"),
    **dict.fromkeys(UNSUPPORTED, "this service does not know the setting: leave it alone with unmanaged"),
    "BucketAlreadyExists": "another account has that name: choose another, with your account id and region in it",
    "TooManyBuckets": "the account has as many buckets as its quota allows: ask AWS for more",
    "OperationAborted": "another change of this bucket is under way, or the name was deleted recently, which AWS may "
    "take an hour or more to forget: run again later",
    "IllegalLocationConstraintException": "the region does not fit the endpoint: is it enabled for the account?",
    "LimitExceededException": "a quota of AWS is used up: wait as long as it says, then run again",
    "MalformedPolicy": "AWS cannot read the policy: check principals, actions and resources of policy_statements",
    "BucketNotEmpty": "somebody goes on writing into it: stop Terraform, then run again",
    "InvalidBucketAclWithObjectOwnership": "the bucket's ACL grants access to others: reset it to private first",
    "RequestTimeout": "the connection is too slow or was cut: run again",
}

#: Answers that end well if one waits: while something else is being done, or while too much is asked for.
TRANSIENT = {
    "OperationAborted",
    "ContinuousBackupsUnavailableException",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "BucketNotEmpty",
}
#: Answers that end well if one waits for what was created a moment ago.
NOT_YET_VISIBLE = {"NoSuchBucket", "ResourceNotFoundException", "TableNotFoundException"}
#: Errors that say that the work is done already.
DONE = {
    "create_bucket": {"BucketAlreadyOwnedByYou"},
    "create_table": {"ResourceInUseException"},
    "delete_bucket": {"NoSuchBucket", "404"},
    "delete_table": {"ResourceNotFoundException"},
}


@dataclass(frozen=True)
class Connection:
    """The connection options of a task, as the argument spec gives them; None where nothing was asked."""

    region: str
    profile: str | None = None
    access_key: str | None = None
    secret_key: str | None = None
    session_token: str | None = None
    assume_role_arn: str | None = None
    assume_role_external_id: str | None = None
    assume_role_session_name: str | None = None
    endpoint_url: str | None = None
    validate_certs: bool = True
    aws_ca_bundle: str | None = None
    aws_config: Mapping[str, Any] | None = None
    cache_credentials: bool = True


class Aws:
    """AWS as one task sees it: one region, one set of credentials, one deadline."""

    def __init__(
        self,
        connection: Connection,
        timeout_s: float,
        wrote: Wrote = unheard,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.connection = connection
        self.warnings: list[str] = []
        self._wrote, self._now, self._sleep = wrote, now, sleep
        self._deadline = now() + timeout_s
        self._clients: dict[str, Any] = {}
        try:
            self._session = _session(connection)
        except botocore.exceptions.BotoCoreError as error:
            raise _translated(error, connection) from None

    def partition(self) -> str:
        """The partition of the region; a region that no partition knows is an error, unless an endpoint is given."""
        if self.connection.endpoint_url:
            return "aws"
        try:
            return str(self._session.get_partition_for_region(self.connection.region))
        except botocore.exceptions.UnknownRegionError:
            raise Invalid(f"{self.connection.region!r} is no AWS region; set region to one such as eu-west-1") from None

    def late(self) -> bool:
        return self._now() >= self._deadline

    def pause(self, attempt: int) -> None:
        """Waits longer from attempt to attempt, up to five seconds, never in step with others."""
        self._sleep(min(5.0, 0.25 * 2**attempt) * random.uniform(0.7, 1.3))

    def read(self, calls: Sequence[Call], young: bool = False) -> list[Answer]:
        """The answers to these calls, side by side. `young`: what they ask about was created a moment ago."""
        for service in {call.service for call in calls}:
            self._client(service)  # made here, because making clients is not safe in threads
        return side_by_side([partial(self._answer, call, young) for call in calls])

    def write(self, call: Call, young: bool = False) -> None:
        answer = self._answer(call, young)
        if isinstance(answer, Failure) and answer.code not in DONE.get(call.operation, ()):
            raise CallFailed(answer)
        self._wrote(call)

    def key_arn(self, name: str, must_exist: bool) -> str:
        """The ARN of the KMS key that `name` (id, alias or ARN) stands for, provided that it can encrypt."""
        (answer,) = self.read([Call("kms", "describe_key", {"KeyId": name})])
        if not isinstance(answer, Failure):
            return _usable(name, answer["KeyMetadata"], self.connection.region) if must_exist else _arn_of(answer)
        made_by_first_use = name.startswith("alias/aws/") and answer.code == "NotFoundException"
        if not must_exist or made_by_first_use:
            return name
        if answer.code in DENIED and ":key/" in name:
            self.warnings.append(f"the KMS key {name} could not be checked: {answer}")
            return name
        if answer.code in DENIED:
            raise Invalid(f"{answer}, or give the full ARN of the key as kms_key_id")
        raise Invalid(f"kms_key_id {name} cannot be used: {answer}")

    def _answer(self, call: Call, young: bool) -> Answer:
        attempt = 0
        while True:
            answer = self._once(call)
            if not isinstance(answer, Failure) or not _passes(answer, young) or self.late():
                return answer
            self.pause(attempt)
            attempt += 1

    def _once(self, call: Call) -> Answer:
        client = self._client(call.service)
        try:
            response: Response = getattr(client, call.operation)(**call.params)
        except botocore.exceptions.ClientError as error:
            return self._failure(call, error)
        except (botocore.exceptions.BotoCoreError, RecursionError) as error:
            raise _translated(error, self.connection, call) from None
        kept = response.get("Errors") if call.operation == "delete_objects" else None
        if kept:  # DeleteObjects answers 200 and names what it did not delete
            first = kept[0]
            return Failure(call, first["Code"], f"{first['Key']}: {first.get('Message')}", _advice(call, first["Code"]))
        return response

    def _failure(self, call: Call, error: Any) -> Failure:
        code, message = error.response["Error"].get("Code", "?"), error.response["Error"].get("Message", "")
        if error.operation_name in ("AssumeRole", "AssumeRoleWithWebIdentity"):  # on the way to the call
            call = Call("sts", "assume_role", {"RoleArn": self.connection.assume_role_arn})
            raise CallFailed(Failure(call, code, message, _advice(call, code)))
        failure = Failure(call, code, message, _advice(call, code))
        if code in EXPIRED | UNRECOGNISED | SKEWED:
            raise CallFailed(failure)
        if call.operation == "head_bucket" and code == "403":
            return Failure(call, code, "", self._whose(call))
        return failure

    def _whose(self, call: Call) -> str:
        """HeadBucket has no body: only the list of our own buckets tells a foreign bucket from a missing permission."""
        name = call.params["Bucket"]
        answer = self._answer(Call("s3", "list_buckets", {"Prefix": name}), young=False)
        if isinstance(answer, Failure):
            return f"the bucket belongs to another account, or you need s3:ListBucket on it; {answer}"
        if name in [bucket["Name"] for bucket in answer.get("Buckets", [])]:
            return "the bucket is yours: you need s3:ListBucket on it, and account_id must be right if it is set"
        return "the bucket belongs to another account: choose another name, or the right credentials"

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            try:
                self._clients[service] = _client(self._session, service, self.connection)
            except (botocore.exceptions.BotoCoreError, ValueError) as error:
                raise _translated(error, self.connection) from None
        return self._clients[service]


def side_by_side(works: Sequence[Callable[[], Answer]]) -> list[Answer]:
    """What these return, in order; the first exception of one becomes ours.

    The threads are daemons and take no further work once we are left, so that a task's timeout ends the task.
    """
    if len(works) == 1:
        return [works[0]()]
    waiting = queue.SimpleQueue[int]()
    for place in range(len(works)):
        waiting.put(place)
    answers: dict[int, Answer] = {}
    failures: list[BaseException] = []

    def lane() -> None:
        while not failures:
            try:
                place = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                answers[place] = works[place]()
            except BaseException as error:  # carried over to the caller's thread
                failures.append(error)

    threads = [threading.Thread(target=lane, daemon=True) for _unused in range(min(LANES, len(works)))]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    except BaseException as error:
        failures.append(error)
        raise
    if failures:
        raise failures[0]
    return [answers[place] for place in range(len(works))]


def _session(connection: Connection) -> Any:
    if connection.access_key:
        # Explicit keys beat the environment whole: a profile named there is not even looked up.
        session = botocore.session.Session(session_vars={"profile": (None, [], None, None)})
        session.set_credentials(connection.access_key, connection.secret_key, connection.session_token)
    else:
        session = botocore.session.Session(profile=connection.profile)
    session.register_component("data_loader", _loader())
    if connection.cache_credentials and not connection.access_key:
        providers = session.get_component("credential_provider")
        for name in ("assume-role", "assume-role-with-web-identity"):
            providers.get_provider(name).cache = _Cache(CACHE)
    if connection.assume_role_arn:
        return _assumed(session, connection)
    return session


_shared_loader: Any = None


def _loader() -> Any:
    """One loader for every session: each of its own would parse the service models again, at 150 ms and 15 MB."""
    global _shared_loader
    if _shared_loader is None:
        _shared_loader = botocore.loaders.create_loader(os.environ.get("AWS_DATA_PATH"))
    return _shared_loader


def warm() -> None:
    """Parses what every client needs, so that forked processes inherit it. Reads no configuration and never raises."""
    if BOTOCORE_MISSING:
        return
    loader = _loader()
    # What cannot be loaded here is loaded by whoever needs it, who also says what is wrong with it.
    with suppress(botocore.exceptions.BotoCoreError, OSError, ValueError):
        for service in ("s3", "dynamodb", "sts"):
            for kind in ("service-2", "endpoint-rule-set-1"):
                loader.load_service_model(service, kind)
        for name in ("endpoints", "partitions", "sdk-default-configuration", "_retry"):
            loader.load_data(name)


def _assumed(source: Any, connection: Connection) -> Any:
    """A session of the role to assume, through the STS of the region: its tokens work in every region."""
    named = {
        "RoleSessionName": connection.assume_role_session_name,
        "ExternalId": connection.assume_role_external_id,
    }
    credentials = source.get_credentials()
    if credentials is None:
        raise _translated(botocore.exceptions.NoCredentialsError(), connection)
    cache = _Cache(CACHE, f"{credentials.access_key} {connection.endpoint_url} {connection.assume_role_arn}")
    fetcher = botocore.credentials.AssumeRoleCredentialFetcher(
        client_creator=lambda _service, **keys: _client(source, "sts", connection, **keys),
        source_credentials=credentials,
        role_arn=connection.assume_role_arn,
        extra_args={name: value for name, value in named.items() if value},
        cache=cache if connection.cache_credentials else None,
    )
    fetch = (
        partial(cache.alone, fetcher.fetch_credentials) if connection.cache_credentials else fetcher.fetch_credentials
    )
    session = botocore.session.Session(session_vars={"profile": (None, [], None, None)})
    session.register_component("data_loader", _loader())
    session._credentials = botocore.credentials.DeferredRefreshableCredentials(fetch, "assume-role")
    return session


class _Cache:
    """Credentials of assumed roles where the AWS CLI keeps them, mode 0600, so that a run assumes each role once.

    `scope` keeps apart what the key of botocore does not: who assumed the role, and at which endpoint.
    """

    def __init__(self, folder: str, scope: str = "") -> None:
        self._folder = Path(folder).expanduser()
        self._files = botocore.utils.JSONFileCache(str(self._folder))
        self._scope = hashlib.sha256(scope.encode()).hexdigest()[:16] if scope else ""

    def __contains__(self, key: str) -> bool:
        return key + self._scope in self._files

    def __getitem__(self, key: str) -> Any:
        return self._files[key + self._scope]

    def __setitem__(self, key: str, value: Any) -> None:
        with suppress(OSError):  # a home that cannot be written costs a request a task, and is no error
            self._files[key + self._scope] = value

    def alone(self, fetch: Callable[[], Any]) -> Any:
        """Lets one process at a time assume the role, so that the others find its credentials here."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = (self._folder / f"tfstate-{self._scope}.lock").open("w")
        except OSError:
            return fetch()
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return fetch()


def _client(session: Any, service: str, connection: Connection, **keys: Any) -> Any:
    endpoint = connection.endpoint_url
    addressed = endpoint or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    settings: dict[str, Any] = {
        "retries": {"mode": "standard", "total_max_attempts": 6},
        "connect_timeout": 10,
        "read_timeout": 30,
        "max_pool_connections": LANES,
        "user_agent_extra": USER_AGENT,
    }
    if addressed:
        settings["s3"] = {"addressing_style": "path"}
    if addressed.startswith(LOOPBACK):
        settings["proxies"] = {}
    return session.create_client(
        service,
        region_name=connection.region,
        endpoint_url=endpoint,
        verify=connection.aws_ca_bundle or (None if connection.validate_certs else False),
        config=botocore.config.Config(**{**settings, **(connection.aws_config or {})}),
        **keys,
    )


def _passes(failure: Failure, young: bool) -> bool:
    operation, code = failure.call.operation, failure.code
    if code in NOT_YET_VISIBLE:
        return young
    if code == "ResourceInUseException":  # of CreateTable it means that the table exists
        return operation != "create_table"
    if code == "LimitExceededException":  # AWS takes one change of tags at a time, for about two seconds each
        return operation in ("tag_resource", "untag_resource")
    return code in TRANSIENT


def _advice(call: Call, code: str) -> str:
    if code in DENIED:
        return f"needs {iam_action(call)}"
    return ADVICE.get(code, "see what AWS says")


def iam_action(call: Call) -> str:
    return IAM_ACTIONS.get(call.operation, f"{call.service}:{call.operation.title().replace('_', '')}")


def _arn_of(answer: Response) -> str:
    return str(answer["KeyMetadata"]["Arn"])


def _usable(name: str, key: Mapping[str, Any], region: str) -> str:
    """Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html"""
    problems = []
    if key.get("KeyState", "Enabled") != "Enabled":
        problems.append(f"it is {key['KeyState']}: enable it")
    kind = key.get("KeyUsage", "ENCRYPT_DECRYPT"), key.get("KeySpec", "SYMMETRIC_DEFAULT")
    if kind != ("ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT"):
        problems.append("it is no symmetric encryption key")
    if key["Arn"].split(":")[3] != region:
        problems.append(f"it lies in {key['Arn'].split(':')[3]}, not in {region}")
    if problems:
        raise Invalid(f"kms_key_id {name} cannot be used: {'; '.join(problems)}")
    return str(key["Arn"])


def _translated(error: BaseException, connection: Connection, call: Call | None = None) -> TfstateError:
    """An error that is no answer of AWS's, as a sentence that says what to do."""
    what = str(call) if call else "connecting to AWS"
    where = connection.endpoint_url or connection.region
    names = {each.__name__ for each in type(error).__mro__}
    if names & {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"}:
        advice = "set profile, access_key and secret_key, or the AWS_* variables of your shell"
    elif "ProfileNotFound" in names:
        advice = "correct profile or AWS_PROFILE, or run aws configure"
    elif names & {"SSOTokenLoadError", "UnauthorizedSSOTokenError", "TokenRetrievalError", "SSOError"}:
        advice = "run aws sso login, then run again"
    elif names & {"HTTPClientError", "ConnectionError", "ProxyConnectionError"}:
        advice = f"{where} cannot be reached: check region, endpoint_url, proxy and network, then run again"
    elif "RecursionError" in names:
        return TfstateError(f"{what}: redirected without end; is there a proxy or a captive portal before {where}?")
    elif "ParamValidationError" in names:
        advice = "this botocore is too old for the request: update botocore"
    else:
        advice = "check the connection options and run again"
    return TfstateError(f"{what}: {' '.join(str(error).split())}; {advice}")
