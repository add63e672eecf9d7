# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The gate that writes nothing and tells every refusal, and the tags that do a part of a backend."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from tests.playbooks.project import Project, Run
from tests.support.http_relay import Answer, Body
from tests.support.relay import Call, Proceed, Relay, Reply, error

PREFLIGHT = "cornerstone.tfstate.preflight"
BOOTSTRAP = "cornerstone.tfstate.bootstrap"
ROLE = "cornerstone.tfstate.terraform_backend"
CALLER = "arn:aws:iam::000000000000:user/ci"
XML = {"content-type": "text/xml"}


class Site:
    """A backend that is not there yet."""

    def __init__(self, project: Project, relay: Relay, unique: str) -> None:
        self.project, self.relay, self.unique = project, relay, unique
        self.has({"a": {}})

    def has(self, hosts: dict[str, dict[str, object]]) -> None:
        names = {
            f"terraform_backend_{kind}_name": f"{{{{ inventory_hostname }}}}-{self.unique}"
            for kind in ("bucket", "table")
        }
        self.project.inventory(hosts, **names)

    def run(self, playbook: str, *arguments: str, **environment: str) -> Run:
        """A run, with the requests that it makes alone."""
        self.relay.calls.clear()
        return self.project.play(playbook, *arguments, **environment)

    @property
    def written(self) -> list[str]:
        return [call.name for call in self.relay.writes]

    @property
    def files(self) -> bool:
        return (self.project.home / "backends").exists()


@pytest.fixture
def site(project: Project, relay: Relay, unique: str) -> Site:
    return Site(project, relay, unique)


def said(text: str) -> Reply:
    def reply(call: Call, proceed: Proceed) -> Answer:
        return Answer(200, dict(XML), Body((text.encode(),)))

    return reply


def caller(arn: str) -> Reply:
    inner = f"<Arn>{arn}</Arn><UserId>AIDA</UserId><Account>000000000000</Account>"
    return said(
        '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
        f"{inner}</GetCallerIdentityResult></GetCallerIdentityResponse>"
    )


def simulated(denied: str) -> Reply:
    """IAM allows everything but one action."""

    def members(call: Call) -> Iterator[str]:
        asked = parse_qs(call.body.decode())
        for name, (action,) in asked.items():
            if name.startswith("ActionNames."):
                decision = "implicitDeny" if action == denied else "allowed"
                yield (
                    f"<member><EvalActionName>{action}</EvalActionName><EvalResourceName>*</EvalResourceName>"
                    f"<EvalDecision>{decision}</EvalDecision></member>"
                )

    def reply(call: Call, proceed: Proceed) -> Answer:
        return said(
            '<SimulatePrincipalPolicyResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">'
            f"<SimulatePrincipalPolicyResult><EvaluationResults>{''.join(members(call))}</EvaluationResults>"
            "<IsTruncated>false</IsTruncated></SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>"
        )(call, proceed)

    return reply


def test_preflight_tells_all_refusals_of_a_backend_by_its_variables_and_writes_nothing(site: Site) -> None:
    foreign = site.project.home / "backends" / "bad"
    foreign.mkdir(parents=True)
    (foreign / "backend.tf").write_text("# mine\n")
    key = "terraform_backend_bucket_kms_key_id"
    missing = {key: "alias/missing", "terraform_backend_table_kms_key_id": "alias/none"}
    site.has({"good": {}, "bad": missing})
    run = site.run(PREFLIGHT)
    assert run.code == 2 and not site.written, run.output
    assert [*run.reasons] == ["bad"]
    reason = run.reasons["bad"]
    assert "alias/missing" in reason and "alias/none" in reason, "both keys"
    assert "terraform_backend_config_allow: [overwrite_files]" in reason
    assert re.findall(r"^(\w+) .*  ([A-Za-z ]+)$", run.summary, re.MULTILINE) == [
        ("BACKEND", "STATUS"),
        ("good", "would change"),
        ("bad", "REFUSED"),
    ], run.summary
    assert run.summary.endswith("2 backends: 1 ok, 0 failed, 1 refused, 1 would change\n")
    assert run.recap["good"]["failed"] == run.recap["good"]["changed"] == 0 and run.recap["bad"]["failed"] == 1


