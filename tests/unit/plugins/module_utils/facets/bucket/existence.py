# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Call

from tests.unit.plugins.module_utils.facets.given import REGION, s3


def create(**params: object) -> Call:
    """AWS takes no ExpectedBucketOwner here."""
    return Call("s3", "create_bucket", {"Bucket": "tf-state", **params})


READS = {
    "botocore names the region": ({"BucketRegion": "af-south-1"}, {"region": "af-south-1"}),
    "old botocore leaves it in the headers": (
        {"ResponseMetadata": {"HTTPHeaders": {"x-amz-bucket-region": "af-south-1"}}},
        {"region": "af-south-1"},
    ),
    "nobody knows is not where we are": ({}, {"region": None}),
}
DESIRES = {"it lies where it was asked for": ({}, None, {"region": REGION})}
CALLS = {
    "a region is named": (
        None,
        {"region": "af-south-1"},
        [create(CreateBucketConfiguration={"LocationConstraint": "af-south-1"})],
    ),
    "us-east-1 must not be named": (None, {"region": "us-east-1"}, [create()]),
    "deletion is of an empty bucket": ({"region": REGION}, None, [s3("delete_bucket")]),
}
#: What a later S3 may answer.
LATER_READ = {"BucketRegion": "eu-west-1", "BucketArn": "arn:aws:s3:::tf-state", "BucketLocationType": "Moon"}
