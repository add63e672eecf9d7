# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from tests.unit.plugins.module_utils.facets.given import UNKNOWN, s3

SYSTEM = {"aws:cloudformation:stack-id": "1"}
A, THEIRS, B = ({"Key": key, "Value": value} for key, value in {"a": "1", **SYSTEM, "b": "2"}.items())

READS = {
    "a list becomes a dict": ({"TagSet": [{"Key": "b", "Value": ""}, {"Key": "a", "Value": "1"}]}, {"a": "1", "b": ""})
}
DESIRES = {
    "nothing asked leaves all": ({}, {"a": "1"}, {"a": "1"}),
    "tags are added": ({"tags": {"b": 2}}, {"a": "1"}, {"a": "1", "b": "2"}),
    "tags are replaced": ({"tags": {"a": "2"}}, {"a": "1"}, {"a": "2"}),
    "purging leaves what was asked, and what AWS made": (
        {"tags": {"b": "2"}, "purge_tags": True},
        {"a": "1", **SYSTEM},
        {"b": "2", **SYSTEM},
    ),
    "an empty dict purges all but what AWS made": ({"tags": {}, "purge_tags": True}, {"a": "1", **SYSTEM}, SYSTEM),
}
CALLS = {
    "the whole set is sent": ({}, {"b": "2", "a": "1"}, [s3("put_bucket_tagging", Tagging={"TagSet": [A, B]})]),
    "what AWS made is sent back unchanged": (
        SYSTEM,
        {"b": "2", "a": "1", **SYSTEM},
        [s3("put_bucket_tagging", Tagging={"TagSet": [A, THEIRS, B]})],
    ),
    "an empty set is deleted": ({"a": "1"}, {}, [s3("delete_bucket_tagging")]),
    "a set of which AWS's own remain is not deleted": (
        {"a": "1", **SYSTEM},
        SYSTEM,
        [s3("put_bucket_tagging", Tagging={"TagSet": [THEIRS]})],
    ),
}
PROBLEMS = {
    "50 are fine": ({"tags": {str(number): "" for number in range(50)}}, None),
    "51 are too many": ({"tags": {str(number): "" for number in range(51)}}, "51 tags; AWS takes 50"),
    "aws: is taken": ({"tags": {"AWS:mine": ""}}, "are AWS's own"),
    "a key needs a letter": ({"tags": {"": "x"}}, "1 to 128 characters"),
    "a value is bounded": ({"tags": {"x": "x" * 257}}, "a value at most 256"),
    "purging needs to know what stays": ({"purge_tags": True}, "purge_tags needs tags"),
}
#: What a later S3 may answer.
LATER_READ = {"TagSet": [{"Key": "a", "Value": "1", **UNKNOWN}]}
