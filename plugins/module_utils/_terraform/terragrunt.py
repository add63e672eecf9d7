# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Backends that Terragrunt writes or passes on, as far as its text is static. Pure.

Source: https://terragrunt.gruntwork.io/docs/reference/hcl/blocks/ and /attributes/, config/config.go (RemoteStateAttr,
GenerateAttrs) of gruntwork-io/terragrunt
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from posixpath import normpath
from typing import Any

from .code_blocks import ENDINGS, declared_in
from .code_layer import TERRAGRUNT, Layer, UnreadableCode, layer_of, parents, with_placeholders
from .code_partial import CONFIG_ENDINGS, TELLING
from .hcl_parser import PLACEHOLDER, UNKNOWN, Attribute, Evaluator, Hcl, Unparsable, json_value, plain, small

STACK = "terragrunt.stack.hcl"
UNITS = ("terragrunt.hcl", "terragrunt.hcl.json")
#: A folder that contains the file, whichever it is.
_PARENT = f"{PLACEHOLDER}parent__"
_MENTIONS = re.compile(r"\b(?:remote_state|generate|include|terraform|unit|stack)\b")
_ASKED = re.compile(r'\b(?:find_in_parent_folders|read_terragrunt_config)\(\s*"(?:[^"]*/)?([^"/$}]+)"')
_TEXTS = re.compile(r'\b(?:file|templatefile)\(\s*"([^"$%]+)"')
_PLACES = ("get_repo_root", "get_path_to_repo_root", "get_parent_terragrunt_dir", "get_terragrunt_dir")
_READ = ("locals", "remote_state", "generate", "include", "terraform", "unit", "stack")
_REMOTE = re.compile(r"::|://|@")


@dataclass
class Read:
    """What one file of Terragrunt comes to."""

    path: str
    layers: list[Layer] = field(default_factory=list)
    unresolved: list[UnreadableCode] = field(default_factory=list)
    #: Folders of code that it runs.
    sources: list[str] = field(default_factory=list)
    #: Files that it includes.
    includes: list[str] = field(default_factory=list)
    has_backend: bool = False


def asked_names(text: str) -> set[str]:
    """Names of files of Terragrunt that a text asks for, wherever they are."""
    return set(_ASKED.findall(text))


def asked_texts(path: str, text: str) -> set[str]:
    """Files that a text reads, by path. Terragrunt takes them from the folder of its file."""
    folder = path.rpartition("/")[0]
    return {_joined(folder, name) for name in _TEXTS.findall(text)}


def may_matter(path: str, text: str) -> bool:
    """JSON may write any letter by its number."""
    return bool(_MENTIONS.search(text)) or (path.endswith(".json") and "\\u" in text)


def _joined(folder: str, name: str) -> str:
    return normpath(name if name.startswith("/") or not folder else f"{folder}/{name}")


