# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The installed collection, without the checkout."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.packaging.conftest import Installation
from tests.support.emulators import RunningEmulator

ROOT = Path(__file__).parents[2]
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))
FILTERS = [
    path.stem for path in sorted((ROOT / "plugins" / "filter").glob("*.py")) if "DOCUMENTATION" in path.read_text()
]
NAMES = {"terraform_backend_bucket_name": "tf-state-packaging", "terraform_backend_table_name": "tf-locks-packaging"}


@pytest.fixture(scope="module")
def inventory(installation: Installation, ministack: RunningEmulator) -> Path:
    host = NAMES | {
        "terraform_backend_region": "eu-west-1",
        "terraform_backend_endpoint_url": ministack.url,
        "terraform_backend_access_key": "test",
        "terraform_backend_secret_key": "test",
        "terraform_backend_config_directory": str(installation.home / "backends"),
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
    }
    inventory = installation.home / "hosts.json"
    inventory.write_text(json.dumps({"all": {"hosts": {"eu-west-1": host}}}))
    return inventory


def test_its_playbook_makes_a_backend_and_then_changes_nothing(
    installation: Installation, inventory: Path, ministack: RunningEmulator
) -> None:
    bootstrap = ("ansible-playbook", "cornerstone.tfstate.bootstrap", "-i", str(inventory))
    first, second = installation.run(*bootstrap), installation.run(*bootstrap)
    assert "changed=0" not in first
    assert "changed=0" in second
    s3 = ministack.client("s3", region="eu-west-1")
    assert s3.get_bucket_versioning(Bucket="tf-state-packaging")["Status"] == "Enabled"
    dynamodb = ministack.client("dynamodb", region="eu-west-1")
    assert dynamodb.describe_table(TableName="tf-locks-packaging")["Table"]["KeySchema"][0]["AttributeName"] == "LockID"
    assert list((installation.home / "backends").glob("*.s3.tfbackend"))


def test_its_playbook_writes_the_report(installation: Installation, inventory: Path) -> None:
    """The style and the script of the page are files of the collection."""
    directory = installation.home / "audit"
    installation.run(
        *("ansible-playbook", "cornerstone.tfstate.audit", "-i", str(inventory)),
        *("-e", f"terraform_backend_audit_directory={directory}"),
    )
    page = (directory / "audit.html").read_text()
    assert "<style>\n:root{" in page and "<script>\nconst " in page


def test_every_module_is_documented_there(installation: Installation) -> None:
    names = [f"cornerstone.tfstate.{name}" for name in MODULES]
    assert set(json.loads(installation.run("ansible-doc", "--json", *names))) == set(names)


def test_every_documented_filter_is_documented_there(installation: Installation) -> None:
    names = [f"cornerstone.tfstate.{name}" for name in FILTERS]
    assert set(json.loads(installation.run("ansible-doc", "--type=filter", "--json", *names))) == set(names)


def test_the_role_is_documented_there(installation: Installation) -> None:
    name = "cornerstone.tfstate.terraform_backend"
    assert name in json.loads(installation.run("ansible-doc", "--type=role", "--json", name))
