# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Steps from lock mode to lock mode, and digests rebuilt, killed after every call while clients go on to write.

Wherever it dies: no client that may read a digest reads a wrong one, and no lock is left but such as the next run takes
for its own. That run completes the step, and a third one writes nothing.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.integration.module_runs import Fork, Result, RunTasks
from tests.integration.test_digest_rebuild import as_task
from tests.integration.test_lock_mode import ONE, QA, TWO, Backend, digest, state
from tests.support.callers import kill_caller
from tests.support.emulators import RunningEmulator
from tests.support.relay import Relay

STATES = (ONE, TWO, QA)
LEAST_CALLS = 15


@dataclass
class Victim:
    """A backend of its own for each kill."""

    backend: Backend
    run_tasks: RunTasks

    def task(self, lock_mode: str) -> Result:
        """An empty one: the digests of all states."""
        if not lock_mode:
            return self.run_tasks([as_task(self.backend, wait_timeout=60)])[0]
        asked = self.backend.as_task(lock_mode, code=None, allow=["unseen_code"], observe_seconds=0, wait_timeout=60)
        (result,) = self.run_tasks([asked])
        return result

    def done(self, lock_mode: str) -> Result:
        result = self.task(lock_mode)
        assert not result.get("failed"), result["msg"]
        return result

    def client_writes(self, path: str, serial: int) -> bool:
        """As a client of mode both does, unless it finds a lock: the state, and a digest as far as it may."""
        if self.locks(path):
            return False
        self.backend.write(path, state(serial), digest_too=not self.backend.has_digest_policy)
        return True

    def locks(self, path: str) -> list[str]:
        in_file = [each for each in self.backend.objects if each == f"{path}.tflock"]
        in_table = [name for name in self.backend.items if name == path]
        return [*in_file, *in_table]

    @property
    def wrong(self) -> list[str]:
        """The digests that stop a client: that do not fit, and may be read."""
        if self.backend.has_digest_policy:
            return []
        found = self.backend.digests
        bodies = {
            path: self.backend.s3.get_object(Bucket=self.backend.bucket, Key=path)["Body"].read() for path in found
        }
        return [path for path, body in bodies.items() if found[path] != digest(body)]


@pytest.fixture
def fresh(emulator: RunningEmulator, relay: Relay, launcher: subprocess.Popen[str], tmp_path: Path) -> Any:
    run_tasks = Fork(launcher, True, tmp_path)

    def make() -> Victim:
        name = uuid4().hex[:16]
        relay._behaviours.clear()
        relay._rules.clear()
        return Victim(Backend(relay, emulator, f"tf-state-{name}", f"tf-locks-{name}", tmp_path), run_tasks)

    return make


def there(victim: Victim) -> str:
    return "lockfile"


def back(victim: Victim) -> str:
    """A digest of before was left, and lock files alone have been used since."""
    victim.done("lockfile")
    victim.backend.item(f"{ONE}-md5", Digest={"S": digest(state())})
    victim.backend.write(ONE, state(5), digest_too=False)
    return "both"


def back_without_digest_policy(victim: Victim) -> str:
    """The same where the table had no digest policy."""
    victim.backend.write(ONE, state(5), digest_too=False)
    return "both"


def rebuilt(victim: Victim) -> str:
    """The table was lost."""
    for path in STATES:
        name = {"LockID": {"S": f"{victim.backend.bucket}/{path}-md5"}}
        victim.backend.dynamodb.delete_item(TableName=victim.backend.table, Key=name)
    return ""


@pytest.mark.parametrize("stride", [pytest.param(7, id="some"), pytest.param(1, id="any", marks=pytest.mark.thorough)])
@pytest.mark.parametrize("prepare", [there, back, rebuilt, back_without_digest_policy])
def test_a_step_that_is_killed_after_a_call_harms_nobody_and_is_completed(
    fresh: Any, prepare: Any, stride: int
) -> None:
    written = 0
    for kills in range(1, 200, stride):
        victim: Victim = fresh()
        target = prepare(victim)
        stopped_before = set(victim.wrong)
        if not killed(victim, target, kills):
            break
        assert set(victim.wrong) <= stopped_before, kills
        written += sum(victim.client_writes(path, 9) for path in STATES if path not in stopped_before)
        assert set(victim.wrong) <= stopped_before, kills
        completed(victim, target, kills)
    assert kills > LEAST_CALLS and written > kills // stride, "most states are not locked at most moments"


def killed(victim: Victim, target: str, k: int) -> bool:
    """Whether the run lived until its k-th call, which was its last."""
    rule = victim.backend.relay.kill_after(k, kill_caller)
    result = victim.task(target)
    rule.times = 0
    assert rule.fired or not result.get("failed"), result
    assert not rule.fired or "SIGKILL" in result["msg"], result
    return bool(rule.fired)


def completed(victim: Victim, target: str, k: int) -> None:
    backend = victim.backend
    assert not victim.done(target).get("missing")
    assert (k, victim.wrong, [path for path in STATES if victim.locks(path)]) == (k, [], [])
    assert (k, backend.has_digest_policy) == (k, target == "lockfile")
    assert target or set(backend.digests) == set(STATES)
    assert target != "lockfile" or backend.digests == {}
    writes = len(backend.relay.writes)
    assert (k, victim.done(target)["changed"], len(backend.relay.writes) - writes) == (k, False, 0)
