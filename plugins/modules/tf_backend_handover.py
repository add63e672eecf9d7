#!/usr/bin/python
# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: tf_backend_handover
short_description: Write the Terraform project that takes over a bootstrapped backend
version_added: 0.2.0
description:
  - Reads every setting of a state bucket and its lock table, and writes a Terraform project that says the same.
    One that adopts them by import blocks, or one that describes a production backend beside them (O(mode)).
  - The project keeps its own state in the bootstrapped backend, under a O(key) of its own.
  - It has a resource for each setting, C(prevent_destroy) on all of them, outputs, and a C(README.md) with the exact
    steps and the way back. It is in the form of C(terraform fmt), and uses no deprecated argument unless
    O(lock_mode=dynamodb) asks for one.
  - It only reads. Terraform is not needed here, and nothing is taken over until somebody applies the project.
author:
  - cornerstone.tfstate contributors (@cornerstone-tfstate)
extends_documentation_fragment:
  - cornerstone.tfstate.attributes
  - cornerstone.tfstate.connection
options:
  directory:
    description:
      - Where the project is written. It is made if it is missing.
      - A file that was edited, or that was never written by this module, is not overwritten unasked.
    type: path
    required: true
  name:
    description:
      - What the backend is called, such as V(us-east-1). Only the C(README.md) names it.
    type: str
    required: true
  bucket:
    description:
      - The state bucket.
      - If omitted and the task runs on the controller, the backend is that of the role's variables.
    type: str
    required: true
  table:
    description:
      - The lock table. Not given, the project has none.
    type: str
  account_id:
    description:
      - The account that must own the backend. The project then refuses to work with credentials of another one.
    type: str
  mode:
    description:
      - V(adopt) takes over O(bucket) and O(table) themselves.
      - V(two_phase) describes O(production_bucket) and O(production_table) with the same settings, which Terraform
        creates. The bootstrapped backend keeps only the state of this project.
    type: str
    choices: [adopt, two_phase]
    default: adopt
  production_bucket:
    description:
      - The bucket that Terraform shall create, for O(mode=two_phase).
    type: str
  production_table:
    description:
      - The lock table that Terraform shall create, for O(mode=two_phase). Not given, it creates none.
    type: str
  key:
    description:
      - Where the project's own state lies in the bootstrapped bucket.
    type: str
    default: terraform-backend/terraform.tfstate
  lock_mode:
    description:
      - How the projects of this backend lock, which the output C(backend) tells them. See
        M(cornerstone.tfstate.tf_backend_config).
      - This project itself locks by a file alone, unless it is V(dynamodb). Nobody else uses its O(key), and
        C(dynamodb_table) is deprecated.
      - Not given, V(both) with a O(table), V(lockfile) without.
    type: str
    choices: [dynamodb, lockfile, both]
  provider_version:
    description:
      - Which versions of the C(aws) provider may be used. The arguments were compared with the schema of 6.62.
    type: str
    default: ">= 6.62, < 7.0"
  bucket_unmanaged:
    description:
      - Settings of the bucket that somebody else manages. They are not read, and the project says nothing of them, but
        for V(encryption), which clients have to ask for.
    type: list
    elements: str
    choices: [ownership, public_access, encryption, lifecycle, versioning, object_lock, tags, logging, policy]
  table_unmanaged:
    description:
      - Settings of the table that somebody else manages, such as V(billing) where autoscaling moves the capacity.
        They are not read, and the project ignores changes of them.
    type: list
    elements: str
    choices: [billing, encryption, deletion_protection, recovery, table_class, tags]
  client:
    description:
      - Whose commands the C(README.md) shows. The project fits both.
    type: str
    choices: [terraform, opentofu]
    default: terraform
  client_version:
    description:
      - Which clients may use the project, as C(required_version). Import blocks need 1.5, lock files 1.10.
    type: str
    default: ">= 1.10"
  client_profile:
    description:
      - The AWS profile that the project uses. Not given, clients find credentials themselves.
    type: str
  client_assume_role_arn:
    description:
      - The role that the project assumes, for its resources and for its state.
    type: str
  client_assume_role_external_id:
    description:
      - The external id that this role asks for. It is written to the files.
    type: str
  client_assume_role_session_name:
    description:
      - The name of the sessions of this role.
    type: str
  wait_timeout:
    description:
      - How many seconds reading may take, including retries and a table that is being changed.
    type: int
    default: 300
  allow:
    description:
      - What may be done although something may be lost by it.
    type: list
    elements: str
    choices:
      overwrite_files: Overwrite files that were edited, or that were not written by this module.
