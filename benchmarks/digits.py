"""Handwritten digits: every number of the results page, ours and peers', in one run.

    python benchmarks/digits.py            # about 12 minutes on one core; appends to RESULTS.md
    python benchmarks/digits.py --quick    # a minute, prints only

Split 1,221 / 216 / 360 by numpy.random.default_rng(0).permutation(1797). Whatever is chosen is chosen on the 216; the 360
are scored once a seed. Scores are bits/dim under counting, lower is better; a bound's bits are at least the truth's.
"""

from __future__ import annotations

import argparse
import math
import time
from functools import partial

import numpy as np
import torch
from record import append, bold_best

import given
from given.app.demo import BASELINES, digits
from given.distributions import CategoricalHead, Noise
from given.evaluate import wilson_interval
from given.families import Autoregressive
from given.nn import Transformer
from given.variables import Axis, Entries, Finite, Observed, Variable

SEEDS = (0, 1, 2)


def timed(function):
    """What a function returns, and the CPU-seconds it took."""
    began = time.process_time()
    return function(), time.process_time() - began


def ours(train, valid, test, everything, seed, cpu_seconds):
    """Test items in bits/dim given the label and with the label summed out, posterior labels right, CPU-seconds, steps."""
    model = given.model("p(label) p(image | label)", everything, seed=seed)
    fit, cpu = timed(lambda: model.fit(train, held_out=valid, cpu_seconds=cpu_seconds, seed=seed, patience=None))
    conditional = model.given(label=test["label"]).score(image=test["image"]).bits_per_dim()
    marginal = model.given().score(image=test["image"]).bits_per_dim()
    right = model.given(image=test["image"]).mode()["label"] == test["label"]
    return conditional.items, marginal.items, right, cpu, -fit.held_out / math.log(2) / 64


def gaussian_mixture(train, valid, test, seed):
    """scikit-learn's GaussianMixture of dequantised images, components and ridge chosen on the validation images."""
    from sklearn.mixture import GaussianMixture

    rng = np.random.default_rng(seed)
    points = {name: (part["image"].reshape(part.n, -1) + rng.random((part.n, 64))) / 8.5 - 1
              for name, part in (("train", train), ("valid", valid), ("test", test))}
    fits = [GaussianMixture(k, covariance_type="full", reg_covar=r, random_state=seed).fit(points["train"])
            for k in (1, 5, 10, 20) for r in (1e-3, 1e-2)]
    best = max(fits, key=lambda m: m.score(points["valid"]))
    return -(best.score_samples(points["test"]) + 64 * math.log(1 / 8.5)) / math.log(2) / 64


def spline_flow(train, valid, test, seed, cpu_seconds):
    """zuko's neural spline flow of dequantised images, autoregressive, weights chosen on the validation images."""
    import zuko

    torch.manual_seed(seed)
    flow = zuko.flows.NSF(64, transforms=2, hidden_features=(256, 256), passes=None)
    optimiser = torch.optim.AdamW(flow.parameters(), lr=1e-3, weight_decay=1e-2)
    points = {name: torch.from_numpy(part["image"].reshape(part.n, -1)).float()
              for name, part in (("train", train), ("valid", valid), ("test", test))}

    def noisy(x):
        return ((x + torch.rand_like(x)) / 8.5 - 1) * 3

    began, best, kept, step = time.process_time(), -math.inf, flow.state_dict(), 0
    while time.process_time() - began < cpu_seconds:
        rows = points["train"][torch.randperm(len(points["train"]))[:128]]
        loss = -flow().log_prob(noisy(rows)).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(flow.parameters(), 5.0)
        optimiser.step()
        step += 1
        if step % 20 == 0:
            flow.eval()
            with torch.no_grad():
                score = flow().log_prob(noisy(points["valid"])).mean().item()
            flow.train()
            if score > best:
                best, kept = score, {k: v.clone() for k, v in flow.state_dict().items()}
    flow.load_state_dict(kept)
    flow.eval()
    with torch.no_grad():
        log_p = torch.stack([flow().log_prob(noisy(points["test"])) for _ in range(4)]).mean(0) + 64 * math.log(3 / 8.5)
    return -log_p.double().numpy() / math.log(2) / 64


def class_accuracy(family, train, test, everything):
    """Posterior labels of a closed-form family, right or wrong."""
    model = given.model("p(label) p(image | label)", everything, families={"image": family})
    model.fit(train, held_out=0)
    return model.given(image=test["image"]).mode()["label"] == test["label"]


