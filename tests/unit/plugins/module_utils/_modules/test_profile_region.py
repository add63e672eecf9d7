# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The region of a profile is used where nothing else names one, and the result says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Invalid
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import (
    ModuleRun,
    resource_module,
    target_of,
)
from ansible_collections.cornerstone.tfstate.plugins.modules import tf_backend_restore
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions import role_variables

CONFIG = "[default]\nregion = us-east-1\n[profile ops]\nregion = af-south-1\n[profile bare]\noutput = json\n"


@pytest.fixture(autouse=True)
def _config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").write_text(CONFIG)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)


def region(run: ModuleRun) -> dict[str, Any]:
    return {"changed": False, "region": target_of(run.params).region}


def told(**options: Any) -> dict[str, Any]:
    entry = replace(resource_module(BUCKET), work=region)
    return entry.run({**dict.fromkeys(entry.spec), "name": "tf-state", **options}, False, False)


def test_the_region_of_the_profile_is_used_and_named() -> None:
    assert told(profile="ops") == {"changed": False, "region": "af-south-1", "region_source": "profile ops"}


def test_a_profile_of_the_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "ops")
    assert told()["region_source"] == "profile ops"
    assert told(profile="default")["region"] == "us-east-1"


def test_a_region_that_is_given_wins() -> None:
    assert told(profile="ops", region="eu-west-1") == {"changed": False, "region": "eu-west-1"}


@pytest.mark.parametrize(
    "options", [{}, {"profile": "bare"}, {"profile": "nosuch"}, {"access_key": "a", "secret_key": "b"}]
)
def test_no_other_region_is_taken_for_it(options: dict[str, Any]) -> None:
    result = told(**options)
    assert result["failed"] and result["msg"].startswith("region is not set: ")
    assert "region_source" not in result


def test_explicit_keys_have_no_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "ops")
    assert told(access_key="a", secret_key="b")["failed"]


def test_a_failure_says_where_the_region_came_from() -> None:
    def fail(_run: ModuleRun) -> dict[str, Any]:
        raise Invalid("bucket tf-state lies in eu-west-1, not in af-south-1")

    entry = replace(resource_module(BUCKET), work=fail)
    result = entry.run({**dict.fromkeys(entry.spec), "name": "tf-state", "profile": "ops"}, False, False)
    assert result["msg"].endswith("not in af-south-1; the region af-south-1 is that of profile ops")
    assert not result["changed"]


def test_a_restore_goes_where_the_backup_says() -> None:
    entry = replace(tf_backend_restore.MODULE, work=lambda run: {"changed": False, "region": run.params["region"]})
    assert entry.run({**dict.fromkeys(entry.spec), "profile": "ops"}, False, False)["region"] is None


def test_the_role_takes_it_too() -> None:
    given = {"bucket_name": "state-eu", "table_name": "locks-eu", "profile": "ops", "name": "eu"}
    values = {role_variables.PREFIX + name: value for name, value in given.items()}
    assert role_variables.validated(values)["terraform_backend_region"] == "af-south-1"
    assert role_variables.region_profile(values) == "ops"
    with_region = {**values, "terraform_backend_region": "eu-west-1"}
    assert role_variables.region_profile(with_region) is None
    with pytest.raises(Invalid, match="terraform_backend_region is not set"):
        role_variables.validated({**values, "terraform_backend_profile": "bare"})
