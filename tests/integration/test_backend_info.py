# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is told of a backend, good and bad, by every emulator."""

from __future__ import annotations

import gzip
import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.client import Aws
from ansible_collections.cornerstone.tfstate.plugins.module_utils._state import listing
from ansible_collections.cornerstone.tfstate.plugins.module_utils._state.inspection import TAIL_BYTES
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import LockInfo, marshal

from tests.integration.module_runs import RunTasks, Task, through_core
from tests.integration.scenarios import deny
from tests.support.emulators import RunningEmulator
from tests.support.relay import Call, Relay, error, then

LINEAGE = "2d29fd45-36f0-4bd9-8a51-76a7a3bd3a56"
SECRET = "a-value-of-a-state-that-nobody-may-see"
NETWORK, BILLING, DEV = "network/terraform.tfstate", "billing/terraform.tfstate", "env:/dev/network/terraform.tfstate"


def state(serial: int = 1, resources: int = 1, padding: int = 0) -> bytes:
    """As Terraform writes it, with as many resources."""
    held = [
        {
            "mode": "managed",
            "type": "terraform_data",
            "name": f"r{place}",
            "instances": [{"schema_version": 0, "attributes": {"input": SECRET + "x" * padding}}],
        }
        for place in range(resources)
    ]
    known = {"version": 4, "terraform_version": "1.11.4", "serial": serial, "lineage": LINEAGE}
    return json.dumps({**known, "outputs": {}, "resources": held, "check_results": None}, indent=2).encode()


def md5(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


@dataclass
class World:
    """A backend, as others fill it and as the module sees it."""

    relay: Relay
    emulator: RunningEmulator
    bucket: str
    table: str

    def __post_init__(self) -> None:
        self.s3, self.dynamodb = self.emulator.client("s3"), self.emulator.client("dynamodb")

    def make(self, key: str = "LockID") -> None:
        self.s3.create_bucket(Bucket=self.bucket)
        self.s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})
        self.dynamodb.create_table(
            TableName=self.table,
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
            KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )

    def put(self, path: str, body: bytes, **more: Any) -> str:
        return str(self.s3.put_object(Bucket=self.bucket, Key=path, Body=body, **more).get("VersionId"))

    def item(self, path: str, **attributes: str) -> None:
        told = {name: {"S": value} for name, value in attributes.items()}
        self.dynamodb.put_item(TableName=self.table, Item={"LockID": {"S": f"{self.bucket}/{path}"}, **told})

    def digest(self, path: str, digest: str) -> None:
        self.item(f"{path}-md5", Digest=digest)

    def as_task(self, check_mode: bool = False, **params: Any) -> Task:
        connection = {"endpoint_url": self.relay.url, "region": "us-east-1", "access_key": "test", "secret_key": "x"}
        asked = {"bucket": self.bucket, "table": self.table, **connection, **params}
        return Task("tf_backend_info", {name: value for name, value in asked.items() if value is not None}, check_mode)

    def look(self, **params: Any) -> dict[str, Any]:
        """What is told. Nothing is ever written, and no value of a state ever shown."""
        before = len(self.relay.calls)
        (result,) = through_core([self.as_task(**params)])
        assert not result.get("failed"), result["msg"]
        assert result["changed"] is False
        assert [call for call in self.relay.calls[before:] if call.is_write] == []
        assert SECRET not in json.dumps(result)
        return dict(result["backend"])

    def status(self) -> dict[str, str]:
        return {each["path"]: each["status"] for each in self.look(gather=["digests"])["digests"]}


def info(path: str, **more: str) -> LockInfo:
    known = {"id": str(uuid4()), "operation": "OperationTypeApply", "info": "", "who": "ann@runner-7"}
    return LockInfo(**{**known, "version": "1.11.4", "created": "2026-01-02T03:04:05.6Z", "path": path, **more})


