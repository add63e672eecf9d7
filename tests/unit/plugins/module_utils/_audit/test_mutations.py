# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every kind of finding is found in a backend that is wrong in just that way, and what is printed for it is pasted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.catalogue import KINDS

from tests.support.inline_plays import inline
from tests.support.pasting import behind_questions
from tests.unit.plugins.module_utils._audit.backends import KINDS as HEALTHY
from tests.unit.plugins.module_utils._audit.backends import STATES, Backend, Raw, copied, difference, healthy
from tests.unit.plugins.module_utils._audit.mutations import MUTATIONS, Mutation

GetBackend = Callable[[str], Backend]
_healthy: dict[str, Backend] = {}


@pytest.fixture
def backend(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[GetBackend]:
    """A copy of a healthy backend, by its name."""

    numbers = count()

    def get(kind: str) -> Backend:
        if kind not in _healthy:
            _healthy[kind] = healthy(kind, tmp_path_factory.mktemp("healthy"), monkeypatch)
        return copied(_healthy[kind], tmp_path / f"work-{next(numbers)}", monkeypatch)

    with inline():
        yield get


@pytest.mark.parametrize("case", MUTATIONS)
def test_it_is_found_and_what_is_printed_mends_it_alone(backend: GetBackend, case: str, tmp_path: Path) -> None:
    mutation = MUTATIONS[case]
    kept = backend(mutation.base)
    before = kept.raw()
    fixes = found_in(kept, mutation)
    paste(kept, mutation, fixes, tmp_path / "first")
    check_mended(kept, mutation, before)
    commands = [fix for fix in fixes if not fix.startswith("#")]
    if len(commands) > 1 and not mutation.words:
        other = backend(mutation.base)
        paste(other, mutation, found_in(other, mutation)[::-1], tmp_path / "reversed")
        check_mended(other, mutation, before)


def found_in(kept: Backend, mutation: Mutation) -> list[str]:
    """What is printed for the fault, once it was found and nothing else."""
    mutation.make(kept)
    found = kept.audit()
    assert {each["id"] for each in found} == {mutation.id, *mutation.beside}, found
    ours = [each for each in found if each["id"] == mutation.id]
    assert {each["severity"] for each in ours} == {mutation.severity or KINDS[mutation.id].severity}
    return [*dict.fromkeys(each["fix"] for each in found)]


def paste(kept: Backend, mutation: Mutation, fixes: list[str], folder: Path) -> None:
    for words in mutation.words:
        assert any(words in fix for fix in fixes), fixes
    by_hand = kept.paste(fixes, folder) if mutation.pastes else []
    assert not by_hand or mutation.words, by_hand
    if mutation.decides:
        behind = behind_questions(fixes)
        assert behind and not kept.paste(behind, folder / "decided")
    if mutation.person:
        mutation.person(kept)


def check_mended(kept: Backend, mutation: Mutation, before: Raw) -> None:
    if mutation.words and mutation.person is None and not mutation.stays and not mutation.decides:
        return
    left = kept.audit()
    assert {each["id"] for each in left} == {*mutation.stays}, left
    assert difference(before, kept.raw()) == mutation.differs


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


@pytest.mark.parametrize(("kind", "requests"), [("plain", 21), ("lockfile", 15)])
def test_a_healthy_backend_costs_no_more_requests_than_these_and_one_for_each_state(
    backend: GetBackend, kind: str, requests: int
) -> None:
    kept = backend(kind)
    kept.aws.relay.calls.clear()
    kept.audit()
    assert len(kept.aws.relay.calls) <= requests + len(STATES)
