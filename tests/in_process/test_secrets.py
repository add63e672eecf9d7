# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What must never be seen, however much is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from tests.playbooks.project import Project, Run

SECRETS = {
    "secret_key": "wJalrXUtnFEMIexampleSECRETkey",
    "session_token": "FwoGZXIvYXdzexampleTOKEN",
    "assume_role_external_id": "example-EXTERNAL-id",
}
#: Where nothing answers.
NOWHERE = "127.0.0.1:9"


@pytest.mark.aws("6.7")
def test_secrets_are_neither_printed_nor_logged(project: Project, table_name: str) -> None:
    """Of a task that ends well, and of one that is wrongly asked."""
    options = {
        **project.connection(),
        **{name: f"{{{{ given_{name} }}}}" for name in SECRETS},
        "assume_role_arn": "arn:aws:iam::222222222222:role/r",
        "name": table_name,
    }
    project.write("secrets.yml", {f"given_{name}": value for name, value in SECRETS.items()})
    project.write("site.yml", play(look(options), look({**options, "bogus": True})))
    run, told = told_of_all("site.yml", project)
    assert (run.recap["localhost"]["ok"], run.recap["localhost"]["failed"]) == (1, 1), run.output
    assert not [name for name, value in SECRETS.items() if value in told]


def test_the_role_keeps_its_secrets_too(project: Project, bucket_name: str, table_name: str) -> None:
    names = [
        {"terraform_backend_bucket_name": f"{bucket_name}{end}", "terraform_backend_table_name": f"{table_name}{end}"}
        for end in ("", "-2")
    ]
    project.inventory(
        {"eu-1": names[0], "eu-2": {**names[1], "terraform_backend_bucket_tags": "none"}},
        terraform_backend_assume_role_arn="arn:aws:iam::222222222222:role/r",
        **{f"terraform_backend_{name}": value for name, value in SECRETS.items()},
    )
    run, told = told_of_all("cornerstone.tfstate.bootstrap", project)
    assert "2 backends: 1 ok, 1 failed" in run.summary and run.recap["eu-2"]["failed"] == 1, run.output
    assert not [name for name, value in SECRETS.items() if value in told]


def test_credentials_in_urls_are_neither_printed_nor_logged(project: Project, table_name: str) -> None:
    """Of the endpoint and of proxies, in results, in errors that quote the URL, and in refusals of other options."""
    scheme, host = project.connection()["endpoint_url"].split("://")
    proxies = {"https": "http://operator:proxy-PASSWORD@127.0.0.1:9"}
    secrets = {
        name: f"{scheme}://operator:endpoint-PASSWORD@{where}" for name, where in (("well", host), ("badly", NOWHERE))
    }
    project.write("secrets.yml", {**secrets, "tuning": {"proxies": proxies, "retries": {"total_max_attempts": 1}}})
    options = {**project.connection(), "name": table_name, "aws_config": "{{ tuning }}", "wait_timeout": 1}
    well, badly = ({**options, "endpoint_url": f"{{{{ {name} }}}}"} for name in secrets)
    tasks = look(well), look(badly, ignore_errors=True), look({**well, "bogus": True})
    project.write("site.yml", play(*tasks))
    run, told = told_of_all("site.yml", project)
    counts = run.recap["localhost"]
    assert (counts["ok"], counts["ignored"], counts["failed"]) == (2, 1, 1), run.output
    assert [line for line in told.splitlines() if "PASSWORD" in line] == []


def look(options: dict[str, Any], **otherwise: Any) -> dict[str, Any]:
    return {"name": "Look", "cornerstone.tfstate.tf_lock_table": options, "check_mode": True, **otherwise}


def play(*tasks: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"hosts": "localhost", "gather_facts": False, "vars_files": ["secrets.yml"], "tasks": list(tasks)}]


def told_of_all(playbook: str, project: Project) -> tuple[Run, str]:
    """All that is printed and logged, however much is asked for."""
    run = project.play(playbook, "-vvvv", "--diff", ANSIBLE_LOG_PATH=str(project.home / "log"))
    return run, run.output + (project.home / "log").read_text()
