# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    """How clients reach a backend."""

    DOCUMENTATION = r"""
options:
  client_profile:
    description:
      - The AWS profile that clients use. If omitted, they find credentials themselves.
    type: str
  client_assume_role_arn:
    description:
      - The role that clients assume to reach the backend.
    type: str
  client_assume_role_external_id:
    description:
      - The external id that this role requires. It is written to the files.
    type: str
  client_assume_role_session_name:
    description:
      - The name of the sessions of this role.
    type: str
"""
