# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What operators start, as tasks: everything that changes states, digests or locks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

from tests.integration.module_runs import Task
from tests.overlap.client import Site
from tests.overlap.runs import Operation

ALLOWED = ["delete_state", "disable_deletion_protection"]


@dataclass(frozen=True)
class Catalogue:
    """Operations on one backend. `early` names an early version of each state."""

    site: Site
    url: str
    home: Path
    paths: list[str]
    random: Random
    early: dict[str, str]

    def pick(self, name: str) -> Operation:
        found: Operation = getattr(self, name)()
        return found

    def _task(self, module: str, **params: Any) -> Task:
        where = {"endpoint_url": self.url, "region": self.site.region, "bucket": self.site.bucket}
        given = {**where, "table": self.site.table, **params}
        return Task(module, {name: value for name, value in given.items() if value is not None}, diff=False)

    def restore(self, backup: Path | None = None) -> Operation:
        return Operation("restore", (self._task("tf_backend_restore", backup=str(backup or self.saved)),))

    @property
    def saved(self) -> Path:
        return self.home / "backup"

    @property
    def taken_down(self) -> Path:
        return self.home / "last-backup"

    def backup(self) -> Operation:
        return Operation("backup", (self._task("tf_backend_backup", backup=str(self.saved)),))

    def teardown(self) -> Operation:
        given = {"allow": ALLOWED, "confirm_name": self.site.bucket, "backup": str(self.taken_down)}
        return Operation("teardown", (self._task("tf_backend_teardown", **given),))

    def move(self, to: Site | None = None, source_protection: str = "lock") -> Operation:
        to = to or Site(f"{self.site.bucket}-new", self.site.table and f"{self.site.table}-new")
        given = {"bucket": to.bucket, "table": to.table, "region": to.region, "source_protection": source_protection}
        source = {"source_bucket": self.site.bucket, "source_table": self.site.table or "none"}
        timeout = self.random.choice([0, 1])
        return Operation("move", (self._task("tf_state_move", **given, **source, lock_timeout=timeout),))

    def rebuild(self) -> Operation:
        return Operation("rebuild", (self._task("tf_state_digest"),))

    def digest(self) -> Operation:
        return Operation("digest", (self._task("tf_state_digest", key=self.random.choice(self.paths)),))

    def version(self) -> Operation:
        path = self.random.choice(self.paths)
        given = {"key": path, "state": "restored", "version_id": self.early[path]}
        return Operation("version", (self._task("tf_state_version", **given),))

    def lock_mode(self) -> Operation:
        given = {"lock_mode": "lockfile", "current_lock_mode": "both", "allow": ["unseen_code"], "observe_seconds": 0}
        return Operation("lock mode", (self._task("tf_lock_mode", **given),))

    def freeze(self) -> Operation:
        """All states frozen, and thawed."""
        named = str(UUID(bytes=self.random.randbytes(16)))
        timeout = self.random.choice([0, 5])
        frozen = self._task("tf_backend_freeze", state="frozen", lock_id=named, reason="a test", lock_timeout=timeout)
        return Operation("freeze", (frozen, self._task("tf_backend_freeze", state="thawed", lock_id=named)))

    def unlock(self) -> Operation:
        """A state locked by hand, and released."""
        named = str(UUID(bytes=self.random.randbytes(16)))
        given = {"key": self.random.choice(self.paths), "lock_id": named}
        tasks = (self._task("tf_state_lock", state=state, **given) for state in ("held", "released"))
        return Operation("unlock", tuple(tasks))