@pytest.fixture
def backend(emulator: RunningEmulator, relay: Relay, bucket_name: str, table_name: str) -> World:
    return World(relay, emulator, bucket_name, table_name)


@pytest.fixture
def made(backend: World) -> World:
    backend.make()
    return backend


def much_later(call: Call, proceed: Any) -> Any:
    """The clock of AWS, long after all that was written."""
    answer = proceed()
    answer.headers["date"] = "Fri, 01 Jan 2100 00:00:00 GMT"
    return answer


def by_path(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row["path"]: row for row in rows}


def whys(told: dict[str, Any]) -> dict[str, str]:
    return {each["what"]: each["why"] for each in told["unknown"]}


def test_a_whole_backend_is_told(made: World) -> None:
    first = made.put(NETWORK, state(1))
    made.put(NETWORK, state(2, resources=3))
    made.put(DEV, state(5))
    made.digest(NETWORK, md5(state(2, resources=3)))
    lock = info(f"{made.bucket}/{NETWORK}")
    made.item(NETWORK, Info=marshal(lock))
    made.put(f"{NETWORK}.tflock", marshal(lock).encode())
    made.item("x/terraform.tfstate", Info="")
    told = made.look()
    states = by_path(told["states"])
    assert [each["path"] for each in told["states"]] == sorted([NETWORK, DEV])
    network = states[NETWORK]
    assert (network["serial"], network["lineage"], network["terraform_version"]) == (2, LINEAGE, "1.11.4")
    assert (network["resources"], network["data_resources"], network["problem"]) == (3, 0, None)
    assert (network["size"], network["version_count"]) == (len(state(2, resources=3)), 2)
    assert [each["is_latest"] for each in network["versions"]] == [True, False]
    assert network["versions"][1]["version_id"] == first
    assert (states[DEV]["key"], states[DEV]["workspace"]) == (NETWORK, "dev")
    file, table, wedged = told["locks"]
    assert (file["store"], table["store"], wedged["store"]) == ("file", "table", "table")
    assert file["lock_id"] == table["lock_id"] == lock.id
    assert (table["who"], table["client"], table["is_wedged"]) == ("ann@runner-7", "1.11.4", False)
    assert table["age_s"] > 0 <= file["age_s"] < 600
    assert (wedged["path"], wedged["is_wedged"], wedged["problem"]) == ("x/terraform.tfstate", True, "it is empty")
    digests = by_path(told["digests"])
    assert (digests[NETWORK]["status"], digests[DEV]["status"]) == ("match", "missing")
    assert told["bucket"]["exists"] and told["table"]["exists"]
    assert told["bucket"]["versioning"] and told["table"]["billing"]
    assert (told["unknown"], told["orphan_lock_files"]) == ([], [])


def test_each_execution_tells_the_same(made: World, run_tasks: RunTasks) -> None:
    made.put(NETWORK, state())
    task = made.as_task()
    (expected,) = through_core([task])
    (result,) = run_tasks([task])
    assert (result["backend"], result["changed"]) == (expected["backend"], False)


def test_less_is_gathered_by_fewer_requests(made: World) -> None:
    made.put(NETWORK, state())
    made.look(gather=["locks"])
    assert {call.name for call in made.relay.calls} == {
        "GetCallerIdentity",
        "HeadBucket",
        "DescribeTable",
        "ListObjectsV2",
        "Scan",
    }


def test_only_the_ends_of_a_long_state_are_read_if_its_resources_are_not_asked_for(made: World) -> None:
    body = state(9, resources=400, padding=1000)
    made.put(NETWORK, body)
    (told,) = made.look(gather=["states"])["states"]
    assert (told["serial"], told["resources"], told["size"]) == (9, None, len(body))
    ranges = [call.request.headers["range"] for call in made.relay.calls if call.name == "GetObject"]
    assert ranges == ["bytes=0-65535", f"bytes={len(body) - TAIL_BYTES}-{len(body) - 1}"]


