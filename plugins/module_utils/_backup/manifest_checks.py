# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Validates the type, length and characters of every member of a manifest. Pure."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeAlias

#: A predicate, and its description for messages.
Rule: TypeAlias = tuple[Callable[[Any], bool], str]

#: The maximum nesting of attributes in DynamoDB.
DEEPEST = 32
#: The longest key that S3 takes, in bytes.
LONGEST_KEY = 1024
#: Messages show at most so many characters of a member's name.
SHOWN = 60
_SURROGATE = re.compile("[\ud800-\udfff]")
_HASH = {length: re.compile(f"[0-9a-f]{{{length}}}") for length in (32, 64)}
_NAME = re.compile("[A-Za-z0-9._:/-]{1,255}")
_REGION = re.compile("[a-z0-9-]{1,63}")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
_HEADER = re.compile("[\x20-\x7e\xa0-\xff]*")
_TOKEN = re.compile("[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_ASCII = re.compile("[\x20-\x7e]*")


class WrongMember(Exception):
    """A member of a manifest is not what it has to be. The message names it and never shows its value."""


def is_text(value: Any) -> bool:
    """Text that can be encoded."""
    return isinstance(value, str) and not _SURROGATE.search(value)


def _matches(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _or_null(rule: Rule) -> Rule:
    check, wanted = rule
    return (lambda value: value is None or check(value), f"{wanted} or null")


def _is_key(value: Any) -> bool:
    return is_text(value) and 1 <= len(value.encode()) <= LONGEST_KEY


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


TEXT: Rule = (is_text, "text")
SOME_TEXT: Rule = (lambda value: is_text(value) and value != "", "text that is not empty")
FLAG: Rule = (lambda value: isinstance(value, bool), "true or false")
NAME: Rule = (_matches(_NAME), "a name")
HEADER: Rule = (_matches(_HEADER), "text that an HTTP header can hold")
OBJECT: Rule = (lambda value: isinstance(value, dict), "an object")
LIST: Rule = (lambda value: isinstance(value, list), "a list")

#: Of the manifest itself.
ABOUT: dict[str, Rule] = {
    "format": (_is_size, "a number"),
    "bucket": NAME,
    "region": (_matches(_REGION), "the name of a region"),
    "account_id": _or_null(TEXT),
    "table": _or_null(NAME),
    "taken_at": TEXT,
    "versions": LIST,
    "items": LIST,
    "skipped": LIST,
}
#: Of a version; the required members first.
REQUIRED = ("key", "version_id", "last_modified")
VERSION: dict[str, Rule] = {
    "key": (_is_key, f"a key of 1 to {LONGEST_KEY} bytes"),
    "version_id": SOME_TEXT,
    "last_modified": SOME_TEXT,
    "etag": _or_null(SOME_TEXT),
    "is_delete_marker": FLAG,
    "size": (_is_size, "a whole number of 0 or more"),
    "sha256": _or_null((_matches(_HASH[64]), "64 hexadecimal digits")),
    "md5": _or_null((_matches(_HASH[32]), "32 hexadecimal digits")),
    "content": OBJECT,
    "tags": OBJECT,
    "encryption": OBJECT,
}
METADATA = "Metadata"
#: Of an archived version that is not in the backup; all are required.
SKIPPED: dict[str, Rule] = {
    **{name: VERSION[name] for name in (*REQUIRED, "etag", "size")},
    "storage_class": SOME_TEXT,
}


def check_members(data: Any) -> None:
    """Raises WrongMember for the first member that is invalid."""
    _check("the manifest", data, OBJECT)
    _check_names("", data, ABOUT, [name for name in ABOUT if name != "skipped"])
    for place, version in enumerate(data["versions"]):
        _check_version(f"versions[{place}]", version)
    for place, item in enumerate(data["items"]):
        _check_item(f"items[{place}]", item)
    for place, skipped in enumerate(data.get("skipped", ())):
        _check(f"skipped[{place}]", skipped, OBJECT)
        _check_names(f"skipped[{place}]", skipped, SKIPPED, SKIPPED)
    _check_once(data["versions"])


def _check_version(at: str, version: Any) -> None:
    _check(at, version, OBJECT)
    _check_names(at, version, VERSION, REQUIRED)
    has_body = not version.get("is_delete_marker", False)
    for name in ("sha256", "md5"):
        if (version.get(name) is not None) != has_body:
            raise WrongMember(f"{at}.{name} {'is missing' if has_body else 'must not be there: a delete marker'}")
    if not has_body and version.get("size"):
        raise WrongMember(f"{at}.size must be 0: a delete marker has no body")
    for name, value in version.get("content", {}).items():
        if name != METADATA:
            _check(_member_path(f"{at}.content", name), value, HEADER)
    _check_metadata(f"{at}.content.{METADATA}", version.get("content", {}).get(METADATA, {}))
    for name, value in version.get("tags", {}).items():
        _check(_member_path(f"{at}.tags", name), name, TEXT)
        _check(_member_path(f"{at}.tags", name), value, TEXT)


def _check_metadata(at: str, metadata: Any) -> None:
    _check(at, metadata, OBJECT)
    for name, value in metadata.items():
        _check(_member_path(at, name), name, (_matches(_TOKEN), "called by a name that an HTTP header can have"))
        _check(_member_path(at, name), value, (_matches(_ASCII), "printable ASCII text"))


def _check_item(at: str, item: Any) -> None:
    _check(at, item, OBJECT)
    if "LockID" not in item:
        raise WrongMember(f"{at}.LockID is missing")
    _check_attributes(at, item, 0)
    if "S" not in item["LockID"]:
        raise WrongMember(f"{at}.LockID must be a string attribute (S)")


def _check_attributes(at: str, attributes: Any, depth: int) -> None:
    _check(at, attributes, OBJECT)
    for name, value in attributes.items():
        _check(_member_path(at, name), name, TEXT)
        _check_attribute(_member_path(at, name), value, depth)


def _check_attribute(at: str, value: Any, depth: int) -> None:
    """Attributes are as DynamoDB returns them, with bytes as base64."""
    if not isinstance(value, dict) or len(value) != 1 or not {*value} <= {*_SCALARS, *_SETS, "M", "L"}:
        raise WrongMember(f"{at} must be an attribute of one DynamoDB type")
    if depth == DEEPEST:
        raise WrongMember(f"{at} must not be nested more than {DEEPEST} levels deep")
    ((kind, held),) = value.items()
    if kind == "M":
        _check_attributes(f"{at}.M", held, depth + 1)
    elif kind == "L":
        _check(f"{at}.L", held, LIST)
        for place, each in enumerate(held):
            _check_attribute(f"{at}.L[{place}]", each, depth + 1)
    elif kind in _SETS:
        _check(f"{at}.{kind}", held, (lambda some: isinstance(some, list) and bool(some), "a list that is not empty"))
        for place, each in enumerate(held):
            _check(f"{at}.{kind}[{place}]", each, _SCALARS[kind[0]])
    else:
        _check(f"{at}.{kind}", held, _SCALARS[kind])


def _is_base64(value: Any) -> bool:
    try:
        return isinstance(value, str) and base64.b64decode(value, validate=True) is not None
    except (binascii.Error, ValueError):
        return False


_SCALARS: dict[str, Rule] = {
    "S": TEXT,
    "N": (_matches(_NUMBER), "a number as text"),
    "B": (_is_base64, "base64"),
    "BOOL": FLAG,
    "NULL": FLAG,
}
_SETS = ("SS", "NS", "BS")


def _check_names(at: str, data: Mapping[str, Any], rules: Mapping[str, Rule], required: Collection[str]) -> None:
    for name in required:
        if name not in data:
            raise WrongMember(f"{_member_path(at, name)} is missing")
    for name, value in data.items():
        if name not in rules:
            raise WrongMember(f"{_member_path(at, name)} is not a member that this version knows")
        _check(_member_path(at, name), value, rules[name])


def _check_once(versions: Iterable[Mapping[str, Any]]) -> None:
    """A duplicate version would be written twice."""
    seen = set()
    for place, each in enumerate(versions):
        identity = tuple(each.get(name) for name in (*REQUIRED, "etag"))
        if identity in seen:
            raise WrongMember(f"versions[{place}] is there twice: another one has the same key and version_id")
        seen.add(identity)


def _check(at: str, value: Any, rule: Rule) -> None:
    is_right, wanted = rule
    if not is_right(value):
        raise WrongMember(f"{at} must be {wanted}")


def _member_path(at: str, name: str) -> str:
    """The path of a member. A name can contain anything: it is shown as printable ASCII, shortened."""
    shown = name if re.fullmatch("[A-Za-z0-9_-]{1,40}", name) else json.dumps(name)[:SHOWN]
    return f"{at}.{shown}" if at else shown
