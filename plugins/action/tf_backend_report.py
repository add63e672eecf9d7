# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The last task of the audit playbook: one report on all backends and the code that uses them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.code import (
    further_buckets,
    further_tables,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.code_keys import further_keys
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Invalid, TfstateError
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.playbooks import in_variables
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.printable import printable, printable_result
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.reconcile import write_files
from ansible_collections.cornerstone.tfstate.plugins.module_utils._local.files import (
    check_writable,
    expanded,
    read_text,
    write_private_text,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.arguments import without_blanks
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
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import CONNECTION_SPEC
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.tuning_options import (
    TUNING_NEVER_BLANK,
    TUNING_OPTIONS,
    tuning_of,
)
from ansible_collections.cornerstone.tfstate.plugins.modules.tf_backend_audit import (
    MODULE,
)
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions import role_variables
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.inventory_sources import inventory_sources
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.module_defaults import ModuleDefaults
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.paths import absolute_paths
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report.build import (
    audit_of,
    build_report,
    failing,
    files_of,
)
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report.report import terminal_text, to_result
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report.terminal import show

SPEC: dict[str, dict[str, Any]] = {"directory": {"type": "path"}, **TUNING_OPTIONS, **CODE_OPTIONS}


class ActionModule(ActionBase):  # type: ignore[misc]
    """Runs once for all backends."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        known = task_vars or {}
        try:
            arguments = absolute_paths(without_blanks(SPEC, self._task.args, TUNING_NEVER_BLANK), known)
        except Invalid as problem:
            return {**result, "failed": True, "msg": in_variables("audit", str(problem))}
        validated = ArgumentSpecValidator(SPEC).validate(arguments)
        if validated.error_messages:
            problems = "; ".join(dict.fromkeys(validated.error_messages))
            return {**result, "failed": True, "msg": in_variables("audit", problems)}
        params = validated.validated_parameters
        try:
            return {**result, **printable_result(self._report(params, known))}
        except TfstateError as error:
            return {**result, "failed": True, "msg": in_variables("audit", printable(error))}

    def _report(self, params: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
        tuning, code, inventory = tuning_of(params), code_of(params), inventory_sources(known)
        hosts = {host: known["hostvars"][host] for host in known["ansible_play_hosts_all"]}
        audits = [audit_of(host, facts, tuning, inventory) for host, facts in hosts.items()]
        backends = [each["backend"] for each in audits]
        names = further_tables(code, backends) if code else {}
        buckets = further_buckets(code, backends) if code else {}
        found = {
            each["name"]: self._looked_up(hosts.get(each["name"]), each, names, buckets)
            for each in backends
            if each["name"] in {*names, *buckets}
        }
        named = further_keys(code, backends) if code else {}
        keys = {each["name"]: self._keys(hosts.get(each["name"]), named.get(each["name"])) for each in backends}
        report = build_report(audits, code, found, tuning, inventory, keys)
        directory = params.get("directory")
        files = files_of(report, expanded(directory).absolute()) if directory else {}
        check_mode = bool(self._task.check_mode)
        changes = write_files(files, check_mode, read_text, check_writable, write_private_text)
        page = list(files)[-1] if files and not check_mode else None
        show(terminal_text(report, page))
        return {
            "changed": bool(changes),
            "files": list(files),
            **to_result(report),
            "failing": failing(report, params.get("fail_on")),
            **code_result(code, None),
        }

    def _looked_up(
        self,
        facts: Mapping[str, Any] | None,
        backend: Mapping[str, Any],
        tables: Mapping[str, set[str]],
        buckets: Mapping[str, set[str]],
    ) -> dict[str, Any]:
        """Which of what only the code names exists, read with the host's connection; empty if it fails."""
        if not facts:
            return {}
        try:
            params, name = self._connection_of(facts), backend["name"]
            return {
                "tables": tables_there(params, sorted(tables.get(name, ())), backend["account_id"]),
                "buckets": buckets_there(params, sorted(buckets.get(name, ()))),
            }
        except TfstateError:
            return {}

    def _keys(self, facts: Mapping[str, Any] | None, names: Collection[str] | None) -> dict[str, dict[str, Any]]:
        """What KMS says of the keys that only the code names, read with the host's connection; empty if it fails."""
        if not facts or not names:
            return {}
        try:
            return keys_there(self._connection_of(facts), sorted(names))
        except TfstateError:
            return {}

    def _connection_of(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """The connection options by which the audit of the host reached AWS. Raises TfstateError."""
        defaults = ModuleDefaults(self._task, self._templar, facts.get("omit"))
        variables = role_variables.with_defaults(
            role_variables.read_variables(facts, self._templar), defaults, "tf_backend_audit", MODULE.spec
        )
        arguments = role_variables.arguments("table", role_variables.with_region(role_variables.typed(variables))[0])
        connection = {name: value for name, value in arguments.items() if name in CONNECTION_SPEC}
        params: dict[str, Any] = ArgumentSpecValidator(CONNECTION_SPEC).validate(connection).validated_parameters
        return params
