# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sessions and clients of botocore: credentials, endpoints, and what they share."""

from __future__ import annotations

import codecs
import fcntl
import gc
import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .._core.model import Response
from .deadline import end_by
from .errors import LOOPBACK

try:
    import botocore.config
    import botocore.credentials
    import botocore.exceptions
    import botocore.httpsession
    import botocore.loaders
    import botocore.session
    import botocore.utils
except ImportError as missing:
    BOTOCORE_MISSING: ImportError | None = missing
else:
    BOTOCORE_MISSING = None

#: Connections to one target, and parallel calls.
WORKERS = 3
USER_AGENT = "cornerstone.tfstate"
#: The cache directory of the AWS CLI.
CACHE = "~/.aws/cli/cache"


@dataclass(frozen=True)
class Connection:
    """The connection options of a task; None if omitted."""

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
    #: The account that must own every bucket; None for the account of the credentials.
    account_id: str | None = None


def session_of(connection: Connection) -> Any:
    session = _blank()
    session.set_config_variable("region", connection.region)
    if connection.access_key:
        # Explicit keys override the whole environment: a profile in it is not even looked up.
        session.session_var_map["profile"] = (None, [], None, None)
        session.set_credentials(connection.access_key, connection.secret_key, connection.session_token)
    elif connection.profile:
        session.set_config_variable("profile", connection.profile)
    if not connection.access_key:
        providers = session.get_component("credential_provider")
        providers.get_provider("assume-role")._prompter = _nobody_to_ask
        for name in ("assume-role", "assume-role-with-web-identity") if connection.cache_credentials else ():
            providers.get_provider(name).cache = _Cache(CACHE)
    return _assumed(session, connection) if connection.assume_role_arn else session


def profile_region(profile: str | None) -> tuple[str, str] | None:
    """The named profile that is in use, by the option or the environment, and its region, if it has one.

    The profile `default` is not asked unless somebody names it: its region is about no backend in particular.
    """
    if BOTOCORE_MISSING:
        return None
    session = botocore.session.Session(profile=profile)
    named = session.get_config_variable("profile")
    with suppress(botocore.exceptions.BotoCoreError):  # whoever needs the profile says what is wrong with it
        region = session.get_scoped_config().get("region") if named else None
        return (named, region) if region else None
    return None


#: Methods of botocore's credentials that come from a profile, and a suffix for messages.
_OF_PROFILE = {
    "shared-credentials-file": "",
    "config-file": "",
    "assume-role": " (assumes a role)",
    "assume-role-with-web-identity": " (web identity)",
    "sso": " (SSO)",
    "login": " (aws login)",
    "custom-process": " (credential_process)",
}
_ELSEWHERE = {"env": "environment", "container-role": "container role", "iam-role": "instance role"}
#: AWS access key IDs are longer. The ends of a shorter one would show all of it.
_SHORTEST_KEY_ID = 16


def credentials_name(connection: Connection, session: Any) -> str | None:
    """The name of the credentials, without any secret; None before the first call."""
    if connection.assume_role_arn:
        given = f"profile {connection.profile}" if connection.profile else _key_name(connection.access_key)
        return f"role {connection.assume_role_arn}" + (f" from {given}" if given else "")
    if connection.access_key:
        return _key_name(connection.access_key)
    credentials = session._credentials  # set by the first client: loading them again may take seconds, or fail
    if credentials is None:
        return None
    method = str(credentials.method)
    profile = session.get_config_variable("profile")
    if method == "assume-role-with-web-identity" and not profile:
        role = os.environ.get("AWS_ROLE_ARN")
        return f"web identity (role {role})" if role else "web identity"
    if method in _OF_PROFILE:
        return f"profile {profile or 'default'}{_OF_PROFILE[method]}"
    held = vars(credentials)  # reading the properties would refresh some credentials
    key = f" ({_key_name(held.get('access_key') or held.get('_access_key'))})" if method == "env" else ""
    return _ELSEWHERE.get(method, method) + key


def _key_name(key_id: str | None) -> str:
    if not key_id:
        return ""
    return f"access key {key_id[:4]}...{key_id[-4:]}" if len(key_id) >= _SHORTEST_KEY_ID else "access key"


@dataclass
class Session:
    """A session with its clients, their deadline, and the caller identity."""

    botocore: Any
    clients: dict[str, Any] = field(default_factory=dict)
    identity: Response | None = None
    #: The cached caller is not used: AWS refused the credentials.
    ignores_cache: bool = False
    deadline: float = 0.0


_last: tuple[Any, Session] | None = None


