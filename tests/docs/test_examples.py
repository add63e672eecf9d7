# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every example on our pages runs, from top to bottom of each page, as a reader would type it."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import LANGUAGES, MARKDOWN, PLUGINS, RUNBOOKS, SHOWN, Example, code_blocks, examples, read
from tests.docs.stage import Stage
from tests.support.emulators import RunningEmulator
from tests.unit.plugins.modules.test_tf_backend_accounts import organization
from tests.unit.plugins.modules.test_tf_backend_prices import listed

__all__ = ["listed", "organization"]

TERRAFORM = shutil.which("terraform")
PLAYED = [
    page
    for page in MARKDOWN
    if page not in RUNBOOKS and any(each.language in ("yaml", "sh") and not each.excuse for each in examples(page))
]
INVENTORIES = [page for page in PLUGINS if "inventory" in page.parts]
CONFIGURATION = [each for page in MARKDOWN for each in examples(page) if each.language == "hcl" and not each.excuse]
EXCUSED = [each for page in MARKDOWN for each in examples(page) if each.excuse]


@pytest.fixture
def stage(ministack: RunningEmulator, tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(ministack, tmp_path)
    stage.set_up()
    yield stage
    ministack.reset()  # pages use the same names


@pytest.mark.parametrize("page", PLAYED, ids=str)
def test_the_examples_of_a_page_run_from_top_to_bottom(page, stage):
    on_page = [example for example in examples(page) if not example.excuse]
    if not TERRAFORM and any("terraform " in each.text for each in on_page if each.language in ("sh", "yaml")):
        pytest.skip(f"the examples of {page} need the real terraform on PATH")
    stage.prepare(on_page)
    said = ""
    for is_played, group in itertools.groupby(on_page, is_a_play):
        together = list(group)
        said += stage.play(together) if is_played else "".join(perform(example, stage) for example in together)
    commands = "".join(each.text for each in on_page if each.language == "sh")
    unused = [each.file for each in on_page if each.file and not is_used(each.file, commands)]
    assert not unused, f"{page} shows files that no command on the page uses: {unused}"
    missing = [block for block in transcripts(page) if squeezed(block) not in squeezed(said)]
    assert not missing, f"{page} shows what no command on it says:\n{missing[0]}\n--- said:\n{said}"


def is_used(file: str, commands: str) -> bool:
    """Whether a command names the file, or runs in the folder that it is in."""
    return file in commands or f"cd {file.partition('/')[0]} && " in commands


def is_a_play(example: Example) -> bool:
    return example.language == "yaml" and not example.file


def perform(example: Example, stage: Stage) -> str:
    if example.file:
        stage.write(example.file, example.text)
    elif example.language == "sh":
        return stage.shell(example.text)
    return ""


def transcripts(page: Path) -> list[str]:
    """The summaries that a page shows."""
    return [each.text for each in code_blocks(page) if each.language == "text" and "STATUS" in each.text]


def squeezed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def test_the_examples_of_modules_and_filters_run_one_after_another(stage, listed, organization):
    stage.module_defaults = {
        "cornerstone.tfstate.tf_backend_prices": {"url": listed.url},
        "cornerstone.tfstate.tf_backend_accounts": {"endpoint_url": organization.url},
    }
    together = [example for page in PLUGINS if page not in INVENTORIES for example in examples(page)]
    stage.prepare(together)
    stage.play(together)


@pytest.mark.parametrize("page", INVENTORIES, ids=str)
def test_the_examples_of_an_inventory_make_hosts(page, stage):
    for example in examples(page):
        stage.list_inventory(example)


@pytest.mark.parametrize("example", CONFIGURATION, ids=str)
def test_configuration_is_written_as_terraform_formats_it(example):
    if not TERRAFORM:
        pytest.skip(f"{example} needs the real terraform on PATH")
    formatted = subprocess.run([TERRAFORM, "fmt", "-"], input=example.text, capture_output=True, text=True, check=True)
    assert formatted.stdout == example.text


@pytest.mark.parametrize("page", PLUGINS, ids=str)
def test_every_plugin_has_examples(page):
    assert examples(page), f"{page} has no EXAMPLES"


@pytest.mark.parametrize("page", MARKDOWN, ids=str)
def test_no_example_hides_in_a_form_that_is_not_run(page):
    found = code_blocks(page)
    assert read(page).count("```") == 2 * len(found)
    assert {each.language for each in found} <= LANGUAGES | SHOWN
    assert read(page).count("<!-- not run:") - read(page).count("`<!-- not run:") == len([e for e in found if e.excuse])


def test_what_is_not_run_is_shown(capsys):
    total = sum(len(examples(page)) for page in (*MARKDOWN, *PLUGINS))
    with capsys.disabled():
        print(f"\n{total - len(EXCUSED)} of {total} examples are run or checked; not run:")
        for each in EXCUSED:
            print(f"  {each}: {each.excuse}")
    assert all(each.language == "sh" for each in EXCUSED), "only commands may go without being run"
