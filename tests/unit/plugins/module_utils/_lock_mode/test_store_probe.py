# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Stores that are not AWS: whether they support lock files is tested before anybody depends on it, and recorded."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.client import Aws
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.session import (
    Connection,
    client_of,
    is_of_aws,
    session_of,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._lock_mode.store_probe import PREFIX
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions import role_variables

from tests.integration.module_runs import Result, Task, through_core
from tests.integration.test_lock_mode import GOOD, Backend, any_backend
from tests.support.http_relay import Answer
from tests.support.relay import Call, Proceed, Relay, error, lose_reply
from tests.unit.plugins.module_utils.fake_aws import Bucket, Killed
from tests.unit.plugins.module_utils.fake_backend import FakeBackend, ToFake

__all__ = ["any_backend"]

NAME, TAG = "other-store-states", "cornerstone.tfstate:lock_files"
OPTIONS = {"name": NAME, "region": "us-east-1", "access_key": "test", "secret_key": "test", "wait_timeout": 5}


@dataclass
class Store:
    relay: Relay
    fake: FakeBackend

    def run(self, check_mode: bool = False, **options: Any) -> Result:
        given = {**OPTIONS, "endpoint_url": self.relay.url, "probe_lock_files": True, **options}
        (result,) = through_core([Task("tf_state_bucket", given, check_mode)])
        return result

    def writes_of(self, **options: Any) -> tuple[Result, list[str]]:
        before = len(self.relay.writes)
        result = self.run(**options)
        return result, [call.name for call in self.relay.writes[before:]]

    @property
    def bucket(self) -> Bucket:
        return self.fake.buckets[NAME]

    def ignores_conditions(self) -> None:
        self.relay.on("PutObject", reply=_without_condition, times=math.inf)


def _without_condition(call: Call, proceed: Proceed) -> Answer:
    assert isinstance(call, ToFake)
    kept = {name: value for name, value in call.call.params.items() if name != "IfNoneMatch"}
    call.call = replace(call.call, params=kept)
    return proceed()


@pytest.fixture
def store(relay: Relay, emulator: FakeBackend) -> Store:
    return Store(relay, emulator)


def test_a_store_that_supports_lock_files_is_tested_once(store: Store) -> None:
    planned = store.run(check_mode=True)
    result = store.run()
    assert not result.get("failed"), result
    assert [change["facet"] for change in planned["changes"]] == [change["facet"] for change in result["changes"]]
    assert (result["changes"][-1]["after"], result["bucket"]["tags"]) == ({TAG: "supported"}, {TAG: "supported"})
    assert any("check mode writes nothing" in each for each in planned["warnings"])
    assert (store.bucket.tags, store.bucket.objects) == ({TAG: "supported"}, [])
    again, writes = store.writes_of()
    assert (again["changed"], again["warnings"], writes) == (False, [], [])


def test_a_store_that_ignores_the_condition_is_refused_before_locks_depend_on_it(store: Store) -> None:
    store.ignores_conditions()
    result = store.run()
    assert result["failed"] and result["msg"] == (
        f"bucket {NAME} cannot be locked by files: the store ignores If-None-Match, so that everybody would get the "
        "lock: lock in a table only (lock mode dynamodb), or use another store"
    )
    assert result["changed"] and result["changes"][0]["facet"] == "existence", "it says what was done before"
    assert (store.bucket.tags, store.bucket.objects) == ({TAG: "unsupported"}, [])
    again = store.run()
    assert (again["failed"], again["changed"], again["changes"]) == (True, False, [])
    (result, writes) = store.writes_of(check_mode=True)
    assert "the last test found that the store does not support lock files" in result["msg"]
    assert (result["failed"], result["changed"], writes) == (True, False, [])


def test_a_store_that_was_upgraded_is_tested_again(store: Store) -> None:
    store.run()
    store.bucket.tags[TAG] = "unsupported"
    result = store.run(tags={"team": "core"}, purge_tags=True)
    assert not result.get("failed") and store.bucket.tags == {"team": "core", TAG: "supported"}
    assert not store.run(tags={"team": "core"}, purge_tags=True)["changed"], "purging leaves the record"


def test_a_store_that_refuses_the_condition_is_no_place_for_lock_files(store: Store) -> None:
    store.relay.on("PutObject", reply=error("NotImplemented", 501), times=math.inf)
    assert "the store does not support If-None-Match: lock in a table only" in store.run()["msg"]
    assert store.bucket.tags == {TAG: "unsupported"}


def test_what_a_probe_may_not_write_fails_the_task_and_records_nothing(store: Store) -> None:
    store.relay.on("PutObject", reply=error("AccessDenied", 403), times=math.inf)
    result = store.run()
    assert result["failed"] and "needs s3:PutObject" in result["msg"] and store.bucket.tags == {}


def test_without_tags_each_run_tests(store: Store) -> None:
    for _unused in range(2):
        result, writes = store.writes_of(unmanaged=["tags"])
        assert not result.get("failed") and "PutObject" in writes
    assert (result["changed"], store.bucket.tags) == (False, {})


def test_a_record_that_cannot_be_written_is_warned_of(store: Store) -> None:
    store.relay.on("PutBucketTagging", reply=error("AccessDenied", 403), times=math.inf)
    result = store.run()
    assert not result.get("failed") and TAG not in result["bucket"]["tags"]
    assert any("is not recorded in its tags" in each and "s3:PutBucketTagging" in each for each in result["warnings"])


@pytest.mark.parametrize("kept", range(8))
def test_what_a_killed_run_has_left_is_removed_by_the_next_one(store: Store, kept: int) -> None:
    store.run(probe_lock_files=False)
    left = kept

    def die(call: Call, proceed: Proceed) -> Answer:
        nonlocal left
        if left == 0:
            raise Killed
        left -= call.is_write
        return proceed()

    store.relay.use_first(die)
    with pytest.raises(Killed):
        store.run()
        raise Killed  # it ended before
    store.relay.drop_first()
    result = store.run()
    assert not result.get("failed") and (store.bucket.tags, store.bucket.objects) == ({TAG: "supported"}, [])


@pytest.mark.parametrize("nth", range(1, 8))
@pytest.mark.parametrize("ignores", [False, True])
def test_a_run_that_removes_the_probe_of_another_one_does_not_mislead_it(store: Store, nth: int, ignores: bool) -> None:
    store.run(probe_lock_files=False)
    if ignores:
        store.ignores_conditions()
    seen = 0

    def cleaned(call: Call, proceed: Proceed) -> Answer:
        nonlocal seen
        answer = proceed()
        seen += call.name in ("PutObject", "DeleteObject")
        if seen == nth:
            store.bucket.objects = [each for each in store.bucket.objects if not each["Key"].startswith(PREFIX)]
            seen += 1
        return answer

    store.relay.use_first(cleaned)
    assert bool(store.run().get("failed")) is ignores


def test_lost_replies_do_not_mislead_it(store: Store) -> None:
    store.relay.on("PutObject", reply=lose_reply, times=3)
    assert not store.run().get("failed")


def test_aws_gets_no_further_request(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.run(probe_lock_files=False)
    calls = len(store.relay.calls)
    store.run(probe_lock_files=False)
    without = [call.name for call in store.relay.calls[calls:]]
    monkeypatch.setattr(Aws, "is_aws", lambda _aws, _service: True)
    calls = len(store.relay.calls)
    assert not store.run()["changed"]
    assert sorted(call.name for call in store.relay.calls[calls:]) == sorted(without)


@pytest.mark.parametrize(
    ("endpoint", "environment", "is_aws"),
    [
        (None, {}, True),
        (None, {"AWS_USE_FIPS_ENDPOINT": "true"}, True),
        (None, {"AWS_USE_DUALSTACK_ENDPOINT": "true"}, True),
        ("https://s3.eu-west-1.amazonaws.com", {}, True),
        ("https://bucket.vpce-1a2b3c4d-5e6f.s3.eu-west-1.vpce.amazonaws.com", {}, True),
        ("https://s3-fips.dualstack.us-gov-west-1.amazonaws.com", {}, True),
        ("https://s3.cn-north-1.amazonaws.com.cn", {}, True),
        ("https://minio.example.com:9000", {}, False),
        ("https://amazonaws.com.example.com", {}, False),
        (None, {"AWS_ENDPOINT_URL_S3": "https://minio.example.com"}, False),
    ],
)
def test_an_endpoint_of_aws_is_known_as_one(
    endpoint: str | None, environment: dict[str, str], is_aws: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    connection = Connection("eu-west-1", access_key="a", secret_key="b", endpoint_url=endpoint)
    assert is_of_aws(client_of(session_of(connection), "s3", connection)) is is_aws


@pytest.mark.parametrize(("mode", "probes"), [(None, False), ("both", False), ("lockfile", True), ("dynamodb", False)])
def test_the_role_asks_for_it_where_clients_lock_by_files_alone(mode: str | None, probes: bool) -> None:
    values = {"terraform_backend_lock_mode": mode} if mode else {}
    assert role_variables.arguments("bucket", values).get("probe_lock_files", False) is probes
    switched_off = {**values, "terraform_backend_bucket_probe_lock_files": False}
    assert role_variables.arguments("bucket", switched_off)["probe_lock_files"] is False


def test_a_step_tests_another_store_once(any_backend: Backend) -> None:
    before = any_backend.versions
    foreseen = any_backend.task("both", check_mode=True, probe=None)
    result = any_backend.task("both", probe=None)
    assert (foreseen["changed"], foreseen["probe"]) == (True, None)
    assert (result["changed"], result["probe"], any_backend.versions) == (True, GOOD, before)
    writes = len(any_backend.relay.writes)
    again = any_backend.task("both", probe=None)
    assert (again["changed"], again["probe"], len(any_backend.relay.writes)) == (False, None, writes)
    assert any_backend.task("dynamodb", probe=None)["probe"] is None


def test_a_step_for_which_something_is_missing_tests_nothing(any_backend: Backend) -> None:
    any_backend.use("old", "dynamodb")
    writes = len(any_backend.relay.writes)
    assert any_backend.task("lockfile", probe=None)["missing"]
    assert len(any_backend.relay.writes) == writes


def test_a_step_to_lock_files_is_refused_by_what_was_found(any_backend: Backend) -> None:
    any_backend.relay.on("PutObject", reply=_without_condition, times=math.inf)
    result = any_backend.task("both", probe=None)
    assert result["failed"] and "ignores If-None-Match" in result["missing"][0]
    foreseen = any_backend.task("both", check_mode=True, probe=None)
    assert foreseen["failed"] and "the last test found" in foreseen["missing"][0]
