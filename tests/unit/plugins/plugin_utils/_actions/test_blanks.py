# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A blank or null option is not set: every option of every module, in both ways, and every variable of the role."""

from __future__ import annotations

import copy
import datetime
import importlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.module_utils import basic
from ansible_collections.cornerstone.tfstate.plugins.action import tf_backend_report
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.findings import Tuning
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Invalid
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules import entry as _module
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.arguments import ACCOUNTS, is_blank
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import ModuleEntry, run_module
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.tuning_options import TUNING_NEVER_BLANK
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions import in_process as _in_process
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions import role_variables
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.child_process import environment_set
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report.build import audit_of

ROOT = Path(__file__).parents[5]
COLLECTION = "ansible_collections.cornerstone.tfstate"
#: Their action plugins are the whole of them.
WITHOUT_ENTRY = {"tf_backend", "tf_backend_orphans", "tf_backend_report", "tf_backend_summary"}
#: What a blank would lower, and so is refused: all there is. A new one is entered here and in the documentation.
REFUSED = {
    "tf_backend_accounts": {"account_id"},
    "tf_backend_adopt": {"account_id"},
    "tf_backend_audit": {"account_id", "backup_account_id", "fail_on", "waivers.backend", "waivers.resource"},
    "tf_backend_backup": {"account_id", "backup_account_id", "table"},
    "tf_backend_config": {"account_id"},
    "tf_backend_freeze": {"account_id", "table", "keys"},
    "tf_backend_handover": {"account_id"},
    "tf_backend_info": {"account_id"},
    "tf_backend_prices": set(),
    "tf_backend_restore": {"account_id", "backup_account_id", "table", "keys"},
    "tf_backend_teardown": {"account_id", "backup_account_id", "table", "keep_table", "code"},
    "tf_backend_verify": {"account_id", "backup_account_id", "table", "before", "backup"},
    "tf_lock_mode": {"account_id"},
    "tf_lock_table": {"account_id"},
    "tf_state_bucket": {"account_id"},
    "tf_state_digest": {"account_id", "key", "keys"},
    "tf_state_lock": {"account_id", "table", "lock_id", "older_than"},
    "tf_state_move": {"account_id", "source_account_id", "table", "source_table", "key", "keys", "verify_plan"},
    "tf_state_version": {"account_id", "table"},
}
BLANKS = ("", " ", "\t\n")
BLANK_LISTS: tuple[Any, ...] = ([""], [" ", None], [None], ["", ""], ",", " , ")


def module_names() -> list[str]:
    return sorted({path.stem for path in (ROOT / "plugins" / "modules").glob("tf_*.py")} - WITHOUT_ENTRY)


def entry_of(module: str) -> ModuleEntry:
    known = {name: role_variables.ENTRIES[kind] for kind, name in role_variables.MODULES.items() if kind != "config"}
    plugin = importlib.import_module(f"{COLLECTION}.plugins.action.{module}")
    entry: ModuleEntry = getattr(plugin.ActionModule, "MODULE", None) or known[module]
    return entry


def options(entry: ModuleEntry) -> Iterator[tuple[str, Mapping[str, Any], tuple[str, ...]]]:
    """Name, spec, and the path to the option: suboptions and the options of another module stand within others."""
    for name, option in entry.spec.items():
        yield name, option, (name,)
        for inner, suboption in {**option.get("options", {}), **entry.inner.get(name, {})}.items():
            yield f"{name}.{inner}", suboption, (name, inner)


ENTRIES = {module: entry_of(module) for module in module_names()}
EVERY_OPTION = [(module, path) for module, entry in ENTRIES.items() for _name, _option, path in options(entry)]


def sample(option: Mapping[str, Any]) -> Any:
    kind = option.get("type", "str")
    value: Any = {"int": 1, "bool": True, "dict": {}}.get(kind, (option.get("choices") or ["sample"])[0])
    return [value] if kind == "list" else value


def given(entry: ModuleEntry, path: tuple[str, ...], *value: Any) -> dict[str, Any]:
    """What a task must say at the least, and the option at `path`."""
    out = {name: sample(option) for name, option in entry.spec.items() if option.get("required")}
    holder, last = out, path[-1]
    if len(path) == 2:
        option = entry.spec[path[0]]
        holder = {name: sample(each) for name, each in option.get("options", {}).items() if each.get("required")}
        out[path[0]] = [holder] if option["type"] == "list" else holder
    holder.pop(last, None)
    if value:
        holder[last] = value[0]
    return out


