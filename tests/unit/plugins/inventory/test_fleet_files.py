# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Several fleet files in one inventory, and files of variables beside them: nothing is merged without a word."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible import constants
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import fragment_loader, inventory_loader
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
        plugin._redirected_names = [NAME]  # which ansible-core before 2.19 looks at
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


def test_among_groups_the_last_name_in_the_alphabet_wins(read: Read) -> None:
    """As the page says; the group of a file is one of them."""
    both = {**EU, "regions": ["eu-west-1", "us-east-1"]}
    key, groups = "terraform_backend_bucket_kms_key_id", ["account_prod", "eu_west_1", "fleet_eu", "us_east_1", "all"]
    hosts, _said = read({"eu": both}, **{f"group_vars__{group}.yml": {key: group} for group in groups})
    assert [each[key] for each in hosts.values()] == ["fleet_eu", "us_east_1"]


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


@pytest.mark.parametrize("group", ["special", "region_eu_west_1", "above"])
def test_what_ansible_would_ignore_of_a_composed_group_is_refused_and_named(read: Read, group: str) -> None:
    keyed = [{"key": "region", "prefix": "region", "parent_group": "above"}]
    composed = {**EU, "groups": {"special": "true"}, "keyed_groups": keyed}
    other = {"terraform_backend_bucket_name": "other"}
    _hosts, (said,) = read({"eu": composed, "us": US}, **{f"group_vars__{group}.yml": other})
    assert f"group_vars of {group} set terraform_backend_bucket_name, which this file sets for each host" in said
    key = "terraform_backend_bucket_kms_key_id"
    hosts, (said,) = read({"eu": composed}, **{f"group_vars__{group}.yml": {key: "alias/other"}})
    assert said == "None" and len(hosts) == 1


@pytest.mark.parametrize(
    ("names", "group", "is_wrong"),
    [
        (("prod", "prod"), "account_prod", True),
        (("a-b", "a_b"), "account_a_b", True),
        (("prod", "prod"), "account_other", False),  # without a file it is a group of hosts and no more
        (("prod", "other"), "account_prod", False),
    ],
)
def test_group_vars_of_an_account_are_not_for_another_account_of_that_name(
    read: Read, names: tuple[str, str], group: str, is_wrong: bool
) -> None:
    eu = {**EU, "accounts": [{"name": names[0], "id": "010101010101"}]}
    us = {**US, "accounts": [{"name": names[1], "id": "020202020202"}]}
    key = {"terraform_backend_bucket_kms_key_id": "alias/prod"}
    _hosts, (said,) = read({"eu": eu, "us": us}, **{f"group_vars__{group}.yml": key})
    told = f"group_vars of {group} would be for two accounts, 020202020202, and 010101010101 in "
    assert told in said if is_wrong else said == "None"


def test_the_same_value_and_what_the_file_does_not_set_are_no_mistake(read: Read) -> None:
    hosts, said = read(
        {"eu": {**EU, "assume_role": None}},
        group_vars__all={"ansible_connection": "ssh", "terraform_backend_region": "eu-west-1"},
        group_vars__account_prod={"terraform_backend_profile": "prod"},
    )
    assert said == ["None"]
    assert hosts["prod.eu-west-1"]["ansible_connection"] == "local"


# --- lines, templates, regions ----------------------------------------------------------------------------------------


def of_an_account(**keys: Any) -> dict[str, Any]:
    return {"accounts": [{"name": "prod", "id": "010101010101", **keys}]}


