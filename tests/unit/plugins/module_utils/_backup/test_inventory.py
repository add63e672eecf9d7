# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is asked of AWS to know all versions of one key."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._backup.inventory import versions_of
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Call, Target

PAGES = (["k", "k"], ["k", "k.tflock"], ["k.tflock", "k.tflock"])


class Bucket:
    """Three pages of versions, the last of which is about others alone."""

    def __init__(self) -> None:
        self.asked = 0

    def pages(self, call: Call) -> Iterator[Any]:
        about = {"LastModified": datetime(2026, 11, 28, tzinfo=timezone.utc), "IsLatest": False}
        for keys in PAGES:
            self.asked += 1
            yield {
                "Versions": [
                    {"Key": key, "VersionId": f"{self.asked}-{place}", **about} for place, key in enumerate(keys)
                ]
            }


def test_a_key_is_listed_no_further_than_to_where_others_begin():
    bucket: Any = Bucket()
    found = versions_of(bucket, Target("b", "eu-west-1"), "k")
    assert [each.version_id for each in found] == ["2-0", "1-1", "1-0"]
    assert bucket.asked == 2
