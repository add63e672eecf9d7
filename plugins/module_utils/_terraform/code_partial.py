# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Partial backends, and what completes them: files and command lines for `-backend-config`. Pure.

Source: https://developer.hashicorp.com/terraform/language/backend#partial-configuration
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from posixpath import basename, normpath

from .code_layer import COMMAND, S3_ARGUMENTS, TFBACKEND, Layer, layer_of, merged, parents
from .globs import compiled, relative
from .hcl_parser import UNKNOWN

#: What such files are called, besides .tfbackend. They count if nothing is in them but arguments of a backend.
CONFIG_ENDINGS = (".hcl", ".tfvars", ".tfvars.json", ".backend", ".cfg", ".conf", ".config")
#: So many files for all folders are a plain case; which of more are meant, code_backend_files has to say.
PLAIN = 20
#: What a command may give that is another client than the code says.
_LOCATING = {"bucket", "dynamodb_table", "use_lockfile"}
#: The words that make a file one of a backend, whatever it is called.
TELLING = {"bucket", "dynamodb_table"}

_SCRIPTS = re.compile(
    r"(?:GNU)?[Mm]akefile(?:\..*)?|.*\.mk|Jenkinsfile.*|Dockerfile.*|[Tt]askfile.*|[Jj]ustfile|Earthfile|Rakefile"
    r"|\.envrc|\.env(?:\..*)?"
    r"|.*\.(?:sh|bash|zsh|ksh|fish|ya?ml|groovy|ps1|psm1|bat|cmd|py|rb|js|ts|go|toml|json|env|bzl|tm)"
    r"|.*\.(?:pl|php|kts?|java|gradle|cs|nu|nix|star|jsonnet|libsonnet|cue|tsx|mjs|cjs|rs)|[^.]+"
    r"|.*\.(?:tmpl|tpl|tftpl|template|j2|jinja2?|erb|ejs|hbs|mustache|gotmpl)"
)
_OPTION = "-backend-config"
_FLAG = re.compile(rf"(\\?[\"'])?(?<![\w-])-?{_OPTION}(?:=|[ \t]+|[\"']?[ \t]*,[ \t]*)")
_WORD = re.compile(
    r"(?:\$\{\{[^}\n]*\}\}|\{\{[^}\n]*\}\}|\$\([^)\n]*\)|`[^`\n]*`|\$\{[^}\n]*\}|\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'"
    r"|\\.|[^\s\"'\\,;|&)\]`])+"
)
#: A flag whose word is on the next line, as in lists of YAML and other languages.
_NEXT_LINE = re.compile(rf"({_OPTION}[\"']?(?:[ \t]*,)?)[ \t]*\r?\n[ \t]*(?:-[ \t]+)?(?=[\"'\w$])")
#: Text that becomes the backend of some code when it is run: in templates, scripts and settings of other tools.
_WRITES = re.compile(
    r"(?<![\w.-])backend[ \t]+\\*[\"']?s3\\*[\"']?[ \t]*\{"
    r"|[\"']backend\\*[\"'][ \t]*:\s*\{\s*\\*[\"']s3\\*[\"'][ \t]*:"
    r"|^[ \t-]*backend_config(?:_files?)?[ \t]*:"
    r"|^[ \t]*(?:remote_state_)?backend_type[ \t]*:[ \t]*[\"']?s3\b"
    r"|^[ \t]*(?:remote_state_)?backend[ \t]*:[ \t]*\r?\n(?:[ \t]*(?:#[^\n]*)?\n)*[ \t]+s3[ \t]*:",
    re.MULTILINE,
)
_LONGEST_WORD = 4_096
_CONTINUED = re.compile(r"[\\`^][ \t]*\r?\n")
_DIRECTORY = re.compile(r"-chdir(?:=|[ \t]+)(\S+)|\bcd[ \t]+([^\s;&|]+)")
_DYNAMIC = re.compile(r"\$\{\{[^}]*\}\}|\{\{[^}]*\}\}|\$\([^)]*\)|\$\{[^}]*\}|\$\w+|`[^`]*`|<[^>]*>|\{[^}]*\}|%\w+%|\$")
_ASSIGNED = re.compile(r"([a-z_0-9]+)=(.*)", re.DOTALL)


