# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Terraform and OpenTofu code as a map of who keeps state where: text in, layers out. Pure.

What could be a backend and cannot be read for certain is unknown, and never left out: see CodeMap.unknown.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from posixpath import normpath
from typing import Any

from .code_blocks import (
    ENDINGS,
    TEST_ENDINGS,
    Declared,
    declared_in,
    effective,
    is_generated,
    readers_in,
    required_versions,
)
from .code_known import Known
from .code_layer import (
    BLOCK,
    CHECKOUT,
    KNOWN,
    NEEDED,
    TERRAGRUNT,
    TFBACKEND,
    CodeMap,
    Layer,
    UnreadableCode,
    layer_of,
    parents,
)
from .code_partial import (
    CONFIG_ENDINGS,
    TELLING,
    Command,
    Parts,
    anywhere,
    commands_in,
    is_config,
    is_script,
    unknown_config,
    writes_backend,
)
from .hcl_parser import Attribute, Evaluator, Hcl, Unparsable, is_known, json_value, plain
from .terragrunt import UNITS, Read, Terragrunt, asked_names, asked_texts, may_matter

__all__ = [
    "BLOCK",
    "CHECKOUT",
    "TERRAGRUNT",
    "TFBACKEND",
    "CodeMap",
    "Collector",
    "Layer",
    "Settings",
    "UnreadableCode",
    "code_map",
    "source_of",
]

SCRIPT, CDKTF, TEXT, TEST = "script", "cdktf", "text", "test"
#: A file that somebody names as one for `-backend-config`, whatever it is called.
ASKED = "asked"
#: A file beside a partial block, of which its name says nothing.
NEARBY = "nearby"
DOCUMENTS = (".md", ".rst", ".adoc")
#: What a record of `init` is called, also in a folder of TF_DATA_DIR.
RECORD = "terraform.tfstate"
_OLD_TERRAGRUNT = re.compile(r"^[ \t]*terragrunt[ \t]*=[ \t]*\{", re.MULTILINE)
_TERRAMATE = re.compile(r"^[ \t]*generate_(?:hcl|file)\b", re.MULTILINE)
_CDKTF_OUTPUT = "cdktf.out"


@dataclass(frozen=True)
class Settings:
    """What the operator says of the code: its unknown backends, and which files complete which."""

    known: Sequence[Known] = ()
    backend_files: Sequence[str] = ()
    #: The directories in which paths of these begin.
    roots: Sequence[str] = ()


def source_of(path: str) -> str | None:
    """What a file of this name may hold; None if no backend."""
    folder, _slash, name = path.rpartition("/")
    if name == RECORD:
        return CHECKOUT if folder else None
    if name.endswith((".tfbackend", ".tfbackend.json")):
        return TFBACKEND
    if name.endswith(ENDINGS):
        # What the client skips. Source: IsIgnoredFile, internal/configs/parser_config_dir.go of hashicorp/terraform
        return None if name.startswith(".") else BLOCK
    if name.endswith(TEST_ENDINGS):
        return None if name.startswith(".") else TEST
    if name == "cdktf.json":
        return CDKTF
    if name in UNITS:
        return TERRAGRUNT
    if name.endswith(".hcl"):
        return None if name.startswith(".") or name.endswith((".pkr.hcl", ".nomad.hcl")) else TERRAGRUNT
    if name.endswith(CONFIG_ENDINGS) and not name.startswith("."):
        return TFBACKEND
    return SCRIPT if is_script(name) else None


