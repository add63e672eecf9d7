# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The result of a run for each backend, as a table for the terminal and as data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.printable import printable

from .outcome import backends_in, is_of_role, reason_of
from .table import MAX_ROWS, backends, omitted, table_lines

#: The most backends of one account that are named; more are counted.
MAX_NAMES = 3
HEADINGS = ("BACKEND", "STATE BUCKET", "LOCK TABLE", "LOCK MODE", "CHANGED", "STATUS")
NOTHING = "-"
OK, CHANGED, WOULD_CHANGE, FAILED, NOT_RUN, SKIPPED = "ok", "changed", "would change", "failed", "not run", "skipped"
#: Of a preflight, and of a run whose tags choose a table that the lock mode does without.
REFUSED, NOTHING_TO_DO = "refused", "nothing to do"
#: How a status is written in the table, where it is not the word itself.
WRITTEN = {CHANGED: OK, FAILED: "FAILED", REFUSED: "REFUSED"}
#: The kind of a status, as callback plugins colour it.
KINDS = {CHANGED: "changed", WOULD_CHANGE: "changed", FAILED: "failed", REFUSED: "failed", NOT_RUN: "failed"}

LOST = "not run: the host failed or was unreachable earlier in this run"
LEFT_OUT = "not run: its task was left out (--step, --start-at-task, tags or when)"


@dataclass(frozen=True)
class Line:
    """A backend in the summary."""

    backend: str
    bucket: str = NOTHING
    table: str = NOTHING
    lock_mode: str = NOTHING
    changed: str = NOTHING
    status: str = OK
    #: Why it failed or was not run.
    reason: str = ""
    #: Of a month, at rest: in the result only, as it is 0.00 wherever nothing is provisioned, and what a bucket that
    #: was there before holds is not known.
    cost: str | None = None
    #: The account, as far as it is known, and by which credentials the work was done.
    account: str | None = None
    credentials: str | None = None
    #: What was looked at, if not all of the backend.
    parts: tuple[str, ...] = ()
    #: Whether it was only asked what would be refused.
    preflight: bool = False

    @property
    def failed(self) -> bool:
        return self.status in (FAILED, REFUSED, NOT_RUN)

    @property
    def written(self) -> str:
        """The status with the parts that it is about."""
        return _with_parts(WRITTEN.get(self.status, self.status), self)

    @property
    def kind(self) -> str:
        return KINDS.get(self.status, "ok")

    def to_result(self) -> dict[str, str | None]:
        """The line as the result of the task has it."""
        return {
            "name": self.backend,
            "bucket": self.bucket,
            "table": None if self.table == NOTHING else self.table,
            "lock_mode": self.lock_mode,
            "changed": None if self.changed == NOTHING else self.changed,
            "status": _with_parts(self.status, self),
            "reason": self.reason or None,
            "cost": self.cost,
            "account_id": self.account,
            "credentials": self.credentials,
        }


@dataclass(frozen=True)
class Host:
    """What is known of a host when the summary is made."""

    name: str
    #: What the role registered there, if anything.
    result: Any = None
    #: The names of bucket and table and the lock mode, as its variables say.
    bucket: str | None = None
    table: str | None = None
    lock_mode: str | None = None
    #: Whether it failed or was unreachable before the role came to it.
    is_lost: bool = False


def lines_of(host: Host) -> list[Line]:
    """A line for each backend that the host has converged, or one that says why there is none.

    With `run_once`, Ansible registers the result of one host for all: it is that of the host which did the work.
    """
    if not is_of_role(host.result):
        return [_without_result(host, NOT_RUN, LOST if host.is_lost else LEFT_OUT)]
    found = backends_in(host.result)
    if found:
        return [_line(name, each) for name, each in found.items() if each.get("host", host.name) == host.name]
    if host.result.get("skipped"):
        return [_without_result(host, SKIPPED, "")]
    return [_without_result(host, FAILED, reason_of(host.result))]


def _without_result(host: Host, status: str, reason: str) -> Line:
    mode = host.lock_mode or NOTHING
    table = NOTHING if mode == "lockfile" else host.table or NOTHING
    return Line(host.name, host.bucket or NOTHING, table, mode, status=status, reason=_one_line(reason))


def _line(name: str, backend: Mapping[str, Any]) -> Line:
    changed = backend.get("changed")
    is_checked = backend.get("check_mode")
    failed = backend.get("failed")
    parts = backend.get("parts")
    failure = REFUSED if backend.get("preflight") else FAILED
    done = OK if not changed else WOULD_CHANGE if is_checked else CHANGED
    status = failure if failed else NOTHING_TO_DO if parts == [] else done
    return Line(
        backend=name,
        bucket=backend.get("bucket") or NOTHING,
        table=backend.get("table") or NOTHING,
        lock_mode=backend.get("lock_mode") or NOTHING,
        changed=(backend.get("changes") or CHANGED) if changed else NOTHING,
        status=status,
        parts=() if failed or not parts else tuple(parts),
        preflight=bool(backend.get("preflight")),
        reason=_one_line(str(backend.get("msg") or FAILED)) if failed else "",
        cost=backend.get("cost"),
        account=backend.get("account_id"),
        credentials=backend.get("credentials"),
    )


