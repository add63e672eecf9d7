#!/usr/bin/env bash
# A peer: the AWS CLI script that many a README holds. Creations are guarded, every setting is simply put again.
# usage: cli.sh AWS LIST (lines of region, bucket, table, account)
set -euo pipefail
aws=$1
export AWS_PAGER=""

while read -r AWS_DEFAULT_REGION bucket table _; do
    export AWS_DEFAULT_REGION
    if ! "$aws" s3api head-bucket --bucket "$bucket" >/dev/null 2>&1; then
        where=(--create-bucket-configuration "LocationConstraint=$AWS_DEFAULT_REGION")
        if [ "$AWS_DEFAULT_REGION" = us-east-1 ]; then where=(); fi
        "$aws" s3api create-bucket --bucket "$bucket" ${where[@]+"${where[@]}"} >/dev/null
    fi
    "$aws" s3api put-public-access-block --bucket "$bucket" --public-access-block-configuration \
        BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true
    "$aws" s3api put-bucket-ownership-controls --bucket "$bucket" \
        --ownership-controls 'Rules=[{ObjectOwnership=BucketOwnerEnforced}]'
    "$aws" s3api put-bucket-versioning --bucket "$bucket" --versioning-configuration Status=Enabled
    "$aws" s3api put-bucket-encryption --bucket "$bucket" --server-side-encryption-configuration \
        '{"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}'
    "$aws" s3api put-bucket-lifecycle-configuration --bucket "$bucket" --lifecycle-configuration \
        '{"Rules": [{"ID": "tfstate", "Status": "Enabled", "Filter": {"Prefix": ""},
          "NoncurrentVersionExpiration": {"NoncurrentDays": 90},
          "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}]}' >/dev/null
    "$aws" s3api put-bucket-tagging --bucket "$bucket" \
        --tagging 'TagSet=[{Key=owner,Value=platform},{Key=managed-by,Value=bench}]'
    "$aws" s3api put-bucket-policy --bucket "$bucket" --policy \
        '{"Version": "2012-10-17", "Statement": [{"Sid": "TLSOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
          "Resource": ["arn:aws:s3:::'"$bucket"'", "arn:aws:s3:::'"$bucket"'/*"],
          "Condition": {"Bool": {"aws:SecureTransport": "false"}}}]}'
    if ! "$aws" dynamodb describe-table --table-name "$table" >/dev/null 2>&1; then
        "$aws" dynamodb create-table --table-name "$table" --billing-mode PAY_PER_REQUEST --deletion-protection-enabled \
            --attribute-definitions AttributeName=LockID,AttributeType=S --key-schema AttributeName=LockID,KeyType=HASH \
            --tags Key=owner,Value=platform Key=managed-by,Value=bench >/dev/null
        "$aws" dynamodb wait table-exists --table-name "$table"
    fi
    "$aws" dynamodb update-continuous-backups --table-name "$table" \
        --point-in-time-recovery-specification PointInTimeRecoveryEnabled=true >/dev/null
done <"$2"
