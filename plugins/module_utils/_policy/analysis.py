# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whom a statement of a bucket policy reaches: anybody, other accounts, its own author; and what another one covers.

If it is not known, the worse of the two is assumed.
"""

from __future__ import annotations

import fnmatch
import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .document import DELETED, PRINCIPALS, Statement

#: Condition keys that say who comes, or from where: a test for fixed values of one of them keeps the public out.
NARROWING = {
    "aws:principalarn",
    "aws:principalaccount",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:userid",
    "aws:sourcearn",
    "aws:sourceaccount",
    "aws:sourceowner",
    "aws:sourceip",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:sourceorgid",
    "aws:sourceorgpaths",
    "s3:dataaccesspointarn",
    "s3:dataaccesspointaccount",
    "s3:x-amz-server-side-encryption-aws-kms-key-id",
}
#: Operators that hold only where the key is there, and has one of the values. ForAllValues holds without it, too.
EQUAL = {"StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike", "IpAddress"}
ANY_VALUE = "ForAnyValue:"
#: A wildcard, or a policy variable.
OPEN = re.compile(r"[*?]|\$\{")
#: AWS takes wider networks for public. By version of IP.
WIDEST_PREFIX = {4: 8, 6: 32}
HIGHEST_TLS_VERSION = 1.3

#: Condition keys by what their values name.
ACCOUNT_KEYS = {"aws:principalaccount", "aws:sourceaccount", "aws:sourceowner", "s3:dataaccesspointaccount"}
ARN_KEYS = {"aws:principalarn", "aws:sourcearn", "s3:dataaccesspointarn"}
ORGANIZATION_KEYS = {"aws:principalorgid", "aws:principalorgpaths", "aws:sourceorgid", "aws:sourceorgpaths"}
#: What a service of AWS says of whom it works for.
SOURCE_KEYS = {"aws:sourceaccount", "aws:sourceowner", "aws:sourcearn", "aws:sourceorgid", "aws:sourceorgpaths"}


@dataclass(frozen=True)
class Owner:
    """Who owns a bucket, and what else is known to be theirs."""

    #: None: nobody knows, so that no account is known to be it.
    account: str | None
    bucket_arn: str = ""
    organizations: frozenset[str] = frozenset()
    vpc_endpoints: frozenset[str] = frozenset()

    def owns(self, key: str, value: str) -> bool:
        """Whether a value of a condition key stands for the owner and nobody else, as far as that can be told."""
        if key in ACCOUNT_KEYS or key == "aws:userid":  # which is the account's number for its root user
            return value == self.account
        if key in ORGANIZATION_KEYS:
            return value.partition("/")[0] in self.organizations
        if key == "aws:sourcevpce":
            return value in self.vpc_endpoints
        is_ours = self.account is not None and account_in(value) == self.account
        return key in ARN_KEYS and (value == self.bucket_arn or is_ours)


def account_in(arn: str) -> str | None:
    """The account that an ARN or a pattern for ARNs names, if it names one."""
    head = arn.split(":")[:5]
    return head[4] if len(head) == 5 and re.fullmatch(r"\d{12}", head[4]) and not OPEN.search(":".join(head)) else None


def is_public(statement: Statement) -> bool:
    """Whether AWS regards it as public.

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
    """Operator, key and values; a statement applies if all its tests hold."""
    for operator, test in statement.get("Condition", {}).items():
        yield from ((operator, key.lower(), values) for key, values in test.items())


def _is_met_without_tls(operator: str, key: str, values: list[str]) -> bool:
    """Whether a test about TLS holds for plain HTTP, where aws:SecureTransport is false and s3:TlsVersion is absent."""
    plain, is_negated = operator.removesuffix("IfExists"), "Not" in operator
    said = {value.lower() for value in values}
    if key == "aws:securetransport":
        return ("false" in said) != is_negated
    is_absent_enough = plain != operator or is_negated or (plain == "Null" and "true" in said)
    return key == "s3:tlsversion" and is_absent_enough


