# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Findings about single arguments of a backend block: secrets in it, its keys, and how it reaches AWS. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .._core.commands import in_note
from .._terraform.code_layer import CHECKOUT, Layer
from .code_edits import edit_layer
from .findings import Finding, finding_of

#: What lets nobody in by itself.
KEY_ID = "access_key"


def check_arguments(layer: Layer, backend: Mapping[str, Any] | None) -> Iterator[Finding]:
    if not layer.is_local:  # an emulator takes any key, and has no certificate
        yield from _credentials(layer)
        yield from _connection(layer)
    if "sse_customer_key" in layer.given and layer.source != CHECKOUT:
        detail = "It encrypts states with a key of its own (sse_customer_key)."
        note = "leave sse_customer_key out, and write the state again without it"
        yield finding_of("code.customer_key", layer.path, detail, edit_layer(layer, note))
    if backend:
        yield from _key(layer, backend)


def _credentials(layer: Layer) -> Iterator[Finding]:
    """Says which arguments have them, and never what is in them."""
    names = sorted(layer.secrets)
    if not names:
        return
    where = "The record of its init has" if layer.source == CHECKOUT else "It has"
    detail = f"{where} {', '.join(names)} in clear text."
    note = (
        f"leave {', '.join(names)} out, deactivate what was in there, and give clients a profile, a role or variables "
        "of the environment"
    )
    is_less = layer.source == CHECKOUT or names == [KEY_ID]
    yield finding_of("code.credentials", layer.path, detail, edit_layer(layer, note), "medium" if is_less else None)


def _connection(layer: Layer) -> Iterator[Finding]:
    names = sorted(layer.insecure)
    if not names or layer.source == CHECKOUT:  # which uses what the code says
        return
    plain = [name for name in names if name != "insecure"]
    told = [f"speaks plain HTTP ({', '.join(plain)})"] if plain else []
    told += ["checks no certificate (insecure)"] if "insecure" in names else []
    note = "https:// addresses" if plain else "leave insecure out, and name a private authority in custom_ca_bundle"
    yield finding_of("code.insecure", layer.path, f"It {' and '.join(told)}.", edit_layer(layer, note))


def _key(layer: Layer, backend: Mapping[str, Any]) -> Iterator[Finding]:
    bucket, asked = backend["bucket"], layer.arguments
    encryption = bucket.get("encryption")
    if not encryption or asked.get("encrypt") is not True or not asked.get("kms_key_id"):
        return
    theirs, named = encryption.get("kms_key_id"), str(asked["kms_key_id"])
    if _are_one(named, theirs, bucket.get("keys") or {}) is not False:
        return
    if not theirs:
        detail = f"Its key is {named}; the bucket's default is {encryption.get('algorithm') or 'no KMS key'}."
        note = "leave kms_key_id out, or set terraform_backend_bucket_kms_key_id to it"
        yield finding_of("code.kms_key_differs", layer.path, detail, edit_layer(layer, note), "low")
        return
    is_denied = bucket.get("requires_key") is True
    because = " The bucket policy denies uploads with it." if is_denied else ""
    detail = f"Its key is {named}; the bucket's is {theirs}.{because}"
    note = f'kms_key_id = "{in_note(theirs)}"'
    severity = "high" if is_denied else None
    yield finding_of("code.kms_key_differs", layer.path, detail, edit_layer(layer, note), severity)


def _are_one(named: str, key: str | None, keys: Mapping[str, str]) -> bool | None:
    """Whether a name in the code stands for the bucket's key; None if nobody knows what it stands for."""
    if not key:
        return False
    arn = keys.get(named, named)
    is_alias = arn.startswith("alias/") or ":alias/" in arn
    if is_alias or ":key/" not in key:
        return None
    return arn == key or key.endswith(f":key/{arn}")
