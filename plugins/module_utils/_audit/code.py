# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compares Terraform code with the audited backends. Pure.

An unknown value, which is not static text or was not audited, causes no finding.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from posixpath import normpath
from typing import Any

from .._core.commands import edit, in_note
from .._core.suggestions import nearest
from .._terraform.code_layer import COMMAND_LINE, describe, listed, names_table
from .._terraform.code_map import CHECKOUT, TFBACKEND, CodeMap, Layer
from .._terraform.protocol import WORKSPACE_KEY_PREFIX
from . import lost
from .code_arguments import check_arguments
from .code_edits import edit_layer
from .code_keys import check_keys
from .expectations import play
from .findings import Finding, finding_of

#: As returned by `settings.summary`.
BackendSummary = Mapping[str, Any]
#: A finding, and the backend that it is about: its name, or nothing.
About = tuple[str, Finding]

#: Source: https://developer.hashicorp.com/terraform/language/backend/s3, "Deprecated" of 1.11
DEPRECATED = {
    "dynamodb_table",
    "force_path_style",
    "endpoint",
    "dynamodb_endpoint",
    "iam_endpoint",
    "sts_endpoint",
    "shared_credentials_file",
    "endpoints.dynamodb",
}
#: Gone since Terraform 1.10; OpenTofu still takes them.
REMOVED = {
    "role_arn",
    "session_name",
    "external_id",
    "assume_role_duration_seconds",
    "assume_role_policy",
    "assume_role_policy_arns",
    "assume_role_tags",
    "assume_role_transitive_tag_keys",
}


#: The only ACL that S3 takes where the owner of the bucket owns all objects.
OWNER_ACL = "bucket-owner-full-control"


def check_code(code: CodeMap, backends: Sequence[BackendSummary]) -> list[About]:
    """The findings where code and backends differ."""
    named = {each["bucket"]["name"]: each for each in backends}
    about: list[About] = [("", _unreadable(each.path, each.reason)) for each in code.unreadable]
    known = _known_buckets(backends)
    misspelt = _misspelt(known, named)
    for layer in code.layers:
        bucket = layer.arguments.get("bucket")
        backend, meant = named.get(bucket), named.get(bucket) or misspelt.get(str(bucket))
        name = backend["name"] if backend else ""
        about += [(name, each) for each in (*_of_layer(layer, meant), *check_arguments(layer, backend))]
        if backend:
            about += [(name, each) for each in _against(layer, backend, backends)]
        else:
            about += _elsewhere(layer, meant, known)
    about += [("", each) for each in _unknown(code, backends)]
    about += [(_name_of(named, layers), each) for layers, each in _between(code.layers, named)]
    about += check_keys(code, backends)
    unreliable = {each.resource for _name, each in about if each.id == "code.kms_key"}  # which says more
    about = [each for each in about if not (each[1].id == "code.kms_key_differs" and each[1].resource in unreliable)]
    used = {layer.arguments.get("bucket") for layer in code.layers}
    unused = [each for each in backends if each["bucket"]["name"] not in used]
    return about + [(each["name"], _without_code(each)) for each in unused if not code.unknown(each["region"])]


def _unknown(code: CodeMap, backends: Sequence[BackendSummary]) -> Iterator[Finding]:
    """One finding for all code that may be a client of any backend. A file that cannot be read has its own."""
    regions = {each["region"] for each in backends}
    readable = {each for region in regions for each in code.unknown(region)} - {*code.unreadable}
    unknown = [each for each in code.unknown() if each in readable]
    if unknown:
        bare = [each for each in unknown if each.reason == COMMAND_LINE]
        rest = [each for each in unknown if each.reason != COMMAND_LINE]
        count = f"{len(bare)} {'layer' if len(bare) == 1 else 'layers'} whose backend only their command line knows"
        parts = [f"{count}: {listed(each.path for each in bare)}"] if bare else []
        parts += [f"{len(rest)} more that do not say for certain: {describe(rest)}"] if rest else []
        detail = f"{'; '.join(parts)}."
        fix = edit(unknown[0].path, "or complete it with code_backend_files, or say in code_known what it is")
        yield finding_of("code.unknown", listed((each.path for each in unknown), 1), detail, fix)


