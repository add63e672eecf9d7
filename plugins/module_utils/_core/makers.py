# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tools that make state buckets and lock tables: what shows that one did, and what its next run sets back. Pure.

The table is data: names, tags, Sids and facets, as the sources of each tool have them. What is not listed is not
recognised, and what nobody may read shows nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .model import EXISTENCE, Params, Values
from .printable import shortened

#: The word of `allow` that permits to change what another tool manages, too.
SHARED_MANAGEMENT = "shared_management"

#: What anything that describes a bucket or table as a whole may set back.
_ALL_OF_BUCKET = (
    *("ownership", "public_access", "encryption", "lifecycle", "versioning", "object_lock", "tags", "logging"),
    "policy",
)
_ALL_OF_TABLE = ("deletion_protection", "recovery", "billing", "encryption", "table_class", "tags")


@dataclass(frozen=True)
class Maker:
    name: str
    #: Words in the value of a tag such as ManagedBy, or a tag by themselves, such as Terraform=true.
    words: tuple[str, ...] = ()
    #: What the key of a tag begins with, in lower case.
    keys: tuple[str, ...] = ()
    #: What the name of its CloudFormation stack begins with.
    stacks: tuple[str, ...] = ()
    #: The Id of its bucket policy.
    policy_id: str = ""
    #: A Sid of its bucket policy that no other tool and no page of AWS has.
    sids: tuple[str, ...] = ()
    #: Its names, as regular expressions.
    bucket: str = ""
    table: str = ""
    #: The facets that its next run may set back.
    of_bucket: tuple[str, ...] = ()
    of_table: tuple[str, ...] = ()

    def sets_back(self, kind: str) -> tuple[str, ...]:
        return self.of_bucket if kind == "bucket" else self.of_table


#: The first one that fits counts: the more exact come first.
MAKERS: tuple[Maker, ...] = (
    Maker(
        "AWS Control Tower Account Factory for Terraform",
        words=("aft",),
        bucket=r"aft-backend-\d{12}-(primary|secondary)-region",
        table=r"aft-backend-\d{12}",
        of_bucket=("ownership", "public_access", "tags", "policy"),
        of_table=("deletion_protection", "recovery", "tags"),
    ),
    Maker("AWS Control Tower", stacks=("StackSet-AWSControlTower", "AWSControlTower"), bucket=r"aws-controltower-.+"),
    Maker(
        "AWS CDK",
        words=("cdk",),
        keys=("aws-cdk:",),
        stacks=("CDKToolkit",),
        bucket=r"cdk-[a-z0-9_-]{1,10}-assets-\d{12}-.+",
        of_bucket=("tags", "policy"),
    ),
    Maker(
        "AWS CloudFormation",
        words=("cloudformation",),
        keys=("aws:cloudformation:",),
        of_bucket=_ALL_OF_BUCKET,
        of_table=_ALL_OF_TABLE,
    ),
    Maker(
        "AWS Service Catalog",
        keys=("aws:servicecatalog:p",),
        of_bucket=_ALL_OF_BUCKET,
        of_table=_ALL_OF_TABLE,
    ),
    Maker("AWS Proton", keys=("aws:proton:",), of_bucket=_ALL_OF_BUCKET, of_table=_ALL_OF_TABLE),
    # It adds what it misses, and writes its algorithm and its logging where they differ.
    Maker(
        "Terragrunt",
        words=("terragrunt",),
        keys=("terragrunt",),
        sids=("EnforcedTLS",),
        of_bucket=("encryption", "logging"),
    ),
    # Each run writes AES256 and its two tags.
    Maker("Atmos", words=("atmos",), keys=("atmos_", "atmos:"), of_bucket=("encryption", "tags")),
    Maker(
        "the Terraform module cloudposse/tfstate-backend",
        words=("cloudposse",),
        sids=("EnforceTlsRequestsOnly",),
        of_bucket=("ownership", "tags", "policy"),
        of_table=("deletion_protection", "recovery", "tags"),
    ),
    Maker(
        "the Terraform module nozaq/remote-state-s3-backend",
        bucket=r"tf-remote-state(-replica)?\d{18,}",
        table="tf-remote-state-lock",
        of_bucket=("ownership", "lifecycle", "tags", "policy"),
        of_table=("deletion_protection", "recovery", "tags"),
    ),
    Maker(
        "the Terraform module terraform-aws-modules/s3-bucket",
        sids=("denyInsecureTransport", "denyOutdatedTLS"),
        of_bucket=_ALL_OF_BUCKET,
    ),
    Maker(
        "tfscaffold",
        words=("tfscaffold",),
        keys=("tfscaffold:",),
        sids=("DontAllowNonSecureConnection",),
        bucket=r".+-tfscaffold-\d{12}-.+",
        of_bucket=("ownership", "lifecycle", "tags", "policy"),
        of_table=("deletion_protection", "recovery", "tags"),
    ),
    Maker("Spacelift", ("spacelift",), ("spacelift:", "spacelift_"), of_bucket=_ALL_OF_BUCKET, of_table=_ALL_OF_TABLE),
    Maker("Pulumi", ("pulumi",), ("pulumi:",), of_bucket=_ALL_OF_BUCKET, of_table=_ALL_OF_TABLE),
    Maker("Crossplane", ("crossplane",), ("crossplane-",), of_bucket=_ALL_OF_BUCKET, of_table=_ALL_OF_TABLE),
    Maker(
        "AWS Controllers for Kubernetes",
        keys=("services.k8s.aws/",),
        of_bucket=_ALL_OF_BUCKET,
        of_table=_ALL_OF_TABLE,
    ),
    Maker(
        "Terraform",
        words=("terraform", "opentofu", "tofu", "cdktf", "terraspace", "terramate", "atlantis", "env0", "scalr"),
        keys=("terraform_workspace", "terraform-workspace", "terraform:", "yor_trace"),
        of_bucket=_ALL_OF_BUCKET,
        of_table=_ALL_OF_TABLE,
    ),
)
#: Keys of tags that name the tool which manages a resource, without case, namespace and punctuation.
_MANAGING = re.compile(
    r"(managed|maintained|created|deployed|provisioned|built|owned|controlled)(by|with|using|through|via)|manager|"
    r"provisioner|automation|automatedby|iac|iactool|tool|deployment(tool|method)?|creator|controller"
)
_TRUE = {"true", "yes", "on", "1", "y", "managed"}
#: Our own words: what has one of them is ours, whatever it says besides.
_OURS = {"ansible", "cornerstone"}
_STACK = "aws:cloudformation:stack-name"


