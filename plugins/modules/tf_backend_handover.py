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
  - What is there is written as AWS returned it, so that the first plan after the import finds nothing to change.
  - The project keeps its own state in the bootstrapped backend, under a O(key) of its own.
  - It has a resource for each setting, C(prevent_destroy) on all of them, outputs, and a C(README.md) with the exact
    steps and the way back. It is in the form of C(terraform fmt). It uses a deprecated argument only where the backend
    locks in its table (C(dynamodb_table)), and for a lifecycle rule without a filter (C(prefix)).
  - It only reads. Terraform is not needed here, and nothing is taken over until somebody applies the project.
author:
  - cornerstone.tfstate contributors (@cornerstone-tfstate)
extends_documentation_fragment:
  - cornerstone.tfstate.attributes
  - cornerstone.tfstate.backend
  - cornerstone.tfstate.client
  - cornerstone.tfstate.connection
options:
  directory:
    description:
      - Where the project is written. It is made if it is missing.
      - A relative path is relative to the playbook, and in a playbook of this collection to the current folder.
      - A file that was edited, or that was never written by this module, is not overwritten unasked.
      - A directory in which another file has a backend or C(cloud) block is refused. Terraform takes one in a project.
    type: path
    required: true
  name:
    description:
      - What the backend is called, such as V(us-east-1). Only the C(README.md) names it.
    type: str
    required: true
  bucket:
    required: true
  table:
    description:
      - The lock table. Not given, the project has none.
  account_id:
    description:
      - The account that must own the backend. The project then refuses to work with credentials of another one.
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
      - The bucket that Terraform shall create, for O(mode=two_phase). It must be a name that AWS takes.
    type: str
  production_table:
    description:
      - The lock table that Terraform shall create, for O(mode=two_phase). It is required if the backend locks in its
        table (O(lock_mode)), and left out with O(lock_mode=lockfile) if there is no O(table).
    type: str
  key:
    description:
      - Where the project's own state lies in the bootstrapped bucket.
    type: str
    default: terraform-backend/terraform.tfstate
  lock_mode:
    description:
      - How the projects of this backend lock, this project included. The output C(backend) tells it the others. See
        M(cornerstone.tfstate.tf_backend_config).
      - Not given, V(both) with a O(table), V(lockfile) without.
    type: str
    choices: [dynamodb, lockfile, both]
  provider_version:
    description:
      - Which versions of the C(aws) provider may be used. It must admit 5.100 or a newer one. The arguments were
        compared with the schema of 6.62, and their values with what 5.100 and 6.62 read.
      - If it admits nothing from 6.22 on, the project does not say which encryption types the bucket blocks.
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
  client_assume_role_arn:
    description:
      - The role that the project assumes, for its resources and for its state.
  wait_timeout:
    description:
      - How many seconds reading may take, including retries and a table that is being changed.
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