def test_a_conflict_with_another_host_hides_no_other_refusal(site: Site) -> None:
    shared = {"terraform_backend_bucket_name": f"shared-{site.unique}"}
    site.has({"a": shared, "b": {**shared, "terraform_backend_bucket_kms_key_id": "alias/missing"}})
    run = site.run(PREFLIGHT, "--check")
    assert [*run.reasons] == ["a", "b"] and not site.written, run.output
    assert all("is also that of the host" in each for each in run.reasons.values())
    assert "alias/missing" in run.reasons["b"] and "alias/missing" not in run.reasons["a"]


def test_what_nobody_can_ask_iam_is_a_warning_and_machines_read_json(site: Site) -> None:
    run = site.run(PREFLIGHT, ANSIBLE_STDOUT_CALLBACK="ansible.posix.json", ANSIBLE_SHOW_CUSTOM_STATS="true")
    assert run.code == 0, run.output
    told = json.loads(run.output[run.output.index("{\n") :])
    stats = told["global_custom_stats"]["terraform_backend_summary"]
    assert (stats["check_mode"], stats["changed_backends"], stats["failed"]) == (True, ["a"], 0)
    assert "is unknown: " in run.output and not site.written and not site.files


def test_a_write_that_iam_denies_is_refused_unless_nobody_may_ask(site: Site) -> None:
    site.relay.on("GetCallerIdentity", reply=caller(CALLER), times=math.inf)
    site.relay.on("SimulatePrincipalPolicy", reply=simulated("dynamodb:CreateTable"), times=math.inf)
    run = site.run(PREFLIGHT)
    assert run.code == 2 and not site.written, run.output
    assert f"{CALLER} may not do dynamodb:CreateTable on arn:aws:dynamodb:" in run.reasons["a"]
    assert "or if IAM knows better than its simulator: terraform_backend_check_permissions: false" in run.reasons["a"]
    assert site.run(PREFLIGHT, "-e", "terraform_backend_check_permissions=false").code == 0
    assert "SimulatePrincipalPolicy" not in {call.name for call in site.relay.calls}
    assert site.run(BOOTSTRAP, "--check").code == 0, "unless it is asked for, only preflight asks"


def test_preflight_and_the_role_in_one_play_leave_the_result_of_the_last(site: Site) -> None:
    site.project.write(
        "site.yml",
        """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.import_role: {name: cornerstone.tfstate.terraform_backend, tasks_from: preflight}
    - ansible.builtin.debug:
        msg: >-
          GATE {{ terraform_backend.changed }} {{ terraform_backend.converged }}
          {{ terraform_backend.changes | length > 0 }} {{ terraform_backend.backends.a.preflight }}
    - ansible.builtin.import_role: {name: cornerstone.tfstate.terraform_backend}
    - ansible.builtin.debug:
        msg: "DONE {{ terraform_backend.changed }} {{ terraform_backend.backends.a.preflight | default('none') }}"
""",
    )
    run = site.run("site.yml")
    assert run.code == 0, run.output
    assert "GATE False True True True" in run.output and "DONE True none" in run.output
    assert site.written and site.files


def test_a_blank_gate_is_none(site: Site) -> None:
    task = {"name": "Do", "cornerstone.tfstate.tf_backend": {"preflight": "{{ nobody | default('') }}"}}
    site.project.write("site.yml", [{"hosts": "all", "gather_facts": False, "tasks": [task]}])
    run = site.run("site.yml")
    assert "preflight is blank, and the run would write" in run.reasons["a"], run.output
    assert not site.relay.calls


def statuses(run: Run) -> dict[str, str]:
    return dict(re.findall(r"^(\w+) .*  (\S.*)$", run.summary.partition("STATUS\n")[2], re.MULTILINE))


def test_each_tag_does_its_part_and_the_summary_says_which(site: Site) -> None:
    refused = site.run(BOOTSTRAP, "--tags", "files")
    assert refused.code == 2 and not site.written and not site.files, refused.output
    assert (
        "does not exist, and the tags of the run leave it out: run without --tags and --skip-tags, or with --tags "
        in (refused.reasons["a"])
    )
    checked = site.run(BOOTSTRAP, "--tags", "files", "--check")
    assert checked.reasons == refused.reasons
    table = site.run(BOOTSTRAP, "--tags", "table")
    assert table.code == 0 and statuses(table) == {"a": "ok (table)"}, table.output
    assert "CreateTable" in site.written and {call.service for call in site.relay.calls} <= {"dynamodb", "sts"}
    rest = site.run(BOOTSTRAP, "--skip-tags", "files")
    assert rest.code == 0 and statuses(rest) == {"a": "ok (bucket, table)"}, rest.output
    assert "1 backend: 1 ok (bucket, table), 0 failed, 1 changed" in rest.summary
    assert "CreateBucket" in site.written and not site.files
    files = site.run(BOOTSTRAP, "--tags", "files")
    assert files.code == 0 and statuses(files) == {"a": "ok (files)"}, files.output
    assert site.files and not site.written
    every = site.run(BOOTSTRAP)
    assert every.code == 0 and statuses(every) == {"a": "ok"}
    assert "1 backend: 1 ok, 0 failed, 0 changed" in every.summary and len(site.relay.calls) == 12