def is_script(name: str) -> bool:
    """Whether a file may hold a command line of a client."""
    return bool(_SCRIPTS.fullmatch(name))


def writes_backend(text: str) -> bool:
    """Whether a script, template or setting has the text of an S3 backend, which its run puts somewhere."""
    return "backend" in text and bool(_WRITES.search(text))


@dataclass(frozen=True)
class Command:
    """An `init` in a script. What a variable decides is a `*` in the name of a file, and unknown as a value."""

    path: str
    #: As it is written: None for the folder in which it is run, "*" for one that a variable decides.
    directory: str | None
    files: tuple[str, ...]
    layer: Layer

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0]


def commands_in(path: str, text: str) -> Iterator[Command]:
    """The command lines of a script that configure a backend, those of lines that follow each other as one."""
    if _OPTION not in text:
        return
    words: list[str] = []
    directory: str | None = None
    for line in [*_CONTINUED.sub(" ", _NEXT_LINE.sub(r"\1 ", text)).splitlines(), ""]:
        found = list(_words(line)) if _OPTION in line else []
        if words and (not found or _begins(line)):
            yield from _command(path, directory, words)
            words, directory = [], None
        if place := list(_DIRECTORY.finditer(line)):
            directory = next((each for each in place[-1].groups() if each), None)
        elif not words and not found and line.strip():
            directory = None
        words += found


def _begins(line: str) -> bool:
    return bool(re.search(r"\binit\b", line))


def _words(line: str) -> Iterator[str]:
    at = 0
    while flag := _FLAG.search(line, at):
        at = flag.end()
        rest = line[at : at + _LONGEST_WORD]
        quote = (flag[1] or "").lstrip("\\")
        if quote and not flag[0].rstrip().endswith(","):
            end = rest.find(quote)
            yield re.split(r"\s+-", rest[: end if end >= 0 else None].rstrip("\\"))[0]
        elif word := _WORD.match(rest):
            at += word.end()
            yield _unquoted(word[0])


def _unquoted(word: str) -> str:
    return re.sub(r"\\?\"((?:[^\"\\]|\\.)*?)\\?\"|'([^']*)'", lambda each: each[1] or each[2] or "", word)


def _command(path: str, directory: str | None, words: Sequence[str]) -> Iterator[Command]:
    values: dict[str, object] = {}
    files: list[str] = []
    for word in words:
        assigned = _ASSIGNED.fullmatch(word)
        if assigned and assigned[1] in S3_ARGUMENTS:
            is_open = not assigned[2] or _DYNAMIC.search(assigned[2])  # what is empty is put together elsewhere
            values[assigned[1]] = UNKNOWN if is_open else assigned[2]
        elif not assigned or "/" in assigned[1] or "." in assigned[1]:
            files.append(_DYNAMIC.sub("*", word))
    place = _DYNAMIC.sub("*", directory.strip("\"'")) if directory else None
    if values or files:
        yield Command(path, place, tuple(files), layer_of(path, COMMAND, values))


