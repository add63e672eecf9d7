# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Backend blocks and data sources in the text of one Terraform or OpenTofu file. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from .code_layer import BLOCK, READER, Layer, layer_of
from .hcl_parser import (
    PLACEHOLDER,
    UNKNOWN,
    Evaluator,
    Hcl,
    ParsedBlock,
    Unparsable,
    json_value,
    labelled,
    members,
    plain,
)

T = TypeVar("T")
#: The type of a backend, its configuration, and the line of its `acl`.
_Declaration: TypeAlias = "tuple[str | None, Any, int | None]"

ENDINGS = (".tf", ".tofu", ".tf.json", ".tofu.json")
_READS = "terraform_remote_state"
#: Where no block can begin, none does: of 12,000 files most need no parser.
_MAY_DECLARE = re.compile(r'(?<![\w."-])(?:backend|cloud|state_store)(?![\w-])[ \t]*(?:"|/[*]|[^\W\d]|\{)')
#: Tests, whose `run` blocks may have a backend from Terraform 1.13 on.
TEST_ENDINGS = (".tftest.hcl", ".tftest.json", ".tofutest.hcl", ".tofutest.json")
_MAY_READ = re.compile(rf"(?<![\w.-]){_READS}(?![\w.-])")
_REQUIRED = "required_version"
#: Comments by which generators claim a file as theirs.
GENERATED = re.compile(
    r"^[ \t]*(?:#|//|/?\*+).{0,300}?(?:\bgenerated\s+by\b|\bauto(?:matically)?[- ]?generated\b"
    r"|\bgenerated\s+automatically\b|\bcode\s+generated\b.{0,300}?\bdo\s+not\s+(?:edit|modify)\b|\bdo\s+not\s+edit\b.{0,300}?\bgenerated\b"
    r"|\bthis\s+file\s+(?:is|was)\s+generated\b)",
    re.IGNORECASE | re.MULTILINE,
)
_DECLARING = ("backend", "cloud", "state_store")
#: Folders that generators write.
GENERATED_FOLDERS = (".terragrunt-cache", ".terragrunt-stack", "cdktf.out")


@dataclass(frozen=True)
class Declared:
    """A backend or cloud block; the layer is None for any but S3."""

    path: str
    layer: Layer | None
    #: Whether the type is only known when something runs that writes the block.
    is_open: bool = False


def is_generated(path: str, text: str) -> bool:
    return any(f"/{folder}/" in f"/{path}" for folder in GENERATED_FOLDERS) or bool(GENERATED.search(text))


def declared_in(path: str, text: str, source: str = BLOCK, is_json: bool | None = None) -> list[Declared]:
    """The backends that a file declares, of any type. Raises Unparsable if that cannot be told."""
    outer = "run" if path.endswith(TEST_ENDINGS) else "terraform"
    if is_json if is_json is not None else path.endswith(".json"):
        found = _declared_in_json(text, outer) if _may_be_named(text, *_DECLARING) else iter(())
    else:
        found = _declared_in_hcl(text, outer) if _MAY_DECLARE.search(text) else iter(())
    generated = is_generated(path, text)
    return [
        Declared(
            path,
            layer_of(path, source, config, generated, acl_line) if kind == "s3" else None,
            kind is not None and PLACEHOLDER in kind,
        )
        for kind, config, acl_line in _guarded(found)
    ]


def _guarded(found: Iterable[T]) -> list[T]:
    try:
        return list(found)
    except RecursionError:
        raise Unparsable("it is nested deeper than any Terraform") from None


def _may_be_named(text: str, *words: str) -> bool:
    """JSON may write any letter by its number."""
    return "\\u" in text or any(word in text for word in words)


def _declared_in_hcl(text: str, outermost: str) -> Iterator[_Declaration]:
    hcl = Hcl(text)
    evaluator = Evaluator(hcl)
    for outer in hcl.blocks(outermost):
        for inner in hcl.items(outer.start, outer.end):
            type_ = getattr(inner, "type", None)
            if type_ == "cloud":
                yield None, None, None
            elif type_ == "state_store":
                yield PLACEHOLDER, None, None
            elif type_ == "backend":
                kind = inner.labels[0] if isinstance(inner, ParsedBlock) and inner.labels else PLACEHOLDER
                if kind == "s3":
                    acl_line = hcl.line_of("acl", inner.start, inner.end)
                    yield kind, hcl.attributes(inner.start, inner.end, evaluator), acl_line
                else:
                    yield kind, None, None


