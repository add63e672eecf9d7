# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the error codes of AWS mean: whether to wait and try again, and what to tell the user."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from .._core.model import NOT_IMPLEMENTED, Answer, Call, Failure, Response, TfstateError, WriteCallback
from .._core.url_credentials import without_credentials
from .members import is_read

#: The parameter by which S3 checks the account of a bucket. Another account's bucket is a 403 without a reason.
#: Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
OWNER = "ExpectedBucketOwner"

#: IAM actions whose names differ from those of their operations.
IAM_ACTIONS = {
    "head_bucket": "s3:ListBucket",
    "list_object_versions": "s3:ListBucketVersions",
    "list_objects_v2": "s3:ListBucket",
    "head_object": "s3:GetObject",
    "list_buckets": "s3:ListAllMyBuckets",
    "delete_objects": "s3:DeleteObjectVersion",
    "get_bucket_encryption": "s3:GetEncryptionConfiguration",
    "put_bucket_encryption": "s3:PutEncryptionConfiguration",
    "get_public_access_block": "s3:GetBucketPublicAccessBlock",
    "put_public_access_block": "s3:PutBucketPublicAccessBlock",
    "get_bucket_replication": "s3:GetReplicationConfiguration",
    "get_bucket_lifecycle_configuration": "s3:GetLifecycleConfiguration",
    "put_bucket_lifecycle_configuration": "s3:PutLifecycleConfiguration",
    "delete_bucket_encryption": "s3:PutEncryptionConfiguration",
    "delete_bucket_ownership_controls": "s3:PutBucketOwnershipControls",
    "delete_public_access_block": "s3:PutBucketPublicAccessBlock",
    "delete_bucket_lifecycle": "s3:PutLifecycleConfiguration",
    "delete_bucket_tagging": "s3:PutBucketTagging",
    "get_object_lock_configuration": "s3:GetBucketObjectLockConfiguration",
    "put_object_lock_configuration": "s3:PutBucketObjectLockConfiguration",
}

#: Not-found codes. HEAD requests have no body: their code is the status.
NO_SUCH_OBJECT = {"NoSuchKey", "404", "NotFound"}
NO_SUCH_VERSION = NO_SUCH_OBJECT | {"NoSuchVersion"}
NO_SUCH_BUCKET = {"NoSuchBucket", "404"}
NO_SUCH_TABLE = {"ResourceNotFoundException", "TableNotFoundException"}

DENIED = {"AccessDenied", "AccessDeniedException", "403", "AllAccessDisabled", "UnauthorizedOperation"}
EXPIRED = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"}
UNRECOGNISED = {"InvalidClientTokenId", "InvalidAccessKeyId", "UnrecognizedClientException", "InvalidToken"}
#: A wrong clock and a wrong secret look alike, but for what the answer says of the time.
SKEWED = {"RequestTimeTooSkewed", "SignatureDoesNotMatch", "InvalidSignatureException"}
TOLERATED_SKEW_S = 300
#: Messages name at most this many errors of one call.
NAMED = 5
BUSY = "AWS was busy with it, or was asked too much, until wait_timeout: run again later, or with fewer forks"
MAYBE_SOON = "if it was made or deleted a moment ago, run again"
MAYBE_UNSEEN = "; in the first 15 minutes of versioning S3 may not show yet what was written: then run again"
#: Policies that no IAM permission outweighs, by their names in messages of AWS.
ABOVE = ("service control policy", "resource control policy", "permissions boundary", "VPC endpoint policy")
#: A successful answer without a member that it must have. No service sends this code.
INCOMPLETE = "IncompleteAnswer"
#: The same in place of AWS.
NOT_OF_AWS = "UnexpectedAnswer"
#: No answer came back, or one that cannot be read; the time for all reads was over. No service sends these codes.
NO_ANSWER, OUT_OF_TIME = "NoAnswer", "OutOfTime"
UNSUPPORTED = NOT_IMPLEMENTED | {"MethodNotAllowed", "405", "UnsupportedArgument", "UnsupportedOperation"}

#: A ValidationException of these calls means that the table has another key.
ITEM_CALLS = {"get_item", "put_item", "delete_item"}
THROTTLED = {
    "SlowDown",
    "503",  # SlowDown in an answer without a body
    "Throttling",
    "ThrottlingException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "ProvisionedThroughputExceededException",
}
#: Errors of AWS itself; botocore has retried already.
BROKEN = {"InternalError", "InternalServerError", "InternalFailure", "ServiceUnavailable", "500", "502", "504"}

