"""Every family by its name alone, on four kinds of data: it works by its defaults, or says in one line what would."""

import ast

import numpy as np
import pytest
import torch

import given
from given import families
from given.codecs import IdentityCodec
from given.distributions import Categorical, FactorizedHead, Intractable, ProductDistribution
from given.families import VAE
from given.variables import Axis, Finite, Product, Real, UserError
from given.verbs.literals import built

ROWS = 60
_RNG = np.random.default_rng(0)
KINDS = {
    "pictures": {"x": _RNG.integers(0, 9, (ROWS, 2, 2)).astype(np.uint8)},
    "vectors": {"x": _RNG.normal(size=(ROWS, 3))},
    "labels": {"x": _RNG.choice(list("abc"), ROWS)},
    "tables": {"a": _RNG.normal(size=ROWS), "b": _RNG.choice(list("uv"), ROWS)},
}
Y = _RNG.choice(list("pq"), ROWS)
LEVELS = "use Dequantised(family={0})"
CODES = "pass codecs={'x': Number()}; else use Autoregressive or Independent"
BLOCK = "pass codecs={'b': Number()}; else use Autoregressive or Independent"
SERIES = "expected a series, values along one axis that all columns share"
GRIDS = "use Independent or Autoregressive for a grid, Gaussian for reals"

# What a family cannot take, and the way out its error names; where a kind is missing, it works by defaults.
REALS_ONLY = {"pictures": LEVELS, "labels": CODES, "tables": BLOCK}
ONE_DIMENSIONAL = {"Beta": "between 0 and 1", "Exponential": "from 0 up", "Gamma": "above 0", "Laplace": "",
                   "LogNormal": "above 0", "Normal": "", "StudentT": "", "Uniform": ""}  # and which numbers they are of
NEEDS = {
    "Change": "pass partial(Change, family=Regression)",
    "Contrastive": "pass partial(Contrastive, base=Independent)",
    "DynamicFilter": "expected a parent of reals or levels on",
    "Dequantised": "pass partial(Dequantised, family=FlowMatching)",
    "Markov": "pass partial(Markov, family=Regression)",
    "Ensemble": "pass partial(Ensemble, families=(Independent, Autoregressive))",
    "PretrainedCaptioner": "expected path=, the folder of a model, or config= and pixels=",
    "PretrainedContrastive": "expected path=, the folder of a model, or config=, pixels= and tokenizer=",
    "PretrainedDiffusion": "expected path=, the folder of a pipeline, or files=, the contents of one without weights",
    "PretrainedLM": "expected path=, the folder of a model, or config=, an architecture's JSON to learn from scratch",
    "Residual": "pass partial(Residual, base=Gaussian, family=Diffusion)",
    "VQVAE": "or use VAE",
}
OF_PLACES = {"pictures": "is smaller than its windows of", **dict.fromkeys(
    ["vectors", "labels", "tables"], "expected levels on a grid of height and width")}
