# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names of variables that nothing reads: of the role, and on the command line of the collection's playbooks.

Ansible ignores them. A protection whose variable is misspelt would be missing without a word.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible.utils.vars import load_extra_vars
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core import playbooks
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.playbooks import (
    OPTIONS,
    SHORT_NAMES,
    variable_of,
    variables_of,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.printable import printable
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.suggestions import nearest, suggestion
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.arguments import is_blank

PREFIX = playbooks.PREFIX
#: Variables with this prefix are the users' own.
CUSTOM = f"{PREFIX}custom_"
#: The play variable that names the playbook, and the one with further extra variables that it may ignore.
PLAYBOOK = f"{PREFIX}playbook"
EXTRA_VARIABLES = f"{PREFIX}extra_variables"
#: What the playbooks take, besides the variables of the role, and what they set.
OF_PLAYBOOKS = frozenset(
    (
        *(
            PREFIX + name
            for name in ("hosts", "serial", "failure", "summary", "backup", "backup_region", "backup_account_id")
        ),
        *(PLAYBOOK, EXTRA_VARIABLES),
        *(name for playbook in OPTIONS for name in variables_of(playbook).values()),
    )
)
#: The options that the playbooks take for their modules, all together.
OF_MODULES = frozenset(option for options in OPTIONS.values() for option in options)
#: Extra variables of Ansible itself, of AWX and Automation Platform, and the switches of this collection.
OF_TOOLS = ("ansible_", "awx_", "tower_", "cornerstone_tfstate_", PREFIX)


def unknown_variables(variables: Mapping[str, Any], of_role: Mapping[str, Collection[str]]) -> Iterator[str]:
    """A sentence for each variable that has the role's prefix and is none of its variables.

    `of_role` has the role's variables, and other names of the option that each one sets. What a task registered is no
    mistake.
    """
    known = {*of_role, *OF_PLAYBOOKS}
    for name in sorted(variables):
        is_ours = name.startswith(PREFIX) and not name.startswith(CUSTOM)
        if is_ours and name not in known and not _is_registered(variables[name]):
            yield f"{printable(name)} is not a variable of the role{suggestion(_meant(name, of_role))}"


def _is_registered(value: Any) -> bool:
    """Whether it is the result of a task."""
    return isinstance(value, Mapping) and "changed" in value


def unknown_message(problems: Collection[str]) -> str:
    return f"{'; '.join(problems)}. Correct it, or give variables of your own the prefix {CUSTOM}"


def _meant(name: str, of_role: Mapping[str, Collection[str]]) -> list[str]:
    """The variables that may be meant: of the bucket or the table, by another name of the option, or misspelt."""
    rest = name.removeprefix(PREFIX)
    parts = [each for each in (f"{PREFIX}bucket_{rest}", f"{PREFIX}table_{rest}", f"{name}_name") if each in of_role]
    aliases = [each for each, others in of_role.items() if rest in others]
    ours = {each.removeprefix(PREFIX): each for each in (*of_role, *OF_PLAYBOOKS)}
    return parts or aliases or [ours[each] for each in nearest(rest, ours, 0.6)]


@dataclass(frozen=True)
class ExtraVariables:
    """What is wrong with the extra variables of a run: refused as a mistake, or told."""

    refused: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    #: The variables that were given by the names of before, by these names.
    short: dict[str, Any] = field(default_factory=dict)


def check_extra_variables(
    known: Mapping[str, Any],
    loader: Any,
    of_role: Mapping[str, Collection[str]],
    template: Callable[[Any], Any] = lambda value: value,
    of_play: Collection[str] = (),
) -> ExtraVariables:
    """What is wrong with the extra variables (`-e`), in the playbooks of the collection.

    One that a variable of the host refers to has its purpose there. One that is like a variable of any playbook is a
    mistake in all of them. `of_play`: the names of the variables of the play.
    """
    found, ignored = ExtraVariables(), known.get(EXTRA_VARIABLES)
    playbook = known[PLAYBOOK] if known.get(PLAYBOOK) in OPTIONS else None
    if not playbook and not isinstance(ignored, (list, tuple)):
        return found
    short = SHORT_NAMES[playbook] if playbook else set()
    if playbook and (unknown := [*unknown_variables(known, of_role)]):
        found.refused.append(unknown_message(unknown))
    extra = load_extra_vars(loader)
    for name in sorted(extra):
        if name in (ignored or ()):
            continue
        if name in short:
            _take_short(found, name, variable_of(str(playbook), name), known, template)
        elif playbook and _is_of_another(name, playbook):
            found.warnings.append(f"the extra variable {name} is of another playbook, and has no effect in {playbook}")
        elif not name.startswith(OF_TOOLS) and not _is_referred_to(name, known):
            _check_other(found, name, playbook, of_role)
    for name in sorted({*of_play} & {*short} - {*extra}):
        if not _is_referred_to(name, known):
            found.refused.append(
                f"the variable {name} of the play has no effect: set {variable_of(str(playbook), name)}"
            )
    return found


def _take_short(
    found: ExtraVariables, name: str, variable: str, known: Mapping[str, Any], template: Callable[[Any], Any]
) -> None:
    value = template(known[name])
    if is_blank(value):
        return
    if variable in known and not is_blank(other := template(known[variable])) and str(other) != str(value):
        found.refused.append(f"{name} and {variable} differ: they are names of one variable, so set {variable} only")
    found.short[name] = value


def _is_of_another(name: str, playbook: str) -> bool:
    return any(name in variables_of(other).values() for other in OPTIONS if other != playbook)


def _check_other(found: ExtraVariables, name: str, playbook: str | None, of_role: Collection[str]) -> None:
    text = f"the extra variable {printable(name)} is not a variable of this playbook"
    of_all = {*of_role, *OF_PLAYBOOKS}
    near = [name] if PREFIX + name in of_all else nearest(name, OF_MODULES)
    if near:
        taken = variables_of(playbook) if playbook else {}
        meant = [taken.get(each, PREFIX + each) for each in near]
        found.refused.append(text + suggestion(each for each in meant if each in of_all))
    else:
        found.warnings.append(f"{text}, and no variable of the host refers to it")


def deprecation(playbook: str, short: Collection[str]) -> str:
    """What is said of variables that were given by the names of before."""
    return f"Set {', '.join(variable_of(playbook, each) for each in short)} instead of {', '.join(short)}."


def _is_referred_to(name: str, known: Mapping[str, Any]) -> bool:
    word = re.compile(rf"\b{re.escape(name)}\b")
    return any(_refers(value, word) for each, value in known.items() if each not in (name, "vars"))


def _refers(value: Any, word: re.Pattern[str]) -> bool:
    """Whether a value as it was written has a template with the word."""
    if isinstance(value, str):
        return ("{{" in value or "{%" in value) and word.search(value) is not None
    if isinstance(value, dict):
        return any(_refers(each, word) for each in value.values())
    return isinstance(value, (list, tuple)) and any(_refers(each, word) for each in value)
