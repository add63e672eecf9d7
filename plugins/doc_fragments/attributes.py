# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    """What every module that converges something supports. A module that differs says so itself."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode, and then writes nothing.
    support: full
    details:
      - Returns the very changes that a run would make, and refuses what a run would refuse.
  diff_mode:
    description: Shows what has changed, or in check mode what would change.
    support: full
  idempotent:
    description: Run twice with the same options, it changes nothing the second time.
    support: full
  platform:
    description: Where the module runs.
    platforms: posix
    support: full
"""

    ACTION_GROUP = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/cornerstone.tfstate.tfstate) in C(module_defaults) to set the connection options once.
    support: full
    membership:
      - cornerstone.tfstate.tfstate
"""
