# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a backend is compared with, and the commands that fix it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from .._core.commands import NO_COMMAND, Word, command, in_note, is_harmless, percent_encoded
from .._core.model import Change, Params, Refusal, Resource, Target, Values
from .._core.playbooks import variables_of
from .._core.regions import partition_of
from .._terraform.protocol import WORKSPACE_KEY_PREFIX

Facts = Mapping[str, Any]

#: Printed instead of a playbook where a command could reach another backend.
NO_HOST = "# No command is printed: set name to the inventory host of the backend, and audit again"
#: Printed instead of a command of the AWS CLI.
NO_ACCOUNT = "# No command is printed: the account of the backend is not known. Declare account_id, and audit again"

#: Before a lock is released. Its client would go on writing without it.
ASK = "Ask first: is the holder still at work?"


def play(
    host: str, inventory: Sequence[str] | None, playbook: str, *more: str, note: str = "", **variables: Any
) -> str:
    """The command for a playbook of the collection, limited to one host.

    `inventory`: the sources that have the host; None if the backend is no host of an inventory. `variables`: options of
    the module behind the playbook, or variables of the role.
    """
    if inventory is None:
        return NO_HOST
    sources = [word for source in inventory for word in ("-i", source)]
    names = variables_of(playbook)
    given = {names.get(name, name): value for name, value in variables.items()}
    extra: list[Word] = ["-e", given] if given else []
    return command(
        "ansible-playbook", f"cornerstone.tfstate.{playbook}", *sources, "-l", host, *more, *extra, note=note
    )


class Guard(Protocol):
    """What is refused of changes, as the engine knows it."""

    def __call__(
        self,
        resource: Resource,
        target: Target,
        changes: Iterable[Change],
        observed: Values,
        params: Params,
        is_creation: bool = False,
        instead: Iterable[Change] = (),
    ) -> list[Refusal]: ...


def no_guard(*_unused: Any, **_more: Any) -> list[Refusal]:
    """Refuses nothing."""
    return []


@dataclass(frozen=True)
class Expectations:
    """What the backend is compared with."""

    #: Its name in the inventory.
    name: str
    #: Options of tf_state_bucket and tf_lock_table; none at all is the baseline.
    bucket: Params = field(default_factory=dict)
    table: Params = field(default_factory=dict)
    stale_lock_s: float = 4 * 3600
    #: How clients have to lock: dynamodb, lockfile or both.
    lock_mode: str = "both"
    #: The account that must own it, if one was declared.
    account_id: str | None = None
    #: The sources of its inventory; None if the backend is no host of an inventory.
    inventory: tuple[str, ...] | None = ()
    #: Whether a backup was found, which is looked for if its bucket does not exist; None if it could not be read.
    has_backup: bool | None = False
    #: Whether code names its bucket.
    is_in_code: bool = False
    #: Where the states of other workspaces are.
    workspace_key_prefix: str = WORKSPACE_KEY_PREFIX
    #: The connection options by which it was reached.
    connection: Params = field(default_factory=dict)
    #: What a run would refuse.
    guard: Guard = no_guard

    def play(self, playbook: str, *more: str, note: str = "", **variables: Any) -> str:
        """The command for a playbook, limited to this backend."""
        return play(self.name, self.inventory, playbook, *more, note=note, **variables)

    def release(self, path: str, **which: str) -> str:
        return self.play_on("unlock", path, note=ASK, **which)

    def show_lock(self, path: str) -> str:
        """Releases nothing."""
        return self.play_on(
            "unlock",
            path,
            note=f"this shows the lock, and the terraform_backend_unlock_lock_id that releases it. {ASK}",
        )

    def play_on(self, playbook: str, path: str, *more: str, note: str = "", **variables: Any) -> str:
        """The command for a playbook about one state."""
        return self.play(playbook, *more, note=note, **_key(path), **variables)

    def aws(
        self,
        facts: Facts,
        service: str,
        operation: str,
        *more: Word,
        note: str = "",
        into: str = "",
        then: Sequence[Word] = (),
    ) -> str:
        """A command of the AWS CLI that runs only if its credentials are of the account of the backend.

        `then`: another command, which runs if this one has succeeded.
        """
        account = self.account_id or facts.get("account_id")
        if not account and not self.connection.get("endpoint_url"):
            return NO_ACCOUNT
        options, note = self.aws_options(facts), " ".join(filter(None, (self._credentials(), note)))
        line = command("aws", service, operation, *options, *more, note="" if then else note, into=into)
        if then:
            second = command(*then, note=note)
            line = NO_COMMAND if NO_COMMAND in (line, second) else f"{line} && {second}"
        query = ("--query", "Account", "--output", "text")
        parts = [command("aws", "sts", "get-caller-identity", *options, *query), command("grep", "-x", str(account))]
        if NO_COMMAND in (line, *parts):
            return NO_COMMAND
        return f"{' | '.join(parts)} && {line}" if account else line

    def aws_options(self, facts: Facts) -> tuple[str, ...]:
        """The options of the AWS CLI that reach the backend as the audit did."""
        known = {"region": facts["region"], **{name: self.connection.get(name) for name in ("profile", "endpoint_url")}}
        return tuple(word for name, value in known.items() if value for word in (AWS_OPTIONS[name], str(value)))

    def who_am_i(self, facts: Facts, note: str) -> str:
        """Shows the identity that the audit had."""
        note = " ".join(filter(None, (self._credentials(), note)))
        return command("aws", "sts", "get-caller-identity", *self.aws_options(facts), note=note)

    def _credentials(self) -> str:
        """What the options of the AWS CLI cannot name."""
        if role := self.connection.get("assume_role_arn"):
            return f"Before, assume the role {in_note(role)}."
        return "Before, export the access key of the inventory." if self.connection.get("access_key") else ""


def target_of(name: str, facts: Facts, wanted: Expectations) -> Target:
    """A bucket or table, with its owner as far as it is known."""
    partition = partition_of(facts["region"]).name
    return Target(
        name, facts["region"], partition=partition, account_id=facts.get("account_id"), owner=wanted.account_id
    )


#: By connection option.
AWS_OPTIONS = {"region": "--region", "profile": "--profile", "endpoint_url": "--endpoint-url"}
#: Of commands in notes.
OPTIONS = {"--bucket", "--key", "--copy-source", "--storage-class", *AWS_OPTIONS.values()}


def words_in_note(words: Sequence[str]) -> str:
    """A command as part of a note."""
    return " ".join(word if word in OPTIONS else in_note(word) for word in words)


def _key(path: str) -> dict[str, Any]:
    """A key as options, in a form that is safe in a command."""
    return {"key": path} if is_harmless(path) else {"key": percent_encoded(path), "key_is_url_encoded": True}


def requested_keys(resource: Resource, params: Params) -> set[str]:
    """The requested KMS keys, by the names in the options."""
    managed = [facet for facet in resource.facets if facet.is_managed(params)]
    return {name for facet in managed for name in facet.requested_keys(params)}
