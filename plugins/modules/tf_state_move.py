#!/usr/bin/python
# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: tf_state_move
short_description: Move Terraform or OpenTofu states into a backend, and their project after them
version_added: 0.2.0
description:
  - Moves the states of a key with all its workspaces, of a whole bucket, or of a folder with local states. They can
    come from another bucket, region or account, and lock by table or by file on either side.
  - Every byte stays as it is, lineage and serial included. C(terraform init -migrate-state) gives the state of the
    workspace C(default) a new lineage and the serial 1.
  - It works under the locks of both sides, never overwrites a state, writes the digest, and reads back what it wrote.
  - The source is kept, and protected from further use. See O(source_protection).
  - A run that is cut short at any point is completed by the next one with the same options.
  - With O(project) the code follows. Exactly its one backend block is replaced, or the file that O(tfbackend) names.
    Where the code is less simple it is left alone, and RV(project.block) is what to paste.
author:
  - cornerstone.tfstate contributors (@cornerstone-tfstate)
extends_documentation_fragment:
  - cornerstone.tfstate.attributes
  - cornerstone.tfstate.attributes.action_group
  - cornerstone.tfstate.backend
  - cornerstone.tfstate.client
  - cornerstone.tfstate.uploads
  - cornerstone.tfstate.connection
attributes:
  check_mode:
    description: Can run in check mode, and then writes nothing.
    support: full
    details:
      - It reads the states of both sides, tells what would move, and refuses what a run would refuse.
        Locks are only tried by a run.
  diff_mode:
    description: Shows what has changed, or in check mode what would change.
    support: full
    details:
      - It shows where states lie, and which files change. What stands in a state, or stood in a file, is never shown.
