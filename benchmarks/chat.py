"""Replies of SGD's dialogues: which of ten is the true one.

    python benchmarks/chat.py sgd.jsonl.gz                   # about 20 minutes on one core; appends to RESULTS.md
    python benchmarks/chat.py sgd.jsonl.gz --model sgd.given # measures one that was learned before

A dialogue a line, with its "split" (train, dev, test). Settings are chosen on dev: how long the counts of p(reply) look back.
1,000 replies of test with nine others each, drawn once, are ranked.
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
from given.tasks import chat


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--cpu-seconds", type=float, default=800.0, help="of training")
    parser.add_argument("--model", help="a folder that was saved, in place of learning")
    parser.add_argument("--save", help="where to save what was learned")
    parser.add_argument("--quick", action="store_true", help="print, and record nothing")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    train, dev, test = (chat.read(asked.file, split=split) for split in ("train", "dev", "test"))
    rows = [["ranked by", "true one of ten first", "± s.e.", "CPU-s to learn", "CPU-s to rank 1,000"]]

    def show(name: str, share: float, *rest: str) -> None:
        rows.append([name, f"{share:.1%}", f"{(share * (1 - share) / 1000) ** 0.5:.1%}", *rest])
        print(rows[-1], flush=True)

    for name, figures in chat.baselines(train, test).items():
        show(name, figures["one of ten"], "-", "-")
    if asked.model:
        model = given.load(asked.model)
    else:
        model = chat.model(train)
        model.fit(train, held_out=dev.rows(np.arange(0, dev.n, 60)), cpu_seconds=asked.cpu_seconds, bfloat16=True, threads=1,
                  **chat.TRAINING)
    if asked.save:
        model.save(asked.save)
    some = dev.rows(np.arange(0, dev.n, 5))
    priors = {order: chat.prior(model, train, order) for order in (2, 3, 5)}
    dialogue, replies = chat.candidates(some, 300)
    own = chat.rank(model, dialogue, replies)
    flat = np.array([text for each in replies for text in each])
    by = {order: float((own - prior.log_prob(reply=flat).reshape(own.shape)).argmax(1).__eq__(0).mean())
          for order, prior in priors.items()}
    order = max(by, key=by.__getitem__)
    print({k: round(v, 3) for k, v in by.items()}, f"of 300 of dev; order {order}", flush=True)
    fitted, began = f"{model.facts['fit']['cpu_seconds']:.0f}", time.process_time()
    dialogue, replies = chat.candidates(test)
    plain = chat.rank(model, dialogue, replies)
    seconds = f"{time.process_time() - began:.0f}"
    flat = np.array([text for each in replies for text in each])
    told = plain - priors[order].log_prob(reply=flat).reshape(plain.shape)
    show("log p(reply | dialogue)", float((plain.argmax(1) == 0).mean()), fitted, seconds)
    show(f"the same less log p(reply), a {order}-gram", float((told.argmax(1) == 0).mean()), "the same", "the same")
    if not asked.quick:
        sha = hashlib.sha256(asked.file.read_bytes()).hexdigest()[:16]
        append("chat", {"sgd": rows}, {"file": f"{asked.file.name} (sha256 {sha})", "threads": "1", "seed": "0"})


if __name__ == "__main__":
    main()
