# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Commands of the AWS CLI for settings that no run writes. Pure."""

from __future__ import annotations

from .._core.commands import Word
from .._core.model import Values
from .expectations import Expectations, Facts, words_in_note


def s3_command(
    operation: str, bucket: Values, facts: Facts, wanted: Expectations, *more: Word, note: str = "", into: str = ""
) -> str:
    return wanted.aws(facts, "s3api", operation, "--bucket", bucket["name"], *more, note=note, into=into)


def by_file(what: str, bucket: Values, facts: Facts, wanted: Expectations, part: str, *more: str) -> str:
    """For a document with text that is not safe in a command: edit it in a file."""
    where = words_in_note(("--bucket", bucket["name"], *wanted.aws_options(facts)))
    option = f"--{what} file://{what}.json"
    note = f"take out the {part} that the finding names, then aws s3api put-bucket-{what} {where} {option}"
    return s3_command(f"get-bucket-{what}", bucket, facts, wanted, *more, note=note, into=f"{what}.json")
