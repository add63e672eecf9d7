# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    """What the operator says of the Terraform code that a module reads."""

    DOCUMENTATION = r"""
options:
  code:
    description:
      - Directories of Terraform, OpenTofu or Terragrunt code, with its checkouts. C(docs/code.md) lists what is read.
      - A relative path is relative to the playbook, and in a playbook of this collection to the current folder.
    type: list
    elements: path
  code_known:
    description:
      - What the code in O(code) that cannot be read for certain is. C(docs/code.md) lists what is read.
      - It answers for unknown code only. What the code says for certain is never replaced.
      - The result repeats it, with the number of unknown backends that each entry was used for.
    type: list
    elements: dict
    suboptions:
      paths:
        description:
          - The files, or the folders that they are in, as a pattern. V(*) matches within a folder, V(**) across
            folders.
          - It is compared with the whole path, and with the path from the directory in O(code).
        type: str
        required: true
      backend:
        description:
          - V(none) if the code has no S3 backend.
          - Otherwise a dictionary with C(bucket), and C(key), C(region), C(dynamodb_table) and C(use_lockfile) where
            the clients have them. An argument that is omitted is not set.
        type: raw
        required: true
  code_backend_files:
    description:
      - Which files complete which partial backends (C(terraform init -backend-config=FILE)), as patterns of paths from
        the directory in O(code). V({layer}) stands for the folder of the backend block, any other name in braces for
        one part of a path. V({layer}/env/{name}.tfbackend) is an example.
      - Each combination of the other names is a client of its own. A pattern without other names completes all of them.
      - If omitted, files are taken that are in the folder of the block or below it, and files one folder away that
        are named after the folder or have no key.
    type: list
    elements: str
  code_exclude:
    description:
      - Files and folders that are not read, as patterns such as those of O(code_known[].paths).
      - Clients whose code is excluded are not seen. What is decided on the code is decided without them.
    type: list
    elements: str
  code_gitignore:
    description:
      - Skip what C(.gitignore) files exclude. This usually includes the records of initialised checkouts.
    type: bool
    default: false
"""
