# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Credentials inside URLs are found in the options that can hold them, and masked in any text."""

from __future__ import annotations

from typing import Any

import botocore.exceptions
import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.errors import translated
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.url_credentials import (
    url_credentials,
    without_credentials,
)


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({}, set()),
        ({"endpoint_url": None, "aws_config": None}, set()),
        ({"endpoint_url": "https://host:4566", "aws_config": {"retries": {"mode": "standard"}}}, set()),
        ({"endpoint_url": "https://me:pw@host"}, {"me:pw@"}),
        ({"aws_endpoint_url": "https://me:pw@host"}, {"me:pw@"}),
        ({"source_endpoint_url": "https://token@host/path"}, {"token@"}),
        ({"endpoint_url": "https://me:p@w/d@host"}, {"me:p@", "me:p@w/d@"}),
        (
            {"aws_config": {"proxies": {"http": "http://a:b@one:3128", "https": "c:d@two:3128"}}},
            {"a:b@", "c:d@"},
        ),
        ({"aws_config": '{"proxies": {"http": "http://a:b@x", "https": "http://c:d@x"}}'}, {"a:b@", "c:d@"}),
        ({"aws_config": [["http://a:b@x"]], "name": "http://not:an@option"}, {"a:b@"}),
    ],
)
def test_credentials_in_urls_are_found(params: dict[str, Any], found: set[str]) -> None:
    assert url_credentials(params) == found


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("nothing", "nothing"),
        ("write to me@example.org about https://host/a@b", "write to me@example.org about https://host/a@b"),
        ('Could not connect to "https://me:p%40w@host/x"', 'Could not connect to "https://********@host/x"'),
        ("http://a:b@x and http://c@y", "http://********@x and http://********@y"),
    ],
)
def test_credentials_in_urls_are_masked(text: str, masked: str) -> None:
    assert without_credentials(text) == masked


def test_an_error_shows_no_credentials_of_the_endpoint_whether_an_option_or_a_variable_named_it() -> None:
    url = "https://me:secret-pw@localhost:1"
    error = botocore.exceptions.EndpointConnectionError(endpoint_url=f"{url}/bucket")
    said = str(translated(error, url))
    assert "secret-pw" not in said and "https://********@localhost:1" in said
