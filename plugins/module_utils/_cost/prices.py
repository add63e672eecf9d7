# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""List prices of AWS in US dollars, each with its date and source. A price without a source is not here.

Pure: no I/O. Free tiers are left out. DynamoDB halved its prices on demand on 2024-11-01: older ones are wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

#: The source bears no date.
UNDATED = "undated"


@dataclass(frozen=True)
class Price:
    usd: Decimal
    as_of: str
    source: str


#: Prices of a region, by item.
RegionPrices = Mapping[str, Price]
#: Prices by region.
Prices = Mapping[str, RegionPrices]

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
#: The same, in a sentence.
NAMES = {
    "storage": "S3 storage",
    "writes": "S3 requests that write and list",
    "reads": "S3 requests that read",
    "write_units": "DynamoDB write requests",
    "read_units": "DynamoDB read requests",
    "write_capacity": "DynamoDB write capacity",
    "read_capacity": "DynamoDB read capacity",
    "table_storage": "DynamoDB storage",
    "recovery": "DynamoDB point-in-time recovery",
    "keys": "KMS keys",
    "key_requests": "KMS requests",
}
#: How many of a unit the price of an item is for.
PER = {"writes": 10**3, "reads": 10**3, "write_units": 10**6, "read_units": 10**6, "key_requests": 10**4}

#: AWS's public price list of a service in a region.
PRICE_LIST_URL = "https://pricing.us-east-1.amazonaws.com"
PRICE_LIST_PATH = "/offers/v1.0/aws/{service}/{version}/{region}/index.json"
_LIST = PRICE_LIST_URL + PRICE_LIST_PATH


@dataclass(frozen=True)
class Listing:
    """Prices of one source and date: the items, and a line for each region with their prices in the same order."""

    as_of: str
    source: str
    items: tuple[str, ...]
    regions: str

    def prices(self) -> Iterable[tuple[str, str, Price]]:
        service = self.source
        for line in self.regions.strip().splitlines():
            region, *prices = line.split()
            source = service if "://" in service else _LIST.format(service=service, version="current", region=region)
            for item, usd in zip(self.items, prices, strict=True):
                if usd != "-":
                    yield region, item, Price(Decimal(usd), self.as_of, source)


_S3 = ("storage", "writes", "reads")
_ON_DEMAND = ("write_units", "read_units", "table_storage", "recovery")
_PROVISIONED = ("write_capacity", "read_capacity")
_KMS = ("keys", "key_requests")
_REGIONS = """
    af-south-1 ap-east-1 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-south-2 ap-southeast-1
    ap-southeast-2 ap-southeast-3 ap-southeast-4 ap-southeast-5 ca-central-1 ca-west-1 eu-central-1 eu-central-2
    eu-north-1 eu-south-1 eu-south-2 eu-west-1 eu-west-2 eu-west-3 il-central-1 me-central-1 me-south-1 sa-east-1
    us-east-1 us-east-2 us-gov-east-1 us-gov-west-1 us-west-1 us-west-2
"""

