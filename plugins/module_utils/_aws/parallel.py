# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Work side by side, over as many lanes as a target has connections."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from .session import LANES

T = TypeVar("T")


def side_by_side(works: Sequence[Callable[[], T]]) -> list[T]:
    """What these return, in order; the first exception of one becomes ours.

    The threads are daemons and take no further work once we are left, so that a task's timeout ends the task.
    """
    if len(works) == 1:
        return [works[0]()]
    waiting = queue.SimpleQueue[int]()
    for place in range(len(works)):
        waiting.put(place)
    answers: dict[int, T] = {}
    failures: list[BaseException] = []

    def lane() -> None:
        while not failures:
            try:
                place = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                answers[place] = works[place]()
            except BaseException as error:  # carried over to the caller's thread
                failures.append(error)

    threads = [threading.Thread(target=lane, daemon=True) for _unused in range(min(LANES, len(works)))]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    except BaseException as error:
        failures.append(error)
        raise
    if failures:
        raise failures[0]
    return [answers[place] for place in range(len(works))]
