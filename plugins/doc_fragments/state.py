# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    """One state of a backend."""

    DOCUMENTATION = r"""
options:
  key:
    description:
      - The key of the state in the bucket, as O(cornerstone.tfstate.tf_backend_config#module:key) and as the C(key) of
        a C(backend) block. The rest of the path of another workspace is added.
    type: str
  key_is_url_encoded:
    description:
      - V(true) if O(key) is percent-encoded, as in a URL and as C(encoding-type) C(url) of Amazon S3 has it.
      - The audit prints a key so if it has characters that a shell or Ansible could run as code, such as C({{).
    type: bool
    default: false
  workspace:
    description:
      - The workspace of the state.
    type: str
    default: default
  workspace_key_prefix:
    description:
      - What precedes the states of other workspaces than V(default), as clients have it configured.
    type: str
    default: "env:"
"""
