"""Ways to draw: each is a law that sums to 1, scores what it draws, and agrees with a few lines of arithmetic by hand."""

import importlib.util
import itertools
import json
import math
import re
from functools import cache, partial

import numpy as np
import pytest
import torch
from scipy import stats
from test_bad_input import cases, refused

import given
from given import (
    Beam,
    JSONSchema,
    MaxLength,
    MinP,
    Regex,
    RepetitionPenalty,
    Stop,
    Temperature,
    TopK,
    TopP,
    prefix,
)
from given.codecs import IdentityCodec, Label, Text
from given.conditional import Conditional, teach
from given.distributions import BeamSearched, Chain, Mixture, StepwiseTransform
from given.families import Autoregressive, Ensemble, Independent, NGram, PretrainedLM
from given.nn import Embedding, Transformer
from given.testing import FAMILY_LAWS, perturb, prepared
from given.variables import Axis, Entries, Finite, Observed, UserError, Variable

torch.set_num_threads(1)
SMALL = partial(Autoregressive, net=partial(Transformer, width=16, layers=1, heads=2), embed=partial(Embedding, offsets=2))
BOTH = partial(Ensemble, families=(partial(NGram, order=3), SMALL))
FAMILIES = {"counts": partial(NGram, order=3), "net": SMALL, "mixed": BOTH}
if importlib.util.find_spec("transformers") is not None:
    FAMILIES["pretrained"] = partial(PretrainedLM, lead=(4, 1), config=json.dumps({
        "model_type": "llama", "vocab_size": 5, "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1}))


def variable(length="modelled"):
    """Texts of at most 3 of a, b, c with their end; or 4 of them."""
    codec = Text(window=3 if length == "modelled" else 4)
    codec.learn(np.array(["abc"] if length == "modelled" else ["abcab"]))
    return Variable("x", codec)


@cache
def family(name, length="modelled"):
    torch.manual_seed(0)
    return prepared(FAMILIES[name](variable(length)))


def law_of(name, length="modelled", n=1):
    with torch.no_grad():
        return family(name, length)(Observed(n=n))


def entries(texts, x):
    """Texts as entries (N, 1, D), what follows them padding."""
    width, end = x.space.dimensions, x.space.end
    rows = [[*map("abc".index, t), *([end] if end is not None else [])] for t in texts]
    values = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    return Entries(values, valid=torch.arange(width) < torch.tensor([[len(row)] for row in rows])).map(lambda t: t[:, None])


def texts(length, over=lambda text: False):
    """Every text: up to its end, or to where it is over."""
    most, found = (3, []) if length == "modelled" else (4, [])
    for n in range(most + 1):
        for t in map("".join, itertools.product("abc", repeat=n)):
            began = any(over(t[:i]) for i in range(n))
            whole = n == most or over(t) or (length == "modelled" and not over(t))
            if whole and not began:
                found.append(t)
    return found


HOWS = {
    "Temperature": (Temperature(0.5), None), "greedy": (Temperature(0), None), "TopK": (TopK(2), None), "all": (TopK(9), None),
    "TopP": (TopP(0.7), None), "MinP": (MinP(0.4), None), "penalty": (RepetitionPenalty(1.7, window=2), None),
    "both": (TopP(0.8) | Temperature(0.7), None), "MaxLength": (MaxLength(2), lambda t: len(t) == 2),
    "Stop": (Stop(["ab", "c"]), lambda t: "ab" in t or "c" in t),
    "stopped": (TopK(2) | Stop("b") | MaxLength(3), lambda t: "b" in t or len(t) == 3),
    "Regex": (Regex("a*(b|cc)"), lambda t: re.fullmatch("a*(b|cc)", t) is not None),
}


def frequencies_follow(drawn, p):
    """Chi-square of drawn texts against probabilities of every text."""
    assert all(p.get(t, 0) > 0 for t in drawn), f"{next(t for t in drawn if not p.get(t, 0) > 0)!r} cannot be drawn"
    expected = np.array([p[t] * len(drawn) for t in p])
    counts = np.array([list(drawn).count(t) for t in p])
    big = expected >= 5
    seen, hoped = ([*each[big], each[~big].sum()] for each in (counts, expected))
    seen, hoped = (seen, hoped) if hoped[-1] > 1 else (seen[:-1], hoped[:-1])
    if len(hoped) > 1:
        assert stats.chi2.sf(sum((a - b) ** 2 / b for a, b in zip(seen, hoped, strict=True)), len(hoped) - 1) > 1e-6


def check_truncated_law(name="mixed", length="modelled", how="TopP"):
    """A truncated law sums to 1, and its draws follow it."""
    x, (how, over) = variable(length), HOWS[how]
    law = law_of(name, length).by(how.of(x))
    every = texts(length, over) if over is not None and length == "given" else texts(length)
    with torch.no_grad():
        p = dict(zip(every, law.log_prob(entries(every, x))[:, 0].exp().tolist(), strict=True))
    assert sum(p.values()) == pytest.approx(1, abs=1e-5), f"the law's total is {sum(p.values())}"
    frequencies_follow(x.codec.decode(law.sample((1500,), seed=3))[:, 0].tolist(), p)
    if isinstance(how, Regex):
        assert {t for t in p if p[t] > 1e-12} == {t for t in p if re.fullmatch(how.regex, t)}, "the wrong texts match"


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("length", ["modelled", "given"])
def test_a_truncated_law_sums_to_one_and_is_drawn(how, length):
    for name in ["counts", "net", "mixed"] if how in ("TopP", "stopped") else ["mixed"]:
        check_truncated_law(name, length, how)


def cut_by_hand(how, p, past):
    """The law of one symbol, cut, in plain arithmetic."""
    order = sorted(range(len(p)), key=lambda v: -p[v])
    if isinstance(how, Temperature):
        p = [float(v == order[0]) for v in range(len(p))] if how.t == 0 else [each ** (1 / how.t) for each in p]
    elif isinstance(how, TopK):
        p = [each if v in order[:how.k] else 0 for v, each in enumerate(p)]
    elif isinstance(how, TopP):
        kept, total = [], 0
        for v in order:
            if total < how.p:
                kept.append(v)
            total += p[v]
        p = [each if v in kept else 0 for v, each in enumerate(p)]
    elif isinstance(how, MinP):
        p = [each if each >= how.p * max(p) else 0 for each in p]
    elif isinstance(how, RepetitionPenalty):
        near = past[-how.window:] if how.window else past
        p = [each**how.strength if v in near else each for v, each in enumerate(p)]
    return [each / sum(p) for each in p]


def check_by_hand(*hows):
    """Every text's score is the product of the laws of its symbols, each cut by hand."""
    x = variable("given")
    law = law_of("mixed", "given")
    with torch.no_grad():
        every = texts("given")
        whole = dict(zip(every, law.log_prob(entries(every, x))[:, 0].exp().tolist(), strict=True))
        for how in hows or [how for how, over in HOWS.values() if over is None and not hasattr(how, "first")]:
            scores = law.by(how).log_prob(entries(list(whole), x))[:, 0].exp().tolist()
            for text, score in zip(whole, scores, strict=True):
                hoped = 1.0
                for t, c in enumerate(text):
                    p = [sum(q for other, q in whole.items() if other.startswith(text[:t] + v)) for v in "abc"]
                    p = cut_by_hand(how, [each / sum(p) for each in p], ["abc".index(v) for v in text[:t]])
                    hoped *= p["abc".index(c)]
                assert score == pytest.approx(hoped, abs=1e-5), f"{how}: {text} scores {score}, by hand {hoped}"


def test_cuts_are_those_by_hand():
    check_by_hand()


def test_ways_to_draw_compose_in_order():
    x, law = variable("given"), law_of("mixed", "given")
    some = entries(texts("given"), x)
    one, other = (law.by(how).log_prob(some) for how in (TopP(0.6) | Temperature(0.1), Temperature(0.1) | TopP(0.6)))
    assert not torch.allclose(one, other)
    assert torch.equal(one, Temperature(0.1)(TopP(0.6)(law)).log_prob(some))


class Cut(Conditional):
    """A family whose law is cut: it must obey the laws of families."""

    def __init__(self, x, parents=(), *, how, family):
        super().__init__(x, parents)
        self.how, self.inner = how, family(x, parents)

    def forward(self, y):
        return self.inner(y).by(self.how)

    def lessons(self):
        return self.inner.lessons()


LAWS = ["draws_have_the_shape", "scores_are_float64", "density_is_normalised", "draws_follow_the_density",
        "what_is_unseen_moves_nothing", "marginals_are_sums", "marginals_are_normalised", "conditions_are_ratios",
        "context_is_only_read", "steps_are_the_whole", "rows_are_their_own"]


@pytest.mark.parametrize("law", LAWS)
def test_a_cut_law_obeys_the_laws_of_families(law):
    x, y = Variable("x", IdentityCodec(Finite(3, axes=(Axis("place", 4),)))), Variable("y", Label(["u", "v"]))
    for how in (TopP(0.8) | Temperature(0.9), RepetitionPenalty(1.5)):
        FAMILY_LAWS[law](prepared(Cut(x, y, how=how, family=BOTH)))


def test_laws_made_of_others_hand_it_on():
    law = law_of("net", n=2)
    mixture = Mixture(torch.zeros(2, 2), [law, law_of("counts", n=2)])
    greedy = {tuple(law.by(Temperature(0)).sample(seed=0).tensor[0].tolist()) for law in mixture.parts}
    drawn = mixture.by(Temperature(0)).sample((40,), seed=1).tensor[:, 0]
    assert {tuple(t) for t in drawn.tolist()} == greedy
    data = {"a": ["x", "x", "y"], "b": ["u", "v", "v"]}
    model = given.model("p(a, b)", data, families={"a, b": Independent})
    model.fit(data, held_out=0)
    assert set(zip(*model.sample(20, how=Temperature(0)).values(), strict=True)) == {("x", "v")}


def test_what_concerns_texts_leaves_labels_alone():
    model = given.model("p(label) p(word | label)", {"label": list("abab"), "word": ["ab", "ba", "a", "b"]},
                        codecs={"word": Text()}, families={"word": SMALL})
    model.facts["fitted"] = True
    plain = model.sample(8, seed=1)["label"]
    for how in (MaxLength(3), Stop("a"), Regex("[ab]?")):
        assert (model.sample(8, seed=1, how=how)["label"] == plain).all(), how


# Search


def best_by_beam(law, x, width, alpha):
    """Beam search that reads every beginning afresh, by the scores of beginnings: texts of symbols 0 to 2."""
    D, beams = x.space.dimensions, [((), 0.0, False)]
    for _ in range(D):
        more = [beam for beam in beams if beam[2]]
        longer = [(*values, v) for values, _, over in beams if not over for v in range(x.space.size)]
        rows = torch.tensor([[*values] + [0] * (D - len(values)) for values in longer])
        if longer:
            p = law.log_prob(Entries(rows[:, None], torch.arange(D) < len(longer[0])))[:, 0].tolist()
            more += [(values, each, values[-1] == x.space.end) for values, each in zip(longer, p, strict=True)]
        beams = sorted(more, key=lambda b: -b[1] / ((5 + len(b[0])) / 6) ** alpha)[:width]
    return beams


def check_beam(models=10):
    """The cache follows the beams: with it and without, they are the same texts of the same scores."""
    x = variable()
    for seed in range(models):
        torch.manual_seed(seed)
        net = FAMILIES["net" if seed % 2 else "mixed"](x)
        if seed % 2 == 0:
            teach(net, [(entries(["ab", "c", "abc"], x).map(lambda t: t[:, 0]), Observed(n=3), torch.ones(3))])
        perturb(net, 1.0, seed)
        law, alpha = net.eval()(Observed(n=1)), [0.0, 1.0][seed % 4 > 1]
        with torch.no_grad():
            found, scores = BeamSearched(law, 3, alpha).search()
            hoped = best_by_beam(law, x, 3, alpha)
        columns = found.tensor[:, 0], found.valid[:, 0], scores[:, 0]
        for row, valid, score, (values, total, _) in zip(*columns, hoped, strict=True):
            assert tuple(row[valid].tolist()) == values, f"model {seed}: {row[valid].tolist()}, uncached {values}"
            assert float(score) == pytest.approx(total / ((5 + len(values)) / 6) ** alpha, abs=1e-4)


def test_the_cache_follows_the_beams():
    check_beam(100)


def test_a_wide_beam_finds_the_best_there_is():
    x, law = variable(), law_of("mixed")
    with torch.no_grad():
        scores = law.log_prob(entries(texts("modelled"), x))[:, 0]
    best = [texts("modelled")[i] for i in scores.argsort(descending=True)[:5].tolist()]
    assert x.codec.decode(Beam(60)(law).sample((5,)))[:, 0].tolist() == best
    drawn = x.codec.decode((Regex("a.*") | Beam(60)).of(x)(law).sample((3,)))[:, 0].tolist()
    assert all(t.startswith("a") for t in drawn) and len(set(drawn)) == 3
    cut = (TopK(1) | Beam(4))(law)
    assert x.codec.decode(cut.sample(()))[0] == x.codec.decode(law.by(Temperature(0)).sample(()))[0]


def test_groups_of_entries_are_refused():
    law = law_of("net")._but(one_at_a_time=False)
    told = [Stop("a").of(variable()), Regex("a+").of(variable())]
    for how in (Beam(2), MaxLength(2), RepetitionPenalty(2.0), *told):
        refused(lambda how=how: how(law), "one entry a step")


# Texts


@cache
def prose(unit="characters", window=16):
    text = "the cat sat on the mat. éa the hat! " * 30
    codec = Text(unit, window=window, size=290)
    model = given.model("p(text)", {"text": [text]}, codecs={"text": codec}, families={"text": partial(NGram, order=5)})
    model.fit({"text": [text]}, held_out=0)
    return model


@cache
def words(unit="characters"):
    data = {"word": ["abba", "abc", "ab", "cab", "bca", "a"] * 10}
    model = given.model("p(word)", data, codecs={"word": Text(unit, size=260)}, families={"word": partial(NGram, order=3)})
    model.fit(data, held_out=0)
    return model


@pytest.mark.parametrize("unit", ["characters", "bytes", "pieces"])
def test_a_text_stops_where_a_string_ends_however_symbols_cut_it(unit):
    asked = prose(unit).given(text=prefix("the cat"))
    drawn = asked.sample(20, how=Stop(["mat.", "é"]), length=600)["text"].tolist()
    for text in drawn:
        rest = text.removeprefix("the cat")
        assert "mat." in rest or "é" in rest
        assert not any(stop in rest[:-4] for stop in ("mat.", "é")), f"{text!r} goes on past its end"
    if unit == "pieces":
        cut = [prose(unit).joint.columns["text"].codec.tokenizer.encode("mat.", 0)]
        assert len(cut[0]) > 1, "the string is one piece: it tests nothing"


def check_strings():
    """A text is over where the first of some strings ends, however they overlap."""
    x, noise = variable("given"), np.random.default_rng(0)
    for _ in range(60):
        strings = ["".join("abc"[i] for i in noise.integers(0, 2, n)) for n in noise.integers(1, 6, 3)]
        how, text = Stop(strings).of(x), "".join("abc"[i] for i in noise.integers(0, 2, 40))
        memory = torch.zeros(1, dtype=torch.int64)
        for n, c in enumerate(text, 1):
            memory = how.move(memory, torch.tensor(["abc".index(c)]))
            assert bool(how.done(memory)) == any(s in text[:n] for s in strings), f"{strings} in {text[:n]}"


def test_strings_are_found_where_they_end():
    check_strings()


def test_what_is_given_does_not_stop_a_text():
    drawn = prose().given(text=prefix("the cat")).sample(3, how=Stop("cat"), length=50)["text"].tolist()
    assert all(len(t) > 7 and "cat" not in t[7:-3] for t in drawn)
    assert [len(t) for t in prose().given(text=prefix("the")).sample(2, how=MaxLength(5), length=50)["text"]] == [8, 8]


@pytest.mark.parametrize("unit", ["characters", "bytes", "pieces"])
def test_a_constraint_holds_for_every_unit(unit):
    for regex in ("(the|a) [cmh]at", "[a-z]{3} é.", "ca[^c]{2}"):
        drawn = prose(unit, 24).given(text=prefix("the ")).sample(5, how=Regex(regex), seed=1)["text"].tolist()
        assert all(re.fullmatch(regex, t.removeprefix("the ")) for t in drawn), (regex, drawn)
    assert {t for t in words(unit).sample(30, how=Regex("a[bc]*"))["word"] if not re.fullmatch("a[bc]*", t)} == set()


def test_a_constraint_holds_across_windows():
    for regex in ("[a-z .!é]{50}", "([a-z]{3} ){9}[^x]*"):
        drawn = prose().given(text=prefix("the ")).sample(3, how=Regex(regex) | TopP(0.9), length=54)["text"].tolist()
        assert all(re.fullmatch(regex, t.removeprefix("the ")) and len(t) == 54 for t in drawn), drawn
    refused(lambda: prose().given(text=prefix("the ")).sample(1, how=Regex("a{60}"), length=50), "there is room for 46")
    surrogate = given.model("p(text)", {"text": ["a\ud800b", "ab"]}, codecs={"text": Text()}, families={"text": NGram})
    surrogate.fit({"text": ["a\ud800b", "ab"]}, held_out=0)
    assert "".join(surrogate.given(text=prefix("a\ud800")).stream(how=Temperature(0))) == "b"


def test_a_schema_draws_json():
    schema = {"type": "object", "properties": {"a": {"type": "integer"}, "ok": {"type": "boolean"}}, "required": ["a", "ok"]}
    data = {"text": ['{"a": 12, "ok": true}', '{"a": 3, "ok": false}', '{"ok": 1}', "nonsense 456789"] * 5}
    model = given.model("p(text)", data, codecs={"text": Text()}, families={"text": NGram})
    model.fit(data, held_out=0)
    for how in (JSONSchema(schema), JSONSchema(json.dumps(schema)) | TopP(0.9)):
        for text in model.sample(10, how=how, seed=2)["text"]:
            assert set(json.loads(text)) == {"a", "ok"}
    assert model.score(text='{"a": 3, "ok": true}').value < 0


def test_a_draw_depends_on_seed_draw_and_row_alone():
    for how in (None, TopP(0.9) | Stop("at")):
        model, begun = prose(), prefix(["the ", "a"])
        many = model.given(text=begun).sample(5, seed=3, how=how)["text"]
        few = model.given(text=begun).sample(2, seed=3, how=how)["text"]
        assert (many[:2] == few).all()
        alone = model.given(text=prefix(begun.values[:1])).sample(5, seed=3, how=how)["text"]
        assert (many[:, :1] == alone).all()


class NGramCounts(Chain):
    """A chain that remembers what its net was asked to read: rows and steps."""

    asked = []

    def next(self, state):
        NGramCounts.asked.append((len(state.values), state.t + 1 - state.read))
        return super().next(state)


def test_what_is_given_is_read_once_for_all_draws_and_drawing_ends_with_the_texts(monkeypatch):
    model = given.Model(family("net"))
    monkeypatch.setattr(given.distributions, "Chain", NGramCounts)
    for how in (None, TopP(0.99)):
        NGramCounts.asked = []
        model.given(x=prefix("ab")).sample(9, how=how)
        assert NGramCounts.asked[0] == (1, 3) and {rows for rows, _ in NGramCounts.asked[1:]} <= {9}
        assert all(steps == 1 for _, steps in NGramCounts.asked[1:])
    NGramCounts.asked = []
    model.given(x=prefix("a")).sample(9, how=MaxLength(1))
    assert len(NGramCounts.asked) == 2, "all texts are over, and it is still drawing"


# Verbs


@pytest.mark.parametrize("unit", ["characters", "bytes", "pieces"])
def test_a_stream_is_the_draw_and_whole_characters(unit):
    for begun in ("the cat", "a", "the mat. éa the"):
        for length in (None, 70):
            for how in (None, TopP(0.9) | MaxLength(40)):
                asked = prose(unit).given(text=prefix(begun))
                said = list(asked.stream(seed=5, length=length, how=how))
                whole = asked.sample(1, seed=5, length=length, how=how)["text"][0]
                assert "".join(said) == whole.removeprefix(begun)
                assert unit == "pieces" or all(len(part) == 1 for part in said)
    assert "".join(prose(unit).given(text=prefix("the ")).stream(length=90, stop=["at"], seed=1)).count("at") == 1


def test_a_stream_of_a_text_beside_a_label():
    data = {"label": ["x", "y"] * 10, "word": ["abc", "cab"] * 10}
    model = given.model("p(label) p(word | label)", data, codecs={"word": Text()}, families={"word": NGram})
    model.fit(data, held_out=0)
    assert "".join(model.given(label="y").stream(how=Temperature(0))) == "cab"
    assert "".join(model.given().stream(seed=5)) == model.sample(1, seed=5)["word"][0]
    ranked = model.given(label="x").rank(word=["cab", "abc"])
    assert ranked["word"].tolist() == ["abc", "cab"] and ranked["log_prob"][0] > ranked["log_prob"][1]


def test_candidates_are_ranked_by_what_is_given():
    data = {"label": ["x", "x", "y", "y"] * 10, "word": ["ab", "ab", "ab", "c"] * 10}
    model = given.model("p(label) p(word | label)", data, codecs={"word": Text(), "label": Label()}, families={"word": NGram})
    model.fit(data, held_out=0)
    asked = model.given(label="y")
    by_gain = asked.rank(word=["ab", "c"], pmi=True)
    assert by_gain["word"].tolist() == ["c", "ab"]
    hoped = asked.log_prob(word=["c"]) - model.given().log_prob(word=["c"])
    assert by_gain["pmi"][0] == pytest.approx(hoped[0])
    plain = given.model("p(word)", {"word": data["word"]}, codecs={"word": Text()}, families={"word": NGram})
    plain.fit({"word": data["word"]}, held_out=0)
    assert asked.rank({"word": ["ab", "c"]}, pmi=plain)["word"].tolist() == ["c", "ab"]
    condition = given.model("p(word | label)", data, codecs={"word": Text()}, families={"word": NGram})
    condition.fit(data, held_out=0)
    refused(lambda: condition.given(label="y").rank(word=["ab"], pmi=True), "no p(word) to compare with")
    assert len(condition.given(label="y", prior=None).rank(word=["ab"], pmi=plain)["pmi"]) == 1


@cases(
    cold=(lambda: Temperature(-0.5), "Temperature: expected a number from 0, got -0.5"),
    no_number=(lambda: Temperature(math.nan), "Temperature: expected a number from 0, got nan"),
    none_left=(lambda: TopK(0), "TopK: expected a whole number from 1, got 0"),
    half=(lambda: TopK(2.5), "TopK: expected a whole number from 1, got 2.5"),
    no_share=(lambda: TopP(0), "TopP: expected a probability above 0, got 0"),
    above=(lambda: TopP(1.1), "TopP: expected a probability above 0, got 1.1"),
    min_p=(lambda: MinP(-1), "MinP: expected a share from 0 to 1, got -1"),
    penalty=(lambda: RepetitionPenalty(0), "RepetitionPenalty: expected a number above 0, got 0"),
    penalty_window=(lambda: RepetitionPenalty(2, window=0), "window: expected a whole number from 1, got 0"),
    longest=(lambda: MaxLength(0), "MaxLength: expected a whole number of symbols from 1, got 0"),
    no_stop=(lambda: Stop([]), "Stop: expected a string or several, got none"),
    empty_stop=(lambda: Stop(["a", ""]), "Stop: expected strings of at least one character, got ''"),
    untold=(lambda: Stop("a")(law_of("net")), "does not know what the symbols of a distribution are"),
    regex=(lambda: words().sample(how=Regex("(")), "does not compile"),
    impossible=(lambda: words().sample(how=Regex("x+")), "no text of its symbols does"),
    too_long=(lambda: words().sample(how=Regex("a{99}")), "the shortest takes 100 symbols, and there is room for"),
    cut_first=(lambda: words().sample(50, how=TopK(1) | Regex("c.*")), "put it before what cuts"),
    schema=(lambda: JSONSchema({"type": "foo"}), "JSONSchema: expected a JSON schema"),
    beams=(lambda: Beam(0), "Beam: expected a whole number of beams from 1, got 0"),
    alpha=(lambda: Beam(2, alpha=-1), "expected alpha to be a number from 0"),
    more_than_beams=(lambda: words().sample(5, how=Beam(3)), "Beam: 5 draws of 3 beams"),
    fewer_texts=(lambda: words().sample(5, how=TopK(1) | Beam(8)), "there are no more texts"),
    beam_scores=(lambda: Beam(2)(law_of("net")).log_prob(law_of("net").sample()), "score it without Beam"),
    beam_windows=(lambda: prose().given().sample(1, how=Beam(2), length=40), "sees one window"),
    unseen=(lambda: prose().given(text=prefix("thé Ω")).sample(), "unseen character 'Ω'"),
    nothing=(lambda: words().given(word=prefix("a")).sample(0), "expected a whole number of draws from 1, got 0"),
    prompt=(lambda: prose().given(text=prefix("the cat sat on the mat")).sample(), "22 entries are given, and a window"),
    how=(lambda: words().sample(how="greedy"), "expected a map from distribution to distribution"),
    two_items=(lambda: words().given(word=prefix(["a", "b"])).stream(), "to draw of one item, got 1 of 2 items"),
    no_text=(lambda: words().given(word="a").stream(), "got 0 of 1 items"),
    rank_items=(lambda: words().given(word=prefix(["a", "b"])).rank(word=["a"]), "expected one item to be given"),
)
def test_bad_input(bad, said):
    refused(bad, said)


def test_at_the_edge_of_bad_input():
    assert words().sample(4, how=TopK(10**6))["word"].tolist() == words().sample(4)["word"].tolist()
    assert len(set(words().sample(9, how=Temperature(0))["word"])) == 1
    empty = prose().given(text=prefix("")).sample(2, length=30, how=TopP(0.9))["text"]
    assert empty.tolist() == prose().given().sample(2, length=30, how=TopP(0.9))["text"].tolist()
    law = law_of("net", n=2)
    assert torch.equal(law.sample((1,), seed=4).tensor, law.sample((3,), seed=4).tensor[:1])
    assert isinstance(TopP(0.5)(law_of("net")), StepwiseTransform)
    with pytest.raises(UserError, match="length above"):
        prose().given(text=prefix("the cat sat")).sample(1, length=8, how=TopK(3))




@pytest.mark.parametrize("then", [TopK(1), Beam(2)], ids=["cut", "search"])
def test_nothing_comes_after_a_search(then):
    with pytest.raises(UserError, match="comes after a search"):
        then(BeamSearched(law_of("net"), 2))


def test_tiny_temperatures_are_greedy_and_not_nan():
    law = law_of("net")
    greedy, tiny = (law.by(Temperature(t)).sample((20,), seed=1).tensor for t in (0, 1e-310))
    assert torch.equal(greedy, tiny)


def test_a_constraint_that_only_the_empty_text_meets_is_refused():
    with pytest.raises(UserError, match="nothing but the empty text"):
        Regex("").of(variable("given"))


def test_a_length_is_of_windows():
    model = given.model("p(x)", {"x": ["abc", "ab", "ca"]}, families={"x": partial(NGram, order=2)})
    model.fit({"x": ["abc", "ab", "ca"]}, held_out=0)
    with pytest.raises(UserError, match=r"sample: length=9.*MaxLength\(9\)"):
        model.given().sample(2, length=9)


def test_positions_of_ones_own_are_not_dropped_in_a_step():
    from given.nn import Positions

    class Shifted(Positions):
        def __init__(self, places, layers, heads, width):
            super().__init__()
            self.shift = torch.nn.Parameter(torch.randn(len(places), heads * width, generator=torch.Generator().manual_seed(0)))

        def added(self, h, order, t=0):
            return h + self.shift[order[:, t:t + h.shape[1]]]

    net = partial(Transformer, width=16, layers=1, heads=2, positions=Shifted)
    FAMILY_LAWS["steps_are_the_whole"](prepared(Autoregressive(variable("given"), net=net)))


def test_beams_of_many_draws_are_the_next_best_and_no_copies(monkeypatch):
    words = {"text": np.array(["anna", "bob", "carla", "dana", "nan"] * 12, dtype=object)}
    model = given.model("p(text)", words, codecs={"text": Text()}, families={"text": NGram})
    model.fit(words)
    whole = model.sample(12, how=Beam(12))["text"].tolist()
    monkeypatch.setattr("given.verbs.draws.draws_at_once", lambda joint: 5)
    assert len(set(whole)) == 12 and model.sample(12, how=Beam(12))["text"].tolist() == whole
    with pytest.raises(UserError, match="Beam: 10 draws of 8 beams"):
        model.sample(12, how=Beam(8))
