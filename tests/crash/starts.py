# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where runs begin that are going to die or to lose replies, and what they are asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from tests.crash.safety import FOREIGN_RULE, FOREIGN_STATEMENT, ITEMS, STATE
from tests.integration.module_runs import through_core
from tests.integration.subject import Subject
from tests.integration.test_crashes import ASKED


def nothing(subject: Subject) -> None:
    """It does not exist."""


def ours(subject: Subject) -> None:
    """A resource that we made, in use for a while by clients and by others."""
    replace(subject, run_tasks=through_core).done()
    _use(subject)


def old(subject: Subject) -> None:
    """A bucket from before AWS closed and encrypted new ones, never cared for, with a state in it."""
    s3 = subject.emulator.client("s3", region=subject.region)
    s3.create_bucket(Bucket=subject.name)
    for remove in (s3.delete_public_access_block, s3.delete_bucket_ownership_controls):
        with suppress(s3.exceptions.ClientError):
            remove(Bucket=subject.name)
    _use(subject)


def _use(subject: Subject) -> None:
    if subject.kind == "table":
        dynamodb = subject.emulator.client("dynamodb", region=subject.region)
        for item in ITEMS:
            dynamodb.put_item(TableName=subject.name, Item=item)
        arn = dynamodb.describe_table(TableName=subject.name)["Table"]["TableArn"]
        dynamodb.tag_resource(ResourceArn=arn, Tags=[{"Key": "Team", "Value": "a"}])
        return
    s3 = subject.emulator.client("s3", region=subject.region)
    for body in (b'{"serial": 1}', b'{"serial": 2}'):
        s3.put_object(**{**STATE, "Bucket": subject.name}, Body=body)
    s3.put_bucket_tagging(Bucket=subject.name, Tagging={"TagSet": [{"Key": "Team", "Value": "a"}]})
    # Through the relay, which remembers of a lifecycle what the emulator forgets.
    with suppress(s3.exceptions.ClientError):
        rules = subject.aws().get_bucket_lifecycle_configuration(Bucket=subject.name)["Rules"]
        subject.aws().put_bucket_lifecycle_configuration(
            Bucket=subject.name, LifecycleConfiguration={"Rules": [*rules, FOREIGN_RULE]}
        )
    statement = {**FOREIGN_STATEMENT, "Resource": f"arn:aws:s3:::{subject.name}"}
    policy = {"Version": "2012-10-17", "Statement": []}
    with suppress(s3.exceptions.ClientError):
        policy = json.loads(s3.get_bucket_policy(Bucket=subject.name)["Policy"])
    policy["Statement"] = [*policy["Statement"], statement]
    s3.put_bucket_policy(Bucket=subject.name, Policy=json.dumps(policy))


@dataclass(frozen=True)
class Start:
    """What is there, what a run is asked, and the least number of calls that doing it takes."""

    prepare: Callable[[Subject], None]
    asked: dict[str, Any]
    least_calls: int
    least_writes: int
    #: The word for what it does, in asked options that name the resource.
    is_deletion: bool = field(default=False)

    def of(self, subject: Subject) -> dict[str, Any]:
        return {**self.asked, "confirm_name": subject.name} if self.is_deletion else self.asked


GONE = {"state": "absent", "allow": ["delete_state", "disable_deletion_protection", "break_lock"]}
STARTS = {
    "bucket": {
        "creation": Start(nothing, ASKED["bucket"], 20, 6),
        "modification": Start(ours, ASKED["bucket"], 20, 5),
        "adoption": Start(old, {}, 15, 4),
        "deletion": Start(ours, {**GONE, "allow": ["delete_state"]}, 8, 2, is_deletion=True),
    },
    "table": {
        "creation": Start(nothing, ASKED["table"], 8, 2),
        "modification": Start(ours, ASKED["table"], 12, 4),
        "deletion": Start(ours, GONE, 8, 2, is_deletion=True),
    },
}