def _unreadable(path: str, reason: str) -> Finding:
    return finding_of("code.unreadable", path, reason, edit(path, "or leave it out of code"))


def _without_code(backend: BackendSummary) -> Finding:
    fix = _play(backend, "bootstrap", note="writes backend.tf")
    detail = "None of the backends in the code that was read names this bucket, and none is unknown."
    return finding_of("code.missing", backend["bucket"]["name"], detail, fix)


def _play(backend: BackendSummary, playbook: str, note: str = "") -> str:
    return play(backend["name"], backend.get("inventory", ()), playbook, note=note)


def _elsewhere(layer: Layer, meant: BackendSummary | None, known: Mapping[str, bool | None]) -> Iterator[About]:
    """A bucket of no backend: another one, or one that is misspelt. What is about the latter is told of its backend."""
    bucket = layer.arguments.get("bucket")
    if not bucket or layer.source == CHECKOUT:
        return
    if known.get(bucket) is False:
        name = meant["bucket"]["name"] if meant else None
        detail = f"It expects the bucket {bucket}, which does not exist.{f' Is {name} meant?' if name else ''}"
        fix = edit_layer(layer, f'bucket = "{in_note(name)}"') if name else lost.unknown_bucket(bucket)
        yield meant["name"] if meant else "", finding_of("code.bucket_missing", layer.path, detail, fix)
        return
    is_hidden = bucket in known and known[bucket] is None
    what = ", which is of another account, or may not be looked at" if is_hidden else ""
    fix = edit("hosts.yml", f"add a host for the bucket {in_note(bucket)}, if the name is right")
    yield "", finding_of("code.not_audited", layer.path, f"It uses the bucket {bucket}{what}.", fix)


def _misspelt(known: Mapping[str, bool | None], named: Mapping[str, BackendSummary]) -> dict[str, BackendSummary]:
    """The buckets that do not exist, and the backend whose bucket has nearly the name."""
    gone = [name for name, exists in known.items() if exists is False]
    found = {name: nearest(name, filter(None, named)) for name in gone}
    return {name: named[alike[0]] for name, alike in found.items() if alike}


def further_buckets(code: CodeMap, backends: Sequence[BackendSummary]) -> dict[str, set[str]]:
    """By backend, the buckets that only code names, which may be misspelt: to be looked up as that backend was read."""
    known = {each["bucket"]["name"] for each in backends}
    found: dict[str, set[str]] = defaultdict(set)
    for layer in code.layers:
        bucket = layer.arguments.get("bucket")
        has_own_store = bool(layer.given & {"endpoint", "endpoints.s3"})
        if bucket and bucket not in known and layer.source != CHECKOUT and not has_own_store:
            ranked = [(each["region"] != layer.arguments.get("region"), place) for place, each in enumerate(backends)]
            if ranked:
                found[backends[min(ranked)[1]]["name"]].add(bucket)
    return dict(found)


def _known_buckets(backends: Iterable[BackendSummary]) -> dict[str, bool | None]:
    return {name: exists for each in backends for name, exists in (each.get("buckets") or {}).items()}


def _of_layer(layer: Layer, backend: BackendSummary | None) -> Iterator[Finding]:
    if layer.lock_mode == "none":
        note = _locking(backend) if backend else "use_lockfile = true (Terraform and OpenTofu from 1.10 on)"
        detail = "It has neither use_lockfile nor dynamodb_table."
        yield finding_of("code.no_locking", layer.path, detail, edit_layer(layer, note))
    for kind, names in (("code.removed", REMOVED), ("code.deprecated", DEPRECATED)):
        used = sorted((layer.given & names) - _needed(backend))
        # A checkout uses what the code says, which has its own finding.
        if used and layer.source != CHECKOUT:
            note = "role_arn and its like go into assume_role = {}" if kind == "code.removed" else _instead(used)
            yield finding_of(kind, layer.path, f"It uses {', '.join(used)}.", edit_layer(layer, note))
    if (
        layer.arguments.get("kms_key_id")
        and layer.arguments.get("encrypt") is not True
        and "encrypt" not in (layer.unknown)
    ):
        detail = "It has kms_key_id without encrypt = true, so the key is ignored."
        yield finding_of("code.encrypt", layer.path, detail, edit_layer(layer, "encrypt = true"))


