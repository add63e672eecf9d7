# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sessions and clients of botocore in a fraction of the time: tests make thousands of them.

Each session registers 120 handlers. The name under which botocore keeps an event depends on nothing but the event, and
whether a function takes `**kwargs` is a flag of its code, for which botocore works out the whole signature. Each client
makes 100 methods that are alike for all clients of a service, and each request words its user agent anew.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

from botocore import client, hooks, useragent

_work_out_name = hooks.EventAliaser._alias_event_name
_work_out_signature = hooks.accepts_kwargs
_make_method = client.ClientCreator._create_api_method
_work_out_component = useragent.sanitize_user_agent_string_component
_names: dict[str, str] = {}
_methods: dict[tuple[str, str, str], Any] = {}


def _name(self: Any, event: str) -> str:
    if self._event_aliases is not hooks.EVENT_ALIASES:
        return str(_work_out_name(self, event))
    if event not in _names:
        _names[event] = _work_out_name(self, event)
    return _names[event]


def _copied(self: Any) -> Any:
    """With the same aliases: botocore copies those, too, though nobody changes them."""
    return self.__class__(copy.copy(self._emitter), self._event_aliases)


def _accepts_kwargs(function: Callable[..., Any]) -> bool:
    code = getattr(function, "__code__", None)
    return bool(code.co_flags & inspect.CO_VARKEYWORDS) if code else bool(_work_out_signature(function))


def _method(self: Any, name: str, operation: str, service_model: Any) -> Any:
    """It knows nothing of its client. The documentation that comes with it is read by nobody here."""
    key = (service_model.service_name, service_model.api_version, operation)
    if key not in _methods:
        _methods[key] = _make_method(self, name, operation, service_model)
    return _methods[key]


def register_fast() -> None:
    hooks.EventAliaser._alias_event_name = _name
    hooks.EventAliaser.__copy__ = _copied
    hooks.accepts_kwargs = _accepts_kwargs
    client.ClientCreator._create_api_method = _method
    useragent.sanitize_user_agent_string_component = cache(_work_out_component)
