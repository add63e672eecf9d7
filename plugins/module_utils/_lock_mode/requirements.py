# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Requirements for a change of the lock mode, which takes one step at a time.

Clients of `dynamodb` and of `lockfile` do not exclude each other; clients of `both` exclude both. So all clients must
use the old mode or the new one, and the change in AWS is made in between.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from .._terraform.backend_config import admits_older_than_lockfile
from .._terraform.code_layer import names_table, refusal
from .._terraform.code_map import CHECKOUT, CodeMap, Layer

DYNAMODB, BOTH, LOCKFILE = MODES = ("dynamodb", "both", "lockfile")
#: Words that permit a step.
UNSEEN_CODE, WITHOUT_POLICY, UNPROTECT = "unseen_code", "without_digest_policy", "disable_deletion_protection"
#: How many reasons of the same kind are listed.
TOLD = 5

#: The modes that clients may use when a mode is reached.
FITTING = {DYNAMODB: {DYNAMODB, BOTH}, BOTH: {DYNAMODB, BOTH}, LOCKFILE: {BOTH, LOCKFILE}}
#: What is wrong with other modes.
UNFIT = {
    DYNAMODB: "locks in the table alone",
    LOCKFILE: "locks by file alone",
    "none": "locks nothing",
    "unknown": "does not say for certain how it locks",
}


@dataclass(frozen=True)
class LockedBackend:
    """The bucket of the states, and the table of their locks."""

    bucket: str
    table: str
    region: str = ""


@dataclass(frozen=True)
class Step:
    """`current_lock_mode`: the mode that the backend's files are written with; `code`: None if none was given."""

    backend: LockedBackend
    target: str
    current_lock_mode: str | None
    code: CodeMap | None
    #: The digest policy is active: lock files alone may have been in use for a long time.
    has_digest_policy: bool

    @property
    def layers(self) -> list[Layer]:
        """The layers whose states are in this bucket."""
        found = self.code.layers if self.code else ()
        return [each for each in found if each.arguments.get("bucket") == self.backend.bucket]

    @property
    def origin(self) -> str | None:
        """Of the modes in use, the one that is furthest from the target."""
        known = (
            {layer.lock_mode for layer in self.layers}
            | {self.current_lock_mode}
            | ({LOCKFILE} if self.has_digest_policy else set())
        )
        used = [mode for mode in MODES if mode in known]
        return max(used, key=self._distance, default=None)

    def _distance(self, mode: str) -> int:
        return abs(MODES.index(mode) - MODES.index(self.target))


def reasons(step: Step, allow: Iterable[str]) -> Iterator[str]:
    """The reasons in code and inventory against a step."""
    yield from _too_far(step)
    if UNSEEN_CODE not in set(allow):
        yield from _unseen(step)
    if step.code:
        yield from refusal(step.code.unknown(step.backend.region or None))
    yield from several(_unfit(step))
    if step.target != DYNAMODB and step.code:
        yield from several(_too_old(step, step.code))


def namings(step: Step) -> Iterator[str]:
    """Code that uses the table."""
    for layer in step.code.layers if step.code else ():
        bucket, region = layer.arguments.get("bucket"), layer.arguments.get("region")
        is_near = bucket == step.backend.bucket or region in (None, step.backend.region)
        if is_near and names_table(layer.arguments, step.backend.table):
            yield f"{layer.path} names the table {step.backend.table}: drop dynamodb_table, and init it again"
        elif is_near and "dynamodb_table" in layer.unknown:
            yield (
                f"{layer.path} does not say which table it names: drop dynamodb_table and init it, or say what it is "
                "in code_known"
            )
        elif is_near and bucket and layer.may_name_table:
            yield (
                f"{layer.path} leaves its key to its command line, which may also name a table: give it a key, or say "
                f"what it is in code_known (backend: bucket: {bucket}, and how it locks)"
            )
    yield from _reading(step)


