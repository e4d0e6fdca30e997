"""Metadata: the files of a folder that are rows, and what is known of each, as in folders of Hugging Face's `datasets`."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from given.sources.columns import Columns
from given.sources.delimited_text import DelimitedText
from given.sources.folder import CONVERT, OTHER_SOUNDS, classes
from given.sources.jsonl import JsonLines
from given.sources.stream import File
from given.variables import UserError
from given.ways import way

__all__ = ["members"]


def members(folder: str, rows: Sequence[str], rest: Sequence[str], what: str,
            skip_bad: bool) -> tuple[list[str], Columns | None, list[str]]:
    """What of a folder is a row each, the columns that say more of them, and what is left out: with metadata.csv or .jsonl,
    whose column `file_name` says which file a row is about; or in sub-folders, their classes, the column `label`; or alone.

    Args:
        folder: whose files they are.
        rows: paths of files, or of folders, that may be rows.
        rest: of other files in it.
        what: a row is, "image", "sound" or "video".
        skip_bad: leave bad files and rows out.

    Raises:
        UserError: a file without metadata or the reverse, one of another kind, or a table that cannot be read.
    """
    tables = [path for path in rest if os.path.relpath(path, folder) in ("metadata.csv", "metadata.jsonl")]
    other = [f"{path}: is a sound in a format that is not read; {CONVERT}" if what == "sound"
             and os.path.splitext(path)[1].lower() in OTHER_SOUNDS else f"{path}: is no {what}; move it elsewhere"
             for path in rest if path not in tables]
    if len(tables) > 1:
        raise UserError(f"{folder}: has both metadata.csv and metadata.jsonl; keep one")
    columns, lost, skipped = None, list[str](), list[str]()
    if tables:
        table = (DelimitedText if tables[0].endswith(".csv") else JsonLines)([File.at(tables[0])], skip_bad=skip_bad).held()
        if "file_name" not in table:
            raise UserError(f"{tables[0]}: no column file_name; there are {', '.join(table.names)}")
        named = [os.path.normpath(os.path.join(folder, str(name))) for name in table["file_name"]]
        known = set(rows)
        there = np.array([path in known for path in named])
        lost = [f"{tables[0]}: no {what} {name} in the folder; add it" for name in table["file_name"][~there]]
        other += [f"{path}: is not in {tables[0]}; add a row" for path in sorted(known - {*named})]
        about = {name: values[there] for name, values in table.items() if name != "file_name"}
        columns = Columns(about, dtypes=table.dtypes) if about else None
        rows = [path for path, found in zip(named, there, strict=True) if found]
        skipped = list(table.skipped)
    elif rows:
        labels = classes(folder, rows)
        columns = Columns({"label": np.array(labels)}) if labels else None
    if (bad := [*lost, *other]) and not skip_bad:
        raise UserError(f"{bad[0]}, or leave it out with {way('skip_bad=True', '--skip-bad')}")
    return list(rows), columns, [*skipped, *bad]
