# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is read of the KMS keys of a backend, and what is not known is None."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Call, Failure
from ansible_collections.cornerstone.tfstate.plugins.module_utils._state.kms_keys import kms_keys

KEY = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
OTHER = f"{KEY}2"


class Kms:
    """Answers by operation and key; what it does not know is denied."""

    def __init__(self, **answers: dict[str, Any]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, str]] = []

    def read(self, calls: Iterable[Call]) -> list[Any]:
        return [self.answer(call) for call in calls]

    def answer(self, call: Call) -> Any:
        self.asked.append((call.operation, call.params["KeyId"]))
        denied = Failure(call, "AccessDeniedException", "no", "")
        return self.answers.get(call.operation, {}).get(call.params["KeyId"], denied)


def of(bucket: str | None, table: str | None, kms: Kms) -> dict[str, Any]:
    resources = [{"encryption": {"kms_key_id": bucket}}, {"encryption": {"kms_key_id": table}}]
    return kms_keys(kms, resources)  # type: ignore[arg-type]


def manager(name: str, who: str) -> dict[str, Any]:
    return {"KeyMetadata": {"KeyId": name, "KeyManager": who}}


def test_a_key_of_the_customer_is_asked_for_its_rotations() -> None:
    kms = Kms(describe_key={"alias/state": manager(KEY, "CUSTOMER")}, list_key_rotations={KEY: {"Rotations": [{}, {}]}})
    assert of("alias/state", None, kms) == {"alias/state": {"manager": "CUSTOMER", "rotations": 2}}
    assert kms.asked == [("describe_key", "alias/state"), ("list_key_rotations", KEY)]


def test_a_key_that_aws_manages_is_not_asked_further() -> None:
    kms = Kms(describe_key={OTHER: manager(OTHER, "AWS")})
    assert of("alias/aws/s3", OTHER, kms) == {OTHER: {"manager": "AWS", "rotations": 0}}
    assert kms.asked == [("describe_key", OTHER)]


def test_what_is_denied_is_not_known() -> None:
    assert of(KEY, KEY, Kms()) == {KEY: {"manager": None, "rotations": None}}


def test_without_keys_nothing_is_asked() -> None:
    kms = Kms()
    assert of(None, "alias/aws/dynamodb", kms) == {}
    assert kms_keys(kms, [{"exists": False}, None]) == {}  # type: ignore[arg-type]
    assert kms.asked == []