def _needed(backend: BackendSummary | None) -> set[str]:
    """The deprecated arguments without which clients would not lock as the backend's do."""
    in_table = backend and backend["table"] and backend["lock_mode"] in ("dynamodb", "both")
    return {"dynamodb_table", "endpoints.dynamodb", "dynamodb_endpoint"} if in_table else set()


def _locking(backend: BackendSummary) -> str:
    """The arguments of the lock mode of the backend."""
    table = f'dynamodb_table = "{in_note((backend["table"] or {}).get("name"))}"'
    return {
        "dynamodb": f"{table} alone",
        "lockfile": "use_lockfile = true alone",
        "both": f"{table}, use_lockfile = true",
    }[backend["lock_mode"]]


def _instead(used: Sequence[str]) -> str:
    lock = "use_lockfile = true"
    instead = {"dynamodb_table": lock, "endpoints.dynamodb": lock, "force_path_style": "use_path_style = true"}
    return ", ".join(dict.fromkeys(instead.get(name, "endpoints = {}") for name in used))


def _against(layer: Layer, backend: BackendSummary, backends: Sequence[BackendSummary]) -> Iterator[Finding]:
    """Compares a layer with the backend that has its bucket."""
    bucket, asked = backend["bucket"], layer.arguments
    if bucket["exists"] is False:
        evidence = backend.get("had_states") or None
        fix = lost.recreation(backend["name"], backend.get("inventory", ()), backend.get("backup"), evidence)
        yield finding_of("code.bucket_missing", layer.path, f"It expects the bucket {bucket['name']}.", fix)
    if asked.get("region") not in (None, _region(backend)):
        note = f'region = "{in_note(_region(backend))}"'
        detail = f"It names {asked['region']}; {bucket['name']} lies in {_region(backend)}."
        yield finding_of("code.region", layer.path, detail, edit_layer(layer, note))
    if asked.get("dynamodb_table"):
        yield from _table(layer, str(asked["dynamodb_table"]), backend, backends)
    yield from _lock_mode(layer, backend)
    yield from _acl(layer, backend)
    encryption = bucket.get("encryption") or {}
    if asked.get("encrypt") is True and "kms_key_id" not in layer.given and encryption.get("kms_key_id"):
        detail = f"It has encrypt without kms_key_id; the bucket's key is {encryption['kms_key_id']}."
        note = f'kms_key_id = "{in_note(encryption["kms_key_id"])}", or leave encrypt out'
        yield finding_of("code.encrypt", layer.path, detail, edit_layer(layer, note))


def _region(backend: BackendSummary) -> str:
    """Where its bucket is, whatever the inventory says."""
    return str(backend["bucket"].get("region") or backend["region"])


def _is_misplaced(backend: BackendSummary) -> bool:
    """Whether the inventory names another region than the bucket's: its table was looked for there."""
    return _region(backend) != str(backend["region"])


def further_tables(code: CodeMap, backends: Sequence[BackendSummary]) -> dict[str, set[str]]:
    """By backend, the tables of its layers whose existence is not known yet."""
    found: dict[str, set[str]] = {}
    for backend in (each for each in backends if each["bucket"]["exists"] and not _is_misplaced(each)):
        using = [each for each in code.layers if each.arguments.get("bucket") == backend["bucket"]["name"]]
        named = {str(each.arguments["dynamodb_table"]) for each in using if each.arguments.get("dynamodb_table")}
        found[backend["name"]] = named - _known_tables(backend, backends).keys()
    return {name: tables for name, tables in found.items() if tables}


