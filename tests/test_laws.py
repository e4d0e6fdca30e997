"""One table of families, one of codecs; one test is one law."""

import functools
import importlib.util
import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import tiny_pictures
import tiny_pipeline
import torch

from given import codecs, distributions, families
from given.codecs import (
    BlockCodec,
    Complex,
    Coordinates,
    IdentityCodec,
    Image,
    Integer,
    Label,
    LabelMap,
    LogMel,
    MuLaw,
    Number,
    Series,
    Set,
    Text,
    Time,
    Video,
    Voxels,
)
from given.distributions import (
    BernoulliHead,
    CategoricalHead,
    Cosine,
    Diagonal,
    DiscretizedLogisticMixtureHead,
    FlowHead,
    Karras,
    LowRank,
    NormalHead,
    Spherical,
    TableHead,
    Tied,
    Varimax,
    WittenBell,
)
from given.families import (
    CTC,
    GAN,
    GARCH,
    MAR,
    PCA,
    VAE,
    VQVAE,
    Autoencoder,
    Autoregressive,
    Beta,
    BoostedTrees,
    Categorical,
    Change,
    ChowLiuTree,
    Contrastive,
    Dequantised,
    Diffusion,
    DynamicFilter,
    EfrosLeung,
    Empirical,
    Ensemble,
    Exponential,
    ExponentialSmoothing,
    FactorAnalysis,
    FlowMatching,
    Gamma,
    Gaussian,
    GaussianMixture,
    Hawkes,
    HiddenMarkov,
    Independent,
    KernelDensity,
    KMeans,
    Laplace,
    LinearAutoregressive,
    LogNormal,
    Markov,
    NearestNeighbour,
    NGram,
    Normal,
    PatchMatch,
    Pointer,
    PretrainedCaptioner,
    PretrainedContrastive,
    PretrainedDiffusion,
    PretrainedLM,
    ProbabilisticPCA,
    Quilting,
    RealizedGARCH,
    Regression,
    Residual,
    Retrieval,
    SeasonalNaive,
    SplineFlow,
    StateSpace,
    StudentT,
    TransformerFlow,
    Uniform,
    Unordered,
)
from given.lessons import select
from given.nn import (
    FSQ,
    GRU,
    LSTM,
    MADE,
    MLP,
    AdaptiveMLP,
    AdaptivePrediction,
    AnyOrder,
    Blocks,
    CausalConvolution,
    ColumnMajor,
    Context,
    ConvolutionalDecoder,
    ConvolutionalEncoder,
    ConvolutionalMap,
    Convolutions,
    CrossAttention,
    DiagonalLSTM,
    Embedding,
    FixedOrder,
    Flat,
    GatedPixelCNN,
    Interpolated,
    LateAttention,
    LearnedPositions,
    LinearPrediction,
    MaskedTransformer,
    MinGRU,
    Moved,
    Numbers,
    OnionPeel,
    Patches,
    PatchTransformer,
    PixelCNN,
    PixelResNet,
    Places,
    Pyramid,
    RandomGroups,
    Reverse,
    Rotary,
    RowLSTM,
    Stack,
    SwiGLU,
    Symbols,
    Tokens,
    Transformer,
    UNet,
    UNetMap,
    Wavefront,
    Windows,
)
from given.solve import Ancestral, DPMSolver, Euler, EulerMaruyama, Heun
from given.testing import CODEC_LAWS, FAMILY_LAWS, DoesNotApply, check_codec, check_family, conditions, prepared
from given.variables import Axis, Finite, Real, UserError, Variable

torch.set_num_threads(1)


def grid(name, size, *shape, ordered=True):
    axes = tuple(Axis(a, n) for a, n in zip(("height", "width"), shape, strict=False))
    return Variable(name, IdentityCodec(Finite(size, ordered=ordered, axes=axes)))


def real(name, *shape):
    return Variable(name, IdentityCodec(Real(axes=tuple(Axis("entry", n) for n in shape))))


LABEL = Variable("label", Label([0, 1, 2]))
ANIMAL = Variable("animal", Label(["cat", "dog", "fox"]))
NET = partial(Transformer, width=16, layers=2, heads=2)
WIDE = partial(Transformer, width=8, layers=1, heads=2, positions=LearnedPositions, dropout=0.0)
MASKED = partial(MaskedTransformer, width=16, layers=2, heads=2)
SMALL = partial(MLP, hidden=(8,))
LINEAR = partial(MLP, hidden=())
FLOW = partial(FlowHead, net=partial(AdaptiveMLP, width=8, layers=1), solver=Heun(8))
FILTER = partial(UNetMap, width=8, factors=(1,), patch=1)
REGRESSION = partial(Regression, net=SMALL, width=8)
AUTOENCODER = {"prior": Gaussian, "likelihood": REGRESSION, "posterior": REGRESSION, "latent": 1}
MIXTURE = partial(GaussianMixture, components=2)
ADVERSARIAL = partial(GAN, latent=2, generator=SMALL, critic=SMALL, width=4)
BLOCK = Variable("a, b", BlockCodec({"a": IdentityCodec(Real()), "b": IdentityCodec(Real())}))
ATOMS = Variable("x", IdentityCodec(Real(atoms=(-1.0, 0.5), axes=(Axis("entry", 2),))))
SPIKED = Variable("a, b", BlockCodec({"a": IdentityCodec(Real(atoms=(0.0,))), "b": IdentityCodec(Real())}))
THREE = Variable("a, c, d", BlockCodec({"a": IdentityCodec(Real()), "c": IdentityCodec(Finite(2)),
                                        "d": IdentityCodec(Finite(3, ordered=True))}))
SEQUENCE = Variable("target", IdentityCodec(Finite(4, end=3, axes=(Axis("time", 4, "modelled"),))))
WORDS = Variable("target", IdentityCodec(Finite(4, end=1, axes=(Axis("", 3, "modelled"),))))
RECORDS = Variable("x", IdentityCodec(Finite(4, end=3, pattern=((0, 2), (1, 3)), axes=(Axis("", 5, "modelled"),))))
ITEMS = Variable("x", IdentityCodec(Finite(4, end=3, pattern=((0, 2), (1, 3)), levels=((1, 3),),
                                           axes=(Axis("", 5, "modelled", "item"),))))
ITEMS_BESIDE = Variable("items", ITEMS.codec)
CHOICE = Variable("x", IdentityCodec(replace(ITEMS.codec.space, axes=(Axis("", 3, "modelled", "item"),))))
SEQUENCE_BEFORE = Variable("before", SEQUENCE.codec)
TAGS = Variable("tags", IdentityCodec(Finite(3, end=2, axes=(Axis("time", 4, "modelled"),))))
ENDING = Variable("x", IdentityCodec(Real((16.0,), 16.0, axes=(Axis("time", 3, "modelled"),))))
CODE = Variable("code", IdentityCodec(Finite(4, axes=(Axis("place", 2),))))
CELL = Variable("code", IdentityCodec(Finite(4, axes=(Axis("height", 1), Axis("width", 1)))))
ENCODER, DECODER = partial(ConvolutionalEncoder, width=2), partial(ConvolutionalDecoder, width=2)
SOURCE = Variable("source", IdentityCodec(Finite(4, axes=(Axis("word", 3),))))
PAIR = Axis("channel", 2, role="channel")
COLOUR = Variable("x", IdentityCodec(Finite(2, ordered=True, axes=(Axis("height", 2), Axis("width", 2), PAIR))))
LEVELS = Variable("x", IdentityCodec(Finite(3, ordered=True, axes=(Axis("height", 2), Axis("width", 1), PAIR))))
FRAME = Axis("frame", 2, role="time")
PIXELS = Variable("x", IdentityCodec(Real(axes=(Axis("height", 2), Axis("width", 1)))))
SHOWN = Variable("shown", IdentityCodec(Real(axes=(*PIXELS.space.axes, Axis("last", 2, role="channel")))))
FILM = Variable("x", IdentityCodec(Finite(2, ordered=True, axes=(FRAME, Axis("height", 2), Axis("width", 2)))))
TAKE = Variable("take", IdentityCodec(Finite(2, ordered=True, axes=(Axis("frame", 3, role="time"), *FILM.space.axes[1:]))))
MAPS = Variable("map", IdentityCodec(Finite(3, axes=(FRAME, Axis("height", 2), Axis("width", 1)))))
SERIES = IdentityCodec(Real(axes=(Axis("time", 2, "given", "time"),)))
COMPLEX_SERIES = IdentityCodec(Real(axes=(*SERIES.space.axes, Axis("part", 2, role="channel"))))
COMPLEX = Variable("h", COMPLEX_SERIES)
COMPLEX_PATHS = Variable("a, b", BlockCodec({"a": COMPLEX_SERIES, "b": COMPLEX_SERIES}))
PATHS, COVARIATE = Variable("a, b", BlockCodec({"a": SERIES, "b": SERIES})), Variable("promo", SERIES)
ALONG = Variable("a, b", BlockCodec({"a": IdentityCodec(Real(axes=(Axis("time", 3), PAIR))),
                                    "b": IdentityCodec(Finite(3, axes=(Axis("time", 3),)))}))
