# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an error of AWS means: whether waiting mends it, and what to tell the user."""

from __future__ import annotations

from ._core import Call, Failure, TfstateError

#: IAM actions that are not called as the operation is.
IAM_ACTIONS = {
    "head_bucket": "s3:ListBucket",
    "list_object_versions": "s3:ListBucketVersions",
    "list_objects_v2": "s3:ListBucket",
    "list_buckets": "s3:ListAllMyBuckets",
    "delete_objects": "s3:DeleteObjectVersion",
    "get_bucket_encryption": "s3:GetEncryptionConfiguration",
    "put_bucket_encryption": "s3:PutEncryptionConfiguration",
    "get_public_access_block": "s3:GetBucketPublicAccessBlock",
    "put_public_access_block": "s3:PutBucketPublicAccessBlock",
    "get_bucket_lifecycle_configuration": "s3:GetLifecycleConfiguration",
    "put_bucket_lifecycle_configuration": "s3:PutLifecycleConfiguration",
    "delete_bucket_lifecycle": "s3:PutLifecycleConfiguration",
    "delete_bucket_tagging": "s3:PutBucketTagging",
    "get_object_lock_configuration": "s3:GetBucketObjectLockConfiguration",
    "put_object_lock_configuration": "s3:PutBucketObjectLockConfiguration",
}

DENIED = {"AccessDenied", "AccessDeniedException", "403", "AllAccessDisabled", "UnauthorizedOperation"}
EXPIRED = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"}
UNRECOGNISED = {"InvalidClientTokenId", "InvalidAccessKeyId", "UnrecognizedClientException", "InvalidToken"}
SKEWED = {"RequestTimeTooSkewed", "SignatureDoesNotMatch", "InvalidSignatureException"}
UNSUPPORTED = {"MethodNotAllowed", "NotImplemented", "XNotImplemented", "UnsupportedArgument", "UnsupportedOperation"}

THROTTLED = {
    "SlowDown",
    "503",  # is SlowDown, too, where an answer has no body
    "Throttling",
    "ThrottlingException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
}
#: AWS's own fault; botocore has tried again already.
BROKEN = {"InternalError", "InternalServerError", "InternalFailure", "ServiceUnavailable", "500", "502", "504"}
#: Answers that end well if one waits: while something else is being done, or while too much is asked for.
TRANSIENT = {"OperationAborted", "ContinuousBackupsUnavailableException", "BucketNotEmpty", *THROTTLED}
#: Answers that end well if one waits for what was created a moment ago.
NOT_YET_VISIBLE = {"NoSuchBucket", "ResourceNotFoundException", "TableNotFoundException"}

#: What to do about a code that has one meaning whatever the call was.
ADVICE = {
    **dict.fromkeys(EXPIRED, "the credentials have expired: get new ones and run again"),
    **dict.fromkeys(
        UNRECOGNISED,
        "the credentials are not known in this region: if they work elsewhere, the region is not enabled for the "
        "account, or the session token came from the global STS endpoint (use a regional one)",
    ),
    **dict.fromkeys(SKEWED, "the signature is wrong: check the secret key and this machine's clock"),
    **dict.fromkeys(UNSUPPORTED, "this service does not know the setting: leave it alone with unmanaged"),
    **dict.fromkeys(THROTTLED, "AWS asks for fewer requests: run again later, or with fewer forks"),
    **dict.fromkeys(BROKEN, "AWS itself failed, which passes: run again"),
    **dict.fromkeys(
        NOT_YET_VISIBLE, "it was created or deleted a moment ago, and AWS does not show that everywhere yet: run again"
    ),
    "ContinuousBackupsUnavailableException": "AWS still prepares the backups of the new table: run again later",
    "ResourceInUseException": "AWS is still changing it: run again later",
    "400": "AWS does not say why: check that region and credentials belong together, then run again",
    "BucketAlreadyExists": "another account has that name: choose another, with your account id and region in it",
    "TooManyBuckets": "the account has as many buckets as its quota allows: ask AWS for more",
    "OperationAborted": "another change of this bucket is under way, or the name was deleted recently, which AWS may "
    "take an hour or more to forget: run again later",
    "IllegalLocationConstraintException": "the region does not fit the endpoint: is it enabled for the account?",
    "LimitExceededException": "a quota of AWS is used up: wait as long as it says, then run again",
    "MalformedPolicy": "AWS cannot read the policy: check principals, actions and resources of policy_statements",
    "BucketNotEmpty": "somebody goes on writing into it: stop Terraform, then run again",
    "InvalidBucketAclWithObjectOwnership": "the bucket's ACL grants access to others: reset it to private first",
    "RequestTimeout": "the connection is too slow or was cut: run again",
}