#: What is wrong, the sentence, and what is in the line that it names.
BROKEN: dict[str, tuple[dict[str, Any], str, str]] = {
    "an option": ({"tabel_name": "x"}, "tabel_name not known (did you mean table_name?)", "tabel_name: x"),
    "a key of an account": (
        of_an_account(region="eu-west-1"),
        "entry 1 of accounts, prod: region not known (did you mean regions?)",
        "  region: eu-west-1",
    ),
    "a region": (
        {"regions": ["us-east-9"]},
        "regions: us-east-9 is no AWS region (did you mean us-east-",
        "- us-east-9",
    ),
    "a region of an account": (
        of_an_account(regions=["eu-wset-1"]),
        "entry 1 of accounts, prod: regions: eu-wset-1 is no AWS region (did you mean eu-west-1?)",
        "  - eu-wset-1",
    ),
    "a placeholder": (
        {"bucket_name": "x-{acount}"},
        "bucket_name: 'x-{acount}' has {acount} (did you",
        "bucket_name: ",
    ),
    "a bucket for two": (
        {"bucket_name": "xyz", "regions": ["us-east-1", "us-east-2"]},
        "prod.us-east-2: the",
        "bucket_n",
    ),
    "a variable that is set": (
        {"compose": {"terraform_backend_region": "'x'"}},
        "compose: terraform_b",
        "backend_region: ",
    ),
    "an expression": ({"compose": {"x": "nobody.there"}}, "compose: x of prod.us-east-1: ", "x: nobody.there"),
    "a prefix": ({"host_prefix": "a b"}, "host_prefix is 'a b'; use letters", "host_prefix"),
    "two units of one group": (
        {"accounts": [{"name": "p", "id": "0" * 12, "ou": "a-b"}, {"name": "t", "id": "1" * 12, "ou": "a_b"}]},
        "account t (111111111111): the organizational unit a_b has the group ou_a_b, which is that of",
        "ou: a_b",
    ),
    "a tag with a template": (of_an_account(tags={"a": "{%raw%}{{ x }}{%endraw%}"}), "prod: tags has a brace", "a: "),
    "a reserved group": (of_an_account(groups=["fleet_us"]), "prod: the group fleet_us has a meaning of", "groups:"),
    "a group that is no list": (of_an_account(groups="a"), "prod: groups is 'a'; write a list", "groups: a"),
    "variables that are no dictionary": (
        of_an_account(variables="a"),
        "prod: variables is str; write a",
        "variables: a",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_mistake_is_told_with_its_line(read: Read, case: str) -> None:
    change, sentence, line = BROKEN[case]
    broken = yaml.safe_dump({**US, "variables": {}, **change}, sort_keys=False)
    _hosts, (said,) = read({"eu": EU, "us": broken})
    assert sentence in said and said.count("/us.fleet.yml: ") == 1, said
    (number,) = re.findall(r"line (\d+): ", said)
    assert line in broken.splitlines()[int(number) - 1]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"groups": {"x": "nobody.there"}}, "to group x"),
        ({"keyed_groups": [{"key": "nobody.there"}]}, "nobody.there"),
        (
            {"groups": {"fleet_eu": "true"}},
            "prod.us-east-1 would be in the group fleet_eu, whose variables are those of",
        ),
    ],
)
def test_a_wrong_group_is_refused(read: Read, change: dict[str, Any], sentence: str) -> None:
    _hosts, (said,) = read({"eu": EU, "us": {**US, **change}})
    assert sentence in said


def test_a_misspelt_option_is_told_though_it_is_missing_then(read: Read) -> None:
    broken = {name: value for name, value in US.items() if name != "bucket_name"}
    _hosts, (said,) = read({"eu": EU, "us": {**broken, "buckt_name": "x"}})
    assert "buckt_name not known (did you mean bucket_name?)" in said and "line " in said


def test_a_key_that_is_there_twice_is_refused(read: Read) -> None:
    text = yaml.safe_dump(US) + "bucket_name: other\n"
    _hosts, (said,) = read({"eu": EU, "us": text})
    assert "bucket_name is there twice, in lines 5 and 13" in said


