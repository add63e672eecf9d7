# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sessions of botocore in a seventh of the time: each registers 120 handlers, and tests make thousands of sessions.

The name under which botocore keeps an event depends on nothing but the event, and whether a function takes `**kwargs`
is a flag of its code, for which botocore works out the whole signature.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from botocore import hooks

_work_out_name = hooks.EventAliaser._alias_event_name
_work_out_signature = hooks.accepts_kwargs
_names: dict[str, str] = {}


def _name(self: Any, event: str) -> str:
    if self._event_aliases is not hooks.EVENT_ALIASES:
        return str(_work_out_name(self, event))
    if event not in _names:
        _names[event] = _work_out_name(self, event)
    return _names[event]


def _accepts_kwargs(function: Callable[..., Any]) -> bool:
    code = getattr(function, "__code__", None)
    return bool(code.co_flags & inspect.CO_VARKEYWORDS) if code else bool(_work_out_signature(function))


def register_fast() -> None:
    hooks.EventAliaser._alias_event_name = _name
    hooks.accepts_kwargs = _accepts_kwargs
