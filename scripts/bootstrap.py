# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run bootstrap.yml over the demo inventory, and say how to go on.

usage: bootstrap.py [options of ansible-playbook]
"""

from __future__ import annotations

import locale
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

HOW_TO_GO_ON = """
Terraform   .state/backends/<region>/ holds the backend files for each region: copy backend.tf into a project, and run
            AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test terraform init
Once more   make bootstrap, or one region: make bootstrap LIMIT=us-east-1
Real AWS    write your names into inventories/example/hosts.yml and look first:
            .venv/bin/ansible-playbook bootstrap.yml -i inventories/example -l us-east-1 --check --diff
            then the same without --check; credentials are found as the AWS CLI finds them
Stop        make stop keeps the emulator's store, make clean removes all that was made here"""

HOW_TO_MEND = """
bootstrap.yml failed (exit code {code}): fix what is named above, then run the same command again.
What was done stays done. The emulator goes on running; its log is .state/emulator/emulator.log"""


def main() -> int:
    command = [sys.executable, "-m", "ansible", "playbook", "bootstrap.yml", "-i", "inventories/demo", *sys.argv[1:]]
    code = subprocess.run(command, cwd=ROOT, env=environment(), check=False).returncode
    subprocess.run([sys.executable, "scripts/emulator.py", "save"], cwd=ROOT, check=False)
    print(HOW_TO_MEND.format(code=code) if code else HOW_TO_GO_ON)
    return code


def environment() -> dict[str, str]:
    own = {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        # Before ~/.ansible, where an older copy of the collection may lie.
        "ANSIBLE_COLLECTIONS_PATH": sysconfig.get_path("purelib"),
        # The demo talks to this machine only.
        "NO_PROXY": "*",
        "no_proxy": "*",
    }
    return os.environ | own | ({} if locale_is_utf8() else {"LC_ALL": "C.UTF-8"})


def locale_is_utf8() -> bool:
    """Ansible refuses to start where it is not, or where the locale was never generated."""
    try:
        locale.setlocale(locale.LC_ALL, "")
        return (locale.getlocale()[1] or "").lower() in ("utf-8", "utf8")
    except (locale.Error, ValueError):
        return False


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        raise SystemExit(130) from None
