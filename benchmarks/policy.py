"""Push-T: a policy learned from demonstrations, judged by what it earns in the world, closed loop.

    GIVEN_DATA=... python benchmarks/policy.py            # 20 CPU-minutes of one thread; appends to RESULTS.md
    GIVEN_DATA=... python benchmarks/policy.py --quick    # 20 CPU-seconds each and 5 starts; prints, and records nothing

Learned from the 206 demonstrations of $GIVEN_DATA/robot/pusht.npz; judged in gym-pusht (pip install "given[policy]") by the
best reward, the share of the goal that the block covers over .95, within 300 steps from 50 starts that no demonstration has.
All policies see what is derived of the last two states (places of the tool and of the block's corners, and the tool's place as
the block sees it), or the last two pictures of 32 x 32 pixels, say 16 actions and do 8 of them before they are asked again.
"""

from __future__ import annotations

import os

import numpy as np

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
WORLD, STEPS, FIRST_SEED = "gym_pusht/PushT-v0", 300, 100_000
SIDE, FIELD, GOAL = 32, 512.0, (256.0, 256.0, np.pi / 4)
SCALE = 30.0  # of the block: a bar of 4 x 1, and a stem of 1 x 3 below it
CORNERS = SCALE * np.array([(-2, 0), (2, 0), (2, 1), (-2, 1), (-0.5, 1), (0.5, 1), (0.5, 4), (-0.5, 4)])


def shown(seen: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """State (n, 5), the tool's place, the block's and its angle -> (n, 20): the tool's place, the block's corners, and the
    tool's place seen from the block."""
    tool, place, turn = (np.asarray(seen["state"], dtype=float)[:, part] for part in (slice(2), slice(2, 4), 4))
    cos, sin = np.cos(turn), np.sin(turn)
    turned = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)  # (n, 2, 2)
    corners = place[:, None] + np.einsum("nij,kj->nki", turned, CORNERS)
    own = np.einsum("nji,nj->ni", turned, tool - place)
    return {"state": np.concatenate([tool, corners.reshape(len(tool), -1), own], 1)}


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
