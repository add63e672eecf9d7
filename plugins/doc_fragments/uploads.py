# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    """The encryption that uploads ask for."""

    DOCUMENTATION = r"""
options:
  encryption:
    description:
      - What the upload of a lock file asks for, as C(encrypt) and C(kms_key_id) of a C(backend) block do.
        A bucket whose policy demands that needs it.
      - If omitted, the bucket's default is used.
    type: str
    choices: [AES256, "aws:kms", "aws:kms:dsse"]
  kms_key_id:
    description:
      - The KMS key, best as ARN, for the O(encryption) with KMS.
    type: str
"""
