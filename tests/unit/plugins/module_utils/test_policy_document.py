# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Policies by meaning: what is the same, what is public, what locks out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._policy_document import (
    canonical,
    meaning,
    merge,
    statements_of,
    tls_version,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._policy_reach import is_public, locks_out
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugins.module_utils.fake_aws import _reread_statement

ARN, OWN = "arn:aws:s3:::tf-state", "111122223333"

_texts = st.sampled_from(["a", "b", "c"])
_many = _texts | st.lists(_texts, min_size=1, max_size=3)
_who = st.sampled_from(["*", "444455556666", "arn:aws:iam::444455556666:root", "AROAX"])
_principals = st.just("*") | st.dictionaries(
    st.sampled_from(["AWS", "Service"]), _who | st.lists(_who, min_size=1, max_size=2), min_size=1
)
_values = _many | st.booleans() | st.integers(0, 9)
_conditions = st.dictionaries(
    st.sampled_from(["Bool", "StringEquals"]), st.dictionaries(_texts, _values, min_size=1, max_size=2), max_size=2
)
statements = st.fixed_dictionaries(
    {"Sid": st.sampled_from(["One", "Two", "Three"]), "Effect": st.sampled_from(["Allow", "Deny"])},
    optional={
        "Principal": _principals,
        "Action": _many,
        "NotAction": _many,
        "Resource": _many,
        "Condition": _conditions,
    },
)


@given(statements)
def test_the_canonical_form_is_final(statement: Any) -> None:
    once = canonical(statement, "aws")
    assert canonical(once, "aws") == once


@pytest.mark.aws("2.5")
@given(statements)
def test_no_rewriting_by_aws_changes_the_meaning(statement: Any) -> None:
    written = canonical(statement, "aws")
    assert canonical(json.loads(json.dumps(_reread_statement(written))), "aws") == written
    assert canonical(_reread_statement(statement), "aws") == written


@given(st.lists(statements, max_size=4), st.lists(statements, max_size=3, unique_by=lambda each: each["Sid"]))
def test_merging_twice_is_merging_once_and_loses_nothing_wanted(present: Any, wanted: Any) -> None:
    present, wanted = ([canonical(each, "aws") for each in some] for some in (present, wanted))
    once = merge(present, wanted)
    assert merge(once, wanted) == once or _sids_meet(present, wanted)
    assert {meaning(each) for each in wanted} <= {meaning(each) for each in once} or _sids_meet(present, wanted)


def _sids_meet(present: Any, wanted: Any) -> bool:
    """Whether one Sid stands for two statements, so that which of them is replaced is anybody's guess."""
    sids = [each["Sid"] for each in present]
    return len(set(sids)) < len(sids) or bool({meaning(each) for each in present} & {meaning(each) for each in wanted})


@pytest.mark.aws("2.5")
def test_a_partition_has_its_own_roots() -> None:
    (statement,) = statements_of({"Statement": {"Principal": {"AWS": "444455556666"}}}, "aws-cn")
    assert statement["Principal"] == {"AWS": ["arn:aws-cn:iam::444455556666:root"]}


def allow(**more: Any) -> Any:
    return canonical(
        {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"{ARN}/*", **more}, "aws"
    )


