# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files of a backend, as its options describe it."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from .._core.model import Params
from .._core.regions import partition_of
from .._terraform.backend_config import HEADING, BackendConfig, backend_tf_text, json_text, tfbackend_text

JSON_NAME = "backend-config.json"
TF_NAME = "backend.tf"


def backend_of(params: Params) -> BackendConfig:
    """The backend that these options describe; `client_` marks what the clients do, not this task."""
    names = [field.name for field in fields(BackendConfig)]
    given = {name: params.get(name, params.get(f"client_{name}")) for name in names}
    given["bucket_arn"] = given["bucket_arn"] or _bucket_arn(**given)
    return BackendConfig(**given)


def _bucket_arn(bucket: str, region: str, **_unused: Any) -> str:
    return f"arn:{partition_of(region).name}:s3:::{bucket}"


def texts(backend: BackendConfig, directory: str) -> dict[str, str]:
    named = {
        JSON_NAME: json_text(backend),
        f"{backend.name}.s3.tfbackend": tfbackend_text(backend),
        TF_NAME: backend_tf_text(backend),
    }
    return {str(Path(directory, name)): text for name, text in named.items()}


def foreign(path: str, text: str, backend: BackendConfig) -> str | None:
    """Why a file is not overwritten unasked: somebody wrote it by hand, or it is another backend's."""
    if not path.endswith(JSON_NAME):
        return None if HEADING in text else "was not written by cornerstone.tfstate"
    try:
        name = json.loads(text)["name"]
    except (ValueError, KeyError, TypeError):
        return "was not written by cornerstone.tfstate"
    return None if name == backend.name else f"is that of the backend {name}"
