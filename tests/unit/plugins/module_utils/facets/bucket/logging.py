# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from tests.unit.plugins.module_utils.facets.given import UNKNOWN, s3

LOGS = {"TargetBucket": "logs", "TargetPrefix": "old/"}
PARTITIONED = {**LOGS, "TargetObjectKeyFormat": {"PartitionedPrefix": {"PartitionDateSource": "EventTime"}}}

READS = {"nothing": ({}, {}), "something": ({"LoggingEnabled": PARTITIONED}, PARTITIONED)}
DESIRES = {
    "nothing asked leaves it": ({}, LOGS, LOGS),
    "a word switches it off": ({"logging_target_bucket": "none"}, LOGS, {}),
    "the prefix is the bucket's name": (
        {"logging_target_bucket": "logs"},
        {},
        {"TargetBucket": "logs", "TargetPrefix": "tf-state/"},
    ),
    "the same bucket keeps its prefix and form": ({"logging_target_bucket": "logs"}, PARTITIONED, PARTITIONED),
    "another bucket starts anew": (
        {"logging_target_bucket": "new"},
        PARTITIONED,
        {"TargetBucket": "new", "TargetPrefix": "tf-state/"},
    ),
    "an empty prefix is a prefix": (
        {"logging_target_bucket": "logs", "logging_target_prefix": ""},
        LOGS,
        {"TargetBucket": "logs", "TargetPrefix": ""},
    ),
}
CALLS = {
    "on": ({}, LOGS, [s3("put_bucket_logging", BucketLoggingStatus={"LoggingEnabled": LOGS})]),
    "off": (LOGS, {}, [s3("put_bucket_logging", BucketLoggingStatus={})]),
}
PROBLEMS = {
    "logs of logs grow for ever": ({"logging_target_bucket": "tf-state"}, "its logs would grow for ever"),
    "a prefix needs a bucket": ({"logging_target_prefix": "x/"}, "needs logging_target_bucket"),
}
#: What a later S3 may answer.
LATER_READ = {"LoggingEnabled": {"TargetBucket": "x", "TargetPrefix": "", **UNKNOWN}}
