# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes the role's argument specs and task arguments from the modules' documentation.

A role variable is mechanically terraform_backend_bucket_<option> or terraform_backend_table_<option>; connection
options and what belongs to the whole backend are terraform_backend_<option>, once. Run it after changing an option:

    .venv/bin/python scripts/role_options.py

With --check it writes nothing, and fails if a file would change.
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
from ansible_collections.cornerstone.tfstate.plugins.module_utils._module import CONNECTION_SPEC

ROLE = Path(__file__).parent.parent / "roles" / "terraform_backend"
COLLECTION = "cornerstone.tfstate"
MODULES = {"bucket": "tf_state_bucket", "table": "tf_lock_table"}
CONFIG = "tf_backend_config"

#: Neither bootstraps anything.
LEFT_OUT = {"state", "confirm_name"}
#: Options of tf_backend_config that the role sets otherwise than by a variable of the same name, or from results.
CONFIG_VARIABLES = {
    "name": "name",
    "directory": "config_directory",
    "key": "state_key",
    "allow": "config_allow",
    **{
        name: name
        for name in (
            "workspace_key_prefix",
            "lock_mode",
            "client",
            "client_version",
            "client_profile",
            "client_assume_role_arn",
            "client_assume_role_external_id",
            "client_assume_role_session_name",
        )
    },
}
HEADING = "---\n# Written by scripts/role_options.py from the documentation of the modules.\n"
SECRET = {"secret_key", "session_token", "assume_role_external_id"}


def documented() -> dict[str, dict[str, Any]]:
    """The options of our modules, as ansible-doc tells them."""
    names = [f"{COLLECTION}.{name}" for name in (*MODULES.values(), CONFIG)]
    ansible_doc = Path(sys.executable).with_name("ansible-doc")
    told = subprocess.run([ansible_doc, "--json", "-t", "module", *names], check=True, capture_output=True, text=True)
    return {name.split(".")[-1]: each["doc"]["options"] for name, each in json.loads(told.stdout).items()}


#: What both modules take and mean alike: how to reach AWS, and what is said of the whole backend.
SHARED = (*CONNECTION_SPEC, "account_id", "wait_timeout")


def variable(kind: str, option: str) -> str:
    """The role variable of a module's option."""
    if kind == "config":
        return f"terraform_backend_{CONFIG_VARIABLES.get(option, f'{option}_name')}"
    return f"terraform_backend_{option}" if option in SHARED else f"terraform_backend_{kind}_{option}"


def task(kind: str, options: Mapping[str, Any]) -> str:
    own = [name for name in options[MODULES[kind]] if name not in {*SHARED, *LEFT_OUT, "name"}]
    given = [f'    {name}: "{{{{ {variable(kind, name)} | default(omit) }}}}"' for name in (*own, *SHARED)]
    return "\n".join([f'    name: "{{{{ {variable(kind, "name")} }}}}"', *given])


def tasks(options: Mapping[str, Any]) -> dict[str, str]:
    when = "  when: terraform_backend_lock_mode != 'lockfile'\n"
    title = {"bucket": "Bucket | Ensure the state bucket", "table": "Table | Ensure the lock table"}
    return {
        f"tasks/{kind}.yml": f"{HEADING}- name: {title[kind]} is there and protected\n"
        f"  {COLLECTION}.{module}:\n{task(kind, options)}\n"
        f"  register: __terraform_backend_{kind}\n{when if kind == 'table' else ''}"
        for kind, module in MODULES.items()
    }


def argument_specs(options: Mapping[str, Any]) -> str:
    described = dict(sorted(_described(options)))
    main = {
        "short_description": "Ensure one backend for Terraform or OpenTofu state, and the files that point to it",
        "description": [
            "Converges a state bucket and a lock table, and writes the files that point clients to them.",
            "The host is the backend. Variables that are not given are left out, so that the modules' baseline holds.",
            "Leaves the fact C(terraform_backend) behind, with names, ARNs and the whole configuration.",
        ],
        "author": ["cornerstone.tfstate contributors (@cornerstone-tfstate)"],
        "version_added": "0.1.0",
        "options": described,
    }
    text = yaml.safe_dump({"argument_specs": {"main": main}}, sort_keys=False, width=116, allow_unicode=True)
    return HEADING + _indented(text)


def _described(options: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    for kind, module in MODULES.items():
        for name, option in options[module].items():
            if name not in LEFT_OUT and not (kind == "table" and name in SHARED):
                yield variable(kind, name), _spec(kind, module, name, option)
    for name in CONFIG_VARIABLES:
        default = defaults.get(variable("config", name))
        spec = _spec("config", CONFIG, name, options[CONFIG][name])
        yield variable("config", name), {**spec, **({"default": default} if default else {})}


def _spec(kind: str, module: str, name: str, option: Mapping[str, Any]) -> dict[str, Any]:
    def ours(told: re.Match[str]) -> str:
        return f"{'C' if told[1] in LEFT_OUT else 'O'}({variable(kind, told[1])}"

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
    if (kind, name) == ("bucket", "name"):
        spec["required"] = True
    if name in SECRET:
        spec["no_log"] = True
    return spec


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
    options = documented()
    wanted = {**tasks(options), "meta/argument_specs.yml": argument_specs(options)}
    stale = [name for name, text in wanted.items() if not (ROLE / name).exists() or (ROLE / name).read_text() != text]
    if "--check" in arguments:
        for name in stale:
            print(f"{ROLE / name} is not what the modules document: run scripts/role_options.py")
        return 1 if stale else 0
    for name in stale:
        (ROLE / name).write_text(wanted[name])
        print(f"{ROLE / name} written")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
