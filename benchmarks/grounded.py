"""OneCommon: which of seven dots is meant in a dialogue about them, and what is said of them.

    GIVEN_DATA=... python benchmarks/grounded.py choice                 # 5 CPU-minutes of one thread; appends to RESULTS.md
    GIVEN_DATA=... python benchmarks/grounded.py words --seconds 840    # 15 CPU-minutes
    GIVEN_DATA=... python benchmarks/grounded.py --quick    # 20 CPU-seconds each and 100 dialogues; prints, and records nothing

Learned from the 5,408 sides of dialogues of $GIVEN_DATA/dialogue/onecommon, chosen on the 676 of validation, judged once on the
675 of test, whose dots no other part has. A side is what one player saw, seven dots of a place, a size and a colour each, the
dialogue, and the dot that the player chose.
"""

from __future__ import annotations

import argparse
import os
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import append

import given
from given.codecs import Text
from given.evaluate import wilson_interval
from given.families import NGram
from given.sources import Columns
from given.tasks import grounded

FIELDS = ("x", "y", "size", "colour")
PARTS = ("train", "valid", "test")


def read(path: Path) -> Columns:
    """Dots, dialogue and the place of the chosen one of every line."""
    dots, said, chosen = [], [], []
    for line in path.read_text().splitlines():
        part = {name: re.search(rf"<{name}> (.*?) </{name}>", line)[1] for name in ("input", "dialogue", "output")}
        numbers = [float(v) for v in part["input"].split()]
        dots.append([dict(zip(FIELDS, numbers[i:i + 4], strict=True)) for i in range(0, len(numbers), 4)])
        turns = part["dialogue"].replace("<selection>", "").split("<eos>")
        said.append("\n".join(" ".join(turn.replace("YOU:", "me").replace("THEM:", "you").split()) for turn in turns).strip())
        chosen.append(int(part["output"]))
    sets = np.empty(len(dots), dtype=object)
    sets[:] = dots
    return Columns({"dots": sets, "dialogue": said, "choice": chosen})


def choices(parts: dict[str, Columns], budget: float, seed: int, save: str | None) -> list[list[str]]:
    """How often the chosen dot is found, with its 95 % interval."""
    n = parts["test"].n
    rows = [["chosen by", "right", "CPU-s to learn"]]
    for name, found in grounded.baselines(parts["train"], parts["test"]).items():
        rows.append([name, _share(found["right"], n), ""])
    model = grounded.model(parts["train"], seed=seed)
    fit = _fit(model, parts, budget, seed)
    if save:
        model.save(f"{save}-choice")
    return [*rows, ["pointer, given dots and dialogue", _share(grounded.measure(model, parts["test"])["right"], n),
                    f"{fit.cpu_seconds:.0f}"]]


def words(parts: dict[str, Columns], budget: float, seed: int, save: str | None) -> list[list[str]]:
    """The perplexity of a word of dialogues, given their dots and given others."""
    said = {name: grounded.read(Columns({"dots": grounded.marked(part["dots"], _places(part)), "reply": part["dialogue"]}))
            for name, part in parts.items()}
    plain = given.model("p(reply)", said["train"].only(["reply"]), codecs={"reply": Text("words", size=768)},
                        families={"reply": partial(NGram, order=3)})
    plain.fit(said["train"].only(["reply"]), held_out=said["valid"].only(["reply"]), progress=False)
    rows = [["model of words", "perplexity", "given other dots", "falls by", "CPU-s to learn"],
            ["trigram, of no dots", f"{grounded.perplexity(plain, said['test']):.2f}", "", "", ""]]
    model = grounded.model(said["train"], seed=seed, dropout=0.2)
    fit = _fit(model, said, budget, seed)
    if save:
        model.save(f"{save}-words")
    found = grounded.measure(model, said["test"])
    true, other = found["perplexity"], found["given other things"]
    said_by = "transformer, given dots, the one that is meant summed out"
    return [*rows, [said_by, f"{true:.2f}", f"{other:.2f}", f"{1 - true / other:.1%}", f"{fit.cpu_seconds:.0f}"]]


def _places(part: Columns) -> list[int]:
    """The places of the chosen dots."""
    return [dots.index(chosen) for dots, (chosen,) in zip(part["dots"], part["choice"], strict=True)]


def _fit(model: given.Model, parts: dict[str, Columns], budget: float, seed: int) -> Any:
    """Learn from what is for it; the weights kept are the best on validation."""
    return model.fit(parts["train"], held_out=parts["valid"], cpu_seconds=budget, seed=seed, threads=1, progress=False,
                     **{**grounded.TRAINING, "patience": None})


def _share(share: float, n: int) -> str:
    low, high = wilson_interval(share * n, n)
    return f"{share:.1%} ({low:.1%} to {high:.1%})"


def main() -> None:
    """Both questions, or one of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", default=["choice", "words"], help="of choice, words")
    parser.add_argument("--seconds", type=float, default=240, help="CPU-seconds of learning each (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="20 CPU-seconds and 100 dialogues; print, and record nothing")
    parser.add_argument("--save", help="where to save what was learned, with the name of the question behind it")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    folder = Path(os.environ["GIVEN_DATA"]) / "dialogue" / "onecommon"
    parts = {part: grounded.read(read(folder / f"{part}_uncorrelated.txt")) for part in PARTS}
    if asked.quick:
        parts["test"] = parts["test"].rows(slice(100))
    for name, ask in (("choice", choices), ("words", words)):
        if name in asked.what:
            rows = ask(parts, 20.0 if asked.quick else asked.seconds, asked.seed, asked.save)
            print(*(" | ".join(row) for row in rows), sep="\n", flush=True)
            if not asked.quick:
                append(f"grounded_{name}", {name: rows}, {"seed": f"{asked.seed}", "data": "OneCommon, test part"})


if __name__ == "__main__":
    main()
