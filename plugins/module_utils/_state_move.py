# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""States on their way into a bucket, and their project after them: from a task's options to a task's result."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import partial
from glob import escape
from pathlib import Path
from typing import Any

from ._aws import Aws
from ._backend_block import Edit, NotSimple
from ._backend_config import Backend, problems
from ._core import Failure, Invalid, Params, Target, TfstateError, Wrote, unheard
from ._guard import Refused
from ._lock_record import LockInfo, rfc3339nano, state_path
from ._module import CONNECTION_SPEC, Edge, connection_of, target_of
from ._project import Project, block_text
from ._reconcile import unless_checking
from ._state import listing
from ._state.fencing import deny, denied_in
from ._state.local_states import LocalState, local_states, remove
from ._state.locking import Place
from ._state.moving import FINISH, MOVE, NOTHING, Move, NotAState, Source, Stored, Verdict
from ._state.scope import Scope
from ._state_lock import CLIENT, who

#: What only the other side's connection decides; certificates and the like are of this machine.
OWN = ("profile", "access_key", "secret_key", "session_token", "assume_role_arn", "assume_role_external_id")
OWN_TOO = ("assume_role_session_name", "endpoint_url")
PREFIX = {"no_log": False, "default": "env:"}

SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    **{f"source_{name}": {"no_log": CONNECTION_SPEC[name].get("no_log", False)} for name in ("region", *OWN, *OWN_TOO)},
    "bucket": {"required": True},
    "table": {},
    "key": {"no_log": False},
    "workspace_key_prefix": PREFIX,
    "account_id": {},
    "encryption": {"choices": ["AES256", "aws:kms", "aws:kms:dsse"]},
    "kms_key_id": {"no_log": False},
    "source_bucket": {},
    "source_table": {},
    "source_key": {"no_log": False},
    "source_workspace_key_prefix": {"no_log": False},
    "source_account_id": {},
    "keys": {"type": "list", "elements": "str", "no_log": False},
    "fence": {"choices": ["lock", "deny", "tag"], "default": "lock"},
    "lock_timeout": {"type": "int", "default": 0},
    "wait_timeout": {"type": "int", "default": 300},
    "project": {"type": "path"},
    "tfbackend": {},
    "lock_mode": {"choices": ["dynamodb", "lockfile", "both"]},
    "client": {"type": "path", "default": "terraform"},
    "client_profile": {},
    "client_assume_role_arn": {},
    "client_assume_role_external_id": {},
    "client_assume_role_session_name": {},
    "init": {"type": "bool", "default": False},
    "prove": {"type": "bool", "default": False},
    "plan_arguments": {"type": "list", "elements": "str", "default": []},
    "remove_local": {"type": "bool", "default": False},
}


@dataclass
class Row:
    """A state of the task: what has to be done about it, or why nothing can be."""

    workspace: str
    move: Move
    verdict: Verdict | None = None
    problem: str | None = None
    is_done: bool = False

    @property
    def action(self) -> str:
        return self.verdict.action if self.verdict else NOTHING

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
class Following:
    """What a project needs so as to follow its states, and what came of it."""

    project: Project
    backend: Backend
    edits: list[Edit]
    not_simple: NotSimple | None
    must_init: bool
    is_proven: bool = False
    removed: list[Path] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        return {
            "edits": [edit.name for edit in self.edits],
            "not_simple": self.not_simple.reason if self.not_simple else None,
            "block": block_text(self.backend, self.project.tfbackend),
            "init": self.must_init,
            "proven": self.is_proven,
            "removed": [str(path) for path in self.removed],
        }


