# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Terraform and OpenTofu code as a map of who keeps state where: text in, layers out.

Pure. The only room that imports python-hcl2, and only once there is a backend block to read.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ._core import TfstateError
from ._hcl import blocks_in

#: The arguments whose values are kept. Of any other, which may be a secret, only the name is.
KEPT = (
    *("bucket", "key", "region", "workspace_key_prefix"),
    *("use_lockfile", "dynamodb_table", "encrypt", "kms_key_id"),
)
FLAGS = ("use_lockfile", "encrypt")
#: What a backend needs before it can be initialised; `-backend-config` may bring it.
NEEDED = ("bucket", "key", "region")

REQUIRED = "required_version"
CHECKOUT, TFBACKEND, BLOCK, TERRAGRUNT = "checkout", "tfbackend", "block", "terragrunt"


class HclMissing(TfstateError):
    """There is code to read, and nothing to read it with."""

    def __init__(self) -> None:
        super().__init__(
            "reading Terraform code needs the Python library python-hcl2: pip install python-hcl2 "
            "into the Python that runs Ansible, or leave code out"
        )


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

    @property
    def directory(self) -> str:
        folder = self.path.rpartition("/")[0]
        return folder.removesuffix(".terraform").rstrip("/") if self.source == CHECKOUT else folder

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

    def told(self) -> dict[str, Any]:
        """The layer for people and other tools: a value that is not static is "unknown"."""
        values = {name: "unknown" if name in self.unknown else self.arguments.get(name) for name in KEPT}
        return {"path": self.path, "source": self.source, "lock_mode": self.lock_mode, **values}


@dataclass(frozen=True)
class Unreadable:
    """A file that may hold a backend, and cannot be read."""

    path: str
    reason: str


