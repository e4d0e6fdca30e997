"""Cells: what Python and frames hold as arrays of numbers, text, booleans and times, and back.

A column's *dtype* is what its array does not say, in JSON, so that a saved model knows it: a frame's dtype by its pandas name
("Int64", "float32", "boolean", "string", "datetime64[ns, Europe/Rome]", "timedelta64[ns]", "period[M]"), a mapping
{"categories": [...], "ordered": bool}, or Python's "date", "time" and "decimal(2)". Sources add some of their own: "text"
(running text, whatever it looks like), "index" (names of the rows), "fixed(2)" (reals written with two decimals or more each),
"measured" and "measured(2)" (numbers that somebody wrote as amounts), "measured(0)" (whole ones beside holes) and {"doubt":
what it is}.

How a cell is spelled is decided here alone, for JSON lines, Parquet and frames by `plain`, for delimited text by `written`.
"""

from __future__ import annotations

import datetime
import decimal
import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from given.sources.kinds import EXACT, holds_sets, ragged, texts
from given.variables import UserError

if TYPE_CHECKING:
    import pandas
    import polars

__all__ = ["Dtype", "array", "is_whole", "pandas_series", "plain", "polars_series", "written", "zone_of"]

Dtype = str | dict[str, Any]

_WHOLE_SECOND = re.compile(r"\.0+$")
_WRITTEN = {"pandas", "uuid", "pathlib", "ipaddress"}  # whose objects are taken as they are written: intervals, UUIDs, paths
_POLARS = {"boolean": "Boolean", "string": "String", "date": "Date", "time": "Time", "float32": "Float32",
           **{f"{sign}{bits}".lower(): f"{sign}{bits}" for sign in ("Int", "UInt") for bits in (8, 16, 32, 64)}}


def array(values: Any) -> tuple[np.ndarray, Dtype | None]:
    """Values of any shape as an array, and the dtype they had where the array does not say it.

    Times with a zone are UTC; durations are seconds; decimals are reals; periods are their first moment; times of day are text.

    Raises:
        ValueError: rows of different shapes.
    """
    found = None
    match type(values).__module__.partition(".")[0]:
        case "pandas" if hasattr(values, "to_numpy"):
            values, found = _of_pandas(values)
        case "polars" if hasattr(values, "to_numpy"):
            values, found = _of_polars(values)
    if holds_sets(values):
        return _sets(values), found
    try:
        plain = np.asarray(values)
    except ValueError:
        return _ragged(values), found
    if plain.dtype.kind == "O" and plain.ndim == 1 and any(isinstance(v, np.ndarray | list) for v in plain):
        return _ragged(plain), found
    if plain.dtype.kind == "U" and not isinstance(values, np.ndarray):
        objects = np.array(values, dtype=object)
        if any(isinstance(v, str) and v.endswith("\0") for v in objects.flat):  # numpy's text would drop it
            return objects, found
    if plain.dtype.kind == "m":
        return _seconds(plain), found or f"timedelta64[{np.datetime_data(plain.dtype)[0]}]"
    if plain.dtype.kind != "O":
        return plain, found
    plain, dtype = _objects(plain)
    return plain, found or dtype


def _ragged(values: Any) -> np.ndarray:
    """Rows of different lengths, (rows,) arrays (length, ...) that are alike but for it; None where one is missing.

    Raises:
        ValueError: rows that are no such arrays.
    """
    rows = [None if _absent(row) else array(list(row) if isinstance(row, tuple) else row)[0] for row in values]
    there = [row for row in rows if row is not None]
    nested = any(row.ndim == 0 or (row.dtype.kind == "O" and any(isinstance(v, np.ndarray) for v in row.flat)) for row in there)
    if nested or len({row.shape[1:] for row in there if len(row)}) > 1:
        raise ValueError("rows of different shapes")
    found = np.empty(len(rows), dtype=object)
    found[:] = rows
    return found


def _sets(values: Any) -> np.ndarray:
    """Rows that are lists of items, as they are."""
    if isinstance(values, np.ndarray):
        return values
    found = np.empty(len(values), dtype=object)
    found[:] = list(values)
    return found


def _seconds(values: np.ndarray) -> np.ndarray:
    return np.where(np.isnat(values), np.nan, values / np.timedelta64(1, "s"))


