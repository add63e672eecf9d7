# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The hand-over of an inventory: beside the bootstrap, from the same variables, in-process and as a subprocess."""

from __future__ import annotations

from tests.playbooks.project import Project
from tests.support.relay import Relay

ADOPTED = {"README.md", "bucket.tf", "imports.tf", "outputs.tf", "provider.tf", "terraform.tf"}


def files(project: Project, host: str) -> set[str]:
    return {path.name for path in (project.home / "terraform-backends" / "handover" / host).iterdir()}


def test_an_inventory_is_handed_over_by_what_bootstraps_it(project: Project, relay: Relay, unique: str) -> None:
    project.inventory(
        {
            "eu-1": {
                "terraform_backend_bucket_name": f"one-{unique}",
                "terraform_backend_table_name": f"one-{unique}",
                "terraform_backend_bucket_unmanaged": ["policy"],
                "terraform_backend_bucket_allow": ["weaken_policy"],
            },
            "eu-2": {
                "terraform_backend_bucket_name": f"two-{unique}",
                "terraform_backend_lock_mode": "lockfile",
                "terraform_backend_handover_mode": "two_phase",
                "terraform_backend_handover_production_bucket": f"production-two-{unique}",
                # As a name for a whole fleet would: this backend has no table.
                "terraform_backend_handover_production_table": f"production-{unique}",
            },
            "eu-3": {
                "terraform_backend_bucket_name": f"three-{unique}",
                "terraform_backend_table_name": f"three-{unique}",
                "terraform_backend_handover_mode": "two_phase",
                "terraform_backend_handover_production_bucket": f"production-{unique}",
                "terraform_backend_handover_production_table": f"production-{unique}",
            },
        },
        terraform_backend_client="opentofu",
    )
    assert project.play("cornerstone.tfstate.bootstrap").code == 0
    start = len(relay.writes)
    first = project.play("cornerstone.tfstate.handover")
    assert (first.code, {host: count["changed"] for host, count in first.recap.items()}) == (
        0,
        {"eu-1": 1, "eu-2": 1, "eu-3": 1},
    ), first.output
    assert relay.writes[start:] == []
    assert files(project, "eu-1") == ADOPTED | {"table.tf"}
    assert files(project, "eu-2") == ADOPTED - {"imports.tf"}
    assert files(project, "eu-3") == ADOPTED - {"imports.tf"} | {"table.tf"}
    described = (project.home / "terraform-backends" / "handover" / "eu-1" / "bucket.tf").read_text()
    assert f'bucket = "one-{unique}"' in described
    assert "aws_s3_bucket_policy" not in described
    assert "tofu plan" in (project.home / "terraform-backends" / "handover" / "eu-1" / "README.md").read_text()
    through_the_module = project.play("cornerstone.tfstate.handover", "-e", "cornerstone_tfstate_in_process=false")
    assert {host: count["changed"] for host, count in through_the_module.recap.items()} == {
        **{"eu-1": 0, "eu-2": 0, "eu-3": 0}
    }, through_the_module.output
