# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The arguments of a task before Ansible validates them: blank means "not set", and text must be text.

Ansible counts a blank option as given: it hides the environment variable of the option, conflicts with other options,
and a blank list becomes a list with one blank in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from typing import Any

from .._core.model import Invalid

Spec = Mapping[str, Mapping[str, Any]]

#: Options of every module that a blank must not switch off, and what would happen. Null is "not set", as elsewhere.
ACCOUNTS = dict.fromkeys(
    ("account_id", "source_account_id", "backup_account_id"), "whose account this is would not be checked"
)
#: Dictionaries of somebody else's making.
OPAQUE = {"facts"}
#: Dictionaries in which a blank is a value.
TAGS = "tags"
TEXT = ("str", "path")


def without_blanks(
    spec: Spec,
    arguments: Mapping[str, Any],
    never_blank: Mapping[str, str],
    mutually_exclusive: Iterable[Iterable[str]] = (),
) -> dict[str, Any]:
    """The arguments that are set. Raises Invalid for a blank that would lower a protection, and for text that is none.

    `never_blank` tells what a blank would do, by the name of the option; `list.suboption` for those of a list. It does
    nothing beside an option that excludes this one.
    """
    reader = _Reader(never_blank, [frozenset(each) for each in mutually_exclusive])
    found = reader.options(spec, arguments)
    if reader.problems:
        raise Invalid("; ".join(reader.problems))
    return found


def is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


@dataclass
class _Reader:
    never_blank: Mapping[str, str]
    mutually_exclusive: Iterable[frozenset[str]] = ()
    problems: list[str] = field(default_factory=list)

    def options(self, spec: Spec, arguments: Mapping[str, Any], path: str = "") -> dict[str, Any]:
        option_of = {alias: name for name, option in spec.items() for alias in (name, *option.get("aliases", ()))}
        found: dict[str, Any] = {}
        blank = {}
        for name, value in arguments.items():
            option = option_of.get(name)
            if option is None:  # Ansible's own, or unknown to it
                found[name] = value
                continue
            kept = self._value(option, spec[option], value, path + name)
            if kept is not None:
                found[name] = kept
            if value is not None and kept in (None, []):
                blank[option] = path + name
        for option, name in blank.items():
            others = {each for names in self.mutually_exclusive if option in names for each in names} - {*blank}
            if path + option in self.never_blank and not others & found.keys():
                what = self.never_blank[path + option]
                self.problems.append(f"{name} is blank, and {what}: give it a value, or leave it out (omit)")
        return found

    def _value(self, name: str, option: Mapping[str, Any], value: Any, label: str) -> Any:
        """None: not set."""
        value = decrypted(value)
        if is_blank(value):
            return None
        kind = option.get("type", "str")
        if kind == "list":
            return self._list(name, option, value, label)
        if kind == "dict" and isinstance(value, Mapping):
            return self._dict(name, option, value, label)
        if kind == "dict" and not isinstance(value, str):  # which Ansible fails to say of some
            self.problems.append(f"{label} must be a dictionary, and is {_kind(value)}")
            return None
        if kind in TEXT and "choices" not in option:
            self._check_text(value, label, bool(option.get("no_log")))
        return value

    def _list(self, name: str, option: Mapping[str, Any], value: Any, label: str) -> Any:
        element = {"type": option.get("elements", "str"), "no_log": option.get("no_log", False)}
        element |= {key: option[key] for key in ("options", "choices") if key in option}
        if isinstance(value, str) and element["type"] in TEXT:
            value = value.split(",")  # as Ansible does
        if element["type"] == "dict" and _is_no_list_of_dictionaries(value):
            self.problems.append(f"{label} must be a list of dictionaries, {_what_instead(value)}")
            return None
        if isinstance(value, (bool, int, float)):
            value = [value]
        if not isinstance(value, (list, tuple)):
            return value
        if element["type"] == "dict" and "options" not in element:
            # A policy statement, where a blank may have a meaning.
            kept = [None if is_blank(each) else _with_iso_dates(each) for each in value]
        else:
            kept = [self._value(name, element, each, label) for each in value]
        return [each for each in kept if each is not None] or (None if kept else [])

    def _dict(self, name: str, option: Mapping[str, Any], value: Mapping[str, Any], label: str) -> Any:
        if option.get("options"):
            return self.options(option["options"], value, f"{label}.")
        if name == TAGS or name.endswith(f"_{TAGS}"):
            return dict(self._tags(value, label))
        if name in OPAQUE:
            return value
        return {key: _with_iso_dates(each) for key, each in value.items() if not is_blank(each)}

    def _tags(self, tags: Mapping[Any, Any], label: str) -> Iterator[tuple[Any, Any]]:
        """A tag may be blank. What YAML reads as no text may not, as it may read otherwise: 0123 is the number 83."""
        for key, value in tags.items():
            text = "" if value is None else value
            for each, where in ((key, f"the tag {key!r} in {label}"), (text, f"{label}.{key}")):
                self._check_text(each, where, is_secret=False)
            yield key, text

    def _check_text(self, value: Any, label: str, is_secret: bool) -> None:
        if not isinstance(value, str):
            what = _kind(value) if is_secret or isinstance(value, (Mapping, list, tuple)) else f"{_kind(value)} {value}"
            way = "give a text" if isinstance(value, (Mapping, list, tuple)) else "put quotes around it"
            self.problems.append(f"{label} must be text, and is {what}: {way}")


