# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Words that this collection used once have one replacement each, and do not come back."""

from __future__ import annotations

import ast
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: What is searched. CHANGELOG.rst keeps the words of its time.
FOLDERS = ("plugins", "roles", "playbooks", "docs", "tests", "scripts", "changelogs/fragments")
SUFFIXES = {".py", ".yml", ".md", ".js", ".css", ".tf", ""}

#: Identifiers without leading underscores, and what is said instead.
IDENTIFIERS = {
    **dict.fromkeys(("door", "Door", "doors", "Doors"), "in_process, child_process, InProcessAction"),
    **dict.fromkeys(("role_door", "RoleDoor"), "role_defaults"),
    **dict.fromkeys(("room", "rooms", "ROOMS"), "module, package"),
    **dict.fromkeys(("Edge", "EDGE", "edge"), "ModuleEntry, MODULE"),
    **dict.fromkeys(("unheard", "heard"), "no_op, on_write"),
    "Wrote": "WriteCallback",
    "foresee": "plan",
    "Doomed": "TeardownPlan",
    **dict.fromkeys(("census", "vaults"), "inventory, storage"),
    **dict.fromkeys(("Fence", "SourceFence"), "StateLocks, DenyPolicy"),
    **dict.fromkeys(("Relocation", "Following"), "migration, project_update"),
    **dict.fromkeys(("Departed", "Emptying", "Crossing"), "moved_states, table_removal, transition"),
    "whereabouts": "location",
    "farewell": "deletion_warning",
    **dict.fromkeys(("witness", "witnesses", "witnessed", "WITNESSES"), "refusal_inputs"),
    "MAY_FOLLOW": "OPTIONAL_AT_CREATION",
    "impatient": "no_wait",
}
#: The same for plugins alone: words that tests may use in their ordinary meaning.
IDENTIFIERS_OF_PLUGINS = {
    **dict.fromkeys(("World", "world", "Keeper", "Patient"), "a client protocol"),
    **dict.fromkeys(("Waiting", "patience", "patient"), "LockTimeout, retry policy"),
    "foreseen": "planned",
    **dict.fromkeys(("doomed", "objections"), "plan, checks"),
    **dict.fromkeys(("Vault", "vault"), "storage"),
    **dict.fromkeys(("fence", "fences", "fenced", "FENCE"), "locks, policy, protection"),
    **dict.fromkeys(
        ("lasting", "sides", "following", "relocation"), "write_tracker, endpoints, project_update, migration"
    ),
    **dict.fromkeys(("departed", "emptying", "crossing"), "moved_states, table_removal, transition"),
    **dict.fromkeys(("young", "is_young"), "newly_created"),
}
#: Names of functions and methods of plugins, without leading underscores.
FUNCTIONS_OF_PLUGINS = {"told": "to_result, describe", "said": "describe", "judged": "evaluate"}
#: Names of Python modules, without leading underscores; of tests without `test_`.
MODULES = {
    **dict.fromkeys(("door", "role_door"), "in_process, role_defaults"),
    **dict.fromkeys(("doomed", "objections", "losses"), "plan, checks, impact"),
    **dict.fromkeys(("vaults", "census", "closing", "saving"), "storage, inventory, write_block, backup"),
    **dict.fromkeys(("fence", "fencing", "source_fence"), "state_locks, deny_policy, source_policy"),
    **dict.fromkeys(("digest_fence", "digest_sweep"), "digest_policy, digest_removal"),
    **dict.fromkeys(
        ("lasting", "sides", "following", "relocation"), "write_tracker, endpoints, project_update, migration"
    ),
    **dict.fromkeys(("departed", "emptying"), "moved_states, table_removal"),
    **dict.fromkeys(("stepping", "watching"), "transition, client_watch"),
    **dict.fromkeys(("whereabouts", "aws_unseen", "aws_lanes"), "location, consistency, parallel"),
    **dict.fromkeys(("mending", "state_mending", "young_versioning"), "repair, new_versioning"),
}
#: Options that were renamed before any release.
OPTIONS = {
    "soak": "observe_seconds",
    "prove": "verify_plan",
    "declared": "current_lock_mode",
    "fence": "source_protection",
}
#: Regular expressions for text of any kind, letter case ignored.
PHRASES = {
    r"\b(fast|module|in-process|by every|the) doors?\b": "in-process, subprocess",
    r"\brooms\b": "modules, packages",
    r"\bstanzas?\b": "statement, block",
    r"\bweather\b": "random faults",
    r"\bwhereabouts\b": "location",
    r"\bfarewells?\b": "deletion warning",
    r"\bwitness(es|ed)?\b": "refusal inputs",
    r"\bimpatient\b": "no_wait",
    r"\bcensus\b": "inventory",
    r"\bdoomed\b": "teardown plan",
}
#: The name that 0.1.0 had for `cornerstone_tfstate_in_process`: deprecated, but still read.
DEPRECATED = "fast_door"
NAMES_DEPRECATED = {
    "docs/versions.md",
    "plugins/plugin_utils/_actions/in_process.py",
    "tests/unit/plugins/plugin_utils/_actions/test_in_process.py",
}


