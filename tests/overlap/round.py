# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A round: a backend in use, some operations at once, and afterwards a look at everything that happened.

The seed decides what is there, who does what, in which lock mode clients work, and who is killed when. What then comes
first is up to the machine: a seed that has failed may have to be played more often.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.protocol import MOVING
from botocore.exceptions import ClientError

from tests.integration.module_runs import Task, through_core
from tests.overlap.client import Client, Journal, Looping, Site, body_of, md5
from tests.overlap.history import BY_HAND, Fault, Replay, State, Version
from tests.overlap.operations import Catalogue
from tests.overlap.runs import Attempt, Launcher, Operation, Operator, post
from tests.overlap.terraform import Terraform
from tests.support.emulators import RunningEmulator

PATHS = ["net/a.tfstate", "env:/dev/net/a.tfstate", "app/b.tfstate", "env:/qa/app/b.tfstate"]
#: How likely a round is of which kind.
KINDS = {
    "restore": 4,
    "teardown": 2,
    "move": 2,
    "two moves": 1,
    "rebuild": 2,
    "stopped restore": 1,
    "version": 2,
    "mixed": 7,
    "freeze": 1,
}
MIXED = ("restore", "teardown", "move", "rebuild", "lock_mode", "backup", "unlock", "version", "digest", "freeze")
NEED_TABLE = ("rebuild", "lock_mode", "digest")
#: Lock modes of a backend, and of the clients that work in it.
MODES = {
    "dynamodb": ("dynamodb",),
    "lockfile": ("lockfile",),
    "both": ("both",),
    "both and dynamodb": ("both", "dynamodb"),
}
#: Clients and operations work at the same time for so long at the most; then each operation ends alone.
OVERLAP_S = 6.0
#: Without Ansible around it, which takes seconds to start.
ALONE = {"playbook": "worker", "module of a playbook": "module"}
LOCK_ID = re.compile(r"lock id ([0-9a-f-]{36})")
ABOUT_OTHERS = re.compile(
    r"\block(ed|s)?\b|\bheld\b|\bholds\b|at work|meanwhile|somebody|another run|changed hands|under way|torn down", re.I
)
WHO = re.compile(r"[\w.-]+@[\w.-]+")
VARYING = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\b[0-9a-f]{16,}\b|\d+|(env:/\w+/)?(net|app)/\w\.tfstate")
#: Whoever it was has ended; or nothing says who it is, as in the folder of a backup.
NAMELESS = re.compile(
    r"just been released|was released by somebody else|somebody else saved into|ResourceNotFoundException|NoSuchBucket"
    r"|nothing can be frozen"
)
PROCESS = re.compile(r"process \d+")
SINCE = re.compile(r"\bsince\b|\bfor \d|\d{4}-\d\d-\d\d[T ]\d\d:\d\d", re.I)


@dataclass
class Outcome:
    seed: int
    about: str
    options: str = ""
    faults: list[Fault] = field(default_factory=list)
    figures: Counter[str] = field(default_factory=Counter)
    trace: list[str] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        told = "\n  ".join(map(str, self.faults[:12]))
        more = f"\n  ... and {len(self.faults) - 12} more" if self.faults[12:] else ""
        again = f"python -m tests.overlap {self.seed} 1{self.options}"
        return f"seed {self.seed} ({self.about}); again: {again}\n  {told}{more}\n" + "\n".join(self.trace)


