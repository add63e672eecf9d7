# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Secrets, keys and addresses in backend blocks, environments on one key, and misspelt buckets."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.code import check_code, further_buckets
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.expectations import Expectations
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.findings import Finding
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.settings import audit, summary
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET
from ansible_collections.cornerstone.tfstate.plugins.module_utils._policy.baseline import KMS_KEY
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.code_map import code_map

from tests.unit.plugins.module_utils._audit.test_code import KEY, US, WITH_KEY, backend, checkout, layer
from tests.unit.plugins.module_utils.audited import facts, resource

ID, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
OTHER_KEY = KEY.replace("1234abcd", "5678efgh")
ALIAS = "alias/state"
NAMED_KEY = {**WITH_KEY, "bucket": {**WITH_KEY["bucket"], "keys": {ALIAS: KEY, "alias/other": OTHER_KEY}}}
NEEDED_KEY = {**WITH_KEY, "bucket": {**WITH_KEY["bucket"], "requires_key": True}}
PLAIN = "http://s3.example.com"

CASES: dict[str, tuple[Any, Any, list[str]]] = {
    "a key and its secret": (layer(access_key=ID, secret_key=SECRET), US, ["credentials critical"]),
    "a token": (layer(token=SECRET), US, ["credentials critical"]),
    "the id of a key": (layer(access_key=ID), US, ["credentials medium"]),
    "a secret that only a run knows": (layer(secret_key="${var.secret}"), US, []),
    "a secret that something fills in": (layer(secret_key="<SECRET>"), US, []),
    "a blank secret": (layer(secret_key="", access_key=""), US, []),
    "a profile": (layer(profile="prod"), US, []),
    "a checkout that remembers a secret": (checkout(secret_key=SECRET, access_key=ID), US, ["credentials medium"]),
    "the secret of an emulator": (
        layer(access_key="test", secret_key="test", endpoints={"s3": "http://localhost:4566"}),
        US,
        [],
    ),
    "a key of the client": (
        layer(sse_customer_key=SECRET, encrypt=True),
        US,
        ["credentials critical", "customer_key high"],
    ),
    "a key of the client from elsewhere": (layer(sse_customer_key="${var.k}"), US, ["customer_key high"]),
    "no certificates": (layer(insecure=True), US, ["insecure high"]),
    "certificates": (layer(insecure=False), US, []),
    "plain HTTP": (layer(endpoints={"s3": PLAIN}), US, ["insecure high"]),
    "plain HTTP to the table": (layer(endpoints={"dynamodb": PLAIN}), US, ["deprecated info", "insecure high"]),
    "plain HTTP as it was written before": (layer(endpoint=PLAIN), US, ["deprecated info", "insecure high"]),
    "an address with TLS": (layer(endpoints={"s3": "https://bucket.vpce-1.s3.us-east-1.vpce.amazonaws.com"}), US, []),
    "an address on this machine": (layer(endpoints={"s3": "http://127.0.0.1:4566"}, insecure=True), US, []),
    "the bucket's key": (layer(encrypt=True, kms_key_id=KEY), WITH_KEY, []),
    "the bucket's key by its id": (layer(encrypt=True, kms_key_id="1234abcd"), WITH_KEY, []),
    "the bucket's key by its alias": (layer(encrypt=True, kms_key_id=ALIAS), NAMED_KEY, []),
    "a key by an alias that nobody looked up": (layer(encrypt=True, kms_key_id=ALIAS), WITH_KEY, []),
    "another key by its alias": (layer(encrypt=True, kms_key_id="alias/other"), NAMED_KEY, ["kms_key_differs medium"]),
    "another key": (layer(encrypt=True, kms_key_id=OTHER_KEY), WITH_KEY, ["kms_key_differs medium"]),
    "another key, which the policy denies": (
        layer(encrypt=True, kms_key_id=OTHER_KEY),
        NEEDED_KEY,
        ["kms_key_differs high"],
    ),
    "a key, where the bucket has none": (layer(encrypt=True, kms_key_id=KEY), US, ["kms_key_differs low"]),
    "a key that is ignored": (layer(kms_key_id=OTHER_KEY), WITH_KEY, ["encrypt medium"]),
    "a key of a bucket that was not read": (
        layer(encrypt=True, kms_key_id=KEY),
        backend(bucket={"name": "state-us-east-1", "exists": None, "encryption": None}),
        [],
    ),
}


def found_in(files: list[tuple[str, str]], *backends: Any) -> list[tuple[str, Finding]]:
    return check_code(code_map(files), backends)


@pytest.mark.parametrize("case", CASES)
def test_this_is_found_and_no_secret_is_told(case: str) -> None:
    file, about, expected = CASES[case]
    found = [finding for _name, finding in found_in([file], about)]
    assert sorted(f"{each.id.removeprefix('code.')} {each.severity}" for each in found) == expected
    assert not [each for each in found if SECRET in str(each.to_result()) or ID in str(each.to_result())]


def test_a_secret_of_the_block_counts_unless_a_file_replaces_it() -> None:
    block = ("a/main.tf", f'terraform {{\n  backend "s3" {{\n    secret_key = "{SECRET}"\n  }}\n}}\n')
    more = 'bucket = "state-us-east-1"\nkey = "k"\nregion = "us-east-1"\nuse_lockfile = true\n'
    kept = [each.id for _name, each in found_in([block, ("a/dev.tfbackend", more)], US)]
    gone = [each.id for _name, each in found_in([block, ("a/dev.tfbackend", f'{more}secret_key = ""\n')], US)]
    assert (kept, gone) == (["code.credentials"], [])