@cache
def files() -> dict[str, str]:
    """Path -> text of all files that are searched."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *FOLDERS, "README.md"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    paths = [ROOT / name for name in listed if Path(name).suffix in SUFFIXES]
    return {
        str(path.relative_to(ROOT)): path.read_text() for path in paths if path.is_file() and path != Path(__file__)
    }


@cache
def identifiers() -> dict[str, list[str]]:
    """Identifier without leading underscores -> where it is, in the files that contain a retired one at all."""
    retired = re.compile(rf"\b_*({'|'.join({*IDENTIFIERS, *IDENTIFIERS_OF_PLUGINS})})\b")
    places: dict[str, list[str]] = defaultdict(list)
    for path, text in files().items():
        if path.endswith(".py") and retired.search(text):
            for node in ast.walk(ast.parse(text)):
                for name in names_of(node):
                    places[name.lstrip("_")].append(f"{path}:{getattr(node, 'lineno', 0)}")
    return places


def names_of(node: ast.AST) -> Iterator[str]:
    for field in ("id", "attr", "arg", "name", "asname", "module"):
        name = getattr(node, field, None)
        if isinstance(name, str):
            yield from name.split(".")


def lines_with(pattern: str) -> list[str]:
    wanted = re.compile(pattern, re.IGNORECASE)
    return [
        f"{path}:{number}: {line.strip()}"
        for path, text in files().items()
        if wanted.search(text)
        for number, line in enumerate(text.splitlines(), start=1)
        if wanted.search(line)
    ]


def test_no_retired_identifier_is_used() -> None:
    used = {word: identifiers()[word] for word in IDENTIFIERS if word in identifiers()}
    assert used == {}, replacements(used, IDENTIFIERS)


def test_no_retired_identifier_is_used_in_plugins() -> None:
    used = {
        word: places
        for word in IDENTIFIERS_OF_PLUGINS
        if (places := [place for place in identifiers().get(word, ()) if place.startswith("plugins/")])
    }
    assert used == {}, replacements(used, IDENTIFIERS_OF_PLUGINS)


def test_no_function_of_plugins_has_a_retired_name() -> None:
    used = {
        word: places
        for word in FUNCTIONS_OF_PLUGINS
        if (places := [line for line in lines_with(rf"\bdef _*{word}\(") if line.startswith("plugins/")])
    }
    assert used == {}, replacements(used, FUNCTIONS_OF_PLUGINS)


def test_no_module_has_a_retired_name() -> None:
    names = {path: Path(path).stem.lstrip("_").removeprefix("test_") for path in files() if path.endswith(".py")}
    used = {path: name for path, name in names.items() if name in MODULES}
    assert used == {}, {MODULES[name] for name in used.values()}


def test_no_option_has_a_retired_name() -> None:
    """As a key of YAML or of an argument spec, as a variable of the command line, or in the markup of documentation."""
    forms = r"""^\s*(- )?"?{0}"?:\s|-e ['"]?{0}=|O\({0}\)|O\({0}=|`{0}(=\w+)?`"""
    used = {option: places for option in OPTIONS if (places := lines_with(forms.format(option)))}
    assert used == {}, replacements(used, OPTIONS)


def test_no_retired_phrase_is_used() -> None:
    used = {phrase: places for phrase in PHRASES if (places := lines_with(phrase))}
    assert used == {}, replacements(used, PHRASES)


def test_the_deprecated_variable_is_read_in_one_place_and_named_in_the_notes_on_upgrades() -> None:
    places = {line.partition(":")[0] for line in lines_with(DEPRECATED)}
    assert {each for each in places if not each.startswith("changelogs/")} == NAMES_DEPRECATED


def replacements(used: Iterable[str], words: Mapping[str, str]) -> dict[str, str]:
    return {word: words[word] for word in used}
