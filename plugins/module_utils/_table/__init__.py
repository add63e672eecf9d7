# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lock table: its facets in the order of application."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from .._core.model import EXISTENCE, Change, Invalid, Resource, Response, Target, Values, facet_of
from . import billing, contents, deletion_protection, encryption, existence, recovery, table_class, tags, time_to_live

_EXISTENCE, _PROTECTION, _TAGS = facet_of(existence), facet_of(deletion_protection), facet_of(tags)

LOST = {
    "INACCESSIBLE_ENCRYPTION_CREDENTIALS": "its KMS key{key} is disabled, deleted or denied: enable that key again",
    "ARCHIVING": "AWS is archiving it, because its KMS key was out of reach for a week: restore it from its backup",
    "ARCHIVED": "AWS archived it, because its KMS key was out of reach for a week: restore it from its backup",
    "REPLICATION_NOT_AUTHORIZED": "its global table may not replicate to it: give back that permission",
}


def _arn(target: Target) -> str:
    """Empty as long as the account is not known."""
    account = target.account_id
    return f"arn:{target.partition}:dynamodb:{target.region}:{account}:table/{target.name}" if account else ""


def _locate(target: Target, response: Response) -> Target:
    return replace(target, arn=response["Table"].get("TableArn") or target.arn)


def _busy(response: Response) -> str | None:
    """An ACTIVE table may still change its encryption."""
    table = response["Table"]
    status, encryption_status = table.get("TableStatus"), table.get("SSEDescription", {}).get("Status")
    if status in LOST:
        key = table.get("SSEDescription", {}).get("KMSMasterKeyArn")
        what = LOST[status].format(key=f" {key}" if key else "")
        raise Invalid(f"table {table['TableName']} is {status}: {what}")
    if status != "ACTIVE":
        return f"the table is {status}"
    if encryption_status in ("ENABLING", "DISABLING", "UPDATING"):
        return f"its encryption is {encryption_status}"
    return None


def _identity(response: Response) -> str | None:
    """A table of the same name in its place has another; its ARN is the same."""
    known: str | None = response["Table"].get("TableId")
    return known


def _cautions(target: Target, observed: Values, changes: Sequence[Change]) -> Iterator[str]:
    if replicas := (observed[EXISTENCE] or {}).get("replicas"):
        yield (
            f"table {target.name} has replicas in {', '.join(replicas)}: two regions may both get one lock; "
            "let every client use the table of one region"
        )
    if attribute := observed.get("time_to_live"):
        yield f"table {target.name} has a time to live, by {attribute}: locks and digests may vanish; switch it off"


TABLE = Resource(
    kind="table",
    facets=(
        _EXISTENCE,
        _PROTECTION,
        facet_of(recovery),
        facet_of(billing),
        facet_of(encryption),
        facet_of(table_class),
        _TAGS,
    ),
    teardown=(facet_of(contents), _PROTECTION, _EXISTENCE),
    arn=_arn,
    locate=_locate,
    busy=_busy,
    identity=_identity,
    cautions=_cautions,
    refusal_inputs=(_TAGS, facet_of(time_to_live)),
)
