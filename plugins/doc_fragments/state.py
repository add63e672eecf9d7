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
      - "If there is nothing under this key, it can also be what clients, consoles and tables show of a state: the
        C(Path) of a lock (C(<bucket>/<path>)), C(s3://<bucket>/<path>), the name of a lock file or of a digest
        (C(.tflock) or C(-md5) at the end), or a path with the workspace that O(workspace) names as well. A warning
        says which state it is taken for. A slash at the beginning is ignored."
      - If there is still nothing, and states with similar names exist, the task fails and names them.
    type: str
  key_is_url_encoded:
    description:
      - V(true) if O(key) is percent-encoded, as in a URL and as C(encoding-type) C(url) of Amazon S3 has it.
      - The audit prints a key so if it has characters that a shell or Ansible could run as code, such as C({{).
    type: bool
    default: false
  workspace:
    description:
      - The workspace of the state. A name that no client accepts, such as V(feature/x), is refused.
    type: str
    default: default
  workspace_key_prefix:
    description:
      - What precedes the states of other workspaces than V(default), as clients have it configured.
    type: str
    default: "env:"
"""
