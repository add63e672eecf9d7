# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Backends of every lock mode, made by the playbook, and the real terraform."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.terraform import Workspace
from tests.playbooks.project import BOOTSTRAP, Project
from tests.support.emulators import MINISTACK, running
from tests.support.relay import Relay

LOCK_MODES = ("dynamodb", "lockfile", "both")
REGION = "eu-west-1"
PROJECT = "platform/network"


@dataclass(frozen=True)
class Backend:
    """A backend as bootstrapped, and an independent look into it."""

    lock_mode: str
    project: Project
    relay: Relay
    s3: Any
    dynamodb: Any

    @property
    def files(self) -> Path:
        return self.project.home / "backends" / self.lock_mode

    @property
    def bucket(self) -> str:
        return f"state-{self.lock_mode}"

    @property
    def table(self) -> str:
        return f"locks-{self.lock_mode}"

    @property
    def tfbackend(self) -> str:
        return f"-backend-config={self.files / self.lock_mode}.s3.tfbackend"

    def lock_infos(self, key: str) -> list[str]:
        """The JSON of every lock that is held on a key: of the lock file, of the table's item."""
        return [*self._lock_file(f"{key}.tflock"), *self._lock_item(f"{self.bucket}/{key}")]

    def _lock_file(self, key: str) -> list[str]:
        found = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=key).get("Contents", [])
        return [self.s3.get_object(Bucket=self.bucket, Key=each["Key"])["Body"].read().decode() for each in found]

    def _lock_item(self, lock_id: str) -> list[str]:
        if self.lock_mode == "lockfile":
            return []
        answer = self.dynamodb.get_item(TableName=self.table, Key={"LockID": {"S": lock_id}}, ConsistentRead=True)
        return [answer["Item"]["Info"]["S"]] if "Item" in answer else []


@pytest.fixture(scope="session")
def terraform() -> str:
    found = shutil.which("terraform")
    if found:
        return str(Path(found).resolve())
    reason = "there is no terraform on PATH: nothing is proven about real clients"
    if os.environ.get("TFSTATE_REQUIRE_TERRAFORM") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def backends(terraform: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Backend]]:
    """One backend for each lock mode. The relay opens a connection per request, without which ministack may stumble."""
    with running(MINISTACK) as emulator, Relay(emulator.url) as relay:
        project = Project(tmp_path_factory.mktemp("backends"), relay.url)
        project.inventory(
            {lock_mode: {"terraform_backend_lock_mode": lock_mode} for lock_mode in LOCK_MODES},
            terraform_backend_region=REGION,
            terraform_backend_bucket_name="state-{{ inventory_hostname }}",
            terraform_backend_table_name="locks-{{ inventory_hostname }}",
            terraform_backend_state_key=f"{{{{ '{PROJECT}' | cornerstone.tfstate.state_key(inventory_hostname) }}}}",
        )
        run = project.play(BOOTSTRAP)
        assert run.code == 0, run.output
        s3, dynamodb = (emulator.client(service, region=REGION) for service in ("s3", "dynamodb"))
        yield {lock_mode: Backend(lock_mode, project, relay, s3, dynamodb) for lock_mode in LOCK_MODES}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.stem == "test_backup" and "[both]" not in item.name:
            item.add_marker("thorough")


@pytest.fixture(params=LOCK_MODES)
def backend(request: pytest.FixtureRequest, backends: dict[str, Backend]) -> Backend:
    return backends[request.param]


@pytest.fixture
def workspace(tmp_path: Path, terraform: str) -> Workspace:
    """Not initialised yet."""
    return Workspace.make(tmp_path / "workspace", terraform)
