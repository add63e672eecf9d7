#!/usr/bin/python
# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: tf_backend_config
short_description: Write the files that point Terraform or OpenTofu to a backend
version_added: 0.1.0
description:
  - Writes C(backend-config.json), which holds everything another tool needs, C(<name>.s3.tfbackend) for
    C(terraform init -backend-config=), and C(backend.tf), which is complete by itself.
  - The files are in the form of C(terraform fmt), hold only arguments that both Terraform and OpenTofu know, and never
    a credential.
  - A file is replaced in one step. Nobody ever reads half of one.
  - It talks to no cloud. It runs where the files shall lie.
  - It refuses names that Ansible has censored, which contain C(********). A result of another module is censored where
    the value of one of its secret options is part of it.
author:
  - cornerstone.tfstate contributors (@cornerstone-tfstate)
extends_documentation_fragment:
  - cornerstone.tfstate.attributes
  - cornerstone.tfstate.client
options:
  directory:
    description:
      - Where the files are written. It is made if it is missing.
      - Each backend needs a directory of its own.
      - A relative path is relative to the playbook, and in a playbook of this collection to the current folder.
    type: path
    required: true
  name:
    description:
      - What the backend is called, such as V(us-east-1). It becomes part of a file name.
    type: str
    required: true
  bucket:
    description:
      - The state bucket.
    type: str
    required: true
  bucket_arn:
    description:
      - The ARN of the bucket. Not given, that of O(bucket) in the partition C(aws).
    type: str
  region:
    description:
      - The region of bucket and table.
    type: str
    required: true
  account_id:
    description:
      - The account that must own the backend, as C(allowed_account_ids). Clients with credentials of another account
        then stop.
      - Not given, clients do not check it.
    type: str
  key:
    description:
      - Where the state lies in the bucket. Each state needs a key of its own, so that it has a lock of its own.
        See the filter P(cornerstone.tfstate.state_key#filter).
    type: str
    default: terraform.tfstate
  workspace_key_prefix:
    description:
      - What comes before the states of other workspaces than C(default). Not given, clients take C(env:).
    type: str
  lock_mode:
    description:
      - How clients lock a state. V(lockfile) locks by a file beside the state, V(dynamodb) by an item in O(table).
      - V(both) takes both locks. It excludes clients of either kind, and is the way from the one to the other.
      - Clients that only lock by file and clients that only lock by table do not exclude each other.
    type: str
    choices: [dynamodb, lockfile, both]
    default: both
  table:
    description:
      - The lock table. Needed for the O(lock_mode) V(dynamodb) and V(both), not written for V(lockfile).
    type: str
  table_arn:
    description:
      - The ARN of the lock table, for C(backend-config.json).
    type: str
  encryption:
    description:
      - The default encryption of the bucket. With V(aws:kms) the key is written next to C(encrypt), because clients
        ask for V(AES256) otherwise, whatever the bucket's default is.
      - Clients know no V(aws:kms:dsse). They ask for V(aws:kms) with the same key.
    type: str
    choices: [AES256, "aws:kms", "aws:kms:dsse"]
    default: AES256
  kms_key_id:
    description:
      - The KMS key of the bucket, best as ARN. It names the key and is no secret.
      - Not given with V(aws:kms), the key C(alias/aws/s3).
    type: str
  client:
    description:
      - Who will use the backend. Only named in C(backend-config.json). The files fit both.
    type: str
    choices: [terraform, opentofu]
    default: terraform
  client_version:
    description:
      - Which clients may use the backend, as C(required_version) in C(backend.tf).
      - Clients older than 1.10 know no lock files. So O(lock_mode) V(lockfile) and V(both) refuse a constraint that
        admits them.
    type: str
    default: ">= 1.10"
  endpoint_url:
    description:
      - The URL of an emulator or of an S3-compatible store. Clients then also skip all checks that only AWS can answer.
    type: str
  allow:
    description:
      - What may be done although something may be lost by it.
    type: list
    elements: str
    choices:
      overwrite_files: Overwrite files that were not written by this module, or that are another backend's.
      change_lock_mode: >-
        Go from V(dynamodb) to V(lockfile) or back in one step, or from O(lock_mode) V(dynamodb) to another table.
        Clients that use the old files and clients that use the new ones do not exclude each other, so no client may use
        the backend meanwhile.
seealso:
  - module: cornerstone.tfstate.tf_state_bucket
  - module: cornerstone.tfstate.tf_lock_table
  - plugin: cornerstone.tfstate.state_key
    plugin_type: filter
  - name: S3 backend of Terraform
    description: All arguments of the backend block.
    link: https://developer.hashicorp.com/terraform/language/backend/s3
"""

EXAMPLES = r"""
- name: Point Terraform to a backend
  cornerstone.tfstate.tf_backend_config:
    directory: backends/us-east-1
    name: us-east-1
    bucket: usest1-terraform-state-ezra
    table: terraform-locks-us-east-1
    region: us-east-1
    key: "{{ 'platform/network' | cornerstone.tfstate.state_key('prod') }}"

- name: Point OpenTofu to a backend that is encrypted with a key of its own, through a role
  cornerstone.tfstate.tf_backend_config:
    directory: backends/af-south-1
    name: af-south-1
    bucket: cptwn-terraform-state-ezra
    region: af-south-1
    lock_mode: lockfile
    encryption: aws:kms
    kms_key_id: arn:aws:kms:af-south-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab
    client: opentofu
    client_assume_role_arn: arn:aws:iam::111122223333:role/terraform-state
"""

RETURN = r"""
changes:
  description: The files that were written, or in check mode would be.
  returned: always
  type: list
  elements: dict
  contains:
    file:
      description: Its path.
      type: str
      sample: backends/us-east-1/backend.tf
    action:
      description: V(create) or V(update).
      type: str
      sample: create
files:
  description: The paths of all three files.
  returned: success
  type: list
  elements: str
  sample:
    - backends/us-east-1/backend-config.json
    - backends/us-east-1/us-east-1.s3.tfbackend
    - backends/us-east-1/backend.tf
backend:
  description: What C(backend-config.json) holds, and where the files lie.
  returned: success
  type: dict
  contains:
    name: {description: What the backend is called., type: str, sample: us-east-1}
    region: {description: Its region., type: str, sample: us-east-1}
    account_id: {description: The account that must own it. None if any may., type: str, sample: "111122223333"}
    bucket:
      description: Name and ARN of the bucket.
      type: dict
      sample: {name: usest1-terraform-state-ezra, arn: "arn:aws:s3:::usest1-terraform-state-ezra"}
    table:
      description: Name and ARN of the lock table. None if no table takes locks.
      type: dict
      sample:
        name: terraform-locks-us-east-1
        arn: arn:aws:dynamodb:us-east-1:111122223333:table/terraform-locks-us-east-1
    lock_mode: {description: How clients lock., type: str, sample: both}
    encryption: {description: The default encryption of the bucket., type: str, sample: AES256}
    kms_key_id: {description: The KMS key of the bucket. None without one., type: str, sample: alias/terraform-state}
    key: {description: Where the state lies., type: str, sample: platform/network/prod/terraform.tfstate}
    client: {description: Who uses it., type: str, sample: terraform}
    client_version: {description: Which clients may use it., type: str, sample: ">= 1.10"}
    s3: {description: The arguments of the backend block., type: dict, sample: {encrypt: true, use_lockfile: true}}
    directory: {description: Where the files lie., type: str, sample: backends/us-east-1}
    files: {description: As RV(files)., type: list, elements: str, sample: [backends/us-east-1/backend.tf]}
ansible_facts:
  description:
    - RV(backend) as the fact C(terraform_backend) of the host.
    - B(Deprecated), and removed in 1.0.0. A fact stays after a later failure, and in a fact cache. Register the result
      of the task, and use RV(backend).
    - The role sets no fact. It registers the variable C(terraform_backend).
  returned: success, not in check mode
  type: dict
  contains:
    terraform_backend: {description: As RV(backend)., type: dict, sample: {name: us-east-1}}
"""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import (
    Invalid,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.guard import Refused
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.reconcile import unless_checking, write_files
from ansible_collections.cornerstone.tfstate.plugins.module_utils._local.files import check_writable, read_text
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.backend_files import (
    JSON_NAME,
    backend_of,
    foreign,
    texts,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.config_options import CONFIG_OPTIONS
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import (
    ModuleEntry,
    ModuleRun,
    run_module,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.files_result import (
    files_failure,
    files_result,
    write_and_report,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.backend_config import (
    BackendConfig,
    description,
    problems,
)


def write_backend(run: ModuleRun) -> dict[str, Any]:
    run.failure = files_failure
    params = run.params
    backend = backend_of(params)
    wrong = problems(backend)
    if wrong:
        raise Invalid("; ".join(wrong))
    wanted = texts(backend, params["directory"])
    allowed = set(params.get("allow") or ())
    present = {path: read_text(path) for path in wanted}
    if "overwrite_files" not in allowed:
        _refuse_foreign(backend, present)
    if "change_lock_mode" not in allowed:
        _refuse_change_of_lock_mode(backend, present)
    changes = write_files(wanted, run.check_mode, read_text, check_writable, partial(write_and_report, run.on_write))
    described = {**description(backend), "directory": params["directory"], "files": list(wanted)}
    nothing: dict[str, Any] = {}
    facts = unless_checking(run.check_mode, nothing, lambda: {"ansible_facts": {"terraform_backend": described}})
    return {**files_result(changes, wanted, run.diff), "backend": described, **facts}


def _refuse_foreign(backend: BackendConfig, present: Mapping[str, str | None]) -> None:
    """Files that somebody wrote by hand, or that are another backend's, are not overwritten unasked."""
    for path, text in present.items():
        reason = None if text is None else foreign(path, text, backend)
        if reason:
            raise Refused(f"{path} {reason}; choose another directory, or if it may be lost: allow: [overwrite_files]")


def _refuse_change_of_lock_mode(backend: BackendConfig, present: Mapping[str, str | None]) -> None:
    """Clients of the files that are there, and those of the new ones, must exclude each other."""
    for path, text in present.items():
        before, table = _locks_in(text, backend.bucket) if text and path.endswith(JSON_NAME) else (None, None)
        if before is None or _stores(before, table) & _stores(backend.lock_mode, backend.table):
            continue
        permits = f"or if no client uses {backend.bucket}: allow: [change_lock_mode]"
        if {before, backend.lock_mode} == {"dynamodb", "lockfile"}:
            raise Refused(
                f"lock_mode cannot go from {before} to {backend.lock_mode} in one step: clients that use {path} as it "
                "is and clients of the new lock mode do not exclude each other. Set lock_mode to both, and go on with "
                f"playbooks/lock_mode.yml (docs/lock-modes.md); {permits}"
            )
        raise Refused(
            f"the lock table cannot change from {table} to {backend.table}: clients that use {path} as it is and "
            f"clients of the new table do not exclude each other. Set lock_mode to both with the table {table}, "
            f"initialise all clients, and change the table then; {permits}"
        )


def _locks_in(text: str, bucket: str) -> tuple[str | None, str | None]:
    """The lock mode and the table that a description of the same bucket says."""
    try:
        described = json.loads(text)
        mode, table = str(described["lock_mode"]), (described["table"] or {}).get("name")
        return (mode, table) if described["bucket"]["name"] == bucket else (None, None)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None, None


def _stores(lock_mode: str, table: str | None) -> set[str]:
    """Where clients take their locks. They exclude each other if they have one of these in common."""
    return {"dynamodb": {f"table {table}"}, "lockfile": {"files"}}.get(lock_mode, {f"table {table}", "files"})


MODULE = ModuleEntry(CONFIG_OPTIONS, write_backend)


def main() -> None:
    run_module(MODULE)


if __name__ == "__main__":
    main()
