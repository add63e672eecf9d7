# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A hand-over from a task's options to a task's result: what is observed becomes the files of a Terraform project."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from .._aws.client import Aws
from .._bucket import BUCKET, encryption
from .._core.model import (
    EXISTENCE,
    Call,
    CallFailed,
    Change,
    Invalid,
    Params,
    Resource,
    Target,
    TfstateError,
    Unknown,
    Values,
    Wrote,
    unheard,
)
from .._engine.guard import Refused
from .._engine.observer import Observer, World
from .._engine.reconcile import Interrupted, write_files
from .._handover.project import PROVIDER_VERSION, Project
from .._handover.provider_arguments import left_alone
from .._handover.readme import FILES, TABLE_FILE, is_unedited, project_files
from .._local.files import read_text, write_text
from .._table import TABLE
from .._table.encryption import MANAGED_KEY
from .._table.existence import KEY
from .._terraform.backend_config import Backend, problems
from .entry import CONNECTION_SPEC, Edge, connection_of, target_of
from .tf_backend_config import SPEC as BACKEND_SPEC

_SHARED = ("directory", "name", "account_id", "client", "client_version", "client_profile", "allow")
_ROLE = ("client_assume_role_arn", "client_assume_role_external_id", "client_assume_role_session_name")


def _facets_of(resource: Resource) -> list[str]:
    return [facet.name for facet in resource.facets if facet.name != EXISTENCE]


SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    **{name: BACKEND_SPEC[name] for name in (*_SHARED, *_ROLE)},
    "bucket": {"required": True},
    "table": {},
    "key": {"no_log": False, "default": "terraform-backend/terraform.tfstate"},
    "lock_mode": {"choices": BACKEND_SPEC["lock_mode"]["choices"]},
    "mode": {"choices": ["adopt", "two_phase"], "default": "adopt"},
    "production_bucket": {},
    "production_table": {},
    "provider_version": {"default": PROVIDER_VERSION},
    "bucket_unmanaged": {"type": "list", "elements": "str", "choices": _facets_of(BUCKET)},
    "table_unmanaged": {"type": "list", "elements": "str", "choices": _facets_of(TABLE)},
    "wait_timeout": {"type": "int", "default": 300},
}


def hand_over(params: Params, check_mode: bool, diff: bool, wrote: Wrote = unheard) -> dict[str, Any]:
    """Params in, the result of a task out."""
    try:
        _valid(_problems(params))
        world = Aws(connection_of(params), params["wait_timeout"], wrote)
        project = project_of(world, params)
        _valid(problems(project.backend))
        wanted = {str(Path(params["directory"], name)): text for name, text in project_files(project).items()}
        _refuse_edited(wanted, params)
        changes = write_files(wanted, check_mode, read_text, partial(_write, wrote))
    except Interrupted as error:
        return {"failed": True, "msg": str(error), "changed": bool(error.done), "changes": _told(error.done)}
    except TfstateError as error:
        return {"failed": True, "msg": str(error), "changed": False, "changes": []}
    result = {
        "changed": bool(changes),
        "changes": _told(changes),
        "files": list(wanted),
        "warnings": list(world.warnings),
        "project": {
            "directory": params["directory"],
            "mode": params["mode"],
            "bucket": project.bucket_name,
            "table": project.table_name if project.table is not None else None,
            "key": project.backend.key,
        },
    }
    return {**result, "diff": [_diff(change) for change in changes]} if diff else result


EDGE = Edge(
    SPEC,
    hand_over,
    mutually_exclusive=(("profile", "access_key"),),
    required_together=(("access_key", "secret_key"),),
    needs_botocore=True,
)


def _problems(params: Params) -> Iterator[str]:
    production, table = params["production_bucket"], params["production_table"]
    if params["mode"] == "adopt":
        if production or table:
            yield "production_bucket and production_table need mode: two_phase"
        return
    if not production:
        yield "mode: two_phase needs production_bucket, the name of the bucket that Terraform shall create"
    if production == params["bucket"] or (table and table == params["table"]):
        yield "the production backend needs names of its own; with mode: adopt Terraform takes over what is there"
    if table and not params["table"]:
        yield "production_table takes its settings from table, which is missing"


def _valid(found: Iterator[str] | tuple[str, ...]) -> None:
    sentences = list(found)
    if sentences:
        raise Invalid("; ".join(sentences))


def project_of(world: World, params: Params) -> Project:
    """What is there, and what these params make of it."""
    bucket, look = _observed(world, BUCKET, target_of(params, "bucket"), params["bucket_unmanaged"])
    table, besides = _table(world, params) if params["table"] else (None, ())
    unmanaged = (frozenset(params["bucket_unmanaged"] or ()), frozenset(params["table_unmanaged"] or ()))
    if encryption.NAME in unmanaged[0]:
        bucket[encryption.NAME] = _encryption(look)
    project = Project(
        backend=_backend(params, look.target.arn, bucket[encryption.NAME]),
        bucket=bucket,
        table=table,
        provider_version=params["provider_version"],
        production_bucket=params["production_bucket"],
        production_table=params["production_table"],
        unmanaged=unmanaged,
        besides=besides,
    )
    world.warnings += [_said_of(each, project) for each in besides if project.table_name]
    return project


