# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files of a backend, from a task's options to a task's result."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

from .._core.model import Call, Change, Invalid, Params, TfstateError, Wrote, unheard
from .._core.regions import partition_of
from .._engine.guard import Refused
from .._engine.reconcile import Interrupted, write_files
from .._local.files import read_text, write_text
from .._terraform.backend_config import (
    HEADING,
    Backend,
    backend_tf_text,
    description,
    json_text,
    problems,
    tfbackend_text,
)

JSON_NAME, TF_NAME = "backend-config.json", "backend.tf"

#: Options that no default of ours stands behind are the fields of `Backend` that have none either.
SPEC: dict[str, dict[str, Any]] = {
    "directory": {"type": "path", "required": True},
    "name": {"required": True},
    "bucket": {"required": True},
    "bucket_arn": {},
    "region": {"required": True},
    "account_id": {},
    "key": {"no_log": False, "default": "terraform.tfstate"},
    "workspace_key_prefix": {"no_log": False},
    "lock_mode": {"choices": ["dynamodb", "lockfile", "both"], "default": "both"},
    "table": {},
    "table_arn": {},
    "encryption": {"choices": ["AES256", "aws:kms", "aws:kms:dsse"], "default": "AES256"},
    "kms_key_id": {"no_log": False},
    "client": {"choices": ["terraform", "opentofu"], "default": "terraform"},
    "client_version": {"default": ">= 1.10"},
    "client_profile": {},
    "client_assume_role_arn": {},
    "client_assume_role_external_id": {},
    "client_assume_role_session_name": {},
    "endpoint_url": {},
    "allow": {"type": "list", "elements": "str", "choices": ["overwrite_files"]},
}


def write_backend(params: Params, check_mode: bool, diff: bool, wrote: Wrote = unheard) -> dict[str, Any]:
    """Params in, the result of a task out."""
    try:
        backend = backend_of(params)
        found = problems(backend)
        if found:
            raise Invalid("; ".join(found))
        wanted = texts(backend, params["directory"])
        _refuse_foreign(backend, wanted, params)
        changes = write_files(wanted, check_mode, read_text, partial(_write, wrote))
    except Interrupted as error:
        return {"failed": True, "msg": str(error), "changed": bool(error.done), "changes": _told(error.done)}
    except TfstateError as error:
        return {"failed": True, "msg": str(error), "changed": False, "changes": []}
    described = {**description(backend), "directory": params["directory"], "files": list(wanted)}
    result = {"changed": bool(changes), "changes": _told(changes), "files": list(wanted), "backend": described}
    result["ansible_facts"] = {"terraform_backend": described}
    return {**result, "diff": [_diff(change) for change in changes]} if diff else result


def _write(wrote: Wrote, path: str, text: str) -> None:
    write_text(path, text)
    wrote(Call("file", "write", {"path": path}))


def backend_of(params: Params) -> Backend:
    """The backend that these options describe; `client_` marks what the clients do, not this task."""
    names = [field.name for field in fields(Backend)]
    given = {name: params.get(name, params.get(f"client_{name}")) for name in names}
    given["bucket_arn"] = given["bucket_arn"] or _bucket_arn(**given)
    return Backend(**given)


def _bucket_arn(bucket: str, region: str, **_unused: Any) -> str:
    return f"arn:{partition_of(region).name}:s3:::{bucket}"


def texts(backend: Backend, directory: str) -> dict[str, str]:
    named = {
        JSON_NAME: json_text(backend),
        f"{backend.name}.s3.tfbackend": tfbackend_text(backend),
        TF_NAME: backend_tf_text(backend),
    }
    return {str(Path(directory, name)): text for name, text in named.items()}


def _refuse_foreign(backend: Backend, wanted: Mapping[str, str], params: Params) -> None:
    """Files that somebody wrote by hand, or that are another backend's, are not overwritten unasked."""
    if "overwrite_files" in (params.get("allow") or ()):
        return
    for path in wanted:
        text = read_text(path)
        reason = None if text is None else _foreign(path, text, backend)
        if reason:
            raise Refused(f"{path} {reason}; choose another directory, or if it may be lost: allow: [overwrite_files]")


def _foreign(path: str, text: str, backend: Backend) -> str | None:
    if not path.endswith(JSON_NAME):
        return None if HEADING in text else "was not written by cornerstone.tfstate"
    try:
        name = json.loads(text)["name"]
    except (ValueError, KeyError, TypeError):
        return "was not written by cornerstone.tfstate"
    return None if name == backend.name else f"is that of the backend {name}"


def _told(changes: tuple[Change, ...]) -> list[dict[str, Any]]:
    return [{"file": change.facet, "action": "update" if change.before is not None else "create"} for change in changes]


def _diff(change: Change) -> dict[str, str]:
    return {
        "before_header": change.facet,
        "after_header": change.facet,
        "before": change.before or "",
        "after": change.after,
    }
