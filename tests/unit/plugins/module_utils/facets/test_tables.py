# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Each facet against its table of cases: what AWS answers, what is asked, what is sent, what cannot be right.

A table is a module beside this one, named as the facet: READS (response, normal form), DESIRES (params, observed,
desired; DESIRES_WHEN_FRESH for a new resource), CALLS (before, after, calls), PROBLEMS (params, a part of what is said
or nothing). Those of buckets also have LATER_READ, a response of a later AWS.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Facet, Resource, Target
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import TABLE

from tests.unit.plugins.module_utils.facets import given

TARGETS = {"bucket": given.BUCKET, "table": given.TABLE}
FACETS = [
    (resource, facet)
    for resource in (BUCKET, TABLE)
    for facet in {
        facet.name: facet for facet in (*resource.facets, *resource.teardown, *resource.refusal_inputs)
    }.values()
]


def cases(table: str) -> Any:
    return [
        pytest.param(facet, TARGETS[resource.kind], *case, id=f"{resource.kind} {facet.name}: {sentence}")
        for resource, facet in FACETS
        for sentence, case in getattr(_module(resource, facet), table, {}).items()
    ]


def _module(resource: Resource, facet: Facet) -> Any:
    return import_module(f"tests.unit.plugins.module_utils.facets.{resource.kind}.{facet.name}")


@pytest.mark.aws("2.4", "2.5", "2.6", "2.11", "4.2", "4.7", "4.8", "4.9")
@pytest.mark.parametrize(("facet", "target", "response", "normal"), cases("READS"))
def test_a_response_has_this_normal_form(facet: Facet, target: Target, response: Any, normal: Any) -> None:
    assert facet.normalise(response, target) == normal


@pytest.mark.aws("4.11")
@pytest.mark.parametrize(("facet", "target", "params", "observed", "desired"), cases("DESIRES"))
def test_this_is_desired(facet: Facet, target: Target, params: Any, observed: Any, desired: Any) -> None:
    seen = copy.deepcopy(observed)
    assert facet.desired(params, observed, target) == desired
    assert observed == seen


@pytest.mark.parametrize(("facet", "target", "params", "observed", "desired"), cases("DESIRES_WHEN_FRESH"))
def test_this_is_desired_when_new(facet: Facet, target: Target, params: Any, observed: Any, desired: Any) -> None:
    assert facet.desired(params, observed, replace(target, fresh=True)) == desired


@pytest.mark.aws("4.2", "4.9", "4.14")
@pytest.mark.parametrize(("facet", "target", "before", "after", "calls"), cases("CALLS"))
def test_these_calls_make_the_change(facet: Facet, target: Target, before: Any, after: Any, calls: Any) -> None:
    assert [*facet.calls(target, before, after)] == calls


@pytest.mark.parametrize(("facet", "target", "params", "said"), cases("PROBLEMS"))
def test_what_cannot_be_right_is_said(facet: Facet, target: Target, params: Any, said: str | None) -> None:
    problems = "; ".join(facet.problems(params, target))
    assert said in problems if said else not problems
