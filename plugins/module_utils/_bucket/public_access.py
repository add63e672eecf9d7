# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The bucket's public access block: all four settings, on unless told otherwise."""

from __future__ import annotations

from .._core.model import Call, Params, Response, Target, Value

NAME = "public_access"
FLAGS = {
    "block_public_acls": "BlockPublicAcls",
    "ignore_public_acls": "IgnorePublicAcls",
    "block_public_policy": "BlockPublicPolicy",
    "restrict_public_buckets": "RestrictPublicBuckets",
}
OPTIONS = {"public_access": {"type": "dict", "options": {flag: {"type": "bool"} for flag in FLAGS}}}
ABSENT = dict.fromkeys(FLAGS, False)
NEW = dict.fromkeys(FLAGS, True)
NOT_FOUND = {"NoSuchPublicAccessBlockConfiguration"}


def read(target: Target) -> Call:
    return Call("s3", "get_public_access_block", target.bucket)


def normalise(response: Response, target: Target) -> Value:
    block = response["PublicAccessBlockConfiguration"]
    return {flag: bool(block.get(name)) for flag, name in FLAGS.items()}


def desired(params: Params, observed: Value, target: Target) -> Value:
    asked = params.get("public_access") or {}
    return {flag: asked.get(flag) is not False for flag in FLAGS}


def calls(target: Target, before: Value, after: Value) -> tuple[Call, ...]:
    block = {name: after[flag] for flag, name in FLAGS.items()}  # a flag left out would be set to false
    return (Call("s3", "put_public_access_block", {**target.bucket, "PublicAccessBlockConfiguration": block}),)
