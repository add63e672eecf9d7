# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bucket policies by meaning: one form for all the ways in which AWS writes the same statement."""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Statement = dict[str, Any]

#: The Sids of our own statements start with it.
OURS = "CornerstoneTfstate"

VERSION = "2012-10-17"
LISTED = ("Action", "NotAction", "Resource", "NotResource")
PRINCIPALS = ("Principal", "NotPrincipal")
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


def meaning(statement: Statement) -> str:
    """Equal for statements that do the same, whatever their Sid."""
    return json.dumps({name: value for name, value in statement.items() if name != "Sid"}, sort_keys=True)


def merge(present: Iterable[Statement], wanted: Iterable[Statement]) -> list[Statement]:
    """`present` with every wanted statement in it: as it stands, in place of its Sid, or at the end."""
    out = list(present)
    for statement in wanted:
        if meaning(statement) in map(meaning, out):
            continue
        sids = [each.get("Sid") for each in out]
        if statement["Sid"] in sids:
            out[sids.index(statement["Sid"])] = statement
        else:
            out.append(statement)
    return out


def is_public(statement: Statement) -> bool:
    anyone = "*" in statement.get("Principal", {}).get("AWS", []) or "NotPrincipal" in statement
    return statement.get("Effect") == "Allow" and anyone and not statement.get("Condition")


def locks_out(statement: Statement, bucket_arn: str) -> bool:
    """Whether nobody but the account's root user could change the policy again."""
    return (
        statement.get("Effect") == "Deny"
        and "*" in statement.get("Principal", {}).get("AWS", [])
        and not statement.get("Condition")
        and _covers(statement.get("Action", []), "s3:PutBucketPolicy")
        and _covers(statement.get("Resource", []), bucket_arn)
    )


def _covers(patterns: Iterable[str], name: str) -> bool:
    return any(fnmatch.fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns)


def faults(statement: Mapping[str, Any], bucket_arn: str) -> Iterator[str]:
    """What AWS would answer with MalformedPolicy. Emulators take all of it."""
    sid = statement.get("Sid")
    if not sid or not re.fullmatch(r"[0-9A-Za-z ]+", str(sid)):
        yield "every policy statement needs a Sid of letters and digits, so that a later edit finds it"
    where = f"policy statement {sid!r}"
    if statement.get("Effect") not in ("Allow", "Deny"):
        yield f"{where}: Effect is Allow or Deny"
    for pair in (PRINCIPALS, ("Action", "NotAction"), ("Resource", "NotResource")):
        if len([name for name in pair if name in statement]) != 1:
            yield f"{where}: needs {pair[0]} or {pair[1]}, and not both"
    for name in ("Action", "NotAction"):
        for action in _strings(statement.get(name, [])):
            if not re.fullmatch(r"(\*|s3:[A-Za-z0-9*?]+)", action):
                yield f"{where}: {action!r} is no S3 action"
    for name in ("Resource", "NotResource"):
        for resource in _strings(statement.get(name, [])):
            if resource != bucket_arn and not resource.startswith(f"{bucket_arn}/"):
                yield f"{where}: resource {resource!r} is not this bucket; use {bucket_arn} and {bucket_arn}/*"