MOMENT = Variable("a, b", BlockCodec({name: IdentityCodec(Real(axes=(Axis("time", 1),))) for name in "ab"}))
PAIRED = Variable("a, b", BlockCodec({name: IdentityCodec(Real(axes=(Axis("time", 3),))) for name in "ab"}))
MARKED = Variable("mark, wait", BlockCodec({"mark": IdentityCodec(Finite(2, axes=(Axis("time", 2),))),
                                            "wait": IdentityCodec(Real(axes=(Axis("time", 2),)))}))
MIXED = Variable("a, c", BlockCodec({"a": IdentityCodec(Finite(3)), "c": IdentityCodec(Finite(2))}))



def gated(*variables, families):
    """A mixture whose weights move with the parts' entropies, as if weighed."""
    mixed = Ensemble(*variables, families=families)
    generator = torch.Generator().manual_seed(0)
    mixed.knots.copy_(torch.linspace(0.1, 1.3, mixed.knots.shape[1]).expand_as(mixed.knots))
    mixed.cells.copy_((3 * torch.randn(mixed.cells.shape, generator=generator).double()).softmax(-1))
    return mixed


def chosen(*variables, families):
    mixed = Ensemble(*variables, families=families, choose=True)
    mixed.weights.copy_(torch.tensor([0.0, 1.0]))
    return mixed


def tiny(kind, **sizes):
    """The configuration of a language model of four symbols and one that begins."""
    return json.dumps({"model_type": kind, "vocab_size": 5, "bos_token_id": 4, "eos_token_id": 3, "pad_token_id": 3,
                       "decoder_start_token_id": 4, "is_encoder_decoder": kind in ("bart", "t5"), **sizes})


LLAMA = tiny("llama", hidden_size=8, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1)
SLIDING = tiny("mistral", hidden_size=8, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
               num_key_value_heads=1, sliding_window=2)
T5 = tiny("t5", d_model=8, d_kv=4, d_ff=16, num_layers=1, num_heads=2, relative_attention_num_buckets=4)
BART = tiny("bart", d_model=8, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
            encoder_ffn_dim=16, decoder_ffn_dim=16, max_position_embeddings=16)

CAPTION = Variable("caption", Text("characters", alphabet="ab ", longest=5))
CAPTION.codec.learn(np.array(["ab b", "ba a"]))
PICTURE = Variable("picture", IdentityCodec(Finite(4, ordered=True, axes=(Axis("height", 4), Axis("width", 4)))))
FRAMES = Variable("frames", IdentityCodec(Real(axes=(Axis("time", 5, role="time"), PAIR))))
READERS = {"label": Symbols(), "z": Numbers((1.0, 2.0)), "source": Tokens(layers=2), "picture": Patches(2),
           "frames": Windows(2, 1), "image": Convolutions(halve=1, role="tokens")}
READ = [LABEL, real("z"), SOURCE, PICTURE, FRAMES, grid("image", 3, 4, 4)]