@dataclass
class Parts:
    """What was found, from which the layers are put together."""

    #: By folder: the blocks of S3 in it.
    blocks: Mapping[str, list[Layer]]
    #: By path: files that hold nothing but arguments.
    configs: Mapping[str, Layer]
    checkouts: Mapping[str, list[Layer]]
    commands: Sequence[Command]
    #: Folders whose partial blocks Terragrunt completes.
    completed: Collection[str] = ()
    #: The patterns of the option that says which files go with which folders.
    patterns: Sequence[str] = ()
    roots: Sequence[str] = ()
    claimed: set[str] = field(default_factory=set)
    _named: dict[str, frozenset[str]] = field(default_factory=dict)
    _anywhere: dict[str, bool] = field(default_factory=dict)
    #: Commands that found the folder in which they are run.
    placed: set[Command] = field(default_factory=set)

    def layers(self) -> Iterator[Layer]:
        anchored = self._anchored()
        near = self._near(anchored)
        by_folder = self._commands_by_folder()
        chosen = self._chosen()
        found: list[Layer] = []
        for folder, blocks in self.blocks.items():
            for block in blocks:
                if not (block.is_partial and "bucket" not in block.given and folder in self.completed):
                    found += self._completed(
                        block, folder, chosen.get(folder, []), anchored[folder], near, by_folder[folder]
                    )
        yield from found
        for checkouts in self.checkouts.values():
            yield from checkouts
        yield from (each for path, each in self.configs.items() if path not in self.claimed and _stands_alone(each))
        yield from (
            self._alone(command) for command in self.commands if command not in self.placed and self._says(command)
        )

    def _says(self, command: Command) -> bool:
        """Whether a command that is run in some folder says more than the files that were found."""
        named = [name for name in command.files if name.strip("*")]
        return bool(command.layer.given & _LOCATING) or not all(map(self._is_anywhere, named))

    def _alone(self, command: Command) -> Layer:
        missing = [name for name in command.files if name.strip("*") and not self._is_anywhere(name)]
        return merged(command.layer, layer_of(command.path, COMMAND, UNKNOWN)) if missing else command.layer

    def _is_anywhere(self, name: str) -> bool:
        if name not in self._anywhere:
            pattern = anywhere(name)
            self._anywhere[name] = any(pattern.fullmatch(path) for path in self.configs)
        return self._anywhere[name]

    def _completed(
        self,
        block: Layer,
        folder: str,
        chosen: list[list[Layer]],
        own: list[Layer],
        near: Mapping[str, list[Layer]],
        commands: list[Command],
    ) -> Iterator[Layer]:
        """The block with each of what completes it; a whole one also as it is."""
        variants = [_together(block, group) for group in chosen]
        for group in chosen:
            self.claimed |= {each.path for each in group}
        variants += [each for command in commands for each in self._commanded(block, folder, command)]
        if not chosen and not (block.is_partial and any("bucket" in each.given for each in variants)):
            variants += self._beside(block, folder, own, near)
        if not block.is_partial or not variants:
            yield block
        yield from dict.fromkeys(variants)

    def _commanded(self, block: Layer, folder: str, command: Command) -> Iterator[Layer]:
        self.placed.add(command)
        groups: list[list[Layer]] = [[]]
        missing = layer_of(command.path, COMMAND, UNKNOWN)
        for name in command.files:
            matching = self._matching(name, folder, command.folder) if name.strip("*") else []
            self.claimed |= {each.path for each in matching}
            if len(groups) * len(matching) > PLAIN**2:  # nobody can say which go together
                yield merged(block, missing)
                return
            groups = [[*group, each] for group in groups for each in matching or [missing]]
        values = [command.layer] if command.layer.given else []
        yield from (_together(block, [*group, *values]) for group in groups)

    def _matching(self, name: str, folder: str, script: str) -> list[Layer]:
        """The files of a name, which is of the folder in which the client runs, or of the one that the script is in."""
        for base in dict.fromkeys((folder, script, *self.roots)):
            whole = normpath(name if name.startswith("/") or not base else f"{base}/{name}")
            found = [self.configs[whole]] if whole in self.configs else []
            if found := found or self._globbed(whole):
                return found
        return []

    def _beside(self, block: Layer, folder: str, own: list[Layer], near: Mapping[str, list[Layer]]) -> list[Layer]:
        """With the files that lie in its folder or below it, or else one folder away."""
        if not block.is_partial:
            own = [each for each in own if each.path.rpartition("/")[0] == folder and _is_tfbackend(each.path)]
        elif not any("bucket" in each.given for each in own) and "bucket" not in block.given:
            beside = near.get(folder.rpartition("/")[0] if folder else "..", [])
            own = [*own, *(self._meant(folder, beside) or self._further(folder, near))]
        self.claimed |= {each.path for each in own}
        with_bucket = [each for each in own if "bucket" in each.given]
        without = [each for each in own if "bucket" not in each.given]
        if with_bucket and without and block.is_partial and len(with_bucket) * len(without) <= PLAIN**2:
            return [_together(block, [one, other]) for one in with_bucket for other in without]
        return [merged(block, each) for each in own]

    def _meant(self, folder: str, beside: list[Layer]) -> list[Layer]:
        """Of the files near a folder those of its name; else those for all, which name no key."""
        name = basename(folder)
        named = [each for each in beside if name in self._names_of(each)]
        if named:
            return named
        free = [each for each in beside if not self._names_of(each)]
        if len(free) > PLAIN:
            return []
        return [each for each in free if "key" not in each.given or len(self._partial_names) == 1]

    def _further(self, folder: str, near: Mapping[str, list[Layer]]) -> list[Layer]:
        """Files further up that are named after a folder, as backends/network.tfbackend is after layers/network."""
        name = basename(folder)
        if self._partial_folders.get(name) != 1:
            return []  # of folders of one name, nobody can say which is meant
        above = list(parents(folder))[1:]
        return next(
            filter(None, ([each for each in near.get(one, []) if name in self._names_of(each)] for one in above)), []
        )

    @cached_property
    def _partial_folders(self) -> Counter[str]:
        """How many folders of partial blocks have a name."""
        return Counter(basename(each) for each, blocks in self.blocks.items() if each and _are_partial(blocks))

    @cached_property
    def _partial_names(self) -> frozenset[str]:
        return frozenset(self._partial_folders)

    def _names_of(self, config: Layer) -> frozenset[str]:
        """The folders that a file is named after, as network.tfbackend, dev-network.hcl and network/dev.hcl are."""
        if config.path not in self._named:
            parts = [piece for part in config.path.split("/")[-2:] for piece in _pieces(part)]
            self._named[config.path] = self._partial_names & frozenset(parts)
        return self._named[config.path]

    def _anchored(self) -> dict[str, list[Layer]]:
        """By folder of blocks, or by "" beside all of them as None's stand-in: the files below, up to the next one."""
        found: dict[str, list[Layer]] = defaultdict(list)
        for path, config in self.configs.items():
            anchor = next((each for each in parents(path) if each in self.blocks), None)
            if anchor is not None:
                found[anchor].append(config)
        return found

    def _near(self, anchored: Mapping[str, list[Layer]]) -> dict[str, list[Layer]]:
        """By folder: the files in it, or in folders of it, that are below no blocks."""
        taken = {each.path for group in anchored.values() for each in group}
        found: dict[str, list[Layer]] = defaultdict(list)
        for path, config in self.configs.items():
            if path not in taken:
                for above in list(parents(path))[:3]:
                    found[above].append(config)
        return found

    def _commands_by_folder(self) -> dict[str, list[Command]]:
        found: dict[str, list[Command]] = defaultdict(list)
        for command in self.commands:
            for folder in self._folders_of(command):
                found[folder].append(command)
        return found

    def _folders_of(self, command: Command) -> list[str]:
        if command.directory is None and command.folder in self.blocks:
            return [command.folder]
        if command.directory and "*" not in command.directory:
            bases = (command.folder, *self.roots)
            places = [normpath(f"{base}/{command.directory}" if base else command.directory) for base in bases]
            return [
                each for each in dict.fromkeys("" if each == "." else each for each in places) if each in self.blocks
            ]
        if not command.files:
            return []
        # Run in each folder in turn: in those where its files are.
        return [folder for folder, blocks in self.blocks.items() if self._fits(command, folder, blocks)]

    def _fits(self, command: Command, folder: str, blocks: Iterable[Layer]) -> bool:
        if not any(each.is_partial for each in blocks):
            return False
        return all(name.strip("*") and self._is_here(name, folder) for name in command.files)

    def _is_here(self, name: str, folder: str) -> bool:
        whole = normpath(f"{folder}/{name}" if folder else name)
        if "*" not in whole:
            return whole in self.configs
        return whole.startswith(f"{folder}/" if folder else "") and bool(self._globbed(whole))

    def _globbed(self, whole: str) -> list[Layer]:
        """The files that a path with variables in it may be of."""
        fixed = whole.partition("*")[0].rpartition("/")[0]
        if "*" not in whole or fixed not in self._below:
            return []
        pattern = compiled(whole.replace("[", "[[]").replace("{", "[{]"))
        return [each for each in self._below[fixed] if pattern.fullmatch(each.path)]

    @cached_property
    def _below(self) -> dict[str, list[Layer]]:
        """By folder: the files that are anywhere below it."""
        found: dict[str, list[Layer]] = defaultdict(list)
        for path, config in self.configs.items():
            for above in parents(path):
                found[above].append(config)
        return found

    def is_chosen(self, path: str) -> bool:
        """Whether a pattern of the option covers it."""
        names = relative(path, self.roots)
        return any(compiled(each.removeprefix("./")).fullmatch(name) for each in self.patterns for name in names)

    def _chosen(self) -> dict[str, list[list[Layer]]]:
        """By folder: what the patterns give it. A pattern with a name gives one variant a name; the others, all."""
        common: dict[str, list[Layer]] = defaultdict(list)
        named: dict[str, dict[tuple[str, ...], list[Layer]]] = defaultdict(lambda: defaultdict(list))
        partial = {each: relative(each, self.roots) for each, blocks in self.blocks.items() if _are_partial(blocks)}
        by_name: dict[str, list[str]] = defaultdict(list)
        for folder, names in partial.items():
            for name in names:
                by_name[name].append(folder)
            if folder in self.roots:
                by_name[""].append(folder)
        for glob in self.patterns:
            pattern = compiled(glob.removeprefix("./"))
            for path, config in self.configs.items():
                matched = next(filter(None, (pattern.fullmatch(name) for name in relative(path, self.roots))), None)
                if not matched:
                    continue
                groups = matched.groupdict()
                layer = groups.pop("layer", None)
                folders = by_name.get(layer or "", []) if "layer" in pattern.groupindex else list(partial)
                for folder in dict.fromkeys(folders):
                    if groups:
                        named[folder][tuple(str(each) for each in groups.values())].append(config)
                    else:
                        common[folder].append(config)
        return {
            folder: [[*common[folder], *each] for each in named[folder].values()] or [common[folder]]
            for folder in {*common, *named}
        }


