# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Backends to converge: their names, and the files that tell each peer about them."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# fmt: off
REGIONS = (
    "us-east-1", "us-east-2", "us-west-1", "us-west-2", "af-south-1", "ap-east-1", "ap-northeast-1", "ap-northeast-2",
    "ap-northeast-3", "ap-south-1", "ap-south-2", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3",
    "ap-southeast-4", "ap-southeast-5", "ca-central-1", "ca-west-1", "eu-central-1", "eu-central-2", "eu-north-1",
    "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3", "il-central-1", "me-central-1", "me-south-1",
    "sa-east-1",
)
# fmt: on
#: Where no role is assumed, all is done in the account of the credentials that the run begins with.
OWN_ACCOUNT = "000000000000"
TAGS = {"owner": "platform", "managed-by": "bench"}


@dataclass(frozen=True)
class Target:
    region: str
    bucket: str
    table: str
    account: str = OWN_ACCOUNT

    @property
    def name(self) -> str:
        return f"{self.account}.{self.region}"

    @property
    def role(self) -> str | None:
        """The role to assume, of a backend in another account."""
        if self.account == OWN_ACCOUNT:
            return None
        return f"arn:aws:iam::{self.account}:role/terraform-backend-admin"


def targets(prefix: str, count: int) -> list[Target]:
    """Up to a backend per region in our own account; more of them lie in accounts of their own, one role each."""
    if count <= len(REGIONS):
        accounts = [OWN_ACCOUNT]
    else:
        accounts = [f"{number:012}" for number in range(1, 1 + -(-count // len(REGIONS)))]
    places = [(account, region) for account in accounts for region in REGIONS][:count]
    return [
        Target(region, f"{prefix}-{count}-state-{account}-{region}", f"{prefix}-{count}-locks", account)
        for account, region in places
    ]


def write_list(path: Path, wanted: list[Target]) -> None:
    """Lines of region, bucket, table and account, for scripts."""
    path.write_text("".join(f"{each.region} {each.bucket} {each.table} {each.account}\n" for each in wanted))


def read_list(path: str) -> list[Target]:
    return [Target(*line.split()) for line in Path(path).read_text().splitlines()]


def write_inventory(path: Path, wanted: list[Target], backends: Path) -> None:
    """One inventory for every peer that is Ansible. Nothing is logged in to."""
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "terraform_backend_config_directory": f"{backends}/{{{{ inventory_hostname }}}}",
        "terraform_backend_bucket_tags": TAGS,
        "terraform_backend_table_tags": TAGS,
    }
    hosts = {each.name: _variables(each) for each in wanted}
    path.write_text(json.dumps({"all": {"vars": variables, "children": {"backends": {"hosts": hosts}}}}))


def _variables(target: Target) -> dict[str, Any]:
    found = {
        "terraform_backend_region": target.region,
        "terraform_backend_bucket_name": target.bucket,
        "terraform_backend_table_name": target.table,
        "terraform_backend_assume_role_arn": target.role,
    }
    return {name: value for name, value in found.items() if value}
