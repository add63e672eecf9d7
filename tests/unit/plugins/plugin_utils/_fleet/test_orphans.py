# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which buckets and tables of an account no host names, and what of it is unknown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import (
    Answer,
    Call,
    CallFailed,
    Failure,
)
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._fleet.orphans import (
    ADVICE,
    Backend,
    Found,
    orphans_of,
    patterns,
    text_of,
)

PROD, TEST = "010101010101", "020202020202"


def backend(account: str, region: str, table: str | None = "locks", bucket: str = "") -> Backend:
    return Backend(f"{account}.{region}", region, bucket or f"acme-{account}-{region}", table, account)


class Cloud:
    """An account's buckets and tables, and what it denies."""

    def __init__(self, buckets: dict[str, str], tables: set[tuple[str, str]], denies: Sequence[str] = ()) -> None:
        self.buckets, self.tables, self.denies = buckets, tables, denies
        self.account = PROD
        self.calls: list[tuple[str, Call]] = []

    def __call__(self, region: str, calls: Sequence[Call]) -> list[Answer]:
        self.calls += [(region, call) for call in calls]
        return [self.answer(region, call) for call in calls]

    def answer(self, region: str, call: Call) -> Answer:
        if call.operation in self.denies:
            return Failure(call, "AccessDenied", "", "no")
        if call.operation == "get_caller_identity":
            return {"Account": self.account, "Arn": "x"}
        if call.operation == "list_buckets":
            begin = call.params.get("Prefix", "")
            found = [{"Name": name, "BucketRegion": at} for name, at in self.buckets.items() if name.startswith(begin)]
            return {"Buckets": found}
        name = call.params["TableName"]
        if (region, name) not in self.tables:
            return Failure(call, "ResourceNotFoundException", "", "none")
        return {"Table": {"TableName": name, "TableStatus": "ACTIVE", "TableArn": "x", "KeySchema": []}}


def found(cloud: Any, *backends: Backend) -> tuple[list[tuple[str, str, str | None]], list[str]]:
    told: Found = orphans_of(backends, [each for each in backends if each.account == PROD], cloud)
    return [(each.kind, each.name, each.region) for each in told.orphans], told.unknown


def test_the_bucket_and_the_table_of_a_region_that_left_the_inventory_are_found() -> None:
    gone = f"acme-{PROD}-us-east-1"
    cloud = Cloud(
        {gone: "us-east-1", f"acme-{PROD}-eu-west-1": "eu-west-1", f"acme-{PROD}-logs": "us-east-1", "x": "us-east-1"},
        {("us-east-1", "locks"), ("eu-west-1", "locks")},
    )
    assert found(cloud, backend(PROD, "eu-west-1")) == (
        [("bucket", gone, "us-east-1"), ("table", "locks", "us-east-1")],
        [],
    )
    listing = next(call for _region, call in cloud.calls if call.operation == "list_buckets")
    assert listing.params == {"Prefix": f"acme-{PROD}-", "MaxBuckets": 1000} and listing.paged
    assert ("eu-west-1", "describe_table") not in [(region, call.operation) for region, call in cloud.calls]


def test_a_pattern_of_one_account_is_looked_for_in_another() -> None:
    older = f"old-{PROD}"
    cloud = Cloud({older: "eu-west-1"}, set())
    orphans, _unknown = found(cloud, backend(PROD, "eu-west-1"), backend(TEST, "eu-west-1", bucket=f"old-{TEST}"))
    assert orphans == [("bucket", older, "eu-west-1")]


def test_what_a_host_of_any_account_or_without_a_region_names_is_no_orphan() -> None:
    cloud = Cloud({f"acme-{PROD}-us-east-1": "us-east-1", f"acme-{PROD}-us-east-2": "us-east-2"}, set())
    by_environment = Backend("a", None, f"acme-{PROD}-us-east-2", "locks")
    other = backend(TEST, "us-east-1", bucket=f"acme-{PROD}-us-east-1")
    assert found(cloud, backend(PROD, "eu-west-1"), by_environment, other) == ([], [])


def test_the_table_of_before_is_found_where_a_host_locks_by_file() -> None:
    cloud = Cloud({}, {("eu-west-1", "locks"), ("us-east-1", "locks")})
    hosts = (backend(PROD, "eu-west-1", table=None), backend(PROD, "us-east-1"))
    assert found(cloud, *hosts) == ([("table", "locks", "eu-west-1")], [])


def test_what_is_denied_is_unknown_and_the_rest_is_told() -> None:
    cloud = Cloud({}, {("eu-west-1", "locks")}, ["list_buckets"])
    hosts = (backend(PROD, "eu-west-1", table=None), backend(TEST, "eu-west-1"))
    orphans, (unknown,) = found(cloud, *hosts)
    assert orphans == [("table", "locks", "eu-west-1")]
    assert unknown.startswith("list_buckets: AccessDenied")
    cloud.denies = ["describe_table"]
    orphans, (unknown,) = found(cloud, *hosts)
    assert orphans == [] and unknown.startswith("eu-west-1: describe_table on locks: AccessDenied")


def test_another_account_and_no_credentials_are_unknown_and_nothing_is_listed() -> None:
    cloud = Cloud({f"acme-{TEST}-us-east-1": "us-east-1"}, set())
    cloud.account = TEST
    orphans, (unknown,) = found(cloud, backend(PROD, "eu-west-1"))
    assert (orphans, unknown) == ([], f"the credentials are of account {TEST}, not of {PROD}")
    assert "list_buckets" not in [call.operation for _region, call in cloud.calls]

    def without_credentials(region: str, calls: Sequence[Call]) -> list[Answer]:
        raise CallFailed(Failure(calls[0], "NoCredentials", "", f"none in {region}"))

    orphans, (unknown,) = found(without_credentials, backend(PROD, "eu-west-1"))
    assert orphans == [] and "none in eu-west-1" in unknown


def test_a_fleet_has_few_patterns() -> None:
    hosts = [backend(f"{number:012}", "eu-west-1") for number in range(1000)]
    assert len(patterns((each.bucket, each.region, each.account) for each in hosts)) == 1


def test_people_are_told_what_to_do() -> None:
    orphan = {"kind": "bucket", "name": "a", "region": None, "account_id": PROD}
    assert text_of([orphan], [{"account": TEST, "reason": "denied"}], 2).splitlines() == [
        f"bucket a in a region that S3 does not say, account {PROD}: no host names it",
        f"{TEST}: unknown: denied",
        ADVICE,
        "1 that no host names, in 2 accounts; 1 unknown",
    ]
    assert "may be in use" in ADVICE and "hand-over" in ADVICE and "teardown" not in ADVICE
    assert text_of([], [], 1) == "0 that no host names, in 1 account"
