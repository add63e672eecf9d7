# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Policies by meaning: what is the same, what is public, what locks out."""

from __future__ import annotations

import fnmatch
import json
from itertools import combinations, product
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._policy.analysis import (
    Owner,
    contains,
    denies_plain_http,
    is_public,
    lends_control,
    lets_others_in,
    locks_out,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._policy.document import (
    canonical,
    meaning,
    merge,
    statements_of,
    tls_version,
)
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
    assert merge(once, wanted) == once
    assert {meaning(each) for each in wanted} <= {meaning(each) for each in once}


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


OWNER = Owner(OWN, ARN, frozenset({"o-own"}), frozenset({"vpce-own"}))
ROLE, FOREIGN_ROLE = f"arn:aws:iam::{OWN}:role/x", "arn:aws:iam::444455556666:role/x"
OTHERS = {
    "the account": (only("StringEquals", "aws:PrincipalAccount", OWN), False),
    "another account": (only("StringEquals", "aws:PrincipalAccount", "444455556666"), True),
    "the account and another": (only("StringEquals", "aws:PrincipalAccount", OWN, "444455556666"), True),
    "the account if it has one": (only("StringEqualsIfExists", "aws:PrincipalAccount", OWN), True),
    "all but another account": (only("StringNotEquals", "aws:PrincipalAccount", "444455556666"), True),
    "whoever has no account": (only("Null", "aws:PrincipalAccount", "true"), True),
    "accounts by pattern": (only("StringLike", "aws:PrincipalAccount", "1111*"), True),
    "no value at all": (only("StringEquals", "aws:PrincipalAccount"), True),
    "one's own account, whichever": (only("StringEquals", "aws:PrincipalAccount", "${aws:ResourceAccount}"), True),
    "the organisation": (only("StringEquals", "aws:PrincipalOrgID", "o-own"), False),
    "another organisation": (only("StringEquals", "aws:PrincipalOrgID", "o-1"), True),
    "a branch of the organisation": (only("ForAnyValue:StringLike", "aws:PrincipalOrgPaths", "o-own/r/ou/*"), False),
    "a branch of another": (only("ForAnyValue:StringLike", "aws:PrincipalOrgPaths", "o-1/r/ou/*"), True),
    "branches of which one is another's": (
        only("ForAnyValue:StringLike", "aws:PrincipalOrgPaths", "o-own/r/*", "o-1/r/*"),
        True,
    ),
    "all of no branches": (only("ForAllValues:StringLike", "aws:PrincipalOrgPaths", "o-own/*"), True),
    "a role": (only("ArnEquals", "aws:PrincipalArn", ROLE), False),
    "all roles of the account": (only("ArnLike", "aws:PrincipalArn", f"arn:aws:iam::{OWN}:role/*"), False),
    "a role elsewhere": (only("ArnEquals", "aws:PrincipalArn", FOREIGN_ROLE), True),
    "that role anywhere": (only("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:role/x"), True),
    "a role here or there": (only("StringLike", "aws:PrincipalArn", ROLE, FOREIGN_ROLE), True),
    "resources of the account": (only("StringEquals", "aws:SourceAccount", OWN), False),
    "resources of another account": (only("StringEquals", "aws:SourceAccount", "444455556666"), True),
    "the bucket itself": (only("ArnEquals", "aws:SourceArn", ARN), False),
    "another bucket, of whomever": (only("ArnEquals", "aws:SourceArn", "arn:aws:s3:::tf-other"), True),
    "an endpoint": (only("StringEquals", "aws:SourceVpce", "vpce-own"), False),
    "another endpoint": (only("StringEquals", "aws:SourceVpce", "vpce-1"), True),
    "a network": (only("StringEquals", "aws:SourceVpc", "vpc-1"), True),
    "an address": (only("IpAddress", "aws:SourceIp", "203.0.113.7"), True),
    "a session of a role, whosever": (only("StringEquals", "aws:userid", "AROAEXAMPLE:me"), True),
    "the root user": (only("StringEquals", "aws:userid", OWN), False),
    "whoever names a key": (only("StringEquals", "s3:x-amz-server-side-encryption-aws-kms-key-id", "arn:k"), True),
    "access points of the account": (only("StringEquals", "s3:DataAccessPointAccount", OWN), False),
    "access points of another": (only("StringEquals", "s3:DataAccessPointAccount", "444455556666"), True),
    "nobody but the account, by one of two": (
        allow(Condition={"StringEquals": {"aws:PrincipalAccount": OWN}, "IpAddress": {"aws:SourceIp": "203.0.113.7"}}),
        False,
    ),
    "a refusal": (allow(Effect="Deny", Condition={"StringEquals": {"aws:PrincipalAccount": "444455556666"}}), False),
    "all but one, of another account": (
        canonical(
            {
                "Effect": "Allow",
                "NotPrincipal": {"AWS": OWN},
                "NotAction": "s3:PutObject",
                "NotResource": ARN,
                "Condition": {"StringEquals": {"aws:PrincipalAccount": "444455556666"}},
            },
            "aws",
        ),
        True,
    ),
    "another account by name, which is seen there": (allow(Principal={"AWS": "444455556666"}), False),
    "a service": (allow(Principal={"Service": "logging.s3.amazonaws.com"}), False),
    "a service for a bucket": (
        allow(
            Principal={"Service": "logging.s3.amazonaws.com"},
            Condition={"ArnLike": {"aws:SourceArn": "arn:aws:s3:::tf-other"}},
        ),
        False,
    ),
    "a service for another account": (
        allow(
            Principal={"Service": "cloudtrail.amazonaws.com"},
            Condition={"StringEquals": {"aws:SourceAccount": "444455556666"}},
        ),
        True,
    ),
    "a service for all but the account": (
        allow(
            Principal={"Service": "cloudtrail.amazonaws.com"},
            Condition={"StringNotEquals": {"aws:SourceAccount": OWN}},
        ),
        True,
    ),
    "a service for any account's trail": (
        allow(
            Principal={"Service": "cloudtrail.amazonaws.com"},
            Condition={"ArnLike": {"aws:SourceArn": "arn:aws:cloudtrail:*:*:trail/x"}},
        ),
        True,
    ),
}


@pytest.mark.aws("2.5")
@pytest.mark.parametrize(("statement", "others"), OTHERS.values(), ids=OTHERS)
def test_these_conditions_let_others_in(statement: Any, others: bool) -> None:
    assert lets_others_in(statement, OWNER) is others


def test_no_condition_is_known_to_keep_others_out_as_long_as_the_account_is_not_known() -> None:
    assert lets_others_in(only("StringEquals", "aws:PrincipalAccount", OWN), Owner(None))
    assert lends_control(allow(Principal={"AWS": OWN}, Action="s3:*"), Owner(None))


CONTROL = {
    "another account": (allow(Principal={"AWS": "444455556666"}, Action="s3:*"), True),
    "another account, by what is left out": (
        canonical(
            {
                "Effect": "Allow",
                "Principal": {"AWS": "444455556666"},
                "NotAction": "s3:GetObject",
                "NotResource": f"{ARN}/x",
            },
            "aws",
        ),
        True,
    ),
    "another account that may read": (allow(Principal={"AWS": "444455556666"}), False),
    "the account": (allow(Principal={"AWS": OWN}, Action="s3:*"), False),
    "somebody by a canonical id": (allow(Principal={"CanonicalUser": "79a59d"}, Action="s3:Put*"), True),
    "a directory elsewhere": (
        allow(Principal={"Federated": "arn:aws:iam::444455556666:saml-provider/x"}, Action="*"),
        True,
    ),
    "another account by a condition": (
        {**only("StringEquals", "aws:PrincipalAccount", "444455556666"), "Action": ["s3:PutBucketPolicy"]},
        True,
    ),
    "somebody who was deleted": (allow(Principal={"AWS": "AROAEXAMPLE"}, Action="s3:*"), False),
    "a service": (allow(Principal={"Service": "s3.amazonaws.com"}, Action="s3:*"), False),
}


@pytest.mark.parametrize(("statement", "control"), CONTROL.values(), ids=CONTROL)
def test_this_lends_control_to_others(statement: Any, control: bool) -> None:
    assert lends_control(statement, OWNER) is control


# What AWS does with a statement, as far as these tests need it
# Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html

Request = dict[str, Any]


def applies(statement: Any, request: Request) -> bool:
    named = {who for many in statement.get("Principal", statement.get("NotPrincipal")).values() for who in many}
    hit = bool(named & {"*", request["who"], f"arn:aws:iam::{request['who'].split(':')[4]}:root"})
    return (
        hit is ("Principal" in statement)
        and matches(statement, "Action", request["action"])
        and matches(statement, "Resource", request["resource"])
        and all(
            passes(operator, values, request["context"].get(key))
            for operator, tests in statement.get("Condition", {}).items()
            for key, values in tests.items()
        )
    )


def matches(statement: Any, element: str, name: str) -> bool:
    if element in statement:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in statement[element])
    return not matches({element: statement[f"Not{element}"]}, element, name)


