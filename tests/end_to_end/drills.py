# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A runbook, followed word for word: its commands in order, and what a person fills in, from where the page says."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.docs.pages import code_blocks
from tests.docs.stage import Stage
from tests.end_to_end.terraform import CONFIGURATION, Run, apply
from tests.support.emulators import RunningEmulator

BUCKET, TABLE = "usest1-terraform-state-ezra", "terraform-locks-us-east-1"
KEY = "network/terraform.tfstate"
#: A state that is none of the incident's: it must stay as it is.
OTHER = "billing/terraform.tfstate"
RUN_LIMIT_S = 300
#: `NAME=value`, or `export NAME=value`, with or without a comment.
_NAME = re.compile(r"^(export )?([A-Z_]+)=([^\s#]*)(\s+#.*)?$", re.MULTILINE)


@dataclass(frozen=True)
class Step:
    """A block of commands, and the lines that the page shows of its output."""

    commands: str
    expected: tuple[str, ...]

    @property
    def is_names(self) -> bool:
        """It only asks to fill in names."""
        return not _NAME.sub("", self.commands).strip()

    @property
    def names(self) -> list[str]:
        return [name for _export, name, *_rest in _NAME.findall(self.commands)]


@dataclass(frozen=True)
class Runbook:
    path: Path
    symptoms: tuple[str, ...]
    steps: tuple[Step, ...]

    @classmethod
    def read(cls, path: Path) -> Runbook:
        symptoms, steps = [], []
        for block in code_blocks(path):
            assert not block.excuse, f"{block} is not run"
            if block.language == "sh":
                steps.append(Step(block.text, ()))
            elif block.language == "text" and not steps:
                symptoms.append(block.text)
            elif block.language == "text":
                steps[-1] = Step(steps[-1].commands, tuple(filter(None, map(str.strip, block.text.splitlines()))))
        return cls(path, tuple(symptoms), tuple(steps))