def _objects(values: np.ndarray) -> tuple[np.ndarray, Dtype | None]:
    """Python's objects as numbers, text or times; what is none of these is left as it is."""
    kinds = set(map(type, values.flat))
    if kinds <= {str, type(None)}:
        return values, None
    cells: Any = [None if _absent(v) else v.item() if isinstance(v, np.generic) and v.dtype.kind not in "Mm" else v
                  for v in values.flat]
    kinds = {type(v) for v in cells} - {type(None)}
    if kinds in ({bool}, {int}, {float}) and None not in cells:
        return np.array(cells).reshape(values.shape), None  # objects still, where an integer has more than 64 bits
    if not kinds or kinds <= {bool, int, float, str}:
        return texts(cells).reshape(values.shape), None
    if complex in kinds and kinds <= {complex, int, float}:
        return np.array([np.nan if v is None else v for v in cells], dtype=complex).reshape(values.shape), None
    there, dtype = [v for v in cells if v is not None], None  # type: tuple[list[Any], Dtype | None]
    if all(isinstance(v, datetime.datetime | np.datetime64) for v in there):
        cells, dtype = _moments(cells)
    elif kinds == {datetime.date}:
        cells, dtype = np.array(cells, "M8[D]"), "date"
    elif all(isinstance(v, datetime.timedelta | np.timedelta64) for v in there):
        cells, dtype = _seconds(np.array(cells, "m8[us]")), "timedelta64[us]"
    elif kinds == {datetime.time}:
        unit = "microseconds" if any(v.microsecond for v in there) else "seconds"
        cells, dtype = texts([None if v is None else v.isoformat(unit) for v in cells]), "time"
    elif decimal.Decimal in kinds and kinds <= {decimal.Decimal, int, float}:
        exponents = [v.as_tuple().exponent for v in there if isinstance(v, decimal.Decimal)]
        places = max((-e for e in exponents if isinstance(e, int)), default=0)
        cells = np.array([np.nan if v is None else float(v) for v in cells])
        dtype = f"decimal({min(max(places, 0), 15)})"
    elif all(hasattr(v, "start_time") for v in there):
        cells, dtype = _moments([None if v is None else v.start_time for v in cells])[0], f"period[{there[0].freqstr}]"
    elif {kind.__module__.partition(".")[0] for kind in kinds} <= _WRITTEN:
        cells = texts([None if v is None else str(v) for v in cells])
    else:
        return values, None
    return np.asarray(cells).reshape(values.shape), dtype


def _absent(value: Any) -> bool:
    return value is None or type(value).__name__ in ("NAType", "NaTType") or (
        isinstance(value, float | np.floating | np.datetime64 | np.timedelta64 | decimal.Decimal) and bool(value != value))


def _moments(cells: list[Any]) -> tuple[np.ndarray, Dtype | None]:
    """Datetimes as an array, in UTC where they have a zone; some with and some without are an error."""
    zones = {getattr(v, "tzinfo", None) for v in cells if v is not None}
    if len(zones) > 1 and None in zones:
        raise UserError("some times have a zone and some have none; give all of them one, or none")
    plain = [v if v is None or zones == {None} else v.astimezone(datetime.UTC).replace(tzinfo=None) for v in cells]
    zone = str(zones.pop()) if len(zones) == 1 else "UTC"
    return np.array(plain, "M8[us]"), None if zone == "None" else f"datetime64[us, {zone}]"


def _of_pandas(values: Any) -> tuple[Any, Dtype | None]:
    """A pandas series or array."""
    import pandas as pd

    series, dtype, name = pd.Series(values), values.dtype, str(values.dtype)
    if isinstance(dtype, pd.CategoricalDtype):
        cells, own = array(series.astype(dtype.categories.dtype).to_numpy() if not series.isna().any() else
                           series.astype(object).to_numpy())
        categories = array(dtype.categories.to_numpy())[0].tolist()
        plain = all(isinstance(c, str | int | float | bool) for c in categories)
        return cells, {"categories": categories, "ordered": bool(dtype.ordered)} if plain else own
    if isinstance(dtype, pd.DatetimeTZDtype):
        return series.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy(), name
    if isinstance(dtype, pd.PeriodDtype):
        return series.dt.to_timestamp().to_numpy(), name
    if name == "object":
        return _grids(series.to_numpy()), None
    if not isinstance(dtype, np.dtype):  # numbers, booleans and text that may be missing
        if pd.api.types.is_bool_dtype(dtype) or not pd.api.types.is_numeric_dtype(dtype):
            return _grids(series.astype(object).to_numpy()), name
        if not series.isna().any():
            return series.to_numpy(), name
        return _reals(series.dropna().tolist(), series.isna().to_numpy()), name
    return series.to_numpy(), name if dtype.kind in "iuf" and name not in ("int64", "float64") else None


