# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the files of a backend are as its options, and what was found of it, describe it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._audit.backend_files import DIFFERS, FOREIGN, MISSING
from .._audit.expectations import Expectations, Facts
from .._audit.settings import changes
from .._bucket import BUCKET, encryption
from .._core.model import Invalid, Params
from .._local.files import read_text
from .._terraform.backend_config import BackendConfig, problems
from .backend_files import backend_of, foreign, texts
from .config_options import CONFIG_OPTIONS


def files_seen(options: Params, facts: Facts, wanted: Expectations) -> dict[str, str | None]:
    """By path of each file of the backend what is wrong with it. Empty if it is not known what they should say."""
    there, table = facts.get("bucket") or {}, facts.get("table") or {}
    key = _encryption(there, facts, wanted)
    needs_arn = options.get("lock_mode") != "lockfile"
    if not there.get("exists") or key is None or (needs_arn and not table.get("arn")):
        return {}
    known = {
        "bucket": there["name"],
        "bucket_arn": there.get("arn"),
        "region": facts["region"],
        "account_id": wanted.account_id,
        "encryption": key.get("algorithm"),
        "kms_key_id": key.get("kms_key_id"),
        **({"table": table["name"], "table_arn": table["arn"]} if needs_arn else {}),
        "endpoint_url": wanted.connection.get("endpoint_url"),
    }
    defaults = {name: option.get("default") for name, option in CONFIG_OPTIONS.items()}
    asked = {name: value for name, value in options.items() if value is not None}
    backend = backend_of({**defaults, **asked, **{name: value for name, value in known.items() if value}})
    if wrong := list(problems(backend)):
        raise Invalid(f"config_options: {'; '.join(wrong)}")
    expected = texts(backend, options["directory"])
    if not any(Path(path).parent.is_dir() for path in expected):  # they are on another machine, or nobody wants any
        return {}
    return {path: _status(path, read_text(path), text, backend) for path, text in expected.items()}


def _encryption(there: Mapping[str, Any], facts: Facts, wanted: Expectations) -> Mapping[str, Any] | None:
    """As the next run leaves it: of what it would change, there is a finding of its own."""
    if not there.get("exists") or there.get("region") not in (None, facts["region"]):
        return None
    planned = {each.facet: each.after for each in changes(BUCKET, dict(there), facts, wanted.bucket)}
    found: Mapping[str, Any] | None = planned.get(encryption.NAME, there.get(encryption.NAME))
    return found


def _status(path: str, text: str | None, wanted: str, backend: BackendConfig) -> str | None:
    if text is None or text == wanted:
        return MISSING if text is None else None
    return FOREIGN if foreign(path, text, backend) else DIFFERS