def _known_tables(backend: BackendSummary, backends: Iterable[BackendSummary]) -> dict[str, bool | None]:
    """Whether they exist, of the tables in its region and account that were audited or looked up."""
    if _is_misplaced(backend):
        return {}
    near = [each["table"] for each in backends if each["table"] and _are_near(each, backend)]
    return {**(backend.get("tables") or {}), **{each["name"]: each["exists"] for each in near}}


def _table(layer: Layer, name: str, backend: BackendSummary, backends: Sequence[BackendSummary]) -> Iterator[Finding]:
    own = backend["table"] or {}
    if _known_tables(backend, backends).get(name) is False:
        fix = _creation_or_edit(layer, name, backend, backends)
        yield finding_of("code.table_missing", layer.path, f"It expects the table {name} in {backend['region']}.", fix)
    elif own and not names_table(layer.arguments, own["name"]):
        detail = f"It locks in {name}; the backend's is {own['name']}."
        yield finding_of(
            "code.table_differs", layer.path, detail, edit_layer(layer, f'dynamodb_table = "{in_note(own["name"])}"')
        )


def _creation_or_edit(layer: Layer, name: str, backend: BackendSummary, backends: Sequence[BackendSummary]) -> str:
    """A bootstrap makes the table that an inventory names. If code names another one, the code is wrong."""
    near = [each for each in backends if _are_near(each, backend)]
    owners = [each for each in (backend, *near) if (each["table"] or {}).get("name") == name]
    if owners and owners[0]["bucket"]["exists"] is False:
        evidence = owners[0].get("had_states") or None
        inventory = owners[0].get("inventory", ())
        return lost.recreation(owners[0]["name"], inventory, owners[0].get("backup"), evidence)
    if owners:
        return lost.table(owners[0]["name"], owners[0].get("inventory", ()), owners[0].get("paths") == [])
    own = (backend["table"] or {}).get("name")
    instead = f'dynamodb_table = "{in_note(own)}"' if own else "use_lockfile = true instead of dynamodb_table"
    return edit_layer(layer, f"{instead}, as the backend has it, or create that table first if it is meant")


def _lock_mode(layer: Layer, backend: BackendSummary) -> Iterator[Finding]:
    """Only a client that locks in both ways excludes all others, and only those of one table keep its digests."""
    mode = backend["lock_mode"]
    if layer.lock_mode in (mode, "none", "unknown"):
        return
    detail = f"Its lock mode is {layer.lock_mode}, and that of the backend {mode}."
    kind = "code.lock_mode_differs" if "both" in (mode, layer.lock_mode) else "code.lock_mode"
    if {mode, layer.lock_mode} == {"dynamodb", "both"} and names_table(
        layer.arguments, (backend["table"] or {}).get("name")
    ):
        kind = "code.lock_mode_step"
        detail += " This is safe as it is, and has to be changed before the step to lockfile (docs/lock-modes.md)."
    yield finding_of(kind, layer.path, detail, edit_layer(layer, _locking(backend)))


def _acl(layer: Layer, backend: BackendSummary) -> Iterator[Finding]:
    """A checkout uses what the code says, which has its own finding."""
    since = backend["bucket"].get("owner_enforced")
    if since and layer.acl not in (None, "", OWNER_ACL) and layer.source != CHECKOUT:
        detail = f'{layer.acl_at} has acl = "{layer.acl}": S3 refuses its uploads {since}.'
        yield finding_of("code.acl", layer.path, detail, edit_layer(layer, f'leave acl out, or acl = "{OWNER_ACL}"'))


def _are_near(one: BackendSummary, other: BackendSummary) -> bool:
    return (one["region"], one["account_id"]) == (other["region"], other["account_id"])