def session_for(connection: Connection) -> Session:
    """The last session, if the connection is the same: a task of the role needs one for the bucket and the table."""
    global _last
    question, last = (connection, dict(os.environ)), _last  # read once: the inventory uses threads
    if last is None or last[0] != question:
        last = _last = (question, Session(session_of(connection)))
    return last[1]


def _nobody_to_ask(_question: str) -> str:
    """Instead of a prompt for an MFA code: the terminal, if any, belongs to Ansible."""
    raise botocore.exceptions.RefreshWithMFAUnsupportedError()


#: At most one session. `pop` is atomic, so only one thread gets it.
_spare: list[Any] = []


def _blank() -> Any:
    """A session that has not read any configuration: the spare one of a forked process, or a new one."""
    try:
        session = _spare.pop()
    except IndexError:
        session = botocore.session.Session()
    session.register_component("data_loader", _loader())
    # Session tokens of the global endpoint are invalid in opt-in regions.
    session.set_config_variable("sts_regional_endpoints", "regional")
    return session


_shared_loader: Any = None


def _loader() -> Any:
    """One loader for all sessions: another one would parse the service models again, at 150 ms and 15 MB."""
    global _shared_loader
    if _shared_loader is None:
        _shared_loader = botocore.loaders.create_loader(os.environ.get("AWS_DATA_PATH"))
    return _shared_loader


def warm() -> None:
    """Parses what every client needs, so that forked processes inherit it. Reads no configuration and never raises."""
    if BOTOCORE_MISSING:
        return
    loader = _loader()
    # Whatever cannot be loaded here is loaded when it is needed, and reported then.
    with suppress(botocore.exceptions.BotoCoreError, OSError, ValueError):
        for service in ("s3", "dynamodb", "sts"):
            for kind in ("service-2", "endpoint-rule-set-1"):
                loader.load_service_model(service, kind)
        for name in ("endpoints", "partitions", "sdk-default-configuration", "_retry"):
            loader.load_data(name)
    # Registering its handlers takes as long as five requests. A session reads nothing before its first use.
    _spare[:] = [botocore.session.Session()]
    # Otherwise the first connection of every process sets up OpenSSL and imports a codec.
    botocore.httpsession.create_urllib3_context()
    codecs.lookup("idna")
    gc.freeze()  # otherwise the garbage collector of every forked process touches and copies all these pages


def _assumed(source: Any, connection: Connection) -> Any:
    """A session of the role to assume, through the STS of the region: its tokens work in every region."""
    named = {
        "RoleSessionName": connection.assume_role_session_name,
        "ExternalId": connection.assume_role_external_id,
    }
    credentials = source.get_credentials()
    if credentials is None:
        raise botocore.exceptions.NoCredentialsError()
    cache = _Cache(CACHE, f"{credentials.access_key} {connection.endpoint_url} {connection.assume_role_arn}")
    fetcher = botocore.credentials.AssumeRoleCredentialFetcher(
        client_creator=partial(_sts_of, source, connection),
        source_credentials=credentials,
        role_arn=connection.assume_role_arn,
        extra_args={name: value for name, value in named.items() if value},
        cache=cache if connection.cache_credentials else None,
    )
    fetch = fetcher.fetch_credentials
    if connection.cache_credentials:
        fetch = partial(cache.fetch_once, fetch)
    session = _blank()
    session.session_var_map["profile"] = (None, [], None, None)
    session._credentials = botocore.credentials.DeferredRefreshableCredentials(fetch, "assume-role")
    return session


def _sts_of(source: Any, connection: Connection, _service: str, **keys: Any) -> Any:
    """The STS that is asked for a role. A deadline knows nothing of it, but it is given up soon if it never answers."""
    client = client_of(source, "sts", connection, **keys)
    end_by(client, lambda: math.inf)
    return client


class _Cache:
    """Credentials of assumed roles in the cache of the AWS CLI, mode 0600, so that a run assumes each role once.

    `scope` distinguishes what the key of botocore does not: the caller that assumed the role, and the endpoint.
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
        with suppress(OSError):  # a read-only home costs a request for each task and is not an error
            self._files[key + self._scope] = value

    def fetch_once(self, fetch: Callable[[], Any]) -> Any:
        """Only one process at a time assumes the role, so that the others find its credentials in the cache."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = (self._folder / f"tfstate-{self._scope}.lock").open("w")
        except OSError:
            return fetch()
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return fetch()


