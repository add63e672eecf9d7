# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The accounts of an organization, answered on this machine as AWS answers, and the file made of them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.cornerstone.tfstate.plugins.modules.tf_backend_accounts import MODULE


def account(number: int, name: str, state: str | None = "ACTIVE") -> dict[str, Any]:
    listed = {"Id": f"{number:012}", "Name": name, "Email": f"{number}@example.com"}
    return listed if state is None else {**listed, "State": state}


READS = (
    *("ListAccounts", "ListRoots", "ListAccountsForParent", "ListOrganizationalUnitsForParent"),
    "ListTagsForResource",
)


class Organization:
    """A root with an account, and two levels of units. Pages may be empty and have a token, as those of AWS."""

    def __init__(self) -> None:
        self.units: dict[str, list[tuple[str, str]]] = {
            "r-1": [("ou-1", "Workloads"), ("ou-2", "Sandbox")],
            "ou-1": [("ou-3", "Prod {{ x }}/EU")],
        }
        self.accounts: dict[str, list[dict[str, Any]]] = {
            "r-1": [account(1, "Management")],
            "ou-1": [account(2, "Shared Services"), account(3, "shared-services")],
            "ou-2": [account(4, "Sand", "SUSPENDED")],
            "ou-3": [account(5, "Prod (EU) {{ y }}")],
        }
        self.listed: list[dict[str, Any]] | None = None
        self.tags = {f"{5:012}": {"team": "data", "cost": "7"}}
        self.denies = ""
        self.asked: list[str] = []
        organization = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                operation = self.headers["X-Amz-Target"].partition(".")[2]
                status, answer = organization.answer(operation, body)
                text = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_unused: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, operation: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.asked.append(operation)
        assert operation in READS
        if operation == self.denies:
            return 400, {"__type": "AccessDeniedException", "Message": "no permission"}
        if "NextToken" not in body and operation != "ListRoots":
            kind = {"ListOrganizationalUnitsForParent": "OrganizationalUnits", "ListTagsForResource": "Tags"}
            return 200, {kind.get(operation, "Accounts"): [], "NextToken": "more"}
        every = [each for accounts in self.accounts.values() for each in accounts]
        parent = body.get("ParentId", "")
        units = [{"Id": each, "Name": name} for each, name in self.units.get(parent, [])]
        tags = self.tags.get(body.get("ResourceId", ""), {})
        answers: dict[str, dict[str, Any]] = {
            "ListAccounts": {"Accounts": every if self.listed is None else self.listed},
            "ListRoots": {"Roots": [{"Id": "r-1", "Name": "Root"}]},
            "ListAccountsForParent": {"Accounts": self.accounts.get(parent, [])},
            "ListOrganizationalUnitsForParent": {"OrganizationalUnits": units},
            "ListTagsForResource": {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]},
        }
        return 200, answers[operation]


@pytest.fixture
def organization(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Organization]:
    monkeypatch.setenv("HOME", str(tmp_path))
    made = Organization()
    yield made
    made.server.shutdown()
    made.server.server_close()


