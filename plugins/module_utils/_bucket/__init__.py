# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The state bucket: its facets in the order of application."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from .._core.model import Change, Resource, Response, Target, Values, facet_of
from .._policy.baseline import bucket_arn
from . import (
    contents,
    encryption,
    existence,
    lifecycle,
    logging,
    object_lock,
    ownership,
    policy,
    public_access,
    tags,
    versioning,
)
from . import lock_files as locks

_EXISTENCE, _CONTENTS, _TAGS = facet_of(existence), facet_of(contents), facet_of(tags)


def _busy(response: Response) -> str | None:
    return None


def _unfinished(observed: Values) -> bool:
    """Versioning is switched on after the lifecycle is set: if it never was, as far as we look, there is no history."""
    return "lifecycle" in observed and bool(observed.get("versioning") == versioning.ABSENT)


def _cautions(target: Target, observed: Values, changes: Sequence[Change]) -> Iterator[str]:
    if any(change.facet == ownership.NAME and change.after == ownership.NEW for change in changes):
        yield (
            f"once ACLs are off, S3 refuses uploads to {target.name} by clients whose backend has an acl other than "
            "bucket-owner-full-control (AccessControlListNotSupported): an audit with their code finds them (code.acl)"
        )


def _deletion_warning(target: Target) -> str | None:
    if target.name.endswith(existence.ACCOUNT_REGIONAL_SUFFIX):
        return None  # no other account can take its name
    return (
        f"once {target.name} is gone, anybody may take its name, and would get what clients still send there: take it "
        "out of every backend first"
    )


BUCKET = Resource(
    kind="bucket",
    facets=(
        _EXISTENCE,
        facet_of(ownership),
        facet_of(public_access),
        facet_of(encryption),
        facet_of(lifecycle),
        facet_of(versioning),
        facet_of(object_lock),
        _TAGS,
        facet_of(logging),
        facet_of(policy),
    ),
    teardown=(facet_of(locks), _CONTENTS, _EXISTENCE),
    arn=bucket_arn,
    locate=lambda target, _response: target,
    busy=_busy,
    unfinished=_unfinished,
    cautions=_cautions,
    contents=_CONTENTS,
    # A deleted bucket may stay visible for a while, without tags.
    refusal_inputs=(replace(_TAGS, not_found=_TAGS.not_found | {"NoSuchBucket"}),),
    deletion_warning=_deletion_warning,
)
