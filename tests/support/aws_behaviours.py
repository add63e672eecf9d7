# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How S3 really behaves where emulators are too kind: lasting behaviours by name, which go together in any mixture.

    with Relay(emulator.url) as relay:
        relay.use(*benign(emulator))                       # what every run has to live with
        relay.use(HeadBucket(301, region="eu-west-1"))     # what a run has to see through
        relay.use(tags_are_demanded("CostCenter"))

Each is a reply for `Relay.use`, the outermost first. What happens once, or to the k-th call, is a rule: `Relay.on`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import botocore.session
from botocore.exceptions import ClientError

from tests.support.aws_defaults import aws_defaults
from tests.support.emulators import RunningEmulator
from tests.support.http_relay import Answer, Body
from tests.support.relay import Call, Proceed, Reply, error

OWNER_HEADER = "x-amz-expected-bucket-owner"
SIZE_HEADER = "x-amz-transition-default-minimum-object-size"
DEFAULT_SIZE = "all_storage_classes_128K"
POLICY_BYTES = 20480


def benign(emulator: RunningEmulator) -> list[Reply]:
    """All that AWS does to everybody, switched on together."""
    return [
        BucketsAppearLate(),
        BucketsLinger(),
        RecentPutsConflict(),
        ReadsAreStale(),
        owners_are_compared(emulator),
        PoliciesAreRewritten(),
        LifecyclesAreRewritten(),
        policies_are_validated(emulator),
        *aws_defaults(emulator),
    ]


def setting(call: Call) -> str | None:
    """`BucketPolicy` for GetBucketPolicy, PutBucketPolicy and DeleteBucketPolicy; None for what is no setting."""
    if call.service != "s3" or call.name in ("GetBucketLocation", "GetBucketAcl") or "Key" in call.params:
        return None
    found = re.fullmatch(r"(?:Get|Put|Delete)((?:Bucket|PublicAccess|ObjectLock)\w+?)(?:Configuration)?", call.name)
    return found.group(1) if found else None


def took_effect(answer: Answer) -> bool:
    return answer.status < 300


@dataclass
class BucketsAppearLate:
    """After CreateBucket, the next calls about the bucket answer that there is none."""

    calls: int = 3
    left: dict[str, int] = field(default_factory=dict)

    def __call__(self, call: Call, proceed: Proceed) -> Answer:
        if call.name == "CreateBucket":
            answer = proceed()
            if took_effect(answer):
                self.left[call.resource] = self.calls
            return answer
        if call.service == "s3" and self.left.get(call.resource, 0) > 0:
            self.left[call.resource] -= 1
            return error("NoSuchBucket", 404)(call, proceed)
        return proceed()


@dataclass
class ObjectsAppearLate:
    """After each PutObject, the next calls about that object answer that there is none: so in new versioning."""

    calls: int = 2
    left: dict[tuple[str, str], int] = field(default_factory=dict)

    def __call__(self, call: Call, proceed: Proceed) -> Answer:
        key = (call.resource, str(call.params.get("Key")))
        if call.name == "PutObject":
            answer = proceed()
            if took_effect(answer):
                self.left[key] = self.calls
            return answer
        if call.service == "s3" and self.left.get(key, 0) > 0:
            self.left[key] -= 1
            return error("NoSuchKey", 404)(call, proceed)
        return proceed()


@dataclass
class BucketsLinger:
    """After DeleteBucket, HeadBucket still finds the bucket for a while."""

    calls: int = 2
    found: dict[str, Answer] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)

    def __call__(self, call: Call, proceed: Proceed) -> Answer:
        if call.name == "HeadBucket" and self.left.get(call.resource, 0) > 0:
            self.left[call.resource] -= 1
            return self.found[call.resource]
        answer = proceed()
        if call.name == "HeadBucket" and took_effect(answer):
            self.found[call.resource] = answer
        if call.name == "DeleteBucket" and took_effect(answer) and call.resource in self.found:
            self.left[call.resource] = self.calls
        return answer


