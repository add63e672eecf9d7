# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hosts from accounts and regions, optionally only the enabled regions."""

from __future__ import annotations

DOCUMENTATION = r"""
name: fleet
short_description: Make a backend of every account and region
version_added: 0.1.0
author:
  - cornerstone.tfstate contributors (@cornerstone-tfstate)
description:
  - Makes hosts C(<account>.<region>) from a list of accounts and a list of regions. A host is one backend.
  - Each host is in two groups, its region with underscores (C(us_east_1)) and its account (C(account_prod)).
    So C(-l us_east_1) is one region over all accounts.
  - Each host has the variables of the role P(cornerstone.tfstate.terraform_backend#role) that differ from host to host.
  - They are C(terraform_backend_region), C(terraform_backend_account_id), C(terraform_backend_bucket_name) and, if
    set, C(terraform_backend_table_name), C(terraform_backend_assume_role_arn),
    C(terraform_backend_assume_role_external_id) and C(terraform_backend_profile).
    Beside them C(ansible_connection) is V(local).
  - Files in C(host_vars) beat all of them. A file in C(group_vars) beside the inventory that sets one of them to
    another value is an error, as it would be ignored.
  - Each host is in the group of its file, too (C(fleet_acme) for C(acme.fleet.yml)). Two files with one host or one
    bucket are an error.
  - Without O(enabled_regions_only) the plugin makes no request to AWS.
  - The file's name must end in C(.fleet.yml) or C(.fleet.yaml).
  - O(keyed_groups), O(groups) and O(compose) are those of C(ansible.builtin.constructed). Their expressions know the
    variables of the host and C(account), C(account_id), C(partition), C(region), C(ou) and C(tags).
extends_documentation_fragment:
  - inventory_cache
  - constructed
options:
  plugin:
    description:
      - Must be V(cornerstone.tfstate.fleet).
    type: str
    required: true
    choices: [cornerstone.tfstate.fleet]
  accounts:
    description:
      - The AWS accounts. A name or an id that comes twice is an error.
      - They may be a template of a list, such as a lookup.
      - At least one is needed, here or in O(accounts_file).
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - What the account is called in host names. Letters, digits, C(_) and C(-).
          - In the name of its group C(-) becomes C(_).
        type: str
        required: true
      id:
        description:
          - The 12 digits of the account, in quotes.
          - A run with the credentials of another account stops before its first write.
        type: str
        required: true
      role:
        description:
          - The role to assume in the account, by name or ARN, in place of O(assume_role).
          - An empty string means none, for the account that the credentials are of.
        type: str
      external_id:
        description:
          - The external id that the role's trust policy asks for.
        type: str
      profile:
        description:
          - A profile of the AWS configuration files to enter the account with, or to assume the role from.
        type: str
      regions:
        description:
          - The account's own regions, in place of O(regions).
        type: list
        elements: str
      exclude_regions:
        description:
          - Regions to leave out in this account, beside O(exclude_regions).
        type: list
        elements: str
      groups:
        description:
          - Further groups of the hosts of this account.
        type: list
        elements: str
      variables:
        description:
          - Further variables of the hosts of this account. They beat O(variables), and files in C(group_vars) and
            C(host_vars) beat them.
        type: dict
      ou:
        description:
          - The path of the account's organizational units, such as V(Workloads/Prod). Its hosts are in the groups
            C(ou_workloads) and C(ou_workloads_prod).
        type: str
      tags:
        description:
          - The tags of the account. Of the tag C(team) with the value C(data), its hosts are in the group
            C(tag_team_data).
        type: dict
  accounts_file:
    description:
      - A file with further accounts, relative to the inventory file. It has one key, C(accounts), with entries as
        those of O(accounts). Only the C(variables) of an entry may have templates.
      - The playbook C(cornerstone.tfstate.accounts) writes it from AWS Organizations.
    type: str
  host_prefix:
    description:
      - What the names of hosts begin with, before the account.
    type: str
  strict:
    description:
      - Whether an expression of O(compose), O(groups) or O(keyed_groups) that fails is an error.
      - V(false) leaves out its variable or group, so that hosts may have other settings than you think.
    type: bool
    default: true
  regions:
    description:
      - The regions of every account that has none of its own.
      - A region that neither this collection nor botocore knows is an error, unless O(endpoint_url) is set, or
        C(terraform_backend_endpoint_url) in O(variables).
    type: list
    elements: str
    default: []
  exclude_regions:
    description:
      - Regions to leave out in every account. One that no account has is an error, as it is mistyped most likely.
    type: list
    elements: str
    default: []
  bucket_name:
    description:
      - The pattern of the state bucket's name, with C({account}), C({account_id}), C({partition}) and C({region}).
      - Names must differ from host to host, as they are globally unique.
    type: str
    required: true
  table_name:
    description:
      - The pattern of the lock table's name, with the same placeholders.
      - If omitted, hosts have no lock table, as with C(terraform_backend_lock_mode=lockfile).
    type: str
  assume_role:
    description:
      - The role to assume in every account that names none itself, by name (path included) or ARN, with C({account}),
        C({account_id}) and C({partition}). A name becomes the ARN of that role in the account.
      - If omitted, no role is assumed.
    type: str
  variables:
    description:
      - Further variables of every host, such as C(terraform_backend_lock_mode). Templates in them are kept as such.
      - They are variables of the file's group. So files in C(group_vars) and C(host_vars) beat them, and hosts of other
        files do not have them.
    type: dict
    default: {}
  enabled_regions_only:
    description:
      - Leaves out the regions that are not enabled in the account.
      - Each account is read with C(account:ListRegions), with its role if there is one. An account that does not
        answer fails the inventory.
      - It costs two requests an account and those that assume the role. With O(cache) a later run makes no request,
        until O(cache_timeout) or C(--flush-cache), except for accounts that are new in the file.
    type: bool
    default: false
  region:
    description:
      - The region through which to assume roles when reading the enabled regions.
      - If omitted, V(us-east-1), or the main region of the partition.
    type: str
  profile:
    description:
      - A named profile of the AWS configuration files, for these requests only. An account may name its own.
      - If omitted, credentials are found as the AWS command line finds them.
    type: str
  access_key:
    description:
      - The id of an AWS access key, for these requests only. It beats O(profile) and the environment.
    type: str
  secret_key:
    description:
      - The secret of O(access_key). Keep it out of the file, for instance with a lookup.
    type: str
  session_token:
    description:
      - The session token of O(access_key), for temporary credentials.
    type: str
  endpoint_url:
    description:
      - The URL of every service, in place of AWS. Meant for emulators of AWS.
    type: str
  validate_certs:
    description:
      - V(false) accepts any TLS certificate. Use O(aws_ca_bundle) instead.
    type: bool
    default: true
  aws_ca_bundle:
    description:
      - A file of CA certificates to check TLS certificates with.
    type: path
requirements:
  - botocore >= 1.40, for O(enabled_regions_only)
notes:
  - The options O(region), O(profile), O(access_key), O(secret_key), O(session_token), O(endpoint_url),
    O(validate_certs) and O(aws_ca_bundle) are for reading the enabled regions only. Tasks use the variables of the
    role, which O(variables) or C(group_vars) can set.
  - Strings may be templates, which are filled when the inventory is read. Those in O(variables) are filled by tasks.
  - An inventory file that fails is a warning to Ansible, unless C(any_unparsed_is_failed) is set in the section
    C([inventory]) of C(ansible.cfg). The modules of this collection refuse to work for any host of such an inventory.
"""