#: Advice on codes that mean the same for all calls.
ADVICE = {
    **dict.fromkeys(EXPIRED, "the credentials have expired: get new ones and run again"),
    **dict.fromkeys(
        UNRECOGNISED,
        "AWS does not know the credentials here: check access_key, session_token or profile; if they work elsewhere, "
        "enable the region for the account, or take session tokens from a regional STS endpoint",
    ),
    **dict.fromkeys(SKEWED, "the signature is wrong: check the secret key and this machine's clock"),
    **dict.fromkeys(UNSUPPORTED, "this store does not support it"),
    **dict.fromkeys(BROKEN, "AWS itself failed, which passes: run again"),
    "BucketAlreadyExists": "another account has that name: choose another, with your account id and region in it, such "
    "as one of the account's own namespace (<prefix>-<account id>-<region>-an)",
    "BucketAlreadyOwnedByYou": "you have a bucket of that name already, which cannot be seen from here: is it in "
    "another region? If it was made this moment, run again",
    **dict.fromkeys(
        ("InvalidObjectState", "ObjectNotInActiveTierError"),
        "it is archived: request its restore with aws s3api restore-object, and run again when that is done, which "
        "takes hours",
    ),
    INCOMPLETE: "the answer of this store is incomplete, so the setting is unknown",
    "400": "AWS gives no reason: the session token may be expired or of another partition, or the region wrong",
    "TooManyBuckets": "the account has as many buckets as its quota allows: ask AWS for more",
    "OperationAborted": "another change of this bucket is under way, or the name was deleted recently, which AWS may "
    "take an hour or more to forget: run again later",
    "IllegalLocationConstraintException": "the region does not fit the endpoint: is it enabled for the account?",
    "LimitExceededException": "a quota of AWS is used up: wait as long as it says, then run again",
    **dict.fromkeys((*THROTTLED, "ResourceInUseException", "ContinuousBackupsUnavailableException"), BUSY),
    "ProvisionedThroughputExceededException": "the table was asked too much for its capacity until wait_timeout, which "
    "keeps clients from their locks, too: give it more, or take PAY_PER_REQUEST with tf_lock_table, then run again",
    "NotFoundException": "there is no such key or alias in this region: check its name",
    "MalformedPolicy": "AWS cannot read the policy: check the principals, actions and resources of its statements; "
    "if a role or user was made a moment ago, run again",
    "InvalidTag": "AWS rejects the tag: check its characters",
    "BucketNotEmpty": "somebody goes on writing into it: stop Terraform, then run again",
    "BucketHasAccessPointsAttached": "S3 deletes no bucket that has access points: delete them (aws s3control "
    "list-access-points and delete-access-point), then run again",
    "InvalidBucketAclWithObjectOwnership": "the bucket's ACL grants access to others: reset it to private first",
    "KMS.DisabledException": "the KMS key that it is encrypted with is disabled: enable that key again",
    "KMS.KMSInvalidStateException": "the KMS key that it is encrypted with is about to be deleted: cancel that",
    "KMS.NotFoundException": "the KMS key that it is encrypted with is gone",
    **dict.fromkeys(
        ("NoSuchKey", "NoSuchVersion"), f"there is no such object or version: check its name{MAYBE_UNSEEN}"
    ),
    "NoSuchBucket": f"there is no such bucket: check its name; {MAYBE_SOON}",
    **dict.fromkeys(
        ("ResourceNotFoundException", "TableNotFoundException"),
        f"there is none of that name in this account and region: check the name, and both; {MAYBE_SOON}",
    ),
    "RequestTimeout": "the connection is too slow or was cut: run again",
}

#: What S3 says of an object that its writer has encrypted with a key of its own.
SSE_C = "stored using a form of Server Side Encryption"
#: By cause: the codes. See also `cause_of`.
CAUSES = {
    "denied": DENIED,
    "unsupported": {*UNSUPPORTED, INCOMPLETE},
    "archived": {"InvalidObjectState", "ObjectNotInActiveTierError"},
    "busy": {*THROTTLED, *BROKEN},
    "no_answer": {NO_ANSWER},
    "out_of_time": {OUT_OF_TIME},
    "not_aws": {NOT_OF_AWS},
}
#: What AWS says of a denial, and the cause. Without any of it, the identity lacks the permission.
DENIED_BY = {
    "VPC endpoint policy": "denied_endpoint",
    "service control policy": "denied_organization",
    "resource control policy": "denied_organization",
    "permissions boundary": "denied_organization",
    "kms:": "denied_kms",
    "resource-based policy": "denied_policy",
}