PUBLIC = {
    "everybody": (allow(), True),
    "everybody, the other way to write it": (allow(Principal={"AWS": "*"}), True),
    "an account": (allow(Principal={"AWS": "444455556666"}), False),
    "a service": (allow(Principal={"Service": "logging.s3.amazonaws.com"}), False),
    "a refusal": (allow(Effect="Deny"), False),
    "users of a web site": (allow(Principal={"Federated": "graph.facebook.com"}), True),
    "a directory of one account": (allow(Principal={"Federated": "arn:aws:iam::444455556666:saml-provider/hr"}), False),
    "an organisation": (allow(Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}}), False),
    "whoever comes over TLS": (allow(Condition={"Bool": {"aws:SecureTransport": "true"}}), True),
    "whoever is not of one organisation": (allow(Condition={"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}}), True),
    "whoever does not say whose he is": (
        allow(Condition={"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-1"}}),
        True,
    ),
}


def only(operator: str, key: str, *values: str) -> Any:
    return allow(Condition={operator: {key: [*values]}})


ACCESS_POINTS = "arn:aws:s3:eu-west-1:444455556666:accesspoint"
PUBLIC |= {
    "one role": (only("ArnEquals", "aws:PrincipalArn", "arn:aws:iam::444455556666:role/admin"), False),
    "roles by pattern": (only("StringLike", "aws:PrincipalArn", "*"), True),
    "roles by another pattern": (only("ArnLike", "aws:PrincipalArn", "arn:aws:iam::444455556666:role/a?min"), True),
    "whoever is himself": (only("StringEquals", "aws:PrincipalArn", "${aws:PrincipalArn}"), True),
    "one role or all": (only("StringLike", "aws:PrincipalArn", "arn:aws:iam::444455556666:role/admin", "*"), True),
    "one network": (only("IpAddress", "aws:SourceIp", "203.0.113.0/24", "2001:db8::/32"), False),
    "one address": (only("IpAddress", "AWS:SOURCEIP", "203.0.113.7"), False),
    "a network of one's own": (only("IpAddress", "aws:SourceIp", "10.0.0.0/8"), False),
    "the internet": (only("IpAddress", "aws:SourceIp", "0.0.0.0/0"), True),
    "half of the internet": (only("IpAddress", "aws:SourceIp", "203.0.113.0/24", "128.0.0.0/7"), True),
    "a lot of the new internet": (only("IpAddress", "aws:SourceIp", "2001:db8::/31"), True),
    "no network": (only("IpAddress", "aws:SourceIp", "home"), True),
    "everybody outside of one network": (only("NotIpAddress", "aws:SourceIp", "203.0.113.0/24"), True),
    "one VPC": (only("StringEquals", "aws:SourceVpc", "vpc-91237329"), False),
    "every VPC": (only("StringLike", "aws:SourceVpc", "vpc-*"), True),
    "whoever comes from a VPC": (only("Null", "aws:SourceVpc", "false"), True),
    "all of none": (only("ForAllValues:StringEquals", "aws:PrincipalOrgID", "o-1"), True),
    "a branch of one organisation": (only("ForAnyValue:StringLike", "aws:PrincipalOrgPaths", "o-1/r-1/ou-1/*"), False),
    "a branch of any": (only("ForAnyValue:StringLike", "aws:PrincipalOrgPaths", "o-*/r-1/*"), True),
    "access points of one account": (only("ArnLike", "s3:DataAccessPointArn", f"{ACCESS_POINTS}/*"), False),
    "access points": (only("ArnLike", "s3:DataAccessPointArn", ACCESS_POINTS.replace("444455556666", "*")), True),
    "whoever writes with one key": (
        only(
            "StringEquals", "s3:x-amz-server-side-encryption-aws-kms-key-id", "arn:aws:kms:eu-west-1:444455556666:key/1"
        ),
        False,
    ),
    "sessions of one role": (only("StringLike", "aws:userid", "AROAEXAMPLE:*"), True),
    "whoever says so": (only("StringEquals", "aws:UserAgent", "me"), True),
}


@pytest.mark.aws("2.5")
@pytest.mark.parametrize(("statement", "public"), PUBLIC.values(), ids=PUBLIC)
def test_this_is_public(statement: Any, public: bool) -> None:
    assert is_public(statement) is public


def test_everybody_but_one_is_everybody() -> None:
    statement = canonical({"Effect": "Allow", "NotPrincipal": {"AWS": "444455556666"}, "Action": "s3:*"}, "aws")
    assert is_public(statement)


def deny(**more: Any) -> Any:
    written = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": ARN, **more}
    return canonical({name: value for name, value in written.items() if value is not None}, "aws")


LOCKS_OUT = {
    "everything for everybody": (deny(), True),
    "the very action": (deny(Action="s3:PutBucketPolicy"), True),
    "by pattern": (deny(Action="s3:Put*", Resource="*"), True),
    "everything but reading": (deny(Action=None, NotAction="s3:GetObject"), True),
    "everything but policies": (deny(Action=None, NotAction="s3:*BucketPolicy"), False),
    "everywhere but in another bucket": (deny(Resource=None, NotResource="arn:aws:s3:::other"), True),
    "everybody but one": (deny(Principal=None, NotPrincipal={"AWS": "arn:aws:iam::444455556666:role/admin"}), True),
    "somebody": (deny(Principal={"AWS": "arn:aws:iam::444455556666:role/admin"}), False),
    "objects only": (deny(Resource=f"{ARN}/*"), False),
    "reading only": (deny(Action="s3:Get*"), False),
    "without TLS": (deny(Condition={"Bool": {"aws:SecureTransport": "false"}}), False),
    "without TLS, said otherwise": (deny(Condition={"BoolIfExists": {"AWS:securetransport": False}}), False),
    "with TLS": (deny(Condition={"Bool": {"aws:SecureTransport": "true"}}), True),
    "with and without TLS": (deny(Condition={"Bool": {"aws:SecureTransport": ["true", "false"]}}), True),
    "without TLS from one network": (
        deny(Condition={"Bool": {"aws:SecureTransport": "false"}, "StringEquals": {"aws:SourceVpc": "vpc-1"}}),
        False,
    ),
    "whatever says how it comes": (deny(Condition={"Null": {"aws:SecureTransport": "false"}}), True),
    "with old TLS": (deny(Condition={"NumericLessThan": {"s3:TlsVersion": "1.2"}}), False),
    "with any TLS of today": (deny(Condition={"NumericLessThan": {"s3:TlsVersion": "1.4"}}), True),
    "with new TLS": (deny(Condition={"NumericGreaterThan": {"s3:TlsVersion": "1.1"}}), True),
    "with no version at all": (deny(Condition={"NumericLessThan": {"s3:TlsVersion": "new"}}), True),
    "the account": (deny(Principal={"AWS": f"arn:aws:iam::{OWN}:root"}), True),
    "the account by its number": (deny(Principal={"AWS": [OWN, "444455556666"]}), True),
    "another account": (deny(Principal={"AWS": "444455556666"}), False),
    "the account without TLS": (
        deny(Principal={"AWS": OWN}, Condition={"Bool": {"aws:SecureTransport": "false"}}),
        False,
    ),
    "from anywhere but one network": (deny(Condition={"StringNotEquals": {"aws:SourceVpce": "vpce-1"}}), True),
    "a permission": (deny(Effect="Allow"), False),
}


@pytest.mark.aws("2.5")
@pytest.mark.parametrize(("statement", "out"), LOCKS_OUT.values(), ids=LOCKS_OUT)
def test_this_could_lock_the_operator_out(statement: Any, out: bool) -> None:
    assert locks_out(statement, ARN, OWN) is out


def test_any_account_could_be_the_operators_as_long_as_that_is_not_known() -> None:
    assert locks_out(deny(Principal={"AWS": "444455556666"}), ARN, None)


@pytest.mark.parametrize(
    ("versions", "found"), [("1.2", "1.2"), (["1.2", "1.3"], "1.3"), (1.2, "1.2"), ("new", None), (None, None)]
)
def test_the_tls_version_of_a_statement_is_found_whatever_somebody_wrote(versions: Any, found: str | None) -> None:
    tests = {"NumericLessThan": {"s3:TlsVersion": versions}} if versions else {}
    assert tls_version(deny(Condition=tests)) == found