def passes(operator: str, values: list[str], found: list[str] | None) -> bool:
    """`found`: what the request says of the key; None if it says nothing."""
    if operator == "Null":
        return (found is None) is (values == ["true"])
    quantifier, _colon, bare = operator.rpartition(":")
    if found is None:
        return bare.endswith("IfExists") or quantifier == "ForAllValues" or ("Not" in bare and not quantifier)
    bare = bare.removesuffix("IfExists")
    like = fnmatch.fnmatchcase if "Like" in bare else str.__eq__
    hits = [any(like(each, value) for value in values) is ("Not" not in bare) for each in found]
    return any(hits) if quantifier == "ForAnyValue" else all(hits)


OPERATORS = [
    f"{quantifier}{bare}{if_exists}"
    for quantifier in ("", "ForAnyValue:", "ForAllValues:")
    for bare in ("StringEquals", "StringLike", "StringNotEquals", "StringNotLike")
    for if_exists in ("", "IfExists")
]
#: Values of conditions by key, the owner's first; and what a request of the owner and those of strangers say.
TESTED: dict[str, tuple[list[str], list[str], list[list[str] | None]]] = {
    "aws:PrincipalAccount": ([OWN, "444455556666", "1111*", "*"], [OWN], [["444455556666"]]),
    "aws:PrincipalOrgID": (["o-own", "o-1", "o-*"], ["o-own"], [["o-1"], None]),
    "aws:PrincipalOrgPaths": (["o-own/r/*", "o-1/r/*", "o-own/r/ou/"], ["o-own/r/ou/"], [["o-1/r/ou/"], None]),
    "aws:PrincipalArn": (
        [ROLE, FOREIGN_ROLE, "arn:aws:iam::*:role/x", f"arn:aws:iam::{OWN}:role/*"],
        [ROLE],
        [[FOREIGN_ROLE], None],
    ),
    "aws:SourceVpce": (["vpce-own", "vpce-1"], ["vpce-own"], [["vpce-1"], None]),
}
WHO = [ROLE, FOREIGN_ROLE]


