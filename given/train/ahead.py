"""Ahead: what an iterator makes, made in a thread while the caller works on what was made before.

Order and values are those without a thread: they depend on the iterator alone. An error is raised where its item would have
come. When the caller leaves, at a budget's end or by an interruption, the iterator is closed and the thread has ended.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

__all__ = ["ahead"]

_MOST = 3  # items that wait to be taken
T = TypeVar("T")


@contextmanager
def ahead(items: Generator[T]) -> Iterator[Iterator[T]]:
    """Up to three items ahead of the caller, inside a `with`."""
    made: queue.Queue[list[T] | BaseException] = queue.Queue(_MOST)
    left = threading.Event()

    def work() -> None:
        try:
            for item in items:
                made.put([item])
                if left.is_set():
                    break
            items.close()
            made.put([])
        except BaseException as error:
            made.put(error)

    def taken() -> Iterator[T]:
        while found := made.get():
            if isinstance(found, BaseException):
                raise found
            yield found.pop()

    thread = threading.Thread(target=work, name="given: reading ahead", daemon=True)
    thread.start()
    try:
        yield taken()
    finally:
        left.set()
        while thread.is_alive():  # it may be about to hand over what nobody takes
            with suppress(queue.Empty):
                made.get_nowait()
            thread.join(0.01)
