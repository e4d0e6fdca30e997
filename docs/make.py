"""Fill command-line.md with what every command's --help prints: python docs/make.py"""

import os
from pathlib import Path

os.environ["COLUMNS"] = "100"

from given.app.parser import parser

PAGE = Path(__file__).parent / "command-line.md"


def made() -> str:
    """The page."""
    top = parser()
    commands = next(a for a in top._actions if hasattr(a, "choices") and isinstance(a.choices, dict)).choices
    parts = ["# The command line\n\nWhat every command prints with `--help`. Results go to standard output, progress and "
             "remarks to standard\nerror; exit status 0 is done, 1 failed, 2 wrong usage, 130 interrupted.\n"]
    for name, command in (("given", top), *((f"given {name}", command) for name, command in commands.items())):
        parts.append(f"## {name}\n\n```\n{command.format_help().rstrip()}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(made())
