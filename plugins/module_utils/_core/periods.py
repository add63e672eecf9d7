# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Periods that several packages measure by."""

from __future__ import annotations

#: Of so many days tf_backend_info counts what was written.
USAGE_DAYS = 30