FAMILIES = {
    "Autoregressive by readers": lambda: Autoregressive(grid("x", 3, 2, 1), READ, net=NET, readers=READERS),
    "Autoregressive by pooled readers": lambda: Autoregressive(
        SEQUENCE, [PICTURE, FRAMES], net=partial(MinGRU, width=8, layers=1),
        readers={"picture": Flat(role="pooled"), "frames": Windows(3, role="pooled")}),
    "FlowMatching of a UNet by readers": lambda: FlowMatching(
        Variable("x", IdentityCodec(Real(axes=(Axis("height", 2), Axis("width", 2))))), READ, width=8, known=0.0,
        solver=Euler(4), net=partial(UNet, width=8, factors=(1,)), context=partial(Context, sums_tokens=True),
        readers={**READERS, "picture": Convolutions(role="aligned")}),
    "FlowMatching of patches by readers": lambda: FlowMatching(
        real("x", 2), [PICTURE, FRAMES], width=8, known=0.0, net=partial(PatchTransformer, patch=1, width=8, layers=1, heads=2),
        solver=Euler(4), readers={"picture": Places(1), "frames": Windows(2)}),
    "Regression by readers": lambda: Regression(ANIMAL, [PICTURE, SOURCE, FRAMES], net=SMALL, width=8, readers={
        "picture": Patches(2), "source": Tokens(), "frames": Convolutions()}),
    "Categorical": lambda: Categorical(ANIMAL),
    "Categorical of a label": lambda: Categorical(ANIMAL, LABEL),
    "Categorical of an image": lambda: Categorical(ANIMAL, [grid("image", 5, 3, 3), real("z", 2)]),
    "Independent": lambda: Independent(grid("x", 3, 2, 2), LABEL),
    "Independent reals": lambda: Independent(real("x", 2), LABEL),
    "Independent with atoms": lambda: Independent(SPIKED, LABEL),
    "Independent given a sequence": lambda: Independent(grid("x", 3, 2, 2), SOURCE),
    "Independent block": lambda: Independent(MIXED, LABEL),
    "ChowLiuTree": lambda: ChowLiuTree(grid("x", 3, 2, 3), LABEL),
    "ChowLiuTree of a few symbols": lambda: ChowLiuTree(grid("x", 2, 2, 2, ordered=False)),
    "ChowLiuTree block": lambda: ChowLiuTree(MIXED, LABEL),
    "Empirical": lambda: Empirical(grid("x", 3, 2, 2), LABEL, smoothing=0.2),
    "Empirical unsmoothed": lambda: Empirical(grid("x", 3, 2, 2)),
    "Empirical of symbols": lambda: Empirical(grid("x", 3, 2, ordered=False), LABEL, smoothing="held-out"),
    "Empirical of sequences": lambda: Empirical(SEQUENCE, LABEL),
    "Empirical of sequences, smoothed": lambda: Empirical(SEQUENCE, LABEL, smoothing=0.3),
    "EfrosLeung": lambda: EfrosLeung(grid("x", 2, 3, 3), LABEL, size=3, smoothing=0.2),
    "EfrosLeung of small copies": lambda: EfrosLeung(grid("x", 2, 3, 3), LABEL, size=3, smoothing=0.2, longest=1),
    "EfrosLeung in colour": lambda: EfrosLeung(LEVELS, size=1, smoothing=0.1),
    "Quilting": lambda: Quilting(grid("x", 3, 3, 3), LABEL, size=2),
    "PatchMatch": lambda: PatchMatch(grid("x", 9, 3, 3), LABEL, size=3, rounds=2),
    "Independent of sequences": lambda: Independent(SEQUENCE, LABEL),
    "Regression of sequences": lambda: Regression(SEQUENCE, LABEL, net=SMALL, width=8),
    "NGram": lambda: NGram(grid("x", 3, 5, ordered=False), LABEL, order=3),
    "Autoregressive of records": lambda: Autoregressive(RECORDS, LABEL, net=NET),
    "Unordered": lambda: Unordered(ITEMS, [LABEL, PICTURE], family=partial(Autoregressive, net=NET)),
    "Unordered, learned in sorted order": lambda: Unordered(ITEMS, family=partial(Autoregressive, net=NET), sorted=True),
    "Pointer": lambda: Pointer(CHOICE, [LABEL, ITEMS_BESIDE, SOURCE], width=8),
    "CTC": lambda: CTC(SEQUENCE, [FRAMES, LABEL], width=8, readers={"frames": Windows(1)}),
    "CTC of a sentence": lambda: CTC(WORDS, SOURCE, width=8),
    "Autoregressive tags of a sequence": lambda: Autoregressive(TAGS, SEQUENCE, net=NET),
    "Autoregressive reals with an end": lambda: Autoregressive(ENDING, LABEL, net=NET),
    "NGram with an end": lambda: NGram(SEQUENCE, order=4),
    "NGram, Witten-Bell": lambda: NGram(grid("x", 3, 5, ordered=False), LABEL, order=4, smoothing=WittenBell(), min_count=2),
    "NGram, adaptive": lambda: NGram(grid("x", 3, 5, ordered=False), LABEL, order=3, adaptive=0.7),
    "NGram, adaptive, with an end": lambda: NGram(SEQUENCE, order=4, adaptive=2),
    "NGram of order 1": lambda: NGram(grid("x", 4, 2, 2), order=1),
    "Ensemble sequences": lambda: Ensemble(SEQUENCE, LABEL,
                                           families=(partial(NGram, order=3), partial(Autoregressive, net=NET))),
    "Ensemble sequences, gated": lambda: gated(SEQUENCE, LABEL, families=(
        partial(NGram, order=3), partial(Autoregressive, net=NET))),
    "Ensemble windows, gated": lambda: gated(grid("x", 4, 5, ordered=False), families=(
        partial(NGram, order=3), partial(NGram, order=1), partial(Autoregressive, net=NET))),
    "Ensemble orders": lambda: Ensemble(grid("x", 3, 2, 2), LABEL, families=(
        partial(Autoregressive, net=NET), partial(Autoregressive, net=NET, order=Reverse()))),
    "Ensemble, one chosen": lambda: chosen(grid("x", 3, 2, 2), LABEL, families=(
        partial(Autoregressive, net=NET), partial(Autoregressive, net=NET, order=Reverse()))),
    "Ensemble sequences as items": lambda: Ensemble(SEQUENCE, LABEL, families=(partial(NGram, order=2), Empirical)),
    "Ensemble wavefronts": lambda: Ensemble(grid("x", 2, 2, 3),
                                            families=[partial(Autoregressive, net=NET, order=Wavefront())] * 2),
    "Ensemble blocks": lambda: Ensemble(MIXED, LABEL, families=(Independent, partial(Autoregressive, net=NET))),
    "Ensemble blocks of reals": lambda: Ensemble(BLOCK, LABEL, families=(Gaussian, Independent)),
    "Ensemble items": lambda: Ensemble(grid("x", 3, 2, 2), LABEL, families=(Independent, partial(Empirical, smoothing=0.2))),
    "Ensemble reals": lambda: Ensemble(real("x", 2), LABEL, families=(Gaussian, partial(Regression, net=SMALL, width=8))),
    "LinearAutoregressive": lambda: LinearAutoregressive(real("x", 3), LABEL, order=2, components=2),
    "LinearAutoregressive, normal": lambda: LinearAutoregressive(real("x", 4), LABEL, components=1, sizes=False),
    "LinearAutoregressive of two series": lambda: LinearAutoregressive(PATHS, COVARIATE),
    "LinearAutoregressive of two complex series": lambda: LinearAutoregressive(COMPLEX_PATHS, circular=True),
    "Autoregressive beside a linear skip of complex numbers": lambda: Autoregressive(
        COMPLEX, net=NET, skip=partial(LinearAutoregressive, circular=True)),
    "Autoregressive beside a linear skip": lambda: Autoregressive(PATHS, net=NET, skip=LinearAutoregressive),
    "SeasonalNaive": lambda: SeasonalNaive(real("x", 4), period=2),
    "Uniform": lambda: Uniform(real("x", 2)),
    "Normal": lambda: Normal(real("x"), LABEL),
    "Laplace": lambda: Laplace(real("x", 2), LABEL),
    "StudentT": lambda: StudentT(real("x", 2)),
    "LogNormal": lambda: LogNormal(real("x", 2), LABEL),
    "Exponential": lambda: Exponential(real("x"), LABEL),
    "Gamma": lambda: Gamma(real("x", 2)),
    "Beta": lambda: Beta(real("x")),
    "Gaussian": lambda: Gaussian(real("x", 2), LABEL),
    "Residual": lambda: Residual(real("x", 2), [real("z"), LABEL], base=Gaussian,
                                 family=partial(Regression, net=SMALL, width=8)),
    "Gaussian regression": lambda: Gaussian(real("x"), [real("z", 2), LABEL]),
    "Gaussian in five": lambda: Gaussian(real("x", 5)),
    "Gaussian block": lambda: Gaussian(BLOCK, LABEL),
    "Gaussian of low rank": lambda: Gaussian(real("x", 3), LABEL, covariance=LowRank(1)),
    "GaussianMixture": lambda: GaussianMixture(real("x", 2), LABEL, components=2),
    "GaussianMixture block": lambda: GaussianMixture(BLOCK, components=3),
    "GaussianMixture of diagonal covariances": lambda: GaussianMixture(real("x", 2), components=2, covariance=Diagonal()),
    "GaussianMixture of balls": lambda: GaussianMixture(BLOCK, LABEL, components=2, covariance=Spherical()),
    "GaussianMixture of a tied covariance": lambda: GaussianMixture(real("x", 2), components=2, covariance=Tied()),
    "GaussianMixture of a chosen size": lambda: GaussianMixture(real("x", 2), LABEL, components=select(1, 3), restarts=1),
    "GaussianMixture stacked": lambda: GaussianMixture(real("x", 2), components=None, ridge=1e-4, most_passes=3),
    "FactorAnalysis": lambda: FactorAnalysis(real("x", 4), factors=1, tolerance=1e-5),
    "FactorAnalysis turned": lambda: FactorAnalysis(real("x", 4), factors=2, tolerance=1e-5, rotation=Varimax()),
    "FactorAnalysis block": lambda: FactorAnalysis(BLOCK, factors=1, tolerance=1e-5),
    "ProbabilisticPCA": lambda: ProbabilisticPCA(real("x", 2), factors=1),
    "GARCH": lambda: GARCH(real("x", 2), most_steps=20),
    "GARCH without leverage": lambda: GARCH(real("x", 4), leverage=False, skewed=False, autoregression=False, most_steps=20),
    "GARCH of two series": lambda: GARCH(PAIRED, most_steps=20),
    "Hawkes": lambda: Hawkes(real("x", 2), memories=2, most_steps=10),
    "Hawkes of marks": lambda: Hawkes(MARKED, most_steps=10),
    "RealizedGARCH": lambda: RealizedGARCH(PAIRED, most_steps=20),
    "RealizedGARCH of a moment": lambda: RealizedGARCH(MOMENT, most_steps=20),
    "HiddenMarkov": lambda: HiddenMarkov(real("x", 2), states=2),
    "HiddenMarkov of symbols": lambda: HiddenMarkov(grid("x", 3, 3, 2, ordered=False), states=2, restarts=2),
    "HiddenMarkov of a mixed block": lambda: HiddenMarkov(ALONG, states=3, full=False),
    "ExponentialSmoothing": lambda: ExponentialSmoothing(real("x", 2), trend=False, most_steps=10),
    "ExponentialSmoothing of seasons": lambda: ExponentialSmoothing(PAIRED, period=2, most_steps=10),
    "StateSpace": lambda: StateSpace(real("x", 2), most_steps=10),
    "StateSpace of parts": lambda: StateSpace(PAIRED, trend=True, seasonal=(2,), order=2, most_steps=5),
    "StateSpace of free matrices": lambda: StateSpace(PAIRED, latent=2, most_steps=10),
    "KernelDensity": lambda: KernelDensity(real("x", 2), LABEL),
    "KernelDensity of a mixed block": lambda: KernelDensity(THREE, LABEL),
    "KernelDensity of symbols": lambda: KernelDensity(grid("x", 3, 2, 2), LABEL, anew=0.2),
    "Dequantised KernelDensity": lambda: Dequantised(grid("x", 4, 2), LABEL, family=partial(KernelDensity, bandwidth=0.3)),
    "NearestNeighbour": lambda: NearestNeighbour(real("x", 2), [LABEL, real("z", 2), SOURCE], neighbours=9),
    "NearestNeighbour of a label": lambda: NearestNeighbour(real("x", 2), LABEL, neighbours=30),
    "NearestNeighbour of a mixed block": lambda: NearestNeighbour(THREE, [ANIMAL, real("z")], bandwidth=0.7),
    "NearestNeighbour of symbols": lambda: NearestNeighbour(grid("x", 3, 2, 2), real("z", 2), neighbours=20, anew=0.2),
    "NearestNeighbour of a class": lambda: NearestNeighbour(ANIMAL, real("z", 2)),
    "Retrieval": lambda: Retrieval(grid("x", 2, 2, 2, ordered=False), CAPTION, trees=4, smoothing=0.2),
    "Dequantised NearestNeighbour": lambda: Dequantised(grid("x", 4, 2), LABEL, family=partial(
        NearestNeighbour, bandwidth=0.3)),
    "BoostedTrees": lambda: BoostedTrees(real("x"), [LABEL, real("z", 2), SOURCE], trees=10, least=5, bins=5),
    "BoostedTrees of a class": lambda: BoostedTrees(ANIMAL, [real("z", 2), LABEL], trees=10, least=5),
    "BoostedTrees of a number with atoms": lambda: BoostedTrees(
        Variable("x", IdentityCodec(Real(atoms=(-1.0, 0.5)))), real("z", 2), trees=10, least=5, bins=4),
    "Dequantised BoostedTrees": lambda: Dequantised(grid("x", 4), LABEL, family=partial(BoostedTrees, trees=10, least=5)),
    "Ensemble of trees": lambda: Ensemble(real("x"), real("z", 2), families=(
        partial(BoostedTrees, trees=10, least=5, bins=5), partial(Regression, net=SMALL, width=8))),
    "KMeans": lambda: KMeans(real("x", 2), components=3),
    "KMeans block": lambda: KMeans(BLOCK, components=2),
    "KMeans of a chosen size": lambda: KMeans(real("x", 2), components=select(1, 3)),
    "Dequantised KMeans": lambda: Dequantised(grid("x", 4, 2), family=partial(KMeans, components=2)),
    "PCA": lambda: PCA(real("x", 3), components=2),
    "PCA block": lambda: PCA(BLOCK, components=1),
    "Autoencoder": lambda: Autoencoder(real("x", 3), [LABEL, SOURCE], latent=2, encoder=SMALL, decoder=SMALL, width=4),
    "Autoencoder block": lambda: Autoencoder(BLOCK, latent=1, encoder=SMALL, decoder=SMALL, width=4),
    "Dequantised Autoencoder": lambda: Dequantised(grid("x", 4, 2), LABEL, family=partial(
        Autoencoder, latent=2, encoder=LINEAR, decoder=LINEAR, width=4)),
    "SplineFlow": lambda: SplineFlow(real("x", 2), LABEL, transforms=2, hidden=(8,)),
    "SplineFlow block": lambda: SplineFlow(BLOCK, transforms=1, hidden=(8,), passes=None),
    "TransformerFlow": lambda: TransformerFlow(real("x", 2), LABEL, transforms=2, net=WIDE),
    "TransformerFlow block": lambda: TransformerFlow(BLOCK, transforms=2, net=WIDE),
    "TransformerFlow of patches": lambda: TransformerFlow(
        Variable("x", IdentityCodec(Real(axes=(Axis("height", 4), PAIR, Axis("width", 2))))), LABEL, patch=2, transforms=2,
        net=WIDE),
    "Dequantised TransformerFlow": lambda: Dequantised(grid("x", 4, 2), LABEL, family=partial(
        TransformerFlow, transforms=1, net=WIDE)),
    "FlowMatching": lambda: FlowMatching(real("x", 2), LABEL, net=partial(MLP, hidden=(8,)), width=4),
    "FlowMatching block": lambda: FlowMatching(BLOCK, net=partial(MLP, hidden=(8,)), solver=Euler(8)),
    "Diffusion": lambda: Diffusion(real("x"), LABEL, net=SMALL, width=4, path=Karras(low=0.4, high=4.0), terms=2,
                                   solver=Ancestral(8)),
    "Diffusion by the equation": lambda: Diffusion(real("x", 3), net=SMALL, path=Cosine(predicts="data"), known=0, terms=0,
                                                   solver=DPMSolver(4)),
    "Diffusion by a UNet": lambda: Diffusion(
        Variable("x", IdentityCodec(Real(axes=(Axis("height", 3), Axis("width", 2), PAIR)))), [LABEL, SOURCE], width=4, terms=4,
        net=partial(UNet, width=8, factors=(1, 2), attention=2), solver=EulerMaruyama(4)),
    "Change": lambda: Change(PIXELS, [SHOWN, LABEL], of="shown", scale=0.5, family=partial(REGRESSION, floor=0.1)),
    "DynamicFilter": lambda: DynamicFilter(PIXELS, [SHOWN, LABEL], of="shown", reach=1, width=4, net=FILTER, floor=0.3),
    "Residual of a net, shown": lambda: Residual(
        PIXELS, [SHOWN, LABEL], base=partial(DynamicFilter, of="shown", reach=1, width=4, net=FILTER), shows=True,
        regressors=["shown"], floor=0.3, family=partial(REGRESSION, floor=0.3)),
    "Change of levels": lambda: Dequantised(
        Variable("x", IdentityCodec(Finite(4, ordered=True, axes=PIXELS.space.axes))), [
            Variable("shown", IdentityCodec(Finite(4, ordered=True, axes=SHOWN.space.axes))), LABEL],
        family=partial(Change, of="shown", family=partial(REGRESSION, floor=0.3))),
    "Markov": lambda: Markov(FILM, [TAKE, LABEL, MAPS], family=REGRESSION, after="take", steps=1, blur=0.3),
    "Markov of what is left of a moved frame": lambda: Markov(
        Variable("x", IdentityCodec(Real(axes=(FRAME, *PIXELS.space.axes)))), LABEL, family=partial(
            Residual, base=partial(DynamicFilter, reach=1, width=4, net=FILTER), shows=True, regressors=["last"], floor=0.3,
            family=partial(REGRESSION, floor=0.3))),
    "Markov of single entries": lambda: Markov(
        Variable("x", IdentityCodec(Finite(3, axes=(FRAME,)))), LABEL, family=REGRESSION, order=1),
    "Markov of matching": lambda: Markov(
        Variable("x", IdentityCodec(Real(axes=(FRAME, Axis("height", 2), Axis("width", 1))))), [LABEL, MAPS], blur=0.3,
        family=partial(FlowMatching, net=partial(UNet, width=8, factors=(1,)), width=4, known=0.0, solver=Euler(4))),
    "FlowMatching by patches": lambda: FlowMatching(
        Variable("x", IdentityCodec(Real(axes=(Axis("word", 3), Axis("width", 2))))), [LABEL, SOURCE], width=4, solver=Euler(4),
        net=partial(PatchTransformer, patch=2, width=8, layers=1, heads=2)),
    "Dequantised Diffusion": lambda: Dequantised(grid("x", 4, 2), LABEL, family=partial(
        Diffusion, net=SMALL, width=4, path=Karras(low=0.4, high=4.0), terms=2, solver=Ancestral(8)), samples=2),
    "Dequantised Diffusion at the last noise": lambda: Dequantised(grid("x", 4, 2), LABEL, family=partial(
        Diffusion, net=SMALL, width=4, path=Karras(low=0.1, high=4.0), terms=2, solver=Ancestral(8)), samples=2,
        last_noise=True),
    "Dequantised flow": lambda: Dequantised(grid("x", 4, 2), LABEL, family=partial(SplineFlow, transforms=1, hidden=(8,))),
    "Dequantised mixture": lambda: Dequantised(grid("x", 4, 2), LABEL, family=MIXTURE),
    "Dequantised factors": lambda: Dequantised(
        grid("x", 3, 2, 2), family=partial(FactorAnalysis, factors=1, tolerance=1e-5)),
    "Dequantised matching": lambda: Dequantised(
        grid("x", 4, 2), LABEL, family=partial(FlowMatching, net=SMALL, width=4, solver=Euler(8))),
    "Dequantised VAE": lambda: Dequantised(grid("x", 4, 2), LABEL, family=partial(VAE, samples=64, **AUTOENCODER)),
    "Dequantised Autoregressive": lambda: Dequantised(grid("x", 4, 2), LABEL, family=partial(Autoregressive, net=NET)),
    "Dequantised Ensemble": lambda: Dequantised(grid("x", 4, 2), LABEL, family=partial(Ensemble, families=(Gaussian, MIXTURE))),
    "Dequantised GAN": lambda: Dequantised(grid("x", 4, 2), LABEL, family=ADVERSARIAL),
    "Ensemble mixtures": lambda: Ensemble(real("x", 2), LABEL,
                                          families=(MIXTURE, partial(SplineFlow, transforms=1, hidden=(8,)))),
    "Ensemble levels": lambda: Ensemble(grid("x", 4, 2), LABEL, families=(
        partial(Dequantised, family=Gaussian), partial(Dequantised, family=MIXTURE))),
    "Ensemble VAE": lambda: Ensemble(grid("x", 3, 2), families=(partial(VAE, samples=512, **AUTOENCODER), Independent)),
    "VAE after a flow": lambda: VAE(
        grid("x", 3, 2), LABEL, samples=512, **{**AUTOENCODER, "prior": partial(SplineFlow, transforms=1, hidden=(8,))}),
    "VAE with a posterior by a flow": lambda: VAE(
        grid("x", 3, 2), samples=512, **{**AUTOENCODER, "posterior": partial(SplineFlow, transforms=1, hidden=(8,))}),
    "VAE, then a flow": lambda: VAE(
        grid("x", 3, 2), LABEL, samples=512, afterwards=partial(SplineFlow, transforms=1, hidden=(8,)), **AUTOENCODER),
    "VAE, then matching": lambda: VAE(
        real("x", 1), LABEL, samples=4, afterwards=partial(FlowMatching, net=SMALL, width=4, solver=Euler(8)), **AUTOENCODER),
    "VAE, then a Gaussian": lambda: VAE(real("x", 1), LABEL, samples=32, afterwards=Gaussian, **AUTOENCODER),
    "VAE of symbols one by one": lambda: VAE(
        grid("x", 3, 2), LABEL, samples=64, **{**AUTOENCODER, "likelihood": partial(Autoregressive, net=NET), "latent": 2}),
    "VAE of dequantised levels": lambda: VAE(
        grid("x", 3, 2), LABEL, samples=64, **{**AUTOENCODER, "likelihood": partial(Dequantised, family=REGRESSION)}),
    "VQVAE": lambda: VQVAE(grid("x", 3, 2, 2), CODE, encoder=SMALL, decoder=SMALL, width=4),
    "VQVAE by levels and convolutions": lambda: VQVAE(
        grid("x", 3, 2, 2), CELL, quantiser=FSQ, encoder=ENCODER, decoder=DECODER, width=4),
    "VQVAE of a colour picture": lambda: VQVAE(COLOUR, CELL, encoder=ENCODER, decoder=DECODER, width=4),
    "Contrastive": lambda: Contrastive(SEQUENCE, [SOURCE, LABEL], base=partial(NGram, order=2), width=8, draws=64),
    "Contrastive, symmetric": lambda: Contrastive(
        grid("x", 3, 2, 2), grid("y", 3, 2, 2), base=Empirical, symmetric=True, width=8, draws=64),
    "Contrastive of reals": lambda: Contrastive(real("x", 2), LABEL, base=Gaussian, width=8, draws=64),
    "GAN by convolutions": lambda: GAN(
        Variable("x", IdentityCodec(Real(axes=(Axis("height", 3), PAIR, Axis("width", 2))))), LABEL, latent=2,
        generator=DECODER, critic=ENCODER, width=4),
    "VAE by convolutions": lambda: VAE(
        grid("x", 2, 2, 2), LABEL, latent=1, samples=512, prior=Gaussian, likelihood=partial(Regression, net=DECODER, width=8),
        posterior=partial(REGRESSION, readers={"x": Pyramid(width=2)})),
    "Regression of what moves": lambda: Regression(
        PIXELS, [SHOWN, LABEL], net=partial(ConvolutionalMap, width=8, blocks=1), readers={"shown": Moved(reach=1, window=3)},
        width=4, homoscedastic=True),
    "Regression of a map given a lower one": lambda: Regression(
        Variable("x", IdentityCodec(Real(axes=(Axis("height", 2), Axis("width", 2))))),
        [Variable("low", IdentityCodec(Real(axes=(Axis("height", 1), Axis("width", 1))))), LABEL],
        net=partial(ConvolutionalMap, width=8, blocks=1), readers={"low": Interpolated(2)}, width=4, homoscedastic=True),
    "Regression by convolutions": lambda: Regression(
        Variable("x", IdentityCodec(Real(axes=(Axis("height", 3), Axis("width", 2))))), LABEL, net=DECODER, width=8, floor=0.1),
    "GAN": lambda: GAN(real("x", 2), LABEL, latent=2, generator=SMALL, critic=SMALL, width=4),
    "Regression": lambda: Regression(grid("x", 3, 2, 2), [LABEL, real("z", 2)], net=SMALL, width=8),
    "Regression of reals": lambda: Regression(real("x", 2), real("z", 2), net=SMALL, width=8),
    "Regression with atoms": lambda: Regression(ATOMS, real("z", 2), net=SMALL, width=8),
    "VAE": lambda: VAE(real("x", 1), LABEL, samples=512, **AUTOENCODER),
    "VAE of a counted likelihood": lambda: VAE(real("x", 1), LABEL, samples=512, **AUTOENCODER | {"likelihood": Gaussian}),
    "VAE of levels": lambda: VAE(grid("x", 3, 2), samples=512, **AUTOENCODER),
    "Dequantised": lambda: Dequantised(grid("x", 4, 2), LABEL, family=Gaussian),
    "Autoregressive": lambda: Autoregressive(grid("x", 3, 2, 3), LABEL, net=NET),
    "Autoregressive categorical": lambda: Autoregressive(grid("x", 3, 2, 3), LABEL, net=NET, head=CategoricalHead),
    "Autoregressive symbols": lambda: Autoregressive(
        grid("x", 4, 5, ordered=False), [LABEL, real("z", 2)], net=NET, embed=partial(Embedding, offsets=2)),
    "Autoregressive block": lambda: Autoregressive(MIXED, LABEL, net=NET),
    "Autoregressive reals": lambda: Autoregressive(real("x", 2), LABEL, net=NET),
    "Autoregressive with atoms": lambda: Autoregressive(ATOMS, [LABEL, Variable("z", IdentityCodec(Real(atoms=(0.0,))))],
                                                        net=NET),
    "Autoregressive block with atoms": lambda: Autoregressive(SPIKED, net=NET),
    "Autoregressive block of two grids": lambda: Autoregressive(
        Variable("a, b", BlockCodec({"a": grid("a", 2, 2, 2).codec, "b": grid("b", 2, 1, 3).codec})), net=NET,
        embed=partial(Embedding, offsets=3)),
    "Autoregressive mixed block": lambda: Autoregressive(THREE, net=NET),
    "Autoregressive in any order": lambda: Autoregressive(grid("x", 3, 2, 2), LABEL, net=NET, order=AnyOrder()),
    "Autoregressive aligned": lambda: Autoregressive(grid("x", 3, 2, 2), [grid("map", 3, 2, 2, ordered=False), LABEL], net=NET),
    "Autoregressive sequence": lambda: Autoregressive(SEQUENCE, SOURCE, net=NET),
    "Autoregressive reversed": lambda: Autoregressive(grid("x", 3, 2, 2), LABEL, net=NET, order=Reverse()),
    "Autoregressive column by column": lambda: Autoregressive(
        grid("x", 3, 2, 3), LABEL, net=partial(NET, positions=Rotary), order=ColumnMajor()),
    "Autoregressive diagonal by diagonal": lambda: Autoregressive(grid("x", 2, 3, 2), LABEL, net=NET, order=Wavefront()),
    "Autoregressive averaged over orders": lambda: Autoregressive(
        grid("x", 3, 2, 2), LABEL, net=NET, order=AnyOrder(average=3)),
    "Autoregressive rotary, gated, shared keys": lambda: Autoregressive(
        SEQUENCE, LABEL, net=partial(NET, positions=Rotary, feedforward=SwiGLU, key_heads=1)),
    "Autoregressive with positions summed, in a window": lambda: Autoregressive(
        grid("x", 3, 2, 3), LABEL, net=partial(NET, positions=LearnedPositions, window=2)),
    "Autoregressive with a window": lambda: Autoregressive(grid("x", 3, 5, ordered=False), LABEL, net=partial(NET, window=2)),
    "Autoregressive after a prefix": lambda: Autoregressive(
        SEQUENCE, [SOURCE, LABEL], net=partial(NET, context="prefix", key_heads=1)),
    "Autoregressive MADE": lambda: Autoregressive(
        grid("x", 3, 2, 3), LABEL, net=partial(MADE, width=16, hidden=(12, 10), features=2), order=Reverse()),
    "Autoregressive LSTM": lambda: Autoregressive(SEQUENCE, LABEL, net=partial(LSTM, width=16, layers=2)),
    "Autoregressive GRU with attention": lambda: Autoregressive(
        SEQUENCE, [SOURCE, LABEL], net=partial(Stack, nets=(GRU, CrossAttention), width=16)),
    "Autoregressive with attention beside its features": lambda: Autoregressive(
        SEQUENCE, [SOURCE, LABEL], net=partial(LateAttention, net=NET)),
    "Autoregressive MinGRU": lambda: Autoregressive(
        grid("x", 3, 5, ordered=False), LABEL, net=partial(MinGRU, width=16, layers=2)),
    "Autoregressive by convolution": lambda: Autoregressive(
        SEQUENCE, LABEL, net=partial(CausalConvolution, width=16, layers=3, kernel=2)),
    "Autoregressive PixelCNN": lambda: Autoregressive(grid("x", 3, 3, 2), LABEL, net=partial(PixelCNN, width=8, layers=2)),
    "Autoregressive PixelCNN in colour": lambda: Autoregressive(
        COLOUR, [LABEL, grid("map", 3, 2, 2)], net=partial(PixelCNN, width=8, layers=1), order=ColumnMajor()),
    "Autoregressive GatedPixelCNN": lambda: Autoregressive(
        grid("x", 3, 3, 2), LABEL, net=partial(GatedPixelCNN, width=8, layers=2), order=Reverse()),
    "Autoregressive GatedPixelCNN in colour": lambda: Autoregressive(
        COLOUR, [LABEL, grid("map", 3, 2, 2)], net=partial(GatedPixelCNN, width=8, layers=2)),
    "Autoregressive PixelResNet, predicted": lambda: Autoregressive(
        COLOUR, LABEL, net=partial(PixelResNet, width=8, layers=1), head=partial(
            DiscretizedLogisticMixtureHead, components=2, spread=0.1), prediction=LinearPrediction),
    "Autoregressive levels, predicted by the last": lambda: Autoregressive(
        grid("x", 4, 5), LABEL, net=partial(CausalConvolution, width=8, layers=2), head=DiscretizedLogisticMixtureHead,
        prediction=partial(AdaptivePrediction, near=2, block=2, memory=2, curve=2.0)),
    "Autoregressive reals, predicted by the last": lambda: Autoregressive(
        real("x", 3), LABEL, net=NET, prediction=partial(AdaptivePrediction, near=1, block=1, memory=2)),
    "Autoregressive reals, predicted": lambda: Autoregressive(
        real("x", 3), LABEL, net=NET, order=Reverse(), prediction=partial(LinearPrediction, near=2)),
    "Autoregressive RowLSTM": lambda: Autoregressive(
        grid("x", 3, 3, 2), LABEL, net=partial(RowLSTM, width=8, layers=2), order=ColumnMajor()),
    "Autoregressive RowLSTM in colour": lambda: Autoregressive(
        COLOUR, [LABEL, grid("map", 3, 2, 2)], net=partial(RowLSTM, width=8, layers=1)),
    "Autoregressive DiagonalLSTM": lambda: Autoregressive(
        grid("x", 3, 3, 2), LABEL, net=partial(DiagonalLSTM, width=8, layers=2)),
    "Autoregressive DiagonalLSTM in colour": lambda: Autoregressive(
        COLOUR, [LABEL, grid("map", 3, 2, 2)], net=partial(DiagonalLSTM, width=8, layers=1)),
    "Autoregressive DiagonalLSTM diagonal by diagonal": lambda: Autoregressive(
        grid("x", 3, 2, 3), LABEL, net=partial(DiagonalLSTM, width=8, layers=1, both=False), order=Wavefront()),
    "Autoregressive two symbols": lambda: Autoregressive(
        grid("x", 2, 4, ordered=False), LABEL, net=NET, head=BernoulliHead),
    "Autoregressive levels in colour": lambda: Autoregressive(
        LEVELS, LABEL, net=partial(GatedPixelCNN, width=8, layers=1), head=partial(
            DiscretizedLogisticMixtureHead, components=2)),
    "Autoregressive cells": lambda: Autoregressive(grid("x", 5, 2, 2), LABEL, net=NET,
                                                   head=partial(DiscretizedLogisticMixtureHead, components=2)),
    "Autoregressive in any one order": lambda: Autoregressive(
        grid("x", 2, 3, 2), net=NET, order=FixedOrder((3, 0, 5, 1, 4, 2)), head=CategoricalHead),
    "Autoregressive masked": lambda: Autoregressive(grid("x", 3, 2, 2), LABEL, net=MASKED, order=AnyOrder()),
    "Autoregressive masked, row by row": lambda: Autoregressive(
        grid("x", 3, 2, 2), [grid("map", 3, 2, 2, ordered=False), SOURCE], net=MASKED),
    "Autoregressive blocks of symbols": lambda: Autoregressive(
        grid("x", 3, 2, 2), LABEL, net=MASKED, order=Blocks((1, 2), RandomGroups(2)), head=TableHead),
    "Autoregressive blocks of independent symbols": lambda: Autoregressive(
        grid("x", 3, 2, 2), LABEL, net=MASKED, order=Blocks((1, 2))),
    "Autoregressive blocks of reals": lambda: Autoregressive(real("x", 2), LABEL, net=MASKED, order=Blocks(1), head=NormalHead),
    "Autoregressive two blocks of reals": lambda: Autoregressive(
        real("x", 4), LABEL, net=MASKED, order=Blocks(2, AnyOrder()), head=NormalHead),
    "Autoregressive flows of blocks": lambda: Autoregressive(real("x", 4), LABEL, net=MASKED, order=Blocks(2, RandomGroups(2)),
                                                             head=FLOW),
    "Dequantised blocks by flows": lambda: Dequantised(grid("x", 4, 2, 2), LABEL, samples=2, family=partial(
        Autoregressive, net=MASKED, order=Blocks((1, 2), RandomGroups(2)), head=FLOW)),
    "Autoregressive, peeled": lambda: Autoregressive(grid("x", 2, 3, 3), LABEL, net=NET, order=OnionPeel()),
    "MAR": lambda: MAR(real("x", 4), LABEL, patch=2, groups=2, net=MASKED, head=FLOW),
    "Dequantised MAR": lambda: Dequantised(grid("x", 4, 2, 2), LABEL, samples=2, family=partial(
        MAR, groups=2, net=MASKED, head=FLOW)),
    "Autoregressive, as a Llama": lambda: Autoregressive(
        SEQUENCE, net=partial(NET, positions=Rotary, feedforward=SwiGLU), embed=partial(Embedding, places=False),
        head=partial(CategoricalHead, bias=False)),
    "PretrainedCaptioner": lambda: PretrainedCaptioner(SEQUENCE, PICTURE, config=tiny_pictures.captions(5, bos_token_id=4,
                                                       eos_token_id=3), pixels=tiny_pictures.PIXELS),
    "PretrainedContrastive": lambda: PretrainedContrastive(
        ANIMAL, PICTURE, config=tiny_pictures.matches(), pixels=tiny_pictures.PIXELS, tokenizer=tiny_pictures.words()),
    "PretrainedContrastive, padded": lambda: PretrainedContrastive(
        ANIMAL, PICTURE, config=tiny_pictures.matches("siglip"), pixels=tiny_pictures.PIXELS, tokenizer=tiny_pictures.words()),
    "PretrainedDiffusion": lambda: PretrainedDiffusion(
        Variable("x", IdentityCodec(Finite(256, ordered=True, axes=(Axis("height", 2), Axis("width", 2),
                                                                 Axis("channel", 3, role="channel"))))),
        CAPTION, files=tiny_pipeline.files(), size=(8, 8), steps=1, guidance=30.0),
    "PretrainedLM": lambda: PretrainedLM(SEQUENCE, config=LLAMA),
    "PretrainedLM after a prompt": lambda: PretrainedLM(SEQUENCE, SOURCE, config=LLAMA),
    "PretrainedLM in a window": lambda: PretrainedLM(grid("x", 4, 4, ordered=False), SOURCE, config=SLIDING),
    "PretrainedLM T5": lambda: PretrainedLM(SEQUENCE, SOURCE, config=T5),
    "PretrainedLM BART": lambda: PretrainedLM(SEQUENCE, [SOURCE, SEQUENCE_BEFORE], config=BART),
}
if importlib.util.find_spec("transformers") is None:
    FAMILIES = {name: make for name, make in FAMILIES.items() if not name.startswith("Pretrained")}