seealso:
  - module: cornerstone.tfstate.tf_state_bucket
  - module: cornerstone.tfstate.tf_lock_table
  - module: cornerstone.tfstate.tf_backend_config
"""

EXAMPLES = r"""
- name: Ensure the state bucket
  cornerstone.tfstate.tf_state_bucket:
    name: acme-handed-over-state
    region: eu-west-1

- name: Ensure the lock table
  cornerstone.tfstate.tf_lock_table:
    name: acme-handed-over-locks
    region: eu-west-1

- name: Write the project by which Terraform takes both over
  cornerstone.tfstate.tf_backend_handover:
    directory: handover/eu-west-1
    name: eu-west-1
    region: eu-west-1
    bucket: acme-handed-over-state
    table: acme-handed-over-locks

- name: Write the project by which Terraform makes a production backend beside them
  cornerstone.tfstate.tf_backend_handover:
    directory: production/eu-west-1
    name: eu-west-1
    region: eu-west-1
    bucket: acme-handed-over-state
    table: acme-handed-over-locks
    mode: two_phase
    production_bucket: acme-production-state
    production_table: acme-production-locks
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
      sample: handover/eu-west-1/bucket.tf
    action:
      description: V(create) or V(update).
      type: str
      sample: create
files:
  description: The paths of all files of the project.
  returned: success
  type: list
  elements: str
  sample: [handover/eu-west-1/terraform.tf, handover/eu-west-1/bucket.tf, handover/eu-west-1/README.md]
