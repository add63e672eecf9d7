# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The backends that code declares, and the code that may declare one. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from unicodedata import normalize

from .globs import literal
from .hcl_parser import PLACEHOLDER, UNKNOWN, UnknownValue, is_known

#: The arguments whose values are kept. Of any other, which may be a secret, only the name is.
KEPT = (
    *("bucket", "key", "region", "workspace_key_prefix"),
    *("use_lockfile", "dynamodb_table", "encrypt", "kms_key_id"),
)
FLAGS = ("use_lockfile", "encrypt")
#: Arguments with a secret. Only whether the code has it as text is kept.
SECRETS = ("access_key", "secret_key", "token", "sse_customer_key")
#: Those with an address, in whatever form; `endpoints` has more.
ADDRESSES = ("endpoint", "dynamodb_endpoint", "iam_endpoint", "sts_endpoint")
#: Addresses of S3.
OF_S3 = {"endpoint", "endpoints.s3"}
#: Hosts of this machine, which are those of emulators.
_LOCAL = re.compile(
    r"https?://(?:127\.[0-9.]+|\[::1\]|(?:[\w.-]+\.)?localhost(?:\.localstack\.cloud)?|host\.docker\.internal)(?:[:/]|$)",
    re.IGNORECASE,
)
#: What a backend needs before it can be initialised; `-backend-config` may bring it.
NEEDED = ("bucket", "key", "region")
#: Source: https://developer.hashicorp.com/terraform/language/backend/s3, and what it had before.
S3_ARGUMENTS = frozenset(
    {
        *KEPT,
        *("access_key", "acl", "allowed_account_ids", "assume_role", "assume_role_with_web_identity"),
        *("custom_ca_bundle", "dynamodb_endpoint", "ec2_metadata_service_endpoint"),
        *("ec2_metadata_service_endpoint_mode", "endpoint", "endpoints", "external_id", "forbidden_account_ids"),
        *("force_path_style", "http_proxy", "https_proxy", "iam_endpoint", "insecure", "max_retries", "no_proxy"),
        *("profile", "retry_mode", "role_arn", "secret_key", "session_name", "shared_config_files"),
        *("shared_credentials_file", "shared_credentials_files", "skip_credentials_validation"),
        *("skip_metadata_api_check", "skip_region_validation", "skip_requesting_account_id", "skip_s3_checksum"),
        *("sse_customer_key", "sts_endpoint", "sts_region", "token", "use_dualstack_endpoint", "use_fips_endpoint"),
        *("use_legacy_workflow", "use_path_style", "assume_role_duration_seconds", "assume_role_policy"),
        *("assume_role_policy_arns", "assume_role_tags", "assume_role_transitive_tag_keys"),
    }
)

#: What can be true as it stands. Any other text is a token that something replaces, or an ARN or the alias of an access
#: point, which is another name of some bucket. Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/
#: bucketnamingrules.html (with names of before 2018) and access-points-naming.html
_PLAIN = {
    "bucket": re.compile(r"(?!.*(?:-s3alias|--ol-s3)$)[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"),
    "region": re.compile(r"[a-z]{2,}-[a-z-]+-\d+"),
    "dynamodb_table": re.compile(r"[A-Za-z0-9_.-]*|arn:[a-z-]+:dynamodb:[a-z0-9-]+:\d+:table/[A-Za-z0-9_.-]+"),
}

CHECKOUT, TFBACKEND, BLOCK, TERRAGRUNT = "checkout", "tfbackend", "block", "terragrunt"
#: Why a layer is unknown that names no bucket.
COMMAND_LINE = "it names no bucket: only the command line of its init does (-backend-config)"
COMMAND, KNOWN, READER = "command", "known", "reader"


