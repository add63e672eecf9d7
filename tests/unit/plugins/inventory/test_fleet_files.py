# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Several fleet files in one inventory, and files of variables beside them: nothing is merged without a word."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible import constants
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import fragment_loader
from ansible.utils.plugin_docs import add_fragments
from ansible.vars.manager import VariableManager
from ansible_collections.cornerstone.tfstate.plugins.inventory import fleet
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._fleet.files import inventory_problem
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NAME = "cornerstone.tfstate.fleet"
EU = {
    "plugin": NAME,
    "accounts": [{"name": "prod", "id": "010101010101"}],
    "regions": ["eu-west-1"],
    "bucket_name": "acme-{account_id}-{region}",
    "table_name": "locks-eu",
    "assume_role": "eu-admin",
    "variables": {"terraform_backend_lock_mode": "lockfile", "terraform_backend_bucket_kms_key_id": "alias/eu"},
}
US = {
    **EU,
    "regions": ["us-east-1"],
    "table_name": "locks-us",
    "assume_role": "us-admin",
    "variables": {"terraform_backend_lock_mode": "dynamodb", "terraform_backend_bucket_kms_key_id": "alias/us"},
}
Found = dict[str, dict[str, Any]]
Read = Callable[..., tuple[Found, list[str]]]


@pytest.fixture(autouse=True)
def only_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ansible would look for the plugin by its collection loader, which is not that of this process."""
    document = yaml.safe_load(fleet.DOCUMENTATION)
    add_fragments(document, fleet.__file__, fragment_loader)
    constants.config.initialize_plugin_configuration_definitions("inventory", NAME, document["options"])

    def fetched(_manager: InventoryManager) -> list[fleet.InventoryModule]:
        plugin = fleet.InventoryModule()
        plugin._load_name = plugin._original_path = NAME
        return [plugin]

    monkeypatch.setattr(InventoryManager, "_fetch_inventory_plugins", fetched)
    monkeypatch.setattr(constants, "INVENTORY_UNPARSED_IS_FAILED", False)
    monkeypatch.setattr(constants, "INVENTORY_ANY_UNPARSED_IS_FAILED", False)


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """The variables of all hosts, as tasks have them, and what was said of files that failed."""

    def in_folder(fleets: dict[str, Any], **files: Any) -> tuple[Found, list[str]]:
        for name, content in {**{f"{each}.fleet.yml": text for each, text in fleets.items()}, **files}.items():
            path = tmp_path / name.replace("__", "/")
            path.parent.mkdir(exist_ok=True)
            path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        loader = DataLoader()
        inventory = InventoryManager(loader, [str(tmp_path / f"{each}.fleet.yml") for each in fleets])
        variables = VariableManager(loader, inventory)
        found = {host.name: variables.get_vars(host=host, include_hostvars=False) for host in inventory.get_hosts()}
        said = {inventory_problem(each) for each in found.values()}
        return found, [str(each) for each in said]

    return in_folder


def test_variables_are_those_of_the_hosts_of_their_file(read: Read) -> None:
    hosts, said = read({"eu": EU, "us": US})
    assert said == ["None"]
    for name, file in (("prod.eu-west-1", EU), ("prod.us-east-1", US)):
        variables: Any = file["variables"]
        assert {each: hosts[name][each] for each in variables} == variables
        assert hosts[name]["terraform_backend_table_name"] == file["table_name"]


@pytest.mark.parametrize("group", ["account_prod", "eu_west_1", "fleet_eu", "all"])
def test_files_in_group_vars_beat_them_for_an_account_a_region_and_a_file(read: Read, group: str) -> None:
    key = "terraform_backend_bucket_kms_key_id"
    hosts, _said = read({"eu": EU}, **{f"group_vars__{group}.yml": {key: f"alias/{group}"}})
    assert hosts["prod.eu-west-1"][key] == f"alias/{group}"


OTHERS: dict[str, tuple[dict[str, Any], str]] = {
    "one host": ({**US, "regions": ["eu-west-1"]}, "the host prod.eu-west-1 is also in "),
    "one bucket": (
        {**US, "accounts": [{"name": "test", "id": "020202020202"}], "bucket_name": "acme-010101010101-eu-west-1"},
        "test.us-east-1: the bucket acme-010101010101-eu-west-1 is that of prod.eu-west-1 in ",
    ),
}


@pytest.mark.parametrize("case", OTHERS)
def test_what_two_files_have_is_told_with_both_files_and_stops_every_host(read: Read, case: str) -> None:
    other, sentence = OTHERS[case]
    hosts, (said,) = read({"eu": EU, "us": other})
    assert list(hosts) == ["prod.eu-west-1"]
    assert said.startswith("The inventory is not complete: ") and said.endswith("Correct it, and run again")
    assert sentence in said and "/us.fleet.yml: " in said and "/eu.fleet.yml" in said
    assert hosts["prod.eu-west-1"]["terraform_backend_assume_role_arn"].endswith("role/eu-admin")


def test_files_of_one_name_share_no_group(read: Read) -> None:
    _hosts, (said,) = read({"a-b": EU, "a_b": US})
    assert "its group fleet_a_b is that of " in said


@pytest.mark.parametrize(
    "broken", [{**US, "tabel_name": "x"}, {**US, "accounts": 7}, "plugin: [", "plugin: cornerstone.tfstate.fleet\n"]
)
def test_a_broken_file_beside_a_good_one_stops_every_host(read: Read, broken: Any) -> None:
    hosts, (said,) = read({"eu": EU, "us": broken})
    assert list(hosts) == ["prod.eu-west-1"]
    assert said.startswith("The inventory is not complete: ") and "us.fleet.yml" in said


def test_a_file_that_is_named_twice_is_read_twice(read: Read, tmp_path: Path) -> None:
    read({"eu": EU})
    file = str(tmp_path / "eu.fleet.yml")
    inventory = InventoryManager(DataLoader(), [file, file])
    assert [host.name for host in inventory.get_hosts()] == ["prod.eu-west-1"]
    inventory.refresh_inventory()
    assert [inventory_problem(host.get_vars()) for host in inventory.get_hosts()] == [None]


IGNORED = {
    "terraform_backend_bucket_name": "older",
    "terraform_backend_assume_role_arn": "arn:aws:iam::010101010101:role/other",
    "terraform_backend_region": "eu-west-2",
    "terraform_backend_table_name": "{{ other }}",
}


@pytest.mark.parametrize("group", ["all", "account_prod", "eu_west_1", "fleet_eu"])
@pytest.mark.parametrize("name", IGNORED)
def test_what_ansible_would_ignore_is_refused_and_named(read: Read, group: str, name: str) -> None:
    other = {**US, "accounts": [{"name": "test", "id": "020202020202"}], "assume_role": None, "table_name": None}
    other |= {"bucket_name": IGNORED["terraform_backend_bucket_name"], "regions": [IGNORED["terraform_backend_region"]]}
    _hosts, (said,) = read({"us": other, "eu": EU}, **{f"group_vars__{group}.yml": {name: IGNORED[name]}})
    assert f"group_vars of {group} set {name}, which this file sets for each host" in said


def test_the_same_value_and_what_the_file_does_not_set_are_no_mistake(read: Read) -> None:
    hosts, said = read(
        {"eu": {**EU, "assume_role": None}},
        group_vars__all={"ansible_connection": "ssh", "terraform_backend_region": "eu-west-1"},
        group_vars__account_prod={"terraform_backend_profile": "prod"},
    )
    assert said == ["None"]
    assert hosts["prod.eu-west-1"]["ansible_connection"] == "local"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_each_host_is_made_by_one_entry_or_the_inventory_is_refused(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Of two to five files with some of the same accounts, regions and patterns."""
    folder = tmp_path_factory.mktemp("fleets")
    files = {}
    for number in range(data.draw(st.integers(2, 5))):
        names = data.draw(st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=2, unique=True))
        files[f"f{number}"] = {
            **EU,
            "accounts": [{"name": name, "id": f"{ord(name):012}"} for name in names],
            "regions": data.draw(st.lists(st.sampled_from(["eu-west-1", "us-east-1"]), min_size=1, unique=True)),
            "bucket_name": data.draw(st.sampled_from(["acme-{account_id}-{region}", "acme-{region}"])),
            "table_name": f"locks-{number}",
            "assume_role": f"role-{number}",
            "variables": {"file": f"f{number}"},
        }
        (folder / f"f{number}.fleet.yml").write_text(yaml.safe_dump(files[f"f{number}"]))
    loader = DataLoader()
    inventory = InventoryManager(loader, [str(folder / f"{name}.fleet.yml") for name in files])
    variables = VariableManager(loader, inventory)
    found = {host.name: variables.get_vars(host=host, include_hostvars=False) for host in inventory.get_hosts()}
    is_refused = {inventory_problem(each) is not None for each in found.values()}
    for name, each in found.items():
        account, region = name.split(".")
        number = each["file"].removeprefix("f")
        wanted: Any = files[each["file"]]
        assert account in [entry["name"] for entry in wanted["accounts"]] and region in wanted["regions"]
        assert each["terraform_backend_table_name"] == f"locks-{number}"
        assert each["terraform_backend_assume_role_arn"] == f"arn:aws:iam::{ord(account):012}:role/role-{number}"
    made = [
        (entry["name"], region) for file in files.values() for entry in file["accounts"] for region in file["regions"]
    ]
    if not found:
        return
    assert len(is_refused) == 1
    assert is_refused == {True} or len(made) == len(set(made)) == len(found)