#: A source that is the name of a service is AWS's price list of it, as somebody read and published it.
LISTINGS = (
    # The feed of https://aws.amazon.com/s3/pricing/, all regions on one day.
    Listing(
        "2024-09-25",
        "https://github.com/StephenWetzel/aws_s3_pricing_scraper/blob/1466b74290e28057a8cf01e71d70db50c6acc975/"
        "outputs/aws_s3_cost_s3-standard_2024-09-25T20_02_34.csv",
        _S3,
        """
        af-south-1     0.0274  0.0060 0.00040
        ap-east-1      0.0250  0.0050 0.00040
        ap-northeast-1 0.0250  0.0047 0.00037
        ap-northeast-2 0.0250  0.0045 0.00035
        ap-northeast-3 0.0250  0.0047 0.00037
        ap-south-1     0.0250  0.0050 0.00040
        ap-south-2     0.0250  0.0050 0.00040
        ap-southeast-1 0.0250  0.0050 0.00040
        ap-southeast-2 0.0250  0.0055 0.00044
        ap-southeast-3 0.0250  0.0050 0.00040
        ap-southeast-4 0.0250  0.0055 0.00044
        ap-southeast-5 0.0225  0.0045 0.00036
        ca-central-1   0.0250  0.0055 0.00044
        ca-west-1      0.0250  0.0055 0.00044
        eu-central-1   0.0245  0.0054 0.00043
        eu-central-2   0.02695 0.0054 0.00043
        eu-north-1     0.0230  0.0050 0.00040
        eu-south-1     0.0240  0.0053 0.00040
        eu-south-2     0.0230  0.0053 0.00040
        eu-west-1      0.0230  0.0050 0.00040
        eu-west-2      0.0240  0.0053 0.00042
        eu-west-3      0.0240  0.0053 0.00042
        il-central-1   0.0250  0.0055 0.00044
        me-central-1   0.0250  0.0055 0.00044
        me-south-1     0.0250  0.0055 0.00044
        sa-east-1      0.0405  0.0070 0.00056
        us-east-1      0.0230  0.0050 0.00040
        us-east-2      0.0230  0.0050 0.00040
        us-gov-east-1  0.0390  0.0050 0.00040
        us-gov-west-1  0.0390  0.0050 0.00040
        us-west-1      0.0260  0.0055 0.00044
        us-west-2      0.0230  0.0050 0.00040
        """,
    ),
    Listing("2026-07-28", "AmazonS3", _S3, "ap-northeast-1 0.025 0.0047 0.00037"),
    Listing("2026-07-28", "AmazonS3", _S3, "ap-east-1 0.025 0.005 0.0004"),
    Listing("2026-08-31", "AmazonS3", _S3, "ap-southeast-2 0.025 0.0055 0.00044"),
    Listing("2026-08-31", "AmazonS3", _S3, "eu-central-1 0.0245 0.0054 0.00043"),
    Listing("2026-08-31", "AmazonS3", _S3, "us-west-2 0.023 0.005 0.0004"),
    Listing("2026-09-27", "AmazonS3", _S3, "il-central-1 0.025 0.0055 0.00044"),
    Listing("2026-09-28", "AmazonS3", _S3, "eu-west-1 0.023 0.005 0.0004"),
    Listing("2026-09-28", "AmazonS3", ("storage",), "af-south-1 0.0274"),
    Listing("2026-10-08", "AmazonS3", _S3, "us-east-1 0.023 0.005 0.0004"),
    Listing("2026-06-08", "AmazonDynamoDB", _ON_DEMAND, "eu-west-2 0.7423 0.1487 0.29715 -"),
    Listing("2026-06-12", "AmazonDynamoDB", _ON_DEMAND, "ap-northeast-2 0.68 0.1355 - -"),
    Listing("2026-07-22", "AmazonDynamoDB", _ON_DEMAND, "ap-northeast-1 0.715 - 0.285 -"),
    Listing(UNDATED, "AmazonDynamoDB", _ON_DEMAND, "ap-northeast-1 0.715 0.1425 0.285 -"),
    Listing("2026-08-13", "AmazonDynamoDB", _ON_DEMAND, "ap-southeast-2 0.71 0.1425 0.285 0.228"),
    Listing("2026-08-31", "AmazonDynamoDB", _ON_DEMAND, "us-west-2 0.625 0.125 0.25 -"),
    Listing(UNDATED, "AmazonDynamoDB", _ON_DEMAND, "us-west-2 0.625 0.125 0.25 0.20"),
    Listing("2026-09-07", "AmazonDynamoDB", _ON_DEMAND, "eu-west-3 0.7423 0.1487 - -"),
    Listing("2026-09-11", "AmazonDynamoDB", _ON_DEMAND, "eu-central-1 0.7625 0.1525 0.306 0.2448"),
    Listing("2026-09-11", "AmazonDynamoDB", _ON_DEMAND, "eu-north-1 0.67 0.1345 0.269 0.21"),
    Listing("2026-09-11", "AmazonDynamoDB", _ON_DEMAND, "eu-west-1 0.705 0.1415 0.283 0.22"),
    Listing("2026-09-11", "AmazonDynamoDB", _ON_DEMAND, "us-east-2 0.625 0.125 0.25 -"),
    Listing("2026-09-17", "AmazonDynamoDB", _ON_DEMAND, "ap-south-1 0.71 0.1425 0.285 -"),
    Listing("2026-09-27", "AmazonDynamoDB", _ON_DEMAND, "il-central-1 0.85 0.17 0.3396 -"),
    Listing("2026-10-06", "AmazonDynamoDB", _ON_DEMAND, "us-east-2 0.625 0.125 0.25 0.20"),
    Listing(
        "2026-10-04", "https://aws.amazon.com/dynamodb/pricing/on-demand/", _ON_DEMAND, "us-east-1 0.625 0.125 0.25 -"
    ),
    Listing("2026-10-08", "AmazonDynamoDB", ("table_storage", "recovery"), "us-east-1 0.25 0.20"),
    # A tool of AWS. Its read capacity of eu-north-1 is rounded, and left out.
    Listing(
        UNDATED,
        "https://github.com/awslabs/amazon-dynamodb-tools/blob/dbcc9d7d1c2eefa96d3b422de2b33320dd09db02/"
        "archived/reco/src/ddb_rc_reco/config.py",
        _PROVISIONED,
        """
        af-south-1     0.00087465 0.00017493
        ap-east-1      0.000814   0.0001628
        ap-northeast-1 0.000742   0.0001484
        ap-northeast-2 0.0007049  0.00014098
        ap-northeast-3 0.000742   0.0001484
        ap-south-1     0.00074    0.000148
        ap-southeast-1 0.00074    0.000148
        ap-southeast-2 0.00074    0.000148
        ca-central-1   0.000715   0.000143
        eu-central-1   0.000793   0.0001586
        eu-north-1     0.000698   -
        eu-south-1     0.00077175 0.00015435
        eu-west-1      0.000735   0.000147
        eu-west-2      0.000772   0.0001544
        eu-west-3      0.000772   0.0001544
        il-central-1   0.000882   0.0001764
        me-central-1   0.0008085  0.0001617
        me-south-1     0.0008085  0.0001617
        sa-east-1      0.000975   0.000195
        us-east-1      0.00065    0.00013
        us-east-2      0.00065    0.00013
        us-gov-east-1  0.00078    0.000156
        us-gov-west-1  0.00078    0.000156
        us-west-1      0.000725   0.000145
        us-west-2      0.00065    0.00013
        """,
    ),
    Listing("2026-06-12", "AmazonDynamoDB", _PROVISIONED, "ap-northeast-2 0.0007049 0.00014098"),
    Listing("2026-10-08", "AmazonDynamoDB", _PROVISIONED, "us-east-1 0.00065 0.00013"),
    # "Each AWS KMS key that you create in KMS costs $1/month", of whatever region. Requests are priced by region.
    Listing(
        UNDATED,
        "https://aws.amazon.com/kms/pricing/",
        ("keys",),
        "\n".join(f"{region} 1.00" for region in _REGIONS.split()),
    ),
    Listing(UNDATED, "awskms", _KMS, "eu-central-1 1.00 0.03"),
    Listing(UNDATED, "awskms", _KMS, "ap-southeast-1 1.00 0.03"),
    Listing("2026-07-31", "awskms", _KMS, "ap-east-1 1.00 0.03"),
    Listing("2026-08-31", "awskms", _KMS, "us-east-1 1.00 0.03"),
    Listing("2026-08-31", "awskms", _KMS, "us-west-2 1.00 0.03"),
    Listing("2026-09-17", "awskms", _KMS, "ap-south-1 1.00 0.03"),
    Listing("2026-09-27", "awskms", _KMS, "il-central-1 1.00 0.03"),
    Listing("2026-09-28", "awskms", _KMS, "ap-northeast-1 1.00 0.03"),
    Listing("2026-09-30", "awskms", ("key_requests",), "eu-west-1 0.03"),
)


def merged(listings: Iterable[Listing]) -> Prices:
    """By region and item, the newest price of all sources."""
    found: dict[str, dict[str, Price]] = {}
    for listing in listings:
        for region, item, price in listing.prices():
            there = found.setdefault(region, {})
            if item not in there or _age(price) >= _age(there[item]):
                there[item] = price
    return found


def _age(price: Price) -> str:
    return "" if price.as_of == UNDATED else price.as_of


PRICES = merged(LISTINGS)


def with_own(own: Prices) -> Prices:
    """The prices here, and in their place those of a file."""
    return {region: {**PRICES.get(region, {}), **own.get(region, {})} for region in {**PRICES, **own}}
