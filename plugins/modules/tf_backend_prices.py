#!/usr/bin/python
# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: tf_backend_prices
short_description: Write a file of prices from AWS's public price list
version_added: 0.2.0
description:
  - Reads what S3, DynamoDB and KMS cost in some regions, and writes it into a file, which
    O(cornerstone.tfstate.tf_backend_audit#module:prices_file) takes.
  - The collection has prices of its own, each with its date and source. They are complete for few regions, and grow
    old. C(docs/cost.md) lists them.
  - AWS publishes the price list for everybody. It needs no credentials and no permissions, but access to the internet.
  - It writes the file once all prices of all regions are known, and in one step. Nobody ever reads half of one.
author:
  - cornerstone.tfstate contributors (@cornerstone-tfstate)
extends_documentation_fragment:
  - cornerstone.tfstate.attributes
options:
  path:
    description:
      - The file to write. It is comma-separated, with a price in each line, and made to be read and kept in Git.
      - A relative path is relative to the playbook, and in a playbook of this collection to the current folder.
    type: path
    required: true
  regions:
    description:
      - The regions whose prices are read.
      - Not those of China, which have a price list of their own, in another currency.
    type: list
    elements: str
    required: true
  url:
    description:
      - Where the price list is, such as a mirror of it. It must be an C(https) URL, except on this machine.
    type: str
    default: https://pricing.us-east-1.amazonaws.com
  validate_certs:
    description:
      - Whether the certificate of O(url) is checked.
    type: bool
    default: true
  timeout:
    description:
      - How many seconds to wait for an answer.
    type: int
    default: 60
seealso:
  - module: cornerstone.tfstate.tf_backend_audit
  - name: AWS Price List Bulk API
    description: What is read.
    link: https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-the-aws-price-list-bulk-api.html
"""

EXAMPLES = r"""
- name: Read what AWS charges in a region
  cornerstone.tfstate.tf_backend_prices:
    path: prices.csv
    regions:
      - eu-central-1
"""

RETURN = r"""
changes:
  description: The file, if it was written, or in check mode would be.
  returned: always
  type: list
  elements: dict
  contains:
    file: {description: Its path., type: str, sample: /home/ezra/prices.csv}
    action: {description: V(create) or V(update)., type: str, sample: create}
files:
  description: The path of the file.
  returned: success
  type: list
  elements: str
  sample: [/home/ezra/prices.csv]
prices:
  description: How many prices are in it.
  returned: success
  type: int
  sample: 22
"""

import json
from functools import partial
from http.client import HTTPException
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit

from ansible.module_utils.urls import open_url
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Invalid, Params, TfstateError
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.printable import printable
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.regions import meant_region, partition_of
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.suggestions import suggestion
from ansible_collections.cornerstone.tfstate.plugins.module_utils._cost.price_list import (
    USAGE_TYPES,
    path_of,
    prices_of,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._cost.prices import PRICE_LIST_URL, Price
from ansible_collections.cornerstone.tfstate.plugins.module_utils._cost.prices_file import prices_text
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.reconcile import write_files
from ansible_collections.cornerstone.tfstate.plugins.module_utils._local.files import check_writable, read_text
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import (
    ModuleEntry,
    ModuleRun,
    run_module,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.files_result import (
    files_failure,
    files_result,
    write_and_report,
)

OPTIONS: dict[str, dict[str, Any]] = {
    "path": {"type": "path", "required": True},
    "regions": {"type": "list", "elements": "str", "required": True},
    "url": {"default": PRICE_LIST_URL},
    "validate_certs": {"type": "bool", "default": True},
    "timeout": {"type": "int", "default": 60},
}
#: The list of S3 in us-east-1, the longest, has a few millions.
MOST_BYTES = 64 * 2**20
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def write_prices(run: ModuleRun) -> dict[str, Any]:
    run.failure = files_failure
    params = run.params
    _check(params)
    check_writable(params["path"])
    prices: dict[str, dict[str, Price]] = {}
    for region in sorted(set(params["regions"])):
        for service in USAGE_TYPES:
            url = params["url"].rstrip("/") + path_of(service, region)
            prices.setdefault(region, {}).update(prices_of(service, region, _document(url, params), url))
    wanted = {params["path"]: prices_text(prices)}
    changes = write_files(wanted, run.check_mode, read_text, check_writable, partial(write_and_report, run.on_write))
    return {**files_result(changes, wanted, run.diff), "prices": sum(map(len, prices.values()))}


def _check(params: Params) -> None:
    url = urlsplit(params["url"])
    if url.scheme != "https" and not (url.scheme == "http" and url.hostname in LOOPBACK):
        raise Invalid(f"url is {printable(params['url'])}: prices are read from an https URL")
    if url.username or url.password:
        raise Invalid("url has a user or a password in it, which would be shown: the price list needs none")
    if not params["regions"]:
        raise Invalid("regions is empty: name the regions whose prices you need")
    for region in params["regions"]:
        meant = meant_region(region)
        if meant or "-" not in region or "/" in region:
            raise Invalid(f"{printable(region)} in regions is not a region{suggestion([meant] if meant else [])}")
        if partition_of(region).name not in ("aws", "aws-us-gov"):
            raise Invalid(f"{printable(region)} in regions is not in AWS's public price list: leave it out")


def _document(url: str, params: Params) -> Any:
    try:
        answer = open_url(url, timeout=params["timeout"], validate_certs=params["validate_certs"], use_netrc=False)
        text = answer.read(MOST_BYTES + 1)
    except (URLError, HTTPException, OSError, ValueError) as problem:
        raise TfstateError(
            f"{url} cannot be read: {printable(getattr(problem, 'reason', None) or problem)}. It needs access to the "
            "internet: run this on a machine that has it, and copy the file"
        ) from None
    if len(text) > MOST_BYTES:
        raise TfstateError(f"{url} has more than {MOST_BYTES} bytes: it is not the price list of one region")
    try:
        return json.loads(text)
    except ValueError as problem:
        reason = printable(problem)
        raise TfstateError(f"{url} is not a price list: {reason}. The answer may be cut off: run again") from None


MODULE = ModuleEntry(OPTIONS, write_prices)


def main() -> None:
    run_module(MODULE)


if __name__ == "__main__":
    main()
