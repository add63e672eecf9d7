# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A state under a name that is not quite its own: every module takes it for the one that it can only be, or fails."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Target
from ansible_collections.cornerstone.tfstate.plugins.module_utils._state import state_lookup
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.scope import Scope
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.state_name import most_similar

from tests.integration.module_runs import Task, through_core
from tests.integration.moves import KEY as ONE
from tests.integration.moves import World, md5, refused, state
from tests.support.relay import error
from tests.unit.plugins.module_utils.fake_versions import changing

QA = f"env:/qa/{ONE}"
CAFE = unicodedata.normalize("NFC", "café/one.tfstate")
#: Besides key and workspace, what each module is asked for. tf_state_move has options of its own.
MODULES: dict[str, tuple[str, dict[str, Any]]] = {
    "release": ("tf_state_lock", {"state": "released", "older_than": "0"}),
    "hold": ("tf_state_lock", {"state": "held", "lock_id": "ours"}),
    "digest": ("tf_state_digest", {}),
    "no digest": ("tf_state_digest", {"state": "absent"}),
    "undelete": ("tf_state_version", {"state": "undeleted"}),
    "restore": ("tf_state_version", {"state": "restored", "version_id": "{version}"}),
    "compare": ("tf_state_version", {"state": "compared", "version_id": "{version}"}),
}
ONLY_ONE: dict[str, tuple[str, str, str]] = {
    "Path": ("{bucket}/" + ONE, "default", ONE),
    "Path of a workspace": ("{bucket}/" + QA, "default", QA),
    "Path of a workspace that is named as well": ("{bucket}/" + QA, "qa", QA),
    "path of a workspace that is named as well": (QA, "qa", QA),
    "URL": ("s3://{bucket}/" + ONE, "default", ONE),
    "URL of a workspace": ("s3://{bucket}/" + QA, "default", QA),
    "lock file": (f"{ONE}.tflock", "default", ONE),
    "URL of a lock file": ("s3://{bucket}/" + QA + ".tflock", "qa", QA),
    "digest": (f"{ONE}-md5", "default", ONE),
    "LockID of a digest": ("{bucket}/" + ONE + "-md5", "default", ONE),
    "URL of a version": ("s3://{bucket}/" + ONE + "?versionId=a.b_c", "default", ONE),
    "URL in capitals": ("S3://{bucket}/" + ONE, "default", ONE),
    "as in a URL": ("{bucket}%2F" + ONE.replace("/", "%2F"), "default", ONE),
    "as in a URL, of a workspace": (QA.replace(":", "%3A"), "default", QA),
    "slash": (f"/{ONE}", "default", ONE),
    "slash and bucket": ("/{bucket}/" + ONE, "default", ONE),
}
#: What is told of it.
WRONG: dict[str, tuple[str, str, str]] = {
    "another bucket": ("s3://other/" + ONE, "default", "names the bucket other, not {bucket}"),
    "a bucket": ("s3://{bucket}", "default", "names a bucket and no state"),
    "another workspace": (QA, "dev", "names the workspace qa, not dev"),
    "case": (ONE.upper(), "default", f"this is meant: key: {ONE}"),
    "normal form": (
        unicodedata.normalize("NFD", CAFE),
        "default",
        "this is meant: key: caf%C3%A9/one.tfstate, key_is_url_encoded: true",
    ),
    "typo": (ONE.replace("tfstate", "tfsate"), "default", f"this is meant: key: {ONE}"),
    "ending missing": (ONE.removesuffix(".tfstate"), "default", f"this is meant: key: {ONE}"),
    "typo in a Path": ("{bucket}/" + ONE.replace("app", "appp"), "default", f"this is meant: key: {ONE}"),
    "workspace": (ONE, "qaa", f"this is meant: key: {ONE}, workspace: qa"),
    "workspace that cannot exist": (ONE, "feature/x", "workspace 'feature/x' cannot exist"),
}
DENIED = error("AccessDenied", 403)


@pytest.fixture
def tell(world: World) -> Callable[..., Any]:
    """A backend with three states, each locked by a client."""
    for key in (ONE, QA, CAFE):
        world.new.put(state(), key)

    def run(asked: str, key: str, workspace: str = "default", check_mode: bool = False, **more: Any) -> Any:
        module, options = MODULES[asked]
        given = {"endpoint_url": world.relay.url, "access_key": "test", "secret_key": "test", "workspace": workspace}
        given |= {"region": world.new.region, "bucket": world.new.bucket, "table": world.new.table}
        version = world.new.versions(QA if "qa" in key + workspace else ONE)[0][0]
        options = {name: value.format(version=version) for name, value in options.items()}
        world.relay.calls.clear()
        params = {**given, **options, "key": key.format(bucket=world.new.bucket), **more}
        (result,) = through_core([Task(module, params, check_mode)])
        return result

    return run


