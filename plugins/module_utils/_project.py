# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Terraform project in its folder: its files, what its checkout is initialised to, and its client."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ._backend_block import SUFFIXES, Edit, NotSimple, with_block
from ._backend_config import Backend, arguments, tfbackend_text
from ._core import TfstateError
from ._files import write_text
from ._hcl import Block, hcl_text

#: What of a checkout's configuration decides where its state lies and how it is locked.
DECIDING = ("bucket", "key", "region", "workspace_key_prefix", "dynamodb_table", "use_lockfile")
#: Of what a client says when it fails, as much is told.
LINES = 12


@dataclass(frozen=True)
class Project:
    """`tfbackend` is the name of the file that its backend's arguments lie in, if they do not lie in its code."""

    folder: Path
    client: str
    tfbackend: str | None = None
    plan_arguments: Sequence[str] = ()

    def edits(self, backend: Backend) -> list[Edit] | NotSimple:
        """What its files need so that they say `backend`; nothing, if they do."""
        found = with_block(self._files(), block_text(backend, self.tfbackend), whole_text(backend, self.tfbackend))
        if isinstance(found, NotSimple):
            return found
        edits = [found]
        if self.tfbackend:
            before = _text(self.folder / self.tfbackend)
            # The file first: until the code names the backend, nobody reads it.
            edits.insert(0, Edit(self.tfbackend, before, tfbackend_text(backend)))
        return [edit for edit in edits if edit.before != edit.after]

    def write(self, edits: Sequence[Edit]) -> None:
        for edit in edits:
            write_text(str(self.folder / edit.name), edit.after)

    def _files(self) -> dict[str, str]:
        names = sorted(each for each in _listed(self.folder) if each.is_file())
        endings = (*SUFFIXES, *(f"{suffix}.json" for suffix in SUFFIXES))
        return {each.name: _text(each) or "" if each.name.endswith(endings) else "" for each in names}

    @property
    def initialised(self) -> dict[str, Any] | None:
        """The arguments of the `s3` backend that the checkout is initialised to; None: it is to none."""
        text = _text(self.folder / os.environ.get("TF_DATA_DIR", ".terraform") / "terraform.tfstate")
        try:
            backend = json.loads(text or "{}").get("backend") or {}
        except (ValueError, AttributeError):
            return None
        return dict(backend.get("config") or {}) if backend.get("type") == "s3" else None

    def is_initialised_to(self, backend: Backend) -> bool:
        config, wanted = self.initialised, arguments(backend)
        return config is not None and all((config.get(name) or None) == wanted.get(name) for name in DECIDING)

    def init(self) -> None:
        """Forgets the old backend and copies nothing: the state is where it belongs already."""
        named = (f"-backend-config={self.tfbackend}",) if self.tfbackend else ()
        code, said = self._run("init", "-reconfigure", "-input=false", "-no-color", *named)
        if code:
            raise TfstateError(f"{self.client} init in {self.folder} failed: {said}")

    def prove(self, workspace: str) -> None:
        """Raises unless a plan is empty. What a plan shows is not told: it may hold secrets."""
        options = ("-detailed-exitcode", "-input=false", "-no-color", "-lock-timeout=60s", *self.plan_arguments)
        code, said = self._run("plan", *options, TF_WORKSPACE=workspace)
        if code == 2:
            raise TfstateError(
                f"the plan of workspace {workspace} in {self.folder} is not empty: the states are moved as they were, "
                f"so look at {self.client} plan; nothing was removed"
            )
        if code:
            raise TfstateError(f"{self.client} plan in {self.folder} failed for workspace {workspace}: {said}")

    def _run(self, *command: str, **environment: str) -> tuple[int, str]:
        """Exit code, and what it said of errors."""
        try:
            done = subprocess.run(
                [self.client, *command],
                cwd=self.folder,
                env={**os.environ, "TF_IN_AUTOMATION": "true", **environment},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
            )
        except OSError as error:
            raise TfstateError(f"{self.client} cannot be run: {error.strerror}; set client to its path") from None
        lines = [line.strip(" │╷╵") for line in done.stderr.splitlines()]
        return done.returncode, " ".join([line for line in lines if line][:LINES])


def block_text(backend: Backend, tfbackend: str | None) -> str:
    """The backend block alone; with a file for its arguments, an empty one."""
    return hcl_text({}, (_block(backend, tfbackend),))


def whole_text(backend: Backend, tfbackend: str | None) -> str:
    return hcl_text({}, (Block("terraform", (), {}, (_block(backend, tfbackend),)),))


def _block(backend: Backend, tfbackend: str | None) -> Block:
    return Block("backend", ("s3",), {} if tfbackend else arguments(backend))


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise TfstateError(
            f"{folder} cannot be read: {error.strerror}; set project to the folder of the code"
        ) from None


def _text(path: Path) -> str | None:
    """The text with its line ends as they are."""
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise TfstateError(f"{path} cannot be read: {error}") from None
