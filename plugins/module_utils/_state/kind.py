# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an object of a state bucket is: for all modules, so that none moves or locks what another leaves alone.

A state is what a client takes for one. What may be a damaged state is never called something else.
"""

from __future__ import annotations

from enum import Enum

from .._terraform.protocol import DEFAULT_WORKSPACE
from .._terraform.scope import Scope
from .._terraform.state_document import Document, UnreadableState

#: Every object with this suffix is taken for a state.
NAMED = ".tfstate"


class Kind(Enum):
    STATE = "a state"
    ENCRYPTED = "a state that OpenTofu encrypted"
    #: Certainly something else.
    OTHER = "not a state"
    #: No client takes it, and it may be a state: it is empty, damaged, or of a newer client.
    UNREADABLE = "a state that cannot be read"
    #: It was not read, or is too large.
    UNKNOWN = "unknown"


def kind_of(parsed: Document | UnreadableState | None, is_known: bool) -> Kind:
    """`is_known`: whether its name, a lock, a digest or code says that it is a state."""
    if isinstance(parsed, Document):
        return Kind.ENCRYPTED if parsed.is_encrypted else Kind.STATE
    if parsed is None or parsed.is_unjudged:
        return Kind.UNKNOWN
    return Kind.OTHER if parsed.is_other and not is_known else Kind.UNREADABLE


def is_named_as_state(scope: Scope, path: str) -> bool:
    """Whether the name is that of a state: by its suffix, or as it is that of a workspace."""
    return path.endswith(NAMED) or scope.split(path)[1] != DEFAULT_WORKSPACE
