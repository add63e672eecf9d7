# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""State keys: no two instances share a key, a lock or a digest; and the page about them runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.cornerstone.tfstate.plugins.filter.state_key import FilterModule
from hypothesis import given
from hypothesis import strategies as st

PAGE = Path(__file__).parents[4] / "docs" / "state-keys.md"
TEXT = PAGE.read_text(encoding="utf-8")
PLAYBOOKS = re.findall(r"^```yaml\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
PATTERNS = re.findall(r"\| `(\S+)` \| `'(\S+)' \\\| cornerstone\.tfstate\.state_key\('(\S+)'\)` \|", TEXT)

state_key = FilterModule().filters()["state_key"]

# Few words, so that pairs meet; and the words that clients give a meaning.
names = st.sampled_from(
    ["a", "b", "A", "a.b", "a-md5", "a.tflock", "terraform.tfstate", "terraform.tfstate-md5", "env"]
)
names |= st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,6}", fullmatch=True)
pairs = st.tuples(st.lists(names, min_size=1, max_size=3).map("/".join), names)


def test_a_key_is_project_instance_and_file() -> None:
    assert state_key("platform/network", "prod") == "platform/network/prod/terraform.tfstate"


def test_letter_case_is_kept() -> None:
    assert state_key("Platform", "PROD") == "Platform/PROD/terraform.tfstate"


@given(pairs, pairs)
def test_two_instances_share_nothing(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert (one == other) is bool(occupied(state_key(*one)) & occupied(state_key(*other)))


def occupied(key: str) -> set[str]:
    """Object names and lock table items that clients use for a state, in its default workspace and in another."""
    paths = (key, f"env:/dev/{key}")
    return {f"{path}{suffix}" for path in paths for suffix in ("", ".tflock", "-md5")}


@given(pairs)
def test_a_key_lies_in_nobodys_workspaces(pair: tuple[str, str]) -> None:
    assert not state_key(*pair).startswith("env:")


@pytest.mark.parametrize(
    "project", ["", "/", "/a", "a/", "a//b", "..", "a/../b", ".a", "-a", "a b", "env:/dev/a", "a\n", "é", "a\\b"]
)
def test_a_bad_project_is_refused_with_an_example(project: str) -> None:
    with pytest.raises(AnsibleFilterError, match=r"project .* must be names .* for example 'platform/network' \|"):
        state_key(project, "prod")


@pytest.mark.parametrize("instance", ["", "a/b", "..", "env:", "prod\n", "prod/"])
def test_a_bad_instance_is_refused_with_an_example(instance: str) -> None:
    with pytest.raises(AnsibleFilterError, match=r"instance .* must be one name .* for example 'platform/network' \|"):
        state_key("platform", instance)


@pytest.mark.parametrize("instance", [1.1, 7, None, True, ["prod"]])
def test_yaml_that_is_no_string_is_refused_instead_of_guessed(instance: object) -> None:
    with pytest.raises(AnsibleFilterError, match=r"instance must be a string, .*; quote it"):
        state_key("platform", instance)


def test_a_key_leaves_room_for_its_lock_file() -> None:
    longest = "p" * (1017 - len("/prod/terraform.tfstate"))
    assert len(state_key(longest, "prod")) == 1017
    with pytest.raises(AnsibleFilterError, match="1018 bytes"):
        state_key(longest + "p", "prod")


def test_the_page_has_examples_to_run() -> None:
    assert PLAYBOOKS
    assert len(PATTERNS) == 3


@pytest.mark.parametrize(("key", "project", "instance"), PATTERNS)
def test_every_pattern_of_the_page_is_what_the_filter_gives(key: str, project: str, instance: str) -> None:
    assert state_key(project, instance) == key


@pytest.mark.slow
@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_every_playbook_of_the_page_runs(playbook: str, tmp_path: Path) -> None:
    (tmp_path / "example.yml").write_text(playbook, encoding="utf-8")
    result = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", "example.yml"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    for promised in re.findall(r"# => (.+)", playbook):
        assert promised in result.stdout
