"""Replies of SGD's dialogues: which of ten is the true one, and what replies cost in nats.

    python benchmarks/chat.py sgd.jsonl.gz                   # about 25 minutes on one core; appends to RESULTS.md
    python benchmarks/chat.py sgd.jsonl.gz --model sgd.given # measures a transformer that was learned before
    python benchmarks/chat.py sgd.jsonl.gz --quick           # prints only

A dialogue a line, with its "split" (train, dev, test). What stops the learning, and how long the counts of p(reply) look back,
is chosen on dev. 1,000 replies of test with nine others each, of other dialogues, drawn once, are ranked: by the words they
have in common with the dialogue, by a model that learned to choose (three seeds), and by a transformer that learned to write.
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
from given.tasks import answer, chat

SEEDS = (0, 1, 2)


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--cpu-seconds", type=float, default=800.0, help="of the transformer's learning")
    parser.add_argument("--model", help="a transformer that was saved, in place of learning")
    parser.add_argument("--save", help="where to save the transformer")
    parser.add_argument("--quick", action="store_true", help="a tenth of the time; print, and record nothing")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    short = 0.1 if asked.quick else 1.0
    train, dev, test = (chat.read(asked.file, split=split) for split in ("train", "dev", "test"))
    dialogue, replies = answer.candidates(test)
    ranked = [["ranked by", "true one of ten first", "95 % interval", "seeds", "CPU-s to learn", "CPU-s to rank 1,000"]]

    def show(name: str, shares: list[float], *rest: str) -> None:
        low, high = given.evaluate.interval(round(float(np.mean(shares)) * 1000), 1000)
        each = ", ".join(f"{share:.1%}" for share in shares)
        ranked.append([name, f"{np.mean(shares):.1%}", f"{low:.1%} to {high:.1%}", each, *rest])
        print(ranked[-1], flush=True)

    show("words in common (TF-IDF)", [answer.ranked_first(answer.words_in_common(train, dialogue, replies))], "-", "-")
    shares, learned, took = list[float](), 0.0, 0.0
    for seed in SEEDS[:1] if asked.quick else SEEDS:
        began = time.process_time()
        chooses = answer.model(train, seed=seed)
        chooses.fit(train, held_out=dev.rows(np.arange(0, dev.n, 20)), cpu_seconds=90 * short, seed=seed, threads=1,
                    **answer.TRAINING)
        learned, began = max(learned, time.process_time() - began), time.process_time()
        shares.append(answer.ranked_first(answer.rank(chooses, dialogue, replies)))
        took = time.process_time() - began
    show("Contrastive on a 3-gram", shares, f"{learned:.0f} a seed", f"{took:.0f}")

    began = time.process_time()
    if asked.model:
        model = given.load(asked.model)
    else:
        model = chat.model(train)
        model.fit(train, held_out=dev.rows(np.arange(0, dev.n, 60)), cpu_seconds=asked.cpu_seconds * short, bfloat16=True,
                  threads=1, **chat.TRAINING)
    if asked.save:
        model.save(asked.save)
    fitted = f"{model.facts['fit']['cpu_seconds']:.0f}"
    own = answer.candidates(dev.rows(np.arange(0, dev.n, 5)), 300)
    by = {order: answer.ranked_first(chat.rank(model, *own, chat.prior(model, train, order))) for order in (2, 3, 5)}
    order = max(by, key=by.__getitem__)
    print({k: round(v, 3) for k, v in by.items()}, f"of 300 of dev; order {order}", flush=True)
    began = time.process_time()
    share = answer.ranked_first(chat.rank(model, dialogue, replies, chat.prior(model, train, order)))
    show(f"transformer less a {order}-gram", [share], fitted, f"{time.process_time() - began:.0f}")

    some = test.rows(np.arange(0, test.n, 5))
    costs = [["replies by", "given", "nats/character", "± s.e."]]
    for name, given_what, score in (("trigram of pieces", "nothing", chat.prior(model, train).score(reply=some["reply"])),
                                    (f"transformer, {model.facts['fit']['steps']:,} steps", "dialogue", model.score(some))):
        value = score.nats_per_character()
        costs.append([name, given_what, f"{value.value:.4f}", f"{value.error:.4f}"])
        print(costs[-1], flush=True)
    if not asked.quick:
        sha = hashlib.sha256(asked.file.read_bytes()).hexdigest()[:16]
        append("chat", {"one_of_ten": ranked, "replies": costs}, {"file": f"{asked.file.name} (sha256 {sha})", "threads": "1"})


if __name__ == "__main__":
    main()