#: Parameters of CreateTable and UpdateTable -> advice on their quota.
QUOTAS = {
    "KeySchema": "the account has as many tables in this region as its quota allows: delete some, or ask AWS for more",
    "TableClass": "AWS takes two changes of the table class in 30 days: wait, or leave it alone with "
    "unmanaged: [table_class]",
    "SSESpecification": "AWS takes four changes of the encryption in 24 hours, then one in six: wait, or leave it "
    "alone with unmanaged: [encryption]",
    "BillingMode": "AWS takes four changes to on-demand in 24 hours, and few decreases of capacity: wait, or leave it "
    "alone with unmanaged: [billing]",
}

#: Codes that pass with time: another change is in progress, or there are too many requests.
TRANSIENT = {
    *THROTTLED,
    *("OperationAborted", "ConditionalRequestConflict", "ContinuousBackupsUnavailableException"),
    *("ServiceUnavailable", "BucketNotEmpty"),
}
#: Codes that pass with time if the resource was created a moment ago.
NOT_YET_VISIBLE = NO_SUCH_BUCKET | NO_SUCH_TABLE
#: How often a policy with unknown principals is put: for about a minute.
PRINCIPAL_ATTEMPTS = 15
#: AWS takes one change of tags in about two seconds, and one of a table's policy in fifteen.
#: Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/rbac-considerations.html
ONE_AT_A_TIME = {"tag_resource", "untag_resource", "put_resource_policy", "delete_resource_policy"}
#: Codes of a creation of something that exists: its settings must be read first.
ALREADY_THERE = {"BucketAlreadyOwnedByYou", "ResourceInUseException"}
#: Codes of writes that may be carried out. DynamoDB answers ValidationException to what it has done already.
DOUBTFUL = BROKEN | TRANSIENT | ALREADY_THERE | {"RequestTimeout", "ValidationException"}
#: Codes after which another form of the call is sent. Source: the API reference of PutBucketTagging, on ABAC.
NOT_TAKEN = DENIED | UNSUPPORTED | {"InvalidRequest", "BadRequest"}
#: Codes that mean that the work is done already.
DONE = {
    "delete_bucket": NO_SUCH_BUCKET,
    "delete_table": {"ResourceNotFoundException"},
    # In progress, or the object can be read already.
    "restore_object": {"RestoreAlreadyInProgress", "ObjectAlreadyInActiveTierError", "InvalidObjectState"},
}


