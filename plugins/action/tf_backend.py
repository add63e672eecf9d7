# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The role's task: its variables checked, then the bucket, the table and the files, each through its door.

One task, because every task of every host costs Ansible a fork and a templating of all arguments, which together took
three times as long as the work.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._core import Invalid, Wrote, unheard
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils import _role
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._door import Doors


class ActionModule(Doors):
    def work(self, wrote: Wrote = unheard) -> dict[str, Any]:
        try:
            with self.environment():
                found = _role.asked(_role.given(self.known, self._templar))
        except Invalid as problem:
            return {"failed": True, "msg": str(problem)}
        results: dict[str, dict[str, Any]] = {}
        for kind in ("bucket", "table", "config") if _role.has_table(found) else ("bucket", "config"):
            arguments = _role.arguments(kind, found)
            if kind == "config":
                arguments = self.from_here(arguments | _role.told_by(results, found))
            module = f"cornerstone.tfstate.{_role.MODULES[kind]}"
            results[kind] = self.enter(_role.EDGES[kind], module, arguments, wrote)
            if results[kind].get("failed"):
                break
        return summed_up(results)


def summed_up(results: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The results of the modules as that of one task; of a failed one no more than what was done and why it ended."""
    failed = next((each for each in results.values() if each.get("failed")), None)
    told: dict[str, Any] = {
        "changed": any(each.get("changed") for each in results.values()),
        "diff": [diff for each in results.values() for diff in _listed(each.pop("diff", []))],
        "warnings": [warning for each in results.values() for warning in each.pop("warnings", [])],
    }
    if failed:
        done = {kind: {"changes": each.get("changes", [])} for kind, each in results.items()}
        more = {"exception": failed["exception"]} if "exception" in failed else {}
        told |= {**done, **more, "failed": True, "msg": failed["msg"]}
    else:
        for each in results.values():
            each.pop("invocation", None)  # of a fleet, Ansible would carry all of them along
        told |= {**results, "ansible_facts": results["config"].pop("ansible_facts", {})}
    return {name: value for name, value in told.items() if value or name == "changed"}


def _listed(diff: Any) -> list[Any]:
    return diff if isinstance(diff, list) else [diff]
