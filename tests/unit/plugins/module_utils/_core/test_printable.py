# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a person is shown of text from AWS: one line, and nothing that a terminal obeys."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.printable import (
    is_printable,
    printable,
    printable_lines,
    printable_result,
)
from hypothesis import given
from hypothesis import strategies as st

SHOWN = {
    "network/terraform.tfstate": "network/terraform.tfstate",
    "büro/日本 {{ x }} 'y' \\z": "büro/日本 {{ x }} 'y' \\z",
    "a\nCRITICAL b": "a\\nCRITICAL b",
    "\r\t\x00\x07\x1b[2J\x7f": "\\r\\t\\x00\\x07\\x1b[2J\\x7f",
    "\x9b31m\x85\xa0\xad": "\\x9b31m\\x85\\xa0\\xad",
    "\u202egnp.exe\u2066\u200b\ufeff": "\\u202egnp.exe\\u2066\\u200b\\ufeff",
    "\u2028\u2029\u3164\u115f": "\\u2028\\u2029\\u3164\\u115f",
    "\U000e0041\ud800": "\\U000e0041\\ud800",
    "": "",
}


@pytest.mark.parametrize("text", SHOWN)
def test_this_is_shown_so(text: str) -> None:
    assert printable(text) == SHOWN[text]


@given(st.text(alphabet=st.characters()))
def test_whatever_it_is_one_line_is_shown_and_escaping_it_again_changes_nothing(text: str) -> None:
    shown = printable(text)
    assert is_printable(shown) and printable(shown) == shown
    assert not [each for each in shown if unicodedata.category(each) in ("Cc", "Cf", "Zl", "Zp", "Cs")]
    assert len(shown.splitlines()) <= 1


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_lines_stay_lines(text: str) -> None:
    shown = printable_lines(text).replace("\t", "\\t")
    assert shown.split("\n") == [printable(line) for line in text.split("\n")]


def test_a_result_keeps_what_machines_read_and_has_its_sentences_escaped() -> None:
    result: dict[str, Any] = {
        "path": "a\x1b",
        "msg": "a\x1b\n",
        "warnings": ["b\x1b"],
        "diff": [{"before": "c\x1b\n", "before_header": "d\x1b", "after": {"tags": "e\x1b"}}, {"prepared": "f\x1b"}],
        "exception": "g\x1b\n",
        "missing": ["h\x1b"],
        "states": [{"path": "i\x1b", "problem": "j\x1b"}, {"path": "k\x1b", "problem": None}],
        "backend": {"unknown": [{"what": "l", "why": "m\x1b"}], "locks": None, "others": ["n\x1b"]},
    }
    assert printable_result(result) == {
        "path": "a\x1b",
        "msg": "a\\x1b\\n",
        "warnings": ["b\\x1b"],
        "diff": [{"before": "c\\x1b\n", "before_header": "d\\x1b", "after": {"tags": "e\x1b"}}, {"prepared": "f\\x1b"}],
        "exception": "g\\x1b\n",
        "missing": ["h\\x1b"],
        "states": [{"path": "i\x1b", "problem": "j\\x1b"}, {"path": "k\x1b", "problem": None}],
        "backend": {"unknown": [{"what": "l", "why": "m\\x1b"}], "locks": None, "others": ["n\x1b"]},
    }
    assert printable_result({"changed": False}) == {"changed": False}


def test_of_a_failed_result_all_is_shown_and_so_all_is_printable() -> None:
    long = "x" * 60_000
    result: dict[str, Any] = {
        "failed": True,
        "msg": "a\x9b\n",
        "before": [{"who": f"\u202e{long}", "lock_id": "\x9b", "age_s": 1, "seen": None}],
        "project": {"block": "terraform {\n}\n", "tags\x9b": ("b\u202e", True)},
        "exception": "line\nline\x9b",
    }
    shown = printable_result(result)
    assert shown["msg"] == "a\\x9b\\n"
    assert shown["before"][0]["who"].startswith("\\u202exxx") and len(shown["before"][0]["who"]) < 300
    assert shown["before"][0]["lock_id"] == "\\x9b"
    assert shown["project"] == {"block": "terraform {\n}\n", "tags\\x9b": ["b\\u202e", True]}
    assert shown["exception"] == "line\nline\\x9b"
    assert printable_result(shown) == shown
    assert result["before"][0]["lock_id"] == "\x9b"
