# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A whole backend under test, as the role's one task makes it; used as a `Subject` is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.conftest import RunWithVariables
from tests.integration.module_runs import Result, Task
from tests.integration.subject import Subject
from tests.support.emulators import RunningEmulator
from tests.support.relay import Relay


@dataclass
class Backend:
    name: str
    relay: Relay
    emulator: RunningEmulator
    run_with: RunWithVariables
    home: Path
    kind: str = "backend"
    _start: int = 0

    @property
    def parts(self) -> dict[str, Subject]:
        """Its bucket and its table."""
        return {kind: Subject(kind, f"{self.name}-{kind}", self.relay, self.emulator) for kind in ("bucket", "table")}

    @property
    def files(self) -> Path:
        return self.home / self.name

    def task(self, **asked: Any) -> Result:
        given = {
            "name": self.name,
            "bucket_name": f"{self.name}-bucket",
            "table_name": f"{self.name}-table",
            "config_directory": str(self.files),
            "region": "us-east-1",
            "endpoint_url": self.relay.url,
            "access_key": "test",
            "secret_key": "no-secret-at-all",
            "wait_timeout": 60,
            **asked,
        }
        self._start = len(self.relay.calls)
        variables = {f"terraform_backend_{name}": value for name, value in given.items()}
        (result,) = self.run_with(variables)([Task("tf_backend")])
        return result

    def done(self, **asked: Any) -> Result:
        result = self.task(**asked)
        assert not result.get("failed"), result["msg"]
        return result

    @property
    def writes(self) -> list[str]:
        return [call.name for call in self.relay.calls[self._start :] if call.is_write]

    def state(self) -> dict[str, Any]:
        files = {file.name: file.read_text().replace(self.name, "NAME") for file in sorted(self.files.glob("*"))}
        names = {name.replace(self.name, "NAME"): text for name, text in files.items()}
        return {**{kind: part.state() for kind, part in self.parts.items()}, "files": names}
