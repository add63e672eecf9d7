# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The role's task: its variables checked, then the bucket, the table and the files, each as its module does.

One task, because every task of every host costs Ansible a fork and a templating of all arguments, which together took
three times as long as the work.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Invalid, WriteCallback, no_op
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.no_log import names_in, scrubbed
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions import role_variables as _role
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.in_process import InProcessAction
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.module_defaults import (
    ModuleDefaults,
    canonical,
    over,
)


class ActionModule(InProcessAction):
    def work(self, on_write: WriteCallback = no_op) -> dict[str, Any]:
        try:
            with self.environment():
                found = _role.asked(self._variables())
        except Invalid as problem:
            return {"failed": True, "msg": str(problem)}
        against = self._other_account(found)
        if against:
            return {"failed": True, "changed": False, "msg": against}
        whole: dict[str, dict[str, Any]] = {}
        results: dict[str, dict[str, Any]] = {}
        names = set(_role.names_of(found))
        for kind in ("bucket", "table", "config") if _role.has_table(found) else ("bucket", "config"):
            arguments = _role.arguments(kind, found)
            if kind == "config":
                try:
                    arguments |= _role.told_by(whole, found)
                except Invalid as problem:
                    results[kind] = {"failed": True, "changed": False, "changes": [], "msg": str(problem)}
                    break
                names |= names_in(arguments) | _role.open_in_files(arguments)
                arguments = self.from_here(arguments)
            module = f"cornerstone.tfstate.{_role.MODULES[kind]}"
            answer = self.answer(_role.ENTRIES[kind], module, arguments, on_write)
            whole[kind], results[kind] = answer.whole, answer.shown
            if results[kind].get("failed"):
                break
        names |= names_in(arguments)
        told: dict[str, Any] = scrubbed(summed_up(results), _role.secrets_of(found), names)
        return told

    def _other_account(self, found: dict[str, Any]) -> str | None:
        """What speaks against account_id, before the bucket is written to: the table is always the credentials' own."""
        if not (_role.has_table(found) and found.get(f"{_role.PREFIX}account_id")):
            return None
        if self._fast:
            with self.environment():
                return _role.other_account(found)
        is_checking, self._task.check_mode = self._task.check_mode, True
        try:
            entry, module = _role.ENTRIES["table"], f"cornerstone.tfstate.{_role.MODULES['table']}"
            answer = self.answer(entry, module, _role.arguments("table", found), no_op)
        finally:
            self._task.check_mode = is_checking
        return str(answer.shown.get("msg")) if answer.shown.get("failed") else None

    def _variables(self) -> dict[str, Any]:
        """The task's own options over the role's variables over `module_defaults`."""
        defaults = ModuleDefaults(self._task, self._templar, self.known.get("omit"))
        _role.check_options(canonical(self._task.args, _role.TASK_SPEC), defaults)
        given = _role.with_defaults(_role.given(self.known, self._templar), defaults)
        return over(given, _role.of_task(defaults, _role.TASK, _role.TASK_SPEC), _role.PREFIX)


def summed_up(results: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The results of the modules as that of one task; of a failed one no more than what was done and why it ended."""
    failed = next((each for each in results.values() if each.get("failed")), None)
    told: dict[str, Any] = {
        "changed": any(each.get("changed") for each in results.values()),
        "diff": [diff for each in results.values() for diff in _listed(each.pop("diff", []))],
        "warnings": [warning for each in results.values() for warning in each.pop("warnings", [])],
    }
    whose = _whose(results)
    if failed:
        done = {kind: {"changes": each.get("changes", [])} for kind, each in results.items()}
        more = {"exception": failed["exception"]} if "exception" in failed else {}
        told |= {**done, **more, "failed": True, "msg": failed["msg"]}
    else:
        for each in results.values():
            each.pop("invocation", None)  # of a fleet, Ansible would carry all of them along
        told |= {**results, "ansible_facts": results["config"].pop("ansible_facts", {})}
    return {**{name: value for name, value in told.items() if value or name == "changed"}, **whose}


def _whose(results: dict[str, dict[str, Any]]) -> dict[str, str | None]:
    """In which account the work was done, as far as an answer or the operator says it, and by which credentials."""
    accounts = [(each.get(kind) or {}).get("account_id") for kind, each in results.items() if kind != "config"]
    credentials = [each.get("credentials") for each in results.values()]
    return {
        "account_id": next(filter(None, accounts), None),
        "credentials": next(filter(None, credentials), None),
    }


def _listed(diff: Any) -> list[Any]:
    return diff if isinstance(diff, list) else [diff]
