# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which KMS keys can encrypt a backend, and advice on those that cannot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._core.model import Failure, Invalid
from .errors import DENIED

#: Source: https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
ENABLED = "Enabled"
CANCEL = "cancel its deletion, which leaves it disabled, and enable it"
REMEDIES = {
    "Disabled": "enable it",
    "PendingDeletion": CANCEL,
    "PendingReplicaDeletion": CANCEL,
    "PendingImport": "import its key material",
    "Unavailable": "connect its key store",
}
#: Usage and specification of a key that can encrypt for S3 and DynamoDB.
SYMMETRIC = ("ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT")
WAIT = f"wait until it is {ENABLED}"


def usable_key(name: str, key: Mapping[str, Any], region: str) -> str:
    """The ARN of a key that DescribeKey returned. Raises Invalid if it cannot encrypt in this region.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
    """
    problems = []
    state = key.get("KeyState", ENABLED)
    if state != ENABLED:
        problems.append(f"it is {state}: {REMEDIES.get(state, WAIT)}")
    kind = key.get("KeyUsage", SYMMETRIC[0]), key.get("KeySpec", SYMMETRIC[1])
    if kind != SYMMETRIC:
        problems.append("it is no symmetric encryption key")
    there = (*key["Arn"].split(":"), "", "", "")[3]
    if there != region:
        problems.append(f"it lies in {there or key['Arn']}, not in {region}")
    if problems:
        raise Invalid(f"kms_key_id {name} cannot be used: {'; '.join(problems)}")
    return str(key["Arn"])


def check_arn(name: str, region: str, partition: str) -> None:
    """Raises Invalid if the ARN is in another region or partition: S3 accepts it, but then every upload fails."""
    here = f"arn:{partition}:kms:{region}:"
    if name.startswith("arn:") and not name.startswith(here):
        raise Invalid(f"kms_key_id {name} cannot be used: choose a key in {region}, whose ARN begins with {here}")


def unseen_key(name: str, failure: Failure) -> list[str]:
    """Warnings about a key that could not be described. Raises Invalid if it cannot be used without that."""
    is_managed = name.startswith("alias/aws/")
    if is_managed and failure.code == "NotFoundException":  # it is created on first use
        return []
    if failure.code in DENIED and ":key/" in name:
        return [f"the KMS key {name} could not be checked: {failure}"]
    if failure.code in DENIED and is_managed:
        raise Invalid(f"{failure}, or leave it alone with unmanaged: [encryption]")
    if failure.code in DENIED:
        raise Invalid(f"{failure}, or give the full ARN of the key as kms_key_id")
    raise Invalid(f"kms_key_id {name} cannot be used: {failure}; if the key was made a moment ago, run again")
