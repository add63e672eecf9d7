# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Each runbook repairs what it is about: the disaster is made, its symptom seen, and the commands of the page typed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import ROOT, RUNBOOKS
from tests.docs.stage import Stage
from tests.end_to_end.drills import BUCKET, OTHER, TABLE, Incident, Reader, Runbook
from tests.end_to_end.terraform import apply
from tests.support.emulators import RunningEmulator
from tests.support.relay import Relay

pytestmark = [pytest.mark.terraform, pytest.mark.slow]

HOLDER_ID = "008fc466-9743-e5aa-475a-7589773aa3fd"


def lock_of_a_killed_apply(incident: Incident) -> str:
    holder = {"ID": HOLDER_ID, "Operation": "OperationTypeApply", "Info": "", "Who": "ci@runner-7", "Version": "1.11.4"}
    holder |= {"Created": "2026-01-02T03:04:05.6Z", "Path": f"{BUCKET}/{incident.path}"}
    return json.dumps(holder, separators=(",", ":"))


def lock_in_table(incident: Incident, text: str | None = None) -> None:
    info = {"Info": {"S": text or lock_of_a_killed_apply(incident)}}
    incident.dynamodb.put_item(TableName=TABLE, Item={**incident.lock_item, **info})
    incident.fills["LOCK_ID"] = seen(r"terraform_backend_unlock_lock_id=([\w:-]+)")


def lock_in_file(incident: Incident, text: str | None = None) -> None:
    body = (text or lock_of_a_killed_apply(incident)).encode()
    incident.s3.put_object(Bucket=BUCKET, Key=f"{incident.path}.tflock", Body=body)
    incident.fills["LOCK_ID"] = seen(r"terraform_backend_unlock_lock_id=([\w:-]+)")


def lock_in_both(incident: Incident) -> None:
    lock_in_table(incident)
    lock_in_file(incident)


def seen(pattern: str) -> Callable[[str], str]:
    """What a person reads from the output of the commands so far."""

    def read(said: str) -> str:
        found = re.findall(pattern, said.replace('"', ""))
        assert found, f"nobody can read {pattern} from\n{said}"
        return str(found[-1])

    return read


def break_the_digest(incident: Incident) -> None:
    incident.dynamodb.put_item(TableName=TABLE, Item={**incident.digest_item, "Digest": {"S": "0" * 32}})


def delete_the_state(incident: Incident) -> None:
    incident.s3.delete_object(Bucket=BUCKET, Key=incident.path)


def remove_a_resource(incident: Incident) -> None:
    incident.fills["VERSION_ID"] = incident.version_id
    incident.terraform("state", "rm", "terraform_data.this", workspace=incident.workspace)


def lose_the_table(incident: Incident) -> None:
    incident.dynamodb.update_table(TableName=TABLE, DeletionProtectionEnabled=False)
    incident.dynamodb.delete_table(TableName=TABLE)


def lose_states(incident: Incident, bucket: str = BUCKET) -> None:
    listed = incident.s3.list_object_versions(Bucket=bucket)
    for each in [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]:
        incident.s3.delete_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])


def unreadable_lock(incident: Incident) -> None:
    lock_in_table(incident, "{not JSON")


def write_past_the_table(incident: Incident) -> None:
    """As a client that locks by files alone does."""
    state = incident.state()
    incident.put({**state, "serial": state["serial"] + 1})


def cut_the_state_off(incident: Incident) -> None:
    incident.s3.put_object(Bucket=BUCKET, Key=incident.path, Body=incident.body()[:-40])


def another_lineage(incident: Incident) -> dict[str, Any]:
    return {**incident.state(), "lineage": "11111111-2222-3333-4444-555555555555", "resources": []}


def push_another_lineage_past_the_table(incident: Incident) -> None:
    incident.put(another_lineage(incident))


def push_another_lineage(incident: Incident) -> None:
    incident.fills["VERSION_ID"] = incident.version_id
    copy = incident.stage.folder / "theirs.tfstate"
    copy.write_text(json.dumps({**another_lineage(incident), "serial": 99}))
    incident.terraform("state", "push", "-force", str(copy))


def delete_twice(incident: Incident) -> None:
    delete_the_state(incident)
    delete_the_state(incident)


def delete_and_create_again(incident: Incident) -> None:
    delete_the_state(incident)
    incident.terraform(*apply())


def delete_all_versions(incident: Incident) -> None:
    for each in incident.s3.list_object_versions(Bucket=BUCKET, Prefix=incident.path)["Versions"]:
        incident.s3.delete_object(Bucket=BUCKET, Key=each["Key"], VersionId=each["VersionId"])


def overwrite_with_garbage(incident: Incident) -> None:
    incident.fills["VERSION_ID"] = incident.version_id
    cut_the_state_off(incident)


def table_with_another_key(incident: Incident) -> None:
    lose_the_table(incident)
    incident.dynamodb.create_table(
        TableName=TABLE,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )


def lose_the_bucket(incident: Incident) -> None:
    incident.keep_copies()
    lose_states(incident)
    incident.s3.delete_bucket(Bucket=BUCKET)


