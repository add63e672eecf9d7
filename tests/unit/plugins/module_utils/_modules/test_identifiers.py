# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Identifiers against the forms that AWS documents, before AWS is asked."""

from __future__ import annotations

import re
from typing import Any

import botocore.session
import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Invalid
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import resource_module
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.identifiers import FORMS, problems
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions import role_variables

KEY_ID = "1234abcd-12ab-34cd-56ef-1234567890ab"
#: What AWS knows, and what it cannot know.
VALUES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "account_id": (("111122223333", "000000000000"), ("1234", "11112222333x", "1111222233334", "١١١١٢٢٢٢٣٣٣٣")),
    "region": (
        ("eu-central-1", "us-gov-west-1", "us-isob-east-1", "ap-southeast-7", "eusc-de-east-1", "cn-north-1"),
        ("eu-central", "eu-west1", "EU-WEST-1", "eu-west-1a", "eu west 1", "eu-west-1 ", "https://eu-west-1"),
    ),
    "bucket": (
        ("acme-state", "a.b.c", "Old_State", "usest1-terraform-state-ezra"),
        ("ab", "-state", "a/b", "arn:aws:s3:::state", "acme state", "s3://state", "a" * 256),
    ),
    "table": (
        ("terraform-locks", "A_b.c"),
        ("ab", "terraform locks", "arn:aws:dynamodb:eu-west-1:1:table/x", "a" * 256),
    ),
    "kms_key_id": (
        (
            KEY_ID,
            "mrk-1234abcd12ab34cd56ef1234567890ab",
            "alias/terraform-state",
            "alias/aws/s3",
            f"arn:aws:kms:eu-west-1:111122223333:key/{KEY_ID}",
            "arn:aws-cn:kms:cn-north-1:111122223333:alias/state",
        ),
        ("terraform-state", "alias/", "alias/a b", "arn:aws:kms:eu-west-1:1:key/1", f"{KEY_ID}0", f"key/{KEY_ID}"),
    ),
    "assume_role_arn": (
        ("arn:aws:iam::111122223333:role/admin", "arn:aws-us-gov:iam::111122223333:role/path/to/a+b=c,d.e@f-g_h"),
        (
            "admin",
            "arn:aws:iam::111122223333:user/admin",
            "arn:aws:iam::1:role/admin",
            "arn:aws:iam::111122223333:role/",
        ),
    ),
    "allowed_organization_ids": (
        ("o-exampleorgid", "o-a1b2c3d4e5"),
        ("not-an-org", "o-1", "o-EXAMPLEORGID", "exampleorgid", "o-a1b2c3d4e5 ", "o-*", "r-ab12"),
    ),
    "allowed_vpc_endpoint_ids": (
        ("vpce-1a2b3c4d", "vpce-0123456789abcdef0"),
        ("vpce-1", "vpce-1a2b3c4g", "vpc-1a2b3c4d", "VPCE-1a2b3c4d", "vpce-*"),
    ),
}
CASES = [
    (option, value, is_known)
    for option in VALUES
    for is_known in (True, False)
    for value in VALUES[option][not is_known]
]


def given(option: str, value: str) -> dict[str, Any]:
    return {option: [value] if option.startswith("allowed_") else value}


@pytest.mark.parametrize(("option", "value", "is_known"), CASES)
def test_an_identifier_has_the_form_of_aws(option: str, value: str, is_known: bool) -> None:
    told = list(problems(given(option, value), is_aws=True))
    assert told == ([] if is_known else [f"{option} is {value!r}; correct it: {FORMS[option].says}"])


def test_every_form_is_tried() -> None:
    assert {FORMS[option].says for option in VALUES} == {form.says for form in FORMS.values()}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("region", "auto"),
        ("region", "garage"),
        ("region", "local-1"),
        ("bucket", "b"),
        ("table", "t"),
        ("kms_key_id", "minio-key"),
        ("assume_role_arn", "arn:xxx:xxx:xxx:xxxx"),
    ],
)
def test_another_store_has_forms_of_its_own(option: str, value: str) -> None:
    assert list(problems({option: value}, is_aws=True))
    assert not list(problems({option: value}, is_aws=False))


