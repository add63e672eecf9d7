# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The first plan after the import is empty, whatever the backend looks like, with the provider 5 and 6."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Answer, Call, Failure
from ansible_collections.cornerstone.tfstate.plugins.module_utils._handover.project import Project, configuration
from ansible_collections.cornerstone.tfstate.plugins.module_utils._handover.readme import project_files
from ansible_collections.cornerstone.tfstate.plugins.modules.tf_backend_handover import MODULE, project_of
from hypothesis import given
from hypothesis import strategies as st

from tests.support.aws_provider import LAST_OF_5, NEWEST, differences, equivalent, resources_in, same_policy
from tests.unit.plugins.module_utils.fake_aws import FakeAws

from .shapes import ARN, KEY, MANAGED_TABLE_KEY, NEW_BUCKET, REGION, SHAPES, STORES, Answers, rule, statement
from .test_handover import terraform, without_terraform

VERSIONS = {"5": (LAST_OF_5, "~> 5.100"), "6": (NEWEST, ">= 6.62, < 7.0")}
#: No setting of AWS: the import leaves it open. The README says so.
FORCE_DESTROY = "aws_s3_bucket.state.force_destroy: None -> False"
KEYS = {"alias/state": KEY, "alias/aws/dynamodb": MANAGED_TABLE_KEY, KEY.rpartition("/")[2]: KEY}


class Recorded(FakeAws):
    """An account that gives these answers, by operation."""

    def __init__(self, answers: Answers) -> None:
        super().__init__()
        self.answers = answers

    def _answer(self, call: Call, reading: bool) -> Answer:
        assert reading, f"a write: {call}"
        found = self.answers[call.operation]
        return Failure(call, found, "", "") if isinstance(found, str) else copy.deepcopy(found)

    def key_arn(self, name: str, must_exist: bool) -> str:
        return KEYS.get(name.removeprefix(f"arn:aws:kms:{REGION}:111122223333:"), name)


def written(answers: Answers, **asked: Any) -> Project:
    options = {name: option.get("default") for name, option in MODULE.spec.items()}
    named = {"name": "x", "directory": "x", "region": REGION, "bucket": "tf-state"}
    table = {"table": "tf-locks"} if "describe_table" in answers else {}
    return project_of(Recorded(answers), {**options, **named, **table, **asked})


def plan_of(shape: Answers, provider: str, **asked: Any) -> list[str]:
    answers = {**NEW_BUCKET, **shape}
    version, constraint = VERSIONS[provider]
    return differences(configuration(written(answers, provider_version=constraint, **asked)), answers, version)


@pytest.mark.parametrize("provider", VERSIONS)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_first_plan_changes_nothing(shape: Answers, provider: str) -> None:
    assert plan_of(shape, provider) == [FORCE_DESTROY]


def test_forty_shapes_and_more_are_tried() -> None:
    assert len(SHAPES) >= 40


@given(st.data())
def test_settings_do_not_disturb_each_other(data: st.DataObject) -> None:
    """Each answer from another backend, and settings that somebody else manages."""
    variants: dict[str, list[Any]] = {operation: [found] for operation, found in NEW_BUCKET.items()}
    for shape in SHAPES.values():
        for operation in shape.keys() & NEW_BUCKET.keys():
            variants[operation].append(shape[operation])
    shape = {operation: data.draw(st.sampled_from(found), operation) for operation, found in variants.items()}
    table = data.draw(st.sampled_from([each for each in SHAPES.values() if "describe_table" in each] + [{}]))
    shape |= {operation: found for operation, found in table.items() if operation not in NEW_BUCKET}
    unmanaged = data.draw(st.lists(st.sampled_from(MODULE.spec["bucket_unmanaged"]["choices"]), unique=True))
    left = [each for each in plan_of(shape, "6", bucket_unmanaged=unmanaged) if "is not described" not in each]
    assert left == [FORCE_DESTROY]


