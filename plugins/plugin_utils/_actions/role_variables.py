# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The role's variables: which option of which module each one is, and what of them cannot work together.

A variable is mechanically terraform_backend_bucket_<option> or terraform_backend_table_<option>; connection options and
what belongs to the whole backend are terraform_backend_<option>, once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.validation import check_type_bool
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import Invalid
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.no_log import is_censored, names_in, refusal
from ansible_collections.cornerstone.tfstate.plugins.module_utils._lock_mode.mode_check import CHANGE_LOCK_MODE
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules import identifiers as _identifiers
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.arguments import (
    ACCOUNTS,
    is_blank,
    without_blanks,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.backend_files import backend_of
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.config_options import CONFIG_OPTIONS
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import (
    CONNECTION_SPEC,
    speaks_to_aws,
    with_profile_region,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import TABLE
from ansible_collections.cornerstone.tfstate.plugins.module_utils._terraform.backend_config import problems
from ansible_collections.cornerstone.tfstate.plugins.modules import tf_backend_config, tf_lock_table, tf_state_bucket

from . import variable_names
from .module_defaults import ModuleDefaults, over

PREFIX = variable_names.PREFIX
MODULES = {"bucket": "tf_state_bucket", "table": "tf_lock_table", "config": "tf_backend_config"}
ENTRIES = {
    "bucket": tf_state_bucket.MODULE,
    "table": tf_lock_table.MODULE,
    "config": tf_backend_config.MODULE,
}

#: The first two bootstrap nothing; the others are those of the whole backend.
LEFT_OUT = {"state", "confirm_name", "lock_mode", "table", "key"}
#: How to reach AWS, and what is said of the whole backend.
SHARED = (*CONNECTION_SPEC, "account_id", "wait_timeout")
#: Options of bucket and table alone that are set once, too.
OF_BOTH = ("check_permissions",)
#: The options of tf_backend_config that are no result of the bucket or the table, and what follows the prefix.
CONFIG = {
    "directory": "config_directory",
    "name": "name",
    "key": "state_key",
    "workspace_key_prefix": "workspace_key_prefix",
    "lock_mode": "lock_mode",
    "client": "client",
    "client_version": "client_version",
    "client_profile": "client_profile",
    "client_assume_role_arn": "client_assume_role_arn",
    "client_assume_role_external_id": "client_assume_role_external_id",
    "client_assume_role_session_name": "client_assume_role_session_name",
    "allow": "config_allow",
}


def variables(kind: str) -> dict[str, str]:
    """The options of a module that the role sets by a variable, and that variable."""
    if kind == "config":
        return {option: PREFIX + name for option, name in CONFIG.items()}
    own = {name: f"{PREFIX}{kind}_{name}" for name in ENTRIES[kind].spec if name not in LEFT_OUT}
    return {**own, **{name: PREFIX + name for name in (*SHARED, *OF_BOTH)}}


def _of_the_role() -> Iterator[tuple[str, dict[str, Any]]]:
    """The modules' own validation looks after defaults, after what is required, and after other names of an option."""
    for kind, entry in ENTRIES.items():
        for option, name in variables(kind).items():
            kept = ("type", "elements", "choices", "no_log", "fallback")
            yield name, {key: value for key, value in entry.spec[option].items() if key in kept}


ROLE_SPEC = dict(_of_the_role())
#: The role's variables, and other names of the option that each one sets.
NAMES = {
    name: entry.spec[option].get("aliases", ())
    for kind, entry in ENTRIES.items()
    for option, name in variables(kind).items()
}

NEVER_BLANK = {f"{PREFIX}{name}": why for name, why in ACCOUNTS.items()}

NEEDED = {
    "bucket_name": "name the state bucket",
    "region": "name the region, or set AWS_REGION, or name a profile that has one",
    "table_name": "name the lock table, or lock by files alone with terraform_backend_lock_mode: lockfile",
}


def read_variables(known: Mapping[str, Any], templar: Any) -> dict[str, Any]:
    """The role's variables, as inventory and play give them. Raises Invalid on one that does not exist."""
    unknown = list(variable_names.unknown_variables(known, NAMES))
    if unknown:
        raise Invalid(variable_names.unknown_message(unknown))
    values: dict[str, Any] = {}
    for name in ROLE_SPEC:
        if name not in known:
            continue
        try:
            value = templar.template({name: known[name]}).get(name)
        except AnsibleError as error:
            raise Invalid(f"cannot evaluate {name}: {error}") from error
        if value is not None and value != known.get("omit"):
            values[name] = value
    name, directory = f"{PREFIX}name", f"{PREFIX}config_directory"
    if name in known and is_blank(values.get(name)):  # a blank hides the role's default
        values[name] = known["inventory_hostname"]
    if directory in known and is_blank(values.get(directory)):
        values[directory] = f"backends/{values.get(name, known['inventory_hostname'])}"
    kept = without_blanks(ROLE_SPEC, values, {})
    # What must not be blank is refused once it is known that no default stands in for it.
    return {**kept, **{name: values[name] for name in NEVER_BLANK if name in values and name not in kept}}


def with_role_defaults(given: Mapping[str, Any], host: str) -> dict[str, Any]:
    """The role's variables with those defaults of the role that no module has, for its task without the role."""
    name = given.get(f"{PREFIX}name", host)
    return {f"{PREFIX}name": name, f"{PREFIX}config_directory": f"backends/{name}", **given}


#: The role's task, whose options are those of the whole backend.
TASK = "tf_backend"
#: The option that only says what would be refused.
PREFLIGHT = "preflight"
TASK_SPEC: dict[str, dict[str, Any]] = {
    **{name: ENTRIES["bucket"].spec[name] for name in (*SHARED, *OF_BOTH)},
    PREFLIGHT: {"type": "bool", "default": False},
}


def of_task(defaults: ModuleDefaults, module: str, spec: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The options that a task gives itself about the whole backend, as variables of the role."""
    explicit = defaults.explicit(module, spec)
    return {PREFIX + name: explicit[name] for name in (*SHARED, *OF_BOTH) if explicit.get(name) is not None}


def with_defaults(
    given: Mapping[str, Any],
    defaults: ModuleDefaults,
    module: str = TASK,
    spec: Mapping[str, Mapping[str, Any]] = TASK_SPEC,
) -> dict[str, Any]:
    """The role's variables over `module_defaults`: of the modules that the role executes, and of the task's own module.

    From weak to strong: the groups, tf_backend, each executed module, the task's module, the role's variables.
    """
    layers = {kind: _layers(kind, defaults, module, spec) for kind in ENTRIES}
    if not has_table(given):
        del layers["table"]
    values = {kind: over(layer, given, PREFIX) for kind, layer in layers.items()}
    _check_same_backend(values)
    merged: dict[str, Any] = {}
    for each in values.values():
        merged = {**each, **merged}
    return merged


def check_options(options: Iterable[str], defaults: ModuleDefaults) -> None:
    """Raises Invalid on an option that tf_backend does not have. A group may have more that its modules take."""
    of_groups = defaults.of_groups(TASK, TASK_SPEC)
    taken = {option for entry in ENTRIES.values() for option in entry.spec}
    unknown = [
        option for option in options if option not in TASK_SPEC and not (option in of_groups and option in taken)
    ]
    if unknown:
        raise Invalid(f"Unsupported parameters for (cornerstone.tfstate.{TASK}) module: {', '.join(sorted(unknown))}")


def check_preflight(arguments: Mapping[str, Any]) -> None:
    """Raises Invalid where it is not certain whether anything may be written."""
    if PREFLIGHT not in arguments:
        return
    value = arguments[PREFLIGHT]
    if is_blank(value):
        raise Invalid(f"{PREFLIGHT} is blank, and the run would write: give it a value, or leave it out (omit)")
    try:
        check_type_bool(value)
    except TypeError as error:
        raise Invalid(f"{PREFLIGHT} must be true or false: {error}") from error


def _layers(kind: str, defaults: ModuleDefaults, module: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    executed, entry = MODULES[kind], ENTRIES[kind]
    alone = defaults.of_module(executed, entry.spec)
    unknown = sorted({*alone} - {*entry.spec})
    if unknown:
        raise Invalid(f"module_defaults of {executed}: it has no option {', '.join(unknown)}")
    named = variables(kind)
    about_all = [
        defaults.of_groups(executed, entry.spec),
        defaults.of_groups(module, spec),
        defaults.of_module(TASK, TASK_SPEC),
    ]
    own = defaults.of_module(module, spec) if module != TASK else {}
    merged: dict[str, Any] = {}
    for layer in (*about_all, alone, {name: own[name] for name in SHARED if name in own}):
        merged = over(merged, layer)
    return {variable: merged[option] for option, variable in named.items() if option in merged}


def _check_same_backend(values: Mapping[str, Mapping[str, Any]]) -> None:
    """A bucket in one account and its lock table in another make no backend."""
    bucket, table = values["bucket"], values.get("table", values["bucket"])
    for name in SHARED:
        variable = PREFIX + name
        if name != "wait_timeout" and bucket.get(variable) != table.get(variable):
            raise Invalid(
                f"module_defaults give {MODULES['bucket']} and {MODULES['table']} different values of {name}: a bucket "
                f"and its lock table belong to one account and region. Set {variable}, or one value for both"
            )


def typed(given: Mapping[str, Any]) -> dict[str, Any]:
    """The role's variables that were given, in their types; Invalid where one is wrong or missing."""
    validated = ArgumentSpecValidator(ROLE_SPEC).validate(without_blanks(ROLE_SPEC, given, NEVER_BLANK))
    if validated.error_messages:
        raise Invalid("; ".join(dict.fromkeys(validated.error_messages)))
    values = {name: value for name, value in validated.validated_parameters.items() if value is not None}
    wrong = [*dict.fromkeys(_identifier_problems(values))]
    if wrong:
        raise Invalid("; ".join(wrong))
    needed = [name for name in NEEDED if name != "table_name" or has_table(values)]
    if not values.get(f"{PREFIX}region") and with_region(values)[1]:
        needed.remove("region")
    missing = [f"{PREFIX}{name} is not set: {NEEDED[name]}" for name in needed if not values.get(PREFIX + name)]
    if missing:
        raise Invalid("; ".join(missing))
    return values


def _identifier_problems(values: Mapping[str, Any]) -> Iterator[str]:
    """Of all modules, before the first one writes."""
    for kind in ENTRIES:
        options, names = arguments(kind, values), variables(kind)
        if kind != "config":  # whose name is that of the backend
            options = {name: options[name] for name in options if name not in MODULES}
            options[kind], names[kind] = options.get("name"), names["name"]
        yield from _identifiers.problems(options, speaks_to_aws(options), names)


def with_region(values: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """The role's variables with the region of their profile, if they have none, and the name of that profile."""
    options = {name: values.get(PREFIX + name) for name in ("region", "profile", "access_key")}
    completed, profile = with_profile_region(options)
    return ({**values, f"{PREFIX}region": completed["region"]} if profile else {**values}), profile


def region_profile(given: Mapping[str, Any]) -> str | None:
    """The profile that the region came from; None if the variables or the environment say the region."""
    return None if given.get(f"{PREFIX}region") else with_region(typed(given))[1]


def validated(given: Mapping[str, Any]) -> dict[str, Any]:
    """What `typed` says, with a region; Invalid where it cannot work together either, before anything is done."""
    values, _profile = with_region(typed(given))
    censored = [name for name in values if is_censored(values[name])]
    if censored:
        raise Invalid(refusal(censored))
    wrong = [_of_the_variable(each) for each in problems(backend_of({**_defaults(), **_backend(values)}))]
    if wrong:
        raise Invalid("; ".join(wrong))
    return values


def _of_the_variable(problem: str) -> str:
    """A sentence that begins with an option of tf_backend_config, about the variable of the role."""
    option, space, rest = problem.partition(" ")
    default = " (by default the name of the host)" if option == "name" else ""
    variable = {**variables("config"), **{name: PREFIX + name for name in SHARED}}.get(option, option)
    return variable + default + space + rest


def has_table(values: Mapping[str, Any]) -> bool:
    return values.get(f"{PREFIX}lock_mode") != "lockfile"


def _defaults() -> dict[str, Any]:
    return {name: option.get("default") for name, option in CONFIG_OPTIONS.items()}


def _backend(values: Mapping[str, Any]) -> dict[str, Any]:
    names = {"bucket": "bucket_name", "table": "table_name", "region": "region", **CONFIG}
    return {option: values[PREFIX + name] for option, name in names.items() if PREFIX + name in values}


def arguments(kind: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """What the module that stands for `kind` is called with."""
    given = {option: values[name] for option, name in variables(kind).items() if name in values}
    if kind != "table" and _may_change_lock_mode(values):
        given["allow"] = list(dict.fromkeys([*(given.get("allow") or ()), CHANGE_LOCK_MODE]))
    if kind != "bucket":
        return given
    about_locks = {"lock_mode": f"{PREFIX}lock_mode", "table": f"{PREFIX}table_name"}
    given |= {option: values[name] for option, name in about_locks.items() if values.get(name)}
    return given if has_table(values) else {"probe_lock_files": True, **given}  # else, the table keeps clients out


def default_key(values: Mapping[str, Any]) -> str | None:
    """The key that the files will have, if nobody said one."""
    key = None if values.get(f"{PREFIX}state_key") else CONFIG_OPTIONS["key"]["default"]
    return None if key is None else str(key)


def _may_change_lock_mode(values: Mapping[str, Any]) -> bool:
    """One word for the bucket and the files, whichever variable has it."""
    return any(CHANGE_LOCK_MODE in (values.get(PREFIX + name) or ()) for name in ("bucket_allow", "config_allow"))


#: A list of words that a message says to set, such as allow: [weaken_policy], and an option with its value.
_GIVEN = re.compile(r"(?<![\w.])(\w+)(?=: (?:\[|true\b|false\b))")
#: The same of the word that is about bucket and files together.
_ABOUT_LOCK_MODE = re.compile(rf"(?<![\w.])allow(?=: \[{CHANGE_LOCK_MODE}\])")
#: What a message says to do about options.
_ADVISED = re.compile(r"\b(?:[Ss]et|[Cc]orrect|check) \w+(?:(?:, | or | and )\w+)*(?![\w./=-])")
#: What it is about, as in "region is not set".
_ABOUT = re.compile(r"^\w+(?= is )")
#: A name of several words, and lists, whose words are no options.
_NAMED = re.compile(r"\[[^\]]*\]|(?<![\w./-])[a-z]+(?:_[a-z]+)+(?![\w/=-]|\.\w)")
#: What comes before words of AWS.
_OF_AWS = " (AWS: "
#: Settings that bear the name of an option.
_FACETS = {facet.name for resource in (BUCKET, TABLE) for facet in resource.facets}


def in_variables(kind: str, message: str) -> str:
    """A message of the module that stands for `kind`, which names options by the variables of the role."""
    named = {"lock_mode": f"{PREFIX}lock_mode", **variables(kind)}

    def each_word(found: re.Match[str]) -> str:
        return re.sub(r"\w+", lambda word: named.get(word[0], word[0]), found[0])

    def several_words(found: re.Match[str]) -> str:
        return found[0] if found[0] in _FACETS else named.get(found[0], found[0])

    ours, mark, of_aws = message.partition(_OF_AWS)
    ours = _ABOUT_LOCK_MODE.sub(variables("config")["allow"], ours)
    ours = _GIVEN.sub(lambda option: named.get(option[1], option[1]), ours)
    for pattern in (_ABOUT, _ADVISED):
        ours = pattern.sub(each_word, ours)
    return _NAMED.sub(several_words, ours) + mark + of_aws


def names_of(values: Mapping[str, Any]) -> Iterator[str]:
    """The names among the role's variables."""
    for kind in ENTRIES:
        yield from names_in(arguments(kind, values))


def secrets_of(values: Mapping[str, Any]) -> tuple[str, ...]:
    """What no result may show."""
    return tuple(str(values[name]) for name, option in ROLE_SPEC.items() if option.get("no_log") and values.get(name))


def open_in_files(arguments: Mapping[str, Any]) -> set[str]:
    """What AWS answered and everybody may read in the files."""
    return {str(arguments[name]) for name in ("bucket_arn", "table_arn", "kms_key_id") if arguments.get(name)}


#: What clients say of the backend; options of several modules bear the same names.
CLIENTS = (
    *("workspace_key_prefix", "client_profile"),
    *("client_assume_role_arn", "client_assume_role_external_id", "client_assume_role_session_name"),
)


def backend_options(values: Mapping[str, Any]) -> dict[str, Any]:
    """Where the backend lies and how to reach it, by the names that options of modules have which are about it all."""
    bucket = arguments("bucket", values)
    table = {"table": values[f"{PREFIX}table_name"]} if has_table(values) else {}
    key = {"kms_key_id": bucket["kms_key_id"], "encryption": "aws:kms"} if bucket.get("kms_key_id") else {}
    names = (*SHARED, "encryption")
    return {
        **key,
        **{name: bucket[name] for name in names if name in bucket},
        **{name: values[PREFIX + name] for name in CLIENTS if PREFIX + name in values},
        "bucket": bucket["name"],
        **table,
    }


def config_arguments(results: Mapping[str, Mapping[str, Any]], values: Mapping[str, Any]) -> dict[str, Any]:
    """What the files say of the bucket and the table: names as they were asked for, the rest as AWS answered.

    Raises Invalid if an answer was censored.
    """
    bucket = results["bucket"]["bucket"]
    table = results["table"]["table"] if "table" in results else {}
    encryption = bucket.get("encryption") or {}
    answered = {
        "bucket_arn": None if is_censored(bucket.get("arn")) else bucket.get("arn"),  # else it is made from the name
        "encryption": encryption.get("algorithm"),
        "kms_key_id": encryption.get("kms_key_id"),
        "table_arn": table.get("arn"),
    }
    censored = [option for option, value in answered.items() if is_censored(value)]
    if censored:
        secrets = " or ".join(name for name in values if ROLE_SPEC[name].get("no_log") and values[name])
        raise Invalid(
            f"The files were not written: Ansible censored {' and '.join(censored)} in the results, because the value "
            f"of {secrets} is part of it. Use another value there"
        )
    named = {
        "bucket": values[f"{PREFIX}bucket_name"],
        "region": values[f"{PREFIX}region"],
        "account_id": values.get(f"{PREFIX}account_id"),
        "table": values.get(f"{PREFIX}table_name") if has_table(values) else None,
        "endpoint_url": values.get(f"{PREFIX}endpoint_url"),
        **answered,
    }
    return {option: value for option, value in named.items() if value}
