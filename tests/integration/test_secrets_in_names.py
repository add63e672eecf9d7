# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names that contain the value of a secret option: whole in every file, fact and table, however the module is run."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.findings import Tuning
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.no_log import CENSOR, HIDDEN, is_censored
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report.build import build_report
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report.html import page_text
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report.report import json_text, markdown_text
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report.summary import Host, lines_of, summary_text

from tests.integration.conftest import RunWithVariables
from tests.integration.module_runs import Fork, Result, Task
from tests.support.emulators import RunningEmulator
from tests.support.relay import Relay

#: Part of every name.
SECRET = "acme"
SECRETS = ("secret_key", "session_token", "assume_role_external_id")
ROLE_ARN = f"arn:aws:iam::000000000000:role/{SECRET}"


@pytest.fixture
def emulator(ministack: RunningEmulator) -> RunningEmulator:
    """One is enough: what is shown of a result does not depend on who answered."""
    return ministack


def connection(relay: Relay, secret: str = SECRET) -> dict[str, Any]:
    harmless = {name: f"harmless-{name}" for name in SECRETS}
    return {
        **{"endpoint_url": relay.url, "region": "eu-west-1", "access_key": "AKIAEXAMPLE000000000"},
        **{"assume_role_arn": ROLE_ARN, "cache_credentials": False},
        **(dict.fromkeys(SECRETS, secret) if secret else harmless),
    }


def names(unique: str) -> dict[str, str]:
    return {"bucket": f"{unique}-{SECRET}-states", "table": f"{unique}-{SECRET}-locks"}


def role(relay: Relay, unique: str, home: Path, secret: str = SECRET, **more: Any) -> dict[str, Any]:
    given = {
        **connection(relay, secret),
        **{f"{kind}_name": name for kind, name in names(unique).items()},
        "name": f"{SECRET}-backend",
        "config_directory": str(home / SECRET),
        "state_key": f"{SECRET}/terraform.tfstate",
        "workspace_key_prefix": f"ws-{SECRET}",
        "client_assume_role_arn": ROLE_ARN,
        "client_assume_role_external_id": SECRET,
        "account_id": "000000000000",
        **more,
    }
    return {f"terraform_backend_{name}": value for name, value in given.items()}


def texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.iterdir())}


def done(result: Result) -> Result:
    assert not result.get("failed"), result["msg"]
    return result


def test_files_facts_and_tables_have_whole_names(run_with: RunWithVariables, aws_like: Relay, tmp_path: Path) -> None:
    unique = uuid4().hex[:10]
    harmless = done(run_with(role(aws_like, unique, tmp_path, secret=""))([Task("tf_backend")])[0])
    expected = texts(tmp_path / SECRET)
    for path in (tmp_path / SECRET).iterdir():
        path.unlink()

    result = done(run_with(role(aws_like, unique, tmp_path))([Task("tf_backend")])[0])
    assert texts(tmp_path / SECRET) == expected
    described = ("bucket", "table", "s3", "files", "directory", "name")
    assert [result[each] for each in described] == [harmless[each] for each in described]
    assert result["credentials"] == f"role {ROLE_ARN} from access key AKIA...0000"
    (line,) = lines_of(Host("localhost", result))
    assert {line.bucket, line.table} == {*names(unique).values()}
    assert CENSOR not in summary_text([line])

    audited, handed = run_with({})(
        [
            Task("tf_backend_audit", {**connection(aws_like), **names(unique), "gather": ["settings"]}),
            Task(
                "tf_backend_handover",
                {**connection(aws_like), **names(unique), "directory": str(tmp_path / "project"), "name": SECRET},
            ),
        ]
    )
    report = build_report([done(audited)], None, {}, Tuning(date(2026, 1, 1)))
    for text in (json_text(report), markdown_text(report), page_text(report)):
        assert CENSOR not in text and names(unique)["bucket"] in text
    assert done(handed)["project"]["bucket"] == names(unique)["bucket"]
    for text in texts(tmp_path / "project").values():
        assert CENSOR not in text and HIDDEN not in text


@pytest.mark.parametrize(
    "option",
    [pytest.param(each, marks=[pytest.mark.thorough] * (each != "assume_role_external_id")) for each in SECRETS],
)
def test_a_part_of_a_key_that_aws_named_is_whole_in_files_or_they_are_not_written(
    run_with: RunWithVariables, emulator: RunningEmulator, aws_like: Relay, tmp_path: Path, option: str
) -> None:
    kms = emulator.client("kms", region="eu-west-1")
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    alias = f"alias/{uuid4().hex[:10]}"
    kms.create_alias(AliasName=alias, TargetKeyId=arn)
    part = arn[-12:]
    given = role(aws_like, uuid4().hex[:10], tmp_path, secret="", bucket_kms_key_id=alias, **{option: part})
    run_tasks = run_with(given)
    (result,) = run_tasks([Task("tf_backend")])
    if isinstance(run_tasks, Fork):
        assert result.get("failed", False) is not run_tasks.is_fast
    if result.get("failed"):
        assert f"terraform_backend_{option}" in result["msg"] and "not written" in result["msg"]
        assert not (tmp_path / SECRET).exists()
        assert not result["changed"] and not aws_like.writes
    else:
        assert json.loads((tmp_path / SECRET / "backend-config.json").read_text())["kms_key_id"] == arn
        assert result["kms_key_id"] == arn


@pytest.mark.parametrize("value", [f"{CENSOR}-states", HIDDEN])
@pytest.mark.parametrize("option", ["bucket", "table", "region", "kms_key_id", "directory", "key", "client_profile"])
def test_no_file_is_made_from_a_censored_value(
    run_with: RunWithVariables, tmp_path: Path, option: str, value: str
) -> None:
    asked = {"name": "eu", "bucket": "b", "table": "t", "region": "eu-west-1", "directory": str(tmp_path / "files")}
    censored = {**asked, option: str(tmp_path / value) if option == "directory" and CENSOR in value else value}
    if option == "kms_key_id":
        censored["encryption"] = "aws:kms"
    (result,) = run_with({})([Task("tf_backend_config", censored)])
    if option == "directory" and value == HIDDEN:
        return  # made absolute before: a folder of that name
    assert result["failed"] and option in result["msg"] and "censored" in result["msg"]
    assert not [*tmp_path.rglob("backend*"), *tmp_path.rglob("*.tfbackend")]
    assert is_censored(censored)