@pytest.mark.parametrize(("shape", "argument"), STORES.values(), ids=STORES)
def test_what_remains_of_another_store_has_its_branch_in_the_readme(shape: Answers, argument: str) -> None:
    (unset, remains) = plan_of(shape, "6")
    assert unset == FORCE_DESTROY and argument in remains
    text = project_files(written({**NEW_BUCKET, **shape}))["README.md"]
    (row,) = [line for line in text.splitlines() if line.startswith("|") and remains_in(line, remains)]
    assert "Go on: the rule gets that ID." in row or "On AWS, go on." in row


def remains_in(line: str, remains: str) -> bool:
    shown = "unnamed-" if "unnamed-" in remains else remains.partition(":")[0].rpartition(".")[2]
    return f"`{shown}" in line


def test_every_way_out_of_a_plan_makes_another_project() -> None:
    """To write it again as it is would give the same files."""
    answers = {**NEW_BUCKET, **SHAPES["logs"], **SHAPES["object lock"], **SHAPES["as the bootstrap makes it"]}
    files, text = configuration(written(answers)), project_files(written(answers))["README.md"]
    rows = re.findall(r"^\| `aws_.* \| `(\w+_unmanaged): \[(\w+)\]` \|$", text, re.MULTILINE)
    assert len(rows) == 15
    for option, facet in rows:
        assert configuration(written(answers, **{option: [facet]})) != files, (option, facet)
    assert "write the project anew" not in text


def test_clients_ask_for_a_key_by_its_arn_whatever_the_bucket_calls_it() -> None:
    for name in ("a key by its alias", "a key by its id", "a key by the ARN of its alias"):
        files = configuration(written({**NEW_BUCKET, **SHAPES[name]}))
        assert f'"{KEY}"' in files["terraform.tf"] and f'"{KEY}"' not in files["bucket.tf"]


@without_terraform
def test_terraform_reads_the_policies_that_aws_returned(tmp_path: Path) -> None:
    """Its own reading of the text, not that of this test's parser."""
    expected = {}
    for number, shape in enumerate(SHAPES.values()):
        if isinstance(shape.get("get_bucket_policy"), dict):
            text = configuration(written({**NEW_BUCKET, **shape}))["bucket.tf"]
            argument = (
                re.split(r"^  policy +=", text, flags=re.M)[1].partition("\n  depends_on")[0].partition("\n\n")[0]
            )
            (tmp_path / f"{number}.tf").write_text(f'output "p{number}" {{\n  value = {argument}\n}}\n')
            expected[f"p{number}"] = json.loads(shape["get_bucket_policy"]["Policy"])
    assert len(expected) >= 12
    done = terraform(tmp_path, "apply", "-auto-approve", "-no-color", "-input=false")
    assert done.returncode == 0, done.stderr
    outputs = json.loads((tmp_path / "terraform.tfstate").read_text())["outputs"]
    assert {name: json.loads(each["value"]) for name, each in outputs.items()} == expected


# That the evaluator finds what is wrong


def changed(shape: str, old: str, new: str, provider: str = "6") -> list[str]:
    answers = {**NEW_BUCKET, **SHAPES[shape]}
    files = configuration(written(answers, provider_version=VERSIONS[provider][1]))
    edited = {name: text.replace(old, new) for name, text in files.items()}
    assert edited != files
    return [each for each in differences(edited, answers, VERSIONS[provider][0]) if each != FORCE_DESTROY]


WRONG: dict[str, tuple[str, str, str, str]] = {
    "a principal": ("everybody", 'Principal = "*"', 'Principal = {\n AWS = ["*"]\n }', "policy"),
    "an order": ("rules in their own order", 'id     = "z"', 'id     = "b"', "rule[0].id"),
    "a bucket key": ("AES256 with a bucket key", "bucket_key_enabled = true", "bucket_key_enabled = false", "rule"),
    "an alias": ("a key by its alias", '"alias/state"\n    }', f'"{KEY}"\n    }}', "rule"),
    "an old prefix": ("a rule of old", 'prefix = "logs/"', "", "rule[0].prefix"),
    "a filter": ("an empty filter", 'id     = "all"', 'id     = "all"\n filter {\n }\n', "rule[0].filter"),
    "a tag": ("tags of a table", 'team = "ops"', 'team = "dev"', "tags"),
    "a class": ("infrequent access", '"STANDARD_INFREQUENT_ACCESS"', '"STANDARD"', "table_class"),
    "a stream": ("a stream", "stream_enabled, ", "", "stream_enabled"),
    "a replica": ("a global table", ", replica", "", "replica"),
    "a limit": ("a limit that was lifted", "ignore_changes", "count", "on_demand_throughput"),
    "a period": ("recovery of a week", "recovery_period_in_days = 7", "recovery_period_in_days = 8", "recovery"),
    "a word": ("as AWS creates it", "blocked_encryption_types", "blocked", "rule"),
}