def cache(rows=4):
    """Seconds to draw `rows` images of 28 x 28, step by step with a cache and with everything recomputed; and whether the
    entries are the same."""
    from given.codecs import IdentityCodec, Label

    image = Variable("image", IdentityCodec(Finite(2, ordered=True, axes=(Axis("height", 28), Axis("width", 28)))))
    label = Variable("label", Label(range(10)))
    torch.manual_seed(0)
    conditional = Autoregressive(image, label, net=partial(Transformer, width=64, layers=2), head=CategoricalHead).eval()
    distribution = conditional(Observed({"label": Entries(torch.arange(rows))}))
    noise = Noise.of(0, rows)
    with torch.no_grad():
        began = time.process_time()
        cached = distribution.sample(seed=noise).tensor.reshape(rows, -1)
        fast = time.process_time() - began
        u, order = noise.uniform((), (784,)), distribution.order[None]
        values = torch.zeros(rows, 784, dtype=torch.float64)
        began = time.process_time()
        for t in range(784):
            features = distribution.net(distribution.embed(values, order), distribution.y, order)[:, t]
            values[:, t] = distribution.heads[0](features).pick(u[:, t]).double()
        slow = time.process_time() - began
    return fast, slow, torch.equal(cached, values.long())


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a short budget; print, and record nothing")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    budget, seeds = (5.0, SEEDS[:1]) if quick else (85.0, SEEDS)
    train, valid, test = digits()
    everything = given.read("digits")
    items, cpu = {}, {}
    for name, formula, family in BASELINES:
        def closed(formula=formula, family=family):
            model = given.model(formula, everything, families={"image": family})
            model.fit(train, held_out=0)
            return model.score(test).bits_per_dim()

        score, cpu[name, formula] = timed(closed)
        items[name, formula] = [score]
    print({f"{name} {formula}": round(found[0].value, 3) for (name, formula), found in items.items()}, flush=True)
    kinds = {key: (found[0].kind, found[0].items) for key, found in items.items()}
    runs = {}
    for seed in seeds:
        runs[seed] = ours(train, valid, test, everything, seed, budget)
        conditional, marginal, right, seconds, chosen = runs[seed]
        print(f"seed {seed}: given the label {conditional.mean():.4f}, summed out {marginal.mean():.4f}, "
              f"accuracy {right.mean():.4f}, {seconds:.0f} CPU-s, validation (label and image) {chosen:.4f}", flush=True)
    kinds["autoregressive", "p(image | label)"] = ("exact", np.mean([r[0] for r in runs.values()], 0))
    kinds["autoregressive, label summed out", "p(image)"] = ("exact", np.mean([r[1] for r in runs.values()], 0))
    spread = {("autoregressive", "p(image | label)"): [r[0].mean() for r in runs.values()],
              ("autoregressive, label summed out", "p(image)"): [r[1].mean() for r in runs.values()]}
    for key in spread:
        cpu[key] = np.mean([r[3] for r in runs.values()])
    for name, peer in (("scikit-learn GaussianMixture", gaussian_mixture),
                       ("zuko NSF", partial(spline_flow, cpu_seconds=budget))):
        found = [timed(partial(peer, train, valid, test, seed)) for seed in seeds]
        key = (name, "p(image)")
        kinds[key] = ("bound", np.mean([f[0] for f in found], 0))
        spread[key], cpu[key] = [f[0].mean() for f in found], np.mean([f[1] for f in found])
        print(name, [round(float(v), 4) for v in spread[key]], f"{cpu[key]:.0f} CPU-s", flush=True)
    reference = {"p(image)": "autoregressive, label summed out", "p(image | label)": "autoregressive"}
    rows = [["model", "density", "bits/dim", "± s.e.", "seeds", "minus autoregressive, paired", "kind", "CPU-s to fit"]]
    for formula in reference:
        group = {key: value for key, value in kinds.items() if key[1] == formula}
        for key in sorted(group, key=lambda k: group[k][1].mean()):
            kind, each = group[key]
            ours_, finite = kinds[reference[formula], formula][1], bool(np.isfinite(each).all())
            d = each - ours_ if finite else each
            low_high = f"{min(spread[key]):.3f} to {max(spread[key]):.3f}" if key in spread else "-"
            paired = f"{d.mean():+.3f} ± {error(d):.3f}" if finite and key[0] != reference[formula] else "-"
            value = [f"{each.mean():.3f}", f"{error(each):.3f}"] if finite else ["inf", "-"]
            rows.append([key[0], formula, *value, low_high, paired, kind, f"{cpu[key]:.1f}"])
    accuracy = {"autoregressive": [int(r[2].sum()) for r in runs.values()]}
    for name, formula, family in BASELINES:
        if "label" in formula and name != "memory":
            accuracy[name] = [int(class_accuracy(family, train, test, everything).sum())]
    right = [["model", "test images told by Bayes' rule", "95 % interval", "seeds"]]
    for name, counts in sorted(accuracy.items(), key=lambda item: -np.mean(item[1])):
        share = np.mean(counts) / test.n
        low, high = wilson_interval(round(float(np.mean(counts))), test.n)
        right.append([name, f"{share:.1%}", f"{low:.1%} to {high:.1%}", ", ".join(f"{c / test.n:.1%}" for c in counts)])
    fast, slow, same = cache()
    print(rows, right, f"cache: {fast:.2f} CPU-s, recomputing {slow:.2f}, same {same}", sep="\n", flush=True)
    if not quick:
        append("digits", {"density": bold_best(rows), "labels": right,
                          "cache": [["28 x 28 binary images", "CPU-s", "entries"],
                                    ["4 drawn with the cache", f"{fast:.2f}", "784"],
                                    ["4 drawn by recomputing", f"{slow:.2f}", "the same" if same else "OTHERS"],
                                    ["ratio", f"{slow / fast:.1f}", ""]]},
               {"seeds": ", ".join(map(str, seeds)), "threads": "1"})


def error(each: np.ndarray) -> float:
    """The standard error of a mean."""
    return float(each.std(ddof=1) / math.sqrt(len(each)))


if __name__ == "__main__":
    main()