if importlib.util.find_spec("diffusers") is None:
    FAMILIES.pop("PretrainedDiffusion", None)

RNG = np.random.default_rng(0)


def rows_of(*rows):
    """Lists as the rows of a column."""
    found = np.empty(len(rows), dtype=object)
    found[:] = rows
    return found


CHIRPS = np.array([(9000 * RNG.random() * np.sin(np.arange(n) ** 1.3 / RNG.uniform(5, 20)) + 60 * RNG.normal(size=n)).astype(
    np.int16) for n in RNG.integers(500, 1400, 10)], dtype=object)
CODECS = {
    "Label": (lambda: Label(), np.array(["b", "a", "c", "a"])),
    "Label of numbers": (lambda: Label(), np.array([3, 1, 2, 3])),
    "Label stated": (lambda: Label(categories=["z", "a", "m"]), np.array(["a", "m", "z", "a"])),
    "Label with the rare as other": (lambda: Label(rare=2, unseen="other"), np.array(["b", "a", "b", "a"])),
    "Label with a symbol for missing": (lambda: Label(missing="symbol"), np.array(["b", None, "b", "a"], dtype=object)),
    "Label of reals, some missing": (lambda: Label(missing="symbol"), np.array([1.5, np.nan, 2.5, 1.5])),
    "Integer": (lambda: Integer(), np.array([30, 28, 60, 30])),
    "Integer with a symbol for missing": (lambda: Integer(0, 99, missing="symbol"), np.array([30, np.nan, 60, 30])),
    "Number": (lambda: Number(), RNG.normal(5, 3, 20)),
    "Number with holes": (lambda: Number(missing="unknown"), np.where(RNG.random(20) < 0.2, np.nan, RNG.normal(5, 3, 20))),
    "Number with atoms": (lambda: Number(atoms="auto", curve="quantile"),
                          np.where(RNG.random(200) < 0.3, 0, RNG.gamma(2, 3, 200))),
    "Number by logarithms": (lambda: Number(curve="log"), RNG.lognormal(size=20)),
    "Number by logarithms with holes": (lambda: Number(curve="log", missing="unknown"), np.where(RNG.random(20) < 0.2, np.nan,
                                                                                               RNG.lognormal(size=20))),
    "Number by logarithms from 0": (lambda: Number(curve="log1p"), np.where(RNG.random(20) < 0.3, 0, RNG.lognormal(size=20))),
    "Number on a curve": (lambda: Number(curve="quantile"), RNG.lognormal(size=300)),
    "Number with few values": (lambda: Number(curve="quantile"), RNG.integers(0, 3, 50) / 3),
    "Number of one value": (lambda: Number(atoms="auto", curve="quantile"), np.full(30, 0.1)),
    "Number with a symbol for missing": (lambda: Number(missing="symbol", atoms=[0.0]),
                                         np.where(RNG.random(60) < 0.2, np.nan, RNG.integers(0, 4, 60) / 3)),
    "Number of whole numbers": (lambda: Number(atoms="auto", curve="quantile"), RNG.integers(0, 500, 300)),
    "Time of dates": (lambda: Time(), np.array(["2024-02-29", "1999-12-31", "1970-01-01", "2024-03-01"])),
    "Time of datetimes": (lambda: Time(missing="symbol"),
                          np.array(["2024-02-29 12:00:01.250", None, "1999-12-31 23:59:59.999"])),
    "Time of day": (lambda: Time(curve="linear"), np.array(["12:00", "23:59", "00:00"])),
    "Time of datetime64": (lambda: Time(), np.array(["2024-02-29T12", "1999-12-31T23"], dtype="M8[ns]")),
    "Number vector": (lambda: Number(), RNG.normal(5, [1e-3, 1, 1e5], (20, 3))),
    "Image": (lambda: Image(), RNG.integers(0, 17, (6, 4, 5)).astype(np.uint8)),
    "Image with a hole": (lambda: Image(missing="unknown"), np.where(RNG.random((3, 4, 5)) < 0.2, np.nan,
                                                                     RNG.integers(0, 17, (3, 4, 5)))),
    "Text of known words": (lambda: Text("words", unseen="error"), np.array(["a red ring", "there is a red cross"])),
    "Coordinates": (lambda: Coordinates(), np.subtract(POINTS := RNG.normal(0, 20, (6, 5, 3)), POINTS.mean(1, keepdims=True))),
    "Voxels": (lambda: Voxels(), RNG.integers(0, 2, (6, 3, 4, 5)).astype(np.uint8)),
    "LabelMap": (lambda: LabelMap(), RNG.integers(0, 7, (6, 4, 5)).astype(np.uint8)),
    "LabelMap of frames": (lambda: LabelMap(), RNG.integers(0, 7, (6, 2, 4, 5)).astype(np.uint8)),
    "LabelMap of names": (lambda: LabelMap(["sea", "land"]), np.array(["sea", "land"])[RNG.integers(0, 2, (6, 4, 5))]),
    "Video": (lambda: Video(), RNG.integers(0, 256, (4, 3, 4, 5)).astype(np.uint8)),
    "Video in colour": (lambda: Video(), RNG.integers(0, 7, (4, 2, 4, 5, 3)).astype(np.uint8)),
    "Image in colour": (lambda: Image(), RNG.integers(0, 256, (6, 4, 5, 3)).astype(np.uint8)),
    "Text": (lambda: Text(), np.array(["abc", "", "ba", "cab"])),
    "Text in bytes": (lambda: Text("bytes"), np.array(["aß\n", "", "ba", "日本"])),
    "Text in pieces": (lambda: Text("pieces", size=260), np.array(["ab ab", "", "ab ß", " ab\t"])),
    "Text in words": (lambda: Text("words", size=6), np.array(["a b", "", "b, a\nb", "a"])),
    "Series": (lambda: Series(Number()), RNG.normal(5, 3, (6, 4))),
    "Series of tags": (lambda: Series(Label(), axis="word"),
                       np.array([["a", "b", "a"], ["b", "b", "a"]])),
    "Series with an end": (lambda: Series(Number(), length="modelled"), RNG.normal(5, 3, (6, 4))),
    "Series of tags with an end": (lambda: Series(Label(), length="modelled"), np.array([["a", "b", "a"], ["b", "b", "a"]])),
    "Series of pictures": (lambda: Series(Image(), length="fixed"), RNG.integers(0, 5, (3, 4, 2, 2)).astype(np.uint8)),
    "Complex": (lambda: Complex(), RNG.normal(5, 3, 20) + 1j * RNG.normal(2, 1, 20)),
    "Complex with holes": (lambda: Complex(missing="unknown"), np.append(RNG.normal(size=9) * (1 + 2j), np.nan)),
    "Complex vector": (lambda: Complex(), (RNG.normal(size=(20, 3, 2)) @ [1, 1j]) * [1e-3, 1, 1e5]),
    "Series of complex numbers": (lambda: Series(Complex()), RNG.normal(size=(6, 4, 2)) @ [1, 1j]),
    "MuLaw": (lambda: MuLaw(), RNG.uniform(-1, 1, 300)),
    "MuLaw of 16 bits": (lambda: MuLaw(), RNG.integers(-1 << 15, 1 << 15, 300).astype(np.int16)),
    "Series of MuLaw": (lambda: Series(MuLaw(levels=16)), RNG.integers(-20000, 20000, (3, 20)).astype(np.int16)),
    "LogMel": (lambda: LogMel(8000), CHIRPS),
    "LogMel, coarse": (lambda: LogMel(8000, seconds=0.2, detail=(8, 8)), CHIRPS),
    "Set": (lambda: Set(["what", "left", "right"], ranges={"left": (0, 32), "right": (0, 64)}),
            rows_of([("cat", 3.125, 0.25), ("dog", 0.125, 4.25)], [("cat", 31.875, 63.75)], [], [("dog", 5.125, 0.75)])),
    "Set drawn by its places": (lambda: Set(["what", "left", "right"], ranges=(0, 64), order=["left", "right", "what"]),
                               rows_of([["a", 1.25, 3.25], ["b", 8.25, 9.75]], [], [["b", 0.25, 63.75]])),
    "Set of mappings": (lambda: Set(most=3, categories={"of": None}),
                        rows_of([{"at": 3, "of": 2}], [{"at": 7, "of": 1}] * 2, [], [{"at": 4, "of": 1}, {"at": 4, "of": 2}])),
    "Set of words": (lambda: Set(), rows_of(["a", "b"], [], ["b"])),
    "IdentityCodec": (lambda: IdentityCodec(Finite(3)), np.array([0, 2, 1])),
    "IdentityCodec real": (lambda: IdentityCodec(Real(axes=(Axis("entry", 2),))), RNG.normal(size=(5, 2))),
    "BlockCodec": (lambda: BlockCodec({"city": Label(), "size": Number()}),
              {"city": np.array(["a", "b", "a", "b"]), "size": np.array([1.0, 2.0, 4.0, 3.0])}),
}