@dataclass
class Collector:
    """Takes files in, says which more it needs, and makes the map of them."""

    declared: dict[str, list[Declared]] = field(default_factory=lambda: defaultdict(list))
    checkouts: dict[str, list[Layer]] = field(default_factory=lambda: defaultdict(list))
    configs: dict[str, Layer] = field(default_factory=dict)
    #: Backends of tests, each by itself.
    tests: list[Declared] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    readers: list[Layer] = field(default_factory=list)
    failed: list[UnreadableCode] = field(default_factory=list)
    terragrunt: dict[str, str] = field(default_factory=dict)
    #: Files of Terragrunt in which nothing matters, and which may be included.
    idle: set[str] = field(default_factory=set)
    texts: dict[str, str] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    #: Of OpenTofu, all: who reads .tofu does not read the .tf of that name.
    tofu: set[str] = field(default_factory=set)
    versions: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    cdktf: dict[str, str] = field(default_factory=dict)
    #: Override files that Git ignores, as it is usual with them: they are this checkout's alone.
    private: set[str] = field(default_factory=set)
    #: Scripts, templates and settings that have the text of a backend, and why they count.
    writers: dict[str, str] = field(default_factory=dict)
    _asked: set[str] = field(default_factory=set)
    _asked_texts: set[str] = field(default_factory=set)

    def fail(self, path: str, reason: str) -> None:
        self.failed.append(UnreadableCode(path, reason))

    def add(self, path: str, text: str, source: str | None = None) -> None:
        """`source`: what it is read as; else, what its name says."""
        source = source or source_of(path)
        readers: dict[str, Callable[[str, str], object]] = {
            BLOCK: self._block,
            TEST: self._test,
            CHECKOUT: self._checkout,
            TERRAGRUNT: self._terragrunt,
            TFBACKEND: partial(self._config, is_asked=False),
            ASKED: partial(self._config, is_asked=True),
            SCRIPT: self._script,
            NEARBY: self._nearby,
            CDKTF: self.cdktf.__setitem__,
            TEXT: self.texts.__setitem__,
        }
        try:
            if source in readers:
                readers[source](path, text)
        except Unparsable as problem:
            self.fail(path, str(problem))
        except RecursionError:
            self.fail(path, "it is nested deeper than any Terraform")

    def wanted(self, paths: Iterable[str], settings: Settings) -> dict[str, str]:
        """Which of these files are needed besides, and as what."""
        named = {name for command in self.commands for name in command.files if name.strip("*")}
        partial = {
            folder
            for folder, declared in self.declared.items()
            if any(each.layer and each.layer.is_partial for each in declared)
        }
        if not (self._asked or self._asked_texts or settings.backend_files or named or partial):
            return {}
        finder = Parts({}, {}, {}, (), patterns=settings.backend_files, roots=settings.roots)
        tails: dict[str, list[re.Pattern[str]]] = defaultdict(list)
        for name in sorted(named):
            last = name.rpartition("/")[2]
            tails["" if "*" in last else last].append(anywhere(name))
        found = {}
        for path in paths:
            if path in self._asked_texts and path not in self.texts:
                found[path] = TEXT
            elif path.rpartition("/")[2] in self._asked and path not in self.terragrunt and path not in self.idle:
                found[path] = TERRAGRUNT
            elif path not in self.configs and (
                finder.is_chosen(path)
                or any(each.fullmatch(path) for each in [*tails.get(path.rpartition("/")[2], ()), *tails[""]])
            ):
                found[path] = ASKED
            elif (
                source_of(path) is None
                and not path.endswith(DOCUMENTS)
                and any(each in partial for each in parents(path))
            ):
                found[path] = NEARBY
        return found

    def result(self, settings: Settings | None = None) -> CodeMap:
        settings = settings or Settings()
        read = list(Terragrunt(self.terragrunt, self.texts, self.folders, self.idle).read())
        failed = [*self.failed, *(each for each in read if isinstance(each, UnreadableCode))]
        known = [each for each in read if isinstance(each, Read)]
        unresolved = [each for one in known for each in one.unresolved]
        blocks, opened = self._blocks()
        written = (UnreadableCode(*each) for each in self.writers.items() if each[0] not in self.texts)
        unresolved += [*opened, *self._without_output(), *written]
        parts = Parts(
            blocks,
            self.configs,
            self.checkouts,
            self.commands,
            self._completed(known),
            settings.backend_files,
            settings.roots,
        )
        found = [*(layer for each in known for layer in each.layers), *parts.layers()]
        found += [each.layer for each in self.tests if each.layer]
        folders = {each.directory for each in found}
        return _answered(
            CodeMap(
                layers=tuple(sorted(dict.fromkeys(found), key=lambda each: (each.path, each.source))),
                unreadable=tuple(sorted(dict.fromkeys(failed), key=lambda each: each.path)),
                required={
                    folder: tuple(version for path, text in files for version in required_versions(path, text))
                    for folder, files in self.versions.items()
                    if folder in folders
                },
                unresolved=tuple(sorted(dict.fromkeys(unresolved), key=lambda each: (each.path, each.reason))),
                readers=tuple(sorted(self.readers, key=lambda each: each.path)),
            ),
            settings,
        )

    def _block(self, path: str, text: str) -> None:
        folder = path.rpartition("/")[0]
        self.folders.add(folder)
        if path.endswith((".tofu", ".tofu.json")):
            self.tofu.add(path)
        if "required_version" in text:
            self.versions[folder].append((path, text))
        self.declared[folder] += declared_in(path, text)
        self.readers += readers_in(path, text)

    def _test(self, path: str, text: str) -> None:
        self.tests += declared_in(path, text)

    def _checkout(self, path: str, text: str) -> None:
        """Source: what `terraform init` leaves in terraform.tfstate of its data directory, version 3."""
        folder = path.rpartition("/")[0]
        is_record = folder == ".terraform" or folder.endswith("/.terraform")
        if not is_record and '"backend"' not in text:
            return
        try:
            backend = _member(plain(json_value(text)), "backend")
        except Unparsable:
            if is_record:
                raise
            return
        if _member(backend, "type") == "s3":
            self.checkouts[folder.rpartition("/")[0]].append(layer_of(path, CHECKOUT, _member(backend, "config")))

    def _script(self, path: str, text: str) -> None:
        self.commands += commands_in(path, text)
        if writes_backend(text):
            self.writers[path] = "it has the text of a backend, which some code gets when it is used"
        elif path.endswith((".json", ".toml")) or "." not in path.rpartition("/")[2]:
            self._nearby(path, text)

    def _nearby(self, path: str, text: str) -> None:
        """A file of any name may be one for `-backend-config`, if it is made of nothing but plain arguments."""
        if path in self.configs or not any(word in text for word in TELLING):
            return
        try:
            values = _arguments(text)
        except (Unparsable, RecursionError):
            return
        if values is not None and is_known(values) and is_config(path, values):
            self.configs[path] = _config_layer(path, text, values)

    def _terragrunt(self, path: str, text: str) -> None:
        self.folders.add(path.rpartition("/")[0])
        self.commands += commands_in(path, text)  # as extra_arguments may have them
        if _TERRAMATE.search(text) and writes_backend(text):
            self.writers[path] = "Terramate writes its backend to some code"
        if any(word in text for word in TELLING):
            self._config(path, text)
        if path in self.configs or not may_matter(path, text):
            self.idle.add(path)
            return
        self.terragrunt[path] = text
        self._asked |= asked_names(text)
        self._asked_texts |= asked_texts(path, text)

    def _config(self, path: str, text: str, is_asked: bool = False) -> None:
        """A file of arguments. One that may be something else is none where it cannot be read as such."""
        try:
            values = _arguments(text)
        except (Unparsable, RecursionError):
            if is_asked:
                self.configs[path] = unknown_config(path)
            if path.endswith((".tfbackend", ".tfbackend.json")):
                raise
            values = None
        if path.endswith(".tfvars") and _OLD_TERRAGRUNT.search(text):
            self.fail(path, "it is Terragrunt's from before 0.19, which is not read")
        elif values is not None and (is_asked or is_config(path, values)):
            self.configs[path] = _config_layer(path, text, values)

    def _blocks(self) -> tuple[dict[str, list[Layer]], list[UnreadableCode]]:
        tofu: dict[str, set[str]] = defaultdict(set)
        for path in self.tofu:
            tofu[path.rpartition("/")[0]].add(path)
        blocks: dict[str, list[Layer]] = {}
        opened = []
        for folder, declared in self.declared.items():
            found = effective(declared, frozenset(tofu.get(folder, ())), self.private) if declared else []
            if layers := [each.layer for each in found if each.layer]:
                blocks[folder] = layers
            opened += [
                UnreadableCode(each.path, "the type of its backend is not known") for each in found if each.is_open
            ]
        return blocks, opened

    def _without_output(self) -> Iterable[UnreadableCode]:
        for path, text in self.cdktf.items():
            folder = path.rpartition("/")[0]
            try:
                name = _member(plain(json_value(text)), "output")
            except Unparsable:
                name = None
            output = normpath(f"{folder or '.'}/{name if isinstance(name, str) else _CDKTF_OUTPUT}")
            if not any(each == output or each.startswith(f"{output}/") for each in self.folders):
                yield UnreadableCode(path, "it is a program of CDKTF without its output: run cdktf synth")

    def _completed(self, read: Sequence[Read]) -> set[str]:
        """Folders whose backend Terragrunt passes on: those of its own files, and those of the code that they run."""
        finder = Terragrunt(self.terragrunt, self.texts, self.folders, self.idle)
        by_path = {each.path: each for each in read}
        found = set()
        for each in read:
            if each.path.rpartition("/")[2] not in UNITS:
                continue
            given = [each, *(by_path[name] for name in each.includes if name in by_path)]
            if any(one.layers or one.unresolved for one in given):
                found.add(each.path.rpartition("/")[0])
                found |= {place for source in each.sources if (place := finder.source_folder(each.path, source))}
        return found


