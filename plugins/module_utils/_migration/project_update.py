# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The update of a project whose states move: whether they are its own, the edits of its code, and the empty plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from .._engine.guard import Refused
from .._local.local_states import LocalState, local_states, remove
from .._local.project import DeclaredBackend, TerraformProject, block_text
from .._terraform.backend_block import Edit, NotSimple
from .._terraform.backend_config import BackendConfig, arguments
from .._terraform.code_known import Known
from .._terraform.code_layer import UnreadableCode, refusal
from .._terraform.protocol import WORKSPACE_KEY_PREFIX

#: The arguments that depend on the lock mode.
LOCKING = {"dynamodb_table", "use_lockfile"}
PASTE = "replace its backend block by the one in project.block, then run again"


@dataclass(frozen=True)
class NamedBackend:
    """A backend by the arguments of its clients."""

    bucket: str
    key: str | None
    workspace_key_prefix: str
    region: str
    dynamodb_table: str | None = None


@dataclass
class ProjectUpdate:
    """What a project needs to use its states at the destination, and what was done."""

    project: TerraformProject
    backend: BackendConfig
    edits: list[Edit]
    not_simple: NotSimple | None
    must_init: bool
    #: Names of arguments of the old backend that the new one does not have.
    dropped: list[str]
    #: Why a requested step is not possible.
    problem: str | None
    #: Local files to remove once the plan was found to be empty.
    leftovers: list[Path] = field(default_factory=list)
    #: What was done.
    written: list[str] = field(default_factory=list)
    is_initialised: bool = False
    is_proven: bool = False
    removed: list[Path] = field(default_factory=list)

    def to_result(self, is_plan: bool) -> dict[str, Any]:
        """What was done; for a plan, what will be done."""
        return {
            "edits": [edit.name for edit in self.edits] if is_plan else self.written,
            "not_simple": self.not_simple.reason if self.not_simple else None,
            "block": block_text(self.backend, self.project.tfbackend),
            "init": self.must_init if is_plan else self.is_initialised,
            "verified": self.is_proven,
            "removed": [str(path) for path in (self.leftovers if is_plan else self.removed)],
        }

    def changes(self) -> list[bool]:
        """For each change whether it is done."""
        edits = [edit.name in self.written for edit in self.edits]
        inits = [self.is_initialised] if self.must_init else []
        return edits + inits + [path in self.removed for path in self.leftovers]

    def warnings(self) -> Iterator[str]:
        if self.not_simple:
            yield f"the code of {self.project.folder} was not changed: {self.not_simple.reason}; {PASTE}"
        if self.dropped:
            yield (
                f"the backend of {self.project.folder} had {', '.join(self.dropped)}, which the new one does not have: "
                "add what is still needed"
            )

    def edit_code(self, states: Iterable[LocalState]) -> None:
        """Edits the code first: from then on clients require `init`, and no longer use the local state."""
        for edit in self.edits:
            self.project.write([edit])
            self.written.append(edit.name)
        for state in states:
            state.set_aside()

    def initialise(self) -> None:
        if self.must_init:
            self.project.init()
            self.is_initialised = True

    def prove(self, workspaces: Iterable[str]) -> None:
        for workspace in workspaces:
            self.project.verify_plan(workspace)
        self.is_proven = True

    def remove(self, states: Iterable[LocalState]) -> None:
        for path in [path for state in states for path in state.obsolete_files]:
            remove(path)
            self.removed.append(path)