EXAMPLES = r"""
# prod.fleet.yml: four backends, prod.eu-west-1 to test.us-east-1
plugin: cornerstone.tfstate.fleet
accounts:
  - name: prod
    id: "111122223333"
  - name: test
    id: "444455556666"
regions: [eu-west-1, us-east-1]
bucket_name: acme-terraform-state-{account_id}-{region}
table_name: terraform-locks
assume_role: terraform-backend-admin

---
# Every region that is enabled, asked once a day; one account with regions and a role of its own.
plugin: cornerstone.tfstate.fleet
accounts:
  - name: prod
    id: "111122223333"
  - name: partner
    id: "777788889999"
    role: arn:aws:iam::777788889999:role/acme/backends
    external_id: acme-42
    regions: [eu-central-1]
regions: [af-south-1, eu-west-1, us-east-1]
bucket_name: acme-terraform-state-{account_id}-{region}
assume_role: terraform-backend-admin
enabled_regions_only: true
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.cache/cornerstone-tfstate
cache_timeout: 86400
variables:
  terraform_backend_lock_mode: lockfile
  terraform_backend_config_directory: "backends/{{ inventory_hostname }}"
"""

import json
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

from ansible import constants
from ansible.errors import AnsibleError, AnsibleParserError
from ansible.inventory.group import Group
from ansible.inventory.host import Host as InventoryHost
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible.vars.plugins import get_vars_from_path
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import (
    Call,
    Failure,
    Invalid,
    TfstateError,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.printable import printable
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.regions import REGIONS
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.suggestions import suggestion_for
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.arguments import decrypted
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._fleet.files import (
    INVENTORY_PROBLEMS,
    files_of,
    group_of_account,
    group_of_file,
    groups_of,
    refuse_overridden,
)
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._fleet.hosts import (
    Account,
    Host,
    accounts_of,
    enabled,
    hosts_of,
)
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._fleet.inventory_file import RESERVED, Fleet, kind_of
from ansible_collections.cornerstone.tfstate.plugins.plugin_utils._fleet.places import (
    Problem,
    Refused,
    refuse,
    repeated_keys,
    top_keys,
    with_lines,
)

TEXT_OPTIONS = ("bucket_name", "table_name", "assume_role", "host_prefix", "accounts_file")
LISTS = ("accounts", "regions", "exclude_regions")
CONNECTION_OPTIONS = (
    "region",
    "profile",
    "access_key",
    "secret_key",
    "session_token",
    "endpoint_url",
    "validate_certs",
    "aws_ca_bundle",
)
ACCOUNTS_AT_ONCE = 8
TIMEOUT_S = 60.0
#: The variable that says that the backends are in another store than AWS.
ENDPOINT = "terraform_backend_endpoint_url"
ENDINGS = (".yml", ".yaml", ".json")

#: Region -> its state in an account.
States = dict[str, str]


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):  # type: ignore[misc]
    """The inventory plugin that Ansible loads."""

    NAME = "cornerstone.tfstate.fleet"
    trusted_by_default = True  # all that hosts get is written in the inventory file

    def verify_file(self, path: str) -> bool:
        return super().verify_file(path) and path.endswith((".fleet.yml", ".fleet.yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        #: The accounts of the file itself; after them come those of `accounts_file`.
        self._own_accounts, self._accounts_path = 0, ""
        try:
            config = self._config(path)
            hosts = self._hosts(config, path, cache)
            hosts = tuple(replace(host, variables={**host.variables, **self._composed(host)}) for host in hosts)
            files = files_of(inventory.groups["all"])
            as_set = self._with_host_vars(path, hosts)
            files.refuse_known(path, as_set, {name: host.vars for name, host in inventory.hosts.items()})
            self._refuse_overridden(path, [(host, groups_of(path, host)) for host in hosts])
            refuse(self._shared_variables(path, files.accounts_alike(path, hosts)))
            files.add(path, as_set)
            self._add(path, hosts)
            self._refuse_overridden(path, [(host, self._further_groups(path, host)) for host in hosts])
        except Refused as refused:
            self._fail(path, self._with_lines(refused, path))
        except (TfstateError, AnsibleError) as error:
            self._fail(path, str(error))

    def _fail(self, path: str, problem: str) -> NoReturn:
        problem = printable(problem if path in problem else f"{path}: {problem}")
        self._record(problem)
        raise AnsibleParserError(problem) from None

    def _record(self, problem: str) -> None:
        """For the tasks of other hosts: to Ansible, a file that fails beside another one is only a warning."""
        known = self.inventory.groups["all"].vars.get(INVENTORY_PROBLEMS, [])
        self.inventory.set_variable("all", INVENTORY_PROBLEMS, [*known, problem])

    def _with_lines(self, refused: Refused, path: str) -> str:
        return with_lines(Refused([self._of_accounts_file(each) for each in refused.problems]), _text_of(path))

    def _of_accounts_file(self, problem: str) -> str:
        place: tuple[Any, ...] = getattr(problem, "place", ())
        if place[:1] != ("accounts",) or len(place) < 2 or place[1] < self._own_accounts or not self._accounts_path:
            return problem
        there = Problem(problem, "accounts", place[1] - self._own_accounts, *place[2:])
        return f"{self._accounts_path}: {with_lines(Refused([there]), _text_of(self._accounts_path))}"

    def _refuse_overridden(self, path: str, groups: Collection[tuple[Host, Collection[str]]]) -> None:
        """Raises Invalid on what files beside the inventory set for these groups, as far as they can be read."""
        names = dict.fromkeys(group for _host, of_host in groups for group in of_host)
        refuse_overridden(groups, {group: self._variables_beside(path, Group(group)) for group in names})

    def _shared_variables(self, path: str, alike: Iterable[tuple[str, str, str, str]]) -> Iterator[str]:
        """Files in group_vars for an account would be for one of another file, too, that has the same name."""
        for group, id_, other, file in alike:
            if any(self._variables_beside(each, Group(group)) for each in (path, file)):
                both = f"{id_}, and {other} in {file}"
                yield f"group_vars of {group} would be for two accounts, {both}: give one of them another name"

    def _further_groups(self, path: str, host: Host) -> list[str]:
        """Those of `groups` and `keyed_groups`, and the groups above that other inventory files have made."""
        own = groups_of(path, host)
        return [each.name for each in self.inventory.get_host(host.name).get_groups() if each.name not in own]

    def _with_host_vars(self, path: str, hosts: tuple[Host, ...]) -> tuple[Host, ...]:
        """The hosts with what files in host_vars beside the inventory set for them, as far as they can be read."""
        folder = Path(path).parent / "host_vars"
        with suppress(OSError):
            names = {each.name.removesuffix(each.suffix if each.suffix in ENDINGS else "") for each in folder.iterdir()}
            return tuple(self._with_own_vars(path, host) if host.name in names else host for host in hosts)
        return hosts

    def _with_own_vars(self, path: str, host: Host) -> Host:
        found = self._variables_beside(path, InventoryHost(host.name))
        return replace(host, variables={**host.variables, **{name: found[name] for name in RESERVED if name in found}})

    def _variables_beside(self, path: str, entity: Any) -> dict[str, Any]:
        known: dict[str, Any] = {}
        for stage in ("inventory", "task"):  # at which of them files are read is a setting of Ansible
            with suppress(AnsibleError):  # such as a vault without its password: Ansible says so by itself
                known |= get_vars_from_path(self.loader, str(Path(path).parent), [entity], stage)
        return known

    def _config(self, path: str) -> Mapping[str, Any]:
        """The file. What is misspelt is told before what is missing for that."""
        text = _text_of(path)
        try:
            config: Mapping[str, Any] = self._read_config_data(path)
        except AnsibleError:
            options = constants.config.get_configuration_definitions("inventory", self._load_name)
            _refuse_unknown(top_keys(text), sorted(options))
            raise
        refuse(repeated_keys(text))
        _refuse_unknown(config, sorted(self.get_options()))
        return config

    def _hosts(self, config: Mapping[str, Any], path: str, cache: bool) -> tuple[Host, ...]:
        options = {**self._templated(TEXT_OPTIONS), **{name: self._list(name, config) for name in LISTS}}
        accounts = options["accounts"]
        if isinstance(accounts, (list, tuple)):
            self._own_accounts = len(accounts)
        if file := options.pop("accounts_file"):
            if not isinstance(accounts, (list, tuple)):
                refuse([Problem(f"accounts is {kind_of(accounts)}: write a list", "accounts")])
            options["accounts"] = [*accounts, *self._accounts_of_file(str(Path(path).parent / Path(file).expanduser()))]
        fleet = Fleet(**options, variables=self.get_option("variables"), compose=self.get_option("compose"))
        fleet = replace(fleet, known_regions=self._known_regions(fleet))
        known = accounts_of(fleet)
        if self.get_option("enabled_regions_only"):
            known = enabled(known, self._states(known, path, cache))
        hosts: tuple[Host, ...] = hosts_of(fleet, known)
        return hosts

    def _list(self, name: str, config: Mapping[str, Any]) -> Any:
        """A list as the file has it, or its template evaluates to: Ansible would split a template at its commas."""
        value = config.get(name)
        if isinstance(value, str):
            filled = self.templar.template(value)
            return self.get_option(name) if isinstance(filled, str) and filled == value else filled
        if name == "accounts" and isinstance(value, list):
            return [self._entry(each) for each in value]
        return [] if value is None else self.templar.template(value)

    def _entry(self, entry: Any) -> Any:
        """An account as it is written, with its templates evaluated; but not those of its variables."""
        if not isinstance(entry, Mapping):
            return self.templar.template(entry)
        filled = self.templar.template({name: each for name, each in entry.items() if name != "variables"})
        return _decrypted({**entry, **filled})

    def _accounts_of_file(self, path: str) -> list[Any]:
        """The accounts of a file that holds nothing else. Templates in it are text, but for those of variables."""
        self._accounts_path = path
        if not Path(path).is_file():
            refuse(
                [Problem(f"accounts_file {path} is missing: write it, or run playbooks/accounts.yml", "accounts_file")]
            )
        found = self.loader.load_from_file(path)
        entries = found.get("accounts") if isinstance(found, Mapping) and set(found) == {"accounts"} else None
        if not isinstance(entries, list):
            wanted = "a file of accounts has one key, accounts, with a list"
            refuse([Problem(f"accounts_file {path}: {wanted}", "accounts_file")])
        refuse(f"{path}: {problem}" for problem in repeated_keys(_text_of(path)))
        return [_decrypted(each) for each in entries or ()]

    def _known_regions(self, fleet: Fleet) -> Collection[str] | None:
        """The regions of AWS. A newer botocore may know more; other stores have regions of their own."""
        if self.get_option("endpoint_url") or ENDPOINT in fleet.variables:
            return None
        entries = [entry for entry in fleet.accounts if isinstance(entry, Mapping)]
        lists = [each.get(name) for each in (vars(fleet), *entries) for name in ("regions", "exclude_regions")]
        named = {str(region) for each in lists if isinstance(each, (list, tuple)) for region in each}
        return REGIONS if named <= {*REGIONS} else {*REGIONS, *_regions_of_botocore()}

    def _composed(self, host: Host) -> dict[str, Any]:
        """The variables that `compose` makes for a host."""
        made = {}
        for name, expression in self.get_option("compose").items():
            try:
                made[name] = self._compose(expression, self._known_of(host))
            except Exception as problem:  # Jinja raises what its filters and lookups do
                if self.get_option("strict"):
                    raise Refused([Problem(f"compose: {name} of {host.name}: {problem}", "compose", name)]) from None
        return made

    def _known_of(self, host: Host) -> dict[str, Any]:
        """What expressions know of a host."""
        return {**self.get_option("variables"), **host.account.variables, **host.variables, **host.facts}

    def _add(self, path: str, hosts: Iterable[Host]) -> None:
        self._add_group(group_of_file(path), self.get_option("variables"))
        for host in hosts:
            self.inventory.add_host(host.name)
            for name, value in host.variables.items():
                self.inventory.set_variable(host.name, name, value)
            if host.account.variables:
                self._add_group(group_of_account(path, host), host.account.variables)
            for group in groups_of(path, host)[1:]:
                self.inventory.add_group(group)
                self.inventory.add_child(group, host.name)
            self._add_to_composed_groups(path, host)

    def _add_group(self, name: str, variables: Mapping[str, Any]) -> None:
        self.inventory.add_group(name)
        for variable, value in variables.items():
            self.inventory.set_variable(name, variable, value)

    def _add_to_composed_groups(self, path: str, host: Host) -> None:
        groups, keyed = self.get_option("groups"), self.get_option("keyed_groups")
        if not groups and not keyed:
            return
        strict, known = self.get_option("strict"), self._known_of(host)
        self._add_host_to_composed_groups(groups, known, host.name, strict, fetch_hostvars=False)
        self._add_host_to_keyed_groups(keyed, known, host.name, strict, fetch_hostvars=False)
        own = groups_of(path, host)
        for group in self.inventory.get_host(host.name).get_groups():
            if group.name.startswith("fleet_") and group.name not in own:
                raise Invalid(
                    f"{host.name} would be in the group {group.name}, whose variables are those of another file: "
                    "give the group in groups or keyed_groups another name"
                )

    def _states(self, accounts: Iterable[Account], path: str, cache: bool) -> dict[str, States]:
        """The states of regions by account id, from the cache or from AWS."""
        is_cached, key = self.get_option("cache"), self.get_cache_key(path)
        known: dict[str, States] = dict(self._cache.get(key) or {}) if is_cached and cache else {}
        missing = [account for account in accounts if account.id not in known]
        if missing:
            known |= read_region_states(missing, self._templated(CONNECTION_OPTIONS))
        if missing and is_cached:
            self._cache[key] = known
        return known

    def _templated(self, names: Iterable[str]) -> dict[str, Any]:
        """Options by name, with their templates evaluated."""
        filled: dict[str, Any] = self.templar.template({name: self.get_option(name) for name in names})
        return filled


def _refuse_unknown(names: Iterable[Any], known: Collection[str]) -> None:
    refuse(
        Problem(f"{name} not known{suggestion_for([str(name)], known)}; known are {', '.join(known)}", name)
        for name in names
        if name not in known
    )


def _decrypted(entry: Any) -> Any:
    """An account without `!vault`, but for its variables, which `ansible-inventory` would print in clear."""
    if not isinstance(entry, Mapping):
        return entry
    kept = {"variables": entry["variables"]} if "variables" in entry else {}
    return {**decrypted({name: each for name, each in entry.items() if name != "variables"}), **kept}


def _text_of(path: str) -> str:
    """The text of a file; empty if it is no text, which Ansible refuses itself."""
    with suppress(OSError, ValueError):
        return Path(path).read_text(encoding="utf-8")
    return ""


def _regions_of_botocore() -> set[str]:
    """Read without importing botocore, which takes a fifth of a second."""
    found = find_spec("botocore")
    for folder in (found and found.submodule_search_locations) or ():
        with suppress(OSError, ValueError, KeyError, TypeError):
            partitions = json.loads((Path(folder) / "data" / "partitions.json").read_text(encoding="utf-8"))
            return {region for each in partitions["partitions"] for region in each["regions"]}
    return set()


def read_region_states(accounts: list[Account], connection: Mapping[str, Any]) -> dict[str, States]:
    """The states of the regions of every account, by account id. Raises Invalid with the errors of all accounts."""
    with ThreadPoolExecutor(ACCOUNTS_AT_ONCE) as pool:  # its threads end before Ansible forks
        answers = list(pool.map(partial(_states_or_error, connection=connection), accounts))
    known = {account.id: answer for account, answer in zip(accounts, answers, strict=True) if isinstance(answer, dict)}
    problems = [
        f"{account}: {answer}"
        for account, answer in zip(accounts, answers, strict=True)
        if isinstance(answer, TfstateError)
    ]
    if problems:
        advice = "without enabled_regions_only nothing is asked"
        raise Invalid(f"cannot tell which regions are enabled: {'; '.join(problems)}; {advice}")
    return known


def _states_or_error(account: Account, connection: Mapping[str, Any]) -> States | TfstateError:
    try:
        return _states_of(account, connection)
    except TfstateError as error:
        return error


def _states_of(account: Account, options: Mapping[str, Any]) -> States:
    # botocore takes 0.2 s to import, and most inventories make no request.
    from ansible_collections.cornerstone.tfstate.plugins.module_utils._aws.client import (
        BOTOCORE_MISSING,
        Aws,
        Connection,
    )

    if BOTOCORE_MISSING:
        raise Invalid(f"botocore is missing: install it for {sys.executable}")
    connection = {
        **options,
        "region": options["region"] or account.home_region,
        "profile": account.profile or options["profile"],
        "assume_role_arn": account.role_arn,
        "assume_role_external_id": account.external_id,
    }
    aws = Aws(Connection(**connection), TIMEOUT_S)
    identity, page = _raise_failures(aws.read([Call("sts", "get_caller_identity"), Call("account", "list_regions")]))
    if identity["Account"] != account.id:
        raise Invalid(f"the credentials are of account {identity['Account']}; give it a role or a profile")
    pages = [page]
    while token := pages[-1].get("NextToken"):
        pages += _raise_failures(aws.read([Call("account", "list_regions", {"NextToken": token})]))
    return {each["RegionName"]: each["RegionOptStatus"] for page in pages for each in page["Regions"]}


def _raise_failures(answers: list[Any]) -> list[Any]:
    for answer in answers:
        if isinstance(answer, Failure):
            raise Invalid(str(answer))
    return answers