def test_files_alone_tell_what_is_there_and_not_what_is_asked(site: Site) -> None:
    assert site.run(BOOTSTRAP).code == 0
    described = Path(site.project.home, "backends", "a", "backend-config.json")
    assert json.loads(described.read_text())["encryption"] == "AES256"
    described.unlink()
    asked = ("-e", "terraform_backend_bucket_encryption=aws:kms")
    files = site.run(BOOTSTRAP, "--tags", "files", *asked)
    assert files.code == 0 and not site.written, files.output
    assert json.loads(described.read_text())["encryption"] == "AES256"


def test_without_a_table_its_tag_has_nothing_to_do(site: Site) -> None:
    run = site.run(BOOTSTRAP, "--tags", "table", "-e", "terraform_backend_lock_mode=lockfile")
    assert run.code == 0 and not site.relay.calls, run.output
    assert statuses(run) == {"a": "nothing to do"}
    assert "a: nothing to do: the lock mode is lockfile, so there is no lock table" in run.output


def test_no_part_takes_a_step_from_lock_mode_to_lock_mode_alone(site: Site) -> None:
    by_table, by_file = (("-e", f"terraform_backend_lock_mode={mode}") for mode in ("dynamodb", "lockfile"))
    assert site.run(BOOTSTRAP, *by_table).code == 0
    bucket = site.run(BOOTSTRAP, *by_file, "--tags", "bucket")
    assert bucket.code == 2 and not site.written, bucket.output
    assert "terraform_backend_lock_mode cannot go from dynamodb to lockfile in one step" in bucket.reasons["a"]
    (site.project.home / "backends" / "a" / "backend-config.json").unlink()
    files = site.run(BOOTSTRAP, *by_file, "--tags", "files")
    assert files.code == 2 and not site.written, files.output
    assert "that records terraform_backend_lock_mode is not set yet" in files.reasons["a"]
    both = site.run(BOOTSTRAP, *by_file, "--tags", "bucket,files")
    assert both.code == 0 and statuses(both) == {"a": "ok (bucket, files)"}, both.output
    assert site.run(BOOTSTRAP, *by_file, "--tags", "files").code == 0


def test_preflight_of_a_part_is_about_that_part(site: Site) -> None:
    run = site.run(PREFLIGHT, "--tags", "table")
    assert run.code == 0 and not site.written, run.output
    assert statuses(run) == {"a": "would change (table)"}
    assert "table created" in run.summary and "bucket created" not in run.summary


WAYS = {
    "import_role": {"ansible.builtin.import_role": {"name": ROLE}},
    "include_role": {"ansible.builtin.include_role": {"name": ROLE}},
}


@pytest.mark.parametrize("way", WAYS)
def test_tags_of_users_do_everything(site: Site, way: str) -> None:
    include = {**WAYS[way], "name": "Apply", "tags": ["infra"]}
    if way == "include_role":
        include["ansible.builtin.include_role"] = {"name": ROLE, "apply": {"tags": ["infra"]}}
    task_of_others = {"name": "Other", "ansible.builtin.debug": {"msg": "OTHER"}, "tags": ["web"]}
    site.project.write("site.yml", [{"hosts": "all", "gather_facts": False, "tasks": [include, task_of_others]}])
    other = site.run("site.yml", "--tags", "web")
    assert "OTHER" in other.output and not site.relay.calls
    run = site.run("site.yml", "--tags", "infra")
    assert run.code == 0 and {"CreateBucket", "CreateTable"} <= {*site.written} and site.files, run.output


def test_a_refused_plan_of_another_part_stops_the_files_too(site: Site) -> None:
    assert site.run(BOOTSTRAP).code == 0
    site.relay.on("GetBucketVersioning", reply=error("AccessDenied", 403), times=math.inf)
    run = site.run(BOOTSTRAP, "--tags", "files")
    assert run.code == 2 and "needs s3:GetBucketVersioning" in run.reasons["a"], run.output