def foreseen(tell: Callable[..., Any], *asked: str, **more: Any) -> Any:
    """The result, which check mode foretells."""
    planned, result = (tell(*asked, check_mode=check_mode, **more) for check_mode in (True, False))
    for name in ("failed", "changed", "path", "warnings"):
        assert planned.get(name) == result.get(name)
    return result


@pytest.mark.parametrize("asked", MODULES)
@pytest.mark.parametrize(("key", "workspace", "path"), ONLY_ONE.values(), ids=list(ONLY_ONE))
def test_a_key_that_can_only_mean_one_state_means_it(
    world: World, tell: Callable[..., Any], asked: str, key: str, workspace: str, path: str
) -> None:
    if asked == "release":
        world.new.lock(path)
    if asked == "digest":
        world.new.put(state(5), path, digest=False)
    result = foreseen(tell, asked, key, workspace)
    assert not result.get("failed"), result["msg"]
    assert (result.get("path", path), path in result["msg"]) == (path, True) or asked == "compare"
    is_told = [each for each in result.get("warnings", []) if each.endswith(f"taken for {path}")]
    assert bool(is_told) == (key[0] != "/" or "bucket" in key) or asked == "compare"
    assert bool(world.new.locks(path)) == (asked == "hold")
    if asked == "digest":
        assert world.new.digest(path) == md5(state(5))


@pytest.mark.parametrize("asked", MODULES)
@pytest.mark.parametrize(("key", "workspace", "said"), WRONG.values(), ids=list(WRONG))
def test_any_other_wrong_name_fails_and_nothing_is_written(
    world: World, tell: Callable[..., Any], asked: str, key: str, workspace: str, said: str
) -> None:
    world.new.lock(ONE)
    for check_mode in (True, False):
        result = tell(asked, key, workspace, check_mode)
        assert result.get("failed") and not result["changed"], result
        assert said.format(bucket=world.new.bucket) in result["msg"]
    assert world.relay.writes == []
    assert world.relay.calls == [] or "cannot exist" not in said


MOVED: dict[str, str] = {
    "Path": "{bucket}/" + ONE,
    "URL": "s3://{bucket}/" + ONE,
    "lock file": f"{ONE}.tflock",
    "digest": f"{ONE}-md5",
    "case": ONE.upper(),
    "typo": ONE.replace("app", "aap"),
}


@pytest.mark.parametrize("key", MOVED.values(), ids=list(MOVED))
def test_a_move_names_the_state_that_may_be_meant_and_moves_nothing(world: World, key: str) -> None:
    """Its key is also written, so that it is not taken for another one."""
    world.old.put(state())
    asked = key.format(bucket=world.old.bucket)
    refused(world, f"perhaps this is meant: key: {ONE}", source_key=asked)


KEYS_OF_MOVES = {
    "slash": ({"source_key": f"/{ONE}"}, f"source_key '/{ONE}' must be a path without a slash at either end"),
    "URL of the destination": ({"key": f"s3://x/{ONE}", "source_key": ONE}, "is a URL: give the path in the bucket"),
    "URL of another bucket": ({"source_key": f"s3://x/{ONE}"}, "names the bucket x, not "),
}


@pytest.mark.parametrize(("keys", "said"), KEYS_OF_MOVES.values(), ids=list(KEYS_OF_MOVES))
def test_a_move_refuses_keys_of_other_forms(world: World, keys: dict[str, str], said: str) -> None:
    world.old.put(state())
    refused(world, said, **keys)


def test_a_move_to_a_key_that_looks_copied_is_warned_of(world: World) -> None:
    world.old.put(state())
    key = f"{world.new.bucket}/{ONE}"
    assert any("copied" in each for each in world.moved(source_key=ONE, key=key)["warnings"])
    assert world.new.bodies(key) == [state()]


@pytest.mark.parametrize("key", ["{bucket}/" + ONE, f"{ONE}.tflock", f"{ONE}-md5"])
def test_a_state_that_has_such_a_key_wins(world: World, tell: Callable[..., Any], key: str) -> None:
    own = key.format(bucket=world.new.bucket)
    world.new.put(state(9), own, digest=False)
    result = tell("release", key)
    assert (result["path"], result["warnings"]) == (own, [])


def test_a_lock_without_a_state_is_found_by_its_path(world: World, tell: Callable[..., Any]) -> None:
    world.new.lock("new/one.tfstate")
    assert tell("release", "{bucket}/new/one.tfstate")["changed"]
    assert world.new.locks("new/one.tfstate") == []


@pytest.mark.parametrize("asked", ["release", "hold"])
def test_a_state_that_only_its_lock_in_the_table_tells_of_is_compared(
    world: World, tell: Callable[..., Any], asked: str
) -> None:
    """A client that locks in the table alone was killed in its first apply."""
    world.new.lock("other/main.tfstate")
    result = foreseen(tell, asked, "other/mian.tfstate")
    assert result.get("failed") and "perhaps this is meant: key: other/main.tfstate" in result["msg"]


