# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which actions AWS was asked for, if somebody wants to know."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.cornerstone.tfstate.plugins.action.tf_backend import combined_result
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Call
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import ModuleRun, resource_module

from tests.support.relay import Relay, error

GIVEN = {"name": "tf-state", "region": "eu-west-1", "access_key": "a", "secret_key": "b"}


def ask(run: ModuleRun) -> dict[str, Any]:
    calls = [Call("s3", name, {"Bucket": "tf-state"}) for name in ("get_bucket_versioning", "get_bucket_policy") * 2]
    run.client().read(calls)
    return {"changed": False}


def asked(relay: Relay, **options: Any) -> dict[str, Any]:
    entry = replace(resource_module(BUCKET), work=ask)
    relay.on("GetBucket*", reply=error("AccessDenied", 403), times=math.inf)
    given = {**GIVEN, "endpoint_url": relay.url, "account_id": "111122223333", **options}
    validated = ArgumentSpecValidator(entry.spec).validate(given)
    assert not validated.error_messages
    return entry.run(validated.validated_parameters, False, False)


def test_each_action_is_named_once_for_each_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANSIBLE_DEBUG_BOTOCORE_LOGS", raising=False)
    with Relay("http://127.0.0.1:9") as relay:
        for _task in range(2):
            told = asked(relay, debug_botocore_endpoint_logs=True)
            assert told["resource_actions"] == ["s3:GetBucketPolicy", "s3:GetBucketVersioning"]
        assert "resource_actions" not in asked(relay)
        monkeypatch.setenv("ANSIBLE_DEBUG_BOTOCORE_LOGS", "true")
        assert asked(relay)["resource_actions"] == ["s3:GetBucketPolicy", "s3:GetBucketVersioning"]


def test_the_role_has_those_of_all_its_modules() -> None:
    results = {
        "bucket": {"resource_actions": ["s3:HeadBucket", "sts:GetCallerIdentity"]},
        "table": {"resource_actions": ["dynamodb:DescribeTable", "sts:GetCallerIdentity"]},
        "config": {},
    }
    told = combined_result(results)
    assert told["resource_actions"] == ["dynamodb:DescribeTable", "s3:HeadBucket", "sts:GetCallerIdentity"]
    assert "resource_actions" not in combined_result({"bucket": {}, "config": {}})
