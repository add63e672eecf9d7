# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From an organization to a fleet, and what a fleet leaves behind: the playbooks accounts and orphans."""

from __future__ import annotations

import json

import pytest

from tests.playbooks.project import Project
from tests.support.emulators import RunningEmulator
from tests.unit.plugins.modules.test_tf_backend_accounts import Organization, organization

__all__ = ["organization"]

FLEET = """\
plugin: cornerstone.tfstate.fleet
accounts_file: accounts.yml
regions: [eu-west-1]
bucket_name: acme-{account_id}-{region}
host_prefix: acme-
keyed_groups: [{key: 'tags.team | default([])', prefix: team}]
"""


@pytest.mark.slow
def test_accounts_of_an_organization_become_hosts(organization: Organization, project: Project) -> None:
    project.write("aws", "[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
    options = {"tag_names": ["team"], "units": ["Workloads"], "endpoint_url": organization.url}
    given = ("-e", json.dumps({f"terraform_backend_accounts_{name}": value for name, value in options.items()}))
    credentials = {"AWS_SHARED_CREDENTIALS_FILE": str(project.home / "aws"), "ANSIBLE_INVENTORY": "localhost,"}
    run = project.play("cornerstone.tfstate.accounts", *given, **credentials)
    assert run.code == 0, run.output
    project.write("acme.fleet.yml", FLEET)
    graph = project.run("ansible-inventory", "-i", "acme.fleet.yml", "--graph")
    assert "@ou_workloads:" in graph.output and "@ou_workloads_prod_x_eu:" in graph.output, graph.output
    assert "@team_data:\n  |  |--acme-prod-eu-y.eu-west-1" in graph.output, graph.output


@pytest.mark.emulator
def test_backends_that_no_host_names_are_listed(project: Project, emulator: RunningEmulator, unique: str) -> None:
    for region in ("eu-west-1", "us-east-1", "us-west-2"):
        place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        emulator.client("s3", region=region).create_bucket(Bucket=f"acme-{unique}-{region}", **place)
    emulator.client("dynamodb", region="eu-west-1").create_table(
        TableName=f"locks-{unique}",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
    )
    hosts = {
        region: {"terraform_backend_bucket_name": f"acme-{unique}-{region}", "terraform_backend_region": region}
        for region in ("eu-west-1", "us-west-2")
    }
    hosts["eu-west-1"]["terraform_backend_lock_mode"] = "lockfile"
    project.inventory(hosts, terraform_backend_table_name=f"locks-{unique}")
    run = project.play("cornerstone.tfstate.orphans", "-l", "eu-west-1", "-v")
    assert run.code == 0, run.output
    assert f"bucket acme-{unique}-us-east-1 in " in run.output, run.output
    assert f"table locks-{unique} in eu-west-1, account 000000000000: no host names it" in run.output, run.output
    assert "2 that no host names, in 1 account" in run.output, run.output
    project.write("inventory/us.fleet.yml", FLEET + "tabel_name: x\n")
    broken = project.play("cornerstone.tfstate.orphans")
    assert broken.code == 2 and "The inventory is not complete" in broken.output, broken.output