OUT = {
    "Autoencoder": REALS_ONLY,
    "Autoregressive": {},
    "BoostedTrees": dict.fromkeys(["pictures", "vectors", "tables"], "or use Regression"),
    "CTC": dict.fromkeys(KINDS, "use Autoregressive"),
    "Categorical": dict.fromkeys(["pictures", "vectors", "tables"], GRIDS),
    **dict.fromkeys(ONE_DIMENSIONAL, REALS_ONLY),
    "Change": {**REALS_ONLY, "vectors": NEEDS["Change"]},
    "DynamicFilter": {**REALS_ONLY, "vectors": NEEDS["DynamicFilter"]},
    "ChowLiuTree": dict.fromkeys(["vectors", "tables"], "use Autoregressive"),
    "Contrastive": dict.fromkeys(KINDS, NEEDS["Contrastive"]),
    "Dequantised": {"pictures": NEEDS["Dequantised"],
                    **dict.fromkeys(["vectors", "labels", "tables"], "use Categorical or Independent")},
    "Diffusion": REALS_ONLY,
    "EfrosLeung": OF_PLACES,
    "Empirical": dict.fromkeys(["vectors", "tables"], "use Gaussian for reals"),
    "Ensemble": dict.fromkeys(KINDS, NEEDS["Ensemble"]),
    "ExponentialSmoothing": REALS_ONLY,
    "FactorAnalysis": REALS_ONLY,
    "FlowMatching": REALS_ONLY,
    "GAN": REALS_ONLY,
    "GARCH": REALS_ONLY,
    "Gaussian": REALS_ONLY,
    "GaussianMixture": REALS_ONLY,
    "Hawkes": {"pictures": "expected one column of waits", **dict.fromkeys(["labels", "tables"], SERIES)},
    "HiddenMarkov": dict.fromkeys(["labels", "tables"], SERIES),
    "Independent": {},
    "KMeans": REALS_ONLY,
    "KernelDensity": {},
    "LinearAutoregressive": REALS_ONLY,
    "MAR": REALS_ONLY,
    "Markov": {**dict.fromkeys(KINDS, NEEDS["Markov"]), **dict.fromkeys(["labels", "tables"], "use Autoregressive")},
    "NGram": dict.fromkeys(["vectors", "tables"], "use Autoregressive"),
    "NearestNeighbour": {},
    "PCA": REALS_ONLY,
    "PatchMatch": OF_PLACES,
    "Pointer": dict.fromkeys(KINDS, "use the codec Set(most=1)"),
    "PretrainedCaptioner": dict.fromkeys(KINDS, NEEDS["PretrainedCaptioner"]),
    "PretrainedContrastive": dict.fromkeys(KINDS, NEEDS["PretrainedContrastive"]),
    "PretrainedDiffusion": dict.fromkeys(KINDS, NEEDS["PretrainedDiffusion"]),
    "PretrainedLM": dict.fromkeys(KINDS, NEEDS["PretrainedLM"]),
    "ProbabilisticPCA": REALS_ONLY,
    "Quilting": OF_PLACES,
    "RealizedGARCH": {**REALS_ONLY, "vectors": "expected two series, returns and a measure of their scale, got 1; use GARCH"},
    "Regression": {},
    "Residual": {"vectors": NEEDS["Residual"], **dict.fromkeys(["pictures", "labels", "tables"], "use the family alone")},
    "Retrieval": dict.fromkeys(KINDS, "use NearestNeighbour"),
    "SeasonalNaive": REALS_ONLY,
    "SplineFlow": REALS_ONLY,
    "StateSpace": REALS_ONLY,
    "TransformerFlow": REALS_ONLY,
    "Unordered": dict.fromkeys(KINDS, "use the codec Set, or another family"),
    "VAE": {},
    "VQVAE": dict.fromkeys(KINDS, NEEDS["VQVAE"]),
}
ALONE = {"BoostedTrees": "cut along; use Independent", "NearestNeighbour": "be near to; use KernelDensity"}
NO_PARENTS = {"ExponentialSmoothing", "FactorAnalysis", "GARCH", "Hawkes", "HiddenMarkov", "KMeans", "PCA", "ProbabilisticPCA",
              "RealizedGARCH", "SeasonalNaive", "StateSpace"}


def made(family, kind, condition):
    columns = KINDS[kind] | ({"y": Y} if condition else {})
    left = ", ".join(KINDS[kind])
    data = given.read(columns)
    return given.model(f"p({left} | y)" if condition else f"p({left})", data, families={left: family}), data


def exercised(family, kind, condition):
    """Two steps, draws and a score."""
    model, data = made(family, kind, condition)
    model.fit(data, steps=2, progress=False)
    drawn = model.sample(3, **({"y": "p"} if condition else {}))
    for name, column in KINDS[kind].items():
        assert np.shape(drawn[name])[1:] == column.shape[1:] and len(drawn[name]) == 3
    return model.score(data)


def test_the_table_names_every_family():
    assert sorted(OUT) == sorted(families.__all__)


