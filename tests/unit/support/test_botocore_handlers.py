# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sessions and clients are made fast as they would be by botocore itself."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import botocore.session
import pytest
from botocore import handlers, hooks, useragent

from tests.support import botocore_handlers
from tests.support.botocore_handlers import register_fast

EVENTS = sorted({each[0] for each in handlers.BUILTIN_HANDLERS})


class Callable:
    def __call__(self, **kwargs: Any) -> None:
        pass

    def without(self, name: str) -> None:
        pass


def test_it_is_on() -> None:
    register_fast()
    assert hooks.accepts_kwargs is botocore_handlers._accepts_kwargs
    assert hooks.EventAliaser._alias_event_name is botocore_handlers._name


@pytest.mark.parametrize("event", [*EVENTS, "a.b", "before-sign.s3.PutObject", "creating-client-class.iot-data"])
def test_an_event_has_the_same_name(event: str) -> None:
    emitter = hooks.HierarchicalEmitter()
    for _twice in range(2):
        expected = botocore_handlers._work_out_name(hooks.EventAliaser(emitter), event)
        assert hooks.EventAliaser(emitter)._alias_event_name(event) == expected


def test_other_aliases_are_worked_out() -> None:
    aliaser = hooks.EventAliaser(hooks.HierarchicalEmitter(), event_aliases={"a": "b"})
    assert aliaser._alias_event_name("x.a") == "x.b"


def test_of_every_handler_it_is_known_whether_it_takes_keywords() -> None:
    ours = (Callable(), Callable().__call__, Callable().without, partial(Callable().__call__))
    for handler in (*(each[1] for each in handlers.BUILTIN_HANDLERS), *ours):
        assert botocore_handlers._accepts_kwargs(handler) == bool(botocore_handlers._work_out_signature(handler))


def test_a_copy_has_handlers_of_its_own_and_names_events_alike() -> None:
    original = hooks.EventAliaser(hooks.HierarchicalEmitter(), event_aliases={"a": "b"})
    copied = copy.copy(original)
    copied.register("x.a", Callable())
    assert copied._alias_event_name("x.a") == "x.b"
    assert [len(each.emit("x.b")) for each in (original, copied)] == [0, 1]


def test_clients_share_the_methods_of_their_service_alone() -> None:
    session = botocore.session.Session()
    s3, other_s3, sts = (session.create_client(name, region_name="eu-west-1") for name in ("s3", "s3", "sts"))
    assert type(s3).get_object is type(other_s3).get_object
    assert type(s3).get_object.__name__ == "get_object" and not hasattr(sts, "get_object")
    assert [set(vars(type(each))) for each in (s3, other_s3)] == [set(vars(type(s3)))] * 2


@pytest.mark.parametrize("allow_hash", [True, False])
def test_a_user_agent_is_worded_alike(allow_hash: bool) -> None:
    text = "Boto/3 #1 (x)"
    worded = useragent.sanitize_user_agent_string_component(raw_str=text, allow_hash=allow_hash)
    assert worded == botocore_handlers._work_out_component(text, allow_hash)