def environments(*names: str, **more: str) -> list[tuple[str, str]]:
    text = 'bucket = "state-us-east-1"\nkey = "{key}"\nregion = "us-east-1"\nuse_lockfile = true\n'
    files = [(f"a/{name}", text.format(key=more.get("key", "k"))) for name in names]
    return [("a/main.tf", 'terraform {\n  backend "s3" {}\n}\n'), *files]


@pytest.mark.parametrize(
    ("names", "severity"),
    [
        (["dev.tfbackend", "prod.tfbackend"], "critical"),
        (["envs/dev/backend.tfbackend", "envs/prod/backend.tfbackend"], "critical"),
        (["ci.tfbackend", "laptop.tfbackend"], "info"),
        (["dev-ci.tfbackend", "dev-laptop.tfbackend"], "info"),
    ],
)
def test_backend_files_of_one_folder_on_one_key_are_found(names: list[str], severity: str) -> None:
    ((name, found),) = found_in(environments(*names), US)
    assert (name, found.id, found.severity) == ("us-east-1", "code.shared_key", severity)
    assert all(name in found.detail for name in names) and "-migrate-state" not in found.fix


def test_a_block_beside_a_file_that_says_the_same_is_fine() -> None:
    """As bootstrap writes them."""
    files = [layer("a/backend.tf.json"), environments("prod.tfbackend")[1]]
    assert found_in(files, US) == []


def test_backend_files_of_one_folder_with_keys_of_their_own_are_fine() -> None:
    files = [*environments("dev.tfbackend"), *environments("prod.tfbackend", key="l")[1:]]
    assert found_in(files, US) == []


MISSPELT = layer(bucket="state-us-eats-1")


def misspelt(exists: bool | None) -> tuple[str, Finding]:
    us = {**US, "buckets": {"state-us-eats-1": exists}}
    found = [(name, each) for name, each in found_in([MISSPELT], us) if each.id != "code.missing"]
    (one,) = found
    return one


def test_a_misspelt_bucket_is_told_with_the_one_that_is_meant() -> None:
    name, found = misspelt(False)
    assert (name, found.id, found.severity) == ("us-east-1", "code.bucket_missing", "critical")
    assert found.detail.endswith("which does not exist. Is state-us-east-1 meant?")
    assert found.fix == '${EDITOR:-vi} a/main.tf.json  # bucket = "state-us-east-1"'
    for exists, hidden in ((None, True), (True, False)):
        name, found = misspelt(exists)
        assert (name, found.id, "another account" in found.detail) == ("", "code.not_audited", hidden)


def test_a_bucket_of_no_backend_that_does_not_exist_is_told() -> None:
    us = {**US, "buckets": {"x": False}}
    found = [each for _name, each in found_in([layer(bucket="x")], us) if each.id != "code.missing"]
    assert [(each.id, each.fix[:28]) for each in found] == [("code.bucket_missing", "# Correct its name there, or")]


def test_a_bucket_is_looked_up_where_the_code_says_it_is() -> None:
    eu = backend("eu-west-1")
    files = [
        layer(bucket="x", region="eu-west-1"),
        layer("b/main.tf.json", bucket="y", region="ap-south-1"),
        layer("c/main.tf.json"),
    ]
    assert further_buckets(code_map(files), [US, eu]) == {"eu-west-1": {"x"}, "us-east-1": {"y"}}
    own = layer(bucket="x", endpoints={"s3": "https://minio.example.com"})
    assert further_buckets(code_map([own, checkout(bucket="z")]), [US]) == {}
    assert further_buckets(code_map(files), []) == {}


def test_code_is_held_against_the_region_of_the_bucket_and_not_of_the_inventory() -> None:
    wrong = backend("eu-west-1", bucket={**US["bucket"], "region": "us-east-1"}, lock_mode="both")
    both = layer(dynamodb_table="locks")
    assert [each.id for _name, each in found_in([both], {**wrong, "table": {"name": "locks", "exists": False}})] == []
    ((_name, found),) = found_in([layer(dynamodb_table="locks", region="eu-west-1")], wrong)
    assert found.id == "code.region" and found.fix.endswith('region = "us-east-1"')


def test_a_table_is_not_made_in_a_region_that_is_wrong() -> None:
    elsewhere = resource(BUCKET, "state-us", "eu-west-1")
    gone = {"name": "locks-us", "exists": False}
    about = facts(bucket=elsewhere, table=gone)
    table, bucket = sorted(audit(about, Expectations("us")), key=lambda each: each.id, reverse=True)
    assert (table.id, bucket.id) == ("table.missing", "bucket.region")
    assert table.fix == bucket.fix and "bootstrap" not in table.fix
    assert summary(about, Expectations("us"))["bucket"]["region"] == "eu-west-1"


def test_a_summary_says_whether_the_policy_needs_the_key() -> None:
    own = resource(BUCKET, "state-us", "us-east-1")["policy"]
    needed = {**own, "statements": [*own["statements"], {"Sid": KMS_KEY}]}
    for policy, expected in ((own, False), (needed, True), (None, False)):
        about = facts(bucket=resource(BUCKET, "state-us", "us-east-1", policy=policy))
        assert summary(about, Expectations("us"))["bucket"]["requires_key"] is expected