@dataclass
class Terragrunt:
    """All that was read, by which includes and sources are found."""

    #: Files of Terragrunt by path, and texts that they read.
    files: Mapping[str, str]
    texts: Mapping[str, str]
    #: Folders that hold anything that was looked at.
    folders: Collection[str]
    #: Files whose text is left out, as nothing in them matters.
    idle: Collection[str] = ()

    def read(self) -> Iterator[Read | UnreadableCode]:
        found: dict[str, Read] = {}
        for path, text in self.files.items():
            try:
                found[path] = self._read(path, text)
            except (Unparsable, RecursionError) as problem:
                reason = str(problem) if isinstance(problem, Unparsable) else "it is nested too deep"
                yield UnreadableCode(path, reason)
        for each in found.values():
            self._check_source(each, found)
            yield each

    def _read(self, path: str, text: str) -> Read:
        read = Read(path)
        values = self._json(path, text) if path.endswith(".json") else self._hcl(path, text)
        for each in _bodies(values.get("remote_state")):
            self._remote_state(read, each)
        for name, each in _labelled(values.get("generate")):
            self._generate(read, name, each)
        for name, each in _labelled(values.get("include"), "path"):
            self._include(read, name, each)
        if path.rpartition("/")[2] == STACK:
            for kind in ("unit", "stack"):
                for name, each in _labelled(values.get(kind)):
                    self._unit(read, kind, name, each)
        else:
            for each in _bodies(values.get("terraform")):
                source = each.get("source") if isinstance(each, Mapping) else UNKNOWN
                if source is not None:
                    read.sources.append(source if isinstance(source, str) else PLACEHOLDER)
        return read

    def _hcl(self, path: str, text: str) -> dict[str, Any]:
        hcl = Hcl(text)
        local: dict[str, Attribute] = {}
        items = list(hcl.items())
        for item in items:
            if not isinstance(item, Attribute) and item.type == "locals":
                local |= {each.name: each for each in hcl.items(item.start, item.end) if isinstance(each, Attribute)}
        evaluator = self._evaluator(hcl, path, local)
        values: dict[str, Any] = {}
        for item in items:
            if isinstance(item, Attribute):
                if item.name in _READ:
                    values[item.name] = evaluator.value(item.start, item.end)
            elif item.type in _READ[1:]:
                inner: Any = hcl.attributes(item.start, item.end, evaluator)
                for label in reversed(item.labels):
                    inner = {label: inner}
                values[item.type] = [*_bodies(values.get(item.type)), inner]
        return values

    def _evaluator(self, hcl: Hcl, path: str, local: Mapping[str, Attribute]) -> Evaluator:
        known: dict[str, Any] = {}

        def lookup(parts: Sequence[str]) -> Any:
            item = local.get(parts[1]) if len(parts) > 1 and parts[0] == "local" else None
            if item is None:
                return UNKNOWN
            if item.name not in known:
                known[item.name] = UNKNOWN  # as long as it is asked for by itself
                known[item.name] = small(evaluator.value(item.start, item.end))
            value = known[item.name]
            for part in parts[2:]:
                value = value.get(part, UNKNOWN) if isinstance(value, Mapping) else UNKNOWN
            return value

        evaluator = Evaluator(hcl, lookup, self._functions(path))
        return evaluator

    def _functions(self, path: str) -> dict[str, Callable[[list[Any]], Any]]:
        folder = path.rpartition("/")[0]

        def text_of(name: Any) -> Any:
            is_static = isinstance(name, str) and PLACEHOLDER not in name
            return self.texts.get(_joined(folder, name), UNKNOWN) if is_static else UNKNOWN

        def templatefile(arguments: list[Any]) -> Any:
            text = text_of(arguments[0]) if arguments else UNKNOWN
            given = arguments[1] if len(arguments) > 1 and isinstance(arguments[1], Mapping) else {}

            def lookup(parts: Sequence[str]) -> Any:
                return given.get(parts[0], UNKNOWN) if len(parts) == 1 else UNKNOWN

            return Evaluator(Hcl(""), lookup).template(text) if isinstance(text, str) else UNKNOWN

        return {
            "file": lambda arguments: text_of(arguments[0]) if arguments else UNKNOWN,
            "templatefile": templatefile,
            "merge": _merge,
            "jsonencode": lambda arguments: json.dumps(with_placeholders(arguments[0])) if arguments else UNKNOWN,
            "find_in_parent_folders": _find_in_parent_folders,
            "dirname": lambda arguments: _PARENT if arguments and _is_parent(arguments[0]) else UNKNOWN,
            **{name: lambda _unused: _PARENT for name in _PLACES},
        }

    def _json(self, path: str, text: str) -> dict[str, Any]:
        """Strings in JSON are templates."""

        def template(written: str) -> Any:
            hcl = Hcl(written)
            return Evaluator(hcl, functions=self._functions(path)).template(written)

        body = plain(json_value(text), template)
        bodies = body if isinstance(body, list) else [body]
        values: dict[str, Any] = {}
        for each in bodies:
            values |= each if isinstance(each, dict) else {}
        return values

    def _remote_state(self, read: Read, body: Any) -> None:
        read.has_backend = True
        if not isinstance(body, Mapping):
            read.unresolved.append(UnreadableCode(read.path, "its remote_state is an expression"))
            return
        backend = body.get("backend")
        if not isinstance(backend, str) or PLACEHOLDER in backend:
            reason = "the backend of its remote_state is an expression, which is only known when Terragrunt runs"
            read.unresolved.append(UnreadableCode(read.path, reason))
        elif backend == "s3":
            for config in _bodies(body.get("config")) or [{}]:
                read.layers.append(layer_of(read.path, TERRAGRUNT, config))

    def _generate(self, read: Read, name: str, body: Any) -> None:
        if not isinstance(body, Mapping):
            read.unresolved.append(UnreadableCode(read.path, f'its generate "{name}" is an expression'))
            return
        place, contents = body.get("path"), body.get("contents")
        is_code = not isinstance(place, str) or PLACEHOLDER in place or place.endswith(ENDINGS)
        if body.get("disable") is True:
            return
        if not is_code:
            self._generate_arguments(read, name, str(place), contents)
            return
        reason = f'what its generate "{name}" writes is only known when Terragrunt runs'
        if not isinstance(contents, str):
            read.unresolved.append(UnreadableCode(read.path, reason))
            read.has_backend = True
            return
        is_json = isinstance(place, str) and place.endswith(".json")
        try:
            found = declared_in(read.path, contents, TERRAGRUNT, is_json)
            is_open = not found and PLACEHOLDER in contents and (is_json or _may_declare(contents))
        except (Unparsable, RecursionError):
            found, is_open = [], True
        if is_open:
            read.unresolved.append(UnreadableCode(read.path, reason))
            read.has_backend = True
        for each in found:
            read.has_backend = True
            if each.layer:
                read.layers.append(each.layer)
            elif each.is_open:
                read.unresolved.append(UnreadableCode(read.path, reason))

    def _generate_arguments(self, read: Read, name: str, place: str, contents: Any) -> None:
        """A file for `-backend-config`, which it may be by its ending or by what is in it."""
        is_known = isinstance(contents, str)
        is_one = (
            place.endswith((".tfbackend", ".tfbackend.json", *CONFIG_ENDINGS))
            and any(word in contents for word in TELLING)
            if is_known
            else False
        )
        if is_one or (not is_known and place.endswith(".tfbackend")):
            reason = f'what its generate "{name}" writes may complete a backend'
            read.unresolved.append(UnreadableCode(read.path, reason))

    def _include(self, read: Read, name: str, body: Any) -> None:
        path = body.get("path") if isinstance(body, Mapping) else None
        found = self._found(read.path, path) if isinstance(path, str) else None
        if found is None:
            what = f'its include "{name}"' if name else "its include"
            told = path.replace(_PARENT, "...") if isinstance(path, str) and _is_parent(path) else None
            reason = f"{what}{f' of {told}' if told else ''} is not among the code that was read"
            read.unresolved.append(UnreadableCode(read.path, reason))
            read.has_backend = True
        else:
            read.includes.append(found)

    def _found(self, by: str, path: str) -> str | None:
        """The file of Terragrunt that a path leads to. Of a folder that is not known, any above will do."""
        folder = by.rpartition("/")[0]
        if _is_parent(path):
            tail = path[len(_PARENT) :].strip("/")
            candidates = [_joined(above, tail) for above in (folder, *parents(folder))]
            if not path[len(_PARENT) :].startswith("/") and "/" not in tail:  # find_in_parent_folders: never its own
                candidates = candidates[1:]
        else:
            candidates = [_joined(folder, path)] if PLACEHOLDER not in path else []
        found = (each for each in candidates if each != by and (each in self.files or each in self.idle))
        return next(found, None)

    def _unit(self, read: Read, kind: str, name: str, body: Any) -> None:
        source = body.get("source") if isinstance(body, Mapping) else None
        if not isinstance(source, str) or not self._is_there(read.path, source):
            told = f" {_shown(source)}" if isinstance(source, str) else ""
            reason = f'the source{told} of its {kind} "{name}" is not among the code that was read'
            read.unresolved.append(UnreadableCode(read.path, reason))

    def _check_source(self, read: Read, found: Mapping[str, Read]) -> None:
        """Code from elsewhere may have a backend of its own, unless Terragrunt gives it one."""
        if read.path.rpartition("/")[2] not in UNITS or read.has_backend:
            return
        included = [found[each] for each in read.includes if each in found]
        if any(each.has_backend for each in included):
            return
        sources = [*read.sources, *(source for each in included for source in each.sources)]
        for source in sources:
            if not self._is_there(read.path, source):
                reason = f"the code that it runs, {_shown(source)}, is not among the code that was read"
                read.unresolved.append(UnreadableCode(read.path, reason))

    def _is_there(self, by: str, source: str) -> bool:
        return self.source_folder(by, source) is not None

    def source_folder(self, by: str, source: str) -> str | None:
        """The folder that a source leads to, if it was looked at."""
        name = source.partition("?")[0].replace("//", "/").rstrip("/")
        folder = by.rpartition("/")[0]
        if _is_parent(name):
            tail = name[len(_PARENT) :].strip("/")
            candidates = [_joined(above, tail) for above in (folder, *parents(folder))]
        elif PLACEHOLDER in name or _REMOTE.search(source):
            candidates = []
        else:
            candidates = [_joined(folder, name)]
        return next((each for each in candidates if each in self.folders), None)


