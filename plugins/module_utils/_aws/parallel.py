# Copyright: cornerstone.tfstate contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Parallel work, with as many workers as a target has connections."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from .session import WORKERS

T = TypeVar("T")


def in_parallel(works: Sequence[Callable[[], T]]) -> list[T]:
    """The results, in order. Raises the first exception of any of them.

    The threads are daemons and start no further work after an exception, so that the timeout of a task ends the task.
    """
    if len(works) == 1:
        return [works[0]()]
    pool = _Pool(works)
    threads = [threading.Thread(target=pool.work, daemon=True) for _unused in range(min(WORKERS, len(works)))]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    except BaseException as error:
        pool.failures.append(error)
        raise
    return pool.results()


class _Pool(Generic[T]):
    """What the workers share."""

    def __init__(self, works: Sequence[Callable[[], T]]) -> None:
        self._works = works
        self._waiting = queue.SimpleQueue[int]()
        for place in range(len(works)):
            self._waiting.put(place)
        self._answers: dict[int, T] = {}
        self.failures: list[BaseException] = []

    def work(self) -> None:
        """One worker: until nothing is left to do, or any worker has failed."""
        while not self.failures:
            try:
                place = self._waiting.get_nowait()
            except queue.Empty:
                return
            try:
                self._answers[place] = self._works[place]()
            except BaseException as error:  # raised again in the thread of the caller
                self.failures.append(error)

    def results(self) -> list[T]:
        if self.failures:
            raise self.failures[0]
        return [self._answers[place] for place in range(len(self._works))]
