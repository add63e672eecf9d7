# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whose credentials a task uses: those of its own environment, through both doors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.playbooks.project import Project
from tests.support.relay import Relay

PROFILES = {"a": "AKIAEXAMPLEOFSHELL00", "b": "AKIAEXAMPLEOFTASK000"}
MODULE = "cornerstone.tfstate.tf_lock_table"
AS_B = {"AWS_PROFILE": "b"}


@pytest.fixture
def project_with_profiles(project: Project) -> Project:
    told = [f"[{name}]\naws_access_key_id = {key}\naws_secret_access_key = secret\n" for name, key in PROFILES.items()]
    path = project.write("credentials", "\n".join(told))
    inventory = json.loads((project.home / "inventory" / "hosts.yml").read_text())
    for name in ("access_key", "secret_key"):  # explicit keys would beat the environment
        del inventory["states"]["vars"][f"terraform_backend_{name}"]
    project.write("inventory/hosts.yml", inventory)
    project.environment |= {
        "AWS_SHARED_CREDENTIALS_FILE": path,
        "AWS_PROFILE": "a",
        "AWS_ENDPOINT_URL": project.endpoint_url,
        "AWS_REGION": "eu-west-1",
    }
    return project


def look(name: str, **otherwise: Any) -> dict[str, Any]:
    """A table that is not there is absent already."""
    return {"name": f"Look at {name}", MODULE: {"name": name, "state": "absent"}, **otherwise}


def play(*tasks: dict[str, Any], **otherwise: Any) -> list[dict[str, Any]]:
    return [{"hosts": "localhost", "gather_facts": False, "tasks": list(tasks), **otherwise}]


def role(**otherwise: Any) -> list[dict[str, Any]]:
    names = {"terraform_backend_bucket_name": "state-of-a-role", "terraform_backend_lock_mode": "lockfile"}
    return play(roles=[{"role": "cornerstone.tfstate.terraform_backend", "vars": names, **otherwise}])


PLACES: dict[str, list[dict[str, Any]]] = {
    "nowhere": play(look("lock-table")),
    "the play": play(look("lock-table"), environment=AS_B),
    "a block": play({"name": "Block", "block": [look("lock-table")], "environment": AS_B}),
    "a role": role(environment=AS_B),
    "the task": play(look("lock-table", environment=AS_B)),
    "a loop": play(look("{{ item }}", loop=["lock-table", "lock-table-2"], environment=AS_B), look("lock-table-3")),
    "an asynchronous task": play(
        look("lock-table", environment=AS_B, **{"async": 60, "poll": 1}),
        vars={"ansible_async_dir": "{{ playbook_dir }}/jobs"},
    ),
}
#: The keys that AWS sees, in order of their first use.
SEEN = {"nowhere": ["a"], "a loop": ["b", "a"]}


@pytest.mark.aws("6.7")
@pytest.mark.parametrize("place", PLACES)
def test_the_environment_of_a_task_decides(project_with_profiles: Project, relay: Relay, place: str) -> None:
    project_with_profiles.write("site.yml", PLACES[place])
    run = project_with_profiles.play("site.yml")
    assert run.code == 0, run.output
    assert seen(relay) == [PROFILES[name] for name in SEEN.get(place, ["b"])]


def seen(relay: Relay) -> list[str]:
    return list(dict.fromkeys(call.operation.access_key for call in relay.calls))


@pytest.mark.aws("6.7")
@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"AWS_PROFILE": "nosuch"}, ("nosuch", "profile")),
        ({"AWS_PROFILE": ""}, ("credentials", "AWS_*")),
    ],
    ids=["a profile that does not exist", "no credentials"],
)
def test_credentials_that_are_missing_are_a_sentence(
    project_with_profiles: Project, environment: dict[str, str], words: tuple[str, ...]
) -> None:
    project = project_with_profiles
    if not environment["AWS_PROFILE"]:
        project.environment.pop("AWS_PROFILE")
        environment = {"AWS_SHARED_CREDENTIALS_FILE": "/nonexistent"}
    project.write("site.yml", play(look("lock-table")))
    run = project.play("site.yml", **environment)
    assert run.code != 0
    assert all(word in run.output for word in words), run.output
    assert "Traceback" not in run.output
    assert "Unexpected Exception" not in run.output
