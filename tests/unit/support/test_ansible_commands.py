# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A command of Ansible that is forked says and does what one that is started does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import ansible_commands, ansible_programs
from tests.support.ansible_commands import run_ansible
from tests.support.ansible_programs import programs
from tests.support.clean_environment import without_aws

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not ansible_commands.IS_KNOWN, reason="commands of this ansible-core are not forked"),
]

PLAYBOOK = str(Path(sys.executable).with_name("ansible-playbook"))
#: What a command reads for itself: of the environment, of the folder, of the home, of the inventory.
LOOK = "{{ lookup('env', 'SEEN') }} {{ lookup('pipe', 'pwd') }} {{ '~' | expanduser }} {{ ansible_playbook_python }}"
FAIL = {"ansible.builtin.fail": {"msg": "as asked"}, "when": "fails | default(false) | bool"}
TASKS = [{"ansible.builtin.debug": {"msg": LOOK}}, {"ansible.builtin.command": "true"}, FAIL]


class Folder:
    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "home").mkdir(parents=True)
        (path / "hosts").write_text(
            f"here-{path.name} ansible_connection=local ansible_python_interpreter={sys.executable}\n"
        )
        (path / "site.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": TASKS}]))

    def environment(self, **more: str) -> dict[str, str]:
        # Settings of no other test, or its launcher would be ours.
        own = {"ANSIBLE_INVENTORY": "hosts", "ANSIBLE_NOCOLOR": "true", "COLUMNS": "77", "SEEN": self.path.name}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        return without_aws(inherited, self.path / "home") | own | more

    def forked(self, *arguments: str, **more: str) -> tuple[int, str] | None:
        return run_ansible([PLAYBOOK, "site.yml", *arguments], self.path, self.environment(**more), 60)

    def started(self, *arguments: str, **more: str) -> tuple[int, str]:
        run = subprocess.run(
            [PLAYBOOK, "site.yml", *arguments],
            cwd=self.path,
            env=self.environment(**more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return run.returncode, run.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "one")


def test_a_forked_command_is_as_a_started_one_wherever_it_runs(folder: Folder, tmp_path: Path) -> None:
    assert folder.forked() is None, "the first with its settings is started"
    another = Folder(tmp_path / "two")
    codes = []
    for each, arguments in ((folder, ()), (another, ("-e", "fails=true")), (another, ("--bogus",))):
        forked = each.forked(*arguments)
        assert forked == each.started(*arguments)
        codes.append(forked[0])
    assert codes == [0, 2, 2]
    assert list((tmp_path / "one" / "home" / ".ansible" / "tmp").iterdir()) == []


def test_the_settings_of_a_folder_are_its_own(folder: Folder) -> None:
    (folder.path / "ansible.cfg").write_text("[defaults]\ninventory = others\n[inventory]\nunparsed_is_failed = true\n")
    (folder.path / "hosts").rename(folder.path / "others")
    given = {name: value for name, value in folder.environment().items() if name != "ANSIBLE_INVENTORY"}
    command = [PLAYBOOK, "site.yml"]
    assert run_ansible(command, folder.path, given, 60) is None
    code, said = run_ansible(command, folder.path, given, 60) or (-1, "")
    assert code == 0 and "here-one" in said, said
    code, said = run_ansible([*command, "-i", "nowhere"], folder.path, given, 60) or (-1, "")
    assert code == 1 and "No inventory was parsed" in said, said


def test_other_settings_and_other_programs_are_started(folder: Folder) -> None:
    folder.forked()
    assert folder.forked(ANSIBLE_STRATEGY="free") is None
    assert folder.forked(ANSIBLE_CONFIG=str(folder.path / "mine.cfg")) is None
    assert run_ansible(["ansible-galaxy", "list"], folder.path, folder.environment(), 60) is None
    (folder.path / "home" / ".ansible.cfg").write_text("[defaults]\n")
    assert folder.forked() is None


def test_a_command_that_runs_at_the_same_time_is_started(folder: Folder) -> None:
    folder.forked()
    folder.forked()
    (launcher,) = [
        launcher for settings, launcher in ansible_commands._launchers.items() if ("COLUMNS", "77") in settings
    ][:1]
    with launcher.lock:
        assert folder.forked() is None


def test_a_command_that_takes_too_long_is_killed_and_the_next_one_is_not(folder: Folder) -> None:
    (folder.path / "slow.yml").write_text(
        '[{"hosts": "all", "gather_facts": false, "tasks": [{"pause": "seconds=60"}]}]'
    )
    folder.forked()
    folder.forked()
    with pytest.raises(subprocess.TimeoutExpired):
        run_ansible([PLAYBOOK, "slow.yml"], folder.path, folder.environment(), 3)
    code, said = folder.forked() or (-1, "")
    assert code == 0, said


@pytest.mark.skipif(sys.platform != "linux", reason="commands by name are forked on Linux alone")
def test_a_shell_calls_by_name_what_is_forked_and_reads_it_as_usual(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    forked = []

    def seen(*asked: Any, **outputs: Any) -> tuple[int, str] | None:
        forked.append(ended := run_ansible(*asked, **outputs))
        return ended

    monkeypatch.setattr(ansible_programs, "run_ansible", seen)
    environment = folder.environment(PATH=f"{programs()}{os.pathsep}{os.environ['PATH']}")

    def shell(text: str) -> subprocess.CompletedProcess[str]:
        run = {"cwd": folder.path, "env": environment, "capture_output": True, "text": True, "check": False}
        return subprocess.run(["sh", "-uc", text], **run)

    for _started_then_forked in range(2):
        assert shell("ansible-playbook site.yml > said; cat said").stdout == folder.started()[1]
    wrong = shell("ansible-playbook --bogus")
    assert (wrong.returncode, wrong.stdout) == (2, "") and "usage: ansible-playbook" in wrong.stderr
    assert shell("ansible-playbook site.yml -e fails=true | grep -c 'failed=1'").stdout.strip() == "1"
    assert shell("ansible-playbook site.yml -e fails=true || echo $?").stdout.endswith("\n2\n")
    assert [ended and ended[0] for ended in forked] == [None, 0, 2, 2, 2]
