# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Terraform code against the backends that there are."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.code import (
    BackendSummary,
    check_code,
    further_tables,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.lost import BY_HAND, DECIDE
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.code_map import UnreadableCode, code_map
from ansible_collections.cornerstone.tfstate.plugins.modules.tf_backend_audit import layers_of

KEY = "arn:aws:kms:us-east-1:111122223333:key/1234abcd"


def backend(name: str = "us-east-1", **more: Any) -> BackendSummary:
    return {
        "name": name,
        "region": name,
        "account_id": "111122223333",
        "bucket": {"name": f"state-{name}", "exists": True, "encryption": {"kms_key_id": None}},
        "table": {"name": "locks", "exists": True},
        "lock_mode": "lockfile",
        **more,
    }


US, EU = backend(), backend("eu-west-1")
WITH_KEY = backend(bucket={"name": "state-us-east-1", "exists": True, "encryption": {"kms_key_id": KEY}})
ENFORCED = backend(bucket={"name": "state-us-east-1", "exists": True, "owner_enforced": "now"})
BOTH = backend(lock_mode="both")
WITHOUT_TABLE = backend(lock_mode="both", table={"name": "locks", "exists": False})
GOOD = {"bucket": "state-us-east-1", "key": "k", "region": "us-east-1", "use_lockfile": True}


def layer(path: str = "a/main.tf.json", **arguments: Any) -> tuple[str, str]:
    given = {name: value for name, value in {**GOOD, **arguments}.items() if value is not None}
    return path, json.dumps({"terraform": {"backend": {"s3": given}}})


def checkout(path: str = "a", **arguments: Any) -> tuple[str, str]:
    config = {**GOOD, "encrypt": None, **arguments}
    return f"{path}/.terraform/terraform.tfstate", json.dumps({"backend": {"type": "s3", "config": config}})


