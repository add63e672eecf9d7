# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from typing import Any

from tests.unit.plugins.module_utils.facets.given import KEY, OTHER_KEY, dynamodb
from tests.unit.plugins.module_utils.fake_aws import MANAGED_TABLE_KEY

AWS_OWNED: dict[str, Any] = {"kms_key_id": None}
OWN, OTHER = {"kms_key_id": KEY}, {"kms_key_id": OTHER_KEY}
MANAGED = {"kms_key_id": "alias/aws/dynamodb"}


def described(status: str, **more: str) -> dict[str, Any]:
    return {"Table": {"SSEDescription": {"Status": status, **more}}}


def update(**specification: Any) -> Any:
    return [dynamodb("update_table", SSESpecification=specification)]


READS = {
    "nothing said is the key that AWS owns": ({"Table": {}}, AWS_OWNED),
    "an emulator says so": (described("DISABLED"), AWS_OWNED),
    "on the way there": (described("DISABLING", KMSMasterKeyArn=KEY), AWS_OWNED),
    "a key": (described("ENABLED", KMSMasterKeyArn=KEY), OWN),
    "on the way to another": (described("UPDATING", KMSMasterKeyArn=KEY), OWN),
    "the managed key before its first use": (described("ENABLING"), MANAGED),
    "the managed key, whose ARN is known": (described("ENABLED", KMSMasterKeyArn=MANAGED_TABLE_KEY), MANAGED),
    "an emulator echoes the alias": (described("ENABLED", KMSMasterKeyArn="alias/state"), OWN),
}
DESIRES = {
    "nothing asked leaves it": ({}, OWN, OWN),
    "the key that AWS owns": ({"encryption": "aws_owned_key"}, OWN, AWS_OWNED),
    "the key that AWS manages": ({"encryption": "aws_managed_key"}, AWS_OWNED, MANAGED),
    "the key that AWS manages, and did before": ({"encryption": "aws_managed_key"}, MANAGED, MANAGED),
    "the key that AWS manages, by its ARN": ({"kms_key_id": MANAGED_TABLE_KEY}, AWS_OWNED, MANAGED),
    "a key alone is enough": ({"kms_key_id": "alias/other"}, OWN, OTHER),
    "another name of the same key changes nothing": ({"kms_key_id": "alias/state"}, OWN, OWN),
}
CALLS = {
    "a key by its ARN": (AWS_OWNED, OWN, update(Enabled=True, SSEType="KMS", KMSMasterKeyId=KEY)),
    "the managed key is not named": (OWN, MANAGED, update(Enabled=True, SSEType="KMS")),
    "back to the key that AWS owns": (OWN, AWS_OWNED, update(Enabled=False)),
}
PROBLEMS = {
    "which key?": ({"encryption": "customer_managed_key"}, "needs kms_key_id"),
    "whose key?": ({"encryption": "aws_owned_key", "kms_key_id": "x"}, "needs encryption: customer_managed_key"),
    "a key alone is fine": ({"kms_key_id": "x"}, None),
}
