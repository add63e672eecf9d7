# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Repair of the digest of one state, checked against the state and its history."""

from __future__ import annotations

from dataclasses import dataclass, field

from .._aws.clock import clock
from .._aws.errors import NO_SUCH_OBJECT
from .._aws.protocols import BackendClient
from .._core.model import CallFailed, Failure
from .._engine.guard import Refused
from .._locks.maintenance import exclusive
from .._locks.stores import Place
from .._state.errors import NoState, NotAState
from .._state.history import Content, History, content_of, history_of, versions_of_same_serial
from .._state.inspection import EMPTY, fingerprint
from .._state.kind import Kind, is_named_as_state, kind_of
from .._terraform.scope import Scope
from .digest_check import SETTLE_S
from .digest_item import DigestItem, digest_of, put_digest, remove_digest

#: The operation in its locks.
OPERATION = "digest repair"
#: Values of `allow` that permit what is refused otherwise.
ACCEPT, FORGET = "accept_state", "forget_state"


@dataclass(frozen=True)
class DigestPlan:
    """The existing digest and the wanted one; None: no digest."""

    item: DigestItem
    wanted: str | None
    #: The status, as in the result of tf_backend_info.
    status: str
    content: Content | None = None
    #: Whether the state exists, as far as that matters.
    has_state: bool = True

    @property
    def is_done(self) -> bool:
        return not self.item.exists if self.wanted is None else self.item.text == self.wanted


