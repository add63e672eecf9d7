# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A backend that is saved, taken away and brought back: what the tasks are told, and what it really is."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from tests.integration.module_runs import Task, through_core
from tests.integration.moves import DEV, KEY, SECRET, Place, md5, state
from tests.support.relay import Relay, then

#: A version of an object by its bytes; None for a delete marker.
Body = bytes | None
GOING = {"allow": ["delete_state", "disable_deletion_protection"]}
SID = "CornerstoneTfstateTearDown"


@dataclass
class World:
    relay: Relay
    place: Place
    home: Path

    @property
    def backup(self) -> Path:
        return self.home / "backup"

    def at(self, place: Place) -> World:
        return replace(self, place=place)

    def task(self, module: str, check_mode: bool = False, diff: bool = False, **params: Any) -> Task:
        given = {
            "endpoint_url": self.relay.url,
            "access_key": "test",
            "secret_key": "no-secret-at-all",
            "region": self.place.region,
            "bucket": self.place.bucket,
            "table": self.place.table,
            "backup": str(self.backup),
            **(GOING | {"confirm_name": self.place.bucket} if module == "tf_backend_teardown" else {}),
            **params,
        }
        kept = {name: value for name, value in given.items() if value is not None}
        return Task(module, kept, check_mode, diff)

    def run(self, module: str, **params: Any) -> dict[str, Any]:
        self.relay.calls.clear()
        (result,) = through_core([self.task(module, **params)])
        assert SECRET not in json.dumps(result, default=str)
        return result

    def done(self, module: str, **params: Any) -> dict[str, Any]:
        result = self.run(module, **params)
        assert not result.get("failed"), result["msg"]
        return result

    def refused(self, module: str, *reasons: str, **params: Any) -> None:
        """In check mode and without, in the same words, and nothing was written."""
        said = []
        for check_mode in (True, False):
            result = self.run(module, check_mode=check_mode, **params)
            assert result.get("failed") and not result["changed"], result
            assert self.writes == []
            said.append(re.sub(r", for [0-9smhdw ]+(?=[,;)])", "", result["msg"]))  # the age of a lock goes on
        assert said[0] == said[1]
        assert [reason for reason in reasons if reason not in said[0]] == [], said[0]

    def unchanged(self, module: str, **params: Any) -> None:
        result = self.done(module, **params)
        assert (result["changed"], self.writes) == (False, [])

    @property
    def writes(self) -> list[str]:
        return [call.name for call in self.relay.writes]

    # As everybody else sees it.

    def fill(self) -> None:
        """Two workspaces with a past, one of them deleted, a lock that was held and released, and a foreign file."""
        self.place.put(state(1))
        self.place.put(state(2))
        self.place.put(state(7), DEV)
        self.place.s3.delete_object(Bucket=self.place.bucket, Key=DEV)
        self.place.dynamodb.delete_item(
            TableName=self.place.table, Key={"LockID": {"S": f"{self.place.bucket}/{DEV}-md5"}}
        )
        self.place.s3.put_object(Bucket=self.place.bucket, Key=f"{KEY}.tflock", Body=b"{}")
        self.place.s3.delete_object(Bucket=self.place.bucket, Key=f"{KEY}.tflock")
        about = {"Metadata": {"by": "hand"}, "Tagging": "team=a%20b", "ContentType": "text/markdown"}
        self.place.s3.put_object(Bucket=self.place.bucket, Key="README.md", Body=b"# hello", **about)

    def histories(self) -> dict[str, list[Body]]:
        """The versions and markers of each key, oldest first; without what locks left behind."""
        return {key: bodies for key, bodies in self.everything().items() if not key.endswith(".tflock")}

    def everything(self) -> dict[str, list[Body]]:
        if not self.exists:
            return {}
        pages = self.place.s3.get_paginator("list_object_versions").paginate(Bucket=self.place.bucket)
        listed = pages.build_full_result()
        keys = sorted({each["Key"] for each in [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]})
        return {key: self._history(key, listed) for key in keys}

    def _history(self, key: str, listed: Any) -> list[Body]:
        """Of the same second, what was deleted had been written before, and the latest comes last."""
        found = [(each, self._read(each)) for each in reversed(listed.get("Versions", [])) if each["Key"] == key]
        found += [(each, None) for each in reversed(listed.get("DeleteMarkers", [])) if each["Key"] == key]
        return [body for _each, body in sorted(found, key=lambda row: (row[0]["IsLatest"], row[0]["LastModified"]))]

    def _read(self, each: Any) -> bytes:
        named = {"Bucket": self.place.bucket, "Key": each["Key"], "VersionId": each["VersionId"]}
        body: bytes = self.place.s3.get_object(**named)["Body"].read()
        return body

    def current(self, key: str = KEY) -> Body:
        try:
            body: bytes = self.place.s3.get_object(Bucket=self.place.bucket, Key=key)["Body"].read()
        except ClientError:
            return None
        return body

    def saved(self) -> dict[str, list[Body]]:
        """What the backup holds, if it is whole; every body hashed."""
        if not (self.backup / "backup.json").exists():
            return {}
        found: dict[str, list[Body]] = {}
        for each in json.loads((self.backup / "backup.json").read_text())["versions"]:
            body = None
            if "sha256" in each:
                body = (self.backup / "objects" / each["sha256"]).read_bytes()
                assert hashlib.sha256(body).hexdigest() == each["sha256"]
            found.setdefault(each["key"], []).append(body)
        return found

    @property
    def exists(self) -> bool:
        return self.place.bucket in [each["Name"] for each in self.place.s3.list_buckets()["Buckets"]]

    @property
    def has_table(self) -> bool:
        pages = self.place.dynamodb.get_paginator("list_tables").paginate()
        return self.place.table in pages.build_full_result()["TableNames"]

    def items(self) -> list[Any]:
        found = self.place.dynamodb.scan(TableName=self.place.table)["Items"] if self.has_table else []
        return sorted(found, key=lambda item: item["LockID"]["S"])

    @property
    def is_closed(self) -> bool:
        try:
            return SID in self.place.s3.get_bucket_policy(Bucket=self.place.bucket)["Policy"]
        except ClientError:
            return False

    def has_lock_file(self, key: str = KEY) -> bool:
        try:
            self.place.s3.head_object(Bucket=self.place.bucket, Key=f"{key}.tflock")
        except ClientError:
            return False
        return True

    def has_lock_item(self, key: str = KEY) -> bool:
        return f"{self.place.bucket}/{key}" in [item["LockID"]["S"] for item in self.items()]