def plan_update(
    project: TerraformProject,
    backend: BackendConfig,
    source: NamedBackend | None,
    init: bool,
    verify_plan: bool,
    known: Sequence[Known] = (),
) -> ProjectUpdate:
    """What is to be done. Raises Refused if it is not the project of these states; without a source, local states."""
    _check_way(project, source)
    claims = list(project.declared_backends())
    prefix = backend.workspace_key_prefix
    whole = WORKSPACE_KEY_PREFIX if prefix is None else prefix
    target = NamedBackend(backend.bucket, backend.key, whole, backend.region)
    claims, unknown = _complete_claims(project, claims, known)
    for claim in claims:
        _check(claim, source, target)
    found = project.edits(backend)
    if unknown and found and not isinstance(found, NotSimple):
        raise Refused("; ".join(refusal(unknown)))
    not_simple = found if isinstance(found, NotSimple) and not project.says(backend) else None
    edits = [] if isinstance(found, NotSimple) else found
    is_there = project.is_initialised_to(backend)
    if verify_plan and not (init or is_there or not_simple):
        raise Refused(
            f"{project.folder} is not initialised to the destination, so no plan can prove it: set init: true"
        )
    must_init = init and not not_simple and bool(edits or not is_there)
    dropped = _dropped(claims, backend) if edits else []
    problem = _undone(project, not_simple) if not_simple and (init or verify_plan) else None
    return ProjectUpdate(project, backend, edits, not_simple, must_init, dropped, problem)


def _complete_claims(
    project: TerraformProject, claims: Sequence[DeclaredBackend], known: Sequence[Known]
) -> tuple[list[DeclaredBackend], list[UnreadableCode]]:
    """The claims completed by code_known, and those that stay unknown: their states may be in another backend."""
    found, unknown = [], []
    is_initialised = any(claim.is_checkout for claim in claims)
    for claim in claims:
        said = claim
        if claim.backend == "s3" and not claim.arguments.get("bucket") and not is_initialised:
            path, root = claim.place.as_posix(), project.folder.as_posix()
            word = next((each for each in known if each.covers([path], [root])), None)
            if word is None:
                reason = "it names no bucket: only the command line of its init does, or the file that tfbackend names"
                unknown.append(UnreadableCode(path, reason))
            elif word.backend is not None:
                given = {name: value for name, value in claim.arguments.items() if value is not None}
                said = replace(claim, arguments={**claim.arguments, **word.backend, **given})
        found.append(said)
    return found, unknown


def _undone(project: TerraformProject, not_simple: NotSimple) -> str:
    return f"the code of {project.folder} can be neither initialised nor proven: {not_simple.reason}; {PASTE}"


def _check_way(project: TerraformProject, source: NamedBackend | None) -> None:
    """Raises Refused if a client would find a local state and migrate that."""
    used = [state.url for state in local_states(project.folder).values() if state.is_in_use] if source else []
    if used:
        raise Refused(f"{', '.join(used)} would be taken for the state by {project.client} init: move it away first")


def _check(claim: DeclaredBackend, source: NamedBackend | None, target: NamedBackend) -> None:
    """Raises Refused if the code belongs to other states."""
    if claim.backend == "local" and not claim.arguments:
        return
    verb = "is initialised to" if claim.is_checkout else "names"
    if claim.backend != "s3":
        raise Refused(f"{claim.place} {verb} the backend {claim.backend}, whose states this module does not move")
    if not any(_fits(claim, named) for named in (source, target) if named):
        said = "/".join(claim.arguments.get(name) or "?" for name in ("bucket", "key"))
        region = claim.arguments.get("region")
        where = f"s3://{said} in {region}" if region else f"s3://{said}"
        raise Refused(f"{claim.place} {verb} {where}, which is not what moves here")
    table = claim.arguments.get("dynamodb_table")
    if source and table not in (None, source.dynamodb_table) and not _fits(claim, target):
        raise Refused(f"{claim.place} {verb} the lock table {table}: give it as source_table, so that its locks count")


def _fits(claim: DeclaredBackend, named: NamedBackend) -> bool:
    whole = {"workspace_key_prefix": WORKSPACE_KEY_PREFIX} if claim.is_checkout else {}
    said = {**whole, **claim.arguments}
    where = {name: value for name, value in asdict(named).items() if name != "dynamodb_table"}
    return all(said.get(name) in (None, value) for name, value in where.items())


def _dropped(claims: Iterable[DeclaredBackend], backend: BackendConfig) -> list[str]:
    said = {name for claim in claims if claim.backend == "s3" for name in claim.arguments}
    return sorted(said - set(arguments(backend)) - LOCKING)