def _may_declare(text: str) -> bool:
    """Whether what stands in for something unknown is where a backend block could be. Raises Unparsable."""
    hcl = Hcl(text)
    items = list(hcl.items())
    for block in [each for each in items if not isinstance(each, Attribute) and each.type == "terraform"]:
        items += hcl.items(block.start, block.end)
    return any(PLACEHOLDER in (each.name if isinstance(each, Attribute) else each.type) for each in items)


def _is_parent(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(_PARENT)


def _shown(source: str) -> str:
    """Without what may be a credential in a URL."""
    told = re.sub(r"//[^/@]*@", "//", source.replace(_PARENT, "..."))
    return told.replace(PLACEHOLDER, "...")


def _find_in_parent_folders(arguments: list[Any]) -> Any:
    name = arguments[0] if arguments else "terragrunt.hcl"
    return f"{_PARENT}{name}" if isinstance(name, str) and PLACEHOLDER not in name else UNKNOWN


def _merge(arguments: list[Any]) -> Any:
    if not all(isinstance(each, Mapping) for each in arguments):
        return UNKNOWN
    return {name: value for each in arguments for name, value in each.items()}


def _bodies(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _labelled(value: Any, bare: str | None = None) -> Iterator[tuple[str, Any]]:
    """Bodies by their label; one that has `bare` among its names has none."""
    for body in _bodies(value):
        if not isinstance(body, Mapping) or (bare and bare in body and not isinstance(body[bare], Mapping)):
            yield "", body
        else:
            for name, each in body.items():
                for one in each if isinstance(each, list) else [each]:
                    yield str(name), one
