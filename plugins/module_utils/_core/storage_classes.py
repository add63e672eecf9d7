# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Storage classes of S3 whose objects cannot be read before they are restored, which takes hours. Pure.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/archived-objects.html
"""

from __future__ import annotations

#: GLACIER_IR is read at once.
ARCHIVES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
#: It may have moved an object to an archive tier, which no listing shows.
TIERED = "INTELLIGENT_TIERING"
#: How many hours S3 typically takes at most to restore an object, by its storage class or archive tier.
RESTORE_HOURS = {"GLACIER": 5, "ARCHIVE_ACCESS": 5, "DEEP_ARCHIVE": 12, "DEEP_ARCHIVE_ACCESS": 12}
