# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lifecycle: how long old versions of states are kept, and when remains of lock files are deleted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .._core.model import (
    Call,
    Change,
    FindingKind,
    IamActions,
    Params,
    Probe,
    Refusal,
    Response,
    Target,
    Value,
)
from .._core.printable import shortened
from .._core.provider import Attributes, Block, ProviderArguments, snake_case, without_nulls
from .._core.refusals import check_known
from .lifecycle_rules import SMALLEST, Expiry, as_written, canonical, expiries
from .mfa_delete_probe import mfa_delete

NAME = "lifecycle"
OPTIONS = {
    "noncurrent_version_expiration_days": {"type": "int"},
    "newer_noncurrent_versions": {"type": "int"},
    "abort_incomplete_multipart_upload_days": {"type": "int"},
    "expired_object_delete_marker": {"type": "bool"},
    "lifecycle_rules": {"type": "dict"},
}
#: The option that names rules of others, which then stay as it says.
RULES = "lifecycle_rules"
ABSENT: Value = {}
NOT_FOUND = {"NoSuchLifecycleConfiguration"}
IAM_ACTIONS = IamActions(read=("s3:GetLifecycleConfiguration",), write=("s3:PutLifecycleConfiguration",))
FINDING = FindingKind(
    "low",
    "Litter is never removed",
    "Each lock file leaves a version and a delete marker: listings grow slow, and old versions cost for ever.",
    ("S3.10", "S3.13", "CKV_AWS_300", "CKV2_AWS_61"),
)

#: AWS's default.
DEFAULT_SIZE = "all_storage_classes_128K"

#: The rule that we manage. All other rules of the bucket stay as they are.
RULE_ID = "cornerstone.tfstate"
BASELINE: dict[str, Any] = {
    "noncurrent_version_expiration_days": 90,
    "newer_noncurrent_versions": 20,
    "abort_incomplete_multipart_upload_days": 7,
    "expired_object_delete_marker": True,
}
NOTHING: dict[str, Any] = {
    "noncurrent_version_expiration_days": 0,
    "newer_noncurrent_versions": 0,
    "abort_incomplete_multipart_upload_days": 0,
    "expired_object_delete_marker": False,
}


def read(target: Target) -> Call:
    return Call("s3", "get_bucket_lifecycle_configuration", target.bucket)


def normalise(response: Response, target: Target) -> Value:
    """Rules by ID, in the form of PutBucketLifecycleConfiguration with every default spelt out.

    With them the smallest size of an object that transitions, if it is not AWS's default.
    """
    size = response.get(SMALLEST, DEFAULT_SIZE)
    rules = {rule.get("ID") or f"unnamed-{place}": canonical(rule) for place, rule in enumerate(response["Rules"])}
    return rules if size == DEFAULT_SIZE else {**rules, SMALLEST: size}


def desired(params: Params, observed: Value, target: Target) -> Value:
    observed = {**observed, **{name: canonical(rule) for name, rule in (params.get(RULES) or {}).items()}}
    asked = {name: params[name] for name in OPTIONS if name != RULES and params.get(name) is not None}
    if not asked and not target.fresh:
        return observed
    kept = BASELINE if target.fresh else settings(observed.get(RULE_ID, {}))
    rule = _rule({**kept, **asked})
    foreign = {name: each for name, each in observed.items() if name != RULE_ID}
    if rule:
        return {**foreign, RULE_ID: rule}
    return foreign if foreign.keys() - {SMALLEST} else ABSENT


def settings(rule: Any) -> dict[str, Any]:
    """Our options as read from our rule; zero and False mean that the rule does not do it."""
    if rule.get("Status") != "Enabled":
        return dict(NOTHING)
    noncurrent = rule.get("NoncurrentVersionExpiration", {})
    multipart_uploads = rule.get("AbortIncompleteMultipartUpload", {})
    return {
        "noncurrent_version_expiration_days": noncurrent.get("NoncurrentDays", 0),
        "newer_noncurrent_versions": noncurrent.get("NewerNoncurrentVersions", 0),
        "abort_incomplete_multipart_upload_days": multipart_uploads.get("DaysAfterInitiation", 0),
        "expired_object_delete_marker": bool(rule.get("Expiration", {}).get("ExpiredObjectDeleteMarker")),
    }


def _rule(setting: dict[str, Any]) -> dict[str, Any]:
    days, newer = setting["noncurrent_version_expiration_days"], setting["newer_noncurrent_versions"]
    abort = setting["abort_incomplete_multipart_upload_days"]
    actions: dict[str, Any] = {}
    if days:
        keep = {"NewerNoncurrentVersions": newer} if newer else {}
        actions["NoncurrentVersionExpiration"] = {"NoncurrentDays": days, **keep}
    if abort:
        actions["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": abort}
    if setting["expired_object_delete_marker"]:
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
    for name, rule in (params.get(RULES) or {}).items():
        if name in (RULE_ID, SMALLEST):
            yield f"{RULES}: {name} belongs to options of its own"
        elif not isinstance(rule, Mapping) or not isinstance(rule.get("Filter", {}), Mapping):
            yield f"{RULES}: the rule {shortened(str(name))} is no dictionary with a Filter, as AWS writes a rule"


