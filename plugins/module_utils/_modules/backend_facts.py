# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Everything that can be known about a backend, as a task's result: what cannot be read is null, and named."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from types import MappingProxyType
from typing import Any

from .._audit.contents import freezes
from .._audit.expectations import requested_keys
from .._aws.client import Aws
from .._aws.errors import NO_SUCH_BUCKET, cause_of
from .._aws.inspection_client import InspectionClient
from .._bucket import BUCKET, acl, logging, ownership, replication
from .._bucket import mfa_delete as mfa
from .._core.makers import recognised
from .._core.model import (
    EXISTENCE,
    Call,
    Failure,
    Params,
    Resource,
    Target,
    Unknown,
    WriteCallback,
    facet_of,
    no_op,
)
from .._core.tags import LOCK_FILES, NOT_TESTED
from .._engine.location import check_caller
from .._engine.observer import Observer, caller
from .._repair.digest_check import Digest, check_digests
from .._state import inspection as contents
from .._state import listing
from .._state.kind import is_named_as_state
from .._state.kms_keys import keys_of, kms_keys
from .._state.listing import Objects, TableItem, Versions
from .._state.older_states import OlderState, older_states
from .._table import TABLE, time_to_live
from .._table import policy as table_policy
from .._table.existence import KEY
from .._terraform.scope import Scope
from .account_facts import WHAT, account_block
from .entry import connection_of, target_of, with_connection
from .info_rows import deleted_row, digest_row, lock_row, state_row
from .state_options import BACKEND_OPTIONS, KEYS_OPTIONS, STATE_OPTIONS

#: Instead of both ends of each state.
FULL = "full"
KINDS = ("settings", "states", "resources", "versions", "locks", "digests", "usage")
#: Those that need a list of the objects.
_OF_OBJECTS = KINDS[1:-1]
#: What no run writes, and whoever audits wants to know.
BESIDES = {
    "bucket": (facet_of(mfa), facet_of(replication)),
    "table": (facet_of(time_to_live), facet_of(table_policy)),
}
#: Read only where ACLs are in use.
ACL = facet_of(acl)

FACTS_SPEC: dict[str, dict[str, Any]] = with_connection(
    {
        **BACKEND_OPTIONS,
        "gather": {"type": "list", "elements": "str", "choices": list(KINDS), "default": list(KINDS)},
        **KEYS_OPTIONS,
        "workspace_key_prefix": STATE_OPTIONS["workspace_key_prefix"],
        "max_versions": {"type": "int", "default": 10},
    }
)


def gathered(
    params: Params, options: Mapping[str, Params] = MappingProxyType({}), on_write: WriteCallback = no_op
) -> dict[str, Any]:
    """What can be known of a backend. `options`: by kind of resource, the options whose KMS keys are looked up, too."""
    aws = InspectionClient(connection_of(params), params["wait_timeout"], params.get("audit_timeout"), on_write)
    found = _Backend(aws, params, target_of(params, "bucket"), options).to_result()
    aws.check_reached()
    return found


