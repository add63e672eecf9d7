# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a bucket or table that exists has beyond the baseline, as options that keep it so. Pure.

An option is written only if it changes nothing: with all of them, each facet desires what it desires without them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from .._bucket import BUCKET, lifecycle, object_lock
from .._bucket import encryption as bucket_encryption
from .._bucket.lifecycle_rules import SMALLEST
from .._core.makers import Recognised, recognised
from .._core.model import EXISTENCE, Facet, Params, Resource, Target, Value, Values
from .._core.tags import LOCK_FILES, LOCK_MODE, SYSTEM
from .._policy.baseline import TLS_VERSION, bucket_arn, is_own
from .._policy.document import (
    SID,
    Statement,
    canonical,
    deleted_principals,
    digest,
    faults,
    label,
    meaning,
    tls_version,
)
from .._table.encryption import MANAGED_KEY
from .._table.recovery import LONGEST_DAYS
from .variables import has_template_in_names

Options = dict[str, Any]
STATEMENTS = "policy_statements"


@dataclass
class Strength:
    """Options of the module by facet, and what no option can hold."""

    options: dict[str, Options] = field(default_factory=dict)
    #: Why, by facet.
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def flat(self) -> Options:
        return {name: value for options in self.options.values() for name, value in options.items()}


def strength_of(
    resource: Resource,
    values: Values,
    target: Target,
    unmanaged: Collection[str] = (),
    asked: Params = MappingProxyType({}),
) -> Strength:
    """Of what was observed; facets that are unmanaged are not looked at.

    `asked`: options that the inventory says elsewhere. A file of the host would replace them: what they say stays said.
    """
    found = Strength()
    held = _BUCKET if resource is BUCKET else _TABLE
    for facet in resource.facets:
        if facet.name == EXISTENCE or facet.name in unmanaged or facet.name not in held:
            continue
        said = {name: asked[name] for name in facet.options if asked.get(name) is not None}
        options = held[facet.name](values[facet.name], target, found)
        options = _beside(said, {name: value for name, value in options.items() if value is not None}, target)
        if not options:
            continue
        why = _obstacle(facet, options, said, values[facet.name], target)
        if why:
            found.left_out[facet.name] = why
        else:
            found.options[facet.name] = options
    return found


def _beside(said: Params, options: Options, target: Target) -> Options:
    """The options without what was said elsewhere, which dictionaries and lists take in."""
    joined: Options = {}
    for name in ("tags", lifecycle.RULES):
        if name in said and name in options:
            joined[name] = {**options[name], **said[name]}
    if STATEMENTS in said and STATEMENTS in options:
        known = [canonical(each, target.partition) for each in said[STATEMENTS]]
        taken, meanings = {each.get("Sid") for each in known}, {*map(meaning, known)}
        more = [each for each in options[STATEMENTS] if each["Sid"] not in taken and meaning(each) not in meanings]
        joined[STATEMENTS] = [*said[STATEMENTS], *more]
    if {*said} - {*joined}:  # it decides on the whole facet, but for what can stand beside it
        return {
            **joined,
            **{name: options[name] for name in (lifecycle.RULES,) if name in options and name not in joined},
        }
    return {**options, **joined}


def _obstacle(facet: Facet, options: Options, said: Params, observed: Value, target: Target) -> str | None:
    """Why these options would not keep the facet as it is, if so."""
    problem = next(iter(facet.problems({**said, **options}, target)), None)
    if problem:
        return str(problem)
    if has_template_in_names(options):
        return "a name in it would be a template"
    without = facet.desired(said, observed, target)
    return None if facet.desired({**said, **options}, observed, target) == without else "no option describes it exactly"


def _encryption(value: Value, target: Target, found: Strength) -> Options:
    if not bucket_encryption.is_kms(value["algorithm"]):
        return {}
    bucket_key = value["bucket_key_enabled"] if value["algorithm"] == "aws:kms" else None
    return {"encryption": value["algorithm"], "kms_key_id": value["kms_key_id"], "bucket_key_enabled": bucket_key}


