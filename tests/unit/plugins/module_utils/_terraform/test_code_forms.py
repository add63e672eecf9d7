# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every form in which code names a backend is on the map, and keeps every gate closed that it should."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Target
from ansible_collections.cornerstone.tfstate.plugins.module_utils._local.code_files import read_code
from ansible_collections.cornerstone.tfstate.plugins.module_utils._lock_mode.requirements import (
    LockedBackend,
    Step,
    namings,
    reasons,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._teardown.checks import _code_checks
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.code_known import known_of
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.code_map import CodeMap, Settings

from tests.support.code_forms import BUCKET, FORMS, REGION, TABLE, Form, block

READY = {"ready/main.tf": block(key="ready", dynamodb_table=None, use_lockfile=True)}


def written(folder: Path, form: Form) -> Path:
    for name, text in {**READY, **form.files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def read(folder: Path, form: Form, *known: dict[str, Any]) -> CodeMap:
    return read_code([str(folder)], Settings(known_of(known), form.backend_files))


def step_of(code: CodeMap) -> Step:
    return Step(LockedBackend(BUCKET, TABLE, REGION), "lockfile", None, code, False)


def teardown_of(code: CodeMap) -> list[str]:
    target = Target(BUCKET, REGION)
    return list(_code_checks(SimpleNamespace(bucket=target, table=Target(TABLE, REGION), keeps_table=False), code))


def clients(code: CodeMap, folder: Path) -> list[tuple[str, Any]]:
    """But for the one that is ready."""
    found = [each for each in code.layers if each.path != f"{folder}/ready/main.tf"]
    return [(each.lock_mode, each.arguments.get("key")) for each in found if each.arguments.get("bucket") == BUCKET]


def names(told: Sequence[str], folder: Path, form: Form) -> bool:
    return any(f"{folder}/{name}" in each for each in told for name in form.files)


@pytest.mark.parametrize("name", FORMS)
def test_every_form_is_read_or_unknown(name: str, tmp_path: Path) -> None:
    form = FORMS[name]
    code = read(written(tmp_path, form), form)
    seen = clients(code, tmp_path)
    if form.is_none:
        assert (seen, code.unknown()) == ([], [])
    elif form.is_unknown:
        is_told = code.unknown(REGION) or any(each.unknown for each in code.layers)
        assert is_told
    else:
        key = None if form.is_key_unknown else form.key
        assert form.is_not_run or ("dynamodb", key) in seen
        assert "dynamodb" in [mode for mode, _key in seen] and code.unknown() == []


@pytest.mark.parametrize("name", [name for name, form in FORMS.items() if not form.is_none])
def test_every_form_keeps_the_gates_closed(name: str, tmp_path: Path) -> None:
    form = FORMS[name]
    code = read(written(tmp_path, form), form)
    assert names(list(reasons(step_of(code), ())), tmp_path, form), "the step to lock files"
    removal = [*reasons(step_of(code), ()), *namings(step_of(code))]
    assert names(removal, tmp_path, form), "remove_table"
    assert names(teardown_of(code), tmp_path, form), "teardown"


READY_WORD = {"bucket": BUCKET, "region": REGION, "use_lockfile": True}


@pytest.mark.parametrize("name", [name for name, form in FORMS.items() if form.is_unknown])
@pytest.mark.parametrize("word", ["none", READY_WORD], ids=["none", "ready"])
def test_a_word_opens_the_step_for_what_is_unknown(name: str, word: Any, tmp_path: Path) -> None:
    form = FORMS[name]
    code = read(written(tmp_path, form), form, {"paths": "**", "backend": word})
    assert code.unknown() == []
    ((told,)) = code.known
    assert told["backend"] == word and told["used"] > 0
    assert [*reasons(step_of(code), ())] == []


def test_nothing_at_all_opens_the_step_where_the_code_says_otherwise(tmp_path: Path) -> None:
    form = FORMS["a block"]
    code = read(written(tmp_path, form), form, {"paths": "**", "backend": "none"})
    assert [*reasons(step_of(code), ())]


def test_code_that_is_ready_is_ready(tmp_path: Path) -> None:
    code = read(written(tmp_path, Form({})), Form({}))
    assert [*reasons(step_of(code), ())] == [] and [*namings(step_of(code))] == []