def test_keys_choose(made: World) -> None:
    for path in (NETWORK, DEV, BILLING):
        made.put(path, state())
        made.digest(path, md5(state()))
        made.item(path, Info=marshal(info(path)))
    told = made.look(keys=["network/*"])
    for rows in ("states", "locks", "digests"):
        assert {each["path"] for each in told[rows]} == {NETWORK, DEV}


def test_another_bucket_in_the_same_table_is_passed_over(made: World) -> None:
    made.item("../other-bucket/x", Info="{}")
    made.dynamodb.put_item(TableName=made.table, Item={"LockID": {"S": "other-bucket/a"}, "Info": {"S": "{}"}})
    made.dynamodb.put_item(
        TableName=made.table, Item={"LockID": {"S": f"{made.bucket}-2/a-md5"}, "Digest": {"S": "0" * 32}}
    )
    told = made.look()
    assert [each["path"] for each in told["locks"]] == ["../other-bucket/x"]
    assert told["digests"] == []


BAD_STATES = {
    "empty": (b"", "it is empty, which clients treat as no state"),
    "a page": (b"<html></html>", "it is not JSON"),
    "cut off": (state()[:-5], "it is cut off, or not JSON"),
    "zipped": (gzip.compress(state()), "it is not JSON"),
    "deep": (b'{"version": 4, "x": ' + b"[" * 100_000, "it is nested deeper than any state"),
    "other JSON": (b"{}", "it is JSON, but no state: it has no version"),
    "of the future": (state().replace(b'"version": 4', b'"version": 9'), "a newer client wrote it"),
}


def test_bad_states_are_told_one_by_one(made: World) -> None:
    for name, (body, _unused) in BAD_STATES.items():
        made.put(f"{name}.tfstate", body)
    told = by_path(made.look()["states"])
    for name, (_unused, problem) in BAD_STATES.items():
        row = told[f"{name}.tfstate"]
        assert problem in row["problem"] and row["is_readable"] is False
        assert (row["lineage"], row["serial"]) == (None, None)


OTHERS = {
    "app.js.map": b'{"version":3,"sources":[],"mappings":""}',
    "c.zip": b"PK\x03\x04",
    "package.json": b'{"name": "app", "version": "1.0.0"}',
    "README.md": b"# States",
    "long.zip": b"PK" * 100_000,
}
#: By name, by what they begin with, by their lock, their digest, and their workspace.
TAKEN_FOR_STATES = {
    "a.tfstate": b"?",
    "begins": b' {"version',
    "empty": b"",
    "locked": b"?",
    "digested": b"?",
    "env:/dev/x": b"?",
}


def test_what_is_no_state_is_told_apart_and_not_read_on(made: World) -> None:
    for name, body in {**OTHERS, **TAKEN_FOR_STATES}.items():
        made.put(name, body)
    made.put("locked.tflock", marshal(info("x")).encode())
    made.digest("digested", md5(b"?"))
    told = made.look()
    assert told["others"] == sorted(OTHERS)
    assert {path: each["is_readable"] for path, each in by_path(told["states"]).items()} == dict.fromkeys(
        TAKEN_FOR_STATES, False
    )
    assert not {*by_path(told["digests"])} & {*OTHERS}
    reads = [call for call in made.relay.calls if call.params.get("Key") == "long.zip" and call.name == "GetObject"]
    assert [call.request.headers["range"] for call in reads] == ["bytes=0-65535"]


def test_a_long_state_is_read_in_pieces(made: World) -> None:
    """`python -m tests.benchmark.contents --states 1 --megabytes 200` takes the same pieces ten times over."""
    body = state(3, resources=20, padding=1_000_000)
    made.put(NETWORK, body)
    made.digest(NETWORK, md5(body))
    told = made.look()
    assert (told["states"][0]["resources"], told["states"][0]["problem"]) == (20, None)
    assert told["digests"][0]["status"] == "match"


