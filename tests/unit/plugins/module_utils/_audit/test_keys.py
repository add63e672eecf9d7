# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""KMS keys that cannot be used, or are another account's, and tables that are out of reach without theirs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.expectations import Expectations
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.findings import Finding
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.keys import (
    ANOTHER_KEY,
    ASK_OWNER,
    REPLACE,
    RESTORE_TABLE,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.settings import audit
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.unseen import severity_of
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import LOST, TABLE

from tests.support.commands import command_of
from tests.unit.plugins.module_utils.audited import facts, resource

US = Expectations("us-east-1")
KEY = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
FOREIGN = KEY.replace("111122223333", "444455556666")
KMS = {"algorithm": "aws:kms", "kms_key_id": KEY, "bucket_key_enabled": True, "blocked_encryption_types": None}
PROOF = "aws sts get-caller-identity --region us-east-1 --query Account --output text | grep -x 111122223333 && "
ENABLE = f"aws kms enable-key --region us-east-1 --key-id {KEY}"
CANCEL = f"aws kms cancel-key-deletion --region us-east-1 --key-id {KEY}"


def key(**more: Any) -> dict[str, Any]:
    known = {"manager": "CUSTOMER", "state": "Enabled", "arn": KEY, "deletion_date": None, "is_symmetric": True}
    return {**known, "rotations": 0, **more}


def used(name: str = KEY, of_table: bool = False, **more: Any) -> dict[str, Any]:
    """A backend whose bucket, or table, has this key."""
    kind, facet = ("table", {"kms_key_id": name}) if of_table else ("bucket", {**KMS, "kms_key_id": name})
    about = resource(TABLE if of_table else BUCKET, f"its-{kind}", "us-east-1", encryption=facet)
    return facts(**{kind: about}, kms_keys={name: key(**{"arn": name, **more})})


CASES: dict[str, tuple[dict[str, Any], str, str]] = {
    "disabled": ({"state": "Disabled"}, "key.disabled", f"{PROOF}{ENABLE}  # ask before"),
    "about to be deleted": (
        {"state": "PendingDeletion", "deletion_date": "2027-01-02"},
        "key.pending_deletion",
        f"{PROOF}{CANCEL} && {ENABLE}",
    ),
    "gone": ({"state": "Missing", "arn": None, "manager": None}, "key.missing", ANOTHER_KEY),
    "without its material": ({"state": "PendingImport"}, "key.unusable", REPLACE),
    "asymmetric": ({"is_symmetric": False}, "key.unusable", REPLACE),
    "in another region": ({"arn": KEY.replace("us-east-1", "us-west-2")}, "key.unusable", REPLACE),
    "disabled by its owner": ({"state": "Disabled", "arn": FOREIGN}, "key.disabled", ASK_OWNER),
}


@pytest.mark.parametrize("of_table", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_a_key_that_cannot_be_used_is_critical(case: str, of_table: bool) -> None:
    more, id, fix = CASES[case]
    (found,) = audit(used(of_table=of_table, **more), US)
    assert (found.id, found.severity, found.resource) == (id, "critical", KEY)
    assert found.fix.startswith(fix) and command_of(found.fix).problems == []
    assert f"the {'table its-table' if of_table else 'bucket its-bucket'}." in found.detail
    assert ("2027-01-02" in found.detail) is (case == "about to be deleted")


def test_a_key_of_bucket_and_table_is_one_finding() -> None:
    about = used(state="Disabled")
    about["table"] = resource(TABLE, "its-table", "us-east-1", encryption={"kms_key_id": KEY})
    (found,) = audit(about, US)
    assert found.detail == "It is Disabled. It is the key of the bucket its-bucket and the table its-table."


@pytest.mark.parametrize("more", [{}, {"state": None, "arn": None, "manager": None, "is_symmetric": None}])
def test_a_key_that_can_be_used_or_is_not_known_is_no_finding(more: dict[str, Any]) -> None:
    assert audit(used(**more), US) == []


def ids(about: dict[str, Any], wanted: Expectations) -> list[str]:
    return [each.id for each in audit(about, wanted)]


def test_a_key_of_another_account_is_found_unless_the_inventory_names_it() -> None:
    about = used(FOREIGN)
    (found,) = audit(about, US)
    assert (found.id, found.severity) == ("key.foreign", "medium")
    assert found.detail == "It is of the account 444455556666. It is the key of the bucket its-bucket."
    for options in ({"kms_key_id": FOREIGN}, {"unmanaged": ["encryption"]}):
        assert ids(about, replace(US, bucket=options)) == []
    about["bucket"]["keys"] = {"alias/ours": FOREIGN}
    assert ids(about, replace(US, bucket={"kms_key_id": "alias/ours"})) == []
    about["account_id"] = None
    assert ids(about, US) == [], "whose account it is, is not known"
    assert ids(used(FOREIGN, state=None, arn=None), US) == ["key.foreign"], "its ARN tells, though it is denied"


def test_what_may_not_be_described_is_as_bad_as_a_key_that_is_gone() -> None:
    assert severity_of("kms_key", "denied", facts()) == "critical"


@pytest.mark.parametrize("status", [each for each in LOST if each != "REPLICATION_NOT_AUTHORIZED"])
@pytest.mark.parametrize("state", ["Disabled", "Enabled", None])
def test_a_table_without_its_key_is_out_of_reach(status: str, state: str | None) -> None:
    about = used(of_table=True, state=state)
    about["table"] |= {"status": status, "archival_backup_arn": "arn:aws:dynamodb:x"}
    found: list[Finding] = [each for each in audit(about, US) if each.id == "table.inaccessible"]
    (one,) = found
    assert one.severity == "critical" and status in one.detail and "arn:aws:dynamodb:x" in one.detail
    expected = {"Disabled": f"{PROOF}{ENABLE}"}.get(str(state), f"{PROOF}aws dynamodb describe-table")
    assert one.fix.startswith(RESTORE_TABLE if status.startswith("ARCHIV") else expected)


@pytest.mark.parametrize("status", ["ACTIVE", "UPDATING", None, "SOMETHING_NEW"])
def test_another_status_of_a_table_is_no_finding(status: str | None) -> None:
    about = facts()
    about["table"]["status"] = status
    assert audit(about, US) == []