@dataclass(frozen=True)
class Layer:
    """A root configuration, or one of its backend configurations: where it keeps its state, as far as text says it."""

    path: str
    source: str
    #: Static values by name, of `KEPT` only.
    arguments: Mapping[str, Any]
    #: Every argument that is given, static or not; those of `endpoints` as `endpoints.dynamodb`.
    given: frozenset[str]
    #: Those of `KEPT` that are given, but only known when Terraform runs.
    unknown: frozenset[str] = frozenset()
    #: The file of its backend block, where `path` is that of a file for `-backend-config`.
    block: str | None = None
    #: Whether a generator owns the file: an edit would be lost.
    is_generated: bool = False
    #: The canned ACL of its uploads, if that is static, and the place where it is given.
    acl: str | None = None
    acl_at: str | None = None
    #: Those of `SECRETS` that the code has as text.
    secrets: frozenset[str] = frozenset()
    #: What lets others read or change what clients send: addresses without TLS, by the names in `given`; `insecure`.
    insecure: frozenset[str] = frozenset()
    #: Whether its S3 is on this machine.
    is_local: bool = False

    def __hash__(self) -> int:
        return hash((self.path, self.source, self.block, self.given, self.unknown))

    @property
    def directory(self) -> str:
        folder = (self.block or self.path).rpartition("/")[0]
        return folder.rpartition("/")[0] if self.source == CHECKOUT else folder

    @property
    def place(self) -> tuple[str | None, str | None]:
        """Key and prefix of its states, as far as they are known."""
        return self.arguments.get("key"), self.arguments.get("workspace_key_prefix")

    @property
    def is_partial(self) -> bool:
        return not set(NEEDED) <= self.given

    @property
    def lock_mode(self) -> str:
        """What its clients lock: dynamodb, lockfile, both, none; or unknown."""
        if self.unknown & {"use_lockfile", "dynamodb_table"}:
            return "unknown"
        in_file, in_table = self.arguments.get("use_lockfile") is True, bool(self.arguments.get("dynamodb_table"))
        return {(True, True): "both", (True, False): "lockfile", (False, True): "dynamodb"}.get(
            (in_file, in_table), "unknown" if self.is_partial else "none"
        )

    @property
    def may_name_table(self) -> bool:
        """Whether its client may lock in a table that the text does not name: what completes it is not there to see."""
        if "dynamodb_table" in self.given:
            return "dynamodb_table" in self.unknown
        return self.source in (BLOCK, TFBACKEND, COMMAND) and not {"bucket", "key"} <= self.given

    @property
    def reason(self) -> str | None:
        """Why nobody can tell its bucket; None if everybody can."""
        if "bucket" in self.arguments:
            return None
        if "bucket" in self.unknown:
            return "its bucket is no plain name, or only known when its client runs"
        return COMMAND_LINE

    def to_result(self) -> dict[str, Any]:
        """The layer as results return it: a value that is not static is "unknown"."""
        values = {name: "unknown" if name in self.unknown else self.arguments.get(name) for name in KEPT}
        return {"path": self.path, "source": self.source, "lock_mode": self.lock_mode, **values}


@dataclass(frozen=True)
class UnreadableCode:
    """A file that may declare a backend, without saying for certain which."""

    path: str
    reason: str
    #: The file of the backend block, where that is another one.
    block: str | None = None

    def to_result(self) -> dict[str, str]:
        return {"path": self.path, "reason": self.reason}