def anywhere(name: str) -> re.Pattern[str]:
    """The files that may be meant by a name in a script, whatever folder that is run in."""
    tail = name.rpartition("../")[2].removeprefix("./")
    return compiled(f"**/{tail.replace('[', '[[]').replace('{', '[{]')}")


def _are_partial(blocks: Iterable[Layer]) -> bool:
    return any(each.is_partial for each in blocks)


def _together(block: Layer, group: Sequence[Layer]) -> Layer:
    """Where several files complete it, the last one that names a bucket is told."""
    whole = reduce(merged, group, block)
    naming = [each for each in group if "bucket" in each.given or "dynamodb_table" in each.given]
    return replace(whole, path=naming[-1].path) if naming else whole


def _is_tfbackend(path: str) -> bool:
    return path.endswith((".tfbackend", ".tfbackend.json"))


def _pieces(part: str) -> Iterator[str]:
    """Of dev-network.hcl: dev, dev-network, dev-network.hcl, network and so on."""
    starts = [0, *(each.end() for each in re.finditer(r"[._-]", part))]
    ends = [*(each.start() for each in re.finditer(r"[._-]", part)), len(part)]
    for start in starts[:8]:
        yield from (part[start:end] for end in ends[:8] if end > start)


def _stands_alone(config: Layer) -> bool:
    """Whether a file counts that no block was found for: by its ending, or as it names a bucket or table."""
    names = {name for name in config.given if not name.startswith("endpoints.")}
    return _is_tfbackend(config.path) or bool(TELLING & names and names <= S3_ARGUMENTS)


def is_config(path: str, values: Mapping[str, object]) -> bool:
    """Whether a file holds nothing but arguments of a backend."""
    name = path.rpartition("/")[2]
    if _is_tfbackend(path):
        return True
    is_variables = name in ("terraform.tfvars", "terraform.tfvars.json") or ".auto.tfvars" in name
    return bool(values) and not is_variables and set(values) <= S3_ARGUMENTS and bool(TELLING & set(values))


def unknown_config(path: str) -> Layer:
    """A file that a command line names, and that cannot be read."""
    return layer_of(path, TFBACKEND, UNKNOWN)
