"""Ahead: what an iterator makes, made in a thread while the caller works on what was made before, where making it is slow.

Order and values are those without a thread: they depend on the iterator alone. An error is raised where its item would have
come. When the caller leaves, at a budget's end or by an interruption, the iterator is closed and the thread has ended. What is
made fast is made without one: Python runs one of two threads at a time, and handing over costs more than rows of a small table.
"""

from __future__ import annotations

import contextvars
import queue
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

__all__ = ["ahead"]

_MOST = 3  # items that wait to be taken
_TRIED = 4  # items made without a thread, to see how long they take
_SLOW = 4e-3  # seconds an item
T = TypeVar("T")


@contextmanager
def ahead(items: Generator[T], slow: float = _SLOW) -> Iterator[Iterator[T]]:
    """Up to three items ahead of the caller, inside a `with`, where one takes `slow` seconds or more to make."""
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

    thread = threading.Thread(target=contextvars.copy_context().run, args=(work,), name="given: reading ahead", daemon=True)

    def taken() -> Iterator[T]:
        times = list[float]()
        while len(times) < _TRIED:
            began = time.perf_counter()
            for item in items:
                times.append(time.perf_counter() - began)
                yield item
                break
            else:
                return
        if sorted(times)[_TRIED // 2] < slow:  # the first may be slow by itself
            yield from items
            return
        thread.start()
        while found := made.get():
            if isinstance(found, BaseException):
                raise found
            yield found.pop()

    try:
        yield taken()
    finally:
        left.set()
        while thread.is_alive():  # it may be about to hand over what nobody takes
            with suppress(queue.Empty):
                made.get_nowait()
            thread.join(0.01)
        items.close()
