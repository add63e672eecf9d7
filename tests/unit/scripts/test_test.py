# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""scripts/test.py, each time in a checkout of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[3] / "scripts" / "test.py"
COLLECTS_TWO = "def test_one():\n    pass\n\n\ndef test_two():\n    pass\n"
SKIPS_ONE = "import pytest\n\n\n@pytest.mark.skip(reason='no moon')\ndef test_one():\n    pass\n"
MARKS_THREE = """\
import pytest


def test_one():
    pass


@pytest.mark.slow
def test_two():
    pass


@pytest.mark.thorough
def test_three():
    pass
"""
FAILS_ONE = "def test_one():\n    assert 0\n"
LOOKS_AT_THE_ENVIRONMENT = """\
import os


def test_one():
    assert "AWS_PROFILE" not in os.environ
    assert "ANSIBLE_CONFIG" not in os.environ
    assert os.environ["TFSTATE_REQUIRE_TERRAFORM"] == "1"
"""
HAS_WORKERS = """\
import os


def test_one():
    assert "PYTEST_XDIST_WORKER" in os.environ
"""
WAITS = """\
import os
import signal


def test_one(request):
    marker = request.config.rootpath / "pid"
    marker.with_suffix(".new").write_text(str(os.getpid()))
    marker.with_suffix(".new").rename(marker)
    while True:
        signal.sigtimedwait([], 0.1)
"""


class Checkout:
    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "scripts").mkdir()
        (root / "pytest.ini").write_text("[pytest]\n")
        shutil.copy(SCRIPT, root / "scripts")

    def write(self, part: str, code: str) -> None:
        folder = self.root / "tests" / part
        folder.mkdir(parents=True)
        (folder / f"test_{part}.py").write_text(code)

    def start(self, *names: str, **environment: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(self.root / "scripts" / "test.py"), *names]
        return subprocess.Popen(
            command, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def __call__(self, *names: str, **environment: str) -> tuple[int, str]:
        process = self.start(*names, **environment)
        output = process.communicate(timeout=60)[0]
        return process.returncode, output


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def last_line(output: str) -> str:
    return output.splitlines()[-1]


def test_the_last_line_sums_up_all_parts(checkout):
    checkout.write("packaging", COLLECTS_TWO)
    checkout.write("docs", SKIPS_ONE)
    code, output = checkout("packaging", "examples")
    assert code == 0
    assert last_line(output) == "2 passed, 0 failed, 1 skipped"
    assert "SKIPPED in examples: no moon" in output


@pytest.mark.parametrize(("mode", "count"), [("--check", 1), ("", 2), ("--thorough", 3)])
def test_a_mode_selects_tests_by_their_markers(checkout, mode, count):
    checkout.write("packaging", MARKS_THREE)
    assert last_line(checkout(*filter(None, [mode]), "packaging")[1]) == f"{count} passed, 0 failed, 0 skipped"


def test_parts_run_side_by_side_and_the_others_when_there_is_room(checkout):
    names = [f"part{number}" for number in range(6)]
    for name in names:
        checkout.write(name, COLLECTS_TWO)
    assert last_line(checkout(*names)[1]) == "12 passed, 0 failed, 0 skipped"


def test_unit_tests_take_several_processes_alone_and_one_among_all_parts(checkout):
    checkout.write("unit", HAS_WORKERS)
    assert last_line(checkout("unit")[1]) == "1 passed, 0 failed, 0 skipped"
    assert last_line(checkout()[1]).startswith("0 passed")


def test_a_failure_is_shown_and_is_the_exit_code(checkout):
    checkout.write("packaging", FAILS_ONE)
    checkout.write("docs", COLLECTS_TWO)
    code, output = checkout("packaging", "examples")
    assert code == 1
    assert "assert 0" in output
    assert last_line(output) == "2 passed, 1 failed, 0 skipped"


@pytest.mark.parametrize("part", ["molecule", "packaging"])
def test_a_missing_part_has_failed(checkout, part):
    code, output = checkout(part)
    assert code == 1
    assert last_line(output) == "0 passed, 1 failed, 0 skipped"


def test_a_part_without_tests_has_failed(checkout):
    checkout.write("packaging", "")
    assert checkout("packaging")[0] == 1


def test_a_folder_of_tests_that_nobody_listed_is_a_part(checkout):
    checkout.write("moonlight", COLLECTS_TWO)
    assert last_line(checkout("moonlight")[1]) == "2 passed, 0 failed, 0 skipped"


def test_a_mistyped_part_is_one_sentence(checkout):
    code, output = checkout("unti")
    assert code == 1
    assert output.count("\n") == 1
    assert "No part is named unti; there are " in output


def test_the_settings_of_the_user_stay_out(checkout):
    checkout.write("packaging", LOOKS_AT_THE_ENVIRONMENT)
    hostile = {"AWS_PROFILE": "nosuch", "ANSIBLE_CONFIG": "/nosuch", "PYTEST_ADDOPTS": "--nosuch"}
    assert checkout("packaging", TFSTATE_REQUIRE_TERRAFORM="1", **hostile)[0] == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_stops_all_that_was_started(checkout, number):
    checkout.write("packaging", WAITS)
    process = checkout.start("packaging")
    started = checkout.root / "pid"
    while not started.exists():
        assert process.poll() is None
    process.send_signal(number)
    output = process.communicate(timeout=30)[0]
    assert process.returncode == 1
    assert "all that was started has been stopped" in output
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)
