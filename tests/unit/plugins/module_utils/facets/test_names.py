# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names that AWS would not take, though emulators do."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.cornerstone.tfstate.plugins.module_utils._bucket import BUCKET
from ansible_collections.cornerstone.tfstate.plugins.module_utils._table import TABLE

from tests.unit.plugins.module_utils.facets import given

REGIONAL = f"tf-state-{given.ACCOUNT}-{given.REGION}-an"


@pytest.mark.aws("1.9")
@pytest.mark.parametrize("name", ["abc", "tf.state-1", "a" * 63, "1.2.3.4.5", REGIONAL])
def test_a_bucket_may_be_called(name: str) -> None:
    assert not [*BUCKET.existence.problems({}, replace(given.BUCKET, name=name))]


@pytest.mark.aws("1.9", "8.3")
@pytest.mark.parametrize(
    "name",
    [
        *("ab", "a" * 64, "Tf-state", "tf_state", "-tf", "tf-", ".tf", "tf..state", "192.168.5.4", "", "tf state"),
        *("xn--tf", "sthree-tf", "amzn-s3-demo-tf"),
        *("tf-s3alias", "tf--ol-s3", "tf.mrap", "tf--x-s3", "tf--table-s3"),
        *("tf-an", f"tf-{given.ACCOUNT}-af-south-1-an", "tf-state\n"),
    ],
)
def test_no_bucket_is_called(name: str) -> None:
    (problem,) = {each.partition(",")[0] for each in BUCKET.existence.problems({}, replace(given.BUCKET, name=name))}
    assert problem.startswith(repr(name))


def test_a_name_of_the_account_regional_form_says_so_when_it_is_created() -> None:
    (create,) = BUCKET.existence.calls(replace(given.BUCKET, name=REGIONAL), None, {"region": given.REGION})
    assert create.params["BucketNamespace"] == "account-regional"


@pytest.mark.parametrize("name", ["tf_", "TF.Locks-1", "a" * 255])
def test_a_table_may_be_called(name: str) -> None:
    assert not [*TABLE.existence.problems({}, replace(given.TABLE, name=name))]


@pytest.mark.parametrize("name", ["tf", "a" * 256, "tf locks", "tf/locks", "", "tf-locks\n"])
def test_no_table_is_called(name: str) -> None:
    assert [*TABLE.existence.problems({}, replace(given.TABLE, name=name))]
