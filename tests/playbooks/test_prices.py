# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The playbook that reads prices: for the regions of the inventory, once, and without credentials."""

from __future__ import annotations

from pathlib import Path

from tests.playbooks.project import Project
from tests.unit.plugins.modules.test_tf_backend_prices import PriceList, listed

__all__ = ["listed"]


def test_prices_are_read_once_for_the_regions_of_the_hosts(listed: PriceList, tmp_path: Path) -> None:
    project = Project(tmp_path, "http://127.0.0.1:9")
    project.inventory({"one": {}, "two": {}}, terraform_backend_region="eu-central-1")
    url = ("-e", f"terraform_backend_prices_url={listed.url}")
    first = project.play("cornerstone.tfstate.prices", *url)
    assert (first.code, sum(count["changed"] for count in first.recap.values())) == (0, 1), first.output
    assert len(listed.paths) == 3
    written = (project.home / "terraform-backends" / "prices.csv").read_text()
    assert "eu-central-1,write_units,0.7625,2026-09-11," in written
    again = project.play("cornerstone.tfstate.prices", *url)
    assert sum(count["changed"] for count in again.recap.values()) == 0, again.output
