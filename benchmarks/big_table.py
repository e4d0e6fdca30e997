"""A large table from disk: one pass over it, and a model fitted to it; rows a CPU-second and peak memory.

    python benchmarks/big_table.py [ROWS]     # 2,000,000 by default, 10 columns, about 150 MB in a temporary folder
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from record import append

import given

ROWS, SECONDS = 2_000_000, 60


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
        begun = time.process_time()
        source = given.read(path)
        scanned = time.process_time()
        n = sum(batch.n for batch in source.batches(4096))
        passed = time.process_time()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(source.described())
        print(f"{n:,} rows, {path.stat().st_size / 1e6:.0f} MB; types and rows checked in {scanned - begun:.1f} CPU-seconds "
              f"({n / (scanned - begun):,.0f} rows/s), one pass of batches of 4,096 in {passed - scanned:.1f} "
              f"({n / (passed - scanned):,.0f} rows/s)")
        print(f"peak memory {peak / 1024:.0f} MiB, of which {before / 1024:.0f} MiB before reading")
        assert n == rows
        start = time.process_time()
        model = given.model(source)
        learned = time.process_time()
        fit = model.fit(source, cpu_seconds=SECONDS)
        done = time.process_time()
        train, test = model.split(source)
        scores = model.evaluate(next(test.batches(10_000)), train=train)
        compared = time.process_time()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        table = [["what", "CPU-s", "rows/CPU-s"],
                 ["types and rows checked", f"{scanned - begun:.0f}", f"{n / (scanned - begun):,.0f}"],
                 ["one pass in batches of 4,096", f"{passed - scanned:.0f}", f"{n / (passed - scanned):,.0f}"],
                 ["codecs learned", f"{learned - start:.0f}", f"{n / (learned - start):,.0f}"],
                 [f"fit, of which {SECONDS} s are steps ({fit.steps:,} of 32 rows)", f"{done - learned:.0f}",
                  f"{32 * fit.steps / fit.cpu_seconds:,.0f}"],
                 ["baseline counted, 10,000 rows scored by both", f"{compared - done:.0f}", f"{n / (compared - done):,.0f}"]]
        print(scores)
        print("\n".join(map(str, table)))
        print(f"peak memory {peak / 1024:.0f} MiB")
        if rows == ROWS:
            append("big_table", {"time": table, "scores": str(scores)},
                   {"rows": f"{rows:,}", "peak memory": f"{peak / 1024:.0f} MiB"})


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS)
