# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every Ansible module has: argument specs from facets, results as JSON, errors as one sentence."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, Protocol

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible.module_utils.common.parameters import remove_values
from ansible.module_utils.errors import AnsibleFallbackNotFound

from .._aws.client import BOTOCORE_MISSING, Aws, Connection
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
from .._engine.reconcile import Interrupted, Outcome, reconcile
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
}


def argument_spec(resource: Resource) -> dict[str, dict[str, Any]]:
    """Every option of a module: the connection's, the resource's, and its facets'."""
    spec: dict[str, dict[str, Any]] = {
        **CONNECTION_SPEC,
        "name": {"required": True},
        "account_id": {},
        "unmanaged": {
            "type": "list",
            "elements": "str",
            "choices": [facet.name for facet in resource.facets if facet.name != EXISTENCE],
        },
        "allow": {"type": "list", "elements": "str", "choices": list(ALLOW[resource.kind])},
        "confirm_name": {},
        "wait_timeout": {"type": "int", "default": 300},
    }
    for facet in resource.facets:
        spec.update({name: dict(option) for name, option in facet.options.items()})
    return spec


class Work(Protocol):
    """Params, check mode and diff mode in, the result of a task out; `wrote` is told of each write as it happens."""

    def __call__(
        self, params: Params, check_mode: bool, diff: bool, on_write: WriteCallback = ...
    ) -> dict[str, Any]: ...


@dataclass(frozen=True)
class ModuleEntry:
    """What a module takes and does, for a subprocess and for an action plugin in the worker alike."""

    spec: dict[str, dict[str, Any]]
    #: Raises nothing that a user would see.
    work: Work
    mutually_exclusive: tuple[tuple[str, ...], ...] = ()
    required_together: tuple[tuple[str, ...], ...] = ()
    needs_botocore: bool = False
    #: Options that a blank must not switch off, and what would happen; those about accounts besides.
    never_blank: Mapping[str, str] = field(default_factory=dict)
    #: Dictionaries that hold options of another module, and those.
    inner: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def without_blanks(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """What of a task's arguments is set, before they are validated. Raises Invalid."""
        inner = {name: {**self.spec[name], "options": options} for name, options in self.inner.items()}
        return without_blanks(
            {**self.spec, **inner}, arguments, {**ACCOUNTS, **self.never_blank}, self.mutually_exclusive
        )

    def run(self, params: Params, check_mode: bool, diff: bool, on_write: WriteCallback = no_op) -> dict[str, Any]:
        """The work, unless an identifier cannot be one: AWS is not asked then."""
        wrong = "; ".join(self._identifier_problems(params))
        if wrong:
            return {"failed": True, "msg": wrong, "changed": False}
        return self.work(params, check_mode, diff, on_write)

    def _identifier_problems(self, params: Params) -> Iterator[str]:
        is_aws = speaks_to_aws(params)
        yield from _identifiers.problems(params, is_aws)
        for name in self.inner:
            yield from _identifiers.problems(params.get(name) or {}, is_aws)


def speaks_to_aws(params: Params) -> bool:
    """Whether no other store is named, whose identifiers may have other forms."""
    named = params.get("endpoint_url") or params.get("source_endpoint_url")
    return not named and not any(name.startswith("AWS_ENDPOINT_URL") and os.environ[name] for name in os.environ)


def resource_module(resource: Resource) -> ModuleEntry:
    return ModuleEntry(
        argument_spec(resource),
        partial(carry_out, resource),
        mutually_exclusive=(("profile", "access_key"),),
        required_together=(("access_key", "secret_key"),),
        needs_botocore=True,
    )


class _Module(AnsibleModule):  # type: ignore[misc]
    """A module to which blank options are not set. AnsibleModule validates in its constructor.

    It hides credentials inside URLs as it hides secret options, from its first message on.
    """

    params: dict[str, Any]
    argument_spec: dict[str, Any]

    def __init__(self, entry: ModuleEntry) -> None:
        self._entry = entry
        self.problem: Invalid | None = None
        super().__init__(
            argument_spec=entry.spec,
            mutually_exclusive=entry.mutually_exclusive,
            required_together=entry.required_together,
            supports_check_mode=True,
        )

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


def carry_out(
    resource: Resource, params: Params, check_mode: bool, diff: bool, on_write: WriteCallback = no_op
) -> dict[str, Any]:
    """Params in, the result of a task out, in-process and in a subprocess."""
    aws: Aws | None = None
    try:
        target = target_of(params)
        aws = Aws(connection_of(params), params["wait_timeout"], on_write)
        outcome = reconcile(aws, resource, target, params, check_mode)
        account = outcome.target.account or (aws.owner() if resource.kind == "bucket" else None)
        result = _result(resource, outcome, account, diff)
    except Interrupted as error:
        result = {"failed": True, "msg": str(error), "changed": error.has_written, "changes": _told(error.done)}
    except TfstateError as error:
        result = {"failed": True, "msg": str(error), "changed": False, "changes": []}
    return {**result, "credentials": aws.credentials() if aws else None}


def target_of(params: Params, name: str = "name") -> Target:
    """What the option `name` names. Raises Invalid."""
    account = params.get("account_id")
    if not params.get("region"):
        raise Invalid("region is not set: set region, or AWS_REGION in your shell")
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
        "changes": _told(outcome.changes),
        "warnings": list(outcome.warnings),
        resource.kind: {**about, "exists": outcome.exists, **(facets if outcome.exists else {})},
    }
    if diff:
        result["diff"] = _diff(target, outcome.changes)
    return result


def _told(changes: tuple[Change, ...]) -> list[Values]:
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
