# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Emulators of AWS on a free loopback port, and the one list of how they differ from AWS."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import botocore.session
from botocore.config import Config

START_LIMIT_S = 30.0
#: An emulator pins its botocore: tests on another one run it elsewhere.
PYTHON = os.environ.get("TFSTATE_EMULATOR_PYTHON", sys.executable)

# What AWS does. Where an emulator does not, its `lacks` says so, and tests/unit/support/test_differences.py proves it,
# so that an emulator that has learned something makes a test fail here and nowhere else.
AWS_BEHAVIOURS = {
    "new_buckets_are_encrypted": "GetBucketEncryption of a new bucket answers AES256",
    "new_buckets_block_sse_c": "and that uploads with customer keys are blocked",
    "blocked_encryption_types_are_kept": "BlockedEncryptionTypes stay as put, until a put names others",
    "bucket_key_is_kept": "PutBucketEncryption keeps BucketKeyEnabled, with BlockedEncryptionTypes present",
    "deleted_encryption_is_aes256": "DeleteBucketEncryption goes back to AES256",
    "new_buckets_block_public_access": "all four public access blocks are set on a new bucket",
    "new_buckets_enforce_the_owner": "a new bucket answers BucketOwnerEnforced",
    "tags_on_create_are_kept": "CreateBucket takes tags",
    "head_bucket_names_the_region": "HeadBucket carries x-amz-bucket-region",
    "newer_noncurrent_versions_are_kept": "lifecycle rules keep NewerNoncurrentVersions",
    "foreign_owners_are_refused": "ExpectedBucketOwner is compared",
    "public_policies_are_blocked": "BlockPublicPolicy refuses a public policy",
    "malformed_policies_are_refused": "a policy without statements is MalformedPolicy",
    "billing_summary_is_absent_until_on_demand": "a table created PROVISIONED has no BillingModeSummary",
    "table_class_updates_are_kept": "UpdateTable changes the table class",
    "sse_updates_are_kept": "UpdateTable changes the encryption key",
    "absent_sse_means_the_aws_owned_key": "encryption switched off leaves no SSEDescription",
    "recovery_period_is_kept": "point-in-time recovery keeps RecoveryPeriodInDays",
    "update_table_takes_one_change": "UpdateTable refuses two logical changes at once",
    "tables_start_as_creating": "CreateTable answers before the table is ACTIVE",
}


@dataclass(frozen=True)
class Emulator:
    """A program that answers like AWS, mostly."""

    name: str
    module: str
    health: str
    reset: str
    lacks: frozenset[str]
    arguments: tuple[str, ...] = ()
    #: Run in its process before it.
    prelude: str = ""
    environment: dict[str, str] = field(default_factory=dict)


MINISTACK = Emulator(
    name="ministack",
    module="ministack",
    prelude=str(Path(__file__).with_name("asgi_server.py")),
    health="/_ministack/health",
    reset="/_ministack/reset",
    environment={
        "GATEWAY_PORT": "{port}",
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
    },
    lacks=frozenset(
        {
            "new_buckets_block_sse_c",
            "blocked_encryption_types_are_kept",
            "new_buckets_block_public_access",
            "foreign_owners_are_refused",
            "malformed_policies_are_refused",
            "billing_summary_is_absent_until_on_demand",
            "absent_sse_means_the_aws_owned_key",
            "recovery_period_is_kept",
            "update_table_takes_one_change",
            "tables_start_as_creating",
        }
    ),
)

MOTO = Emulator(
    name="moto",
    module="moto.server",
    arguments=("-H", "127.0.0.1", "-p", "{port}"),
    health="/moto-api/data.json",
    reset="/moto-api/reset",
    lacks=frozenset(
        {
            "new_buckets_are_encrypted",
            "new_buckets_block_sse_c",
            "blocked_encryption_types_are_kept",
            "deleted_encryption_is_aes256",
            "new_buckets_block_public_access",
            "new_buckets_enforce_the_owner",
            "tags_on_create_are_kept",
            "newer_noncurrent_versions_are_kept",
            "foreign_owners_are_refused",
            "public_policies_are_blocked",
            "malformed_policies_are_refused",
            "billing_summary_is_absent_until_on_demand",
            "table_class_updates_are_kept",
            "sse_updates_are_kept",
            "absent_sse_means_the_aws_owned_key",
            "update_table_takes_one_change",
            "tables_start_as_creating",
        }
    ),
)

EMULATORS = (MINISTACK, MOTO)

# Runs a module until the other end of standard input is gone, however our process ended, and then tidies up for it.
_LEASH = """
import os, runpy, shutil, signal, sys, threading
def die_with_parent(home):
    os.read(0, 1)
    shutil.rmtree(home, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)
threading.Thread(target=die_with_parent, args=(sys.argv[1],), daemon=True).start()
if sys.argv[2]:
    runpy.run_path(sys.argv[2])
del sys.argv[:3]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


@dataclass(frozen=True)
class RunningEmulator:
    """An emulator that answers at `url`."""

    emulator: Emulator
    url: str
    pid: int

    def lacks(self, behaviour: str) -> bool:
        if behaviour not in AWS_BEHAVIOURS:
            raise KeyError(behaviour)
        return behaviour in self.emulator.lacks

    def client(self, service: str, **options: Any) -> Any:
        return client(self.url, service, **options)

    def reset(self) -> None:
        """Forget everything. Tests in parallel share nothing, but prefer unique names all the same: they are faster."""
        request = urllib.request.Request(self.url + self.emulator.reset, method="POST")
        with _opener().open(request, timeout=10):
            pass


@contextmanager
def running(emulator: Emulator, **environment: str) -> Iterator[RunningEmulator]:
    """Start an emulator, wait until it answers, and stop it for sure."""
    with tempfile.TemporaryDirectory(prefix=f"{emulator.name}-", ignore_cleanup_errors=True) as home:
        port = _free_port()
        with _process(emulator, port, Path(home), environment) as process:
            url = f"http://127.0.0.1:{port}"
            _wait_until_healthy(process, url + emulator.health, Path(home) / "log")
            yield RunningEmulator(emulator, url, process.pid)


@contextmanager
def _process(emulator: Emulator, port: int, home: Path, extra: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    arguments = [argument.format(port=port) for argument in emulator.arguments]
    settings = {name: value.format(port=port) for name, value in emulator.environment.items()} | extra
    inherited = {name: os.environ[name] for name in ("PATH", "LANG", "VIRTUAL_ENV") if name in os.environ}
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [PYTHON, "-c", _LEASH, str(home), emulator.prelude, emulator.module, *arguments],
            env=inherited | {"HOME": str(home), "TMPDIR": str(home), "AWS_EC2_METADATA_DISABLED": "true"} | settings,
            cwd=home,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdin:
            process.stdin.close()


def _wait_until_healthy(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with _opener().open(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise TimeoutError(f"{url} did not answer within {START_LIMIT_S:.0f} s:\n{log.read_text(errors='replace')[-2000:]}")


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@lru_cache(maxsize=1)
def _session() -> botocore.session.Session:
    return botocore.session.Session()


@lru_cache(maxsize=64)
def client(url: str, service: str, region: str = "us-east-1", access_key: str = "test", attempts: int = 1) -> Any:
    """A botocore client that never looks at the environment, and by default never retries."""
    return _session().create_client(
        service,
        region_name=region,
        endpoint_url=url,
        aws_access_key_id=access_key,
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": attempts}, connect_timeout=5, read_timeout=15),
    )
