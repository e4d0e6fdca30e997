"""The bound of digits under a latent of eight dimensions: a standard normal prior, and priors learned afterwards.

    python benchmarks/latents.py [steps]

Every model takes the same steps, batches and nets. With a standard normal prior all of them go to the bound; with one that
learns afterwards half go to the bound and half to p(z).
"""

import sys
import time
from functools import partial

import given
from given.families import VAE, FlowMatching, Regression, SplineFlow
from given.nn import MLP
from given.nn.mlp import keep_size

NET = partial(MLP, hidden=(128, 128))
PART = partial(Regression, net=NET)
PRIORS = {"standard normal": None, "SplineFlow": SplineFlow, "FlowMatching": partial(FlowMatching, net=NET)}


def measured(prior, seed, steps):
    data = given.read("digits")
    train, test = data.split(0.8, seed=0)
    train, test = (given.read(image=part["image"]) for part in (train, test))
    family = partial(VAE, likelihood=PART, posterior=PART, afterwards=prior)
    model = given.model("p(image)", train, families={"image": family}, seed=seed)
    vae = model.joint.declared[0]
    keep_size(*(net for part in (vae.likelihood, vae.posterior) for net in (part.context, part.net)))
    began = time.process_time()
    model.fit(train, steps=steps, batch=64, seed=seed, patience=None, progress=False, device="cpu")
    return model.score(test), time.process_time() - began


if __name__ == "__main__":
    for seed in range(3):
        for name, prior in PRIORS.items():
            score, seconds = measured(prior, seed, int(sys.argv[1]) if len(sys.argv) > 1 else 3000)
            print(f"seed {seed}, {name}: {score}, {seconds:.0f} CPU-s", flush=True)
