# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""`terraform_backend`, the result of the role, is right after it wherever the role stands, and so is the summary."""

from __future__ import annotations

import json
import math
import re
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from tests.playbooks.project import ROOT, Project, Run
from tests.support.emulators import RunningEmulator
from tests.support.relay import Relay, error

ROLE = "cornerstone.tfstate.terraform_backend"
BOOTSTRAP = {"name": "Bootstrap", "ansible.builtin.import_playbook": "cornerstone.tfstate.bootstrap"}
SUM_UP = {"name": "Sum up", "cornerstone.tfstate.tf_backend_summary": {}}
IMPORT = {"name": "Apply", "ansible.builtin.import_role": {"name": ROLE}}
INCLUDE = {"name": "Apply", "ansible.builtin.include_role": {"name": ROLE}}
SHOWN = {
    "bucket": "{{ terraform_backend.bucket.name | default('none') }}",
    "region": "{{ terraform_backend.region | default('none') }}",
    "lock_mode": "{{ terraform_backend.lock_mode | default('none') }}",
    "converged": "{{ terraform_backend.converged | default('none') }}",
    "backends": "{{ terraform_backend.backends | default({}) | dict2items | map(attribute='key') | join(' ') }}",
    "fact": "{{ ansible_facts.terraform_backend is defined }}",
}
SHOW = {"name": "Show", "ansible.builtin.debug": {"msg": f"RESULT {json.dumps(SHOWN)}"}}


def shown(run: Run) -> dict[str, dict[str, Any]]:
    """What each host knows of its backend."""
    found = re.findall(r'ok: \[(\w+)\] => \{\s+"msg": "RESULT (.*)"', run.output)
    return {host: json.loads(json.loads(f'"{text}"')) for host, text in found}


def play(*tasks: Any, **more: Any) -> dict[str, Any]:
    return {"name": "Play", "hosts": "all", "gather_facts": False, "tasks": [*tasks], **more}


class Site:
    """Two hosts, good backends, and one that AWS refuses."""

    def __init__(self, project: Project, relay: Relay, unique: str) -> None:
        self.project, self.unique = project, unique
        relay.on("PutBucketVersioning", reply=error("AccessDenied", 403), times=math.inf, resource=self.name("bad"))
        names = {
            f"terraform_backend_{kind}_name": f"{{{{ inventory_hostname }}}}-{unique}" for kind in ("bucket", "table")
        }
        project.inventory({"a": {}, "b": {}}, **names)

    def name(self, each: str) -> str:
        return f"{each}-{self.unique}"

    def run(self, *plays: Any, arguments: tuple[str, ...] = (), **environment: str) -> Run:
        self.project.write("site.yml", [*plays])
        return self.project.play("site.yml", *arguments, **environment)

    def looped(self, *backends: str, **more: Any) -> dict[str, Any]:
        names = {f"terraform_backend_{kind}_name": f"{{{{ item }}}}-{self.unique}" for kind in ("bucket", "table")}
        return {**INCLUDE, "loop": [*backends], "vars": {"terraform_backend_name": "{{ item }}", **names}, **more}


@pytest.fixture
def site(project: Project, relay: Relay, unique: str) -> Site:
    return Site(project, relay, unique)


EACH = {host: {"bucket": host, "backends": host} for host in "ab"}
PLACES: dict[str, tuple[dict[str, Any], dict[str, dict[str, str]]]] = {
    "import_role": (play(IMPORT, SHOW, SUM_UP), EACH),
    "roles": (play(SHOW, SUM_UP, roles=[ROLE]), EACH),
    "delegated": (play({**IMPORT, "delegate_to": "localhost"}, SHOW, SUM_UP), EACH),
    "run_once": (play({**IMPORT, "run_once": True}, SHOW, SUM_UP), dict.fromkeys("ab", EACH["a"])),
    "serial": (play(IMPORT, SHOW, SUM_UP, serial=1), EACH),
    "free": (play(IMPORT, SHOW, SUM_UP, strategy="free"), EACH),
    "throttle": (play({**IMPORT, "throttle": 1}, SHOW, SUM_UP), EACH),
}
#: The lines of each summary that is printed. In batches, and with a free strategy, no host speaks for those to come.
PRINTED = {"run_once": [["a"]], "serial": [["a"], ["a", "b"]], "free": [["a"], ["b"]]}


@pytest.mark.parametrize("place", PLACES)
def test_the_result_is_right_wherever_the_role_stands(site: Site, place: str) -> None:
    written, expected = PLACES[place]
    run = site.run(written, arguments=("--forks", "1") if place == "throttle" else (), ANSIBLE_INJECT_FACT_VARS="false")
    assert run.code == 0, run.output
    told = shown(run)
    assert told == {
        host: {
            **{"region": "eu-west-1", "lock_mode": "both", "converged": "True", "fact": "False"},
            **{"bucket": site.name(each["bucket"]), "backends": each["backends"]},
        }
        for host, each in expected.items()
    }, run.output
    lines = [re.findall(r"^(\w) +\S+ .* ok$", summary, re.MULTILINE) for summary in run.summaries]
    assert sorted(lines) == PRINTED.get(place, [["a", "b"]]), run.output