def while_listing(world: World, deed: Callable[[], object]) -> None:
    world.relay.on("Scan", reply=then(lambda _call: deed()))


def overtaken_by_another(world: World, **there: Any) -> None:
    """Which is a teardown, say: what it saved is gone from the bucket when the other one looks again."""
    world.place.s3.put_object(Bucket=world.place.bucket, Key="late", Body=state(9))
    (result,) = through_core([world.task("tf_backend_backup", **there)])
    assert not result.get("failed"), result
    for version, _body in world.place.versions("late"):
        world.place.s3.delete_object(Bucket=world.place.bucket, Key="late", VersionId=version)


def saved(source: World) -> World:
    source.fill()
    source.done("tf_backend_backup")
    return source.at(Place(source.place.emulator, "us-east-1"))


def wanted(world: World) -> dict[str, Any]:
    return {key: bodies for key, bodies in world.saved().items() if not key.endswith(".tflock")}


def is_as_saved(world: World) -> None:
    assert world.histories() == wanted(world)
    assert world.place.digest() == md5(state(2)) and world.place.digest(DEV) is None
    assert world.place.locks() == [] and world.place.locks(DEV) == []


def fresh(template: World, k: int) -> World:
    world = World(template.relay, Place(template.place.emulator, "eu-west-1"), template.home / str(k))
    world.place.put(state(1))
    world.place.put(state(2))
    world.place.s3.put_object(Bucket=world.place.bucket, Key="README.md", Body=b"# hello")
    return world