#: Exceptions of botocore -> advice; the first match counts.
REMEDIES: tuple[tuple[set[str], str], ...] = (
    (
        {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"},
        "set profile, access_key and secret_key, or the AWS_* variables of your shell",
    ),
    ({"ProfileNotFound"}, "correct profile or AWS_PROFILE, or run aws configure"),
    (
        {"SSOTokenLoadError", "UnauthorizedSSOTokenError", "TokenRetrievalError", "SSOError"},
        "run aws sso login, then run again",
    ),
    (
        {"RefreshWithMFAUnsupportedError"},
        "a task cannot ask for the code: get a session with it first (aws sts get-session-token), and give its keys",
    ),
    (
        {"ConnectionClosedError", "ReadTimeoutError"},
        "no answer came back{done}: run again, and if that recurs check the network",
    ),
    (
        {"HTTPClientError", "ConnectionError", "ProxyConnectionError"},
        "{where} cannot be reached: check region, endpoint_url, proxy and network, then run again",
    ),
    (
        {"EndpointProviderError", "BaseEndpointResolverError"},
        "AWS has no such endpoint: check AWS_USE_FIPS_ENDPOINT, AWS_USE_DUALSTACK_ENDPOINT and aws_config",
    ),
    ({"ParamValidationError"}, "this botocore is too old for the request: update botocore"),
)


#: URLs of this machine.
LOOPBACK = ("http://127.", "http://localhost", "http://[::1]", "https://127.", "https://localhost", "https://[::1]")


def is_definite(failure: Failure) -> bool:
    """Whether the service has refused a write, so that nothing of it is done."""
    is_certain = failure.code in DENIED | UNSUPPORTED
    return is_certain or not (failure.is_repeated or failure.code in DOUBTFUL)


def cause_of(failure: Failure) -> str:
    """Why something could not be read, in a word."""
    code = failure.code
    if code.startswith("KMS."):
        return "kms_key"
    if code == "InvalidRequest" and SSE_C in failure.message:
        return "customer_key"
    if code in DENIED:
        return next((cause for words, cause in DENIED_BY.items() if words in failure.message), "denied")
    return next((word for word, codes in CAUSES.items() if code in codes), "other")


def passes(failure: Failure, newly_created: bool, attempt: int = 0) -> bool:
    operation, code = failure.call.operation, failure.code
    if code == "MalformedPolicy":  # S3 knows a new role or user only after a while; a misspelt one never
        return "Invalid principal" in failure.message and attempt < PRINCIPAL_ATTEMPTS
    if code in NOT_YET_VISIBLE:
        return newly_created
    if code == "ResourceInUseException":  # of CreateTable it means that the table exists
        return operation != "create_table"
    if code == "LimitExceededException":
        return operation in ONE_AT_A_TIME or "simultaneous" in failure.message
    if code == "InvalidBucketState":  # versioning was switched on a moment ago
        return operation == "put_object_lock_configuration"
    return code in TRANSIENT


def advice_on(call: Call, code: str, message: str = "") -> str:
    if "BlockPublicPolicy" in message:
        return "a public access block, of the bucket, account or organisation, takes no policy that lets anybody in"
    if code == "MethodNotAllowed" and call.operation.endswith("_bucket_policy"):
        return "only the account that owns the bucket may: use its credentials"
    if code == "InvalidTag" and "System tags" in message:
        return "a service of AWS has tagged it in the meantime: run again"
    if code in UNSUPPORTED and call.params.keys() & {"IfMatch", "IfNoneMatch"}:
        return "this store has no conditional writes, which lock files need: all clients have to lock in the table"
    if code in UNSUPPORTED and call.operation == "assume_role":
        return "this store has no STS, which would assume the role: leave out assume_role_arn"
    if code == "InvalidRequest" and SSE_C in message:
        return "its writer has encrypted it with a key of its own (SSE-C): only a client that has the key can read it"
    if code in DENIED:
        return _advice_on_denial(call, message)
    if code == "ValidationException" and call.operation in ITEM_CALLS:
        return "it is no lock table: the key of one is LockID, a string, and nothing else"
    quota = next((what for carried, what in QUOTAS.items() if carried in call.params), None)
    if code == "LimitExceededException" and quota:
        return quota
    return ADVICE.get(code, "see what AWS says")


def _advice_on_denial(call: Call, message: str) -> str:
    if call.operation == "get_caller_identity":
        return (
            "AWS asks for no permission, but the policy of a VPC endpoint may: permit sts:GetCallerIdentity there, or "
            "set account_id to the account that owns the backend"
        )
    if "object lock" in message:
        return "a retention or legal hold keeps it: wait until that is over, or lift it, then run again"
    if "resource-based policy" in message and _digest_of(call):
        return (
            "the digest policy of tf_lock_mode denies it: go without table, as all clients lock by file, or step back"
        )
    key = re.search(r"\bkms:\w+", message)
    if key:  # the object can be read, but not decrypted
        return f"needs {key[0]} on its KMS key"
    needed = f"needs {' and '.join((iam_action(call), *companions(call)))}"
    above = next((each for each in ABOVE if each in message), None)
    if above:
        return f"{needed}, which a {above} denies: only whoever keeps that policy can permit it"
    if call.service == "s3" and "explicit deny in a resource-based policy" in message:
        return (
            f"{needed}, and the policy of the bucket denies it, whatever you are permitted: it may admit only a "
            "network, a VPC endpoint or certain roles. Run from there, or have the policy changed"
        )
    return needed


def or_foreign(call: Call, code: str, message: str) -> str:
    """What else a denial without a reason can mean, if the account of the bucket is not known yet."""
    is_explained = re.search(r"not authorized|because|policy|kms:|object lock", message)
    if code not in DENIED or OWNER not in call.params or is_explained:
        return ""
    return f"; or the bucket is not of account {call.params[OWNER]}: if you know whose it is, set account_id to that"


def _digest_of(call: Call) -> bool:
    """Whether the call is about the digest of a state."""
    name = call.params.get("Key", call.params.get("Item", {})) if call.operation in ITEM_CALLS else {}
    return str(name.get("LockID", {}).get("S")).endswith("-md5")


def skew(headers: Mapping[str, str], now: datetime) -> str | None:
    """Compares the clock of this machine with that of an answer; None if they agree or the answer has no date."""
    try:
        theirs = parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError, TypeError):
        return None
    if abs((now - theirs).total_seconds()) <= TOLERATED_SKEW_S:
        return None
    clocks = [f"{each.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S} UTC" for each in (now, theirs)]
    return f"this machine's clock says {clocks[0]}, that of AWS {clocks[1]}: set the clock, then run again"