options:
  bucket:
    description:
      - The state bucket that the states go to. It has to exist.
      - If omitted and the task runs on the controller, the backend is that of the role's variables.
    required: true
  table:
    description:
      - The lock table of O(bucket). Then the state is locked there too, and its digest is written.
      - Not given, the destination locks by files alone.
  key:
    description:
      - The key that the states get. The states of other workspaces go to
        C(<workspace_key_prefix>/<workspace>/<key>), as clients have it.
      - Not given, all states of O(source_bucket) are moved, each to the path that it has.
    type: str
  workspace_key_prefix:
    description:
      - What comes before the states of other workspaces than C(default) at the destination.
    type: str
    default: "env:"
  account_id:
    description:
      - The 12 digits of the account that must own O(bucket). Quote them in YAML.
      - Not given, it is the account of the credentials, which AWS STS is asked for once; see O(cache_credentials).
      - The bucket of another account can be named on purpose, but not with O(table), as that is always one of the
        credentials' account. The task then fails before it looks at any lock or state.
      - It is also written into the code as C(allowed_account_ids).
  encryption:
    description:
      - What uploads ask for, and with O(project) what the clients are told to ask for.
      - Not given, uploads take the default of the bucket, and the clients are told the same.
  source_bucket:
    description:
      - The bucket that the states come from.
      - Not given, they are the local states of O(project), which are C(terraform.tfstate) and
        C(terraform.tfstate.d/<workspace>/terraform.tfstate).
    type: str
  source_table:
    description:
      - The lock table of O(source_bucket). Name it if its clients lock there, or they are not kept out.
      - If there is none, V(none) says so, and ends a warning. A table without the digest of a state is
        warned of, too, as it may be the wrong one.
    type: str
  source_key:
    description:
      - The key that the states have in O(source_bucket). Not given, it is O(key).
      - If no state has this key, the task fails, and names states with similar names.
    type: str
  source_workspace_key_prefix:
    description:
      - As O(workspace_key_prefix), at the source. Not given, it is the same.
    type: str
  source_account_id:
    description:
      - The account that must own O(source_bucket), and with O(source_table) that the credentials for it must belong to.
      - Not given, it is the account of those credentials.
    type: str
  source_region:
    description:
      - The region of the source. Not given, it is O(region). If the bucket lies in another one, the task fails.
    type: str
  source_endpoint_url:
    description:
      - As O(endpoint_url), for the source. Not given, it is the same.
    type: str
  source_profile:
    description:
      - As O(profile), for the source. With any credential of its own, the source uses none of the destination's.
        Without any, it is reached with those of the destination.
    type: str
  source_access_key:
    description:
      - As O(access_key), for the source.
    type: str
  source_secret_key:
    description:
      - As O(secret_key), for the source.
    type: str
  source_session_token:
    description:
      - As O(session_token), for the source.
    type: str
  source_assume_role_arn:
    description:
      - As O(assume_role_arn), for the source.
    type: str
  source_assume_role_external_id:
    description:
      - As O(assume_role_external_id), for the source.
    type: str
  source_assume_role_session_name:
    description:
      - As O(assume_role_session_name), for the source.
    type: str
  keys:
    description:
      - Shell patterns. Of a whole bucket, only states whose key or path fits one of them are moved.
      - Not given, all are.
    type: list
    elements: str
  source_protection:
    description:
      - What keeps clients from going on at the source, where they would work with a state that nobody else sees.
        It is in place before the locks are released, so that it stops clients that wait for a lock, too.
      - It is removed with M(cornerstone.tfstate.tf_state_lock), by the id of the lock, and in the policy by hand.
    type: str
    choices:
      lock:
        - The lock of the source stays held. Clients say so, and show where the state has gone.
          What works without a lock, such as reading, still works.
      deny:
        - Besides, a statement in the policy of O(source_bucket) denies everybody to read and write the state.
          Where a whole bucket moves, and holds neither another object nor another lock by then, it denies the whole
          bucket. What is denied counts as moved only if its tag names the destination, and it is there.
          A state whose key contains C(*), C(?) or C(${) is refused unless the whole bucket is denied, because a policy
          reads these as a pattern and would deny other states too. Use V(lock) for it.
      tag:
        - The state only gets the tag C(cornerstone.tfstate:moved-to), as it does with the others too.
          Clients that still use the source write there, and this module will not move that any more.
    default: lock
  lock_timeout:
    description:
      - How many seconds to wait for the locks of each state, from when somebody else was found to hold one. After that
        the state is not moved, and the task fails once it has moved all the others. Locks of local states count, too.
    type: int
    default: 0
  wait_timeout:
    description:
      - How many seconds AWS may take besides for each state, if it asks to slow down or is out of order.
  project:
    description:
      - The folder of the code, on the machine that runs the module. Its one backend block comes to say O(bucket),
        O(key) and all else. Without a backend block, C(backend.tf) is written.
      - A relative path is relative to the playbook, and in a playbook of this collection to the current folder.
      - Local states are set aside then, under their name with C(.moved) at its end, as C(terraform init) would else
        copy them itself.
      - Code that was generated (Terramate, Terragrunt, CDKTF and others), that makes its backend with variables,
        that has two of them, or that is a link, is left
        alone, unless it names the destination already.
        Local states then stay where they are, and the task fails.
    type: path
  tfbackend:
    description:
      - The name of a file in O(project) for C(terraform init -backend-config=). It is written whole, in place of the
        arguments of the block, and the block becomes an empty one.
    type: str
  lock_mode:
    description:
      - How the clients of O(project) shall lock.
      - Not given, V(both) with O(table), and V(lockfile) without.
    type: str
    choices: [dynamodb, lockfile, both]
  client:
    description:
      - The program of O(project), by name or path, such as V(tofu).
    type: path
    default: terraform
  client_timeout:
    description:
      - How many seconds O(client) may take to initialise, and for each plan.
    type: int
    default: 3600
  init:
    description:
      - Run C(init -reconfigure) in O(project) where it is not initialised to the destination yet. It copies nothing.
        The client finds credentials in the environment of the task.
      - Where the code was left alone, the task fails once the states have moved, until the code names the destination.
    type: bool
    default: false
  verify_plan:
    description:
      - Run C(plan) in O(project) for every workspace that was moved, and fail unless it is empty.
        What it shows is never told.
      - Where the project is not initialised to the destination, it goes with O(init). Where the code was left alone,
        the task fails once the states have moved, until the code names the destination.
      - A plan that was not empty before is not empty afterwards.
    type: bool
    default: false
  plan_arguments:
    description:
      - Further arguments of C(plan), such as V(-var-file=prod.tfvars).
    type: list
    elements: str
    default: []
  remove_local:
    description:
      - Once the plan was proven to be empty, remove local states that were set aside, and their backups.
        They hold every secret that the state does. Goes with O(verify_plan).
    type: bool
    default: false
  code_known:
    description:
      - The backend of O(project) where its code names no bucket, and it is not initialised. C(docs/code.md) explains
        it.
      - Without it, such a project is refused instead of edited, because its states may be in another backend.
      - It answers for unknown code only. The result repeats it.
    type: list
    elements: dict
    suboptions:
      paths:
        description:
          - The files, as a pattern of the path from O(project), such as V(*.tf).
        type: str
        required: true
      backend:
        description:
          - V(none) if the code has not been used with an S3 backend.
          - Otherwise a dictionary with C(bucket), and C(key), C(region), C(dynamodb_table) and C(use_lockfile) where
            the clients have them.
        type: raw
        required: true
notes:
  - Versions of a state other than the current one stay at the source.
  - Every state is read whole into memory, three at a time.
  - The lock file at the source asks for the encryption that its state has, as a policy may demand it of every upload.
seealso:
  - module: cornerstone.tfstate.tf_backend_config
  - module: cornerstone.tfstate.tf_state_lock
"""

EXAMPLES = r"""
- name: Show what would move from the bucket of another region
  cornerstone.tfstate.tf_state_move:
    source_bucket: old-terraform-state
    source_table: old-terraform-locks
    source_region: af-south-1
    bucket: usest1-terraform-state-ezra
    table: terraform-locks-us-east-1
    region: us-east-1
    key: network/terraform.tfstate
  check_mode: true

- name: Move the local states of a project, and its code with them; add init and verify_plan to have it ready for work
  cornerstone.tfstate.tf_state_move:
    project: "{{ playbook_dir }}/billing"
    bucket: usest1-terraform-state-ezra
    table: terraform-locks-us-east-1
    region: us-east-1
    key: billing/terraform.tfstate

- name: Move a whole bucket, wait for whoever is at work, and deny what is left behind
  cornerstone.tfstate.tf_state_move:
    source_bucket: old-terraform-state
    source_table: old-terraform-locks
    source_region: af-south-1
    bucket: usest1-terraform-state-ezra
    table: terraform-locks-us-east-1
    region: us-east-1
    lock_timeout: 600
    source_protection: deny
"""

RETURN = r"""
states:
  description: Each state, sorted by its path. The same in check mode.
  returned: once the states are known
  type: list
  elements: dict
  contains:
    workspace: {description: Its workspace., type: str, sample: default}
    source:
      description: Where it comes from.
      type: str
      sample: s3://cptwn-terraform-state-ezra/network/terraform.tfstate
    destination:
      description: Where it goes.
      type: str
      sample: s3://usest1-terraform-state-ezra/network/terraform.tfstate
    action:
      description:
        - V(move) if it is copied, V(finish) if an earlier run was cut short or protected the source less,
          V(none) if it was moved before or cannot be.
      type: str
      sample: move
    lineage: {description: The lineage of the state., type: str, sample: 2d29fd45-36f0-4bd9-8a51-76a7a3bd3a56}
    serial: {description: Its serial., type: int, sample: 4}
    size: {description: Its bytes., type: int, sample: 18230}
    problem: {description: Why it was not moved. Null if it was., type: str, sample: null}
skipped_objects:
  description:
    - The objects of a whole O(source_bucket) that are not states, sorted by path. They are not moved, locked or tagged,
      and do not fail the task. An object that may be a damaged state is not among them but fails the task.
  returned: once the states are known
  type: list
  elements: dict
  contains:
    path: {description: Its key in O(source_bucket)., type: str, sample: README.md}
    problem:
      description: Why it is not a state.
      type: str
      sample: "s3://old/README.md cannot be moved, as no client takes it for a state: it is not JSON"
progress:
  description:
    - How many states were moved, finished, unchanged and failed, of how many, the bytes moved, and how many objects
      were skipped because they are not states.
  returned: once the states are known
  type: dict
  sample: {states: 3, moved: 2, finished: 0, unchanged: 1, failed: 0, skipped: 1, bytes: 36460}
denied:
  description:
    - The paths that the policy of O(source_bucket) comes to deny besides those that it denied before. V(*) is all.
  returned: once the states are known
  type: list
  elements: str
  sample: []
project:
  description: What became of O(project), and in check mode what would become of it. Null without one.
  returned: once the states are known
  type: dict
  contains:
    edits: {description: The files that were written., type: list, elements: str, sample: [backend.tf]}
    not_simple: {description: Why the code was left alone. Null if it was not., type: str, sample: null}
    block:
      description: The backend block.
      type: str
      sample: "backend \"s3\" {\n  bucket = \"usest1-terraform-state-ezra\"\n}\n"
    init: {description: Whether C(init) was run., type: bool, sample: true}
    verified: {description: Whether the plan of every workspace was found to be empty., type: bool, sample: true}
    removed: {description: Local files that were removed., type: list, elements: str, sample: []}
code_known:
  description: O(code_known) as it was given.
  returned: always
  type: list
  elements: dict
  sample: [{paths: "*.tf", backend: {bucket: old-terraform-state}}]
"""

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.write_tracker import WriteTracker
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import encryption
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import (
    Failure,
    Invalid,
    Params,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.printable import printable
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.guard import Refused
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.location import check_bucket
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.reconcile import unless_checking
from ansible_collections.cornerstone.tfstate.plugins.module_utils._local.project import TerraformProject
from ansible_collections.cornerstone.tfstate.plugins.module_utils._locks.maintenance import CLIENT, user
from ansible_collections.cornerstone.tfstate.plugins.module_utils._migration.endpoints import Endpoint
from ansible_collections.cornerstone.tfstate.plugins.module_utils._migration.migration import TOLD, Migration
from ansible_collections.cornerstone.tfstate.plugins.module_utils._migration.state_move import FINISH, MOVE, NOTHING
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.code_options import CODE_KNOWN_OPTIONS
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.config_options import CLIENT_OPTIONS
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import (
    CONNECTION_SPEC,
    ModuleEntry,
    ModuleRun,
    run_module,
    target_of,
    with_connection,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.state_options import (
    BACKEND_OPTIONS,
    KEYS_NEVER_BLANK,
    KEYS_OPTIONS,
    NO_TABLE,
    STATE_OPTIONS,
    TABLE_NEVER_BLANK,
    UPLOAD_OPTIONS,
    encryption_of,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.backend_config import (
    BackendConfig,
    problems,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.code_known import Known, known_of
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import (
    MOVING,
    WORKSPACE_KEY_PREFIX,
    LockInfo,
    rfc3339nano,
    uuid_of,
)

#: What only the other side's connection decides; certificates and the like are of this machine.
OWN = (
    *("profile", "access_key", "secret_key", "session_token"),
    *("assume_role_arn", "assume_role_external_id", "assume_role_session_name"),
)

TABLE_UNKNOWN = (
    "source_table is not given: clients that lock in a table are not kept out; if there is none, say "
    f"source_table: {NO_TABLE}"
)

OPTIONS: dict[str, dict[str, Any]] = {
    **{
        f"source_{name}": {"no_log": CONNECTION_SPEC[name].get("no_log", False)}
        for name in ("region", *OWN, "endpoint_url")
    },
    **BACKEND_OPTIONS,
    "key": {"no_log": False},
    "workspace_key_prefix": STATE_OPTIONS["workspace_key_prefix"],
    **UPLOAD_OPTIONS,
    "source_bucket": {},
    "source_table": {},
    "source_key": {"no_log": False},
    "source_workspace_key_prefix": {"no_log": False},
    "source_account_id": {},
    **KEYS_OPTIONS,
    "source_protection": {"choices": ["lock", "deny", "tag"], "default": "lock"},
    "lock_timeout": {"type": "int", "default": 0},
    "project": {"type": "path"},
    "tfbackend": {},
    "lock_mode": {"choices": ["dynamodb", "lockfile", "both"]},
    "client": {"type": "path", "default": "terraform"},
    **CLIENT_OPTIONS,
    "client_timeout": {"type": "int", "default": 3600},
    "init": {"type": "bool", "default": False},
    "verify_plan": {"type": "bool", "default": False},
    "plan_arguments": {"type": "list", "elements": "str", "default": []},
    "remove_local": {"type": "bool", "default": False},
    **CODE_KNOWN_OPTIONS,
}


@dataclass(frozen=True)
class MigrationRequest:
    """The options of a task, read once."""

    #: The options of each side, by the names of those of the destination.
    destination: Params
    source: Params | None
    keys: tuple[str, ...]
    #: What uploads ask for.
    encryption: Mapping[str, str]
    source_protection: str
    lock_timeout_s: int
    project: TerraformProject | None
    #: The destination, as the project's clients see it.
    backend: BackendConfig | None
    init: bool
    verify_plan: bool
    remove_local: bool
    known: Sequence[Known]


def move_states(run: ModuleRun) -> dict[str, Any]:
    request = request_of(run.params)
    migration = _migration(request, run)
    run.failure = lambda _error: _result(migration)
    try:
        migration.plan()
    except Refused:
        unless_checking(run.check_mode, None, migration.release_idle)
        raise
    unless_checking(run.check_mode, None, migration.carry_out)
    migration.raise_problems()
    result = _result(migration)
    return {**result, "diff": _diff(result)} if run.diff else result


MODULE = ModuleEntry(
    with_connection(OPTIONS),
    move_states,
    mutually_exclusive=(("source_profile", "source_access_key"), ("key", "keys")),
    required_together=(("source_access_key", "source_secret_key"),),
    never_blank={
        **TABLE_NEVER_BLANK,
        "source_table": f"locks in the table would be neither seen nor taken; if there is none, say {NO_TABLE}",
        **KEYS_NEVER_BLANK,
        "verify_plan": "nothing would prove that the plan is empty",
    },
)


def request_of(params: Params) -> MigrationRequest:
    """Raises Invalid on options that do not go together."""
    wrong = [*_problems(params)]
    if wrong:
        raise Invalid("; ".join(wrong))
    source = _source_options(params) if params["source_bucket"] else None
    for side in filter(None, (params, source)):
        target_of(side, "bucket")
    return MigrationRequest(
        destination=params,
        source=source,
        keys=tuple(params["keys"] or ()),
        encryption=encryption_of(params),
        source_protection=params["source_protection"],
        lock_timeout_s=params["lock_timeout"],
        project=_project(params) if params["project"] else None,
        backend=_backend(params) if params["project"] else None,
        init=params["init"],
        verify_plan=params["verify_plan"],
        remove_local=params["remove_local"],
        known=known_of(params["code_known"]),
    )


def _problems(params: Params) -> Iterator[str]:
    yield from _source_problems(params)
    yield from _project_problems(params)
    source, key = params["source_bucket"], params["key"]
    is_elsewhere = params["source_endpoint_url"] not in (None, params["endpoint_url"])
    if source == params["bucket"] and (params["source_key"] or key) == key and not is_elsewhere:
        yield "source and destination are the same"
    yield from _key_problems(params)
    if params["project"] and key and params["region"]:
        yield from problems(_backend(params))


def _key_problems(params: Params) -> Iterator[str]:
    for name in ("key", "source_key"):
        key = params[name] or ""
        if key != key.strip("/"):
            yield f"{name} {key!r} must be a path without a slash at either end"
    if (params["key"] or "").startswith("s3://"):
        yield f"key {params['key']!r} is a URL: give the path in the bucket alone"


def _source_problems(params: Params) -> Iterator[str]:
    source, project = params["source_bucket"], params["project"]
    if not source and not project:
        yield "name where the states come from: source_bucket, or project for those in a folder"
    if not params["key"] and (project or not source or params["source_key"]):
        yield "key is missing: without it all states of source_bucket are moved, each to its own path"
    of_source = {name for name in params if name.startswith("source_")} - {"source_protection"}
    if not source and any(params[name] for name in of_source):
        yield f"these options need source_bucket: {', '.join(sorted(name for name in of_source if params[name]))}"


def _project_problems(params: Params) -> Iterator[str]:
    project, tfbackend = params["project"], params["tfbackend"]
    for name in ("init", "code_known", "verify_plan"):
        if params[name] and not project:
            yield f"{name} goes with project"
    if params["remove_local"] and not params["verify_plan"]:
        yield "remove_local goes with verify_plan, as nothing is removed that was not proven"
    if tfbackend and (not project or Path(tfbackend).name != tfbackend):
        yield "tfbackend is the name of a file in project, without a folder"


def _source_options(params: Params) -> dict[str, Any]:
    """The options of the source, by the names of those of the destination, which are its defaults.

    Credentials go together: with any of its own, the source has none of the destination's.
    """
    own = {name: params[f"source_{name}"] for name in OWN}
    shared = {name: params[f"source_{name}"] or params[name] for name in ("region", "key", "endpoint_url")}
    prefix = params["source_workspace_key_prefix"]
    shared["workspace_key_prefix"] = params["workspace_key_prefix"] if prefix is None else prefix
    named = {name: params[f"source_{name}"] for name in ("bucket", "table", "account_id")}
    if named["table"] == NO_TABLE:
        named["table"] = ""
    return {**params, **(own if any(own.values()) else {}), **shared, **named}


def _project(params: Params) -> TerraformProject:
    names = ("client", "tfbackend", "plan_arguments", "client_timeout")
    return TerraformProject(Path(params["project"]), *(params[name] for name in names))


def _backend(params: Params) -> BackendConfig:
    names = ("profile", "assume_role_arn", "assume_role_external_id", "assume_role_session_name")
    prefix = params["workspace_key_prefix"]
    return BackendConfig(
        name="moved",
        bucket=params["bucket"],
        bucket_arn="",
        region=params["region"],
        key=params["key"],
        account_id=params["account_id"],
        workspace_key_prefix=None if prefix == WORKSPACE_KEY_PREFIX else prefix,
        lock_mode=params["lock_mode"] or ("both" if params["table"] else "lockfile"),
        table=params["table"],
        encryption=params["encryption"] or "AES256",
        kms_key_id=params["kms_key_id"],
        endpoint_url=params["endpoint_url"],
        **{name: params[f"client_{name}"] for name in names},
    )


def _migration(request: MigrationRequest, run: ModuleRun) -> Migration:
    target = _endpoint(run, request.destination)
    uploads = dict(request.encryption)
    if "SSEKMSKeyId" in uploads:  # policies compare what uploads ask for with an ARN, and know no alias
        uploads["SSEKMSKeyId"] = target.aws.key_arn(uploads["SSEKMSKeyId"], must_exist=True)
    return Migration(
        source=_endpoint(run, request.source) if request.source else None,
        target=target,
        keys=request.keys,
        encryption=uploads,
        source_protection=request.source_protection,
        lock_timeout_s=request.lock_timeout_s,
        info=_info(),
        project=request.project,
        backend=_encrypted(request.backend, uploads, target) if request.backend else None,
        init=request.init,
        verify_plan=request.verify_plan,
        remove_local=request.remove_local,
        known=request.known,
    )


def _endpoint(run: ModuleRun, options: Params) -> Endpoint:
    target, written = target_of(options, "bucket"), WriteTracker(run.on_write)
    aws = run.client(options, on_write=written)
    check_bucket(aws, target, options["table"])
    prefix = options["workspace_key_prefix"].rstrip("/")
    return Endpoint(aws, target, options["table"], options["key"], prefix, written)


def _info() -> LockInfo:
    now = rfc3339nano(datetime.now(timezone.utc))
    return LockInfo(uuid_of(os.urandom(16)), MOVING, "", f"{user()}@{socket.gethostname()}", CLIENT, now, "")


def _encrypted(backend: BackendConfig, uploads: Mapping[str, str], target: Endpoint) -> BackendConfig:
    """With the encryption of the bucket, if none is given: clients that ask for another weaken it, or are denied."""
    if uploads:
        return replace(backend, kms_key_id=uploads.get("SSEKMSKeyId"))
    (answer,) = target.aws.read([encryption.read(target.bucket)])
    if isinstance(answer, Failure):
        if answer.code not in encryption.NOT_FOUND:
            target.aws.warnings.append(f"{answer}; without encryption given, the code asks for AES256")
        return backend
    default = encryption.normalise(answer, target.bucket)
    return replace(backend, encryption=default["algorithm"] or "AES256", kms_key_id=default["kms_key_id"])


def _result(migration: Migration) -> dict[str, Any]:
    """The result: what was done and what is left, or in check mode what would be done."""
    rows, project_update, is_plan = migration.rows, migration.project_update, migration.is_plan
    counted = [row for row in rows if (row.is_done or is_plan) and not row.problem]
    actions = [row.action for row in counted]
    return {
        "changed": migration.is_changed,
        "states": [row.to_result() for row in rows if not row.is_other],
        "skipped_objects": [{"path": row.path, "problem": row.problem} for row in rows if row.is_other],
        "progress": {
            "states": len([row for row in rows if not row.is_other]),
            "moved": actions.count(MOVE),
            "finished": actions.count(FINISH),
            "unchanged": len([row for row in rows if row.action == NOTHING and not row.problem]),
            "failed": len([row for row in rows if row.problem and not row.is_other]),
            "skipped": len([row for row in rows if row.is_other]),
            "bytes": sum(row.verdict.size for row in counted if row.verdict and row.action == MOVE),
        },
        "denied": migration.denied,
        "project": project_update.to_result(is_plan) if project_update else None,
        "code_known": [{"paths": each.paths, "backend": each.backend_as_given} for each in migration.known],
        "warnings": list(_warnings(migration)),
    }


def _warnings(migration: Migration) -> Iterator[str]:
    yield from migration.target.aws.warnings
    yield from migration.source.aws.warnings if migration.source else ()
    yield from _named("skipped, as it is not a state", [str(row.path) for row in migration.rows if row.is_other])
    yield from _named("empty, which clients treat as no state, and not moved", migration.empty)
    yield from migration.project_update.warnings() if migration.project_update else ()
    if migration.target.key and migration.target.name.alternatives():
        yield f"key {migration.target.key!r} is taken as it is: if it was copied from a lock or a table, correct it"
    if migration.source and migration.source.table is None:
        yield TABLE_UNKNOWN
    unlisted = migration.unlisted()
    if migration.source and unlisted:
        more = f" and {len(unlisted) - 1} more" if unlisted[1:] else ""
        yield (
            f"the table {migration.source.table} has no digest of {unlisted[0]}{more}: clients that lock in another "
            f"table are not kept out; if they lock by files alone, say source_table: {NO_TABLE}"
        )


def _named(what: str, paths: Sequence[str]) -> Iterator[str]:
    """One sentence about all of them."""
    if paths:
        more = f" and {len(paths) - TOLD} more" if paths[TOLD:] else ""
        yield f"{what}: {', '.join(paths[:TOLD])}{more}"


def _diff(result: dict[str, Any]) -> dict[str, str]:
    """Where states lie and which files change; what stood in a file may have been a secret."""
    due = [row for row in result["states"] if row["action"] != NOTHING]
    project = result["project"] or {"edits": [], "removed": []}
    before = [row["source"] for row in due] + [f"{name}: the backend as it was" for name in project["edits"]]
    after = [row["destination"] for row in due] + [f"{name}: the destination" for name in project["edits"]]
    after += [f"denied: {path}" for path in result["denied"]]
    texts = {"before": before + project["removed"], "after": after}
    return {name: "".join(f"{printable(line)}\n" for line in lines) for name, lines in texts.items()}


def main() -> None:
    run_module(MODULE)


if __name__ == "__main__":
    main()
