# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""States move across accounts and endpoints, and the code is told how the destination encrypts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws import session as _aws_session

from tests.integration.moves import KEY, Place, World, state
from tests.support.emulators import RunningEmulator
from tests.support.relay import Call, Relay

ROLE = "arn:aws:iam::000000000000:role/reads-old-states"


def key_of(call: Call) -> str:
    """The access key that signed it."""
    return str(call.request.headers["authorization"].split("Credential=")[1].split("/")[0])


def keys_by_region(world: World) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for call in world.relay.calls:
        if call.service != "sts":
            found.setdefault(call.region, set()).add(key_of(call))
    return found


def test_the_source_is_reached_in_a_role_of_its_own(on_ministack: World):
    world = on_ministack
    world.old.put(state())
    world.moved(source_assume_role_arn=ROLE, source_access_key="mine", source_secret_key="x", cache_credentials=False)
    assert "AssumeRole" in world.relay.operations
    keys = keys_by_region(world)
    assert keys[world.new.region] == {"test"}
    assert not keys[world.old.region] & {"test", "mine"}


def test_the_source_is_reached_with_a_profile_of_its_own(
    on_ministack: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    world = on_ministack
    world.old.put(state())
    (tmp_path / "credentials").write_text("[theirs]\naws_access_key_id = of-a-profile\naws_secret_access_key = x\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setattr(_aws_session, "_last", None)
    world.moved(source_profile="theirs")
    assert keys_by_region(world) == {world.old.region: {"of-a-profile"}, world.new.region: {"test"}}


def test_each_bucket_has_to_belong_to_its_own_account(on_ministack: World):
    world = on_ministack
    world.old.put(state())
    world.moved(source_account_id="000000000000", check_mode=True)
    owners = {
        call.resource: call.request.headers.get("x-amz-expected-bucket-owner")
        for call in world.relay.calls
        if call.service == "s3"
    }
    assert owners == {world.old.bucket: "000000000000", world.new.bucket: "000000000000"}


@pytest.fixture
def elsewhere(moto: RunningEmulator) -> Iterator[Relay]:
    with Relay(moto.url) as relay:
        yield relay


def test_a_bucket_of_the_same_name_at_another_endpoint_is_another_one(
    on_ministack: World, moto: RunningEmulator, elsewhere: Relay
):
    world = on_ministack
    there = Place(moto, "us-east-1", bucket=world.new.bucket)
    there.put(state())
    asked = {"source_bucket": there.bucket, "source_table": there.table, "source_endpoint_url": elsewhere.url}
    world.moved(**asked)
    assert (world.new.bodies(), len(there.locks()), there.mark()) == ([state()], 2, f"s3://{there.bucket}/{KEY}")
    assert not world.moved(**asked)["changed"]
    assert {call.name for call in elsewhere.calls} >= {"GetObject", "PutObjectTagging"}
