# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The inventories that come with the checkout: one never leaves the machine, the other always means AWS."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml")

INVENTORIES = Path(__file__).parents[3] / "inventories"
BOTH = pytest.mark.parametrize("name", ["demo", "example"])
SEEDS = {
    "af-south-1": ("cptwn-terraform-state-ezra", "terraform-locks-af-south"),
    "us-east-1": ("usest1-terraform-state-ezra", "terraform-locks-us-east-1"),
}


def hosts(name: str) -> dict[str, tuple[str, str]]:
    (group,) = yaml.safe_load((INVENTORIES / name / "hosts.yml").read_text()).values()
    return {
        host: (names["terraform_backend_bucket_name"], names["terraform_backend_table_name"])
        for host, names in group["hosts"].items()
    }


def variables(name: str) -> dict[str, object]:
    files = [*(INVENTORIES / name).glob("*_vars/*.yml")]
    return {key: value for file in files for key, value in yaml.safe_load(file.read_text()).items()}


@BOTH
def test_the_two_seeds_are_there_under_their_names(name):
    assert SEEDS.items() <= hosts(name).items()


@BOTH
def test_no_group_bears_the_name_of_a_host(name):
    groups = set(yaml.safe_load((INVENTORIES / name / "hosts.yml").read_text()))
    assert not groups & set(hosts(name))


@BOTH
def test_variables_of_one_host_belong_to_a_host_that_exists(name):
    assert {file.stem for file in (INVENTORIES / name).glob("host_vars/*.yml")} <= set(hosts(name))


def test_the_demo_has_five_regions_with_names_of_their_own():
    names = [name for pair in hosts("demo").values() for name in pair]
    assert (len(hosts("demo")), len(set(names))) == (5, 10)


def test_the_demo_names_a_loopback_endpoint_and_its_own_keys():
    demo = variables("demo")
    assert demo["terraform_backend_endpoint_url"].startswith("http://127.0.0.1:")
    assert (demo["terraform_backend_access_key"], demo["terraform_backend_secret_key"]) == ("test", "test")


def test_the_example_names_no_endpoint_and_no_key():
    assert not [key for key in variables("example") if re.search("endpoint|key", key)]
