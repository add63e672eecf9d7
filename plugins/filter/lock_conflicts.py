# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hosts that share a state bucket, but not its locks."""

from __future__ import annotations

DOCUMENTATION = r"""
name: lock_conflicts
short_description: Find backends that share a state bucket but not its locks
version_added: 0.2.0
author:
  - cornerstone.tfstate contributors
description:
  - Compares the variables of the role C(cornerstone.tfstate.terraform_backend) of several hosts. Two hosts with one
    bucket and two lock tables are two backends for the same states, and clients of one do not see the locks of the
    other.
  - The playbook C(cornerstone.tfstate.bootstrap) uses it for the hosts of a run, and refuses such hosts before it
    writes anything of them.
positional: hosts
options:
  _input:
    description: The variables of all hosts, C(hostvars).
    type: dict
    required: true
  hosts:
    description: The names of the hosts to compare.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Refuse an inventory in which clients would not keep each other out
  ansible.builtin.assert:
    that: hostvars | cornerstone.tfstate.lock_conflicts(ansible_play_hosts_all) == {}
    quiet: true
"""

RETURN = r"""
_value:
  description: What is wrong, by the names of the hosts that it is wrong with. Empty if nothing is.
  type: dict
  sample:
    prod: >-
      terraform_backend_bucket_name acme-state is also that of the host stage, and clients of the two would not keep
      each other out: lock_mode both in the table locks-prod here, lock_mode both in the table locks-stage there. Give
      both the same terraform_backend_table_name and terraform_backend_lock_mode, or each another bucket
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.conflicts import conflicts


class FilterModule:
    """The filters of this file by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"lock_conflicts": conflicts}
