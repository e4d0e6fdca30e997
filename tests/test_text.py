"""Texts: windows that score every character once, counts that equal a reference, mixtures whose weights are known."""

import copy
import math
from collections import Counter, defaultdict
from functools import partial

import numpy as np
import pytest
import torch
from test_bad_input import cases, refused

import given
from given import distributions, prefix
from given.codecs import IdentityCodec, Label, Text, infer
from given.conditional import teach
from given.distributions import Sequential
from given.families import Autoregressive, Categorical, Empirical, Ensemble, Independent, NGram
from given.lessons import Weigh
from given.nn import Transformer
from given.train.fit import split
from given.variables import Axis, Entries, Finite, Observed, UserError, Variable

torch.set_num_threads(1)
RNG = np.random.default_rng(0)
PROSE = " ".join("".join("abcd"[i] for i in RNG.integers(0, 4, n) * RNG.integers(0, 2, n)) for n in RNG.integers(1, 6, 400))
SMALL = partial(Autoregressive, net=partial(Transformer, width=16, layers=1, heads=2))


def symbols(length, size=5, order="given"):
    return Variable("x", IdentityCodec(Finite(size, axes=(Axis("place", length, order),))))


def check_pieces(stride=4):
    """Every character is scored once, and is given at least window - stride before it where there are so many."""
    codec = Text(window=10, stride=stride)
    codec.learn(np.array([PROSE]))
    texts = [PROSE[:n] for n in (1, 9, 10, 11, 14, 15, 38, 39, 40)]
    cut = Variable("x", codec).pieces({"x": np.array(texts)})
    for i, text in enumerate(texts):
        at = 0
        for row in (cut.item == i).nonzero()[:, 0]:
            known, context = cut.x.scored[row], cut.x.context[row] & cut.x.valid[row]
            assert not context[known.nonzero()[0, 0]:].any()
            before, now = (codec.decode(Entries(cut.x.tensor[None, row], valid=m[None]))[0] for m in (context, known))
            assert text[at:at + len(now)] == now, "a character is scored twice, or not at all"
            assert text[:at].endswith(before) and len(before) >= min(at, 10 - stride), "the context is not what stands before"
            at += len(now)
        assert at == len(text)


@pytest.mark.parametrize("stride", [1, 4, 10])
def test_every_character_is_scored_once(stride):
    check_pieces(stride)


def test_windows_to_learn_from_cover_the_text():
    codec = Text(window=10)
    codec.learn(np.array([PROSE]))
    for start in (0, 3, 12):
        x = Variable("x", codec).pieces({"x": np.array([PROSE[:47]])}, 0, start).x
        assert not x.context.any() and x.valid.all()
        drawn = codec.decode(x).tolist()
        assert drawn[0] == PROSE[:10] and drawn[-1] == PROSE[37:47] and len(drawn) in (5, 6)


def kneser_ney(texts, V, order):
    """Interpolated modified Kneser-Ney as the paper has it, in dictionaries: a function (past, symbol) -> probability."""
    raw = [Counter() for _ in range(order + 1)]
    for text in texts:
        padded = ("^", *text)
        for end in range(1, len(padded)):
            for n in range(1, min(order, end + 1) + 1):
                raw[n][padded[end - n + 1:end + 1]] += 1
    tables = []
    for n in range(1, order + 1):
        counts = dict(raw[n])
        if n < order:
            left = Counter(gram[1:] for gram in raw[n + 1])
            counts = {g: raw[n][g] if g[0] == "^" else left[g] for g in raw[n]}
        times = Counter(counts.values())
        discount = [0, 0.5, 1, 1.5]  # where a text is too small to tell
        if all(times[k] for k in (1, 2, 3, 4)):
            y = times[1] / (times[1] + 2 * times[2])
            discount = [0, *(k - (k + 1) * y * times[k + 1] / times[k] for k in (1, 2, 3))]
            assert all(0 < d < k for k, d in enumerate(discount) if k)
        followers = defaultdict(dict)
        for gram, c in counts.items():
            followers[gram[:-1]][gram[-1]] = c
        tables.append((discount, followers))

    def p(past, symbol):
        past, value = ("^", *past), 1 / V
        for n in range(order):
            discount, followers = tables[n]
            seen = followers.get(past[len(past) - n:], {}) if n <= len(past) else {}
            total = sum(seen.values())
            if total:
                given_up = sum(discount[min(c, 3)] for c in seen.values()) / total
                c = seen.get(symbol, 0)
                value = (c - discount[min(c, 3)]) / total + given_up * value
        return value

    return p


