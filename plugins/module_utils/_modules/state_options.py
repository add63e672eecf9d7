# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options by which a task names one state."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_to_bytes

from .._core.model import Invalid, Params
from .._locks.stores import Place
from .._terraform.protocol import DEFAULT_WORKSPACE, WORKSPACE_KEY_PREFIX
from .._terraform.scope import Scope
from .._terraform.state_name import StateName, check_workspace
from .entry import target_of

# Each has a documentation fragment: backend, state, uploads.

BACKEND_OPTIONS: dict[str, dict[str, Any]] = {"bucket": {"required": True}, "table": {}, "account_id": {}}
STATE_OPTIONS: dict[str, dict[str, Any]] = {
    "key": {"required": True, "no_log": False},
    "key_is_url_encoded": {"type": "bool", "default": False, "no_log": False},
    "workspace": {"default": DEFAULT_WORKSPACE},
    "workspace_key_prefix": {"default": WORKSPACE_KEY_PREFIX, "no_log": False},
}
UPLOAD_OPTIONS: dict[str, dict[str, Any]] = {
    "encryption": {"choices": ["AES256", "aws:kms", "aws:kms:dsse"]},
    "kms_key_id": {"no_log": False},
}
KEYS_OPTIONS: dict[str, dict[str, Any]] = {"keys": {"type": "list", "elements": "str", "no_log": False}}

#: What says that there is no table, where it makes a difference whether somebody knows.
NO_TABLE = "none"
#: What a blank would do.
TABLE_NEVER_BLANK = {"table": "locks in the table would be neither seen nor taken"}
KEYS_NEVER_BLANK = dict.fromkeys(("key", "keys"), "every state of the bucket would be meant")


def name_of(params: Params) -> StateName:
    """How the task names the state. Raises Invalid."""
    key, workspace = (key_of(params) or "").lstrip("/"), params["workspace"]
    if not key or key.endswith("/"):
        raise Invalid(f"key {params['key']!r} must be a path without a slash at its end")
    check_workspace(workspace)
    return StateName(params["bucket"], key, workspace, params["workspace_key_prefix"])


def place_of(params: Params) -> Place:
    """Where the state and its locks lie. Raises Invalid."""
    name, target = name_of(params), target_of(params, "bucket")
    return Place(target.name, name.path, params["table"] or None, target.owner, encryption_of(params))


def key_of(params: Params) -> str | None:
    """The key, decoded where it comes percent-encoded. Raises Invalid."""
    key: str | None = params["key"]
    if not key or not params.get("key_is_url_encoded"):
        return key
    try:
        return unquote_to_bytes(key).decode()
    except UnicodeDecodeError:
        raise Invalid(f"key {key!r} is not UTF-8 once decoded; key_is_url_encoded is set") from None


def encryption_of(params: Params) -> dict[str, str]:
    """What clients say that are told so; nothing leaves it to the bucket. Raises Invalid."""
    if params["kms_key_id"] and not str(params["encryption"]).startswith("aws:kms"):
        raise Invalid("kms_key_id needs encryption: aws:kms or aws:kms:dsse")
    key = {"SSEKMSKeyId": params["kms_key_id"]} if params["kms_key_id"] else {}
    return {"ServerSideEncryption": params["encryption"], **key} if params["encryption"] else {}


def scope_of(params: Params) -> Scope:
    keys, prefix = tuple(params.get("keys") or ()), params["workspace_key_prefix"].rstrip("/")
    return Scope(target_of(params, "bucket"), params["table"] or None, keys, prefix, encryption_of(params))
