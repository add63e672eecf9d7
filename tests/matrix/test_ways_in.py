# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every way in which a backend comes into somebody's pipeline, with every callback that prints what came of it.

Each is made, made again, and refused for a wrong variable.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.playbooks.conftest import emulator, project, unique
from tests.playbooks.project import LOCAL, Project, Run
from tests.support.relay import Relay

__all__ = ["emulator", "project", "unique"]

ROLE = "cornerstone.tfstate.terraform_backend"
HOST = "use1"
SECRET = "a-secret-that-nobody-may-see"
WRONG = "backward"
REFUSAL = "terraform_backend_lock_mode must be one of"


def play(**content: Any) -> list[dict[str, Any]]:
    return [{"hosts": "states", "gather_facts": False, **content}]


def of_backends(names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Variables of two backends: that of the host, and another one beside it."""
    return [
        {
            "name": each,
            "bucket": f"{names['terraform_backend_bucket_name']}{each}",
            "table": f"{names['terraform_backend_table_name']}{each}",
        }
        for each in ("eu", "us")
    ]


WITH_ITEM = {
    "terraform_backend_name": "{{ item.name }}",
    "terraform_backend_bucket_name": "{{ item.bucket }}",
    "terraform_backend_table_name": "{{ item.table }}",
}
#: The playbook of each way, made from the backend's variables; a text is the name of one that is installed.
WAYS: dict[str, Callable[[Mapping[str, str]], Any]] = {
    "the playbook": lambda _names: "cornerstone.tfstate.bootstrap",
    "import_playbook": lambda _names: [{"ansible.builtin.import_playbook": "cornerstone.tfstate.bootstrap"}],
    "roles": lambda _names: play(roles=[ROLE]),
    "import_role": lambda _names: play(tasks=[{"ansible.builtin.import_role": {"name": ROLE}}]),
    "include_role": lambda _names: play(tasks=[{"ansible.builtin.include_role": {"name": ROLE}}]),
    "include_role in a loop": lambda names: play(
        tasks=[{"ansible.builtin.include_role": {"name": ROLE}, "loop": of_backends(names), "vars": WITH_ITEM}]
    ),
    "the task": lambda names: play(
        tasks=[{"cornerstone.tfstate.tf_backend": {}, "vars": {"terraform_backend_config_directory": "backends/x"}}]
    ),
    "the role of another host": lambda _names: [
        {
            "hosts": "application",
            "gather_facts": False,
            "tasks": [{"ansible.builtin.include_role": {"name": ROLE, "apply": {"delegate_to": HOST}}}],
        }
    ],
    "a block": lambda _names: play(
        tasks=[
            {
                "block": [{"ansible.builtin.import_role": {"name": ROLE}}],
                "rescue": [{"ansible.builtin.fail": {"msg": "{{ ansible_failed_result.msg }}"}}],
            }
        ]
    ),
    "a gate before it": lambda _names: play(
        tasks=[
            {"ansible.builtin.import_role": {"name": ROLE, "tasks_from": "preflight"}},
            {"ansible.builtin.import_role": {"name": ROLE}},
        ]
    ),
    "module_defaults": lambda names: play(
        module_defaults={"group/cornerstone.tfstate.tfstate": {"account_id": "000000000000"}},
        tasks=[{"ansible.builtin.import_role": {"name": ROLE}}],
    ),
}
#: On standard error, new versions of Ansible warn of what these callbacks import.
QUIET = {"ANSIBLE_DEPRECATION_WARNINGS": "false"}
#: The settings of each callback, and whether standard output is JSON as a whole, JSON by the line, or text.
CALLBACKS: dict[str, tuple[dict[str, str], str]] = {
    "default": ({}, "text"),
    "yaml": ({"ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml"}, "text"),
    "json": ({"ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json", **QUIET}, "json"),
    "jsonl": ({"ANSIBLE_STDOUT_CALLBACK": "ansible.posix.jsonl", **QUIET}, "lines"),
    "minimal": ({"ANSIBLE_STDOUT_CALLBACK": "minimal"}, "text"),
    "oneline": ({"ANSIBLE_STDOUT_CALLBACK": "oneline"}, "text"),
    "junit": ({"ANSIBLE_CALLBACKS_ENABLED": "junit"}, "text"),
    "log_plays": ({"ANSIBLE_CALLBACKS_ENABLED": "community.general.log_plays"}, "text"),
}
#: For every day: each callback once, by a way of its own; tests/playbooks has the other ways.
DAILY = {*zip(WAYS, CALLBACKS, strict=False)}
EACH = [
    pytest.param(way, callback, id=f"{way}, {callback}", marks=[] if (way, callback) in DAILY else pytest.mark.thorough)
    for way in WAYS
    for callback in CALLBACKS
]


@pytest.mark.parametrize(("way", "callback"), EACH)
def test_a_backend_is_made_once_by_every_way_in(
    project: Project, relay: Relay, unique: str, way: str, callback: str
) -> None:
    names = {"terraform_backend_bucket_name": f"acme-{unique}", "terraform_backend_table_name": f"locks-{unique}"}
    settings, form = CALLBACKS[callback]
    folders = {"JUNIT_OUTPUT_DIR": f"{project.home}/junit", "ANSIBLE_LOG_FOLDER": f"{project.home}/logs"}
    variables = {**names, "terraform_backend_name": HOST, "terraform_backend_secret_key": SECRET}
    project.inventory({HOST: {}}, **variables)
    project.write(
        "inventory/application.yml",
        {"application": {"hosts": {"web": {**variables, **LOCAL, **project.connection("terraform_backend_")}}}},
    )
    content = WAYS[way](names)
    playbook = content if isinstance(content, str) else project.write("site.yml", content)

    def run(*arguments: str) -> Run:
        found = project.play(playbook, *arguments, **settings, **folders)
        assert SECRET not in found.output
        if form == "json":
            json.loads(found.output)
        elif form == "lines":
            assert all(json.loads(line) for line in found.output.splitlines())
        return found

    made = run("-l", "states,web")
    assert made.code == 0 and relay.writes, made.output
    relay.calls.clear()
    assert run("-l", "states,web").code == 0
    assert relay.calls and not relay.writes
    relay.calls.clear()
    refused = run("-e", f"terraform_backend_lock_mode={WRONG}", "-l", "states,web")
    assert refused.code == 2, refused.output
    assert REFUSAL in " ".join(refused.output.split()), refused.output
    assert not relay.calls
    for log in Path(folders["ANSIBLE_LOG_FOLDER"]).glob("*"):
        assert SECRET not in log.read_text()
    if callback == "junit":
        newest = max(Path(folders["JUNIT_OUTPUT_DIR"]).glob("*.xml"), key=lambda each: each.stat().st_mtime_ns)
        root = ElementTree.parse(newest).getroot()
        (failure,) = [*root.iter("failure"), *root.iter("error")]  # by the version of Ansible
        assert REFUSAL in str(failure.get("message"))
