# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The identifiers that a task gives, against the forms that AWS documents, before anything is asked of AWS.

AWS stores most of them unseen: a policy that admits only an organization that cannot exist locks everybody out.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .._core.model import Params
from .._core.no_log import is_censored
from .._core.regions import meant_region
from .arguments import is_blank


@dataclass(frozen=True)
class Form:
    """What an identifier looks like: in AWS, and in another store that speaks its protocols."""

    pattern: str
    says: str
    elsewhere: str | None = None

    def refusal(self, name: str, value: str) -> str:
        return f"{name} is {value!r}; correct it: {self.says}"

    def fits(self, value: str, is_aws: bool) -> bool:
        pattern = self.pattern if is_aws or self.elsewhere is None else self.elsewhere
        return re.fullmatch(pattern, value, re.ASCII) is not None


ORGANIZATION_PATTERN = "o-[a-z0-9]{10,32}"
#: Source: https://docs.aws.amazon.com/organizations/latest/APIReference/API_Organization.html
ORGANIZATION = Form(ORGANIZATION_PATTERN, "an organization id is o- and 10 to 32 lower-case letters and digits")
#: Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
ORGANIZATION_PATH = Form(
    rf"{ORGANIZATION_PATTERN}/(r-[0-9a-z]{{4,32}}/(ou-[0-9a-z]{{4,32}}-[0-9a-z]{{8,32}}/)*)?",
    "an organization path is such as o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/",
)
#: AWS's ids have 8 or 17 digits.
VPC_ENDPOINT = Form(
    "vpce-([0-9a-f]{8}|[0-9a-f]{17})", "a VPC endpoint id is vpce- and 8 or 17 hexadecimal digits in lower case"
)
VPC = Form("vpc-([0-9a-f]{8}|[0-9a-f]{17})", "a VPC id is vpc- and 8 or 17 hexadecimal digits in lower case")
ACCOUNT = Form("[0-9]{12}", "an AWS account has 12 digits (quote it in YAML)")
REGION = Form(
    "[a-z]{2,5}(-[a-z]+){1,2}-[0-9]{1,2}",
    "a region is such as eu-central-1; a store that is not AWS needs endpoint_url",
    "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?",
)
#: Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_Role.html
ROLE = Form(
    "arn:aws[a-z-]*:iam::[0-9]{12}:role/[a-zA-Z0-9_+=,.@/-]+",
    "the ARN of a role is such as arn:aws:iam::111122223333:role/name",
    r"arn:\S+",
)
#: Buckets that are older than today's rules have capitals, underscores and up to 255 characters.
#: Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
BUCKET = Form(
    "[a-zA-Z0-9][a-zA-Z0-9._-]{2,254}",
    "a bucket name has 3 to 63 lower-case letters, digits, dots and hyphens; an ARN is not one",
    "[a-zA-Z0-9._-]{1,255}",
)
TABLE = Form(
    "[a-zA-Z0-9_.-]{3,255}",
    "a table name has 3 to 255 letters, digits, dots, hyphens and underscores; an ARN is not one",
    "[a-zA-Z0-9_.-]{1,255}",
)
_KEY_ID = "([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|mrk-[0-9a-fA-F]{32})"
_ALIAS = "alias/[a-zA-Z0-9/_-]{1,250}"
#: Source: https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id
KMS_KEY = Form(
    f"{_KEY_ID}|{_ALIAS}|arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{{12}}:(key/{_KEY_ID}|{_ALIAS})",
    "a KMS key is a key id, alias/name, or the ARN of either",
    r"\S{1,2048}",
)

FORMS: Mapping[str, Form] = {
    **dict.fromkeys(("account_id", "source_account_id", "backup_account_id"), ACCOUNT),
    **dict.fromkeys(("region", "source_region", "backup_region"), REGION),
    **dict.fromkeys(("bucket", "source_bucket", "production_bucket", "logging_target_bucket"), BUCKET),
    **dict.fromkeys(("table", "source_table", "production_table"), TABLE),
    **dict.fromkeys(("assume_role_arn", "source_assume_role_arn", "client_assume_role_arn"), ROLE),
    "kms_key_id": KMS_KEY,
    "allowed_organization_ids": ORGANIZATION,
    "allowed_vpc_endpoint_ids": VPC_ENDPOINT,
}
STATEMENTS = "policy_statements"

