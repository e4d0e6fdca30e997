"""Backbone: C-alpha chains of 64 residues, p(coords | length), and assemblies of several, p(coords | length, symmetry).

    python benchmarks/backbone.py           # 24 CPU-minutes of one thread; appends to RESULTS.md
    python benchmarks/backbone.py --quick   # 20 CPU-seconds and 16 draws; prints, and records nothing

Learned from the unbroken pieces of chains of $GIVEN_DATA/protein/ca_chains.npz whose cluster is not held out, without the two
chains that TS50 has too. Draws are set beside windows of the held-out clusters, and beside those of TS50, which is read at the
end alone. Bonds are of 3.8 +- .2 angstrom; a clash is a pair more than two residues apart that is nearer than 3.5 angstrom; a
contact one nearer than 8. The nearest training chain is the one of least RMSD among all windows of 64, every fourth residue.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
import torch
from record import append

import given
from given.distributions import Symmetry
from given.evaluate import chain_figures, chain_geometry, nearest_rmsd, random_walks
from given.sources import Columns, items
from given.tasks import backbone
from given.variables import Observed

DATA = Path(os.environ.get("GIVEN_DATA", "data")) / "protein"
SHARED = ("3K75_l_u_B", "3A4S_l_u_B")  # in TS50 too
L = backbone.WINDOW


def chains() -> Columns:
    """The chains to learn from, with their clusters."""
    raw = np.load(DATA / "ca_chains.npz")
    whole = Columns({"coords": items(raw["coords"], np.diff(raw["offsets"]).tolist()), "id": raw["ids"],
                     "cluster": raw["cluster"]})
    return backbone.read(whole.rows(~np.isin(raw["ids"], SHARED)))


def ts50() -> list[np.ndarray]:
    """Windows of 64 residues of TS50, side by side."""
    rows = json.loads((DATA / "ts50.json").read_text())
    points = [np.array(row["coords"])[:, 1] for row in rows]
    cut = backbone.read(Columns({"coords": items(np.concatenate(points), list(map(len, points)))}))
    return [c[k:k + L] for c in cut["coords"] for k in range(0, len(c) - L + 1, L)]


def windows(data: Columns, step: int) -> np.ndarray:
    """(n, 64, 3) windows of the pieces."""
    return np.stack([c[k:k + L] for c in data["coords"] for k in range(0, len(c) - L + 1, step)])


def equivariance(model: given.Model, n: int = 32) -> float:
    """The largest difference, in units of x (nanometres), between what the field gives of a turned chain, and what it gives,
    turned: at random times, in float32."""
    (factor,) = model.joint
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(n, L - 1, 3, generator=rng)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=rng, dtype=torch.float64))[0]
    turn = (turn * torch.linalg.det(turn)).float()
    t, y = torch.rand(n, generator=rng), factor.context.condition(Observed(n=n))
    with torch.no_grad():
        a, b = (factor.net(z[..., None], t, y) for z in (x, x @ turn.T))
    return float((a @ turn.T - b).abs().max())


def assemblies(model: given.Model, n: int) -> list[list[str]]:
    """Bonds and clashes of chains in symmetry, with those between copies, and how exact the copies are."""
    rows = [["symmetry, residues a chain", "bonds of 3.8 A", "clashes in a chain", "clashes between chains, a chain",
             "copies differ by, A"]]
    for copies in (2, 3, 4):
        drawn = model.sample(n, length=L // 2, how=Symmetry(copies), seed=1)["coords"].reshape(n, copies, L // 2, 3)
        angle = 2 * np.pi / copies
        turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
        off = np.abs(drawn @ turn.T - np.roll(drawn, -1, 1)).max()
        one = chain_geometry(list(drawn[:, 0]))
        far = [np.linalg.norm(a[0][:, None] - np.concatenate(a[1:])[None], axis=-1) for a in drawn]
        rows.append([f"C{copies}, {L // 2}", f"{np.mean(np.abs(one['bonds'] - 3.8) < 0.2):.3f}", f"{one['clashes'].mean():.2f}",
                     f"{np.mean([(d < 3.5).sum() for d in far]):.2f}", f"{off:.1e}"])
    return rows


def measured(model: given.Model, train: Columns, held: Columns, n: int, extra: list[list[str]]) -> dict[str, list[list[str]]]:
    """All tables."""
    drawn = list(model.sample(n, length=L, seed=0)["coords"])
    own = windows(train, 4)
    rng = np.random.default_rng(0)
    some = [own[i] for i in rng.permutation(len(own))[:n]]
    tests = {"held-out clusters": [c for c in held["coords"] if len(c) == L], "TS50": ts50()}
    names = ("bonds of 3.8 A", "clashes", "KS of the radius", "KS of contacts")
    rows = [["64 residues", *names[:2], *(f"{name}, {test}" for test in tests for name in names[2:])]]
    for what, mine in (("random walk of 3.8 A steps", list(random_walks(n, L))), ("training chains", some),
                       *((f"{test} themselves", true) for test, true in tests.items()), (f"{n} draws", drawn)):
        each = [chain_figures(mine, true) for true in tests.values()]
        rows.append([what, *(f"{each[0][name]:.3f}" for name in names[:2]), *(f"{one[name]:.3f}" for one in each
                                                                             for name in names[2:])])
    radius = {what: chain_geometry(c)["radius"].mean() for what, c in (("draws", drawn), *tests.items())}
    near = nearest_rmsd(np.stack(drawn[:40]), own)
    beside = nearest_rmsd(np.stack(tests["held-out clusters"][:40]), own)
    facts = [["what", "value"], *extra, ["mean radius of gyration, A", ", ".join(f"{k} {v:.2f}" for k, v in radius.items())],
             ["nearest training RMSD of 40 draws, A: least, median", f"{near.min():.2f}, {np.median(near):.2f}"],
             ["the same of 40 held-out chains", f"{beside.min():.2f}, {np.median(beside):.2f}"],
             ["equivariance error of the field, nm", f"{equivariance(model):.1e}"]]
    return {"chains": rows, "facts": facts, "symmetry": assemblies(model, max(2, n // 16))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1200, help="CPU-seconds of learning (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="20 CPU-seconds and 16 draws; print, and record nothing")
    parser.add_argument("--save", help="where to save what was learned")
    parser.add_argument("--draws", type=int, default=200, help="chains that are drawn (%(default)s)")
    parser.add_argument("--load", help="what was saved, to measure it without learning")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    began = time.process_time()
    data = chains()
    source, held = backbone.parted(data, 0.15)
    extra = [["data", data.described()]]
    if asked.load:
        model = given.load(asked.load)
    else:
        model = backbone.model(source, seed=asked.seed)
        model.fit(source, cpu_seconds=20 if asked.quick else asked.seconds, threads=1, seed=asked.seed, progress=False,
                  **backbone.TRAINING)
    extra.append(["CPU-s to learn, steps", "{cpu_seconds:.0f}, {steps}".format(**model.facts["fit"])])
    if asked.save:
        model.save(asked.save)
    tables = measured(model, source.pieces, held, 16 if asked.quick else asked.draws, extra)
    for rows in tables.values():
        print(*(" | ".join(row) for row in rows), sep="\n", end="\n\n", flush=True)
    print(f"{time.process_time() - began:.0f} CPU-s")
    if not asked.quick:
        append("backbone", tables, {"seed": f"{asked.seed}"})


if __name__ == "__main__":
    main()
