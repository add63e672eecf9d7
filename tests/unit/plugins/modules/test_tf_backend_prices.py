# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Prices from AWS's public price list, served on this machine in the format of AWS, and the file made of them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Invalid
from ansible_collections.cornerstone.tfstate.plugins.module_utils._cost.prices import ITEMS
from ansible_collections.cornerstone.tfstate.plugins.module_utils._cost.prices_file import parse_prices
from ansible_collections.cornerstone.tfstate.plugins.modules.tf_backend_audit import MODULE as AUDIT
from ansible_collections.cornerstone.tfstate.plugins.modules.tf_backend_prices import MODULE

from tests.unit.plugins.module_utils.audited import facts

#: (usage type, volume type, prices by the begin of their tier), as the lists of Frankfurt had them in September 2026.
LISTS: dict[str, list[tuple[str, str | None, dict[str, str]]]] = {
    "AmazonS3": [
        ("EUC1-TimedStorage-ByteHrs", "Standard", {"0": "0.0245000000", "51200": "0.0235000000"}),
        ("EUC1-TimedStorage-ByteHrs", "Tags", {"0": "0.0065000000"}),
        ("EUC1-TimedStorage-SIA-ByteHrs", "Standard - Infrequent Access", {"0": "0.0135000000"}),
        ("EUC1-Requests-Tier1", None, {"0": "0.0000054000"}),
        ("EUC1-Requests-Tier2", None, {"0": "0.0000004300"}),
        ("EUC1-Requests-SIA-Tier1", None, {"0": "0.0000100000"}),
        ("EUC1-EUW1-AWS-Out-Bytes", None, {"0": "0.0200000000"}),
    ],
    "AmazonDynamoDB": [
        ("EUC1-WriteRequestUnits", None, {"0": "0.0000007625"}),
        ("EUC1-ReplWriteRequestUnits", None, {"0": "0.0000007625"}),
        ("EUC1-IA-WriteRequestUnits", None, {"0": "0.0000009500"}),
        ("IA-WriteRequestUnits", None, {"0": "0.0000007800"}),
        ("EUC1-ReadRequestUnits", None, {"0": "0.0000001525"}),
        ("EUC1-WriteCapacityUnit-Hrs", None, {"0": "0.0000000000", "18600": "0.0007930000"}),
        ("EUC1-ReadCapacityUnit-Hrs", None, {"0": "0.0000000000", "18600": "0.0001586000"}),
        ("EUC1-TimedStorage-ByteHrs", "Amazon DynamoDB - Indexed DataStore", {"0": "0", "25": "0.3060000000"}),
        ("EUC1-TimedPITRStorage-ByteHrs", "Amazon DynamoDB - Point-In-Time-Restore (PITR)", {"0": "0.2448000000"}),
    ],
    "awskms": [
        ("eu-central-1-KMS-Keys", None, {"0": "1.0000000000"}),
        ("eu-central-1-KMS-Requests", None, {"0": "0.0000000000", "20000": "0.0000030000"}),
        ("eu-central-1-KMS-Requests-Asymmetric", None, {"0": "0.0000150000"}),
    ],
}
FRANKFURT = {
    "storage": "0.0245",
    "writes": "0.0054",
    "reads": "0.00043",
    "write_units": "0.7625",
    "read_units": "0.1525",
    "write_capacity": "0.000793",
    "read_capacity": "0.0001586",
    "table_storage": "0.306",
    "recovery": "0.2448",
    "keys": "1",
    "key_requests": "0.03",
}


def offer(service: str) -> dict[str, Any]:
    """As AWS publishes it."""
    products, terms = {}, {}
    for place, (usage_type, volume_type, tiers) in enumerate(LISTS[service]):
        sku = f"SKU{place:013}"
        attributes = {"servicecode": service, "regionCode": "eu-central-1", "usagetype": usage_type}
        attributes |= {"volumeType": volume_type} if volume_type else {}
        products[sku] = {"sku": sku, "productFamily": "x", "attributes": attributes}
        dimensions = {
            f"{sku}.JRTCKXETXF.{begin}": {
                "unit": "GB-Mo",
                "beginRange": begin,
                "endRange": "Inf",
                "pricePerUnit": {"USD": usd},
            }
            for begin, usd in tiers.items()
        }
        terms[sku] = {f"{sku}.JRTCKXETXF": {"sku": sku, "priceDimensions": dimensions, "termAttributes": {}}}
    return {
        "formatVersion": "v1.0",
        "offerCode": service,
        "version": "20260911124422",
        "publicationDate": "2026-09-11T12:44:22Z",
        "products": products,
        "terms": {"OnDemand": terms},
    }