def check_kneser_ney():
    """A toy text's laws are those of the reference, and sum to 1."""
    texts = np.array([[int(c) for c in np.base_repr(n**5 + 7 * n, 5).zfill(30)[-30:]] for n in range(3, 60)])
    x = symbols(30)
    family = NGram(x, order=3)
    parts = (texts[:20], texts[20:])
    teach(family, [(x.encode({"x": part}), Observed(n=len(part)), torch.ones(len(part))) for part in parts])
    p, probe = kneser_ney([tuple(t) for t in texts.tolist()], 5, 3), texts[[2, 40]].copy()
    probe[:, 10:14] = 4
    law = family(Observed(n=2))
    hoped = [sum(math.log(p(tuple(t[:i]), t[i])) for i in range(30)) for t in probe.tolist()]
    assert torch.allclose(law.log_prob(x.encode({"x": probe})), torch.tensor(hoped, dtype=torch.float64), atol=1e-4)
    state = law.start()
    for t in range(30):
        assert torch.allclose(law.next(state).log_probs.logsumexp(-1), torch.zeros(2, dtype=torch.float64), atol=1e-9)
        state = law.advance(state, torch.tensor(probe[:, t]))


def test_counts_are_kneser_ney():
    check_kneser_ney()


def check_witten_bell():
    """A toy text's law is the recursion written out, with a 1000-symbol vocabulary and a parent too."""
    for V, labels in ((5, [0]), (1000, [0, 1])):
        texts = np.random.default_rng(3).integers(0, 4, (40, 12)) ** 2 % V
        x, y = symbols(12, V), Variable("y", Label([0, 1]))
        family = NGram(x, [y] if len(labels) > 1 else [], order=3, smoothing=distributions.WittenBell())
        given_y = Observed({"y": Entries(torch.arange(40) % 2)}) if len(labels) > 1 else Observed(n=40)
        teach(family, [(Entries(torch.from_numpy(texts)), given_y, torch.ones(40))])
        for label in labels:
            followers = defaultdict(Counter)
            for text in texts[label::len(labels)].tolist():
                padded = ["^", *text]
                for t in range(1, 13):
                    for n in range(min(3, t + 1)):
                        followers[tuple(padded[t - n:t])][padded[t]] += 1

            def p(past, w, followers=followers, V=V):
                value = 1 / V
                for n in range(min(3, len(past) + 1)):
                    seen = followers.get(tuple(past[len(past) - n:]))
                    if seen:
                        value = (seen[w] + len(seen) * value) / (seen.total() + len(seen))
                return value

            probe = np.concatenate([texts[label:label + 1], np.full((1, 12), V - 1)])
            law = family(Observed({"y": Entries(torch.full((2,), label))} if len(labels) > 1 else {}, 2))
            hoped = [sum(math.log(p(["^", *text[:t]], text[t])) for t in range(12)) for text in probe.tolist()]
            assert law.log_prob(Entries(torch.from_numpy(probe))).tolist() == pytest.approx(hoped, abs=1e-4)


def test_counts_are_witten_bell():
    check_witten_bell()


