#!/usr/bin/python
# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import TABLE
from ansible_collections.cornerstone.tfstate.plugins.module_utils._module import edge_of, run_module


def main() -> None:
    run_module(edge_of(TABLE))


if __name__ == "__main__":
    main()