@functools.cache
def learned(case, seed=0):
    """A case of the table, prepared once for all laws."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return prepared(FAMILIES[case](), seed)


def hold(law, *case):
    """To a law; where it does not apply, skip with its reason."""
    try:
        law(*case)
    except DoesNotApply as reason:
        pytest.skip(f"law: {reason}")


def traces(conditional):
    """Of a change: which tensors it has, how often each was changed in place, which have slopes, and the modes of its parts."""
    held = [*conditional.parameters(), *conditional.buffers()]
    return [(id(t), t._version, t.grad is None) for t in held], [part.training for part in conditional.modules()]


@pytest.mark.parametrize("law", FAMILY_LAWS)
@pytest.mark.parametrize("case", FAMILIES)
def test_family(case, law):
    conditional = learned(case)
    before = traces(conditional)
    try:
        hold(FAMILY_LAWS[law], conditional)
    finally:
        assert traces(conditional) == before, f"{law} leaves {case} otherwise than it was"


@pytest.mark.parametrize("seed", range(1, 8))
@pytest.mark.parametrize("case", ["Gaussian", "GaussianMixture", "GaussianMixture block", "SplineFlow",
                                  "Independent with atoms",
                                  "Autoregressive reals", "Ensemble reals", "Dequantised"])
def test_the_density_is_normalised_for_any_seed(case, seed):
    hold(FAMILY_LAWS["density_is_normalised"], learned(case, seed))


@pytest.mark.parametrize("law", CODEC_LAWS)
@pytest.mark.parametrize("case", CODECS)
def test_codec(case, law):
    make, raw = CODECS[case]
    hold(CODEC_LAWS[law], make(), raw)


def test_a_law_that_does_not_apply_says_why():
    verdicts = check_family(FAMILIES["Empirical"]())
    assert verdicts["density_is_normalised"] is None
    assert verdicts["steps_are_the_whole"] == "it is not drawn step by step"
    assert set(verdicts) == set(FAMILY_LAWS)
    verdicts = check_codec(lambda: IdentityCodec(Finite(3)), np.array([0, 2, 1]))
    assert verdicts.pop("items_end_to_end_are_their_rows") == "its items are as long as their grid, or their end is an entry"
    assert set(verdicts.values()) == {None}


def test_the_mean_of_a_mixture_of_blocks():
    mixed = learned("Ensemble blocks of reals")
    law = mixed(conditions(mixed, 4))
    means = [part.mean().columns["b"].tensor for part in law.parts]
    assert torch.allclose(law.mean().columns["b"].tensor, (means[0] + means[1]) / 2)


def test_every_family_has_a_case():
    present = {type(make()).__name__ for make in FAMILIES.values()}
    needs = {"PretrainedLM": "transformers", "PretrainedDiffusion": "diffusers", "PretrainedCaptioner": "transformers",
             "PretrainedContrastive": "transformers"}
    absent = {name for name, package in needs.items() if importlib.util.find_spec(package) is None}
    assert present == set(families.__all__) - absent


def test_every_codec_has_a_case():
    present = {type(make()).__name__ for make, _ in CODECS.values()}
    assert present == set(codecs.__all__) - {"infer", "infer_table"}


@pytest.mark.parametrize("n", [3, 7, 100])
def test_a_constant_keeps_its_unit_scale(n):
    codec = Number()
    codec.learn(np.full((n, 2), [0.1, 1e9]))
    assert codec.state()["scale"] == [1, 1]


def test_a_bernoulli_head_is_of_two_symbols():
    head = BernoulliHead(Finite(2), 3)
    features = torch.randn(7, 3, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(head(features).log_probs[:, 1], torch.nn.functional.logsigmoid(head.logit(features)[:, 0].double()))
    with pytest.raises(UserError, match=r"^BernoulliHead: expected two symbols, got .*; use CategoricalHead$"):
        BernoulliHead(Finite(3), 3)


@pytest.mark.parametrize("size", [2, 5, 40])
@pytest.mark.parametrize("axes", [(), (Axis("place", 1),)], ids=["an entry", "a grid"])
def test_the_head_is_a_mixture_of_cells_and_outer_masses(size, axes):
    """The levels' probabilities are differences of the mixture's distribution function, and a mass at either end."""
    head = DiscretizedLogisticMixtureHead(Finite(size, ordered=True, axes=axes), 3, components=2)
    torch.manual_seed(0)
    torch.nn.init.normal_(head.parameters_of.weight)
    features = torch.randn(7, *(1 for _ in axes), 3, generator=torch.Generator().manual_seed(1))
    logits, mean, scales = head.parameters_of(features).reshape(7, -1).double().split([4, 2, 2], -1)
    weight, edges = logits.softmax(-1), torch.linspace(-1, 1, size + 1, dtype=torch.float64)[1:-1]
    scale = torch.nn.functional.softplus(scales) + 1e-3
    below = (weight[:, 2:, None] * torch.sigmoid((edges - mean[..., None]) / scale[..., None])).sum(1)
    whole = torch.cat([torch.zeros(7, 1), below, weight[:, 2:].sum(-1, keepdim=True)], 1).diff(dim=1)
    whole[:, 0] += weight[:, 0]
    whole[:, -1] += weight[:, 1]
    assert torch.allclose(head(features).log_probs.reshape(7, size).exp(), whole, atol=1e-5)
    assert isinstance(head(features), distributions.DiscretizedLogisticMixture if axes else distributions.WeightedLevels)
