# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What `module_defaults` say of a module of ours, and which options a task gives itself.

Ansible merges both into the arguments of the module that the task names. The role's task and the actions that read the
role's variables need them apart: variables stand between them. The modules that the role's task executes are named by
no task, so Ansible does not look up their defaults.
Source: ansible/executor/module_common.py, get_action_args_with_defaults and _get_action_arg_defaults
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleError
from ansible.parsing.mod_args import ModuleArgsParser
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Invalid
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.arguments import is_blank

COLLECTION = "cornerstone.tfstate"
#: One choice: a profile does not go with the keys of somebody else.
CREDENTIALS = ("profile", "access_key", "secret_key", "session_token")
GROUP = "group/"

Spec = Mapping[str, Mapping[str, Any]]


class ModuleDefaults:
    """The `module_defaults` that are in force for a task."""

    def __init__(self, task: Any, templar: Any, omit: object = None) -> None:
        self._task, self._templar, self._omit = task, templar, omit
        play = getattr(getattr(task, "_parent", None), "_play", None)
        self._groups: Mapping[str, list[str]] = getattr(play, "_action_groups", None) or {}
        self._merged: dict[str, Any] = {}
        for layer in getattr(task, "module_defaults", None) or ():
            self._merged.update(layer)

    def of_groups(self, module: str, spec: Spec) -> dict[str, Any]:
        """Of the groups that a module belongs to, by the names of its options."""
        groups = self._groups.get(f"{COLLECTION}.{module}", ())
        found: dict[str, Any] = {}
        for name in self._merged:
            if name.startswith(GROUP) and name.removeprefix(GROUP) in groups:
                found.update(self._options(name))
        return canonical(found, spec)

    def of_module(self, module: str, spec: Spec) -> dict[str, Any]:
        """Of a module alone, by the names of its options."""
        name = f"{COLLECTION}.{module}"
        return canonical(self._options(name), spec) if name in self._merged else {}

    def _options(self, name: str) -> dict[str, Any]:
        try:
            options = self._templar.template(self._merged[name]) or {}
        except AnsibleError as error:
            raise Invalid(f"module_defaults of {name} cannot be evaluated: {error}") from error
        return {option: value for option, value in options.items() if value is not None and value != self._omit}

    def explicit(self, module: str, spec: Spec) -> dict[str, Any]:
        """The options that the task gives itself, by the names of its module's options."""
        defaults = {**self.of_groups(module, {}), **self.of_module(module, {})}
        arguments = self._task.args
        alike = {name for name in arguments if name in defaults and defaults[name] == arguments[name]}
        inherited = alike - written(self._task) if alike else alike
        return canonical({name: value for name, value in arguments.items() if name not in inherited}, spec)


def written(task: Any) -> set[str]:
    """The names of the options in the text of a task."""
    text = task.get_ds()
    if not isinstance(text, Mapping):
        return set()
    parser = ModuleArgsParser(task_ds=text, collection_list=getattr(task, "collections", None))
    try:
        _action, arguments, _delegate_to = parser.parse(skip_action_validation=True)
    except AnsibleError:
        return set()
    return {*arguments}


def canonical(options: Mapping[str, Any], spec: Spec) -> dict[str, Any]:
    """Each option by its first name. As in Ansible, another name wins where both are given."""
    names = {alias: name for name, option in spec.items() for alias in option.get("aliases", ())}
    first = {name: value for name, value in options.items() if name not in names}
    return {**first, **{names[name]: value for name, value in options.items() if name in names}}


def over(lower: Mapping[str, Any], upper: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """What `upper` says, and of `lower` what `upper` leaves open. Whoever names credentials names all of them."""
    chosen = {name: value for name, value in upper.items() if not is_blank(value)}
    credentials = {prefix + name for name in CREDENTIALS}
    replaced = credentials if credentials & chosen.keys() else set()
    kept = {name: value for name, value in lower.items() if name not in replaced}
    return {**{name: value for name, value in upper.items() if name not in kept}, **kept, **chosen}
