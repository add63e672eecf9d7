# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a backend is compared with, and the commands that fix it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .._core.commands import Word, command, is_harmless, percent_encoded
from .._core.model import Params, Resource

Facts = Mapping[str, Any]


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

    def play(self, playbook: str, *more: str, note: str = "", **variables: Any) -> str:
        """The command for a playbook, limited to this backend."""
        extra: list[Word] = ["-e", variables] if variables else []
        return command("ansible-playbook", f"cornerstone.tfstate.{playbook}", "-l", self.name, *more, *extra, note=note)

    def release(self, path: str, **which: str) -> str:
        return self.play("unlock", **_key(path), **which)

    def operate(self, module: str, facts: Facts, note: str = "", **options: Any) -> str:
        """An ad-hoc command: it needs no inventory."""
        table = {"table": facts["table"]["name"]} if facts.get("table") else {}
        owner = {"account_id": self.account_id} if self.account_id else {}
        if "key" in options:
            options = {**_key(options.pop("key")), **options}
        options = {"region": facts["region"], "bucket": facts["bucket"]["name"], **table, **owner, **options}
        return command("ansible", "localhost", "-m", f"cornerstone.tfstate.{module}", "-a", options, note=note)


def _key(path: str) -> dict[str, Any]:
    """A key as options, in a form that is safe in a command."""
    return {"key": path} if is_harmless(path) else {"key": percent_encoded(path), "key_is_url_encoded": True}


def requested_keys(resource: Resource, params: Params) -> set[str]:
    """The requested KMS keys, by the names in the options."""
    managed = [facet for facet in resource.facets if facet.is_managed(params)]
    return {name for facet in managed for name in facet.requested_keys(params)}
