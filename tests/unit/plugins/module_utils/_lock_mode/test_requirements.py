# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What code has against a step: whoever would not be kept out by somebody else's lock, or stopped by a digest."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._lock_mode.requirements import (
    MODES,
    LockedBackend,
    Step,
    can_miss_table,
    namings,
    next_step,
    reasons,
    unseen_neighbours,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.code_map import (
    CodeMap,
    Layer,
    UnreadableCode,
    code_map,
)

BACKEND = LockedBackend("acme-state", "acme-locks")
#: Clients of the first do not keep out those of the second, nor the other way round. See docs/lock-modes.md.
EXCLUDE = {(one, other): {one, other} != {"dynamodb", "lockfile"} for one, other in product(MODES, MODES)}
#: What clients of a mode may write while a step to a target is due.
READY = {
    "dynamodb": {"dynamodb": True, "both": True, "lockfile": False},
    "both": {"dynamodb": True, "both": True, "lockfile": False},
    "lockfile": {"dynamodb": False, "both": True, "lockfile": True},
}


def layer(mode: str, path: str = "app/backend.tf", **more: object) -> Layer:
    says: dict[str, object] = {"bucket": "acme-state", "key": "k", "region": "eu-west-1"}
    says |= {"dynamodb_table": "acme-locks"} if mode in ("dynamodb", "both") else {}
    says |= {"use_lockfile": True} if mode in ("lockfile", "both") else {}
    says |= more
    return Layer(path, "block", says, frozenset(says))


def step(
    target: str,
    *layers: Layer,
    current_lock_mode: str | None = None,
    has_digest_policy: bool = False,
    code: CodeMap | None = None,
) -> Step:
    return Step(BACKEND, target, current_lock_mode, code or CodeMap(layers), has_digest_policy)


@pytest.mark.parametrize(("target", "mode"), [*product(MODES, MODES)])
def test_a_step_waits_for_clients_of_modes_beyond_it(target: str, mode: str) -> None:
    assert bool([*reasons(step(target, layer(mode)), ())]) is not READY[target][mode]


@pytest.mark.parametrize("target", MODES)
def test_whoever_is_ready_is_kept_out_by_whoever_comes_next(target: str) -> None:
    """After a step code may be of the target's mode, besides those that were ready for it."""
    ready = [mode for mode, is_ready in READY[target].items() if is_ready]
    assert all(EXCLUDE[one, other] for one, other in product(ready, [*ready, target]))


STEPS = {(one, other): abs(MODES.index(one) - MODES.index(other)) < 2 for one, other in product(MODES, MODES)}


@pytest.mark.parametrize(("current_lock_mode", "target"), STEPS)
def test_steps_go_from_neighbour_to_neighbour(current_lock_mode: str, target: str) -> None:
    found = [*reasons(step(target, layer("both"), current_lock_mode=current_lock_mode), ())]
    assert (found == []) is STEPS[current_lock_mode, target]


@pytest.mark.parametrize("target", MODES)
def test_behind_the_fence_the_table_alone_is_two_steps_away(target: str) -> None:
    found = [*reasons(step(target, layer("both"), has_digest_policy=True), ())]
    assert (found != []) is (target == "dynamodb")


def test_the_origin_is_the_mode_furthest_away() -> None:
    assert step("lockfile", layer("both"), layer("dynamodb")).origin == "dynamodb"
    assert step("both", layer("both"), has_digest_policy=True).origin == "lockfile"
    assert step("both", layer("both")).origin == "both"
    assert step("both", current_lock_mode="dynamodb").origin == "dynamodb"
    assert step("both", layer("none")).origin is None


def test_layers_of_other_buckets_are_nobody_s_concern_here() -> None:
    other = layer("dynamodb", bucket="other-state")
    assert [*reasons(step("lockfile", layer("both"), other), ())] == []


def test_what_may_be_about_the_backend_is_in_the_way() -> None:
    open_one = Layer("any/backend.tf", "block", {}, frozenset(), frozenset({"bucket"}))
    code = CodeMap((layer("both"), open_one), (UnreadableCode("x.tf", "it is not HCL"),))
    told = [*reasons(step("lockfile", code=code), ())]
    assert [each.partition(":")[0] for each in told] == [
        "2 places in the code may be clients of this backend, and the code does not say for certain"
    ]
    assert "x.tf (it is not HCL)" in told[0] and "any/backend.tf (its bucket is no plain name" in told[0]
    assert "code_known" in told[0]


