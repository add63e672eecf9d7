# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Build the report from the results of all audits, and from the code that uses the backends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.code import check_code
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.expectations import play
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.findings import (
    Finding,
    Tuning,
    evaluate,
    finding_of,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.lost import fix_with_code
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.shared_buckets import shared_buckets
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.arguments import decrypted
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.tuning_options import too_bad
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.code_map import CodeMap
from ansible_collections.cornerstone.tfstate.plugins.modules.tf_backend_audit import layers_of

from .html import page_text
from .provenance import command as command_line
from .provenance import version
from .report import AuditedBackend, Report, cost_markdown, json_text, markdown_text, report_of

#: The variable in which the playbook registers the audit of a host.
RESULT = "__terraform_backend_audit"
#: Which variables of a host are shown in place of an audit.
VARIABLES = tuple(
    f"terraform_backend_{name}" for name in ("bucket_name", "table_name", "region", "account_id", "lock_mode")
)
#: What could not be seen of a backend without an audit.
EVERYTHING = "everything"
NO_ANSWER = "no answer: the host was unreachable, or its run was cut short"


def audit_of(host: str, facts: Mapping[str, Any], tuning: Tuning, inventory: Sequence[str] = ()) -> Mapping[str, Any]:
    """The result that the audit of a host registered; without one, a result with the finding `audit.failed`."""
    result = facts.get(RESULT) or {}
    if result.get("backend"):
        return dict(result)
    facts = decrypted({name: facts.get(name) for name in VARIABLES})
    names = {kind: facts.get(f"terraform_backend_{kind}_name") for kind in ("bucket", "table")}
    fix = play(host, inventory, "audit", "-vvv")
    reason = " ".join(str(result.get("msg") or NO_ANSWER).split())
    return {
        "backend": {
            "name": host,
            "region": facts.get("terraform_backend_region") or "",
            "account_id": facts.get("terraform_backend_account_id"),
            "lock_mode": facts.get("terraform_backend_lock_mode") or "both",
            "bucket": {"name": names["bucket"], "exists": None, "encryption": None},
            "table": {"name": names["table"], "exists": None} if names["table"] else None,
            "counts": {},
            "unseen": [EVERYTHING],
        },
        "findings": list(_results([finding_of("audit.failed", host, reason, fix)], host, tuning)),
    }


def build_report(
    audits: Iterable[Mapping[str, Any]],
    code: CodeMap | None,
    looked_up: Mapping[str, Mapping[str, Any]],
    tuning: Tuning,
    inventory: Sequence[str] = (),
    keys: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> Report:
    """The results of all audits as one report, with the findings in the code.

    `looked_up`: by backend, the tables and buckets that only code names, and whether they exist.
    """
    audits = list(audits)
    backends = [
        {
            **each["backend"],
            **looked_up.get(each["backend"]["name"], {}),
            "code_keys": keys.get(each["backend"]["name"]),
            "inventory": inventory,
        }
        for each in audits
    ]
    in_code = check_code(code, backends) if code else []
    about = [*in_code, *shared_buckets(backends)]
    rows = [_audited_backend(each, code, about, tuning, inventory) for each in audits]
    others = evaluate([finding for name, finding in in_code if not name], "", tuning)
    return report_of(rows, others, f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC")


def _audited_backend(
    audit: Mapping[str, Any],
    code: CodeMap | None,
    about: Iterable[tuple[str, Finding]],
    tuning: Tuning,
    inventory: Sequence[str],
) -> AuditedBackend:
    backend = audit["backend"]
    name, layers = backend["name"], layers_of(code, backend["bucket"]["name"])
    found = audit["findings"]
    if layers:
        found = [{**each, "fix": fix_with_code(each, backend, inventory)} for each in found]
    return AuditedBackend(
        {key: value for key, value in backend.items() if key not in ("paths", "others", "kms_keys")},
        (*found, *_results([finding for owner, finding in about if owner == name], name, tuning)),
        layers,
    )


def _results(findings: Iterable[Finding], name: str, tuning: Tuning) -> tuple[dict[str, Any], ...]:
    return tuple(each.to_result() for each in evaluate(findings, name, tuning))


def files_of(report: Report, directory: Path) -> dict[str, str]:
    """The texts of the files of a report by path; the last is the page."""
    texts = {
        "audit.json": json_text(report),
        "audit.md": markdown_text(report),
        "cost.md": cost_markdown(report),
        "audit.html": page_text(report, version(), command_line()),
    }
    return {str(directory / name): text for name, text in texts.items()}


def failing(report: Report, fail_on: str | None) -> dict[str, str]:
    """Which hosts fail, and why. Findings that belong to no backend fail the first host."""
    reasons = {row.name: too_bad(row.findings, fail_on) for row in report.rows}
    others = too_bad(report.others, fail_on)
    if others and report.rows:
        first = report.rows[0].name
        reasons[first] = "; ".join(filter(None, (reasons[first], f"in the code: {others}")))
    return {name: reason for name, reason in reasons.items() if reason}
