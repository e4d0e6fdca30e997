"""Push-T: a policy learned from demonstrations, judged by what it earns in the world, closed loop.

    GIVEN_DATA=... python benchmarks/policy.py            # 3 CPU-minutes of one thread; appends to RESULTS.md
    GIVEN_DATA=... python benchmarks/policy.py picture    # as much, learned from pictures
    GIVEN_DATA=... python benchmarks/policy.py --quick    # 20 CPU-seconds each and 5 starts; prints, and records nothing

Learned from the 206 demonstrations of $GIVEN_DATA/robot/pusht.npz; judged in gym-pusht (pip install "given[policy]") by the
best reward, the share of the goal that the block covers over .95, within 300 steps from 50 starts that no demonstration has.
All policies see what is derived of the state (places of the tool and of the block's corners, and the tool's place as the block
sees it), or a picture of 32 x 32 pixels, say 16 actions and do 8 of them before they are asked again.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from record import append

import given
from given import Model
from given.evaluate import Rollouts, rollouts, worlds
from given.tasks import policy

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
WORLD, STEPS, STARTS, FIRST_SEED = "gym_pusht/PushT-v0", 300, 50, 100_000
Act = Callable[..., np.ndarray]
Observe = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]
SIDE, FIELD, GOAL = 32, 512.0, (256.0, 256.0, np.pi / 4)
SCALE = 30.0  # of the block: a bar of 4 x 1, and a stem of 1 x 3 below it
CORNERS = SCALE * np.array([(-2, 0), (2, 0), (2, 1), (-2, 1), (-0.5, 1), (0.5, 1), (0.5, 4), (-0.5, 4)])


def shown(seen: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """State (n, 5), the tool's place, the block's and its angle -> the tool's place (n, 2), and (n, 18) the block's corners and
    the tool's place seen from it."""
    tool, place, turn = (np.asarray(seen["state"], dtype=float)[:, part] for part in (slice(2), slice(2, 4), 4))
    own = np.einsum("nji,nj->ni", _turned(turn), tool - place)
    return {"tool": tool, "block": np.concatenate([_corners(place, turn).reshape(len(tool), -1), own], 1)}


def _turned(turn: np.ndarray) -> np.ndarray:
    """Angles (n,) as matrices (n, 2, 2)."""
    return np.stack([np.stack([np.cos(turn), -np.sin(turn)], -1), np.stack([np.sin(turn), np.cos(turn)], -1)], -2)


