# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A file of prices: comma-separated, a price a line, and a last line that says how many there are. Pure."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal

from .._core.model import Invalid
from .._core.printable import printable
from .._core.regions import meant_region
from .._core.suggestions import nearest, suggestion
from .prices import ITEMS, UNDATED, Price, Prices

HEADER = ["region", "item", "usd", "as_of", "source"]
END = "end"
#: More is no price of any of the items.
MOST_USD = 1000
#: Python also reads 1_0 and digits of other scripts as numbers, which are typing errors here.
NUMBER = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,24})?([eE]-?[0-9]{1,2})?")


def prices_text(prices: Prices) -> str:
    """The text of a file with these prices."""
    rows = [
        [region, item, f"{price.usd:f}", price.as_of, price.source]
        for region, there in sorted(prices.items())
        for item, price in there.items()
    ]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([HEADER, *rows, [END, str(len(rows)), "", "", ""]])
    return text.getvalue()


def parse_prices(text: str, path: str) -> Prices:
    """The prices of a file. Raises Invalid with the line and the reason: a price is never guessed."""
    found: dict[str, dict[str, Price]] = {}
    lines = list(_lines(text, path))
    if not lines or lines[0][1] != HEADER:
        raise _wrong(path, 1, f"the first line must be {','.join(HEADER)}")
    count = 0
    for number, row in lines[1:]:
        if row[:1] == [END]:
            _check_end(path, number, row, count, is_last=number == lines[-1][0])
            return found
        region, item, price = _price(path, number, row)
        there = found.setdefault(region, {})
        if item in there:
            raise _wrong(path, number, f"there is a price of {item} in {region} already")
        there[item] = price
        count += 1
    last = lines[-1][0]
    raise _wrong(path, last, f"the file ends after {count} prices without the line {END},{count},,,: it is cut off")


def _lines(text: str, path: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as problem:
        raise _wrong(path, reader.line_num, str(problem)) from None


def _check_end(path: str, number: int, row: Sequence[str], count: int, is_last: bool) -> None:
    if row[1:2] != [str(count)]:
        told = printable(",".join(row[1:2]))
        raise _wrong(path, number, f"it says {told} prices, and there are {count}: some are missing")
    if not is_last:
        raise _wrong(path, number, f"lines follow after {END}")


def _price(path: str, number: int, row: Sequence[str]) -> tuple[str, str, Price]:
    if len(row) != len(HEADER):
        raise _wrong(path, number, f"it has {len(row)} fields instead of {len(HEADER)} ({','.join(HEADER)})")
    region, item, usd, as_of, source = (each.strip() for each in row)
    meant = meant_region(region)
    if not region or meant:
        hint = suggestion([meant] if meant else [])
        raise _wrong(path, number, f"{printable(region) or 'a blank'} is not a region{hint}")
    if item not in ITEMS:
        hint = suggestion(nearest(item, ITEMS))
        raise _wrong(path, number, f"{printable(item) or 'a blank'} is not an item{hint}; items are {', '.join(ITEMS)}")
    if not source:
        raise _wrong(path, number, "it has no source")
    return region, item, Price(_usd(path, number, usd), _as_of(path, number, as_of), source)


def _usd(path: str, number: int, text: str) -> Decimal:
    if not NUMBER.fullmatch(text):
        raise _wrong(path, number, f"{printable(text) or 'a blank'} is not a number of dollars, such as 0.023")
    usd = Decimal(text)
    if not 0 < usd < MOST_USD:
        raise _wrong(path, number, f"{printable(text)} is not a price: it must be above 0 and below {MOST_USD}")
    return usd


def _as_of(path: str, number: int, text: str) -> str:
    if text == UNDATED:
        return text
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        told = printable(text) or "a blank"
        raise _wrong(path, number, f"{told} is not a date, such as 2026-10-08, or {UNDATED}") from None


def _wrong(path: str, number: int, reason: str) -> Invalid:
    return Invalid(
        f"prices_file {path}, line {number}: {reason}. Correct it, or write it again with playbooks/prices.yml"
    )
