# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes the role's argument specs from the modules' documentation. Run it after changing an option:

    .venv/bin/python scripts/role_options.py

With --check it writes nothing, and fails if the file would change.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.role_variables import (
    MODULES,
    ROLE_SPEC,
    variables,
)

ROLE = Path(__file__).parent.parent / "roles" / "terraform_backend"
SPECS = ROLE / "meta" / "argument_specs.yml"
COLLECTION = "cornerstone.tfstate"
HEADING = "---\n# Written by scripts/role_options.py from the documentation of the modules.\n"


def documented() -> dict[str, dict[str, Any]]:
    """The options of our modules, as ansible-doc tells them."""
    names = [f"{COLLECTION}.{name}" for name in MODULES.values()]
    ansible_doc = Path(sys.executable).with_name("ansible-doc")
    told = subprocess.run([ansible_doc, "--json", "-t", "module", *names], check=True, capture_output=True, text=True)
    return {name.split(".")[-1]: each["doc"]["options"] for name, each in json.loads(told.stdout).items()}


def argument_specs(options: Mapping[str, Any]) -> str:
    described = dict(sorted(dict(_described(options)).items()))
    main = {
        "short_description": "Ensure one backend for Terraform or OpenTofu state, and the files that point to it",
        "description": [
            "Converges a state bucket and a lock table, and writes the files that point clients to them.",
            "The host is the backend. Variables that are not given are left out, so that the modules' baseline holds.",
            "Registers the variable C(terraform_backend), the result of M(cornerstone.tfstate.tf_backend): names, ARNs,"
            " the whole configuration, and what changed.",
        ],
        "author": ["cornerstone.tfstate contributors (@cornerstone-tfstate)"],
        "version_added": "0.1.0",
        "options": described,
    }
    text = yaml.safe_dump({"argument_specs": {"main": main}}, sort_keys=False, width=116, allow_unicode=True)
    return HEADING + _indented(text)


def _described(options: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    # What two modules share is told in the words of the first.
    for kind, module in reversed(MODULES.items()):
        named = variables(kind)
        for option, variable in named.items():
            default = {"default": defaults[variable]} if defaults.get(variable) else {}
            yield (
                variable,
                as_ansible_takes_it(variable, {**_spec(module, option, named, options[module][option]), **default}),
            )


def _spec(module: str, name: str, named: Mapping[str, str], option: Mapping[str, Any]) -> dict[str, Any]:
    def ours(told: re.Match[str]) -> str:
        # The options of tf_backend_config that are results stand for the names that were asked for.
        variable = {kind: f"terraform_backend_{kind}_name" for kind in MODULES}.get(told[1], named.get(told[1]))
        return f"O({variable}" if variable else f"C({told[1]}"

    first = re.sub(r"O\(([a-z_]+)(?=[=)])", ours, option["description"][0])
    spec: dict[str, Any] = {
        "description": [first, f"See O({COLLECTION}.{module}#module:{name})."],
        "type": option.get("type", "str"),
    }
    if option.get("elements"):
        spec["elements"] = option["elements"]
    if option.get("choices"):
        spec["choices"] = list(option["choices"])
    if option.get("suboptions"):
        spec["options"] = {
            each: {"description": of["description"], "type": of["type"]} for each, of in option["suboptions"].items()
        }
    if named[name] == "terraform_backend_bucket_name":  # where Ansible itself misses it, it prints all of this file
        spec["description"].insert(1, "Required: without it, the task of the role fails.")
    if ROLE_SPEC[named[name]].get("no_log"):
        spec["no_log"] = True
    return spec


def as_ansible_takes_it(name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """The spec of a variable, such that Ansible takes a blank and null for it: they are "not set", as the task has it.

    Ansible also takes whatever is wrong: where a role is under `roles`, a refusal of Ansible's prints all specs. The
    task validates types and choices, and says more.
    """
    if all(_accepts(name, spec, value) for value in ("", None, "wrong", {"wrong": 1})):
        return dict(spec)
    kind = {"list": f"A list of {spec.get('elements')}", "dict": "A dictionary"}.get(
        spec["type"], f"Type {spec['type']}"
    )
    choices = f", of {' '.join(f'V({choice})' for choice in spec['choices'])}" if spec.get("choices") else ""
    parts = [f"V({each}), {of['type']}" for each, of in spec.get("options", {}).items()]
    inner = f" Its keys are {'; '.join(parts)}." if parts else ""
    description = [*spec["description"][:-1], f"{kind}{choices}.{inner}", spec["description"][-1]]
    kept = {key: value for key, value in spec.items() if key not in ("type", "elements", "choices", "options")}
    return {**kept, "description": description, "type": "raw"}


def _accepts(name: str, spec: Mapping[str, Any], blank: Any) -> bool:
    return not ArgumentSpecValidator({name: dict(spec)}).validate({name: blank}).error_messages


def _indented(text: str) -> str:
    """Lists one level in, as ansible-lint wants them."""
    lines, inside = [], False
    for line in text.splitlines():
        stripped = line.lstrip()
        item = stripped.startswith("- ")
        inside = item or (inside and line.startswith(" ") and not re.match(r"^ *[a-zA-Z_0-9]+:", line))
        lines.append(f"  {line}" if inside else line)
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    wanted = argument_specs(documented())
    if SPECS.read_text() == wanted:
        return 0
    if "--check" in arguments:
        print(f"{SPECS} is not what the modules document: run scripts/role_options.py")
        return 1
    SPECS.write_text(wanted)
    print(f"{SPECS} written")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
