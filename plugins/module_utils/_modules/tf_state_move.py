# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""States on their way into a bucket, and their project after them: from a task's options to a task's result."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .._aws.client import Aws
from .._aws.write_tracker import Lasting
from .._bucket import encryption
from .._core.model import Failure, Invalid, Params, TfstateError, Wrote, unheard
from .._core.printable import printable
from .._engine.guard import Refused
from .._engine.location import check_bucket
from .._engine.reconcile import unless_checking
from .._local.project import Project
from .._locks.maintenance import CLIENT, user
from .._migration.endpoints import Side
from .._migration.migration import Relocation
from .._migration.state_move import FINISH, MOVE, NOTHING
from .._terraform.backend_config import Backend, problems
from .._terraform.code_known import known_of
from .._terraform.protocol import MOVING, WORKSPACE_KEY_PREFIX, LockInfo, rfc3339nano, uuid_of
from .code_options import KNOWN_SPEC
from .entry import CONNECTION_SPEC, Edge, connection_of, target_of
from .state_options import KEYS_NEVER_BLANK, NO_TABLE, TABLE_NEVER_BLANK, encryption_of

#: What only the other side's connection decides; certificates and the like are of this machine.
OWN = (
    *("profile", "access_key", "secret_key", "session_token"),
    *("assume_role_arn", "assume_role_external_id", "assume_role_session_name"),
)

TABLE_UNKNOWN = (
    "source_table is not given: clients that lock in a table are not kept out; if there is none, say "
    f"source_table: {NO_TABLE}"
)

SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    **{
        f"source_{name}": {"no_log": CONNECTION_SPEC[name].get("no_log", False)}
        for name in ("region", *OWN, "endpoint_url")
    },
    "bucket": {"required": True},
    "table": {},
    "key": {"no_log": False},
    "workspace_key_prefix": {"no_log": False, "default": WORKSPACE_KEY_PREFIX},
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
    "client_timeout": {"type": "int", "default": 3600},
    "init": {"type": "bool", "default": False},
    "prove": {"type": "bool", "default": False},
    "plan_arguments": {"type": "list", "elements": "str", "default": []},
    "remove_local": {"type": "bool", "default": False},
    **KNOWN_SPEC,
}


def move_states(params: Params, check_mode: bool, diff: bool, wrote: Wrote = unheard) -> dict[str, Any]:
    """Params in, the result of a task out."""
    relocation: Relocation | None = None
    try:
        found = list(_problems(params))
        if found:
            raise Invalid("; ".join(found))
        relocation = _relocation(params, wrote)
        try:
            relocation.foresee()
        except Refused:
            unless_checking(check_mode, None, relocation.release_idle)
            raise
        unless_checking(check_mode, None, relocation.carry_out)
        relocation.complain()
    except TfstateError as error:
        told = _told(relocation) if relocation else {"changed": False}
        return {"failed": True, "msg": str(error), **told}
    result = _told(relocation)
    return {**result, "diff": _diff(result)} if diff else result


EDGE = Edge(
    SPEC,
    move_states,
    mutually_exclusive=(("profile", "access_key"), ("source_profile", "source_access_key"), ("key", "keys")),
    required_together=(("access_key", "secret_key"), ("source_access_key", "source_secret_key")),
    needs_botocore=True,
    never_blank={
        **TABLE_NEVER_BLANK,
        "source_table": f"locks in the table would be neither seen nor taken; if there is none, say {NO_TABLE}",
        **KEYS_NEVER_BLANK,
        "prove": "nothing would prove that the plan is empty",
    },
)


def _problems(params: Params) -> Iterator[str]:
    source, project, key = params["source_bucket"], params["project"], params["key"]
    if not source and not project:
        yield "name where the states come from: source_bucket, or project for those in a folder"
    if not key and (project or not source or params["source_key"]):
        yield "key is missing: without it all states of source_bucket are moved, each to its own path"
    if not source and any(value for name, value in params.items() if name.startswith("source_")):
        yield "the options source_* go with source_bucket"
    if params["init"] and not project:
        yield "init goes with project"
    if params["code_known"] and not project:
        yield "code_known goes with project"
    if params["prove"] and not project:
        yield "prove goes with project"
    if params["remove_local"] and not params["prove"]:
        yield "remove_local goes with prove: nothing is removed that was not proven"
    if params["tfbackend"] and (not project or Path(params["tfbackend"]).name != params["tfbackend"]):
        yield "tfbackend is the name of a file in project, without a folder"
    is_elsewhere = params["source_endpoint_url"] not in (None, params["endpoint_url"])
    if source == params["bucket"] and (params["source_key"] or key) == key and not is_elsewhere:
        yield "source and destination are the same"
    if project and key and params["region"]:
        yield from problems(_backend(params))


def _relocation(params: Params, wrote: Wrote) -> Relocation:
    project, target = params["project"], _side(params, wrote)
    if params["kms_key_id"]:  # policies compare what uploads ask for with an ARN, and know no alias
        params = {**params, "kms_key_id": target.aws.key_arn(params["kms_key_id"], must_exist=True)}
    return Relocation(
        source=_side(_source_params(params), wrote) if params["source_bucket"] else None,
        target=target,
        keys=tuple(params["keys"] or ()),
        encryption=encryption_of(params),
        fence=params["fence"],
        lock_timeout_s=params["lock_timeout"],
        info=_info(),
        project=_project(params) if project else None,
        backend=_backend(_with_default(params, target)) if project else None,
        init=params["init"],
        prove=params["prove"],
        remove_local=params["remove_local"],
        known=known_of(params["code_known"]),
    )


