# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Handlers are registered fast as they would be by botocore itself."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from botocore import handlers, hooks

from tests.support import botocore_handlers
from tests.support.botocore_handlers import register_fast

EVENTS = sorted({each[0] for each in handlers.BUILTIN_HANDLERS})


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


class Callable:
    def __call__(self, **kwargs: Any) -> None:
        pass

    def without(self, name: str) -> None:
        pass


def test_of_every_handler_it_is_known_whether_it_takes_keywords() -> None:
    ours = (Callable(), Callable().__call__, Callable().without, partial(Callable().__call__))
    for handler in (*(each[1] for each in handlers.BUILTIN_HANDLERS), *ours):
        assert botocore_handlers._accepts_kwargs(handler) == bool(botocore_handlers._work_out_signature(handler))
