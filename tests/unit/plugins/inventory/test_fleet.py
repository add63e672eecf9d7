# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fleet inventory as Ansible reads it: hosts, groups and variables, no warnings, and few questions to AWS."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.cornerstone.tfstate.plugins.inventory import fleet

from tests.support.ansible_commands import run_ansible
from tests.support.clean_environment import without_aws
from tests.support.emulators import RunningEmulator
from tests.support.http_relay import Answer, Body
from tests.support.relay import Call, Proceed, Relay

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[4]
BIN = Path(sys.executable).parent
RUN_LIMIT_S = 60
OURS = ROOT / "inventories" / "fleet"
ACCOUNTS = {"prod": "010101010101", "test": "020202020202"}
ASKED = {
    "plugin": "cornerstone.tfstate.fleet",
    "accounts": [{"name": name, "id": number} for name, number in ACCOUNTS.items()],
    "regions": ["af-south-1", "us-east-1"],
    "bucket_name": "acme-{account_id}-{region}",
    "assume_role": "admin",
}


class Ansible:
    """Ansible's commands on an inventory of their own, in a clean environment."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.file = home / "acme.fleet.yml"

    def asks_for(self, **options: Any) -> None:
        wanted = {name: value for name, value in {**ASKED, **options}.items() if value is not None}
        self.write(self.file.name, yaml.safe_dump(wanted))

    def write(self, name: str, text: str) -> None:
        path = self.home / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def run(self, program: str, *arguments: str, code: int = 0) -> str:
        """What was said, warnings included."""
        command = [str(BIN / program), *arguments]
        ended, said = run_ansible(command, self.home, self._environment(), RUN_LIMIT_S) or self.start(command)
        assert ended == code, said
        return said

    def start(self, command: list[str]) -> tuple[int, str]:
        done = subprocess.run(
            command,
            cwd=self.home,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=RUN_LIMIT_S,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def hosts(self, source: Path | None = None) -> dict[str, dict[str, Any]]:
        listed: dict[str, Any] = json.loads(self.run("ansible-inventory", "-i", str(source or self.file), "--list"))
        found: dict[str, dict[str, Any]] = listed["_meta"]["hostvars"]
        return found

    def refusal(self) -> str:
        said = " ".join(self.run("ansible-inventory", "-i", str(self.file), "--graph", code=1).split())
        return re.sub(r"(?<=\w)- ", "-", said)  # ansible-core before 2.19 breaks lines at hyphens

    def _environment(self) -> dict[str, str]:
        return without_aws(os.environ, self.home) | {"ANSIBLE_INVENTORY_UNPARSED_FAILED": "true", "COLUMNS": "2000"}


@pytest.fixture
def ansible(tmp_path: Path) -> Ansible:
    made = Ansible(tmp_path)
    made.asks_for()
    return made


def test_the_graph_shows_regions_and_accounts_and_no_warning(ansible):
    ansible.asks_for(accounts=[{"name": "my-app", "id": "010101010101"}], regions=["us-east-1"])
    assert ansible.run("ansible-inventory", "-i", str(ansible.file), "--graph") == (
        "@all:\n"
        "  |--@ungrouped:\n"
        "  |--@fleet_acme:\n"
        "  |  |--my-app.us-east-1\n"
        "  |--@us_east_1:\n"
        "  |  |--my-app.us-east-1\n"
        "  |--@account_my_app:\n"
        "  |  |--my-app.us-east-1\n"
    )


def test_the_list_has_plain_variables(ansible):
    ansible.asks_for(table_name="locks", variables={"terraform_backend_lock_mode": "both"})
    assert ansible.hosts()["prod.us-east-1"] == {
        "ansible_connection": "local",
        "terraform_backend_region": "us-east-1",
        "terraform_backend_account_id": "010101010101",
        "terraform_backend_bucket_name": "acme-010101010101-us-east-1",
        "terraform_backend_table_name": "locks",
        "terraform_backend_assume_role_arn": "arn:aws:iam::010101010101:role/admin",
        "terraform_backend_lock_mode": "both",
    }


def test_patterns_may_be_templates(ansible):
    ansible.asks_for(assume_role="tf-{{ lookup('ansible.builtin.env', 'MAY', default='look') }}-{account}")
    role = ansible.hosts()["prod.us-east-1"]["terraform_backend_assume_role_arn"]
    assert role == "arn:aws:iam::010101010101:role/tf-look-prod"


def test_a_limit_selects_one_region_over_all_accounts(ansible):
    ansible.write("play.yml", "- hosts: all\n")
    said = ansible.run("ansible-playbook", "play.yml", "-i", str(ansible.file), "-l", "us_east_1", "--list-hosts")
    assert sorted(re.findall(r"\S+\.\S+-\d", said)) == ["prod.us-east-1", "test.us-east-1"]
    assert "WARNING" not in said


def test_files_of_variables_beat_the_inventory_and_templates_are_kept(ansible):
    ansible.asks_for(variables={"place": "in/{{ inventory_hostname }}", "terraform_backend_lock_mode": "both"})
    ansible.write("group_vars/us_east_1.yml", "terraform_backend_lock_mode: lockfile\n")
    ansible.write("host_vars/test.us-east-1.yml", "place: elsewhere\n")
    message = "msg='<{{ place }} {{ terraform_backend_lock_mode }}>'"
    said = ansible.run("ansible", "all", "-i", str(ansible.file), "-m", "ansible.builtin.debug", "-a", message)
    assert sorted(re.findall("<(.*)>", said)) == [
        "elsewhere lockfile",
        "in/prod.af-south-1 both",
        "in/prod.us-east-1 lockfile",
        "in/test.af-south-1 both",
    ]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"bucket_name": "acme-{nobody}"}, "has {nobody}; known are {account}, {account_id}, {partition}, {region}"),
        (
            {"exclude_region": ["us-east-1"]},
            "exclude_region not known (did you mean exclude_regions?); known are access_key, accounts,",
        ),
        ({"bucket_name": "acme-{region}"}, "test.af-south-1: the bucket acme-af-south-1 is that of prod.af-south-1"),
        ({"bucket_name": None}, "bucket_name"),
    ],
)
def test_a_mistake_fails_the_inventory_and_names_file_and_place(ansible, options, sentence):
    ansible.asks_for(**options)
    said = ansible.refusal()
    assert sentence in said
    assert "acme.fleet.yml" in said


def test_only_files_named_for_it_are_read(ansible):
    other = ansible.file.rename(ansible.home / "acme.yml")
    assert "cornerstone.tfstate.fleet" in ansible.run("ansible-inventory", "-i", str(other), "--graph", code=1)


def test_six_hundred_backends_are_read_in_a_second(ansible):
    assert len(ansible.hosts(OURS)) == 600
    few, many = (cpu_s(ansible, source) for source in ("localhost,", str(OURS)))
    assert many - few < 1.0


def cpu_s(ansible: Ansible, source: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ansible.start([str(BIN / "ansible-inventory"), "-i", source, "--graph"])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_our_own_fleet_is_offline_and_no_default(ansible):
    assert yaml.safe_load(next(OURS.glob("*.fleet.yml")).read_text())["enabled_regions_only"] is False
    assert "fleet" not in (ROOT / "ansible.cfg").read_text()


@pytest.mark.parametrize("example", list(yaml.safe_load_all(fleet.EXAMPLES)), ids=["first", "second"])
def test_the_examples_parse(ansible, example):
    ansible.file.write_text(yaml.safe_dump({**example, "enabled_regions_only": False}))
    assert ansible.hosts()


# --- enabled regions only ---------------------------------------------------------------------------------------------

STATES = {"us-east-1": "ENABLED_BY_DEFAULT", "af-south-1": "DISABLED", "eu-south-1": "ENABLED"}


class Account:
    """account:ListRegions as AWS answers it, a region a page; the rest is the emulator's."""

    def __init__(self) -> None:
        self.states = dict(STATES)
        self.asked = 0
        self.denies = False

    def __call__(self, call: Call, proceed: Proceed) -> Answer:
        if call.request.target != "/listRegions":
            return proceed()
        self.asked += 1
        if self.denies:
            return answer(403, {"message": "no identity-based policy allows it"}, "AccessDeniedException")
        place = int(json.loads(call.body or b"{}").get("NextToken", 0))
        region, state = list(self.states.items())[place]
        last = place + 1 == len(self.states)
        page = {"Regions": [{"RegionName": region, "RegionOptStatus": state}]}
        return answer(200, page if last else {**page, "NextToken": str(place + 1)})


