# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A peer: the plain boto3 script. Reads each setting, writes it when it differs, one after another.

usage: python -m tests.benchmark.programs.sequential LIST
"""

from __future__ import annotations

import sys
from typing import Any

import boto3

from tests.benchmark.targets import Target, read_list
from tests.benchmark.wanted import bucket, bucket_settings, table, table_protection, table_recovery, table_tags


def converge_bucket(s3: Any, target: Target) -> None:
    for setting in (bucket(target), *bucket_settings(target)):
        if not setting.is_met(s3):
            setting.put(s3)


def converge_table(dynamodb: Any, target: Target) -> None:
    try:
        described = dynamodb.describe_table(TableName=target.table)
    except dynamodb.exceptions.ResourceNotFoundException:
        table(target).put(dynamodb)
        dynamodb.get_waiter("table_exists").wait(TableName=target.table, WaiterConfig={"Delay": 1})
    else:
        if not table_protection(target).holds(described):
            table_protection(target).put(dynamodb)
        tags = table_tags(described["Table"]["TableArn"])
        if not tags.is_met(dynamodb):
            tags.put(dynamodb)
    recovery = table_recovery(target)
    if not recovery.is_met(dynamodb):
        recovery.put(dynamodb)


if __name__ == "__main__":
    for each in read_list(sys.argv[1]):
        converge_bucket(boto3.client("s3", region_name=each.region), each)
        converge_table(boto3.client("dynamodb", region_name=each.region), each)