project:
  description: What the project is about.
  returned: success
  type: dict
  contains:
    directory: {description: Where it lies., type: str, sample: handover/eu-west-1}
    mode: {description: As O(mode)., type: str, sample: adopt}
    bucket: {description: The bucket that it manages., type: str, sample: acme-handed-over-state}
    table: {description: The table that it manages. None without one., type: str, sample: acme-handed-over-locks}
    key: {description: Where its own state lies., type: str, sample: terraform-backend/terraform.tfstate}
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.client import Aws
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.protocols import ResourceClient
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET, encryption
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import (
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
    WriteCallback,
    no_op,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.guard import Refused
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.observer import Observer
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.reconcile import Interrupted, write_files
from ansible_collections.cornerstone.tfstate.plugins.module_utils._handover.project import PROVIDER_VERSION, Project
from ansible_collections.cornerstone.tfstate.plugins.module_utils._handover.provider_arguments import left_alone
from ansible_collections.cornerstone.tfstate.plugins.module_utils._handover.readme import (
    FILES,
    TABLE_FILE,
    is_unedited,
    project_files,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._local.files import read_text, write_text
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.config_options import SPEC as BACKEND_SPEC
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import (
    CONNECTION_SPEC,
    ModuleEntry,
    connection_of,
    run_module,
    target_of,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import TABLE
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table.encryption import MANAGED_KEY
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table.existence import KEY
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.backend_config import Backend, problems

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


def hand_over(params: Params, check_mode: bool, diff: bool, on_write: WriteCallback = no_op) -> dict[str, Any]:
    """Params in, the result of a task out."""
    try:
        _valid(_problems(params))
        aws = Aws(connection_of(params), params["wait_timeout"], on_write)
        project = project_of(aws, params)
        _valid(problems(project.backend))
        wanted = {str(Path(params["directory"], name)): text for name, text in project_files(project).items()}
        _refuse_edited(wanted, params)
        changes = write_files(wanted, check_mode, read_text, partial(_write, on_write))
    except Interrupted as error:
        return {"failed": True, "msg": str(error), "changed": bool(error.done), "changes": _told(error.done)}
    except TfstateError as error:
        return {"failed": True, "msg": str(error), "changed": False, "changes": []}
    result = {
        "changed": bool(changes),
        "changes": _told(changes),
        "files": list(wanted),
        "warnings": list(aws.warnings),
        "project": {
            "directory": params["directory"],
            "mode": params["mode"],
            "bucket": project.bucket_name,
            "table": project.table_name if project.table is not None else None,
            "key": project.backend.key,
        },
    }
    return {**result, "diff": [_diff(change) for change in changes]} if diff else result


MODULE = ModuleEntry(
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


def project_of(aws: ResourceClient, params: Params) -> Project:
    """What is there, and what these params make of it."""
    bucket, look = _observed(aws, BUCKET, target_of(params, "bucket"), params["bucket_unmanaged"])
    table, besides = _table(aws, params) if params["table"] else (None, ())
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
    aws.warnings += [_said_of(each, project) for each in besides if project.table_name]
    return project


def _encryption(look: Observer) -> Any:
    """Whoever manages it: clients that ask for another one would weaken it."""
    (facet,) = (each for each in BUCKET.facets if each.name == encryption.NAME)
    found = look.inspect([facet])[facet.name]
    if isinstance(found, Unknown):
        raise CallFailed(found.failure)
    return found


def _table(aws: ResourceClient, params: Params) -> tuple[Values, tuple[str, ...]]:
    """Its facets, and what it has besides."""
    table, look = _observed(aws, TABLE, target_of(params, "table"), params["table_unmanaged"])
    if table[EXISTENCE]["key"] != KEY:
        raise Invalid(f"the table {params['table']} has another key than LockID: it is no lock table")
    described = look.answer["Table"] if isinstance(look.answer, Mapping) else {}
    return _with_managed_key(aws, table), left_alone(described)


def _said_of(what: str, project: Project) -> str:
    then = "the project leaves that alone" if project.adopts else "the production table is made without"
    return f"table {project.backend.table} has {what}, which no lock table needs: {then}"


def _observed(
    aws: ResourceClient, resource: Resource, target: Target, unmanaged: list[str] | None
) -> tuple[Values, Observer]:
    """Every facet, also those that are managed only when asked for: whoever takes over takes over all of it."""
    target = replace(target, partition=aws.partition())
    look = Observer(aws, resource, replace(target, arn=resource.arn(target)), {})
    look.identify()
    look.wait_for_rest()
    managed = [facet for facet in resource.facets if facet.name not in (unmanaged or ())]
    found = look.observe(managed, look.answer)
    if found[EXISTENCE] is None:
        raise Invalid(f"the {resource.kind} {target.name} does not exist in {target.region}; bootstrap it first")
    return {**{facet.name: facet.absent for facet in resource.facets}, **found}, look


def _with_managed_key(aws: ResourceClient, table: Values) -> Values:
    """AWS tells of the key that it manages for DynamoDB by its ARN; the provider wants to hear nothing of it."""
    key = table["encryption"]["kms_key_id"]
    if key and key != MANAGED_KEY and aws.key_arn(MANAGED_KEY, must_exist=False) == key:
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


def _write(on_write: WriteCallback, path: str, text: str) -> None:
    write_text(path, text)
    on_write(Call("file", "write", {"path": path}))


def _told(changes: tuple[Change, ...]) -> list[dict[str, Any]]:
    return [{"file": change.facet, "action": "update" if change.before is not None else "create"} for change in changes]


def _diff(change: Change) -> dict[str, str]:
    return {
        "before_header": change.facet,
        "after_header": change.facet,
        "before": change.before or "",
        "after": change.after,
    }


def main() -> None:
    run_module(MODULE)


if __name__ == "__main__":
    main()
