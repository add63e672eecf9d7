# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the tables of cases share: one bucket, one table, and short ways to write their calls."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Call, Target

from tests.unit.plugins.module_utils.fake_aws import ACCOUNT, KEY, KEYS, OTHER_KEY, REGION

__all__ = [
    "ACCOUNT",
    "ARN",
    "BUCKET",
    "KEY",
    "OTHER_KEY",
    "REGION",
    "ROOT",
    "TABLE",
    "TABLE_ARN",
    "UNKNOWN",
    "dynamodb",
    "s3",
]

NAME = "tf-state"
ARN = f"arn:aws:s3:::{NAME}"
TABLE_ARN = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{NAME}"
#: What no version of AWS answers today.
UNKNOWN = {"Unheard": {"Of": ["x"]}}
ROOT = "arn:aws:iam::444455556666:root"
BUCKET = Target(NAME, REGION, owner=ACCOUNT, account_id=ACCOUNT, arn=ARN, keys=KEYS)
TABLE = replace(BUCKET, arn=TABLE_ARN)


def s3(operation: str, **params: Any) -> Call:
    return Call("s3", operation, {"Bucket": NAME, "ExpectedBucketOwner": ACCOUNT, **params})


def dynamodb(operation: str, **params: Any) -> Call:
    return Call("dynamodb", operation, {"TableName": NAME, **params})
