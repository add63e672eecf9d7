# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every facet promises, whatever it is about."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
import yaml
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.findings import SEVERITIES
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core import tags
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import (
    EXISTENCE,
    Change,
    Facet,
    Resource,
    Target,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.guard import ALLOW
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules import entry as _module
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import TABLE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.plugins.module_utils.facets import test_tables
from tests.unit.plugins.module_utils.fake_aws import READ_VERBS, FakeAws
from tests.unit.plugins.module_utils.starting_points import KINDS, NAME

MODULES = {"bucket": "tf_state_bucket", "table": "tf_lock_table"}
RESOURCES = (BUCKET, TABLE)

every_resource = pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.kind)
every_facet = pytest.mark.parametrize(
    ("resource", "facet"), [pytest.param(*pair, id=f"{pair[0].kind} {pair[1].name}") for pair in test_tables.FACETS]
)
every_setting = pytest.mark.parametrize(
    ("resource", "facet"),
    [pytest.param(each, facet, id=f"{each.kind} {facet.name}") for each in RESOURCES for facet in each.facets[1:]],
)


def target_of(resource: Resource) -> Target:
    return test_tables.TARGETS[resource.kind]


@every_resource
def test_existence_comes_first_and_names_are_unique(resource: Resource) -> None:
    names = [facet.name for facet in resource.facets]
    assert names[0] == EXISTENCE
    assert len(names) == len({*names})


@pytest.mark.aws("2.14")
def test_the_policy_comes_last_and_versioning_after_lifecycle() -> None:
    """A policy can shut us out; and whether versioning was ever on tells a creation that was cut short."""
    names = [facet.name for facet in BUCKET.facets]
    assert names[-1] == "policy"
    assert names.index("lifecycle") < names.index("versioning") < names.index("object_lock")


@every_resource
def test_teardown_ends_with_existence(resource: Resource) -> None:
    assert resource.teardown[-1] is resource.existence


@every_facet
def test_a_facet_is_named_as_its_file(resource: Resource, facet: Facet) -> None:
    assert facet.read.__module__.rpartition(".")[2] == facet.name


@every_facet
def test_a_facet_has_a_table_of_cases(resource: Resource, facet: Facet) -> None:
    table = import_module(f"tests.unit.plugins.module_utils.facets.{resource.kind}.{facet.name}")
    assert table.READS
    assert table.DESIRES
    assert table.CALLS


@every_facet
def test_whoever_checks_options_shows_what_it_says(resource: Resource, facet: Facet) -> None:
    table = import_module(f"tests.unit.plugins.module_utils.facets.{resource.kind}.{facet.name}")
    checks = facet.problems.__module__ == facet.read.__module__ and facet.name != EXISTENCE
    assert not checks or table.PROBLEMS


@every_facet
def test_no_option_has_a_default_but_state(resource: Resource, facet: Facet) -> None:
    assert [name for name, spec in facet.options.items() if "default" in spec] == (
        ["state"] if facet.name == EXISTENCE else []
    )


@every_facet
def test_a_facet_that_is_only_read_when_asked_has_no_baseline(resource: Resource, facet: Facet) -> None:
    if facet.opt_in:
        assert facet.desired({}, facet.absent, target_of(resource)) == facet.absent == facet.new


@every_facet
def test_reading_is_a_read_of_this_resource(resource: Resource, facet: Facet) -> None:
    call = facet.read(target_of(resource))
    assert call.operation.startswith(READ_VERBS)
    assert str(call).endswith((f" {NAME}", f"/{NAME}"))


@pytest.mark.aws("1.7")
@every_facet
def test_s3_is_told_whose_the_bucket_has_to_be(resource: Resource, facet: Facet) -> None:
    target = target_of(resource)
    reads = [facet.read(target), *(probe.call for probe in facet.probes(target, facet.absent, _other(resource, facet)))]
    for call in reads:
        assert call.service != "s3" or call.params["ExpectedBucketOwner"] == target.owner


def _other(resource: Resource, facet: Facet) -> Any:
    """A value that the facet goes to in its table of cases."""
    table = import_module(f"tests.unit.plugins.module_utils.facets.{resource.kind}.{facet.name}")
    return next(after for _before, after, _calls in table.CALLS.values())


@pytest.mark.aws("1.7")
@every_facet
def test_no_other_call_forgets_it(resource: Resource, facet: Facet) -> None:
    table = import_module(f"tests.unit.plugins.module_utils.facets.{resource.kind}.{facet.name}")
    for before, after, _calls in table.CALLS.values():
        for call in facet.calls(target_of(resource), before, after):
            owned = call.service != "s3" or call.operation == "create_bucket"
            assert owned or call.params["ExpectedBucketOwner"] == target_of(resource).owner