class Round:
    def __init__(
        self,
        seed: int,
        emulator: RunningEmulator,
        launcher: Launcher,
        log: Path,
        home: Path,
        way: str = "",
        kind: str = "",
        terraform: str = "",
    ):
        self.seed, self.random = seed, Random(seed)
        self.emulator, self.launcher, self.log = emulator, launcher, log
        self.home = home / f"round-{seed}"
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir()
        self.way, self.terraform = way, terraform
        self.journal = Journal(self.home / "journal.jsonl")
        self.s3 = emulator.client("s3", access_key="setup")
        self.dynamodb = emulator.client("dynamodb", access_key="setup")
        self.kind = kind or self.random.choices(list(KINDS), list(KINDS.values()))[0]
        self.count = self.random.choice([2, 3, 5])
        self.mode = self.random.choice([each for each in MODES if self.kind != "rebuild" or each != "lockfile"])
        self.paths = PATHS[: self.random.randint(2, 4)] if not terraform else PATHS[0:3:2]
        self.versions = self.random.randint(2, 6)
        table = None if self.mode == "lockfile" else f"ov-locks-{seed}"
        self.site = Site(f"ov-state-{seed}", table)
        self.new = Site(f"ov-state-{seed}-new", table and f"{table}-new")
        self.other = Site(f"ov-state-{seed}-other", table and f"{table}-other")
        self.sites = [self.site]
        self.states: dict[Site, dict[str, State]] = {}
        self.clients: list[Looping] = []
        self.operators: list[Operator] = []
        self.stops: list[dict[str, Any]] = []
        self.denied = ""
        #: Whether each operator sits at another machine, which does not see the processes of the others.
        self.is_spread = self.random.random() < 0.3 or self.kind == "stopped restore"
        #: Whether runs are stopped for longer than their lease, instead of killed.
        self.is_stopping = self.kind == "stopped restore"
        self.kind = self.kind.removeprefix("stopped ")
        options = f" --way {way!r}" * bool(way) + f" --kind {kind!r}" * bool(kind)
        options += " --terraform" * bool(terraform)
        self.outcome = Outcome(seed, "", options)

    def play(self) -> Outcome:
        self.emulator.reset()
        post(self.emulator.url, clear=True, delay_s=self.random.choice([0.0, 0.004, 0.012]))
        start = self.log.stat().st_size if self.log.exists() else 0
        self._prepare()
        names = ", ".join(each.operation.name for each in self.operators)
        spread = ", many machines" * self.is_spread + ", stopped" * self.is_stopping
        self.outcome.about = f"{self.kind}, {self.mode}{spread}: {names}{self.denied}"
        self._overlap()
        self._end_alone()
        self.outcome.faults += self._checked_clients()
        with self.log.open() as log:
            log.seek(start)
            lines = [json.loads(line) for line in log]
        self.stops = [each for each in lines if each["op"] == "kill" and each["signal"] == signal.SIGSTOP]
        self.outcome.faults += Look(self, lines).faults()
        self._count(lines)
        self.journal.close()
        if not self.outcome.faults:
            shutil.rmtree(self.home, ignore_errors=True)
        return self.outcome

    # What there is.

    def _prepare(self) -> None:
        self._make(self.site)
        is_restore = self.kind == "restore"
        catalogue = self._catalogue(self.site)
        if is_restore:
            origin = Site(f"{self.site.bucket}-origin", f"{self.site.bucket}-origin")
            self._make(origin)
            wanted = self._fill(origin)
            self._save(origin, catalogue.saved)
            self.states[self.site] = {
                path: State(path, found.lineage, [None if each.is_marker else each.md5 for each in found.ever])
                for path, found in wanted.items()
            }
        else:
            self.states[self.site] = self._fill(self.site)
            catalogue = self._catalogue(self.site)
            self._save(self.site, catalogue.saved)
        self._hire(catalogue)
        self._spoil()
        self._deny()
        self._employ()

    def _catalogue(self, site: Site) -> Catalogue:
        early = {path: found.ever[0].id for path, found in self.states.get(site, {}).items() if found.ever}
        return Catalogue(site, self.emulator.url, self.home, self.paths, self.random, early)

    def _make(self, site: Site) -> None:
        self.s3.create_bucket(Bucket=site.bucket)
        self.s3.put_bucket_versioning(Bucket=site.bucket, VersioningConfiguration={"Status": "Enabled"})
        if site.table:
            self.dynamodb.create_table(
                TableName=site.table,
                KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )

    def _fill(self, site: Site) -> dict[str, State]:
        """States with a past; the last one was deleted in between, and made again as an older version of itself."""
        found = {}
        for path in self.paths:
            known = State(path, f"lineage of {path}")
            for serial in range(1, self.versions + 1):
                body = body_of(known.lineage, serial, "setup")
                written = self.s3.put_object(Bucket=site.bucket, Key=path, Body=body)
                known.ever.append(Version(written["VersionId"], md5(body), "setup", serial, known.lineage))
                if path == self.paths[-1] and serial == self.versions // 2:
                    deleted = self.s3.delete_object(Bucket=site.bucket, Key=path)
                    known.ever.append(Version(deleted["VersionId"], "", "setup", is_marker=True))
            if site.table:
                known.digest = md5(body)
                item = {"LockID": {"S": f"{site.bucket}/{path}-md5"}, "Digest": {"S": known.digest}}
                self.dynamodb.put_item(TableName=site.table, Item=item)
            known.stack = list(known.ever)
            found[path] = known
        return found

    def _save(self, site: Site, backup: Path) -> None:
        catalogue = Catalogue(site, self.emulator.url, self.home, self.paths, self.random, {})
        (task,) = catalogue.backup().tasks
        given = {**task.params, "backup": str(backup), "access_key": "setup", "secret_key": "none"}
        (result,) = through_core([type(task)(task.module, given)])
        assert not result.get("failed"), result

    def _spoil(self) -> None:
        """Digests that operations are there to mend."""
        is_moving = any(each.operation.name == "move" for each in self.operators)
        if not self.site.table or self.kind not in ("rebuild", "mixed") or is_moving:
            return
        for number, (path, known) in enumerate(self.states[self.site].items()):
            key = {"LockID": {"S": f"{self.site.bucket}/{path}-md5"}}
            if self.kind == "rebuild":
                self.dynamodb.delete_item(TableName=self.site.table, Key=key)
                known.digest = None
            elif number == 0 and self.random.random() < 0.3:
                known.digest = known.excused = "0" * 32
                self.dynamodb.put_item(TableName=self.site.table, Item={**key, "Digest": {"S": known.digest}})

    def _deny(self) -> None:
        """One state may not be written, by the first start of an operation."""
        if self.kind in ("restore", "move") and self.random.random() < 0.3:
            who = f"run-{self.operators[0].name}.1"
            key, nth = self.random.choice(self.paths), self.random.randint(1, 2)
            fault = {"who": who, "operation": "PutObject", "key": key, "nth": nth}
            post(self.emulator.url, faults=[fault])
            self.denied = f"; {key} is denied to {who}"

    def _hire(self, catalogue: Catalogue) -> None:
        for number, operation in enumerate(self._operations(catalogue)):
            way = self.way or self.random.choice(["worker", "worker", "module"])
            self.operators.append(
                Operator(
                    operation,
                    f"{number + 1}-{operation.name.replace(' ', '-')}",
                    self.launcher,
                    lambda **told: post(self.emulator.url, **told),
                    self.home,
                    Random(self.random.random()),
                    way,
                    self.random.choice([1, 1, 2] if self.way or self.is_stopping else [0, 0, 1, 1, 2]),
                    self.random.uniform(0, 0.1),
                    machine=f"machine-{number}" if self.is_spread else "",
                    is_stopping=self.is_stopping,
                )
            )

    def _operations(self, catalogue: Catalogue) -> Iterator[Operation]:
        if self.kind in ("move", "two moves") or self.kind == "mixed":
            for site in (self.new, self.other):
                self._make(site)
                self.sites.append(site)
                lineages = {path: known.lineage for path, known in self.states[self.site].items()}
                self.states[site] = {path: State(path, lineage) for path, lineage in lineages.items()}
        names = [each for each in MIXED if self.site.table or each not in NEED_TABLE]
        names = [each for each in names if each != "lock_mode" or self.mode == "both"]
        source_protection = self.random.choice(["lock", "lock", "deny"])
        for number in range(self.count):
            if self.kind == "two moves":
                yield catalogue.move((self.new, self.other)[number % 2], source_protection)
            elif self.kind == "move":
                yield catalogue.move(self.new, source_protection)
            else:
                yield catalogue.pick(self.random.choice(names) if self.kind == "mixed" else self.kind)

    def _employ(self) -> None:
        """Clients work from the start; but where states come first, from then on."""
        places = [(self.site, self._has_begun if self.kind == "restore" else lambda: True)]
        places += [(site, self._gate(site)) for site in self.sites[1:]]
        for site, gate in places:
            for number, mode in enumerate(MODES[self.mode] * (1 if self.terraform else 2)):
                name = f"client-{site.bucket.rpartition('-')[2]}-{number}-{mode}"
                works_s = self.random.choice([0.0, 0.02, 0.08])
                given = (name, mode, site, self.emulator.url, self.journal, works_s)
                client = Terraform(*given, self.terraform, self.home) if self.terraform else Client(*given)
                rests_s = self.random.choice([(0.0, 0.1), (0.1, 0.4)])
                self.clients.append(Looping(client, self.paths, rests_s, Random(self.random.random()), gate))

    def _has_begun(self) -> bool:
        """Whether a version of any state is there: from then on all that are to come have to be locked."""
        found = self.s3.list_object_versions(Bucket=self.site.bucket).get("Versions", [])
        return any(each["Key"] in self.paths for each in found)

    def _gate(self, site: Site) -> Any:
        """Clients follow a state when its move has succeeded."""
        return lambda: any(
            each.is_done and each.operation.tasks[0].params.get("bucket") == site.bucket
            for each in self.operators
            if each.operation.name == "move"
        )

    # What happens.

    def _overlap(self) -> None:
        until = time.monotonic() + (60 if self.way else 30 if self.terraform or self.is_stopping else OVERLAP_S)
        threads = [threading.Thread(target=each.run, args=(until,), daemon=True) for each in self.operators]
        for each in (*self.clients, *threads):
            each.start()
        for thread in threads:
            thread.join(240)
        for client in self.clients:
            client.stop()
        self._wait_until_gone()

    def _wait_until_gone(self) -> None:
        for attempt in self.attempts:
            if not self.launcher.wait(attempt.who, "gone", 60):
                self.outcome.faults.append(Fault("stuck", f"processes of {attempt.who} are there a minute later"))

    def _end_alone(self) -> None:
        for operator in self.operators:
            operator.kills = 0
            operator.way = ALONE.get(operator.way, operator.way)
            operator.run(time.monotonic() + 60, most=2)
            self._wait_until_gone()
            message = str(operator.attempts[-1].result.get("msg"))
            found = LOCK_ID.search(message)
            if not operator.is_done and found and MOVING not in message:
                self._release(found[1])
                operator.run(time.monotonic() + 60, most=2)
                self._wait_until_gone()

    def _release(self, lock_id: str) -> None:
        """What a killed run has left, as its message says: by hand, once it is seen that nobody is at work."""
        self.outcome.figures["released by hand"] += 1
        for path in self.paths:
            for site in self.sites:
                params = {"endpoint_url": self.emulator.url, "bucket": site.bucket, "key": path, "lock_id": lock_id}
                given = {**params, "region": site.region, "access_key": BY_HAND, "secret_key": "none"}
                table = {"table": site.table} if site.table else {}
                through_core([Task("tf_state_lock", {**given, **table, "state": "released"})])

    @property
    def attempts(self) -> list[Attempt]:
        return [attempt for operator in self.operators for attempt in operator.attempts]

    def _checked_clients(self) -> list[Fault]:
        return [Fault("bug", f"{each.client.who}: {why!r}") for each in self.clients for why in each.failures]

    def is_alive(self, who: str, moment: float) -> bool:
        """Whether a run was at work; one that was stopped for longer than its lease is no more."""
        started = next((each.start for each in self.attempts if each.who == who), None)
        was_stopped = any(each["who"] == who and each["t"] <= moment for each in self.stops)
        return started is not None and started <= moment <= self.launcher.gone.get(who, moment) and not was_stopped

    def _count(self, lines: Sequence[dict[str, Any]]) -> None:
        events = Counter(each["event"] for each in self.journal.lines)
        self.outcome.figures.update(
            runs=len(self.attempts),
            killed=sum(each["op"] == "kill" for each in lines),
            applies=events["applied"],
            kept_out=events["not locked"],
            calls=len(lines),
        )
        if self.outcome.faults:
            self.outcome.trace = trace(self, lines)


