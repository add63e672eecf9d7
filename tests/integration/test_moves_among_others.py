# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""States move out of buckets and into tables in which other things lie, too."""

from __future__ import annotations

from tests.integration.moves import World, state


def test_an_object_that_is_no_state_is_read_no_further_than_its_beginning(on_ministack: World):
    world = on_ministack
    world.old.put(state())
    world.old.s3.put_object(Bucket=world.old.bucket, Key="app.log", Body=b"2026-11-21 a line\n" * 2_000_000)
    result = world.moved(key=None)
    assert result["progress"]["moved"] == 1
    assert [row["path"] for row in result["skipped_objects"]] == ["app.log"]
    assert not [call.name for call in world.relay.calls if call.name == "GetObject" and "app.log" in call.resource]
