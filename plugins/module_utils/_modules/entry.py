# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every Ansible module has: argument specs from facets, results as JSON, errors as one sentence."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible.module_utils.common.parameters import remove_values
from ansible.module_utils.errors import AnsibleFallbackNotFound

from .._aws.client import BOTOCORE_MISSING, Aws, Connection
from .._aws.session import REQUESTED, profile_region
from .._core.model import (
    EXISTENCE,
    Change,
    Invalid,
    Params,
    Resource,
    Target,
    TfstateError,
    Values,
    WriteCallback,
    no_op,
)
from .._core.no_log import HIDDEN, censored_options, names_in, refusal, scrubbed
from .._core.printable import printable_result
from .._core.url_credentials import url_credentials
from .._engine.guard import ALLOW
from .._engine.permissions import with_permissions
from .._engine.reconcile import Interrupted, Outcome, reconcile, when_checking
from . import identifiers as _identifiers
from .arguments import ACCOUNTS, without_blanks


def not_blank_in_environment(*names: str) -> str:
    """The first of these variables that is set, and not to a blank."""
    for name in names:
        if os.environ.get(name, "").strip():
            return os.environ[name]
    raise AnsibleFallbackNotFound


CONNECTION_SPEC: dict[str, dict[str, Any]] = {
    "region": {"aliases": ["aws_region"], "fallback": (not_blank_in_environment, ["AWS_REGION", "AWS_DEFAULT_REGION"])},
    "profile": {"aliases": ["aws_profile"]},
    "access_key": {"aliases": ["aws_access_key_id", "aws_access_key"], "no_log": False},
    "secret_key": {"aliases": ["aws_secret_access_key", "aws_secret_key"], "no_log": True},
    "session_token": {"aliases": ["aws_session_token", "security_token"], "no_log": True},
    "assume_role_arn": {},
    "assume_role_external_id": {"no_log": True},
    "assume_role_session_name": {},
    "endpoint_url": {"aliases": ["aws_endpoint_url"]},
    "validate_certs": {"type": "bool", "default": True},
    "aws_ca_bundle": {"type": "path"},
    "aws_config": {"type": "dict"},
    "cache_credentials": {"type": "bool", "default": True},
    "debug_botocore_endpoint_logs": {
        "type": "bool",
        "default": False,
        "fallback": (not_blank_in_environment, ["ANSIBLE_DEBUG_BOTOCORE_LOGS"]),
    },
}


def with_connection(options: Mapping[str, Mapping[str, Any]], wait_timeout: int = 300) -> dict[str, dict[str, Any]]:
    """The argument spec of a module that calls AWS: its own options, the connection's, and `wait_timeout`."""
    own = {name: dict(option) for name, option in options.items()}
    return {**CONNECTION_SPEC, **own, "wait_timeout": {"type": "int", "default": wait_timeout}}


def argument_spec(resource: Resource) -> dict[str, dict[str, Any]]:
    """Every option of a module: the connection's, the resource's, and its facets'."""
    spec: dict[str, dict[str, Any]] = {
        "name": {"required": True},
        "account_id": {},
        "unmanaged": {
            "type": "list",
            "elements": "str",
            "choices": [facet.name for facet in resource.facets if facet.name != EXISTENCE],
        },
        "allow": {"type": "list", "elements": "str", "choices": list(ALLOW[resource.kind])},
        "confirm_name": {},
        "check_permissions": {"type": "bool", "default": False},
    }
    for facet in resource.facets:
        spec.update({name: dict(option) for name, option in facet.options.items()})
    return with_connection(spec)