def trace(round: Round, lines: Sequence[dict[str, Any]]) -> list[str]:
    """What the runs were told, and what was written around the first faults."""
    first = min((each.number for each in round.outcome.faults if each.number), default=0)
    start = min(each.start for each in round.attempts)
    told = [
        f"  {each.start - start:7.3f} to {each.end - start:7.3f} {each.who} ({each.way}"
        f"{f', kill {each.kill}' if each.kill else ''}): {'failed' if each.is_failed else 'done'}"
        f" {str(each.result.get('msg', ''))[:300]}"
        for each in sorted(round.attempts, key=lambda each: each.start)
    ]
    known = [each for each in lines if each["op"] != "GetObject" and each.get("status") not in (400, 403, 404, 412)]
    before, after = [each for each in known if each["n"] <= first], [each for each in known if each["n"] > first]
    shown = before[-25:] + after[:5]
    names = ("op", "key", "item", "serial", "lock", "operation", "digest", "status", "targets")
    told += [
        f"  {each['t'] - start:7.3f} #{each['n']} {each['who']} "
        + " ".join(str(each[name]) for name in names if each.get(name) is not None)
        for each in shown
        if first
    ]
    return told


@dataclass
class Look:
    """What came of a round."""

    round: Round
    lines: Sequence[dict[str, Any]]

    def faults(self) -> list[Fault]:
        self.replays = {site: self._replay(site) for site in self.round.sites}
        found = list(self._replayed())
        for replay in self.replays.values():
            found += replay.faults
        for site in self.round.sites:
            found += [*self._of_histories(site), *self._of_locks(site)]
        found += [*self._of_writes(), *self._of_results(), *self._of_restores(), *self._of_use()]
        return found

    def _replay(self, site: Site) -> Replay:
        modes = {each.client.who: each.client.mode for each in self.round.clients}
        stopped = frozenset(each["who"] for each in self.round.stops)
        return Replay(site, self.round.states[site], modes, self.round.is_alive, stopped)

    def _replayed(self) -> Iterator[Fault]:
        for line in self.lines:
            if line["op"] == "kill":
                continue
            yield from self._of_copy(line)
            for replay in self.replays.values():
                replay.take(line)

    def _of_copy(self, line: dict[str, Any]) -> Iterator[Fault]:
        """A move has to take what is current, and nobody may write there afterwards."""
        source = self.replays[self.round.site]
        if line["op"] != "PutObject" or line["status"] != 200 or line["key"] not in self.round.paths:
            return
        state, copies = (
            source.states[line["key"]],
            [self.round.states[site][line["key"]] for site in self.round.sites[1:]],
        )
        if line["bucket"] == source.site.bucket and any(each.top for each in copies):
            yield Fault("lost", f"{line['who']} wrote {line['key']} where it moved away from", line["n"])
        elif line["bucket"] != source.site.bucket and line["who"].startswith("run"):
            if state.top is None or state.top.md5 != line["etag"]:
                yield Fault("lost", f"{line['who']} moved an old version of {line['key']}", line["n"])
            if any(each.top for each in copies):
                yield Fault("two holders", f"{line['who']} moved {line['key']}, which has moved already", line["n"])

    def _of_histories(self, site: Site) -> Iterator[Fault]:
        """The replay is what S3 has."""
        replay = self.replays[site]
        listed = self._listed(site)
        if listed is None:
            if not replay.is_gone:
                yield Fault("bug", f"{site.bucket} is gone, and nobody deleted it")
            return
        for path, state in replay.states.items():
            there = [each["VersionId"] for each in listed if each["Key"] == path]
            if sorted(there) != sorted(each.id for each in state.stack):
                yield Fault("bug", f"the log tells other versions of {path} than S3 has")

    def _listed(self, site: Site) -> list[dict[str, Any]] | None:
        try:
            pages = self.round.s3.get_paginator("list_object_versions").paginate(Bucket=site.bucket)
            found = pages.build_full_result()
        except ClientError:
            return None
        return [*found.get("Versions", []), *found.get("DeleteMarkers", [])]

    def _of_locks(self, site: Site) -> Iterator[Fault]:
        """Nobody is at work any more: only what moved stays locked."""
        replay = self.replays[site]
        if replay.is_gone:
            return
        for path, state in replay.states.items():
            is_of_moved_state = site == self.round.site and any(
                self.round.states[other][path].top for other in self.round.sites[1:]
            )
            for store, holder in (("file", state.file), ("table", state.item)):
                if holder and not is_of_moved_state:
                    where = f"{path} in {site.bucket}"
                    yield Fault("stuck", f"the lock ({store}) of {where} is that of {holder.who} to the end")

    def _of_writes(self) -> Iterator[Fault]:
        """Each acknowledged write is where it was made, or in the backup of what was taken down."""
        saved, written = self._saved(), set()
        for line in self.lines:
            site = next((each for each in self.round.sites if each.bucket == line.get("bucket")), None)
            if not site or line["op"] != "PutObject" or line["status"] != 200 or not line["who"].startswith("client"):
                continue
            replay, path = self.replays[site], line["key"]
            written.add(line["version"])
            if path not in replay.states:
                continue
            there = {each.id for each in replay.states[path].stack}
            if line["version"] not in there and not (replay.is_gone and line["etag"] in saved.get(path, [])):
                yield Fault(
                    "lost", f"{line['who']} wrote serial {line['serial']} of {path}, which is nowhere", line["n"]
                )
        told = [each for each in self.round.journal.lines if each["event"] == "wrote"]
        for each in told:
            if each["version"] not in written and not each["who"].startswith("client-last"):
                yield Fault("bug", f"the log knows nothing of {each}")
        source = self.replays[self.round.site]
        if source.is_gone:
            for path, state in source.states.items():
                if saved.get(path, []) != [each.md5 or None for each in state.ever]:
                    yield Fault("lost", f"the last backup of {path} is not its history")

    def _saved(self) -> dict[str, list[str | None]]:
        manifest = self.round.home / "last-backup" / "backup.json"
        found: dict[str, list[str | None]] = {}
        for each in json.loads(manifest.read_text())["versions"] if manifest.exists() else []:
            found.setdefault(each["key"], []).append(each.get("md5"))
        return found

    def _of_results(self) -> Iterator[Fault]:
        unnamed = set()
        for attempt in self.round.attempts:
            message = str(attempt.result.get("msg", ""))
            if "exception" in attempt.result or "this is a bug" in message or "Traceback" in message:
                yield Fault("bug", f"{attempt.who}: {message[:400]}")
            elif attempt.is_failed and not attempt.is_cut_short:
                self.round.outcome.refusals[plain_words(message)] += 1
                about = message.replace("lock table", "table")
                is_about_others = ABOUT_OTHERS.search(about) and "AccessDenied" not in message
                names = (WHO, SINCE, *([PROCESS] if "another run is at work" in message else []))
                is_about_others = is_about_others and not NAMELESS.search(message)
                if is_about_others and not self.round.stops and not all(each.search(message) for each in names):
                    unnamed.add(f"{attempt.operation}: {message[:300]}")
        yield from (Fault("unnamed", each) for each in sorted(unnamed))
        for operator in self.round.operators:
            message = str(operator.attempts[-1].result.get("msg", "")) if operator.attempts else ""
            is_kept_out = re.search(r"holds the lock|is locked|at work", message) and MOVING not in message
            if not operator.is_done and is_kept_out:
                yield Fault("stuck", f"{operator.name}, alone: {message[:300]}")

    def _of_restores(self) -> Iterator[Fault]:
        """What was restored is whole."""
        if self.round.kind != "restore":
            return
        if not any(operator.is_done for operator in self.round.operators):
            message = self.round.operators[0].attempts[-1].result.get("msg")
            yield Fault("stuck", f"no restore came to an end: {message}")
        for path, state in self.replays[self.round.site].states.items():
            there = [None if each.is_marker else each.md5 for each in state.stack]
            wanted = list(state.wanted or ())
            if there[: len(wanted)] != wanted:
                known = [each.serial for each in state.stack]
                yield Fault("out of order", f"{path} has the serials {known}, and {len(wanted)} versions were to come")

    def _of_use(self) -> Iterator[Fault]:
        """Where a state lives now, a client can apply; where it moved away from, none can."""
        for site, replay in self.replays.items():
            if replay.is_gone:
                continue
            modes = {looping.client.mode for looping in self.round.clients if looping.client.site == site}
            for path, state in replay.states.items():
                moved = site == self.round.site and any(
                    self.round.states[other][path].top for other in self.round.sites[1:]
                )
                if state.top:
                    for mode in sorted(modes):
                        yield from self._used(site, path, mode, bool(moved), state)

    def _used(self, site: Site, path: str, mode: str, moved: bool, state: State) -> Iterator[Fault]:
        client = Client(f"client-last-{mode}", mode, site, self.round.emulator.url, self.round.journal, 0)
        outcome = client.apply(path)
        if moved and outcome == "applied":
            yield Fault("two holders", f"a client ({mode}) can still write {path} where it moved away from")
        elif not moved and outcome != "applied" and not (state.excused and state.excused == state.digest):
            yield Fault("stuck", f"a client ({mode}) in the end cannot apply {path}: {outcome}")


def plain_words(message: str) -> str:
    """A message without what differs from round to round."""
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|\b[0-9a-f]{16,}\b|\d+|(env:/\w+/)?(net|app)/\w\.tfstate", "*", message)[
        :220
    ]