def _project(params: Params) -> Project:
    names = ("client", "tfbackend", "plan_arguments", "client_timeout")
    return Project(Path(params["project"]), *(params[name] for name in names))


def _side(params: Params, wrote: Wrote) -> Side:
    target = target_of(params, "bucket")
    written = Lasting(wrote)
    aws = Aws(connection_of(params), params["wait_timeout"], written)
    check_bucket(aws, target, params["table"])
    return Side(aws, target, params["table"], params["key"], params["workspace_key_prefix"].rstrip("/"), written)


def _info() -> LockInfo:
    now = rfc3339nano(datetime.now(timezone.utc))
    return LockInfo(uuid_of(os.urandom(16)), MOVING, "", f"{user()}@{socket.gethostname()}", CLIENT, now, "")


def _source_params(params: Params) -> dict[str, Any]:
    """The options of the source, by the names of those of the destination, which stand in for them.

    Credentials go together: with any of its own, the source has none of the destination's.
    """
    own = {name: params[f"source_{name}"] for name in OWN}
    given = {name: params[f"source_{name}"] or params[name] for name in ("region", "key", "endpoint_url")}
    prefix = params["source_workspace_key_prefix"]
    given["workspace_key_prefix"] = params["workspace_key_prefix"] if prefix is None else prefix
    named = {name: params[f"source_{name}"] for name in ("bucket", "table", "account_id")}
    if named["table"] == NO_TABLE:
        named["table"] = ""
    return {**params, **(own if any(own.values()) else {}), **given, **named}


def _with_default(params: Params, target: Side) -> Params:
    """With the encryption of the bucket, if none is given: clients that ask for another weaken it, or are denied."""
    if params["encryption"]:
        return params
    (answer,) = target.aws.read([encryption.read(target.bucket)])
    if isinstance(answer, Failure):
        if answer.code not in encryption.NOT_FOUND:
            target.aws.warnings.append(f"{answer}; without encryption given, the code asks for AES256")
        return params
    default = encryption.normalise(answer, target.bucket)
    return {**params, "encryption": default["algorithm"], "kms_key_id": default["kms_key_id"]}


def _backend(params: Params) -> Backend:
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
        workspace_key_prefix=None if prefix == WORKSPACE_KEY_PREFIX else prefix,
        lock_mode=params["lock_mode"] or ("both" if params["table"] else "lockfile"),
        table=params["table"],
        encryption=params["encryption"] or "AES256",
        kms_key_id=params["kms_key_id"],
        endpoint_url=params["endpoint_url"],
        **{name: params[f"client_{name}"] for name in names},
    )


def _told(relocation: Relocation) -> dict[str, Any]:
    """The result: what was done and what is left, or in check mode what would be done."""
    rows, following, is_plan = relocation.rows, relocation.following, relocation.is_plan
    counted = [row for row in rows if (row.is_done or is_plan) and not row.problem]
    actions = [row.action for row in counted]
    return {
        "changed": relocation.is_changed,
        "states": [row.told() for row in rows],
        "progress": {
            "states": len(rows),
            "moved": actions.count(MOVE),
            "finished": actions.count(FINISH),
            "unchanged": len([row for row in rows if row.action == NOTHING and not row.problem]),
            "failed": len([row for row in rows if row.problem]),
            "bytes": sum(row.verdict.size for row in counted if row.verdict and row.action == MOVE),
        },
        "denied": relocation.denied,
        "project": following.told(is_plan) if following else None,
        "code_known": [{"paths": each.paths, "backend": each.said} for each in relocation.known],
        "warnings": list(_warnings(relocation)),
    }


def _warnings(relocation: Relocation) -> Iterator[str]:
    yield from relocation.target.aws.warnings
    yield from relocation.source.aws.warnings if relocation.source else ()
    yield from (f"left alone: {row.problem}" for row in relocation.rows if row.is_foreign)
    yield from relocation.following.warnings() if relocation.following else ()
    if relocation.source and relocation.source.table is None:
        yield TABLE_UNKNOWN
    unlisted = relocation.unlisted()
    if relocation.source and unlisted:
        more = f" and {len(unlisted) - 1} more" if unlisted[1:] else ""
        yield (
            f"the table {relocation.source.table} has no digest of {unlisted[0]}{more}: clients that lock in another "
            f"table are not kept out; if they lock by files alone, say source_table: {NO_TABLE}"
        )


def _diff(result: dict[str, Any]) -> dict[str, str]:
    """Where states lie and which files change; what stood in a file may have been a secret."""
    due = [row for row in result["states"] if row["action"] != NOTHING]
    project = result["project"] or {"edits": [], "removed": []}
    before = [row["source"] for row in due] + [f"{name}: the backend as it was" for name in project["edits"]]
    after = [row["destination"] for row in due] + [f"{name}: the destination" for name in project["edits"]]
    after += [f"denied: {path}" for path in result["denied"]]
    sides = {"before": before + project["removed"], "after": after}
    return {name: "".join(f"{printable(line)}\n" for line in lines) for name, lines in sides.items()}