def _encryption(look: Observer) -> Any:
    """Whoever manages it: clients that ask for another one would weaken it."""
    (facet,) = (each for each in BUCKET.facets if each.name == encryption.NAME)
    found = look.look([facet])[facet.name]
    if isinstance(found, Unknown):
        raise CallFailed(found.failure)
    return found


def _table(world: World, params: Params) -> tuple[Values, tuple[str, ...]]:
    """Its facets, and what it has besides."""
    table, look = _observed(world, TABLE, target_of(params, "table"), params["table_unmanaged"])
    if table[EXISTENCE]["key"] != KEY:
        raise Invalid(f"the table {params['table']} has another key than LockID: it is no lock table")
    described = look.answer["Table"] if isinstance(look.answer, Mapping) else {}
    return _with_managed_key(world, table), left_alone(described)


def _said_of(what: str, project: Project) -> str:
    then = "the project leaves that alone" if project.adopts else "the production table is made without"
    return f"table {project.backend.table} has {what}, which no lock table needs: {then}"


def _observed(world: World, resource: Resource, target: Target, unmanaged: list[str] | None) -> tuple[Values, Observer]:
    """Every facet, also those that are managed only when asked for: whoever takes over takes over all of it."""
    target = replace(target, partition=world.partition())
    look = Observer(world, resource, replace(target, arn=resource.arn(target)), {})
    look.identify()
    look.wait_for_rest()
    managed = [facet for facet in resource.facets if facet.name not in (unmanaged or ())]
    found = look.observe(managed, look.answer)
    if found[EXISTENCE] is None:
        raise Invalid(f"the {resource.kind} {target.name} does not exist in {target.region}; bootstrap it first")
    return {**{facet.name: facet.absent for facet in resource.facets}, **found}, look


def _with_managed_key(world: World, table: Values) -> Values:
    """AWS tells of the key that it manages for DynamoDB by its ARN; the provider wants to hear nothing of it."""
    key = table["encryption"]["kms_key_id"]
    if key and key != MANAGED_KEY and world.key_arn(MANAGED_KEY, must_exist=False) == key:
        return {**table, "encryption": {"kms_key_id": MANAGED_KEY}}
    return table


def _backend(params: Params, arn: str, encrypted: Mapping[str, Any]) -> Backend:
    """The backend that the project's own state lies in: the bootstrapped one, whichever it describes."""
    return Backend(
        name=params["name"],
        bucket=params["bucket"],
        bucket_arn=arn,
        region=params["region"],
        key=params["key"],
        account_id=params["account_id"],
        lock_mode=params["lock_mode"] or ("both" if params["table"] else "lockfile"),
        table=params["table"],
        encryption=encrypted["algorithm"] or "AES256",
        kms_key_id=encrypted["kms_key_id"],
        assume_role_arn=params["client_assume_role_arn"],
        assume_role_external_id=params["client_assume_role_external_id"],
        assume_role_session_name=params["client_assume_role_session_name"],
        profile=params["client_profile"],
        endpoint_url=params["endpoint_url"],
        client=params["client"],
        client_version=params["client_version"],
    )


def _refuse_edited(wanted: Mapping[str, str], params: Params) -> None:
    """A project is its owners' from the first edit on; so is whatever lay there before."""
    may_overwrite = "overwrite_files" in (params["allow"] or ())
    left = {str(Path(params["directory"], name)): "" for name in FILES}
    for path, text in {**left, **wanted}.items():
        present = read_text(path)
        if present is not None and not text:
            raise Refused(f"{path} is no part of this project, but Terraform would read it; {_way_out(path, present)}")
        if present not in (None, text) and not (may_overwrite or is_unedited(present)):
            raise Refused(
                f"{path} was written or edited by somebody else; choose another directory, or if it may be lost: "
                "allow: [overwrite_files]"
            )


def _way_out(path: str, present: str) -> str:
    """A table can go, and the project stay. Import blocks that are left are those of another kind of project."""
    if Path(path).name == TABLE_FILE and is_unedited(present):
        return "if the table is gone, or out of Terraform's state, remove the file"
    return "choose another directory"


def _write(wrote: Wrote, path: str, text: str) -> None:
    write_text(path, text)
    wrote(Call("file", "write", {"path": path}))


def _told(changes: tuple[Change, ...]) -> list[dict[str, Any]]:
    return [{"file": change.facet, "action": "update" if change.before is not None else "create"} for change in changes]


def _diff(change: Change) -> dict[str, str]:
    return {
        "before_header": change.facet,
        "after_header": change.facet,
        "before": change.before or "",
        "after": change.after,
    }