class PriceList:
    """A server of price lists, with answers that a test replaces."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {service: offer(service) for service in LISTS}
        self.paths: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.paths.append(self.path)
                body = outer.answers[self.path.split("/")[4]]
                if body is None:
                    self.send_error(404)
                    return
                text = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_unused: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def listed() -> Iterator[PriceList]:
    prices = PriceList()
    yield prices
    prices.server.shutdown()
    prices.server.server_close()


def run(url: str, path: Path, check_mode: bool = False, **more: Any) -> dict[str, Any]:
    params = {"path": str(path), "regions": ["eu-central-1"], "url": url, "validate_certs": True, "timeout": 5, **more}
    return MODULE.run(params, check_mode, diff=False)


def test_the_price_list_becomes_a_file_that_the_audit_takes(listed: PriceList, tmp_path: Path) -> None:
    path = tmp_path / "new" / "prices.csv"
    assert run(listed.url, path, check_mode=True)["changed"]
    assert not path.exists()
    told = run(listed.url, path)
    assert (told["changed"], told["prices"], told["changes"]) == (True, 11, [{"file": str(path), "action": "create"}])
    assert not run(listed.url, path)["changed"]
    assert listed.paths[0] == "/offers/v1.0/aws/AmazonS3/current/eu-central-1/index.json"
    prices = parse_prices(path.read_text(), str(path))["eu-central-1"]
    assert {item: f"{price.usd:f}" for item, price in prices.items()} == FRANKFURT
    assert prices.keys() == ITEMS.keys()
    assert {price.as_of for price in prices.values()} == {"2026-09-11"}
    assert prices["keys"].source.endswith("/offers/v1.0/aws/awskms/20260911124422/eu-central-1/index.json")


def without(service: str, usage_type: str) -> dict[str, Any]:
    document = offer(service)
    document["products"] = {
        sku: each for sku, each in document["products"].items() if each["attributes"]["usagetype"] != usage_type
    }
    return document


def with_two_prices() -> dict[str, Any]:
    document = offer("awskms")
    document["products"]["SKU0000000000002"]["attributes"]["usagetype"] = "eu-central-1-KMS-Requests"
    return document


BROKEN: dict[str, tuple[str, Any, str]] = {
    "an item is missing": (
        "AmazonDynamoDB",
        without("AmazonDynamoDB", "EUC1-ReadRequestUnits"),
        "it has no price of DynamoDB read requests (ReadRequestUnits) in eu-central-1",
    ),
    "an item has two prices": ("awskms", with_two_prices(), "several prices of KMS requests"),
    "the answer is cut off": ("awskms", json.dumps(offer("awskms")).encode()[:500], "The answer may be cut off"),
    "the answer is a page": ("awskms", b"<html>", "is not a price list"),
    "another list": ("awskms", offer("AmazonS3"), "it is the price list of AmazonS3, not of awskms"),
    "no list": ("AmazonS3", {"message": "no"}, "is not a price list: KeyError"),
    "a price in another currency": (
        "awskms",
        json.loads(json.dumps(offer("awskms")).replace('"USD"', '"CNY"')),
        "is not a price list: KeyError: 'USD'",
    ),
    "there is none": ("AmazonS3", None, "cannot be read: Not Found"),
}


@pytest.mark.parametrize(("service", "answer", "reason"), BROKEN.values(), ids=BROKEN)
def test_half_a_list_writes_nothing(listed: PriceList, tmp_path: Path, service: str, answer: Any, reason: str) -> None:
    listed.answers[service] = answer
    told = run(listed.url, tmp_path / "prices.csv")
    assert (told["failed"], told["changed"]) == (True, False)
    assert reason in told["msg"]
    assert list(tmp_path.iterdir()) == []


def test_without_a_network_it_says_what_to_do(tmp_path: Path) -> None:
    told = run("http://127.0.0.1:9", tmp_path / "prices.csv")
    assert told["failed"]
    assert "run this on a machine that has it, and copy the file" in told["msg"]


REFUSED = {
    "a URL that anybody on the way can change": ({"url": "http://prices.example"}, "prices are read from an https URL"),
    "a URL with a password": ({"url": "https://me:word@prices.example"}, "url has a user or a password in it"),
    "a region that is misspelt": ({"regions": ["eu-cnetral-1"]}, "did you mean eu-central-1?"),
    "a region that is none": ({"regions": ["../x"]}, "is not a region"),
    "China": ({"regions": ["cn-north-1"]}, "is not in AWS's public price list"),
    "no region": ({"regions": []}, "regions is empty"),
}


@pytest.mark.parametrize(("options", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_meant_is_refused_before_anything_is_read(
    listed: PriceList, tmp_path: Path, options: dict[str, Any], reason: str
) -> None:
    told = run(**{"url": listed.url, "path": tmp_path / "prices.csv", **options})
    assert told["failed"]
    assert reason in told["msg"]
    assert listed.paths == []


HEADER = "region,item,usd,as_of,source\n"
GOOD = "eu-south-2,write_units,0.7,2026-09-11,https://a.example\n"
FILES = {
    "empty": ("", 1, "the first line must be region,item,usd,as_of,source"),
    "another file": ("a,b\n", 1, "the first line must be"),
    "cut off": (HEADER + GOOD, 2, "the file ends after 1 prices without the line end,1,,,"),
    "cut off in a line": (f"{HEADER}{GOOD}eu-south-2,read_un", 3, "it has 2 fields instead of 5"),
    "a line was lost": (f"{HEADER}{GOOD}end,2,,,\n", 3, "it says 2 prices, and there are 1: some are missing"),
    "lines after the end": (f"{HEADER}{GOOD}end,1,,,\n{GOOD}", 3, "lines follow after end"),
    "no number": (f"{HEADER}eu-south-2,keys,one,2026-09-11,x\nend,1,,,\n", 2, "one is not a number of dollars"),
    "nothing": (f"{HEADER}eu-south-2,keys,0,2026-09-11,x\nend,1,,,\n", 2, "it must be above 0 and below 1000"),
    "an underscore": (f"{HEADER}eu-south-2,keys,1_0,2026-09-11,x\nend,1,,,\n", 2, "1_0 is not a number of dollars"),
    "not a number": (f"{HEADER}eu-south-2,keys,NaN,2026-09-11,x\nend,1,,,\n", 2, "NaN is not a number"),
    "no date": (f"{HEADER}eu-south-2,keys,1,yesterday,x\nend,1,,,\n", 2, "yesterday is not a date"),
    "no source": (f"{HEADER}eu-south-2,keys,1,2026-09-11,\nend,1,,,\n", 2, "it has no source"),
    "an unknown item": (f"{HEADER}eu-south-2,write_unit,1,2026-09-11,x\nend,1,,,\n", 2, "did you mean write_units?"),
    "a misspelt region": (f"{HEADER}eu-suoth-2,keys,1,2026-09-11,x\nend,1,,,\n", 2, "did you mean eu-south-2?"),
    "twice": (f"{HEADER}{GOOD}{GOOD}end,2,,,\n", 3, "there is a price of write_units in eu-south-2 already"),
    "an open quote": (f'{HEADER}eu-south-2,"keys,1\n', 2, "unexpected end of data"),
}


@pytest.mark.parametrize(("text", "line", "reason"), FILES.values(), ids=FILES)
def test_a_wrong_file_is_refused_with_line_and_reason(text: str, line: int, reason: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_prices(text, "my.csv")
    assert f"prices_file my.csv, line {line}: " in str(refused.value)
    assert reason in str(refused.value)


def audited(**options: Any) -> dict[str, Any]:
    defaults = {name: option.get("default") for name, option in AUDIT.spec.items()}
    about = facts("eu-south-2", "state")
    return AUDIT.run({**defaults, "region": "eu-south-2", "facts": about, "bucket": "state", **options}, False, False)


def test_the_audit_takes_the_prices_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text(f"{HEADER}{GOOD}end,1,,,\n")
    words = "the price of DynamoDB write requests in eu-south-2"
    assert words in audited()["backend"]["cost"]["missing"]
    cost = audited(prices_file=str(path))["backend"]["cost"]
    assert words not in cost["missing"]
    assert {part["item"]: part["source"] for part in cost["parts"]}["write_units"] == "https://a.example"
    path.write_text(HEADER + GOOD)
    for file, reason in ((path, "line 2: the file ends"), (tmp_path / "none.csv", "does not exist")):
        told = audited(prices_file=str(file))
        assert told["failed"]
        assert reason in told["msg"]
