"""Photographs of twice as many places: PSNR of luma on BSD100, by bicubic curves and by p(high | low).

    GIVEN_DATA=data python benchmarks/upscale.py           # 15 CPU-minutes of one thread; appends to RESULTS.md
    GIVEN_DATA=data python benchmarks/upscale.py --quick   # 30 CPU-seconds and 10 pictures; prints, and records nothing

It learns from images/bsds500/train (200 pictures) and is judged on images/bsds500/val (100), whole. Small pictures are made by
bicubic curves that are as wide as what they stand for, in whole levels; two places at every edge are left out; the mean is over
pictures.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
import torch
from record import append

from given.sources import photographs
from given.tasks import upscale


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=900, help="CPU-seconds of learning (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="30 CPU-seconds and 10 pictures; print, and record nothing")
    parser.add_argument("--save", help="where to save what was learned")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    folder = Path(os.environ["GIVEN_DATA"]) / "images" / "bsds500"
    pictures = [upscale.luma(picture) for _, picture in photographs(folder / "val")][:10 if asked.quick else None]
    small = [upscale.smaller(light) for light in pictures]
    rows = [["what", "PSNR, dB", "shows the small picture, dB", "CPU-s to learn", "CPU-s a picture"]]

    def show(name: str, found: list[np.ndarray], learned: str, began: float) -> None:
        cost = (time.process_time() - began) / len(found)
        near, shown = (np.mean([upscale.psnr(a, b) for a, b in zip(true, each, strict=True)]) for true, each in (
            (pictures, found), (small, [upscale.smaller(np.round(light).clip(0, 255)) for light in found])))
        rows.append([name, f"{near:.2f}", f"{shown:.1f}", learned, f"{cost:.2f}"])
        print(rows[-1], flush=True)

    began = time.process_time()
    show("bicubic", [upscale.enlarged(each) for each in small], "-", began)
    data = upscale.read(folder / "train")
    model = upscale.model(data, seed=asked.seed)
    fit = model.fit(data, held_out=0, cpu_seconds=30 if asked.quick else asked.seconds, bfloat16=True, threads=1,
                    seed=asked.seed, progress=False, **upscale.TRAINING)
    if asked.save:
        model.save(asked.save)
    print(fit, flush=True)
    whole = [each.astype(np.uint8) for each in small]
    for name, draw in (("predictive mean", False), ("a draw, brought back to the small picture", True)):
        began = time.process_time()
        show(name, [upscale.enlarge(model, each, draw=draw).astype(float) for each in whole], f"{fit.cpu_seconds:.0f}", began)
    if not asked.quick:
        weights = sum(p.numel() for p in model.joint.parameters())
        append("upscale", {"BSD100": rows}, {
            "data": "bsds500, learned from train (200 pictures), judged on val (100)", "threads": "1", "seed": str(asked.seed),
            "steps": f"{fit.steps:,} of {upscale.TRAINING['batch']} tiles of 48 x 48", "weights": f"{weights:,}"})


if __name__ == "__main__":
    main()