@dataclass(frozen=True)
class StateDigest:
    """The state of a task, and what the task may do."""

    aws: BackendClient
    scope: Scope
    place: Place
    allow: frozenset[str]
    #: Whether it reads again after a while if the digest of a new state may follow.
    waits_for_digest: bool = True
    #: What was written, which a failed run reports.
    done: list[str] = field(default_factory=list)

    def plan(self, state: str) -> DigestPlan:
        """Raises Refused if the digest must not be changed."""
        item, md5 = self._compared()
        if state == "absent" and not item.exists:
            return DigestPlan(item, None, "missing", has_state=md5 is not None)
        if item.text and item.text == md5:
            return DigestPlan(item, None if state == "absent" else md5, "match")
        history = history_of(self.aws, self.scope, self.place.path)
        content = content_of(self.aws, self.scope, self.place.path)
        if content is None:
            return DigestPlan(item, *self._without_a_state(item, history, state))
        status = {"known": "mismatch"}.get(item.status, item.status)
        self._check_history(content, history, item)
        if item.text == content.md5:  # written meanwhile
            status = "match"
        return DigestPlan(item, None if state == "absent" else content.md5, status, content)

    def _compared(self) -> tuple[DigestItem, str | None]:
        """The digest and the MD5 of the state, read again after a while if the state is that new."""
        item, md5, is_newly_created = self._compared_once()
        if md5 and item.text != md5 and is_newly_created and self.waits_for_digest:
            self.aws.rest(SETTLE_S)
            item, md5, _unused = self._compared_once()
        return item, md5

    def _compared_once(self) -> tuple[DigestItem, str | None, bool]:
        """Reads the state first, so that a write between the two reads is noticed."""
        answer = fingerprint(self.aws, self.scope, self.place.path)
        item = digest_of(self.aws, self.place)
        if isinstance(answer, Failure) and answer.code not in NO_SUCH_OBJECT:
            raise CallFailed(answer)
        if isinstance(answer, Failure):
            return item, None, False
        age_s = (clock(answer["head"]) - answer["head"]["LastModified"]).total_seconds()
        return item, answer["md5"], age_s < SETTLE_S

    def _without_a_state(self, item: DigestItem, history: History, state: str) -> tuple[None, str]:
        status = "deleted" if history.newest else "orphan"
        if state == "absent" and FORGET in self.allow:
            return None, status
        if status == "deleted":
            raise Refused(
                f"the state {self.place.path} was deleted and can be restored: undelete it first (tf_state_version "
                "with state: undeleted). Without its digest clients would take it for empty and create everything again"
            )
        kind = Refused if item.exists else NoState
        raise kind(
            f"there is no state {self.place.path}, nor any version of it: check key and workspace. If the state was "
            "lost, its digest is all that keeps clients from creating everything again: restore the state from a "
            "backup (tf_backend_restore), or put a copy of it back"
        )

    def _check_history(self, content: Content, history: History, item: DigestItem) -> None:
        document = content.document
        if document is None and not content.is_unjudged:
            raise self._unreadable(content, item)(
                f"the state {self.place.path} cannot be read by a client ({_why(content)}): restore a "
                f"version of it with tf_state_version{_newest_whole(history)}"
            )
        unknown = "it has no lineage and serial" if document and document.is_bare else None
        unjudged = _why(content) if document is None else None
        why = unjudged or unknown or history.disagreement() or self._conflicting_version(content, history, item)
        if why and ACCEPT not in self.allow:
            raise Refused(
                f"the state {self.place.path} does not agree with its history: {why}. Restore the right version with "
                f"tf_state_version{_word(ACCEPT)} if this is the right one"
            )
        if ACCEPT not in self.allow:
            self._warn_of_unknown_digest(content, history, item)

    def _unreadable(self, content: Content, item: DigestItem) -> type[Refused]:
        """An empty object needs no digest either: clients treat it as no state."""
        is_known = item.exists or is_named_as_state(self.scope, self.place.path)
        is_none = content.parsed is EMPTY or kind_of(content.parsed, is_known) is Kind.OTHER
        return NotAState if is_none else Refused

    def _conflicting_version(self, content: Content, history: History, item: DigestItem) -> str | None:
        found = versions_of_same_serial(self.aws, self.scope, self.place.path, history, content)
        if not found:
            return None
        fitting = [f"{version_id}, which the digest is of," for version_id, md5 in found.items() if md5 == item.text]
        which = next(iter([*fitting, *(f"{version_id}," for version_id in found)]))
        return (
            f"an older version, {which} has the same serial and other content: two clients wrote without seeing each "
            "other's lock"
        )

    def _warn_of_unknown_digest(self, content: Content, history: History, item: DigestItem) -> None:
        """Of a digest that no version fits: the state that it is of is gone, and may have been a newer one."""
        if item.status != "known" or item.text == content.md5:
            return
        for each in history.versions:
            if not each.version.is_delete_marker:
                answer = fingerprint(self.aws, self.scope, self.place.path, each.version.version_id)
                if isinstance(answer, Failure) or answer["md5"] == item.text:
                    return
        serial = content.document.serial if content.document else None
        warning = (
            f"the digest {item.text} of {self.place.path} fits no version of it: the version that a client wrote last "
            f"may be gone, and this one, serial {serial}, last modified {_modified(content)}, may be an older one. "
            "Look at the plan of a client before anybody applies"
        )
        if warning not in self.aws.warnings:
            self.aws.warnings.append(warning)

    def repair(self, state: str, lock_id: str | None) -> DigestPlan:
        with exclusive(self.aws, self.place, OPERATION, lock_id) as exclusion:
            plan = self.plan(state)
            exclusion.check()
            self.write(plan)
        return plan

    def write(self, plan: DigestPlan) -> None:
        if plan.wanted and not plan.is_done:
            put_digest(self.aws, self.place, plan.item, plan.wanted)
            self.done.append("digest written")
        elif not plan.is_done:
            remove_digest(self.aws, self.place, plan.item)
            self.done.append("digest removed")


def _newest_whole(history: History) -> str:
    """The newest version that can be read, for a message."""
    found = [(version, document) for version, document in history.documents if not document.is_bare]
    if not found:
        return "; none of its versions can be read: restore the state from a backup (tf_backend_restore)"
    version, document = found[0]
    moment = f"{version.last_modified:%Y-%m-%dT%H:%M:%SZ}"
    return f": the newest that can be read is {version.version_id} of {moment}, serial {document.serial}"


def _modified(content: Content) -> str:
    moment = content.answer.get("LastModified")
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment else "at an unknown time"


def _word(word: str) -> str:
    return f"; allow: [{word}] permits it"


def _why(content: Content) -> str:
    return getattr(content.parsed, "reason", "")
