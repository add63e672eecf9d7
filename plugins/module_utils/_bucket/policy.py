# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The bucket policy: our protections and the operator's statements, merged into what is there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from .._core.model import (
    IDENTITY,
    Answer,
    Call,
    Change,
    CreationProtection,
    Failure,
    FindingKind,
    IamActions,
    Params,
    Probe,
    Refusal,
    Refuse,
    Response,
    Target,
    Value,
)
from .._core.printable import shortened
from .._core.provider import Json, ProviderArguments, is_plain
from .._policy.analysis import Owner, contains, denies_plain_http, is_public, lends_control, lets_others_in, locks_out
from .._policy.baseline import BASELINE_SIDS, KMS_KEY, bucket_arn, is_own, our_statements, owner_of, switched_off
from .._policy.document import (
    MAX_BYTES,
    OURS,
    SID,
    VERSION,
    Statement,
    canonical,
    deleted_principals,
    exact_name,
    faults,
    has_variables,
    is_named,
    label,
    meaning,
    merge,
    policy_text,
    statements_of,
)

NAME = "policy"
OPTIONS: dict[str, dict[str, object]] = {
    "require_tls": {"type": "bool"},
    "minimum_tls_version": {"choices": ["1.2", "1.3"]},
    "require_kms_key": {"type": "bool"},
    "allowed_organization_ids": {"type": "list", "elements": "str"},
    "allowed_vpc_endpoint_ids": {"type": "list", "elements": "str"},
    "policy_statements": {"type": "list", "elements": "dict"},
    "purge_policy_statements": {"type": "bool"},
    "drop_statements": {"type": "list", "elements": "str"},
}
ABSENT: Value = {"version": VERSION, "id": None, "statements": []}
NOT_FOUND = {"NoSuchBucketPolicy"}
#: Elsewhere, only emulators have STS. They enforce no policy.
HOSTS_OF_AWS = re.compile(r"\.(amazonaws|api\.aws|amazonwebservices|sc2s|c2s)\b")
ACCOUNT_ID = re.compile(r"\d{12}")
IAM_ACTIONS = IamActions(read=("s3:GetBucketPolicy",), write=("s3:PutBucketPolicy", "s3:DeleteBucketPolicy"))
FINDING = FindingKind(
    "medium",
    "The bucket policy lacks protection",
    "States, with the secrets in them, can be asked for over plain HTTP or outdated TLS.",
    ("S3.5", "CIS 2.1.1", "CKV_AWS_379"),
)


def read(target: Target) -> Call:
    return Call("s3", "get_bucket_policy", target.bucket)


def normalise(response: Response, target: Target) -> Value:
    document = json.loads(response["Policy"])
    statements = statements_of(document, target.partition)
    return {
        "version": document.get("Version", "2008-10-17"),
        "id": document.get("Id"),
        "statements": sorted(statements, key=lambda each: (each.get("Sid", ""), meaning(each))),
    }


def desired(params: Params, observed: Value, target: Target) -> Value:
    present = observed["statements"]
    asked = [canonical(each, target.partition) for each in params.get("policy_statements") or []]
    wanted = [*our_statements(params, present, target), *asked]
    dropped = {*switched_off(params), *(params.get("drop_statements") or ())}
    kept = [] if params.get("purge_policy_statements") else [each for each in present if not is_named(each, dropped)]
    statements = merge(kept, wanted)
    if not statements:
        return ABSENT
    return {
        **observed,
        "version": _version(observed, statements, asked),
        "statements": sorted(statements, key=lambda each: (each.get("Sid", ""), meaning(each))),
    }


def _version(observed: Value, statements: list[Statement], asked: list[Statement]) -> str:
    """The version that is there, unless a statement that is asked has variables and no other one would change by it."""
    known = {meaning(each) for each in asked}
    others = any(has_variables(each) for each in statements if meaning(each) not in known)
    raised = any(map(has_variables, asked)) and not others
    return VERSION if raised else str(observed["version"])


def document(value: Value) -> str:
    out = {"Version": value["version"], "Statement": value["statements"]}
    return policy_text({**out, "Id": value["id"]} if value["id"] else out)


def calls(target: Target, before: Value, after: Value) -> tuple[Call, ...]:
    if not after["statements"]:
        return (Call("s3", "delete_bucket_policy", target.bucket),)
    return (Call("s3", "put_bucket_policy", {**target.bucket, "Policy": document(after)}),)


