# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Findings about KMS keys that code names, and that its clients cannot use. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .._core.commands import command, edit, in_note
from .._core.model import of_arn
from .._core.printable import shortened
from .._terraform.code_map import CHECKOUT, CodeMap, Layer
from .findings import Finding, finding_of
from .keys import trouble_of

BackendSummary = Mapping[str, Any]


def further_keys(code: CodeMap, backends: Sequence[BackendSummary]) -> dict[str, set[str]]:
    """By backend, the keys that its layers name and nobody has asked KMS about."""
    found = {each["name"]: {*_layers(code, each)} - {*_known(each)} for each in backends if each["bucket"]["exists"]}
    return {name: keys for name, keys in found.items() if keys}


def check_keys(code: CodeMap, backends: Sequence[BackendSummary]) -> Iterator[tuple[str, Finding]]:
    """With the name of the backend. A key of the bucket or table has a finding of its own."""
    for backend in backends:
        known, name = _known(backend), str(backend["name"])
        looked_up = backend.get("code_keys") or {}
        for key, layers in sorted(_layers(code, backend).items()):
            about = known.get(key) or {}
            if key not in looked_up or about.get("arn") in {each.get("arn") for each in _own(backend).values()} - {
                None
            }:
                continue
            if about.get("problem"):
                yield name, _unknown(key, layers, about, backend)
                continue
            for layer in layers:
                yield from ((name, each) for each in _of_key(key, about, layer, backend))


def _layers(code: CodeMap, backend: BackendSummary) -> dict[str, list[Layer]]:
    """By key, the layers whose clients encrypt with it. A checkout uses what the code says."""
    found: dict[str, list[Layer]] = defaultdict(list)
    for layer in code.layers:
        key = layer.arguments.get("kms_key_id")
        is_used = key and layer.arguments.get("encrypt") is True and layer.source != CHECKOUT
        if is_used and layer.arguments.get("bucket") == backend["bucket"]["name"]:
            found[str(key)].append(layer)
    return found


def _own(backend: BackendSummary) -> dict[str, Mapping[str, Any]]:
    keys: dict[str, Mapping[str, Any]] = backend.get("kms_keys") or {}
    return {**keys, **{str(each["arn"]): each for each in keys.values() if each.get("arn")}}


def _known(backend: BackendSummary) -> dict[str, Mapping[str, Any]]:
    return {**(backend.get("code_keys") or {}), **_own(backend)}


def _of_key(key: str, about: Mapping[str, Any], layer: Layer, backend: BackendSummary) -> Iterator[Finding]:
    owner, account = of_arn(str(about.get("arn") or key)), backend["account_id"]
    if trouble := trouble_of(about, backend["region"]):
        yield finding_of("code.kms_key", layer.path, f"It names {shortened(key)}. {trouble[1]}", _edit(layer, backend))
    elif owner and account and owner != account:
        detail = f"It names {shortened(key)}, which is of the account {owner}."
        yield finding_of("code.kms_key", layer.path, detail, _edit(layer, backend), "medium")


def _edit(layer: Layer, backend: BackendSummary) -> str:
    own = (backend["bucket"].get("encryption") or {}).get("kms_key_id")
    instead = f'kms_key_id = "{in_note(own)}", as the bucket has it' if own else "leave encrypt and kms_key_id out"
    note = f"{instead}, or make this key usable (docs/runbooks/kms-key.md)"
    return edit(layer.path, f"it is generated, so in its source: {note}" if layer.is_generated else note)


def _unknown(key: str, layers: Sequence[Layer], about: Mapping[str, Any], backend: BackendSummary) -> Finding:
    detail = f"{layers[0].path} names it: {about['problem']}"
    region = ("--region", str(backend["region"]))
    fix = command("aws", "sts", "get-caller-identity", *region, note="then give this identity kms:DescribeKey on it")
    return finding_of("audit.unknown", key, detail, fix, "high")
