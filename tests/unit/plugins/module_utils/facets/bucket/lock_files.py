# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

READS = {
    "nothing": ({}, []),
    "a lock file is a lock": ({"Contents": [{"Key": "k"}, {"Key": "k.tflock"}]}, ["k.tflock"]),
}
DESIRES = {"only the end of the bucket ends it": ({}, ["k.tflock"], ["k.tflock"])}
CALLS = {"it goes with the contents": (["k.tflock"], [], [])}