class Moving:
    """One task: all of its states, then its project."""

    def __init__(self, params: Params, wrote: Wrote) -> None:
        _check(params)
        self.params, self.rows, self.local = params, list[Row](), dict[str, LocalState]()
        self.following: Following | None = None
        patience_s = params["wait_timeout"] + params["lock_timeout"]
        self.to = target_of(params, "bucket")
        self.aws = Aws(connection_of(params), patience_s, wrote)
        theirs = source_params(params)
        self.of = target_of(theirs, "bucket") if params["source_bucket"] else None
        self.source_aws = Aws(connection_of(theirs), patience_s, wrote) if self.of else self.aws
        self._until = time.monotonic() + params["lock_timeout"]
        self.info = LockInfo("", "tf_state_move", "", who(), CLIENT, rfc3339nano(datetime.now(timezone.utc)), "")

    def patience(self, attempt: int) -> bool:
        is_left = time.monotonic() < self._until
        if is_left:
            self.aws.pause(attempt)
        return is_left

    # What is to be done.

    def foresee(self) -> None:
        behind = denied_in(self.source_aws, self.of) if self.of and self.params["fence"] == "deny" else set()
        self.rows = [Row(workspace, move) for workspace, move in self._moves()]
        asked = [row for row in self.rows if not (isinstance(row.move.source, Stored) and _path(row) in behind)]
        for row in asked[:1]:  # makes the clients of both sides, which is not safe in threads
            self._judge(row)
        self.aws.together([partial(self._judge, row) for row in asked[1:]] or [lambda: None])
        refused = [row.problem for row in asked if row.problem and not self._is_foreign(row)]
        if refused:
            more = f" (and {len(refused) - 5} more)" if len(refused) > 5 else ""
            raise Refused("; ".join(filter(None, refused[:5])) + more)
        self.following = self._follow()

    def _judge(self, row: Row) -> None:
        try:
            row.verdict = row.move.foresee()
        except Refused as reason:
            row.problem = str(reason)
            row.verdict = None

    def _is_foreign(self, row: Row) -> bool:
        return self.params["key"] is None and row.problem is not None and row.problem.endswith(NotAState.WORDS)

    def _moves(self) -> Iterator[tuple[str, Move]]:
        found = self._local_sources() if self.of is None else self._stored_sources(self.of)
        for workspace, path, source in found:
            place = Place(self.to.name, path, self.params["table"] or None, self.to.owner)
            target = Stored(self.aws, place, _encryption(self.params))
            info = replace(self.info, info=f"moved, or on its way, from {source.url} to {target.url}")
            yield workspace, Move(source, target, info, keeps_lock=self.params["fence"] != "tag")

    def _local_sources(self) -> Iterator[tuple[str, str, Source]]:
        self.local = local_states(Path(self.params["project"]))
        for workspace, state in self.local.items():
            yield workspace, self._path_there(workspace), state

    def _stored_sources(self, of: Target) -> Iterator[tuple[str, str, Source]]:
        params = source_params(self.params)
        key = params["key"]
        patterns = (escape(key),) if key else tuple(self.params["keys"] or ())
        scope = Scope(of, params["table"], patterns, params["workspace_key_prefix"].rstrip("/"))
        found = listing.objects(self.source_aws, scope)
        if isinstance(found, Failure):
            raise TfstateError(str(found))
        paths = sorted(path for path, each in found.states.items() if each.size)
        if not paths:
            raise Refused(f"there is no state {f'of {key} ' if key else ''}in {of.name}: nothing was moved")
        for path in paths:
            workspace = scope.split(path)[1]
            place = Place(of.name, path, params["table"] or None, of.owner)
            yield workspace, self._path_there(workspace) if key else path, Stored(self.source_aws, place)

    def _path_there(self, workspace: str) -> str:
        return state_path(self.params["key"], workspace, self.params["workspace_key_prefix"].rstrip("/"))

    def _follow(self) -> Following | None:
        params = self.params
        if not params["project"]:
            return None
        folder = Path(params["project"])
        project = Project(folder, params["client"], params["tfbackend"], params["plan_arguments"])
        backend = backend_of(params)
        found = project.edits(backend)
        edits = [] if isinstance(found, NotSimple) else found
        if not self.rows and (edits or isinstance(found, NotSimple)):
            raise Refused(f"{folder} holds no local state: name source_bucket, or the folder that does")
        self._check_checkout(project, backend)
        must_init = params["init"] and not isinstance(found, NotSimple) and not project.is_initialised_to(backend)
        return Following(project, backend, edits, found if isinstance(found, NotSimple) else None, must_init)

    def _check_checkout(self, project: Project, backend: Backend) -> None:
        """The code shall follow its own states, and no state shall be where clients would stumble over it."""
        in_the_way = local_states(project.folder) if self.of else {}
        used = [state.url for state in in_the_way.values() if state.is_in_use]
        if used:
            raise Refused(f"{', '.join(used)} would be taken for the state by terraform init: move it away first")
        config = project.initialised
        if config is None or project.is_initialised_to(backend):
            return
        source = (self.of.name if self.of else None, source_params(self.params)["key"])
        named = (config.get("bucket"), config.get("key"))
        if named not in (source, (backend.bucket, backend.key)):
            raise Refused(f"{project.folder} is initialised to s3://{named[0]}/{named[1]}, which is not moved here")

    # What is done.

    def carry_out(self) -> None:
        with ExitStack() as locks:
            for state in self.local.values():
                locks.enter_context(state.held(self.info))
            due = [row for row in self.rows if row.action != NOTHING]
            self.aws.together([partial(self._carry, row) for row in due] or [lambda: None])
            failed = [row.problem for row in due if row.problem]
            if self.of and self.params["fence"] == "deny":
                deny(self.source_aws, self.of, {_path(row) for row in self.rows if not row.problem})
            if failed:
                raise TfstateError("; ".join(filter(None, failed)))
            if self.following:
                self._bring(self.following)
        if self.following and not self.following.not_simple:
            self._prove(self.following)

    def _carry(self, row: Row) -> None:
        try:
            row.verdict = row.move.carry_out(self.patience)
            row.is_done = True
        except TfstateError as error:
            row.problem = str(error)

    def _bring(self, following: Following) -> None:
        """The code first: from then on clients ask for `init`, and no longer look for the local state."""
        following.project.write(following.edits)
        for state in self.local.values() if not following.not_simple else ():
            if state.is_in_use:
                state.set_aside()

    def _prove(self, following: Following) -> None:
        if following.must_init:
            following.project.init()
        if self.params["prove"]:
            for row in self.rows:
                following.project.prove(row.workspace)
            following.is_proven = True
        if self.params["remove_local"]:
            following.removed = [path for state in self.local.values() for path in state.leftovers]
            remove(following.removed)


