# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""AWS's public price list of a service in a region, as prices. Pure.

Source: https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-the-aws-price-list-bulk-api.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from .._core.model import Invalid
from .prices import NAMES, PER, PRICE_LIST_PATH, Price

#: How the usage type of an item ends, by service. Before it is the short name of the region; nothing in us-east-1.
USAGE_TYPES = {
    "AmazonS3": {"storage": "TimedStorage-ByteHrs", "writes": "Requests-Tier1", "reads": "Requests-Tier2"},
    "AmazonDynamoDB": {
        "write_units": "WriteRequestUnits",
        "read_units": "ReadRequestUnits",
        "write_capacity": "WriteCapacityUnit-Hrs",
        "read_capacity": "ReadCapacityUnit-Hrs",
        "table_storage": "TimedStorage-ByteHrs",
        "recovery": "TimedPITRStorage-ByteHrs",
    },
    "awskms": {"keys": "KMS-Keys", "key_requests": "KMS-Requests"},
}
#: The infrequent access class of tables is IA-; the rest of a usage type has more words.
_OF_REGION = r"(?:(?!IA-)[A-Z]{2,4}[0-9]?-)?"
_OF_KMS = r"[a-z]{2}(?:-[a-z]+)+-[0-9]+-"


def path_of(service: str, region: str) -> str:
    return PRICE_LIST_PATH.format(service=service, version="current", region=region)


def prices_of(service: str, region: str, document: Any, url: str) -> dict[str, Price]:
    """The prices of a service in a region, without free tiers. Raises Invalid if one is missing or ambiguous."""
    try:
        _check_offer(service, document)
        as_of, version = str(document["publicationDate"])[:10], str(document["version"])
        source = url.replace("/current/", f"/{version}/")
        return {
            item: Price(_usd(item, usage_type, service, region, document), as_of, source)
            for item, usage_type in USAGE_TYPES[service].items()
        }
    except (KeyError, TypeError, AttributeError, ValueError, InvalidOperation) as problem:
        raise Invalid(f"{url} is not a price list: {type(problem).__name__}: {problem}") from None
    except _Unclear as problem:
        raise Invalid(f"{url}: {problem}") from None


class _Unclear(Exception):
    pass


def _check_offer(service: str, document: Mapping[str, Any]) -> None:
    if document["offerCode"] != service:
        raise _Unclear(f"it is the price list of {document['offerCode']}, not of {service}")
    if document["formatVersion"] != "v1.0":
        raise _Unclear(f"its format is {document['formatVersion']}, not v1.0")


def _usd(item: str, usage_type: str, service: str, region: str, document: Mapping[str, Any]) -> Decimal:
    found = {price for sku in _skus(usage_type, service, region, document) for price in _paid(sku, document)}
    if not found:
        what = f"{NAMES[item]} ({usage_type}) in {region}"
        raise _Unclear(f"it has no price of {what}. Check the region; if it is right, leave it out")
    if len(found) > 1:
        told = ", ".join(f"{each:f}" for each in sorted(found))
        raise _Unclear(f"it has several prices of {NAMES[item]} ({usage_type}) in {region}: {told}")
    price = found.pop() * PER.get(item, 1)
    return price.quantize(Decimal(1)) if price == price.to_integral() else price.normalize()


def _skus(usage_type: str, service: str, region: str, document: Mapping[str, Any]) -> Iterator[str]:
    pattern = re.compile((_OF_KMS if service == "awskms" else _OF_REGION) + re.escape(usage_type))
    for sku, product in document["products"].items():
        attributes = product["attributes"]
        is_here = attributes.get("regionCode", region) == region
        is_standard = service != "AmazonS3" or attributes.get("volumeType", "Standard") == "Standard"
        if is_here and is_standard and pattern.fullmatch(attributes.get("usagetype", "")):
            yield sku


def _paid(sku: str, document: Mapping[str, Any]) -> Iterator[Decimal]:
    """The price of the first tier that is not free, for each offer of the product."""
    for offer in document["terms"]["OnDemand"].get(sku, {}).values():
        tiers = [
            (Decimal(each.get("beginRange") or 0), Decimal(each["pricePerUnit"]["USD"]))
            for each in offer["priceDimensions"].values()
        ]
        paid = sorted(tier for tier in tiers if tier[1])
        yield from (price for _begin, price in paid[:1])
