# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The forms in which code names a backend, as the real terraform reads them. What the map says is compared with it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._local.code_files import read_code
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.code_layer import FLAGS
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.code_map import CHECKOUT, CodeMap, Settings
from hypothesis import HealthCheck, given, settings

from tests.support.clean_environment import without_aws
from tests.support.code_draws import folders
from tests.support.code_forms import BUCKET, REGION, RUN, Form
from tests.support.emulators import MINISTACK, RunningEmulator, running

pytestmark = pytest.mark.terraform
COMPARED = ("bucket", "key", "region", "dynamodb_table", "use_lockfile", "workspace_key_prefix")


@pytest.fixture(scope="module")
def emulator() -> Iterator[RunningEmulator]:
    if not shutil.which("terraform"):
        pytest.skip("terraform is not on PATH")
    with running(MINISTACK) as emulator:
        for bucket in (BUCKET, "other"):
            location = {"LocationConstraint": REGION}
            emulator.client("s3", region=REGION).create_bucket(Bucket=bucket, CreateBucketConfiguration=location)
        yield emulator


def initialised(form: Form, folder: Path, emulator: RunningEmulator, data: str = ".terraform") -> Any:
    """The backend that the client records; None if it has none."""
    for name, text in form.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    subprocess.run(
        ["terraform", "init", "-input=false", "-no-color", *form.init],
        cwd=folder / form.folder,
        env={
            **without_aws(inherited, folder),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_ENDPOINT_URL": emulator.url,
            "TF_CLI_CONFIG_FILE": os.devnull,
            "TF_DATA_DIR": data,
            "CHECKPOINT_DISABLE": "true",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    record = folder / form.folder / data / "terraform.tfstate"
    return json.loads(record.read_text())["backend"] if record.exists() else None


def agrees(code: CodeMap, recorded: Any) -> bool:
    """Whether a layer says what the client records, or what it does not say is unknown."""
    if recorded is None or recorded["type"] != "s3":
        return not code.layers and not code.unknown()
    found = {name: value for name, value in recorded["config"].items() if value is not None}
    return bool(code.unknown()) or any(
        all(
            layer.arguments.get(name) == found.get(name) or (name in FLAGS and not found.get(name))
            for name in COMPARED
            if name not in layer.unknown
        )
        for layer in code.layers
    )


def test_the_client_and_the_map_agree_about_every_form(emulator: RunningEmulator, tmp_path: Path) -> None:
    """One process a form, some at a time."""
    folders = {name: tmp_path / str(place) for place, name in enumerate(RUN)}
    with ThreadPoolExecutor(4) as pool:
        recorded = dict(
            zip(RUN, pool.map(lambda name: initialised(RUN[name], folders[name], emulator), RUN), strict=True)
        )
    for name, form in RUN.items():
        assert (recorded[name] is None or recorded[name]["type"] != "s3") is form.is_none, name
        if not form.is_none:
            config = recorded[name]["config"]
            assert (config["bucket"], config["key"]) == (BUCKET, form.key), name
        shutil.rmtree(folders[name] / form.folder / ".terraform", ignore_errors=True)
        code = read_code([str(folders[name])], Settings(backend_files=form.backend_files))
        assert agrees(code, recorded[name]), (name, code)


def test_a_checkout_is_found_in_whatever_folder_it_is(emulator: RunningEmulator, tmp_path: Path) -> None:
    form = RUN["nothing but a command line"]
    recorded = initialised(form, tmp_path, emulator, "data/of terraform")
    code = read_code([str(tmp_path)])
    (checkout,) = [each for each in code.layers if each.source == CHECKOUT]
    assert checkout.arguments["bucket"] == recorded["config"]["bucket"] == BUCKET


def compared(form: Form, emulator: RunningEmulator) -> None:
    with tempfile.TemporaryDirectory() as home:
        recorded = initialised(form, Path(home), emulator)
        shutil.rmtree(Path(home) / ".terraform", ignore_errors=True)
        code = read_code([home])
        is_s3 = recorded is not None and recorded["type"] == "s3"
        assert not is_s3 or (agrees(code, recorded) and (code.layers or code.unknown())), form


DRAWN = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None}


@given(folders())
@settings(max_examples=20, derandomize=True, **DRAWN)
def test_nothing_is_absent_where_the_client_finds_a_backend(emulator: RunningEmulator, form: Form) -> None:
    compared(form, emulator)


@pytest.mark.thorough
@given(folders())
@settings(max_examples=500, **DRAWN)
def test_nothing_is_absent_where_the_client_finds_a_backend_in_many(emulator: RunningEmulator, form: Form) -> None:
    compared(form, emulator)
