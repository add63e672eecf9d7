# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tools that make backends are recognised by what they leave behind, and by nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.makers import MAKERS, recognised
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import TABLE

#: Tags as public modules, tools and their users write them, and the maker that they show.
TAGS = {
    ("ManagedBy", "Terraform"): "Terraform",
    ("managed_by", "terraform"): "Terraform",
    ("managed-by", "OpenTofu 1.9"): "Terraform",
    ("Managed By", "terraform-aws-modules"): "Terraform",
    ("franco:managed_by", "terraform"): "Terraform",
    ("Terraform", "true"): "Terraform",
    ("Terraform", "True"): "Terraform",
    ("ManagedByTerraform", "yes"): "Terraform",
    ("Automation", "terraform"): "Terraform",
    ("CreatedBy", "Terraform"): "Terraform",
    ("created_by", "terraform-aft-account-customizations"): "AWS Control Tower Account Factory for Terraform",
    ("Provisioner", "terraform"): "Terraform",
    ("iac", "tofu"): "Terraform",
    ("terraform_workspace", "prod"): "Terraform",
    ("yor_trace", "0c2c"): "Terraform",
    ("managed_by", "AFT"): "AWS Control Tower Account Factory for Terraform",
    ("ManagedBy", "Atmos"): "Atmos",
    ("atmos_stack", "plat-ue2-prod"): "Atmos",
    ("ManagedBy", "terragrunt"): "Terragrunt",
    ("ManagedBy", "Spacelift"): "Spacelift",
    ("ManagedBy", "Pulumi"): "Pulumi",
    ("pulumi:project", "network"): "Pulumi",
    ("aws:cloudformation:stack-name", "state"): "AWS CloudFormation",
    ("aws:cloudformation:stack-name", "CDKToolkit"): "AWS CDK",
    ("aws:cloudformation:stack-name", "StackSet-AWSControlTowerLoggingResources-1"): "AWS Control Tower",
    ("aws:cloudformation:logical-id", "StateBucket"): "AWS CloudFormation",
    ("aws:servicecatalog:provisioningPrincipalArn", "arn:aws:sts::1:x"): "AWS Service Catalog",
    ("aws-cdk:auto-delete-objects", "true"): "AWS CDK",
    ("crossplane-kind", "bucket.s3.aws.upbound.io"): "Crossplane",
    ("services.k8s.aws/namespace", "infra"): "AWS Controllers for Kubernetes",
    ("tfscaffold:project", "x"): "tfscaffold",
    # These show nobody.
    ("ManagedBy", "Ansible"): None,
    ("managed-by", "ansible (terraform backends)"): None,
    ("managed-by", "cornerstone.tfstate"): None,
    ("created-by", "alice"): None,
    ("Terraform", "false"): None,
    ("Terraform", "state"): None,
    ("Purpose", "terraform"): None,
    ("Name", "terraform-state"): None,
    ("aws:createdBy", "terraform"): None,
    ("terraform-state", "true"): None,
    ("", ""): None,
}
SIDS = {
    "EnforcedTLS": "Terragrunt",
    "EnforceTlsRequestsOnly": "the Terraform module cloudposse/tfstate-backend",
    "denyOutdatedTLS": "the Terraform module terraform-aws-modules/s3-bucket",
    "DontAllowNonSecureConnection": "tfscaffold",
    "AllowSSLRequestsOnly": None,
    "RootAccess": None,
}
NAMES = {
    ("bucket", "aft-backend-111122223333-primary-region"): "AWS Control Tower Account Factory for Terraform",
    ("table", "aft-backend-111122223333"): "AWS Control Tower Account Factory for Terraform",
    ("bucket", "cdk-hnb659fds-assets-111122223333-eu-west-1"): "AWS CDK",
    ("bucket", "tf-remote-state20240102030405678900000001"): "the Terraform module nozaq/remote-state-s3-backend",
    ("bucket", "aws-controltower-logs-111122223333-eu-west-1"): "AWS Control Tower",
    ("bucket", "tf-remote-state"): None,
    ("bucket", "terraform-state"): None,
    ("table", "terraform-locks"): None,
}


def name_of(found: Any) -> str | None:
    return found.maker.name if found else None


@pytest.mark.parametrize(("tag", "expected"), TAGS.items(), ids=map("=".join, TAGS))
def test_a_tag_shows_the_tool(tag: tuple[str, str], expected: str | None) -> None:
    for kind in ("bucket", "table"):
        assert name_of(recognised(kind, "x", {"tags": dict([tag, ("team", "a")])})) == expected


@pytest.mark.parametrize(("sid", "expected"), SIDS.items())
def test_a_statement_shows_the_tool(sid: str, expected: str | None) -> None:
    assert name_of(recognised("bucket", "x", {"policy": {"id": None, "statements": [{"Sid": sid}, {}]}})) == expected


@pytest.mark.parametrize(("named", "expected"), NAMES.items())
def test_a_name_shows_the_tool(named: tuple[str, str], expected: str | None) -> None:
    assert name_of(recognised(*named, {})) == expected


def test_what_could_not_be_read_shows_nobody() -> None:
    assert recognised("bucket", "x", {"tags": None, "policy": None}) is None


def test_a_tag_that_the_operator_asks_for_is_the_operators_claim_unless_it_is_of_aws() -> None:
    assert recognised("bucket", "x", {"tags": {"ManagedBy": "Terraform"}}, {"tags": {"ManagedBy": "Terraform"}}) is None
    stack = {"aws:cloudformation:stack-name": "x"}
    assert recognised("bucket", "x", {"tags": stack}, {"tags": stack})


def test_only_facets_that_change_are_disputed_and_offered() -> None:
    found = recognised("table", "aft-backend-111122223333", {})
    assert found
    assert found.disputed(["deletion_protection", "billing"]) == ["deletion_protection"]
    assert "unmanaged: [deletion_protection]" in found.message(["deletion_protection"])
    assert "unmanaged" not in found.message(["billing"])


def test_the_table_names_facets_that_there_are() -> None:
    for maker in MAKERS:
        assert {*maker.of_bucket} <= {facet.name for facet in BUCKET.facets}
        assert {*maker.of_table} <= {facet.name for facet in TABLE.facets}