def answer(status: int, body: dict[str, Any], error: str = "") -> Answer:
    headers = {"content-type": "application/json", **({"x-amzn-errortype": error} if error else {})}
    return Answer(status, headers, Body((json.dumps(body).encode(),)))


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
def relay(ministack: RunningEmulator, account: Account) -> Iterator[Relay]:
    with Relay(ministack.url) as relay:
        relay.use(account)
        yield relay


@pytest.fixture
def asking(relay: Relay, ansible: Ansible) -> dict[str, Any]:
    """Options to ask with."""
    ansible.write("secret", "test")
    return {
        "enabled_regions_only": True,
        "endpoint_url": relay.url,
        "access_key": "test",
        "secret_key": "{{ lookup('ansible.builtin.file', '" + str(ansible.home / "secret") + "') }}",
        "cache": True,
        "cache_plugin": "ansible.builtin.jsonfile",
        "cache_connection": str(ansible.home / "cache"),
    }


def test_regions_that_are_not_enabled_are_left_out_and_a_second_run_asks_nothing(ansible, asking, relay):
    ansible.asks_for(**asking)
    first = ansible.hosts()
    assert sorted(first) == ["prod.us-east-1", "test.us-east-1"]
    assert relay.calls
    relay.calls.clear()
    assert (ansible.hosts(), relay.calls) == (first, [])