@dataclass(frozen=True)
class CodeMap:
    layers: tuple[Layer, ...] = ()
    #: Files that cannot be read.
    unreadable: tuple[UnreadableCode, ...] = ()
    #: Directory of layers -> every `required_version` in it; a client has to satisfy them all.
    required: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: Files that can be read, and write or include what cannot.
    unresolved: tuple[UnreadableCode, ...] = ()
    #: Data sources that read the state of a backend.
    readers: tuple[Layer, ...] = ()
    #: What the operator said (`code_known`), as results repeat it.
    known: tuple[Mapping[str, Any], ...] = ()

    def count(self, bucket: str) -> int:
        """How many configurations keep their state in the bucket, each once, however many files tell of it."""
        using = [layer for layer in self.layers if layer.arguments.get("bucket") == bucket]
        declared = {(each.directory, *each.place): each for each in using if each.source != CHECKOUT}
        folders = {folder for folder, *_place in declared}
        # A file without a block is used by some code: which, only a checkout says.
        alone = {each.place for each in declared.values() if each.source == TFBACKEND and each.block is None}
        more = [each for each in using if each.source == CHECKOUT and each.directory not in folders]
        return len(declared) + sum(each.place not in alone for each in more)

    def unknown(self, region: str | None = None) -> list[UnreadableCode]:
        """All that may be a backend in this region, and does not say for certain which."""
        open_ones = [
            UnreadableCode(layer.path, layer.reason, layer.block)
            for layer in self.layers
            if layer.reason and _may_be_in(layer, region)
        ]
        return list(dict.fromkeys([*self.unreadable, *self.unresolved, *open_ones]))

    def unknown_readers(self, region: str | None = None, asked: str = "bucket") -> list[UnreadableCode]:
        """Data sources that may read from this region, and whose bucket or table only a run knows."""
        return [
            UnreadableCode(each.path, f"a terraform_remote_state in it has a {asked} that is only known when it runs")
            for each in self.readers
            if (asked in each.unknown or (asked == "bucket" and asked not in each.given)) and _may_be_in(each, region)
        ]


def names_table(arguments: Mapping[str, Any], table: str | None) -> bool:
    """DynamoDB takes the ARN of a table for its name."""
    named = arguments.get("dynamodb_table")
    return named is not None and table in (named, str(named).rpartition(":table/")[2])


def _may_be_in(layer: Layer, region: str | None) -> bool:
    """A region that the code names is another backend's, if it is another."""
    is_open = layer.reason == COMMAND_LINE and layer.source in (BLOCK, TFBACKEND, COMMAND)  # with the bucket, it may be
    return is_open or region is None or layer.arguments.get("region") in (None, region)