@pytest.mark.parametrize(("shape", "old", "new", "argument"), WRONG.values(), ids=WRONG)
def test_the_comparison_finds_what_is_wrong(shape: str, old: str, new: str, argument: str) -> None:
    found = changed(shape, old, new)
    assert found and all(argument in each for each in found), found


def test_a_provider_that_does_not_know_an_argument_is_not_given_it() -> None:
    answers = {**NEW_BUCKET}
    files = configuration(written(answers))
    assert "blocked_encryption_types" in files["bucket.tf"]
    assert any("rule" in each for each in differences(files, answers, LAST_OF_5))
    for constraint in ("~> 5.100", ">= 6.0, < 6.22", "6.21.0"):
        assert "blocked" not in configuration(written(answers, provider_version=constraint))["bucket.tf"]
    for constraint in (">= 5.100", "~> 6.0", "6.22.0"):
        assert "blocked" in configuration(written(answers, provider_version=constraint))["bucket.tf"]


def document(**parts: Any) -> Mapping[str, Any]:
    return {"Version": "2012-10-17", "Statement": [statement(**parts)]}


POLICIES: dict[str, tuple[Mapping[str, Any], Mapping[str, Any], bool]] = {
    "a list of one": (document(Action="s3:*"), document(Action=["s3:*"]), True),
    "another order": (document(Action=["a", "b"]), document(Action=["b", "a"]), True),
    "twice": (document(Action=["a", "a"]), document(Action=["a"]), False),
    "everybody": (document(Principal="*"), document(Principal={"AWS": "*"}), False),
    "a list of everybody": (document(Principal={"AWS": "*"}), document(Principal={"AWS": ["*"]}), True),
    "an account": (
        document(Principal={"AWS": "111122223333"}),
        document(Principal={"AWS": ["arn:aws:iam::111122223333:root"]}),
        True,
    ),
    "another account": (document(Principal={"AWS": "1" * 12}), document(Principal={"AWS": "2" * 12}), False),
    "a word for a value": (
        document(Condition={"Bool": {"k": "false"}}),
        document(Condition={"Bool": {"k": False}}),
        False,
    ),
    "a case": (document(Effect="deny"), document(Effect="Deny"), True),
    "another version": (document(), {**document(), "Version": "2008-10-17"}, False),
    "no list of statements": (document(), {**document(), "Statement": statement()}, True),
    "one more": (document(), {**document(), "Statement": [statement(), statement(Sid="Two")]}, False),
}


@pytest.mark.parametrize(("one", "other", "is_equal"), POLICIES.values(), ids=POLICIES)
def test_policies_are_compared_as_the_provider_compares_them(
    one: Mapping[str, Any], other: Mapping[str, Any], is_equal: bool
) -> None:
    assert equivalent(one, other) is equivalent(other, one) is is_equal
    assert same_policy(json.dumps(one), json.dumps(other, indent=2)) is is_equal
    assert same_policy(json.dumps(one), json.dumps(one, indent=2))


def test_files_are_read_as_they_are() -> None:
    resources = resources_in(configuration(written({**NEW_BUCKET, **SHAPES["tags of AWS, and odd ones"]})))
    assert resources["aws_s3_bucket", "state"]["tags"] == {
        "cost centre": '${x} %{y} \\ "\u00e9\u4e2d\U0001f600',
        "empty": "",
    }
    assert rule("x")["ID"] == "x" and ARN