@dataclass
class RecentPutsConflict:
    """A write so soon after another one to the same bucket is OperationAborted, once or more."""

    times: int = 1
    left: dict[str, int] = field(default_factory=dict)

    def __call__(self, call: Call, proceed: Proceed) -> Answer:
        if not (call.is_write and setting(call)):
            return proceed()
        if self.left.get(call.resource, 0) > 0:
            self.left[call.resource] -= 1
            return error("OperationAborted", 409, "A conflicting conditional operation is in progress")(call, proceed)
        answer = proceed()
        if took_effect(answer):
            self.left[call.resource] = self.times
        return answer


ABSENT = {
    "BucketPolicy": "NoSuchBucketPolicy",
    "BucketTagging": "NoSuchTagSet",
    "BucketLifecycle": "NoSuchLifecycleConfiguration",
    "ObjectLock": "ObjectLockConfigurationNotFoundError",
}


@dataclass
class ReadsAreStale:
    """After each put, the setting reads as it was before it, for so many reads."""

    reads: float = 2
    seen: dict[tuple[str, str], Answer] = field(default_factory=dict)
    left: dict[tuple[str, str], float] = field(default_factory=dict)

    def __call__(self, call: Call, proceed: Proceed) -> Answer:
        name = setting(call)
        if name is None:
            return proceed()
        key = (call.resource, name)
        if not call.is_write and self.left.get(key, 0) > 0:
            self.left[key] -= 1
            return self.seen[key] if key in self.seen else error(ABSENT[name], 404)(call, proceed)
        answer = proceed()
        if call.is_write and took_effect(answer) and (key in self.seen or name in ABSENT):
            self.left[key] = self.reads
        if not call.is_write:
            answer.body.read()
            self.seen[key] = answer
        return answer


@dataclass
class PutsAreLost:
    """The first puts of a setting are answered with 200 and forgotten."""

    operation: str
    times: int = 1

    def __call__(self, call: Call, proceed: Proceed) -> Answer:
        if call.name != self.operation or self.times <= 0:
            return proceed()
        self.times -= 1
        call.request.body.read()
        return Answer(200, {}, Body((b"",)))


@dataclass(frozen=True)
class HeadBucket:
    """HeadBucket has no body: 301 elsewhere, 400 for bad credentials, 403 for somebody else's, 503 for too much."""

    status: int
    region: str | None = None

    def __call__(self, call: Call, proceed: Proceed) -> Answer:
        if call.name != "HeadBucket":
            return proceed()
        headers = {"x-amz-bucket-region": self.region} if self.region else {}
        return error(str(self.status), self.status, headers=headers)(call, proceed)


def owners_are_compared(emulator: RunningEmulator, owner: str | None = None) -> Reply:
    """ExpectedBucketOwner is compared with who owns the buckets: the emulator's own account, or another."""
    account = owner or emulator.client("sts").get_caller_identity()["Account"]

    def reply(call: Call, proceed: Proceed) -> Answer:
        expected = call.request.headers.get(OWNER_HEADER, account)
        return proceed() if expected == account else error("AccessDenied", 403)(call, proceed)

    return reply


