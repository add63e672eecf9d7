# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What could not be read: how bad what it hides may be, and what to do about each cause. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .._table.existence import KEY
from .catalogue import KINDS
from .contents import list_archived
from .expectations import Expectations, Facts
from .findings import Finding, finding_of, rank

#: By what could not be read: the findings that it may hide, besides that of the same name.
MAY_HIDE: dict[str, tuple[str, ...]] = {
    "account_id": ("bucket.policy_foreign", "bucket.policy_condition", "key.foreign"),
    "bucket": ("bucket.missing",),
    "bucket.lifecycle": ("bucket.expiration", "bucket.archiving", "bucket.lock_expiration", "bucket.history"),
    "bucket.acl": ("bucket.acl_public", "bucket.acl_foreign"),
    "bucket.policy": (
        "bucket.policy_public",
        "bucket.policy_foreign",
        "bucket.policy_condition",
        "bucket.policy_denies",
    ),
    "kms_key": ("key.missing", "key.disabled", "key.pending_deletion", "key.unusable", "key.foreign"),
    "table": ("table.missing", "table.key", "table.inaccessible"),
    "table.recovery": ("table.recovery_period",),
    "table.policy": ("table.policy_public", "table.policy_foreign", "table.policy_denies"),
    "table.items": ("digest.states_lost", "lock.wedged", "lock.stale", "digest.mismatch"),
    "locks": ("lock.wedged", "lock.stale"),
    "digests": ("digest.mismatch", "digest.deleted"),
    "versions": ("state.deleted",),
}
#: Of single states, and of all.
STATES = ("state.unreadable", "state.archived")
ALL_STATES = ("digest.states_lost", "bucket.expiration", *STATES)
#: What a store does not have hides less: it cannot be set wrong.
OF_OTHER_STORES = "medium"

#: By cause: what to do before the next audit.
REMEDIES = {
    "unsupported": "the store does not support it, so no permission helps: waive it, or leave it out of gather",
    "customer_key": "it is encrypted with a key that only its writer has (SSE-C): write it again without that key",
    "kms_key": "enable the KMS key that the detail names before",
    "busy": "run it later, or with fewer forks",
    "no_answer": "check the network and any proxy on the way to AWS before",
    "not_aws": "find the proxy or captive portal that answered in place of AWS before",
    "out_of_time": "set terraform_backend_audit_timeout higher before, or take fewer forks",
}
#: By cause of a denial: what to do, once it is known which identity was denied.
DENIALS = {
    "denied": "then give this identity what docs/permissions.md says",
    "denied_policy": "then permit this identity in the policy of the bucket or table that the detail names",
    "denied_endpoint": "then permit this identity in the policy of the VPC endpoint",
    "denied_organization": "then ask who keeps the policy that the detail names: no permission of the identity helps",
    "denied_kms": "then permit this identity in the policy of the KMS key, or give it the kms action of the detail",
}


def severity_of(what: str, cause: str, facts: Facts) -> str:
    """The worst severity of what may be hidden. Nobody knows what a name that is new here hides."""
    kinds: tuple[str, ...]
    if what == "states":
        kinds = ALL_STATES if facts.get("states") is None else STATES
    else:
        kinds = tuple(kind for kind in (*MAY_HIDE.get(what, ()), what) if kind in KINDS)
    block = (facts.get("bucket") or {}).get("public_access") or {}
    if block.get("ignore_public_acls"):
        kinds = tuple(kind for kind in kinds if kind != "bucket.acl_public")
    if what == "bucket.tags" and "lock_files" in (facts.get("bucket") or {}):  # the result of the probe is a tag
        kinds += ("bucket.lock_files",)
    severity = min((KINDS[kind].severity for kind in kinds), key=rank, default="critical")
    return max(severity, OF_OTHER_STORES, key=rank) if cause == "unsupported" else severity


def unseen(facts: Facts) -> list[str]:
    """What could not be seen, each once."""
    return [*dict.fromkeys(str(each["what"]) for each in _unread(facts))]


def unknown(facts: Facts, wanted: Expectations) -> Iterator[Finding]:
    for each in _unread(facts):
        what, cause = str(each["what"]), str(each.get("cause"))
        severity = severity_of(what, cause, facts)
        yield finding_of("audit.unknown", what, str(each["why"]), _remedy(cause, facts, wanted), severity)


def _unread(facts: Facts) -> Iterator[Mapping[str, Any]]:
    """What no other finding is about."""
    has_archived = any(state.get("is_archived") for state in facts.get("states") or ())  # state.archived
    is_no_lock_table = (facts.get("table") or {}).get("key") not in (None, KEY)  # table.key
    for each in facts.get("unknown") or ():
        is_archived = has_archived and each["what"] in ("states", "digests") and each.get("cause") == "archived"
        if not is_archived and not (is_no_lock_table and each["what"] == "table.items"):
            yield each


def _remedy(cause: str, facts: Facts, wanted: Expectations) -> str:
    if cause in DENIALS:
        return wanted.who_am_i(facts, DENIALS[cause])
    if cause == "archived":
        return list_archived(facts, wanted)
    return wanted.play("audit", note=REMEDIES.get(cause, "after you have fixed what the detail names"))
