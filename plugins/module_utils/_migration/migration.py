# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A migration: all states move into a bucket, then the project is updated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from glob import escape
from typing import Any

from .._aws.errors import DENIED
from .._core.model import CallFailed, Failure, Invalid, TfstateError
from .._engine.guard import Refused
from .._local.local_states import LocalState, local_states
from .._local.project import TerraformProject
from .._locks.locking import REPEAT_S
from .._locks.timeout import LockTimeout
from .._state import listing
from .._state.errors import NotAState
from .._state.kind import is_named_as_state
from .._state.state_lookup import hint
from .._terraform.backend_config import BackendConfig
from .._terraform.code_known import Known
from .._terraform.protocol import LockInfo
from .deny_policy import is_denied
from .endpoints import Endpoint
from .project_update import PASTE, ProjectUpdate, plan_update
from .source_policy import SourcePolicy
from .state_move import FINISH, NOTHING, UNREADABLE_ADVICE, Move, Source, Verdict
from .stored_state import StoredState, digest_of

#: How many problems are listed.
TOLD = 5


@dataclass
class MigrationRow:
    """One state of the migration: what is left to do, or why it cannot be moved."""

    workspace: str
    move: Move
    verdict: Verdict | None = None
    problem: str | None = None
    #: An object that is not a state, found in a whole bucket: it is skipped.
    is_other: bool = False
    #: Whether it cannot be read for lack of permission.
    is_denied: bool = False
    is_done: bool = False
    #: It has moved, and earlier runs of this move left the destination locked.
    is_left_locked: bool = False

    @property
    def path(self) -> str | None:
        """Its path in the source bucket."""
        source = self.move.source
        return source.place.path if isinstance(source, StoredState) else None

    @property
    def action(self) -> str:
        if self.verdict:
            return self.verdict.action
        return FINISH if self.is_left_locked else NOTHING

    def to_result(self) -> dict[str, Any]:
        document = self.verdict.document if self.verdict else None
        return {
            "workspace": self.workspace,
            "source": self.move.source.url,
            "destination": self.move.target.url,
            "action": self.action,
            "lineage": document.lineage if document else None,
            "serial": document.serial if document else None,
            "size": self.verdict.size if self.verdict else None,
            "problem": self.problem,
        }