def conditions_on(key: str) -> list[dict[str, Any]]:
    values = TESTED[key][0]
    lists = [*([each] for each in values), *map(list, combinations(values, 2))]
    compared = [{operator: {key: each}} for operator in OPERATORS for each in lists]
    return [*compared, {"Null": {key: ["true"]}}, {"Null": {key: ["false"]}}]


def request(
    who: str = FOREIGN_ROLE, action: str = "s3:GetObject", resource: str = f"{ARN}/a", **context: Any
) -> Request:
    return {"who": who, "action": action, "resource": resource, "context": context}


@pytest.mark.parametrize("key", TESTED)
@pytest.mark.parametrize("principal", [{"Principal": "*"}, {"NotPrincipal": {"AWS": OWN}}], ids=["all", "all but one"])
def test_whatever_a_condition_says_no_stranger_comes_in_unseen(key: str, principal: Any) -> None:
    for condition in conditions_on(key):
        bare = {name: value for name, value in allow(Condition=condition).items() if name != "Principal"}
        statement = canonical({**bare, **principal}, "aws")
        comes_in = any(applies(statement, request(**{key: found})) for found in TESTED[key][2])
        assert not comes_in or is_public(statement) or lets_others_in(statement, OWNER), statement


@pytest.mark.parametrize("key", TESTED)
def test_a_condition_that_contains_another_passes_all_that_it_passes(key: str) -> None:
    _values, owner, strangers = TESTED[key]
    every = [
        (each, [bool(applies(each, request(**{key: found}))) for found in (owner, *strangers, None)])
        for each in (allow(Condition=condition) for condition in conditions_on(key))
    ]
    unequal = 0
    for (whole, mine), (part, its) in product(every, every):
        if contains(whole, part):
            unequal += whole != part
            assert all(passed for passed, asked in zip(mine, its, strict=True) if asked), (whole, part)
    assert unequal > 20