@pytest.mark.parametrize("condition", [False, True], ids=["alone", "given y"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", families.__all__)
def test_a_family_by_its_name_alone(name, kind, condition):
    family = getattr(families, name)
    if kind in OUT[name]:
        with pytest.raises(UserError) as error:
            made(family, kind, condition)
        way = OUT[name][kind].replace("{0}", name).replace("{left}", ", ".join(KINDS[kind]))
        assert way in str(error.value) and "\n" not in str(error.value)
    elif condition and name in NO_PARENTS:
        with pytest.raises(UserError, match="takes no parents; make them part of the block, or use "):
            made(family, kind, condition)
    elif not condition and name in ALONE:
        with pytest.raises(UserError, match=f"has no condition to {ALONE[name]}"):
            made(family, kind, condition)
    elif name in ("Autoencoder", "GAN", "PCA"):
        with pytest.raises(Intractable, match="a map alone has no density; SplineFlow and GaussianMixture have an exact"):
            exercised(family, kind, condition)
    elif numbers := ONE_DIMENSIONAL.get(name, "from 0 up" if name == "Hawkes" else ""):
        with pytest.raises(UserError, match=f"where {name} is of numbers {numbers}"):
            exercised(family, kind, condition)
    else:
        score = exercised(family, kind, condition)
        # What was stored alone, or lies between what was, gives everything else probability zero.
        assert np.isfinite(score.value) or (name == "Empirical" and kind == "pictures") or name == "Uniform"


@pytest.mark.parametrize("text", ["Ensemble(families=(Independent, Autoregressive))", "Dequantised(family=VAE)"])
def test_the_ways_out_work(text):
    assert np.isfinite(exercised(built(text, families, "--family"), "pictures", True).value)


@pytest.mark.parametrize("inner", [name for name in sorted(OUT) if OUT[name] is REALS_ONLY])
def test_the_way_out_of_pictures_builds(inner):
    made(built(f"Dequantised(family={inner})", families, "--family"), "pictures", inner not in NO_PARENTS)


def test_contrastive_works_by_its_way_out():
    assert np.isfinite(exercised(built("Contrastive(base=Independent)", families, "--family"), "labels", True).value)


def test_codes_are_learned_by_the_way_out_of_a_vqvae():
    data = given.read(KINDS["vectors"])
    code = IdentityCodec(Finite(64, axes=(Axis("place", 4),)))
    model = given.model("p(code) p(x | code)", data, latents={"code": code}, families={"x": families.VQVAE})
    model.fit(data, steps=2, progress=False)
    with pytest.raises(UserError) as error:
        made(families.VQVAE, "vectors", False)
    text = str(error.value).partition("latents=")[2].partition(", or use")[0]
    assert ast.parse(text, mode="eval") and eval(text)["code"].space == code.space  # noqa: S307


@pytest.mark.parametrize("kind", KINDS)
def test_a_vae_says_its_kind_and_encodes(kind):
    model, data = made(VAE, kind, True)
    model.fit(data, steps=2, progress=False)
    assert model.score(data).kind == "bound"
    z = model.encode(data)
    assert len(z.names) == 8 and z.n == ROWS


@pytest.mark.parametrize("seed", [7])
def test_a_vae_learns_by_its_defaults(seed):
    """Two clusters of a table, a seed that gave z up at its whole weight: the bound passes independent columns."""
    rng = np.random.default_rng(1)
    side = rng.integers(0, 2, 400)
    data = given.read({"a": rng.normal(size=400) * 0.2 + 4 * side, "b": np.array(list("uv"))[side]})
    model = given.model("p(a, b)", data, families={"a, b": VAE}, seed=seed)
    model.fit(data, steps=300, batch=64, seed=seed, progress=False)
    alone = given.model("p(a, b)", data, families={"a, b": families.Independent})
    alone.fit(data, progress=False)
    assert model.score(data).value > alone.score(data).value + 0.3


def test_a_factorised_head_is_of_any_space():
    space = Product((("a", Real()), ("b", Finite(3)), ("c", Real(atoms=(0.0,))), ("d", Finite(5, ordered=True))))
    head = FactorizedHead(space, 4)
    torch.manual_seed(0)
    distribution = head(torch.randn(6, head.inputs))
    assert isinstance(distribution, ProductDistribution) and distribution.n == 6
    x = distribution.sample((2,), seed=1)
    each = [distribution.distributions[k].log_prob(e) for k, e in x.columns.items()]
    assert torch.allclose(distribution.log_prob(x), torch.stack(each).sum(0))
    assert isinstance(distribution.distributions["b"], Categorical)
