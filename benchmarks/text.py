"""Text, character by character: counts, a net, and both mixed, on one's own file.

    python benchmarks/text.py shakespeare.txt            # about 16 minutes on one core; appends to RESULTS.md
    python benchmarks/text.py shakespeare.txt --quick    # prints only

The last tenth of the text is the test; the last tenth of what is left chooses among the net's weights and weighs the mixture.
Counts have all that is left in the end. The order of the counts is chosen on that tenth, too.
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
from given.conditional import teach
from given.distributions import WittenBell
from given.families import Autoregressive, Ensemble, NGram
from given.lessons import Weigh
from given.nn import Embedding, MinGRU
from given.train import FactorBatches

NET = partial(Autoregressive, net=partial(MinGRU, width=256, layers=3, dropout=0.1), embed=partial(Embedding, offsets=4))


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="a text in UTF-8")
    parser.add_argument("--quick", action="store_true", help="a short budget; print, and record nothing")
    parser.add_argument("--last", action="store_true", help="only the ten-minute rows; record nothing")
    parser.add_argument("--choose", action="store_true", help="leave the last tenth out, to choose settings; record nothing")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    text = asked.file.read_text()
    text = text[: round(0.9 * len(text))] if asked.choose else text
    end = round(0.9 * len(text))
    train, test = given.read(text=[text[:end]]), given.read(text=[text[end:]])
    rows = [["model", "nats/character", "± s.e.", "bits/byte", "CPU-s to fit", "CPU-s to score"]]

    def learned(family=None, held_out=0.0, seconds=0.0, **options):
        began = time.process_time()
        model = given.model("p(text)", train, codecs={"text": Text()}, families={"text": family} if family else {})
        model.fit(train, held_out=held_out, cpu_seconds=min(seconds, 5) if asked.quick else seconds or None, patience=None,
                  **options)
        return model, time.process_time() - began

    def show(name, model, fitted):
        began = time.process_time()
        score = model.score(test)
        rows.append([name, f"{score.nats_per_character().value:.4f}", f"{score.nats_per_character().error:.4f}",
                     f"{score.bits_per_byte().value:.4f}", fitted, f"{time.process_time() - began:.1f}"])
        print(rows[-1], flush=True)

    def mixed(name, family, seconds, held_out, **options):
        model, cpu = learned(family, held_out, seconds, **options)
        factor = model.joint.declared[0]
        show(name, model, f"{cpu:.1f}")
        gate = factor.cells.clone()
        factor.cells.copy_(factor.weights.expand_as(gate))
        show("the same, of one weight everywhere", model, "the same")
        factor.cells.copy_(gate)
        show(f"its net alone, {model.facts['fit']['steps']:,} steps", given.Model(factor.parts[1]), "the same")
        # The same net beside counts that go on counting the text they read: weighed anew, then counted with what was held out.
        counts = NGram(factor.x, order=best, adaptive=6)
        cut = round((1 - held_out) * end)
        some, held = (given.read(text=[part]) for part in (text[:cut], text[cut:end]))
        beside = Ensemble(factor.x, families=(lambda x, y: counts, lambda x, y: factor.parts[1]))
        adaptive = given.Model(beside)
        beside.eval()
        teach(beside, FactorBatches(adaptive.joint, some, 8, None, beside))
        teach(beside, FactorBatches(adaptive.joint, held, 8, None, beside, most=256), Weigh)
        teach(counts, FactorBatches(adaptive.joint, train, 8, None, beside))
        show("the net and adaptive counts, mixed", adaptive, "the same")

    best = 7
    if asked.last:
        return mixed("7-gram and a net of 3 layers, 10 minutes", partial(Ensemble, families=(partial(NGram, order=7), NET)),
                     575,
                     0.03, batch=8, lr=3e-3, bfloat16=True)
    inner = round(0.9 * end)
    some, chooses = given.read(text=[text[:inner]]), given.read(text=[text[inner:end]])
    orders = {}
    for order in range(4, 10):
        model = given.model("p(text)", given.read(text=[text[:end]]), codecs={"text": Text()},
                            families={"text": partial(NGram, order=order)})
        model.fit(some, held_out=0)
        orders[order] = model.score(chooses).nats_per_character().value
    best = min(orders, key=orders.__getitem__)
    print({k: round(v, 4) for k, v in orders.items()}, flush=True)
    for name, family in (("unigram, Kneser-Ney", partial(NGram, order=1)), ("5-gram, Kneser-Ney", partial(NGram, order=5)),
                         ("5-gram, Witten-Bell", partial(NGram, order=5, smoothing=WittenBell())),
                         (f"{best}-gram, Kneser-Ney, the order chosen", partial(NGram, order=best)),
                         ("the same, adaptive in windows of 256", partial(NGram, order=best, adaptive=6))):
        model, cpu = learned(family)
        show(name, model, f"{cpu:.1f}")
    mixed("the default of 3 minutes: 7-gram and net, mixed", None, 180, 0.1)
    if not asked.quick:
        mixed(f"{best}-gram and a net of 3 layers, 10 minutes", partial(Ensemble, families=(partial(NGram, order=best), NET)),
              575,
              0.03, batch=8, lr=3e-3, bfloat16=True)
    if not (asked.quick or asked.choose):
        sha = hashlib.sha256(asked.file.read_bytes()).hexdigest()[:16]
        append("text", {"nats": rows}, {"file": f"{asked.file.name} (sha256 {sha})", "threads": "1", "seed": "0"})


if __name__ == "__main__":
    main()
