#!/usr/bin/python
# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: tf_backend_adopt
short_description: Write down what a backend of another tool is, or put its settings back
version_added: 0.2.0
description:
  - Reads a state bucket and its lock table that another tool made, and writes a file of variables for the host. It has
    everything that is stronger than the baseline of this collection or beside it, so that C(bootstrap) keeps it so and
    C(audit) finds what differs. It has comments that say why.
  - It says how clients lock and where the states are, by the table, the bucket and the code.
  - It says which tool made the backend, and which settings the next run of that tool may set back.
  - Before, it writes a record of all settings, from which O(state=original) puts them back. The record has settings
    only, no states.
  - With O(state=adopted) it writes nothing to AWS.
author:
  - cornerstone.tfstate contributors (@cornerstone-tfstate)
extends_documentation_fragment:
  - cornerstone.tfstate.attributes
  - cornerstone.tfstate.attributes.action_group
  - cornerstone.tfstate.backend
  - cornerstone.tfstate.code
  - cornerstone.tfstate.connection
attributes:
  check_mode:
    description: Can run in check mode, and then writes nothing.
    support: full
  diff_mode:
    description: Shows what has changed, or in check mode what would change.
    support: full
options:
  bucket:
    required: true
  state:
    description:
      - V(adopted) writes O(record), if there is none yet, and O(path).
      - V(original) puts the settings of O(record) back. What that lowers needs its word in O(allow), as in
        M(cornerstone.tfstate.tf_state_bucket). It touches neither states nor O(path).
    type: str
    choices: [adopted, original]
    default: adopted
  path:
    description:
      - The file of variables, such as C(host_vars/eu-west-1/adopted.yml). Required for O(state=adopted).
      - A file that somebody else wrote, or that says something else, is not overwritten unasked.
    type: path
  record:
    description:
      - The record of the settings. It is readable by its owner only, and never overwritten.
      - If omitted, none is written. O(state=original) needs it.
    type: path
  lock_mode:
    description:
      - How clients lock, if you know it. If omitted, what they left behind shows it.
    type: str
    choices: [dynamodb, lockfile, both]
  key:
    description:
      - The key of the state for the files of this host, if you know it. It must be one that is there.
    type: str
  workspace_key_prefix:
    description:
      - What the states of other workspaces than C(default) begin with.
    type: str
    default: "env:"
  leave_to_maker:
    description:
      - Leave to the tool that made the backend what its next run would set back, by C(unmanaged) in O(path).
      - Otherwise O(path) has these lines as comments. What is left to another tool is not protected by this collection.
    type: bool
    default: false
  bucket_options:
    description:
      - What the inventory says of the bucket already, as options of M(cornerstone.tfstate.tf_state_bucket).
      - The file of a host replaces variables of its groups. So these options are not written, and lists and
        dictionaries take them in.
      - If omitted, and the task runs on the controller without O(bucket), it is what the role's variables say.
    type: dict
  table_options:
    description:
      - What the inventory says of the table already, as options of M(cornerstone.tfstate.tf_lock_table).
    type: dict
  bucket_unmanaged:
    description:
      - Settings of the bucket that are somebody else's, as in M(cornerstone.tfstate.tf_state_bucket).
    type: list
    elements: str
    choices: [ownership, public_access, encryption, lifecycle, versioning, object_lock, tags, logging, policy]
  table_unmanaged:
    description:
      - Settings of the table that are somebody else's, as in M(cornerstone.tfstate.tf_lock_table).
    type: list
    elements: str
    choices: [deletion_protection, recovery, billing, encryption, table_class, tags]
  allow:
    description:
      - What may be done although something may be lost by it. All but V(overwrite_files) are for O(state=original).
      - They mean what they mean in M(cornerstone.tfstate.tf_state_bucket) and M(cornerstone.tfstate.tf_lock_table).
    type: list
    elements: str
    choices:
      - overwrite_files
      - suspend_versioning
      - shorten_retention
      - weaken_encryption
      - change_kms_key
      - open_public_access
      - enable_acls
      - change_logging
      - weaken_policy
      - drop_policy_statements
      - grant_foreign_access
      - lock_out_operator
      - enable_object_lock
      - enforce_compliance
      - disable_deletion_protection
      - disable_recovery
      - shared_management
  wait_timeout:
    description:
      - How many seconds AWS gets to carry out what was written.
    type: int
    default: 300
