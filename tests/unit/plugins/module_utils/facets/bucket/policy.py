# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._policy.document import digest

from tests.unit.plugins.module_utils.facets.given import ARN, KEY, ROOT, UNKNOWN, s3

VERSION = "2012-10-17"
EVERYTHING = [ARN, f"{ARN}/*"]
READER = {
    "Sid": "Reader",
    "Effect": "Allow",
    "Principal": {"AWS": [ROOT]},
    "Action": ["s3:GetObject"],
    "Resource": [f"{ARN}/*"],
}


def deny(sid: str, resource: Any = None, action: str = "s3:*", **condition: Any) -> dict[str, Any]:
    return {
        "Sid": f"CornerstoneTfstate{sid}",
        "Effect": "Deny",
        "Principal": {"AWS": ["*"]},
        "Action": [action],
        "Resource": resource or EVERYTHING,
        "Condition": condition,
    }


def tls_version(version: str) -> dict[str, Any]:
    return deny("MinimumTlsVersion", NumericLessThan={"s3:TlsVersion": [version]})


TLS = deny("RequireTls", Bool={"aws:SecureTransport": ["false"]})
BASELINE = [tls_version("1.2"), TLS]
OBJECTS = [f"{ARN}/*"]
ORGANIZATION = deny(
    "OnlyOrganization",
    OBJECTS,
    StringNotEquals={"aws:PrincipalOrgID": ["o-1", "o-2"]},
    Bool={"aws:PrincipalIsAWSService": ["false"]},
)
ALGORITHM = "s3:x-amz-server-side-encryption"
REQUIRE_KMS = deny(
    "RequireKms",
    OBJECTS,
    "s3:PutObject",
    Null={ALGORITHM: ["false"]},
    StringNotEquals={ALGORITHM: ["aws:kms", "aws:kms:dsse"]},
)
REQUIRE_KEY = deny(
    "RequireKmsKey",
    OBJECTS,
    "s3:PutObject",
    Null={f"{ALGORITHM}-aws-kms-key-id": ["false"]},
    StringNotEquals={f"{ALGORITHM}-aws-kms-key-id": [KEY]},
)


def normal(*statements: dict[str, Any], version: str = VERSION, id: str | None = None) -> dict[str, Any]:
    return {"version": version, "id": id, "statements": [*statements]}


def response(*statements: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"Policy": json.dumps({"Version": VERSION, "Statement": [*statements], **more})}


def written(**changed: Any) -> dict[str, Any]:
    """How AWS or a colleague may have written READER."""
    return {**READER, **changed}


OLD = "2008-10-17"
NAMELESS = {name: value for name, value in READER.items() if name != "Sid"}
OTHER_NAMELESS = {**NAMELESS, "Action": ["s3:GetObjectVersion"]}
VARIABLE = written(Sid="Variable", Resource=[f"{ARN}/${{aws:username}}/*"])
OTHER_VARIABLE = written(Sid="Theirs", Resource=[f"{ARN}/home/${{aws:username}}/*"])