def _declared_in_json(text: str, outermost: str) -> Iterator[_Declaration]:
    bodies = members(json_value(text), outermost)
    for outer in bodies if outermost == "terraform" else (body for each in bodies for _name, body in labelled(each)):
        for kind, config in ((kind, config) for each in members(outer, "backend") for kind, config in labelled(each)):
            if config is not None:
                yield kind, plain(config, _literal) if kind == "s3" else None, None
        for each in members(outer, "cloud"):
            if each is not None:
                yield None, None, None
        for _each in members(outer, "state_store"):
            yield PLACEHOLDER, None, None


def _literal(text: str) -> Any:
    """A string of a backend in JSON: to Terraform it is no template (it evaluates without a context), to OpenTofu one.

    Source: backendInitFromConfig of internal/command/meta_backend.go; StaticEvaluator of OpenTofu from 1.8 on.
    """
    return UNKNOWN if "${" in text or "%{" in text else text


def readers_in(path: str, text: str) -> list[Layer]:
    """The data sources of a file that read states in S3."""
    if path.endswith(".json"):
        found = _readers_in_json(text) if _may_be_named(text, _READS) else iter(())
    else:
        found = _readers_in_hcl(text) if _MAY_READ.search(text) else iter(())
    readers = []
    for values in _guarded(found):
        backend, config = values.get("backend"), values.get("config", {})
        if isinstance(config, list) and len(config) == 1:
            config = config[0]
        is_open = not isinstance(backend, str) or PLACEHOLDER in backend
        if backend == "s3" or is_open:
            readers.append(layer_of(path, READER, config))
    return readers


def _readers_in_hcl(text: str) -> Iterator[dict[str, Any]]:
    hcl = Hcl(text)
    evaluator = Evaluator(hcl)
    for block in hcl.blocks("data"):
        if block.labels[:1] == (_READS,):
            yield hcl.attributes(block.start, block.end, evaluator)


def _readers_in_json(text: str) -> Iterator[dict[str, Any]]:
    for outer in members(json_value(text), "data"):
        for each in members(outer, _READS):
            for _name, body in labelled(each):
                values = plain(body, _template)
                if isinstance(values, dict):
                    yield values


def _template(text: str) -> Any:
    """A string in JSON that is a template, as nearly all are."""
    hcl = Hcl(text)
    try:
        return Evaluator(hcl).template(text)
    except Unparsable:
        return UNKNOWN


def required_versions(path: str, text: str) -> Iterator[str]:
    """Every `required_version` of a file. What cannot be read is Terraform's to judge."""
    if _REQUIRED not in text:
        return
    try:
        if path.endswith(".json"):
            values = [each for outer in members(json_value(text), "terraform") for each in members(outer, _REQUIRED)]
        else:
            hcl = Hcl(text)
            evaluator = Evaluator(hcl)
            values = [
                evaluator.value(item.start, item.end)
                for outer in hcl.blocks("terraform")
                for item in hcl.items(outer.start, outer.end)
                if getattr(item, "name", None) == _REQUIRED
            ]
    except (Unparsable, RecursionError):
        return
    yield from (each for each in values if isinstance(each, str))


def is_override(path: str) -> bool:
    """Source: https://developer.hashicorp.com/terraform/language/files/override"""
    stem = path.rpartition("/")[2].removesuffix(".json").rpartition(".")[0]
    return stem == "override" or stem.endswith("_override")


def effective(declared: list[Declared], tofu_names: frozenset[str], private: Collection[str] = ()) -> list[Declared]:
    """The backends of a folder for Terraform, which reads .tf alone, and for OpenTofu, which prefers a .tofu.

    `private` are files that others do not have: what is in effect without them counts, too.
    """
    if any(each.path in private for each in declared):
        common = [each for each in declared if each.path not in private]
        own = effective(declared, tofu_names)
        return own + [each for each in effective(common, tofu_names) if each not in own]
    terraform = [each for each in declared if not _is_tofu(each.path)]
    found = _overridden(terraform)
    if tofu_names:
        tofu = [each for each in declared if _is_tofu(each.path) or _twin(each.path) not in tofu_names]
        found += [each for each in _overridden(tofu) if each not in found]
    return found


def _overridden(declared: list[Declared]) -> list[Declared]:
    """The last override wins as a whole. Two in one file are an error, and both are told."""
    overrides = sorted({each.path for each in declared if is_override(each.path)})
    if not overrides:
        return declared
    return [each for each in declared if each.path == overrides[-1]]


def _is_tofu(path: str) -> bool:
    return path.endswith((".tofu", ".tofu.json"))


def _twin(path: str) -> str:
    """The file of OpenTofu in whose presence it does not read this one of Terraform."""
    if path.endswith(".tf.json"):
        return path.removesuffix(".tf.json") + ".tofu.json"
    return path.removesuffix(".tf") + ".tofu"
