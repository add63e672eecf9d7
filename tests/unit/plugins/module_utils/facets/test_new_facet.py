# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A facet is declared in one file: with its line in the registry, all packages know it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.plugins.module_utils.test_architecture import MODULE_UTILS

COPY = "module_utils_with_a_new_facet"
FACET = """
from .._core.model import Call, CreationProtection, FindingKind, IamActions, Refusal
from .._core.provider import ProviderArguments

NAME = "example"
OPTIONS = {"example": {"type": "bool"}}
ABSENT = False
NOT_FOUND = {"NoSuchExample"}
FINDING = FindingKind("high", "The example is off", "Nobody learns from it.", ("S3.99",))
IAM_ACTIONS = IamActions(read=("s3:GetExample",), write=("s3:PutExample",))
CREATION_PROTECTION = CreationProtection("an example", "weaken_policy", lambda value, _target: value)


def read(target):
    return Call("s3", "get_example", target.bucket)


def normalise(response, target):
    return response["Example"]


def desired(params, observed, target):
    return params.get("example") is not False


def calls(target, before, after):
    return (Call("s3", "put_example", {**target.bucket, "Example": after}),)


def refusals(change, target):
    if not change.after:
        yield Refusal("the example would go", "weaken_policy")


def difference(before, after):
    return "It has no example."


def provider_arguments(value):
    yield ProviderArguments("aws_s3_bucket_example", {"enabled": value}, after=("versioning",))


def cost(value):
    return {"asks_kms": None}
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The packages with a new facet of the bucket, imported under another name."""
    folder = tmp_path_factory.mktemp("packages")
    shutil.copytree(MODULE_UTILS, folder / COPY, ignore=shutil.ignore_patterns("__pycache__"))
    registry: Path = folder / COPY / "_bucket" / "__init__.py"
    (registry.parent / "example.py").write_text(FACET)
    text = registry.read_text()
    assert text.count("facet_of(logging),") == 1
    text = text.replace("facet_of(logging),", "facet_of(logging),\n        facet_of(example),")
    registry.write_text(text.replace("    encryption,\n", "    encryption,\n    example,\n", 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield lambda name: import_module(f"{COPY}.{name}")


@pytest.fixture(scope="module")
def bucket(package: Any) -> Any:
    model, resource = package("_core.model"), package("_bucket").BUCKET
    target = model.Target("tf-state", "eu-west-1", owner="111122223333", arn="arn:aws:s3:::tf-state", fresh=True)
    absent = {facet.name: facet.new for facet in resource.facets}
    settled = {**model.desire(resource.facets, target, {}, absent)}
    return SimpleNamespace(model=model, resource=resource, target=target, absent=absent, settled=settled)


def test_the_module_takes_its_options_and_can_leave_it_alone(package: Any, bucket: Any) -> None:
    spec = package("_modules.entry").argument_spec(bucket.resource)
    assert spec["example"] == {"type": "bool"}
    assert "example" in spec["unmanaged"]["choices"]


def test_the_guard_refuses_what_it_says(package: Any, bucket: Any) -> None:
    refusals = package("_engine.guard").refusals
    lowered = [bucket.model.Change("example", True, False)]
    assert [*map(str, refusals(bucket.resource, bucket.target, lowered, bucket.settled, {}))] == [
        "the example would go; if that is what you want: allow: [weaken_policy]"
    ]
    assert not refusals(bucket.resource, bucket.target, lowered, bucket.settled, {"allow": ["weaken_policy"]})
    others = [name for name in bucket.settled if name != "example" and bucket.absent[name] != bucket.settled[name]]
    without = [bucket.model.Change(name, bucket.absent[name], bucket.settled[name]) for name in others]
    (refusal,) = refusals(bucket.resource, bucket.target, without, {"existence": None}, {}, is_creation=True)
    assert refusal.reason.startswith("the new bucket would be made without an example (example is unmanaged")


def test_an_audit_finds_what_it_says(package: Any, bucket: Any) -> None:
    expectations, settings = package("_audit.expectations"), package("_audit.settings")
    there = {"name": "tf-state", "exists": True, "region": "eu-west-1", **bucket.settled, "example": False}
    (finding,) = settings.audit({"region": "eu-west-1", "bucket": there}, expectations.Expectations("prod"))
    assert (finding.id, finding.severity, finding.title) == ("bucket.example", "high", "The example is off")
    assert (finding.detail, finding.controls) == ("It has no example.", ("S3.99",))
    tuning = package("_audit.findings").Tuning(day=None, disabled=["bucket.example"])
    assert not [*tuning.problems()]


def test_a_hand_over_describes_it_as_it_says(package: Any, bucket: Any) -> None:
    backend = package("_terraform.backend_config").BackendConfig(
        name="prod", bucket="tf-state", bucket_arn="arn:aws:s3:::tf-state", region="eu-west-1", key="k"
    )
    settings = {"versioning": bucket.settled["versioning"], "example": True}
    project = package("_handover.project").Project(backend, settings)
    text = package("_handover.project").configuration(project)["bucket.tf"]
    _before, part = text.split('resource "aws_s3_bucket_example" "state" {')
    assert "enabled    = true" in part
    assert "depends_on = [aws_s3_bucket_versioning.state]" in part


def test_an_estimate_of_costs_asks_it(package: Any, bucket: Any) -> None:
    facts = package("_cost.usage").facts_at_rest({"region": "eu-west-1", **bucket.settled}, None, "lockfile")
    assert facts.asks_kms is None