def run(organization: Organization, path: Path, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    given = {
        **{"path": str(path), "endpoint_url": organization.url, "access_key": "a", "secret_key": "b"},
        **{"wait_timeout": 5, **options},
    }
    params = ArgumentSpecValidator(MODULE.spec, **MODULE.rules).validate(given).validated_parameters
    return MODULE.run(params, check_mode=check_mode, diff=True)


def entries(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(path.read_text())["accounts"]
    return found


def test_the_active_accounts_are_written_with_units_and_tags_and_a_second_run_changes_nothing(
    organization: Organization, tmp_path: Path
) -> None:
    path = tmp_path / "new" / "accounts.yml"
    assert run(organization, path, check_mode=True, tag_names=["team"])["changed"] and not path.exists()
    told = run(organization, path, tag_names=["team"])
    assert entries(path) == [
        {"name": "management", "id": f"{1:012}"},
        {"name": "prod-eu-y", "id": f"{5:012}", "ou": "Workloads/Prod __ x ___EU", "tags": {"team": "data"}},
        {"name": "shared-services", "id": f"{2:012}", "ou": "Workloads"},
        {"name": f"shared-services-{3:012}", "id": f"{3:012}", "ou": "Workloads"},
    ]
    assert (told["changed"], told["accounts"], told["removed"]) == (True, 4, [])
    assert told["inactive"] == [{"id": f"{4:012}", "name": "Sand", "state": "SUSPENDED"}]
    assert not run(organization, path, tag_names=["team"])["changed"]


def test_what_somebody_wrote_stays_and_an_account_that_is_gone_is_told(
    organization: Organization, tmp_path: Path
) -> None:
    path = tmp_path / "accounts.yml"
    path.write_text(
        "accounts:\n"
        f'- {{name: sand, id: "{4:012}", role: x}}\n'
        f'- name: eu\n  id: "{5:012}"\n  ou: Old\n  tags: {{a: b}}\n  regions: [eu-west-1]\n'
        "  external_id: !vault |\n    $ANSIBLE_VAULT;1.1;AES256\n    3433\n"
    )
    told = run(organization, path, units=["Workloads"])
    text = path.read_text()
    assert "external_id: !vault |\n    $ANSIBLE_VAULT;1.1;AES256\n    3433\n" in text
    eu, *others = entries_with_vault(text)
    assert (eu["name"], eu["regions"], eu["ou"], "tags" in eu) == (
        "eu",
        ["eu-west-1"],
        "Workloads/Prod __ x ___EU",
        False,
    )
    assert [each["id"] for each in others] == [f"{2:012}", f"{3:012}"]
    assert told["removed"] == ["sand"] and "sand; the fleet inventory has" in told["warnings"][0]
    assert "ListTagsForResource" not in organization.asked


def test_a_new_account_does_not_get_the_name_of_one_that_is_removed(organization: Organization, tmp_path: Path) -> None:
    """Its files in host_vars and group_vars would be for another account."""
    path = tmp_path / "accounts.yml"
    path.write_text(f'accounts: [{{name: shared_services, id: "{9:012}"}}]\n')
    told = run(organization, path)
    assert told["removed"] == ["shared_services"]
    names = [f"shared-services-{number:012}" for number in (2, 3)]
    assert [each["name"] for each in entries(path) if each["name"].startswith("shared")] == names
    assert not run(organization, path)["changed"]


def test_ids_are_in_quotes(organization: Organization, tmp_path: Path) -> None:
    """PyYAML leaves them out of 000000000008, which is no octal number; other readers take it for a number."""
    organization.accounts["r-1"] = [account(8, "Management")]
    run(organization, tmp_path / "accounts.yml")
    assert "  id: '000000000008'\n" in (tmp_path / "accounts.yml").read_text()


def test_an_account_of_another_unit_is_not_called_gone_from_the_organization(
    organization: Organization, tmp_path: Path
) -> None:
    path = tmp_path / "accounts.yml"
    run(organization, path)
    (warning,) = run(organization, path, units=["Workloads"])["warnings"]
    assert "accounts removed from the file, as they are not in Workloads or not active: management; " in warning


def test_what_somebody_writes_while_the_organization_is_read_stays(organization: Organization, tmp_path: Path) -> None:
    path = tmp_path / "accounts.yml"
    run(organization, path)
    answer = organization.answer

    def answered(operation: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        path.write_text(f'accounts: [{{name: mine, id: "{1:012}", role: admin}}]\n')
        return answer(operation, body)

    organization.answer = answered  # type: ignore[method-assign]
    run(organization, path)
    assert entries(path)[0] == {"name": "mine", "id": f"{1:012}", "role": "admin"}


def entries_with_vault(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(text.replace("!vault ", ""))["accounts"]
    return found


@pytest.mark.parametrize("operation", READS)
def test_what_cannot_be_read_leaves_the_file_as_it_is(
    organization: Organization, tmp_path: Path, operation: str
) -> None:
    path = tmp_path / "accounts.yml"
    run(organization, path)
    before = path.read_text()
    organization.denies = operation
    told = run(organization, path, tag_names=["team"])
    assert told["failed"] and f"needs organizations:{operation}" in told["msg"] and "management account" in told["msg"]
    assert path.read_text() == before


WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "an unknown unit": ("", {"units": ["Workload"]}, "has no unit Workload (did you mean Workloads?)"),
    "a unit without accounts": ("", {"units": ["Sandbox"]}, "no active account there: nothing is written"),
    "another file": ("plugin: x\n", {}, "is not a file of accounts, which has one key"),
    "no YAML": ("a: [\n", {}, "accounts.yml, line 2: it is not valid YAML"),
    "an account without an id": (
        "accounts: [{name: a}]\n",
        {},
        "entry 1 of accounts, a: id is not 12 digits in quotes",
    ),
    "an account twice": (
        f"accounts: [{{name: a, id: '{1:012}'}}, {{name: b, id: '{1:012}'}}]\n",
        {},
        "its id is there",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_refused(organization: Organization, tmp_path: Path, case: str) -> None:
    text, options, sentence = WRONG[case]
    path = tmp_path / "accounts.yml"
    if text:
        path.write_text(text)
    told = run(organization, path, **options)
    assert told["failed"] and sentence in told["msg"]
    assert (path.read_text() if path.exists() else "") == text


def test_an_account_that_moves_meanwhile_is_no_gap(organization: Organization, tmp_path: Path) -> None:
    organization.listed = [account(1, "Management"), account(9, "Moved")]
    told = run(organization, tmp_path / "accounts.yml")
    assert told["failed"] and "while the organization was read: run again" in told["msg"]


def test_a_state_that_this_botocore_does_not_know_is_no_state(organization: Organization, tmp_path: Path) -> None:
    organization.accounts["r-1"] = [account(1, "Management", None)]
    told = run(organization, tmp_path / "accounts.yml")
    assert told["failed"] and "the state of account 000000000001 is not known: update botocore" in told["msg"]