def _with_parts(status: str, line: Line) -> str:
    return f"{status} ({', '.join(line.parts)})" if line.parts else status


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()))


def failure_of(lines: Sequence[Line]) -> str:
    """Why a host fails, if it does: the reason of its backend, or of each of several that failed."""
    failed = [each for each in lines if each.failed]
    if len(lines) == 1 and failed:
        return failed[0].reason
    return "; ".join(f"{printable(each.backend)}: {each.reason}" for each in failed)


def stats_of(lines: Sequence[Line], check_mode: bool) -> dict[str, Any]:
    """Counts and names, as custom stats of the run."""
    names = {kind: [each.backend for each in lines if _is(each, kind)] for kind in (CHANGED, FAILED, NOT_RUN)}
    names[FAILED] += [each.backend for each in lines if _is(each, REFUSED)]
    return {
        "backends": len(lines),
        "check_mode": _writes_nothing(lines, check_mode),
        "changed": len(names[CHANGED]),
        "failed": len(names[FAILED]),
        "not_run": len(names[NOT_RUN]),
        "changed_backends": names[CHANGED],
        "failed_backends": names[FAILED],
        "not_run_backends": names[NOT_RUN],
    }


def _is(line: Line, kind: str) -> bool:
    return line.changed != NOTHING if kind == CHANGED else line.status == kind


#: Gives a text the colour of a status: ok, changed or failed.
Paint = Callable[[str, str], str]


def plain(text: str, _kind: str) -> str:
    return text


def summary_text(
    lines: Sequence[Line], check_mode: bool = False, paint: Paint = plain, with_reasons: bool = True
) -> str:
    """A row for each backend; of a large fleet only those that changed or failed. Counts and reasons follow."""
    listed = lines if len(lines) <= MAX_ROWS else [each for each in lines if each.failed or each.changed != NOTHING]
    return "\n".join(
        [
            "",
            *_rows(listed[:MAX_ROWS], paint),
            *omitted(listed, "more that changed or failed"),
            *_accounts(lines),
            "",
            _counts(lines, check_mode),
            *(_reasons(lines, paint) if with_reasons else ()),
        ]
    )


def _accounts(lines: Sequence[Line]) -> list[str]:
    """Where the work was done and by whom, with the backends that this is true of."""
    names_by_account: dict[tuple[str, str], list[str]] = {}
    for each in lines:
        if each.account or each.credentials:
            key = (each.account or "unknown", each.credentials or "unknown")
            names_by_account.setdefault(key, []).append(each.backend)
    accounts = [
        f"Account {account}, credentials: {credentials}: {_listed(names)}"
        for (account, credentials), names in sorted(names_by_account.items())
    ]
    return [*accounts[:MAX_ROWS], *omitted(accounts, "more accounts or credentials")]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= MAX_NAMES else backends(len(names))


def _rows(lines: Sequence[Line], paint: Paint) -> list[str]:
    """The table, with the last word of each row in the colour of its status."""
    headings, *rows = table_lines(HEADINGS, [_cells(each) for each in lines]) or [""]
    ends = [(row, line.written, line.kind) for row, line in zip(rows, lines, strict=True)]
    painted = [row.removesuffix(status) + paint(status, kind) for row, status, kind in ends]
    return [headings, *painted] if lines else []


def _cells(line: Line) -> tuple[str, ...]:
    return line.backend, line.bucket, line.table, line.lock_mode, line.changed, line.written


def _writes_nothing(lines: Sequence[Line], check_mode: bool) -> bool:
    return check_mode or any(each.preflight for each in lines)


def _counts(lines: Sequence[Line], check_mode: bool) -> str:
    kinds = (FAILED, REFUSED, NOT_RUN, SKIPPED, NOTHING_TO_DO)
    count = {status: sum(each.status == status for each in lines) for status in kinds}
    others = "".join(f"{count[status]} {status}, " for status in kinds[1:] if count[status])
    would = sum(each.status == WOULD_CHANGE for each in lines)
    changed = sum(each.changed != NOTHING for each in lines) - would
    counts = {CHANGED: changed, WOULD_CHANGE: would}
    usual = WOULD_CHANGE if _writes_nothing(lines, check_mode) else CHANGED  # a task may have a check mode of its own
    told = ", ".join(f"{number} {word}" for word, number in counts.items() if number or word == usual)
    return f"{backends(len(lines))}: {_ok(lines)}, {count[FAILED]} failed, {others}{told}"


def _ok(lines: Sequence[Line]) -> str:
    """How many are as asked; those of which only parts were looked at by themselves."""
    good = [each for each in lines if each.status in (OK, CHANGED, WOULD_CHANGE)]
    by_parts = Counter(each.parts for each in good)
    whole = [] if by_parts and () not in by_parts else [f"{by_parts[()]} ok"]
    return ", ".join([*whole, *(f"{number} ok ({', '.join(parts)})" for parts, number in by_parts.items() if parts)])


def _reasons(lines: Sequence[Line], paint: Paint) -> list[str]:
    return [
        f"{paint(each.written, each.kind)} {printable(each.backend)}: {each.reason}" for each in lines if each.failed
    ]
