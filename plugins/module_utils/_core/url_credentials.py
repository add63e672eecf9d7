# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""User names and passwords inside URLs, as those of proxies and endpoints may hold: found, and never shown. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

#: The options whose values are URLs, or hold some.
OPTIONS = ("endpoint_url", "aws_endpoint_url", "source_endpoint_url", "aws_config")
HIDDEN = "********"
#: Between the slashes and the last `@` before the path, the query or whatever comes behind the URL.
_USER_INFO = re.compile(r"(?<=://)[^/?#\s\"'<>]*@")


def url_credentials(params: Mapping[str, Any]) -> set[str]:
    """Each `user:password@` in these options, as it is written: with the `@`, it is nothing but that wherever it is."""
    return {found for name in OPTIONS for text in _texts(params.get(name)) for found in _user_info(text)}


def without_credentials(text: str) -> str:
    """The text with no user name and no password in any of its URLs."""
    return _USER_INFO.sub(f"{HIDDEN}@", text)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _texts(each)


def _user_info(text: str) -> Iterator[str]:
    """A proxy may be named without a scheme, and a password may hold what should have been encoded."""
    yield from _USER_INFO.findall(text)
    head, at, _host = text.rpartition("@")
    if at:
        yield f"{head.rpartition('//')[2] or head}@"
