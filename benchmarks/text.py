"""Text, character by character: counts, a net, and both mixed, on one's own file.

    python benchmarks/text.py shakespeare.txt            # about 7 minutes on one core; appends to RESULTS.md
    python benchmarks/text.py shakespeare.txt --quick    # prints only

The last tenth of the text is the test; the last tenth of what is left chooses among the net's weights and weighs the mixture.
Counts have all that is left in the end.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from functools import partial
from pathlib import Path

import torch
from record import append

import given
from given.codecs import Text
from given.families import NGram
from given.laws import WittenBell


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="a text in UTF-8")
    parser.add_argument("--quick", action="store_true", help="a short budget; print, and record nothing")
    parser.add_argument("--choose", action="store_true", help="leave the last tenth out, to choose settings; record nothing")
    parser.add_argument("--cpu-seconds", type=float, default=180, help="of the nets (%(default)s)")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    text = asked.file.read_text()
    text = text[: round(0.9 * len(text))] if asked.choose else text
    end = round(0.9 * len(text))
    train, test = given.read(text=[text[:end]]), given.read(text=[text[end:]])
    rows = [["model", "nats/character", "bits/byte", "CPU-s to fit", "CPU-s to score"]]

    def learned(held_out=0.0, **families):
        began = time.process_time()
        model = given.model("p(text)", train, codecs={"text": Text()}, families=families)
        model.fit(train, held_out=held_out, cpu_seconds=5 if asked.quick else asked.cpu_seconds, patience=None)
        return model, time.process_time() - began

    def show(name, model, fitted):
        began = time.process_time()
        score = model.score(test)
        rows.append([name, f"{score.nats_per_character().value:.4f}", f"{score.bits_per_byte().value:.4f}", fitted,
                     f"{time.process_time() - began:.1f}"])
        print(rows[-1], flush=True)

    for name, family in (("unigram, Kneser-Ney", partial(NGram, order=1)), ("5-gram, Kneser-Ney", partial(NGram, order=5)),
                         ("5-gram, Witten-Bell", partial(NGram, order=5, smoothing=WittenBell())),
                         ("7-gram, Kneser-Ney", partial(NGram, order=7)),
                         ("the same, adaptive in windows of 256", partial(NGram, order=7, adaptive=6))):
        model, cpu = learned(text=family)
        show(name, model, f"{cpu:.1f}")
    mixed, cpu = learned(held_out=0.1)
    factor = mixed.joint.declared[0]
    weights = " and ".join(f"{w:.2f}" for w in factor.weights.tolist())
    show(f"the default: 7-gram and net, mixed {weights}", mixed, f"{cpu:.1f}")
    gate = factor.cells.clone()
    factor.cells.copy_(factor.weights.expand_as(gate))
    show("the same, of one weight everywhere", mixed, "the same")
    factor.cells.copy_(gate)
    show(f"its net alone, {mixed.facts['fit']['steps']:,} steps", given.Model(factor.parts[1]), "the same")
    if not (asked.quick or asked.choose):
        sha = hashlib.sha256(asked.file.read_bytes()).hexdigest()[:16]
        append("text", {"nats": rows}, {"file": f"{asked.file.name} (sha256 {sha})", "threads": "1", "seed": "0"})


if __name__ == "__main__":
    main()