def describe(unknown: Sequence[UnreadableCode], places: int = 10) -> str:
    """What is unknown, counted and named, those of one reason together."""
    by_reason: dict[str, list[str]] = {}
    for each in unknown:
        by_reason.setdefault(each.reason, []).append(each.path)
    share = max(places // max(len(by_reason), 1), 1)
    reasons = [f"{listed(paths, share)} ({reason})" for reason, paths in by_reason.items()]
    more = f"; and {len(reasons) - places} more reasons" if len(reasons) > places else ""
    return f"{'; '.join(reasons[:places])}{more}"


def listed(names: Iterable[str], places: int = 10) -> str:
    """The first names, and how many more there are."""
    ordered = list(dict.fromkeys(names))
    more = f" and {len(ordered) - places} more" if len(ordered) > places else ""
    return f"{', '.join(ordered[:places])}{more}"


def refusal(unknown: Sequence[UnreadableCode]) -> Iterator[str]:
    """Why an operation is refused."""
    if unknown:
        count = f"{len(unknown)} places" if len(unknown) > 1 else "1 place"
        yield (
            f"{count} in the code may be clients of this backend, and the code does not say for certain: "
            f"{describe(unknown)}. Say what they are in code_known, such as "
            f'{{paths: "{literal(unknown[0].path)}", backend: none}} if there is no S3 backend, and else its bucket '
            "and how it locks; or complete their backends (code_backend_files)"
        )


def unknown_in(found: Iterable[UnreadableCode]) -> list[dict[str, str]]:
    """As results return it."""
    return [each.to_result() for each in found]


def merged(block: Layer, more: Layer) -> Layer:
    """As `init -backend-config` does: what is given there wins."""
    is_file = more.source in (TFBACKEND, COMMAND)
    return replace(
        block,
        path=more.path if is_file else block.path,
        block=block.block or (block.path if is_file else None),
        arguments={**{key: each for key, each in block.arguments.items() if key not in more.given}, **more.arguments},
        given=block.given | more.given,
        unknown=(block.unknown - more.given) | more.unknown,
        is_generated=more.is_generated if is_file else block.is_generated,
        acl=more.acl if "acl" in more.given else block.acl,
        acl_at=more.acl_at if "acl" in more.given else block.acl_at,
        secrets=frozenset({*(block.secrets - more.given), *more.secrets}),
        insecure=frozenset({*(each for each in block.insecure if not _is_given(each, more)), *more.insecure}),
        is_local=more.is_local if more.given & OF_S3 else block.is_local,
    )


def _is_given(name: str, layer: Layer) -> bool:
    return bool({name, name.partition(".")[0]} & layer.given)


def layer_of(path: str, source: str, config: Any, is_generated: bool = False, acl_line: int | None = None) -> Layer:
    """`config` has values as the parser evaluates them; one that it cannot makes all that is kept unknown."""
    if not isinstance(config, Mapping):
        everything = frozenset(KEPT) if isinstance(config, UnknownValue) else frozenset[str]()
        return Layer(path, source, {}, everything, everything, is_generated=is_generated)
    named = {str(name): value for name, value in config.items() if value is not None}
    if "lock_table" in named and "dynamodb_table" not in named:  # what Terragrunt still takes for it
        named["dynamodb_table"] = named["lock_table"]
    endpoints = named.get("endpoints")
    inner = [each for each in (endpoints if isinstance(endpoints, list) else [endpoints]) if isinstance(each, Mapping)]
    nested = {f"endpoints.{name}" for each in inner for name, value in each.items() if value is not None}
    addresses = {name: named[name] for name in ADDRESSES if name in named}
    addresses |= {f"endpoints.{name}": value for each in inner for name, value in each.items()}
    texts = {name: str(value) for name, value in addresses.items() if isinstance(value, str) and is_known(value)}
    open_ones = {name for name, text in texts.items() if text.lower().startswith("http://") and not _LOCAL.match(text)}
    static = {name: _static(name, named[name]) for name in KEPT if name in named}
    return Layer(
        path=path,
        source=source,
        arguments={name: value for name, value in static.items() if value is not None},
        given=frozenset({*named, *nested}),
        unknown=frozenset(name for name, value in static.items() if value is None),
        is_generated=is_generated,
        acl=_static("acl", named.get("acl", UNKNOWN)),
        acl_at=None if "acl" not in named else f"{path}:{acl_line}" if acl_line else path,
        secrets=frozenset(name for name in SECRETS if _is_text_of(named.get(name))),
        insecure=frozenset(open_ones | ({"insecure"} if _flag(named.get("insecure")) else set())),
        is_local=any(_LOCAL.match(text) for name, text in texts.items() if name in OF_S3),
    )


def _static(name: str, value: Any) -> Any:
    """As the client converts it; None if it is only known when Terraform runs."""
    if not is_known(value) or isinstance(value, (dict, list)):
        return None
    if name in FLAGS:
        return _flag(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    text = normalize("NFC", str(value))  # as cty does with every string
    is_plain = name not in _PLAIN or _PLAIN[name].fullmatch(text)
    return text if is_plain and _is_text(text) else None


def _flag(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "1": True, "false": False, "0": False}.get(value) if isinstance(value, str) else None


def _is_text_of(secret: Any) -> bool:
    """Whether an argument has a secret as text, and neither a blank nor a token that something replaces."""
    return isinstance(secret, str) and is_known(secret) and bool(re.fullmatch(r"[A-Za-z0-9/+=_-]+", secret))


def _is_text(text: str) -> bool:
    """Bytes that are not UTF-8 were read as surrogates; what the client makes of them is its own affair."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def with_placeholders(value: Any) -> Any:
    """For a text that is made of it, such as JSON."""
    if isinstance(value, Mapping):
        return {name: with_placeholders(each) for name, each in value.items()}
    if isinstance(value, list):
        return [with_placeholders(each) for each in value]
    return PLACEHOLDER if value is UNKNOWN else value


def parents(path: str) -> Iterator[str]:
    """The folders that a file or folder is in, the innermost first, up to the first."""
    while path:
        path = path.rpartition("/")[0]
        yield path
