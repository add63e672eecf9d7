# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Accounts x regions: which hosts come out, and what is refused."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Invalid
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.regions import REGIONS as REGIONS_OF_AWS
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._fleet.hosts import (
    Host,
    accounts_of,
    enabled,
    hosts_of,
)
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._fleet.inventory_file import Fleet
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._fleet.places import MAX_PROBLEMS
from hypothesis import given
from hypothesis import strategies as st

PROD, TEST = {"name": "prod", "id": "111122223333"}, {"name": "test", "id": "444455556666"}
FLEET = Fleet(
    accounts=[PROD, TEST],
    regions=["af-south-1", "us-east-1"],
    bucket_name="tf-{account_id}-{region}",
    table_name="locks-{account}",
    assume_role="admin",
)
NEW_IDS = st.integers(0, 10**12 - 1).map("{:012}".format)
REGIONS = ["af-south-1", "eu-central-1", "eu-west-1", "us-east-1", "us-west-2"]


def hosts(fleet: Fleet) -> list[Host]:
    return list(hosts_of(fleet, accounts_of(fleet)))


def variables(fleet: Fleet) -> dict[str, Any]:
    """Of the first host, without the prefix."""
    return {name.removeprefix("terraform_backend_"): value for name, value in hosts(fleet)[0].variables.items()}


def of_one(account: dict[str, Any], **more: Any) -> Fleet:
    return replace(FLEET, accounts=[{**PROD, **account}], **more)


def test_every_account_has_a_host_in_every_region():
    assert [host.name for host in hosts(FLEET)] == [
        "prod.af-south-1",
        "prod.us-east-1",
        "test.af-south-1",
        "test.us-east-1",
    ]


def test_a_host_is_in_the_groups_of_its_region_and_its_account():
    assert hosts(of_one({"name": "my-app"}))[0].groups == ("af_south_1", "account_my_app")


def test_a_host_knows_what_the_role_needs():
    assert variables(FLEET) == {
        "ansible_connection": "local",
        "region": "af-south-1",
        "account_id": "111122223333",
        "bucket_name": "tf-111122223333-af-south-1",
        "table_name": "locks-prod",
        "assume_role_arn": "arn:aws:iam::111122223333:role/admin",
    }


def test_what_nobody_asks_for_is_no_variable():
    plain = replace(FLEET, table_name=None, assume_role=None)
    assert {"table_name", "assume_role_arn", "assume_role_external_id", "profile"}.isdisjoint(variables(plain))


def test_an_account_can_be_entered_in_its_own_way():
    own = of_one({"role": "ops/{account}-admin", "external_id": "42", "profile": "sso"})
    wanted = {
        "assume_role_arn": "arn:aws:iam::111122223333:role/ops/prod-admin",
        "assume_role_external_id": "42",
        "profile": "sso",
    }
    assert wanted.items() <= variables(own).items()


def test_an_empty_role_means_none():
    assert "assume_role_arn" not in variables(of_one({"role": ""}))


@pytest.mark.aws("6.3")
@pytest.mark.parametrize(
    ("region", "partition"),
    [("eu-west-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"), ("us-isob-east-1", "aws-iso-b")],
)
def test_a_role_lies_in_the_partition_of_the_regions(region, partition):
    (host,) = hosts(of_one({"regions": [region]}))
    assert host.account.role_arn == f"arn:{partition}:iam::111122223333:role/admin"


def test_own_regions_replace_those_of_the_fleet():
    assert [host.region for host in hosts(of_one({"regions": ["eu-west-1"]}))] == ["eu-west-1"]


def test_both_exclusions_count():
    fleet = of_one({"exclude_regions": ["us-east-1"]}, regions=REGIONS, exclude_regions=["eu-west-1"])
    assert [host.region for host in hosts(fleet)] == ["af-south-1", "eu-central-1", "us-west-2"]


def test_an_id_that_yaml_made_a_number_is_the_same_account():
    assert variables(of_one({"id": 111122223333}))["account_id"] == "111122223333"


