# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""docs/audit-coverage.md: each check of a scanner has a finding, or a sentence that says why not."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.catalogue import KINDS

from scripts.audit_coverage import PAGE, SCANNERS, page

CHECKS = [(name, each) for name, (_source, checks) in SCANNERS.items() for each in checks]


def test_the_page_is_what_the_script_says() -> None:
    assert PAGE.read_text() == page(), "run scripts/audit_coverage.py"


@pytest.mark.parametrize("scanner", SCANNERS)
def test_each_check_has_a_finding_or_a_reason(scanner: str) -> None:
    for name, each in CHECKS:
        if name == scanner:
            assert each.kinds() or re.fullmatch(r"[A-Z].*\.", each.why), each.id
            unknown = [kind for kind in each.same if "." in kind and kind.islower() and kind not in KINDS]
            assert unknown == [], each.id


def test_each_control_of_the_catalogue_is_a_check_of_a_scanner() -> None:
    ids = {each.id for _name, each in CHECKS}
    named = {control for kind in KINDS.values() for control in kind.controls if not control.startswith("CIS ")}
    assert named <= ids
    assert [id for id, count in Counter(each.id for _name, each in CHECKS).items() if count > 1] == []
