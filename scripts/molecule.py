# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run Molecule scenarios against an emulator that lives as long as they do, in a home that is thrown away.

usage: molecule.py [SCENARIO ...]
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCENARIOS = ROOT / "extensions" / "molecule"

sys.path.insert(0, str(ROOT))

from tests.support.clean_environment import without_aws  # noqa: E402
from tests.support.emulators import MINISTACK, RunningEmulator, running  # noqa: E402

LEFT_OUT = ("ANSIBLE_", "MOLECULE_")


def main() -> int:
    known = sorted(file.parent.name for file in SCENARIOS.glob("*/molecule.yml"))
    names = sys.argv[1:] or known
    if not known or set(names) - set(known):
        raise SystemExit(f"usage: molecule.py [SCENARIO ...]; the scenarios are: {', '.join(known) or 'none'}")
    with running(MINISTACK) as emulator, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        selected = [word for name in names for word in ("--scenario-name", name)]
        code = subprocess.run(
            [Path(sys.executable).with_name("molecule"), "test", *selected],
            cwd=ROOT,
            env=environment(emulator.url, Path(home)),
            stdin=subprocess.DEVNULL,
            check=False,
        ).returncode
        idle = [name for name in names if not made_something(emulator, name)]
    if idle and not code:
        raise SystemExit(f"These scenarios made no bucket, so they did not run: {', '.join(idle)}")
    return code


def environment(endpoint: str, home: Path) -> dict[str, str]:
    """Molecule keeps its state below the home, where two checkouts would find each other's."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(LEFT_OUT)}
    return without_aws(inherited, home) | {
        "TFSTATE_MOLECULE_ENDPOINT": endpoint,
        "ANSIBLE_HOME": str(home / ".ansible"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        # Before every other place where an older copy of the collection may lie.
        "ANSIBLE_COLLECTIONS_PATH": sysconfig.get_path("purelib"),
        # Molecule calls Ansible by name.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
    }


def made_something(emulator: RunningEmulator, scenario: str) -> bool:
    buckets = emulator.client("s3").list_buckets()["Buckets"]
    return any(bucket["Name"].startswith(f"{scenario}-") for bucket in buckets)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        raise SystemExit(130) from None
