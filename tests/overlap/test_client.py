# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The protocol client calls what terraform calls, and keeps out whom terraform keeps out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.overlap.bench import Bench
from tests.overlap.client import Client, Journal, Site

PATH = "app/a.tfstate"
FILE = ["PutObject .tflock", "DeleteObject .tflock"]
STATE = ["GetObject", "PutObject"]
#: What was captured of terraform 1.11.4, less reads of locks, which the recorder leaves out.
CALLS = {
    "dynamodb": ["PutItem", "GetObject", "PutObject", "PutItem -md5", "DeleteItem"],
    "lockfile": ["PutObject .tflock", "GetObject", "PutObject", "DeleteObject .tflock"],
    "both": [
        *("PutObject .tflock", "PutItem", "GetObject", "PutObject", "PutItem -md5"),
        *("DeleteObject .tflock", "DeleteItem"),
    ],
}


@pytest.fixture
def site(ready: Bench) -> Site:
    site = Site(f"client-{uuid4().hex[:12]}", f"client-{uuid4().hex[:12]}")
    s3, dynamodb = (ready.emulator.client(each, access_key="setup") for each in ("s3", "dynamodb"))
    s3.create_bucket(Bucket=site.bucket)
    s3.put_bucket_versioning(Bucket=site.bucket, VersioningConfiguration={"Status": "Enabled"})
    key = [{"AttributeName": "LockID", "KeyType": "HASH"}]
    types = [{"AttributeName": "LockID", "AttributeType": "S"}]
    given = {"KeySchema": key, "AttributeDefinitions": types, "BillingMode": "PAY_PER_REQUEST"}
    dynamodb.create_table(TableName=site.table, **given)
    return site


@pytest.fixture
def client(ready: Bench, site: Site, tmp_path: Path) -> Any:
    journal = Journal(tmp_path / "journal")
    return lambda mode: Client(f"client-{mode}-{uuid4().hex[:6]}", mode, site, ready.emulator.url, journal, 0)


def calls_of(ready: Bench, who: str) -> list[str]:
    lines = [json.loads(line) for line in ready.log.read_text().splitlines() if f'"{who}"' in line]
    about = [str(each.get("key") or each.get("item")).partition(PATH)[2] for each in lines]
    return [f"{each['op']} {suffix}".strip() for each, suffix in zip(lines, about, strict=True)]


@pytest.mark.parametrize("mode", CALLS)
def test_an_apply_is_what_terraform_does(ready: Bench, client: Any, mode: str):
    ann = client(mode)
    assert [ann.apply(PATH), ann.apply(PATH)] == ["applied", "applied"]
    assert calls_of(ready, ann.who) == CALLS[mode] * 2
    wrote = [each for each in ann.journal.lines if each["event"] == "wrote"]
    assert [each["serial"] for each in wrote] == [1, 2]
    assert wrote[1]["upon"] == wrote[0]["version"] and wrote[0]["lineage"] == wrote[1]["lineage"]


@pytest.mark.parametrize(
    ("first", "second", "is_kept_out"),
    [
        *((mode, mode, True) for mode in CALLS),
        ("both", "dynamodb", True),
        ("both", "lockfile", True),
        ("dynamodb", "both", True),
        ("lockfile", "both", True),
        ("dynamodb", "lockfile", False),
    ],
)
def test_who_shares_a_store_is_kept_out(client: Any, first: str, second: str, is_kept_out: bool):
    ann, ben = client(first), client(second)
    info = ann._info(PATH)
    ann._lock(PATH, info)
    assert ben.apply(PATH).startswith("locked by OperationTypeApply of client-") == is_kept_out
    ann._unlock(PATH, info)
    assert ann.apply(PATH) == "applied" or not is_kept_out


def test_a_digest_that_does_not_fit_stops_those_that_read_it(ready: Bench, client: Any, site: Site):
    ann, ben = client("both"), client("lockfile")
    assert [ann.apply(PATH), ben.apply(PATH), ann.apply(PATH)] == ["applied", "applied", "digest does not fit"]
