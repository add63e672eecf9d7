# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tags: what is kept, what is ours to write."""

from __future__ import annotations

from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Target
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.tags import desired, tag_list
from hypothesis import given
from hypothesis import strategies as st

ANY = Target("tf-state", "eu-west-1")
keys = st.sampled_from(["a", "b", "aws:c", "aws:d"])
tags = st.dictionaries(keys, st.sampled_from(["1", ""]))
ours = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.sampled_from(["1", "2"]))


@given(tags, ours, st.booleans())
def test_tags_of_aws_stay_whatever_is_asked(observed: dict[str, str], asked: dict[str, str], purge: bool) -> None:
    wanted = desired({"tags": asked, "purge_tags": purge}, observed, ANY)
    assert {key for key in wanted if key.startswith("aws:")} == {key for key in observed if key.startswith("aws:")}
    assert asked.items() <= wanted.items()


@given(tags, ours)
def test_purging_leaves_nothing_else(observed: dict[str, str], asked: dict[str, str]) -> None:
    wanted = desired({"tags": asked, "purge_tags": True}, observed, ANY)
    assert {key for key in wanted if not key.startswith("aws:")} == asked.keys()


@given(tags)
def test_tags_of_aws_are_never_sent(observed: dict[str, str]) -> None:
    assert not [tag for tag in tag_list(observed) if tag["Key"].startswith("aws:")]