DENIED = "User is not authorized to perform: kms:Decrypt on the resource"


def denied_object(call: Call, proceed: Any) -> Any:
    is_it = call.params.get("Key") == BILLING
    return error("AccessDenied", 403, DENIED)(call, proceed) if is_it else proceed()


def test_a_state_whose_key_is_denied_is_unknown_and_hides_no_other(made: World) -> None:
    for path in (NETWORK, BILLING):
        made.put(path, state())
        made.digest(path, md5(state()))
    made.relay.on("GetObject", reply=denied_object, times=math.inf)
    made.relay.on("HeadObject", reply=denied_object, times=math.inf)
    told = made.look()
    states, digests = by_path(told["states"]), by_path(told["digests"])
    assert "needs kms:Decrypt on its KMS key" in states[BILLING]["problem"]
    assert (states[BILLING]["serial"], states[NETWORK]["serial"]) == (None, 1)
    assert (states[BILLING]["is_readable"], states[NETWORK]["is_readable"]) == (None, True)
    assert (digests[BILLING]["status"], digests[NETWORK]["status"]) == ("unknown", "match")
    assert BILLING in whys(told)["states"] and BILLING in whys(told)["digests"]


def test_a_table_of_another_key_holds_nothing_that_counts(backend: World) -> None:
    backend.make(key="id")
    backend.put(NETWORK, state())
    told = backend.look()
    assert told["table"]["key"] == {"id": "S HASH"}
    assert "has the key id (S HASH), not LockID" in whys(told)["table.items"]
    assert (told["locks"], told["digests"]) == ([], None)


def test_without_permission_to_list_nothing_is_taken_for_absent(made: World) -> None:
    made.put(NETWORK, state())
    made.digest(NETWORK, md5(state()))
    made.digest(BILLING, md5(state()))
    made.relay.on("ListObjectsV2", reply=error("AccessDenied", 403), times=math.inf)
    made.relay.on("HeadBucket", reply=error("AccessDenied", 403), times=math.inf)
    made.relay.on("ListObjectVersions", reply=error("AccessDenied", 403), times=math.inf)
    made.relay.on("HeadObject", reply=denied_object, times=math.inf)
    told = made.look()
    assert (told["bucket"]["exists"], told["states"], told["orphan_lock_files"]) == (None, None, None)
    assert told["bucket"]["versioning"]
    assert "needs s3:ListBucket" in whys(told)["states"]
    assert {path: row["status"] for path, row in by_path(told["digests"]).items()} == {
        NETWORK: "match",
        BILLING: "unknown",
    }


def test_what_no_run_writes_is_told_beside_the_facets(made: World) -> None:
    ttl = {"Enabled": True, "AttributeName": "expires"}
    made.dynamodb.update_time_to_live(TableName=made.table, TimeToLiveSpecification=ttl)
    told = made.look(gather=["settings"])
    assert (told["bucket"]["mfa_delete"], told["table"]["time_to_live"]) == (False, "expires")
    versioning = [call for call in made.relay.calls if call.name == "GetBucketVersioning"]
    assert len(versioning) == 1
    deny(made.relay, "DescribeTimeToLive")
    told = made.look(gather=["settings"])
    assert told["table"]["time_to_live"] is None
    assert "needs dynamodb:DescribeTimeToLive" in whys(told)["table.time_to_live"]


def test_a_facet_that_is_denied_is_null_and_named(made: World) -> None:
    deny(made.relay, "GetBucketPolicy", "DescribeContinuousBackups")
    told = made.look()
    assert (told["bucket"]["policy"], told["table"]["recovery"]) == (None, None)
    assert "needs s3:GetBucketPolicy" in whys(told)["bucket.policy"]
    assert "needs dynamodb:DescribeContinuousBackups" in whys(told)["table.recovery"]


