# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Twelve kinds of backend, from what tf_backend_info tells of them, against sums that were made by hand.

A run is `init` (2 LIST, HEAD, GET, GetItem) and `apply` (LIST, HEAD, GET, PUT of the state; lock file: PUT, GET;
table: lock, digest, unlock, and to read digest and lock). Prices are literal here, as AWS's price lists have them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._cost.usage import cost_in_use

GB = 2**30
KEY = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ON_DEMAND = {"billing_mode": "PAY_PER_REQUEST", "read_capacity": None, "write_capacity": None}
PLAIN = {"algorithm": "AES256", "kms_key_id": None, "bucket_key_enabled": False}
WITH_KEY = {"algorithm": "aws:kms", "kms_key_id": KEY, "bucket_key_enabled": True}


@dataclass(frozen=True)
class Kind:
    """A backend, the sum by hand, and what is said to be missing."""

    by_hand: float
    region: str = "us-east-1"
    states_gb: float = 0
    old_gb: float = 0
    locks: int = 0
    writes: int = 0
    encryption: dict[str, Any] = field(default_factory=lambda: PLAIN)
    table: dict[str, Any] | None = None
    more: dict[str, Any] = field(default_factory=dict)
    usage: dict[str, Any] = field(default_factory=dict)
    runs: int | None = None
    missing: str = ""

    def facts(self) -> dict[str, Any]:
        rule = {"NoncurrentVersionExpiration": {"NoncurrentDays": 90}, "Status": "Enabled", "Filter": {}}
        bucket = {"exists": True, "region": self.region, "versioning": "Enabled", "lifecycle": {"old": rule}}
        table = {"exists": True, "size_bytes": 0, "table_class": "STANDARD", "encryption": {"kms_key_id": None}}
        table |= {"billing": ON_DEMAND, "recovery": {"enabled": True, "period_days": 35}}
        usage = {"current_bytes": int(self.states_gb * GB), "noncurrent_bytes": int(self.old_gb * GB)}
        usage |= {"state_writes": self.writes, "lock_writes": self.locks, "state_puts": self.writes}
        return {
            "region": self.region,
            "bucket": {**bucket, "encryption": self.encryption},
            "table": None if self.table is None else {**table, **self.table},
            "usage": {**usage, "multipart_writes": 0, **self.usage},
            "kms_keys": {KEY: {"manager": "CUSTOMER", "rotations": 0}},
            **self.more,
        }