def _keeps_the_public_out(operator: str, key: str, values: list[str]) -> bool:
    compares = operator.removeprefix(ANY_VALUE) in EQUAL and key in NARROWING and bool(values)
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
    "s3:DeleteBucketPolicy",
    "s3:PutBucketAcl",
    "s3:PutBucketPolicy",
    "s3:PutEncryptionConfiguration",
    "s3:PutObjectAcl",
    # Of a bucket of states, old versions are a protection, too, and what copies all of them elsewhere exposes them.
    "s3:DeleteBucket",
    "s3:DeleteObjectVersion",
    "s3:PutBucketVersioning",
    "s3:PutLifecycleConfiguration",
    "s3:PutBucketObjectLockConfiguration",
    "s3:BypassGovernanceRetention",
    "s3:PutObjectRetention",
    "s3:PutBucketOwnershipControls",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutReplicationConfiguration",
)


def lends_control(statement: Statement, owner: Owner) -> bool:
    """Whether it lets others than the owner change what protects the bucket."""
    reaches_others = bool(others_named(statement, owner)) or lets_others_in(statement, owner)
    return statement.get("Effect") == "Allow" and reaches_others and is_about_any(statement, CONTROL)


def others_named(statement: Statement, owner: Owner) -> list[str]:
    """The accounts, roles and users that it names and that are not known to be the owner's."""
    return [who for who in _named(statement) if account_in(who) != owner.account or owner.account is None]


def is_about_any(statement: Statement, actions: Iterable[str]) -> bool:
    return any(_is_about(statement, "Action", action) for action in actions)


def is_about(statement: Statement, action: str, resource: str) -> bool:
    return _is_about(statement, "Action", action) and _is_about(statement, "Resource", resource)


def denies_everybody(statement: Statement, owner: Owner) -> bool:
    """Whether it denies something to all of the owner's own clients, whoever and wherever they are.

    A condition, or NotPrincipal, exempts somebody, who may be all clients there are.
    """
    return (
        statement.get("Effect") == "Deny"
        and ("*" in statement.get("Principal", {}).get("AWS", []) or _is_for_all_of(owner.account, statement))
        and all(_always_holds(*test, owner) for test in _tests(statement))
    )


def _always_holds(operator: str, key: str, values: list[str], owner: Owner) -> bool:
    """For clients of the owner, which come with TLS."""
    if key == "aws:securetransport":
        return operator.removesuffix("IfExists") == "Bool" and [value.lower() for value in values] == ["true"]
    if key == "aws:sourceip":
        return operator.removesuffix("IfExists") == "IpAddress" and "0.0.0.0/0" in values
    return key == "aws:principalaccount" and operator in EQUAL and owner.account in values


def _named(statement: Statement) -> list[str]:
    """Accounts, roles and users by name; not AWS's services, and nobody who was deleted."""
    named = [who for kind, many in statement.get("Principal", {}).items() if kind != "Service" for who in many]
    return [who for who in named if who != "*" and not DELETED.fullmatch(who)]


def lets_others_in(statement: Statement, owner: Owner) -> bool:
    """Whether it is for anybody, or for a service, under conditions that others than the owner can meet.

    One test that only the owner can meet keeps all others out. Who is named as a principal is not asked about here:
    that is where one looks for it.
    """
    if statement.get("Effect") != "Allow":
        return False
    if _is_for_anyone(statement) or _is_for_users_of_a_web_site(statement):
        return not any(_is_for_owner(*test, owner) for test in _tests(statement))
    works_for_others = any(_works_for_others(*test, owner) for test in _tests(statement))
    return works_for_others and bool(statement.get("Principal", {}).get("Service"))


def _is_for_owner(operator: str, key: str, values: list[str], owner: Owner) -> bool:
    compares = operator.removeprefix(ANY_VALUE) in EQUAL and bool(values)
    return compares and all(owner.owns(key, value) for value in values)


def _works_for_others(operator: str, key: str, values: list[str], owner: Owner) -> bool:
    """Whether it lets a service in that works for others. The ARN of a bucket names no account, so it tells nothing."""
    meaningful = [value for value in values if not re.fullmatch(r"arn:[\w-]+:s3:::[\w.-]+", value)]
    is_negated = "Not" in operator
    return (
        key in SOURCE_KEYS
        and bool(meaningful)
        and (is_negated or not all(owner.owns(key, value) for value in meaningful))
    )


def locks_out(statement: Statement, bucket_arn: str, account: str | None) -> bool:
    """Whether it could be that nobody but the root user of `account`, if that is known, can change the policy again."""
    return (
        statement.get("Effect") == "Deny"
        and (_is_for_anyone(statement) or _is_for_all_of(account, statement))
        and not any(_is_about_transport(*test) for test in _tests(statement))
        and _is_about(statement, "Action", "s3:PutBucketPolicy")
        and _is_about(statement, "Resource", bucket_arn)
    )