def _between(layers: Iterable[Layer], backends: Mapping[Any, BackendSummary]) -> Iterator[tuple[list[Layer], Finding]]:
    """Findings about several layers together."""
    by_key: dict[tuple[str, str], list[Layer]] = defaultdict(list)
    by_bucket: dict[str, list[Layer]] = defaultdict(list)
    for layer in layers:
        bucket, key = layer.arguments.get("bucket"), layer.arguments.get("key")
        if bucket:
            by_bucket[bucket].append(layer)
        if bucket and key and layer.source != CHECKOUT:
            by_key[bucket, key].append(layer)
    for (bucket, key), sharing in sorted(by_key.items(), key=str):
        if key in (backends.get(bucket) or {}).get("others", ()):
            yield sharing, _not_a_state(key, sharing[0])
        if len(_directories(sharing)) > 1:
            yield from ((sharing, each) for each in _shared(bucket, key, sharing, backends.get(bucket)))
        else:
            yield from ((sharing, each) for each in _environments(bucket, key, sharing))
    for bucket, using in sorted(by_bucket.items()):
        yield from _nested(bucket, using)
        modes = {
            mode: sorted({each.path for each in using if each.lock_mode == mode}) for mode in ("dynamodb", "lockfile")
        }
        if all(modes.values()):
            parts = [
                f"{mode} only: {', '.join(paths[:3])}{' ...' if len(paths) > 3 else ''}"
                for mode, paths in modes.items()
            ]
            backend = backends.get(bucket)
            wrong = "lockfile" if backend and backend["lock_mode"] == "dynamodb" else "dynamodb"
            # A checkout follows its code.
            first = min((each.source == CHECKOUT, each.path, each) for each in using if each.lock_mode == wrong)
            note = _locking(backend) if backend else "use_lockfile = true beside dynamodb_table"
            fix = edit_layer(first[2], f"{note}, until all have it")
            yield using, finding_of("code.mixed_locking", bucket, f"{'; '.join(parts)}.", fix)


def _not_a_state(key: str, layer: Layer) -> Finding:
    """Whatever the object holds: it was a state, or the code is wrong."""
    detail = f"It is not a state, and {layer.path} names it."
    note = "another key, if this one is wrong; otherwise restore a version of the state with tf_state_version"
    return finding_of("state.unreadable", key, detail, edit_layer(layer, note))


def _directories(layers: Iterable[Layer]) -> list[str]:
    return sorted({normpath(each.directory) for each in layers})


def _shared(bucket: str, key: str, sharing: Sequence[Layer], backend: BackendSummary | None) -> Iterator[Finding]:
    """Layers of one key share all their states where their prefixes are equal, and else that of the default workspace.

    Source: internal/backend/remote-state/s3 (path) of hashicorp/terraform; docs/audit.md.
    """
    by_prefix: dict[str | None, list[Layer]] = defaultdict(list)
    for layer in sharing:
        by_prefix[_prefix(layer)].append(layer)
    if None in by_prefix:  # a prefix that is unknown may be any
        by_prefix = {None: list(sharing)}
    fix = edit(sharing[-1].path, "a key of its own, then: terraform init -migrate-state")
    for prefix, alike in sorted(by_prefix.items(), key=str):
        if len(places := _directories(alike)) > 1:
            detail = f"{bucket}/{key} is the state of {_counted(places)}."
            where = f"{bucket}/{key}" if len(by_prefix) == 1 else f"{bucket}/{prefix}/*/{key}"
            yield finding_of("code.shared_key", where, detail, fix)
    if len(by_prefix) > 1:
        exists = _exists(backend, key)
        known = {True: "which exists", False: "which does not exist", None: "which could not be looked at"}[exists]
        detail = (
            f"Their default workspaces share {bucket}/{key}, {known}; the workspaces under their "
            f"{len(by_prefix)} prefixes do not: {_counted(_directories(sharing))}."
        )
        finding = finding_of("code.shared_key", f"{bucket}/{key}", detail, fix)
        yield replace(finding, severity="low") if exists is False else finding


#: Words in the names of files for one environment.
ENVIRONMENTS = frozenset(
    {
        *("dev", "develop", "development", "test", "testing", "tst", "qa", "uat", "int", "integration"),
        *("stage", "staging", "stg", "preprod", "nonprod", "sandbox", "sbx", "demo", "prod", "production", "prd"),
        "live",
    }
)


