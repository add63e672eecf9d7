# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A backend that fails stops no other; the summary names them all once, and each failed host ends with its reason."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.playbooks.project import Project, Run
from tests.support.relay import Relay, error

GOOD, BAD, FAR = "good", "bad", "far"
UNREACHABLE = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}


@dataclass(frozen=True)
class Case:
    """Hosts of a kind each, how the playbook is run, and what becomes of whom."""

    hosts: dict[str, str]
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    limited_to: tuple[str, ...] = ()

    @property
    def concerned(self) -> dict[str, str]:
        return {name: kind for name, kind in self.hosts.items() if name in self.limited_to or not self.limited_to}


MIXED = {"a": BAD, "b": GOOD, "c": GOOD}
FREE = {"ANSIBLE_STRATEGY": "free"}
SERIAL = ("-e", "terraform_backend_serial=1")
CASES = {
    "all_is_well": Case({"a": GOOD, "b": GOOD}),
    "one_fails": Case(MIXED),
    "one_fails_one_after_the_other": Case(MIXED, SERIAL),
    "one_fails_with_strategy_free": Case(MIXED, environment=FREE),
    "only_the_failing_one_is_asked_for": Case(MIXED, ("-l", "a"), limited_to=("a",)),
    "all_fail": Case({"a": BAD, "b": BAD}),
    "all_fail_one_after_the_other": Case({"a": BAD, "b": BAD}, SERIAL),
    "all_fail_with_strategy_free": Case({"a": BAD, "b": BAD}, environment=FREE),
    "one_is_unreachable": Case({"a": FAR, "b": GOOD}),
    "one_is_unreachable_one_after_the_other": Case({"a": FAR, "b": GOOD}, SERIAL),
    "one_is_unreachable_with_strategy_free": Case({"a": FAR, "b": GOOD}, environment=FREE),
    "all_are_unreachable": Case({"a": FAR, "b": FAR}),
    "every_kind_at_once": Case({"a": FAR, "b": BAD, "c": GOOD}),
    "one_fails_with_any_errors_fatal": Case({**MIXED, "d": FAR}, environment={"ANSIBLE_ANY_ERRORS_FATAL": "true"}),
}


def run(case: Case, project: Project, relay: Relay, unique: str) -> Run:
    relay.on("PutBucketVersioning", reply=error("AccessDenied", 403), times=math.inf, resource=f"bad-{unique}")
    hosts: dict[str, dict[str, Any]] = {
        name: {
            "terraform_backend_bucket_name": f"bad-{unique}" if kind == BAD else f"{name}-{unique}",
            "terraform_backend_table_name": f"bad-{unique}" if kind == BAD else f"{name}-{unique}",
            **(UNREACHABLE if kind == FAR else {}),
        }
        for name, kind in case.hosts.items()
    }
    project.inventory(hosts)
    return project.play("cornerstone.tfstate.bootstrap", *case.arguments, **case.environment)


#: The others differ from these in the strategy or the number of hosts.
BRIEFLY = (
    *("one_fails_with_strategy_free", "all_fail_one_after_the_other", "every_kind_at_once", "all_are_unreachable"),
    "one_fails_with_any_errors_fatal",
)


@pytest.mark.parametrize(
    "case",
    [pytest.param(CASES[name], id=name, marks=[] if name in BRIEFLY else pytest.mark.thorough) for name in CASES],
)
def test_the_summary_comes_once_and_tells_what_became_of_each(
    case: Case, project: Project, relay: Relay, unique: str
) -> None:
    done = run(case, project, relay, unique)
    assert len(done.summaries) == 1, done.output
    status = dict(re.findall(r"^(\w+) .* (ok|FAILED)$", done.summary, re.MULTILINE))
    assert status == {host: "ok" if kind == GOOD else "FAILED" for host, kind in case.concerned.items()}, done.output
    lost = {host for host, kind in case.concerned.items() if kind != GOOD}
    assert done.code == (2 if lost else 0), done.output
    assert {host: counts["failed"] for host, counts in done.recap.items()} == {
        host: int(host in lost) for host in case.concerned
    }
    assert {host for host, counts in done.recap.items() if counts["rescued"] or counts["ignored"]} == set()
    words = {BAD: "needs s3:PutBucketVersioning", FAR: "unreachable: "}
    assert done.reasons.keys() == lost
    for host, reason in done.reasons.items():
        assert words[case.hosts[host]] in reason
        # since 2.19, Ansible prints the message of a task twice
        assert done.output.count(reason) <= 2 * [*done.reasons.values()].count(reason), done.output
    assert "ansible_failed_task" not in done.output


def test_a_permission_that_is_missing_is_named(project: Project, relay: Relay, unique: str) -> None:
    done = run(CASES["only_the_failing_one_is_asked_for"], project, relay, unique)
    assert done.reasons["a"].startswith("put_bucket_versioning on"), done.output
    assert re.search(r"^FAILED a: put_bucket_versioning on \S+: AccessDenied \.\.\.$", done.output, re.MULTILINE)
    assert '"backends": ' not in done.output


def test_a_host_that_is_unreachable_is_called_so(project: Project, relay: Relay, unique: str) -> None:
    done = run(CASES["all_are_unreachable"], project, relay, unique)
    assert [*done.reasons] == ["a", "b"]
    assert all(re.match("unreachable: .*set ansible_connection: local", reason) for reason in done.reasons.values())


