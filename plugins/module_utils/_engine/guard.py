# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Refusals: plans that are not carried out, not even in check mode, unless `allow` permits them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .._core.makers import SHARED_MANAGEMENT, Recognised, recognised
from .._core.model import EXISTENCE, Change, Params, Refusal, Resource, Target, TfstateError, Values
from .._policy.analysis import is_public
from .._policy.document import label

#: The name of before of SHARED_MANAGEMENT.
TAKE_OVER = "take_over_resource"
MANAGED_ELSEWHERE = (SHARED_MANAGEMENT, TAKE_OVER)
#: Words by their names of before.
RENAMED = {TAKE_OVER: SHARED_MANAGEMENT}

#: The words of `allow`, each a verb and its object. The module documentation says what they risk.
ALLOW = {
    "bucket": (
        "suspend_versioning",
        "shorten_retention",
        "weaken_encryption",
        "change_kms_key",
        "open_public_access",
        "enable_acls",
        "change_logging",
        "weaken_policy",
        "drop_policy_statements",
        "grant_foreign_access",
        "lock_out_operator",
        "enable_object_lock",
        "enforce_compliance",
        *MANAGED_ELSEWHERE,
        "delete_state",
        "break_lock",
    ),
    "table": (
        "weaken_encryption",
        "change_kms_key",
        "disable_deletion_protection",
        "disable_recovery",
        *MANAGED_ELSEWHERE,
        "delete_state",
        "break_lock",
    ),
}


class Refused(TfstateError):
    """The plan is not carried out; nothing was written. `refusals`: those of the guard, if any."""

    def __init__(self, message: str, refusals: Iterable[Refusal] = ()) -> None:
        super().__init__(message)
        self.refusals = tuple(refusals)


def refusals(
    resource: Resource,
    target: Target,
    changes: Iterable[Change],
    observed: Values,
    params: Params,
    is_creation: bool = False,
    instead: Iterable[Change] = (),
) -> list[Refusal]:
    """The refusals of these changes, without those that `allow` permits.

    `is_creation`: they create the resource, so whatever is not among them will be missing.
    `instead`: each facet whose baseline differs from what is desired, from the baseline to that.
    """
    changes = tuple(changes)
    found = [refusal for change in changes for refusal in _of_change(resource, change, target)]
    found += _settled_for_less(resource, target, instead, {refusal.word for refusal in found})
    if changes:
        found += _other_manager(resource, target, changes, observed, params)
        found += _between_facets(changes, observed)
    if changes and is_creation:
        found += _at_creation(resource, target, changes, observed)
    allowed = {RENAMED.get(word, word) for word in params.get("allow") or ()}
    kept = [refusal for refusal in found if refusal.word not in allowed]
    deletes_state = any(refusal.word == "delete_state" for refusal in found)
    if deletes_state and params.get("confirm_name") != target.name:
        kept.append(Refusal(f"deleting state needs confirm_name: {target.name} besides"))
    return kept


def _of_change(resource: Resource, change: Change, target: Target) -> Iterable[Refusal]:
    facets = (*resource.facets, *resource.teardown)
    facet = next((each for each in facets if each.name == change.facet), None)
    return facet.refusals(change, target) if facet else ()


def _settled_for_less(
    resource: Resource, target: Target, instead: Iterable[Change], named: set[str | None]
) -> Iterator[Refusal]:
    """Protections of the baseline that an existing resource lacks, and that the options keep off."""
    for change in instead:
        for refusal in _of_change(resource, change, target):
            if refusal.word not in {None, *named}:
                reason = f"the {resource.kind} would stay without a protection of the baseline: {refusal.reason}"
                yield Refusal(reason, refusal.word)


def _between_facets(changes: Iterable[Change], observed: Values) -> Iterator[Refusal]:
    """What AWS would reject because of two facets together, the second when the first is already written."""
    after = {change.facet: change.after for change in changes}
    public = [label(each) for each in after.get("policy", {}).get("statements", []) if is_public(each)]
    if public and {**observed, **after}.get("public_access", {}).get("block_public_policy"):
        yield Refusal(
            f"AWS takes no policy with {', '.join(public)}, which lets anybody in, while block_public_policy is on: "
            "name its principals, or leave the policy alone with unmanaged: [policy]"
        )


def _at_creation(resource: Resource, target: Target, changes: Iterable[Change], observed: Values) -> Iterator[Refusal]:
    """Protections that a new resource would lack, because AWS does not give them by default.

    An unmanaged facet counts only if the resource does not exist: else it may have been set already.
    """
    wanted = {**observed, **{change.facet: change.after for change in changes}}
    is_missing = observed.get(EXISTENCE) is None
    for facet in resource.facets:
        protection, is_managed = facet.creation_protection, facet.name in wanted
        if protection is None or not (is_managed or is_missing):
            continue
        if not is_managed or not protection.is_given(wanted[facet.name], target):
            why = "" if is_managed else f" ({facet.name} is unmanaged, and AWS does not give it)"
            reason = f"the new {resource.kind} would be made without {protection.what}{why}"
            yield Refusal(reason, protection.word)


def other_manager(resource: Resource, target: Target, observed: Values, params: Params) -> Recognised | None:
    """The tool that manages the resource, too, as far as what was read shows one."""
    return None if observed.get(EXISTENCE, True) is None else recognised(resource.kind, target.name, observed, params)


def _other_manager(
    resource: Resource, target: Target, changes: Iterable[Change], observed: Values, params: Params
) -> Iterator[Refusal]:
    """Another tool, unless the operator asks for the very tag that shows it."""
    found = other_manager(resource, target, observed, params)
    if found:
        yield Refusal(found.reason, SHARED_MANAGEMENT, found.offer([change.facet for change in changes]))