def _lifecycle(value: Value, target: Target, found: Strength) -> Options:
    own = value.get(lifecycle.RULE_ID)
    ours: Options = dict(lifecycle.settings(own)) if own and own.get("Status") == "Enabled" else {}
    theirs = {name: rule for name, rule in value.items() if name not in (lifecycle.RULE_ID, SMALLEST)}
    return {**ours, lifecycle.RULES: theirs or None}


def _object_lock(value: Value, target: Target, found: Strength) -> Options:
    if value == object_lock.ABSENT or not value["enabled"]:
        return {}
    return {"object_lock": True, "object_lock_mode": value["mode"], "object_lock_days": value["days"]}


def _tags(value: Value, target: Target, found: Strength) -> Options:
    """Without those that are ours or of AWS, and those by which another tool shows: they are its own to change."""
    kept = {
        key: text
        for key, text in value.items()
        if key not in (LOCK_FILES, LOCK_MODE)
        and not key.lower().startswith(SYSTEM)
        and not recognised("bucket", "", {"tags": {key: text}})
    }
    return {"tags": kept or None}


def _logging(value: Value, target: Target, found: Strength) -> Options:
    if not value:
        return {}
    return {"logging_target_bucket": value["TargetBucket"], "logging_target_prefix": value.get("TargetPrefix", "")}


def _policy(value: Value, target: Target, found: Strength) -> Options:
    statements: list[Statement] = value["statements"]
    own = [each for each in statements if is_own(each, target)]
    lowest = next((tls_version(each) for each in own if each.get("Sid") == TLS_VERSION), None)
    kept, taken = [], {each.get("Sid") for each in own}
    for each in statements:
        if each in own:
            continue
        named = {**each, "Sid": _sid(each, taken)}
        taken.add(named["Sid"])
        if deleted_principals(each) or [*faults(named, bucket_arn(target))]:
            found.left_out[f"policy statement {label(each)}"] = "AWS would not take it again as it is"
        else:
            kept.append(named)
    return {"minimum_tls_version": lowest if lowest == "1.3" else None, "policy_statements": kept or None}


def _sid(statement: Statement, taken: set[Any]) -> str:
    """Its own, unless AWS would not take it again: then one by what it does."""
    own = str(statement.get("Sid") or "")
    return own if SID.fullmatch(own) and own.strip() and own not in taken else f"Adopted{digest(statement)[7:]}"


def _recovery(value: Value, target: Target, found: Strength) -> Options:
    return {"point_in_time_recovery": True, "recovery_period_days": value["period_days"] or LONGEST_DAYS}


def _billing(value: Value, target: Target, found: Strength) -> Options:
    return dict(value)


def _table_encryption(value: Value, target: Target, found: Strength) -> Options:
    key = value["kms_key_id"]
    if not key:
        return {}
    if key == MANAGED_KEY:
        return {"encryption": "aws_managed_key"}
    return {"encryption": "customer_managed_key", "kms_key_id": key}


def _table_class(value: Value, target: Target, found: Strength) -> Options:
    return {"table_class": value}


_Holds = Callable[[Value, Target, Strength], Options]
#: By facet. Those that are missing have nothing beyond the baseline.
_BUCKET: Mapping[str, _Holds] = {
    "encryption": _encryption,
    "lifecycle": _lifecycle,
    "object_lock": _object_lock,
    "tags": _tags,
    "logging": _logging,
    "policy": _policy,
}
_TABLE: Mapping[str, _Holds] = {
    "recovery": _recovery,
    "billing": _billing,
    "encryption": _table_encryption,
    "table_class": _table_class,
    "tags": _tags,
}


def disputes(resource: Resource, values: Values, target: Target, maker: Recognised | None) -> Iterator[str]:
    """The facets that bootstrap will change, and that the next run of the maker may set back."""
    for facet in resource.facets:
        is_its = maker and facet.name in maker.sets_back and facet.name in values
        if is_its and facet.desired({}, values[facet.name], target) != values[facet.name]:
            yield facet.name
