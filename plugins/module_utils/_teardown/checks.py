# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The checks before a teardown. All of them are evaluated before anything is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from .._aws.clock import clock
from .._aws.errors import NO_SUCH_VERSION, cause_of
from .._backup.manifest import Listed, some
from .._bucket import BUCKET
from .._core.model import Call, Failure, Params, Target
from .._core.refusals import held
from .._engine.guard import Refused
from .._engine.reconcile import reconcile
from .._table import TABLE
from .._terraform.code_layer import UnreadableCode, names_table, refusal
from .._terraform.code_map import CodeMap, Layer
from .plan import TeardownPlan

#: The version has no retention or legal hold, or no longer exists.
NOT_RETAINED = {"NoSuchObjectLockConfiguration", *NO_SUCH_VERSION}


@dataclass(frozen=True)
class TeardownRequest:
    """The options of the task that the checks depend on."""

    allow: frozenset[str]
    confirm_name: str | None
    has_backup: bool
    code: CodeMap


def failed_checks(plan: TeardownPlan, request: TeardownRequest) -> Iterator[str]:
    """A sentence for each check that fails."""
    yield from _code_checks(plan, request.code)
    if plan.theirs and "break_lock" not in request.allow:
        yield str(held([plan.theirs[path] for path in sorted(plan.theirs)]))
    yield from _retention_checks(plan)
    yield from _resource_checks(plan, request)
    unread = [each.failure for each in plan.impact.looks.values() if each.failure]
    if request.has_backup:  # which tells what archived objects need
        unread = [each for each in unread if cause_of(each) != "archived"]
    if unread:
        yield f"what cannot be read can be neither named nor saved: {unread[0]}"
    if plan.others and not plan.keeps_table:
        yield (
            f"table {plan.table_name} holds items of other buckets ({some(plan.others)}): leave it to them with "
            "keep_table: true"
        )
    if plan.is_due and request.confirm_name != plan.bucket.name:
        what = "a backend, even an empty one," if plan.impact.is_empty else "state"
        yield f"deleting {what} needs confirm_name: {plan.bucket.name} besides"
    if not plan.impact.is_empty and not request.has_backup:
        yield "all of it would be lost: name the place of a backup (backup), which is made and verified before"


def _code_checks(plan: TeardownPlan, code: CodeMap) -> Iterator[str]:
    layers = sorted({layer.path for layer in code.layers if _names(layer.arguments, plan)})
    if layers:
        yield f"code still names this backend: {some(layers)}; let it go elsewhere, or remove it"
    readers = sorted({layer.path for layer in code.readers if _names(layer.arguments, plan)})
    if readers:
        yield f"code still reads states of this backend: {some(readers)}; let it read elsewhere, or remove it"
    yield from refusal(_unknown(plan, code))


def _unknown(plan: TeardownPlan, code: CodeMap) -> list[UnreadableCode]:
    """The code that may name the bucket or the table, without saying so."""
    region = plan.bucket.region
    unknown = [*code.unknown(region), *code.unknown_readers(region)]
    if _deleted_table(plan) is not None:
        known = {each.path for each in unknown}
        reason = "whether it names the table, only the run or the command line of its client knows"
        layers = [each for each in code.layers if _may_name_table(each, plan) and each.path not in known]
        unknown += [UnreadableCode(each.path, reason) for each in layers]
        unknown += code.unknown_readers(region, "dynamodb_table")
    return unknown


def _names(arguments: Params, plan: TeardownPlan) -> bool:
    table = _deleted_table(plan)
    is_in_table = names_table(arguments, table) and _is_here(arguments, plan)
    return arguments.get("bucket") == plan.bucket.name or is_in_table


def _may_name_table(layer: Layer, plan: TeardownPlan) -> bool:
    return layer.may_name_table and _is_here(layer.arguments, plan)


def _deleted_table(plan: TeardownPlan) -> str | None:
    return plan.table.name if plan.table and not plan.keeps_table else None


def _is_here(arguments: Params, plan: TeardownPlan) -> bool:
    """Whether the code names the region of the bucket, or none. In other regions the same names mean others."""
    return arguments.get("region") in (None, plan.bucket.region)


def _resource_checks(plan: TeardownPlan, request: TeardownRequest) -> Iterator[str]:
    """What deleting the bucket or the table alone would refuse. Locks were checked already."""
    allow = [*request.allow, "break_lock"]
    going = [(BUCKET, plan.bucket), *([(TABLE, plan.table)] if plan.table and not plan.keeps_table else [])]
    for resource, target in going:
        try:
            reconcile(plan.aws, resource, target, absent(target, allow), check_mode=True)
        except Refused as reason:
            yield str(reason)


def absent(target: Target, allow: Sequence[str]) -> Params:
    """The options with which `reconcile` deletes a resource."""
    return {"state": "absent", "allow": allow, "confirm_name": target.name}


def _retention_checks(plan: TeardownPlan) -> Iterator[str]:
    """Versions that AWS would not delete yet. They can have a retention although the bucket has no default."""
    if not plan.has_bucket:
        return
    (lock,) = plan.aws.read([Call("s3", "get_object_lock_configuration", plan.bucket.bucket)])
    versions = [] if isinstance(lock, Failure) else [each for each in plan.versions if not each.is_delete_marker]
    answers = plan.aws.together([partial(_retained_until, plan, each) for each in versions]) if versions else []
    unknown = [answer for answer in answers if isinstance(answer, Failure)]
    if unknown:
        yield f"whether object lock keeps {len(unknown)} versions cannot be known: {unknown[0]}"
    kept = [f"{each} {until}" for each, until in zip(versions, answers, strict=True) if isinstance(until, str)]
    if kept:
        yield f"object lock keeps {some(kept)}: wait until then, or lift it"


def _retained_until(plan: TeardownPlan, each: Listed) -> str | Failure | None:
    """Until when a version is retained. HeadObject would hide that without permission, so it is not used."""
    named = {**plan.bucket.bucket, "Key": each.key, "VersionId": each.version_id}
    calls = [Call("s3", "get_object_retention", named), Call("s3", "get_object_legal_hold", named)]
    retention, hold = answers = plan.aws.read(calls)
    failures = [answer for answer in answers if isinstance(answer, Failure) and not answer.is_unsupported]
    unknown = [answer for answer in failures if answer.code not in NOT_RETAINED]
    if unknown:
        return unknown[0]
    if not isinstance(hold, Failure) and hold["LegalHold"].get("Status") == "ON":
        return "as long as its legal hold lasts"
    if isinstance(retention, Failure):
        return None
    until = retention["Retention"].get("RetainUntilDate")
    return f"until {until:%Y-%m-%d %H:%M} UTC" if until and until > clock(retention) else None