#: What a new bucket does to old versions by default.
BASELINE_EXPIRY = Expiry({}, BASELINE["noncurrent_version_expiration_days"], BASELINE["newer_noncurrent_versions"])


def refusals(change: Change, target: Target) -> Iterator[Refusal]:
    today = [*expiries(change.before), *([BASELINE_EXPIRY] if target.fresh else [])]
    than = "the baseline of a new bucket" if target.fresh else "today"
    for after in expiries(change.after):
        if not any(before.covers(after) for before in today):
            reason = (
                f"old versions would be kept less long than {than}: {after.days} days, newest {after.newer} besides"
            )
            yield Refusal(reason, "shorten_retention")


def returned(response: Response) -> Value:
    """The rules in their order and form, and the smallest size: the provider's list of rules is ordered."""
    return {name: response[name] for name in ("Rules", SMALLEST) if name in response}


def provider_arguments(value: Value) -> Iterator[ProviderArguments]:
    """The provider sets AWS's default for the smallest size if the project does not set one."""
    rules = tuple(_provider_rule(place, rule) for place, rule in enumerate(value.get("Rules", ())))
    if rules:
        size = value.get(SMALLEST)
        said = without_nulls(transition_default_minimum_object_size=None if size == DEFAULT_SIZE else size)
        yield ProviderArguments("aws_s3_bucket_lifecycle_configuration", said, rules, after=("versioning",))


#: Parts of a lifecycle rule that the provider does not call by their AWS name in snake case.
_PLURALS = {"Transitions": "transition", "NoncurrentVersionTransitions": "noncurrent_version_transition"}
#: What the provider has words for, by the name of each part.
_PARTS = {
    "AbortIncompleteMultipartUpload": ("DaysAfterInitiation",),
    "Expiration": ("Date", "Days", "ExpiredObjectDeleteMarker"),
    "NoncurrentVersionExpiration": ("NewerNoncurrentVersions", "NoncurrentDays"),
    "Transitions": ("Date", "Days", "StorageClass"),
    "NoncurrentVersionTransitions": ("NewerNoncurrentVersions", "NoncurrentDays", "StorageClass"),
}
_SIZES = ("ObjectSizeGreaterThan", "ObjectSizeLessThan")


def _provider_rule(place: int, rule: Mapping[str, Any]) -> Block:
    """The prefix of a rule without a filter is deprecated, and what the provider reads of it."""
    name = rule.get("ID") or f"unnamed-{place}"
    check_known(f"lifecycle rule {name}", rule, (*_PARTS, "ID", "Status", "Filter", "Prefix"))
    attributes: Attributes = {"id": name, **without_nulls(prefix=rule.get("Prefix")), "status": rule["Status"]}
    return Block("rule", (), attributes, (*_filter(name, rule.get("Filter")), *_actions(name, rule)))


def _actions(rule: str, parts: Mapping[str, Any]) -> Iterator[Block]:
    for name, known in _PARTS.items():
        found = parts.get(name, ())
        for each in (found,) if isinstance(found, Mapping) else found:
            check_known(f"lifecycle rule {rule}", each, known)
            yield Block(
                _PLURALS.get(name, snake_case(name)), (), {snake_case(key): _in_utc(each[key]) for key in sorted(each)}
            )


def _filter(rule: str, where: Mapping[str, Any] | None) -> Iterator[Block]:
    """An empty filter is none to the provider, and another one than that for the empty prefix."""
    if not where:
        return
    check_known(f"lifecycle rule {rule}", where, ("And", "Prefix", "Tag", *_SIZES))
    plain: Attributes = {snake_case(name): where[name] for name in sorted(where) if name not in ("And", "Tag")}
    blocks = []
    if "Tag" in where:
        blocks.append(Block("tag", (), {"key": where["Tag"]["Key"], "value": where["Tag"]["Value"]}))
    if "And" in where:
        blocks.append(_and(rule, where["And"]))
    yield Block("filter", (), plain, tuple(blocks))


def _and(rule: str, both: Mapping[str, Any]) -> Block:
    check_known(f"lifecycle rule {rule}", both, ("Prefix", "Tags", *_SIZES))
    tags: dict[str, Value] = {tag["Key"]: tag["Value"] for tag in both.get("Tags", ())}
    plain: Attributes = {snake_case(name): both[name] for name in sorted(both) if name != "Tags"}
    return Block("and", (), {**plain, **({"tags": tags} if tags else {})})


def _in_utc(value: Any) -> Any:
    """A date in the form of the provider: RFC 3339 in UTC."""
    text = value.isoformat() if hasattr(value, "isoformat") else value
    return text.replace("+00:00", "Z") if isinstance(text, str) else text
