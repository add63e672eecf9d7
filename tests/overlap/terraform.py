# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The real terraform in the place of a protocol client, with a checkout of its own for each state."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tests.end_to_end.terraform import Workspace, apply
from tests.overlap.client import STORES, Client

#: What it says if it is kept out, with a word for it each.
REASONS = {
    "Error acquiring the state lock": "locked",
    "does not have the expected content": "digest does not fit",
    "AccessDenied": "denied",
    "does not exist": "gone",
    "Error releasing the state lock": "lock stolen",
}


@dataclass(frozen=True)
class Checkout(Workspace):
    who: str = ""

    def _environment(self) -> dict[str, str]:
        return super()._environment() | {"AWS_ACCESS_KEY_ID": self.who}


@dataclass
class Terraform(Client):
    program: str = "terraform"
    home: Path = field(default_factory=Path)
    _count: int = 0

    def apply(self, path: str) -> str:
        folder = self.home / f"{self.who}-{path.replace('/', '-').replace(':', '')}"
        if not folder.exists():
            Checkout.make(folder, self.program, self._backend(path))
        checkout = Checkout(folder, self.program, self.who)
        self._count += 1
        run = checkout.init() if not (folder / ".terraform").exists() else None
        if run is None or run.code == 0:
            run = checkout.run(*apply(content=f"{self.who} {self._count}"))
        outcome = "applied" if run.code == 0 else self._reason(run.output)
        event = "not locked" if outcome == "locked" else outcome
        self.journal.record(self.who, event, path=path, said="" if run.code == 0 else run.output[-600:])
        return outcome

    @staticmethod
    def _reason(output: str) -> str:
        return next((reason for words, reason in REASONS.items() if words in output), "failed")

    def _backend(self, path: str) -> str:
        table = f'    dynamodb_table = "{self.site.table}"\n' if "table" in STORES[self.mode] else ""
        return (
            'terraform {\n  backend "s3" {\n'
            f'    bucket = "{self.site.bucket}"\n    key = "{path}"\n    region = "{self.site.region}"\n'
            f"    use_lockfile = {'true' if 'file' in STORES[self.mode] else 'false'}\n{table}"
            "    use_path_style = true\n    skip_credentials_validation = true\n"
            "    skip_requesting_account_id = true\n    skip_metadata_api_check = true\n"
            f'    endpoints = {{ s3 = "{self.url}", dynamodb = "{self.url}" }}\n  }}\n}}\n'
        )
