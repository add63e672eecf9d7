# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    """What keeps the modules from doing harm, less the words of `allow`, which are each module's own."""

    DOCUMENTATION = r"""
options:
  account_id:
    description:
      - The 12 digits of the account that must own everything. Quote them in YAML.
      - Not given, it is the account of the credentials, which AWS STS is asked for once; see O(cache_credentials).
      - A bucket of another account is not written to, so that a name that a stranger took is no danger. To work on
        another account's bucket on purpose, name that account.
      - What is missing is made in this account or not at all. A lock table is always one of the credentials' account;
        the task fails before its first write if that is another one.
      - A store without STS does not say whose anything is. Then the task warns, and nothing is compared unless this is
        given.
    type: str
  check_permissions:
    description:
      - In check mode, ask IAM whether it would permit each planned request on the bucket or table, and fail if not.
      - IAM simulates the policies of the user or role, its permissions boundary, and service control policies. What it
        cannot tell is a warning, and no failure. See C(docs/permissions.md).
      - Needs C(iam:SimulatePrincipalPolicy), and C(iam:GetRole) for a role that has a path.
    type: bool
    default: false
    version_added: 0.2.0
  confirm_name:
    description:
      - The name of the resource once more. Needed besides O(allow=delete_state), so that a deletion of state
        is never the work of a variable that leads elsewhere than one thinks.
    type: str
  wait_timeout:
    description:
      - How many seconds AWS gets to carry out what was written, and to stop answering that it is busy.
      - Then the task fails while AWS is still at work, and warns while AWS still reads back old settings.
        Either way, run it again later.
notes:
  - Everything is read before anything is written, and options are checked before that, in check mode too.
  - A setting that cannot be read counts as unknown, never as absent. The task then fails before its first write,
    and names the missing permission and the word for O(unmanaged).
  - An option that is not given never lowers a protection that is there. An option that lowers one needs O(allow).
  - Let one controller look after a backend, and one run at a time. AWS refuses changes of a bucket that come together,
    which is waited for, but two runs that want different things undo each other's work.
  - When AWS fails in the middle, the result says in RV(changes) what was done until then.
    Run it again to finish.
"""