def _path(row: Row) -> str:
    return row.move.source.place.path if isinstance(row.move.source, Stored) else ""


def _encryption(params: Params) -> dict[str, str]:
    """What clients say that are told so; nothing leaves it to the bucket."""
    key = {"SSEKMSKeyId": params["kms_key_id"]} if params["kms_key_id"] else {}
    return {"ServerSideEncryption": params["encryption"], **key} if params["encryption"] else {}


def source_params(params: Params) -> dict[str, Any]:
    """The options of the source under the names of those of the destination, which also stand in for them."""
    asked = {name: params[f"source_{name}"] for name in (*OWN, *OWN_TOO)}
    # Credentials go together: with any of its own, the source has none of the destination's.
    own = {**asked, "endpoint_url": asked["endpoint_url"] or params["endpoint_url"]}
    named = {"bucket": params["source_bucket"], "table": params["source_table"], "account_id": params["source_account_id"]}
    given = {name: params[f"source_{name}"] or params[name] for name in ("region", "key")}
    prefix = params["source_workspace_key_prefix"]
    given["workspace_key_prefix"] = params["workspace_key_prefix"] if prefix is None else prefix
    return {**params, **(own if any(asked[name] for name in OWN) else {"endpoint_url": own["endpoint_url"]}), **named, **given}


def backend_of(params: Params) -> Backend:
    """The destination, as the project's clients see it."""
    names = ("profile", "assume_role_arn", "assume_role_external_id", "assume_role_session_name")
    prefix = params["workspace_key_prefix"]
    return Backend(
        name="moved",
        bucket=params["bucket"],
        bucket_arn="",
        region=params["region"],
        key=params["key"],
        account_id=params["account_id"],
        workspace_key_prefix=None if prefix == PREFIX["default"] else prefix,
        lock_mode=params["lock_mode"] or ("both" if params["table"] else "lockfile"),
        table=params["table"],
        encryption=params["encryption"] or "AES256",
        kms_key_id=params["kms_key_id"],
        endpoint_url=params["endpoint_url"],
        **{name: params[f"client_{name}"] for name in names},
    )