def probes(target: Target, before: Value, after: Value) -> Iterator[Probe]:
    """A store that enforces policies would deny the next request over plain HTTP, DeleteBucketPolicy included."""
    known = {meaning(each) for each in before["statements"]}
    new = [each for each in after["statements"] if meaning(each) not in known]
    denying = [label(each) for each in new if denies_plain_http(each, bucket_arn(target))]
    if not (target.http_endpoint and denying):
        return
    refuse = Refuse(
        f"{', '.join(denying)} denies all requests without TLS, yours to {target.http_endpoint} included, and you "
        "could not remove it: set endpoint_url to an https:// address, or set require_tls: false, which needs allow: "
        "[weaken_policy]"
    )

    def verdict(answer: Answer) -> Refuse | None:
        # An emulator answers as AWS does. Another store has no STS, or accounts of its own kind.
        account = "" if isinstance(answer, Failure) else str(answer.get("Account"))
        is_emulator = ACCOUNT_ID.fullmatch(account) and not HOSTS_OF_AWS.search(target.http_endpoint)
        return None if is_emulator else refuse

    yield Probe(IDENTITY, verdict)


def requested_keys(params: Params) -> Iterator[str]:
    key = params.get("kms_key_id")
    if key and params.get("require_kms_key") is not False and not key.startswith("alias/aws/"):
        yield key


def problems(params: Params, target: Target) -> Iterator[str]:
    asked = params.get("policy_statements") or []
    wrong = [fault for statement in asked for fault in faults(statement, bucket_arn(target))]
    yield from wrong
    sids = [each.get("Sid") for each in asked]
    for sid in sorted({str(sid) for sid in sids if sids.count(sid) > 1 or str(sid).startswith(OURS)}):
        yield f"policy statement {sid!r}: the Sid is taken; choose another"
    for sid in sorted({*map(str, sids)} & {*(params.get("drop_statements") or ())}):
        yield f"policy statement {sid!r}: it is in policy_statements and in drop_statements; choose one"
    for sid in sorted(BASELINE_SIDS & {*(params.get("drop_statements") or ())}):
        yield f"drop_statements: {sid} belongs to an option, such as require_tls; set that instead"
    if params.get("minimum_tls_version") and params.get("require_tls") is False:
        yield "minimum_tls_version needs require_tls"
    if params.get("require_kms_key") and not params.get("kms_key_id"):
        yield "require_kms_key needs kms_key_id"
    elif params.get("require_kms_key") and params["kms_key_id"].startswith("alias/aws/"):
        yield "require_kms_key needs a key of your own as kms_key_id: uploads name keys by ARN, not by alias"
    elif (
        not wrong and len(document({**ABSENT, "statements": [*our_statements(params, [], target), *asked]})) > MAX_BYTES
    ):
        yield f"the policy would be longer than the {MAX_BYTES} bytes that AWS takes"


def _is_too_long(statements: list[Statement]) -> bool:
    return len(document({**ABSENT, "statements": statements})) > MAX_BYTES


def refusals(change: Change, target: Target) -> Iterator[Refusal]:
    before, after = change.before["statements"], change.after["statements"]
    yield from _lost_statements(before, after, target)
    for statement in after:
        for who in deleted_principals(statement):
            yield Refusal(
                f"policy statement {label(statement)} names {who}, which is what AWS makes of a role or user that was "
                f"deleted, and AWS takes no policy that names it: {_dropping([statement], target)}, and write a new "
                "one with policy_statements if somebody needs it"
            )
    if (size := len(document(change.after))) > MAX_BYTES:
        yield Refusal(f"the policy, with the statements that are there, would have {size} bytes; AWS takes {MAX_BYTES}")
    yield from _faults_of_new(change, target)
    owner = owner_of(target, after)
    raised = change.before["version"] != change.after["version"]
    known = {meaning(each) for each in before if not (raised and has_variables(each))}
    for statement in (each for each in after if meaning(each) not in known):
        yield from _reach(statement, owner)


