# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is read of the KMS keys of a backend, and what is not known is None."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Call, Failure
from ansible_collections.cornerstone.tfstate.plugins.module_utils._state.kms_keys import MISSING, keys_of, kms_keys

KEY = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
OTHER = f"{KEY}2"
UNKNOWN = dict.fromkeys(("manager", "state", "arn", "deletion_date", "is_symmetric", "rotations"))


class Kms:
    """Answers by operation and key; what it does not know is denied."""

    def __init__(self, code: str = "AccessDeniedException", **answers: dict[str, Any]) -> None:
        self.code, self.answers = code, answers
        self.asked: list[tuple[str, str]] = []

    def read(self, calls: Iterable[Call]) -> list[Any]:
        return [self.answer(call) for call in calls]

    def described_key(self, name: str) -> Any:
        return self.answer(Call("kms", "describe_key", {"KeyId": name}))

    def answer(self, call: Call) -> Any:
        self.asked.append((call.operation, call.params["KeyId"]))
        denied = Failure(call, self.code, "no", "")
        return self.answers.get(call.operation, {}).get(call.params["KeyId"], denied)


def of(bucket: str | None, table: str | None, kms: Kms, counts: bool = True) -> tuple[dict[str, Any], list[str]]:
    resources = [{"encryption": {"kms_key_id": bucket}}, {"encryption": {"kms_key_id": table}}]
    found, failures = kms_keys(kms, keys_of(resources), counts)  # type: ignore[arg-type]
    return found, [each.code for each in failures]


def about(name: str, who: str, **more: Any) -> dict[str, Any]:
    return {"KeyMetadata": {"KeyId": name, "Arn": KEY, "KeyManager": who, **more}}


ENABLED = {"state": "Enabled", "arn": KEY, "deletion_date": None, "is_symmetric": True}


def test_a_key_of_the_customer_is_asked_for_its_rotations() -> None:
    kms = Kms(describe_key={"alias/state": about(KEY, "CUSTOMER")}, list_key_rotations={KEY: {"Rotations": [{}, {}]}})
    assert of("alias/state", None, kms) == ({"alias/state": {"manager": "CUSTOMER", "rotations": 2, **ENABLED}}, [])
    assert kms.asked == [("describe_key", "alias/state"), ("list_key_rotations", KEY)]
    assert of("alias/state", None, kms, counts=False)[0]["alias/state"]["rotations"] is None
    assert kms.asked[2:] == [("describe_key", "alias/state")], "rotations are for the cost"


def test_a_key_that_aws_manages_is_not_asked_further() -> None:
    kms = Kms(describe_key={OTHER: about(OTHER, "AWS")})
    assert of("alias/aws/s3", OTHER, kms) == ({OTHER: {"manager": "AWS", "rotations": 0, **ENABLED}}, [])
    assert kms.asked == [("describe_key", OTHER)]


def test_what_is_denied_is_not_known_and_said_once() -> None:
    assert of(KEY, KEY, Kms()) == ({KEY: UNKNOWN}, ["AccessDeniedException"])


def test_a_key_that_is_not_there_is_known() -> None:
    kms = Kms("NotFoundException")
    assert of(KEY, None, kms) == ({KEY: {**UNKNOWN, "state": MISSING}}, [])
    assert kms.asked == [("describe_key", KEY)]


def test_the_state_of_a_key_is_that_of_kms() -> None:
    date = datetime(2027, 1, 2, tzinfo=timezone.utc)
    told = about(KEY, "CUSTOMER", KeyState="PendingDeletion", DeletionDate=date, KeySpec="RSA_2048")
    found, _failures = of(KEY, None, Kms(describe_key={KEY: told}))
    expected = {"state": "PendingDeletion", "deletion_date": "2027-01-02", "is_symmetric": False}
    assert expected.items() <= found[KEY].items()


def test_without_keys_nothing_is_asked() -> None:
    kms = Kms()
    assert of(None, "alias/aws/dynamodb", kms) == ({}, [])
    assert keys_of([{"exists": False}, None]) == []
    assert kms.asked == []
