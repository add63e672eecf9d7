# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What buckets and tables share about tags: added to what is there, or exactly these with purge_tags."""

from __future__ import annotations

from collections.abc import Iterator

from .model import Call, Change, Params, Refusal, Target, Value
from .provider import ProviderArguments

OPTIONS = {"tags": {"type": "dict"}, "purge_tags": {"type": "bool"}}

#: Tags that say which tool manages a resource, in lower case.
MANAGER_TAGS = ("managed-by", "managed_by", "managedby", "provisioner", "created-by")
#: Tags of AWS's own services: nobody else adds, changes or removes one.
SYSTEM = "aws:"
#: On a bucket at another store than AWS: whether the store supports lock files, as a probe found.
LOCK_FILES, SUPPORTED, UNSUPPORTED = "cornerstone.tfstate:lock_files", "supported", "unsupported"
#: On a bucket some of whose clients lock by file alone: the lock mode, so that a run without its files knows it. Once
#: the files of the backend name both kinds of locks, clients in the table alone may be about as well.
LOCK_MODE, OF_FILES, OF_BOTH = "cornerstone.tfstate:lock_mode", "lockfile", "both"
#: Tags of ours stay, whatever the options say.
_OURS = (LOCK_FILES, LOCK_MODE)
#: In facts, without such a tag.
NOT_TESTED = "not tested"
#: Those of AWS's services do not count.
MOST_TAGS = 50


def desired(params: Params, observed: Value, target: Target) -> Value:
    asked = params.get("tags")
    if asked is None:
        return observed
    purges = params.get("purge_tags")
    kept = {key: value for key, value in observed.items() if not purges or key.startswith(SYSTEM) or key in _OURS}
    return {**kept, **{str(key): str(value) for key, value in asked.items()}}


def tag_list(tags: Value) -> list[dict[str, str]]:
    """The tags that are ours to write, as AWS takes them."""
    return whole_set({key: value for key, value in tags.items() if not key.startswith(SYSTEM)})


def whole_set(tags: Value) -> list[dict[str, str]]:
    """All tags, as AWS takes them where a write replaces the set."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def in_turn(tag: tuple[Call, ...], untag: tuple[Call, ...], before: Value, after: Value) -> tuple[Call, ...]:
    """Tags come before others go, so that a rule which demands one is met throughout; unless AWS takes no more."""
    fit_together = len(tag_list({**before, **after})) <= MOST_TAGS
    return tag + untag if fit_together else untag + tag


def refusals(change: Change, target: Target) -> Iterator[Refusal]:
    if (count := len(tag_list(change.after))) > MOST_TAGS:
        yield Refusal(f"with those that are there it would have {count} tags; AWS takes {MOST_TAGS}")


def provider_tags(resource: str, tags: Value) -> Iterator[ProviderArguments]:
    """As an argument of that resource. Tags of AWS's own services are left out."""
    own = {tag["Key"]: tag["Value"] for tag in tag_list(tags)}
    if own:
        yield ProviderArguments(resource, {"tags": dict(own)})


def problems(params: Params, target: Target) -> Iterator[str]:
    tags = params.get("tags") or {}
    if len(tags) > MOST_TAGS:
        yield f"{len(tags)} tags; AWS takes {MOST_TAGS}"
    for key, value in tags.items():
        if str(key).lower().startswith(SYSTEM):
            yield f"tag {key!r}: names that start with aws: are AWS's own"
        if not 1 <= len(str(key)) <= 128 or len(str(value)) > 256:
            yield f"tag {key!r}: a key has 1 to 128 characters, a value at most 256"
    if params.get("purge_tags") and params.get("tags") is None:
        yield "purge_tags needs tags; tags: {} removes them all"
