#!/usr/bin/python
# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: tf_backend_accounts
short_description: Write the accounts of an AWS organization into a file for the fleet inventory
version_added: 0.2.0
description:
  - Reads the accounts of the organization that are active, with their organizational units and some of their tags. It
    writes them into a file that O(cornerstone.tfstate.fleet#inventory:accounts_file) names.
  - It changes nothing in AWS. The inventory reads the file only, so that an account is worked in once you have reviewed
    the change of the file.
  - In an existing file it keeps all keys of an account but C(ou) and C(tags), such as its name and its role. So hosts
    keep their names if the account gets another one. Comments are not kept.
  - An account that is not active any more, or not in the organization or O(units), is removed from the file.
    RV(removed) and a warning name it, as nobody looks after its backends from then on.
  - Unless everything could be read, the file stays as it is.
author:
  - cornerstone.tfstate contributors (@cornerstone-tfstate)
extends_documentation_fragment:
  - cornerstone.tfstate.attributes
  - cornerstone.tfstate.attributes.action_group
  - cornerstone.tfstate.connection
options:
  path:
    description:
      - The file to write.
      - A relative path is relative to the playbook, and in a playbook of this collection to the current folder.
    type: path
    required: true
  units:
    description:
      - The organizational units whose accounts are written, each by its path, such as V(Workloads/Prod). Units below
        them count.
      - If omitted, all accounts are written.
    type: list
    elements: str
  tag_names:
    description:
      - The names of the tags of accounts to write. They cost one request for each account.
      - If omitted, no tags are written.
    type: list
    elements: str
  account_id:
    description:
      - The account that must be asked, which is the management account or that of a delegated administrator.
      - If omitted, the account is that of the credentials.
    type: str
  region:
    description:
      - A region of the partition whose organization is read. Organizations has no regions of its own.
      - If omitted, V(us-east-1).
requirements:
  - PyYAML
notes:
  - It needs C(organizations:ListAccounts), C(organizations:ListAccountsForParent),
    C(organizations:ListOrganizationalUnitsForParent) and C(organizations:ListRoots), and for O(tag_names)
    C(organizations:ListTagsForResource), in the management account or that of a delegated administrator.
  - It makes two requests for each organizational unit, and two besides.
seealso:
  - plugin: cornerstone.tfstate.fleet
    plugin_type: inventory
"""

EXAMPLES = r"""
- name: Write the accounts of an organizational unit
  cornerstone.tfstate.tf_backend_accounts:
    path: accounts.yml
    units:
      - Workloads
    tag_names:
      - team
"""

RETURN = r"""
changes:
  description: The file, if it was written, or in check mode would be.
  returned: always
  type: list
  elements: dict
  contains:
    file: {description: Its path., type: str, sample: /home/ezra/accounts.yml}
    action: {description: V(create) or V(update)., type: str, sample: create}
files:
  description: The path of the file.
  returned: success
  type: list
  elements: str
  sample: [/home/ezra/accounts.yml]
accounts:
  description: How many accounts are in it.
  returned: success
  type: int
  sample: 40
added:
  description: The names of accounts that were not in it before.
  returned: success
  type: list
  elements: str
  sample: [prod-eu]
removed:
  description: The names of accounts that were in it before.
  returned: success
  type: list
  elements: str
  sample: [sandbox]
inactive:
  description: Accounts in the units that are not written, as they are not active.
  returned: success
  type: list
  elements: dict
  sample: [{id: "111122223333", name: sandbox, state: SUSPENDED}]
"""

from functools import partial
from typing import Any

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.model import TfstateError
from ansible_collections.cornerstone.tfstate.plugins.module_utils._core.printable import printable
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.reconcile import write_files
from ansible_collections.cornerstone.tfstate.plugins.module_utils._local.files import check_writable, read_text
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.entry import (
    ModuleEntry,
    ModuleRun,
    run_module,
    with_connection,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._modules.files_result import (
    files_failure,
    files_result,
    write_and_report,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._organization.accounts_file import (
    YAML_MISSING,
    accounts_text,
    merged,
    parse_accounts,
)
from ansible_collections.cornerstone.tfstate.plugins.module_utils._organization.organization import (
    ACTIVE,
    read_organization,
)

HOME_REGION = "us-east-1"
OPTIONS: dict[str, dict[str, Any]] = {
    "account_id": {},
    "path": {"type": "path", "required": True},
    "units": {"type": "list", "elements": "str"},
    "tag_names": {"type": "list", "elements": "str"},
}


def write_accounts(run: ModuleRun) -> dict[str, Any]:
    run.failure = files_failure
    if YAML_MISSING:
        raise TfstateError(missing_required_lib("PyYAML"))
    path = run.params["path"]
    check_writable(path)
    _known(path)  # what is wrong with it is told before anything is asked
    aws = run.client({**run.params, "region": run.params.get("region") or HOME_REGION})
    found = read_organization(aws, run.params.get("tag_names") or (), run.params.get("units") or ())
    # Read again: somebody may have edited it meanwhile, as large organizations take minutes.
    entries, added, removed = merged(_known(path), [each for each in found if each.state == ACTIVE])
    if not entries:
        raise TfstateError("the organization has no active account there: nothing is written")
    wanted = {path: accounts_text(entries)}
    changes = write_files(wanted, run.check_mode, read_text, check_writable, partial(write_and_report, run.on_write))
    inactive = [
        {"id": each.id, "name": printable(each.name), "state": printable(each.state)}
        for each in found
        if each.state != ACTIVE
    ]
    result = {"accounts": len(entries), "added": added, "removed": removed, "inactive": inactive}
    return {
        **files_result(changes, wanted, run.diff),
        **result,
        "warnings": [*run.warnings, *_warnings(removed, run.params.get("units"))],
    }


def _known(path: str) -> list[dict[str, Any]]:
    text = read_text(path)
    return parse_accounts(text, path) if text else []


def _warnings(removed: list[str], units: list[str] | None) -> list[str]:
    gone = ", ".join(map(printable, removed))
    where = f"in {', '.join(map(printable, units))}" if units else "in the organization"
    advice = "the fleet inventory has no hosts for their backends any more. If one is still in use, list it in accounts"
    removal = f"accounts removed from the file, as they are not {where} or not active: {gone}"
    return [f"{removal}; {advice}"] if removed else []


MODULE = ModuleEntry(with_connection(OPTIONS), write_accounts)


def main() -> None:
    run_module(MODULE)


if __name__ == "__main__":
    main()