def _reading(step: Step) -> Iterator[str]:
    """Data sources that read the digest of a state from the table."""
    region = step.backend.region or None
    for reader in step.code.readers if step.code else ():
        is_near = region is None or reader.arguments.get("region") in (None, region)
        if is_near and names_table(reader.arguments, step.backend.table):
            yield f"{reader.path} reads a state with the table {step.backend.table}: drop dynamodb_table there"
    if step.code:
        yield from refusal(step.code.unknown_readers(region, "dynamodb_table"))


def unseen_neighbours(step: Step, buckets: Collection[str], allow: Iterable[str]) -> Iterator[str]:
    """Other buckets in the digest policy of the table: their clients that lock both ways still use the table."""
    seen = {layer.arguments.get("bucket") for layer in (step.code.layers if step.code else ())}
    for bucket in sorted({*buckets} - {step.backend.bucket, *seen}) if UNSEEN_CODE not in set(allow) else ():
        yield (
            f"{bucket} shares the table {step.backend.table}, and none of the code that was read uses it: name its "
            f"directories in code, or if you know that nothing there names the table: allow: [{UNSEEN_CODE}]"
        )


def can_miss_table(step: Step) -> bool:
    """Whether neither inventory nor code uses the table. If it does not exist, it was removed on purpose."""
    unknown = step.code.unknown(step.backend.region or None) if step.code else []
    return step.current_lock_mode in (None, LOCKFILE) and not unknown and not any(namings(step))


def several(found: Iterable[str]) -> Iterator[str]:
    """The first reasons, and how many more there are."""
    listed = list(found)
    yield from listed[:TOLD]
    if listed[TOLD:]:
        yield f"and {len(listed) - TOLD} more like this"


def _too_far(step: Step) -> Iterator[str]:
    origin = LOCKFILE if step.has_digest_policy and step.target == DYNAMODB else step.current_lock_mode
    if {origin, step.target} == {DYNAMODB, LOCKFILE}:
        yield f"cannot switch from {origin} to {step.target} directly; switch to both first"


def _unseen(step: Step) -> Iterator[str]:
    permits = f"or if you know that all of it is ready: allow: [{UNSEEN_CODE}]"
    if step.code is None:
        yield f"the code that uses {step.backend.bucket} was not checked: name its directories in code, {permits}"
    elif not step.layers:
        yield f"none of the code that was read uses {step.backend.bucket}: name the right directories, {permits}"


def _unfit(step: Step) -> Iterator[str]:
    for layer in step.layers:
        mode, table = layer.lock_mode, layer.arguments.get("dynamodb_table")
        if mode not in FITTING[step.target]:
            yield f"{layer.path} {UNFIT[mode]}: {_cure(layer)}"
        elif mode in (DYNAMODB, BOTH) and table != step.backend.table:
            yield f"{layer.path} locks in the table {table}, and not in {step.backend.table}"


def _cure(layer: Layer) -> str:
    if layer.source == CHECKOUT:
        return f"terraform -chdir={layer.directory or '.'} init -reconfigure, once its code has both"
    known = ", or if its command line does, say so in code_known" if layer.lock_mode == "unknown" else ""
    where = ", in what generates the file" if layer.is_generated else ""
    return f"give it both use_lockfile and dynamodb_table{where}, and init again{known}"


def _too_old(step: Step, code: CodeMap) -> Iterator[str]:
    for directory in sorted({layer.directory for layer in step.layers}):
        versions = ", ".join(code.required.get(directory, ()))
        if versions and _admits_older(versions):
            yield (
                f"{directory or '.'} admits clients older than 1.10, which know no lock files "
                f"(required_version {versions}): raise it to >= 1.10"
            )


def _admits_older(versions: str) -> bool:
    """False for a constraint that cannot be parsed: Terraform reports it."""
    try:
        return admits_older_than_lockfile(versions)
    except ValueError:
        return False


def next_step(target: str) -> str:
    """What to do after a step."""
    return {
        DYNAMODB: "code may drop use_lockfile",
        BOTH: "code may have use_lockfile and dynamodb_table, and is to have both before the next step",
        LOCKFILE: "code may drop dynamodb_table; the table can go once nothing names it",
    }[target]
