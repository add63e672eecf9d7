# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options that describe the backend files, of tf_backend_config and tf_backend_handover."""

from __future__ import annotations

from typing import Any

#: How clients reach a backend. The documentation fragment is `client`.
CLIENT_OPTIONS: dict[str, dict[str, Any]] = {
    "client_profile": {},
    "client_assume_role_arn": {},
    "client_assume_role_external_id": {},
    "client_assume_role_session_name": {},
}
#: Options that no default of ours stands behind are the fields of `Backend` that have none either.
CONFIG_OPTIONS: dict[str, dict[str, Any]] = {
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
    **CLIENT_OPTIONS,
    "endpoint_url": {},
    "allow": {"type": "list", "elements": "str", "choices": ["overwrite_files", "change_lock_mode"]},
}