def whose(bucket: str, ours: Answer, expected: str | None) -> str:
    """What a 403 of HeadBucket means, according to the list of our own buckets. `expected`: the required account."""
    than = f" than {expected}" if expected else ""
    if isinstance(ours, Failure):
        either = f"the bucket belongs to another account{than}, or you need s3:ListBucket on it"
        return f"{either}; if you know whose it is, set account_id to that; {ours}"
    if bucket in [each["Name"] for each in ours.get("Buckets", [])]:
        return "the bucket is yours: you need s3:ListBucket on it, and account_id must be right if it is set"
    way = "choose another name, or the right credentials, or if you know whose it is, set account_id to that"
    return f"the bucket belongs to another account{than}: {way}"


def not_enabled(region: str, has_token: bool) -> str:
    enable = f"region {region} is not enabled for the account: enable it, which takes minutes to hours"
    old = "; or the session token came from the global STS endpoint: take one from a regional endpoint"
    return enable + (old if has_token else "")


def undeleted(call: Call, answer: Response, on_write: WriteCallback) -> Failure | None:
    """DeleteObjects answers 200 and lists what it did not delete. Calls `on_write` if it deleted anything."""
    kept = answer.get("Errors") if call.operation == "delete_objects" else None
    if not kept:
        return None
    if len(kept) < len(call.params["Delete"]["Objects"]):
        on_write(call)
    code = str(kept[0].get("Code", "?"))
    each = [f"{one.get('Key')}: {one.get('Message')}" for one in kept[:NAMED]]
    message = "; ".join([*each, *([f"and {len(kept) - NAMED} more"] if kept[NAMED:] else [])])
    return Failure(call, code, message, advice_on(call, code, message))


def companions(call: Call) -> tuple[str, ...]:
    """Further permissions that a creation needs because of its parameters."""
    if call.operation == "create_bucket" and "Tags" in call.params.get("CreateBucketConfiguration", {}):
        return ("s3:TagResource",)
    tagged = ("dynamodb:TagResource",) if call.operation == "create_table" and "Tags" in call.params else ()
    own_key = ("kms:CreateGrant", "kms:DescribeKey") if "SSESpecification" in call.params else ()
    return tagged + own_key


def iam_action(call: Call) -> str:
    if call.action:
        return call.action
    if call.operation in ("get_object", "head_object") and "VersionId" in call.params:
        return "s3:GetObjectVersion"
    if call.operation == "get_object_tagging" and "VersionId" in call.params:
        return "s3:GetObjectVersionTagging"
    if call.operation == "delete_object" and "VersionId" in call.params:
        return "s3:DeleteObjectVersion"
    prefix = call.service.removesuffix("control")  # s3control has no prefix of its own
    return IAM_ACTIONS.get(call.operation, f"{prefix}:{call.operation.title().replace('_', '')}")


def strange_answer(what: str, where: str) -> str:
    return f"{what}; look for a proxy or a captive portal before {where}, then run again"


def translated(error: BaseException, where: str, call: Call | None = None) -> TfstateError:
    """An error that is not an answer of AWS, as a sentence with advice."""
    what, message = str(call) if call else "connecting to AWS", without_credentials(" ".join(str(error).split()))
    where = without_credentials(where)
    names = {each.__name__ for each in type(error).__mro__}
    strange = {"RecursionError": "redirected without end", "ResponseParserError": "answered by something else than AWS"}
    if found := names & {*strange}:
        return TfstateError(f"{what}: {strange_answer(strange[found.pop()], where)}")
    advice = next((advice for known, advice in REMEDIES if names & known), "check the connection options and run again")
    if call and call.operation == "get_caller_identity" and names & {"HTTPClientError", "ConnectionError"}:
        advice += "; if no way leads to STS, set account_id to the account that owns the backend"
    if "ParamValidationError" in names and "Unknown parameter" not in message:
        advice = "botocore does not take this value: correct the option that it came from"
    if where.startswith(LOOPBACK) and names & {"ConnectionError"}:
        advice += "; the emulator of the demo is started by make start"
    if "fips" in message:
        advice += "; not every region has FIPS endpoints (AWS_USE_FIPS_ENDPOINT)"
    done = ", but AWS may have done it" if call and not _only_reads(call) else ""
    return TfstateError(f"{what}: {message}; {advice.format(where=where, done=done)}")


def _only_reads(call: Call) -> bool:
    return is_read(call) or call.service == "sts" or call.operation.startswith("head_")
