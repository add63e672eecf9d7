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

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Invalid, WriteCallback, no_op
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.no_log import names_in, scrubbed
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.printable import printable
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions import role_variables
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.conflicts import conflicts
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.in_process import Execution, InProcessAction
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.module_defaults import (
    ModuleDefaults,
    canonical,
    over,
)
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report.outcome import (
    RESULT,
    entry_of,
    reason_of,
    with_entry,
)
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report.terminal import in_colour, show

#: By which the bootstrap playbook says that its last task fails for what failed here, once, with the reason.
FAILS_LATER = "__terraform_backend_fails_later"

#: So many characters of a reason are shown at once, and all of it at the end.
MAX_AT_ONCE = 80

#: The fact that the playbook sets: what is wrong, by hosts.
CONFLICTS = "__terraform_backend_conflicts"


class ActionModule(InProcessAction):
    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            result = super().run(tmp, task_vars)
        except AnsibleConnectionFailure as error:  # as Ansible does, but with the backends of the run so far
            result = {"unreachable": True, "changed": False, "msg": str(error)}
        place = self._place()
        entry = result.pop("entry", None) or entry_of(place, {}, bool(self._task.check_mode))
        name = result.setdefault("name", place["name"])
        result["converged"] = not (result.get("failed") or result.get("unreachable"))
        if not result["converged"] and self.task_vars.get(FAILS_LATER) and "exception" not in result:
            result = self._carried(result)
        return {**result, "backends": with_entry(self.task_vars.get(RESULT), name, entry)}

    def _carried(self, result: dict[str, Any]) -> dict[str, Any]:
        """A failure as a result that does not fail yet. People see at once what failed, and why at the end."""
        reason = reason_of(result)
        what = printable(reason).partition("; ")[0][:MAX_AT_ONCE]
        text = f" {self.task_vars['inventory_hostname']}: {what}{' ...' if what != reason else ''}"
        show(f"FAILED{text}", f"{in_colour('FAILED', 'failed')}{text}")
        return {name: value for name, value in result.items() if name not in ("failed", "unreachable")} | {
            "msg": reason
        }

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
        result = {**combined_result(results), **source}
        result["entry"] = entry_of(self._place(values), results, bool(self._task.check_mode))
        return dict(scrubbed(result, role_variables.secrets_of(values), self._names))

    def _place(self, values: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Which backend is meant, and where: by validated values, or else as far as the variables can be read."""
        names = {
            "name": "name",
            "region": "region",
            "bucket": "bucket_name",
            "table": "table_name",
            "lock_mode": "lock_mode",
            "directory": "config_directory",
        }
        read = self._readable_variable if values is None else values.get
        place = {key: read(role_variables.PREFIX + name) for key, name in names.items()}
        host = self.task_vars["inventory_hostname"]
        mode = place["lock_mode"] or "both"
        return {**place, "name": str(place["name"] or host), "lock_mode": mode, "host": host}

    def _readable_variable(self, name: str) -> str | None:
        """None where its template fails, which is told otherwise."""
        try:
            value = self._templar.template(self.task_vars.get(name))
        except AnsibleError:
            return None
        return None if value is None or value == self.task_vars.get("omit") else str(value)

    def _check_conflicts(self) -> None:
        """Raises Invalid on what the playbook has found to be wrong between this host and another."""
        found = self.task_vars.get(CONFLICTS)
        if found is None and self.task_vars.get(FAILS_LATER):  # --start-at-task or --step left that task out
            found = conflicts(self.task_vars["hostvars"], self.task_vars["ansible_play_hosts_all"])
        if message := (found or {}).get(self.task_vars.get("inventory_hostname")):
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
        variables = role_variables.read_variables(self.task_vars, self._templar)
        own = role_variables.of_task(defaults, role_variables.TASK, role_variables.TASK_SPEC)
        given = over(role_variables.with_defaults(variables, defaults), own, role_variables.PREFIX)
        return role_variables.with_role_defaults(given, self.task_vars["inventory_hostname"])


def combined_result(results: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The results of the modules as that of one task: the backend, and all changes.

    Of a failure no more than what was done and why it ended. Settings that nobody changed are left out: of a fleet,
    Ansible would carry all of them along.
    """
    failed = next((each for each in results.values() if each.get("failed")), None)
    optional = {
        "resource_actions": sorted(
            {action for each in results.values() for action in each.get("resource_actions", ())}
        ),
        "diff": [diff for each in results.values() for diff in _listed(each.get("diff", []))],
        "warnings": [warning for each in results.values() for warning in each.get("warnings", ())],
    }
    changes = [{"resource": kind, **change} for kind, each in results.items() for change in each.get("changes") or ()]
    result: dict[str, Any] = {
        "changed": any(each.get("changed") for each in results.values()),
        "changes": [{**each, "resource": "files"} if each["resource"] == "config" else each for each in changes],
        **{name: value for name, value in optional.items() if value},
    }
    if failed:
        more = {"exception": failed["exception"]} if "exception" in failed else {}
        return {**result, **more, "failed": True, "msg": failed.get("msg")}
    credentials = next(filter(None, (each.get("credentials") for each in results.values())), None)
    return {**result, **(results["config"].get("backend") or {}), "credentials": credentials}


def _listed(diff: Any) -> list[Any]:
    return diff if isinstance(diff, list) else [diff]
