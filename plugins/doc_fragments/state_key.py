# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    """The form of a state's key."""

    DOCUMENTATION = r"""
options:
  key_is_url_encoded:
    description:
      - V(true) if O(key) is percent-encoded, as in a URL and as C(encoding-type) C(url) of Amazon S3 has it.
      - The audit prints a key so if it has characters that a shell or Ansible could run as code, such as C({{).
    type: bool
    default: false
"""
