# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What speaks against taking a backend away, all of it, before anything is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from .._aws.clock import clock
from .._backup.manifest import Listed, some
from .._bucket import BUCKET
from .._core.model import Call, Failure, Params, Target
from .._engine.guard import Refused, held
from .._engine.reconcile import reconcile
from .._state.inspection import GONE
from .._table import TABLE
from .._terraform.code_layer import Unreadable, names_table, refusal
from .._terraform.code_map import CodeMap, Layer
from .plan import TeardownPlan

#: Of a version that nothing keeps, or that is gone by now.
FREE = {"NoSuchObjectLockConfiguration", "NoSuchVersion", *GONE}


@dataclass(frozen=True)
class Word:
    """What the operator says to it."""

    allow: frozenset[str]
    confirm_name: str | None
    has_backup: bool
    code: CodeMap


def failed_checks(found: TeardownPlan, word: Word) -> Iterator[str]:
    yield from _of_code(found, word.code)
    if found.theirs and "break_lock" not in word.allow:
        yield str(held([found.theirs[path] for path in sorted(found.theirs)]))
    yield from _of_retention(found)
    yield from _of_the_loop(found, word)
    unread = [each.failure for each in found.impact.looks.values() if each.failure]
    if unread:
        yield f"what cannot be read can be neither named nor saved: {unread[0]}"
    if found.others and not found.keeps_table:
        yield (
            f"table {found.table_name} holds items of other buckets ({some(found.others)}): leave it to them with "
            "keep_table: true"
        )
    if not found.impact.is_empty and word.confirm_name != found.bucket.name:
        yield f"deleting state needs confirm_name: {found.bucket.name} besides"
    if not found.impact.is_empty and not word.has_backup:
        yield "all of it would be lost: name the place of a backup (backup), which is made and verified before"


def _of_code(found: TeardownPlan, code: CodeMap) -> Iterator[str]:
    layers = sorted({layer.path for layer in code.layers if _names(layer.arguments, found)})
    if layers:
        yield f"code still names this backend: {some(layers)}; let it go elsewhere, or remove it"
    readers = sorted({layer.path for layer in code.readers if _names(layer.arguments, found)})
    if readers:
        yield f"code still reads states of this backend: {some(readers)}; let it read elsewhere, or remove it"
    yield from refusal(_unknown(found, code))


def _unknown(found: TeardownPlan, code: CodeMap) -> list[Unreadable]:
    """What may name the bucket or the table, and does not say."""
    region = found.bucket.region
    unknown = [*code.unknown(region), *code.unknown_readers(region)]
    if _going_table(found) is not None:
        told = {each.path for each in unknown}
        reason = "whether it names the table, only the run or the command line of its client knows"
        layers = [each for each in code.layers if _may_name_table(each, found) and each.path not in told]
        unknown += [Unreadable(each.path, reason) for each in layers]
        unknown += code.unknown_readers(region, "dynamodb_table")
    return unknown


def _names(arguments: Params, found: TeardownPlan) -> bool:
    table = _going_table(found)
    is_locked = names_table(arguments, table) and _is_here(arguments, found)
    return arguments.get("bucket") == found.bucket.name or is_locked


def _may_name_table(layer: Layer, found: TeardownPlan) -> bool:
    return layer.may_name_table and _is_here(layer.arguments, found)


def _going_table(found: TeardownPlan) -> str | None:
    return found.table.name if found.table and not found.keeps_table else None


def _is_here(arguments: Params, found: TeardownPlan) -> bool:
    """As far as the code says it: a bucket or table of this name in another region is another one."""
    return arguments.get("region") in (None, found.bucket.region)


def _of_the_loop(found: TeardownPlan, word: Word) -> Iterator[str]:
    """What it refuses for each by itself. Whose locks are held, it cannot tell."""
    allow = [*word.allow, "break_lock"]
    going = [(BUCKET, found.bucket), *([(TABLE, found.table)] if found.table and not found.keeps_table else [])]
    for resource, target in going:
        try:
            reconcile(found.aws, resource, target, absent(target, allow), check_mode=True)
        except Refused as reason:
            yield str(reason)


def absent(target: Target, allow: Sequence[str]) -> Params:
    """The options by which the loop takes a resource away."""
    return {"state": "absent", "allow": allow, "confirm_name": target.name}


def _of_retention(found: TeardownPlan) -> Iterator[str]:
    """Versions that AWS would not delete before their time, though the bucket itself may ask for none."""
    if not found.has_bucket:
        return
    (lock,) = found.aws.read([Call("s3", "get_object_lock_configuration", found.bucket.bucket)])
    looked = [] if isinstance(lock, Failure) else [each for each in found.versions if not each.is_delete_marker]
    answers = found.aws.together([partial(_kept, found, each) for each in looked]) if looked else []
    unknown = [answer for answer in answers if isinstance(answer, Failure)]
    if unknown:
        yield f"whether object lock keeps {len(unknown)} versions cannot be known: {unknown[0]}"
    kept = [f"{each} {until}" for each, until in zip(looked, answers, strict=True) if isinstance(until, str)]
    if kept:
        yield f"object lock keeps {some(kept)}: wait until then, or lift it"


def _kept(found: TeardownPlan, each: Listed) -> str | Failure | None:
    """Until when. HeadObject says it only to those who may ask, and to others that there is nothing."""
    named = {**found.bucket.bucket, "Key": each.key, "VersionId": each.version_id}
    asked = [Call("s3", "get_object_retention", named), Call("s3", "get_object_legal_hold", named)]
    retention, hold = answers = found.aws.read(asked)
    unknown = [answer for answer in answers if isinstance(answer, Failure) and answer.code not in FREE]
    if unknown:
        return unknown[0]
    if not isinstance(hold, Failure) and hold["LegalHold"].get("Status") == "ON":
        return "as long as its legal hold lasts"
    if isinstance(retention, Failure):
        return None
    until = retention["Retention"].get("RetainUntilDate")
    return f"until {until:%Y-%m-%d %H:%M} UTC" if until and until > clock(retention) else None
