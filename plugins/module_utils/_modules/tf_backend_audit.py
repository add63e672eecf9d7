# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An audit, from a task's options to a task's result. It only reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any

from .._audit.code import check_code, further_tables
from .._audit.expectations import Expectations
from .._audit.findings import SEVERITIES, Finding, Tuning, judged, reaches, waivers_of, worst
from .._audit.settings import audit, summary
from .._bucket import BUCKET
from .._core.model import EXISTENCE, Invalid, Params, Resource, TfstateError, Wrote, unheard
from .._core.printable import printable
from .._cost.usage import cost_in_use
from .._table import TABLE
from .._terraform.code_map import CodeMap
from .code_options import CODE_SPEC, code_of, code_result
from .code_tables import tables_there
from .entry import CONNECTION_SPEC, Edge, argument_spec
from .tf_backend_info import INFO, KINDS, gathered

#: What the user makes of findings; the same in an audit and in the report over all of them.
TUNING_SPEC: dict[str, dict[str, Any]] = {
    "severities": {"type": "dict"},
    "disabled": {"type": "list", "elements": "str"},
    "waivers": {
        "type": "list",
        "elements": "dict",
        "options": {
            "id": {"required": True},
            "reason": {"required": True},
            "until": {"required": True},
            "backend": {},
            "resource": {},
        },
    },
    **CODE_SPEC,
    "fail_on": {"choices": [*SEVERITIES, "never"]},
}
#: What a blank among them would do.
NEVER_BLANK = {
    "fail_on": "nothing that is found would fail the task",
    "waivers.backend": "the waiver would hold for every backend",
    "waivers.resource": "the waiver would hold for every resource",
}
SPEC: dict[str, dict[str, Any]] = {
    **CONNECTION_SPEC,
    "name": {},
    "bucket": {},
    "table": {},
    "account_id": {},
    "lock_mode": {"choices": ["dynamodb", "lockfile", "both"]},
    "bucket_options": {"type": "dict"},
    "table_options": {"type": "dict"},
    "facts": {"type": "dict"},
    "gather": {"type": "list", "elements": "str", "choices": list(KINDS)},
    "keys": {"type": "list", "elements": "str", "no_log": False},
    "workspace_key_prefix": {"no_log": False},
    "stale_lock_minutes": {"type": "int", "default": 240},
    "runs_per_month": {"type": "int"},
    "wait_timeout": {"type": "int", "default": 300},
    **TUNING_SPEC,
}


def options_of(resource: Resource) -> list[str]:
    """The options that say what a bucket or table shall be like."""
    facets = [facet for facet in resource.facets if facet.name != EXISTENCE]
    return ["unmanaged", *(name for facet in facets for name in facet.options)]


def tuning_of(params: Params) -> Tuning:
    """Raises Invalid on what no finding or severity is called."""
    tuning = Tuning(
        datetime.now(timezone.utc).date(),
        params.get("severities") or {},
        params.get("disabled") or (),
        waivers_of(params.get("waivers") or ()),
    )
    problems = list(tuning.problems())
    if problems:
        raise Invalid("; ".join(problems))
    return tuning


def audit_backend(params: Params, check_mode: bool, diff: bool, wrote: Wrote = unheard) -> dict[str, Any]:
    """Params in, the result of a task out."""
    try:
        tuning = tuning_of(params)
        expected = _expectations(params)
        facts = params.get("facts") or _gathered(params, expected)
        try:
            found, told = audit(facts, expected), summary(facts, expected)
            told["cost"] = cost_in_use(facts, params.get("runs_per_month"))
        except (KeyError, TypeError, AttributeError, ValueError) as problem:
            if not params.get("facts"):
                raise
            raise Invalid(f"facts is no result of tf_backend_info ({type(problem).__name__}: {problem})") from problem
        if params.get("keys"):  # other states were not looked at
            told["paths"] = None
        code = code_of(params)
        found += _in_code(code, told, params) if code else []
    except TfstateError as error:
        return {"failed": True, "msg": str(error), "changed": False}
    findings = [each.told() for each in judged(found, expected.name, tuning)]
    result = {"changed": False, "findings": findings, "worst": worst(findings), "backend": told}
    result["layers"] = layers_of(code, told["bucket"]["name"])
    result |= code_result(code, told["region"])
    failing = too_bad(findings, params.get("fail_on"))
    return {**result, "failed": True, "msg": failing} if failing else result