def _environments(bucket: str, key: str, sharing: Sequence[Layer]) -> Iterator[Finding]:
    """Backend configurations of one folder: of one environment each, or of one and for several clients of it."""
    by_prefix: dict[str | None, dict[str, Layer]] = defaultdict(dict)
    for layer in sharing:
        if layer.block or layer.source == TFBACKEND:  # a block beside the file that completes it is the same
            by_prefix[_prefix(layer)][layer.path] = layer
    for alike in by_prefix.values():
        if len(alike) > 1:
            words = {frozenset(re.split(r"[^a-z]+", path.lower())) & ENVIRONMENTS for path in alike}
            are_several = len(words - {frozenset()}) > 1
            detail = f"{bucket}/{key} is the state of {listed(sorted(alike))}, all in one folder."
            note = "a key of its own for that which has not made what is in the state, then terraform init -reconfigure"
            detail += "" if are_several else " That is right if they are one environment."
            fix = edit(sorted(alike)[-1], note)
            severity = None if are_several else "info"
            yield finding_of("code.shared_key", f"{bucket}/{key}", detail, fix, severity)


def _counted(places: Sequence[str]) -> str:
    return listed(places) if len(places) <= 10 else f"{len(places)} directories: {listed(places)}"


def _exists(backend: BackendSummary | None, key: str) -> bool | None:
    """Whether there is a state at the path of the key; None if it was not read."""
    if backend and backend["bucket"]["exists"] is False:
        return False
    paths = (backend or {}).get("paths")
    return None if paths is None else key in paths


def _nested(bucket: str, layers: Sequence[Layer]) -> Iterator[tuple[list[Layer], Finding]]:
    """Keys that a workspace of another layer would have, in one finding for each of those layers."""
    trees = {(_prefix(each), each.arguments.get("key")): each for each in layers if each.source != CHECKOUT}
    prefixes = sorted({prefix for prefix, _unused in trees if prefix is not None})
    inside: dict[tuple[str, Any], list[tuple[str, str, Layer]]] = defaultdict(list)
    for inner, within in sorted({str(key): each for (_unused, key), each in trees.items() if key}.items()):
        for prefix in _beginning(inner, prefixes):
            begin = f"{prefix}/" if prefix else ""
            workspace, _slash, key = inner.removeprefix(begin).partition("/")
            if (prefix, key) in trees and workspace:
                inside[prefix, key].append((inner, f"{begin}{workspace}", within))
    for place, found_here in inside.items():
        outer = trees[place]
        inner, begin, within = found_here[0]
        workspace = begin.rpartition("/")[2]
        detail = f"It is the key of {within.path}, and that of the workspace {workspace} of {outer.path}."
        if len(found_here) > 1:
            keys = [f"{key} ({each.path})" for key, _begin, each in found_here]
            detail = f"{len(keys)} keys are those of workspaces of {outer.path}: {listed(keys)}."
        fix = edit(within.path, f"a key that does not begin with {in_note(f'{begin}/')}")
        yield [outer], finding_of("code.nested_key", f"{bucket}/{inner}", detail, fix)


def _beginning(key: str, prefixes: Sequence[str]) -> list[str]:
    """Those of the prefixes that the key is under."""
    parts = key.split("/")
    above = {"/".join(parts[:count]) for count in range(len(parts))}
    return [prefix for prefix in prefixes if prefix in above] if len(prefixes) < 20 else sorted(above & {*prefixes})


def _prefix(layer: Layer) -> str | None:
    """None if only a run knows it."""
    if "workspace_key_prefix" in layer.unknown:
        return None
    return str(layer.arguments.get("workspace_key_prefix", WORKSPACE_KEY_PREFIX))


def _name_of(named: Mapping[Any, BackendSummary], layers: Sequence[Layer]) -> str:
    backend = named.get(layers[0].arguments.get("bucket"))
    return str(backend["name"]) if backend else ""
