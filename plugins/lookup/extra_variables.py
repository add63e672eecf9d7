# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The names of the extra variables of a run."""

from __future__ import annotations

DOCUMENTATION = r"""
name: extra_variables
short_description: The names of the extra variables of a run
version_added: 0.2.0
author:
  - cornerstone.tfstate contributors (@cornerstone-tfstate)
description:
  - Returns the names of the variables that the command line, a survey or a job gave by C(--extra-vars). An inventory
    or a role may have variables of the same names, which mean something else.
  - The playbooks of this collection use it for variables whose names were shorter before, such as C(key) for
    C(terraform_backend_unlock_key).
options: {}
"""

EXAMPLES = r"""
- name: Refuse a plan that nobody named
  ansible.builtin.assert:
    that: "'stage' not in query('cornerstone.tfstate.extra_variables')"
    quiet: true
"""

RETURN = r"""
_raw:
  description: The names, sorted.
  type: list
  elements: str
  sample: [stage]
"""

from typing import Any

from ansible.plugins.lookup import LookupBase
from ansible.utils.vars import load_extra_vars


class LookupModule(LookupBase):  # type: ignore[misc]
    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **_options: Any) -> list[str]:
        return sorted(map(str, load_extra_vars(self._loader)))
