# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    """A bucket and its lock table. A module says itself whether it requires one."""

    DOCUMENTATION = r"""
options:
  bucket:
    description:
      - The state bucket.
      - If omitted and the task runs on the controller, the backend is that of the role's variables.
    type: str
  table:
    description:
      - The lock table.
      - If omitted, there are only lock files. Clients that lock only in a table are then neither seen nor kept out.
    type: str
  account_id:
    description:
      - The 12 digits of the account that must own the bucket. Quote them in YAML.
      - If omitted, it is the account of the credentials, which AWS STS is asked for once; see O(cache_credentials).
      - The bucket of another account can be named on purpose, but not with O(table), as that is always one of the
        credentials' account. The task then fails before it looks at any lock or state.
    type: str
"""
