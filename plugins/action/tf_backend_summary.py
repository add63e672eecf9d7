# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The last tasks of the bootstrap playbook: what became of every backend, and a plain table of it for people."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report.outcome import (
    RESULT,
    backends_in,
    is_of_role,
)
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report.summary import (
    Host,
    Line,
    failure_of,
    lines_of,
    stats_of,
    summary_text,
)
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report.terminal import in_colour, show

#: The custom stat of the run.
STAT = "terraform_backend_summary"
#: By which the playbook says that no host is lost in its plays: one that is missing was lost before them.
LOST_BEFORE = "__terraform_backend_lost_before"
#: Strategies in which the hosts do each task together.
LOCKSTEP = {"linear", "debug"}

OPTIONS = {"print": {"type": "bool", "default": True}, "fail": {"type": "bool", "default": True}}


class ActionModule(ActionBase):  # type: ignore[misc]
    """Runs for every backend: one of them prints the table of them all, and each answers for itself."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validation, options = self.validate_argument_spec(OPTIONS)
        self._known = task_vars or {}
        host = self._known["inventory_hostname"]
        own = self._lines(host)
        reason = failure_of(own)
        is_failing = bool(reason) and options["fail"]
        message = reason or ", ".join(each.status for each in own) or "ok"
        result.update(changed=False, failed=is_failing, converged=not reason, msg=message)
        if options["print"] and self._is_the_printing_one(host, options["fail"]):
            lines = [line for each in self._shown_hosts(host) for line in self._lines(each)]
            table = self._show(lines)
            if not is_failing:  # of a failed result, Ansible shows all
                result.update(msg=table, backends=[each.to_result() for each in lines])
                result["ansible_stats"] = {
                    "data": {STAT: stats_of(lines, bool(self._task.check_mode))},
                    "per_host": False,
                    "aggregate": False,
                }
        return result

    def _show(self, lines: list[Line]) -> str:
        check_mode = bool(self._task.check_mode)
        # People read each reason where it happened, and where the host fails.
        show(
            summary_text(lines, check_mode, with_reasons=False),
            summary_text(lines, check_mode, in_colour, with_reasons=False),
        )
        return summary_text(lines, check_mode)

    def _is_the_printing_one(self, host: str, may_fail: bool) -> bool:
        """The first host: if it may fail, the first that does not, as a failed result has no room for the table."""
        batch = self._known["ansible_play_batch"]
        if self._task.run_once or not self._is_in_lockstep():
            return True
        if not may_fail:
            return bool(host == batch[0])
        return bool(host == next((each for each in batch if not failure_of(self._lines(each))), batch[0]))

    def _is_in_lockstep(self) -> bool:
        """Whether all hosts have come to this task. With the strategy free, a host knows of itself alone."""
        return self._task.get_play().strategy in LOCKSTEP

    def _shown_hosts(self, host: str) -> list[str]:
        """All hosts of the play, without those of its batches (`serial`) to come."""
        if not self._is_in_lockstep():
            return [host]
        batch, active = ({*self._known[name]} for name in ("ansible_play_batch", "ansible_play_hosts"))
        to_come = active - batch
        return [
            each
            for each in self._known["ansible_play_hosts_all"]
            if each not in to_come or is_of_role(self._known["hostvars"][each].get(RESULT))
        ]

    def _lines(self, name: str) -> list[Line]:
        facts = self._known["hostvars"][name]
        result = facts.get(RESULT)
        is_lost = name not in self._known["ansible_play_hosts"]
        if is_lost and LOST_BEFORE in self._known:
            result = None
        if backends_in(result):
            return lines_of(Host(name, result))
        bucket, table, mode = (
            _variable(facts, f"terraform_backend_{each}") for each in ("bucket_name", "table_name", "lock_mode")
        )
        return lines_of(Host(name, result, bucket, table, mode, is_lost))


def _variable(facts: Any, name: str) -> str | None:
    """A variable of a host; None if its template fails, which the host's own task reports."""
    try:
        value: str | None = facts.get(name)
    except AnsibleError:
        return None
    return value