@dataclass
class _Backend:
    """One backend under inspection."""

    aws: Aws
    params: Params
    target: Target
    options: Mapping[str, Params]
    unknown: list[dict[str, str]] = field(default_factory=list)

    def to_result(self) -> dict[str, Any]:
        target = replace(self.target, partition=self.aws.partition())
        identity = caller(self.aws, target)
        who = None if identity is None or isinstance(identity, Failure) else identity["Account"]
        if self.params.get("table"):
            check_caller(self.aws, target)
        if isinstance(identity, Failure):
            self._unknown("account_id", identity)
        bucket = self._resource(BUCKET, target, identity)
        bucket |= self._logging_target(bucket)
        name = self.params.get("table")
        table = self._resource(TABLE, replace(target, name=name), identity) if name else None
        return {
            "region": target.region,
            "account_id": target.owner or who,
            "bucket": bucket,
            "table": table,
            "account": self._account(target, target.owner or who, bucket) if self._asks("settings") else None,
            **self._contents(bucket, table),
            "kms_keys": self._kms_keys(bucket, table) if self._asks("settings") else None,
            "unknown": self.unknown,
        }

    def _asks(self, *kinds: str) -> bool:
        return bool({*kinds} & {*self.params["gather"]})

    def _unknown(self, what: str, why: Failure | str, cause: str | None = None) -> None:
        """`cause`: of several failures."""
        found = cause_of(why) if isinstance(why, Failure) else cause or "other"
        self.unknown.append({"what": what, "why": str(why), "cause": found})

    def _resource(self, resource: Resource, target: Target, identity: Any) -> dict[str, Any]:
        observer = Observer(self.aws, resource, target, {})
        observer.meet(identity)
        values = observer.inspect((*resource.facets[1:], *BESIDES[resource.kind]) if self._asks("settings") else ())
        for name, value in values.items():
            if isinstance(value, Unknown):
                self._unknown(resource.kind if name == EXISTENCE else f"{resource.kind}.{name}", value.failure)
        known = {name: None if isinstance(value, Unknown) else value for name, value in values.items()}
        known |= self._keys(resource, observer)
        if resource is BUCKET and self._asks("settings") and not self.aws.is_aws("s3"):
            known["lock_files"] = (known["tags"] or {}).get(LOCK_FILES, NOT_TESTED)
        if resource is BUCKET and self._asks("settings") and values[EXISTENCE]:
            known |= {"acl": self._acl(observer.target, known), "replication": self._replication(known)}
        is_unknown = isinstance(values[EXISTENCE], Unknown)
        existence, found = known.pop(EXISTENCE), {"exists": None if is_unknown else values[EXISTENCE] is not None}
        about = {"name": observer.target.name, "arn": observer.target.arn or None, **found, **(existence or {})}
        about |= _of_table(observer.answer)
        if self._asks("settings") and found["exists"]:
            maker = recognised(resource.kind, observer.target.name, known)
            known["maker"] = maker.to_result() if maker else None
        return about if found["exists"] is False else {**about, **known}

    def _acl(self, target: Target, known: Mapping[str, Any]) -> list[dict[str, Any]] | None:
        """Where the owner of the bucket owns all objects, no ACL grants anything."""
        if known["ownership"] == ownership.NEW:
            return []
        (answer,) = self.aws.read([ACL.read(target)])
        value = ACL.value(answer, target)
        if isinstance(value, Unknown):
            self._unknown("bucket.acl", value.failure)
            return None
        return list(value)

    def _replication(self, known: Mapping[str, Any]) -> list[dict[str, Any]] | None:
        """With the account of each destination, as far as it is known: S3 tells whether a bucket is of the owner."""
        rules = known["replication"]
        names = sorted({each["bucket"] for each in rules or () if not each["account"]})
        answers = self.aws.read([Call("s3", "head_bucket", {"Bucket": name}) for name in names]) if names else []
        found = zip(names, answers, strict=True)
        own = {name: self.aws.owner() for name, answer in found if not isinstance(answer, Failure)}
        return rules and [{**each, "account": each["account"] or own.get(each["bucket"])} for each in rules]

    def _account(self, target: Target, account: str | None, bucket: Mapping[str, Any]) -> dict[str, Any]:
        found = account_block(self.aws, target, account if bucket["exists"] else None)
        if found.failure:
            self._unknown(WHAT, found.failure)
        return {"public_access": found.value}

    def _keys(self, resource: Resource, observer: Observer) -> dict[str, Any]:
        names = requested_keys(resource, self.options.get(resource.kind, {}))
        observer.name_keys((name for name in names if ":key/" not in name), must_exist=False)
        keys = {name: arn for name, arn in observer.target.keys.items() if name in names and ":key/" in arn}
        return {"keys": keys} if keys else {}

    def _logging_target(self, bucket: Mapping[str, Any]) -> dict[str, bool]:
        """Whether the bucket exists that access is logged into; nothing if there is none, or it is not known."""
        target = (bucket.get(logging.NAME) or {}).get("TargetBucket")
        if not target or target == bucket["name"]:
            return {}
        (answer,) = self.aws.read([Call("s3", "head_bucket", {**self.target.bucket, "Bucket": target})])
        if isinstance(answer, Failure) and answer.code not in NO_SUCH_BUCKET:
            self._unknown("bucket.logging_target", answer)
            return {}
        return {"logging_target_exists": not isinstance(answer, Failure)}

    def _kms_keys(self, *resources: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
        found, failures = kms_keys(self.aws, keys_of(resources), self._asks("usage"))
        for each in failures:
            self._unknown("kms_key", each)
        return found

    def _contents(self, bucket: Mapping[str, Any], table: dict[str, Any] | None) -> dict[str, Any]:
        keys = tuple(self.params.get("keys") or ())
        prefix = self.params["workspace_key_prefix"].rstrip("/")
        scope = Scope(self.target, self.params.get("table"), keys, prefix)
        result: dict[str, Any] = dict.fromkeys(
            ("states", "others", "locks", "frozen", "digests", "orphan_lock_files", "usage")
        )
        found = self._objects(scope, bucket) if self._asks(*_OF_OBJECTS) else None
        items = self._items(scope, table) if self._asks("locks", "digests") else None
        inspected: dict[str, contents.Inspection] = {}
        objects = found.states if found else {}
        if found and self._asks("states", "resources"):
            is_full = self._asks("resources") or self.params.get("check_states") == FULL
            inspected = contents.inspect_states(self.aws, scope, found, is_full)
            result["others"] = contents.other_objects(scope, found, inspected, items or ())
            passed = {*result["others"], *(path for path, look in inspected.items() if look.is_gone)}
            found.states = {path: each for path, each in found.states.items() if path not in passed}
            self._count("states", [look.failure for look in inspected.values() if not look.is_gone])
        versions = self._versions(scope, bucket, found.states if found else (), {*(result["others"] or ())})
        older = self._older_states(scope, inspected, versions, {item.path for item in items or ()})
        if found:
            overwritten = [path for path in result["others"] or () if path in older and older[path].was_state]
            found.states |= {path: objects[path] for path in overwritten}
            result["others"] = result["others"] and [path for path in result["others"] if path not in overwritten]
        if found and self._asks("states", "resources", "versions"):
            result["states"] = self._states(scope, found, inspected, versions, older)
        if self._asks("usage"):
            is_whole = versions and not versions.stopped_at and not scope.keys
            result["usage"] = asdict(versions.usage) if versions and is_whole else None
        if self._asks("locks"):
            now = found.now if found else datetime.now(timezone.utc)
            locks = contents.locks(self.aws, scope, found, items or [], now)
            self._count("locks", [lock.failure for lock in locks])
            result["locks"] = [lock_row(lock) for lock in locks] if found or items is not None else None
            result["frozen"] = None if result["locks"] is None else freezes(result["locks"])
            result["orphan_lock_files"] = contents.orphan_lock_files(found) if found else None
        if self._asks("digests") and items is not None:
            result["digests"] = self._digests(scope, found, items, inspected, bucket)
        return result

    def _objects(self, scope: Scope, bucket: Mapping[str, Any]) -> Objects | None:
        if bucket["exists"] is False:
            return Objects(datetime.now(timezone.utc))
        found = listing.objects(self.aws, scope)
        if isinstance(found, Failure):
            self._unknown("states", found)
            return None
        return found

    def _items(self, scope: Scope, table: dict[str, Any] | None) -> list[TableItem] | None:
        if table is None or table["exists"] is False:
            return []
        if table["exists"] and table["key"] != KEY:
            key = ", ".join(f"{name} ({kind})" for name, kind in table["key"].items())
            self._unknown(
                "table.items", f"table {table['name']} has the key {key}, not LockID (S HASH): no client can lock in it"
            )
            return None
        attribute = str(table.get("time_to_live") or "")
        expiring: list[Any] = []
        found = listing.items(
            *(self.aws, scope, str(table["name"])),
            on_page=lambda page: expiring.extend(each for each in page if "N" in each.get(attribute, {})),
            more=attribute,
        )
        if isinstance(found, Failure):
            self._unknown("table.items", found)
            return None
        if attribute:
            table["time_to_live_items"] = len(expiring)
        return found

    def _older_states(
        self,
        scope: Scope,
        inspected: Mapping[str, contents.Inspection],
        versions: Versions | None,
        in_table: Collection[str],
    ) -> dict[str, OlderState]:
        """What was before of what is no state any more. An audit alone asks for it, as it costs requests."""
        if not versions or not self.params.get("check_states") or not self._asks("states", "resources"):
            return {}
        broken = [path for path, look in inspected.items() if look.is_readable is False]
        deleted = [path for path, kept in versions.newest.items() if kept[0].is_delete_marker and kept[0].is_latest]
        found = older_states(self.aws, scope, {*broken, *deleted}, versions)
        # Whatever is called a state is known for one: what its older versions are decides nothing.
        decided = {path for path in found if path in in_table or is_named_as_state(scope, path)}
        self._count("versions", [each.failure for path, each in found.items() if path not in decided])
        return found

    def _states(
        self,
        scope: Scope,
        found: Objects,
        inspected: Mapping[str, contents.Inspection],
        versions: Versions | None,
        older: Mapping[str, OlderState],
    ) -> list[dict[str, Any]]:
        deleted = {} if versions is None else {**versions.newest}
        shown = versions if self._asks("versions") else None
        states = [state_row(scope, found, path, inspected.get(path), shown, older.get(path)) for path in found.states]
        states += [
            deleted_row(scope, path, kept, shown, older.get(path))
            for path, kept in deleted.items()
            if path not in found.states and kept[0].is_delete_marker and self._was_state(scope, path, older)
        ]
        return sorted(states, key=lambda state: str(state["path"]))

    def _was_state(self, scope: Scope, path: str, older: Mapping[str, OlderState]) -> bool:
        """Whether what was deleted was a state, or may have been."""
        if not self.params.get("check_states") or not self._asks("states", "resources"):  # nothing was compared
            return self._asks("versions")
        known = older.get(path)
        return known is not None and (known.was_state or bool(known.failure) or is_named_as_state(scope, path))

    def _versions(
        self, scope: Scope, bucket: Mapping[str, Any], states: Collection[str], others: Collection[str]
    ) -> Versions | None:
        if not self._asks("versions") and (scope.keys or not self._asks("usage")):
            return None
        if bucket["exists"] is False:
            return Versions()
        versions = listing.versions(self.aws, scope, self.params["max_versions"], states, others)
        if isinstance(versions, Failure):
            self._unknown("versions", versions)
            return None
        if versions.stopped_at:
            self._unknown("versions", f"there are too many to list them all: name keys from {versions.stopped_at} on")
        return versions

    def _digests(
        self,
        scope: Scope,
        found: Objects | None,
        items: Sequence[TableItem],
        inspected: Mapping[str, contents.Inspection],
        bucket: Mapping[str, Any],
    ) -> list[dict[str, Any]]:
        if bucket["exists"] is False:
            known = [Digest(item.path, "unknown", item.digest) for item in items if item.is_digest]
        else:
            known = check_digests(self.aws, scope, items, inspected)
        self._count("digests", [each.failure for each in known])
        there = {each.path for each in known}
        held = found.states if found and self.params.get("table") else {}
        known += [Digest(path, "missing") for path in held if path not in there]
        return [digest_row(each) for each in sorted(known, key=lambda each: each.path)]

    def _count(self, what: str, failures: Iterable[Failure | None]) -> None:
        """Names what many objects have in common once."""
        by_cause: dict[str, list[Failure]] = {}
        for failure in failures:
            if failure:
                by_cause.setdefault(cause_of(failure), []).append(failure)
        for cause, found in by_cause.items():
            what_else = f"{len(found)} could not be read, such as {found[0]}"
            self._unknown(what, found[0] if len(found) == 1 else what_else, cause)


def _of_table(answer: Any) -> dict[str, Any]:
    """Its bytes, by the last count of AWS, which is hours old; and its status. Buckets have neither."""
    table = answer.get("Table") if isinstance(answer, Mapping) else None
    if not table:
        return {}
    backup = (table.get("ArchivalSummary") or {}).get("ArchivalBackupArn")
    archived = {"archival_backup_arn": backup} if backup else {}
    return {"size_bytes": table.get("TableSizeBytes"), "status": table.get("TableStatus"), **archived}
