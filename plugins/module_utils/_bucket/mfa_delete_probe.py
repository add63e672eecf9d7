# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""MFA delete: only the account's root user can change it, and it denies some calls to everybody else."""

from __future__ import annotations

from .._core.model import Answer, Call, Failure, Probe, Refuse, Target


def mfa_delete(target: Target, advice: str) -> Probe:
    """Refuses a change that AWS would deny while MFA delete is on."""

    def verdict(answer: Answer) -> Refuse | None:
        if isinstance(answer, Failure) or answer.get("MFADelete") != "Enabled":
            return None  # if we may not read it, AWS itself denies the change
        return Refuse(f"MFA delete is on, so AWS denies this to everybody but the account's root user: {advice}")

    return Probe(Call("s3", "get_bucket_versioning", target.bucket), verdict)
