"""The command `given`: the verbs of the library over files, and thin.

Results go to standard output, progress and remarks to standard error. Exit status: 0 done, 1 failed, 2 wrong usage, 130
interrupted. Nothing heavy is imported before a command needs it.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from given.app.commands import command
from given.app.parser import parser
from given.ways import in_shell

__all__ = ["main"]

@contextmanager
def _loading() -> Iterator[None]:
    """Within, modules load, whose objects stay: looking through them for garbage takes a fifth of the time."""
    first = gc.isenabled() and "torch" not in sys.modules
    if first:
        gc.disable()
    try:
        yield
    finally:
        if first:
            gc.freeze()
            gc.enable()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    top = parser()
    if not (sys.argv[1:] if arguments is None else arguments):
        top.print_help()
        return 2
    parsed = top.parse_args(arguments)
    try:
        with _loading():
            run = command(parsed.command)
        with in_shell():
            return run(parsed) or 0
    except KeyboardInterrupt:
        print("given: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"given: {error.filename or 'file'}: {error.strerror or error}", file=sys.stderr)
        return 1
    except ValueError as error:
        from given.variables import UserError

        if not isinstance(error, UserError):
            raise
        print(f"given: {error}", file=sys.stderr)
        return 1