READS = {
    "as it is": (response(READER), normal(READER)),
    "a single statement without a list": (
        {"Policy": json.dumps({"Version": VERSION, "Statement": READER})},
        normal(READER),
    ),
    "single elements without lists": (
        response(written(Principal={"AWS": ROOT}, Action="s3:GetObject", Resource=f"{ARN}/*")),
        normal(READER),
    ),
    "an account is its root": (response(written(Principal={"AWS": "444455556666"})), normal(READER)),
    "everybody": (response(written(Principal="*")), normal(written(Principal={"AWS": ["*"]}))),
    "lists have no order and nothing twice": (
        response(written(Action=["s3:PutObject", "s3:GetObject", "s3:GetObject"])),
        normal(written(Action=["s3:GetObject", "s3:PutObject"])),
    ),
    "booleans and numbers are text": (
        response(
            written(Condition={"Bool": {"aws:SecureTransport": False}, "NumericLessThan": {"s3:TlsVersion": 1.2}})
        ),
        normal(
            written(
                Condition={"Bool": {"aws:SecureTransport": ["false"]}, "NumericLessThan": {"s3:TlsVersion": ["1.2"]}}
            )
        ),
    ),
    "statements have no order": (response(TLS, READER, tls_version("1.2")), normal(*BASELINE, READER)),
    "no version is the old one": (
        {"Policy": json.dumps({"Id": "mine", "Statement": [READER]})},
        normal(READER, version="2008-10-17", id="mine"),
    ),
    "the id of a deleted role is no role": (
        response(written(Principal={"AWS": "AROAEXAMPLE"})),
        normal(written(Principal={"AWS": ["AROAEXAMPLE"]})),
    ),
}
DESIRES = {
    "the baseline": ({}, normal(), normal(*BASELINE)),
    "foreign statements stay": (
        {},
        normal(READER, version="2008-10-17"),
        normal(*BASELINE, READER, version="2008-10-17"),
    ),
    "a statement of the same meaning is enough": (
        {},
        normal({**TLS, "Sid": "Theirs"}),
        normal(tls_version("1.2"), {**TLS, "Sid": "Theirs"}),
    ),
    "a higher TLS version stays": ({}, normal(tls_version("1.3"), TLS), normal(tls_version("1.3"), TLS)),
    "a lower one is raised to the baseline": ({}, normal(tls_version("1.0"), TLS), normal(*BASELINE)),
    "a statement of ours that somebody bent is straightened": (
        {},
        normal(deny("MinimumTlsVersion", StringLike={"x": ["y"]})),
        normal(*BASELINE),
    ),
    "a version as asked": ({"minimum_tls_version": "1.3"}, normal(*BASELINE), normal(tls_version("1.3"), TLS)),
    "no TLS means no statement, and no policy": ({"require_tls": False}, normal(*BASELINE, id="x"), normal()),
    "statements of one's own": (
        {"policy_statements": [{**READER, "Principal": {"AWS": 444455556666}}]},
        normal(*BASELINE),
        normal(*BASELINE, READER),
    ),
    "one of the same Sid is replaced": (
        {"policy_statements": [written(Action="s3:ListBucket", Resource=ARN)]},
        normal(*BASELINE, READER),
        normal(*BASELINE, written(Action=["s3:ListBucket"], Resource=[ARN])),
    ),
    "statements are dropped one by one, by Sid": (
        {"drop_statements": ["my-sid", "[x]", "is not there"]},
        normal(*BASELINE, READER, written(Sid="[x]"), written(Sid="my-sid")),
        normal(*BASELINE, READER),
    ),
    "and those without one by what is shown for them": (
        {"drop_statements": [digest(NAMELESS)]},
        normal(NAMELESS, {**OTHER_NAMELESS, "Sid": ""}, *BASELINE),
        normal({**OTHER_NAMELESS, "Sid": ""}, *BASELINE),
    ),
    "a Sid of other letters finds its statement": (
        {"policy_statements": [written(Sid="my-sid", Action="s3:ListBucket", Resource=ARN)]},
        normal(*BASELINE, written(Sid="my-sid")),
        normal(*BASELINE, written(Sid="my-sid", Action=["s3:ListBucket"], Resource=[ARN])),
    ),
    "a variable raises the version": (
        {"policy_statements": [VARIABLE]},
        normal(READER, version=OLD),
        normal(*BASELINE, READER, VARIABLE),
    ),
    "but not where a statement of others would change": (
        {"policy_statements": [VARIABLE]},
        normal({**OTHER_VARIABLE, "Sid": "Theirs"}, version=OLD),
        normal(*BASELINE, OTHER_VARIABLE, VARIABLE, version=OLD),
    ),
    "unless that is asked for, too": (
        {"policy_statements": [VARIABLE, OTHER_VARIABLE]},
        normal(OTHER_VARIABLE, version=OLD),
        normal(*BASELINE, OTHER_VARIABLE, VARIABLE),
    ),
    "purging leaves the baseline and what is asked": (
        {"purge_policy_statements": True, "policy_statements": []},
        normal(tls_version("1.3"), TLS, READER),
        normal(tls_version("1.3"), TLS),
    ),
    "an organisation": (
        {"allowed_organization_ids": ["o-2", "o-1"]},
        normal(*BASELINE),
        normal(tls_version("1.2"), ORGANIZATION, TLS),
    ),
    "nothing asked keeps the organisation": (
        {},
        normal(tls_version("1.2"), ORGANIZATION, TLS),
        normal(tls_version("1.2"), ORGANIZATION, TLS),
    ),
    "an empty list lets every organisation in": (
        {"allowed_organization_ids": []},
        normal(tls_version("1.2"), ORGANIZATION, TLS),
        normal(*BASELINE),
    ),
    "the right key, by its ARN": (
        {"require_kms_key": True, "kms_key_id": "alias/state"},
        normal(),
        normal(tls_version("1.2"), REQUIRE_KMS, REQUIRE_KEY, TLS),
    ),
}
PLAIN_READER = {
    **READER,
    "Principal": {"AWS": ROOT},
    "Action": "s3:GetObject",
    "Resource": f"{ARN}/*",
}
PLAIN_TLS = {**TLS, "Principal": "*", "Action": "s3:*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}


def compact(document: Any) -> str:
    return json.dumps(document, separators=(",", ":"))


CALLS = {
    "no statement, no policy": (normal(READER), normal(), [s3("delete_bucket_policy")]),
    "the document as a whole": (
        normal(),
        normal(READER, id="x"),
        [s3("put_bucket_policy", Policy=compact({"Version": VERSION, "Statement": [PLAIN_READER], "Id": "x"}))],
    ),
    "everybody and a single value as AWS gives them back": (
        normal(),
        normal(TLS),
        [s3("put_bucket_policy", Policy=compact({"Version": VERSION, "Statement": [PLAIN_TLS]}))],
    ),
}


def asked(**changed: Any) -> dict[str, Any]:
    kept = {name: value for name, value in {**READER, **changed}.items() if value is not None}
    return {"policy_statements": [kept]}


PROBLEMS = {
    "a sound statement": (asked(), None),
    "no Sid": (asked(Sid=None), "needs a Sid"),
    "a Sid of other letters, which may be there already": (asked(Sid="my-sid"), None),
    "a blank Sid": (asked(Sid=" "), "needs a Sid"),
    "a statement to drop and to write": ({**asked(), "drop_statements": ["Reader"]}, "choose one"),
    "a statement of an option to drop": (
        {"drop_statements": ["CornerstoneTfstateRequireTls"]},
        "belongs to an option, such as require_tls",
    ),
    "a Sid of ours": (asked(Sid="CornerstoneTfstateRequireTls"), "the Sid is taken"),
    "a Sid twice": ({"policy_statements": [READER, READER]}, "the Sid is taken"),
    "no effect": (asked(Effect="Maybe"), "Effect is Allow or Deny"),
    "nobody": (asked(Principal=None), "needs Principal or NotPrincipal"),
    "somebody and not somebody": (asked(NotPrincipal="*"), "and not both"),
    "a principal of another form": (asked(Principal=ROOT), "has the form {AWS: [...]}"),
    "a condition of another form": (asked(Condition={"Bool": "x"}), "Condition has the form"),
    "a value of a condition that is a dictionary": (
        asked(Condition={"Bool": {"aws:SecureTransport": {"is": "false"}}}),
        "aws:SecureTransport is a text, a number, true or false, or a list of them",
    ),
    "a value of a condition that is no number": (
        asked(Condition={"NumericLessThan": {"s3:max-keys": [1, float("nan")]}}),
        "s3:max-keys is a text, a number",
    ),
    "bytes in a condition": (asked(Condition={"StringLike": {"s3:prefix": b"a"}}), "s3:prefix is a text, a number"),
    "an element that AWS does not know": (asked(Actions="s3:*"), "AWS knows no element Actions"),
    "an action of another service": (asked(Action="ec2:RunInstances"), "is no S3 action"),
    "another bucket": (asked(Resource="arn:aws:s3:::other/*"), "is not this bucket"),
    "another partition": (asked(Resource="arn:aws-cn:s3:::tf-state/*"), "is not this bucket"),
    "a version without TLS": ({"require_tls": False, "minimum_tls_version": "1.2"}, "needs require_tls"),
    "a required key that is not named": ({"require_kms_key": True}, "require_kms_key needs kms_key_id"),
    "a required key that has no ARN of its own": (
        {"require_kms_key": True, "kms_key_id": "alias/aws/s3"},
        "needs a key of your own",
    ),
    "too long": (asked(Principal={"AWS": [f"{ROOT}{number}" for number in range(700)]}), "longer than the 20480 bytes"),
}
#: What a later S3 may answer.
LATER_READ = {"Policy": json.dumps({"Version": "2099-01-01", "Statement": [{"Effect": "Ask", **UNKNOWN}]})}
