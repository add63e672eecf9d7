# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Draws wall time against the number of backends. Needs matplotlib: runs in the venv of requirements-bench.txt.

usage: plot.py PNG < {"title": ..., "lines": {"who": [[backends, seconds], ...]}}
"""

from __future__ import annotations

import json
import sys
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.ticker import FuncFormatter

STYLES: dict[str, dict[str, Any]] = {
    "ours": {"color": "#c0392b", "linewidth": 2.5, "marker": "o", "zorder": 3},
    "ours subprocess": {"color": "#e59866", "marker": "o"},
    "upstream": {"color": "#2e4053", "marker": "s"},
    "upstream modules": {"color": "#85929e", "marker": "s", "linestyle": ":"},
    "cli": {"color": "#2874a6", "marker": "^"},
    "sequential": {"color": "#1e8449", "marker": "v"},
    "floor": {"color": "black", "linestyle": "--", "marker": "."},
}
LABELS = {
    "ours": "cornerstone.tfstate",
    "ours subprocess": "the same as subprocesses",
    "upstream": "amazon.aws, community.aws, AWS CLI",
    "upstream modules": "their modules alone (less work)",
    "cli": "AWS CLI script",
    "sequential": "sequential boto3 script",
    "floor": "floor: one process, botocore",
}


def main(target: str) -> None:
    asked = json.load(sys.stdin)
    figure, axes = pyplot.subplots(figsize=(8, 5), dpi=110, layout="constrained")
    for who, points in asked["lines"].items():
        axes.plot(*zip(*points, strict=True), label=LABELS[who], **STYLES[who])
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    for axis, scale in ((axes.xaxis, axes.set_xscale), (axes.yaxis, axes.set_yscale)):
        scale("log")
        axis.set_major_formatter(plain)
        axis.set_minor_formatter("")
    sizes = sorted({size for points in asked["lines"].values() for size, _unused in points})
    axes.set_xticks(sizes)
    axes.set(xlabel="backends", ylabel="wall time, s", title=asked["title"])
    axes.grid(alpha=0.3)
    axes.legend(fontsize=9)
    figure.savefig(target)


if __name__ == "__main__":
    main(sys.argv[1])
