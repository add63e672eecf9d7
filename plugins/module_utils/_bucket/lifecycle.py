# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lifecycle: how long old versions of a state stay, and the litter of lock files goes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .._core.model import Call, Params, Probe, Response, Target, Value
from .lifecycle_rules import SMALLEST, as_written, canonical
from .mfa_delete_probe import mfa_delete

NAME = "lifecycle"
OPTIONS = {
    "noncurrent_version_expiration_days": {"type": "int"},
    "newer_noncurrent_versions": {"type": "int"},
    "abort_incomplete_multipart_upload_days": {"type": "int"},
    "expired_object_delete_marker": {"type": "bool"},
}
ABSENT: Value = {}
NOT_FOUND = {"NoSuchLifecycleConfiguration"}

#: What AWS assumes where no smallest size is put.
DEFAULT_SIZE = "all_storage_classes_128K"

#: Our one rule. Every other rule of the bucket is somebody else's and stays.
RULE_ID = "cornerstone.tfstate"
BASELINE = dict(zip(OPTIONS, (90, 20, 7, True), strict=True))
NOTHING = dict(zip(OPTIONS, (0, 0, 0, False), strict=True))


def read(target: Target) -> Call:
    return Call("s3", "get_bucket_lifecycle_configuration", target.bucket)


def normalise(response: Response, target: Target) -> Value:
    """Rules by ID, in the form of PutBucketLifecycleConfiguration with every default spelt out.

    Beside them stands the smallest size of an object that transitions, if it is not AWS's default.
    """
    size = response.get(SMALLEST, DEFAULT_SIZE)
    rules = {rule.get("ID") or f"unnamed-{place}": canonical(rule) for place, rule in enumerate(response["Rules"])}
    return rules if size == DEFAULT_SIZE else {**rules, SMALLEST: size}


def desired(params: Params, observed: Value, target: Target) -> Value:
    asked = {name: params[name] for name in OPTIONS if params.get(name) is not None}
    if not asked and not target.fresh:
        return observed
    kept = BASELINE if target.fresh else settings(observed.get(RULE_ID, {}))
    rule = _rule({**kept, **asked})
    foreign = {name: each for name, each in observed.items() if name != RULE_ID}
    if rule:
        return {**foreign, RULE_ID: rule}
    return foreign if foreign.keys() - {SMALLEST} else ABSENT


def settings(rule: Any) -> dict[str, Any]:
    """Our options as a rule of ours holds them; zero and False say that the rule does not do it."""
    if rule.get("Status") != "Enabled":
        return dict(NOTHING)
    noncurrent = rule.get("NoncurrentVersionExpiration", {})
    found = (
        noncurrent.get("NoncurrentDays", 0),
        noncurrent.get("NewerNoncurrentVersions", 0),
        rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation", 0),
        bool(rule.get("Expiration", {}).get("ExpiredObjectDeleteMarker")),
    )
    return dict(zip(OPTIONS, found, strict=True))


def _rule(setting: dict[str, Any]) -> dict[str, Any]:
    days, newer, abort, markers = (setting[name] for name in OPTIONS)
    actions: dict[str, Any] = {}
    if days:
        keep = {"NewerNoncurrentVersions": newer} if newer else {}
        actions["NoncurrentVersionExpiration"] = {"NoncurrentDays": days, **keep}
    if abort:
        actions["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": abort}
    if markers:
        actions["Expiration"] = {"ExpiredObjectDeleteMarker": True}
    return {"Status": "Enabled", "Filter": {}, **actions} if actions else {}


def calls(target: Target, before: Value, after: Value) -> tuple[Call, ...]:
    if not after:
        return (Call("s3", "delete_bucket_lifecycle", target.bucket),)
    size = {SMALLEST: after[SMALLEST]} if SMALLEST in after else {}  # left out, it would go back to the default
    config = {**target.bucket, "LifecycleConfiguration": {"Rules": as_written(after)}, **size}
    return (Call("s3", "put_bucket_lifecycle_configuration", config),)


def probes(target: Target, before: Value, after: Value) -> Iterator[Probe]:
    if not target.fresh:
        yield mfa_delete(target, "leave the lifecycle as it is, or alone with unmanaged: [lifecycle]")


def problems(params: Params, target: Target) -> Iterator[str]:
    for name, highest in (
        ("noncurrent_version_expiration_days", 36500),
        ("newer_noncurrent_versions", 100),
        ("abort_incomplete_multipart_upload_days", 36500),
    ):
        value = params.get(name)
        if value is not None and not 0 <= value <= highest:
            yield f"{name} is {value}; it must lie between 0 (off) and {highest}"