def denies_plain_http(statement: Statement, bucket_arn: str) -> bool:
    """Whether it keeps everybody who comes without TLS from the policy itself."""
    return (
        statement.get("Effect") == "Deny"
        and _is_for_anyone(statement)
        and any(_is_met_without_tls(*test) for test in _tests(statement))
        and _is_about(statement, "Action", "s3:PutBucketPolicy")
        and _is_about(statement, "Resource", bucket_arn)
    )


def _is_for_all_of(account: str | None, statement: Statement) -> bool:
    """The root principal of an account stands for everybody in it."""
    root = re.compile(rf"arn:[\w-]+:iam::{account or '[0-9]{12}'}:root")
    return any(root.fullmatch(who) for who in statement.get("Principal", {}).get("AWS", []))


def _is_about_transport(operator: str, key: str, values: list[str]) -> bool:
    """Such a test denies a connection, which the client can improve, and no principal."""
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


TLS_NUMBER = re.compile(r"\d\.\d")
#: Operators of which more values let more through; and those of which fewer do.
WIDENING = EQUAL | {f"{each}IfExists" for each in EQUAL}
NARROWING_OPERATORS = {"StringNotEquals", "StringNotEqualsIgnoreCase", "StringNotLike", "ArnNotEquals", "ArnNotLike"}


def contains(whole: Statement, part: Statement) -> bool:
    """Whether `whole` allows, or denies, at least all that `part` does."""
    return whole.get("Effect") == part.get("Effect") and (
        _is_void(part)
        or (
            _contains_principals(whole, part)
            and _contains_names(whole, part, "Action", ("*", "s3:*"))
            and _contains_names(whole, part, "Resource", ("*",))
            and all(any(_implies(mine, its) for its in _tests(part)) for mine in _tests(whole))
        )
    )


def _is_void(statement: Statement) -> bool:
    """Whether it is for nobody but who was deleted."""
    named = [who for many in statement.get("Principal", {}).values() for who in many]
    return statement.get("Effect") == "Allow" and bool(named) and all(DELETED.fullmatch(who) for who in named)


def _contains_principals(whole: Statement, part: Statement) -> bool:
    mine, its = whole.get("Principal", {}), part.get("Principal", {})
    if "NotPrincipal" in part:
        return "*" in mine.get("AWS", []) or all(whole.get(name) == part.get(name) for name in PRINCIPALS)
    return bool(its) and all(
        {*many} <= {*mine.get(kind, [])} or (kind == "AWS" and "*" in mine.get("AWS", [])) for kind, many in its.items()
    )


def _contains_names(whole: Statement, part: Statement, element: str, everything: tuple[str, ...]) -> bool:
    mine, its = whole.get(element), part.get(element)
    if mine is not None and its is not None:
        return all(_matches_any(mine, each, element) for each in its)
    if mine is not None:
        return bool({*mine} & {*everything})
    left_out, its_left_out = whole.get(f"Not{element}"), part.get(f"Not{element}")
    if left_out is None or its_left_out is None:
        return False
    return all(_matches_any(its_left_out, each, element) for each in left_out)


def _matches_any(patterns: Iterable[str], name: str, element: str) -> bool:
    """Whether one of the patterns takes in all that `name` stands for, itself a pattern perhaps."""
    flags = re.IGNORECASE if element == "Action" else 0
    return any(re.fullmatch(re.escape(each).replace(r"\*", ".*"), name, flags | re.DOTALL) for each in patterns)


def _implies(mine: tuple[str, str, list[str]], its: tuple[str, str, list[str]]) -> bool:
    """Whether what passes the one test passes the other. Of one operator and key; else nobody can tell."""
    (operator, key, values), (_operator, _key, others) = mine, its
    if (operator, key) != its[:2]:
        return False
    bare = operator.rpartition(":")[2]
    if (bare, key) == ("NumericLessThan", "s3:tlsversion") and all(TLS_NUMBER.fullmatch(n) for n in values + others):
        return max(others) <= max(values)
    if bare in WIDENING:
        return {*others} <= {*values}
    return {*values} <= {*others} if bare in NARROWING_OPERATORS else {*values} == {*others}
