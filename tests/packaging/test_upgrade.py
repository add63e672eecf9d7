# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Backends that release 0.1.0 converged, after an upgrade: the same inventory changes nothing."""

from __future__ import annotations

import base64
import json
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.packaging.conftest import Installation
from tests.support.emulators import RunningEmulator
from tests.support.relay import Relay
from tests.support.released import ARCHIVE, released_role

PREFIX = "terraform_backend_"
REGION = "eu-west-1"
ACCOUNT = "000000000000"
LOGS = "access-logs-upgrade"
#: Another choice than that of `every_variable`, or what the emulator does not offer.
LEFT_OUT = {"profile", "aws_ca_bundle", "bucket_unmanaged", "table_unmanaged"}
#: A backend that others manage in part.
SHARED = {
    "bucket_name": "tf-state-upgrade-shared",
    "lock_mode": "lockfile",
    "bucket_unmanaged": ["tags", "logging"],
    "table_unmanaged": ["tags"],
}
FACTS = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.debug:
        msg: "<{{ inventory_hostname }} {{ terraform_backend | to_json | b64encode }}>"
"""


def every_variable(kms_key: str) -> dict[str, Any]:
    """Each variable of the role with a value other than its default."""
    return {
        "name": "everything",
        "config_directory": "files/everything",
        "config_allow": ["overwrite_files"],
        "state_key": "network/prod/terraform.tfstate",
        "workspace_key_prefix": "workspaces",
        "lock_mode": "both",
        "client": "opentofu",
        "client_version": ">= 1.11",
        "client_profile": "clients",
        "client_assume_role_arn": f"arn:aws:iam::{ACCOUNT}:role/clients",
        "client_assume_role_external_id": "clients-of-network",
        "client_assume_role_session_name": "clients",
        "account_id": ACCOUNT,
        "assume_role_arn": f"arn:aws:iam::{ACCOUNT}:role/backends",
        "assume_role_external_id": "backends-of-network",
        "assume_role_session_name": "backends",
        "session_token": "token",
        "aws_config": {"connect_timeout": 5},
        "cache_credentials": False,
        "validate_certs": False,
        "wait_timeout": 60,
        "bucket_name": "tf-state-upgrade",
        "bucket_abort_incomplete_multipart_upload_days": 3,
        "bucket_allow": ["enable_object_lock", "drop_policy_statements"],
        "bucket_allowed_organization_ids": ["o-exampleorgid"],
        "bucket_allowed_vpc_endpoint_ids": ["vpce-1a2b3c4d"],
        "bucket_bucket_key_enabled": False,
        "bucket_encryption": "aws:kms",
        "bucket_expired_object_delete_marker": False,
        "bucket_kms_key_id": kms_key,
        "bucket_logging_target_bucket": LOGS,
        "bucket_logging_target_prefix": "states/",
        "bucket_minimum_tls_version": "1.3",
        "bucket_newer_noncurrent_versions": 50,
        "bucket_noncurrent_version_expiration_days": 365,
        "bucket_object_lock": True,
        "bucket_object_lock_days": 30,
        "bucket_object_lock_mode": "GOVERNANCE",
        "bucket_object_ownership": "BucketOwnerEnforced",
        "bucket_policy_statements": [
            {
                "Sid": "ReadNetworkState",
                "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
                "Action": "s3:GetObject",
                "Resource": "arn:aws:s3:::tf-state-upgrade/network/terraform.tfstate",
            }
        ],
        "bucket_public_access": {"block_public_acls": True, "ignore_public_acls": True},
        "bucket_purge_policy_statements": True,
        "bucket_purge_tags": True,
        "bucket_require_kms_key": True,
        "bucket_require_tls": True,
        "bucket_tags": {"team": "network"},
        "bucket_versioning": True,
        "table_name": "tf-locks-upgrade",
        "table_allow": ["weaken_encryption"],
        "table_billing_mode": "PROVISIONED",
        "table_read_capacity": 5,
        "table_write_capacity": 5,
        "table_deletion_protection": True,
        "table_encryption": "customer_managed_key",
        "table_kms_key_id": kms_key,
        "table_point_in_time_recovery": True,
        "table_recovery_period_days": 35,
        "table_purge_tags": True,
        "table_table_class": "STANDARD_INFREQUENT_ACCESS",
        "table_tags": {"team": "network"},
    }


@dataclass(frozen=True)
class Upgrade:
    """An installation with the demo of release 0.1.0 and an inventory of our own."""

    installation: Installation
    relay: Relay

    def converge(self) -> tuple[str, str]:
        """What Ansible prints of the demo and of the other backends."""
        port = self.relay.url.rpartition(":")[2]
        demo = ("0.1.0/bootstrap.yml", "-i", "0.1.0/inventories/demo")
        others = ("cornerstone.tfstate.bootstrap", "facts.yml", "-i", "hosts.json")
        return (
            self.installation.run("ansible-playbook", *demo, TFSTATE_EMULATOR_PORT=port),
            self.installation.run("ansible-playbook", *others),
        )

    @property
    def files(self) -> dict[Path, str]:
        folders = (self.installation.home / name for name in ("0.1.0/.state", "backends", "files"))
        return {file: file.read_text() for folder in folders for file in folder.rglob("*") if file.is_file()}


@pytest.fixture
def upgrade(installation: Installation, ministack: RunningEmulator, tmp_path: Path) -> Iterator[Upgrade]:
    ministack.reset()  # the demo has names of its own
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path / "0.1.0", filter="data")
    own = replace(installation, collections=tmp_path / "collections", home=tmp_path)
    own.run("ansible-galaxy", "collection", "build", "0.1.0")
    own.install(tmp_path / "cornerstone-tfstate-0.1.0.tar.gz")
    with Relay(ministack.url) as relay:
        (tmp_path / "hosts.json").write_text(json.dumps(inventory(relay.url, kms_key(ministack))))
        (tmp_path / "facts.yml").write_text(FACTS)
        yield Upgrade(own, relay)


def kms_key(emulator: RunningEmulator) -> str:
    """And a bucket for logs."""
    emulator.client("s3", region=REGION).create_bucket(
        Bucket=LOGS, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    return str(emulator.client("kms", region=REGION).create_key()["KeyMetadata"]["Arn"])


def inventory(endpoint_url: str, kms_key: str) -> dict[str, Any]:
    common = {"region": REGION, "endpoint_url": endpoint_url, "access_key": "test", "secret_key": "test"}
    local = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    hosts = {"everything": every_variable(kms_key), "shared": SHARED}
    return {
        "all": {
            "hosts": {
                host: {PREFIX + name: value for name, value in (common | variables).items()} | local
                for host, variables in hosts.items()
            }
        }
    }


def facts(output: str) -> dict[str, dict[str, Any]]:
    found = re.findall(r"<(\w+) ([\w+/=]+)>", output)
    return {host: json.loads(base64.b64decode(value)) for host, value in found}


def test_each_variable_of_the_release_is_in_the_inventory() -> None:
    given = inventory("", "")["all"]["hosts"]["everything"]
    assert released_role().keys() - given.keys() == {PREFIX + name for name in LEFT_OUT}


def test_an_upgrade_changes_no_backend(upgrade: Upgrade, tarball: Path) -> None:
    first = upgrade.converge()
    assert all("changed=0" not in output and "failed=0" in output for output in first)
    files = upgrade.files
    assert len(files) == 3 * 7
    upgrade.relay.calls.clear()

    upgrade.installation.install(tarball)
    assert not (upgrade.installation.collection / "plugins" / "filter" / "backend_problems.py").exists()
    second = upgrade.converge()
    assert "5 backends: 5 ok, 0 failed, 0 changed\n" in second[0]
    assert "2 backends: 2 ok, 0 failed, 0 changed\n" in second[1]
    # Where tags are unmanaged, nothing records that the store supports lock files, and each run tests it.
    assert [call for call in upgrade.relay.writes if "cornerstone.tfstate/probe/" not in call.request.target] == []
    assert upgrade.files == files
    before, after = facts(first[1]), facts(second[1])
    assert before.keys() == {"everything", "shared"}
    assert {host: fact for host, fact in before.items() if not fact.items() <= after[host].items()} == {}
