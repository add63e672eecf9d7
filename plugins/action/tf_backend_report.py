# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The last step of the audit playbook: the audits of all backends and the code that uses them, as one report."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.code import check_code, further_tables
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.findings import Tuning, found, judged
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.commands import command
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Change, Invalid, TfstateError
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.printable import printable
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.reconcile import write_files
from ansible_collections.cornerstone.tfstate.plugins.module_utils._local.files import (
    expanded,
    read_text,
    write_private_text,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.arguments import without_blanks
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.code_options import code_of, code_result
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.code_tables import tables_there
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import CONNECTION_SPEC
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.code_map import CodeMap
from ansible_collections.cornerstone.tfstate.plugins.modules.tf_backend_audit import (
    MODULE,
    NEVER_BLANK,
    TUNING_SPEC,
    layers_of,
    too_bad,
    tuning_of,
)
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions import role_variables as _role
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.module_defaults import ModuleDefaults
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report.html import page_text
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report.report import (
    Report,
    Row,
    json_text,
    markdown_text,
    report_of,
    table,
)

RESULT = "__terraform_backend_audit"
SPEC: dict[str, dict[str, Any]] = {"directory": {"type": "path"}, **TUNING_SPEC}


class ActionModule(ActionBase):  # type: ignore[misc]
    """Runs once for all backends."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        known = task_vars or {}
        try:
            arguments = without_blanks(SPEC, self._task.args, NEVER_BLANK)
        except Invalid as problem:
            return {**result, "failed": True, "msg": str(problem)}
        validated = ArgumentSpecValidator(SPEC).validate(arguments)
        if validated.error_messages:
            return {**result, "failed": True, "msg": "; ".join(validated.error_messages)}
        params = validated.validated_parameters
        try:
            told = self._told(params, known)
        except TfstateError as error:
            return {**result, "failed": True, "msg": printable(error)}
        return {**result, **told}

    def _told(self, params: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
        tuning = tuning_of(params)
        code = code_of(params)
        hosts = {host: known["hostvars"][host] for host in known["ansible_play_hosts_all"]}
        audited = {host: _audited(host, facts, tuning) for host, facts in hosts.items()}
        backends = [each["backend"] for each in audited.values()]
        names = further_tables(code, backends) if code else {}
        tables = {each["name"]: self._tables(hosts.get(each["name"]), each, names) for each in backends}
        report = reported(audited, code, tables, tuning)
        changes: tuple[Change, ...] = ()
        paths: list[str] = []
        if params.get("directory"):
            folder = expanded(params["directory"]).absolute()
            texts = {
                "audit.json": json_text(report),
                "audit.md": markdown_text(report),
                "audit.html": page_text(report),
            }
            wanted = {str(folder / name): text for name, text in texts.items()}
            paths = list(wanted)
            changes = write_files(wanted, bool(self._task.check_mode), read_text, write_private_text)
        Display().display(table(report, None if self._task.check_mode else next(iter(paths[2:]), None)))
        told = {"files": paths, "counts": report.counts, "failing": failing(report, params), **code_result(code, None)}
        return {"changed": bool(changes), **told}

    def _tables(
        self, facts: Mapping[str, Any] | None, backend: Mapping[str, Any], wanted: Mapping[str, set[str]]
    ) -> dict[str, bool]:
        """Which of the tables exist that only code names, by the host's own connection; no answer leaves it unknown."""
        names = wanted.get(backend["name"])
        if not facts or not names:
            return {}
        try:
            # As the audit of the host reached AWS.
            defaults = ModuleDefaults(self._task, self._templar, facts.get("omit"))
            variables = _role.with_defaults(
                _role.given(facts, self._templar), defaults, "tf_backend_audit", MODULE.spec
            )
            found = _role.arguments("table", _role.typed(variables))
            given = {name: value for name, value in found.items() if name in CONNECTION_SPEC}
            params = ArgumentSpecValidator(CONNECTION_SPEC).validate(given).validated_parameters
            return tables_there(params, sorted(names), backend["account_id"])
        except TfstateError:
            return {}


def _audited(host: str, facts: Mapping[str, Any], tuning: Tuning) -> Mapping[str, Any]:
    """What the audit of a host registered; if nothing, a result that says so."""
    result = facts.get(RESULT) or {}
    if result.get("backend"):
        return dict(result)
    names = {kind: facts.get(f"terraform_backend_{kind}_name") for kind in ("bucket", "table")}
    fix = command("ansible-playbook", "cornerstone.tfstate.audit", "-l", host, "-vvv")
    why = " ".join(str(result.get("msg") or "no answer: the host was unreachable, or its run was cut short").split())
    return {
        "backend": {
            "name": host,
            "region": facts.get("terraform_backend_region") or "",
            "account_id": facts.get("terraform_backend_account_id"),
            "lock_mode": facts.get("terraform_backend_lock_mode") or "both",
            "bucket": {"name": names["bucket"], "exists": None, "encryption": None},
            "table": {"name": names["table"], "exists": None} if names["table"] else None,
            "counts": {},
        },
        "findings": [each.told() for each in judged([found("audit.failed", host, why, fix)], host, tuning)],
    }


def reported(
    audited: Mapping[str, Mapping[str, Any]],
    code: CodeMap | None,
    tables: Mapping[str, Mapping[str, bool]],
    tuning: Tuning,
) -> Report:
    """The audits of all hosts as one report, with what the code adds to them."""
    backends = [{**each["backend"], "tables": tables.get(each["backend"]["name"])} for each in audited.values()]
    about = check_code(code, backends) if code else []
    rows = [
        Row(
            {name: value for name, value in each["backend"].items() if name != "paths"},
            tuple(each["findings"]) + _judged(about, each["backend"]["name"], tuning),
            layers_of(code, each["backend"]["bucket"]["name"]),
        )
        for each in audited.values()
    ]
    others = judged([finding for name, finding in about if not name], "", tuning)
    return report_of(rows, others, f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC")


def _judged(about: list[Any], name: str, tuning: Tuning) -> tuple[dict[str, Any], ...]:
    return tuple(each.told() for each in judged([finding for of, finding in about if of == name], name, tuning))


def failing(report: Report, params: Mapping[str, Any]) -> dict[str, str]:
    """Why which hosts shall fail. What belongs to none of them is the first one's."""
    told = {row.name: too_bad(row.findings, params.get("fail_on")) for row in report.rows}
    elsewhere = too_bad(report.others, params.get("fail_on"))
    if elsewhere and report.rows:
        first = report.rows[0].name
        told[first] = "; ".join(filter(None, (told[first], f"in the code: {elsewhere}")))
    return {name: why for name, why in told.items() if why}
