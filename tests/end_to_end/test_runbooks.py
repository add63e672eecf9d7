# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Each runbook repairs what it is about: the disaster is made, its symptom seen, and the commands of the page typed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import ROOT, RUNBOOKS
from tests.docs.stage import Stage
from tests.end_to_end.drills import BUCKET, KEY, OTHER, TABLE, Incident, Reader, Runbook
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
    incident.fills["LOCK_ID"] = seen(r"lock_id_sha256: (sha256:[0-9a-f]{12})")


def lock_in_file(incident: Incident, text: str | None = None) -> None:
    body = (text or lock_of_a_killed_apply(incident)).encode()
    incident.s3.put_object(Bucket=BUCKET, Key=f"{incident.path}.tflock", Body=body)
    incident.fills["LOCK_ID"] = seen(r"lock_id_sha256: (sha256:[0-9a-f]{12})")


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


def lose_the_bucket(incident: Incident) -> None:
    listed = incident.s3.list_object_versions(Bucket=BUCKET)
    for each in [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]:
        incident.s3.delete_object(Bucket=BUCKET, Key=each["Key"], VersionId=each["VersionId"])
    incident.s3.delete_bucket(Bucket=BUCKET)


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
    #: What is filled in besides.
    fills: dict[str, Any] = field(default_factory=dict)


DISASTERS: dict[str, dict[str, Disaster]] = {
    "stuck-lock": {
        "an apply was killed": Disaster(lock_in_both),
        "in the table only": Disaster(lock_in_table),
        "in the lock file only": Disaster(lock_in_file),
        "in another workspace": Disaster(lock_in_both, workspace="qa"),
        "with lock files alone": Disaster(lock_in_file, lock_mode="lockfile"),
    },
}
CASES = [
    pytest.param(
        page, disaster, id=f"{page.stem}: {name}", marks=[] if number == 0 else [pytest.mark.thorough]
    )
    for page in RUNBOOKS
    for number, (name, disaster) in enumerate(DISASTERS.get(page.stem, {}).items())
]


@pytest.fixture
def make_incident(terraform: str, ministack: RunningEmulator, tmp_path: Path) -> Iterator[Callable[[Disaster], Incident]]:
    # The emulator cuts idle connections, sometimes under Terraform's next request; the relay keeps them.
    with Relay(ministack.url) as relay:

        def make(disaster: Disaster) -> Incident:
            stage = Stage(replace(ministack, url=relay.url), tmp_path)
            incident = Incident(stage, ministack, disaster.workspace, disaster.lock_mode, dict(disaster.fills))
            incident.fills["TF_WORKSPACE"] = disaster.workspace
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
    reader = Reader(incident); import atexit; atexit.register(lambda: print(reader.said))
    done = reader.follow(runbook)
    if disaster.ends:
        assert done.code and disaster.ends in done.output, reader.said
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