REFUSED = {
    "no accounts": (replace(FLEET, accounts=[]), "accounts is empty"),
    "no dictionary": (replace(FLEET, accounts=["prod"]), "entry 1 of accounts is str: write a dictionary"),
    "no name": (of_one({"name": None}), "entry 1 of accounts: name is None"),
    "a name with a dot": (of_one({"name": "a.b"}), "name is 'a.b'; use letters, digits, '_' and '-'"),
    "a name that is a number": (of_one({"name": 42}), "name is 42"),
    "a short id": (of_one({"id": "123"}), "prod: id is '123'; an AWS account has 12 digits (quote it in YAML)"),
    "no id": (of_one({"id": None}), "prod: id is None"),
    "an unknown key": (of_one({"rôle": "x"}), "prod: rôle not known (did you mean role?); known are name, id, role"),
    "a role that is not a string": (of_one({"role": ["x"]}), "prod: role is not a string but list; write a string"),
    "regions that are no list": (of_one({"regions": "us-east-1"}), "prod: regions is 'us-east-1'; write a list"),
    "one name twice": (replace(FLEET, accounts=[PROD, {**TEST, "name": "prod"}]), "prod, prod share the group"),
    "one id twice": (replace(FLEET, accounts=[PROD, {**PROD, "name": "b"}]), "prod, b share the id 111122223333"),
    "one group twice": (
        replace(FLEET, accounts=[{**PROD, "name": "a-b"}, {**TEST, "name": "a_b"}]),
        "a-b, a_b share the group account_a_b",
    ),
    "a region that is none": (replace(FLEET, regions=["us_east_1"]), "regions: 'us_east_1' is no AWS region"),
    "a region twice": (replace(FLEET, regions=["us-east-1", "us-east-1"]), "regions: us-east-1 is there 2 times"),
    "an own region twice": (of_one({"regions": ["us-east-1"] * 2}), "prod: regions: us-east-1 is there 2 times"),
    "no region": (replace(FLEET, regions=[]), "account prod (111122223333): no region is left"),
    "all excluded": (of_one({"exclude_regions": FLEET.regions}), "account prod (111122223333): no region is left"),
    "a needless exclusion": (replace(FLEET, exclude_regions=["eu-west-3"]), "eu-west-3, which no account has"),
    "a needless own exclusion": (of_one({"exclude_regions": ["eu-west-3"]}), "eu-west-3, which is not among its"),
    "two partitions": (of_one({"regions": ["cn-north-1", "us-east-1"]}), "its regions lie in aws and aws-cn"),
    "an unknown placeholder": (
        replace(FLEET, bucket_name="tf-{acount_id}"),
        "'tf-{acount_id}' has {acount_id} (did you mean account_id?); known are {account}, {account_id}, {part",
    ),
    "an attribute": (replace(FLEET, bucket_name="tf-{region.upper}"), "has {region.upper}; known are"),
    "a position": (replace(FLEET, table_name="tf-{}"), "table_name: 'tf-{}' has {}; known are"),
    "two braces": (replace(FLEET, bucket_name="tf-{{region}}"), "bucket_name: 'tf-{{region}}' has a brace too many"),
    "an unknown placeholder of a role": (of_one({"role": "r-{x}"}), "prod: role: 'r-{x}' has {x}; known are"),
    "a role by region": (replace(FLEET, assume_role="r-{region}"), "known are {account}, {account_id}, {partition}"),
    "half a placeholder": (replace(FLEET, bucket_name="tf-{region"), "'tf-{region' has a brace too many"),
    "a role of another account": (
        of_one({"role": "arn:aws:iam::444455556666:role/x"}),
        "the role arn:aws:iam::444455556666:role/x lies in another account",
    ),
    "no role": (of_one({"role": "arn:aws:iam::111122223333:user/x"}), "is no ARN of a role"),
    "no name of a role": (of_one({"role": "an admin"}), "is no ARN of a role"),
    "a variable that is none": (replace(FLEET, variables={"a-b": 1}), "variables: 'a-b' is not a valid variable name"),
    "a variable of ours": (replace(FLEET, variables={"ansible_connection": "ssh"}), "is set for each host already"),
    "an upper-case bucket": (replace(FLEET, bucket_name="TF-{region}"), "prod.af-south-1: 'TF-af-south-1' is no"),
    "a long bucket": (replace(FLEET, bucket_name=f"{'x' * 60}-{{region}}"), "3 to 63 lower-case letters"),
    "a short table": (replace(FLEET, table_name="x"), "prod.af-south-1: 'x' is no table name"),
    "one bucket for two accounts": (
        replace(FLEET, bucket_name="tf-{region}"),
        "test.af-south-1: the bucket tf-af-south-1 is that of prod.af-south-1",
    ),
    "one bucket for two regions": (
        of_one({}, bucket_name="tf-{account_id}"),
        "prod.us-east-1: the bucket tf-111122223333 is that of prod.af-south-1",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("fleet", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_right_is_refused_by_name(fleet, sentence):
    with pytest.raises(Invalid) as refused:
        hosts(fleet)
    assert sentence in str(refused.value)


@pytest.mark.aws("6.3")
def test_one_bucket_name_may_serve_in_two_partitions():
    china = {**TEST, "regions": ["cn-north-1"]}
    fleet = replace(FLEET, accounts=[{**PROD, "regions": ["us-east-1"]}, china], bucket_name="tf-state")
    assert len(hosts(fleet)) == 2


def test_all_problems_are_told_up_to_a_limit():
    with pytest.raises(Invalid) as refused:
        hosts(replace(FLEET, accounts=[{"name": f"a{n}", "id": "1"} for n in range(MAX_PROBLEMS + 5)]))
    assert str(refused.value).count("id is") == MAX_PROBLEMS
    assert str(refused.value).endswith("; and 5 more")


STATES = {"af-south-1": "DISABLED", "us-east-1": "ENABLED_BY_DEFAULT"}


@pytest.mark.parametrize(
    ("state", "is_left"),
    [("ENABLED", True), ("ENABLED_BY_DEFAULT", True), ("ENABLING", False), ("DISABLING", False), ("DISABLED", False)],
)
def test_only_regions_that_can_be_used_are_left(state, is_left):
    (left,) = enabled(accounts_of(of_one({})), {PROD["id"]: {**STATES, "af-south-1": state}})
    assert ("af-south-1" in left.regions) is is_left


@pytest.mark.parametrize(
    ("states", "sentence"),
    [
        ({"us-east-1": "ENABLED_BY_DEFAULT"}, "account prod (111122223333): AWS knows no region af-south-1 there"),
        (dict.fromkeys(STATES, "DISABLED"), "account prod (111122223333): none of its regions is enabled"),
    ],
)
def test_an_account_without_what_was_asked_is_refused(states, sentence):
    with pytest.raises(Invalid) as refused:
        enabled(accounts_of(of_one({})), {PROD["id"]: states})
    assert str(refused.value) == sentence


@given(
    ids=st.lists(NEW_IDS, min_size=1, max_size=8, unique=True),
    regions=st.lists(st.sampled_from(REGIONS), min_size=2, unique=True),
    data=st.data(),
)
def test_hosts_and_groups_share_no_name_and_every_pair_comes_once(ids, regions, data):
    excluded = data.draw(st.lists(st.sampled_from(regions), max_size=len(regions) - 1, unique=True))
    accounts = [{"name": f"a-{each}", "id": each} for each in ids]
    made = hosts(replace(FLEET, accounts=accounts, regions=regions, exclude_regions=excluded))
    names = {host.name for host in made}
    assert len(names) == len(made) == len(ids) * (len(regions) - len(excluded))
    assert names.isdisjoint({group for host in made for group in host.groups})


def test_six_hundred_hosts_are_made_in_a_fraction_of_a_second():
    accounts = [{"name": f"a{n}", "id": f"{n:012}"} for n in range(20)]
    start = time.process_time()
    made = hosts(replace(FLEET, accounts=accounts, regions=REGIONS_OF_AWS[:30]))
    assert (len(made), time.process_time() - start < 0.5) == (600, True)