def test_accounts_may_be_a_template_with_commas(read: Read, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[{"name": "prod", "id": "010101010101", "regions": ["eu-west-1"]}]')
    lookup = f"{{{{ lookup('file', '{tmp_path}/a.json') | from_json }}}}"
    hosts, said = read({"eu": yaml.safe_dump({**EU, "accounts": lookup})})
    assert (list(hosts), said) == (["prod.eu-west-1"], ["None"])


def test_regions_of_another_store_are_not_compared_with_those_of_aws(read: Read) -> None:
    variables = {"terraform_backend_endpoint_url": "https://s3.example"}
    hosts, said = read({"eu": {**EU, "regions": ["us-test-1"], "variables": variables}})
    assert (list(hosts), said) == (["prod.us-test-1"], ["None"])


# --- host_vars and other files ----------------------------------------------------------------------------------------


def test_one_bucket_in_host_vars_is_refused(read: Read) -> None:
    file = {"host_vars__prod.us-east-1.yml": {"terraform_backend_bucket_name": "acme-010101010101-eu-west-1"}}
    _hosts, (said,) = read({"eu": EU, "us": US}, **file)
    assert "prod.us-east-1: the bucket acme-010101010101-eu-west-1 is that of prod.eu-west-1 in " in said


def test_one_bucket_in_host_vars_of_one_file_is_refused_and_a_way_around_is_none(read: Read) -> None:
    both = {**EU, "regions": ["eu-west-1", "us-east-1"]}
    other = {"terraform_backend_bucket_name": "acme-010101010101-eu-west-1"}
    hosts, said = read({"eu": both, "us": {**US, "regions": ["us-east-2"]}}, **{"host_vars__prod.us-east-1.yml": other})
    assert "is that of prod.eu-west-1, as host_vars say" in said[0]
    assert list(hosts) == ["prod.us-east-2"]


def test_a_host_that_another_kind_of_file_has_is_refused(read: Read, tmp_path: Path) -> None:
    read({"eu": EU})
    (tmp_path / "a.yml").write_text(
        yaml.safe_dump({"all": {"hosts": {"prod.eu-west-1": {"terraform_backend_table_name": "x"}, "b": {}}}})
    )
    plugins = [inventory_loader.get("yaml"), *InventoryManager._fetch_inventory_plugins(None)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(InventoryManager, "_fetch_inventory_plugins", lambda _manager: plugins)
        inventory = InventoryManager(DataLoader(), [str(tmp_path / "a.yml"), str(tmp_path / "eu.fleet.yml")])
    said = inventory_problem(inventory.get_host("b").get_vars() | inventory.groups["all"].vars)
    assert "prod.eu-west-1 is also in another inventory file, which sets terraform_backend_table_name" in str(said)


# --- accounts: variables, groups, organizational units, tags, a file of their own -------------------------------------

OF_ORGANIZATION = {
    "name": "data",
    "id": "030303030303",
    "ou": "Workloads/Prod EU",
    "tags": {"team": "data", "cost-center": "7"},
    "groups": ["critical"],
    "variables": {"terraform_backend_lock_mode": "both", "later": "{{ inventory_hostname }}"},
}


def test_an_account_has_groups_and_variables_of_its_own(read: Read, tmp_path: Path) -> None:
    hosts, said = read(
        {"eu": {**EU, "accounts": [], "accounts_file": "accounts.yml"}, "us": US},
        **{"accounts.yml": {"accounts": [OF_ORGANIZATION]}},
    )
    assert said == ["None"]
    host = hosts["data.eu-west-1"]
    groups = {"ou_workloads", "ou_workloads_prod_eu", "tag_team_data", "tag_cost_center_7", "critical", "account_data"}
    assert groups <= {*host["group_names"]}
    assert (host["terraform_backend_lock_mode"], host["later"]) == ("both", "{{ inventory_hostname }}")
    assert hosts["prod.us-east-1"]["terraform_backend_lock_mode"] == "dynamodb"


def test_vaulted_variables_of_an_account_stay_so() -> None:
    """ansible-core before 2.19 has an object for them, which ansible-inventory prints as it is in the file."""

    class Vaulted:
        __ENCRYPTED__ = True

        def __str__(self) -> str:
            return "clear"

    entry = {**OF_ORGANIZATION, "external_id": Vaulted(), "variables": {"secret": Vaulted()}}
    kept = fleet._decrypted(entry)
    assert kept["external_id"] == "clear" and kept["variables"] is entry["variables"]


def test_files_in_group_vars_beat_variables_of_an_account(read: Read) -> None:
    hosts, _said = read(
        {"eu": {**EU, "accounts": [OF_ORGANIZATION]}},
        **{"group_vars__account_data.yml": {"terraform_backend_lock_mode": "lockfile"}},
    )
    assert hosts["data.eu-west-1"]["terraform_backend_lock_mode"] == "lockfile"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            {"accounts": [OF_ORGANIZATION | {"regoins": []}]},
            "accounts.yml: line 7: entry 1 of accounts, data: regoins not",
        ),
        ({"accounts": [OF_ORGANIZATION | {"profile": "{{ x }}"}]}, "accounts, data: profile has a brace"),
        ({"accounts": [OF_ORGANIZATION | {"external_id": "{% x %}"}]}, "accounts, data: external_id has a brace"),
        ([OF_ORGANIZATION], "a file of accounts has one key, accounts, with a list"),
        ({"accounts": [], "regions": []}, "a file of accounts has one key"),
        (None, "accounts.yml is missing: write it, or run playbooks/accounts.yml"),
    ],
)
def test_a_wrong_file_of_accounts_is_refused_with_its_name_and_line(read: Read, content: Any, sentence: str) -> None:
    file = {"eu": {**EU, "accounts": [], "accounts_file": "accounts.yml"}, "us": US}
    _hosts, (said,) = read(file, **({"accounts.yml": content} if content else {}))
    assert sentence in said and "eu.fleet.yml: " in said