def code_map(
    files: Iterable[tuple[str, str]], unreadable: Iterable[UnreadableCode] = (), settings: Settings | None = None
) -> CodeMap:
    """The map of these files, as (path, text)."""
    collector = Collector(failed=list(unreadable))
    texts = dict(files)
    for path, text in texts.items():
        collector.add(path, text)
    taken: set[str] = set()
    while wanted := {
        path: source for path, source in collector.wanted(texts, settings or Settings()).items() if path not in taken
    }:
        for path, source in wanted.items():
            collector.add(path, texts[path], source)
        taken |= set(wanted)
    return collector.result(settings)


def _arguments(text: str) -> dict[str, Any] | None:
    """The arguments of a file for `-backend-config`; None if there is more in it than arguments."""
    if _is_json(text):
        values = plain(json_value(text))
        return values if isinstance(values, dict) else None
    hcl = Hcl(text)
    evaluator = Evaluator(hcl)
    items = list(hcl.items())
    if not all(isinstance(each, Attribute) for each in items):
        return None
    return {each.name: evaluator.value(each.start, each.end) for each in items if isinstance(each, Attribute)}


def _is_json(text: str) -> bool:
    return text.lstrip("\ufeff \t\r\n").startswith("{")


def _config_layer(path: str, text: str, values: Mapping[str, Any]) -> Layer:
    acl_line = Hcl(text).line_of("acl") if "acl" in values and not _is_json(text) else None
    return layer_of(path, TFBACKEND, values, is_generated(path, text), acl_line)


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _answered(code: CodeMap, settings: Settings) -> CodeMap:
    """With what the operator says of what is unknown. What the code says stands."""
    used: dict[int, set[object]] = defaultdict(set)

    def answers(names: Iterable[str | None]) -> Iterable[tuple[int, Known]]:
        known = [name for name in names if name]
        return ((place, each) for place, each in enumerate(settings.known) if each.covers(known, settings.roots))

    layers: list[Layer] = []
    left: dict[str, list[UnreadableCode]] = {"unreadable": [], "unresolved": []}
    for kind, found in (("unreadable", code.unreadable), ("unresolved", code.unresolved)):
        for each in found:
            place, known = next(iter(answers((each.path,))), (None, None))
            if known is None or place is None:
                left[kind].append(each)
                continue
            used[place].add((each.path, each.reason))
            if known.backend is not None:
                layers.append(_from_word(each.path, known.backend))
    readers: list[Layer] = []
    for kind, many, out in (("layer", code.layers, layers), ("reader", code.readers, readers)):
        for layer in many:
            is_open = _is_open(layer, is_reader=kind == "reader")
            place, known = next(
                ((place, each) for place, each in answers((layer.path, layer.block)) if is_open and _fits(layer, each)),
                (None, None),
            )
            if known is None or place is None:
                out.append(layer)
                continue
            used[place].add((kind, layer.path, layer.block))
            if known.backend is not None:
                out.append(_filled(layer, known.backend))
    return replace(
        code,
        layers=tuple(sorted(layers, key=lambda each: (each.path, each.source))),
        readers=tuple(readers),
        unreadable=tuple(left["unreadable"]),
        unresolved=tuple(left["unresolved"]),
        known=tuple(each.to_result(len(used[place])) for place, each in enumerate(settings.known)),
    )


def _is_open(layer: Layer, is_reader: bool) -> bool:
    is_sure = "bucket" in layer.arguments and not layer.unknown & {"dynamodb_table", "use_lockfile"}
    is_sure = is_sure and not (layer.may_name_table and not is_reader)
    return not (is_sure and (is_reader or layer.lock_mode != "unknown"))


def _fits(layer: Layer, known: Known) -> bool:
    """Whether the word may be about it: it cannot say another bucket than the code, nor that there is none."""
    bucket = layer.arguments.get("bucket")
    return bucket is None or (known.backend is not None and known.backend["bucket"] == bucket)


def _from_word(path: str, backend: Mapping[str, Any]) -> Layer:
    return Layer(path, KNOWN, dict(backend), frozenset({*NEEDED, *backend}))


def _filled(layer: Layer, backend: Mapping[str, Any]) -> Layer:
    """What is not said is not set."""
    return replace(
        layer,
        arguments={**backend, **layer.arguments},
        given=layer.given | {*NEEDED, *backend},
        unknown=layer.unknown & {"workspace_key_prefix", "key"} - {*backend},
    )