def test_a_denied_table_hides_no_lock_file(made: World) -> None:
    made.put(f"{NETWORK}.tflock", marshal(info(NETWORK)).encode())
    deny(made.relay, "Scan")
    told = made.look()
    assert [each["store"] for each in told["locks"]] == ["file"]
    assert told["digests"] is None
    assert "needs dynamodb:Scan" in whys(told)["table.items"]


def test_versions_that_are_denied_are_unknown(made: World) -> None:
    made.put(NETWORK, state())
    made.digest(BILLING, "0" * 32)
    made.relay.on("ListObjectVersions", reply=error("AccessDenied", 403), times=math.inf)
    told = made.look()
    assert told["states"][0]["versions"] is None
    assert "needs s3:ListBucketVersions" in whys(told)["versions"]
    assert told["usage"] is None
    assert by_path(told["digests"])[BILLING]["status"] == "unknown"


def test_a_missing_table_is_missing(made: World) -> None:
    made.put(NETWORK, state())
    told = made.look(table=f"{made.table}-no")
    assert (told["table"]["exists"], told["locks"], told["unknown"]) == (False, [], [])


def test_a_missing_bucket_makes_no_digest_an_orphan(backend: World) -> None:
    backend.make()
    backend.digest(NETWORK, "0" * 32)
    backend.item(NETWORK, Info=marshal(info(NETWORK)))
    backend.s3.delete_bucket(Bucket=backend.bucket)
    told = backend.look()
    assert (told["bucket"]["exists"], told["states"], told["usage"]["version_count"]) == (False, [], 0)
    assert [each["status"] for each in told["digests"]] == ["unknown"]
    assert [each["who"] for each in told["locks"]] == ["ann@runner-7"]


def test_without_a_table_there_are_files_alone(made: World) -> None:
    made.put(NETWORK, state())
    told = made.look(table=None)
    assert (told["table"], told["digests"], told["unknown"]) == (None, [], [])
    assert [each["path"] for each in told["states"]] == [NETWORK]


def test_digests_are_told_apart(made: World) -> None:
    old = made.put("overwritten", state(1))
    made.put("overwritten", state(2))
    made.digest("overwritten", md5(state(1)))
    made.put("corrupt", state(1))
    made.digest("corrupt", "f" * 32)
    made.put("upper", state(1))
    made.digest("upper", md5(state(1)).upper())
    kept = made.put("deleted", state(1))
    made.s3.delete_object(Bucket=made.bucket, Key="deleted")
    made.digest("deleted", md5(state(1)))
    made.digest("orphan", md5(state(1)))
    made.put("malformed", state(1))
    made.digest("malformed", "no digest")
    made.put("bare", state(1))
    made.put("empty", b"")
    made.digest("empty", md5(b""))
    made.put("running", state(2))
    made.digest("running", md5(state(1)))
    made.item("running", Info=marshal(info("running")))
    made.put("by file", state(2))
    made.digest("by file", md5(state(1)))
    made.put("by file.tflock", marshal(info("by file")).encode())
    told = made.look()
    digests = by_path(told["digests"])
    assert {path: row["status"] for path, row in digests.items()} == {
        "bare": "missing",
        "by file": "in_progress",
        "corrupt": "mismatch",
        "deleted": "deleted",
        "empty": "mismatch",
        "malformed": "malformed",
        "orphan": "orphan",
        "overwritten": "mismatch",
        "running": "in_progress",
        "upper": "match",
    }
    assert digests["overwritten"]["matches_version"] == old
    assert digests["overwritten"]["actual"] == md5(state(2))
    assert digests["corrupt"]["matches_version"] is None
    assert digests["deleted"]["matches_version"] == kept
    assert digests["empty"]["actual"] is None
    deleted = by_path(told["states"])["deleted"]
    assert (deleted["is_deleted"], deleted["size"], deleted["version_count"]) == (True, None, 2)


