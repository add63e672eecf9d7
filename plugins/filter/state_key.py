# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The key of the state of one instance of a project."""

from __future__ import annotations

DOCUMENTATION = r"""
name: state_key
short_description: Give each instance of a project a state key of its own
version_added: 0.1.0
author:
  - cornerstone.tfstate contributors
description:
  - Joins a project and one of its instances to the key of a state, C(<project>/<instance>/terraform.tfstate).
  - Two different pairs never give the same key, nor a key that shares a lock, a lock file or a digest with another,
    nor one among the workspaces of another (C(env:/)). So each instance has its own lock.
  - Letter case is kept, as S3 tells C(Prod) from C(prod).
positional: instance
options:
  _input:
    description:
      - The project, a path of one or more names with slashes between them.
      - A name starts with a letter or digit, then come letters, digits, C(.), C(_) and C(-).
    type: str
    required: true
  instance:
    description:
      - Which instance of the project it is, such as an environment, a region or a customer.
      - One name, without a slash.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show the state key of the network project in production
  ansible.builtin.debug:
    msg: "{{ 'platform/network' | cornerstone.tfstate.state_key('prod') }}"
  # => platform/network/prod/terraform.tfstate
"""

RETURN = r"""
_value:
  description: The key of the state.
  type: str
  sample: platform/network/prod/terraform.tfstate
"""

import re
from collections.abc import Callable

from ansible.errors import AnsibleFilterError

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_EXAMPLE = "'platform/network' | cornerstone.tfstate.state_key('prod')"
# 1024 bytes are S3's limit, and Terraform puts `.tflock` behind the key.
_MAX_KEY_LENGTH = 1024 - len(".tflock")


def state_key(project: object, instance: object) -> str:
    """`platform/network`, `prod` -> `platform/network/prod/terraform.tfstate`."""
    _refuse_unless("project", project, f"{_NAME}(?:/{_NAME})*", "names with single slashes between them")
    _refuse_unless("instance", instance, _NAME, "one name without a slash")
    key = f"{project}/{instance}/terraform.tfstate"
    if len(key) > _MAX_KEY_LENGTH:
        raise AnsibleFilterError(f"state_key: the key has {len(key)} bytes, {_MAX_KEY_LENGTH} are possible; {_EXAMPLE}")
    return key


def _refuse_unless(part: str, value: object, pattern: str, meaning: str) -> None:
    if not isinstance(value, str):
        # Not !r: printing an undefined variable says so by itself.
        raise AnsibleFilterError(
            f"state_key: {part} must be a string, and {value} is not one; quote it as in {_EXAMPLE}"
        )
    if not re.fullmatch(pattern, value):
        raise AnsibleFilterError(
            f"state_key: {part} {value!r} must be {meaning}; a name is {_NAME}, for example {_EXAMPLE}"
        )


class FilterModule:
    """The filters of this file by name."""

    def filters(self) -> dict[str, Callable[..., str]]:
        return {"state_key": state_key}