def test_of_45_backends_only_counts_and_exceptions_are_shown(project: Project) -> None:
    """Registered results by way of the inventory: what matters here is that every host's line is found."""
    project.inventory({f"region-{number:02}": registered(number) for number in range(45)})
    project.write("site.yml", [{"hosts": "all", "gather_facts": False, "tasks": [SUM_UP]}])
    done = project.play("site.yml")
    assert done.code != 0, done.output
    assert done.summary == (
        "BACKEND    STATE BUCKET  LOCK TABLE  LOCK MODE  CHANGED         STATUS\n"
        "region-07  state-07      locks-07    both       -               FAILED\n"
        "region-30  state-30      locks-30    both       bucket created  ok\n"
        "45 backends: 44 ok, 1 failed, 1 changed\n"
    )
    assert done.reasons == {"region-07": "no such luck"}


BUG = """
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.in_process import InProcessAction


class ActionModule(InProcessAction):
    def work(self, on_write=None):
        return {}["gone"]
"""


def test_the_traceback_of_a_bug_is_shown_as_its_message_says(project: Project) -> None:
    project.inventory({"eu": {}})
    project.write("library/faulty.py", "")
    project.write("action_plugins/faulty.py", BUG)
    project.write("site.yml", [{"hosts": "all", "gather_facts": False, "tasks": [{"name": "Fail", "faulty": {}}]}])
    done = project.play("site.yml")
    assert "this is a bug" in done.output and "Traceback" not in done.output, done.output
    hint = re.findall(r"the traceback that (?:the option )?(\S+) shows", done.output)[0]
    name, _equals, value = hint.partition("=")
    shown = project.play("site.yml", **{name: value}) if value else project.play("site.yml", hint)
    assert 'return {}["gone"]' in shown.output


@pytest.mark.parametrize("callback", ["json", "ansible.posix.jsonl"])
def test_beside_json_no_table_is_printed_and_the_results_say_the_same(project: Project, callback: str) -> None:
    project.inventory({"region-07": registered(7), "region-30": registered(30)})
    both = [{**SUM_UP, "cornerstone.tfstate.tf_backend_summary": {"fail": False}, "run_once": True}, FAIL]
    project.write("site.yml", [{"hosts": "all", "gather_facts": False, "tasks": [REPORT, *both]}])
    done = project.play("site.yml", ANSIBLE_STDOUT_CALLBACK=callback)
    documents = [json.loads(line) for line in ([done.output] if callback == "json" else done.output.splitlines())]
    assert documents, done.output
    results = [*_results(documents)]
    (table,) = [each["msg"] for each in results if "BACKEND  " in each.get("msg", "")]
    assert table.endswith("2 backends: 1 ok, 1 failed, 1 changed\nFAILED region-07: no such luck")
    assert sorted(each["msg"] for each in results if "converged" in each and each["msg"] != table) == [
        *("changed", "no such luck"),  # jsonl has them as they end
    ]
    lines = [[(each["name"], each["status"]) for each in lines] for lines in _lines(results)]
    assert lines == [[("region-07", "failed"), ("region-30", "changed")]]
    reports = [each["backends"] for each in results if "backends" in each and "converged" not in each]
    assert [each["id"] for each in reports[0][0]["findings"]] == ["audit.failed"]


def _lines(results: list[dict[str, Any]]) -> list[Any]:
    return [each["backends"] for each in results if "converged" in each and "backends" in each]


def _results(value: Any) -> Iterator[dict[str, Any]]:
    """Every result of a task, wherever the format has them."""
    if isinstance(value, dict):
        if "msg" in value or "backends" in value:
            yield value
        else:
            for each in value.values():
                yield from _results(each)
    elif isinstance(value, list):
        for each in value:
            yield from _results(each)


REPORT = {"name": "Report", "cornerstone.tfstate.tf_backend_report": {}, "run_once": True}
SUM_UP = {"name": "Sum up", "cornerstone.tfstate.tf_backend_summary": {}}
FAIL = {"name": "Fail", "cornerstone.tfstate.tf_backend_summary": {"print": False}}


def registered(number: int) -> dict[str, Any]:
    name, is_new = f"region-{number:02}", number == 30
    backend = {"host": name, "bucket": f"state-{number:02}", "table": f"locks-{number:02}", "lock_mode": "both"}
    more = {"changed": True, "changes": "bucket created"} if is_new else {"failed": True} if number == 7 else {}
    failure = {"msg": "no such luck"} if number == 7 else {}
    return {"terraform_backend": {"changed": is_new, **failure, "backends": {name: {**backend, **more}}}}


def test_backends_that_share_a_bucket_but_not_its_locks_are_refused_alone(
    project: Project, relay: Relay, unique: str
) -> None:
    shared = {"terraform_backend_bucket_name": f"shared-{unique}"}
    hosts = {name: {**shared, "terraform_backend_table_name": f"{name}-{unique}"} for name in ("a", "b")}
    hosts["c"] = {"terraform_backend_bucket_name": f"c-{unique}", "terraform_backend_table_name": f"c-{unique}"}
    project.inventory(hosts)
    done = project.play("cornerstone.tfstate.bootstrap")
    assert done.code != 0 and "3 backends: 1 ok, 2 failed, 1 changed" in done.summary, done.output
    assert "is also that of the host b" in done.reasons["a"] and "is also that of the host a" in done.reasons["b"]
    alone = project.play("cornerstone.tfstate.bootstrap", "-l", "b")
    assert "is also that of the host a" in alone.reasons["b"], "a host beyond the limit is in the same inventory"
    elsewhere = project.play("cornerstone.tfstate.bootstrap", "-e", "terraform_backend_hosts=c")
    assert elsewhere.code == 0 and "is also that" not in elsewhere.output
    assert not [call for call in relay.calls if f"shared-{unique}" in call.resource]
