# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How long a tree of Terraform code takes to read, and how much memory: `python -m tests.benchmark.code_map`.

The tree is as large trees are: 12,000 files, of which 2,400 are layers, most with a partial backend.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
from pathlib import Path

FILES = 12_000
#: What is asked of 12,000 files.
LIMIT_CPU_S, LIMIT_MB = 3.0, 200.0

RESOURCES = "".join(
    f'resource "aws_lb_target_group" "backend_{number}" {{\n'
    f'  name     = "backend-{number}-${{var.environment}}"\n'
    "  port     = 8080\n"
    '  protocol = "HTTP"\n'
    "  health_check {\n"
    '    path    = "/health"\n'
    '    matcher = jsonencode({ codes = ["200", "204"] })\n'
    "  }\n"
    '  tags = merge(local.tags, { Name = "backend" }) # backend\n'
    "}\n\n"
    for number in range(12)
)
VARIABLES = "".join(
    f'variable "name_{number}" {{\n  type        = string\n  description = "The name of {number}."\n}}\n\n'
    for number in range(15)
)
VERSIONS = """terraform {
  required_version = ">= 1.10"
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}
"""
PARTIAL = 'terraform {\n  backend "s3" {}\n}\n'
READER = """data "terraform_remote_state" "x" {
  backend = "s3"
  config = {
    bucket = "state"
    key    = "x"
  }
}
"""


def written(root: Path, files: int) -> int:
    """How many files were written."""
    count = 0
    for layer in range(files // 5):
        folder = root / f"group-{layer % 40}" / f"layer-{layer}"
        folder.mkdir(parents=True)
        whole = f'    bucket = "state"\n    key = "{layer}"\n    region = "eu-west-1"\n    use_lockfile = true\n'
        backend = PARTIAL if layer % 4 else f'terraform {{\n  backend "s3" {{\n{whole}  }}\n}}\n'
        texts = {
            "main.tf": RESOURCES + (READER if layer % 10 == 0 else ""),
            "variables.tf": VARIABLES,
            "backend.tf": backend,
            "versions.tf": VERSIONS,
            ("dev.tfbackend" if layer % 3 == 0 else "README.md"): whole,
        }
        if layer % 50 == 0:
            texts["terragrunt.hcl"] = f'remote_state {{\n  backend = "s3"\n  config = {{\n{whole}  }}\n}}\n'
            command = f"terraform init -backend-config=key={layer} -backend-config=bucket=$(BUCKET)"
            texts["Makefile"] = f"init:\n\t{command}\n"
        for name, text in texts.items():
            (folder / name).write_text(text)
            count += 1
    return count


def measured(root: Path) -> dict[str, float]:
    """CPU seconds and megabytes of a process that does nothing but read the tree."""
    from ansible_collections.cornerstone.tfstate.plugins.module_utils._local.code_files import read_code

    before = resource.getrusage(resource.RUSAGE_SELF)
    code = read_code([str(root)])
    after = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "cpu_s": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2),
        "mb": round(after.ru_maxrss / 1024, 1),
        "layers": len(code.layers),
        "unknown": len(code.unknown()),
    }


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="code-map-") as home:
        count = written(Path(home), FILES)
        found = {"files": count, **measured(Path(home))}
    print(json.dumps(found))
    return int(found["cpu_s"] > LIMIT_CPU_S or found["mb"] > LIMIT_MB)


if __name__ == "__main__":
    sys.exit(main())