def test_hosts_may_have_a_prefix_and_composed_groups_and_variables(read: Read) -> None:
    hosts, said = read(
        {
            "eu": {
                **EU,
                "accounts": [{**OF_ORGANIZATION, "variables": {}}],
                "host_prefix": "acme.",
                "compose": {"owner": "tags.team ~ '@example.com'"},
                "groups": {"europe": "region.startswith('eu-')"},
                "keyed_groups": [{"key": "tags.team", "prefix": "team"}, {"key": "partition", "prefix": "p"}],
            }
        }
    )
    assert said == ["None"]
    host = hosts["acme.data.eu-west-1"]
    assert {"europe", "team_data", "p_aws"} <= {*host["group_names"]}
    assert host["owner"] == "data@example.com"


def test_without_strict_an_expression_that_fails_is_left_out(read: Read) -> None:
    hosts, said = read({"eu": {**EU, "strict": False, "compose": {"x": "nobody.there", "y": "region"}}})
    assert said == ["None"]
    assert "x" not in hosts["prod.eu-west-1"] and hosts["prod.eu-west-1"]["y"] == "eu-west-1"


def test_what_compose_sets_is_not_set_in_group_vars(read: Read) -> None:
    _hosts, (said,) = read(
        {"eu": {**EU, "compose": {"owner": "region"}}, "us": US}, **{"group_vars__account_prod.yml": {"owner": "x"}}
    )
    assert "group_vars of account_prod set owner, which this file sets for each host" in said


# --- any of it at once ------------------------------------------------------------------------------------------------