def _of_polars(values: Any) -> tuple[Any, Dtype | None]:
    """A polars series."""
    import polars as pl

    dtype = values.dtype
    if isinstance(dtype, pl.Enum | pl.Categorical):
        words = values.cast(pl.String)
        named = dtype.categories.to_list() if isinstance(dtype, pl.Enum) else words.drop_nulls().unique().sort().to_list()
        return texts(words.to_list()), {"categories": named, "ordered": isinstance(dtype, pl.Enum)}
    if isinstance(dtype, pl.Datetime):
        zone = f"datetime64[{dtype.time_unit}, {dtype.time_zone}]" if dtype.time_zone else None
        return values.dt.replace_time_zone(None).to_numpy() if zone is None else values.dt.convert_time_zone(
            "UTC").dt.replace_time_zone(None).to_numpy(), zone
    if isinstance(dtype, pl.Duration):
        return values.to_numpy(), f"timedelta64[{dtype.time_unit}]"
    if dtype.is_integer() or dtype == pl.Boolean:
        name = str(dtype) if dtype.is_integer() else "boolean"
        if not values.null_count():
            return values.to_numpy(), name.lower()
        return (_reals(values.drop_nulls().to_list(), values.is_null().to_numpy()) if dtype.is_integer() else
                texts(values.to_list())), name
    if dtype.is_float():
        return values.to_numpy(), "float32" if dtype == pl.Float32 else None
    if dtype == pl.Date:
        return np.array(values.to_list(), "M8[D]"), "date"
    if dtype.is_nested() and not isinstance(dtype, pl.Struct):
        return _grids(texts(values.to_list())), None
    return texts(values.to_list()), None


def _reals(there: list[Any], absent: np.ndarray) -> np.ndarray:
    """Numbers with NaN for what is missing; text where reals would round them."""
    if any(isinstance(v, int) and abs(v) > EXACT for v in there):
        cells = np.full(len(absent), None, dtype=object)
        cells[~absent] = list(map(str, there))
        return cells
    reals = np.full(len(absent), np.nan)
    reals[~absent] = there
    return reals


def _grids(values: np.ndarray) -> np.ndarray:
    """Grids of one shape, a cell each, as one array; all else as it is."""
    if not len(values) or holds_sets(values) or not all(isinstance(cell, np.ndarray | list) for cell in values):
        return values  # None among lists, too, which `array` takes as items
    grids = [np.asarray(cell.tolist() if isinstance(cell, np.ndarray) else cell) for cell in values]
    shapes = {grid.shape for grid in grids}
    if len(shapes) > 1 and len({shape[1:] for shape in shapes}) == 1 and () not in shapes:
        return _ragged(grids)
    if len(shapes) > 1:
        raise UserError(f"rows of different shapes, {' and '.join(map(str, sorted(shapes)[:2]))}; expected one")
    return np.stack(grids)


def plain(values: np.ndarray, dtype: Dtype | None = None) -> list[Any]:
    """Values (rows,) as Python has them: None for what is missing, whole numbers beside holes whole, complex ones as text
    such as 1+2j, times as ISO text, with a Z where they have a zone."""
    if values.dtype.kind == "c":
        return [None if v != v else str(v).strip("()") for v in values.tolist()]
    if values.dtype.kind == "M":
        said = np.datetime_as_string(values.astype("M8[D]") if dtype == "date" else values).tolist()
        values = np.array([None if text == "NaT" else _WHOLE_SECOND.sub("", text) for text in said], dtype=object)
    if values.dtype.kind == "f" and dtype in ("float32", "Float32"):  # with as many digits as it has
        return [None if v != v else float(str(v)) for v in values.astype(np.float32)]
    cells: list[Any] = [None if value is None or value != value else value for value in values.tolist()]
    if zone_of(dtype):
        return [f"{v}Z" if isinstance(v, str) and ":" in v else v for v in cells]
    if values.dtype.kind in "fO" and is_whole(dtype):
        return [int(v) if isinstance(v, float) and v.is_integer() else v for v in cells]
    return cells


def written(values: np.ndarray, dtype: Dtype | None = None) -> list[str]:
    """Values (rows,) as a table spells them, "" for what is missing; with as many decimals at least as the dtype has; sets of
    items as JSON."""
    places = _decimals(dtype)
    if holds_sets(values):
        return ["" if row is None else json.dumps(row, ensure_ascii=False) for row in plain(values)]

    def spelled(value: Any) -> str:
        if value is None or places is None or isinstance(value, bool | str):
            return "" if value is None else str(value)
        if not places and isinstance(value, float) and value.is_integer():
            return str(value) if abs(value) >= EXACT else str(int(value))
        short = "e" not in (text := str(value)) and len(text.partition(".")[2]) < places
        return f"{value:.{places}f}" if short and abs(value) < EXACT else text

    return list(map(spelled, plain(values, dtype)))


def zone_of(dtype: Dtype | None) -> str | None:
    """The zone of times, which are an array in UTC."""
    found = re.fullmatch(r"datetime64\[\w+, (.+)\]", dtype) if isinstance(dtype, str) else None
    return found and found[1]