def test_code_that_nobody_saw_needs_a_word() -> None:
    for due in (Step(BACKEND, "lockfile", None, None, False), step("lockfile", layer("both", bucket="other"))):
        assert "allow: [unseen_code]" in " ".join(reasons(due, ()))
        assert [*reasons(due, ("unseen_code",))] == []


def test_many_alike_are_counted() -> None:
    many = [layer("dynamodb", f"app-{number}/backend.tf") for number in range(9)]
    told = [*reasons(step("lockfile", *many), ())]
    assert len(told) == 6 and told[-1] == "and 4 more like this"


VERSIONS = {
    '">= 1.10"': False,
    '">= 1.5, < 2.0"': True,
    '"~> 1.9.0"': True,
    '">= 1.5"\n  required_version = ">= 1.11"': False,
    '"what"': False,
}


@pytest.mark.parametrize(("says", "is_too_old"), VERSIONS.items())
def test_code_that_admits_clients_without_lock_files_is_not_ready_for_them(says: str, is_too_old: bool) -> None:
    backend = 'terraform {\n  backend "s3" {\n    bucket = "acme-state"\n    key = "k"\n    region = "eu-west-1"\n'
    backend += '    use_lockfile = true\n    dynamodb_table = "acme-locks"\n  }\n}\n'
    versions = f"terraform {{\n  required_version = {says}\n}}\n"
    code = code_map([("app/backend.tf", backend), ("app/versions.tf", versions), ("app/x/versions.tf", versions)])
    found = {target: [*reasons(step(target, code=code), ())] for target in MODES}
    assert {target: bool(told) for target, told in found.items()} == {
        "dynamodb": False,
        "both": is_too_old,
        "lockfile": is_too_old,
    }
    assert not is_too_old or "app admits clients older than 1.10" in found["both"][0]


def test_required_versions_are_read_from_json_too() -> None:
    text = '{"terraform": {"required_version": ">= 1.5", "backend": {"s3": {"bucket": "acme-state"}}}}'
    assert code_map([("main.tf.json", text)]).required == {"": (">= 1.5",)}


@pytest.mark.parametrize("target", MODES)
def test_what_comes_next_is_said(target: str) -> None:
    assert next_step(target).startswith("code may")


def test_who_may_name_the_table_is_told_with_who_does() -> None:
    open_one = Layer("other/backend.tf", "block", {"bucket": "other"}, frozenset(), frozenset({"dynamodb_table"}))
    far = Layer("far/backend.tf", "block", {"region": "us-east-1"}, frozenset(), frozenset({"dynamodb_table"}))
    due = step("lockfile", layer("lockfile"), layer("both", "named/backend.tf"), open_one, far)
    told = [*namings(replace(due, backend=replace(BACKEND, region="eu-west-1")))]
    assert [each.partition(" ")[0] for each in told] == ["named/backend.tf", "other/backend.tf"]


@pytest.mark.parametrize(
    ("current_lock_mode", "can"), {None: True, "lockfile": True, "both": False, "dynamodb": False}.items()
)
def test_a_table_can_be_missed_where_nothing_says_that_it_is_used(current_lock_mode: str | None, can: bool) -> None:
    assert can_miss_table(step("lockfile", layer("lockfile"), current_lock_mode=current_lock_mode)) is can
    assert not can_miss_table(step("lockfile", layer("both", region="elsewhere"), current_lock_mode=current_lock_mode))
    assert not can_miss_table(
        step("lockfile", layer("both", bucket="other", region=""), current_lock_mode=current_lock_mode)
    )


def test_a_table_that_buckets_share_goes_once_the_code_of_each_was_seen() -> None:
    shared = {"acme-state", "b-state", "c-state"}
    due = step("lockfile", layer("lockfile"), layer("lockfile", bucket="b-state"))
    (told,) = unseen_neighbours(due, shared, ())
    assert told.startswith("c-state shares the table acme-locks") and "allow: [unseen_code]" in told
    assert [*unseen_neighbours(due, shared, ("unseen_code",))] == []
    assert len([*unseen_neighbours(Step(BACKEND, "lockfile", None, None, True), shared, ())]) == 2