@dataclass(frozen=True)
class CodeMap:
    layers: tuple[Layer, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    #: Directory of layers -> every `required_version` in it; a client has to satisfy them all.
    required: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def source_of(path: str) -> str | None:
    """What a file of this name may hold; None if no backend."""
    folder, _slash, name = path.rpartition("/")
    if name == "terraform.tfstate" and (folder == ".terraform" or folder.endswith("/.terraform")):
        return CHECKOUT
    if name.endswith(".tfbackend"):
        return TFBACKEND
    if name.endswith((".tf", ".tofu", ".tf.json", ".tofu.json")):
        return BLOCK
    is_settings = name.startswith(".") or name.endswith((".pkr.hcl", ".nomad.hcl"))
    return TERRAGRUNT if name.endswith(".hcl") and not is_settings else None


def code_map(files: Iterable[tuple[str, str]], unreadable: Iterable[Unreadable] = ()) -> CodeMap:
    """The map of these files, as (path, text)."""
    failed = list(unreadable)
    by_directory: dict[str, list[Layer]] = defaultdict(list)
    required: dict[str, tuple[str, ...]] = {}
    for path, text in files:
        try:
            folder = path.rpartition("/")[0]
            if versions := tuple(_required_versions(path, text)):
                required[folder] = (*required.get(folder, ()), *versions)
            for layer in layers_of(path, text):
                by_directory[layer.directory].append(layer)
        except _Nonsense as problem:
            failed.append(Unreadable(path, str(problem)))
    found = [layer for directory in by_directory.values() for layer in _assembled(directory)]
    return CodeMap(
        tuple(sorted(found, key=lambda each: (each.path, each.source))),
        tuple(sorted(failed, key=lambda each: each.path)),
        {directory: versions for directory, versions in required.items() if directory in by_directory},
    )


def _assembled(layers: list[Layer]) -> Iterator[Layer]:
    """The layers of a directory. A partial block takes the rest from each .tfbackend beside it, or from a checkout."""
    of = {source: [each for each in layers if each.source == source] for source in (BLOCK, TFBACKEND, CHECKOUT)}
    blocks = [each for each in of[BLOCK] if _is_override(each.path)] or of[BLOCK]
    yield from (each for each in layers if each.source == TERRAGRUNT)
    yield from of[CHECKOUT]
    if not blocks:
        yield from of[TFBACKEND]
    for block in blocks:
        rest = (of[TFBACKEND] or of[CHECKOUT]) if block.is_partial else []
        yield from (_merged(block, more) for more in rest)
        if not rest:
            yield block


def _is_override(path: str) -> bool:
    """Source: https://developer.hashicorp.com/terraform/language/files/override"""
    stem = path.rpartition("/")[2].removesuffix(".json").rpartition(".")[0]
    return stem == "override" or stem.endswith("_override")


def _merged(block: Layer, more: Layer) -> Layer:
    """As `init -backend-config` does: what is given there wins."""
    path = more.path if more.source == TFBACKEND else block.path
    return replace(
        block,
        path=path,
        arguments={**_without(block.arguments, more.given), **more.arguments},
        given=block.given | more.given,
        unknown=(block.unknown - more.given) | more.unknown,
    )


def _without(values: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in set(names)}


class _Nonsense(TfstateError):
    """A text that is not what its name says."""


def layers_of(path: str, text: str) -> Iterator[Layer]:
    """The backends of one file, each by itself. Raises HclMissing where there is one, and no library to read it."""
    source = source_of(path)
    if source == CHECKOUT:
        configs = _of_checkout(_json(text))
    elif source == BLOCK and path.endswith(".json"):
        configs = (each for block in _listed(_member(_json(text), "terraform")) for each in _of_block(block))
    elif source == BLOCK:
        configs = (each for block in _parsed_blocks(text, "terraform", "backend") for each in _of_block(block))
    elif source == TFBACKEND:
        configs = iter([_json(text) if text.lstrip().startswith("{") else _hcl(text)])
    else:
        configs = (each for block in _parsed_blocks(text, "remote_state", "s3") for each in _of_remote_state(block))
    for config in configs:
        yield _layer(path, source or BLOCK, config)


def _of_checkout(state: Any) -> Iterator[Any]:
    """Source: what `terraform init` leaves in .terraform/terraform.tfstate, version 3."""
    backend = _member(state, "backend")
    if _text(_member(backend, "type")) == "s3":
        yield _member(backend, "config")


def _of_block(terraform: Any) -> Iterator[Any]:
    for backend in _listed(_member(terraform, "backend")):
        yield from _listed(_member(backend, "s3"))


def _required_versions(path: str, text: str) -> Iterator[str]:
    if source_of(path) != BLOCK or REQUIRED not in text:
        return
    if path.endswith(".json"):
        told = (_text(_member(block, REQUIRED)) for block in _listed(_member(_json(text), "terraform")))
        yield from (each for each in told if each)
        return
    for block in blocks_in(text, "terraform"):
        yield from re.findall(rf'^\s*{REQUIRED}\s*=\s*"([^"]*)"', block, re.MULTILINE)


def _of_remote_state(block: Any) -> Iterator[Any]:
    if _text(_member(block, "backend")) == "s3":
        yield from _listed(_member(block, "config"))


def _layer(path: str, source: str, config: Any) -> Layer:
    given = {_name(name): value for name, value in config.items()} if isinstance(config, dict) else {}
    given.pop("__is_block__", None)
    named = {name: value for name, value in given.items() if value is not None}
    inner = [each for each in _listed(named.get("endpoints")) if isinstance(each, dict)]
    nested = {f"endpoints.{_name(name)}" for each in inner for name, value in each.items() if value is not None}
    static = {name: _static(name, named[name]) for name in KEPT if name in named}
    return Layer(
        path=path,
        source=source,
        arguments={name: value for name, value in static.items() if value is not None},
        given=frozenset({*named, *nested}),
        unknown=frozenset(name for name, value in static.items() if value is None),
    )


def _static(name: str, value: Any) -> Any:
    """None if it is only known when Terraform runs."""
    text = _text(value)
    if name in FLAGS:
        return {"true": True, "false": False}.get(str(value if text is None else text).lower())
    return text if text is not None else None


def _text(value: Any) -> str | None:
    """The string that a literal stands for. Newer python-hcl2 keeps its quotes, older ones do not."""
    if not isinstance(value, str) or value.startswith(('"<<', "<<")):
        return None
    if len(value) > 1 and value[0] == value[-1] == '"':
        try:
            value = str(json.loads(value))
        except ValueError:
            value = value[1:-1]
    escaped = str(value).replace("$${", "\0").replace("%%{", "\1")
    if "${" in escaped or "%{" in escaped:
        return None
    return escaped.replace("\0", "${").replace("\1", "%{")


def _name(name: Any) -> str:
    return str(name).strip('"')


def _member(value: Any, name: str) -> Any:
    if not isinstance(value, dict):
        return None
    return next((each for key, each in value.items() if _name(key) == name), None)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _Nonsense(f"it is not JSON: {error}") from None


def _parsed_blocks(text: str, name: str, word: str) -> Iterator[Any]:
    """The bodies of blocks that mention a word: python-hcl2 takes a second for 1,500 lines, so it gets no others."""
    for block in blocks_in(text, name) if word in text else ():
        if word in block:
            yield from _listed(_member(_hcl(block), name))


def _hcl(text: str) -> Any:
    try:
        import hcl2
        from lark.exceptions import LarkError
    except ImportError:
        raise HclMissing from None
    try:
        return hcl2.loads(text if text.endswith("\n") else f"{text}\n")
    except (LarkError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _Nonsense(f"it is not HCL: {' '.join(str(error).split())[:200]}") from None