def lose_the_bucket_without_copies(incident: Incident) -> None:
    lose_states(incident)
    incident.s3.delete_bucket(Bucket=BUCKET)


def lose_the_bucket_after_the_copy(incident: Incident) -> None:
    incident.keep_copies()
    incident.terraform(*apply(content="one"))
    lose_states(incident)
    incident.s3.delete_bucket(Bucket=BUCKET)


def lose_the_saved_bucket(incident: Incident) -> None:
    incident.stage.run(["ansible-playbook", "playbooks/backup.yml", "-i", "inventories/mine", "-l", "us-east-1"])
    lose_states(incident)
    incident.s3.delete_bucket(Bucket=BUCKET)


def lose_the_saved_backend(incident: Incident) -> None:
    lose_the_saved_bucket(incident)
    lose_the_table(incident)


@dataclass(frozen=True)
class Disaster:
    """What happens to the backend, and what following the page comes to."""

    happens: Callable[[Incident], None]
    #: The exit code of `terraform plan` afterwards; None: it is not run.
    plan_code: int | None = 1
    workspace: str = "default"
    lock_mode: str = "both"
    #: The page ends with a failure that says this, as a person has to decide.
    ends: str | None = None
    leaves_out: tuple[str, ...] = ()


#: Where neither the bucket nor a table is there to hold a lock.
WITHOUT_FREEZE = (
    r"ansible-playbook cornerstone.tfstate.(freeze|thaw)(.*\\\n)*.*\n",
    r" -e terraform_backend_rebuild_lock_id=\S+",
)
DISASTERS: dict[str, dict[str, Disaster]] = {
    "stuck-lock": {
        "an apply was killed": Disaster(lock_in_both),
        "in the table only": Disaster(lock_in_table),
        "in the lock file only": Disaster(lock_in_file),
        "in another workspace": Disaster(lock_in_both, workspace="qa"),
        "with lock files alone": Disaster(lock_in_file, lock_mode="lockfile"),
        "that cannot be read": Disaster(unreadable_lock),
    },
    "digest-mismatch": {
        "of no version": Disaster(break_the_digest),
        "of the version before": Disaster(write_past_the_table, plan_code=1),
        "in another workspace": Disaster(break_the_digest, workspace="qa"),
        "of clients of the table": Disaster(break_the_digest, lock_mode="dynamodb"),
        "of a state that was cut off": Disaster(cut_the_state_off, ends="cannot be read by a client"),
        "of another lineage": Disaster(push_another_lineage_past_the_table, ends="lineage"),
    },
    "deleted-state": {
        "with a table": Disaster(delete_the_state),
        "twice": Disaster(delete_twice),
        "in another workspace": Disaster(delete_the_state, workspace="qa"),
        "with lock files alone": Disaster(delete_the_state, plan_code=2, lock_mode="lockfile"),
        "that was created again": Disaster(
            delete_and_create_again, plan_code=None, lock_mode="lockfile", ends="lineage"
        ),
        "without a version left": Disaster(delete_all_versions, ends="there is no version"),
    },
    "overwritten-state": {
        "by a removal": Disaster(remove_a_resource, plan_code=2),
        "in another workspace": Disaster(remove_a_resource, plan_code=2, workspace="qa"),
        "with lock files alone": Disaster(remove_a_resource, plan_code=2, lock_mode="lockfile"),
        "by a part of it": Disaster(overwrite_with_garbage, plan_code=1, lock_mode="lockfile"),
        "by another lineage": Disaster(push_another_lineage, plan_code=2, ends="has the lineage"),
    },
    "lost-table": {
        "deleted": Disaster(lose_the_table),
        "with clients of the table": Disaster(lose_the_table, lock_mode="dynamodb"),
        "with another workspace": Disaster(lose_the_table, workspace="qa"),
        "with another key": Disaster(table_with_another_key, ends="LockID"),
    },
    "lost-bucket": {
        "with its table": Disaster(lose_the_bucket),
        "with clients of the table": Disaster(lose_the_bucket, lock_mode="dynamodb"),
        "with an old copy": Disaster(lose_the_bucket_after_the_copy),
        "without a copy": Disaster(lose_the_bucket_without_copies, ends="need one of them"),
    },
    "lost-bucket-with-backup": {
        "with its table": Disaster(lose_the_saved_bucket),
        "and the table": Disaster(lose_the_saved_backend, leaves_out=WITHOUT_FREEZE),
        "with clients of the table": Disaster(lose_the_saved_bucket, lock_mode="dynamodb"),
        "with lock files alone": Disaster(lose_the_saved_bucket, lock_mode="lockfile", leaves_out=WITHOUT_FREEZE),
        "before it was saved": Disaster(lose_the_bucket, ends="backup"),
    },
    "region-down": {
        "the default workspace": Disaster(Incident.keep_copies, plan_code=None),
        "another workspace": Disaster(Incident.keep_copies, plan_code=None, workspace="qa"),
        "with lock files alone": Disaster(Incident.keep_copies, plan_code=None, lock_mode="lockfile"),
        "without a copy": Disaster(lambda incident: None, plan_code=None, ends="need one of them"),
    },
}
#: Pages that nothing here can make the disaster for.
NOT_DRILLED = {"kms-key": "no emulator refuses a key"}
CASES = [
    pytest.param(page, disaster, id=f"{page.stem}: {name}", marks=[] if number == 0 else [pytest.mark.thorough])
    for page in RUNBOOKS
    for number, (name, disaster) in enumerate(DISASTERS.get(page.stem, {}).items())
]


