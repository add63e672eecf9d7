# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The task of the playbook orphans: backends that no host of the inventory names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.client import BOTOCORE_MISSING, Aws
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import (
    Answer,
    Call,
    Invalid,
    Params,
    TfstateError,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.printable import printable, printable_result
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import CONNECTION_SPEC, connection_of
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions import role_variables
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._actions.module_defaults import ModuleDefaults
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._fleet.files import inventory_problem
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._fleet.orphans import (
    Backend,
    Found,
    orphans_of,
    text_of,
)
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._report.terminal import show

PREFIX = role_variables.PREFIX
NAMES = ("region", "bucket_name", "table_name", "account_id", "lock_mode")
ACCOUNTS_AT_ONCE = 8
TIMEOUT_S = 60.0


@dataclass
class Entry:
    """Hosts of one account, and how to enter it, or why that is not known."""

    reached: list[Backend]
    params: Params
    problem: str = ""


class ActionModule(ActionBase):  # type: ignore[misc]
    """Runs once for all hosts."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        known = task_vars or {}
        try:
            return {**result, **printable_result(self._look(known))}
        except TfstateError as error:
            return {**result, "failed": True, "msg": printable(error)}

    def _look(self, known: Mapping[str, Any]) -> dict[str, Any]:
        if self._task.args:
            raise Invalid(f"Unsupported parameters: {', '.join(sorted(map(str, self._task.args)))}. It takes none")
        if problem := inventory_problem(known):
            raise Invalid(problem)
        if BOTOCORE_MISSING:
            raise Invalid("botocore is missing: install it on the controller")
        hostvars = known["hostvars"]
        backends = [self._backend(host, hostvars[host]) for host in known["groups"]["all"]]
        named = {each.host: each for each in backends if each}
        entries = self._entries([named[host] for host in known["ansible_play_hosts_all"] if host in named], hostvars)
        with ThreadPoolExecutor(ACCOUNTS_AT_ONCE) as pool:
            found = list(pool.map(partial(_found, list(named.values())), entries))
        return _result(found, [each.reached for each in entries])

    def _backend(self, host: str, facts: Mapping[str, Any]) -> Backend | None:
        """What a host names; None if it is no backend, which has a bucket."""
        try:
            given = {name: self._templar.template(facts[PREFIX + name]) for name in NAMES if PREFIX + name in facts}
        except AnsibleError as error:
            raise Invalid(f"cannot evaluate a variable of {host}: {error}") from error
        if not given.get("bucket_name"):
            return None
        has_table = given.get("table_name") and given.get("lock_mode") != "lockfile"
        return Backend(
            host,
            str(given["region"]) if given.get("region") else None,
            str(given["bucket_name"]),
            str(given["table_name"]) if has_table else None,
            str(given["account_id"]) if given.get("account_id") else None,
        )

    def _entries(self, backends: Sequence[Backend], hostvars: Mapping[str, Any]) -> list[Entry]:
        """Hosts that are of one account, or enter it in the same way, with the connection of the first of them."""
        entries: dict[str, Entry] = {}
        for each in backends:
            if each.account in entries:
                entries[str(each.account)].reached.append(each)
                continue
            entry = self._entry(each, hostvars[each.host])
            way = each.account or repr(sorted((name, str(entry.params[name])) for name in {*entry.params} - {"region"}))
            entries.setdefault(way if entry.params else each.host, entry)
        return list(entries.values())

    def _entry(self, backend: Backend, facts: Mapping[str, Any]) -> Entry:
        try:
            defaults = ModuleDefaults(self._task, self._templar, facts.get("omit"))
            values = role_variables.read_variables(facts, self._templar)
            values = role_variables.typed(role_variables.with_defaults(values, defaults))
            arguments = role_variables.arguments("bucket", role_variables.with_region(values)[0])
        except Invalid as problem:
            return Entry([backend], {}, str(problem))
        connection = {name: value for name, value in arguments.items() if name in CONNECTION_SPEC}
        params: Params = ArgumentSpecValidator(CONNECTION_SPEC).validate(connection).validated_parameters
        return Entry([replace(backend, region=params["region"])], params)


def _found(backends: Sequence[Backend], entry: Entry) -> Found:
    if entry.problem:
        return Found(unknown=[entry.problem])
    clients: dict[str, Aws] = {}

    def read(region: str, calls: Sequence[Call]) -> Sequence[Answer]:
        if region not in clients:
            clients[region] = Aws(connection_of({**entry.params, "region": region}), TIMEOUT_S)
        clients[region].renew()
        return clients[region].read(calls)

    return orphans_of(backends, entry.reached, read)


def _result(found: Sequence[Found], reached: Sequence[Sequence[Backend]]) -> dict[str, Any]:
    orphans = {
        (each.kind, each.name, each.region, each.account_id): each.to_result()
        for account in found
        for each in account.orphans
    }
    unknown = list(_unknown(found, reached))
    looked = sorted({each.account_id for each in found if each.account_id})
    ordered = sorted(orphans.values(), key=lambda each: (each["account_id"], each["kind"], each["name"]))
    show(text_of(ordered, unknown, len(found)))
    return {"changed": False, "orphans": ordered, "unknown": unknown, "accounts": looked}


def _unknown(found: Sequence[Found], reached: Sequence[Sequence[Backend]]) -> Iterator[dict[str, str]]:
    for account, hosts in zip(found, reached, strict=True):
        for reason in account.unknown:
            yield {"account": account.account_id or hosts[0].account or hosts[0].host, "reason": printable(reason)}