@dataclass
class ModuleRun:
    """One run of a module: its options and modes, its clients, and what its result has if it fails."""

    params: Params
    check_mode: bool = False
    diff: bool = False
    #: Called for each write as it happens.
    on_write: WriteCallback = no_op
    #: What a failed result has besides `failed`; a module replaces it. Without it, nothing was changed.
    failure: Callable[[TfstateError], Mapping[str, Any]] = lambda _error: {}
    #: Their warnings are in the result, failed or not, unless the module returns its own.
    clients: list[Aws] = field(default_factory=list)

    def client(
        self, params: Params | None = None, timeout_s: float | None = None, on_write: WriteCallback | None = None
    ) -> Aws:
        """A client of AWS for these options, or for those of the task."""
        options = params or self.params
        timeout_s = options["wait_timeout"] if timeout_s is None else timeout_s
        # A WriteTracker that has seen no write is false.
        callback = self.on_write if on_write is None else on_write
        self.clients.append(Aws(connection_of(options), timeout_s, callback))
        return self.clients[-1]

    @property
    def warnings(self) -> list[str]:
        return [warning for aws in self.clients for warning in aws.warnings]


#: Returns the result of a task, or raises TfstateError.
Work = Callable[[ModuleRun], dict[str, Any]]


@dataclass(frozen=True)
class ModuleEntry:
    """What a module takes and does, for a subprocess and for an action plugin in the worker alike.

    The rules of the connection options, and what a failure returns, are the same for all modules.
    """

    spec: dict[str, dict[str, Any]]
    work: Work
    mutually_exclusive: tuple[tuple[str, ...], ...] = ()
    required_together: tuple[tuple[str, ...], ...] = ()
    #: Options that a blank must not switch off, and what would happen; those about accounts besides.
    never_blank: Mapping[str, str] = field(default_factory=dict)
    #: Dictionaries that hold options of another module, and those.
    inner: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    #: Whether the region may be that of the profile; not where something else than a profile says it.
    takes_profile_region: bool = True

    @property
    def rules(self) -> dict[str, tuple[tuple[str, ...], ...]]:
        """Which options exclude or require each other, as AnsibleModule takes it."""
        excluded, required = self.mutually_exclusive, self.required_together
        if self.needs_botocore:
            excluded = (("profile", "access_key"), *excluded)
            required = (("access_key", "secret_key"), *required)
        return {"mutually_exclusive": excluded, "required_together": required}

    @property
    def needs_botocore(self) -> bool:
        """Whether the spec has the connection options."""
        return CONNECTION_SPEC.keys() <= self.spec.keys()

    def without_blanks(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """What of a task's arguments is set, before they are validated. Raises Invalid."""
        inner = {name: {**self.spec[name], "options": options} for name, options in self.inner.items()}
        return without_blanks(
            {**self.spec, **inner},
            arguments,
            {**ACCOUNTS, **self.never_blank},
            self.rules["mutually_exclusive"],
        )

    def run(self, params: Params, check_mode: bool, diff: bool, on_write: WriteCallback = no_op) -> dict[str, Any]:
        """The result of a task, with the actions that AWS was asked for if they are wanted."""
        REQUESTED.clear()
        result = self._in_region(params, check_mode, diff, on_write)
        if params.get("debug_botocore_endpoint_logs"):
            result["resource_actions"] = sorted(REQUESTED)
        return result

    def _in_region(self, params: Params, check_mode: bool, diff: bool, on_write: WriteCallback) -> dict[str, Any]:
        """The result of a task. It raises nothing that a user would see; invalid identifiers are not sent to AWS."""
        if self.needs_botocore and self.takes_profile_region and not params.get("facts"):
            params, source = with_profile_region(params)
            if source:
                return _with_source(self._run(params, check_mode, diff, on_write), source, params["region"])
        return self._run(params, check_mode, diff, on_write)

    def _run(self, params: Params, check_mode: bool, diff: bool, on_write: WriteCallback) -> dict[str, Any]:
        wrong = "; ".join(self._identifier_problems(params))
        if wrong:
            return {"failed": True, "msg": wrong, "changed": False}
        run = ModuleRun(params, check_mode, diff, on_write)
        try:
            result = self.work(run)
        except TfstateError as error:
            result = {"failed": True, "msg": str(error), "changed": False, **run.failure(error)}
        return {"warnings": run.warnings, **result} if run.clients else result

    def _identifier_problems(self, params: Params) -> Iterator[str]:
        is_aws = speaks_to_aws(params)
        yield from _identifiers.problems(params, is_aws)
        for name in self.inner:
            yield from _identifiers.problems(params.get(name) or {}, is_aws)


def with_profile_region(params: Params) -> tuple[Params, str | None]:
    """The options with the region of the profile, if they have none, and the name of that profile.

    Explicit keys have no profile.
    """
    found = None if params.get("region") or params.get("access_key") else profile_region(params.get("profile"))
    return ({**params, "region": found[1]}, found[0]) if found else (params, None)


def _with_source(result: dict[str, Any], profile: str, region: str) -> dict[str, Any]:
    """The result, which says where the region came from."""
    if result.get("failed"):
        result = {**result, "msg": f"{result['msg']}; the region {region} is that of profile {profile}"}
    return {**result, "region_source": f"profile {profile}"}


def speaks_to_aws(params: Params) -> bool:
    """Whether no other store is named, whose identifiers may have other forms."""
    named = params.get("endpoint_url") or params.get("source_endpoint_url")
    return not named and not any(name.startswith("AWS_ENDPOINT_URL") and os.environ[name] for name in os.environ)


def resource_module(resource: Resource) -> ModuleEntry:
    return ModuleEntry(argument_spec(resource), partial(converge, resource))


class _Module(AnsibleModule):  # type: ignore[misc]
    """A module to which blank options are not set. AnsibleModule validates in its constructor.

    It hides credentials inside URLs as it hides secret options, from its first message on.
    """

    params: dict[str, Any]
    argument_spec: dict[str, Any]

    def __init__(self, entry: ModuleEntry) -> None:
        self._entry = entry
        self.problem: Invalid | None = None
        super().__init__(argument_spec=entry.spec, supports_check_mode=True, **entry.rules)

    def _load_params(self) -> None:
        super()._load_params()
        try:
            self.params = self._entry.without_blanks(self.params)
        except Invalid as problem:
            # Nothing is ready to fail yet, nor to hide secrets: until then there are neither arguments nor rules.
            self.problem = problem
            self.params = {name: self.params[name] for name in self.params if name.startswith("_ansible_")}
            self.argument_spec, self.mutually_exclusive, self.required_together = {}, None, None

    def exit_json(self, **result: Any) -> None:
        self._hide_credentials()
        super().exit_json(**result)

    def fail_json(self, msg: str, **result: Any) -> None:
        self._hide_credentials()
        super().fail_json(msg=msg, **result)

    def log(self, msg: str, log_args: Any = None) -> None:
        self._hide_credentials()
        super().log(remove_values(msg, self.no_log_values), remove_values(log_args, self.no_log_values))

    def _hide_credentials(self) -> None:
        known: set[str] = getattr(self, "no_log_values", set())
        self.no_log_values = {*known, *url_credentials(getattr(self, "params", {}))}


def run_module(entry: ModuleEntry) -> None:
    """The whole of a module: `main` calls this and nothing else."""
    module = _Module(entry)
    if module.problem:
        module.fail_json(msg=str(module.problem))
    if entry.needs_botocore and BOTOCORE_MISSING:
        module.fail_json(msg=missing_required_lib("botocore"))
    result = result_of(entry, module.params, module.check_mode, module._diff)
    result = shown(entry, module.params, result, module.no_log_values)
    # Ansible would replace these once more, in names, too.
    names = names_in(module.params)
    module.no_log_values = {each for each in module.no_log_values if not any(each in name for name in names)}
    result = printable_result(result)
    for warning in result.pop("warnings", ()):
        module.warn(warning)
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(**result)


def result_of(
    entry: ModuleEntry, params: Params, check_mode: bool, diff: bool, on_write: WriteCallback = no_op
) -> dict[str, Any]:
    """The result of a module's core, with secrets. No censored name reaches the core."""
    censored = censored_options(params)
    if censored:
        return {"failed": True, "msg": refusal(censored), "changed": False}
    return entry.run(params, check_mode, diff, on_write)


def shown(entry: ModuleEntry, params: Params, result: Mapping[str, Any], secrets: Iterable[str]) -> dict[str, Any]:
    """A result as everybody may see it, with the options that led to it."""
    secrets = frozenset({*secrets, *url_credentials(params)})
    names, hidden = names_in(params), hidden_options(entry.spec)
    safe: dict[str, Any] = scrubbed(result, secrets, names)
    options = {option: HIDDEN if value and option in hidden else value for option, value in params.items()}
    return {**safe, "invocation": {"module_args": scrubbed(options, secrets, names)}}


def hidden_options(spec: Mapping[str, Mapping[str, Any]]) -> frozenset[str]:
    """The options whose values are secrets, by all their names."""
    secret = {option: spec[option].get("aliases", ()) for option in spec if spec[option].get("no_log")}
    return frozenset({*secret, *(alias for aliases in secret.values() for alias in aliases)})


def converge(
    resource: Resource,
    run: ModuleRun,
    then: Callable[[Aws, Outcome], Outcome] = lambda _aws, outcome: outcome,
    check: Callable[[Aws, Target, Values], None] | None = None,
) -> dict[str, Any]:
    """Brings a bucket or a table to the options of the task. `check`: see `reconcile`; `then`: what follows."""
    run.failure = partial(_failure, run)
    target = target_of(run.params)
    aws = run.client()
    outcome = then(aws, reconcile(aws, resource, target, run.params, run.check_mode, check and partial(check, aws)))
    if run.params.get("check_permissions") and run.params["state"] != "absent":
        aws.renew()
        outcome = when_checking(run.check_mode, outcome, partial(with_permissions, aws, resource, outcome))
    account = outcome.target.account or (aws.owner() if resource.kind == "bucket" else None)
    return {**_result(resource, outcome, account, run.diff), "credentials": _credentials(run)}


def _failure(run: ModuleRun, error: TfstateError) -> dict[str, Any]:
    changed = error.has_written if isinstance(error, Interrupted) else False
    return {"changed": changed, "changes": _changes(done_before(error)), "credentials": _credentials(run)}


def done_before(error: TfstateError) -> tuple[Change, ...]:
    """What was changed before a failure."""
    return error.done if isinstance(error, Interrupted) else ()


def _credentials(run: ModuleRun) -> str | None:
    return run.clients[0].credentials() if run.clients else None


def target_of(params: Params, name: str = "name") -> Target:
    """What the option `name` names. Raises Invalid."""
    account = params.get("account_id")
    if not params.get("region"):
        raise Invalid("region is not set: set region, or AWS_REGION in your shell, or name a profile that has one")
    if account is not None and not _identifiers.ACCOUNT.fits(account, is_aws=True):
        raise Invalid(_identifiers.ACCOUNT.refusal("account_id", account))
    return Target(params[name], params["region"], owner=account)


def connection_of(params: Params) -> Connection:
    options: dict[str, Any] = {field.name: params.get(field.name) for field in fields(Connection)}
    return Connection(**options)


def _result(resource: Resource, outcome: Outcome, account: str | None, diff: bool) -> dict[str, Any]:
    target = outcome.target
    facets = {name: value for name, value in outcome.after.items() if name != EXISTENCE}
    about = {"name": target.name, "arn": target.arn, "region": target.region, "account_id": account}
    result: dict[str, Any] = {
        "changed": bool(outcome.changes),
        "changes": _changes(outcome.changes),
        "warnings": list(outcome.warnings),
        resource.kind: {**about, "exists": outcome.exists, **(facets if outcome.exists else {})},
    }
    if diff:
        result["diff"] = _diff(target, outcome.changes)
    return result


def _changes(changes: tuple[Change, ...]) -> list[Values]:
    return [
        {
            "facet": change.facet,
            "before": change.before,
            "after": change.after,
            "calls": [call.operation for call in change.calls],
        }
        for change in changes
    ]


def _diff(target: Target, changes: tuple[Change, ...]) -> Mapping[str, Any]:
    return {
        "before_header": target.arn or target.name,
        "after_header": target.arn or target.name,
        "before": {change.facet: change.before for change in changes},
        "after": {change.facet: change.after for change in changes},
    }
