# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""List prices of AWS in US dollars, each with its date. What nobody has looked up is not here, and never guessed.

Pure: no I/O. docs/cost.md shows this table; a test compares them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

#: The source bears no date.
UNDATED = "undated"


@dataclass(frozen=True)
class Price:
    usd: Decimal
    as_of: str


#: What is paid for, and how much of it the price is for.
ITEMS = {
    "storage": "S3 Standard, GB and month",
    "writes": "S3 PUT, COPY, POST, LIST, 1,000 requests",
    "reads": "S3 GET and others, 1,000 requests",
    "write_units": "DynamoDB on demand, 1,000,000 write request units",
    "read_units": "DynamoDB on demand, 1,000,000 read request units",
    "write_capacity": "DynamoDB provisioned, write capacity unit and hour",
    "read_capacity": "DynamoDB provisioned, read capacity unit and hour",
    "table_storage": "DynamoDB storage, GB and month",
    "recovery": "DynamoDB point-in-time recovery, GB and month",
    "keys": "KMS customer managed key, month",
    "key_requests": "KMS, 10,000 requests",
}
#: How many of a unit the price of an item is for.
PER = {"writes": 10**3, "reads": 10**3, "write_units": 10**6, "read_units": 10**6, "key_requests": 10**4}


def _prices(**priced: tuple[str, str]) -> Mapping[str, Price]:
    return {item: Price(Decimal(usd), as_of) for item, (usd, as_of) in priced.items()}


PRICES: Mapping[str, Mapping[str, Price]] = {
    "us-east-1": _prices(
        storage=("0.023", "2026-10-08"),
        writes=("0.005", "2026-10-08"),
        reads=("0.0004", "2026-10-08"),
        write_units=("0.625", "2025-01-31"),
        read_units=("0.125", "2025-01-31"),
        write_capacity=("0.00065", "2026-10-08"),
        read_capacity=("0.00013", "2026-10-08"),
        table_storage=("0.25", "2026-10-08"),
        recovery=("0.20", "2026-10-08"),
        keys=("1.00", "2026-06-13"),
        key_requests=("0.03", "2026-06-13"),
    ),
    "us-west-2": _prices(
        storage=("0.023", "2026-07-01"),
        write_capacity=("0.00065", UNDATED),
        read_capacity=("0.00013", UNDATED),
        keys=("1.00", "2026-06-13"),
        key_requests=("0.03", "2026-06-13"),
    ),
    "eu-west-1": _prices(
        storage=("0.023", "2026-09-28"),
        writes=("0.005", "2026-09-28"),
        reads=("0.0004", "2026-09-28"),
        write_units=("0.705", "2026-09-11"),
        read_units=("0.1415", "2026-09-11"),
        write_capacity=("0.000735", UNDATED),
        read_capacity=("0.000147", UNDATED),
        table_storage=("0.283", "2026-09-11"),
        recovery=("0.22", "2026-09-11"),
        keys=("1.00", "2026-06-13"),
        key_requests=("0.03", "2026-06-13"),
    ),
    "af-south-1": _prices(
        storage=("0.0274", "2026-07-01"),
        write_capacity=("0.00087465", UNDATED),
        read_capacity=("0.00017493", UNDATED),
    ),
}
