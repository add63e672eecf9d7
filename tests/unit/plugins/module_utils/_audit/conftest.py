# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fixtures of the tests of audits."""

from tests.unit.plugins.module_utils._audit.test_unseen import fake

__all__ = ["fake"]
