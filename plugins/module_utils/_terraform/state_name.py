# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a task names a state, and which other states the name may mean. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from urllib.parse import unquote

from .._core.commands import is_plain, percent_encoded
from .._core.model import Invalid
from .backend_config import DIGEST_SUFFIX
from .protocol import DEFAULT_WORKSPACE, WORKSPACE_KEY_PREFIX, state_path
from .scope import SUFFIX, Scope

#: How alike two different names are that are taken for similar, from 0 to 1: the default of difflib.
SIMILAR = 0.6
#: How alike names are that differ in their separators alone.
SEPARATORS = 0.99
#: The longest part of a name that is compared with others letter by letter, which takes the square of its length.
LONGEST_PART = 200
#: How many tokens one part of a name is, with its separator.
ONE_PART = 2
#: How many similar names are listed.
TOLD = 3
#: What is forgotten at the end of a key.
FORGOTTEN = (".tfstate", "/terraform.tfstate")

#: What Go's url.PathEscape leaves as it is. Source: ValidWorkspaceName of hashicorp/terraform and OpenTofu.
_WORKSPACE = re.compile(r"[A-Za-z0-9_.~$&+:=@-]+")
_URL = re.compile("(?i:s3)://([^/]*)/+(.+)", re.DOTALL)
_BUCKET_URL = re.compile("(?i:s3)://[^/]*/*")
_VERSION = re.compile(r"\?versionId=[^&/?]*\Z")
_TOKEN = re.compile("([/._-])")


def check_workspace(name: str) -> None:
    """Raises Invalid on a name that no client accepts."""
    if not _WORKSPACE.fullmatch(name):
        raise Invalid(
            f"workspace {name!r} cannot exist: correct it; clients accept letters, digits and -_.~$&+:=@ only"
        )


@dataclass(frozen=True)
class StateName:
    """The options by which a task names a state."""

    bucket: str
    #: Without slashes at the beginning, which no client accepts.
    key: str
    workspace: str = DEFAULT_WORKSPACE
    workspace_key_prefix: str = WORKSPACE_KEY_PREFIX

    @property
    def path(self) -> str:
        return self._path(self.key)

    @property
    def is_url(self) -> bool:
        return bool(_URL.fullmatch(self.key))

    def alternatives(self) -> list[str]:
        """Other paths that may be meant, as the key has a form in which clients, consoles or tables show a state.

        Raises Invalid if the key names another bucket, another workspace, or a bucket alone.
        """
        if _BUCKET_URL.fullmatch(self.key):
            raise Invalid(f"the key {self.key!r} names a bucket and no state: correct it")
        url = _URL.fullmatch(self.key)
        if url and url[1] != self.bucket:
            raise Invalid(f"the key {self.key!r} names the bucket {url[1]}, not {self.bucket}: correct one of them")
        keys = [_VERSION.sub("", url[2]) if url else self.key]
        keys += [decoded for key in keys if (decoded := _decoded(key))]
        keys += [key.removeprefix(f"{self.bucket}/") for key in keys]
        keys += [key.removesuffix(suffix) for key in keys for suffix in (SUFFIX, DIGEST_SUFFIX)]
        paths = [path for key in dict.fromkeys(keys) if key for path in self._paths(key)]
        return [path for path in dict.fromkeys(paths) if path != self.path]

    def _paths(self, key: str) -> list[str]:
        """Raises Invalid if the key is the path of another workspace."""
        prefix = f"{self.workspace_key_prefix.rstrip('/')}/"
        if self.workspace == DEFAULT_WORKSPACE or prefix == "/" or not key.startswith(prefix):
            return [self._path(key)]
        workspace = key.removeprefix(prefix).partition("/")[0]
        if workspace != self.workspace:
            raise Invalid(f"the key {key!r} names the workspace {workspace}, not {self.workspace}: correct one of them")
        return [key]

    def _path(self, key: str) -> str:
        return state_path(key, self.workspace, self.workspace_key_prefix)


