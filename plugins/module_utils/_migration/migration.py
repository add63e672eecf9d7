# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""States on their way into a bucket, all of them, and then their project after them."""

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
from .._local.project import Project
from .._locks.locking import REPEAT_S
from .._locks.timeout import LockTimeout
from .._state import listing
from .._state.errors import NotAState
from .._terraform.backend_config import Backend
from .._terraform.code_known import Known
from .._terraform.protocol import LockInfo
from .deny_policy import is_behind
from .endpoints import Side
from .project_update import PASTE, Following, follow
from .source_policy import SourceFence
from .state_move import FINISH, NOTHING, Move, Source, Verdict
from .stored_state import Stored, digest_of

#: So many refusals are told one by one.
TOLD = 5


@dataclass
class Row:
    """A state of the task: what has to be done about it, or why nothing can be."""

    workspace: str
    move: Move
    verdict: Verdict | None = None
    problem: str | None = None
    #: No state at all, and nobody said that it was one.
    is_foreign: bool = False
    #: Whether it cannot be read, for lack of permission.
    is_denied: bool = False
    is_done: bool = False
    #: It moved before, and runs of this move left the destination locked.
    is_left_locked: bool = False

    @property
    def path(self) -> str | None:
        """Where it lies in the source's bucket."""
        source = self.move.source
        return source.place.path if isinstance(source, Stored) else None

    @property
    def action(self) -> str:
        if self.verdict:
            return self.verdict.action
        return FINISH if self.is_left_locked else NOTHING

    def told(self) -> dict[str, Any]:
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
class Relocation:
    """One task: all of its states, then its project. Without a source they are the local states of the project."""

    source: Side | None
    target: Side
    #: Of what there is in a whole bucket, shell patterns; none means all.
    keys: tuple[str, ...]
    encryption: Mapping[str, str]
    fence: str
    lock_timeout_s: int
    #: What the locks say, but for id, path and info.
    info: LockInfo
    project: Project | None
    backend: Backend | None
    init: bool
    verify_plan: bool
    remove_local: bool
    known: Sequence[Known] = ()
    rows: list[Row] = field(default_factory=list)
    local: dict[str, LocalState] = field(default_factory=dict)
    following: Following | None = None
    #: Whether what is told is yet to be done.
    is_plan: bool = False

    # What is to be done.

    @cached_property
    def _source_fence(self) -> SourceFence | None:
        return SourceFence(self.source, not (self.source.key or self.keys)) if self.source else None

    def foresee(self) -> None:
        """Finds out, and refuses what cannot be done. It only reads."""
        behind = self._behind() if self.fence == "deny" else set()
        self.rows = list(self._rows())
        rows = sorted(self.rows, key=partial(_is_among, behind))
        for row in rows[:1]:  # makes the clients of both sides, which is not safe in threads
            self._judge(behind, row)
        self.target.aws.together([partial(self._judge, behind, row) for row in rows[1:]])
        self._judge_denied()
        if self.target.key:
            self.complain(Refused)
        if self.fence == "deny" and self._source_fence:
            self._source_fence.foresee(self._moved_paths())
        if self.project and self.backend:
            self._follow(self.project, self.backend)
        self.is_plan = True

    def complain(self, kind: type[TfstateError] = TfstateError) -> None:
        """Raises if there is something that cannot be moved, or could not."""
        problems = [row.problem for row in self.rows if row.problem and not row.is_foreign]
        problems += [self.following.problem] if self.following and self.following.problem else []
        if problems:
            raise kind("; ".join(problems[:TOLD]) + (f"; and {len(problems) - TOLD} more" if problems[TOLD:] else ""))

    def _judge(self, behind: set[str], row: Row) -> None:
        row.problem, row.is_denied = None, False
        self._renew()
        try:
            if _is_among(behind, row):
                row.is_left_locked = not row.move.confirm()
            else:
                row.verdict = row.move.foresee()
        except Refused as reason:
            row.problem = str(reason)
            row.is_foreign = isinstance(reason, NotAState) and not self.target.key
        except CallFailed as error:
            row.problem, row.is_denied = str(error), error.failure.code in DENIED
        except TfstateError as error:
            row.problem = str(error)

    def _judge_denied(self) -> None:
        """What an earlier fence keeps from us, too, whatever the fence is now."""
        denied = [row for row in self.rows if row.is_denied and row.path]
        try:
            behind = self._behind() if denied else set()
        except CallFailed:  # what could not be read is told
            return
        for row in denied:
            if _is_among(behind, row):
                self._judge(behind, row)

    def _behind(self) -> set[str]:
        return self._source_fence.behind() if self._source_fence else set()

    def _moved_paths(self) -> set[str]:
        return {row.path for row in self.rows if row.path and not row.problem}

    def _rows(self) -> Iterator[Row]:
        for workspace, path, source in self._sources(self.source) if self.source else self._local_sources():
            target = self.target.stored(path, self.encryption)
            info = replace(self.info, info=f"moved, or on its way, from {source.url} to {target.url}")
            yield Row(workspace, Move(source, target, info, self.fence != "tag", self._endpoints()))

    def _endpoints(self) -> tuple[str, ...]:
        sides = [side.aws.connection.endpoint_url or "" for side in (self.source, self.target) if side]
        return tuple(sides) if len(set(sides)) > 1 else ()

    def _local_sources(self) -> Iterator[tuple[str, str, Source]]:
        self.local = local_states(self.project.folder) if self.project else {}
        for workspace, state in self.local.items():
            state.check()
            yield workspace, self.target.path(workspace), state

    def _sources(self, side: Side) -> Iterator[tuple[str, str, Source]]:
        """Workspace, path at the destination, and the state."""
        patterns = (escape(side.key),) if side.key else self.keys
        scope = side.scope(patterns)
        found = listing.objects(side.aws, scope)
        if isinstance(found, Failure):
            raise CallFailed(found)
        paths = sorted(path for path, each in found.states.items() if each.size)
        if not paths:
            raise Refused(f"there is no state {f'of {side.key} ' if side.key else ''}in {side.bucket.name} to move")
        for path in paths:
            workspace = scope.split(path)[1]
            yield workspace, self.target.path(workspace) if side.key else path, side.stored(path, {})

    def _follow(self, project: Project, backend: Backend) -> None:
        source = self.source.named if self.source else None
        self.following = following = follow(project, backend, source, self.init, self.verify_plan, self.known)
        if not self.rows and not self.source and (following.edits or following.not_simple):
            raise Refused(f"{project.folder} holds no local state: name source_bucket, or the folder that does")
        if self.rows and not self.source and following.not_simple:
            raise Refused(f"the states of {project.folder} stay where they are, as its code would not follow: {PASTE}")
        if self.remove_local:
            following.leftovers = [path for state in self.local.values() for path in state.leftovers]

    # What is done.

    def carry_out(self) -> None:
        """Moves every state that can be moved. Raises once that is done if one of them could not."""
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
            if self.fence == "deny":
                self._deny()
            self.complain()
            if self.following:
                self.following.bring(self.local.values())
        if self.following:
            self._prove(self.following)

    def release_idle(self) -> None:
        """What runs that were cut short locked where states cannot go any more."""
        refused = [row for row in self.rows if row.problem and not row.is_foreign and row.path]
        if refused:
            self.target.aws.together([partial(self._release_idle, row) for row in refused])

    def _release_idle(self, row: Row) -> None:
        with suppress(TfstateError):  # it stays, as the problem of this state does
            row.move.release_idle()

    def _hold(self, rows: list[Row]) -> None:
        """The locks that stay, looked at once more before anybody relies on them."""
        if not rows:
            return
        self.target.aws.rest(REPEAT_S)
        self.target.aws.together([partial(self._hold_one, row) for row in rows])

    def _hold_one(self, row: Row) -> None:
        self._renew()
        try:
            row.move.hold(row.verdict.digest if row.verdict else "")
        except TfstateError as error:
            row.problem = str(error)

    def _deny(self) -> None:
        """As long as a bucket cannot be denied as a whole, nor has its policy room for each state, their locks do."""
        try:
            if self._source_fence:
                self._source_fence.put(self._moved_paths())
        except Invalid:
            if not any(row.problem for row in self.rows):
                raise

    def _changes(self) -> Iterator[bool]:
        """For each change whether it is done."""
        yield from (row.is_done for row in self.rows if row.action != NOTHING and not row.problem)
        if self._source_fence and self._source_fence.foreseen:
            yield bool(self._source_fence.done)
        yield from self.following.changes() if self.following else ()

    @property
    def is_changed(self) -> bool:
        """Whether anything was written that lasts, also by what failed then; of a plan, whether anything will be."""
        lasts = any(side.written for side in (self.source, self.target) if side)
        return lasts or any(is_done or self.is_plan for is_done in self._changes())

    def unlisted(self) -> list[str]:
        """States that are due, and whose digests the source's table lacks."""
        due = [row for row in self.rows if row.action != NOTHING and self.source and self.source.table]
        return [row.move.source.url for row in due if row.verdict and not row.verdict.is_in_table]

    @property
    def denied(self) -> list[str]:
        """What the policy of the source comes to deny."""
        fence = self._source_fence
        return sorted((fence.foreseen if self.is_plan else fence.done) if fence else ())

    def _waiting(self) -> LockTimeout:
        return LockTimeout(self.lock_timeout_s, self._rest)

    def _rest(self, attempt: int) -> None:
        self._renew()
        self.target.aws.pause(attempt)

    def _renew(self) -> None:
        """A task is late only where one of its states is."""
        for side in (self.source, self.target):
            if side:
                side.aws.renew()

    def _carry(self, row: Row) -> None:
        self._renew()
        try:
            if row.is_left_locked:
                row.move.settle()
            else:
                row.verdict = row.move.carry_out(self._waiting())
            row.is_done = True
        except TfstateError as error:
            row.problem = str(error)

    def _prove(self, following: Following) -> None:
        following.initialise()
        if self.verify_plan:
            following.prove(row.workspace for row in self.rows)
        if self.remove_local:
            self._check_aside()
            following.remove(self.local.values())

    def _check_aside(self) -> None:
        for row in self.rows:
            source, verdict = row.move.source, row.verdict
            if isinstance(source, LocalState) and verdict and digest_of(source.body() or b"") != verdict.digest:
                raise TfstateError(f"{source.aside} is not what was moved: compare them; nothing was removed")


def _is_among(behind: set[str], row: Row) -> bool:
    return row.path is not None and is_behind(row.path, behind)
