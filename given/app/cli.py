"""The command `given`: the verbs of the library over files, and thin.

Results go to standard output, progress and remarks to standard error. Exit status: 0 done, 1 failed, 2 wrong usage, 130
interrupted. Nothing heavy is imported before a command needs it.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from given.app.parser import parser
from given.ways import in_shell

__all__ = ["main"]

_LISTING = ("families", "tasks", "completion")  # need no torch


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    top = parser()
    if not (sys.argv[1:] if arguments is None else arguments):
        top.print_help()
        return 2
    parsed = top.parse_args(arguments)
    try:
        commands = importlib.import_module(f"given.app.{'listing' if parsed.command in _LISTING else 'commands'}")
        with in_shell():
            return getattr(commands, parsed.command)(parsed) or 0
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