def _decoded(key: str) -> str | None:
    """A key in the form in which URLs have it, without that; None if it would be no key."""
    try:
        return unquote(key, errors="strict") if "%" in key else None
    except UnicodeDecodeError:
        return None


def most_similar(scope: Scope, paths: Sequence[str], others: Iterable[str]) -> list[str]:
    """Those of the others whose names are similar to one of the paths, the most similar first."""
    ranked = sorted((-max(_similarity_of(scope, path, other) for path in paths), other) for other in others)
    return [other for rank, other in ranked if rank]


def missing_keys(scope: Scope, there: Collection[str]) -> list[str]:
    """What to say of each key that is no pattern and fits nothing that is there."""
    problems = []
    states = {path.removesuffix(SUFFIX) for path in there}
    for key in scope.unmatched(there):
        others = StateName(scope.bucket.name, key.lstrip("/")).alternatives()
        found = [path for path in others if path in states]
        similar = found or most_similar(scope, [key, *others], states) or others[-1:]
        perhaps = f"; perhaps this is meant: {' or '.join(map(repr, similar[:TOLD]))}" if similar else ""
        problems.append(f"there is no state {key!r}: correct keys{perhaps}")
    return problems


def options_for(scope: Scope, path: str, names_default: bool = False) -> str:
    """The options that name the state of a path. `names_default`: the default workspace, too."""
    key, workspace = scope.split(path)
    if not is_plain(workspace):
        key, workspace = path, DEFAULT_WORKSPACE
    encoded = "" if is_plain(key) else ", key_is_url_encoded: true"
    return f"key: {key if is_plain(key) else percent_encoded(key)}{encoded}" + (
        "" if workspace == DEFAULT_WORKSPACE and not names_default else f", workspace: {workspace}"
    )


def _similarity_of(scope: Scope, path: str, other: str) -> float:
    """How alike two paths of states are, from 0 to 1; 0 for those that only have common parts."""
    (key, workspace), (other_key, other_workspace) = scope.split(path), scope.split(other)
    keys, workspaces = _similarity(key, other_key), _similarity(workspace, other_workspace)
    is_near = keys >= SIMILAR and (workspaces >= SIMILAR or keys == 1)
    return (keys + workspaces) / 2 if is_near else 0


def _similarity(name: str, other: str) -> float:
    """1 if they differ at most in case or Unicode normal form. Parts that are the same do not count."""
    first, second = _tokens(name), _tokens(other)
    if first == second:
        return 1
    if len(first) == len(second):
        return _least_likeness(first[::2], second[::2])
    while first and second and first[0] == second[0]:
        del first[0], second[0]
    while first and second and first[-1] == second[-1]:
        del first[-1], second[-1]
    if first and second:
        return _likeness("".join(first), "".join(second)) if abs(len(first) - len(second)) <= ONE_PART else 0
    return SIMILAR if _is_forgotten("".join(first or second), min(name, other, key=len)) else 0


def _least_likeness(parts: Sequence[str], others: Sequence[str]) -> float:
    least = SEPARATORS
    for part, other in zip(parts, others, strict=True):
        least = min(least, _likeness(part, other))
        if least < SIMILAR:
            return 0
    return least


def _likeness(part: str, other: str) -> float:
    """Two numbers are not alike: they tell states apart."""
    if part == other:
        return 1
    if (part.isdigit() and other.isdigit()) or max(len(part), len(other)) > LONGEST_PART:
        return 0
    matcher = SequenceMatcher(None, part, other, autojunk=False)
    is_near = matcher.real_quick_ratio() >= SIMILAR and matcher.quick_ratio() >= SIMILAR  # both are quicker
    return matcher.ratio() if is_near else 0


def _is_forgotten(part: str, rest: str) -> bool:
    """Whether this part of a name may be forgotten, or be one too many: its ending, or folders before a path."""
    return part in FORGOTTEN or ("/" in part and "/" in rest)


def _tokens(name: str) -> list[str]:
    return _TOKEN.split(unicodedata.normalize("NFKC", name).casefold())
