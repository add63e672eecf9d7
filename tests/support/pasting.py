# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Commands as a person pastes them: a real shell runs them, and Ansible's own templating sees what arrives."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

try:
    from ansible.template import trust_as_template
except ImportError:  # before ansible-core 2.19 all text is trusted

    def trust_as_template(text: str) -> str:
        return text


#: Each program writes down how it was called: its name and arguments, each ended by a zero byte, and one byte more.
#: A shell that forks for none of them pastes a thousand commands in a moment.
STUBS = """called() { printf '%s\\0' "$@" >> ../calls; printf '\\0' >> ../calls; }
ansible() { called ansible "$@"; }
aws() { called aws "$@"; case "$*" in *"--query Account"*) echo 111122223333;; esac; }
grep() { read -r line; [ "$1 $line" = "-x $2" ]; }
terraform() { called terraform "$@"; }
vi() { called vi "$@"; }
alias ansible-playbook='called ansible-playbook' ansible-inventory='called ansible-inventory'
"""
#: What commands may write.
FILES = {"policy.json", "lifecycle-configuration.json"}


def paste(commands: Iterable[str], folder: Path) -> list[list[str]]:
    """The calls that commands come to, in a real shell. Fails if anything else happens."""
    home = folder / "home"
    home.mkdir(parents=True)
    text = STUBS + "\n".join(commands) + "\n"
    environment = {"PATH": "/nowhere", "HOME": str(home)}
    done = subprocess.run(["/bin/sh"], input=text.encode(), cwd=home, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b""), done.stderr
    assert {path.name for path in home.iterdir()} <= FILES
    calls = folder / "calls"
    return [each.split("\0") for each in (calls.read_text() if calls.exists() else "").split("\0\0") if each]


def given(call: list[str]) -> Any:
    """What Ansible makes of `-e` or `-a`, after it has templated all of it as text that it trusts."""
    (text,) = [call[place + 1] for place, word in enumerate(call) if word in ("-e", "-a")] or ["{}"]
    assert text.startswith("{"), text
    assert json.loads(text) == yaml.safe_load(text)
    return templated(json.loads(text))


def templated(value: Any) -> Any:
    if isinstance(value, dict):
        return {templated(name): templated(each) for name, each in value.items()}
    if isinstance(value, list):
        return [templated(each) for each in value]
    if not isinstance(value, str):
        return value
    templar = Templar(loader=DataLoader(), variables={})
    assert not templar.is_template(trust_as_template(value)), value
    return templar.template(trust_as_template(value))