def test_what_may_not_be_scanned_is_told_and_fails_nothing(world: World, tell: Callable[..., Any]) -> None:
    world.relay.on("Scan", reply=error("AccessDeniedException", 400), times=math.inf)
    result = tell("release", "other/main.tfstate")
    assert not result.get("failed") and "could not be compared" in result["warnings"][0]
    assert "dynamodb:Scan" in result["warnings"][0]
    assert tell("release", "{bucket}/other/main.tfstate").get("failed")


def test_names_of_any_length_are_compared_at_once() -> None:
    scope = Scope(Target("tf-state", "eu-west-1"))
    keys = ["a" * 450 + str(number) + "b" * 450 for number in range(1000)]
    assert most_similar(scope, ["b" * 450 + "a" * 450], keys) == []
    assert most_similar(scope, [keys[7].upper()], keys) == [keys[7]]


def test_a_state_that_is_new_can_be_locked(world: World, tell: Callable[..., Any]) -> None:
    result = foreseen(tell, "hold", "other/main.tfstate")
    assert result["changed"] and "there is no state other/main.tfstate in" in result["warnings"][0]
    near = ONE.replace("app", "aap")
    assert "allow: [new_state] permits it" in tell("hold", near)["msg"]
    result = foreseen(tell, "hold", near, allow=["new_state"])
    assert result["changed"] and f"perhaps this is meant: key: {ONE}" in result["warnings"][0]
    assert world.new.locks(near)


def test_without_state_lock_or_digest_a_release_is_warned_of(tell: Callable[..., Any]) -> None:
    result = foreseen(tell, "release", "other/main.tfstate")
    assert not result["changed"] and "check key and workspace" in result["warnings"][0]


@pytest.mark.parametrize("asked", ["release", "hold"])
def test_a_deleted_state_and_a_lost_one_are_known_by_version_and_digest(
    world: World, tell: Callable[..., Any], asked: str
) -> None:
    world.new.put(state(), "app/terraform.tfstat", digest=False)
    world.new.s3.delete_object(Bucket=world.new.bucket, Key="app/terraform.tfstat")
    world.new.put(state(), "app/terraform.tfstates")
    world.new.s3.delete_object(Bucket=world.new.bucket, Key="app/terraform.tfstates")
    for key in ("app/terraform.tfstat", "app/terraform.tfstates"):
        result = tell(asked, key)
        assert (result.get("failed", False), result["warnings"]) == (False, [])


@pytest.mark.parametrize("prefix", ["", "ap"])
def test_what_may_not_be_listed_is_unknown_and_fails_nothing(
    world: World, tell: Callable[..., Any], prefix: str
) -> None:
    def denied(call: Any, proceed: Any) -> Any:
        is_known = prefix and call.call.params["Prefix"].startswith(ONE.upper())
        return proceed() if is_known else DENIED(call, proceed)

    world.relay.on("ListObjectsV2", reply=denied, times=math.inf)
    result = tell("release", ONE.upper())
    assert (result.get("failed", False), result["changed"]) == (False, False)
    said = "its name could not be compared" if prefix else "whether there is a state APP/TERRAFORM.TFSTATE is unknown"
    assert said in result["warnings"][0] and "s3:ListBucket" in result["warnings"][0]
    world.new.lock(ONE)
    assert tell("release", "{bucket}/" + ONE)["path"] == ONE


def test_a_big_bucket_is_not_compared_whole(
    world: World, tell: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_lookup, "MOST_PAGES", 2)
    listed = changing(lambda value: {**value, "IsTruncated": True, "NextContinuationToken": "more"})
    world.relay.on("ListObjectsV2", reply=listed, times=math.inf)
    result = tell("release", "other/main.tfstate")
    assert "(only 6 keys were compared)" in result["warnings"][0]
    prefixes = [call.call.params["Prefix"] for call in world.relay.calls if call.name == "ListObjectsV2"]
    assert prefixes == ["other/main.tfstate", "other/", "other/", "", ""]


def test_a_right_key_costs_one_list_of_one_key_at_most(world: World, tell: Callable[..., Any]) -> None:
    def listed(asked: str) -> list[Any]:
        tell(asked, ONE, check_mode=True)
        calls = [call.call.params for call in world.relay.calls if call.name.startswith("List")]
        return [(each["Prefix"], each["MaxKeys"]) for each in calls if "Prefix" in each]

    assert listed("release") == listed("hold") == [(ONE, 1)]
    world.new.lock(ONE)
    assert listed("release") == listed("hold") == listed("digest") == []


def test_names_in_messages_can_be_pasted(world: World, tell: Callable[..., Any]) -> None:
    world.new.put(state(), "app/\x1b[31m{{ x }}.tfstate")
    said = tell("release", "app/\x1b[31m{{ y }}.tfstate")["msg"]
    assert "key: app/%1B%5B31m%7B%7B%20x%20%7D%7D.tfstate, key_is_url_encoded: true" in said
    assert "\x1b" not in said