#: Changes of a file, and whether it must be refused whatever else there is.
CHANGES: list[tuple[dict[str, Any], bool]] = [
    ({}, False),
    ({}, False),
    ({}, False),
    ({"tabel_name": "x"}, True),
    ({"regions": ["us-east-9"]}, True),
    ({"exclude_regions": ["eu-wset-1"]}, True),
    ({"compose": {"terraform_backend_bucket_name": "'x'"}}, True),
    ({"host_prefix": "p-"}, False),
    ({"keyed_groups": [{"key": "account", "prefix": "team"}]}, False),
    ({"compose": {"composed": "account_id ~ region"}}, False),
]
HOST_VARS = ("terraform_backend_bucket_name", "terraform_backend_table_name", "terraform_backend_profile")
GROUP_VARS = ("terraform_backend_assume_role_arn", "terraform_backend_lock_mode", "terraform_backend_bucket_name")


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_each_host_is_made_by_one_entry_or_the_inventory_is_refused(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Of two to five files with some of the same accounts, regions and patterns, typos, and files of variables."""
    folder = tmp_path_factory.mktemp("fleets")
    files: dict[str, Any] = {}
    must_fail = False
    for number in range(data.draw(st.integers(2, 5))):
        names = data.draw(st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=2, unique=True))
        change, is_wrong = data.draw(st.sampled_from(CHANGES))
        must_fail |= is_wrong
        files[f"f{number}"] = {
            **EU,
            "accounts": [{"name": name, "id": f"{ord(name):012}", "variables": {"entry": name}} for name in names],
            "regions": data.draw(st.lists(st.sampled_from(["eu-west-1", "us-east-1"]), min_size=1, unique=True)),
            "bucket_name": data.draw(st.sampled_from(["acme-{account_id}-{region}", "acme-{region}"])),
            "table_name": f"locks-{number}",
            "assume_role": f"role-{number}",
            "variables": {"file": f"f{number}"},
            **change,
        }
        (folder / f"f{number}.fleet.yml").write_text(yaml.safe_dump(files[f"f{number}"]))
    host, name = (
        data.draw(st.sampled_from(["a.eu-west-1", "b.us-east-1", "nobody"])),
        data.draw(st.sampled_from(HOST_VARS)),
    )
    own = {host: {name: data.draw(st.sampled_from(["acme-us-east-1", "own"]))}}
    for kind, variables in (("host_vars", own), ("group_vars", data.draw(of_groups()))):
        (folder / kind).mkdir()
        for each, values in variables.items():
            (folder / kind / f"{each}.yml").write_text(yaml.safe_dump(values))
    loader = DataLoader()
    order = data.draw(st.permutations(sorted(files)))
    inventory = InventoryManager(loader, [str(folder / f"{name}.fleet.yml") for name in order])
    found = {
        each.name: VariableManager(loader, inventory).get_vars(host=each, include_hostvars=False)
        for each in inventory.get_hosts()
    }
    problems = {inventory_problem(each) for each in found.values()}
    assert len(problems) <= 1, "every host is refused, or none"
    if not found or None not in problems:
        return
    assert not must_fail
    made = [
        (file.get("host_prefix", "") + entry["name"], region)
        for file in files.values()
        for entry in file["accounts"]
        for region in file["regions"]
    ]
    assert len(made) == len(set(made)) == len(found)
    for each, variables in found.items():
        account, region = each.removeprefix("p-").split(".")
        file, kept, account_id = files[variables["file"]], own.get(each, {}), f"{ord(account):012}"
        assert account in [entry["name"] for entry in file["accounts"]] and region in file["regions"]
        bucket = file["bucket_name"].format(account_id=account_id, region=region)
        assert {name: variables.get(f"terraform_backend_{name}") for name in ("account_id", "region")} == {
            "account_id": account_id,
            "region": region,
        }
        assert variables["entry"] == account
        assert variables["terraform_backend_bucket_name"] == kept.get("terraform_backend_bucket_name", bucket)
        table = kept.get("terraform_backend_table_name", file["table_name"])
        assert variables["terraform_backend_table_name"] == table
        assert variables["terraform_backend_assume_role_arn"] == f"arn:aws:iam::{account_id}:role/{file['assume_role']}"
        assert variables.get("terraform_backend_profile") == kept.get("terraform_backend_profile")
    buckets = [each["terraform_backend_bucket_name"] for each in found.values()]
    assert len(buckets) == len(set(buckets))


def of_groups() -> st.SearchStrategy[dict[str, dict[str, str]]]:
    groups = st.sampled_from(["all", "account_a", "us_east_1", "fleet_f1"])
    values = st.dictionaries(st.sampled_from(GROUP_VARS), st.just("x"), max_size=1)
    return st.dictionaries(groups, values, max_size=1)
