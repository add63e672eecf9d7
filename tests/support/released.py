# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Release 0.1.0 of the collection, which users upgrade from. A clone may be shallow, so an archive keeps it:

git archive 9ce7887 bootstrap.yml galaxy.yml inventories/demo meta playbooks plugins requirements.txt roles |
    gzip -9n > tests/support/0.1.0.tar.gz
"""

from __future__ import annotations

import ast
import tarfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ARCHIVE = Path(__file__).with_name("0.1.0.tar.gz")
FRAGMENT = "cornerstone.tfstate."


@cache
def released() -> dict[str, str]:
    """The text of each file."""
    with tarfile.open(ARCHIVE) as archive:
        return texts(archive)


def texts(archive: tarfile.TarFile) -> dict[str, str]:
    files = {member.name: archive.extractfile(member) for member in archive}
    return {name: file.read().decode() for name, file in files.items() if file}


def released_role() -> dict[str, Any]:
    specs = yaml.safe_load(released()["roles/terraform_backend/meta/argument_specs.yml"])
    options: dict[str, Any] = specs["argument_specs"]["main"]["options"]
    return options


class Documentation:
    """What a plugin documents, with the options of our documentation fragments."""

    def __init__(self, path: str, files: dict[str, str]) -> None:
        self._files = files
        self._literals = _literals(files[path])

    @property
    def options(self) -> dict[str, Any]:
        own = yaml.safe_load(self._literals["DOCUMENTATION"])
        names = own.get("extends_documentation_fragment", [])
        fragments = [self._fragment(name.removeprefix(FRAGMENT)) for name in names if name.startswith(FRAGMENT)]
        return {name: each for part in (*fragments, own) for name, each in (part.get("options") or {}).items()}

    @property
    def results(self) -> dict[str, str]:
        """The type of each key, by its path."""
        return dict(_results(yaml.safe_load(self._literals["RETURN"])))

    def _fragment(self, name: str) -> dict[str, Any]:
        file, _, part = name.partition(".")
        literals = _literals(self._files[f"plugins/doc_fragments/{file}.py"])
        fragment: dict[str, Any] = yaml.safe_load(literals[part.upper() or "DOCUMENTATION"])
        return fragment


def _literals(source: str) -> dict[str, str]:
    assignments = [each for each in ast.walk(ast.parse(source)) if isinstance(each, ast.Assign)]
    return {
        target.id: each.value.value
        for each in assignments
        for target in each.targets
        if isinstance(target, ast.Name) and isinstance(each.value, ast.Constant) and isinstance(each.value.value, str)
    }


def _results(keys: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, key in keys.items():
        yield prefix + name, key["type"]
        yield from _results(key.get("contains") or {}, f"{prefix}{name}.")
