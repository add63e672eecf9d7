# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whom a statement of a bucket policy reaches: whether it lets anybody in, whether it locks its own author out."""

from __future__ import annotations

import fnmatch
import ipaddress
import re
from collections.abc import Iterable, Iterator

from ._policy_document import Statement

#: Condition keys that say who comes, or from where: a test for fixed values of one of them keeps the public out.
NARROWING = {
    *("aws:principalarn", "aws:principalaccount", "aws:principalorgid", "aws:principalorgpaths", "aws:userid"),
    *("aws:sourcearn", "aws:sourceaccount", "aws:sourceowner", "aws:sourceip", "aws:sourcevpc", "aws:sourcevpce"),
    *("aws:sourceorgid", "aws:sourceorgpaths", "s3:dataaccesspointarn", "s3:dataaccesspointaccount"),
    "s3:x-amz-server-side-encryption-aws-kms-key-id",
}
#: Operators that hold only where the key is there, and has one of the values. ForAllValues holds without it, too.
EQUAL = {"StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike", "IpAddress"}
ANY_VALUE = "ForAnyValue:"
#: A wildcard, or a policy variable.
OPEN = re.compile(r"[*?]|\$\{")
#: What AWS takes for no network of somebody's: everything that is wider. By version of IP.
WIDEST_PREFIX = {4: 8, 6: 32}
HIGHEST_TLS_VERSION = 1.3


def is_public(statement: Statement) -> bool:
    """Whether AWS takes it for public.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
    """
    allows_anyone = _is_for_anyone(statement) or _is_for_users_of_a_web_site(statement)
    is_narrowed = any(_keeps_the_public_out(*test) for test in _tests(statement))
    return statement.get("Effect") == "Allow" and allows_anyone and not is_narrowed


def _is_for_anyone(statement: Statement) -> bool:
    return "*" in statement.get("Principal", {}).get("AWS", []) or "NotPrincipal" in statement


def _is_for_users_of_a_web_site(statement: Statement) -> bool:
    """Whose identity provider has no ARN belongs to no account."""
    return any(not who.startswith("arn:") for who in statement.get("Principal", {}).get("Federated", []))


def _tests(statement: Statement) -> Iterator[tuple[str, str, list[str]]]:
    """Operator, key and values; all tests of a statement must hold for it to speak."""
    for operator, test in statement.get("Condition", {}).items():
        yield from ((operator, key.lower(), values) for key, values in test.items())


def _keeps_the_public_out(operator: str, key: str, values: list[str]) -> bool:
    compares = operator.removeprefix(ANY_VALUE) in EQUAL and key in NARROWING
    return compares and all(_is_fixed(key, value) for value in values)


def _is_fixed(key: str, value: str) -> bool:
    if key == "aws:sourceip":
        return _is_somebodys_network(value)
    if key == "s3:dataaccesspointarn":  # whatever its name is, if its account is fixed
        value = ":".join(value.split(":")[:5])
    if key.endswith("orgpaths"):  # whatever is below, if the organisation is fixed
        value = value.partition("/")[0]
    return not OPEN.search(value)


def _is_somebodys_network(value: str) -> bool:
    try:
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        return False
    return network.prefixlen >= WIDEST_PREFIX[network.version]


#: What lets another account take a bucket's protection away. Source: AWS Security Hub, control S3.6
CONTROL = (
    *("s3:DeleteBucketPolicy", "s3:PutBucketAcl", "s3:PutBucketPolicy"),
    *("s3:PutEncryptionConfiguration", "s3:PutObjectAcl"),
)


def lends_control(statement: Statement, account: str) -> bool:
    """Whether it lets accounts other than this one change what protects the bucket."""
    named = statement.get("Principal", {}).get("AWS", [])
    others = [who for who in named if who.startswith("arn:") and who.split(":")[4] != account]
    is_control = any(_is_about(statement, "Action", action) for action in CONTROL)
    return statement.get("Effect") == "Allow" and bool(others) and is_control


def locks_out(statement: Statement, bucket_arn: str, account: str | None) -> bool:
    """Whether it could be that nobody but the root user of `account`, if that is known, can change the policy again."""
    return (
        statement.get("Effect") == "Deny"
        and (_is_for_anyone(statement) or _is_for_all_of(account, statement))
        and not any(_is_about_transport(*test) for test in _tests(statement))
        and _is_about(statement, "Action", "s3:PutBucketPolicy")
        and _is_about(statement, "Resource", bucket_arn)
    )


def _is_for_all_of(account: str | None, statement: Statement) -> bool:
    """An account stands for everybody in it."""
    root = re.compile(rf"arn:[\w-]+:iam::{account or '[0-9]{12}'}:root")
    return any(root.fullmatch(who) for who in statement.get("Principal", {}).get("AWS", []))


def _is_about_transport(operator: str, key: str, values: list[str]) -> bool:
    """Whoever is denied by such a test can come again over a better connection."""
    test = operator.removesuffix("IfExists"), key
    if test == ("Bool", "aws:securetransport"):
        return values == ["false"]
    return test == ("NumericLessThan", "s3:tlsversion") and all(
        re.fullmatch(r"\d\.\d", value) and float(value) <= HIGHEST_TLS_VERSION for value in values
    )


def _is_about(statement: Statement, element: str, name: str) -> bool:
    if element in statement:
        return _covers(statement[element], name)
    return not _covers(statement.get(f"Not{element}", []), name)


def _covers(patterns: Iterable[str], name: str) -> bool:
    return any(fnmatch.fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns)