@dataclass
class Incident:
    """A backend with applied states, in an emulator of its own, and the person who reads the runbook."""

    stage: Stage
    emulator: RunningEmulator
    workspace: str = "default"
    lock_mode: str = "both"
    #: What the page asks its reader to fill in: a text, or how it is read from the output of the steps before.
    fills: dict[str, str | Callable[[str], str]] = field(default_factory=dict)
    #: What is filled in for each state, where the page says so.
    copies: list[dict[str, str]] = field(default_factory=list)
    #: What the page says to leave out in this case, as patterns of commands or options.
    leaves_out: tuple[str, ...] = ()
    project: str = "network"

    def __post_init__(self) -> None:
        self.s3, self.dynamodb = (self.emulator.client(each, region="us-east-1") for each in ("s3", "dynamodb"))

    @property
    def path(self) -> str:
        return KEY if self.workspace == "default" else f"env:/{self.workspace}/{KEY}"

    @property
    def lock_item(self) -> dict[str, Any]:
        return {"LockID": {"S": f"{BUCKET}/{self.path}"}}

    @property
    def digest_item(self) -> dict[str, Any]:
        return {"LockID": {"S": f"{BUCKET}/{self.path}-md5"}}

    def set_up(self) -> None:
        self.stage.set_up()
        demo, mine = (self.stage.checkout / "inventories" / name for name in ("demo", "mine"))
        shutil.copytree(demo, mine)
        settings = mine / "group_vars" / "all.yml"
        settings.write_text(
            settings.read_text().replace("/.state/backends/", "/backends/")
            + f"\nterraform_backend_lock_mode: {self.lock_mode}\n"
        )
        self.stage.run(["ansible-playbook", "bootstrap.yml", "-i", "inventories/mine", "-l", "us-east-1"])
        for name, key in (("network", KEY), ("billing", OTHER)):
            self.make_project(name, key)
        if self.workspace != "default":
            self.terraform("workspace", "new", self.workspace)
            self.terraform(*apply())

    def make_project(self, name: str, key: str) -> None:
        self.stage.write(f"{name}/main.tf", CONFIGURATION)
        self.stage.write(f"{name}/backend.tf", 'terraform {\n  backend "s3" {}\n}\n')
        self.init(key, name)
        self.terraform(*apply(), project=name)

    def init(self, key: str, project: str, region: str = "us-east-1") -> None:
        configuration = [f"-backend-config=../backends/{region}/{region}.s3.tfbackend", f"-backend-config=key={key}"]
        self.terraform("init", "-input=false", *configuration, project=project)

    def terraform(self, *arguments: str, code: int = 0, project: str | None = None, workspace: str = "") -> str:
        chosen = {"TF_WORKSPACE": workspace} if workspace else {}
        done = self.run(["terraform", f"-chdir={project or self.project}", *arguments], chosen)
        assert done.code == code, done.output
        return done.output

    def run(self, command: list[str], more: Mapping[str, str] | None = None, stop_after_s: float | None = None) -> Run:
        ours = {"CHECKPOINT_DISABLE": "true", "TF_IN_AUTOMATION": "true", "TF_CLI_ARGS": "-no-color"}
        with subprocess.Popen(
            command,
            cwd=self.stage.checkout,
            env=self.stage.environment() | ours | {"TF_CLI_CONFIG_FILE": os.devnull} | dict(more or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                output, _none = process.communicate(timeout=stop_after_s or RUN_LIMIT_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does
                output, _none = process.communicate(timeout=RUN_LIMIT_S)
        return Run(process.returncode, output)

    def keep_copies(self) -> None:
        """As `terraform state pull` writes them. The state of the incident is the last one."""
        for name, key, project, workspace in (
            ("other", OTHER, "billing", "default"),
            ("copy", KEY, "network", self.workspace),
        ):
            copy = self.stage.folder / f"{name}.tfstate"
            copy.write_text(self.terraform("state", "pull", project=project, workspace=workspace))
            self.copies.append({"KEY": key, "WORKSPACE": workspace, "COPY": str(copy)})
        self.fills["COPY"] = str(copy)

    def put(self, state: Mapping[str, Any]) -> None:
        """Writes the state past all clients."""
        self.s3.put_object(Bucket=BUCKET, Key=self.path, Body=json.dumps(state, indent=2).encode())

    def body(self, path: str | None = None) -> bytes:
        return bytes(self.s3.get_object(Bucket=BUCKET, Key=path or self.path)["Body"].read())

    def state(self, path: str | None = None) -> dict[str, Any]:
        return dict(json.loads(self.body(path)))

    @property
    def version_id(self) -> str:
        return str(self.s3.head_object(Bucket=BUCKET, Key=self.path)["VersionId"])

    @property
    def digest(self) -> Any:
        """None without a table."""
        if self.lock_mode == "lockfile":
            return None
        return self.dynamodb.get_item(TableName=TABLE, Key=self.digest_item, ConsistentRead=True).get("Item")

    def locks(self) -> list[str]:
        """What holds a lock, in both stores: names of files and items."""
        listed = self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        files = [each["Key"] for each in listed if each["Key"].endswith(".tflock")]
        if self.lock_mode == "lockfile":
            return files
        items = self.dynamodb.scan(TableName=TABLE, ConsistentRead=True)["Items"]
        return files + [each["LockID"]["S"] for each in items if "Info" in each]


@dataclass
class Reader:
    """Whoever follows a runbook. `types`: how a block of commands is changed before it is typed, a wrong turn."""

    incident: Incident
    types: Callable[[str], str] = str
    #: How often each block is typed.
    times: int = 1
    #: The first typing of each block is stopped by Ctrl-C after so many seconds.
    interrupts_after_s: float | None = None
    names: str = ""
    said: str = ""

    def follow(self, page: Runbook) -> Run:
        """Types all commands, until one fails. The output is that of the last step; `said` has all."""
        steps, fills = list(page.steps), [self.incident.fills]
        run = Run(0, "")
        for step in steps:
            if step.is_names:
                is_each = "COPY" in step.names and "KEY" in step.names and self.incident.copies
                fills = [*self.incident.copies] if is_each and "OTHER" not in step.names else [self.incident.fills]
                pending = step
                if len(fills) == 1:
                    self.names += self._filled_in(step, fills[0])
                continue
            for each in fills:
                if len(fills) > 1:
                    self.names += self._filled_in(pending, each)
                run = self._typed(step)
                if run.code:
                    return run
            fills = fills[-1:]
            self._check_promised(page, step, run)
        return run

    def _typed(self, step: Step) -> Run:
        if self.interrupts_after_s:
            self._type(step, self.interrupts_after_s)
        for _time in range(self.times):
            run = self._type(step)
            self.said += run.output
            if run.code:
                break
        return run

    @staticmethod
    def _check_promised(page: Runbook, step: Step, run: Run) -> None:
        said = " ".join(run.output.split())
        for line in step.expected:
            pattern = ".*".join(map(re.escape, line.split("...")))
            assert re.search(pattern, said), f"{page.path} promises {line!r}:\n{step.commands}\n{run.output}"

    def _filled_in(self, step: Step, fills: Mapping[str, str | Callable[[str], str]]) -> str:
        def fill(match: re.Match[str]) -> str:
            value = fills.get(match[2], match[3])
            text = value(self.said) if callable(value) else value
            return f"{match[1] or ''}{match[2]}={text}"

        return _NAME.sub(fill, step.commands)

    def _type(self, step: Step, stop_after_s: float | None = None) -> Run:
        commands = self.types(step.commands)
        for pattern in self.incident.leaves_out:
            commands = re.sub(pattern, "", commands)
        return self.incident.run(["sh", "-euc", self.names + commands], stop_after_s=stop_after_s)