from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.protocols import ResourceClient
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET, encryption
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.makers import recognised
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import (
    EXISTENCE,
    CallFailed,
    Invalid,
    Params,
    Resource,
    Target,
    Unknown,
    Values,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.printable import printable
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.guard import Refused
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.observer import Observer
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.reconcile import write_files
from ansible_collections.cornerstone.tfstate.plugins.module_utils._handover.project import (
    ACCOUNT_REGIONAL_SUFFIX,
    OLDEST_PROVIDER,
    PROVIDER_VERSION,
    SINCE,
    Project,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._handover.provider_arguments import left_alone
from ansible_collections.cornerstone.tfstate.plugins.module_utils._handover.readme import (
    FILES,
    IMPORTS_FILE,
    README,
    TABLE_FILE,
    is_of_two_phases,
    is_unedited,
    project_files,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._local.files import check_writable, read_text
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.config_options import (
    CLIENT_OPTIONS,
    CONFIG_OPTIONS,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import (
    ModuleEntry,
    ModuleRun,
    run_module,
    target_of,
    with_connection,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.files_result import (
    files_failure,
    files_result,
    write_and_report,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.state_options import BACKEND_OPTIONS
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import TABLE
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table.encryption import MANAGED_KEY
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table.existence import KEY
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.backend_config import (
    BackendConfig,
    problems,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.code_blocks import ENDINGS, declared_in
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.constraints import admits_from
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.hcl_parser import Unparsable

_OF_CONFIG = ("directory", "name", "client", "client_version")


def _facets_of(resource: Resource) -> list[str]:
    return [facet.name for facet in resource.facets if facet.name != EXISTENCE]


OPTIONS: dict[str, dict[str, Any]] = {
    **BACKEND_OPTIONS,
    **{name: CONFIG_OPTIONS[name] for name in _OF_CONFIG},
    **CLIENT_OPTIONS,
    "key": {"no_log": False, "default": "terraform-backend/terraform.tfstate"},
    "lock_mode": {"choices": CONFIG_OPTIONS["lock_mode"]["choices"]},
    "allow": {"type": "list", "elements": "str", "choices": ["overwrite_files"]},
    "mode": {"choices": ["adopt", "two_phase"], "default": "adopt"},
    "production_bucket": {},
    "production_table": {},
    "provider_version": {"default": PROVIDER_VERSION},
    "bucket_unmanaged": {"type": "list", "elements": "str", "choices": _facets_of(BUCKET)},
    "table_unmanaged": {"type": "list", "elements": "str", "choices": _facets_of(TABLE)},
}


def hand_over(run: ModuleRun) -> dict[str, Any]:
    run.failure = files_failure
    params = run.params
    _check(_problems(params))
    project = project_of(run.client(), params)
    _check(problems(project.backend))
    wanted = {str(Path(params["directory"], name)): text for name, text in project_files(project).items()}
    _refuse_edited(wanted, params)
    changes = write_files(wanted, run.check_mode, read_text, check_writable, partial(write_and_report, run.on_write))
    about = {
        "directory": params["directory"],
        "mode": params["mode"],
        "bucket": project.bucket_name,
        "table": project.table_name if project.table is not None else None,
        "key": project.backend.key,
    }
    return {**files_result(changes, wanted, run.diff), "project": about}


MODULE = ModuleEntry(
    with_connection(OPTIONS),
    hand_over,
)


def _problems(params: Params) -> Iterator[str]:
    yield from _provider_problems(params)
    production, table = params["production_bucket"], _production_table(params)
    if params["mode"] == "adopt":
        if production or params["production_table"]:
            yield "production_bucket and production_table need mode: two_phase"
        return
    if not production:
        yield "mode: two_phase needs production_bucket, the name of the bucket that Terraform shall create"
    if production == params["bucket"] or (table and table == params["table"]):
        yield "the production backend needs names of its own; with mode: adopt Terraform takes over what is there"
    if table and not params["table"]:
        yield "production_table takes its settings from table, which is missing"
    if params["table"] and not table and _lock_mode(params) != "lockfile":
        yield (
            f"lock_mode {_lock_mode(params)} locks in a table, and without production_table the production backend "
            "has none: name it, or set lock_mode: lockfile"
        )
    yield from _name_problems(params, BUCKET, "production_bucket", production)
    yield from _name_problems(params, TABLE, "production_table", table)


def _name_problems(params: Params, resource: Resource, option: str, name: str | None) -> Iterator[str]:
    target = replace(target_of(params, resource.kind), name=name or "")
    yield from (f"{option}: {problem}" for problem in resource.existence.problems({}, target) if name)


def _provider_problems(params: Params) -> Iterator[str]:
    versions, production = params["provider_version"], str(params["production_bucket"] or "")
    try:
        if not admits_from(versions, OLDEST_PROVIDER):
            yield f"provider_version {versions!r} admits no version from 5.100 on, for which the project is written"
        elif production.endswith(ACCOUNT_REGIONAL_SUFFIX) and not admits_from(versions, SINCE["bucket_namespace"]):
            yield f"provider_version {versions!r} admits no version from 6.37 on, which a bucket of the account needs"
    except ValueError as error:
        yield f"provider_version {error}"


def _production_table(params: Params) -> str | None:
    """None where clients lock by file alone and there is no table: the name may be that of a whole fleet."""
    is_without = params["lock_mode"] == "lockfile" and not params["table"]
    return None if is_without else params["production_table"]


def _lock_mode(params: Params) -> str:
    return params["lock_mode"] or ("both" if params["table"] else "lockfile")


def _check(observed: Iterator[str] | tuple[str, ...]) -> None:
    sentences = list(observed)
    if sentences:
        raise Invalid("; ".join(sentences))


def project_of(aws: ResourceClient, params: Params) -> Project:
    """What is there, and what these params make of it."""
    is_adopted = not params["production_bucket"]
    bucket, observer = _observed(aws, BUCKET, target_of(params, "bucket"), params["bucket_unmanaged"], is_adopted)
    table, besides = _table(aws, params) if params["table"] else (None, ())
    unmanaged = (frozenset(params["bucket_unmanaged"] or ()), frozenset(params["table_unmanaged"] or ()))
    project = Project(
        backend=_backend(params, observer.target.arn, _encryption(observer)),
        bucket=bucket,
        table=table,
        provider_version=params["provider_version"],
        production_bucket=params["production_bucket"],
        production_table=_production_table(params),
        unmanaged=unmanaged,
        besides=besides,
    )
    aws.warnings += [_beside_message(each, project) for each in besides if project.table_name]
    return project


def _encryption(observer: Observer) -> Any:
    """Whoever manages it: clients that ask for another one would weaken it. They name a key by its ARN."""
    (facet,) = (each for each in BUCKET.facets if each.name == encryption.NAME)
    if facet.name in observer.answers:
        return facet.value(observer.answers[facet.name], observer.target)
    observed = observer.inspect([facet])[facet.name]
    if isinstance(observed, Unknown):
        raise CallFailed(observed.failure)
    return observed


def _table(aws: ResourceClient, params: Params) -> tuple[Values, tuple[str, ...]]:
    """Its facets, and what it has besides."""
    target, is_adopted = target_of(params, "table"), not params["production_bucket"]
    table, observer = _observed(aws, TABLE, target, params["table_unmanaged"], is_adopted)
    if table[EXISTENCE]["key"] != KEY:
        raise Invalid(f"the table {params['table']} has another key than LockID: it is no lock table")
    described = observer.answer["Table"] if isinstance(observer.answer, Mapping) else {}
    return _with_managed_key(aws, table), left_alone(described)


def _second_manager(observer: Observer) -> Iterator[str]:
    """That a project which imports the bucket or table would be its second manager, as far as what was read tells."""
    resource, target = observer.resource, observer.target
    values = {
        facet.name: facet.value(observer.answers[facet.name], target)
        for facet in resource.facets
        if facet.name in observer.answers
    }
    found = recognised(resource.kind, target.name, values)
    if found:
        yield (
            f"{resource.kind} {target.name}: {found.evidence} says that another tool manages it: {found.maker.name}. "
            "Unless that is this very project, two tools will manage it after the import: take it out of the other one "
            "first (docs/makers.md)"
        )


def _beside_message(what: str, project: Project) -> str:
    then = "the project leaves that alone" if project.adopts else "the production table is made without"
    return f"table {project.backend.table} has {what}, which no lock table needs: {then}"


def _observed(
    aws: ResourceClient, resource: Resource, target: Target, unmanaged: list[str] | None, is_adopted: bool
) -> tuple[Values, Observer]:
    """Every facet as AWS returned it, also those that are managed only when asked for; None if unmanaged or absent."""
    target = replace(target, partition=aws.partition())
    observer = Observer(aws, resource, replace(target, arn=resource.arn(target)), {})
    observer.identify()
    observer.wait_for_rest()
    managed = [facet for facet in resource.facets if facet.name not in (unmanaged or ())]
    observed = observer.observe(managed, observer.answer)
    if observed[EXISTENCE] is None:
        raise Invalid(f"the {resource.kind} {target.name} does not exist in {target.region}; bootstrap it first")
    aws.warnings += _second_manager(observer) if is_adopted else ()
    values = {facet.name: facet.provider_value(observer.answers[facet.name], observer.target) for facet in managed}
    return {**dict.fromkeys(facet.name for facet in resource.facets), **values}, observer


def _with_managed_key(aws: ResourceClient, table: Values) -> Values:
    """AWS tells of the key that it manages for DynamoDB by its ARN; the provider wants to hear nothing of it."""
    key = (table["encryption"] or {}).get("kms_key_id")
    if key and key != MANAGED_KEY and aws.key_arn(MANAGED_KEY, must_exist=False) == key:
        return {**table, "encryption": {"kms_key_id": MANAGED_KEY}}
    return table


def _backend(params: Params, arn: str, encrypted: Mapping[str, Any]) -> BackendConfig:
    """The backend that the project's own state lies in: the bootstrapped one, whichever it describes."""
    return BackendConfig(
        name=params["name"],
        bucket=params["bucket"],
        bucket_arn=arn,
        region=params["region"],
        key=params["key"],
        account_id=params["account_id"],
        lock_mode=_lock_mode(params),
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
    for foreign in _foreign_backends(Path(params["directory"])):
        raise Refused(
            f"{foreign} declares a backend, too, and Terraform takes one in a project; choose another directory"
        )
    may_overwrite = "overwrite_files" in (params["allow"] or ())
    readme = str(Path(params["directory"], README))
    if params["mode"] == "adopt" and is_of_two_phases(read_text(readme) or ""):
        raise Refused(f"{readme} {_of_mode('two_phase')}")
    own = str(Path(params["directory"], "terraform.tf"))
    other = _bucket_in(own)
    if other not in (None, params["bucket"]) and not may_overwrite:
        raise Refused(
            f"{own} is of a project whose state is in the bucket {printable(other)}, not in {params['bucket']}: give "
            "each backend a directory of its own, or if that project may be lost: allow: [overwrite_files]"
        )
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


def _bucket_in(path: str) -> str | None:
    """The bucket of the project that is there; None if it is none, or does not say it."""
    try:
        declared = declared_in(path, read_text(path) or "")
    except Unparsable:
        return None
    return next((each.layer.arguments.get("bucket") for each in declared if each.layer), None)


def _foreign_backends(folder: Path) -> Iterator[Path]:
    """Files that Terraform would read beside those of the project, and that say where its state is."""
    try:
        there = sorted(each for each in folder.iterdir() if each.is_file())
    except FileNotFoundError:
        return
    except OSError as error:
        raise Refused(f"{folder} cannot be read: {error.strerror}; choose another directory") from None
    for path in there:
        if path.name in FILES or path.name.startswith(".") or not path.name.endswith(ENDINGS):
            continue
        try:
            if declared_in(str(path), read_text(str(path)) or ""):
                yield path
        except Unparsable as problem:
            raise Refused(
                f"{path} may declare a backend, and cannot be read: {problem}; choose another directory"
            ) from None


def _way_out(path: str, present: str) -> str:
    """A table can go, and the project stay. Import blocks that are left are those of another kind of project."""
    if Path(path).name == IMPORTS_FILE:
        return f"it {_of_mode('adopt')}"
    if Path(path).name == TABLE_FILE and is_unedited(present):
        return "if the table is gone, or out of Terraform's state, remove the file"
    return "choose another directory"


def _of_mode(mode: str) -> str:
    option = f"mode: {mode}"
    return f"was written with {option}: set that (terraform_backend_handover_mode), or choose another directory"


def main() -> None:
    run_module(MODULE)


if __name__ == "__main__":
    main()