ELEMENTS: dict[str, tuple[list[Any], list[Request]]] = {
    "Action": (
        [["s3:Get*"], ["s3:GetObject"], ["s3:*"], ["s3:Get?bject"], ["s3:Put*", "s3:GetObject"], ["s3:putobject"]],
        [request(action=each) for each in ("s3:GetObject", "s3:PutObject", "s3:GetBucketPolicy", "s3:Getxbject")],
    ),
    "Resource": (
        [[ARN], [ARN, f"{ARN}/*"], [f"{ARN}/*"], [f"{ARN}/a*"], [f"{ARN}/a"], [f"{ARN}/A"], [f"{ARN}/?"], ["*"]],
        [request(resource=each) for each in (ARN, f"{ARN}/a", f"{ARN}/A", f"{ARN}/ab", f"{ARN}/b")],
    ),
    "Principal": (
        [{"AWS": ["*"]}, {"AWS": [ROLE]}, {"AWS": [ROLE, FOREIGN_ROLE]}, {"AWS": [f"arn:aws:iam::{OWN}:root"]}],
        [request(each) for each in (ROLE, FOREIGN_ROLE, f"arn:aws:iam::{OWN}:role/y")],
    ),
}


@pytest.mark.parametrize("element", ELEMENTS)
def test_a_statement_that_contains_another_applies_wherever_that_does(element: str) -> None:
    values, requests = ELEMENTS[element]
    bare = {name: value for name, value in allow(Action="s3:*", Resource=["*"]).items() if name != element}
    every = [{**bare, name: value} for name in (element, f"Not{element}") for value in values]
    found = [(whole, part) for whole, part in product(every, every) if contains(whole, part)]
    assert len(found) > len(every) + 2
    for whole, part in found:
        assert all(applies(whole, each) for each in requests if applies(part, each)), (whole, part)


@given(statements)
def test_a_statement_contains_itself(statement: Any) -> None:
    written = canonical({"Principal": "*", "Action": "s3:*", "Resource": ARN, **statement}, "aws")
    written.pop("NotAction", None)
    assert contains(written, written)


