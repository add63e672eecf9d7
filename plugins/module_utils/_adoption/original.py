# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The settings that a backend had before it was adopted: recorded as AWS gave them, and put back. Pure.

A facet that is put back is the same facet with another wish: what was recorded. So the loop plans, refuses, writes and
settles as ever. Only the requests are those that leave what AWS had, also where that was no configuration at all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from .._bucket import BUCKET, versioning
from .._core.model import EXISTENCE, Call, Facet, Failure, Invalid, Params, Resource, Response, Target, Value

FORMAT = 1
#: For a setting that AWS has no configuration of.
NOTHING = None


def record_text(described: Mapping[str, Any]) -> str:
    return json.dumps({"format": FORMAT, **described}, indent=2, sort_keys=True, default=_as_text) + "\n"


def _as_text(value: Any) -> str:
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)


def parsed_record(text: str, path: str) -> dict[str, Any]:
    """Raises Invalid."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or found.get("format") != FORMAT or not isinstance(found.get("bucket"), dict):
        raise Invalid(f"{path} is no record of playbooks/adopt.yml: name the file that it wrote")
    return found


def recorded(answer: Any) -> Any:
    """What AWS answered, without what is about the request; NOTHING where it has no configuration."""
    if isinstance(answer, Failure):
        return NOTHING
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def as_it_was(resource: Resource, answers: Mapping[str, Any]) -> Resource:
    """The resource whose facets want to be what was recorded; facets without a record stay as they are."""
    facets = tuple(
        _put_back(resource, facet, answers[facet.name])
        for facet in resource.facets
        if facet.name != EXISTENCE and facet.name in answers
    )
    return replace(resource, facets=(_unchanged(resource.existence), *facets))


def _unchanged(existence: Facet) -> Facet:
    return replace(existence, desired=lambda _params, observed, _target: observed)


def _put_back(resource: Resource, facet: Facet, answer: Any) -> Facet:
    def wanted(target: Target) -> Value:
        return facet.absent if answer is NOTHING else facet.normalise(answer, target)

    def desired(_params: Params, observed: Value, target: Target) -> Value:
        value = wanted(target)
        # AWS cannot take a bucket back to what it was before it first had versions.
        is_past = facet.name == versioning.NAME and value == versioning.ABSENT and observed != versioning.ABSENT
        return "Suspended" if is_past else value

    def calls(target: Target, before: Value, after: Value) -> tuple[Call, ...]:
        exact = _EXACT.get(facet.name) if resource is BUCKET else None
        return (exact(target, answer),) if exact else facet.calls(target, before, after)

    def requested_keys(_params: Params) -> Iterable[str]:
        return () if answer is NOTHING else facet.observed_keys(answer)

    return replace(
        facet,
        desired=desired,
        calls=calls,
        requested_keys=requested_keys,
        problems=lambda _params, _target: (),
        opt_in=False,
        creation=None,
        creation_protection=None,
    )


def _ownership(target: Target, answer: Response) -> Call:
    if answer is NOTHING:
        return Call("s3", "delete_bucket_ownership_controls", target.bucket)
    controls = {"OwnershipControls": answer["OwnershipControls"]}
    return Call("s3", "put_bucket_ownership_controls", {**target.bucket, **controls})


def _public_access(target: Target, answer: Response) -> Call:
    if answer is NOTHING:
        return Call("s3", "delete_public_access_block", target.bucket)
    block = {"PublicAccessBlockConfiguration": answer["PublicAccessBlockConfiguration"]}
    return Call("s3", "put_public_access_block", {**target.bucket, **block})


def _encryption(target: Target, answer: Response) -> Call:
    if answer is NOTHING:
        return Call("s3", "delete_bucket_encryption", target.bucket)
    rules = {"ServerSideEncryptionConfiguration": answer["ServerSideEncryptionConfiguration"]}
    return Call("s3", "put_bucket_encryption", {**target.bucket, **rules})


def _policy(target: Target, answer: Response) -> Call:
    if answer is NOTHING:
        return Call("s3", "delete_bucket_policy", target.bucket)
    return Call("s3", "put_bucket_policy", {**target.bucket, "Policy": answer["Policy"]})


def _lifecycle(target: Target, answer: Response) -> Call:
    if answer is NOTHING:
        return Call("s3", "delete_bucket_lifecycle", target.bucket)
    size = "TransitionDefaultMinimumObjectSize"
    more = {size: answer[size]} if size in answer else {}
    rules = {"LifecycleConfiguration": {"Rules": answer["Rules"]}}
    return Call("s3", "put_bucket_lifecycle_configuration", {**target.bucket, **rules, **more})


def _tags(target: Target, answer: Response) -> Call:
    if answer is NOTHING:
        return Call("s3", "delete_bucket_tagging", target.bucket)
    return Call("s3", "put_bucket_tagging", {**target.bucket, "Tagging": {"TagSet": answer["TagSet"]}})


def _logging(target: Target, answer: Response) -> Call:
    enabled = (answer or {}).get("LoggingEnabled")
    status = {"LoggingEnabled": enabled} if enabled else {}
    return Call("s3", "put_bucket_logging", {**target.bucket, "BucketLoggingStatus": status})


#: Facets of buckets whose normal form has no word for what is not configured, or for how it was spelt.
_EXACT: Mapping[str, Callable[[Target, Response], Call]] = {
    "ownership": _ownership,
    "public_access": _public_access,
    "encryption": _encryption,
    "lifecycle": _lifecycle,
    "tags": _tags,
    "logging": _logging,
    "policy": _policy,
}