def test_each_account_is_asked_as_its_role(ansible, asking, relay):
    ansible.asks_for(**asking)
    ansible.hosts()
    assumed = [call.resource for call in relay.calls if call.name == "AssumeRole"]
    assert sorted(assumed) == [f"arn:aws:iam::{number}:role/admin" for number in sorted(ACCOUNTS.values())]


def test_a_new_account_is_asked_alone(ansible, asking, account):
    ansible.asks_for(**asking, accounts=[{"name": "prod", "id": ACCOUNTS["prod"]}])
    ansible.hosts()
    account.asked = 0
    ansible.asks_for(**asking)
    assert (len(ansible.hosts()), account.asked) == (2, len(STATES))


def test_flushing_the_cache_asks_again(ansible, asking, account):
    ansible.asks_for(**asking)
    ansible.hosts()
    account.states["af-south-1"] = "ENABLED"
    ansible.write("site.yml", "[{hosts: localhost, tasks: []}]")  # ansible-inventory learned it in ansible-core 2.19
    ansible.run("ansible-playbook", "-i", str(ansible.file), "site.yml", "--flush-cache")
    assert len(ansible.hosts()) == 4


def test_without_a_cache_every_run_asks(ansible, asking, account):
    ansible.asks_for(**{**asking, "cache": False})
    ansible.hosts()
    ansible.hosts()
    assert account.asked == 2 * len(ACCOUNTS) * len(STATES)


def test_a_denied_answer_fails_and_is_not_kept(ansible, asking, account):
    ansible.asks_for(**asking)
    account.denies = True
    said = ansible.refusal()
    for name, number in ACCOUNTS.items():
        assert f"account {name} ({number}): list_regions: AccessDeniedException; needs account:ListRegions" in said
    account.denies = False
    assert len(ansible.hosts()) == 2


def test_the_answer_of_another_account_is_none(ansible, asking):
    ansible.asks_for(**asking, accounts=[{"name": "prod", "id": ACCOUNTS["prod"], "role": ""}])
    wanted = (
        f"account prod ({ACCOUNTS['prod']}): the credentials are of account 000000000000; give it a role or a profile"
    )
    assert wanted in ansible.refusal()


def test_a_region_that_aws_does_not_know_fails(ansible, asking):
    ansible.asks_for(**asking, regions=["us-east-1", "us-east-9"])
    assert f"account prod ({ACCOUNTS['prod']}): AWS knows no region us-east-9 there" in ansible.refusal()


def test_no_credentials_fail_in_a_sentence(ansible, asking):
    ansible.asks_for(**{**asking, "access_key": None, "secret_key": None})
    assert "Unable to locate credentials; set profile, access_key and secret_key" in ansible.refusal()
