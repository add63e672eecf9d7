# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The floor: every backend in one process, by botocore alone. All reads of a backend side by side, then the writes
that differ: those of one bucket in sequence, because S3 refuses two at once.

usage: python -m tests.benchmark.programs.floor LIST
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import botocore.session
from botocore.config import Config

from tests.benchmark.targets import Target, read_list
from tests.benchmark.wanted import Setting, bucket, bucket_settings, table, table_protection, table_recovery, table_tags

BACKENDS_AT_ONCE = 20
READS_AT_ONCE = 64
CONFIG = Config(max_pool_connections=10, s3={"addressing_style": "path"})


class Floor:
    def __init__(self) -> None:
        self.session = botocore.session.Session()
        self.reads = ThreadPoolExecutor(READS_AT_ONCE)
        self.keys: dict[str, dict[str, str]] = {}

    def assume(self, targets: Iterable[Target]) -> None:
        """Each role once, side by side."""
        roles = {target.account: target.role for target in targets if target.role}
        sts = self.client("sts", "us-east-1", {})
        answers = self.reads.map(lambda role: sts.assume_role(RoleArn=role, RoleSessionName="bench"), roles.values())
        for account, answer in zip(roles, answers, strict=True):
            given = answer["Credentials"]
            self.keys[account] = {
                "aws_access_key_id": given["AccessKeyId"],
                "aws_secret_access_key": given["SecretAccessKey"],
                "aws_session_token": given["SessionToken"],
            }

    def client(self, service: str, region: str, keys: dict[str, str]) -> Any:
        return self.session.create_client(service, region_name=region, config=CONFIG, **keys)

    def converge(self, target: Target, s3: Any, dynamodb: Any) -> None:
        buckets = [(setting, self.reads.submit(setting.is_met, s3)) for setting in bucket_settings(target)]
        recovery = table_recovery(target)
        recovers = self.reads.submit(recovery.is_met, dynamodb)
        try:
            described = dynamodb.describe_table(TableName=target.table)
        except dynamodb.exceptions.ResourceNotFoundException:
            recovers.exception()
            table(target).put(dynamodb)
            dynamodb.get_waiter("table_exists").wait(TableName=target.table, WaiterConfig={"Delay": 1})
            recovery.put(dynamodb)
        else:
            tags = table_tags(described["Table"]["TableArn"])
            protects = table_protection(target)
            for setting, holds in (
                (protects, protects.holds(described)),
                (tags, tags.is_met(dynamodb)),
                (recovery, recovers.result()),
            ):
                if not holds:
                    setting.put(dynamodb)
        self.mend_bucket(s3, target, buckets)

    def mend_bucket(self, s3: Any, target: Target, found: list[tuple[Setting, Future[bool]]]) -> None:
        left = [setting for setting, holds in found if not holds.result()]
        if len(left) == len(found) and not bucket(target).is_met(s3):
            bucket(target).put(s3)
        for setting in left:
            setting.put(s3)

    def run(self, targets: list[Target]) -> None:
        self.assume(targets)
        with ThreadPoolExecutor(BACKENDS_AT_ONCE) as backends:
            at_work: list[Future[None]] = []
            for target in targets:
                # Made here, because making clients is not safe in threads.
                keys = self.keys.get(target.account, {})
                s3, dynamodb = (self.client(service, target.region, keys) for service in ("s3", "dynamodb"))
                at_work.append(backends.submit(self.converge, target, s3, dynamodb))
            for each in at_work:
                each.result()


if __name__ == "__main__":
    Floor().run(read_list(sys.argv[1]))
