# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""scripts/python, the first step of every command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[3] / "scripts" / "python"
OLD = """#!/bin/sh
case "$2" in
    *print*) echo 3.8.18 ;;
    *) exit 1 ;;
esac
"""


def run(python: Path | str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHON": str(python)}
    return subprocess.run([SCRIPT, "-c", "print('ran')"], env=environment, capture_output=True, text=True, check=False)


def test_a_python_that_is_new_enough_runs_the_program():
    assert run(sys.executable).stdout == "ran\n"


def test_an_old_python_is_one_sentence_with_both_versions(tmp_path):
    old = tmp_path / "python3"
    old.write_text(OLD)
    old.chmod(0o755)
    refused = run(old)
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "Python 3.11 or newer is needed" in refused.stderr
    assert "is 3.8.18" in refused.stderr


def test_a_missing_python_is_one_sentence_that_names_it(tmp_path):
    refused = run(tmp_path / "nowhere")
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "nowhere` does not run" in refused.stderr