@pytest.mark.parametrize("is_aws", [True, False])
@pytest.mark.parametrize(
    ("value", "meant"),
    [
        *(("us-esat-1", "us-east-1"), ("eu-wst-1", "eu-west-1"), ("su-east-1", "us-east-1")),
        *(("ap-southheast-2", "ap-southeast-2"), ("us-gov-wets-1", "us-gov-west-1"), ("eu-cental-1", "eu-central-1")),
    ],
)
def test_a_region_that_is_mistyped_is_refused_at_any_endpoint(value: str, meant: str, is_aws: bool) -> None:
    told = list(problems({"region": value}, is_aws))
    assert told == [f"region is {value!r}; correct it: did you mean {meant}?"]


#: Of Hetzner, Garage, Cloudflare, Ceph, Scaleway, OVH, Wasabi, IONOS, Linode, Exoscale, Oracle, IBM, Backblaze, Yandex,
#: Huawei, STACKIT, Alibaba and of nobody.
OTHERS = (
    *(
        "nbg1",
        "fsn1",
        "hel1",
        "garage",
        "auto",
        "default",
        "",
        "fr-par",
        "nl-ams",
        "gra",
        "eu-west-par",
        "us-central-1",
    ),
    *("eu-central-4", "us-ord-1", "us-sea-1", "us-southeast-1", "ch-gva-2", "de-fra-1", "eu-frankfurt-1", "ap-seoul-1"),
    *(
        "eu-marseille-1",
        "us-south",
        "us-west-004",
        "ru-central1",
        "cn-north-4",
        "la-north-2",
        "eu01",
        "oss-cn-hangzhou",
    ),
    *(
        "us-test-1",
        "us-east-1-local",
        "local-1",
        "eu-test-1",
        "my-minio",
        "us-east1",
        "nyc3",
        "oss-cn-hangzhou",
        "-1",
        "a-b-1",
    ),
)


@pytest.mark.parametrize("value", OTHERS)
def test_a_region_of_another_store_is_taken(value: str) -> None:
    assert not [each for each in problems({"region": value}, is_aws=False) if "did you mean" in each]


def test_no_region_of_aws_is_taken_for_another() -> None:
    session = botocore.session.get_session()
    regions = [
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("s3", partition)
    ]
    assert len(regions) > 30
    assert not [each for region in regions for each in problems({"region": region}, is_aws=True)]


@pytest.mark.parametrize("option", ["allowed_organization_ids", "allowed_vpc_endpoint_ids", "account_id"])
def test_some_forms_are_the_same_everywhere(option: str) -> None:
    assert list(problems(given(option, VALUES[option][1][0]), is_aws=False))


def test_what_is_not_set_is_not_wrong() -> None:
    assert not list(problems(dict.fromkeys(FORMS), is_aws=True))
    assert not list(problems({"allowed_organization_ids": []}, is_aws=True))


STATEMENT = {
    "Sid": "A",
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:*",
    "Resource": ["arn:aws:s3:::b", "arn:aws:s3:::b/*"],
}


def condition(operator: str, key: str, value: Any) -> dict[str, Any]:
    return {"Condition": {operator: {key: value}}}


