# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a bucket or table is in the given region and account, checked before any work.

botocore follows a bucket into any region, and a table into none: with a wrong region it finds states, but no locks.
"""

from __future__ import annotations

from .._aws.errors import MAYBE_SOON
from .._aws.protocols import ResourceClient
from .._bucket import BUCKET
from .._core.model import EXISTENCE, Change, Invalid, Resource, Target
from .guard import Refused, refusals
from .observer import Observer, caller, not_theirs


def locate_resource(aws: ResourceClient, resource: Resource, target: Target) -> tuple[Target, bool]:
    """The target as far as its existence tells, and whether it exists. Raises TfstateError if it is elsewhere."""
    observer = Observer(aws, resource, target, {})
    observer.identify()
    exists = observer.observe((resource.existence,), observer.answer)[EXISTENCE]
    against = refusals(resource, observer.target, [Change(EXISTENCE, exists, exists)], {}, {}) if exists else []
    if against:
        raise Refused("; ".join(map(str, against)))
    return observer.target, exists is not None


def check_caller(aws: ResourceClient, target: Target) -> None:
    """Raises TfstateError if locks are in another account than account_id: a table is always in that of the caller."""
    against = not_theirs(target, caller(aws, target)) if target.owner else None
    if against:
        raise Invalid(f"{against}, as a lock table is always one of their own account")


def check_bucket(aws: ResourceClient, bucket: Target, table: str | None = None) -> None:
    """Raises TfstateError unless it exists, in the region and the account that were given, and so does its table."""
    if table:
        check_caller(aws, bucket)
    _unused, exists = locate_resource(aws, BUCKET, bucket)
    if not exists:
        raise Refused(
            f"bucket {bucket.name} does not exist: check its name, and whose credentials these are; {MAYBE_SOON}"
        )