notes:
  - A setting that cannot be read fails the task, as nobody knows whether it is stronger than the baseline. Permit the
    read, or name the setting in O(bucket_unmanaged) or O(table_unmanaged).
  - Names and values from AWS are written as text that neither YAML nor Jinja reads as code.
seealso:
  - module: cornerstone.tfstate.tf_backend_info
  - module: cornerstone.tfstate.tf_state_bucket
"""

EXAMPLES = r"""
- name: Write down what the backend is
  cornerstone.tfstate.tf_backend_adopt:
    bucket: usest1-terraform-state-ezra
    table: terraform-locks-us-east-1
    region: us-east-1
    path: host_vars/us-east-1/adopted.yml
    record: "{{ playbook_dir }}/adopted/us-east-1.json"

- name: Put the settings back as they were
  cornerstone.tfstate.tf_backend_adopt:
    bucket: usest1-terraform-state-ezra
    table: terraform-locks-us-east-1
    region: us-east-1
    record: "{{ playbook_dir }}/adopted/us-east-1.json"
    state: original
    allow:
      - weaken_policy
      - enable_acls
"""

RETURN = r"""
resource_actions:
  description: Which actions AWS was asked for, each once.
  returned: when O(debug_botocore_endpoint_logs) is true
  type: list
  elements: str
  sample: [s3:GetBucketVersioning, s3:HeadBucket]
region_source:
  description: From which profile the region came, if no option and no environment variable named it.
  returned: when the region came from a profile
  type: str
  sample: profile prod
changed:
  description: Whether a file or a setting was written, or in check mode would be.
  returned: always
  type: bool
  sample: true
changes:
  description:
    - What was written, in order. In check mode, what a run would write.
    - After a failure, what was written before it.
  returned: always
  type: list
  elements: dict
  contains:
    file: {description: The file., returned: with O(state=adopted), type: str, sample: host_vars/us-east-1/adopted.yml}
    action: {description: "V(create) or V(update).", returned: with O(state=adopted), type: str, sample: create}
    resource: {description: "V(bucket) or V(table).", returned: with O(state=original), type: str, sample: bucket}
    facet: {description: The setting., returned: with O(state=original), type: str, sample: policy}
    before: {description: What it was., returned: with O(state=original), type: raw, sample: BucketOwnerEnforced}
    after: {description: What it is now., returned: with O(state=original), type: raw, sample: ObjectWriter}
  sample:
    - file: host_vars/us-east-1/adopted.yml
      action: create
files:
  description: The files that were written, or are as they should be.
  returned: success, with O(state=adopted)
  type: list
  elements: str
  sample: [host_vars/us-east-1/adopted.yml]
