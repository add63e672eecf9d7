# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What of a result may be shown: no secret, but every name that the operator gave.

Ansible replaces the value of a `no_log` option wherever it occurs. With the external ID "acme", the bucket
"acme-states" becomes "********-states", in results and in whatever is made from them. A name that the operator gave is
not a secret, so an occurrence inside of such a name is kept. Everything else is replaced as Ansible does it.
Pure: no I/O.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

#: What Ansible writes in place of a secret: inside of a text, and in place of a whole one.
CENSOR = "*" * 8
HIDDEN = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"

#: Options that name something: no secret, whatever they contain.
NAMES = frozenset(
    {
        "name",
        "bucket",
        "bucket_arn",
        "table",
        "table_arn",
        "region",
        "account_id",
        "confirm_name",
        "profile",
        "assume_role_arn",
        "assume_role_session_name",
        "aws_ca_bundle",
        "endpoint_url",
        "kms_key_id",
        "encryption",
        "logging_target_bucket",
        "logging_target_prefix",
        "allowed_organization_ids",
        "allowed_vpc_endpoint_ids",
        "key",
        "keys",
        "workspace",
        "workspace_key_prefix",
        "directory",
        "path",
        "snapshot",
        "before",
        "expected",
        "prices_file",
        "src",
        "record",
        "regions",
        "url",
        "inventory",
        "project",
        "tfbackend",
        "code",
        "code_exclude",
        "code_backend_files",
        "client",
        "client_profile",
        "client_assume_role_arn",
        "client_assume_role_session_name",
        "client_assume_role_external_id",  # which is written into files that everybody reads
        "backup",
        "backup_region",
        "backup_account_id",
        "production_bucket",
        "production_table",
        "source_bucket",
        "source_table",
        "source_region",
        "source_account_id",
        "source_profile",
        "source_key",
        "source_assume_role_arn",
        "source_assume_role_session_name",
        "source_endpoint_url",
        "source_workspace_key_prefix",
    }
)
#: Options that hold the options of another module.
NESTED = ("bucket_options", "table_options")
#: An option that says where code has its backend.
KNOWN, KNOWN_NAMES = "code_known", ("bucket", "key", "region", "dynamodb_table")
#: Entries of results that people copy, commands and backend blocks. With a part replaced they mean something else: an
#: asterisk is a pattern in a shell and in options of ours.
COPIED = ("fix", "block")


def names_in(params: Mapping[str, Any]) -> frozenset[str]:
    """The names among the values of a module's options."""
    return frozenset(name for _option, name in _named(params) if not _has_password(name))


def censored_options(params: Mapping[str, Any]) -> tuple[str, ...]:
    """The options that should name something and hold a censored text instead."""
    return tuple(dict.fromkeys(option for option, name in _named(params) if is_censored(name)))


def refusal(options: Iterable[str]) -> str:
    """Why nothing is done with censored names."""
    return (
        f"{', '.join(options)}: the value was censored by Ansible ({CENSOR} or {HIDDEN}). It comes from a result of a "
        "task that has a no_log option (secret_key, session_token, assume_role_external_id) whose value is part of it. "
        "Set the whole value, do not take it from that result"
    )


def is_censored(value: object) -> bool:
    """Whether Ansible or we have replaced anything in `value`."""
    if isinstance(value, str):
        return CENSOR in value or value == HIDDEN
    if isinstance(value, Mapping):
        return any(map(is_censored, value.values()))
    return isinstance(value, (list, tuple)) and any(map(is_censored, value))


def _named(params: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for option, value in params.items():
        if option in NESTED and isinstance(value, Mapping):
            yield from _named(value)
        elif option == KNOWN and isinstance(value, list):
            yield from ((option, name) for entry in value for name in _in_known(entry))
        elif option in NAMES:
            yield from ((option, each) for each in (value if isinstance(value, list) else [value]) if _is_text(each))


def _in_known(entry: object) -> Iterator[str]:
    """The names in what the operator says of code."""
    if isinstance(entry, Mapping):
        backend = entry.get("backend")
        values = [backend.get(name) for name in KNOWN_NAMES] if isinstance(backend, Mapping) else []
        yield from (str(name) for name in (entry.get("paths"), *values) if _is_text(name))


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _has_password(name: str) -> bool:
    return "://" in name and "@" in name


class _Scrubber:
    """Replaces secrets in texts, except where they are part of a name."""

    def __init__(self, secrets: Iterable[str], names: Iterable[str]) -> None:
        self.secrets = sorted({str(each) for each in secrets if each}, key=lambda each: (-len(each), each))
        kept = {each for each in names if any(secret in each for secret in self.secrets)}
        self._names = [_whole(each) for each in sorted(kept)]
        self._exact = kept

    def text(self, text: str) -> str:
        if not any(secret in text for secret in self.secrets) or text in self._exact:
            return text
        if text in self.secrets:
            return HIDDEN
        kept = [match.span() for name in self._names for match in name.finditer(text)]
        hidden = _merged(span for span in self._spans(text) if not _is_inside(span, kept))
        parts, end = [], 0
        for start, stop in hidden:
            parts += [text[end:start], CENSOR]
            end = stop
        return "".join([*parts, text[end:]])

    def _spans(self, text: str) -> Iterator[tuple[int, int]]:
        for secret in self.secrets:
            start = text.find(secret)
            while start >= 0:
                yield start, start + len(secret)
                start = text.find(secret, start + 1)

    def number(self, number: float) -> object:
        return HIDDEN if any(secret in str(number) for secret in self.secrets) else number


def _whole(name: str) -> re.Pattern[str]:
    """Where the name stands, and not where it is part of a longer word. Overlapping occurrences count."""
    before = r"(?<![A-Za-z0-9])" if name[0].isalnum() else ""
    after = r"(?![A-Za-z0-9])" if name[-1].isalnum() else ""
    return re.compile(f"{before}{re.escape(name)}{after}")


def _is_inside(span: tuple[int, int], others: Collection[tuple[int, int]]) -> bool:
    return any(start <= span[0] and span[1] <= stop for start, stop in others)


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Sorted, with overlapping spans as one."""
    merged: list[tuple[int, int]] = []
    for start, stop in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    return merged


def scrubbed(value: Any, secrets: Iterable[str], names: Iterable[str] = ()) -> Any:
    """A result without secrets. Names are kept; text to copy that a secret is part of is left out."""
    scrubber = _Scrubber(secrets, names)
    return _scrubbed(value, scrubber) if scrubber.secrets else value


def _scrubbed(value: Any, scrubber: _Scrubber) -> Any:
    if isinstance(value, str):
        return scrubber.text(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return scrubber.number(value)
    if isinstance(value, Mapping):
        return {name: _entry(name, each, scrubber) for name, each in value.items()}
    if isinstance(value, (Sequence, Set)) and not isinstance(value, (bytes, bytearray)):
        return [_scrubbed(each, scrubber) for each in value]
    return scrubber.text(str(value))


def _entry(name: Any, value: Any, scrubber: _Scrubber) -> Any:
    after = _scrubbed(value, scrubber)
    if name in COPIED and isinstance(value, str) and after != value:
        return "# not shown: a secret of this task is part of it"
    return after