CASES: dict[str, tuple[list[tuple[str, str]], list[BackendSummary], set[tuple[str, str]]]] = {
    "all is well": ([layer()], [US], set()),
    "a checkout that is as its code": ([layer(), checkout()], [US], set()),
    "no code for it": ([layer()], [US, EU], {("eu-west-1", "code.missing")}),
    "no bucket": (
        [layer()],
        [backend(bucket={"name": "state-us-east-1", "exists": False})],
        {("us-east-1", "code.bucket_missing")},
    ),
    "whether there is a bucket is unknown": (
        [layer()],
        [backend(bucket={"name": "state-us-east-1", "exists": None})],
        set(),
    ),
    "a table that is there": ([layer(dynamodb_table="locks")], [BOTH], set()),
    "no table": (
        [layer(dynamodb_table="locks")],
        [WITHOUT_TABLE],
        {
            ("us-east-1", "code.table_missing"),
        },
    ),
    "another table": (
        [layer(dynamodb_table="others")],
        [BOTH],
        {
            ("us-east-1", "code.table_differs"),
        },
    ),
    "a table where there is none": (
        [layer(dynamodb_table="locks")],
        [backend(table=None)],
        {("us-east-1", "code.lock_mode_differs"), ("us-east-1", "code.deprecated")},
    ),
    "a table that only runs tell": ([layer(dynamodb_table="${var.t}")], [US], {("us-east-1", "code.deprecated")}),
    "another region": ([layer(region="eu-west-1")], [US], {("us-east-1", "code.region")}),
    "a region that only runs tell": ([layer(region="${var.r}")], [US], set()),
    "no lock": ([layer(use_lockfile=None)], [US], {("us-east-1", "code.no_locking")}),
    "a bucket of nobody": ([layer(bucket="x")], [US], {("", "code.not_audited"), ("us-east-1", "code.missing")}),
    "a bucket that only runs tell": ([layer(bucket="${var.b}")], [], set()),
    "two on one key": ([layer(), layer("b/main.tf.json")], [US], {("us-east-1", "code.shared_key")}),
    "two on one key of nobody": (
        [layer(bucket="x"), layer("b/x.tf.json", bucket="x")],
        [],
        {("", "code.shared_key"), ("", "code.not_audited")},
    ),
    "two keys": ([layer(), layer("b/main.tf.json", key="l")], [US], set()),
    "two prefixes on one key, which the default workspaces share": (
        [
            layer(workspace_key_prefix="env:"),
            layer("b/main.tf.json", workspace_key_prefix="w"),
            layer("c/main.tf.json"),
        ],
        [US],
        {("us-east-1", "code.shared_key")},
    ),
    "a key among another's workspaces": (
        [layer(), layer("b/main.tf.json", key="env:/qa/k")],
        [US],
        {("us-east-1", "code.nested_key")},
    ),
    "a key among workspaces without prefix": (
        [layer(workspace_key_prefix=""), layer("b/main.tf.json", key="qa/k", workspace_key_prefix="w")],
        [US],
        {("us-east-1", "code.nested_key")},
    ),
    "a key of another prefix": (
        [layer(workspace_key_prefix="w"), layer("b/main.tf.json", key="env:/qa/k")],
        [US],
        set(),
    ),
    "a key beside workspaces": ([layer(), layer("b/main.tf.json", key="env:/qa/l")], [US], set()),
    "a prefix that only runs tell": (
        [layer(workspace_key_prefix="${var.w}"), layer("b/main.tf.json", key="env:/qa/k")],
        [US],
        set(),
    ),
    "two ways to lock": (
        [layer(), layer("b/main.tf.json", key="l", use_lockfile=None, dynamodb_table="locks")],
        [BOTH],
        {
            *(("us-east-1", "code.mixed_locking"), ("us-east-1", "code.lock_mode_differs")),
            ("us-east-1", "code.lock_mode_step"),
        },
    ),
    "the table alone where others lock in both": (
        [layer(use_lockfile=None, dynamodb_table="arn:aws:dynamodb:us-east-1:111122223333:table/locks")],
        [BOTH],
        {("us-east-1", "code.lock_mode_step")},
    ),
    "both ways where others lock in the table": (
        [layer(dynamodb_table="locks")],
        [backend(lock_mode="dynamodb")],
        {("us-east-1", "code.lock_mode_step")},
    ),
    "another table alone where others lock in both": (
        [layer(use_lockfile=None, dynamodb_table="others")],
        [BOTH],
        {("us-east-1", "code.lock_mode_differs"), ("us-east-1", "code.table_differs")},
    ),
    "a file where others lock in the table": (
        [layer()],
        [backend(lock_mode="dynamodb")],
        {("us-east-1", "code.lock_mode")},
    ),
    "the table where others lock by file": (
        [layer(use_lockfile=None, dynamodb_table="locks")],
        [US],
        {("us-east-1", "code.lock_mode"), ("us-east-1", "code.deprecated")},
    ),
    "a file where others lock in both": ([layer()], [BOTH], {("us-east-1", "code.lock_mode_differs")}),
    "a checkout that still locks as of old": (
        [layer(), checkout(use_lockfile=None, dynamodb_table="locks")],
        [US],
        {("us-east-1", "code.mixed_locking"), ("us-east-1", "code.lock_mode")},
    ),
    "both ways beside one": (
        [layer(), layer("b/main.tf.json", key="l", dynamodb_table="locks")],
        [US],
        {("us-east-1", "code.deprecated"), ("us-east-1", "code.lock_mode_differs")},
    ),
    "an ACL that S3 refuses": ([layer(acl="private")], [ENFORCED], {("us-east-1", "code.acl")}),
    "the ACL of the bucket's owner": ([layer(acl="bucket-owner-full-control")], [ENFORCED], set()),
    "a blank ACL": ([layer(acl="")], [ENFORCED], set()),
    "an ACL that only runs tell": ([layer(acl="${var.a}")], [ENFORCED], set()),
    "an ACL where ACLs are on": ([layer(acl="private")], [US], set()),
    "an ACL of a checkout": ([layer(), checkout(acl="private")], [ENFORCED], set()),
    "encrypt without the bucket's key": ([layer(encrypt=True)], [WITH_KEY], {("us-east-1", "code.encrypt")}),
    "encrypt with it": ([layer(encrypt=True, kms_key_id=KEY)], [WITH_KEY], set()),
    "encrypt where there is no key": ([layer(encrypt=True)], [US], set()),
    "a key without encrypt": ([layer(kms_key_id=KEY)], [WITH_KEY], {("us-east-1", "code.encrypt")}),
    "a key, and encrypt as runs tell": ([layer(kms_key_id=KEY, encrypt="${var.e}")], [WITH_KEY], set()),
    "a deprecated endpoint": (
        [layer(endpoints={"s3": "https://s3", "dynamodb": "https://dynamodb"})],
        [US],
        {("us-east-1", "code.deprecated")},
    ),
    "an endpoint": ([layer(endpoints={"s3": "https://s3", "dynamodb": None})], [US], set()),
    "deprecated": ([layer(force_path_style=True)], [US], {("us-east-1", "code.deprecated")}),
    "removed": ([layer(role_arn="arn:aws:iam::1:role/x")], [US], {("us-east-1", "code.removed")}),
}