#: Errors that say that the work is done already.
DONE = {
    "create_bucket": {"BucketAlreadyOwnedByYou"},
    "create_table": {"ResourceInUseException"},
    "delete_bucket": {"NoSuchBucket", "404"},
    "delete_table": {"ResourceNotFoundException"},
}


def passes(failure: Failure, young: bool) -> bool:
    operation, code = failure.call.operation, failure.code
    if code in NOT_YET_VISIBLE:
        return young
    if code == "ResourceInUseException":  # of CreateTable it means that the table exists
        return operation != "create_table"
    if code == "LimitExceededException":  # AWS takes one change of tags at a time, for about two seconds each
        return operation in ("tag_resource", "untag_resource")
    if code == "InvalidBucketState":  # versioning was switched on a moment ago
        return operation == "put_object_lock_configuration"
    return code in TRANSIENT


def advice_on(call: Call, code: str) -> str:
    if code in DENIED:
        return f"needs {' and '.join((iam_action(call), *companions(call)))}"
    return ADVICE.get(code, "see what AWS says")


def companions(call: Call) -> tuple[str, ...]:
    """What else AWS asks for because of what a creation carries."""
    if call.operation == "create_bucket" and "Tags" in call.params.get("CreateBucketConfiguration", {}):
        return ("s3:TagResource",)
    tagged = ("dynamodb:TagResource",) if call.operation == "create_table" and "Tags" in call.params else ()
    own_key = ("kms:CreateGrant", "kms:DescribeKey") if "SSESpecification" in call.params else ()
    return tagged + own_key


def iam_action(call: Call) -> str:
    return IAM_ACTIONS.get(call.operation, f"{call.service}:{call.operation.title().replace('_', '')}")


def translated(error: BaseException, where: str, call: Call | None = None) -> TfstateError:
    """An error that is no answer of AWS's, as a sentence that says what to do."""
    what = str(call) if call else "connecting to AWS"
    names = {each.__name__ for each in type(error).__mro__}
    if names & {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"}:
        advice = "set profile, access_key and secret_key, or the AWS_* variables of your shell"
    elif "ProfileNotFound" in names:
        advice = "correct profile or AWS_PROFILE, or run aws configure"
    elif names & {"SSOTokenLoadError", "UnauthorizedSSOTokenError", "TokenRetrievalError", "SSOError"}:
        advice = "run aws sso login, then run again"
    elif names & {"ConnectionClosedError", "ReadTimeoutError"}:
        advice = (
            "no answer came back, so nobody knows whether it is done: run again, and if that recurs check the network"
        )
    elif names & {"HTTPClientError", "ConnectionError", "ProxyConnectionError"}:
        advice = f"{where} cannot be reached: check region, endpoint_url, proxy and network, then run again"
    elif "RecursionError" in names:
        return TfstateError(f"{what}: redirected without end; is there a proxy or a captive portal before {where}?")
    elif "ParamValidationError" in names:
        advice = "this botocore is too old for the request: update botocore"
    else:
        advice = "check the connection options and run again"
    return TfstateError(f"{what}: {' '.join(str(error).split())}; {advice}")
