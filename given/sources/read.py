"""read: anything a person calls data, as columns."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, overload

import numpy as np

from given.sources.arrays import frame, npy, npz, understood
from given.sources.chains import STRUCTURES, structures
from given.sources.columns import Columns, Source, joined
from given.sources.crops import Crops, crop_of, cropped
from given.sources.databases import DATABASES
from given.sources.delimited_text import DelimitedText
from given.sources.episodes import apart
from given.sources.folder import CONVERT, IMAGES, OTHER_SOUNDS, SOUNDS, classes, parted, tree
from given.sources.images import Images, in_folder
from given.sources.jsonl import JsonLines
from given.sources.kinds import ragged
from given.sources.learned import Learned
from given.sources.long import gathered
from given.sources.odd import without_odd
from given.sources.parquet import Parquet
from given.sources.recognised import recognised
from given.sources.samples import SAMPLES
from given.sources.smiles import Smiles
from given.sources.sounds import Sounds, sounds_in_folder
from given.sources.stream import File, Stream, standard_input
from given.sources.text import Texts
from given.sources.video_files import VIDEOS
from given.sources.videos import Videos
from given.sources.videos import in_folder as in_folder_of_videos
from given.variables import UserError, shown
from given.ways import way

__all__ = ["read"]

_ENDINGS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".npy": "npy", ".npz": "npz", ".parquet": "parquet",
            ".smi": "smiles", ".tab": "tsv", ".tsv": "tsv", ".txt": "text", **dict.fromkeys(sorted(STRUCTURES), "structure"),
            **dict.fromkeys(sorted(VIDEOS), "video"), **dict.fromkeys(sorted(IMAGES), "images"),
            **dict.fromkeys(sorted(SOUNDS), "sound")}
_LONG = ("by", "time")
_CUT = ("crop", "flip")
_TABLE = (*_LONG, "delimiter", "header", "decimal", "dayfirst", "skip_bad")
_OPTIONS = {"csv": _TABLE, "tsv": _TABLE, "jsonl": (*_LONG, "decimal", "dayfirst", "skip_bad"),
            "parquet": (*_LONG, "decimal", "dayfirst"), "text": ("by", "skip_bad"), "smiles": ("skip_bad",),
            "structure": ("skip_bad",), "images": ("size", "skip_bad", *_CUT), "sound": ("skip_bad",),
            "video": ("size", "frames", "skip_bad"), "npz": (*_LONG, *_CUT), "npy": (*_LONG, *_CUT)}
_WITH_CELLS = ("csv", "tsv", "jsonl", "parquet")
_LINKED = partial(way, "given.LinkedTables.read", "given fit, given sample and given score alone")
_MEDIA: dict[str, Callable[..., Stream]] = {"images": Images, "sound": Sounds, "video": Videos}  # a file a row
_FOLDERS: dict[str, Callable[..., Stream]] = {"images": in_folder, "sound": sounds_in_folder, "video": in_folder_of_videos}
_FIRST = {b"PAR1": "parquet", b"PK\3\4": "npz", b"\x93NUM": "npy"}  # how files begin


@dataclass(frozen=True)
class _Options:
    format: str | None = None
    delimiter: str | None = None
    header: bool | Sequence[str] | None = None
    decimal: str | None = None
    dayfirst: bool | None = None
    by: str | None = None
    time: str | bool | None = None
    size: tuple[int, int] | int | None = None
    frames: int | None = None
    crop: Any = None
    flip: bool = False
    skip_bad: bool = False
    learned: Mapping[str, Learned] | None = None

    def __post_init__(self) -> None:
        if self.crop is not None:
            object.__setattr__(self, "crop", crop_of(self.crop))

    def of(self, format: str, name: str) -> dict[str, Any]:
        """Those that were passed, all of which this format must have."""
        if format not in _OPTIONS:
            raise UserError(f"format={format!r}; expected {', '.join(_OPTIONS)}")
        known = {"learned": self.learned} if self.learned and format in _WITH_CELLS else {}
        passed = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in ("format", "learned")}
        passed = {key: value for key, value in passed.items()
                  if value is not None and (key, value) not in (("flip", False), ("skip_bad", False))
                  and not (key == "time" and isinstance(value, bool) and key not in _OPTIONS[format])}
        stray = [key for key in passed if key not in _OPTIONS[format] and key != "skip_bad"]
        if stray:
            raise UserError(f"{name}: {stray[0]}= says nothing about {format}; leave it out")
        if format == "images" and self.learned:
            passed = {"crop": _crop_of(self.learned)[1], **passed}
        return {key: value for key, value in passed.items() if key in _OPTIONS[format]} | known


def _crop_of(learned: Mapping[str, Learned] | None) -> tuple[str, tuple[int, int] | None]:
    """The column of pictures that a model learned crops of, and their height and width; none where it did not."""
    return next(((name, each.crop) for name, each in (learned or {}).items() if each.crop is not None), ("", None))


@overload
def read(source: Any, /, *, format: str | None = None, delimiter: str | None = None,
         header: bool | Sequence[str] | None = None, decimal: str | None = None, dayfirst: bool | None = None,
         by: str | None = None, time: str | bool | None = None, size: tuple[int, int] | int | None = None,
         frames: int | None = None, crop: int | tuple[int, int] | None = None, flip: bool = False,
         skip_bad: bool = False, learned: Mapping[str, Learned] | None = None) -> Source: ...


@overload
def read(**columns: Any) -> Columns: ...


def read(source: Any = None, /, **options: Any) -> Source:
    """Data as named columns: in memory (`Columns`) up to 64 MB, else read from disk in every pass, with the same values.

    Args:
        source: a path, "-" (standard input), a glob ("data/*.csv": the rows of all its files, which must have the same
            columns), the name of a sample (digits, breast_cancer, wine, diabetes, shakespeare, scenes), a mapping, a pandas or
            polars frame, or a `Source`, which is passed through; draws become a row each. None: columns by keyword.
            Files: .csv, .tsv, .jsonl, .parquet (needs pyarrow), .npz, .npy, .txt, .smi, .pdb and .cif (need biotite), images,
            sounds (.wav; .flac and .ogg need soundfile), video. Folders: of images, as they are, in a sub-folder a class
            (columns image, label), or with metadata.csv or .jsonl and its column file_name; of sounds (column sound) and of
            video likewise; of texts, likewise without metadata; of structures.
        format: csv, tsv, jsonl, parquet, text, smiles, structure, images, sound, video, npz or npy, where the ending does not
            say it.
        delimiter: of a table; by default that of `, tab ; |` by which its first rows agree.
        header: True, False (columns are called column_1, ...) or the columns' names; by default told from the first rows.
        decimal: mark of the numbers of a table or frame, "." or ",", where its cells may have either.
        dayfirst: whether 1/2/2020 of a table or frame is in February, where its cells may be either.
        by: of text: a row is a "file" (the default), a "line" or a "paragraph". Of a table, a frame or a `Source` with a row a
            moment: the column that names the item. One row an item comes back, with an array each of what differs within an
            item, ordered by time, and single values of what does not. They are held in memory.
        time: the column of numbers, dates or times that such rows are ordered by; without `by` all rows are one item. "year,
            quarter" are the parts of one, of year, quarter, month, day and hour. Times that are evenly spaced in every item are
            left out, but for the first of each where items begin at different times; where at most a third of them are missing
            the rows of these are holes. True: the columns that are recognised, if any: times that rise by one step for 30 rows
            an item or more, beside numbers. False: rows are rows.
        size: height and width that images are resampled to; by default they must all have one size, or be cut to a crop. Of
            video also one number, the pixels along the longer side at most, in proportion.
        frames: of a row of video, in files (.gif; .mp4, .avi, .mov, .mkv and .webm need imageio-ffmpeg) or in a folder
            whose sub-folders hold the frames of a clip each; by default, and with format="video", a row is a clip.
        crop: height and width, or one number for both, of crops of pictures of any size: a row a crop, as many as fit side by
            side, 64 a picture at most. In every epoch `fit` draws others; held-out rows are crops of other pictures, at fixed
            places. Also of a column of pictures of 8 bits in .npz, .npy or a mapping.
        flip: whether every other crop, or picture, is mirrored left to right by chance in every epoch.
        skip_bad: leave bad rows and files out, of tables in memory also rows of a few words among numbers or of numbers without
            end, where no model has learned what they mean; `skipped` of what is returned says which and why.
        learned: column -> how its cells were read where a model learned them, as `Model.cells` has it: they are read alike.

    Types are decided over all rows: whole numbers int64, reals float64, booleans, text; a missing cell (empty, NA, N/A, NaN,
    null, None) is NaN, or None among text and booleans. Whole numbers that int64, or float64 beside missing ones, cannot hold
    stay text, and `described()` says so, with format, delimiter, header and rows. Numbers and times as people write them
    (1,234.5, 1.234,5, $5, 12%, 31/12/2020, 6:30 PM, ISO times with a zone) are read where all cells of a column may be written
    in one way, which `described()` names: numbers as numbers, times as ISO text, in UTC where they have a zone; so they are
    drawn, and written with a Z. Where two ways remain the column stays text, and a model asks which.

    Raises:
        UserError: what is wrong, with file, line and column.

    >>> read(age=[30, 40], city=["Rome", "Oslo"])
    Columns(2; age: int64, city: <U4)
    """
    if source is None and options:
        return understood(Columns(options))
    if stray := [name for name in options if name not in _Options.__dataclass_fields__]:
        raise UserError(f"read: expected a source or columns by keyword, got both ({stray[0]}=); options of a source are "
                        f"{', '.join(_Options.__dataclass_fields__)}")
    if isinstance(source, str | os.PathLike):
        name = os.fspath(source)
        if not isinstance(name, str) or not name:
            raise UserError(f"read: expected a path, got {'an empty name' if isinstance(name, str) else name}")
        try:
            return _path(name, _Options(**options))
        except OSError as error:
            raise UserError(f"{error.filename or name}: cannot be read ({error.strerror or error})") from None
        except ValueError as error:
            if isinstance(error, UserError):
                raise
            raise UserError(f"read: {name!r} is no path ({error})") from None
    spelling: dict[str, Any] = {name: options.pop(name) for name in ("decimal", "dayfirst", "learned") if name in options}
    if isinstance(source, np.ndarray) and ("crop" in options or options.get("flip")):
        source = {"image": source}
    if isinstance(source, Mapping):
        source = apart(source) if not isinstance(source, Source) else source
        source = _cut(source, options, spelling.get("learned"))
    if isinstance(source, Source):
        options |= {name: value for name, value in spelling.items() if name != "learned"}
    long = {name: options.pop(name) for name in _LONG if name in options}
    if options:
        raise UserError(f"read: {next(iter(options))}= is for files; got {type(source).__name__}")
    if isinstance(source, Columns):
        flat = understood(source.flat(), **spelling) if spelling.get("learned") else source.flat()
        flat.clock = source.clock
        return _items(flat, **long, learned=spelling.get("learned"))
    if isinstance(source, Source):
        return _items(source, **long, learned=spelling.get("learned"))
    if isinstance(source, Mapping):
        return _items(understood(Columns(source), **spelling), **long, learned=spelling.get("learned"))
    if type(source).__module__.split(".")[0] in ("pandas", "polars") and type(source).__name__ == "DataFrame":
        return _items(understood(frame(source), **spelling), **long, learned=spelling.get("learned"))
    raise UserError(f"read: expected a path, a mapping, a frame or columns by keyword, got {type(source).__name__}")


def _cut(columns: Mapping[str, Any], options: dict[str, Any], learned: Mapping[str, Learned] | None, name: str = "") -> Any:
    """The same columns, or crops of their pictures where `options`, or a model that learned crops, ask for them."""
    crop, flip = options.pop("crop", None), options.pop("flip", False)
    if (crop is not None or flip) and options:
        raise UserError(f"read: {next(iter(options))}= says nothing about pictures; leave it out")
    column, known = _crop_of(learned)
    if crop is not None or flip:
        return cropped(columns, None if crop is None else crop_of(crop), flip, name)
    if known is None or column not in columns or np.shape(columns[column])[1:3] == known:
        return columns
    return cropped(columns, known, False, name)


def _items(rows: Source, by: str | None = None, time: str | bool | None = None,
           learned: Mapping[str, Learned] | None = None) -> Source:
    """The items of a long table, in memory; the rows as they are where nothing is asked for, by name or by who learned."""
    known = {kind: [name for name, each in (learned or {}).items() if each.along == kind]
             for kind in ("item", "time", "calendar", "series")}
    if by is None and time is None and known["time"] and _single(rows) and {*known["time"], *known["item"]} <= {*rows.names}:
        by, time = next(iter(known["item"]), None), ", ".join(known["time"])
    if time is True:
        found = recognised(dict(rows if isinstance(rows, Columns) else next(rows.runs())), by) if _single(rows) else None
        by, time = found if found is not None else (by, None)
    if by is not None or time:
        rows = _gathered(rows, by, time or None, known["series"])
    return rows.with_calendar(known["calendar"]) if isinstance(rows, Columns) else rows


def _single(rows: Source) -> bool:
    """Whether rows are of single values."""
    first = next(iter(rows.batches(1)), None) if isinstance(rows, Columns | Stream) else None
    return first is not None and all(values.ndim == 1 and not ragged(values) for values in first.values())


def _gathered(rows: Source, by: str | None, time: str | None, series: Sequence[str]) -> Columns:
    for name in (by, time):
        if name is not None and not isinstance(name, str):
            raise UserError(f"read: expected the name of a column as by= and time=, got {shown(name)}")
    about = rows.dtypes.get(time or "")
    if isinstance(about, dict) and "doubt" in about:
        raise UserError(f"{time}: {about['doubt']}")
    held = rows if isinstance(rows, Columns) else joined(list(rows.batches(1 << 16)))
    columns, clock = gathered(held, by, time, series)
    kept = {name: dtype for name, dtype in rows.dtypes.items() if name in columns and (not ragged(columns[name]) or (
        isinstance(dtype, dict) and "doubt" in dtype))}
    found = Columns(columns, dtypes=kept if by is None else kept | {by: "index"})
    facts = [rows.described(), "one item" if by is None else f"{found.n:,} items by {by}", *[clock.note] * bool(clock.note)]
    found.about, found.skipped, found.clock, found.kinds = ", ".join(facts), rows.skipped, clock, rows.kinds
    return found


def _path(name: str, options: _Options) -> Source:
    if name == "-":
        return _files([standard_input()], options)
    try:
        folder = stat.S_ISDIR(os.stat(name).st_mode)
    except FileNotFoundError:
        if os.path.islink(name):
            raise UserError(f"{name}: a symbolic link that leads to nothing") from None
    else:
        return _folder(name, options) if folder else _files([File.at(name)], options)
    if glob.has_magic(name):
        paths = sorted(glob.glob(name, recursive=True))
        if not paths:
            raise UserError(f"{name}: no file matches")
        above = os.path.commonpath([os.path.dirname(path) for path in paths]) if len(paths) > 1 else os.path.dirname(paths[0])
        return _files([File.at(path) for path in paths], options, above)
    if name in SAMPLES:
        options = replace(options, learned=None, time=None if isinstance(options.time, bool) else options.time)
        if name != "shakespeare" and options != _Options():
            raise UserError(f"read: {name} is a sample and takes no options")
        return SAMPLES[name](**(options.of("text", name) if name == "shakespeare" else {}))
    raise UserError(f"{name}: no such file, and no sample of this name; samples are {', '.join(SAMPLES)}")


def _folder(folder: str, options: _Options) -> Source:
    paths = tree(folder)
    endings = {os.path.splitext(path)[1].lower() for path in paths}
    films = options.frames is not None or (endings & VIDEOS and not endings & IMAGES)
    found = next((format for format, here in (("video", films), ("images", endings & IMAGES), ("sound", endings & SOUNDS),
                                              ("text", ".txt" in endings), ("structure", endings & STRUCTURES)) if here), None)
    if (options.format or found) == "structure":
        return structures([File.at(path) for path in parted(paths, STRUCTURES)[0]], **options.of("structure", folder))
    format = options.format or found
    if format not in _FOLDERS and format != "text":
        what = f"holds {', '.join(sorted(endings))[:80]}" if paths else "is an empty folder"
        code = way("given.tasks.code.read", "--task code")
        out = f'; read its files by a glob such as "data/*.csv", source code by {code}' if paths else ""
        out = f"{out}, tables that refer to one another by {_LINKED()}" if ".csv" in endings else out
        out = f", sounds in a format that is not read; {CONVERT}" if endings & OTHER_SOUNDS else out
        raise UserError(f"{folder}: {what}{out if endings & OTHER_SOUNDS else f'; expected images, sounds or .txt{out}'}")
    passed = options.of(format, folder)
    if format in _FOLDERS:
        return _FOLDERS[format](folder, paths, **{**passed, "skip_bad": options.skip_bad}).kept()
    stray = [path for path in paths if not path.lower().endswith(".txt")] if options.format is None else []
    if stray and not options.skip_bad:
        raise UserError(f"{stray[0]}: is no .txt; move it elsewhere, or leave it out with "
                        f"{way('skip_bad=True', '--skip-bad')}")
    texts = [path for path in paths if path not in stray]
    source = Texts([File.at(path) for path in texts], labels=classes(folder, texts), **passed)
    source.skipped[:0] = [f"{path}: is no .txt" for path in stray]
    return source.kept()


def _files(files: list[File], options: _Options, above: str = "") -> Source:
    """Files of one format."""
    gif = "video" if options.frames is not None else None
    formats = [options.format or (gif if file.path.lower().endswith(".gif") else None) or _format(file) for file in files]
    if len(set(formats)) > 1:
        odd = next(i for i, format in enumerate(formats) if format != formats[0])
        raise UserError(f"{files[odd].name}: is {formats[odd]}, {files[0].name} is {formats[0]}; expected one format")
    format, passed = formats[0], options.of(formats[0], files[0].name)
    if format not in _MEDIA and format not in ("text", "structure"):
        long = {name: passed.pop(name) for name in _LONG if name in passed}
        cut = {**{name: passed.pop(name) for name in _CUT if name in passed}, **long}
        rows = _rows(files, format, passed)
        if options.skip_bad and not options.learned and format in ("csv", "tsv", "jsonl") and isinstance(rows, Columns):
            rows = without_odd(rows, files[0].name, options.decimal, options.dayfirst)
        if isinstance(rows, Columns) and (rows := _cut(rows, cut, options.learned, files[0].name)) and isinstance(rows, Crops):
            return rows
        try:
            return _items(rows, **long, learned=options.learned)
        except UserError as error:
            raise error.at(files[0].name) from None
    if format == "structure":
        return structures(files, **passed)
    labels = classes(above, [file.path for file in files]) if above else None
    if format in _MEDIA:
        return _MEDIA[format](files, None if labels is None else Columns({"label": np.array(labels)}), **passed).kept()
    return Texts(files, labels=labels, **passed).kept()


def _rows(files: list[File], format: str, passed: dict[str, Any]) -> Source:
    """The rows of files of arrays or tables."""
    empty = [file.name for file in files if not file.state[0]]
    if empty:
        raise UserError(f"{empty[0]}: is empty; expected {format}")
    if format in ("npz", "npy"):
        parts = [(npz if format == "npz" else npy)(file) for file in files]
        for file, part in zip(files, parts, strict=True):
            there, first = ({k: v.shape[1:] for k, v in p.items()} for p in (part, parts[0]))
            if there != first:
                raise UserError(f"{file.name}: has {part}; expected columns and shapes as in {files[0].name}")
        return joined(parts)
    if format == "tsv":
        passed = {"delimiter": "\t", **passed}
    streams: dict[str, Callable[..., Stream]] = {"csv": DelimitedText, "tsv": DelimitedText, "jsonl": JsonLines,
                                                 "parquet": Parquet, "smiles": Smiles}
    return streams[format](files, **passed).kept()


def _format(file: File) -> str:
    """By the ending, or, of what has no name, by how it begins."""
    if not file.piped:
        ending = os.path.splitext(file.path.removesuffix(".gz"))[1].lower()
        if ending in DATABASES:
            raise UserError(f"{file.name}: is a database, of tables that refer to one another; read it by {_LINKED()}")
        if ending in OTHER_SOUNDS:
            raise UserError(f"{file.name}: is a sound in a format that is not read; {CONVERT}")
        if ending not in _ENDINGS:
            raise UserError(f"{file.name}: cannot read {ending or 'a file without an ending'}; expected "
                            f"{', '.join(ending for ending in _ENDINGS if ending not in IMAGES)} or an image; or pass "
                            f"{way('format=', '--format')}")
        return _ENDINGS[ending]
    with file.open() as handle:
        head = handle.read(256)
    return _FIRST.get(head[:4]) or ("jsonl" if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{" else "csv")