def test_a_loop_leaves_all_its_backends_and_its_failure_says_which(site: Site) -> None:
    loop = site.looped("x", "bad", "y")
    loop["ansible.builtin.include_role"] = {"name": ROLE, "apply": {"ignore_errors": True}}
    run = site.run(play(loop, SHOW, SUM_UP, hosts="a"))
    assert run.code == 2, run.output
    assert (shown(run)["a"]["bucket"], shown(run)["a"]["backends"]) == (site.name("y"), "x bad y")
    assert re.findall(r"^(\w+) .* (ok|FAILED)$", run.summary, re.MULTILINE) == [
        *(("x", "ok"), ("bad", "FAILED"), ("y", "ok")),
    ]
    assert run.reasons["a"].startswith(f"bad: put_bucket_versioning on {site.name('bad')}")
    again = site.run(play(site.looped("x", "new"), SHOW, SUM_UP, hosts="a"), arguments=("--check",))
    assert re.findall(r"^([a-z]+) .* (ok|would change)$", again.summary, re.MULTILINE) == [
        *(("x", "ok"), ("new", "would change")),
    ]


def test_a_failure_resets_the_result_and_check_mode_leaves_no_fact(site: Site) -> None:
    bad = {f"terraform_backend_{kind}_name": site.name("bad") for kind in ("bucket", "table")}
    failing = {**IMPORT, "vars": bad, "ignore_errors": True}
    cached = {"ANSIBLE_CACHE_PLUGIN": "jsonfile", "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(site.project.home / "cache")}
    run = site.run(play(IMPORT, failing, SHOW, hosts="a"), **cached)
    assert (shown(run)["a"]["bucket"], shown(run)["a"]["converged"]) == ("none", "False"), run.output
    assert shown(run)["a"]["backends"] == f"a a ({site.name('bad')})"
    config = {
        "name": "Write",
        "cornerstone.tfstate.tf_backend_config": {
            **{"directory": "out", "name": "eu", "bucket": "acme-b", "table": "acme-t", "region": "eu-west-1"},
        },
    }
    checked = site.run(play(config, SHOW, hosts="a"), arguments=("--check",), **cached)
    assert shown(checked)["a"]["fact"] == "False", checked.output
    assert shown(site.run(play(config, SHOW, hosts="a"), **cached))["a"]["fact"] == "True"


def test_a_host_that_was_skipped_or_lost_is_neither_ok_nor_blamed_on_the_role(site: Site) -> None:
    skipped = site.run(play({**IMPORT, "when": "inventory_hostname == 'a'"}, SUM_UP))
    assert skipped.code == 0 and re.search(r"^b .* skipped$", skipped.summary, re.MULTILINE), skipped.output
    lose = play({"name": "Lose", "ansible.builtin.fail": {"msg": "mine"}, "when": "inventory_hostname == 'b'"})
    lost = site.run(lose, BOOTSTRAP)
    assert lost.code == 2 and re.search(r"^b .* not run$", lost.summary, re.MULTILINE), lost.output
    assert "2 backends: 1 ok, 0 failed, 1 not run, 0 changed" in lost.summary
    assert lost.reasons == {"b": "mine"}
    started = site.run(BOOTSTRAP, arguments=("--start-at-task", "Summary | Print one line for each backend"))
    assert started.code == 2, started.output
    assert [*started.reasons] == ["a", "b"] and all(each.startswith("not run") for each in started.reasons.values())


def test_a_second_bootstrap_in_a_run_says_nothing_of_the_first(site: Site) -> None:
    bad = {f"terraform_backend_{kind}_name": site.name("bad") for kind in ("bucket", "table")}
    repair = {f"terraform_backend_{kind}_name": site.name("repaired") for kind in ("bucket", "table")}
    only_b = "inventory_hostname == 'b'"
    run = site.run(
        play({"name": "Break", "ansible.builtin.set_fact": bad, "when": only_b}),
        BOOTSTRAP,
        play({"name": "Go on", "ansible.builtin.meta": "clear_host_errors"}),
        play({"name": "Repair", "ansible.builtin.set_fact": repair, "when": only_b}),
        BOOTSTRAP,
        play(SHOW),
    )
    assert run.code == 0, run.output
    first, second = run.summaries
    assert "1 ok, 1 failed" in first and "2 ok, 0 failed" in second, run.output
    assert shown(run)["b"]["bucket"] == site.name("repaired")


def test_any_errors_fatal_ends_the_run_after_the_summary(site: Site) -> None:
    bad = {f"terraform_backend_{kind}_name": site.name("bad") for kind in ("bucket", "table")}
    good = {f"terraform_backend_{kind}_name": site.name("a") for kind in ("bucket", "table")}
    site.project.inventory({"a": good, "b": bad})
    run = site.run(BOOTSTRAP, play(SHOW), ANSIBLE_ANY_ERRORS_FATAL="true")
    assert run.code == 2 and "2 backends: 1 ok, 1 failed" in run.summary, run.output
    assert {host: counts["failed"] for host, counts in run.recap.items()} == {"a": 0, "b": 1}
    assert not shown(run), "a later play has no host left, as that setting says"


def test_machines_read_one_failing_case_with_its_reason_and_the_counts(site: Site) -> None:
    bad = {f"terraform_backend_{kind}_name": site.name("bad") for kind in ("bucket", "table")}
    good = {f"terraform_backend_{kind}_name": site.name("a") for kind in ("bucket", "table")}
    site.project.inventory({"a": good, "b": bad})
    logs = {"JUNIT_OUTPUT_DIR": "junit", "ANSIBLE_CALLBACK_TREE_DIR": "tree", "ANSIBLE_LOG_FOLDER": "logs"}
    callbacks = "junit,tree,community.general.log_plays"
    run = site.run(
        BOOTSTRAP,
        arguments=("-e", "terraform_backend_summary=1"),  # as AWX hands the stats on to the next job
        ANSIBLE_STDOUT_CALLBACK="ansible.posix.json",
        ANSIBLE_SHOW_CUSTOM_STATS="true",
        ANSIBLE_CALLBACKS_ENABLED=callbacks,
        **logs,
    )
    assert run.code == 2, run.output
    told = json.loads(run.output[run.output.index("{\n") :])  # what comes before is on the standard error
    stats = told["global_custom_stats"]["terraform_backend_summary"]
    assert (stats["changed_backends"], stats["failed_backends"]) == (["a", "b"], ["b"])
    assert {host: each["failures"] for host, each in told["stats"].items()} == {"a": 0, "b": 1}
    (report,) = (site.project.home / "junit").iterdir()
    cases = [*ElementTree.parse(report).iter("testcase")]
    failing = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    assert len(failing) == 1 and failing[0].attrib["name"].startswith("[b] Sum up: Result |")
    assert "needs s3:PutBucketVersioning" in ElementTree.tostring(failing[0], encoding="unicode")
    results = [case.attrib["name"][:3] for case in cases if ": Result |" in case.attrib["name"]]
    assert sorted(results) == ["[a]", "[b]"]
    assert "needs s3:PutBucketVersioning" in json.loads((site.project.home / "tree" / "b").read_text())["msg"]
    assert "BACKEND  " in (site.project.home / "logs" / "a").read_text()


def test_backends_that_share_a_bucket_are_refused_where_the_comparison_was_left_out(site: Site, relay: Relay) -> None:
    site.project.inventory(
        {host: {"terraform_backend_table_name": site.name(host)} for host in "ab"},
        terraform_backend_bucket_name=site.name("shared"),
    )
    task = yaml.safe_load((ROOT / "roles" / "terraform_backend" / "tasks" / "main.yml").read_text())[0]["name"]
    run = site.run(BOOTSTRAP, arguments=("--start-at-task", task))
    assert "is also that of the host b" in run.reasons["a"], run.output
    assert not relay.writes


def test_the_task_alone_needs_no_name_and_refuses_what_it_does_not_know(site: Site, emulator: RunningEmulator) -> None:
    task = "cornerstone.tfstate.tf_backend"
    run = site.run(play({"name": "Do", task: {}, "register": "terraform_backend"}, SHOW, hosts="a"))
    assert run.code == 0, run.output
    assert shown(run)["a"]["bucket"] == site.name("a")
    assert (site.project.home / "backends" / "a" / "backend.tf").exists()
    refused = site.run(play({"name": "Do", task: {"bogus": 12}}, hosts="a"))
    assert refused.reasons["a"] == f"Unsupported parameters for ({task}) module: bogus"


WRONG = {
    "a choice": ({"terraform_backend_lock_mode": "bth"}, "must be one of: dynamodb, lockfile, both, got: bth"),
    "no bucket": ({"terraform_backend_bucket_name": None}, "terraform_backend_bucket_name is not set"),
    "a number": (
        {"terraform_backend_client_version": 1.10},
        "must be text, and is the number 1.1: put quotes",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_under_roles_is_told_in_a_sentence(site: Site, case: str) -> None:
    variables, said = WRONG[case]
    run = site.run(play(hosts="a", roles=[{"role": ROLE, **variables}]))
    assert said in run.reasons["a"], run.output
    assert len(run.output) < 2500, run.output
