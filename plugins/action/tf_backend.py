# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The role's task: its variables checked, then the bucket, the table and the files, each as its module does.

One task, because every task of every host costs Ansible a fork and a templating of all arguments, which together took
three times as long as the work.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Invalid, WriteCallback, no_op
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.no_log import names_in, scrubbed
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions import role_variables
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.in_process import Execution, InProcessAction
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.module_defaults import (
    ModuleDefaults,
    canonical,
    over,
)
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report.terminal import SEE_SUMMARY, is_for_people

#: The variable by which a play says that it shows the reason of each failure in its summary.
IN_SUMMARY = "__terraform_backend_in_summary"

#: The fact that the playbook sets: what is wrong, by hosts.
CONFLICTS = "__terraform_backend_conflicts"


class ActionModule(InProcessAction):
    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        return shortened(result) if self.task_vars.get(IN_SUMMARY) and is_for_people() else result

    def work(self, on_write: WriteCallback = no_op) -> dict[str, Any]:
        try:
            with self.environment():
                given = self._variables()
                values = role_variables.validated(given)
                profile = role_variables.region_profile(given)
            self._check_conflicts()
        except Invalid as problem:
            return {"failed": True, "changed": False, "msg": str(problem)}
        self._names = set(role_variables.names_of(values))
        results = {kind: each.shown for kind, each in self._run_parts(values, on_write).items()}
        source = {"region_source": f"profile {profile}"} if profile else {}
        return dict(scrubbed({**combined_result(results), **source}, role_variables.secrets_of(values), self._names))

    def _check_conflicts(self) -> None:
        """Raises Invalid on what the playbook has found to be wrong between this host and another."""
        found = self.task_vars.get(CONFLICTS) or {}
        if message := found.get(self.task_vars.get("inventory_hostname")):
            raise Invalid(str(message))

    def _run_parts(self, values: dict[str, Any], on_write: WriteCallback) -> dict[str, Execution]:
        """All parts are planned before the first one is written to: a refusal of one leaves the others as they were.

        What the plan leaves as it is, is not looked at again. The files are, as they tell what AWS has answered.
        """
        with self._check_mode():
            planned = self._execute_each(values, no_op, {})
        failed = {kind: each for kind, each in planned.items() if each.shown.get("failed")}
        if failed or self._task.check_mode:
            return failed or planned
        unchanged = {kind: each for kind, each in planned.items() if kind != "config" and not each.shown["changed"]}
        return self._execute_each(values, on_write, unchanged)

    @contextmanager
    def _check_mode(self) -> Iterator[None]:
        is_checking, self._task.check_mode = self._task.check_mode, True
        try:
            yield
        finally:
            self._task.check_mode = is_checking

    def _execute_each(
        self, values: dict[str, Any], on_write: WriteCallback, known: Mapping[str, Execution]
    ) -> dict[str, Execution]:
        """The results of bucket, table and files, up to the first that fails; those that are known are not repeated."""
        done: dict[str, Execution] = {}
        for kind in ("bucket", "table", "config") if role_variables.has_table(values) else ("bucket", "config"):
            done[kind] = known[kind] if kind in known else self._execute_part(kind, values, on_write, done)
            if done[kind].shown.get("failed"):
                break
        return done

    def _execute_part(
        self, kind: str, values: dict[str, Any], on_write: WriteCallback, done: Mapping[str, Execution]
    ) -> Execution:
        arguments = role_variables.arguments(kind, values)
        if kind == "config":
            try:
                arguments |= role_variables.config_arguments({name: each.whole for name, each in done.items()}, values)
            except Invalid as problem:
                refused = {"failed": True, "changed": False, "changes": [], "msg": str(problem)}
                return Execution(refused, refused)
            self._names |= role_variables.open_in_files(arguments)
            arguments = self.absolute_paths(arguments)
        self._names |= set(names_in(arguments))
        module = f"cornerstone.tfstate.{role_variables.MODULES[kind]}"
        execution = self.execute(role_variables.ENTRIES[kind], module, arguments, on_write)
        if execution.shown.get("failed"):
            execution.shown["msg"] = role_variables.in_variables(kind, str(execution.shown.get("msg")))
        return execution

    def _variables(self) -> dict[str, Any]:
        """The task's own options over the role's variables over `module_defaults`."""
        defaults = ModuleDefaults(self._task, self._templar, self.task_vars.get("omit"))
        role_variables.check_options(canonical(self._task.args, role_variables.TASK_SPEC), defaults)
        given = role_variables.with_defaults(role_variables.read_variables(self.task_vars, self._templar), defaults)
        return over(
            given,
            role_variables.of_task(defaults, role_variables.TASK, role_variables.TASK_SPEC),
            role_variables.PREFIX,
        )


def shortened(result: dict[str, Any]) -> dict[str, Any]:
    """A failure whose reason is left to the summary: in `invocation`, which Ansible shows only with -vvv."""
    if not result.get("failed"):
        return result
    return {**result, "msg": SEE_SUMMARY, "invocation": {"failure": result.get("msg")}}


def combined_result(results: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The results of the modules as that of one task; of a failed one no more than what was done and why it ended."""
    failed = next((each for each in results.values() if each.get("failed")), None)
    actions = sorted({action for each in results.values() for action in each.pop("resource_actions", [])})
    result: dict[str, Any] = {
        "resource_actions": actions,
        "changed": any(each.get("changed") for each in results.values()),
        "diff": [diff for each in results.values() for diff in _listed(each.pop("diff", []))],
        "warnings": [warning for each in results.values() for warning in each.pop("warnings", [])],
    }
    identity = _identity(results)
    if failed:
        done = {kind: {"changes": each.get("changes", [])} for kind, each in results.items()}
        more = {"exception": failed["exception"]} if "exception" in failed else {}
        result |= {**done, **more, "failed": True, "msg": failed.get("msg")}
    else:
        for each in results.values():
            each.pop("invocation", None)  # of a fleet, Ansible would carry all of them along
        result |= {**results, "ansible_facts": results["config"].pop("ansible_facts", {})}
    return {**{name: value for name, value in result.items() if value or name == "changed"}, **identity}


def _identity(results: dict[str, dict[str, Any]]) -> dict[str, str | None]:
    """In which account the work was done, as far as an answer or the operator says it, and by which credentials."""
    accounts = [(each.get(kind) or {}).get("account_id") for kind, each in results.items() if kind != "config"]
    credentials = [each.get("credentials") for each in results.values()]
    return {
        "account_id": next(filter(None, accounts), None),
        "credentials": next(filter(None, credentials), None),
    }


def _listed(diff: Any) -> list[Any]:
    return diff if isinstance(diff, list) else [diff]
