# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The role's task: its variables checked, then the bucket, the table and the files, each as its module does.

One task, because every task of every host costs Ansible a fork and a templating of all arguments, which together took
three times as long as the work.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.module_utils.common.validation import check_type_bool
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Invalid, WriteCallback, no_op
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.no_log import names_in, scrubbed
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.printable import printable
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.tags import LOCK_MODE
from ansible_collections.cornerstone.tfstate.plugins.module_utils._lock_mode.mode_check import OTHER
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.backend_files import JSON_NAME
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions import role_variables
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.conflicts import conflicts
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.in_process import Execution, InProcessAction
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.module_defaults import (
    ModuleDefaults,
    canonical,
    over,
)
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.parts import parts_by_tags
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report.outcome import (
    PARTS,
    RESULT,
    entry_of,
    reason_of,
    with_entry,
)
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report.terminal import in_colour, show

#: By which the bootstrap playbook says that its last task fails for what failed here, once, with the reason.
FAILS_LATER = "__terraform_backend_fails_later"

#: The role whose task does parts of its work by tags.
ROLE = "terraform_backend"

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
        entry = result.pop("entry", None) or self._entry(place, {})
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
        word = "REFUSED" if self._is_preflight else "FAILED"
        show(f"{word}{text}", f"{in_colour(word, 'failed')}{text}")
        return {name: value for name, value in result.items() if name not in ("failed", "unreachable")} | {
            "msg": reason
        }

    def work(self, on_write: WriteCallback = no_op) -> dict[str, Any]:
        self._parts = self._chosen_parts()
        try:
            with self.environment():
                given = self._variables()
                values = role_variables.validated(given)
                profile = role_variables.region_profile(given)
            if self._parts is not None and not role_variables.has_table(values):
                self._parts = [part for part in self._parts if part != "table"]
            conflict = self._conflict()
            if conflict and (self._parts == [] or not self._is_preflight):
                raise Invalid(conflict)
        except Invalid as problem:
            return {"failed": True, "changed": False, "msg": str(problem)}
        if self._parts == []:
            return self._nothing_to_do(values)
        self._names = set(role_variables.names_of(values))
        executions = (
            self._preflight(values, bool(conflict)) if self._is_preflight else self._run_parts(values, on_write)
        )
        results = {kind: each.shown for kind, each in executions.items()}
        source = {"region_source": f"profile {profile}"} if profile else {}
        result = {**combined_result(results), **source}
        if conflict:
            reasons = filter(None, [conflict, result.get("msg") if result.get("failed") else None])
            result |= {"failed": True, "msg": "; ".join(reasons)}
        result["entry"] = self._entry(self._place(values), results, bool(conflict))
        if self._is_preflight:
            result["changed"] = False
        if self._parts is not None:
            result["parts"] = self._parts
        return dict(scrubbed(result, role_variables.secrets_of(values), self._names))

    @property
    def _is_preflight(self) -> bool:
        """Whether only what would be refused is asked for. What is neither true nor false writes nothing, either."""
        try:
            return bool(check_type_bool(self._task.args.get(role_variables.PREFLIGHT, False)))
        except TypeError:
            return True

    def _entry(
        self, place: Mapping[str, Any], results: Mapping[str, Mapping[str, Any]], has_conflict: bool = False
    ) -> dict[str, Any]:
        writes_nothing = bool(self._task.check_mode) or self._is_preflight
        refused = {"conflict": {"failed": True}} if has_conflict else {}
        return entry_of(
            place, {**results, **refused}, writes_nothing, getattr(self, "_parts", None), self._is_preflight
        )

    def _chosen_parts(self) -> list[str] | None:
        """The parts that the tags of the run choose, None for all of them."""
        role = self._task._role
        if role is None or role.get_name().rpartition(".")[2] != ROLE:
            return None
        names = ("ansible_run_tags", "ansible_skip_tags")
        run, skipped = ({*(self.task_vars.get(name) or ())} for name in names)
        chosen = parts_by_tags(run, skipped, {str(each) for each in self._task.tags})
        return None if len(chosen) == len(PARTS) else chosen

    def _nothing_to_do(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The result of a run whose tags leave nothing: neither a success nor a failure of any part."""
        why = (
            "the lock mode is lockfile, so there is no lock table"
            if not role_variables.has_table(values)
            else "the tags of the run leave out bucket, table and files"
        )
        text = f"{self.task_vars['inventory_hostname']}: nothing to do: {why}"
        show(text, text)
        entry = self._entry(self._place(values), {})
        return {"changed": False, "changes": [], "msg": f"nothing to do: {why}", "parts": [], "entry": entry}

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

    def _conflict(self) -> str | None:
        """What the playbook has found to be wrong between this host and another, if anything."""
        found = self.task_vars.get(CONFLICTS)
        if found is None and self.task_vars.get(FAILS_LATER):  # --start-at-task or --step left that task out
            found = conflicts(self.task_vars["hostvars"], self.task_vars["groups"]["all"])
        message = (found or {}).get(self.task_vars.get("inventory_hostname"))
        return str(message) if message else None

    def _preflight(self, values: dict[str, Any], has_conflict: bool) -> dict[str, Execution]:
        """The plans of all parts, whether or not others would be refused; then a run would change nothing."""
        with self._check_mode():
            planned = self._execute_each({**values, **_asking(values)}, no_op, {}, goes_on=True)
        if not has_conflict and not any(each.shown.get("failed") for each in planned.values()):
            return self._of_parts(planned)
        return {kind: Execution(each.whole, _without_changes(each.shown)) for kind, each in planned.items()}

    def _run_parts(self, values: dict[str, Any], on_write: WriteCallback) -> dict[str, Execution]:
        """All parts are planned before the first one is written to: a refusal of one leaves the others as they were.

        What the plan leaves as it is, is not looked at again, unless the plan warns. The files are, as they tell what
        AWS has answered.
        """
        with self._check_mode():
            planned = self._execute_each(values, no_op, {})
        failed = {kind: each for kind, each in planned.items() if each.shown.get("failed")}
        if failed or self._task.check_mode:
            return failed or self._of_parts(planned)
        known = {
            kind: each
            for kind, each in planned.items()
            if kind != "config" and not (_is_due(each.shown) and self._has_part(kind))
        }
        return self._of_parts(self._execute_each(values, on_write, known))

    def _has_part(self, kind: str) -> bool:
        return self._parts is None or _part(kind) in self._parts

    def _is_needed(self, kind: str, values: Mapping[str, Any]) -> bool:
        """Whether to look at it: the files tell of bucket and table, and may tell clients of another lock mode."""
        if self._has_part(kind) or self._has_part("config"):
            return True
        excludes = values.get(f"{role_variables.PREFIX}lock_mode") in OTHER
        return kind == "config" and excludes and self._has_part("bucket") and bool(self._task.check_mode)

    def _of_parts(self, executions: dict[str, Execution]) -> dict[str, Execution]:
        """The results of the parts that the tags choose: the others were only read."""
        return {kind: each for kind, each in executions.items() if self._has_part(kind)}

    @contextmanager
    def _check_mode(self) -> Iterator[None]:
        is_checking, self._task.check_mode = self._task.check_mode, True
        try:
            yield
        finally:
            self._task.check_mode = is_checking

    def _execute_each(
        self,
        values: dict[str, Any],
        on_write: WriteCallback,
        known: Mapping[str, Execution],
        goes_on: bool = False,
    ) -> dict[str, Execution]:
        """The results of bucket, table and files, up to the first that fails; those that are known are not repeated.

        `goes_on`: past failures.
        """
        done: dict[str, Execution] = {}
        for kind in ("bucket", "table", "config") if role_variables.has_table(values) else ("bucket", "config"):
            if not self._is_needed(kind, values):
                continue
            done[kind] = known[kind] if kind in known else self._execute_part(kind, values, on_write, done)
            if done[kind].shown.get("failed") and not goes_on:
                break
        return done

    def _execute_part(
        self, kind: str, values: dict[str, Any], on_write: WriteCallback, done: Mapping[str, Execution]
    ) -> Execution:
        arguments = role_variables.arguments(kind, values)
        if kind == "bucket" and self._writes_new_files(values):
            arguments |= {"key": role_variables.default_key(values)}
        if kind == "config":
            try:
                found = {name: self._as_it_will_be(name, each.whole) for name, each in done.items()}
                arguments |= role_variables.config_arguments(found, values)
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
        if execution.shown.get("warnings"):
            execution.shown["warnings"] = [
                role_variables.in_variables(kind, str(each)) for each in execution.shown["warnings"]
            ]
        return execution

    def _writes_new_files(self, values: Mapping[str, Any]) -> bool:
        """Whether clients get a key for the first time that nobody said."""
        if role_variables.default_key(values) is None or not self._has_part("config"):
            return False
        where = self.absolute_paths({"directory": values.get(f"{role_variables.PREFIX}config_directory")})
        return not Path(str(where["directory"]), JSON_NAME).exists()

    def _as_it_will_be(self, kind: str, result: dict[str, Any]) -> dict[str, Any]:
        """The result as the files may tell it. Raises Invalid if it is of something that is not there.

        What the tags leave out stays as it is. Of what was refused, nothing is known.
        """
        if result.get("failed"):
            return {kind: {}}
        if self._has_part(kind):
            return result
        if any(change["facet"] == "existence" and change["before"] is None for change in result["changes"]):
            raise Invalid(
                f"The {kind} {result[kind]['name']} does not exist, and the tags of the run leave it out: run without "
                f"--tags and --skip-tags, or with --tags {kind},files"
            )
        if any(_records_lock_mode(change) for change in result["changes"]):
            raise Invalid(
                f"The tag of the bucket {result[kind]['name']} that records terraform_backend_lock_mode is not set "
                "yet. It must be set before the files are written: run without --tags and --skip-tags, or with --tags "
                "bucket,files"
            )
        before = {change["facet"]: change["before"] for change in result["changes"] if change["facet"] in result[kind]}
        return {**result, kind: {**result[kind], **before}}

    def _variables(self) -> dict[str, Any]:
        """The task's own options over the role's variables over `module_defaults`."""
        defaults = ModuleDefaults(self._task, self._templar, self.task_vars.get("omit"))
        role_variables.check_options(canonical(self._task.args, role_variables.TASK_SPEC), defaults)
        role_variables.check_preflight(self._task.args)
        variables = role_variables.read_variables(self.task_vars, self._templar)
        own = role_variables.of_task(defaults, role_variables.TASK, role_variables.TASK_SPEC)
        given = over(role_variables.with_defaults(variables, defaults), own, role_variables.PREFIX)
        return role_variables.with_role_defaults(given, self.task_vars["inventory_hostname"])


def _part(kind: str) -> str:
    return "files" if kind == "config" else kind


def _records_lock_mode(change: Mapping[str, Any]) -> bool:
    if change["facet"] != "tags":
        return False
    before, after = (change[each] or {} for each in ("before", "after"))
    return bool(before.get(LOCK_MODE) != after.get(LOCK_MODE))


def _asking(values: Mapping[str, Any]) -> dict[str, Any]:
    """The variable by which IAM is asked, unless it is set."""
    name = f"{role_variables.PREFIX}check_permissions"
    return {} if values.get(name) is not None else {name: True}


def _without_changes(result: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if name != "diff"} | {"changed": False, "changes": []}


def _is_due(planned: Mapping[str, Any]) -> bool:
    """Whether a run has to do something. A plan that warns may leave a test to the run, which check mode cannot do."""
    return bool(planned["changed"] or planned.get("warnings"))


def combined_result(results: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The results of the modules as that of one task: the backend, and all changes.

    Of a failure no more than what was done and why it ended. Settings that nobody changed are left out: of a fleet,
    Ansible would carry all of them along.
    """
    failures = [each for each in results.values() if each.get("failed")]
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
    if failures:
        more = next(({"exception": each["exception"]} for each in failures if "exception" in each), {})
        reasons = dict.fromkeys(str(each.get("msg")) for each in failures)
        return {**result, **more, "failed": True, "msg": "; ".join(reasons)}
    credentials = next(filter(None, (each.get("credentials") for each in results.values())), None)
    return {**result, **(results.get("config", {}).get("backend") or {}), "credentials": credentials}


def _listed(diff: Any) -> list[Any]:
    return diff if isinstance(diff, list) else [diff]
