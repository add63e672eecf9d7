# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: backend_problems
short_description: What keeps a backend from being written
version_added: 0.1.0
description:
  - Lists what is wrong with the description of a backend, a sentence each; an empty list when all is well.
  - The role P(cornerstone.tfstate.terraform_backend#role) asks this before it changes anything.
options:
  _input:
    description:
      - The backend, with the options of M(cornerstone.tfstate.tf_backend_config) as keys.
    type: dict
    required: true
seealso:
  - plugin: cornerstone.tfstate.tf_backend_config
    plugin_type: module
"""

EXAMPLES = r"""
- name: Refuse clients that know no lock files
  ansible.builtin.assert:
    that: problems | length == 0
    fail_msg: "{{ problems | join('; ') }}"
  vars:
    backend:
      name: us-east-1
      bucket: usest1-terraform-state-ezra
      region: us-east-1
      lock_mode: lockfile
      client_version: ">= 1.10"
    problems: "{{ backend | cornerstone.tfstate.backend_problems }}"
"""

RETURN = r"""
_value:
  description: A sentence for each problem.
  type: list
  elements: str
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.cornerstone.tfstate.plugins.module_utils._backend_config import problems
from ansible_collections.cornerstone.tfstate.plugins.module_utils._backend_files import SPEC, backend_of

NEEDED = {
    "bucket": "terraform_backend_bucket_name is not set: name the state bucket",
    "region": "terraform_backend_region is not set: name the region, or set AWS_REGION",
}
NEEDED_BY_TABLES = {
    "table": "terraform_backend_table_name is not set: name the lock table, or lock by files alone with "
    "terraform_backend_lock_mode: lockfile",
}


def backend_problems(backend: Mapping[str, Any]) -> list[str]:
    if not isinstance(backend, Mapping):
        raise AnsibleFilterError(f"backend_problems takes a dictionary, not {type(backend).__name__}")
    needed = {**NEEDED, **(NEEDED_BY_TABLES if backend.get("lock_mode") != "lockfile" else {})}
    missing = [sentence for name, sentence in needed.items() if not backend.get(name)]
    if missing:
        return missing
    defaults = {name: option.get("default") for name, option in SPEC.items()}
    given = {name: value for name, value in backend.items() if value is not None}
    return list(problems(backend_of({**defaults, **given})))


class FilterModule:
    """Jinja filters of the collection about backends."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"backend_problems": backend_problems}
