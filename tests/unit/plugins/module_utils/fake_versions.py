# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fake backend with all that a backup, a restore and a teardown need: metadata, paginators, batches of deletions.

`returning` and `changing` are replies for its relay that give values as botocore does, where the relay in front of an
emulator would give XML.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.integration.backups import World
from tests.integration.moves import Place
from tests.support.http_relay import Answer, Body
from tests.support.relay import Call, Proceed, Reply
from tests.unit.plugins.module_utils.fake_backend import Content, FakeBackend, FakeClient, FakeRelay, Reached

CONTENT = ("ContentType", "CacheControl", "ContentEncoding", "ContentLanguage", "ContentDisposition", "Metadata")
PAGED = {"list_object_versions", "list_tables"}


def world_in(home: Path, patch: pytest.MonkeyPatch) -> World:
    """A backend in memory, in which the helpers of the integration tests work as with an emulator."""
    fake = FakeVersions()
    fake.use_for(patch)
    return World(fake.relay, Place(fake, "eu-west-1"), home)


def returning(value: Mapping[str, Any]) -> Reply:
    """Answers with this value; the fake never receives the call."""
    return lambda _call, _proceed: Reached(200, {}, Body(()), {**value, "ResponseMetadata": {"HTTPHeaders": {}}})


def changing(change: Callable[[Any], Any]) -> Reply:
    """Answers with what `change` makes of the value of the fake."""

    def reply(_call: Call, proceed: Proceed) -> Answer:
        answer = proceed()
        if not isinstance(answer, Reached):
            return answer
        return Reached(answer.status, answer.headers, answer.body, change(copy.deepcopy(answer.value)))

    return reply


class VersionsRelay(FakeRelay):
    def send(self, client: Any, call: Any) -> Any:
        body = call.params.get("Body")
        if hasattr(body, "read"):  # a file, which is read once here, for rules and fake
            call = replace(call, params={**call.params, "Body": body.read()})
        return super().send(client, call)


def reversed_body(value: Any) -> Any:
    """As many bytes as S3 returned, in another order."""
    return {**value, "Body": Content(bytes(reversed(value["Body"])))}


@dataclass
class FakeVersions(FakeBackend):
    def __post_init__(self) -> None:
        super().__post_init__()
        self.relay = VersionsRelay(self)

    def client(self, service: str, region: str = "us-east-1") -> Any:
        return PagedClient(self, service, region)

    def _s3_list_buckets(self, _params: Any) -> Any:
        return {"Buckets": [{"Name": name} for name in self.buckets]}

    def _s3_delete_public_access_block(self, params: Any) -> None:
        self._bucket(params).public_access = None

    def _s3_put_object(self, params: Any) -> Any:
        answer = super()._s3_put_object(params)
        kept = {name: params[name] for name in CONTENT if name in params}
        self._bucket(params).objects[0].update(kept)
        return answer

    def _s3_get_object(self, params: Any) -> Any:
        return {**super()._s3_get_object(params), **self._content(params, "NoSuchKey")}

    def _s3_head_object(self, params: Any) -> Any:
        return {**super()._s3_head_object(params), **self._content(params, "404")}

    def _content(self, params: Any, code: str) -> dict[str, Any]:
        found = self._found(params, code)
        tags = {"TagCount": len(found["Tags"])} if found["Tags"] else {}
        return {**{name: found[name] for name in CONTENT if name in found}, **tags}

    def _s3_delete_object(self, params: Any) -> Any:
        super()._s3_delete_object(params)
        is_marker = "VersionId" not in params and self._bucket(params).versioning == "Enabled"
        return {"VersionId": self._bucket(params).objects[0]["VersionId"], "DeleteMarker": True} if is_marker else {}

    def _s3_delete_objects(self, params: Any) -> None:
        bucket, objects = self._bucket(params), params["Delete"]["Objects"]
        for each in objects:
            if "VersionId" not in each:
                self._add({**params, "Key": each["Key"]}, Marker=True, Size=0, Body=b"", Tags={})
        named = [each for each in objects if "VersionId" in each]
        if named:
            super()._s3_delete_objects({**params, "Delete": {"Objects": named}})
        for key in {each["Key"] for each in named}:
            self._mark_latest(bucket, key)


class PagedClient(FakeClient):
    def get_paginator(self, operation: str) -> Any:
        assert operation in PAGED
        call = getattr(self, operation)
        return SimpleNamespace(
            paginate=lambda **params: SimpleNamespace(build_full_result=lambda: call(**params)),
        )
