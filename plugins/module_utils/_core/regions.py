# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Partitions of AWS: worlds with credentials, names and endpoints of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

#: The words of the names of AWS's regions: eu-west-1, us-gov-east-1.
AREAS = ("af", "ap", "ca", "cn", "eu", "il", "me", "mx", "sa", "us")
DIRECTIONS = ("central", "east", "north", "northeast", "northwest", "south", "southeast", "southwest", "west")

#: The regions of AWS in November 2026. Source: partitions.json of botocore 1.43
REGIONS = (
    *("af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1"),
    *("ap-south-2", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5"),
    *("ap-southeast-6", "ap-southeast-7", "ca-central-1", "ca-west-1", "eu-central-1", "eu-central-2", "eu-north-1"),
    *("eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3", "il-central-1", "me-central-1", "me-south-1"),
    *("mx-central-1", "sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2"),
    *("cn-north-1", "cn-northwest-1", "eusc-de-east-1", "us-gov-east-1", "us-gov-west-1"),
    *("us-iso-east-1", "us-iso-west-1", "us-isob-east-1", "us-isob-west-1", "eu-isoe-west-1", "us-isof-east-1"),
    "us-isof-south-1",
)


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


def meant_region(region: str) -> str | None:
    """The region of AWS that is meant, if a word of it has letters in another order, or one too many or too few.

    Another letter is no mistake: other stores have regions such as us-test-1.
    """
    area, *middle, number = region.split("-") if "-" in region else [region, ""]
    if not middle or not number.isdecimal():
        return None
    *zone, direction = middle
    meant_area, meant_direction = _meant(area, AREAS, swapped_only=True), _meant(direction, DIRECTIONS)
    meant = "-".join((meant_area or area, *zone, meant_direction or direction, number))
    is_of_aws = (meant_area or area) in AREAS and (meant_direction or direction) in DIRECTIONS
    return meant if is_of_aws and meant != region else None


def _meant(word: str, words: Sequence[str], swapped_only: bool = False) -> str | None:
    """The one of these words that differs from `word` by letters that were swapped, left out or doubled."""
    if word in words:
        return None
    swapped = [each for each in words if sorted(each) == sorted(word)]
    others = [] if swapped_only else [each for each in words if _is_one_less(each, word) or _is_one_less(word, each)]
    return next(iter([*swapped, *others]), None)


def _is_one_less(shorter: str, longer: str) -> bool:
    """Whether a letter of `longer` can be taken away to get `shorter`."""
    return any(longer[:place] + longer[place + 1 :] == shorter for place in range(len(longer)))
