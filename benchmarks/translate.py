"""German to English on Multi30k: BLEU beside a copy and word by word, on test2016.

    python benchmarks/translate.py multi30k                  # about 30 minutes on one core; appends to RESULTS.md
    python benchmarks/translate.py multi30k --cpu-seconds 60 --quick   # prints only
    python benchmarks/translate.py multi30k --model de-en.given        # measures one that was learned before

The folder holds train, val and test2016, each .de.gz and .en.gz (github.com/multi30k/dataset; no licence is stated, so it is
not shipped). val stops the learning and chooses how much longer texts are favoured; test2016 is translated once.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from pathlib import Path

import numpy as np
import torch
from record import append

import given
from given.tasks import translate

HELD = 400  # pairs of val that are scored while learning


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cpu-seconds", type=float, default=1500.0, help="of training")
    parser.add_argument("--model", help="a folder that was saved, in place of learning")
    parser.add_argument("--save", help="where to save what was learned")
    parser.add_argument("--quick", action="store_true", help="print, and record nothing")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    train, val, test = (translate.read(asked.folder / f"{part}.de.gz", asked.folder / f"{part}.en.gz")
                        for part in ("train", "val", "test2016"))
    rows = [["translator", "BLEU, test2016", "nats/character", "CPU-s to learn", "CPU-s to translate"]]
    for name, figures in translate.baselines(train, test).items():
        rows.append([name, f"{figures['BLEU']:.1f}", "-", "-", "-"])
        print(rows[-1], flush=True)
    if asked.model:
        model = given.load(asked.model)
    else:
        model = translate.model(train)
        model.fit(train, held_out=val.rows(slice(HELD)), cpu_seconds=asked.cpu_seconds, bfloat16=True, threads=1,
                  **translate.TRAINING)
    if asked.save:
        model.save(asked.save)
    fit = model.facts["fit"]
    some = val.rows(slice(HELD))
    by = {alpha: translate.bleu(translate.translate(model, some["source"].tolist(), alpha=alpha), some["target"].tolist())
          for alpha in (0.6, 1.0)}
    alpha = max(by, key=by.__getitem__)
    print({k: round(v, 2) for k, v in by.items()}, f"of {HELD} of val; alpha={alpha}", flush=True)
    began = time.process_time()
    said = translate.translate(model, test["source"].tolist(), alpha=alpha)
    seconds = time.process_time() - began
    score = model.score(test).nats_per_character()
    found = translate.bleu(said, test["target"].tolist())
    rows.append([f"transformer, {fit['steps']:,} steps of 64, beam 5", f"{found:.1f}",
                 f"{score.value:.4f} ± {score.error:.4f}", f"{fit['cpu_seconds']:.0f}", f"{seconds:.0f}"])
    print(rows[-1], flush=True)
    if not asked.quick:
        raw = "".join(np.char.add(test["source"], test["target"]).tolist()).encode()
        sha = hashlib.sha256(raw).hexdigest()[:16]
        data = f"Multi30k task 1, test2016 (sha256 of its pairs {sha})"
        append("translate", {"multi30k": rows}, {"data": data, "threads": "1", "seed": "0"})


if __name__ == "__main__":
    main()
