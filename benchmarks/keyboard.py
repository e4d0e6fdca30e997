"""The next word of a text: how often it is proposed, and the keys that saves.

    python benchmarks/keyboard.py shakespeare.txt            # about 10 minutes on one core; appends to RESULTS.md
    python benchmarks/keyboard.py shakespeare.txt --choose --cpu-seconds 60   # leaves the last tenth out; prints only

The last tenth of the text is the test; the last tenth of what is left stops the learning and weighs the mixture.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from pathlib import Path

import torch
from record import append

import given
from given.tasks import keyboard


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--cpu-seconds", type=float, default=300.0, help="of training")
    parser.add_argument("--choose", action="store_true", help="leave the last tenth out, to choose settings; record nothing")
    parser.add_argument("--model", help="a folder that was saved, in place of learning")
    parser.add_argument("--save", help="where to save what was learned")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    text = asked.file.read_text()
    text = text[: round(0.9 * len(text))] if asked.choose else text
    end = round(0.9 * len(text))
    train, test = given.read(text=[text[:end]]), given.read(text=[text[end:]])
    rows = [["model", "first", "among three", "keys saved", "CPU-s to learn", "CPU-s to judge"]]

    def show(name: str, figures: dict[str, float], *rest: str) -> None:
        rows.append([name, *(f"{figures[k]:.1%}" for k in ("first", "among three", "keys saved")), *rest])
        print(rows[-1], flush=True)

    began = time.process_time()
    for name, figures in keyboard.baselines(train, test).items():
        show(name, figures, "-", f"{time.process_time() - began:.0f}")
    if asked.model:
        model = given.load(asked.model)
    else:
        model = keyboard.model(train)
        model.fit(train, cpu_seconds=asked.cpu_seconds, bfloat16=True, threads=1, **keyboard.TRAINING)
    if asked.save:
        model.save(asked.save)
    began = time.process_time()
    figures = keyboard.measure(model, test)
    seconds = f"{model.facts['fit']['cpu_seconds']:.0f}", f"{time.process_time() - began:.0f}"
    show("trigram of before and of what was typed, and a net, mixed (adaptive)", figures, *seconds)
    if not asked.choose:
        sha = hashlib.sha256(asked.file.read_bytes()).hexdigest()[:16]
        append("keyboard", {"words": rows}, {"file": f"{asked.file.name} (sha256 {sha})", "threads": "1", "seed": "0"})


if __name__ == "__main__":
    main()