def known_caller(session: Any, connection: Connection) -> Response | None:
    """The cached answer to GetCallerIdentity for the same access key.

    An access key always belongs to the same account. Credentials of a role have a new one each time.
    """
    if not connection.cache_credentials:
        return None
    name, access_key = _caller_file(session, connection)
    try:
        known = _Cache(CACHE)[name]
        is_whole = is_account(known["Account"]) and isinstance(known["Arn"], str)
        return {part: known[part] for part in ("Account", "Arn")} if known["Key"] == access_key and is_whole else None
    except (KeyError, TypeError):  # missing, or not our format
        return None


class Remembered:
    """A small answer that all tasks of a run need, in a file of the cache. Nothing is kept without the cache."""

    def __init__(self, name: str, connection: Connection) -> None:
        self._files = _Cache(CACHE) if connection.cache_credentials else None
        self._name = f"tfstate-{name}"

    def read(self) -> dict[str, Any]:
        """Empty if there is none, or if another program has written it."""
        try:
            found = self._files[self._name] if self._files else {}
        except (KeyError, OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def write(self, answer: Mapping[str, Any]) -> None:
        if self._files:
            self._files[self._name] = dict(answer)


def is_account(text: object) -> bool:
    return bool(re.fullmatch(r"[0-9]{12}", str(text)))


def remember_caller(session: Any, connection: Connection, caller: Response) -> None:
    if connection.cache_credentials:
        name, access_key = _caller_file(session, connection)
        _Cache(CACHE)[name] = {"Account": caller["Account"], "Arn": caller["Arn"], "Key": access_key}


def _caller_file(session: Any, connection: Connection) -> tuple[str, str]:
    """The name of the file, one for each source of credentials, and the hash of the access key that it is for."""
    credentials = session.get_credentials()
    if credentials is None:
        raise botocore.exceptions.NoCredentialsError()
    profile = connection.profile or os.environ.get("AWS_PROFILE")
    way = (profile, connection.access_key, connection.assume_role_arn, connection.assume_role_session_name)
    hashed = [hashlib.sha256(repr(each).encode()).hexdigest() for each in (way, credentials.access_key)]
    return f"tfstate-caller-{hashed[0][:32]}", hashed[1]


def is_of_aws(client: Any) -> bool:
    """Whether the endpoint belongs to AWS, and not to an S3-compatible store."""
    host = urlsplit(client.meta.endpoint_url).hostname or ""
    outputs = [each["outputs"] for each in _loader().load_data("partitions")["partitions"]]
    names = {each[kind] for each in outputs for kind in ("dnsSuffix", "dualStackDnsSuffix")}
    return host.endswith(tuple(f".{name}" for name in names))


#: The actions that this process asked AWS for, as the collection amazon.aws names them.
REQUESTED: set[str] = set()


def _note_request(model: Any, **_event: Any) -> None:
    REQUESTED.add(f"{model.service_model.endpoint_prefix}:{model.name}")


class NotJson(Exception):
    """A success that is no JSON object, where the service answers nothing else."""


def _check_json(operation_model: Any, response_dict: Mapping[str, Any], **_event: Any) -> None:
    """Raises NotJson, as botocore takes such an answer for one without members."""
    is_success, body = response_dict["status_code"] < 300, response_dict["body"]
    if not (is_success and body and operation_model.service_model.resolved_protocol.endswith("json")):
        return
    try:
        answer = json.loads(body)
    except ValueError:  # or no UTF-8
        answer = None
    if not isinstance(answer, dict):
        raise NotJson("JSON")


def client_of(session: Any, service: str, connection: Connection, **keys: Any) -> Any:
    endpoint = connection.endpoint_url
    own = f"AWS_ENDPOINT_URL_{service.upper()}"
    addressed = endpoint or os.environ.get(own) or os.environ.get("AWS_ENDPOINT_URL") or ""
    settings: dict[str, Any] = {
        "retries": {"mode": "standard", "total_max_attempts": 6},
        "connect_timeout": 5,
        "read_timeout": 30,
        "max_pool_connections": WORKERS,
        "user_agent_extra": USER_AGENT,
    }
    if addressed:
        settings["s3"] = {"addressing_style": "path"}
    if addressed.startswith(LOOPBACK):
        settings["proxies"] = {}
    client = session.create_client(
        service,
        region_name=connection.region,
        endpoint_url=endpoint,
        verify=connection.aws_ca_bundle or (None if connection.validate_certs else False),
        config=botocore.config.Config(**{**settings, **(connection.aws_config or {})}),
        **keys,
    )
    client.meta.events.register("before-call", _note_request)
    client.meta.events.register("before-parse", _check_json)
    return client