def test_every_runbook_is_drilled_after_four_disasters_or_more() -> None:
    assert {page.stem for page in RUNBOOKS} == {*DISASTERS, *NOT_DRILLED}
    assert all(len(disasters) >= 4 for disasters in DISASTERS.values())


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: page.stem)
def test_every_runbook_has_the_same_order(page: Path) -> None:
    """A stuck lock keeps everybody out itself, and so does a key or a region that is down."""
    found = re.findall(r"^## (?:\d\. )?(.*)$", (ROOT / page).read_text(), re.MULTILINE)
    wanted = ["Fill in", "Freeze", "Look", "Decide", "Repair", "Verify", "Thaw", "Tell your team"]
    assert [each for each in found if each in wanted] == [each for each in wanted if each in found]
    assert {"Look", "Repair", "Verify", "Tell your team"} <= {*found}
    assert ("Freeze" in found and "Thaw" in found) or page.stem in ("stuck-lock", "kms-key", "region-down")


@pytest.fixture
def make_incident(
    terraform: str, ministack: RunningEmulator, tmp_path: Path
) -> Iterator[Callable[[Disaster], Incident]]:
    # The emulator cuts idle connections, sometimes under Terraform's next request; the relay keeps them.
    with Relay(ministack.url) as relay:

        def make(disaster: Disaster) -> Incident:
            stage = Stage(replace(ministack, url=relay.url), tmp_path)
            incident = Incident(
                stage, ministack, disaster.workspace, disaster.lock_mode, leaves_out=disaster.leaves_out
            )
            incident.fills |= {"TF_WORKSPACE": disaster.workspace, "FREEZE": "repair-1"}
            incident.set_up()
            return incident

        yield make
    ministack.reset()  # every runbook uses the same names


def kept(incident: Incident) -> dict[str, Any]:
    """The truth before a disaster: each state, and the versions of those that the page is not about."""
    listed = incident.s3.list_objects_v2(Bucket=BUCKET)["Contents"]
    return {each["Key"]: incident.state(each["Key"]) for each in listed if each["Key"].endswith(".tfstate")}


@pytest.mark.parametrize(("page", "disaster"), CASES)
def test_a_runbook_repairs_what_it_is_about(
    page: Path, disaster: Disaster, make_incident: Callable[[Disaster], Incident]
) -> None:
    incident, runbook = make_incident(disaster), Runbook.read(page)
    before = kept(incident)
    disaster.happens(incident)
    if disaster.plan_code is not None:
        said = incident.terraform(
            "plan", "-input=false", "-detailed-exitcode", code=disaster.plan_code, workspace=disaster.workspace
        )
        plain = " ".join(said.replace("│", "").split())
        assert any(" ".join(symptom.split()) in plain for symptom in runbook.symptoms), said
    reader = Reader(incident)
    done = reader.follow(runbook)
    if disaster.ends:
        assert done.code and disaster.ends in done.output, reader.said
    else:
        assert not done.code, reader.said
        check_repaired(incident, before)


FIRST = [
    pytest.param(page, next(iter(DISASTERS[page.stem].values())), id=page.stem)
    for page in RUNBOOKS
    if page.stem in DISASTERS
]


@pytest.mark.thorough
@pytest.mark.parametrize(("page", "disaster"), FIRST)
def test_a_runbook_repairs_as_well_with_each_block_typed_twice(
    page: Path, disaster: Disaster, make_incident: Callable[[Disaster], Incident]
) -> None:
    incident, runbook = make_incident(disaster), Runbook.read(page)
    before = kept(incident)
    disaster.happens(incident)
    reader = Reader(incident, times=2)
    done = reader.follow(runbook)
    if page.stem == "stuck-lock":
        assert done.code and "is not locked" in done.output, reader.said
    else:
        assert not done.code, reader.said
    check_repaired(incident, before)


def check_repaired(incident: Incident, before: dict[str, Any]) -> None:
    """Every state is what it was, nobody holds a lock, and clients can work."""
    now = kept(incident)
    assert now.keys() == before.keys()
    for path, state in before.items():
        assert now[path]["lineage"] == state["lineage"], path
        assert now[path]["serial"] >= state["serial"], path
        assert now[path]["resources"] == state["resources"], path
    assert now[OTHER] == before[OTHER]
    assert incident.locks() == []
    assert incident.digest is not None or incident.lock_mode == "lockfile"
    incident.terraform(*apply(content="two"), workspace=incident.workspace)