class Unanswered(Exception):
    """The core was not reached."""


def in_process(entry: ModuleEntry, arguments: Mapping[str, Any]) -> dict[str, Any]:
    reached: dict[str, Any] = {}

    def core(run: Any) -> dict[str, Any]:
        reached.update(run.params)
        return {"changed": False}

    action = SimpleNamespace(
        _runs_in_process=True,
        _task=SimpleNamespace(check_mode=False, diff=False, async_val=0, timeout=0),
        environment=lambda: environment_set({}),
        _timeout_below_task=lambda *_unused: {},
    )
    action._execute_in_process = lambda *told: _in_process.InProcessAction._execute_in_process(action, *told)  # type: ignore[arg-type]
    action.execute = lambda *told: _in_process.InProcessAction.execute(action, *told)  # type: ignore[arg-type]
    result = _in_process.InProcessAction.run_entry(
        action, replace(entry, work=core), "module", dict(arguments), lambda _call: None
    )  # type: ignore[arg-type]
    if result.get("failed"):
        raise Unanswered(result["msg"])
    return reached


class Exited(BaseException):
    """Where a module process ends."""


def subprocess(monkeypatch: pytest.MonkeyPatch, entry: ModuleEntry, arguments: Mapping[str, Any]) -> dict[str, Any]:
    reached: dict[str, Any] = {}
    results: list[dict[str, Any]] = []

    def core(run: Any) -> dict[str, Any]:
        reached.update(run.params)
        return {"changed": False}

    def ended(_self: Any, **result: Any) -> None:
        results.append(result)
        raise Exited

    monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode())
    monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
    monkeypatch.setattr(basic.AnsibleModule, "_log_invocation", lambda _self: None)
    monkeypatch.setattr(basic.AnsibleModule, "exit_json", ended)
    monkeypatch.setattr(basic.AnsibleModule, "fail_json", lambda self, **result: ended(self, failed=True, **result))
    with pytest.raises(Exited):
        run_module(replace(entry, work=core))
    if results[0].get("failed"):
        raise Unanswered(results[0]["msg"])
    return reached


@pytest.fixture(autouse=True)
def _no_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_module, "BOTOCORE_MISSING", None)
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)


def outcome(way: Any, *told: Any) -> Any:
    try:
        return way(*told)
    except Unanswered as said:
        return str(said)


def blanks_of(option: Mapping[str, Any]) -> tuple[Any, ...]:
    return BLANKS + (BLANK_LISTS if option.get("type") == "list" and option["elements"] != "dict" else ())


def option_at(module: str, path: tuple[str, ...]) -> Mapping[str, Any]:
    return next(option for _name, option, where in options(ENTRIES[module]) if where == path)


def test_every_refusal_is_listed() -> None:
    for module, entry in ENTRIES.items():
        own = {name for name, _option, _path in options(entry)}
        assert {*entry.never_blank} | ({*ACCOUNTS} & own) == REFUSED[module], module
        assert {*entry.never_blank} <= own, module


@pytest.mark.parametrize("module", ENTRIES)
def test_a_blank_option_is_not_set(module: str) -> None:
    entry = ENTRIES[module]
    for name, option, path in options(entry):
        unset = outcome(in_process, entry, given(entry, path))
        for blank in (None, *blanks_of(option)):
            told = outcome(in_process, entry, given(entry, path, copy.copy(blank)))
            if name in REFUSED[module] and blank is not None:
                assert isinstance(told, str) and f"{name} is blank" in told, (name, blank, told)
            else:
                assert told == unset, (name, blank)