CONTAINED = {
    "fewer actions": (deny(), deny(Action="s3:Get*"), True),
    "more actions": (deny(Action="s3:Get*"), deny(), False),
    "a pattern that is wider": (deny(Action="s3:Get?bject"), deny(Action="s3:Get*"), False),
    "fewer people": (deny(), deny(Principal={"AWS": "444455556666"}), True),
    "a state": (deny(Resource=f"{ARN}/*"), deny(Resource=f"{ARN}/a"), True),
    "the same in another case": (deny(Resource=f"{ARN}/a"), deny(Resource=f"{ARN}/A"), False),
    "older TLS": (
        deny(Condition={"NumericLessThan": {"s3:TlsVersion": "1.3"}}),
        deny(Condition={"NumericLessThan": {"s3:TlsVersion": "1.2"}}),
        True,
    ),
    "newer TLS": (
        deny(Condition={"NumericLessThan": {"s3:TlsVersion": "1.2"}}),
        deny(Condition={"NumericLessThan": {"s3:TlsVersion": "1.3"}}),
        False,
    ),
    "more organisations let in": (
        deny(Condition={"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}}),
        deny(Condition={"StringNotEquals": {"aws:PrincipalOrgID": ["o-1", "o-2"]}}),
        True,
    ),
    "one condition more": (deny(), deny(Condition={"Bool": {"aws:SecureTransport": "false"}}), True),
    "one condition less": (deny(Condition={"Bool": {"aws:SecureTransport": "false"}}), deny(), False),
    "the contrary": (deny(), allow(), False),
    "nobody who is left": (allow(), allow(Principal={"AWS": "AROAEXAMPLE"}, Action="s3:*"), True),
}


@pytest.mark.parametrize(("whole", "part", "contained"), CONTAINED.values(), ids=CONTAINED)
def test_this_is_contained(whole: Any, part: Any, contained: bool) -> None:
    assert contains(whole, part) is contained


TLS = "aws:SecureTransport"
WITHOUT_TLS = {
    "as we write it": (deny(Condition={"Bool": {TLS: "false"}}), True),
    "a boolean": (deny(Condition={"Bool": {TLS: False}}), True),
    "if it exists": (deny(Condition={"BoolIfExists": {TLS: "False"}}), True),
    "as text": (deny(Condition={"StringEquals": {TLS: "false"}}), True),
    "not the contrary": (deny(Condition={"StringNotEquals": {TLS: "true"}}), True),
    "either": (deny(Condition={"Bool": {TLS: ["true", "false"]}}), True),
    "all but some actions": (
        deny(Action=None, NotAction="s3:GetObject", Condition={"Bool": {TLS: "false"}}),
        True,
    ),
    "an old version, or none": (deny(Condition={"NumericLessThanIfExists": {"s3:TlsVersion": "1.2"}}), True),
    "no version": (deny(Condition={"Null": {"s3:TlsVersion": "true"}}), True),
    "an old version": (deny(Condition={"NumericLessThan": {"s3:TlsVersion": "1.2"}}), False),
    "any version": (deny(Condition={"Null": {"s3:TlsVersion": "false"}}), False),
    "with TLS": (deny(Condition={"Bool": {TLS: "true"}}), False),
    "objects": (deny(Action="s3:GetObject", Condition={"Bool": {TLS: "false"}}), False),
    "allowed": (allow(Condition={"Bool": {TLS: "false"}}), False),
}


@pytest.mark.parametrize(("statement", "denied"), WITHOUT_TLS.values(), ids=WITHOUT_TLS)
def test_this_denies_the_policy_over_plain_http(statement: Any, denied: bool) -> None:
    assert denies_plain_http(statement, ARN) is denied


MERGED = {
    "what is relied on is replaced": (
        [{"Sid": "A", "Effect": "Deny"}],
        [{"Sid": "Ours", "Effect": "Deny"}, {"Sid": "A", "Effect": "Allow"}],
        [{"Sid": "A", "Effect": "Allow"}, {"Sid": "Ours", "Effect": "Deny"}],
    ),
    "it is there under another Sid, and its own says something else": (
        [{"Sid": "A", "Effect": "Deny"}, {"Sid": "B", "Effect": "Allow"}],
        [{"Sid": "A", "Effect": "Allow"}],
        [{"Sid": "A", "Effect": "Allow"}, {"Sid": "B", "Effect": "Allow"}],
    ),
    "it is there under another Sid": ([{"Sid": "B", "Effect": "Allow"}], [{"Sid": "A", "Effect": "Allow"}], None),
}


@pytest.mark.parametrize(("present", "wanted", "merged"), MERGED.values(), ids=MERGED)
def test_they_merge_at_once(present: Any, wanted: Any, merged: Any) -> None:
    once = merge(present, wanted)
    assert once == (merged or present)
    assert merge(once, wanted) == once
