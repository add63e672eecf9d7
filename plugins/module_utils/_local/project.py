# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Terraform project: its files, the backend that its checkout is initialised to, and its client."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._core.model import TfstateError
from .._core.provider import Block
from .._terraform.backend_block import SUFFIXES, Edit, NotSimple, found_in, says, with_block
from .._terraform.backend_config import BackendConfig, arguments, tfbackend_text
from .._terraform.code_blocks import GENERATED, GENERATED_FOLDERS
from .._terraform.hcl import hcl_text
from .._terraform.parser import arguments_in
from .files import write_text

#: How many lines of a client's errors are returned.
LINES = 12
#: How long a client may take to exit.
GRACE_S = 30


@dataclass(frozen=True)
class DeclaredBackend:
    """A backend of a project, and where it is declared: in a file of its code, or in its checkout."""

    place: Path
    backend: str
    #: In a checkout, all that were set; in code, None for values that are not plain strings.
    arguments: Mapping[str, Any]
    is_checkout: bool = False


@dataclass(frozen=True)
class TerraformProject:
    """`tfbackend`: the file with the arguments of its backend, if they are not in its code."""

    folder: Path
    client: str
    tfbackend: str | None = None
    plan_arguments: Sequence[str] = ()
    timeout_s: int = 3600

    def edits(self, backend: BackendConfig) -> list[Edit] | NotSimple:
        """The edits that make its files declare `backend`; none if they do already."""
        found = with_block(self._files(), block_text(backend, self.tfbackend), whole_text(backend, self.tfbackend))
        if isinstance(found, NotSimple):
            return found
        if any(folder in self.folder.absolute().parts for folder in GENERATED_FOLDERS):
            return NotSimple("it is in a folder of generated code: change the source that it comes from")
        edits = [found]
        if self.tfbackend:
            before = _text(self.folder / self.tfbackend)
            if before and GENERATED.search(before):
                return NotSimple(f"a comment in {self.tfbackend} says that it was generated")
            # The file first: until the code names the backend, nobody reads it.
            edits.insert(0, Edit(self.tfbackend, before, tfbackend_text(backend)))
        due = [edit for edit in edits if edit.before != edit.after]
        links = [edit.name for edit in due if (self.folder / edit.name).is_symlink()]
        return NotSimple(f"{links[0]} is a link, and others may read what it leads to") if links else due

    def says(self, backend: BackendConfig) -> bool:
        """Whether it declares `backend` already, in its only block or in its checkout."""
        has_arguments = not self.tfbackend or _text(self.folder / self.tfbackend) == tfbackend_text(backend)
        is_declared = has_arguments and says(self._files(), block_text(backend, self.tfbackend))
        return is_declared or self.is_initialised_to(backend)

    def write(self, edits: Sequence[Edit]) -> None:
        for edit in edits:
            write_text(str(self.folder / edit.name), edit.after)

    def _files(self) -> dict[str, str]:
        """The files that clients read, which excludes names with a leading dot."""
        names = sorted(each for each in _listed(self.folder) if each.is_file() and not each.name.startswith("."))
        endings = (*SUFFIXES, *(f"{suffix}.json" for suffix in SUFFIXES))
        return {each.name: _text(each) or "" if each.name.endswith(endings) else "" for each in names}

    def declared_backends(self) -> Iterator[DeclaredBackend]:
        """Everything that declares its backend."""
        checkout = self._checkout
        if checkout:
            yield checkout
        found = found_in(self._files())
        more = arguments_in(_text(self.folder / self.tfbackend) or "") if self.tfbackend else {}
        for name, block in found if not isinstance(found, NotSimple) else ():
            yield DeclaredBackend(self.folder / name, block.backend, {**block.arguments, **more})

    @property
    def _checkout(self) -> DeclaredBackend | None:
        """The backend that it is initialised to, if any."""
        text = _text(self.folder / os.environ.get("TF_DATA_DIR", ".terraform") / "terraform.tfstate")
        try:
            backend = json.loads(text or "{}").get("backend") or {}
        except (ValueError, AttributeError):
            return None
        given = _given(dict(backend.get("config") or {}))
        return (
            DeclaredBackend(self.folder, str(backend["type"]), given, is_checkout=True) if backend.get("type") else None
        )

    def is_initialised_to(self, backend: BackendConfig) -> bool:
        checkout = self._checkout
        return checkout is not None and checkout.backend == "s3" and checkout.arguments == arguments(backend)

    def init(self) -> None:
        """Runs init without a migration of the state, which was moved already."""
        named = (f"-backend-config={self.tfbackend}",) if self.tfbackend else ()
        code, errors = self._run("init", "-reconfigure", "-input=false", "-no-color", *named)
        if code:
            raise TfstateError(f"{self.client} init in {self.folder} failed: {errors}")

    def verify_plan(self, workspace: str) -> None:
        """Raises TfstateError unless a plan is empty. The plan is not shown because it may contain secrets."""
        options = ("-detailed-exitcode", "-input=false", "-no-color", "-lock-timeout=60s", *self.plan_arguments)
        code, errors = self._run("plan", *options, TF_WORKSPACE=workspace)
        if code == 2:
            raise TfstateError(
                f"the plan of workspace {workspace} in {self.folder} is not empty: the states are moved as they were, "
                f"so look at {self.client} plan; nothing was removed"
            )
        if code:
            raise TfstateError(f"{self.client} plan in {self.folder} failed for workspace {workspace}: {errors}")

    def _run(self, *command: str, **environment: str) -> tuple[int, str]:
        """The exit code and the error messages."""
        try:
            process = subprocess.Popen(
                [self.client, *command],
                cwd=self.folder,
                env={**os.environ, "TF_IN_AUTOMATION": "true", **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
            )
        except OSError as error:
            raise TfstateError(f"{self.client} cannot be run: {error.strerror}; set client to its path") from None
        with process:
            try:
                errors = process.communicate(timeout=self.timeout_s)[1]
            except subprocess.TimeoutExpired:
                _end(process)
                raise TfstateError(
                    f"{self.client} {command[0]} in {self.folder} took more than {self.timeout_s} s: raise "
                    "client_timeout, or find out what it waits for"
                ) from None
            except BaseException:
                _end(process)
                raise
        lines = [line.strip(" │╷╵") for line in errors.splitlines()]
        return process.returncode, " ".join([line for line in lines if line][:LINES])


def _end(process: subprocess.Popen[str]) -> None:
    """Terminates a client, first with the signal on which it releases its locks."""
    process.terminate()
    try:
        process.communicate(timeout=GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()


def _given(value: Any) -> Any:
    """Without the members that a checkout lists as null."""
    if not isinstance(value, dict):
        return value
    return {name: _given(each) for name, each in value.items() if each is not None}


def block_text(backend: BackendConfig, tfbackend: str | None) -> str:
    """The backend block alone; with a file for its arguments, an empty one."""
    return hcl_text({}, (_block(backend, tfbackend),))


def whole_text(backend: BackendConfig, tfbackend: str | None) -> str:
    return hcl_text({}, (Block("terraform", (), {}, (_block(backend, tfbackend),)),))


def _block(backend: BackendConfig, tfbackend: str | None) -> Block:
    return Block("backend", ("s3",), {} if tfbackend else arguments(backend))


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise TfstateError(
            f"{folder} cannot be read: {error.strerror}; set project to the folder of the code"
        ) from None


def _text(path: Path) -> str | None:
    """The text with its original line endings."""
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise TfstateError(f"{path} cannot be read: {error}") from None
