# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whose credentials a task uses: those of its own environment, in-process and as a subprocess."""

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


PLACES = [
    *play(look("nowhere")),
    *play(look("the-play"), environment=AS_B),
    *play({"name": "Block", "block": [look("a-block")], "environment": AS_B}),
    *role(environment=AS_B),
    *play(look("the-task", environment=AS_B)),
    *play(look("{{ item }}", loop=["a-loop", "the-loop-s-second"], environment=AS_B), look("after-a-loop")),
    *play(
        look("an-asynchronous-task", environment=AS_B, **{"async": 60, "poll": 1}),
        vars={"ansible_async_dir": "{{ playbook_dir }}/jobs"},
    ),
]
#: Whose keys AWS sees at the resource of each place.
SEEN = {name: {"a"} for name in ("nowhere", "after-a-loop")} | {
    name: {"b"}
    for name in (
        *("the-play", "a-block", "state-of-a-role", "the-task"),
        *("a-loop", "the-loop-s-second", "an-asynchronous-task"),
    )
}


#: A module process is given its environment by Ansible itself.
@pytest.mark.aws("6.7")
@pytest.mark.parametrize(
    "project", ["in the worker", pytest.param("as a module", marks=pytest.mark.thorough)], indirect=True
)
def test_the_environment_of_a_task_decides(project_with_profiles: Project, relay: Relay) -> None:
    project_with_profiles.write("site.yml", PLACES)
    run = project_with_profiles.play("site.yml")
    assert run.code == 0, run.output
    owners = {key: name for name, key in PROFILES.items()}
    seen: dict[str, set[str]] = {}
    for call in [each for each in relay.calls if each.resource]:
        seen.setdefault(call.resource, set()).add(owners[call.operation.access_key])
    assert seen == SEEN


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
