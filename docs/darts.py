"""Draw pictures/darts.png for describe.md: what codes thrown at random decode to. A minute and a half: python docs/darts.py"""

from functools import partial
from pathlib import Path

import numpy as np
import torch

import given
from given.evaluate import picture
from given.families import VAE, Autoencoder, Dequantised
from given.variables import Observed

LATENT, STEPS, THROWN = 8, 3000, 20
FAMILIES = (partial(Dequantised, family=partial(Autoencoder, latent=LATENT)), partial(VAE, latent=LATENT))


def main() -> None:
    torch.set_num_threads(1)
    data = given.read("digits")
    ten = [int(np.flatnonzero(data["label"] == k)[0]) for k in range(10)]
    rows = [data["image"][ten]]
    for family in FAMILIES:
        model = given.model("p(image)", data, families={"image": family})
        model.fit(data, steps=STEPS, seed=0, held_out=0, progress=False)
        factor, image = model.joint.factors[0], model.joint.columns["image"]
        with torch.no_grad():
            codes = factor.encode(image.encode(data.rows(ten)), Observed(n=10)).mean()
            darts = factor.latent(Observed(n=THROWN)).sample(seed=0)
            back, thrown = (image.decode(factor.decode(z, Observed(n=len(z))))["image"] for z in (codes, darts))
        rows += [back, *thrown.reshape(-1, 10, 8, 8)]
    text = "ten digits; an autoencoder's of their codes, and of codes thrown; a VAE's likewise"
    (Path(__file__).parent / "pictures" / "darts.png").write_bytes(picture(np.stack(rows), levels=17, ink=True, text=text))


if __name__ == "__main__":
    main()
