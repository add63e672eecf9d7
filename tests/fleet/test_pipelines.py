# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The pipelines of docs/ci.md: their own commands, run with an identity token and no keys."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.pages import code_blocks
from tests.support.clean_environment import without_aws
from tests.support.emulators import RunningEmulator
from tests.support.relay import Relay

pytestmark = pytest.mark.slow

FILES = {example.file: example.text for example in code_blocks(Path("docs/ci.md")) if example.file}
GITHUB: dict[str, Any] = yaml.safe_load(FILES[".github/workflows/backends.yml"])
GITLAB: dict[str, Any] = yaml.safe_load(FILES[".gitlab-ci.yml"])
STEPS = {step.get("name"): step.get("run") for step in GITHUB["jobs"]["backends"]["steps"]}
JOBS = {"Look": "look", "Apply": "apply", "Find drift": "drift"}


class Pipeline:
    """A job of a pipeline, in a checkout that holds the inventory."""

    def __init__(self, home: Path, url: str) -> None:
        self.home, self.url = home, url
        (home / "acme.fleet.yml").write_text(FILES["acme.fleet.yml"])
        (home / "token").write_text("an.identity.token")

    def run(self, step: str, may: str = "look") -> tuple[int, str]:
        own = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ROLE_ARN": f"arn:aws:iam::999999999999:role/{may}",
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(self.home / "token"),
            "MAY": may,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        }
        told = {name: value for name, value in GITHUB["env"].items() if name not in own}
        done = subprocess.run(
            ["bash", "-e", "-c", STEPS[step]],
            cwd=self.home,
            env=without_aws(os.environ, self.home) | told | own,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def relay(ministack: RunningEmulator) -> Iterator[Relay]:
    with Relay(ministack.url) as relay:
        yield relay
    ministack.reset()  # the page's names are not unique


def test_both_pipelines_do_the_same():
    in_gitlab = {step: "\n".join(GITLAB[job]["script"]) for step, job in JOBS.items()}
    assert in_gitlab == {step: STEPS[step].strip() for step in JOBS}


def test_a_pipeline_looks_applies_and_finds_drift_without_keys(relay, tmp_path):
    pipeline = Pipeline(tmp_path, relay.url)

    code, said = pipeline.run("Look")
    assert (code, relay.writes) == (0, []), said
    assert "4 backends: 4 ok, 0 failed, 4 would change" in said
    assert pipeline.run("Find drift")[0] == 1

    code, said = pipeline.run("Apply", may="apply")
    assert code == 0, said
    assert pipeline.run("Find drift")[0] == 0

    roles = {call.resource for call in relay.calls if call.name.startswith("AssumeRole")}
    accounts = ("010101010101", "020202020202")
    assert roles == {f"arn:aws:iam::999999999999:role/{may}" for may in ("look", "apply")} | {
        f"arn:aws:iam::{account}:role/terraform-backend-{may}" for account in accounts for may in ("look", "apply")
    }


def test_a_mistake_in_the_inventory_fails_the_pull_request(relay, tmp_path):
    pipeline = Pipeline(tmp_path, relay.url)
    (tmp_path / "acme.fleet.yml").write_text(FILES["acme.fleet.yml"].replace("{account_id}-", ""))
    code, said = pipeline.run("Look")
    assert code != 0
    assert "the bucket acme-terraform-state-eu-west-1 is that of prod.eu-west-1" in " ".join(said.split())
