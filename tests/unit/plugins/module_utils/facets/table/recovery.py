# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from typing import Any

from tests.unit.plugins.module_utils.facets.given import dynamodb

OFF = {"enabled": False, "period_days": None}


def on(days: int) -> dict[str, Any]:
    return {"enabled": True, "period_days": days}


def described(**recovery: Any) -> dict[str, Any]:
    everywhere = {"ContinuousBackupsStatus": "ENABLED"}
    return {"ContinuousBackupsDescription": {**everywhere, "PointInTimeRecoveryDescription": recovery}}


def update(**specification: Any) -> Any:
    return [dynamodb("update_continuous_backups", PointInTimeRecoverySpecification=specification)]


READS = {
    "backups are enabled on every table": (described(PointInTimeRecoveryStatus="DISABLED"), OFF),
    "an emulator leaves the period out": (described(PointInTimeRecoveryStatus="ENABLED"), on(35)),
    "a period": (described(PointInTimeRecoveryStatus="ENABLED", RecoveryPeriodInDays=7), on(7)),
    "nothing said is off": ({"ContinuousBackupsDescription": {"ContinuousBackupsStatus": "ENABLED"}}, OFF),
}
DESIRES = {
    "the baseline is 35 days": ({}, OFF, on(35)),
    "a shorter period that somebody chose stays": ({}, on(7), on(7)),
    "days as asked": ({"recovery_period_days": 14}, on(7), on(14)),
    "off if asked": ({"point_in_time_recovery": False}, on(7), OFF),
}
CALLS = {
    "the longest period is the default": (OFF, on(35), update(PointInTimeRecoveryEnabled=True)),
    "another has to be said": (OFF, on(7), update(PointInTimeRecoveryEnabled=True, RecoveryPeriodInDays=7)),
    "off": (on(7), OFF, update(PointInTimeRecoveryEnabled=False)),
}
PROBLEMS = {
    "AWS keeps no more than 35": ({"recovery_period_days": 36}, "between 1 and 35"),
    "days of nothing": ({"recovery_period_days": 7, "point_in_time_recovery": False}, "needs point_in_time_recovery"),
}