def _corners(place: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """(n, 8, 2) those of blocks at (n, 2), turned by (n,)."""
    return place[:, None] + np.einsum("nij,kj->nki", _turned(turn), CORNERS)


def drawn(seen: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """State (n, 5) -> pictures (n, 32, 32, 3) of 8 bits: the goal green, the block grey, the tool blue, with soft edges, a
    pixel wide."""
    state = np.asarray(seen["state"], dtype=np.float32)
    x, y = np.meshgrid(*[(np.arange(SIDE, dtype=np.float32) + 0.5) * (FIELD / SIDE)] * 2)
    places = np.stack([x, y], -1)
    goal = _covers(places, np.array([GOAL[:2]], dtype=np.float32), np.array([GOAL[2]], dtype=np.float32))
    found = np.empty((len(state), SIDE, SIDE, 3), dtype=np.uint8)
    for part in np.array_split(np.arange(len(state)), -(-len(state) // 512)):
        s = state[part]
        block = _covers(places, s[:, 2:4], s[:, 4])
        tool = _soft(15.0 - np.linalg.norm(places - s[:, None, None, :2], axis=-1))
        picture = np.ones((len(s), SIDE, SIDE, 3), dtype=np.float32)
        for cover, colour in ((goal, (0.56, 0.93, 0.56)), (block, (0.47, 0.53, 0.6)), (tool, (0.25, 0.41, 0.88))):
            picture += cover[..., None] * (np.array(colour, dtype=np.float32) - picture)
        found[part] = np.rint(255 * picture)
    return {"picture": found}


def _covers(places: np.ndarray, at: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """(n, height, width) how far a block at (n, 2), turned by (n,), covers each place."""
    off = places - at[:, None, None]
    cos, sin = (f(turn)[:, None, None] for f in (np.cos, np.sin))
    x, y = cos * off[..., 0] + sin * off[..., 1], cos * off[..., 1] - sin * off[..., 0]
    bar = np.minimum(2 * SCALE - abs(x), SCALE / 2 - abs(y - SCALE / 2))
    stem = np.minimum(SCALE / 2 - abs(x), 1.5 * SCALE - abs(y - 2.5 * SCALE))
    return _soft(np.maximum(bar, stem))


def _soft(inside: np.ndarray) -> np.ndarray:
    """What share of a pixel is covered whose middle is so far inside."""
    return np.clip(inside * (SIDE / FIELD) + 0.5, 0.0, 1.0)


def learned(budget: float, seed: int, observe: Observe, *, mean: bool = False) -> tuple[Model, float]:
    """A model of the demonstrations, and the CPU-seconds it took."""
    data = policy.read(given.read(_file()), observe=observe)
    model = policy.model(data, seed=seed, near=["tool"] if "tool" in data else [], mean=mean)
    fit = model.fit(data, cpu_seconds=budget, seed=seed, threads=1, bfloat16=True, held_out=0, progress=False,
                    **policy.TRAINING)
    return model, fit.cpu_seconds


def _file() -> Path:
    return Path(os.environ["GIVEN_DATA"]) / "robot" / "pusht.npz"


def acted(act: Act, observe: Observe | None, n: int) -> Rollouts:
    """What a policy does from n starts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of packages that gym-pusht loads
        made = worlds(WORLD, n)
        return rollouts(act, made, seeds=range(FIRST_SEED, FIRST_SEED + n), steps=STEPS, observe=observe)


def row(name: str, found: Rollouts, beside: Rollouts | None, seconds: float | None) -> list[str]:
    """Mean best reward with its 95 % interval, the share that is solved, and how much more than beside, start by start."""
    best = found.best
    more = "" if beside is None else _interval(best - beside.best)
    return [name, _interval(best), f"{(best >= 1).mean():.0%}", more, f"{found.lengths.mean():.0f}",
            "" if seconds is None else f"{seconds:.0f}"]


def _interval(values: np.ndarray) -> str:
    return f"{values.mean():.3f} ± {1.96 * values.std(ddof=1) / len(values) ** 0.5:.3f}"


def strip(found: Rollouts, path: Path, shots: int = 8) -> None:
    """One rollout from left to right: the world at so many moments, and the way that the tool went until each."""
    from PIL import Image, ImageDraw

    i = int(np.argsort(found.best)[len(found.best) // 2])
    tool, last = found.observed["tool"][i], int(found.lengths[i])
    sheet = Image.new("RGB", (shots * 130, 128), "white")
    for k, t in enumerate(np.linspace(0, last, shots).round().astype(int)):
        picture = Image.new("RGB", (512, 512), "white")
        draw = ImageDraw.Draw(picture)
        goal = _corners(np.array([GOAL[:2]]), np.array([GOAL[2]]))[0]
        for corners, colour in ((goal, "#b5e8b5"), (found.observed["block"][i, t, :16].reshape(8, 2), "#78879a")):
            for part in (corners[:4], corners[4:]):
                draw.polygon([tuple(c) for c in part.tolist()], fill=colour)
        way = tool[:t + 1]
        draw.line([tuple(c) for c in way.tolist()] * (1 + (len(way) < 2)), fill="#e07b39", width=5)
        x, y = tool[t]
        draw.ellipse((x - 15, y - 15, x + 15, y + 15), fill="#4169e1")
        sheet.paste(picture.resize((128, 128), Image.Resampling.LANCZOS), (130 * k, 0))
    sheet.save(path)


def main() -> None:
    """All rows, or some of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", default=["mean", "state"], help="rows, of mean, state, picture")
    parser.add_argument("--seconds", type=float, default=120, help="CPU-seconds of learning by diffusion (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="20 CPU-seconds and 5 starts; print, and record nothing")
    parser.add_argument("--save", help="where to save what was learned, with the name of the row behind it")
    parser.add_argument("--strip", help="where to draw a rollout, as .png")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    n, budget = (5, 20.0) if asked.quick else (STARTS, asked.seconds)
    raw = policy.read(given.read(_file()))
    beside = acted(policy.nearest(raw, {"state": np.array([FIELD] * 4 + [2 * np.pi])}), None, n)
    rows = [["policy", "mean best reward", "solved", "more than the nearest", "steps", "CPU-s to learn"],
            row("what was done in the nearest state", beside, None, None)]
    for name, said, observe, mean, share in (("mean", "mean of regression, states", shown, True, 0.2),
                                             ("state", "diffusion, states", shown, False, 1.0),
                                             ("picture", "diffusion, pictures", drawn, False, 1.0)):
        if name in asked.what:
            model, seconds = learned(share * budget, asked.seed, observe, mean=mean)
            found = acted(policy.acting(model, mean=mean), observe, n)
            rows.append(row(said, found, beside, seconds))
            if asked.save:
                model.save(f"{asked.save}-{name}")
            if asked.strip and name == "state":
                strip(found, Path(asked.strip))
    print(*(" | ".join(each) for each in rows), sep="\n", flush=True)
    if not asked.quick:
        name = "policy" if "state" in asked.what else "policy_pictures"
        append(name, {"rows": rows}, {"seed": f"{asked.seed}", "data": "206 demonstrations, 50 unseen starts"})


if __name__ == "__main__":
    main()