@pytest.mark.parametrize("module", ENTRIES)
def test_a_module_process_sees_the_same(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = ENTRIES[module]
    for _name, option, path in options(entry):
        for blank in (None, "", *([[""]] if option.get("type") == "list" else [])):
            arguments = given(entry, path, blank)
            told = outcome(subprocess, monkeypatch, entry, arguments)
            assert told == outcome(in_process, entry, arguments), (path, blank)


@pytest.mark.parametrize("module", ENTRIES)
def test_other_names_of_an_option_can_be_blank_too(module: str) -> None:
    entry = ENTRIES[module]
    for name, option, path in options(entry):
        for alias in option.get("aliases", ()):
            for blank in (None, *BLANKS):
                told = outcome(in_process, entry, {**given(entry, path), alias: blank})
                assert told == outcome(in_process, entry, given(entry, path)), (name, alias, blank)


@pytest.mark.parametrize("variable", role_variables.ROLE_SPEC)
def test_a_blank_variable_of_the_role_is_not_set(variable: str) -> None:
    needed = {f"{role_variables.PREFIX}{name}": value for name, value in NEEDED.items()}
    without = {name: value for name, value in needed.items() if name != variable}
    option = role_variables.ROLE_SPEC[variable]

    def told(found: dict[str, Any]) -> Any:
        try:
            return role_variables.typed(found)
        except Invalid as said:
            return str(said)

    for blank in (None, *blanks_of(option)):
        now = told({**without, variable: copy.copy(blank)})
        if variable == "terraform_backend_account_id" and blank is not None:
            assert "terraform_backend_account_id is blank" in now
        else:
            assert now == told(without), blank


NEEDED = {"bucket_name": "state-eu", "region": "eu-west-1", "table_name": "locks-eu"}


class Templar:
    """As of a playbook without templates."""

    def template(self, value: Any) -> Any:
        return value


@pytest.mark.parametrize("blank", [*BLANKS, None])
def test_a_blank_does_not_hide_the_defaults_of_the_role(blank: Any) -> None:
    known = {"inventory_hostname": "eu", "terraform_backend_name": blank, "terraform_backend_config_directory": blank}
    found = role_variables.read_variables(known, Templar())
    assert found == {"terraform_backend_name": "eu", "terraform_backend_config_directory": "backends/eu"}
    assert role_variables.read_variables({"inventory_hostname": "eu"}, Templar()) == {}


@pytest.mark.parametrize("blank", [" ", [""], ",", None])
def test_a_blank_variable_does_not_hide_what_module_defaults_say(blank: Any) -> None:
    known = {"inventory_hostname": "eu", "terraform_backend_bucket_unmanaged": blank, "terraform_backend_region": " "}
    assert role_variables.read_variables(known, Templar()) == {}
    assert role_variables.read_variables({"terraform_backend_account_id": ""}, Templar()) == {
        "terraform_backend_account_id": ""
    }


@pytest.mark.parametrize("value", ["", [], [""]])
@pytest.mark.parametrize("module", ["tf_state_move", "tf_backend_restore", "tf_state_digest"])
def test_keys_that_name_none_are_not_all_of_them(module: str, value: Any) -> None:
    said = outcome(in_process, ENTRIES[module], given(ENTRIES[module], ("keys",), value))
    assert said.startswith("keys is blank, and every state of the ")


def test_a_blank_does_nothing_beside_what_excludes_it() -> None:
    entry = ENTRIES["tf_state_move"]
    assert in_process(entry, {**given(entry, ("key",), ""), "keys": ["a", ""]})["keys"] == ["a"]


def test_an_empty_list_says_that_there_shall_be_none() -> None:
    entry = ENTRIES["tf_state_bucket"]
    params = in_process(entry, given(entry, ("allowed_organization_ids",), []))
    assert params["allowed_organization_ids"] == []


@pytest.mark.parametrize("way", ["in-process", "subprocess"])
def test_a_blank_beside_what_it_would_hide(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", " ")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    arguments = {"name": "tf-state", "region": "", "profile": "", "access_key": "a", "secret_key": "b"}
    entry = ENTRIES["tf_state_bucket"]
    params = in_process(entry, arguments) if way == "in-process" else subprocess(monkeypatch, entry, arguments)
    assert (params["region"], params["profile"], params["access_key"]) == ("eu-west-1", None, "a")


def test_a_blank_half_of_a_pair_is_missing() -> None:
    said = outcome(in_process, ENTRIES["tf_state_bucket"], {"name": "a", "access_key": "a", "secret_key": ""})
    assert "required together: access_key, secret_key" in said


@pytest.mark.parametrize(
    ("tags", "kept"),
    [
        ({"a": "", "b": " ", "c": None}, {"a": "", "b": " ", "c": ""}),
        ({"cost_center": "0123", "5": "x"}, {"cost_center": "0123", "5": "x"}),
        ({}, {}),
    ],
)
def test_a_tag_may_be_blank(tags: Any, kept: Any) -> None:
    entry = ENTRIES["tf_state_bucket"]
    assert in_process(entry, given(entry, ("tags",), tags))["tags"] == kept


def test_the_facts_of_a_backend_stay_as_they_are() -> None:
    facts = {"table": None, "bucket": {"name": "", "tags": {"a": None}}}
    assert in_process(ENTRIES["tf_backend_audit"], {"facts": facts})["facts"] == facts


def test_other_dictionaries_lose_what_is_blank() -> None:
    entry = ENTRIES["tf_backend_audit"]
    asked = {"severities": {"lock.stale": "", "a": "low"}, "aws_config": {"read_timeout": None}}
    params = in_process(entry, asked)
    assert (params["severities"], params["aws_config"]) == ({"a": "low"}, {})


@pytest.mark.parametrize("value", [False, True, 0, 1.5, [None], ["a"], [{}]])
@pytest.mark.parametrize("module", ENTRIES)
def test_what_is_no_dictionary_is_refused_where_one_is_meant(module: str, value: Any) -> None:
    """Such as `public_access: false`, of which Ansible's own validation raised a TypeError."""
    entry = ENTRIES[module]
    for name, option, path in options(entry):
        if option.get("type") == "dict":
            said = outcome(in_process, entry, given(entry, path, value))
            assert isinstance(said, str), (name, said)


#: What YAML reads without quotes: 012345670123, 1.10, 2024-01-01, yes.
NO_TEXT = (1402433619, 1.1, datetime.date(2024, 1, 1), datetime.datetime(2024, 1, 1, 12), True, {"a": "b"})


@pytest.mark.parametrize("module", ENTRIES)
def test_what_yaml_reads_as_no_text_is_refused_where_text_is_meant(module: str) -> None:
    entry = ENTRIES[module]
    for name, option, path in options(entry):
        kinds = {option.get("type", "str"), option.get("elements", "str")}
        if kinds - {"str", "path", "list"} or "choices" in option:
            continue
        for value in NO_TEXT:
            said = outcome(in_process, entry, given(entry, path, [value] if "list" in kinds else value))
            assert isinstance(said, str) and f"{name} must be text" in said, (name, value, said)
            assert ("quotes" in said) is (not isinstance(value, dict))
            assert not option.get("no_log") or isinstance(value, dict) or str(value) not in said


@pytest.mark.parametrize("value", [1.1, True, datetime.date(2024, 1, 1), 0o123])
def test_tags_that_would_be_spelt_otherwise_are_refused(value: Any) -> None:
    entry = ENTRIES["tf_state_bucket"]
    for tags in ({"since": value}, {value: "x"}):
        said = outcome(in_process, entry, given(entry, ("tags",), tags))
        assert "must be text, and is the" in said and "put quotes around it" in said


BERLIN = datetime.timezone(datetime.timedelta(hours=1))
#: What YAML reads without quotes, and how AWS writes it.
DATES = {
    datetime.date(2024, 1, 31): "2024-01-31",
    datetime.datetime(2024, 1, 31, 12): "2024-01-31T12:00:00Z",
    datetime.datetime(2024, 1, 31, 12, tzinfo=datetime.timezone.utc): "2024-01-31T12:00:00Z",
    datetime.datetime(2024, 1, 31, 12, tzinfo=BERLIN): "2024-01-31T11:00:00Z",
}


@pytest.mark.parametrize("value", DATES)
def test_a_date_in_a_policy_is_text_in_both_ways(value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = ENTRIES["tf_state_bucket"]
    statement = {"Condition": {"DateLessThan": {"aws:CurrentTime": [value]}}}
    arguments = given(entry, ("policy_statements",), [statement])
    expected = [{"Condition": {"DateLessThan": {"aws:CurrentTime": [DATES[value]]}}}]
    assert in_process(entry, arguments)["policy_statements"] == expected
    told = subprocess(monkeypatch, entry, entry.without_blanks(arguments))  # as the action hands them on
    assert told["policy_statements"] == expected


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("a, b, c, d, e", "is text: use the filter from_json"),
        ('[{"Sid": "A"}, {"Sid": "B"}]', "is text: use the filter from_json"),
        ({"Sid": "A"}, "is a dictionary"),
        (["a", "b", "c", "d", "e"], "one of them is text"),
        ([{"Sid": "A"}, 1, 2, 3], "one of them is the number"),
        (5, "is the number"),
    ],
)
def test_wrong_policy_statements_are_told_once(value: Any, said: str) -> None:
    entry = ENTRIES["tf_state_bucket"]
    told = outcome(in_process, entry, given(entry, ("policy_statements",), value))
    assert told.count("policy_statements") == 1, told
    assert f"policy_statements must be a list of dictionaries, and {said}" in told
    variable = "terraform_backend_bucket_policy_statements"
    with pytest.raises(Invalid) as raised:
        role_variables.typed({**{role_variables.PREFIX + name: each for name, each in NEEDED.items()}, variable: value})
    assert str(raised.value).count(variable) == 1


def test_statements_as_ansible_takes_them_are_taken() -> None:
    entry = ENTRIES["tf_state_bucket"]
    for value in ('{"Sid": "A"}', ['{"Sid": "A"}'], [{"Sid": "A"}], ["Sid=A"], "Sid=A"):
        assert in_process(entry, given(entry, ("policy_statements",), value))["policy_statements"] == [{"Sid": "A"}]


def test_a_number_may_choose_among_numbers() -> None:
    entry = ENTRIES["tf_state_bucket"]
    assert in_process(entry, given(entry, ("minimum_tls_version",), 1.3))["minimum_tls_version"] == "1.3"


class OldVaultText:
    """As AnsibleVaultEncryptedUnicode, which before ansible-core 2.19 is no str."""

    __ENCRYPTED__ = True

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text


@pytest.mark.parametrize("text", [OldVaultText, type("Tagged", (str,), {})])
def test_texts_of_ansible_are_texts(text: Any) -> None:
    entry = ENTRIES["tf_state_bucket"]
    arguments = {"name": text("tf-state"), "access_key": text("a"), "secret_key": text("b"), "profile": text(" ")}
    params = in_process(entry, arguments)
    assert (params["name"], params["secret_key"], params["profile"]) == ("tf-state", "b", None)
    assert all(isinstance(params[name], str) for name in ("name", "secret_key"))


def test_old_texts_of_ansible_within_others_are_texts() -> None:
    entry = ENTRIES["tf_state_bucket"]
    params = in_process(entry, given(entry, ("tags",), {OldVaultText("Owner"): OldVaultText("eve")}))
    assert params["tags"] == {"Owner": "eve"} and all(type(each) is str for each in params["tags"])


def test_old_texts_of_ansible_are_texts_where_there_is_no_audit() -> None:
    names = ("bucket_name", "table_name", "region", "account_id")
    audit = audit_of(
        "eu", {f"terraform_backend_{name}": OldVaultText(name) for name in names}, Tuning(datetime.date(2026, 1, 1))
    )
    assert json.loads(json.dumps(audit))["backend"]["table"]["name"] == "table_name"


def test_old_texts_of_ansible_in_a_policy_are_texts() -> None:
    entry = ENTRIES["tf_state_bucket"]
    statement = {"Condition": {"StringEquals": {"aws:PrincipalAccount": [OldVaultText("111122223333")]}}}
    params = in_process(entry, given(entry, ("policy_statements",), [statement]))
    assert params["policy_statements"] == [{"Condition": {"StringEquals": {"aws:PrincipalAccount": ["111122223333"]}}}]


def test_the_report_keeps_to_the_same() -> None:
    entry = ModuleEntry(tf_backend_report.SPEC, lambda *_unused: {}, never_blank=TUNING_NEVER_BLANK)
    assert entry.without_blanks({"directory": "", "code": [""], "severities": " ", "waivers": None}) == {}
    with pytest.raises(Invalid, match="fail_on is blank"):
        entry.without_blanks({"fail_on": ""})


@pytest.mark.parametrize(
    ("module", "asked"),
    [
        ("tf_state_move", {"bucket": "state-eu", "project": " "}),
        ("tf_backend_config", {"bucket": "state-eu", "directory": " "}),
        ("tf_backend_audit", {"bucket": "state-eu", "code": [""]}),
        ("tf_backend_audit", {"bucket": "state-eu", "code": " , "}),
    ],
)
def test_a_blank_path_is_not_the_folder_that_one_is_in(module: str, asked: dict[str, Any]) -> None:
    plugin = importlib.import_module(f"{COLLECTION}.plugins.action.{module}").ActionModule
    action = object.__new__(plugin)
    action._task = SimpleNamespace(args=asked, action=module)
    action._connection = SimpleNamespace(transport="local")
    action.task_vars = {}
    action.run_entry = lambda _entry, _module, arguments, _wrote: arguments
    action._templar = Templar()
    assert action.work() == {"bucket": "state-eu"}


def test_a_blank_bucket_of_the_role_names_none() -> None:
    plugin = importlib.import_module(f"{COLLECTION}.plugins.action.tf_backend_restore").ActionModule
    action = object.__new__(plugin)
    action.task_vars = {"terraform_backend_bucket_name": " "}
    assert not action.uses_role_variables({"backup": "backups/eu"})


def test_is_blank() -> None:
    assert [is_blank(each) for each in ("", " \n", None, "a", 0, False, [])] == [True] * 3 + [False] * 4
