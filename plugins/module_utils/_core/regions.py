# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Partitions of AWS: worlds with credentials, names and endpoints of their own."""

from __future__ import annotations

from typing import NamedTuple


class Partition(NamedTuple):
    """What its ARNs say, and a region of it that cannot be switched off."""

    name: str
    home: str


#: First part of a region -> its partition.
PARTITIONS = {
    "cn-": Partition("aws-cn", "cn-north-1"),
    "us-gov-": Partition("aws-us-gov", "us-gov-west-1"),
    "us-iso-": Partition("aws-iso", "us-iso-east-1"),
    "us-isob-": Partition("aws-iso-b", "us-isob-east-1"),
    "eu-isoe-": Partition("aws-iso-e", "eu-isoe-west-1"),
    "us-isof-": Partition("aws-iso-f", "us-isof-south-1"),
    "eusc-": Partition("aws-eusc", "eusc-de-east-1"),
    "": Partition("aws", "us-east-1"),
}


def partition_of(region: str) -> Partition:
    return next(known for prefix, known in PARTITIONS.items() if region.startswith(prefix))