@pytest.mark.parametrize("case", CASES)
def test_code_and_world_are_compared(case: str) -> None:
    files, backends, expected = CASES[case]
    about = check_code(code_map(files), backends)
    assert {(name, each.id) for name, each in about} == expected
    for _name, each in about:
        is_told = each.fix.startswith("# ")
        assert each.detail and (is_told or shlex.split(each.fix.replace("${EDITOR:-vi}", "vi"), comments=True))


TABLE_ONLY = {"use_lockfile": None, "dynamodb_table": "locks"}
#: By the lock mode of the backend: the note for code without locking, and the code that follows it.
FITTING = {
    "dynamodb": ('dynamodb_table = "locks" alone', TABLE_ONLY),
    "lockfile": ("use_lockfile = true alone", {}),
    "both": ('dynamodb_table = "locks", use_lockfile = true', {"dynamodb_table": "locks"}),
}


@pytest.mark.parametrize("mode", FITTING)
def test_what_is_printed_for_code_without_locking_fits_the_backend_and_is_quiet_afterwards(mode: str) -> None:
    note, mended = FITTING[mode]
    here = backend(lock_mode=mode)
    ((_name, found),) = check_code(code_map([layer(use_lockfile=None)]), [here])
    assert (found.id, found.fix) == ("code.no_locking", f"${{EDITOR:-vi}} a/main.tf.json  # {note}")
    assert check_code(code_map([layer(**mended)]), [here]) == []


def test_a_table_is_deprecated_only_where_the_backend_does_not_lock_in_it() -> None:
    code = code_map([layer(dynamodb_table="locks", force_path_style=True)])
    for here, detail in ((BOTH, "It uses force_path_style."), (US, "It uses dynamodb_table, force_path_style.")):
        (found,) = [each for _name, each in check_code(code, [here]) if each.id == "code.deprecated"]
        assert found.detail == detail


def test_a_checkout_is_initialised_again_and_never_edited() -> None:
    wrong = code_map([checkout("my code", **TABLE_ONLY), checkout("b", region="eu-west-1")])
    fixes = {each.id: each.fix for _name, each in check_code(wrong, [US])}
    begin = "with the backend configuration of its code, which needs: "
    assert fixes["code.lock_mode"].startswith("terraform '-chdir=my code' init -reconfigure  # " + begin)
    assert fixes["code.region"] == f'terraform -chdir=b init -reconfigure  # {begin}region = "us-east-1"'
    assert not [fix for fix in fixes.values() if "EDITOR" in fix]


def test_a_checkout_is_no_layer_beside_its_code() -> None:
    files = [layer(), layer("b/main.tf.json", key="b"), layer("c/main.tf.json", key="c"), checkout()]
    assert layers_of(code_map(files), "state-us-east-1") == 3
    assert layers_of(code_map([*files, checkout("d", key="d")]), "state-us-east-1") == 4
    assert layers_of(None, "state-us-east-1") is None


def test_a_bucket_that_code_expects_is_not_made_empty_but_restored() -> None:
    gone = {"bucket": {"name": "state-us-east-1", "exists": False}}
    for more, fix in (
        ({"had_states": False}, DECIDE),
        ({"had_states": True}, BY_HAND),
        ({"had_states": True, "backup": True, "inventory": ["x"]}, "cornerstone.tfstate.rebuild -i x -l us-east-1"),
    ):
        ((_name, found),) = check_code(code_map([layer()]), [backend(**gone, **more)])
        assert found.id == "code.bucket_missing" and fix in found.fix