@every_setting
def test_absent_and_new_are_normal_forms(resource: Resource, facet: Facet) -> None:
    """What stands for a missing setting goes through desire as what was read would, and nothing is lost on the way."""
    target = target_of(resource)
    for value in (facet.absent, facet.new):
        once = facet.desired({}, value, target)
        assert facet.desired({}, once, target) == once
        assert type(once) is type(value)


@pytest.mark.aws("2.0")
@every_setting
def test_new_is_what_aws_gives_today(resource: Resource, facet: Facet) -> None:
    aws = KINDS[resource.kind].world(None)
    for call in resource.existence.calls(
        target_of(resource), None, resource.existence.desired({}, None, target_of(resource))
    ):
        aws.write(call)
    aws.pause(0)
    seen = facet.value(aws.read([facet.read(target_of(resource))])[0], target_of(resource))
    if facet.name == "encryption" and resource is BUCKET:  # what else AWS blocks differs from region to region
        seen = {**seen, "blocked_encryption_types": None}
    assert seen == facet.new


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(RESOURCES), st.data())
def test_what_the_calls_wrote_reads_back_as_what_was_desired(resource: Resource, data: st.DataObject) -> None:
    kind = KINDS[resource.kind]
    found = data.draw(kind.found.filter(bool))
    params = data.draw(kind.params)
    if getattr(found, "object_lock", None):
        params.pop("versioning", None)
    aws = kind.world(found)
    target = target_of(resource)
    for facet in resource.facets[1:]:
        before = _read(aws, facet, target)
        after = facet.desired(params, before, target)
        for call in facet.calls(target, before, after) if before != after else ():
            aws.write(call)
        assert _read(aws, facet, target) == after, facet.name


def _read(aws: FakeAws, facet: Facet, target: Target) -> Any:
    return facet.value(aws.read([facet.read(target)])[0], target)


@every_setting
def test_a_setting_has_a_finding_and_a_place_in_a_terraform_project(resource: Resource, facet: Facet) -> None:
    assert facet.finding is not None
    assert facet.finding.severity in SEVERITIES
    assert facet.provider_arguments.__module__ in (facet.read.__module__, tags.__name__)


@every_facet
def test_a_facet_declares_the_permissions_that_it_needs(resource: Resource, facet: Facet) -> None:
    """That they are those of its calls, and of the documentation: tests/docs/test_permissions.py."""
    assert facet.iam_actions.read
    assert bool(facet.iam_actions.write or facet.iam_actions.delete) == any(_calls_of(resource, facet))


def _calls_of(resource: Resource, facet: Facet) -> Iterator[Any]:
    table = import_module(f"tests.unit.plugins.module_utils.facets.{resource.kind}.{facet.name}")
    for before, after, _calls in table.CALLS.values():
        yield from facet.calls(target_of(resource), before, after)


@every_setting
def test_every_word_of_its_refusals_is_one_that_allow_takes(resource: Resource, facet: Facet) -> None:
    table = import_module(f"tests.unit.plugins.module_utils.facets.{resource.kind}.{facet.name}")
    values = [value for before, after, _calls in table.CALLS.values() for value in (before, after)]
    changes = [Change(facet.name, before, after) for before in values for after in values if before != after]
    words = {refusal.word for change in changes for refusal in facet.refusals(change, target_of(resource))}
    protection = facet.creation_protection
    assert words | ({protection.word} if protection else set()) <= {None, *ALLOW[resource.kind]}


@every_resource
def test_options_of_one_name_agree(resource: Resource) -> None:
    """Two facets may share an option only if they mean the same by it."""
    seen: dict[str, Any] = {}
    for facet in resource.facets:
        for name, spec in facet.options.items():
            assert seen.setdefault(name, spec) == spec


@every_resource
def test_facets_take_no_option_of_the_connection(resource: Resource) -> None:
    common = {*_module.CONNECTION_SPEC, "name", "account_id", "unmanaged", "allow", "confirm_name", "wait_timeout"}
    assert not common & {name for facet in resource.facets for name in facet.options}


@every_facet
def test_every_option_is_documented_as_it_is(resource: Resource, facet: Facet) -> None:
    module = import_module(f"ansible_collections.cornerstone.tfstate.plugins.modules.{MODULES[resource.kind]}")
    if not hasattr(module, "DOCUMENTATION"):
        pytest.skip("NOT PROVEN: the module has no documentation yet")
    documented = yaml.safe_load(module.DOCUMENTATION)["options"]
    for name, spec in facet.options.items():
        assert documented[name]["description"], name
        assert documented[name].get("type", "str") == spec.get("type", "str")
        assert documented[name].get("elements") == spec.get("elements")
        assert documented[name].get("choices") == spec.get("choices")
        assert documented[name].get("default") == spec.get("default")
