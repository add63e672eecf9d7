# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A backend as Terraform and OpenTofu configuration, and as JSON for other tools.

Pure: no I/O. Only arguments that both clients know are written, and never a credential.
Source: https://developer.hashicorp.com/terraform/language/backend/s3, https://opentofu.org/docs/language/settings/backends/s3/
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields

from .._core.no_log import is_censored, refusal
from .._core.provider import Block, Value
from .constraints import Version, admits_older
from .hcl import hcl_text

LOCKFILE_SINCE: Version = (1, 10, 0)
DEFAULT_WORKSPACE_PREFIX = "env:"
LOCK_FILE_SUFFIX = ".tflock"
DIGEST_SUFFIX = "-md5"

HEADING = "Written by cornerstone.tfstate, which overwrites it: change the inventory, not this file."
_MAX_KEY_BYTES = 1024 - len(LOCK_FILE_SUFFIX)
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


@dataclass(frozen=True)
class BackendConfig:
    """One backend as its clients see it; None is "not given"."""

    name: str
    bucket: str
    bucket_arn: str
    region: str
    key: str
    account_id: str | None = None
    workspace_key_prefix: str | None = None
    lock_mode: str = "both"
    table: str | None = None
    table_arn: str | None = None
    encryption: str = "AES256"
    kms_key_id: str | None = None
    assume_role_arn: str | None = None
    assume_role_external_id: str | None = None
    assume_role_session_name: str | None = None
    profile: str | None = None
    endpoint_url: str | None = None
    client: str = "terraform"
    client_version: str = ">= 1.10"

    @property
    def locks_in_table(self) -> bool:
        return self.lock_mode in ("dynamodb", "both")

    @property
    def locks_in_file(self) -> bool:
        return self.lock_mode in ("lockfile", "both")

    @property
    def uses_kms(self) -> bool:
        return self.encryption != "AES256"


def tfbackend_text(backend: BackendConfig) -> str:
    """`<name>.s3.tfbackend`, for `terraform init -backend-config=` beside an empty `backend "s3" {}`."""
    return hcl_text(arguments(backend), comment=HEADING)


def backend_tf_text(backend: BackendConfig) -> str:
    """`backend.tf`: complete, so that a plain `terraform init` does."""
    s3 = Block("backend", ("s3",), arguments(backend))
    return hcl_text({}, (Block("terraform", (), {"required_version": backend.client_version}, (s3,)),), HEADING)


def json_text(backend: BackendConfig) -> str:
    """`backend-config.json`."""
    return json.dumps(description(backend), indent=2) + "\n"


def description(backend: BackendConfig) -> dict[str, Value | None]:
    """Everything another tool needs, in a stable order; a table that takes no locks is left out."""
    return {
        "name": backend.name,
        "region": backend.region,
        "account_id": backend.account_id,
        "bucket": {"name": backend.bucket, "arn": backend.bucket_arn},
        "table": _given(name=backend.table, arn=backend.table_arn) if backend.locks_in_table else None,
        "lock_mode": backend.lock_mode,
        "encryption": backend.encryption,
        "kms_key_id": backend.kms_key_id,
        "key": backend.key,
        "client": backend.client,
        "client_version": backend.client_version,
        "s3": arguments(backend),
    }


def arguments(backend: BackendConfig) -> dict[str, Value]:
    """The arguments of the `s3` backend, in the order in which they are written."""
    return (
        _given(
            bucket=backend.bucket,
            key=backend.key,
            region=backend.region,
            workspace_key_prefix=backend.workspace_key_prefix,
        )
        | _encryption(backend)
        | _locking(backend)
        | _access(backend)
        | _endpoint(backend)
    )


def _given(**values: Value | None) -> dict[str, Value]:
    return {name: value for name, value in values.items() if value is not None}


def _encryption(backend: BackendConfig) -> dict[str, Value]:
    # `encrypt` without a key makes clients ask for AES256 by header, whatever the bucket's own default is.
    return _given(encrypt=True, kms_key_id=(backend.kms_key_id or "alias/aws/s3") if backend.uses_kms else None)


def _locking(backend: BackendConfig) -> dict[str, Value]:
    return _given(
        use_lockfile=True if backend.locks_in_file else None,
        dynamodb_table=backend.table if backend.locks_in_table else None,
    )