def is_whole(dtype: Dtype | None) -> bool:
    """Whether a dtype is of whole numbers, which beside holes are an array of reals."""
    return isinstance(dtype, str) and re.fullmatch(r"u?int\d+|(measured|decimal)\(0\)", dtype.lower()) is not None


def _decimals(dtype: Dtype | None) -> int | None:
    """The fewest decimals that a number of a dtype was written with, where that is known."""
    found = re.fullmatch(r"(?:fixed|measured|decimal)(?:\((\d+)\))?", dtype) if isinstance(dtype, str) else None
    return int(found[1] or 0) if found else None


def pandas_series(values: np.ndarray, dtype: Dtype | None) -> pandas.Series:
    """Values (rows,) as a pandas series of a dtype; as they are where it cannot hold them."""
    import pandas as pd

    series = pd.Series(values)
    dtype = "Int64" if dtype == "measured(0)" and values.dtype.kind == "f" else dtype
    if dtype is None or "doubt" in dtype or (isinstance(dtype, str) and re.match("text|index|fixed|measured", dtype)):
        return series
    if isinstance(dtype, dict):
        new = [v for v in dict.fromkeys(series.dropna()) if v not in dtype["categories"]]  # such as "(other)"
        return pd.Series(pd.Categorical(series, [*dtype["categories"], *new], ordered=dtype["ordered"]))
    if (objects := _python(values, dtype)) is not None:
        return pd.Series(objects, dtype=object)
    try:
        wanted = pd.api.types.pandas_dtype(dtype)
        if isinstance(wanted, pd.DatetimeTZDtype):
            return pd.Series(values.astype("M8[us]")).dt.tz_localize("UTC").astype(wanted)
        if isinstance(wanted, pd.PeriodDtype):
            return pd.Series(pd.DatetimeIndex(values).to_period(wanted.freq))
        if dtype.startswith("timedelta"):
            return pd.Series(pd.to_timedelta(values, unit="s")).astype(wanted)
        cast = series.astype(wanted)
    except (TypeError, ValueError, OverflowError):
        return series
    # A whole number of fewer bits would wrap round.
    return cast if values.dtype.kind not in "iu" or cast.tolist() == series.tolist() else series


def polars_series(values: np.ndarray, dtype: Dtype | None) -> polars.Series:
    """Values (rows, ...) as a polars series of a dtype; as they are where it cannot hold them."""
    import polars as pl

    if ragged(values):
        return pl.Series([None if item is None else item.tolist() for item in values])
    if holds_sets(values) and not isinstance(next(row for row in values if row)[0], dict):
        return pl.Series(values.tolist(), dtype=pl.Object)
    dtype = "Int64" if dtype == "measured(0)" and values.dtype.kind == "f" else dtype
    nullable = values.ndim == 1 and str(dtype).startswith(("Int", "UInt"))
    held = values.tolist() if values.ndim > 1 else plain(values, dtype) if values.dtype.kind in "Oc" else values
    series = pl.Series(held, nan_to_null=nullable)
    if dtype is None or "doubt" in dtype:
        return series
    if isinstance(dtype, dict):
        if not all(isinstance(c, str) for c in dtype["categories"]):
            return series
        named = {*dtype["categories"]} >= {*series.drop_nulls()}
        return series.cast(pl.Enum(dtype["categories"]) if dtype["ordered"] and named else pl.Categorical)
    try:
        if zone := zone_of(dtype):
            return pl.Series(values.astype("M8[us]")).dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
        if dtype.startswith("timedelta"):
            return pl.Series(np.where(np.isnan(values), np.timedelta64("NaT"), np.rint(values * 1e6).astype("m8[us]")))
        if (objects := _python(values, dtype)) is not None:
            return pl.Series(objects.tolist())
        return series.cast(getattr(pl, _POLARS[dtype.lower()])) if dtype.lower() in _POLARS else series
    except (pl.exceptions.PolarsError, OverflowError):
        return series


def _python(values: np.ndarray, dtype: str) -> np.ndarray | None:
    """Values as the Python objects that a dtype names."""
    if dtype == "date" and values.dtype.kind == "M":
        return values.astype("M8[D]").astype(object)
    if dtype == "date" and values.dtype.kind in "OU":
        return np.array([None if v is None else datetime.date.fromisoformat(v) for v in values.tolist()], dtype=object)
    if dtype == "time":
        return np.array([None if v is None else datetime.time.fromisoformat(v) for v in values.tolist()], dtype=object)
    if found := re.fullmatch(r"decimal\((\d+)\)", dtype):
        places = int(found[1])
        return np.array([None if v is None or v != v else decimal.Decimal(f"{v:.{places}f}") for v in values.tolist()],
                        dtype=object)
    return None