@dataclass
class PoliciesAreRewritten:
    """What comes back means the same, but reads otherwise; a principal that was deleted comes back as its id."""

    deleted: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, call: Call, proceed: Proceed) -> Answer:
        answer = proceed()
        if call.name != "GetBucketPolicy" or not took_effect(answer):
            return answer
        document = json.loads(answer.body.read())
        statements = document["Statement"] if isinstance(document["Statement"], list) else [document["Statement"]]
        written = [self._statement(each) for each in reversed(statements)]
        back = {**document, "Statement": written[0] if len(written) == 1 else written}
        return answer.with_body(json.dumps(dict(reversed(back.items()))).encode())

    def _statement(self, statement: Mapping[str, Any]) -> dict[str, Any]:
        written = {name: _short(value) for name, value in reversed(statement.items())}
        if "Principal" in statement:
            written["Principal"] = self._principal(statement["Principal"])
        if "Condition" in statement:
            written["Condition"] = {
                operator: {key: _short(_text(value)) for key, value in tests.items()}
                for operator, tests in statement["Condition"].items()
            }
        return written

    def _principal(self, who: Any) -> Any:
        if who in ("*", {"AWS": "*"}, {"AWS": ["*"]}):
            return "*"
        return {kind: _short([self._name(each) for each in _listed(names)]) for kind, names in who.items()}

    def _name(self, who: str) -> str:
        who = str(who)
        return self.deleted.get(who, f"arn:aws:iam::{who}:root" if re.fullmatch(r"\d{12}", who) else who)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _short(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _text(value: Any) -> Any:
    if isinstance(value, list):
        return [_text(each) for each in value]
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass
class LifecyclesAreRewritten:
    """Rules come back in another order, with ids for those that had none and no empty prefixes; and with their size.

    A put that does not name the smallest size goes back to the default.
    """

    sizes: dict[str, str] = field(default_factory=dict)

    def __call__(self, call: Call, proceed: Proceed) -> Answer:
        answer = proceed()
        if setting(call) != "BucketLifecycle" or not took_effect(answer):
            return answer
        if call.is_write:
            self.sizes[call.resource] = call.request.headers.get(SIZE_HEADER, DEFAULT_SIZE)
            return answer
        rules = re.findall(r"<Rule>.*?</Rule>", answer.body.read().decode(), re.DOTALL)
        text = "".join(self._rule(rule, place) for place, rule in enumerate(reversed(rules)))
        body = f'<?xml version="1.0"?><LifecycleConfiguration>{text}</LifecycleConfiguration>'
        headers = {**answer.headers, SIZE_HEADER: self.sizes.get(call.resource, DEFAULT_SIZE)}
        return Answer(200, headers, Body((body.encode(),)))

    @staticmethod
    def _rule(rule: str, place: int) -> str:
        if not re.search(r"<ID>[^<]", rule):
            rule = re.sub(r"<ID\s*/>|<ID></ID>", "", rule).replace("<Rule>", f"<Rule><ID>made-by-aws-{place}</ID>", 1)
        empty = r"<Filter>\s*(<Prefix\s*/>|<Prefix></Prefix>)\s*</Filter>"
        return re.sub(empty, "<Filter></Filter>", rule)


def system_tags(**tags: str) -> Reply:
    """Tags of AWS's own services: read with the others, sent back unchanged with every put, added by nobody else.

    What DeleteBucketTagging does with them is not known, so it is refused here.
    """
    own = "".join(
        f"<Tag><Key>aws:{key.replace('_', ':')}</Key><Value>{value}</Value></Tag>" for key, value in tags.items()
    )

    written: dict[str, list[str]] = {}

    def reply(call: Call, proceed: Proceed) -> Answer:
        sent = set(re.findall(r"<Tag>\s*<Key>aws:.*?</Tag>", call.body.decode(errors="replace"), re.DOTALL))
        present = set() if call.name == "CreateBucket" else set(re.findall(r"<Tag>.*?</Tag>", own))
        if call.name in ("PutBucketTagging", "CreateBucket") and sent - present:
            return error("InvalidTag", 400, "System tags cannot be added/updated by requester")(call, proceed)
        if call.name in ("PutBucketTagging", "DeleteBucketTagging") and present - sent:
            return error("InvalidTag", 400, "System tags cannot be removed by requester")(call, proceed)
        if call.name == "PutBucketTagging":  # kept here, since emulators take no such tag, or lose it
            written[call.resource] = re.findall(r"<Tag>.*?</Tag>", call.body.decode(), re.DOTALL)
            return Answer(204, {}, Body(()))
        answer = proceed()
        if call.name != "GetBucketTagging":
            return answer
        found = re.findall(r"<Tag>.*?</Tag>", answer.body.read().decode(), re.DOTALL)
        theirs = "".join(each for each in written.get(call.resource, found) if "<Key>aws:" not in each)
        body = f'<?xml version="1.0"?><Tagging><TagSet>{own}{theirs}</TagSet></Tagging>'
        return Answer(200, {"content-type": "application/xml"}, Body((body.encode(),)))

    return reply


def mfa_delete_is_on(call: Call, proceed: Proceed) -> Answer:
    """The root user switched it on: nobody else changes versioning, has a lifecycle, or deletes a version."""
    if call.name in ("PutBucketVersioning", "PutBucketLifecycleConfiguration", "DeleteObjects"):
        return error("AccessDenied", 403, "Mfa Authentication must be used for this request")(call, proceed)
    answer = proceed()
    if call.name != "GetBucketVersioning":
        return answer
    status = re.search(rb"<Status>.*?</Status>", answer.body.read())
    members = (status.group() if status else b"") + b"<MfaDelete>Enabled</MfaDelete>"
    return answer.with_body(b"<VersioningConfiguration>" + members + b"</VersioningConfiguration>")


def tags_grant_access(call: Call, proceed: Proceed) -> Answer:
    """ABAC is on: tags are written by S3 Control alone, which no endpoint of an emulator serves."""
    if call.name in ("PutBucketTagging", "DeleteBucketTagging"):
        return error("MethodNotAllowed", 405)(call, proceed)
    return proceed()


def tags_are_demanded(*keys: str) -> Reply:
    """A service control policy that lets nobody create without these tags."""

    def reply(call: Call, proceed: Proceed) -> Answer:
        if call.name not in ("CreateBucket", "CreateTable") or all(f"{key}".encode() in call.body for key in keys):
            return proceed()
        denial = "with an explicit deny in a service control policy"
        return error("AccessDenied" if call.service == "s3" else "AccessDeniedException", 403, denial)(call, proceed)

    return reply


def tags_on_create_are_denied(code: str = "AccessDenied", status: int = 403) -> Reply:
    """No s3:TagResource, or a partition that does not know it yet."""

    def reply(call: Call, proceed: Proceed) -> Answer:
        tagged = call.name == "CreateBucket" and b"<Tag>" in call.body
        return error(code, status)(call, proceed) if tagged else proceed()

    return reply


@cache
def known_actions() -> frozenset[str]:
    session = botocore.session.Session()
    named = {name.lower() for name in session.get_service_model("s3").operation_names}
    return frozenset(
        named | {"listbucket", "listbucketversions", "getencryptionconfiguration", "getbucketpublicaccessblock"}
    )


def policies_are_validated(emulator: RunningEmulator) -> Reply:
    """PutBucketPolicy as strict as AWS: what it cannot apply is MalformedPolicy, and what lets anybody in is denied."""

    def reply(call: Call, proceed: Proceed) -> Answer:
        if call.name != "PutBucketPolicy":
            return proceed()
        fault = _fault(json.loads(call.body), call.resource, len(call.body))
        if fault:
            return error("MalformedPolicy", 400, fault)(call, proceed)
        if _is_public(json.loads(call.body)) and _blocks_public_policies(emulator, call):
            denial = "public policies are prevented by the BlockPublicPolicy setting in S3 Block Public Access"
            return error("AccessDenied", 403, denial)(call, proceed)
        return proceed()

    return reply


def _fault(document: Mapping[str, Any], bucket: str, size: int) -> str | None:
    arn = f"arn:aws:s3:::{bucket}"
    statements = _listed(document.get("Statement", []))
    if not statements or size > POLICY_BYTES:
        return "Missing required field Statement" if not statements else "The policy is too large"
    for each in statements:
        resources = _listed(each.get("Resource", each.get("NotResource")))
        if not all(resource == arn or resource.startswith(f"{arn}/") for resource in resources):
            return "Policy has invalid resource"
        for action in (str(name).lower().removeprefix("s3:") for name in _listed(each.get("Action", []))):
            if "*" not in action and action not in known_actions():
                return "Policy has invalid action"
            about_objects = action in ("getobject", "putobject", "deleteobject")
            if "*" not in action and not any((resource != arn) == about_objects for resource in resources):
                return "Action does not apply to any resource(s) in statement"
        principal = each.get("Principal", {})
        names = _listed(principal.get("AWS", [])) if isinstance(principal, Mapping) else []
        if any(re.match(r"A(ROA|IDA)", str(name)) for name in names):
            return "Invalid principal in policy"
    return None


def _is_public(document: Mapping[str, Any]) -> bool:
    return any(
        each["Effect"] == "Allow" and each.get("Principal") in ("*", {"AWS": "*"}, {"AWS": ["*"]})
        for each in _listed(document["Statement"])
        if not each.get("Condition")
    )


def _blocks_public_policies(emulator: RunningEmulator, call: Call) -> bool:
    s3 = emulator.client("s3", region=call.region)
    try:
        block = s3.get_public_access_block(Bucket=call.resource)["PublicAccessBlockConfiguration"]
    except ClientError:
        return False
    return bool(block["BlockPublicPolicy"])
