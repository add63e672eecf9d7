# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bucket policies by meaning: one form for all the ways in which AWS writes the same statement."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .._core.printable import shortened

Statement = dict[str, Any]

#: The Sids of our own statements start with it.
OURS = "CornerstoneTfstate"
#: The statement that denies moved states to clients.
MOVED = f"{OURS}Moved"

VERSION = "2012-10-17"
LISTED = ("Action", "NotAction", "Resource", "NotResource")
PRINCIPALS = ("Principal", "NotPrincipal")
ELEMENTS = {"Sid", "Effect", "Condition", *PRINCIPALS, *LISTED}
MAX_BYTES = 20480


def statements_of(document: Mapping[str, Any], partition: str) -> list[Statement]:
    found = document.get("Statement", [])
    return [canonical(each, partition) for each in ([found] if isinstance(found, Mapping) else found)]


def canonical(statement: Mapping[str, Any], partition: str) -> Statement:
    out = dict(statement)
    for name in LISTED:
        if name in out:
            out[name] = _strings(out[name])
    for name in PRINCIPALS:
        if name in out:
            out[name] = _principal(out[name], partition)
    if "Condition" in out:
        out["Condition"] = {
            operator: {key: _strings(value) for key, value in tests.items()}
            for operator, tests in out["Condition"].items()
        }
    return out


def _strings(value: Any) -> list[str]:
    many = value if isinstance(value, (list, tuple)) else [value]
    return sorted({str(each).lower() if isinstance(each, bool) else str(each) for each in many})


def _principal(value: Any, partition: str) -> Any:
    if value == "*":
        return {"AWS": ["*"]}
    return {kind: sorted({_root(each, partition) for each in _strings(who)}) for kind, who in value.items()}


def _root(who: str, partition: str) -> str:
    return f"arn:{partition}:iam::{who}:root" if re.fullmatch(r"\d{12}", who) else who


def policy_text(document: Mapping[str, Any]) -> str:
    """A policy document as it is sent: as AWS would give it back, without a blank that counts."""
    found = document.get("Statement", [])
    many = [found] if isinstance(found, Mapping) else found
    return json.dumps({**document, "Statement": [as_aws_writes(each) for each in many]}, separators=(",", ":"))


def as_aws_writes(statement: Mapping[str, Any]) -> Statement:
    """A list of one element is that element, and everybody is `*`."""
    out = {name: _plain(value) if name in LISTED else value for name, value in statement.items()}
    for name in PRINCIPALS:
        if isinstance(statement.get(name), Mapping):
            who = {kind: _plain(some) for kind, some in statement[name].items()}
            out[name] = "*" if who == {"AWS": "*"} else who
    if isinstance(statement.get("Condition"), Mapping):
        out["Condition"] = {
            operator: {key: _plain(value) for key, value in tests.items()} if isinstance(tests, Mapping) else tests
            for operator, tests in statement["Condition"].items()
        }
    return out


def _plain(value: Any) -> Any:
    return value[0] if isinstance(value, (list, tuple)) and len(value) == 1 else value


def meaning(statement: Statement) -> str:
    """Equal for statements that do the same, whatever their Sid."""
    return json.dumps({name: value for name, value in statement.items() if name != "Sid"}, sort_keys=True)


def merge(present: Iterable[Statement], wanted: Iterable[Statement]) -> list[Statement]:
    """`present` with every wanted statement in it: in place of its Sid, as it stands under another one, or at the end.

    First all that take a place, then what is missing: so a statement that was relied on is never the one replaced.
    """
    present, wanted = list(present), list(wanted)
    there = {(each.get("Sid"), meaning(each)) for each in present}
    due = {each["Sid"]: each for each in wanted if (each["Sid"], meaning(each)) not in there}
    out = [due.pop(each.get("Sid"), each) for each in present]
    for statement in wanted:
        if meaning(statement) not in map(meaning, out):
            out.append(statement)
    return out


#: What AWS writes in place of the ARN of a role or user that was deleted. It takes none back.
DELETED = re.compile(r"A(ROA|IDA)[0-9A-Z]+")


def deleted_principals(statement: Statement) -> list[str]:
    named = [who for name in PRINCIPALS for many in statement.get(name, {}).values() for who in many]
    return [who for who in named if DELETED.fullmatch(who)]


def tls_version(statement: Statement) -> str | None:
    """The TLS version below which the statement applies, if it is about TLS."""
    versions = statement.get("Condition", {}).get("NumericLessThan", {}).get("s3:TlsVersion", [])
    return max((each for each in versions if re.fullmatch(r"\d\.\d", each)), default=None)


#: Actions on one kind of resource, as far as their names tell; wildcards may be about either.
ON_OBJECTS = re.compile(r"s3:(AbortMultipartUpload|ListMultipartUploadParts|(?!\w*Bucket)\w*Object\w*)")
ON_BUCKETS = re.compile(r"s3:((Get|Put)\w+Configuration|(?!Object|ListAllMy)\w*Bucket\w*)")