def _faults_of_new(change: Change, target: Target) -> Iterator[Refusal]:
    """What AWS would reject, or take for something else, of statements that are not there yet."""
    before, after = change.before["statements"], change.after["statements"]
    known, sids = {meaning(each) for each in before}, {each.get("Sid") for each in before}
    new = [each for each in after if meaning(each) not in known]
    for sid in (str(each.get("Sid")) for each in new if each.get("Sid") not in sids):
        if not SID.fullmatch(sid):
            yield Refusal(f"policy statement {shortened(sid)}: AWS takes a new Sid of letters and digits only")
    literal = [label(each) for each in new if has_variables(each)]
    if literal and change.after["version"] != VERSION:
        theirs = [each for each in after if meaning(each) in known and has_variables(each)]
        others = ", ".join(map(label, theirs))
        yield Refusal(
            f"the policy has the version {change.after['version']}, in which the ${{...}} of {', '.join(literal)} is "
            f"literal text. {VERSION}, in which it is a variable, would change what {others} does: list that in "
            f"policy_statements, too, with a Sid, if it shall become a variable there; or {_dropping(theirs, target)}"
        )


def _dropping(statements: list[Statement], target: Target) -> str:
    """How to drop them, with the words that this needs."""
    words = dict.fromkeys(str(each.word) for each in _lost_statements(statements, [], target))
    names = ", ".join(map(exact_name, statements))
    return f"drop it with drop_statements: [{names}], which needs allow: [{', '.join(words)}]"


def _lost_statements(before: list[Statement], after: list[Statement], target: Target) -> Iterator[Refusal]:
    """Statements that are removed or replaced, unless another one allows or denies at least as much."""
    kept = {meaning(each) for each in after}
    gone = [each for each in before if meaning(each) not in kept]
    lost = [each for each in gone if not any(contains(other, each) for other in after)]
    sids = {each.get("Sid") for each in after}
    ours = [each for each in lost if is_own(each, target)]
    keys = [each for each in ours if each.get("Sid") == KMS_KEY and KMS_KEY in sids]
    foreign = [each for each in lost if each not in ours]
    if weakened := [label(each) for each in ours if each not in keys]:
        yield Refusal(f"the policy would lose or weaken {', '.join(weakened)}", "weaken_policy")
    if keys:
        yield Refusal("the policy would require another KMS key for uploads than today", "change_kms_key")
    if foreign:
        named = ", ".join(f"{label(each)} (replaced)" if each.get("Sid") in sids else label(each) for each in foreign)
        reason = f"the policy would lose statements that are not ours: {named}"
        yield Refusal(reason, "drop_policy_statements")
    if denials := [label(each) for each in foreign if each.get("Effect") == "Deny"]:
        yield Refusal(f"the policy would no longer deny what {', '.join(denials)} denies", "weaken_policy")


def _reach(statement: Statement, owner: Owner) -> Iterator[Refusal]:
    """Whom a new statement lets in or locks out."""
    sid = label(statement)
    if is_public(statement):
        yield Refusal(f"policy statement {sid} lets anybody in", "open_public_access")
    elif lends_control(statement, owner):
        reason = f"policy statement {sid} lets {_others(owner)} change what protects the bucket"
        yield Refusal(reason, "grant_foreign_access")
    elif lets_others_in(statement, owner):
        reason = (
            f"policy statement {sid} has conditions that let in {_others(owner)}: let one account in by its number as "
            "Principal, and say which organisations and VPC endpoints are yours with allowed_organization_ids and "
            "allowed_vpc_endpoint_ids"
        )
        yield Refusal(reason, "grant_foreign_access")
    if locks_out(statement, owner.bucket_arn, owner.account):
        yield Refusal(f"policy statement {sid} could lock you out of the policy itself", "lock_out_operator")


def _others(owner: Owner) -> str:
    """Who is not known to be the owner."""
    return (
        f"others than account {owner.account}" if owner.account else "others, as far as can be told without account_id"
    )


def _requires_tls(policy: Value, target: Target) -> bool:
    baseline = our_statements({}, [], target)
    return all(any(contains(each, ours) for each in policy["statements"]) for ours in baseline)


CREATION_PROTECTION = CreationProtection("a policy that requires TLS", "weaken_policy", _requires_tls)


def difference(before: Value, after: Value) -> str:
    lacking = [each for each in after["statements"] if each not in before["statements"]]
    return f"It lacks {', '.join(str(each.get('Sid') or 'a statement') for each in lacking)}."


def returned(response: Response) -> Value:
    """The document to the letter: to the provider, `*` and `{AWS: *}` are two principals, and a list has its length."""
    return json.loads(response["Policy"])


def provider_arguments(value: Value) -> Iterator[ProviderArguments]:
    policy = Json(value) if is_plain(value) else json.dumps(value)
    yield ProviderArguments("aws_s3_bucket_policy", {"policy": policy}, after=("public_access",))
