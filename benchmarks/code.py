"""Sources of Python's standard library: bits a byte of modules never seen, and of their middles.

    python benchmarks/code.py                                # about 15 minutes on one core; appends to RESULTS.md
    python benchmarks/code.py --cpu-seconds 30 --quick       # prints only

Modules of one file, in the order of their names; every tenth from the sixth is the test.
"""

from __future__ import annotations

import argparse
import platform
import sysconfig
import time
from pathlib import Path

import numpy as np
import torch
from record import append

from given.sources import Columns
from given.tasks import code


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cpu-seconds", type=float, default=500.0, help="of training")
    parser.add_argument("--quick", action="store_true", help="print, and record nothing")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    modules = [path.read_text() for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))]
    modules = [text for text in modules if text.strip()]
    parts = [[text for i, text in enumerate(modules) if (i % 10 == 5) == held] for held in (False, True)]
    train, test = (Columns({"text": np.array(part, dtype=object)}) for part in parts)
    rows = [["model", "bits/byte", "middle, both sides given", "middle, the left given", "CPU-s to learn"]]

    def show(name: str, figures: dict[str, float], fitted: str) -> None:
        kinds = ("bits/byte", "middle bits/byte", "middle from the left")
        rows.append([name, *(f"{figures[kind]:.3f}" if kind in figures else "-" for kind in kinds), fitted])
        print(rows[-1], flush=True)

    for name, figures in code.baselines(train, test).items():
        show(name, figures, "-")
    began = time.process_time()
    model = code.model(train)
    model.fit(code.arranged(train), held_out=0.02, cpu_seconds=asked.cpu_seconds, bfloat16=True, threads=1, **code.TRAINING)
    seconds = f"{time.process_time() - began:.0f}"
    show("14-gram of before and of the file, and a net, mixed (adaptive)", code.measure(model, test), seconds)
    if not asked.quick:
        sizes = [sum(len(text.encode()) for text in part["text"]) for part in (train, test)]
        data = f"Python {platform.python_version()}, {sizes[0]:,} bytes and {sizes[1]:,} held out"
        append("code", {"stdlib": rows}, {"data": data, "threads": "1", "seed": "0"})


if __name__ == "__main__":
    main()