@dataclass(frozen=True)
class Recognised:
    """A tool that made, or manages, a bucket or a table."""

    maker: Maker
    kind: str
    #: What shows it.
    evidence: str

    @property
    def sets_back(self) -> tuple[str, ...]:
        return self.maker.sets_back(self.kind)

    def disputed(self, changed: Collection[str]) -> list[str]:
        """Of facets that change, those that it may set back."""
        return [each for each in self.sets_back if each in changed]

    def to_result(self) -> dict[str, Any]:
        return {"name": self.maker.name, "evidence": self.evidence, "sets_back": list(self.sets_back)}

    @property
    def reason(self) -> str:
        """Who it is, and what shows it."""
        return f"{self.evidence} says that another tool manages it: {self.maker.name}"

    def offer(self, changed: Collection[str]) -> str:
        """What to leave to it of facets that change; empty if nothing."""
        disputed = self.disputed(changed)
        if not disputed:
            return ""
        return (
            f"Its next run may set back {', '.join(disputed)}: change them there, too, or leave them to it "
            f"with unmanaged: [{', '.join(disputed)}]"
        )

    def message(self, changed: Collection[str]) -> str:
        return ". ".join(filter(None, (self.reason, self.offer(changed))))


def recognised(kind: str, name: str, values: Mapping[str, Any], asked: Params | None = None) -> Recognised | None:
    """The tool that shows in tags, policy and name of a bucket or table; facets that are missing show nothing.

    `asked`: options whose tags are the operator's own claim, and no other tool's.
    """
    tags, own = values.get("tags"), (asked or {}).get("tags") or {}
    theirs = {
        str(key): str(value)
        for key, value in (tags.items() if isinstance(tags, Mapping) else ())
        if str(own.get(key)) != str(value) or str(key).startswith("aws:")
    }
    policy = values.get("policy")
    policy = policy if isinstance(policy, Mapping) else {}
    for maker in MAKERS:
        evidence = next(_evidence(maker, kind, name, theirs, policy), None)
        if evidence:
            return Recognised(maker, kind, evidence)
    return None


def _evidence(maker: Maker, kind: str, name: str, tags: Mapping[str, str], policy: Mapping[str, Any]) -> Iterator[str]:
    for key, value in sorted(tags.items()):
        if _is_tagged(maker, key, value):
            yield f"the tag {shortened(key)}={shortened(value)}"
    if maker.policy_id and policy.get("id") == maker.policy_id:
        yield f"the Id {maker.policy_id} of the policy"
    sids = {str(each.get("Sid")) for each in policy.get("statements", ())}
    for sid in maker.sids:
        if sid in sids:
            yield f"the policy statement {sid}"
    pattern = maker.bucket if kind == "bucket" else maker.table
    if pattern and re.fullmatch(pattern, name):
        yield f"the name {name}"


def _is_tagged(maker: Maker, key: str, value: str) -> bool:
    lower = key.lower()
    if key == _STACK and value.startswith(maker.stacks or ("\0",)):
        return True
    if lower.startswith(maker.keys or ("\0",)):
        return True
    if lower.startswith("aws:"):
        return False
    words = {*re.split(r"[^a-z0-9]+", value.lower())}
    plain = re.sub(r"[^a-z0-9]", "", re.split(r"[:/]", lower)[-1])
    if _MANAGING.fullmatch(plain):
        return bool(words & {*maker.words}) and not words & _OURS
    # Such as Terraform=true, and ManagedByTerraform=yes.
    named = {each for word in maker.words for each in (word, f"managedby{word}", f"{word}managed", f"is{word}")}
    return plain in named and value.lower() in _TRUE


def makers_of(resources: Iterable[tuple[str, str, Values | None]], asked: Mapping[str, Params]) -> list[Recognised]:
    """The tools that show in facts: kind, name, and facets of each resource."""
    found = (
        recognised(kind, name, values, asked.get(kind))
        for kind, name, values in resources
        if values and values.get(EXISTENCE, values.get("exists")) not in (None, False)
    )
    return [each for each in found if each]
