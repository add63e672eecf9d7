# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Commands that are printed for people to paste: whatever bytes lie in AWS, none of them runs."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.code import check_code
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.expectations import Expectations
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.findings import Finding
from ansible_collections.cornerstone.tfstate.plugins.module_utils._audit.settings import audit
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET, encryption
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.commands import (
    NO_COMMAND,
    command,
    edit,
    in_note,
    is_harmless,
    is_plain,
    percent_encoded,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.playbooks import variables_of
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.printable import is_printable, printable_lines
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.tuning_options import too_bad
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import TABLE
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.code_map import CodeMap, Layer
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import (
    IS_STATE,
    id_hash,
    is_named,
    lock_name,
)
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report.html import page_text
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report.report import (
    AuditedBackend,
    markdown_text,
    report_of,
    terminal_text,
)
from hypothesis import given as with_any
from hypothesis import settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tests.support.pasting import given, paste
from tests.unit.plugins.module_utils.audited import LOCK, facts, resource

RUNS = 'lookup("pipe", "echo ran > ran")'
ATTACKS = (
    f"{{{{ {RUNS} }}}}",
    f"{{% if {RUNS} %}}{{% endif %}}",
    f"{{# {RUNS} #}}",
    f"#jinja2: variable_start_string:'[%', variable_end_string:'%]'\n[% {RUNS} %]",
    "$(echo ran > ran)",
    "`echo ran > ran`",
    "'; echo ran > ran; '",
    '"; echo ran > ran; "',
    "a\necho ran > ran\n",
    "a\r\necho ran > ran",
    "a;echo ran>ran",
    "a|sh&echo ran>ran",
    "\\'; echo ran > ran #",
    "\x1b[201~\necho ran > ran\n",
    "\x15echo ran > ran\r",
    "!!python/object/apply:os.system ['echo ran > ran']",
    "*alias &anchor",
    "@/etc/passwd",
    "file:///etc/passwd",
    "--endpoint-url=http://x",
    "+!echo ran > ran",
    "${IFS}",
    "\u202egnp\u2066",
    "a\u2028# forged\u2029",
    "a | b | **c** | [d](javascript:e) | <img src=x onerror=f>",
    "# forged\n\n## forged",
    "\n| forged | row |\n",
    "``` `` ` ~~~",
    "@all closes #1 https://evil.example www.evil.example",
    "x" * 5000,
    "\U00010280",
    "",
)
#: Pieces of attacks among any other text.
HOSTILE = st.lists(st.sampled_from(ATTACKS) | st.text(max_size=20), min_size=1, max_size=4).map("".join)


def about(text: str) -> dict[str, Any]:
    """The facts of a backend in which all that somebody can write is this text."""
    lock = {**LOCK, "path": text, "lock_id": text, "who": text, "operation": text, "info": text, "age_s": 90_000}
    version = {"version_id": text, "is_latest": False, "size": 9}
    rule = {"Status": "Enabled", "Filter": {}, "Expiration": {"Days": 1}}
    kept = {"Status": "Enabled", "Filter": {"Prefix": text}, "NoncurrentVersionExpiration": {"NoncurrentDays": 9}}
    statement = {"Sid": text, "Effect": "Allow", "Principal": {"AWS": ["*"]}, "Action": ["s3:GetObject"]}
    foreign = {**statement, "Principal": {"AWS": ["arn:aws:iam::444455556666:root"]}, "Action": ["s3:*"]}
    other = {
        **statement,
        "Sid": f"{text}x",
        "Principal": {"AWS": [text]},
        "Condition": {"StringEquals": {text: [text]}},
    }
    bucket = {
        "region": text,
        "lifecycle": {text: rule, f"{text}kept": kept},
        "policy": {"version": "2012-10-17", "id": text, "statements": [statement, foreign, other]},
        "encryption": {**encryption.ABSENT, "algorithm": text, "kms_key_id": text},
        "tags": {text: text},
        "logging": {"target_bucket": text, "target_prefix": text},
        "ownership": text,
    }
    lock_table = {"key": {text: text}, "time_to_live": text, "replicas": [text], "tags": {text: text}}
    statuses = ("mismatch", "deleted", "orphan", "malformed", "missing")
    return facts(
        bucket=resource(BUCKET, "state-us", "us-east-1", **bucket),
        table=resource(TABLE, "locks-us", "us-east-1", **lock_table),
        locks=[
            lock,
            {**lock, "store": "file"},
            {**lock, "is_canonical": False, "age_s": 1},
            {**lock, "is_wedged": True, "fingerprint": text, "problem": text},
            {**lock, "operation": "tf_state_move"},
        ],
        orphan_lock_files=[text],
        digests=[
            {"path": f"{text}{status}", "status": status, "digest": text, "actual": text, "matches_version": more}
            for status in statuses
            for more in (text, None)
        ],
        states=[
            {"path": f"{text}-", "is_deleted": True, "is_readable": None},
            {"path": text, "is_readable": False, "problem": text, "versions": [version]},
            {"path": f"{text}mismatch", "is_readable": False, "problem": text, "versions": None},
            {"path": f"{text}archived", "is_archived": True, "storage_class": "GLACIER", "problem": text},
        ],
        unknown=[{"what": text, "why": text, "cause": each} for each in ("denied", "archived", "kms_key", text)],
    )


def code(text: str) -> CodeMap:
    """Code that points at it."""
    arguments = {"bucket": "state-us", "key": text, "region": text, "dynamodb_table": text, "encrypt": True}
    more = {"workspace_key_prefix": "", "key": f"{text}/{text}"}
    paths = {f"{text}/main.tf": arguments, "a/main.tf": {**arguments, **more}}
    return CodeMap(tuple(Layer(path, "code", given, frozenset(given)) for path, given in paths.items()))


def found_in(text: str) -> list[Finding]:
    asked = {"kms_key_id": "alias/ours", "tags": {"a": "b"}, "logging_target_bucket": "logs"}
    us = Expectations("us-east-1", bucket=asked, table={"tags": {"a": "b"}}, inventory=("inventories/mine",))
    known = about(text)
    backend = {
        **{"name": "us-east-1", "region": "us-east-1", "account_id": "1", "lock_mode": "both", "tables": {}},
        "bucket": {"name": "state-us", "exists": True, "encryption": {"kms_key_id": text}},
        "table": {"name": "locks-us", "exists": True},
        "counts": {},
        "inventory": ["inventories/mine"],
    }
    few = facts(
        digests=[{"path": text, "status": "orphan", "digest": text}],
        states=[{"path": path, "is_deleted": False, "is_readable": True} for path in ("b", f"{text}.tflock")],
        locks=[
            {**LOCK, "path": text, "age_s": None, "who": text},
            {**LOCK, "path": text, "lock_id": text, "operation": "tf_state_move", "info": text},
            {**LOCK, "path": text, "lock_id": text, "operation": "freeze", "info": text, "who": text},
            {**LOCK, "path": text, "store": "file", "is_wedged": True, "problem": IS_STATE.reason},
        ],
    )
    return [*audit(known, us), *audit(few, us), *(each for _name, each in check_code(code(text), [backend]))]


def leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        for each in value:
            yield from leaves(each)
    else:
        yield str(value)


@pytest.mark.parametrize("text", ATTACKS[:4])
def test_what_only_the_shell_was_kept_from_is_seen_to_run(text: str, tmp_path: Path) -> None:
    """So commands once were: quoted for the shell, and then templated."""
    (call,) = paste([shlex.join(["ansible-playbook", "x", "-e", json.dumps({"key": text})])], tmp_path)
    with pytest.raises(AssertionError):
        given(call)


@pytest.mark.parametrize("text", ATTACKS[4:9])
def test_what_is_not_quoted_is_seen_to_run(text: str, tmp_path: Path) -> None:
    quotes = "".join(each for each in text[:1] if each in "'\"")
    with pytest.raises(AssertionError):
        paste([f"ansible-playbook x -e {quotes}{text}{quotes}"], tmp_path)


def test_every_kind_of_finding_that_tells_of_aws_is_among_those_that_are_tried() -> None:
    ids = {each.id for each in found_in("a/b")}
    assert ids >= {
        *("bucket.expiration", "bucket.policy_public", "bucket.policy_foreign", "bucket.region", "bucket.encryption"),
        *("table.key", "table.time_to_live", "table.replicas", "lock.wedged", "lock.stale", "lock.not_canonical"),
        *(
            "lock.moved_state",
            "lock.orphan_file",
            "digest.mismatch",
            "digest.deleted",
            "digest.orphan",
            "digest.malformed",
        ),
        *("digest.states_lost", "lock.half_moved_state", "lock.unknown_age", "lock.frozen", "state.lock_file_name"),
        *("digest.missing", "state.unreadable", "state.deleted", "audit.unknown", "code.encrypt", "code.region"),
    }


def test_nothing_in_aws_runs_when_all_that_is_printed_is_pasted(tmp_path: Path) -> None:
    commands = dict.fromkeys(each.fix for text in ATTACKS for each in found_in(text))
    asked = checked(list(commands), tmp_path)
    keys = {
        unquote(value) if each.get(f"{name}_is_url_encoded") else value
        for each in asked
        for name, value in each.items()
        if name.endswith("_key")
    }
    assert keys >= {text for text in ATTACKS if text and len(text) <= 1024}, "a finding about a key has no command"


@settings(max_examples=20)
@with_any(text=HOSTILE)
def test_nothing_runs_of_any_text(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    checked([each.fix for each in found_in(text)], tmp_path_factory.mktemp("pasted"))


def checked(commands: list[str], folder: Path) -> list[Any]:
    """What Ansible is given by these commands, once nothing was found to have run."""
    assert not [each for each in commands if not is_printable(each)]
    calls = paste(commands, folder)
    proofs = [call for call in calls if call[:3] == ["aws", "sts", "get-caller-identity"] and "--query" in call]
    assert len(proofs) == len([each for each in commands if " && " in each])
    assert len(calls) - len(proofs) == len([each for each in commands if not each.startswith("# ")])
    for call in calls:
        assert call[0] in ("vi", "aws", "terraform", "ansible-inventory") or (
            call[1].startswith("cornerstone.tfstate.") and call[2:6] == ["-i", "inventories/mine", "-l", "us-east-1"]
        )
    asked = [given(call) for call in calls if call[0] == "ansible-playbook"]
    assert all(is_harmless(text) for each in asked for text in leaves(each))
    return asked


@pytest.mark.parametrize("text", [each for each in ATTACKS if each])
def test_no_report_is_forged(text: str) -> None:
    findings = found_in(text)
    report = report_about(text)
    for shown in (terminal_text(report, None), markdown_text(report), page_text(report)):
        assert printable_lines(shown) == shown
    assert not [each.detail for each in findings if not is_printable(each.detail)]
    assert is_printable(too_bad([each.to_result() for each in findings], "info") or "")
    assert (structure(markdown_text(report)), page_text(report).count("<tr")) == plain_report()


def report_about(text: str) -> Any:
    return report_of([AuditedBackend(backend(text), tuple(each.to_result() for each in found_in(text)))], [], "today")


@cache
def plain_report() -> tuple[dict[str, int], int]:
    """The structure of its text, and how many rows its page has."""
    report = report_about("plain")
    return structure(markdown_text(report)), page_text(report).count("<tr")


def backend(text: str) -> dict[str, Any]:
    return {
        **{"name": "us-east-1", "region": "us-east-1", "lock_mode": "both", "counts": {}},
        "bucket": {"name": text or "none", "exists": True},
        "table": {"name": text or "none", "exists": None},
    }


def structure(markdown: str) -> dict[str, int]:
    """How many headings, rows, links and the like there are."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown)
    inline = [child for token in tokens for child in token.children or ()]
    counted = [each.type for each in (*tokens, *inline)]
    kinds = (
        "heading_open",
        "tr_open",
        "td_open",
        "link_open",
        "image",
        "html_block",
        "html_inline",
        "protection",
        "hr",
    )
    outside = " ".join(each.content for each in inline if each.type == "text")
    assert not [mark for mark in ("@all", "#1", "https://", "www.") if mark in outside]
    return {kind: counted.count(kind) for kind in (*kinds, "list_item_open", "strong_open", "s_open")}


PLAIN = ("008fc466-9743-e5aa-475a-7589773aa3fd", "a/b_c.tfstate:d@e+f=g,h", "A" * 1024)
NOT_PLAIN = ("", "-e", "=x", "@x", "~", "a b", "a'b", "a{b", "a$b", "a*b", "ü", "a\n", "a\x1b", "A" * 1025)


@pytest.mark.parametrize("text", [*PLAIN, *NOT_PLAIN])
def test_a_plain_word_needs_no_quotes(text: str) -> None:
    assert is_plain(text) == (text in PLAIN)
    assert in_note(text) == (text if text in PLAIN else "...")
    if is_plain(text):
        assert shlex.split(f"x {text}") == ["x", text] == shlex.split(shlex.join(["x", text]))


def test_usual_keys_are_printed_as_they_are_and_others_encoded() -> None:
    us = Expectations("us-east-1")
    begin = "ansible-playbook cornerstone.tfstate.unlock -l us-east-1 -e "
    usual = "env:/qa/network ~1/büro@x,y.tfstate"
    assert (
        us.release(usual).partition("  #")[0]
        == begin + '\'{"terraform_backend_unlock_key": "env:/qa/network ~1/b\\u00fcro@x,y.tfstate"}\''
    )
    encoded = {"key": "a/%7B%7B%20x%20%7D%7D", "key_is_url_encoded": True}
    names = variables_of("unlock")
    given = json.dumps({names[option]: value for option, value in encoded.items()})
    assert us.release("a/{{ x }}").partition("  #")[0] == f"{begin}'{given}'"


@with_any(st.text(alphabet=st.characters(codec="utf-8")))
def test_an_encoded_key_comes_back(text: str) -> None:
    encoded = percent_encoded(text)
    assert unquote(encoded, errors="strict") == text
    assert is_harmless(encoded[:1024]) and not set(encoded) & set("{}'\"$")


def test_a_note_that_would_be_read_as_code_is_left_out() -> None:
    assert command("aws", note="fine") == "aws  # fine"
    for note in ("a $(b)", "a\nb", "a;b", "a `b`", "don't", "a\x1b"):
        assert command("aws", note=note) == "aws"
    assert edit("a b.tf", "x") == "${EDITOR:-vi} 'a b.tf'  # x"
    assert edit("+!id", "x").startswith("${EDITOR:-vi} './+!id'")
    assert edit("a\x1b", "x") == NO_COMMAND


@pytest.mark.parametrize("id", [*ATTACKS, "sha256:0123456789abcdef"])
def test_a_lock_that_could_run_goes_by_its_hash(id: str) -> None:
    assert is_plain(lock_name(id)) and is_named(id, lock_name(id)) and is_named(id, id_hash(id))
    assert not is_named(f"{id}x", lock_name(id))


def test_a_usual_lock_goes_by_its_id_or_its_hash_from_twelve_digits_on() -> None:
    id, hashed = PLAIN[0], id_hash(PLAIN[0])
    assert lock_name(id) == id and is_named(id, id) and is_named(id, hashed[:19]) and is_named(id, hashed)
    assert not is_named(id, hashed[:18]) and not is_named(id, "sha256:") and not is_named("sha256:", "sha256:")
