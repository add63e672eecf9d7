# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What of a result may be shown: no secret, and every name that the operator gave."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.common.parameters import remove_values
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.no_log import (
    CENSOR,
    HIDDEN,
    NAMES,
    censored_options,
    is_censored,
    names_in,
    scrubbed,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import hidden_options, result_of, shown
from hypothesis import given
from hypothesis import strategies as st

from tests.integration.module_runs import ENTRIES

#: Text options whose values name nothing that files or results are made from.
FREE_TEXT = {
    *("access_key", "source_access_key", "client_version", "provider_version"),
    *("info", "reason", "operation", "lock_id", "older_than", "version_id", "with_version_id", "plan_arguments"),
    *("disabled", "policy_statements", "drop_statements", "waivers", "tag_names", "units"),
}

#: A text, the secrets, the names, and what is shown.
CASES: dict[str, tuple[str, list[str], list[str], str]] = {
    "a secret": ("key wJalr failed", ["wJalr"], [], f"key {CENSOR} failed"),
    "nothing but a secret": ("wJalr", ["wJalr"], [], HIDDEN),
    "a name that contains a secret": ("acme-test-x", ["test"], ["acme-test-x"], "acme-test-x"),
    "an ARN of such a name": ("arn:aws:s3:::acme-test-x/a", ["test"], ["acme-test-x"], "arn:aws:s3:::acme-test-x/a"),
    "a name that is a secret": ("test", ["test"], ["test"], "test"),
    "a secret beside such a name": ("acme-test-x test", ["test"], ["acme-test-x"], f"acme-test-x {CENSOR}"),
    "a secret that begins in a name": ("acme-test-SECRET", ["test-SECRET"], ["acme-test"], f"acme-{CENSOR}"),
    "a secret that contains a name": ("acme-SECRET", ["acme-SECRET"], ["acme"], HIDDEN),
    "a name as part of a longer word": ("mytests", ["test"], ["test"], f"my{CENSOR}s"),
    "two names that overlap": ("a-test-b-test-c", ["test"], ["a-test-b", "b-test-c"], "a-test-b-test-c"),
    "two secrets that overlap": ("abcd", ["abc", "bcd"], [], CENSOR),
    "a secret in a longer secret": ("x abcd x", ["abcd", "bc"], [], f"x {CENSOR} x"),
    "a name with signs of patterns": ("a.test+b", ["test"], ["a.test+b"], "a.test+b"),
    "a name that only looks alike": ("aXtest+b", ["test"], ["a.test+b"], f"aX{CENSOR}+b"),
}


@pytest.mark.parametrize(("text", "secrets", "names", "expected"), CASES.values(), ids=CASES)
def test_secrets_are_hidden_and_names_are_not(text: str, secrets: list[str], names: list[str], expected: str) -> None:
    assert scrubbed({"msg": [text]}, secrets, names) == {"msg": [expected]}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 999) | st.text("ab-:/9", max_size=12),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text("xyz", max_size=2), children, max_size=3),
    max_leaves=8,
)


@given(JSON, st.lists(st.text("ab9", min_size=3, max_size=5), max_size=1))
def test_without_names_it_does_what_ansible_does(result: Any, secrets: list[str]) -> None:
    expected = remove_values({"it": result}, secrets)["it"]
    if "aa" not in "".join(secrets):  # of occurrences that overlap, Ansible leaves the ends
        assert is_censored(scrubbed(result, secrets)) == is_censored(expected)


@given(st.text("ab-", max_size=30), st.text("ab-", min_size=1, max_size=4), st.lists(st.text("ab-", min_size=1)))
def test_a_secret_is_shown_only_inside_of_a_name(text: str, secret: str, names: list[str]) -> None:
    told = scrubbed(text, [secret], names)
    assert secret not in told or any(secret in name and name in text for name in names)


def test_a_command_that_a_secret_is_part_of_is_left_out() -> None:
    finding = {"detail": "prod/test/x", "fix": "ansible-playbook unlock.yml -e key=prod/test/x"}
    told = scrubbed(finding, ["test"])
    assert told["detail"] == f"prod/{CENSOR}/x"
    assert CENSOR not in told["fix"] and told["fix"].startswith("#")
    assert scrubbed(finding, ["test"], ["prod/test/x"]) == finding


@pytest.mark.parametrize("module", ENTRIES)
def test_every_text_option_is_a_name_a_secret_or_free_text(module: str) -> None:
    spec = ENTRIES[module].spec
    texts = {
        option
        for option, of in spec.items()
        if "choices" not in of and of.get("type", "str") in ("str", "path", "list") and "options" not in of
    }
    assert texts - NAMES - FREE_TEXT <= hidden_options(spec)
    assert not hidden_options(spec) & NAMES


def test_names_are_found_in_lists_and_in_the_options_of_other_modules() -> None:
    params = {
        "bucket": "b",
        "keys": ["k/*", "l"],
        "secret_key": "s",
        "endpoint_url": "https://user:pass@host",
        "bucket_options": {"kms_key_id": "alias/x", "tags": {"a": "t"}},
        "table": None,
        "info": "free",
        "code_known": [
            {"paths": "live/*", "backend": {"bucket": "c", "use_lockfile": True}},
            {"paths": "old", "backend": "none"},
        ],
        "code_exclude": ["x/"],
    }
    assert names_in(params) == {"b", "k/*", "l", "alias/x", "live/*", "old", "c", "x/"}


@pytest.mark.parametrize("name", [f"acme-{CENSOR}-x", HIDDEN])
def test_a_censored_name_is_noticed(name: str) -> None:
    assert censored_options({"bucket": name, "table": "locks", "keys": ["a", name]}) == ("bucket", "keys")
    assert is_censored({"a": [name]})
    assert not is_censored({"a": ["acme", 8, None]})


@pytest.mark.parametrize("module", ENTRIES)
def test_no_module_works_with_a_censored_name(module: str) -> None:
    entry = ENTRIES[module]
    option = next(each for each in ("bucket", "name", "path") if each in entry.spec)
    result = result_of(entry, {option: f"acme-{CENSOR}"}, check_mode=False, diff=False)
    assert result["failed"] and option in result["msg"] and not result["changed"]


@pytest.mark.parametrize("option", ["secret_key", "aws_secret_key", "session_token", "assume_role_external_id"])
def test_the_invocation_hides_a_secret_that_is_also_a_name(option: str) -> None:
    params = {"name": "acme", "region": "eu-west-1", "access_key": "acme", option: "acme", "tags": {"a": "x acme y"}}
    told = shown(ENTRIES["tf_lock_table"], params, {"msg": "acme", "other": "acmex"}, ["acme"])
    assert told["msg"] == "acme"
    assert told["other"] == f"{CENSOR}x"
    invocation = told["invocation"]["module_args"]
    assert (invocation["name"], invocation[option]) == ("acme", HIDDEN)