def _access(backend: BackendConfig) -> dict[str, Value]:
    role = _given(
        role_arn=backend.assume_role_arn,
        external_id=backend.assume_role_external_id,
        session_name=backend.assume_role_session_name,
    )
    return _given(
        profile=backend.profile,
        allowed_account_ids=[backend.account_id] if backend.account_id and not backend.endpoint_url else None,
        assume_role=role if backend.assume_role_arn else None,
    )


def _endpoint(backend: BackendConfig) -> dict[str, Value]:
    """An emulator or S3-compatible store has no AWS account, region list or metadata service behind it."""
    if not backend.endpoint_url:
        return {}
    # endpoints.dynamodb is deprecated together with dynamodb_table: named only where the table is.
    services = ("dynamodb", "iam", "s3", "sts") if backend.locks_in_table else ("iam", "s3", "sts")
    return {
        "use_path_style": True,
        "skip_credentials_validation": True,
        "skip_metadata_api_check": True,
        "skip_region_validation": True,
        "skip_requesting_account_id": True,
        "endpoints": dict.fromkeys(services, backend.endpoint_url),
    }


def problems(backend: BackendConfig) -> tuple[str, ...]:
    """What keeps this backend from being written: a sentence each, none when all is well."""
    return tuple(_problems(backend))


def _problems(backend: BackendConfig) -> Iterator[str]:
    censored = [field.name for field in fields(backend) if is_censored(getattr(backend, field.name))]
    if censored:
        yield refusal(censored)
    if not _FILE_NAME.fullmatch(backend.name):
        yield f"name {backend.name!r} is no file name; use up to 200 of a-z, A-Z, 0-9, '.', '_' and '-', no sign first"
    yield from _key_problems(backend)
    if backend.workspace_key_prefix:
        yield from _path_problems("workspace_key_prefix", backend.workspace_key_prefix)
    yield from _lock_problems(backend)
    if backend.kms_key_id and not backend.uses_kms:
        yield "kms_key_id goes with encryption aws:kms or aws:kms:dsse; with AES256 leave it out"
    if backend.assume_role_external_id and not backend.assume_role_arn:
        yield "assume_role_external_id goes with assume_role_arn, which is missing"
    if backend.endpoint_url and "@" in backend.endpoint_url:
        yield "endpoint_url holds a user name or password; credentials are never written, give them by environment"


def _key_problems(backend: BackendConfig) -> Iterator[str]:
    key = backend.key
    yield from _path_problems("key", key)
    if len(key.encode(errors="surrogatepass")) > _MAX_KEY_BYTES:
        yield f"key is longer than {_MAX_KEY_BYTES} bytes, which leaves no room for {LOCK_FILE_SUFFIX}"
    for prefix in dict.fromkeys((DEFAULT_WORKSPACE_PREFIX, backend.workspace_key_prefix)):
        if prefix and key.startswith(f"{prefix}/"):
            yield f"key {key!r} lies in the workspaces of other states; it must not start with {prefix!r}/"
    for suffix, owner in ((LOCK_FILE_SUFFIX, "lock file"), (DIGEST_SUFFIX, "digest")):
        if key.endswith(suffix):
            yield f"key {key!r} would be taken for the {owner} of another state; it must not end with {suffix!r}"


def _path_problems(option: str, path: str) -> Iterator[str]:
    segments = path.split("/")
    if not path or "" in (segments[0], segments[-1]):
        yield f"{option} {path!r} must be a path without a slash at either end"
    elif "" in segments or "." in segments or ".." in segments:
        yield f"{option} {path!r} has an empty, '.' or '..' segment, which clients resolve differently"


def _lock_problems(backend: BackendConfig) -> Iterator[str]:
    if backend.locks_in_table and not backend.table:
        yield f"lock_mode {backend.lock_mode} needs a table"
    try:
        is_too_wide = admits_older_than_lockfile(backend.client_version)
    except ValueError as error:
        yield f"client_version {error}"
        return
    if backend.locks_in_file and is_too_wide:
        yield (
            f"client_version {backend.client_version!r} admits clients older than 1.10, which know no lock files; "
            f"raise it to '>= 1.10', or use lock_mode dynamodb instead of {backend.lock_mode}"
        )


def admits_older_than_lockfile(client_version: str) -> bool:
    """Whether a `required_version` lets a client in that is older than lock files. Raises ValueError."""
    return admits_older(client_version, LOCKFILE_SINCE)
