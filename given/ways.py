"""Ways out: what a message offers, in the words of who asked, a person in Python or one at the command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["in_shell", "way", "where"]

_SHELL = ContextVar("whether the command line asks", default=False)


@contextmanager
def in_shell() -> Iterator[None]:
    """Inside, messages are for who typed a command."""
    token = _SHELL.set(True)
    try:
        yield
    finally:
        _SHELL.reset(token)


def way(python: str, shell: str) -> str:
    """One way out, as it is written in Python or as it is typed in a shell.

    >>> way("pass held_out=0", "pass --held-out 0")
    'pass held_out=0'
    >>> with in_shell():
    ...     way("pass held_out=0", "pass --held-out 0")
    'pass --held-out 0'
    """
    return shell if _SHELL.get() else python


def where(name: str, sign: str, *values: str) -> str:
    r"""What is known of a column as it is typed in a shell, quoted so that backticks reach the command.

    >>> where("age", ">", "30")
    '--where "age > 30"'
    >>> where("home town", "in", "Rome", "Oslo, NO")
    '--where \'`home town` in {Rome, "Oslo, NO"}\''
    """
    outer, inner = ('"', "'") if name.isidentifier() else ("'", '"')
    cells = ", ".join(inner + v.replace(inner, inner * 2) + inner if set(v) & set(",{}<>=`\"'") else v for v in values)
    said = f"{{{cells}}}" if sign == "in" else cells
    return f"--where {outer}{name if name.isidentifier() else f'`{name}`'} {sign} {said}{outer}"
