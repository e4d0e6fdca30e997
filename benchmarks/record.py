"""RESULTS.md: what was measured, on what, from which commit; and the tables of docs/results.md made from it.

    python benchmarks/record.py    # writes the latest tables into docs/results.md, between their marks
"""

from __future__ import annotations

import datetime
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
Table = Sequence[Sequence[str]]


def append(name: str, tables: Mapping[str, Table | str], facts: Mapping[str, str]) -> None:
    """Add one run's tables, or what it printed, to RESULTS.md."""
    said = {"date": datetime.date.today().isoformat(), "commit": _commit(), "machine": _machine(), **facts}
    lines = [f"## {name}", "", "; ".join(f"{k} {v}" for k, v in said.items()), ""]
    for title, table in tables.items():
        said_so = ["```", *table.rstrip().splitlines(), "```"] if isinstance(table, str) else markdown(table)
        lines += [f"### {title}", "", *said_so, ""]
    path = ROOT / "RESULTS.md"
    before = path.read_text() if path.exists() else "# Results\n\nNewest last. One run a section, as its script wrote it.\n\n"
    path.write_text(before + "\n".join(lines) + "\n")


def markdown(table: Table) -> list[str]:
    """A table, its header first, as Markdown lines."""
    head, *rows = table
    return ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]


def bold_best(table: Table, column: int = 2) -> Table:
    """The first row of every block of one density in bold: blocks are sorted, best first."""
    out, last = [list(table[0])], None
    for row in table[1:]:
        first, last = row[1] != last, row[1]
        out.append([cell if not first or i != column else f"**{cell}**" for i, cell in enumerate(row)])
    return out


def latest(name: str, title: str) -> str:
    """The newest table of a run's name and a title, with the line that says where it comes from."""
    sections = re.split(r"(?m)^## ", (ROOT / "RESULTS.md").read_text())[1:]
    mine = [s for s in sections if s.splitlines()[0] == name]
    if not mine:
        raise SystemExit(f"RESULTS.md has no run of {name}; run benchmarks/{name}.py")
    said = mine[-1].splitlines()[2]
    table = re.search(rf"(?ms)^### {re.escape(title)}\n\n(```.*?```|.*?)\n\n", mine[-1] + "\n\n")
    if table is None:
        raise SystemExit(f"RESULTS.md: the run of {name} has no table {title}")
    words = name.split("_")  # one script may record several tables apart, by longer names than its own
    names = ["_".join(words[:n]) for n in range(len(words), 0, -1)]
    script = next(each for each in names if (ROOT / "benchmarks" / f"{each}.py").exists())
    return f"{table[1]}\n\n*benchmarks/{script}.py: {said}.*"


def fill(text: str) -> str:
    """A page with every `<!-- results NAME TITLE -->` ... `<!-- end -->` filled with that table."""
    return re.sub(r"(?s)(<!-- results (\S+) (\S+) -->\n)(?:(?!<!-- ).)*(<!-- end -->)",
                  lambda m: f"{m[1]}{latest(m[2], m[3])}\n{m[4]}", text)


def _commit() -> str:
    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=True).stdout.strip()

    changed = git("status", "--porcelain", "given", "benchmarks")
    return git("rev-parse", "--short", "HEAD") + (" with changes" if changed else "")


def _machine() -> str:
    info = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*:\s*(.+)", info.read_text()) if info.exists() else []
    return f"{names[0] if names else platform.processor()}, {len(names) or '?'} cores, Python {platform.python_version()}"


if __name__ == "__main__":
    page = ROOT / "docs" / "results.md"
    page.write_text(fill(page.read_text()))
