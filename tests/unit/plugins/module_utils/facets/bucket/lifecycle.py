# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from tests.unit.plugins.module_utils.facets.given import UNKNOWN, s3

OURS = "cornerstone.tfstate"
BASELINE = {
    "Status": "Enabled",
    "Filter": {},
    "NoncurrentVersionExpiration": {"NoncurrentDays": 90, "NewerNoncurrentVersions": 20},
    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    "Expiration": {"ExpiredObjectDeleteMarker": True},
}
ABORT = {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}
FOREIGN = {"Status": "Enabled", "Filter": {"Prefix": "logs/"}, **ABORT}
A, B = {"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}


def response(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"Rules": [{"Status": "Enabled", **ABORT, **rule} for rule in rules]}


def normal(where: dict[str, Any]) -> dict[str, Any]:
    return {"x": {"Status": "Enabled", **ABORT, "Filter": where}}


def days(noncurrent: int, **more: Any) -> dict[str, Any]:
    return {"Status": "Enabled", "Filter": {}, "NoncurrentVersionExpiration": {"NoncurrentDays": noncurrent}, **more}


def put(*rules: dict[str, Any]) -> Any:
    return [s3("put_bucket_lifecycle_configuration", LifecycleConfiguration={"Rules": [*rules]})]


READS = {
    "an empty filter": (response({"ID": "x", "Filter": {}}), normal({})),
    "an empty prefix is an empty filter": (response({"ID": "x", "Filter": {"Prefix": ""}}), normal({})),
    "an empty prefix of the old form is one, too": (response({"ID": "x", "Prefix": ""}), normal({})),
    "a prefix of the old form is a filter": (response({"ID": "x", "Prefix": "a/"}), normal({"Prefix": "a/"})),
    "one tag": (response({"ID": "x", "Filter": {"Tag": A}}), normal({"Tags": [A]})),
    "And of one is no And": (response({"ID": "x", "Filter": {"And": {"Tags": [A]}}}), normal({"Tags": [A]})),
    "And is flat, and its tags have an order": (
        response({"ID": "x", "Filter": {"And": {"Prefix": "a/", "Tags": [B, A]}}}),
        normal({"Prefix": "a/", "Tags": [A, B]}),
    ),
    "a size of zero is a filter": (
        response({"ID": "x", "Filter": {"ObjectSizeGreaterThan": 0}}),
        normal({"ObjectSizeGreaterThan": 0}),
    ),
    "rules have no order": (
        response({"ID": "x", "Filter": {}}, {"ID": "y", "Filter": {}}),
        {name: rule for name in ("y", "x") for rule in normal({}).values()},
    ),
    "emulators leave IDs out": (response({"Filter": {}}), {"unnamed-0": normal({})["x"]}),
    "dates are text": (
        {
            "Rules": [
                {
                    "ID": "x",
                    "Status": "Enabled",
                    "Filter": {},
                    "Transitions": [{"Date": datetime(2030, 1, 1, tzinfo=timezone.utc)}],
                }
            ]
        },
        {"x": {"Status": "Enabled", "Filter": {}, "Transitions": [{"Date": "2030-01-01T00:00:00+00:00"}]}},
    ),
}
DESIRES = {
    "an adopted bucket keeps what it has": ({}, {}, {}),
    "an adopted bucket keeps foreign rules": ({}, {"logs": FOREIGN}, {"logs": FOREIGN}),
    "a rule of ours that somebody narrowed stays as narrow": (
        {},
        {OURS: {**BASELINE, "Filter": {"Prefix": "a/"}}},
        {OURS: {**BASELINE, "Filter": {"Prefix": "a/"}}},
    ),
    "one option asked leaves the others of the rule alone": (
        {"newer_noncurrent_versions": 5},
        {OURS: days(30)},
        {OURS: {**days(30), "NoncurrentVersionExpiration": {"NoncurrentDays": 30, "NewerNoncurrentVersions": 5}}},
    ),
    "foreign rules stay beside ours": (
        {"noncurrent_version_expiration_days": 30},
        {"logs": FOREIGN},
        {"logs": FOREIGN, OURS: days(30)},
    ),
    "a rule of others goes back to what is asked, and the others stay": (
        {"lifecycle_rules": {"keep": {"Status": "Enabled", "Filter": {"Prefix": ""}, **ABORT}}},
        {"keep": days(1), "logs": FOREIGN},
        {"keep": normal({})["x"], "logs": FOREIGN},
    ),
    "zero switches off": (
        {"noncurrent_version_expiration_days": 0},
        {OURS: BASELINE},
        {OURS: {name: value for name, value in BASELINE.items() if name != "NoncurrentVersionExpiration"}},
    ),
    "a rule that does nothing goes": ({"noncurrent_version_expiration_days": 0}, {OURS: days(30)}, {}),
    "a rule that somebody switched off is none": (
        {"noncurrent_version_expiration_days": 30},
        {OURS: {**BASELINE, "Status": "Disabled"}},
        {OURS: days(30)},
    ),
}
DESIRES_WHEN_FRESH = {
    "the baseline": ({}, {}, {OURS: BASELINE}),
    "what is asked wins over the baseline": (
        {"noncurrent_version_expiration_days": 0, "expired_object_delete_marker": False},
        {},
        {OURS: {"Status": "Enabled", "Filter": {}, **ABORT}},
    ),
}
CALLS = {
    "the last rule gone, all is deleted": ({OURS: BASELINE}, {}, [s3("delete_bucket_lifecycle")]),
    "every rule is sent, in order, with ID and filter": (
        {},
        {"z": FOREIGN, OURS: BASELINE},
        put({**BASELINE, "ID": OURS, "Filter": {"Prefix": ""}}, {**FOREIGN, "ID": "z"}),
    ),
    "one tag stands alone": ({}, normal({"Tags": [A]}), put({**normal({})["x"], "ID": "x", "Filter": {"Tag": A}})),
    "two tags need And": (
        {},
        normal({"Tags": [A, B]}),
        put({**normal({})["x"], "ID": "x", "Filter": {"And": {"Tags": [A, B]}}}),
    ),
    "a prefix and a size need And": (
        {},
        normal({"Prefix": "a/", "ObjectSizeGreaterThan": 0}),
        put({**normal({})["x"], "ID": "x", "Filter": {"And": {"Prefix": "a/", "ObjectSizeGreaterThan": 0}}}),
    ),
}
PROBLEMS = {
    "zero is off": ({"noncurrent_version_expiration_days": 0}, None),
    "time runs forward": ({"noncurrent_version_expiration_days": -1}, "must lie between 0 (off) and 36500"),
    "our own rule has options": ({"lifecycle_rules": {OURS: BASELINE}}, "belongs to options of its own"),
    "a rule is a dictionary": ({"lifecycle_rules": {"x": "y"}}, "as AWS writes a rule"),
    "AWS keeps no more than 100": ({"newer_noncurrent_versions": 101}, "between 0 (off) and 100"),
}
#: What a later S3 may answer.
LATER_READ = {"Rules": [{"ID": "x", "Status": "Waning", "Filter": {"MoonPhase": 1}, **UNKNOWN}]}
