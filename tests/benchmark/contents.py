# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How long tf_backend_info takes for a backend of many states, by how many requests, and in how much memory.

python -m tests.benchmark.contents --states 10000 --locks 500
python -m tests.benchmark.contents --states 1 --megabytes 200
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import re
import time
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.support.emulators import MINISTACK, RunningEmulator, running
from tests.support.relay import Relay

BUCKET, TABLE, REGION = "tf-state-of-many", "tf-locks-of-many", "us-east-1"
LINEAGE = "2d29fd45-36f0-4bd9-8a51-76a7a3bd3a56"
RESOURCE_BYTES = 2000


def body(serial: int, size: int) -> bytes:
    """A state of about so many bytes, in resources of two thousand."""
    instance = {"schema_version": 0, "attributes": {"input": "x" * RESOURCE_BYTES}}
    held = [
        {"mode": "managed", "type": "terraform_data", "name": f"r{place}", "instances": [instance]}
        for place in range(max(1, size // RESOURCE_BYTES))
    ]
    known = {"version": 4, "terraform_version": "1.11.4", "serial": serial, "lineage": LINEAGE}
    return json.dumps({**known, "outputs": {}, "resources": held}).encode()


def fill(emulator: RunningEmulator, states: int, locks: int, size: int) -> None:
    s3, dynamodb = emulator.client("s3"), emulator.client("dynamodb")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    dynamodb.create_table(
        TableName=TABLE,
        AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    for place in range(states):
        path, content = f"team-{place % 97:02}/project-{place:05}/terraform.tfstate", body(place, size)
        s3.put_object(Bucket=BUCKET, Key=path, Body=content)
        digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
        put(dynamodb, f"{path}-md5", Digest=digest)
        if place < locks:
            record = {"ID": f"{place:036}", "Operation": "OperationTypeApply", "Info": "", "Who": "ann@runner"}
            record |= {"Version": "1.11.4", "Created": "2026-01-02T03:04:05.6Z", "Path": f"{BUCKET}/{path}"}
            text = json.dumps(record, separators=(",", ":"))
            s3.put_object(Bucket=BUCKET, Key=f"{path}.tflock", Body=text.encode())
            put(dynamodb, path, Info=text)


def put(dynamodb: Any, path: str, **attributes: str) -> None:
    told = {name: {"S": value} for name, value in attributes.items()}
    dynamodb.put_item(TableName=TABLE, Item={"LockID": {"S": f"{BUCKET}/{path}"}, **told})


def look(url: str, gather: list[str] | None, tell: Connection) -> None:
    """In a process of its own, whose memory is nobody else's."""
    from tests.integration.module_runs import Task, through_core  # loads botocore here, and not in the parent

    connection = {"endpoint_url": url, "region": REGION, "access_key": "test", "secret_key": "test"}
    asked = {"bucket": BUCKET, "table": TABLE, **connection, **({"gather": gather} if gather else {})}
    before_mb = peak_mb()
    start = time.monotonic(), time.process_time()
    (result,) = through_core([Task("tf_backend_info", asked)])
    spent = time.monotonic() - start[0], time.process_time() - start[1]
    if result.get("failed"):
        raise SystemExit(result["msg"])
    backend = result["backend"]
    kinds = Counter(each["status"] for each in backend["digests"] or [])
    counts = {name: len(backend[name] or []) for name in ("states", "locks", "digests", "unknown")}
    tell.send((*spent, before_mb, peak_mb(), {**counts, **kinds}, len(json.dumps(result))))


def peak_mb() -> float:
    """Of this process since it began; what getrusage says begins with the parent."""
    return int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--states", type=int, default=10_000)
    parser.add_argument("--locks", type=int, default=500)
    parser.add_argument("--kilobytes", type=int, default=4, help="of each state")
    parser.add_argument("--megabytes", type=int, default=0, help="of each state, instead")
    parser.add_argument("--gather", action="append", help="as the option of the module; again for another")
    asked = parser.parse_args()
    size = asked.megabytes * 1024 * 1024 or asked.kilobytes * 1024
    with running(MINISTACK) as emulator, Relay(emulator.url) as relay:
        fill(emulator, asked.states, min(asked.locks, asked.states), size)
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process(target=look, args=(relay.url, asked.gather, theirs))
        process.start()
        theirs.close()
        wall_s, cpu_s, before_mb, after_mb, counts, result_bytes = ours.recv()
        process.join()
    print(f"{wall_s:.1f} s ({cpu_s:.1f} s of CPU), {before_mb:.0f} MB before and {after_mb:.0f} MB at most,")
    print(f"{len(relay.calls)} requests: {dict(Counter(relay.operations))}")
    print(f"{counts}, {result_bytes / 1e6:.1f} MB of result")


if __name__ == "__main__":
    main()