def test_layers_on_one_key_are_all_named() -> None:
    files = [layer(f"{place}/main.tf.json") for place in "abc"]
    ((name, found),) = check_code(code_map(files), [US])
    assert (name, found.detail) == ("us-east-1", "state-us-east-1/k is the state of a, b, c.")


def prefixed(count: int, **more: Any) -> list[tuple[str, str]]:
    return [layer(f"{place:03}/main.tf.json", workspace_key_prefix=f"p{place}", **more) for place in range(count)]


@pytest.mark.parametrize(
    ("paths", "severity"),
    [(["k"], "critical"), (None, "critical"), ([], "low")],
    ids=["there", "not looked at", "none"],
)
def test_layers_of_other_prefixes_share_the_default_workspace_alone(paths: list[str] | None, severity: str) -> None:
    ((name, found),) = check_code(code_map(prefixed(299)), [backend(paths=paths)])
    assert (name, found.id, found.severity) == ("us-east-1", "code.shared_key", severity)
    assert "share state-us-east-1/k" in found.detail and "299 directories: 000, 001," in found.detail
    assert "009 and 289 more" in found.detail and len(found.detail) < 400


def test_an_object_that_is_not_a_state_and_that_code_names_is_found_once() -> None:
    code = code_map([layer(), checkout(), layer("b/main.tf.json", key="other")])
    about = check_code(code, [backend(others=["k", "z.zip"])])
    ((name, found),) = [each for each in about if each[1].id == "state.unreadable"]
    assert (name, found.resource, found.severity) == ("us-east-1", "k", "high")
    assert found.detail == "It is not a state, and a/main.tf.json names it."


def test_layers_of_one_prefix_are_told_apart_from_those_that_share_the_key() -> None:
    twice = [layer("x/main.tf.json", workspace_key_prefix="p1"), *prefixed(12)]
    about = check_code(code_map(twice), [backend(paths=[])])
    assert [(each.severity, each.resource) for _name, each in about] == [
        ("critical", "state-us-east-1/p1/*/k"),
        ("low", "state-us-east-1/k"),
    ]


def test_a_group_has_one_finding_and_names_ten() -> None:
    many = [layer(f"{place:03}/main.tf.json") for place in range(50)]
    ((_name, found),) = check_code(code_map(many), [US])
    assert found.detail.startswith("state-us-east-1/k is the state of 50 directories: 000, 001, ")
    assert found.detail.endswith("008, 009 and 40 more.")
    nested = [layer(), *(layer(f"{place}/x.tf.json", key=f"env:/w{place:02}/k") for place in range(40))]
    ((_name, found),) = check_code(code_map(nested), [US])
    assert found.detail.startswith("40 keys are those of workspaces of a/main.tf.json: ")
    assert found.detail.endswith("and 30 more.")


def test_a_backend_is_only_said_to_have_no_code_where_nothing_is_unknown() -> None:
    bare = [layer(f"{place:02}/main.tf.json", bucket=None, region=None) for place in range(12)]
    ((name, found),) = check_code(code_map(bare), [US])
    assert (name, found.id) == ("", "code.unknown")
    assert found.detail.startswith("12 layers whose backend only their command line knows: 00/main.tf.json, ")
    assert found.detail.endswith("09/main.tf.json and 2 more.")
    elsewhere = [layer(bucket="${x}", region="eu-west-1")]
    assert {each.id for _name, each in check_code(code_map(elsewhere), [US])} == {"code.missing"}
    (missing,) = [each for name, each in check_code(code_map(elsewhere), [US, EU]) if name == "us-east-1"]
    assert missing.id == "code.missing"


def test_generated_code_is_mended_in_its_source() -> None:
    text = '# Generated by Terragrunt. Sig: x\nterraform {\n  backend "s3" {\n    bucket = "state-us-east-1"\n'
    text += '    key = "k"\n    region = "us-east-1"\n  }\n}\n'
    ((_name, found),) = check_code(code_map([("a/backend.tf", text)]), [US])
    assert found.id == "code.no_locking" and "it is generated, so in its source: use_lockfile" in found.fix