@dataclass
class Migration:
    """One task: all states, then the project. Without a source, the local states of the project."""

    source: Endpoint | None
    target: Endpoint
    #: Shell patterns for the states of a whole bucket; none means all.
    keys: tuple[str, ...]
    encryption: Mapping[str, str]
    source_protection: str
    lock_timeout_s: int
    #: The lock record, without id, path and info.
    info: LockInfo
    project: TerraformProject | None
    backend: BackendConfig | None
    init: bool
    verify_plan: bool
    remove_local: bool
    known: Sequence[Known] = ()
    rows: list[MigrationRow] = field(default_factory=list)
    local: dict[str, LocalState] = field(default_factory=dict)
    #: The paths of empty objects, which clients treat as no state.
    empty: list[str] = field(default_factory=list)
    project_update: ProjectUpdate | None = None
    #: Whether the result is a plan.
    is_plan: bool = False

    # Planning.

    @cached_property
    def source_policy(self) -> SourcePolicy | None:
        return SourcePolicy(self.source, not (self.source.key or self.keys)) if self.source else None

    def plan(self) -> None:
        """Plans every state, and refuses what cannot be done. It only reads."""
        denied = self._denied_paths() if self.source_protection == "deny" else set()
        self.rows = list(self._rows())
        rows = sorted(self.rows, key=partial(_is_among, denied))
        for row in rows[:1]:  # creates the clients of both endpoints, which is not thread-safe
            self._evaluate(denied, row)
        self.target.aws.together([partial(self._evaluate, denied, row) for row in rows[1:]])
        self._evaluate_denied()
        if self.target.key:
            self.raise_problems(Refused)
        if self.source_protection == "deny" and self.source_policy:
            self.source_policy.plan(self._moved_paths())
        if self.project and self.backend:
            self._plan_update(self.project, self.backend)
        self.is_plan = True

    def raise_problems(self, kind: type[TfstateError] = TfstateError) -> None:
        """Raises if a state cannot be moved or could not be moved."""
        problems = [row.problem for row in self.rows if row.problem and not row.is_other]
        problems += [self.project_update.problem] if self.project_update and self.project_update.problem else []
        if problems:
            raise kind("; ".join(problems[:TOLD]) + (f"; and {len(problems) - TOLD} more" if problems[TOLD:] else ""))

    def _evaluate(self, denied: set[str], row: MigrationRow) -> None:
        row.problem, row.is_denied, row.is_other = None, False, False
        self._renew()
        try:
            if _is_among(denied, row):
                row.is_left_locked = not row.move.confirm()
            else:
                row.verdict = row.move.plan()
        except NotAState as reason:
            row.is_other = self._is_other(row)
            row.problem = str(reason) if row.is_other else f"{reason}{UNREADABLE_ADVICE}"
        except CallFailed as error:
            row.problem, row.is_denied = str(error), error.failure.code in DENIED
        except TfstateError as error:
            row.problem = str(error)

    def _is_other(self, row: MigrationRow) -> bool:
        """Whether what holds no state is certainly none. What cannot be read may be one."""
        if not (self.source and row.path) or self.target.key:
            return False
        try:
            return not (is_named_as_state(self.source.scope(self.keys), row.path) or row.move.is_known())
        except TfstateError:
            return False

    def _evaluate_denied(self) -> None:
        """States that the policy of an earlier run denies, whatever source_protection is now."""
        unread = [row for row in self.rows if row.is_denied and row.path]
        try:
            denied = self._denied_paths() if unread else set()
        except CallFailed:  # the problems are reported
            return
        for row in unread:
            if _is_among(denied, row):
                self._evaluate(denied, row)

    def _denied_paths(self) -> set[str]:
        return self.source_policy.denied() if self.source_policy else set()

    def _moved_paths(self) -> set[str]:
        return {row.path for row in self.rows if row.path and not row.problem}

    def _rows(self) -> Iterator[MigrationRow]:
        for workspace, path, source in self._sources(self.source) if self.source else self._local_sources():
            target = self.target.stored(path, self.encryption)
            info = replace(self.info, info=f"moved, or on its way, from {source.url} to {target.url}")
            yield MigrationRow(
                workspace, Move(source, target, info, self.source_protection != "tag", self._endpoint_urls())
            )

    def _endpoint_urls(self) -> tuple[str, ...]:
        endpoint_urls = [side.aws.connection.endpoint_url or "" for side in (self.source, self.target) if side]
        return tuple(endpoint_urls) if len(set(endpoint_urls)) > 1 else ()

    def _local_sources(self) -> Iterator[tuple[str, str, Source]]:
        self.local = local_states(self.project.folder) if self.project else {}
        for workspace, state in self.local.items():
            state.check()
            yield workspace, self.target.path(workspace), state

    def _sources(self, side: Endpoint) -> Iterator[tuple[str, str, Source]]:
        """Workspace, path at the destination, and the state."""
        patterns = (escape(side.key),) if side.key else self.keys
        scope = side.scope(patterns)
        found = listing.objects(side.aws, scope)
        if isinstance(found, Failure):
            raise CallFailed(found)
        paths = sorted(path for path, each in found.states.items() if each.size)
        self.empty = sorted({*found.states} - {*paths})
        if not paths:
            of_key = f"of {side.key} " if side.key else ""
            raise Refused(f"there is no state {of_key}in {side.bucket.name} to move{_hint(side)}")
        for path in paths:
            workspace = scope.split(path)[1]
            yield workspace, self.target.path(workspace) if side.key else path, side.stored(path, {})

    def _plan_update(self, project: TerraformProject, backend: BackendConfig) -> None:
        source = self.source.named if self.source else None
        self.project_update = project_update = plan_update(
            project, backend, source, self.init, self.verify_plan, self.known
        )
        if not self.rows and not self.source and (project_update.edits or project_update.not_simple):
            raise Refused(f"{project.folder} holds no local state: name source_bucket, or the folder that does")
        if self.rows and not self.source and project_update.not_simple:
            raise Refused(f"the states of {project.folder} stay where they are, as its code would not follow: {PASTE}")
        if self.remove_local:
            project_update.leftovers = [path for state in self.local.values() for path in state.obsolete_files]

    # Changes.

    def carry_out(self) -> None:
        """Moves every state that can be moved, then raises if one could not."""
        self.is_plan = False
        self._renew()
        with ExitStack() as locks:
            for state in self.local.values():
                info = replace(self.info, info="being moved", path=state.url)
                locks.enter_context(state.held(info, self._waiting()))
            due = [row for row in self.rows if row.action != NOTHING]
            self.target.aws.together([partial(self._carry, row) for row in due])
            self.release_idle()
            self._renew()
            self._hold([row for row in due if row.is_done and row.verdict and row.move.keeps_lock])
            if self.source_protection == "deny":
                self._deny()
            self.raise_problems()
            if self.project_update:
                self.project_update.edit_code(self.local.values())
        if self.project_update:
            self._verify(self.project_update)

    def release_idle(self) -> None:
        """Releases destinations that interrupted runs locked and where states cannot be moved any more."""
        refused = [row for row in self.rows if row.problem and not row.is_other and row.path]
        if refused:
            self.target.aws.together([partial(self._release_idle, row) for row in refused])

    def _release_idle(self, row: MigrationRow) -> None:
        with suppress(TfstateError):  # the lock stays, and the problem of this state is reported
            row.move.release_idle()

    def _hold(self, rows: list[MigrationRow]) -> None:
        """Checks once more the locks that stay."""
        if not rows:
            return
        self.target.aws.rest(REPEAT_S)
        self.target.aws.together([partial(self._hold_one, row) for row in rows])

    def _hold_one(self, row: MigrationRow) -> None:
        self._renew()
        try:
            row.move.hold(row.verdict.digest if row.verdict else "")
        except TfstateError as error:
            row.problem = str(error)

    def _deny(self) -> None:
        """If the policy can deny neither the whole bucket nor each state, their locks protect the states."""
        try:
            if self.source_policy:
                self.source_policy.put(self._moved_paths())
        except Invalid:
            if not any(row.problem for row in self.rows):
                raise

    def _changes(self) -> Iterator[bool]:
        """For each change, whether it is done."""
        yield from (row.is_done for row in self.rows if row.action != NOTHING and not row.problem)
        if self.source_policy and self.source_policy.planned:
            yield bool(self.source_policy.done)
        yield from self.project_update.changes() if self.project_update else ()

    @property
    def is_changed(self) -> bool:
        """Whether a lasting write was made, even if the run failed; for a plan, whether one will be made."""
        lasts = any(side.written for side in (self.source, self.target) if side)
        return lasts or any(is_done or self.is_plan for is_done in self._changes())

    def unlisted(self) -> list[str]:
        """States to move without a digest in the source's table."""
        due = [row for row in self.rows if row.action != NOTHING and self.source and self.source.table]
        return [row.move.source.url for row in due if row.verdict and not row.verdict.is_in_table]

    @property
    def denied(self) -> list[str]:
        """The states that this run denies in the policy of the source."""
        policy = self.source_policy
        return sorted((policy.planned if self.is_plan else policy.done) if policy else ())

    def _waiting(self) -> LockTimeout:
        return LockTimeout(self.lock_timeout_s, self._rest)

    def _rest(self, attempt: int) -> None:
        self._renew()
        self.target.aws.pause(attempt)

    def _renew(self) -> None:
        """Each state gets the whole wait_timeout."""
        for side in (self.source, self.target):
            if side:
                side.aws.renew()

    def _carry(self, row: MigrationRow) -> None:
        self._renew()
        try:
            if row.is_left_locked:
                row.move.settle()
            else:
                row.verdict = row.move.carry_out(self._waiting())
            row.is_done = True
        except TfstateError as error:
            row.problem = str(error)

    def _verify(self, project_update: ProjectUpdate) -> None:
        project_update.initialise()
        if self.verify_plan:
            project_update.prove(row.workspace for row in self.rows)
        if self.remove_local:
            self._check_aside()
            project_update.remove(self.local.values())

    def _check_aside(self) -> None:
        for row in self.rows:
            source, verdict = row.move.source, row.verdict
            if isinstance(source, LocalState) and verdict and digest_of(source.body() or b"") != verdict.digest:
                raise TfstateError(
                    f"{source.aside} differs from the state that was moved: compare them; nothing was removed"
                )


def _hint(side: Endpoint) -> str:
    """The states that may be meant. None of them is taken, as the key may also be that of the destination."""
    return hint(side.aws, side.scope(), side.name) if side.key else ""


def _is_among(denied: set[str], row: MigrationRow) -> bool:
    return row.path is not None and is_denied(row.path, denied)
