# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a refusal about a bucket policy advises is not refused then, whatever the statement is called."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
import yaml
from ansible_collections.cornerstone.tfstate.plugins.module_utils._engine.guard import ALLOW, Refused
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugins.module_utils.fake_aws import Bucket, FakeAws
from tests.unit.plugins.module_utils.starting_points import KINDS, NAME

KIND, ARN = KINDS["bucket"], f"arn:aws:s3:::{NAME}"
SIDS = [
    "Audit",
    "[x]",
    "a-b",
    "a_b",
    "a: b",
    "",
    None,
    " ",
    "null",
    "off",
    "12",
    "x" * 100,
    "{{ x }}",
    "\u00fc, b",
    "\x07",
]
#: One that a statement of the baseline takes, which is another refusal, and one that nothing of ours has.
TLS, OTHER = "CornerstoneTfstateRequireTls", "CornerstoneTfstateOther"
SIDS += [TLS, OTHER]
#: An option with its value, as messages give it.
OPTION = re.compile(r"\b([a-z_]+): (\[[^\]]*\]|true|false|none)")
WITH_VARIABLE = {"Sid": "Own", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}}
WITH_VARIABLE |= {"Action": "s3:GetObject", "Resource": f"{ARN}/${{aws:username}}/*"}


def statement(sid: str | None, effect: str, **more: Any) -> dict[str, Any]:
    body = {"Effect": effect, "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "s3:GetObject"}
    return {**({} if sid is None else {"Sid": sid}), **body, "Resource": f"{ARN}/*", **more}


def with_policy(version: str, *statements: dict[str, Any]) -> FakeAws:
    found = Bucket(versioning="Enabled", policy={"Version": version, "Statement": [*statements]})
    return KIND.world(copy.deepcopy(found))


def refused(aws: FakeAws, params: dict[str, Any]) -> str:
    with pytest.raises(Refused) as error:
        KIND.run(aws, params, True)
    return str(error.value)


def advised(message: str) -> dict[str, Any]:
    """The options that a message gives, as somebody copies them into a task."""
    found: dict[str, Any] = {}
    for name, text in OPTION.findall(message):
        value = yaml.safe_load(text)
        found[name] = [*found.get(name, []), *map(str, value)] if isinstance(value, list) else value
    return found


def check_dropping(aws: FakeAws, params: dict[str, Any]) -> None:
    message = refused(aws, params)
    options = advised(message)
    assert {*options["allow"]} <= {*ALLOW["bucket"]}
    (dropped,) = KIND.it(aws).policy["Statement"]
    assert "drop_statements" in options or dropped["Sid"] == TLS, message
    KIND.run(aws, {**params, **options})
    assert dropped not in KIND.it(aws).policy["Statement"]


cases = pytest.mark.parametrize(("sid", "effect"), [(sid, effect) for sid in SIDS for effect in ("Allow", "Deny")])


@cases
def test_a_statement_of_a_deleted_role_is_dropped_as_the_refusal_says(sid: str | None, effect: str) -> None:
    gone = statement(sid, effect, Principal={"AWS": ["AROAEXAMPLEEXAMPLE123"]})
    check_dropping(with_policy("2012-10-17", gone), {})


@cases
def test_a_statement_that_keeps_the_old_version_is_dropped_as_the_refusal_says(sid: str | None, effect: str) -> None:
    old = statement(sid, effect, Resource=f"{ARN}/${{aws:userid}}/*")
    check_dropping(with_policy("2008-10-17", old), {"policy_statements": [WITH_VARIABLE]})


@cases
def test_or_it_is_listed_too(sid: str | None, effect: str) -> None:
    old = statement(sid, effect, Resource=f"{ARN}/${{aws:userid}}/*")
    aws = with_policy("2008-10-17", {**old, "Sid": OTHER} if sid == TLS else old)
    assert "list that in policy_statements, too, with a Sid" in refused(aws, {"policy_statements": [WITH_VARIABLE]})
    listed = {**old, "Sid": "Listed"}
    KIND.run(aws, {"policy_statements": [WITH_VARIABLE, listed]})
    assert KIND.it(aws).policy["Version"] == "2012-10-17"


def test_acls_are_kept_as_the_refusal_says() -> None:
    grants = [{"Grantee": {"ID": "theirs", "Type": "CanonicalUser"}, "Permission": "READ"}]
    aws = KIND.world(Bucket(versioning="Enabled", ownership="ObjectWriter", grants=grants))
    message = refused(aws, {})
    assert advised(message) == {"allow": ["enable_acls"]}
    (kept,) = re.findall(r"object_ownership: (\w+)", message)
    KIND.run(aws, {"object_ownership": kept, "allow": ["enable_acls"]})
    assert KIND.it(aws).ownership == kept


@given(st.text(max_size=80))
def test_any_sid_is_named_so_that_it_is_dropped(sid: str) -> None:
    gone = statement(sid, "Allow", Principal={"AWS": ["AROAEXAMPLEEXAMPLE123"]})
    check_dropping(with_policy("2012-10-17", gone), {})
