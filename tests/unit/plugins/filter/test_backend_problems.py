# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the role asks before it changes anything."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.cornerstone.tfstate.plugins.filter.backend_problems import FilterModule, backend_problems

GOOD = {"name": "eu", "bucket": "state-eu", "region": "eu-west-1", "lock_mode": "both", "table": "locks-eu"}
#: What is given otherwise, and what is said: one sentence for each problem, holding these words.
PROBLEMS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "all is well": ({}, ()),
    "None counts as not given": ({"key": None, "client_version": None, "workspace_key_prefix": None}, ()),
    "options that are no concern of the files": ({"directory": "out"}, ()),
    "no bucket": ({"bucket": None}, ("terraform_backend_bucket_name",)),
    "no region": ({"region": ""}, ("terraform_backend_region",)),
    "neither bucket nor region": (
        {"bucket": None, "region": None},
        ("terraform_backend_bucket_name", "terraform_backend_region"),
    ),
    "no table": ({"table": None}, ("terraform_backend_table_name",)),
    "lock files need no table": ({"table": None, "lock_mode": "lockfile"}, ()),
    "clients that are too old for lock files use a table": ({"lock_mode": "dynamodb", "client_version": ">= 1.5"}, ()),
    "old clients": ({"client_version": ">= 1.5"}, ("lock_mode dynamodb",)),
    "a version that nobody can read": ({"client_version": "new"}, ("client_version",)),
    "a name and a key that are both wrong": ({"name": "eu/west", "key": "/a"}, ("'eu/west'", "'/a'")),
    "a workspace prefix with a slash last": ({"workspace_key_prefix": "team/"}, ("'team/'",)),
    "a name that is no file name": ({"name": "eu/west"}, ("'eu/west'",)),
}


@pytest.mark.parametrize(("otherwise", "words"), PROBLEMS.values(), ids=PROBLEMS)
def test_each_problem_is_a_sentence(otherwise: dict[str, Any], words: tuple[str, ...]) -> None:
    found = backend_problems(GOOD | otherwise)
    assert [word in sentence for word, sentence in zip(words, found, strict=True)] == [True] * len(words), found


def test_what_is_given_stays_as_it_was() -> None:
    given = dict(GOOD)
    backend_problems(given)
    assert given == GOOD


@pytest.mark.parametrize("value", [None, "eu", ["eu"]])
def test_something_else_than_a_dictionary_is_refused(value: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="dictionary"):
        backend_problems(value)


def test_the_filter_has_the_name_that_the_role_calls_it_by() -> None:
    assert FilterModule().filters() == {"backend_problems": backend_problems}