#: What is said of a statement of the operator's own; nothing, if it may go.
STATEMENTS: dict[str, tuple[dict[str, Any], str]] = {
    "no condition": ({}, ""),
    "an organization": (condition("StringNotEquals", "aws:PrincipalOrgID", "o-exampleorgid"), ""),
    "a blank organization": (condition("StringNotEquals", "aws:PrincipalOrgID", ""), "aws:PrincipalOrgID is blank"),
    "a blank among organizations": (
        condition("StringNotEqualsIfExists", "aws:principalorgid", ["o-exampleorgid", " "]),
        "aws:principalorgid is blank",
    ),
    "no organization": (condition("StringNotEquals", "aws:PrincipalOrgID", []), "aws:PrincipalOrgID is blank"),
    "null": (condition("StringEquals", "aws:PrincipalOrgID", None), "aws:PrincipalOrgID is blank"),
    "not an organization": (
        condition("StringEquals", "aws:PrincipalOrgID", "not-an-org"),
        "is 'not-an-org'; correct it: an org",
    ),
    "organizations by a pattern": (condition("StringLike", "aws:PrincipalOrgID", "o-a*"), ""),
    "an organization that a variable names": (
        condition("StringEquals", "aws:PrincipalOrgID", "${aws:ResourceOrgID}"),
        "",
    ),
    "whether there is one": (condition("Null", "aws:PrincipalOrgID", "true"), ""),
    "a path": (condition("ForAnyValue:StringLike", "aws:PrincipalOrgPaths", "o-a1b2c3d4e5/r-ab12/*"), ""),
    "an exact path": (
        condition("ForAnyValue:StringEquals", "aws:PrincipalOrgPaths", "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/"),
        "",
    ),
    "no path": (condition("ForAnyValue:StringEquals", "aws:PrincipalOrgPaths", "r-ab12"), "an organization path is"),
    "an endpoint": (condition("StringNotEquals", "aws:SourceVpce", "vpce-1a2b3c4d"), ""),
    "no endpoint": (condition("StringNotEquals", "aws:SourceVpce", "vpce-x"), "a VPC endpoint id is"),
    "a network": (condition("StringNotEquals", "aws:SourceVpc", "vpc-1a2b3c4d"), ""),
    "no network": (condition("StringNotEquals", "aws:SourceVpc", "my-vpc"), "a VPC id is"),
    "an account": (condition("StringEquals", "aws:PrincipalAccount", "111122223333"), ""),
    "an account without its quotes": (
        condition("StringEquals", "aws:PrincipalAccount", 1402433619),
        "put quotes around",
    ),
    "no account": (condition("StringEquals", "aws:PrincipalAccount", "prod"), "an AWS account has 12 digits"),
    "addresses": (condition("NotIpAddress", "aws:SourceIp", ["192.0.2.0/24", "2001:db8::/32", "192.0.2.1"]), ""),
    "no addresses": (condition("NotIpAddress", "aws:SourceIp", "192.0.2.0/33"), "an address range is such as"),
    "blank addresses": (condition("NotIpAddress", "aws:SourceIp", ["", "192.0.2.0/24"]), "aws:SourceIp is blank"),
    "a prefix that is blank for a reason": (condition("StringEquals", "s3:prefix", ["", "env:/"]), ""),
    "a prefix without a value": (condition("StringEquals", "s3:prefix", None), "s3:prefix has no value"),
    "a prefix without one of its values": (condition("StringLike", "s3:prefix", ["a", None]), "s3:prefix has no value"),
    "a number where text is compared": (
        condition("StringEquals", "aws:PrincipalTag/cost_center", 0o123),
        "aws:PrincipalTag/cost_center must be text, and is 83",
    ),
    "a number where numbers are compared": (condition("NumericLessThan", "s3:signatureAge", 600000), ""),
    "a boolean where one is compared": (condition("Bool", "aws:SecureTransport", False), ""),
    "nobody": ({"Principal": {"AWS": ""}}, "Principal.AWS is blank"),
    "nobody at all": ({"Principal": {"AWS": []}}, "Principal.AWS is blank"),
    "an account as a number": ({"Principal": {"AWS": [1402433619]}}, "Principal.AWS must be text"),
    "nothing": ({"Resource": ["arn:aws:s3:::b", ""]}, "Resource is blank"),
    "no action": ({"Action": None}, "Action is blank"),
}


@pytest.mark.parametrize("case", STATEMENTS)
def test_a_statement_names_what_can_exist(case: str) -> None:
    otherwise, sentence = STATEMENTS[case]
    told = list(problems({"policy_statements": [{**STATEMENT, **otherwise}]}, is_aws=False))
    assert len(told) == bool(sentence)
    assert not told or (told[0].startswith("policy_statements, statement 'A': ") and sentence in told[0])


def test_the_core_is_not_reached_with_a_wrong_identifier() -> None:
    entry = resource_module(BUCKET)
    params = {**dict.fromkeys(entry.spec), "name": "tf-state", "region": "eu-west1", "account_id": "1"}
    told = entry.run(params, False, False)
    assert told["failed"] and not told["changed"]
    assert "account_id is '1'" in told["msg"] and "region is 'eu-west1'" in told["msg"]


def test_the_role_tells_wrong_identifiers_of_all_modules_before_the_first_writes() -> None:
    given = {
        "bucket_name": "state-eu",
        "region": "eu-west-1",
        "table_name": "no table",
        "account_id": "1",
        "bucket_allowed_organization_ids": ["not-an-org"],
        "client_assume_role_arn": "admin",
        "bucket_policy_statements": [{**STATEMENT, "Principal": ""}],
    }
    with pytest.raises(Invalid) as raised:
        role_variables.typed({role_variables.PREFIX + name: value for name, value in given.items()})
    told = re.findall(r"terraform_backend_(\w+)", str(raised.value))
    assert sorted(told) == sorted(
        {*given} - {"bucket_name", "region"},
    )