def test_a_digest_that_arrives_while_we_look_is_a_match(made: World) -> None:
    made.put(NETWORK, state(2))
    made.digest(NETWORK, md5(state(1)))
    made.relay.on("Scan", reply=then(lambda call: made.digest(NETWORK, md5(state(2)))))
    assert made.status() == {NETWORK: "match"}


def test_a_digest_of_a_young_state_is_waited_for_as_long_as_clients_do(
    made: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.put(NETWORK, state(2))
    made.digest(NETWORK, md5(state(1)))
    waited = []

    def rest(_aws: Aws, seconds: float) -> None:
        waited.append(seconds)
        made.digest(NETWORK, md5(state(2)))

    monkeypatch.setattr(Aws, "rest", rest)
    assert made.status() == {NETWORK: "match"}
    assert waited == [12]


def test_a_digest_of_an_old_state_is_not_waited_for(made: World, monkeypatch: pytest.MonkeyPatch) -> None:
    made.put(NETWORK, state(2))
    made.digest(NETWORK, md5(state(1)))
    monkeypatch.setattr(Aws, "rest", lambda _aws, seconds: pytest.fail("it waited"))
    made.relay.use(much_later)
    assert made.status() == {NETWORK: "mismatch"}


def test_a_mismatch_is_looked_at_again_before_it_is_told(made: World) -> None:
    """Both the state, to its end, and the digest, read so as to see the last write."""
    made.put(NETWORK, state(2))
    made.digest(NETWORK, md5(state(1)))
    made.status()
    again = [
        call for call in made.relay.calls if call.name == "GetItem" and call.params["Key"]["LockID"]["S"][-3:] == "md5"
    ]
    assert again and all(call.params["ConsistentRead"] for call in again)
    assert "GetObject" in made.relay.operations


def test_a_state_that_is_written_while_we_look_is_no_mismatch(made: World) -> None:
    made.put(NETWORK, state(1))
    made.digest(NETWORK, md5(state(2)))
    made.relay.on("HeadObject", reply=then(lambda call: made.put(NETWORK, state(2))))
    assert made.status() == {NETWORK: "match"}


def test_an_etag_of_parts_is_no_md5(made: World) -> None:
    body = state(1, resources=7, padding=1_000_000)
    upload = made.s3.create_multipart_upload(Bucket=made.bucket, Key=NETWORK)["UploadId"]
    where = {"Bucket": made.bucket, "Key": NETWORK, "UploadId": upload}
    cuts = [body[: 5 << 20], body[5 << 20 :]]
    parts = [
        {"PartNumber": number, "ETag": made.s3.upload_part(**where, PartNumber=number, Body=cut)["ETag"]}
        for number, cut in enumerate(cuts, start=1)
    ]
    made.s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    made.digest(NETWORK, md5(body))
    assert made.status() == {NETWORK: "match"}


@pytest.mark.parametrize("gather", [["digests"], ["states", "digests"]], ids="-".join)
def test_an_etag_of_kms_is_no_md5(made: World, gather: list[str]) -> None:
    """The emulators give every ETag as the MD5; AWS does not with KMS, so here it says something else."""
    body = state(resources=400, padding=1000)
    made.put(NETWORK, body)
    made.digest(NETWORK, "0" * 32)

    def by_kms(call: Call, proceed: Any) -> Any:
        answer = proceed()
        answer.headers["etag"] = f'"{"0" * 32}"'
        answer.headers["x-amz-server-side-encryption"] = "aws:kms"
        return answer

    for operation in ("HeadObject", "GetObject"):
        made.relay.on(operation, reply=by_kms, times=math.inf)
    (told,) = made.look(gather=gather)["digests"]
    assert (told["status"], told["actual"]) == ("mismatch", md5(body))


def test_a_lock_file_without_its_state_is_an_orphan_once_it_is_old(made: World) -> None:
    made.put(f"{NETWORK}.tflock", marshal(info(NETWORK)).encode())
    assert made.look()["orphan_lock_files"] == []
    made.relay.use(much_later)
    told = made.look()
    assert told["orphan_lock_files"] == [NETWORK]
    assert told["locks"][0]["age_s"] > 3600


def test_wedged_locks_are_told(made: World) -> None:
    made.put(f"{NETWORK}.tflock", b"not JSON")
    made.put(f"{BILLING}.tflock", b"")
    made.item(NETWORK)
    told = [(each["path"], each["store"], each["is_wedged"], each["problem"]) for each in made.look()["locks"]]
    assert told == [
        (BILLING, "file", True, "it is empty"),
        (NETWORK, "file", True, "it is not JSON"),
        (NETWORK, "table", True, "it has no Info"),
    ]


def test_many_pages_are_read_to_the_end(made: World) -> None:
    for place in range(7):
        made.put(f"s{place}", state(place))
        made.put(f"s{place}", state(place + 1))

    def small(call: Call, proceed: Any) -> Any:
        call.request.head[0] = call.request.head[0].replace(b"?", b"?max-keys=3&", 1)
        return proceed()

    made.relay.on("ListObjectsV2", reply=small, times=math.inf)
    made.relay.on("ListObjectVersions", reply=small, times=math.inf)
    told = made.look(max_versions=1)["states"]
    assert [each["serial"] for each in told] == list(range(1, 8))
    assert {(each["version_count"], len(each["versions"])) for each in told} == {(2, 1)}
    pages = [call.name for call in made.relay.calls]
    assert (pages.count("ListObjectsV2"), pages.count("ListObjectVersions")) == (3, 5)


def test_where_there_are_too_many_versions_the_rest_is_unknown(made: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in ("a", "b", "c"):
        made.put(path, state())
    monkeypatch.setattr(listing, "MOST_PAGES", 2)

    def single(call: Call, proceed: Any) -> Any:
        call.request.head[0] = call.request.head[0].replace(b"?", b"?max-keys=1&", 1)
        return proceed()

    made.relay.on("ListObjectVersions", reply=single, times=math.inf)
    told = made.look()
    counts = {each["path"]: each["version_count"] for each in told["states"]}
    assert (counts["a"], counts["c"]) == (1, None)
    assert "name keys from" in whys(told)["versions"]
    assert told["usage"] is None


def test_what_lies_there_and_was_written_lately_is_counted_with_lock_files(made: World) -> None:
    lock = marshal(info(NETWORK)).encode()
    for serial in range(3):
        made.put(f"{NETWORK}.tflock", lock)
        made.put(NETWORK, state(serial))
        made.s3.delete_object(Bucket=made.bucket, Key=f"{NETWORK}.tflock")
    told = made.look(gather=["usage"])
    assert told["usage"] == {
        "current_bytes": len(state()),
        "noncurrent_bytes": 2 * len(state()) + 3 * len(lock),
        "version_count": 9,
        "state_writes": 3,
        "lock_writes": 3,
        "state_puts": 3,
        "multipart_writes": 0,
    }
    assert {call.name for call in made.relay.calls} == {
        *("GetCallerIdentity", "HeadBucket", "DescribeTable", "ListObjectVersions"),
    }
    assert isinstance(told["table"]["size_bytes"], int)
    made.relay.use(much_later)
    later = made.look(gather=["versions", "usage"])["usage"]
    assert (later["version_count"], later["state_writes"], later["lock_writes"]) == (9, 0, 0)


def test_a_part_of_a_backend_is_no_usage(made: World) -> None:
    made.put(NETWORK, state())
    assert made.look(keys=["network/*"])["usage"] is None


def test_another_account_is_told_before_anything_is_read(made: World) -> None:
    (result,) = through_core([made.as_task(account_id="999999999999")])
    assert result["failed"] and "but these credentials belong to account" in result["msg"]
    assert [call.name for call in made.relay.calls] == ["GetCallerIdentity"]
