"""OneCommon: which of seven dots is meant in a dialogue about them, and what is said of them.

    GIVEN_DATA=... python benchmarks/grounded.py            # 10 CPU-minutes of one thread; appends to RESULTS.md
    GIVEN_DATA=... python benchmarks/grounded.py --quick    # 20 CPU-seconds each and 100 dialogues; prints, and records nothing

Learned from the 5,408 sides of dialogues of $GIVEN_DATA/dialogue/onecommon, chosen on the 676 of validation, judged once on the
675 of test, whose dots no other part has. A side is what one player saw, seven dots of a place, a size and a colour each, the
dialogue, and the dot that the player chose.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from given.sources import Columns

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