#: Condition keys, in lower case as they are compared. Any other may be blank, as s3:prefix of the whole bucket is.
CONDITIONS: Mapping[str, Form | None] = {
    **dict.fromkeys(("aws:principalorgid", "aws:resourceorgid", "aws:sourceorgid"), ORGANIZATION),
    **dict.fromkeys(("aws:principalorgpaths", "aws:resourceorgpaths", "aws:sourceorgpaths"), ORGANIZATION_PATH),
    **dict.fromkeys(("aws:principalaccount", "aws:sourceaccount", "aws:resourceaccount"), ACCOUNT),
    **dict.fromkeys(("s3:resourceaccount", "s3:dataaccesspointaccount", "aws:vpceaccount"), ACCOUNT),
    "aws:sourcevpce": VPC_ENDPOINT,
    "aws:sourcevpc": VPC,
    **dict.fromkeys(("aws:sourceip", "aws:vpcsourceip", "aws:principalarn", "aws:sourcearn"), None),
}
ADDRESSES = ("aws:sourceip", "aws:vpcsourceip")
EXACT = ("stringequals", "stringnotequals", "stringequalsignorecase", "stringnotequalsignorecase")
#: What operators begin with that compare text.
TEXTUAL = ("string", "arn")
WHO_AND_WHAT = ("Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource")


def problems(params: Params, is_aws: bool, names: Mapping[str, str] | None = None) -> Iterator[str]:
    """A sentence for each identifier that cannot be one; `names` are those by which the user knows the options."""
    for option, form in FORMS.items():
        for value in _listed(params.get(option)):
            if not isinstance(value, str) or not value or is_censored(value):  # what was censored is told as such
                continue
            name = (names or {}).get(option, option)
            if not form.fits(value, is_aws):
                yield form.refusal(name, value)
            elif form is REGION and (meant := meant_region(value)):
                yield f"{name} is {value!r}; correct it: did you mean {meant}?"
    for statement in params.get(STATEMENTS) or ():
        if isinstance(statement, Mapping):
            label = f"{(names or {}).get(STATEMENTS, STATEMENTS)}, statement {statement.get('Sid')!r}"
            yield from (f"{label}: {problem}" for problem in _in_statement(statement, is_aws))


def _in_statement(statement: Mapping[str, Any], is_aws: bool) -> Iterator[str]:
    for name in WHO_AND_WHAT:
        given = statement.get(name)
        for where, values in given.items() if isinstance(given, Mapping) else [("", given)]:
            label = f"{name}.{where}" if where else name
            yield from _blank_or_number(label, values) if name in statement else ()
    if not isinstance(statement.get("Sid", ""), (str, type(None))):
        yield f"Sid must be text, and is {statement['Sid']}: put quotes around it"
    condition = statement.get("Condition")
    for operator, keys in condition.items() if isinstance(condition, Mapping) else ():
        for key, values in keys.items() if isinstance(keys, Mapping) else ():
            if str(key).lower() in CONDITIONS and _operator(operator) != "null":
                yield from _in_condition(str(key), _operator(operator), values, is_aws)
            else:
                yield from _not_as_written(str(key), _operator(operator), values)


def _in_condition(key: str, operator: str, values: Any, is_aws: bool) -> Iterator[str]:
    yield from _blank_or_number(key, values)
    form = CONDITIONS[key.lower()]
    for value in _listed(values):
        if not isinstance(value, str) or is_blank(value) or "${" in value:
            continue
        if form and operator in EXACT and not form.fits(value, is_aws):
            yield form.refusal(key, value)
        if key.lower() in ADDRESSES and operator in ("ipaddress", "notipaddress") and not _is_network(value):
            yield f"{key} is {value!r}; correct it: an address range is such as 192.0.2.0/24"


def _not_as_written(key: str, operator: str, values: Any) -> Iterator[str]:
    """What YAML reads otherwise than it was written: nothing as null, and 0123 as the number 83."""
    for value in values if isinstance(values, (list, tuple)) else [values]:
        if value is None:
            yield f"{key} has no value, which YAML reads as null: write '' for the empty text, or give it a value"
        elif operator.startswith(TEXTUAL) and isinstance(value, (int, float)) and not isinstance(value, bool):
            yield f"{key} must be text, and is {value}: put quotes around it"


def _blank_or_number(label: str, values: Any) -> Iterator[str]:
    for value in _listed(values) or [None]:
        if is_blank(value):
            yield f"{label} is blank, which no request matches: give it a value, or leave the statement out"
        elif not isinstance(value, (str, Mapping)):
            yield f"{label} must be text, and is {value}: put quotes around it"


def _operator(name: Any) -> str:
    return str(name).lower().rpartition(":")[2].removesuffix("ifexists")


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [] if value is None else [value]


def _is_network(value: str) -> bool:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        return False
    return True
