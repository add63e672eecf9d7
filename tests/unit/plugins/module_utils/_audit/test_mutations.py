# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every kind of finding is found in a backend that is wrong in just that way, and what is printed for it is pasted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.catalogue import KINDS

from tests.support.inline_plays import inline
from tests.unit.plugins.module_utils._audit.backends import KINDS as HEALTHY
from tests.unit.plugins.module_utils._audit.backends import Backend, copied, difference, healthy
from tests.unit.plugins.module_utils._audit.mutations import MUTATIONS

GetBackend = Callable[[str], Backend]
_healthy: dict[str, Backend] = {}


@pytest.fixture
def backend(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[GetBackend]:
    """A copy of a healthy backend, by its name."""

    def get(kind: str) -> Backend:
        if kind not in _healthy:
            _healthy[kind] = healthy(kind, tmp_path_factory.mktemp(kind), monkeypatch)
        return copied(_healthy[kind], tmp_path / "work", monkeypatch)

    with inline():
        yield get


@pytest.mark.parametrize("case", MUTATIONS)
def test_it_is_found_and_what_is_printed_mends_it_alone(backend: GetBackend, case: str, tmp_path: Path) -> None:
    mutation = MUTATIONS[case]
    kept = backend(mutation.base)
    before = kept.raw()
    mutation.make(kept)
    found = kept.audit()
    assert {each["id"] for each in found} == {mutation.id, *mutation.beside}, found
    ours = [each for each in found if each["id"] == mutation.id]
    assert {each["severity"] for each in ours} == {mutation.severity or KINDS[mutation.id].severity}
    fixes = [*dict.fromkeys(each["fix"] for each in found)]
    for words in mutation.words:
        assert any(words in fix for fix in fixes), fixes
    by_hand = kept.paste(fixes, tmp_path) if mutation.pastes else []
    assert not by_hand or mutation.words, by_hand
    if mutation.person:
        mutation.person(kept)
    if mutation.words and mutation.person is None and not mutation.stays:
        return
    left = kept.audit()
    assert {each["id"] for each in left} == {*mutation.stays}, (left, fixes)
    assert difference(before, kept.raw()) == mutation.differs, fixes


def test_each_kind_of_finding_has_a_backend_that_is_wrong_in_this_way() -> None:
    assert {each.id for each in MUTATIONS.values()} == {*KINDS}


@pytest.mark.parametrize("kind", HEALTHY)
def test_nothing_is_found_in_a_healthy_backend_which_the_next_run_leaves_alone(backend: GetBackend, kind: str) -> None:
    kept = backend(kind)
    before = kept.raw()
    assert kept.audit() == []
    kept.lock(
        "net/a.tfstate", *{"dynamodb": ("table",), "lockfile": ("file",)}.get(HEALTHY[kind][0], ("file", "table"))
    )
    assert kept.audit() == [], "somebody is at work"
    kept.run("bootstrap")
    assert difference(before, kept.raw()) <= {"object net/a.tfstate.tflock", "item net/a.tfstate"}
