# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Findings about access logs that grow for ever, or are delivered nowhere. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from .._bucket import logging
from .._core.commands import edit, in_note
from .expectations import Expectations, Facts
from .findings import Finding, finding_of


def access_logs(facts: Facts, wanted: Expectations) -> Iterator[Finding]:
    bucket = facts.get("bucket") or {}
    target = (bucket.get(logging.NAME) or {}).get("TargetBucket")
    if not target or logging.NAME in (wanted.bucket.get("unmanaged") or ()):
        return
    name, into = str(bucket["name"]), "set terraform_backend_bucket_logging_target_bucket to"
    if target == name:
        detail = "Each delivery of a log is logged itself, among the states."
        fix = edit("group_vars/all.yml", f"{into} another bucket, permit that change, and run bootstrap")
        yield finding_of("bucket.logging_itself", name, detail, fix)
    elif bucket.get("logging_target_exists") is False:
        detail = f"There is no bucket {target}."
        fix = edit("group_vars/all.yml", f"{into} a bucket that exists, or make {in_note(target)} again")
        yield finding_of("bucket.logging_target", name, detail, fix)
