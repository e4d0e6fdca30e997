"""What `given demo` prints, for docs/results.md, and its pictures, for the README; about two minutes. Appends to RESULTS.md.

    python benchmarks/demo.py
"""

from __future__ import annotations

import contextlib
import io
import shutil
import sys

from record import ROOT, append

from given.app.demo import demo


class Heard(io.StringIO):
    """Keeps what is printed, and prints it."""

    def write(self, text: str) -> int:
        print(text, end="", file=sys.__stdout__, flush=True)
        return super().write(text)


if __name__ == "__main__":
    heard = Heard()
    with contextlib.redirect_stdout(heard), contextlib.chdir(ROOT):
        demo("demo")
    for name in ("samples", "completions", "unusual"):
        shutil.copy(ROOT / "demo" / f"{name}.png", ROOT / "docs" / "pictures" / f"{name}.png")
    append("demo", {"output": heard.getvalue()}, {"threads": "1"})
