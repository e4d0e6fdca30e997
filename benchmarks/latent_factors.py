"""Latents found without the factors that pictures were rendered from: how well do they recover them, and what do they move?

    python benchmarks/latent_factors.py            # four models, 8 CPU-minutes; appends to RESULTS.md
    python benchmarks/latent_factors.py pictures   # docs/pictures/latent-factors.png alone

Models are kept in --models, a folder, and learned where they are not there yet.

Pictures of one thing each, from the sample `scenes`, halved to 16 x 16 in colour; ten numbers are found for each, from the
pixels alone, by models of 20,000. Then a linear readout, of 3,000 scenes that nothing learned from, predicts all of the
factors from the ten, and is judged on 3,000 others. The light's direction is two factors, how far it comes from the right and
from below. beta, the weight of a VAE's own terms of z, is what makes the mean of disentanglement, completeness and
informativeness largest on other scenes, for the first seed; that choice reads factors, all else learned does not.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from record import append

import given
from given.evaluate import Disentanglement, disentanglement, recovery
from given.families import VAE, Dequantised
from given.sources import Scenes
from given.verbs import Model

LATENTS, BETAS = 10, (1.0, 4.0)
TRAINED_ON, SECONDS, SEEDS, ROWS = 20_000, 120, 3, 6000


def scenes(n: int, seed: int) -> tuple[given.Columns, dict[str, np.ndarray]]:
    """n scenes of one thing, and their factors."""
    rows = next(Scenes(n, seed=seed, counts=(1,), columns=("picture", "things", "light", "background")).batches(n))
    shape, colour, x, y, radius, texture = zip(*(things[0] for things in rows["things"]), strict=True)
    factors = {"shape": shape, "colour": colour, "texture": texture, "background": rows["background"], "x": x, "y": y,
               "radius": radius, "light, from the right": np.cos(rows["light"]), "light, from below": np.sin(rows["light"])}
    picture = rows["picture"].reshape(n, 16, 2, 16, 2, 3).mean((2, 4)).round().astype(np.uint8)
    return given.read(picture=picture), {name: np.array(values) for name, values in factors.items()}


def learned(seed: int, beta: float, models: Path) -> Model:
    """Loaded, or learned and kept."""
    path = models / f"beta-{beta:g}-seed-{seed}.given"
    if path.exists():
        return given.load(path)
    data, _ = scenes(TRAINED_ON, 0)
    family = partial(Dequantised, family=partial(VAE, latent=LATENTS, beta=beta))
    model = given.model("p(picture)", data, families={"picture": family}, seed=seed)
    model.fit(data, cpu_seconds=SECONDS, batch=32, seed=seed, progress=False, device="cpu", patience=None)
    model.save(path)
    return model


def mean(found: Disentanglement) -> float:
    return (found.disentanglement + found.completeness.mean() + found.informativeness.mean()) / 3


def chosen(betas: Sequence[float], models: Path) -> float:
    """The beta that validation chooses."""
    data, factors = scenes(4000, 1)
    value = {}
    for beta in betas if len(betas) > 1 else ():
        found = disentanglement(learned(0, beta, models).encode(data), factors)
        value[beta] = mean(found)
        print(f"validation, beta {beta:g}: mean {value[beta]:.3f}\n{found}", flush=True)
    return max(betas, key=lambda beta: value.get(beta, 0.0))


def strip(model: Model) -> None:
    """One scene, every latent from -3 to 3 standard deviations, those first that move the picture most."""
    found = model.strip(scenes(8, 3)[0].rows(slice(2, 3)))
    print(found)
    found.save(Path(__file__).parent.parent / "docs" / "pictures" / "latent-factors.png")


def measured(betas: Sequence[float], models: Path, seeds: int) -> dict[str, list[list[str]]]:
    """Means over seeds, with the least and the largest: of the whole, and of every factor."""
    data, factors = scenes(ROWS, 2)
    found, scores, began = dict[str, list[Disentanglement]](), [], time.process_time()
    best = chosen(betas, models)
    for seed in range(seeds):
        for beta in betas if seed == 0 else (best,):
            model, name = learned(seed, beta, models), f"VAE, beta {beta:g}"
            if (seed, beta) == (0, best):
                strip(model)
            scores.append(f"{name}: {model.score(data.rows(slice(0, 500))).bits_per_dim().value:.3f}")
            each = recovery(model.encode(data), factors, data["picture"], seed=seed, draws=50)
            found.setdefault(name, []).append(each.pop("codes"))
            for other, value in each.items() if beta == best else ():
                found.setdefault(other, []).append(value)
            print(seed, name, scores[-1], found[name][-1], found[name][-1].importance.round(2), sep="\n", flush=True)

    def spelled(values: list[float]) -> str:
        return f"{np.mean(values):.3f}" + (f" ({min(values):.3f} to {max(values):.3f})" if max(values) > min(values) else "")

    whole = [["codes", "seeds", "disentanglement", "its interval over rows, first seed", "completeness, mean",
              "informativeness, mean"]]
    for name, some in found.items():
        whole.append([name, str(len(some)), spelled([f.disentanglement for f in some]),
                      "{:.3f} to {:.3f}".format(*some[0].interval), spelled([f.completeness.mean() for f in some]),
                      spelled([f.informativeness.mean() for f in some])])
    by_factor = [["factor", "measured by", "chance", *found]]
    for j, factor in enumerate(factors):
        first, cells = next(iter(found.values()))[0], list[str]()
        for some in found.values():
            half = np.mean([np.ptp(f.informativeness_intervals[j]) / 2 for f in some])
            read, complete = np.mean([(f.informativeness[j], f.completeness[j]) for f in some], 0)
            cells.append(f"{read:.3f} ± {half:.3f}, {complete:.3f}")
        by_factor.append([factor, first.measures[j], f"{first.chance[j]:.3f}", *cells])
    print("\n".join(map(" | ".join, [*whole, *by_factor])), f"{time.process_time() - began:.0f} CPU-s", scores, flush=True)
    return {"whole": whole, "factors": by_factor}


def main() -> None:
    """What is asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="?", default="table", choices=("table", "pictures"))
    parser.add_argument("--betas", type=float, nargs="+", default=BETAS, help="of which validation chooses one")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="of the beta that is chosen")
    parser.add_argument("--models", type=Path, default=Path("latent-factors"))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.what == "pictures":
        strip(learned(0, chosen(asked.betas, asked.models), asked.models))
    else:
        append("latent_factors", measured(asked.betas, asked.models, asked.seeds), {
            "seeds": f"{asked.seeds}", "budget": f"{SECONDS} CPU-seconds a model"})


if __name__ == "__main__":
    main()
