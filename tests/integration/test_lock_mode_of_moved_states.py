# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A backend from which states have moved takes its steps as any other, and what keeps clients from them stays."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.module_runs import Result, Task, through_core
from tests.integration.test_lock_mode import ONE, QA, SECRET, TWO, WORD, Backend, backend
from tests.support.aws_wire import error_answer
from tests.support.http_relay import Answer
from tests.support.relay import Call, Proceed

__all__ = ["backend"]


#: What is denied by a source protection, by the calls that need it.
DENIED = {"GetObject", "HeadObject", "PutObject", "DeleteObject"}


FILES, ITEMS = {f"{ONE}.tflock", f"{QA}.tflock"}, {ONE, QA}


def move(backend: Backend, protection: str, **more: Any) -> Result:
    """ONE, in both of its workspaces, or all that there is."""
    there = f"{backend.bucket}-there"
    backend.s3.create_bucket(Bucket=there)
    connection = {"endpoint_url": backend.relay.url, "region": "us-east-1", "access_key": "test", "secret_key": "x"}
    asked = {"source_bucket": backend.bucket, "source_table": backend.table, "bucket": there, "table": None}
    (result,) = through_core(
        [Task("tf_state_move", {**connection, **asked, "source_protection": protection, "key": ONE, **more})]
    )
    assert not result.get("failed"), result["msg"]
    backend.relay.use_first(as_the_bucket_s_policy(backend))
    return result


def as_the_bucket_s_policy(backend: Backend) -> Any:
    """Denies what the policy of the bucket denies, as AWS would; emulators evaluate none."""
    try:
        written = backend.s3.get_bucket_policy(Bucket=backend.bucket)["Policy"]
    except backend.s3.exceptions.ClientError:
        written = '{"Statement": []}'
    behind = [name for each in json.loads(written)["Statement"] for name in each["Resource"]]

    def reply(call: Call, proceed: Proceed) -> Answer:
        arn = f"arn:aws:s3:::{backend.bucket}/{call.params.get('Key')}"
        if call.name not in DENIED or not {arn, f"arn:aws:s3:::{backend.bucket}/*"} & {*behind}:
            return proceed()
        return Answer(*error_answer(call.operation, call.request.method, "AccessDenied", 403, "explicit deny"))

    return reply


def locks(backend: Backend) -> tuple[set[str], set[str]]:
    files = {each for each in backend.objects if each.endswith(".tflock")}
    return files, {name for name, item in backend.items.items() if "Digest" not in item}


PROTECTIONS: dict[str, tuple[str, dict[str, Any], set[str]]] = {
    "locks": ("lock", {}, {TWO}),
    "the policy": ("deny", {}, {TWO}),
    "the policy, all of it": ("deny", {"key": None}, set()),
}


@pytest.mark.parametrize(("protection", "more", "here"), PROTECTIONS.values(), ids=list(PROTECTIONS))
def test_the_table_goes_with_what_states_that_have_moved_left_in_it(
    backend: Backend, protection: str, more: dict[str, Any], here: set[str]
) -> None:
    move(backend, protection, **more)
    backend.task("lockfile")
    backend.use("one", "lockfile")
    foretold = backend.task("lockfile", check_mode=True, remove_table=True, **WORD)
    (result,) = through_core([backend.as_task("lockfile", remove_table=True, **WORD)])
    assert result == foretold and result["table_removed"], result
    assert set(result["digests"]) == {ONE, TWO, QA} - here
    assert backend.table not in backend.dynamodb.list_tables()["TableNames"]
    assert {each for each in backend.objects if each.endswith(".tflock")} >= FILES
    assert SECRET not in json.dumps(result)