def check_pruned():
    """Without its rare grams a law still sums to 1 over all texts, and knows the frequent ones."""
    x, text = symbols(4, 6, "fixed"), torch.from_numpy((np.random.default_rng(0).random((60, 4)) ** 2 * 6).astype(int))
    every = Entries(torch.cartesian_prod(*[torch.arange(6)] * 4))
    for smoothing in (distributions.KneserNey(), distributions.WittenBell()):
        sizes = []
        for least in (1, 3, 1000):
            family = NGram(x, order=3, smoothing=smoothing, min_count=least)
            teach(family, [(Entries(text), Observed(n=60), torch.ones(60))])
            sizes.append(len(family.keys))
            total = family(Observed(n=6**4)).log_prob(every).exp().sum()
            assert float(total) == pytest.approx(1, abs=1e-5)
        assert sizes[0] > sizes[1] > sizes[2] == 7


def test_an_item_counts_itself():
    """An adaptive law learns the text it reads, and says so; what is new to both costs it little more."""
    rng = np.random.default_rng(1)
    new = "".join("dcba"[i] for i in np.tile(rng.integers(0, 4, 40), 20))
    data = {"text": [PROSE]}
    scores = []
    for a in (None, 3.0):
        family = partial(NGram, order=4, adaptive=a)
        model = given.model("p(text)", data, codecs={"text": Text(window=1024)}, families={"text": family})
        model.fit(data, held_out=0)
        scores.append(model.score(text=[new]).nats_per_character())
        assert "adaptive" in str(scores[-1]) if a else "adaptive" not in str(scores[-1])
    assert scores[1].value < 0.7 < 1 < scores[0].value
    assert "exact, adaptive" in str(given.Comparison({"fixed": scores[0], "adaptive": scores[1]}))


def test_rare_grams_are_left_to_shorter_pasts():
    check_pruned()


