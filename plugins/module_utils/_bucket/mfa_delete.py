# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether MFA delete is on: read for an audit; never written, as only the account's root user can change it."""

from __future__ import annotations

from .._core.model import Call, FindingKind, IamActions, Params, Response, Target, Value

NAME = "mfa_delete"
OPTIONS: dict[str, dict[str, object]] = {}
OPT_IN = True
ABSENT: Value = False
NOT_FOUND: set[str] = set()
IAM_ACTIONS = IamActions(read=("s3:GetBucketVersioning",))
FINDING = FindingKind(
    "info",
    "MFA delete is off",
    "Versions can be deleted without a second factor. Only the account's root user can switch it on, and AWS takes "
    "it only where there is no lifecycle.",
    ("S3.20", "CIS 2.1.2"),
)


def read(target: Target) -> Call:
    return Call("s3", "get_bucket_versioning", target.bucket)


def normalise(response: Response, target: Target) -> Value:
    return response.get("MFADelete") == "Enabled"


def desired(params: Params, observed: Value, target: Target) -> Value:
    return observed


def calls(target: Target, before: Value, after: Value) -> tuple[Call, ...]:
    return ()