adopted:
  description: What was found.
  returned: success, with O(state=adopted)
  type: dict
  contains:
    variables:
      description: The names of the variables in the file.
      type: list
      elements: str
      sample: [terraform_backend_lock_mode]
    lock_mode: {description: How clients lock. Null if nothing shows it., type: str, sample: both}
    key:
      description: The key that was written. Null if somebody has to say it.
      type: str
      sample: network/terraform.tfstate
    keys:
      description: The keys of the states of default workspaces.
      type: list
      elements: str
      sample: [network/terraform.tfstate]
    makers:
      description: The tools that made bucket and table.
      type: list
      elements: dict
      sample: [{name: Terraform, evidence: the tag ManagedBy=Terraform, sets_back: [policy]}]
    left_out:
      description: What the file cannot hold, and why.
      type: dict
      sample: {}
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._adoption.locking import key_of, locking_of
from ansible_collections.cornerstone.tfstate.plugins.module_utils._adoption.original import (
    as_it_was,
    parsed_record,
    record_text,
    recorded,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._adoption.parts import PREFIX, Found, Side, parts_of
from ansible_collections.cornerstone.tfstate.plugins.module_utils._adoption.strength import disputes, strength_of
from ansible_collections.cornerstone.tfstate.plugins.module_utils._adoption.variables import (
    HEADING,
    file_text,
    variables_in,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.client import Aws
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.makers import Recognised, recognised
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import (
    EXISTENCE,
    Call,
    CallFailed,
    Change,
    Failure,
    Invalid,
    Params,
    Resource,
    Values,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.printable import printable
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.tags import LOCK_MODE
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.guard import ALLOW, TAKE_OVER, Refused
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.observer import Observer
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.reconcile import (
    Interrupted,
    Outcome,
    reconcile,
    unless_checking,
    write_files,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._local.files import (
    check_writable,
    read_text,
    write_private_text,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.code_options import CODE_OPTIONS, code_of
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import (
    ModuleEntry,
    ModuleRun,
    argument_spec,
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
from ansible_collections.cornerstone.tfstate.plugins.module_utils._state import listing
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import TABLE
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table.existence import KEY
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.code_layer import CodeMap
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import DEFAULT_WORKSPACE
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.scope import Scope

OVERWRITE = "overwrite_files"
_NOT_HERE = {"delete_state", "break_lock", TAKE_OVER}
WORDS = [each for each in dict.fromkeys([*ALLOW["bucket"], *ALLOW["table"]]) if each not in _NOT_HERE]
#: So many lines that differ are in a message.
MOST_LINES = 12
#: What Ansible reads instead of a folder of the same name, or is not read beside it.
ENDINGS = (".yml", ".yaml", ".json")


def _facets_of(resource: Resource) -> list[str]:
    return [facet.name for facet in resource.facets if facet.name != EXISTENCE]


OPTIONS: dict[str, dict[str, Any]] = {
    **BACKEND_OPTIONS,
    "state": {"choices": ["adopted", "original"], "default": "adopted"},
    "path": {"type": "path"},
    "record": {"type": "path"},
    "lock_mode": {"choices": ["dynamodb", "lockfile", "both"]},
    "key": {"no_log": False},
    "workspace_key_prefix": {"no_log": False, "default": "env:"},
    "leave_to_maker": {"type": "bool", "default": False},
    "bucket_options": {"type": "dict"},
    "table_options": {"type": "dict"},
    "bucket_unmanaged": {"type": "list", "elements": "str", "choices": _facets_of(BUCKET)},
    "table_unmanaged": {"type": "list", "elements": "str", "choices": _facets_of(TABLE)},
    "allow": {"type": "list", "elements": "str", "choices": [OVERWRITE, *WORDS]},
    **CODE_OPTIONS,
}


def options_of(resource: Resource) -> list[str]:
    """The options that say what a bucket or table shall be like."""
    return [name for facet in resource.facets if facet.name != EXISTENCE for name in facet.options]


def adopt(run: ModuleRun) -> dict[str, Any]:
    return _put_back(run) if run.params["state"] == "original" else _write_down(run)


def _write_down(run: ModuleRun) -> dict[str, Any]:
    run.failure = files_failure
    params = run.params
    path = params["path"]
    if not path:
        raise Invalid("path is not set: name the file of variables, such as host_vars/eu-west-1/adopted.yml")
    _check_place(path)
    code = code_of(params)
    aws = run.client()
    observers = [_observed(aws, resource, params) for resource in (BUCKET, TABLE) if params[resource.kind]]
    found = _found(aws, params, observers, code)
    parts = parts_of(found, params["leave_to_maker"])
    wanted = {**_record(params, observers), path: _kept(path, file_text(parts))}
    _refuse_other(path, wanted[path], params)
    write = {path: partial(write_and_report, run.on_write)}

    def written(each: str, text: str) -> None:
        if each in write:
            write[each](each, text)
        else:
            write_private_text(each, text)
            run.on_write(Call("file", "write", {"path": each}))

    changes = write_files(wanted, run.check_mode, read_text, check_writable, written)
    aws.warnings += _warnings(found)
    result = files_result(changes, wanted, False)
    if run.diff:
        result["diff"] = [
            {
                **{"before_header": each.facet, "after_header": each.facet},
                **{"before": printable_lines(each.before or ""), "after": printable_lines(each.after)},
            }
            for each in changes
            if each.facet == path
        ]
    return {**result, "adopted": _described(found, parts)}


def printable_lines(text: str) -> str:
    return "".join(f"{printable(line)}\n" for line in text.splitlines())


def _described(found: Found, parts: Iterable[Any]) -> dict[str, Any]:
    return {
        "variables": sorted({name for part in parts if not part.is_offered for name in part.variables}),
        "lock_mode": found.lock_mode,
        "key": found.key,
        "keys": found.keys,
        "makers": [side.maker.to_result() for side in found.resources if side.maker],
        "left_out": {
            f"{side.kind}.{name}": why for side in found.resources for name, why in side.strength.left_out.items()
        },
    }


def _warnings(found: Found) -> Iterator[str]:
    for side in found.resources:
        for name, why in side.strength.left_out.items():
            yield f"{side.kind} {side.name}: {printable(name)} is not held by the file: {why}"
        if side.maker and side.disputed:
            yield f"{side.kind} {side.name}: {side.maker.message(side.disputed)}"
    if found.keys and not found.has_key:
        yield f"terraform_backend_state_key is not known: {found.key_reason}"
    if found.lock_mode is None:
        yield f"how clients lock is not known: {found.lock_reason}; set terraform_backend_lock_mode"


def _observed(aws: Aws, resource: Resource, params: Params) -> Observer:
    """Every facet that is not left to others. Raises Invalid on one that nobody may read."""
    target = replace(target_of(params, resource.kind), partition=aws.partition())
    observer = Observer(aws, resource, replace(target, arn=resource.arn(target)), {"unmanaged": None})
    observer.identify()
    observer.wait_for_rest()
    unmanaged = params[f"{resource.kind}_unmanaged"] or ()
    values = observer.observe([each for each in resource.facets if each.name not in unmanaged], observer.answer)
    if values[EXISTENCE] is None:
        raise Invalid(
            f"the {resource.kind} {target.name} does not exist in {target.region}: there is nothing to adopt. Correct "
            f"the name, or leave the host to bootstrap, which creates it"
        )
    if resource is TABLE and values[EXISTENCE]["key"] != KEY:
        raise Invalid(f"the table {target.name} has another key than LockID: it is no lock table")
    return observer


def _values(observer: Observer) -> Values:
    facets = [each for each in observer.resource.facets if each.name in observer.answers]
    return {each.name: each.value(observer.answers[each.name], observer.target) for each in facets}


def _has_locked_by_file(aws: Aws, scope: Scope) -> bool:
    """Whether a lock file was written lately, of which a version is left; true if not all versions were seen."""
    found = listing.versions(aws, scope, 0)
    if isinstance(found, Failure):
        if found.is_unsupported:
            return False
        raise CallFailed(found)
    return found.usage.lock_writes > 0 or found.stopped_at is not None


def _found(aws: Aws, params: Params, observers: Iterable[Observer], code: CodeMap | None) -> Found:
    scope = Scope(target_of(params, "bucket"), params["table"], (), params["workspace_key_prefix"].rstrip("/"))
    objects = listing.objects(aws, scope)
    if isinstance(objects, Failure):
        raise CallFailed(objects)
    items = listing.items(aws, scope, params["table"]) if params["table"] else []
    if isinstance(items, Failure):
        raise CallFailed(items)
    digests = {each.path for each in items if each.is_digest}
    layers = [each for each in code.layers if each.arguments.get("bucket") == params["bucket"]] if code else []
    tags = next(_values(each).get("tags") or {} for each in observers)
    locking = locking_of(
        bool(items),
        bool(objects.lock_files) or (bool(items) and _has_locked_by_file(aws, scope)),
        tags.get(LOCK_MODE),
        [("dynamodb_table" in each.given, each.arguments.get("use_lockfile") is True) for each in layers],
    )
    lock_mode = params["lock_mode"] or locking.mode
    # bootstrap records this lock mode in a tag.
    is_tagged = (lock_mode or ("both" if params["table"] else "lockfile")) == "lockfile" and LOCK_MODE not in tags
    resources: list[Side] = []
    for each in observers:
        others = resources[0].maker if resources else None
        resources.append(_side(aws, each, params, is_tagged and each.resource is BUCKET, others))
    paths = [each for each in objects.states if each in digests or each.endswith(".tfstate")] or [*objects.states]
    keys = sorted({key for key, workspace in map(scope.split, paths) if workspace == DEFAULT_WORKSPACE})
    keys = keys or sorted({scope.split(each)[0] for each in paths})
    asked = params["key"]
    if asked and keys and asked not in keys:
        raise Invalid(
            f"key {asked!r} (terraform_backend_state_key) is the key of no state in {params['bucket']}, whose keys are "
            f"{printable(', '.join(keys[:20]))}"
        )
    key, reason = key_of(asked, (str(each.arguments.get("key")) for each in layers), keys)
    return Found(
        resources=resources,
        account_id=next((each.target.account_id for each in observers if each.target.account_id), aws.owner()),
        lock_mode=lock_mode,
        lock_reason=locking.reason,
        key=key,
        key_reason=reason,
        keys=keys,
        has_key=bool(key or asked),
    )


def _side(aws: Aws, observer: Observer, params: Params, is_tagged: bool, of_bucket: Recognised | None) -> Side:
    """`of_bucket`: the tool that made the bucket, which made its table, too, if nothing else shows there."""
    resource, target, values = observer.resource, observer.target, _values(observer)
    unmanaged = tuple(params[f"{resource.kind}_unmanaged"] or ())
    maker = recognised(resource.kind, target.name, values) or (
        replace(of_bucket, kind=resource.kind, evidence=f"{of_bucket.evidence} of its bucket") if of_bucket else None
    )
    disputed = [*disputes(resource, values, target, maker)]
    disputed += ["tags"] if is_tagged and maker and "tags" in maker.sets_back and "tags" in values else []
    gone = (*unmanaged, *(disputed if params["leave_to_maker"] else ()))
    strength = strength_of(resource, values, target, gone, _said_elsewhere(resource, params))
    if resource is TABLE and "billing" in strength.options and _is_scaled(aws, observer):
        del strength.options["billing"]
        strength.left_out["billing"] = "autoscaling sets the capacity"
    return Side(resource.kind, target.name, strength, maker, disputed, unmanaged)


def _said_elsewhere(resource: Resource, params: Params) -> Params:
    """The options that the inventory has, without those that it has from the file itself."""
    present = read_text(params["path"]) or ""
    own = {line.partition(":")[0] for line in variables_in(present)} if present.startswith(HEADING) else set()
    asked = params[f"{resource.kind}_options"] or {}
    return {name: value for name, value in asked.items() if f"{PREFIX}{resource.kind}_{name}" not in own}


def _is_scaled(aws: Aws, observer: Observer) -> bool:
    """Whether autoscaling sets the capacity of a table that is not on demand."""
    billing = next(each for each in TABLE.facets if each.name == "billing")
    value = _values(observer)["billing"]
    if value == billing.absent:
        return False
    for probe in billing.probes(observer.target, value, billing.absent):
        (answer,) = aws.read([probe.call])
        if isinstance(answer, Failure):
            raise CallFailed(answer)
        if probe.verdict(answer):
            return True
    return False


def _check_place(path: str) -> None:
    """Ansible reads either host_vars/NAME or host_vars/NAME.yml: a new folder would hide the file that is there."""
    folder = Path(path).absolute().parent
    if folder.parent.name not in ("host_vars", "group_vars"):
        return
    for ending in ENDINGS:
        beside = folder.with_name(folder.name + ending)
        if beside.exists():
            raise Refused(
                f"{path} cannot be written: Ansible would no longer read {beside}, as it reads the folder {folder} "
                f"instead. Move it there first: {folder / f'main{ending}'}"
            )


def _record(params: Params, observers: Iterable[Observer]) -> dict[str, str]:
    """The record, if there is none yet. Raises Refused if it is that of another backend."""
    path = params["record"]
    if not path:
        return {}
    described = {
        each.resource.kind: {
            **{"name": each.target.name, "region": each.target.region, "account_id": each.target.account},
            "facets": {name: recorded(answer) for name, answer in each.answers.items() if name != EXISTENCE},
        }
        for each in observers
    }
    present = read_text(path)
    if present is None:
        return {path: record_text(described)}
    known = parsed_record(present, path)
    for kind, each in described.items():
        if (known.get(kind) or {}).get("name") not in (None, each["name"]):
            raise Refused(
                f"{path} is the record of {kind} {printable(str(known[kind]['name']))}, not of {each['name']}: give "
                "each backend a record of its own"
            )
    return {path: present}


def _kept(path: str, wanted: str) -> str:
    """The text that is there, if it says the same: comments tell how it was."""
    present = read_text(path)
    is_same = present and present.startswith(HEADING) and variables_in(present) == variables_in(wanted)
    return str(present) if is_same else wanted


def _refuse_other(path: str, wanted: str, params: Params) -> None:
    present = read_text(path)
    if present in (None, wanted) or OVERWRITE in (params["allow"] or ()):
        return
    if not str(present).startswith(HEADING):
        raise Refused(
            f"{path} was written by somebody else; choose another file, or if it may be lost: allow: [{OVERWRITE}]"
        )
    lines = difflib.unified_diff(str(present).splitlines(), wanted.splitlines(), lineterm="", n=0)
    changed = [printable(each) for each in lines if each[:1] in "+-" and each[:3] not in ("+++", "---")]
    more = f"; and {len(changed) - MOST_LINES} more lines" if len(changed) > MOST_LINES else ""
    raise Refused(
        f"{path} says what the backend was when it was adopted, and it differs now: {'; '.join(changed[:MOST_LINES])}"
        f"{more}. If it drifted, run bootstrap, which brings it back; to adopt what is there now: allow: [{OVERWRITE}]"
    )


def _rows(part: Resource, changes: Iterable[Change]) -> list[dict[str, Any]]:
    return [
        {"resource": part.kind, "facet": each.facet, "before": each.before, "after": each.after} for each in changes
    ]


def _diff(outcome: Outcome) -> dict[str, Any]:
    name, changes = outcome.target.name, outcome.changes
    return {
        **{"before_header": name, "after_header": name},
        "before": {each.facet: each.before for each in changes},
        "after": {each.facet: each.after for each in changes},
    }


def _put_back(run: ModuleRun) -> dict[str, Any]:
    """The settings of bucket and table, both planned before the first one is written to."""
    params, done = run.params, list[dict[str, Any]]()
    run.failure = lambda _error: {"changed": bool(done), "changes": done}
    if not params["record"]:
        raise Invalid("record is not set: name the file that adopting wrote")
    text = read_text(params["record"])
    if text is None:
        raise Invalid(f"there is no record {params['record']}: the backend was not adopted here, or name its record")
    known = parsed_record(text, params["record"])
    parts = [
        as_it_was(resource, _answers(known, resource, params)) for resource in (BUCKET, TABLE) if params[resource.kind]
    ]
    aws = run.client()
    planned = [_reconciled(aws, part, params, check_mode=True) for part in parts]

    def carry_out() -> list[Outcome]:
        aws.warnings.clear()  # the run gives those of its plan again
        return [_carried_out(aws, part, params, done) for part in parts]

    outcomes = unless_checking(run.check_mode, planned, carry_out)
    changes = [row for part, each in zip(parts, outcomes, strict=True) for row in _rows(part, each.changes)]
    result: dict[str, Any] = {"changed": bool(changes), "changes": changes}
    return {**result, "diff": [_diff(each) for each in outcomes if each.changes]} if run.diff else result


def _reconciled(aws: Aws, part: Resource, params: Params, check_mode: bool) -> Outcome:
    aws.renew()
    target = target_of(params, part.kind)
    (answer,) = aws.read([part.existence.read(target)])
    if isinstance(answer, Failure) and answer.code in part.existence.not_found:
        raise Invalid(f"the {part.kind} {target.name} does not exist: there is nothing to put back")
    options = {
        "state": "present",
        "allow": [each for each in params["allow"] or () if each != OVERWRITE],
        "unmanaged": params[f"{part.kind}_unmanaged"],
        "wait_timeout": params["wait_timeout"],
    }
    return reconcile(aws, part, target, options, check_mode)


def _carried_out(aws: Aws, part: Resource, params: Params, done: list[dict[str, Any]]) -> Outcome:
    try:
        outcome = _reconciled(aws, part, params, check_mode=False)
    except Interrupted as error:
        done += _rows(part, error.done)
        raise
    done += _rows(part, outcome.changes)
    return outcome


def _answers(known: Mapping[str, Any], resource: Resource, params: Params) -> Mapping[str, Any]:
    """What was recorded of the facets. Raises Invalid if the record is of another bucket or table."""
    there, name = known.get(resource.kind) or {}, params[resource.kind]
    if there.get("name") != name:
        raise Invalid(
            f"{params['record']} is the record of {resource.kind} {printable(str(there.get('name') or 'none'))}, not "
            f"of {name}: name the record of this backend"
        )
    if there.get("region") != params["region"]:
        raise Invalid(
            f"{params['record']} is of the region {printable(str(there.get('region')))}, not {params['region']}"
        )
    answers: Mapping[str, Any] = there.get("facets") or {}
    return answers


MODULE = ModuleEntry(
    with_connection(OPTIONS),
    adopt,
    inner={
        f"{resource.kind}_options": {name: argument_spec(resource)[name] for name in options_of(resource)}
        for resource in (BUCKET, TABLE)
    },
)


def main() -> None:
    run_module(MODULE)


if __name__ == "__main__":
    main()