def _in_code(code: CodeMap, told: Mapping[str, Any], params: Params) -> list[Finding]:
    """What concerns this backend. Facts stand for themselves: nothing is looked up beside them."""
    names = set() if params.get("facts") else further_tables(code, [told]).get(told["name"], set())
    tables = tables_there(params, sorted(names), told["account_id"])
    # Nobody says whether all states are among the facts that somebody gathered.
    paths = None if params.get("facts") else told["paths"]
    about = check_code(code, [{**told, "tables": tables, "paths": paths}])
    return [finding for name, finding in about if name or finding.id in ("code.unreadable", "code.unknown")]


def layers_of(code: CodeMap | None, bucket: str) -> int | None:
    """How many layers use the bucket; None if no code was read."""
    return None if code is None else sum(layer.arguments.get("bucket") == bucket for layer in code.layers)


def too_bad(findings: Iterable[Mapping[str, Any]], limit: str | None) -> str | None:
    """What reaches the limit, in one sentence."""
    reached = [each for each in findings if not each["waived"] and reaches(each["severity"], limit)]
    told = [f"{each['severity']}: {each['title']} ({printable(each['resource'])})" for each in reached[:5]]
    more = [f"and {len(reached) - 5} more"] if len(reached) > 5 else []
    return "; ".join([*told, *more]) or None


def _expectations(params: Params) -> Expectations:
    facts = params.get("facts") or {}
    bucket = params.get("bucket") or (facts.get("bucket") or {}).get("name")
    if not bucket:
        raise Invalid("bucket is not set: name the state bucket, or give the facts of a backend")
    asked = {}
    for resource in (BUCKET, TABLE):
        option = f"{resource.kind}_options"
        asked[resource.kind] = params.get(option) or {}
        unknown = sorted({*asked[resource.kind]} - {*options_of(resource)})
        if unknown:
            raise Invalid(f"{option}: tf_{'state_bucket' if resource is BUCKET else 'lock_table'} has no {unknown[0]}")
    if (params.get("runs_per_month") or 0) < 0:
        raise Invalid(f"runs_per_month is {params['runs_per_month']}; nobody runs less than never")
    name = params.get("name") or params.get("region") or facts.get("region") or bucket
    lock_mode = params.get("lock_mode") or ("both" if params.get("table") or facts.get("table") else "lockfile")
    stale_lock_s = params["stale_lock_minutes"] * 60
    return Expectations(name, asked["bucket"], asked["table"], stale_lock_s, lock_mode, params.get("account_id"))


def _gathered(params: Params, expected: Expectations) -> Mapping[str, Any]:
    defaults = {name: option.get("default") for name, option in INFO.spec.items()}
    # That a state was deleted is told by its digest, or where there is none, by its versions.
    told_by_versions = [] if params.get("table") else ["versions"]
    defaults["gather"] = ["settings", "states", "locks", "digests", "usage", *told_by_versions]
    given = {name: params[name] for name in INFO.spec if params.get(name) is not None}
    return gathered({**defaults, **given}, {"bucket": expected.bucket, "table": expected.table})


AUDIT = Edge(
    SPEC,
    audit_backend,
    mutually_exclusive=(("profile", "access_key"),),
    required_together=(("access_key", "secret_key"),),
    needs_botocore=True,
    never_blank=NEVER_BLANK,
    inner={
        f"{resource.kind}_options": {name: argument_spec(resource)[name] for name in options_of(resource)}
        for resource in (BUCKET, TABLE)
    },
)