def decrypted(value: Any) -> Any:
    """The value with the text of each `!vault` in it, which before ansible-core 2.19 is an object of its own."""
    if isinstance(value, Mapping):
        return {decrypted(key): decrypted(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [decrypted(each) for each in value]
    return str(value) if getattr(value, "__ENCRYPTED__", False) and not isinstance(value, str) else value


def _is_no_list_of_dictionaries(value: Any) -> bool:
    """Ansible itself reads a text as one dictionary, from JSON or key=value, and says what is wrong for each comma."""
    if isinstance(value, str):
        return not (value.lstrip().startswith("{") or "=" in value) or value.lstrip().startswith("[")
    return not isinstance(value, (list, tuple)) or any(_is_no_dictionary(each) for each in value)


def _is_no_dictionary(value: Any) -> bool:
    if is_blank(value) or isinstance(value, Mapping):
        return False
    return not isinstance(value, str) or _is_no_list_of_dictionaries(value)


def _what_instead(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        wrong = next(each for each in value if _is_no_dictionary(each))
        return f"and one of them is {'text' if isinstance(wrong, str) else _kind(wrong)}"
    if isinstance(value, str):
        return "and is text: use the filter from_json or from_yaml if it is JSON or YAML"
    return f"and is {_kind(value)}"


def _with_iso_dates(value: Any) -> Any:
    """A value in which dates are text, as ISO 8601 and AWS write them. YAML reads a date without quotes as no text."""
    if isinstance(value, Mapping):
        return {_with_iso_dates(key): _with_iso_dates(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_iso_dates(each) for each in value]
    if isinstance(value, datetime):  # in UTC, which YAML means without a zone
        in_utc = value.replace(tzinfo=value.tzinfo or timezone.utc).astimezone(timezone.utc)
        return in_utc.replace(tzinfo=None).isoformat() + "Z"
    return value.isoformat() if isinstance(value, date) else value


def _kind(value: Any) -> str:
    kinds: Iterable[tuple[Any, str]] = (
        (bool, "the boolean"),
        ((int, float), "the number"),
        (date, "the date"),  # a datetime is one
        (Mapping, "a dictionary"),
        ((list, tuple), "a list"),
    )
    return next((kind for types, kind in kinds if isinstance(value, types)), f"a {type(value).__name__}")