def test_counts_in_chunks_are_counts(monkeypatch):
    """Sorted a few places at a time, grams are numbered and counted as all together."""
    x, y = symbols(30), Observed(n=60)
    text = Entries(torch.from_numpy(np.random.default_rng(2).integers(0, 5, (60, 30)) ** 2 // 4))
    for weight in (torch.ones(60), torch.arange(60) / 7):
        together, apart = NGram(x, order=4, min_count=2), NGram(x, order=4, min_count=2)
        teach(together, [(text, y, weight)])
        with monkeypatch.context() as patched:
            patched.setattr(given.families.ngram, "_AT_ONCE", 37)
            teach(apart, [(text, y, weight)])
        assert torch.equal(together.keys, apart.keys) and torch.allclose(together.share, apart.share)


def test_a_law_that_answered_can_be_copied():
    family, y = NGram(symbols(30), order=3), Observed(n=1)
    teach(family, [(Entries(torch.arange(60).view(2, 30) % 5), Observed(n=2), torch.ones(2))])
    law = family(y)
    drawn = law.sample((3,)).tensor
    assert torch.equal(copy.deepcopy(law).sample((3,)).tensor, drawn)


def test_windows_do_not_move_counts_or_scores():
    """A gram across the edge of a window is counted and scored as anywhere else."""
    whole = given.model("p(text)", {"text": [PROSE]}, codecs={"text": Text(window=20, stride=5)},
                        families={"text": partial(NGram, order=4)})
    whole.fit({"text": [PROSE]}, held_out=0)
    codec = whole.joint.columns["text"].codec
    x = symbols(len(PROSE), codec.space.size)
    row = Entries(torch.from_numpy(codec.tokenizer.encode(PROSE, 0))[None])
    family = NGram(x, order=4)
    teach(family, [(row, Observed(n=1), torch.ones(1))])
    assert torch.equal(family.keys, whole.joint.declared[0].keys) and torch.equal(family.share, whole.joint.declared[0].share)
    assert float(family(Observed(n=1)).log_prob(row)[0]) == pytest.approx(float(whole.log_prob(text=[PROSE])[0]), abs=1e-9)


def check_weights():
    """Rows of two laws, three of one to one of the other: the weights are found, for items and step by step."""
    x = symbols(6, 3, "fixed")
    noise = np.random.default_rng(1)
    rows = [Entries(torch.from_numpy((noise.random((4000, 6)) < share).astype(int))) for share in (0.4, 0.7)]
    held = Entries(torch.cat([rows[0].tensor[:3000], rows[1].tensor[:1000]]))
    for parts in ((Independent, Independent), (partial(NGram, order=1), partial(NGram, order=1))):
        mixed, y = Ensemble(x, families=parts), Observed(n=4000)
        for part, own in zip(mixed.parts, rows, strict=True):
            teach(part, [(own, y, torch.ones(4000))])
        teach(mixed, [(held, y, torch.ones(4000))], Weigh)
        assert mixed.weights.tolist() == pytest.approx([0.75, 0.25], abs=0.06)
        assert float(mixed.weights.sum()) == pytest.approx(1)
        found = mixed.weights.clone()
        teach(mixed, [(rows[1], y, torch.ones(4000))], Weigh)
        assert mixed.weights.tolist() == pytest.approx([0, 1], abs=0.05) and mixed.weights[0] >= 5e-5, "a part is lost"
        teach(mixed, [(held, y, torch.ones(4000))], Weigh)
        assert torch.equal(mixed.weights, found), "weights depend on those that were there"


def test_the_weights_of_a_mixture_are_found():
    check_weights()


def test_a_gate_finds_which_part_knows_when():
    """After symbol 0 one part is right, after 1 the other: weights that know the past beat the best common ones."""
    x, noise = symbols(40, 4, "fixed"), np.random.default_rng(0)

    def rows(n, sure):
        text = np.zeros((n, 41), dtype=int)
        for t in range(40):
            free = np.where(text[:, t] == 0, noise.integers(0, 2, n), noise.integers(0, 4, n))
            text[:, t + 1] = np.where(np.isin(text[:, t], sure), 3 - text[:, t], free)
        return Entries(torch.from_numpy(text[:, 1:]))

    mixed = Ensemble(x, families=(partial(NGram, order=2), partial(NGram, order=2)))
    for part, sure in zip(mixed.parts, ([0], [1]), strict=True):
        teach(part, [(rows(300, sure), Observed(n=300), torch.ones(300))])
    y, held, test = Observed(n=300), rows(300, [0, 1]), rows(300, [0, 1])
    teach(mixed, [(held, y, torch.ones(300))], Weigh)
    gated = float(mixed(y).log_prob(test).mean())
    mixed.cells.copy_(mixed.weights.expand_as(mixed.cells))
    assert gated > float(mixed(y).log_prob(test).mean()) + 1


def check_laws():
    """The laws of all places at once are those of every step, by whatever way they are found."""
    text = torch.from_numpy(np.random.default_rng(2).integers(0, 5, (60, 30)) ** 2 // 4)
    x, y = symbols(30), Observed(n=60)
    mixed = Ensemble(x, families=(
        partial(NGram, order=4), partial(NGram, order=2), partial(NGram, order=3, adaptive=1.5), SMALL))
    teach(mixed, [(Entries(text), y, torch.ones(60))])
    teach(mixed, [(Entries(text), y, torch.ones(60))], Weigh)
    probe = Entries(text.flip(1)[:6], context=torch.arange(30) < 3)
    for c in (*mixed.parts, mixed):
        law = c.eval()(Observed(n=6))
        with torch.no_grad():
            whole, each = torch.cat(list(law.all_log_probs(probe))), law.each(probe)
        assert torch.allclose(whole.exp().sum(-1), torch.ones(6, 30, dtype=torch.float64), atol=1e-6)
        assert torch.allclose(whole.gather(-1, probe.tensor[..., None])[..., 0], each, atol=1e-6)
        for part in (law, *getattr(law, "parts", ())):
            getattr(part, "fixed", part).begins = torch.zeros(6, dtype=torch.bool)
        with torch.no_grad():
            assert torch.allclose(torch.cat(list(Sequential.all_log_probs(law, Entries(probe.tensor)))), whole, atol=1e-5)


def test_laws_are_those_of_every_step():
    check_laws()


def test_the_likeliest_part_is_chosen():
    x, y, one = symbols(6, 3, "fixed"), Observed(n=50), torch.ones(50)
    mixed = Ensemble(x, families=(partial(NGram, order=1), partial(NGram, order=2), Empirical), choose=True)
    text = (torch.arange(6) + torch.arange(50)[:, None]) % 3
    teach(mixed, [(Entries(text), y, one)])
    assert mixed.chosen is None and isinstance(mixed(y), distributions.Mixture)
    teach(mixed, [(Entries(text.flip(0)), y, one)], Weigh)
    assert mixed.weights.tolist() in ([0, 1, 0], [0, 0, 1]) and not isinstance(mixed(y), distributions.Mixture)
    teach(mixed, [(Entries(torch.zeros(50, 6).long()), y, one)], Weigh)
    assert mixed.chosen != 2, "what gives held-out rows no probability was chosen"


def test_weights_need_a_row_that_a_part_can_tell():
    x, y, one = symbols(2, 3, "fixed"), Observed(n=2), torch.ones(2)
    mixed = Ensemble(x, families=(Empirical, Empirical))
    teach(mixed, [(Entries(torch.tensor([[0, 1], [1, 1]])), y, one)])
    held = Entries(torch.tensor([[0, 1], [2, 2]]))
    teach(mixed, [(held, y, one)], Weigh)
    assert mixed.weights.tolist() == [0.5, 0.5]
    for weight in (torch.tensor([0.0, 1.0]), torch.zeros(2)):
        with pytest.raises(UserError, match=r"p\(x\): nothing to weigh its parts by"):
            teach(mixed, [(held, y, weight)], Weigh)


def test_words_are_drawn_from_a_mixture_without_their_padding():
    words = {"word": ["ab", "ab", "ba", "b", "bab"] * 20}
    model = given.model("p(word)", words, codecs={"word": Text()}, families={
        "word": partial(Ensemble, families=(NGram, partial(NGram, order=1), Empirical))})
    model.fit(words, held_out=0)
    model.joint.declared[0].weights.copy_(torch.tensor([0.0, 0.0, 1.0]))
    assert set(model.sample(50, seed=0)["word"]) == set(words["word"])


def test_a_single_text_is_learned_held_out_and_continued(tmp_path):
    text = "abcdefg" * 300
    data = given.read(text=[text])
    model = given.model("p(text)", data, codecs={"text": Text(window=16)},
                        families={"text": partial(Ensemble, families=(partial(NGram, order=4), SMALL))})
    train, held = split(data, 0.2, 0, model.joint)
    assert train["text"][0] + held["text"][0] == text and len(held["text"][0]) == 420
    fit = model.fit(data, steps=10)
    assert fit.steps == 10 and math.isfinite(fit.held_out)
    score = model.score(data)
    assert score.items.shape == (1,) and score.characters == score.bytes == 2100
    assert score.nats_per_character().value == pytest.approx(-score.value / 2100)
    assert score.bits_per_byte().value == pytest.approx(-score.value / 2100 / math.log(2))
    mixed, counted = model.joint.declared[0], NGram(model.joint.columns["text"], order=4)
    assert mixed.weights[0] > 0.9, "what has learned more weighs more"
    cut = model.joint.columns["text"].pieces(data)
    teach(counted, [(cut.x, Observed(n=len(cut.item)), torch.ones(len(cut.item)))])
    assert torch.equal(mixed.parts[0].share, counted.share), "what was held out is not counted in the end"
    model.save(tmp_path / "model")
    model = given.load(tmp_path / "model")
    assert model.score(data).value == score.value
    drawn = model.given(text=prefix("cdef")).sample(3, seed=1, length=60)["text"]
    assert model.given(text=prefix("cdef")).sample(3, seed=1)["text"].tolist() == [t[:16] for t in drawn]
    assert all(len(t) == 60 and t.startswith("cdef") for t in drawn)
    follows = [t[i + 1] == "bcdefga"["abcdefg".index(t[i])] for t in drawn for i in range(59)]
    assert np.mean(follows) > 0.9, "the text does not go on across windows"


def test_texts_beside_a_label():
    """A text's pieces add up to one number an item, and its label is learned and scored once."""
    texts, labels = [PROSE[:35], PROSE[35:300], PROSE[300:420]], ["x", "y", "y"]
    data = {"label": labels, "text": texts}
    model = given.model("p(label) p(text | label)", data, codecs={"label": Label(), "text": Text(window=16)},
                        families={"label": Independent, "text": partial(NGram, order=3)})
    model.fit(data, held_out=0)
    # each label once, however long its text
    assert np.exp(model.log_prob(label=["x", "y"])) == pytest.approx([1.5 / 4, 2.5 / 4])
    text, label = (model.joint.columns[name] for name in ("text", "label"))
    cut = text.pieces(data)
    y = Observed({"label": label.encode(data).rows(cut.item)})
    each = np.bincount(cut.item, model.joint.declared[1](y).log_prob(cut.x))
    assert model.log_prob(data) == pytest.approx(model.log_prob(label=labels) + each)
    assert [model.log_prob(text=[t], label=[k])[0] for t, k in zip(texts, labels, strict=True)] == pytest.approx(
        model.log_prob(data))
    assert model.given(text=PROSE[300:312]).mode()["label"].shape == ()


def test_short_texts_model_their_length():
    data = {"word": ["ab", "abc", "b"] * 20}
    model = given.model("p(word)", data, codecs={"word": Text()}, families={"word": partial(NGram, order=3)})
    model.fit(data, held_out=0)
    assert np.mean([word in data["word"] for word in model.sample(200)["word"]]) > 0.8
    assert model.score(data).value > math.log(1 / 3) - 0.2


@pytest.mark.parametrize("unit", ["bytes", "pieces"])
def test_bytes_and_pieces_write_any_text(unit):
    codec = Text(unit, window=20, size=300)
    codec.learn(np.array([PROSE]))
    assert codec.decode(codec.encode(np.array(["ünseen ☃\t"]))).tolist() == ["ünseen ☃\t"]
    cut = Variable("x", codec).pieces({"x": np.array([PROSE])})
    assert "".join(codec.decode(Entries(cut.x.tensor, valid=cut.x.scored)).tolist()) == PROSE


@pytest.mark.parametrize(("values", "kind"), [
    ([PROSE], Text), (["a sentence of words, n. " + str(i) for i in range(30)], Text), (["cat", "dog"] * 9, Label),
    (["the same long sentence of words"] * 9, Label)])
def test_long_distinct_texts_are_no_labels(values, kind):
    assert isinstance(infer(np.array(values)), kind)


def model(family=NGram, formula="p(text)", **columns):
    data = {"text": [PROSE], **columns}
    made = given.model(formula, data, codecs={"text": Text(window=16)}, families={"text": family})
    made.fit(data, held_out=0, steps=1)
    return made


@cases(
    empties=(lambda: given.model("p(text)", {"text": ["", ""]}, codecs={"text": Text()}), "text: expected some text"),
    unseen=(lambda: model().given(text=prefix("bé")), "text, row 0: unseen character 'é' at 1"),
    prompt=(lambda: model().given(text=prefix(PROSE)).sample(), f"text: {len(PROSE)} entries are given, and a window holds 16"),
    numbers=(lambda: model().score(text=[3]), "text, row 0: expected text, got 3"),
    unit=(lambda: Text("sentences"), "unit='sentences'"),
    stride=(lambda: Text(window=4, stride=5), "stride=5"),
    few_pieces=(lambda: Text("pieces", size=200), "size=200"),
    order=(lambda: model(partial(NGram, order=0)), "order=0"),
    min_count=(lambda: model(partial(NGram, min_count=0)), "min_count=0"),
    smoothing=(lambda: model(partial(NGram, smoothing="kn")), "expected KneserNey() or WittenBell()"),
    adaptive=(lambda: model(partial(NGram, adaptive=-1)), "adaptive=-1"),
    reals=(lambda: given.model("p(x)", {"x": [1.5, 2.5, 3.5]}, families={"x": NGram}), "expected a finite space"),
    uncounted=(lambda: NGram(symbols(3))(Observed(n=1)), "nothing is counted yet"),
    one_family=(lambda: Ensemble(symbols(3), families=(NGram,)), "expected families=, two or more, got 1"),
    condition=(lambda: model(lambda x, y: Autoregressive(x), "p(text) p(k | text)", k=["a"]), "longer than its window"),
    part=(lambda: teach(NGram(symbols(3)), [(Entries(torch.zeros(1, 3).long()).hide(), Observed(n=1), torch.ones(1))]),
          "counts whole items"),
    length=(lambda: model().given().sample(length=0), "length=0"),
    no_text=(lambda: given.Model(Categorical(Variable("k", Label(["a"])))).score(k=["a"]).nats_per_character(),
             "is of text alone"),
)
def test_bad_input(bad, said):
    refused(bad, said)


def test_a_text_given_goes_on_and_is_neither_cut_nor_padded():
    text = "abc abd abe " * 20
    model = given.model("p(text)", {"text": [text]}, codecs={"text": Text(window=12)}, families={"text": NGram})
    model.fit({"text": [text]}, held_out=0)
    assert model.given(text=given.prefix("abc ab")).sample(1, length=30)["text"][0].startswith("abc ab")
    with pytest.raises(given.UserError, match="length above"):
        model.given(text=given.prefix("abc abd abe")).sample(1, length=8)
    with pytest.raises(given.UserError, match="prefix"):
        model.given(text="abc").sample(1, length=60)


def test_the_error_of_one_text_is_that_of_texts_like_it():
    rng = np.random.default_rng(0)

    def text(n):
        return "".join(rng.choice(list("abcd"), n, p=[0.7, 0.1, 0.1, 0.1]))

    model = given.model("p(text)", {"text": [text(4000)]}, codecs={"text": Text(window=64)},
                        families={"text": partial(NGram, order=1)})
    model.fit({"text": [text(4000)]}, held_out=0)
    alike = [model.score({"text": [text(1000)]}) for _ in range(40)]
    spread = np.std([score.value for score in alike], ddof=1)
    assert 0.6 < np.mean([score.error for score in alike]) / spread < 1.6


def test_a_single_text_on_disk_is_held_out_by_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(given.sources.stream, "_SMALL", 100)
    (tmp_path / "book.txt").write_text("the cat sat on the mat. " * 100)
    source = given.read(str(tmp_path / "book.txt"))
    model = given.model("p(text)", source, families={"text": NGram})
    assert not isinstance(source, given.Columns) and model.fit(source).held_out is not None
    train, valid = model.split(source)
    assert len(train["text"][0]) == 2160 and len(valid["text"][0]) == 240


def test_distributions_of_short_texts_are_made_to_their_last_symbol():
    texts = Text(longest=40)
    x = Variable("text", texts)
    texts.learn(np.array(["abc", "ba", "a" * 40], dtype=object))
    net, rows, asked = SMALL(x).eval(), x.encode({"text": np.array(["abc", "ba"], dtype=object)}), []
    net.net.register_forward_pre_hook(lambda module, given: asked.append(given[0].shape[1]))
    with torch.no_grad():
        law = net(Observed(n=2))
        each, every = law.each(rows), torch.cat(list(law.all_log_probs(rows)))
    assert max(asked) <= 8 and every.shape == (2, *rows.tensor.shape[1:], x.space.size)
    found = every.gather(2, rows.tensor[..., None])[..., 0]
    assert torch.allclose(torch.where(rows.scored, each, 0), torch.where(rows.scored, found.double(), 0), atol=1e-5)
