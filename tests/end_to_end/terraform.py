# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The real terraform in a folder of its own, whose one resource can be held up while it is applied."""

from __future__ import annotations

import os
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.clean_environment import without_aws

RUN_LIMIT_S = 90

#: `terraform_data` is built in: nothing is downloaded. It waits as long as the file of `wait_for` is missing.
CONFIGURATION = """variable "content" { default = "one" }
variable "wait_for" { default = "" }

resource "terraform_data" "this" {
  input = var.content

  provisioner "local-exec" {
    command = "touch applying; while [ -n '${var.wait_for}' ] && [ ! -e '${var.wait_for}' ]; do sleep 0.05; done"
  }
}
"""


@dataclass(frozen=True)
class Run:
    code: int
    output: str


@dataclass(frozen=True)
class Workspace:
    """A folder with a configuration. `settings` says where its state lies: a backend.tf, or an empty backend block."""

    folder: Path
    terraform: str

    @classmethod
    def make(cls, folder: Path, terraform: str, backend: str = 'terraform {\n  backend "s3" {}\n}\n') -> Workspace:
        folder.mkdir()
        (folder / "main.tf").write_text(CONFIGURATION)
        (folder / "backend.tf").write_text(backend)
        return cls(folder, terraform)

    def copy(self, name: str) -> Workspace:
        """A colleague's checkout of the same project, initialised as well."""
        shutil.copytree(self.folder, self.folder.with_name(name))
        return Workspace(self.folder.with_name(name), self.terraform)

    @property
    def is_applying(self) -> bool:
        return (self.folder / "applying").exists()

    def run(self, *arguments: str) -> Run:
        with self.started(*arguments) as process:
            output, _unused = process.communicate(timeout=RUN_LIMIT_S)
        return Run(process.returncode, output)

    def init(self, *arguments: str) -> Run:
        return self.run("init", "-input=false", *arguments)

    def apply(self, **variables: str) -> Run:
        return self.run(*apply(**variables))

    def plan(self, **variables: str) -> Run:
        """Exit code 0: nothing to do; 2: something to do; 1: an error."""
        return self.run("plan", "-input=false", "-detailed-exitcode", *given(variables))

    @contextmanager
    def started(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        process = subprocess.Popen(
            [self.terraform, *arguments],
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
        return without_aws(inherited, self.folder) | {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "TF_CLI_CONFIG_FILE": os.devnull,
            "TF_IN_AUTOMATION": "true",
            "TF_CLI_ARGS": "-no-color",
            "CHECKPOINT_DISABLE": "true",
        }


def apply(**variables: str) -> tuple[str, ...]:
    return ("apply", "-input=false", "-auto-approve", "-lock-timeout=0s", *given(variables))


def given(variables: dict[str, str]) -> tuple[str, ...]:
    return tuple(f"-var={name}={value}" for name, value in variables.items())


class Race:
    """Applies at the same time, in the order in which they end. Whoever gets to work waits for the release."""

    def __init__(self, workspaces: Sequence[Workspace], release: Path) -> None:
        self.release = release
        self._ended: queue.Queue[Run] = queue.Queue()
        self._threads = [threading.Thread(target=self._apply, args=(each,), daemon=True) for each in workspaces]

    def __enter__(self) -> Race:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release.touch()
        for thread in self._threads:
            thread.join()

    def next(self) -> Run:
        return self._ended.get(timeout=RUN_LIMIT_S)

    def _apply(self, workspace: Workspace) -> None:
        self._ended.put(workspace.apply(wait_for=str(self.release)))