def _idle_actions(statement: Mapping[str, Any], bucket_arn: str) -> Iterator[str]:
    """AWS takes no statement with an action that applies to none of its resources."""
    resources = _strings(statement["Resource"])
    for action in _strings(statement["Action"]):
        if ON_OBJECTS.fullmatch(action) and bucket_arn in resources and len(resources) == 1:
            yield f"{action} is about objects: add the resource {bucket_arn}/*"
        if ON_BUCKETS.fullmatch(action) and bucket_arn not in resources:
            yield f"{action} is about the bucket: add the resource {bucket_arn}"


def faults(statement: Mapping[str, Any], bucket_arn: str) -> Iterator[str]:
    """What AWS would answer with MalformedPolicy. Emulators take all of it."""
    sid = statement.get("Sid")
    if not str(sid or "").strip():
        yield "every policy statement needs a Sid, so that a later edit finds it"
    for fault in (*_faults_of_form(statement), *_faults_of_names(statement, bucket_arn)):
        yield f"policy statement {sid!r}: {fault}"


def _faults_of_form(statement: Mapping[str, Any]) -> Iterator[str]:
    """Which elements there are, and their types."""
    if statement.get("Effect") not in ("Allow", "Deny"):
        yield "Effect is Allow or Deny"
    for name in sorted(statement.keys() - ELEMENTS):
        yield f"AWS knows no element {name}"
    for name in PRINCIPALS:
        if not isinstance(statement.get(name, {}), Mapping) and statement[name] != "*":
            yield f'{name} is "*" or has the form {{AWS: [...]}}'
    yield from _faults_of_condition(statement.get("Condition", {}))
    for pair in (PRINCIPALS, ("Action", "NotAction"), ("Resource", "NotResource")):
        if len([name for name in pair if name in statement]) != 1:
            yield f"needs {pair[0]} or {pair[1]}, and not both"


def _faults_of_condition(condition: Any) -> Iterator[str]:
    if not isinstance(condition, Mapping) or not all(isinstance(test, Mapping) for test in condition.values()):
        yield "Condition has the form {operator: {key: value}}"
        return
    for key, values in (each for test in condition.values() for each in test.items()):
        if not all(map(_is_scalar, values if isinstance(values, (list, tuple)) else [values])):
            yield f"{key} is a text, a number, true or false, or a list of them"


def _is_scalar(value: Any) -> bool:
    return isinstance(value, (str, int)) or (isinstance(value, float) and math.isfinite(value))


def _faults_of_names(statement: Mapping[str, Any], bucket_arn: str) -> Iterator[str]:
    """Actions and resources, each and together."""
    for name in ("Action", "NotAction"):
        for action in _strings(statement.get(name, [])):
            if not re.fullmatch(r"(\*|s3:[A-Za-z0-9*?]+)", action):
                yield f"{action!r} is no S3 action"
    for name in ("Resource", "NotResource"):
        for resource in _strings(statement.get(name, [])):
            if resource != bucket_arn and not resource.startswith(f"{bucket_arn}/"):
                yield f"resource {resource!r} is not this bucket; use {bucket_arn} and {bucket_arn}/*"
    if {"Action", "Resource"} <= statement.keys():
        yield from _idle_actions(statement, bucket_arn)


def label(statement: Statement) -> str:
    """What a message calls a statement."""
    return shortened(statement["Sid"]) if str(statement.get("Sid") or "").strip() else digest(statement)


def digest(statement: Statement) -> str:
    """By what a statement without a Sid is known: equal for statements that do the same."""
    return f"sha256:{hashlib.sha256(meaning(statement).encode()).hexdigest()[:12]}"


#: A Sid that stands for itself in a list in YAML, which has words for other values, and is none of ours.
_PLAIN_SID = re.compile(rf"(?!{OURS}|(?i:true|false|null|yes|no|on|off|y|n)$)[A-Za-z][A-Za-z0-9]{{0,63}}")


def exact_name(statement: Statement) -> str:
    """A name for an option, which can be copied as it is and is only this statement's."""
    sid = str(statement.get("Sid") or "")
    return sid if _PLAIN_SID.fullmatch(sid) else digest(statement)


def is_named(statement: Statement, names: Iterable[str]) -> bool:
    """Whether one of the names is its Sid, or what it is known by."""
    return bool({statement.get("Sid"), digest(statement)} & {*names})


#: Whatever else S3 keeps in old policies, it takes no new one that IAM would not take, but for spaces.
SID = re.compile(r"[0-9A-Za-z ]+")


def has_variables(statement: Statement) -> bool:
    """Whether it says `${`, which is a policy variable since the version 2012-10-17, and literal text before."""
    said = {name: value for name, value in statement.items() if name != "Sid"}
    return "${" in json.dumps(said)
