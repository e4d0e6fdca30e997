"""The parser of the command that goes on from the ends of series."""

from __future__ import annotations

from typing import Any

from given.app.options import DATA, to_come

__all__ = ["forecast"]


def forecast(add: Any) -> None:
    """`given forecast`"""
    command = add("forecast", "what comes after the end of every series, as joint paths",
                  "given forecast load.given load.csv --time date --horizon 24 -n 200 -o paths.csv",
                  "given forecast sales.given sales.csv --by shop --time week --horizon 4 --interval 0.9 --chart next.svg",
                  model=True, data=DATA)
    to_come(command)
