# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    """How a task names a backup."""

    DOCUMENTATION = r"""
options:
  backup:
    description:
      - Where the backup lies. A directory on the machine that runs the module, or V(s3://bucket/prefix) in another
        bucket.
      - A backup holds every secret that the states do. A directory that the module makes, and all that it writes into
        one, can be read by nobody else. A bucket must block all public access.
      - A relative path is relative to the playbook, and in a playbook of this collection to the current folder.
    type: str
  backup_region:
    description:
      - The region of the bucket in O(backup). Not given, it is O(region).
    type: str
  backup_account_id:
    description:
      - The account that must own the bucket in O(backup). Not given, it is the account of the credentials.
    type: str
  account_id:
    description:
      - The 12 digits of the account that must own everything else. Quote them in YAML.
      - Not given, it is the account of the credentials, which AWS STS is asked for once; see O(cache_credentials).
    type: str
  wait_timeout:
    description:
      - How many seconds AWS gets to come to rest, and to stop answering that it is busy, for each object anew.
    type: int
    default: 300
"""
