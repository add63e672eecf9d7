#!/usr/bin/python
# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: tf_backend_verify
short_description: Compare the states of a Terraform or OpenTofu backend with a snapshot or a backup
version_added: 0.2.0
description:
  - Writes a snapshot of what a backend holds. That is the lineage, serial, MD5, current version and number of versions
    of each state, the digests and the locks.
  - Or compares the backend with such a snapshot, or with a backup, and fails if anything differs that is not
    O(expected). An empty plan proves less, as it is also what a client shows for a state of somebody else's making.
  - Nothing in a snapshot is the content of a state.
  - If something cannot be read, the task fails, as it can be neither kept nor compared.
author:
  - cornerstone.tfstate contributors (@cornerstone-tfstate)
extends_documentation_fragment:
  - cornerstone.tfstate.attributes
  - cornerstone.tfstate.attributes.action_group
  - cornerstone.tfstate.backend
  - cornerstone.tfstate.backup
  - cornerstone.tfstate.connection
attributes:
  diff_mode:
    description: Shows what has changed, or in check mode what would change.
    support: none
    details:
      - It changes nothing in AWS.
options:
  bucket:
    required: true
  snapshot:
    description:
      - The file to write a snapshot into. Its folder is created if it does not exist.
      - A file with a snapshot of something else is not overwritten. Compare with it, or name another file.
    type: path
  before:
    description:
      - The snapshot to compare with.
      - It may be of another backend, such as that of another region. Then lineage, serial, MD5 and digest of each state
        are compared, but no versions and no locks.
    type: path
  backup:
    description:
      - The backup to compare with, as O(cornerstone.tfstate.tf_backend_backup#module:backup). The current version of
        each state must be what it is in the backup, byte for byte.
  keys:
    description:
      - Shell patterns. Only states whose key or whole path matches one of them are compared.
      - If omitted, all states are compared.
    type: list
    elements: str
  expected:
    description:
      - Shell patterns of keys or paths of states that may differ. Their differences are returned and do not fail the
        task.
      - A pattern that fits no difference gives a warning, as what was expected has not happened.
    type: list
    elements: str
  workspace_key_prefix:
    description:
      - What precedes the states of other workspaces than C(default), as clients have it configured.
    type: str
    default: "env:"
notes:
  - A lock of a freeze, by M(cornerstone.tfstate.tf_backend_freeze), is no difference.
  - A digest that is not that of its state is always a difference.
  - A snapshot file is readable by its owner only.
  - "Permissions: those of M(cornerstone.tfstate.tf_backend_info)."
seealso:
  - module: cornerstone.tfstate.tf_backend_freeze
  - module: cornerstone.tfstate.tf_backend_info
"""

EXAMPLES = r"""
- name: Keep what is there before something is repaired
  cornerstone.tfstate.tf_backend_verify:
    bucket: usest1-terraform-state-ezra
    table: terraform-locks-us-east-1
    region: us-east-1
    snapshot: snapshots/us-east-1.json

- name: Prove that nothing but the repaired state has changed
  cornerstone.tfstate.tf_backend_verify:
    bucket: usest1-terraform-state-ezra
    table: terraform-locks-us-east-1
    region: us-east-1
    before: snapshots/us-east-1.json
    expected: [network/terraform.tfstate]
"""

RETURN = r"""
changed:
  description: Whether a snapshot was written, or in check mode would be.
  returned: always
  type: bool
  sample: false
msg:
  description: How many states were compared or kept. After a failure, each difference in a sentence.
  returned: always
  type: str
  sample: 34 states are as they were at 2026-11-30T10:00:00Z
differences:
  description: How the backend differs, also from what was expected to differ. Empty for a snapshot that was written.
  returned: when the backend could be read
  type: list
  elements: dict
  contains:
    path: {description: The state., type: str, sample: network/terraform.tfstate}
    what:
      description:
        - V(appeared), V(vanished), V(lineage), V(serial), V(md5), V(version_id), V(version_count), V(digest) or
          V(lock).
      type: str
      sample: serial
    text:
      description: The difference in a sentence.
      type: str
      sample: "app.tfstate: it has the serial 3, and had 5: it went back"
    before: {description: What it was., type: raw, sample: 5}
    now: {description: What it is., type: raw, sample: 3}
    is_expected: {description: Whether it is of a state in O(expected)., type: bool, sample: false}
frozen:
  description: Who has frozen states, as in the result of M(cornerstone.tfstate.tf_backend_info).
  returned: when the backend could be read
  type: list
  elements: dict
  sample: []
"""

from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.snapshot import (
    Difference,
    Snapshot,
    differences,
    mismatches,
    parsed_snapshot,
    snapshot_of,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._backup.manifest import MANIFEST, Entry, manifest_of
from ansible_collections.cornerstone.tfstate.plugins.module_utils._backup.storage import Storage
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Invalid, Params, TfstateError
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.reconcile import unless_checking
from ansible_collections.cornerstone.tfstate.plugins.module_utils._local.files import (
    check_writable,
    expanded,
    read_text,
    write_private_text,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.backend_facts import FACTS_SPEC, gathered
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.backup_options import (
    BACKUP_OPTIONS,
    storage_of,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import (
    ModuleEntry,
    ModuleRun,
    run_module,
    target_of,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.state_options import (
    TABLE_NEVER_BLANK,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._state.listing import HEAD_BYTES, item_of
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.scope import SUFFIX, Scope
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.state_document import (
    Document,
    document_of,
    head_of,
)

#: What a snapshot is made of.
GATHERED = ["states", "resources", "versions", "locks", "digests"]
#: Messages name at most so many differences.
NAMED = 20
OPTIONS: dict[str, dict[str, Any]] = {
    **{name: option for name, option in FACTS_SPEC.items() if name not in ("gather", "max_versions")},
    **BACKUP_OPTIONS,
    "snapshot": {"type": "path"},
    "before": {"type": "path"},
    "expected": {"type": "list", "elements": "str", "no_log": False},
}


def verify(run: ModuleRun) -> dict[str, Any]:
    params = run.params
    if not any(params[name] for name in ("snapshot", "before", "backup")):
        raise Invalid("set snapshot to keep what is there, or before or backup to compare with")
    scope = Scope(target_of(params, "bucket"), None, tuple(params["keys"] or ()), _prefix(params))
    before = _before(run, scope)
    facts = gathered({**params, "gather": GATHERED, "max_versions": 1}, on_write=run.on_write)
    if facts["unknown"]:
        raise TfstateError("; ".join(f"{each['what']} cannot be verified: {each['why']}" for each in facts["unknown"]))
    now = snapshot_of(facts, datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"))
    frozen = {"frozen": facts["frozen"] or []}
    if before is None:
        return {**_keep(run, now), **frozen}
    return {**_compared(run, before, now, [*differences(before, now), *mismatches(facts)]), **frozen}


def _prefix(params: Params) -> str:
    return str(params["workspace_key_prefix"]).rstrip("/")


def _before(run: ModuleRun, scope: Scope) -> Snapshot | None:
    params = run.params
    if params["backup"]:
        return _of_backup(storage_of(params, run.on_write), scope)
    if not params["before"]:
        check_writable(str(expanded(params["snapshot"])))
        return None
    path = str(expanded(params["before"]))
    text = read_text(path)
    if text is None:
        raise Invalid(f"{path} does not exist: set before to a file that was written as snapshot")
    found = parsed_snapshot(text, path)
    return replace(
        found,
        states={path: each for path, each in found.states.items() if scope.takes(path)},
        digests={path: each for path, each in (found.digests or {}).items() if scope.takes(path)},
        locks=[each for each in found.locks or () if scope.takes(each["path"])],
    )


def _of_backup(storage: Storage, scope: Scope) -> Snapshot:
    """What the backend was when it was saved."""
    text = storage.manifest()
    if text is None:
        raise Invalid(f"{storage.url} holds no {MANIFEST}, and so no backup that was finished")
    manifest = manifest_of(text, storage.url)
    kept = {
        path: history
        for path, history in manifest.histories().items()
        if scope.takes(path) and not path.endswith(SUFFIX)
    }
    states = {path: _of_entry(storage, history[-1], len(history)) for path, history in kept.items()}
    items = [item_of(raw) for raw in manifest.items]
    digests = {
        item.path: item.digest
        for bucket, item in items
        if item.is_digest and item.digest and bucket == manifest.bucket and scope.takes(item.path)
    }
    taken = max((history[-1].last_modified for history in kept.values()), default="an unknown time")
    return Snapshot(f"backup of {manifest.bucket}", manifest.region, taken, states, digests or None, None)


def _of_entry(storage: Storage, entry: Entry, count: int) -> dict[str, Any]:
    if entry.is_delete_marker or entry.sha256 is None:
        return {"is_deleted": True}
    with storage.open_body(entry.sha256) as body:
        head = body.read(HEAD_BYTES)
    document = document_of(head) if entry.size <= HEAD_BYTES else head_of(head)
    known = document if isinstance(document, Document) else None
    return {"lineage": known and known.lineage, "serial": known and known.serial, "md5": entry.md5}


def _keep(run: ModuleRun, now: Snapshot) -> dict[str, Any]:
    path = str(expanded(run.params["snapshot"]))
    text = read_text(path)
    count = "1 state" if len(now.states) == 1 else f"{len(now.states)} states"
    kept = f"{count} of {now.bucket} at {now.taken}: {path}"
    if text is not None:
        there = parsed_snapshot(text, path)
        if not there.is_like(now):
            raise Invalid(
                f"{path} holds the snapshot of {there.bucket} of {there.taken}, which differs: compare with it by "
                "before, or set snapshot to another file"
            )
        return {"changed": False, "msg": kept, "differences": []}
    unless_checking(run.check_mode, None, partial(write_private_text, path, now.text()))
    return {"changed": True, "msg": kept, "differences": []}


def _compared(run: ModuleRun, before: Snapshot, now: Snapshot, found: list[Difference]) -> dict[str, Any]:
    patterns = [*(run.params["expected"] or ())]
    scopes = {each: Scope(target_of(run.params, "bucket"), None, (each,), _prefix(run.params)) for each in patterns}
    rows = [
        {
            **{"path": each.path, "what": each.what, "text": each.text, "before": each.before, "now": each.now},
            "is_expected": any(scope.takes(each.path) for scope in scopes.values()),
        }
        for each in found
    ]
    idle = [each for each, scope in scopes.items() if not any(scope.takes(row["path"]) for row in rows)]
    warnings = [f"{each} was expected to differ, and does not" for each in idle]
    wrong = [row["text"] for row in rows if not row["is_expected"]]
    count = len({*before.states, *now.states})
    result = {"changed": False, "differences": rows, "warnings": warnings}
    if not wrong:
        but = f", but for {len(rows)} differences that were expected" if rows else ""
        same = "1 state is as it was" if count == 1 else f"{count} states are as they were"
        return {**result, "msg": f"{same} at {before.taken}{but}"}
    more = f"; and {len(wrong) - NAMED} more" if wrong[NAMED:] else ""
    msg = f"{len(wrong)} differences from {before.bucket} of {before.taken}: {'; '.join(wrong[:NAMED])}{more}"
    return {**result, "failed": True, "msg": msg}


MODULE = ModuleEntry(
    OPTIONS,
    verify,
    mutually_exclusive=(("snapshot", "before", "backup"),),
    never_blank={
        **TABLE_NEVER_BLANK,
        **dict.fromkeys(("before", "backup"), "nothing would be compared"),
    },
)


def main() -> None:
    run_module(MODULE)


if __name__ == "__main__":
    main()