def test_tables_of_other_regions_are_not_taken_for_ours() -> None:
    elsewhere = backend("eu-west-1", table={"name": "others", "exists": False})
    about = check_code(
        code_map([layer(dynamodb_table="others"), layer("e/x.tf.json", bucket="state-eu-west-1")]), [US, elsewhere]
    )
    assert "code.table_missing" not in {each.id for _name, each in about}


@pytest.mark.parametrize(("exists", "said"), [(False, "code.table_missing"), (True, "code.table_differs")])
def test_a_table_that_only_code_names_is_looked_up(exists: bool, said: str) -> None:
    code = code_map([layer(dynamodb_table="lokcs"), layer("b/x.tf.json", key="l", dynamodb_table="locks")])
    assert further_tables(code, [BOTH, EU]) == {"us-east-1": {"lokcs"}}
    about = check_code(code, [backend(lock_mode="both", tables={"lokcs": exists})])
    assert {each.id for _name, each in about} == {said}


def test_what_cannot_be_read_is_a_finding() -> None:
    about = check_code(code_map([], [UnreadableCode("a b/main.tf", "it is not HCL")]), [])
    assert [(each.id, each.resource, each.fix) for _name, each in about] == [
        ("code.unreadable", "a b/main.tf", "${EDITOR:-vi} 'a b/main.tf'  # or leave it out of code")
    ]


def test_a_table_that_no_inventory_names_is_not_made_by_a_bootstrap() -> None:
    """It makes the table of the inventory, which is another one."""
    code = code_map([layer(dynamodb_table="lokcs")])
    about = check_code(code, [backend(lock_mode="both", tables={"lokcs": False})])
    (found,) = [each for _name, each in about if each.id == "code.table_missing"]
    assert "bootstrap" not in found.fix
    assert 'dynamodb_table = "locks", as the backend has it' in found.fix


ACL_CODE = {
    "a.tf": """resource "aws_s3_bucket_acl" "x" {
  acl = "public-read"
}
terraform {
  backend "s3" {
    bucket = "state-us-east-1"
    key = "k"
    region = "us-east-1"
    use_lockfile = true
    acl = "private"
  }
}
""",
    "b/b.tf": 'terraform {\n  backend "s3" {\n    acl = "authenticated-read"\n  }\n}\n',
    "b/state.tfbackend": 'bucket = "state-us-east-1"\nkey = "b"\nregion = "us-east-1"\nuse_lockfile = true\n',
    "c/c.tf": 'terraform {\n  backend "s3" {\n    acl = "bucket-owner-full-control"\n  }\n}\n',
    "c/state.tfbackend": 'bucket = "state-us-east-1"\nkey = "c"\nregion = "us-east-1"\nuse_lockfile = true\n'
    'acl = "private"\n',
    "d/d.tf": 'terraform {\n  backend "s3" {\n    acl = "private"\n  }\n}\n',
    "d/state.tfbackend": 'bucket = "state-us-east-1"\nkey = "d"\nregion = "us-east-1"\nuse_lockfile = true\n'
    'acl = "bucket-owner-full-control"\n',
}


def test_an_acl_is_found_with_its_file_and_line_and_the_last_one_counts() -> None:
    found = check_code(code_map(ACL_CODE.items()), [ENFORCED])
    told = sorted(each.detail for _name, each in found if each.id == "code.acl")
    assert told == [
        'a.tf:10 has acl = "private": S3 refuses its uploads now.',
        'b/b.tf:3 has acl = "authenticated-read": S3 refuses its uploads now.',
        'c/state.tfbackend:5 has acl = "private": S3 refuses its uploads now.',
    ]


def test_the_table_alone_is_safe_where_others_lock_in_both_and_its_advice_ends_the_finding() -> None:
    """Its clients see the locks of all others, and keep the digests: docs/lock-modes.md."""
    ((_name, found),) = check_code(code_map([layer(use_lockfile=None, dynamodb_table="locks")]), [BOTH])
    assert (found.id, found.severity) == ("code.lock_mode_step", "info")
    assert "safe as it is" in found.detail and "step to lockfile (docs/lock-modes.md)" in found.detail
    assert found.fix.endswith('dynamodb_table = "locks", use_lockfile = true')
    assert check_code(code_map([layer(dynamodb_table="locks", use_lockfile=True)]), [BOTH]) == []
