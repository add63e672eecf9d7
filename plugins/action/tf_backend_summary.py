# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The last task of the bootstrap playbook: what became of every backend, and a plain table of it for people."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report.summary import Line, line_of, summary_text
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report.terminal import (
    SEE_SUMMARY,
    in_colour,
    is_for_people,
    show,
)

RESULT = "__terraform_backend"


class ActionModule(ActionBase):  # type: ignore[misc]
    """Runs for every backend: the first one prints the table of them all, and each answers for itself."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        known = task_vars or {}
        host = known["inventory_hostname"]
        if host == known["ansible_play_hosts"][0]:
            lines = [self._line(each, known) for each in known["ansible_play_hosts_all"]]
            check_mode = bool(self._task.check_mode)
            show(summary_text(lines, check_mode), summary_text(lines, check_mode, in_colour))
        line = self._line(host, known)
        message = SEE_SUMMARY if line.failed and is_for_people() else line.status
        result.update(changed=False, failed=line.failed, msg=message, backend={**line.to_result(), "status": message})
        return result

    def _line(self, host: str, known: dict[str, Any]) -> Line:
        facts = known["hostvars"][host]
        return line_of(
            host,
            names=(_variable(facts, "terraform_backend_bucket_name"), _variable(facts, "terraform_backend_table_name")),
            lock_mode=_variable(facts, "terraform_backend_lock_mode"),
            result=facts.get(RESULT) or {},
            failure=facts.get("terraform_backend_failure"),
        )


def _variable(facts: Any, name: str) -> str | None:
    """A variable of a host; None if its template fails, which the host's own task reports."""
    try:
        value: str | None = facts.get(name)
    except AnsibleError:
        return None
    return value
