# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Patterns of paths: those of options, and those of .gitignore. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

_TOKENS = re.compile(r"\*\*/|\*\*|\*|\?|\[!?\]?[^\]]*\]|\{\w+\}/?|.", re.DOTALL)


@lru_cache(maxsize=4096)
def compiled(glob: str) -> re.Pattern[str]:
    """`*` and `?` stay within a folder, `**` does not; `{layer}` captures folders, another `{name}` a part."""
    seen: set[str] = set()
    return re.compile("".join(_expression(token, seen) for token in _TOKENS.findall(glob)), re.DOTALL)


def _expression(token: str, seen: set[str]) -> str:
    if token == "**/":
        return "(?:.*/)?"
    if token in ("**", "*", "?"):
        return {"**": ".*", "*": "[^/]*", "?": "[^/]"}[token]
    if token.startswith("[") and token.endswith("]") and len(token) > 2:
        inner = token[1:-1].replace("\\", "\\\\").replace("[", "\\[")
        return f"[{'^' + inner[1:] if inner.startswith('!') else inner}]"
    if token.startswith("{") and "}" in token:
        name, _brace, slash = token[1:].partition("}")
        if name in seen:
            return f"(?P={name}){slash}"
        seen.add(name)
        if name != "layer":
            return f"(?P<{name}>[^/]+){slash}"
        return "(?:(?P<layer>.+)/)?" if slash else "(?P<layer>.+)"
    return re.escape(token)


def problem_of(glob: str) -> str | None:
    """Why it is no pattern."""
    if not glob.strip("/"):
        return "it is empty"
    try:
        compiled(glob)
    except re.error as error:
        return str(error)
    return None


def literal(path: str) -> str:
    """The pattern of this one path, without what a screen or YAML may not show."""
    return re.sub(r"[^\w ./@%+=:,~{}()\[\]*?#!$&'^-]", "?", re.sub(r"[\[*?{]", r"[\g<0>]", path))


def relative(path: str, roots: Iterable[str]) -> list[str]:
    """A path as it may be named: whole, and from each of the roots that it is in."""
    inside = [path[len(root) :].lstrip("/") for root in roots if root and path.startswith(f"{root.rstrip('/')}/")]
    return [path, *inside]


def covers(glob: str, path: str, roots: Iterable[str] = ()) -> bool:
    """Whether it is the name of a file or of a folder that it is in."""
    pattern = compiled(glob.removeprefix("./").rstrip("/"))
    return any(_covers(pattern, name) for name in relative(path, roots))


def _covers(pattern: re.Pattern[str], name: str) -> bool:
    while name:
        if pattern.fullmatch(name):
            return True
        name = name.rpartition("/")[0]
    return False


@dataclass(frozen=True)
class Ignored:
    """The rules of a .gitignore. Source: https://git-scm.com/docs/gitignore"""

    folder: str
    rules: tuple[tuple[re.Pattern[str], bool, bool], ...]

    @classmethod
    def parse(cls, folder: str, text: str) -> Ignored:
        rules = []
        for line in text.splitlines():
            rule = line.rstrip() if not line.endswith("\\ ") else line
            if not rule or rule.startswith("#"):
                continue
            is_negated, rule = rule.startswith("!"), rule.removeprefix("!").removeprefix("\\")
            is_folder, rule = rule.endswith("/"), rule.rstrip("/")
            anchored = rule.lstrip("/") if "/" in rule else f"**/{rule}"
            if not problem_of(anchored.replace("{", "[{]")):
                rules.append((compiled(anchored.replace("{", "[{]")), is_negated, is_folder))
        return cls(folder, tuple(rules))

    def verdict(self, path: str, is_folder: bool) -> bool | None:
        """Whether it is ignored; None: no rule is about it. The last rule wins."""
        name = path[len(self.folder) :].lstrip("/")
        for pattern, is_negated, is_of_folders in reversed(self.rules):
            if (is_folder or not is_of_folders) and pattern.fullmatch(name):
                return not is_negated
        return None


def is_ignored(files: Iterable[Ignored], path: str, is_folder: bool) -> bool:
    """By the innermost of these files that is about it."""
    verdicts = (each.verdict(path, is_folder) for each in reversed(list(files)))
    return next((verdict for verdict in verdicts if verdict is not None), False)
