# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The variables of the playbooks: all on one page, and no command or advice with a name of before."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.playbooks import (
    OPTIONS,
    PREFIX,
    SHORT_NAMES,
    variables_of,
)
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.role_variables import NAMES
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.variable_names import OF_PLAYBOOKS, OF_TOOLS

from tests.docs.pages import MARKDOWN, PLUGINS, ROOT, read

PAGE = Path("docs/playbooks.md")
HEADERS = sorted(path.relative_to(ROOT) for path in ROOT.glob("playbooks/*.yml"))
COMMAND = re.compile(r"ansible-playbook (?:playbooks/|cornerstone\.tfstate\.|)(\w+)(?:\.yml)?((?:[^\n\\`]|\\\n)*)")
EXTRA = re.compile(r"-e ['\"]?(\w+)=")
#: What all playbooks share.
SHARED = {each for each in OF_PLAYBOOKS if not any(each in variables_of(name).values() for name in OPTIONS)}


def test_the_page_has_every_variable() -> None:
    rows = {
        cells[1].strip(" `"): cells[4] for cells in (line.split("|") for line in read(PAGE).splitlines()) if cells[4:]
    }
    for playbook in OPTIONS:
        names = [f"{PREFIX}{playbook}_{name}" for name in re.findall(r"`(\w+)`", rows[playbook])]
        assert names == [*variables_of(playbook).values()], playbook


def wrong_in(text: str) -> Iterator[str]:
    for playbook, arguments in COMMAND.findall(re.sub(r"\n#", "\n", text)):
        taken = {*NAMES, *SHARED, *(variables_of(playbook).values() if playbook in OPTIONS else ())}
        yield from (f"{playbook}: {name}" for name in EXTRA.findall(arguments) if name not in taken)
    short = {name for names in SHORT_NAMES.values() for name in names}
    yield from (f"-e {name}" for name in EXTRA.findall(text) if name in short)


@pytest.mark.parametrize("page", [*MARKDOWN, *HEADERS, *PLUGINS], ids=str)
def test_no_command_has_a_name_that_its_playbook_does_not_take(page: Path) -> None:
    text = read(page) if page != PAGE else read(page).partition("## Short names")[0]
    assert [each for each in wrong_in(text) if not each.rpartition(" ")[2].startswith(OF_TOOLS[:-1])] == []


def test_a_wrong_name_is_found() -> None:
    assert [*wrong_in("ansible-playbook playbooks/unlock.yml -l x \\\n  -e key=a -e terraform_backend_lock_key=b")] == [
        "unlock: key",
        "unlock: terraform_backend_lock_key",
        "-e key",
    ]
