# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Uploads to a bucket whose policy denies those that do not name an encryption.

S3 encrypts an upload without headers by the default of the bucket, but a policy that demands the headers looks at the
request. So a denied upload is sent once more with the bucket's own default and key, and later ones have them at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .._bucket import encryption, policy
from .._core.model import Answer, Call, Failure, Target
from .._policy.document import label, statements_of
from .errors import DENIED

ALGORITHM, KEY = "ServerSideEncryption", "SSEKMSKeyId"
#: What policies call these headers begins with it.
HEADER = "s3:x-amz-server-side-encryption"


def may_lack_headers(call: Call, answer: Answer) -> bool:
    """Whether an upload was denied that names no encryption."""
    is_bare = call.operation == "put_object" and ALGORITHM not in call.params
    return is_bare and is_denied(answer)


def is_denied(answer: Answer) -> bool:
    return isinstance(answer, Failure) and answer.code in DENIED


def bucket_of(call: Call) -> Target:
    return Target(str(call.params["Bucket"]), "")


def read_default(call: Call) -> Call:
    return encryption.read(bucket_of(call))


def read_policy(call: Call) -> Call:
    return policy.read(bucket_of(call))


def headers_of(default: Answer) -> dict[str, str]:
    """The default encryption of the bucket as parameters of an upload; none if it is not known."""
    if isinstance(default, Failure):
        return {}
    rules = default.get("ServerSideEncryptionConfiguration", {}).get("Rules") or [{}]
    named = rules[0].get("ApplyServerSideEncryptionByDefault", {})
    algorithm, key = named.get("SSEAlgorithm"), named.get("KMSMasterKeyID")
    return {**({ALGORITHM: algorithm} if algorithm else {}), **({KEY: key} if algorithm and key else {})}


def demanding(answer: Answer) -> list[str]:
    """The statements of the policy that deny uploads by what they say of their encryption."""
    if isinstance(answer, Failure):
        return []
    statements = statements_of(json.loads(answer["Policy"]), "aws")
    return [label(each) for each in statements if each.get("Effect") == "Deny" and HEADER in {*_tested(each)}]


def _tested(statement: dict[str, Any]) -> Iterator[str]:
    for tests in (statement.get("Condition") or {}).values():
        for key in tests:
            yield HEADER if str(key).lower().startswith(HEADER) else str(key)


def advice(statements: list[str], headers: dict[str, str]) -> str:
    sent = ", ".join(headers.values()) if headers else "none"
    return (
        f"the policy of the bucket denies uploads by their encryption ({', '.join(statements)}), and the default of "
        f"the bucket does not meet it ({sent}): set encryption and kms_key_id to what the policy demands"
    )
