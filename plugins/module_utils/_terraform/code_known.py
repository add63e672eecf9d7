# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the operator says of code whose backend cannot be read: the option `code_known`. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .._core.model import Invalid
from .globs import covers, problem_of

NONE = "none"
ARGUMENTS = ("bucket", "key", "region", "dynamodb_table", "use_lockfile")
_FLAGS: dict[Any, bool] = {True: True, False: False, "true": True, "false": False}


@dataclass(frozen=True)
class Known:
    """`backend` is None where the code that `paths` covers has no S3 backend."""

    paths: str
    backend: Mapping[str, Any] | None

    def covers(self, names: Iterable[str], roots: Iterable[str]) -> bool:
        return any(covers(self.paths, name, roots) for name in names)

    def to_result(self, answered: int) -> dict[str, Any]:
        """As it was given, with the number of unknown backends that it answers for."""
        return {"paths": self.paths, "backend": self.backend_as_given, "used": answered}

    @property
    def backend_as_given(self) -> Any:
        return NONE if self.backend is None else dict(self.backend)


def known_of(given: Iterable[Mapping[str, Any]] | None) -> tuple[Known, ...]:
    """Raises Invalid."""
    entries = list(given or ())
    problems = [problem for place, each in enumerate(entries) for problem in _problems(f"code_known[{place}]", each)]
    if problems:
        raise Invalid("; ".join(problems))
    return tuple(Known(each["paths"], _backend(each["backend"])) for each in entries)


def _problems(place: str, entry: Mapping[str, Any]) -> Iterator[str]:
    problem = problem_of(str(entry.get("paths") or ""))
    if problem:
        yield f"{place}.paths is not a pattern: {problem}"
    backend = entry.get("backend")
    if backend == NONE:
        return
    if not isinstance(backend, Mapping):
        yield f"{place}.backend must be {NONE}, or a dictionary with bucket and any of {', '.join(ARGUMENTS[1:])}"
        return
    foreign = sorted(str(name) for name in backend if name not in ARGUMENTS)
    if foreign:
        yield f"{place}.backend has no {', '.join(foreign)}; it takes {', '.join(ARGUMENTS)}"
    for name in ARGUMENTS[:-1]:
        value = backend.get(name)
        if value is not None and (not isinstance(value, str) or not value):
            yield f"{place}.backend.{name} must be a string that is not empty"
    if not backend.get("bucket"):
        yield f"{place}.backend.bucket is missing: name the bucket, or set backend: {NONE}"
    flag = backend.get("use_lockfile")
    if flag is not None and not (isinstance(flag, (bool, str)) and flag in _FLAGS):
        yield f"{place}.backend.use_lockfile must be true or false"


def _backend(given: Any) -> Mapping[str, Any] | None:
    if given == NONE:
        return None
    named = {name: given[name] for name in ARGUMENTS if given.get(name) is not None}
    return {name: _FLAGS[value] if name == "use_lockfile" else value for name, value in named.items()}