KINDS = {
    # 2 GB x 0.023 + (10,000 x (3 LIST + PUT) + 10,000 PUT) x 0.005/1000 + 10,000 x 5 x 0.0004/1000
    "lock files, Virginia": Kind(
        by_hand=2 * 0.023 + 50_000 * 0.005 / 1000 + 50_000 * 0.0004 / 1000,  # 0.316
        states_gb=0.5,
        old_gb=1.5,
        locks=10_000,
        writes=10_000,
    ),
    # The same, but only every fifth run changes a state: 40,000 + 2,000 writes.
    "mostly plans": Kind(
        by_hand=2 * 0.023 + 42_000 * 0.005 / 1000 + 50_000 * 0.0004 / 1000,  # 0.276
        states_gb=2,
        locks=10_000,
        writes=2_000,
    ),
    # A key with a bucket key asks KMS next to nothing: 1 dollar besides.
    "lock files with a KMS key": Kind(
        by_hand=1 + 0.2 * 0.023 + 15_000 * 0.005 / 1000 + 15_000 * 0.0004 / 1000,  # 1.0856
        states_gb=0.2,
        locks=3_000,
        writes=3_000,
        encryption=WITH_KEY,
    ),
    # Without a bucket key, each run reads the state twice, writes it, and writes and reads a lock: 5 requests to KMS.
    "no bucket key, rotated twice": Kind(
        by_hand=3 + 0.2 * 0.023 + 250_000 * (0.005 + 0.0004) / 1000 + 250_000 * 0.03 / 10_000,  # 5.1046
        states_gb=0.2,
        locks=50_000,
        writes=50_000,
        encryption={**WITH_KEY, "bucket_key_enabled": False},
        more={"kms_keys": {KEY: {"manager": "CUSTOMER", "rotations": 2}}},
    ),
    # Lock, digest, unlock are 3 write units; the digest twice and the lock are 3 read units. GB x (storage + recovery).
    "both locks, Ireland": Kind(
        by_hand=0.1 * 0.023
        + 100_000 * (0.005 + 0.0004) / 1000
        + 60_000 * 0.705 / 1e6
        + 60_000 * 0.1415 / 1e6
        + 0.01 * (0.283 + 0.22),  # 0.598
        region="eu-west-1",
        states_gb=0.1,
        locks=20_000,
        writes=20_000,
        table={"size_bytes": GB // 100},
    ),
    # The table alone: no lock file. Runs are said, as plans leave no trace: 3 LIST + PUT, 4 reads.
    "table locks with runs said, Frankfurt": Kind(
        by_hand=40 * 0.0245
        + (60_000 + 5_000) * 0.0054 / 1000
        + 80_000 * 0.00043 / 1000
        + 45_000 * 0.7625 / 1e6
        + 60_000 * 0.1525 / 1e6,  # 1.409
        region="eu-central-1",
        states_gb=10,
        old_gb=30,
        writes=5_000,
        runs=20_000,
        table={},
    ),
    # Nobody said how often: each state that changed was a run, at least.
    "table locks without runs said, Sydney": Kind(
        by_hand=10 * 0.025
        + 20_000 * 0.0055 / 1000
        + 20_000 * 0.00044 / 1000
        + 15_000 * 0.71 / 1e6
        + 15_000 * 0.1425 / 1e6,  # 0.3816
        region="ap-southeast-2",
        states_gb=4,
        old_gb=6,
        writes=5_000,
        table={},
        missing="locks in a table leave no trace",
    ),
    # 5 + 5 units for 730 hours, and requests to the table are free.
    "provisioned capacity, GovCloud": Kind(
        by_hand=5 * 730 * (0.00078 + 0.000156) + 25 * 0.039 + 5_000 * (0.005 + 0.0004) / 1000,  # 4.4184
        region="us-gov-west-1",
        states_gb=25,
        locks=1_000,
        writes=1_000,
        table={"billing": {"billing_mode": "PROVISIONED", "read_capacity": 5, "write_capacity": 5}},
    ),
    # One key for bucket and table, 5 + 5 units; the table is empty.
    "provisioned capacity, Cape Town": Kind(
        by_hand=5 * 730 * (0.00087465 + 0.00017493)
        + 1
        + 12 * 0.0274
        + 10_000 * 0.006 / 1000
        + 10_000 * 0.0004 / 1000,  # 5.2238
        region="af-south-1",
        states_gb=12,
        locks=2_000,
        writes=2_000,
        encryption=WITH_KEY,
        table={
            "billing": {"billing_mode": "PROVISIONED", "read_capacity": 5, "write_capacity": 5},
            "encryption": {"kms_key_id": KEY},
        },
    ),
    # The table is encrypted by a key that AWS manages, which is free, though its ARN looks like any other.
    "AWS manages the key of the table": Kind(
        by_hand=1 + 5_000 * (0.005 + 0.0004) / 1000 + 3_000 * 0.625 / 1e6 + 3_000 * 0.125 / 1e6,  # 1.029
        locks=1_000,
        writes=1_000,
        encryption=WITH_KEY,
        table={"encryption": {"kms_key_id": f"{KEY}2"}},
        more={
            "kms_keys": {
                KEY: {"manager": "CUSTOMER", "rotations": 0},
                f"{KEY}2": {"manager": "AWS", "rotations": 0},
            }
        },
    ),
    # 13 MB are 3 parts, what opens them and what completes them: 5 PUT instead of 1, which is 7 writes in an apply.
    "states of 13 MB": Kind(
        by_hand=130 * 0.023 + 10_000 * (2 + 7) * 0.005 / 1000 + 10_000 * 5 * 0.0004 / 1000,  # 3.46
        states_gb=0.013,
        old_gb=129.987,
        locks=10_000,
        writes=10_000,
        usage={"state_puts": 50_000, "multipart_writes": 10_000},
    ),
    # The price of on-demand units in Cape Town has no public source that could be found.
    "a table on demand, Cape Town": Kind(
        by_hand=3 * 0.0274 + 25_000 * 0.006 / 1000 + 25_000 * 0.0004 / 1000,  # 0.2422
        region="af-south-1",
        states_gb=3,
        locks=5_000,
        writes=5_000,
        table={},
        missing="the price of DynamoDB write requests in af-south-1",
    ),
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_estimate_is_the_sum_by_hand(kind: Kind) -> None:
    told = cost_in_use(kind.facts(), kind.runs)
    assert told
    assert float(told["usd"]) == pytest.approx(kind.by_hand, abs=0.0051)  # to the cent, where 5 % were asked for
    assert kind.missing in "; ".join(told["missing"])
    assert told["text"] == (f"at least {told['usd']}" if kind.missing else told["usd"])


def test_init_is_what_a_pipeline_pays_for_most() -> None:
    """10,000 runs of a lock file: 3 writes and 3 reads in an apply, and 2 and 2 in the init before it."""
    told = cost_in_use(Kind(0, locks=10_000, writes=10_000).facts())
    assert told
    quantities = {part["item"]: part["quantity"] for part in told["parts"]}
    assert (quantities["writes"], quantities["reads"]) == ("50000", "50000")
