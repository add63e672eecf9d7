# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What must never be seen, however much is asked for."""

from __future__ import annotations

import pytest

from tests.playbooks.project import Project

SECRETS = {
    "secret_key": "wJalrXUtnFEMIexampleSECRETkey",
    "session_token": "FwoGZXIvYXdzexampleTOKEN",
    "assume_role_external_id": "example-EXTERNAL-id",
}


@pytest.mark.aws("6.7")
@pytest.mark.parametrize("ends", ["well", "badly"])
def test_secrets_are_neither_printed_nor_logged(project: Project, table_name: str, ends: str) -> None:
    bad = {"bogus": True} if ends == "badly" else {}
    options = {
        **project.connection(),
        **SECRETS,
        "assume_role_arn": "arn:aws:iam::222222222222:role/r",
        "name": table_name,
    }
    variables = {f"given_{name}": value for name, value in SECRETS.items()}
    project.write("secrets.yml", variables)
    task = {"name": "Look", "cornerstone.tfstate.tf_lock_table": {**options, **bad}, "check_mode": True}
    for name in SECRETS:
        task["cornerstone.tfstate.tf_lock_table"][name] = f"{{{{ given_{name} }}}}"
    project.write(
        "site.yml", [{"hosts": "localhost", "gather_facts": False, "vars_files": ["secrets.yml"], "tasks": [task]}]
    )
    run = project.play("site.yml", "-vvvv", "--diff", ANSIBLE_LOG_PATH=str(project.home / "log"))
    assert (run.code == 0) == (ends == "well"), run.output
    told = run.output + (project.home / "log").read_text()
    assert not [name for name, value in SECRETS.items() if value in told]


@pytest.mark.parametrize("ends", ["well", "badly"])
def test_the_role_keeps_its_secrets_too(project: Project, bucket_name: str, table_name: str, ends: str) -> None:
    project.inventory(
        {"eu-1": {"terraform_backend_bucket_name": bucket_name, "terraform_backend_table_name": table_name}},
        terraform_backend_assume_role_arn="arn:aws:iam::222222222222:role/r",
        **{f"terraform_backend_{name}": value for name, value in SECRETS.items()},
        **({"terraform_backend_bucket_tags": "none"} if ends == "badly" else {}),
    )
    run = project.play("cornerstone.tfstate.bootstrap", "-vvvv", "--diff", ANSIBLE_LOG_PATH=str(project.home / "log"))
    assert (run.code == 0) == (ends == "well"), run.output
    told = run.output + (project.home / "log").read_text()
    assert not [name for name, value in SECRETS.items() if value in told]


@pytest.mark.parametrize("ends", ["well", "badly", "wrongly asked"])
def test_credentials_in_urls_are_neither_printed_nor_logged(project: Project, table_name: str, ends: str) -> None:
    """Of the endpoint and of proxies, in results, in errors that quote the URL, and in refusals of other options."""
    scheme, host = project.connection()["endpoint_url"].split("://")
    where = f"{scheme}://operator:endpoint-PASSWORD@{'127.0.0.1:9' if ends == 'badly' else host}"
    proxies = {"https": "http://operator:proxy-PASSWORD@127.0.0.1:9"}
    project.write("secrets.yml", {"where": where, "tuning": {"proxies": proxies, "retries": {"total_max_attempts": 1}}})
    options = {
        **project.connection(),
        "name": table_name,
        "endpoint_url": "{{ where }}",
        "aws_config": "{{ tuning }}",
        "wait_timeout": 1,
        **({"bogus": True} if ends == "wrongly asked" else {}),
    }
    task = {"name": "Look", "cornerstone.tfstate.tf_lock_table": options, "check_mode": True}
    play = {"hosts": "localhost", "gather_facts": False, "vars_files": ["secrets.yml"], "tasks": [task]}
    project.write("site.yml", [play])
    run = project.play("site.yml", "-vvvv", "--diff", ANSIBLE_LOG_PATH=str(project.home / "log"))
    assert (run.code == 0) == (ends == "well"), run.output
    told = run.output + (project.home / "log").read_text()
    assert [line for line in told.splitlines() if "PASSWORD" in line] == []
