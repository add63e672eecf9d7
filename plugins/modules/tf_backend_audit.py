#!/usr/bin/python
# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: tf_backend_audit
short_description: Find what is wrong with a Terraform or OpenTofu backend
version_added: 0.2.0
description:
  - Looks at a backend as M(cornerstone.tfstate.tf_backend_info) does, and tells what is missing, unprotected, stuck or
    broken, how bad that is, why it matters, and the command that mends it.
  - Settings are held against what a run would make of them. The baseline of M(cornerstone.tfstate.tf_state_bucket) and
    M(cornerstone.tfstate.tf_lock_table), and whatever O(bucket_options) and O(table_options) ask besides, are what is
    right. What a run would change is a finding.
  - Without O(bucket) and O(facts), the backend is that of the variables of
    P(cornerstone.tfstate.terraform_backend#role). They then also say how to reach it and what it shall be like.
  - It only reads. The playbook C(cornerstone.tfstate.audit) runs it over an inventory and writes a report.
author:
  - cornerstone.tfstate contributors (@cornerstone-tfstate)
extends_documentation_fragment:
  - cornerstone.tfstate.backend
  - cornerstone.tfstate.code
  - cornerstone.tfstate.tuning
  - cornerstone.tfstate.connection
  - cornerstone.tfstate.attributes
  - cornerstone.tfstate.attributes.action_group
attributes:
  check_mode:
    description: Can run in check mode, and then writes nothing.
    support: full
    details:
      - It never writes anything.
  diff_mode:
    description: Shows what has changed, or in check mode what would change.
    support: none
    details:
      - It changes nothing.
options:
  name:
    description:
      - The inventory host of the backend. It is in the commands that are printed, and waivers name it.
      - If omitted, it is the host whose variables describe the backend. For another O(bucket) it is the region, and no
        playbook is printed, as it could reach another backend.
    type: str
  inventory:
    description:
      - The inventory sources that the commands name with C(-i).
      - If omitted, they are those of this run of Ansible, relative to the current folder if they are below it.
    type: list
    elements: str
    version_added: 0.2.0
  bucket:
    description:
      - The state bucket.
  table:
    description:
      - The lock table. That it is missing is critical.
      - Not given, the backend locks by files alone.
  account_id:
    description:
      - The 12 digits of the account that must own everything. Quote them in YAML.
      - Not given, it is the account of the credentials, which AWS STS is asked for once; see O(cache_credentials).
  lock_mode:
    description:
      - How clients of the backend shall lock, which O(code) is held against.
      - Not given, it is V(both) with a table, and V(lockfile) without.
    type: str
    choices: [dynamodb, lockfile, both]
  bucket_options:
    description:
      - What the bucket shall be like beyond the baseline, as options of M(cornerstone.tfstate.tf_state_bucket).
        Settings in its C(unmanaged) are not looked at.
      - Not given, it is the baseline alone.
    type: dict
  table_options:
    description:
      - What the table shall be like beyond the baseline, as options of M(cornerstone.tfstate.tf_lock_table).
      - Not given, it is the baseline alone.
    type: dict
  config_options:
    description:
      - The options of M(cornerstone.tfstate.tf_backend_config) that the backend files were written with, V(directory)
        and V(name) among them. What the files should say of bucket, table, region and encryption is what was found.
      - Files that differ are a finding, and so are files that are missing. They are read where the task runs, and
        nothing of their text is returned.
      - If omitted, and the backend is that of the variables of P(cornerstone.tfstate.terraform_backend#role), it is
        what the role writes. Otherwise no files are looked at.
    type: dict
    version_added: 0.2.0
  facts:
    description:
      - What M(cornerstone.tfstate.tf_backend_info) returned as RV(cornerstone.tfstate.tf_backend_info#module:backend).
        Nothing is read from AWS then. Whether a KMS key is the one that an alias stands for is unknown.
      - Not given, it is gathered.
    type: dict
  gather:
    description:
      - What to look at, as in O(cornerstone.tfstate.tf_backend_info#module:gather). What is not looked at is not
        found wanting.
      - Not given, it is V(settings), V(states), V(locks), V(digests) and V(usage). Without a table it is V(versions)
        besides, as there are no digests that tell of deleted states.
    type: list
    elements: str
    choices: [settings, states, resources, versions, locks, digests, usage]
  check_states:
    description:
      - How much of each state is read.
      - V(ends) is all of a state of up to 64 KiB, and of a longer one the first 64 and the last 8 KiB, which takes a
        second request. It finds states that are cut off, followed by something else, or damaged at either end. A long
        one that looks odd is read to its end.
      - V(full) is every byte of every state, in one request for each. It finds damage in the middle, too. As many bytes
        are transferred as all current states have, and O(audit_timeout) ends it like all other reading.
    type: str
    choices: [ends, full]
    default: ends
    version_added: 0.2.0
  keys:
    description:
      - Shell patterns. Only states whose key fits one of them are looked at.
      - Not given, all states are.
    type: list
    elements: str
  workspace_key_prefix:
    description:
      - What the states of other workspaces than C(default) begin with.
      - Not given, it is C(env:).
    type: str
  stale_lock_minutes:
    description:
      - A lock that is held for longer is stale. Choose it longer than your longest apply.
    type: int
    default: 240
  runs_per_month:
    description:
      - How often clients run in a month, C(init) and C(plan) or C(apply) together, which is a part of what the backend
        costs.
      - Not given, as often as in the last 30 days, by the versions of lock files in them. Where versions do not stay
        for so long, or V(usage) is not gathered, it is unknown.
      - Locks in a table leave no trace. Where clients lock by the table alone, only runs that changed a state are seen.
    type: int
  prices_file:
    description:
      - A file of prices, as M(cornerstone.tfstate.tf_backend_prices) writes it. Its prices take the place of those of
        the collection.
      - A relative path is relative to the playbook, and in a playbook of this collection to the current folder.
    type: path
    version_added: 0.2.0
  backup:
    description:
      - Where the backup of the backend would be, as in M(cornerstone.tfstate.tf_backend_backup). If the bucket does not
        exist, the audit looks whether there is one, and then prints the command that restores it. Only the manifest is
        read.
      - If omitted, no backup is looked for.
    type: str
    version_added: 0.2.0
  backup_region:
    description:
      - The region of the bucket in O(backup).
      - If omitted, it is O(region).
    type: str
    version_added: 0.2.0
  backup_account_id:
    description:
      - The 12 digits of the account that must own the bucket in O(backup).
      - If omitted, it is the account of the credentials.
    type: str
    version_added: 0.2.0
  audit_timeout:
    description:
      - How many seconds reading the whole backend may take. What has not been read by then is unknown, and is a
        finding; what was read is kept.
      - While AWS is busy or does not answer, one read is repeated for 30 seconds at most, and the service is then asked
        once for each further read. A read that has begun may end up to 30 seconds later.
    type: int
    default: 600
    version_added: 0.2.0
  wait_timeout:
    description:
      - How many seconds each stage of reading may take, including retries. O(audit_timeout) bounds all of them
        together.
  code:
    description:
      - Directories of Terraform, OpenTofu and Terragrunt code. Every backend in them that names this bucket is compared
        with it, and every initialised checkout. C(docs/code.md) lists what is read.
        The directories are read where the task runs. Links to directories outside of them are followed.
      - A table that the code names beside O(table) is looked up, unless there are O(facts). So is a bucket that is
        called nearly like O(bucket).
      - What could be a backend and cannot be read for certain is unknown, and is a finding.
      - If omitted, no code is read. In a play over many backends let M(cornerstone.tfstate.tf_backend_report) read it
        once instead.
notes:
  - It needs what M(cornerstone.tfstate.tf_backend_info) needs, for what it gathers.
seealso:
  - module: cornerstone.tfstate.tf_backend_report
  - module: cornerstone.tfstate.tf_backend_info
"""

EXAMPLES = r"""
- name: Audit one backend
  cornerstone.tfstate.tf_backend_audit:
    name: us-east-1
    region: us-east-1
    bucket: usest1-terraform-state-ezra
    table: terraform-locks-us-east-1
  register: audit

- name: Show what is critical
  ansible.builtin.debug:
    msg: "{{ item.title }}: {{ item.fix }}"
  loop: "{{ audit.findings | selectattr('severity', 'eq', 'critical') }}"
  loop_control:
    label: "{{ item.id }}"

- name: Ask for more than the baseline, and accept something for now
  cornerstone.tfstate.tf_backend_audit:
    region: us-east-1
    bucket: usest1-terraform-state-ezra
    bucket_options:
      encryption: aws:kms
      logging_target_bucket: acme-access-logs
    severities:
      bucket.lifecycle: info
    disabled:
      - table.tags
    waivers:
      - id: bucket.missing
        reason: Ordered, and built next week
        until: "2999-12-31"

- name: Gather first
  cornerstone.tfstate.tf_backend_info:
    region: us-east-1
    bucket: usest1-terraform-state-ezra
  register: info

- name: Audit what was gathered
  cornerstone.tfstate.tf_backend_audit:
    facts: "{{ info.backend }}"
"""

RETURN = r"""
findings:
  description: What was found, the worst first.
  returned: once the backend was looked at
  type: list
  elements: dict
  contains:
    id:
      description: What kind of finding it is.
      type: str
      sample: table.missing
    severity:
      description: How bad it is.
      type: str
      sample: critical
    title:
      description: The kind of finding in words.
      type: str
      sample: "No state locking: the lock table does not exist"
    detail:
      description: What exactly was found.
      type: str
      sample: There is no table terraform-locks-us-east-1 in us-east-1.
    resource:
      description:
        - The bucket, table, state, lock, account or file. Of another account that gets in, the bucket, a colon and the
          account.
      type: str
      sample: terraform-locks-us-east-1
    why:
      description: Why it matters.
      type: str
      sample: Clients that name the table cannot lock, so every plan and apply fails.
    fix:
      description:
        - The command that mends it, for a POSIX shell. A playbook runs over the host of the backend, and a command of
          the AWS CLI only if its credentials are of the account of the backend.
        - A text that begins with C(#) says what you have to do by hand.
      type: str
      sample: ansible-playbook cornerstone.tfstate.bootstrap -i inventories/mine -l us-east-1
    controls:
      description: Who else asks for it, as ids of AWS Security Hub, the CIS AWS Foundations Benchmark, and Checkov.
      type: list
      elements: str
      sample: [S3.14, CKV_AWS_21]
    runbook:
      description: The URL of the page that says more. None, if there is none.
      type: str
      sample: https://github.com/cornerstone-tfstate/cornerstone.tfstate/blob/main/docs/runbooks/lost-table.md
    waived:
      description: The reason and the last day of the waiver. None, if it is not waived.
      type: dict
      sample: {reason: Being emptied, until: "2027-01-31"}
  sample:
    - id: bucket.versioning
      severity: high
      resource: usest1-terraform-state-ezra
worst:
  description: The worst severity that is not waived. None, if there is none.
  returned: once the backend was looked at
  type: str
  sample: critical
backend:
  description: The backend in short. Its name, region, account, bucket, table, and how many states and locks it has.
  returned: once the backend was looked at
  type: dict
  sample: {name: us-east-1, region: us-east-1}
  contains:
    backup:
      description:
        - Whether the bucket does not exist, and O(backup) has a backup. None if O(backup) could not be read.
      type: bool
      sample: true
    had_states:
      description:
        - Whether a backup, or digests or locks in the table, show that the backend has had states.
        - None if they could not be read, or if O(code) alone names the bucket.
      type: bool
      sample: true
    paths:
      description:
        - The states of default workspaces, for comparison with code. None if they were not looked at, if O(keys) leaves
          states out, or if there are more than 5000.
      type: list
      elements: str
      sample: [network/terraform.tfstate]
    kms_keys:
      description: What KMS says of the keys of bucket and table, as M(cornerstone.tfstate.tf_backend_info) returns it.
      type: dict
      sample: {}
    endpoint_url:
      description: The endpoint that it was read from. None for AWS.
      type: str
      sample: null
    unseen:
      description: What could not be seen, as in the C(unknown) of M(cornerstone.tfstate.tf_backend_info).
      type: list
      elements: str
      sample: [bucket.policy]
    others:
      description:
        - The objects that are not states, at most 5000, as M(cornerstone.tfstate.tf_backend_info) returns them.
        - None of them is a finding, unless O(code) names it as its state.
      type: list
      elements: str
      sample: [dist/app.js.map]
    cost:
      description:
        - What it costs in a month, as C(docs/cost.md) explains. What is not known is left out of the sum, and named.
        - None without a bucket, or if nothing of it is known.
      type: dict
      contains:
        usd: {description: "The sum in US dollars, of what is known.", type: str, sample: "1.09"}
        text: {description: "The sum in words, such as C(at least 1.09).", type: str, sample: "1.09"}
        as_of: {description: The oldest date of a price that went in., type: str, sample: "2025-01-31"}
        unknown:
          description: The parts of which something is not known.
          type: list
          elements: str
          sample: [recovery]
        missing:
          description: What is not known, in words.
          type: list
          elements: str
          sample: [whether the table has point-in-time recovery]
        parts:
          description:
            - Each part with its quantity, its dollars, the date and source of its price, and what is missing of it.
          type: list
          elements: dict
          sample:
            - item: keys
              quantity: "1"
              usd: "1"
              as_of: "2026-08-31"
              source: https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/awskms/current/us-east-1/index.json
              missing: null
        kms_keys:
          description: The keys that are paid for, and how often each was rotated. A fleet pays for a shared key once.
          type: list
          elements: dict
          sample: [{key: "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab", rotations: 0}]
        kms_key_usd: {description: The price of a key., type: str, sample: "1.00"}
        lock_mode: {description: How clients lock there., type: str, sample: both}
        runs_per_month: {description: How often they run. None if that is unknown., type: int, sample: 88}
layers:
  description: How many backend blocks and checkouts in O(code) use the bucket. None without O(code).
  returned: once the backend was looked at
  type: int
  sample: 3
unknown:
  description:
    - Places in the code that may be clients of the backend, and do not say for certain. None without O(code).
  returned: once the backend was looked at
  type: list
  elements: dict
  sample: [{path: network/main.tf, reason: "it names no bucket: only the command line of its init does"}]
code_known:
  description: O(code_known) as it was given, with the number of unknown backends that each entry was used for.
  returned: once the backend was looked at
  type: list
  elements: dict
  sample: [{paths: network/**, backend: none, used: 1}]
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.backend_files import backend_files
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.code import (
    check_code,
    further_buckets,
    further_tables,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.code_keys import further_keys
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.expectations import Expectations
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.findings import (
    Finding,
    evaluate,
    worst,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.settings import audit, summary
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import (
    EXISTENCE,
    Invalid,
    Params,
    Resource,
    TfstateError,
    no_op,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.suggestions import nearest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._cost.prices import PRICES, Prices, with_own
from ansible_collections.cornerstone.tfstate.plugins.module_utils._cost.prices_file import parse_prices
from ansible_collections.cornerstone.tfstate.plugins.module_utils._cost.usage import cost_in_use
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.guard import refusals
from ansible_collections.cornerstone.tfstate.plugins.module_utils._local.files import read_text
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.backend_facts import (
    FACTS_SPEC,
    FULL,
    KINDS,
    gathered,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.backend_files_check import files_seen
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.backup_options import (
    BACKUP_OPTIONS,
    storage_of,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.code_keys import keys_there
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.code_options import (
    CODE_OPTIONS,
    code_of,
    code_result,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.code_tables import (
    buckets_there,
    tables_there,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.config_options import CONFIG_OPTIONS
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import (
    CONNECTION_SPEC,
    ModuleEntry,
    ModuleRun,
    argument_spec,
    run_module,
    with_connection,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.state_options import (
    BACKEND_OPTIONS,
    KEYS_OPTIONS,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.tuning_options import (
    TUNING_NEVER_BLANK,
    TUNING_OPTIONS,
    too_bad,
    tuning_of,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import TABLE
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.code_map import CodeMap

OPTIONS: dict[str, dict[str, Any]] = {
    "name": {},
    "inventory": {"type": "list", "elements": "str"},
    **BACKEND_OPTIONS,
    "bucket": {},
    "lock_mode": {"choices": ["dynamodb", "lockfile", "both"]},
    "bucket_options": {"type": "dict"},
    "table_options": {"type": "dict"},
    "config_options": {"type": "dict"},
    "facts": {"type": "dict"},
    "gather": {"type": "list", "elements": "str", "choices": list(KINDS)},
    **KEYS_OPTIONS,
    "workspace_key_prefix": {"no_log": False},
    "stale_lock_minutes": {"type": "int", "default": 240},
    "check_states": {"choices": ["ends", FULL], "default": "ends"},
    "audit_timeout": {"type": "int", "default": 600},
    "runs_per_month": {"type": "int"},
    "prices_file": {"type": "path"},
    **BACKUP_OPTIONS,
    **TUNING_OPTIONS,
    **CODE_OPTIONS,
}


def options_of(resource: Resource) -> list[str]:
    """The options that say what a bucket or table shall be like."""
    facets = [facet for facet in resource.facets if facet.name != EXISTENCE]
    return ["allow", "unmanaged", *(name for facet in facets for name in facet.options)]


def audit_backend(run: ModuleRun) -> dict[str, Any]:
    params = run.params
    tuning, prices = tuning_of(params), _prices(params)
    expected = _expectations(params)
    code, facts = code_of(params), params.get("facts") or _gathered(params, expected)
    try:
        expected = replace(
            expected,
            has_backup=_has_backup(params, facts),
            is_in_code=bool(layers_of(code, facts["bucket"]["name"])),
        )
        found, backend = audit(facts, expected), summary(facts, expected)
        backend["cost"] = cost_in_use(facts, params.get("runs_per_month"), params.get("lock_mode"), prices)
    except (KeyError, TypeError, AttributeError, ValueError) as problem:
        if not params.get("facts"):
            raise
        raise Invalid(f"facts is no result of tf_backend_info ({type(problem).__name__}: {problem})") from problem
    if params.get("keys"):  # other states were not looked at
        backend["paths"] = None
    found += _in_code(code, backend, params) if code else []
    if params.get("config_options"):
        found += backend_files(files_seen(params["config_options"], facts, expected), expected)
    findings = [each.to_result() for each in evaluate(found, expected.name, tuning)]
    result = {"changed": False, "findings": findings, "worst": worst(findings), "backend": backend}
    result["layers"] = layers_of(code, backend["bucket"]["name"])
    result |= code_result(code, backend["region"])
    failing = too_bad(findings, params.get("fail_on"))
    return {**result, "failed": True, "msg": failing} if failing else result


def _prices(params: Params) -> Prices:
    path = params.get("prices_file")
    if not path:
        return PRICES
    text = read_text(path)
    if text is None:
        raise Invalid(
            f"prices_file {path} does not exist: set it to a file that playbooks/prices.yml wrote, or leave it out"
        )
    return with_own(parse_prices(text, path))


def _in_code(code: CodeMap, backend: Mapping[str, Any], params: Params) -> list[Finding]:
    """What concerns this backend. Facts stand for themselves: nothing is looked up beside them."""
    names = set() if params.get("facts") else further_tables(code, [backend]).get(backend["name"], set())
    tables = tables_there(params, sorted(names), backend["account_id"])
    named = set() if params.get("facts") else further_buckets(code, [backend]).get(backend["name"], set())
    # Of all the others, the play's report tells.
    misspelt = sorted(name for name in named if nearest(name, [backend["bucket"]["name"]]))
    buckets = buckets_there(params, misspelt)
    # Nobody says whether all states are among the facts that somebody gathered.
    paths = None if params.get("facts") else backend["paths"]
    keys = set() if params.get("facts") else further_keys(code, [backend]).get(backend["name"], set())
    found = {"tables": tables, "buckets": buckets, "code_keys": keys_there(params, sorted(keys)), "paths": paths}
    about = check_code(code, [{**backend, **found, "inventory": _inventory(params)}])
    return [finding for name, finding in about if name or finding.id in ("code.unreadable", "code.unknown")]


def layers_of(code: CodeMap | None, bucket: str) -> int | None:
    """How many layers use the bucket; None if no code was read."""
    return code.count(bucket) if code else None


def _expectations(params: Params) -> Expectations:
    facts = params.get("facts") or {}
    bucket = params.get("bucket") or (facts.get("bucket") or {}).get("name")
    if not bucket:
        raise Invalid("bucket is not set: name the state bucket, or give the facts of a backend")
    options = {}
    for resource in (BUCKET, TABLE):
        option = f"{resource.kind}_options"
        options[resource.kind] = params.get(option) or {}
        unknown = sorted({*options[resource.kind]} - {*options_of(resource)})
        if unknown:
            raise Invalid(f"{option}: tf_{'state_bucket' if resource is BUCKET else 'lock_table'} has no {unknown[0]}")
    if params["audit_timeout"] < 1:
        raise Invalid(f"audit_timeout is {params['audit_timeout']}; it must be 1 or greater")
    if (params.get("runs_per_month") or 0) < 0:
        raise Invalid(f"runs_per_month is {params['runs_per_month']}; nobody runs less than never")
    name = params.get("name") or params.get("region") or facts.get("region") or bucket
    lock_mode = params.get("lock_mode") or ("both" if params.get("table") or facts.get("table") else "lockfile")
    stale_lock_s = params["stale_lock_minutes"] * 60
    return Expectations(
        name,
        options["bucket"],
        options["table"],
        stale_lock_s,
        lock_mode,
        params.get("account_id"),
        _inventory(params),
        workspace_key_prefix=FACTS_SPEC["workspace_key_prefix"]["default"]
        if params.get("workspace_key_prefix") is None
        else params["workspace_key_prefix"].rstrip("/"),
        connection={option: params.get(option) for option in CONNECTION_SPEC},
        guard=refusals,
    )


def _has_backup(params: Params, facts: Mapping[str, Any]) -> bool | None:
    """Whether there is a backup that is needed; None if it could not be read."""
    if not params.get("backup") or facts["bucket"].get("exists") is not False:
        return False
    try:
        return storage_of(params, no_op).manifest() is not None
    except TfstateError:
        return None


def _inventory(params: Params) -> tuple[str, ...] | None:
    """Where commands find the backend; without a name, in no inventory."""
    return tuple(params.get("inventory") or ()) if params.get("name") else None


def _gathered(params: Params, expected: Expectations) -> Mapping[str, Any]:
    defaults = {name: option.get("default") for name, option in FACTS_SPEC.items()}
    # That a state was deleted is told by its digest, or where there is none, by its versions.
    told_by_versions = [] if params.get("table") and not params.get("keys") else ["versions"]
    defaults["gather"] = ["settings", "states", "locks", "digests", "usage", *told_by_versions]
    given = {name: params[name] for name in FACTS_SPEC if params.get(name) is not None}
    defaults |= {name: params[name] for name in ("audit_timeout", "check_states")}
    return gathered({**defaults, **given}, {"bucket": expected.bucket, "table": expected.table})


MODULE = ModuleEntry(
    with_connection(OPTIONS),
    audit_backend,
    never_blank=TUNING_NEVER_BLANK,
    inner={
        f"{resource.kind}_options": {name: argument_spec(resource)[name] for name in options_of(resource)}
        for resource in (BUCKET, TABLE)
    }
    | {"config_options": CONFIG_OPTIONS},
)


def main() -> None:
    run_module(MODULE)


if __name__ == "__main__":
    main()
