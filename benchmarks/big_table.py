"""A large table, and one pass over it from disk: rows a CPU-second and peak memory.

    python benchmarks/big_table.py [ROWS]     # 2,000,000 by default, 10 columns, about 150 MB in a temporary folder
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import given

ROWS = 2_000_000


def write(path: Path, rows: int, seed: int = 0) -> None:
    """Ten columns: four of whole numbers, three of reals (one with holes), one boolean, two of text."""
    rng = np.random.default_rng(seed)
    cities = np.array(["Oslo", "Rome", "Turin", "Lagos", "Quito", "Hanoi"])
    with path.open("w") as file:
        file.write("id,age,year,visits,income,height,score,member,city,code\n")
        for start in range(0, rows, 100_000):
            n = min(100_000, rows - start)
            score = [f"{value:.4f}" if value > -1.5 else "" for value in rng.normal(size=n)]
            columns = [range(start, start + n), rng.integers(18, 90, n), rng.integers(1950, 2026, n), rng.poisson(3, n),
                       np.round(rng.lognormal(10, 1, n), 2), rng.normal(1.7, 0.1, n), score,
                       np.where(rng.random(n) < 0.3, "true", "false"), rng.choice(cities, n), rng.integers(0, 10**6, n)]
            file.writelines(f"{a},{b},{c},{d},{e},{f},{g},{h},{i},k{j:06}\n" for a, b, c, d, e, f, g, h, i, j in
                            zip(*(c.tolist() if isinstance(c, np.ndarray) else c for c in columns), strict=True))


def main(rows: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "big.csv"
        write(path, rows)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.process_time()
        source = given.read(path)
        scanned = time.process_time()
        n = sum(batch.n for batch in source.batches(4096))
        done = time.process_time()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(source.described())
        print(f"{n:,} rows, {path.stat().st_size / 1e6:.0f} MB; types and rows checked in {scanned - start:.1f} CPU-seconds "
              f"({n / (scanned - start):,.0f} rows/s), one pass of batches of 4,096 in {done - scanned:.1f} "
              f"({n / (done - scanned):,.0f} rows/s), both {n / (done - start):,.0f} rows/s")
        print(f"peak memory {peak / 1024:.0f} MiB, of which {before / 1024:.0f} MiB before reading")
        assert n == rows


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS)
