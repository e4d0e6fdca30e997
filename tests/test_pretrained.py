"""PretrainedLM language models: scores are those of the model asked directly, whatever draws and learns holds for them, and
what
is learned here leaves as a folder that transformers loads. Checkpoints are tiny and made on the spot."""

import json
import shutil
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from test_bad_input import cases, refused

import given
from given import Beam, MaxLength, Regex, Stop, Temperature, TopK, TopP, prefix
from given.app.cli import main
from given.codecs import Label, Text
from given.distributions import CategoricalHead, StepwiseMixture
from given.families import Autoregressive, Ensemble, Independent, NGram, PretrainedLM
from given.nn import Embedding, Rotary, SwiGLU, Transformer
from given.testing import CODEC_LAWS, DoesNotApply, perturb
from given.tokenizers import spelled
from given.variables import Observed, UserError, Variable

transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")
torch.set_num_threads(1)

PROSE = ["the cat sat on the mat.", "a hat is on the cat!", "the rat ate the hat.", "éa the mat"]
SIZES = {
    "llama": {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
              "num_key_value_heads": 1, "max_position_embeddings": 64},
    "gpt2": {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 64},
    "t5": {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2, "relative_attention_num_buckets": 4},
}
END, BEGIN = "<|end|>", "<|begin|>"


def cut(end=END, begin=None):
    """Byte-pair encoding of a few pieces; the end is symbol 0."""
    t = tokenizers
    made = t.Tokenizer(t.models.BPE())
    made.pre_tokenizer, made.decoder = t.pre_tokenizers.ByteLevel(add_prefix_space=False), t.decoders.ByteLevel()
    special = [end, *([begin] if begin else [])]
    made.train_from_iterator(PROSE, t.trainers.BpeTrainer(vocab_size=270, special_tokens=special, show_progress=False,
                                                          initial_alphabet=t.pre_tokenizers.ByteLevel.alphabet()))
    if begin:
        made.post_processor = t.processors.TemplateProcessing(single=f"{begin} $A", special_tokens=[(begin, 1)])
    return made


def checkpoint(folder, kind):
    begins = kind == "llama"
    tokenizer = cut(begin=BEGIN if begins else None)
    V = tokenizer.get_vocab_size()
    torch.manual_seed(0)
    config = transformers.CONFIG_MAPPING[kind](vocab_size=V + 2, bos_token_id=int(begins), eos_token_id=0, pad_token_id=0,
                                               decoder_start_token_id=0, **SIZES[kind])
    auto = transformers.AutoModelForSeq2SeqLM if kind == "t5" else transformers.AutoModelForCausalLM
    model = auto.from_config(config)
    perturb(model, 0.5)
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": END}))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = {}

    def of(kind):
        if kind not in made:
            made[kind] = checkpoint(tmp_path_factory.mktemp(kind), kind)
        return made[kind]

    return of


def direct(path, before, text, encoder=None):
    """log p of a text and its end, by the model of a folder itself: over the tokenizer's symbols."""
    seq2seq = encoder is not None
    auto = transformers.AutoModelForSeq2SeqLM if seq2seq else transformers.AutoModelForCausalLM
    model, tokenizer = auto.from_pretrained(path).eval(), tokenizers.Tokenizer.from_file(str(path / "tokenizer.json"))
    ids = [*tokenizer.encode(text, add_special_tokens=False).ids, 0]
    read = torch.tensor([before + ids[:-1]])
    with torch.no_grad():
        told = {"input_ids": torch.tensor([encoder]), "decoder_input_ids": read} if seq2seq else {"input_ids": read}
        logits = model(**told).logits[0, len(before) - 1:, :tokenizer.get_vocab_size()]
    return float(logits.double().log_softmax(-1)[torch.arange(len(ids)), ids].sum())


# CrossAttentionLayer


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_scores_are_those_of_the_model_itself(folder, kind):
    model = given.pretrained(folder(kind), window=20)
    hoped = [direct(folder(kind), [1] if kind == "llama" else [0], text) for text in PROSE]  # GPT-2 begins after an end
    score = model.score(text=PROSE)
    assert score.items == pytest.approx(hoped, abs=1e-4) and score.kind == "exact" and score.characters


def ids(folder, text):
    return tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text, add_special_tokens=False).ids


def test_a_parent_is_what_is_read_first(folder):
    path = folder("llama")
    model = given.pretrained(path, "p(rest | start)", window=20)
    starts = ["the cat", "a", "", "the rat ate"]
    hoped = [direct(path, [1, *ids(path, start)], rest) for start, rest in zip(starts, PROSE, strict=True)]
    assert model.log_prob(start=starts, rest=PROSE) == pytest.approx(hoped, abs=1e-4)
    ranked = model.given(start="the cat").rank(rest=PROSE)
    hoped = sorted((direct(path, [1, *ids(path, "the cat")], text) for text in PROSE), reverse=True)
    assert ranked["log_prob"] == pytest.approx(hoped, abs=1e-4)


def test_an_encoder_reads_the_parent(folder):
    path = folder("t5")
    model = given.pretrained(path, "p(target | source)", window=20)
    sources = ["the cat", "a", "the rat ate the", ""]
    hoped = [direct(path, [0], target, [*ids(path, source), 0]) for source, target in zip(sources, PROSE, strict=True)]
    assert model.log_prob(source=sources, target=PROSE) == pytest.approx(hoped, abs=1e-4)
    drawn = model.given(source=sources).sample(2, seed=1, how=TopP(0.9))["target"]
    assert drawn.shape == (2, 4)
    alone = model.given(source=sources[2:3]).sample(2, seed=1, how=Beam(3))["target"]
    asked = transformers.AutoModelForSeq2SeqLM.from_pretrained(path)
    greedy = asked.generate(torch.tensor([[*ids(path, sources[2]), 0]]), max_new_tokens=20, do_sample=False)[0, 1:].tolist()
    own = model.given(source=sources[2]).sample(1, how=Temperature(0))["target"][0]
    tokenizer = model.joint.columns["target"].codec.tokenizer
    assert own == tokenizer.decode(np.array([v for v in greedy if v < 270])) and len(alone) == 2


def test_greedy_is_that_of_the_package(folder):
    path = folder("llama")
    model, asked = given.pretrained(path, window=24), transformers.AutoModelForCausalLM.from_pretrained(path)
    for start in ("the", "a hat is", ""):
        told = torch.tensor([[1, *ids(path, start)]])
        more = 25 - len(ids(path, start))
        said = asked.generate(told, attention_mask=torch.ones_like(told), max_new_tokens=more, do_sample=False,
                              suppress_tokens=[270, 271])[0].tolist()
        hoped = tokenizers.Tokenizer.from_file(str(path / "tokenizer.json")).decode(said[1:25])
        assert model.given(text=prefix(start)).sample(1, how=Temperature(0))["text"][0] == hoped


def test_ways_to_draw(folder):
    model = given.pretrained(folder("llama"), window=12)
    asked = model.given(text=prefix("the"))
    assert all(t.startswith("the") for t in asked.sample(4, how=TopP(0.8) | Temperature(0.7))["text"])
    assert all("a" not in t[3:-1] for t in asked.sample(4, how=Stop("a"))["text"])
    assert all(t[3:] in ("ab", "abb") for t in asked.sample(4, how=Regex("ab+") | TopK(9))["text"] if len(t) < 7)
    law = model.joint.declared[0](Observed(n=1))
    best, second, greedy = (law.log_prob(x) for x in (*map(law.by(Beam(4)).sample((2,)).rows, (slice(0, 1), slice(1, 2))),
                                                      law.by(Temperature(0)).sample((1,))))
    assert best >= max(second, greedy) - 1e-4
    assert "the" + "".join(asked.stream(seed=3)) == asked.sample(1, seed=3)["text"][0]
    assert len([*asked.stream(seed=3, how=MaxLength(2))]) <= 2


def test_it_is_one_of_a_mixture_and_learns_on(folder, tmp_path):
    path = shutil.copytree(folder("gpt2"), tmp_path / "gpt2")
    family = partial(Ensemble, families=(partial(NGram, order=3), partial(PretrainedLM, path=path)))
    data = {"text": PROSE * 8}
    model = given.model("p(text)", data, codecs={"text": Text(tokenizer=path)}, families={"text": family})
    model.facts["fitted"] = True
    net = model.joint.declared[0].parts[1]

    def mean():
        with torch.no_grad():
            return float(net(Observed(n=4)).log_prob(model.joint.columns["text"].encode({"text": np.array(PROSE)})).mean())

    before = mean()
    model.fit(data, steps=20, lr=1e-2, seed=0)
    assert mean() > before + 5 and isinstance(model.joint.declared[0](Observed(n=1)), StepwiseMixture)
    model.save(tmp_path / "saved")
    shutil.rmtree(path)
    again = given.load(tmp_path / "saved")
    assert np.array_equal(again.log_prob(text=PROSE), model.log_prob(text=PROSE))
    assert str(path) not in json.dumps(net.arguments["config"])
    assert again.sample(2, seed=4, how=TopP(0.9))["text"].tolist() == model.sample(2, seed=4, how=TopP(0.9))["text"].tolist()


def test_what_was_learned_on_leaves_as_it_came(folder, tmp_path):
    model = given.pretrained(folder("llama"), window=20)
    model.fit({"text": PROSE * 3}, steps=2, lr=1e-2)
    model.export(tmp_path / "out")
    again = given.pretrained(tmp_path / "out", window=20)
    assert again.log_prob(text=PROSE) == pytest.approx(model.log_prob(text=PROSE), abs=1e-4)


def test_texts_longer_than_a_window(folder):
    path, text = folder("llama"), " ".join(PROSE * 4)
    model = given.model("p(text)", {"text": [text]}, codecs={"text": Text(tokenizer=path, window=8)},
                        families={"text": partial(PretrainedLM, path=path)})
    model.fit({"text": [text]}, steps=2, lr=1e-3, held_out=0)
    assert model.score(text=text).characters == len(text)
    drawn = model.given(text=prefix("the cat")).sample(2, length=30, how=TopP(0.9))["text"]
    assert all(t.startswith("the cat") for t in drawn) and len(drawn[0]) > 30


def test_many_symbols_are_scored_in_parts(folder, monkeypatch):
    model = given.pretrained(folder("gpt2"), window=20)
    whole = model.log_prob(text=PROSE)
    monkeypatch.setattr("given.distributions.chain._AT_ONCE", 270 * 21 * 3)
    assert model.log_prob(text=PROSE) == pytest.approx(whole, abs=1e-6)


# Tokenizers


@pytest.mark.parametrize("law", CODEC_LAWS)
def test_a_codec_of_a_tokenizer(folder, law):
    try:
        CODEC_LAWS[law](Text(tokenizer=folder("gpt2")), np.array(["the cat", "", "é ha\t"]))
    except DoesNotApply as reason:
        pytest.skip(str(reason))


def words(kind):
    t = tokenizers
    if kind == "words":
        made = t.Tokenizer(t.models.WordLevel({"<unk>": 0, "the": 1, "cat": 2}, unk_token="<unk>"))
        made.pre_tokenizer = t.pre_tokenizers.Whitespace()
    elif kind == "wordpiece":
        made = t.Tokenizer(t.models.WordPiece({"<unk>": 0, "the": 1, "c": 2, "##at": 3}, unk_token="<unk>"))
        made.pre_tokenizer, made.decoder = t.pre_tokenizers.Whitespace(), t.decoders.WordPiece(cleanup=False)
    else:  # SentencePiece with bytes to fall back on, as Llama 2's
        pieces = ["<unk>", *(f"<0x{b:02X}>" for b in range(256)), "▁the", "▁", "cat"]
        made = t.Tokenizer(t.models.Unigram([(p, -1.0) for p in pieces], unk_id=0, byte_fallback=True))
        made.pre_tokenizer = t.pre_tokenizers.Metaspace()
        made.decoder = t.decoders.Sequence([t.decoders.ByteFallback(), t.decoders.Metaspace(), t.decoders.Fuse()])
    made.add_special_tokens([END])
    return made


@pytest.mark.parametrize("kind", ["words", "wordpiece", "metaspace"])
def test_symbols_spell_what_they_decode_to(kind):
    made = words(kind)
    symbols = spelled(made, made.get_vocab_size())
    text = "the cat"
    assert b"".join(symbols[v] for v in made.encode(text).ids).decode().strip() == text == made.decode(made.encode(text).ids)
    assert symbols[made.token_to_id(END)] == b""


@pytest.mark.parametrize("kind", ["words", "metaspace"])
def test_what_a_tokenizer_cannot_write_is_refused(kind, tmp_path):
    words(kind).save(str(tmp_path / "tokenizer.json"))
    variable = Variable("text", Text(tokenizer=tmp_path))
    if kind == "metaspace":
        assert variable.codec.decode(variable.encode({"text": np.array(["the cété"])})).tolist() == ["the cété"]
    else:
        refused(lambda: variable.encode({"text": np.array(["the cat", "the dog"])}), "text, row 1: 'd' at 4: the tokenizer of")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": END}))
    variable = Variable("text", Text(tokenizer=tmp_path))
    refused(lambda: variable.encode({"text": np.array([f"the {END} cat"])}), "the end of a text")


# What is refused


def spoil(path, **changes):
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps({k: v for k, v in {**config, **changes}.items() if v is not None}))


def pickled(path):
    torch.save({}, path / "pytorch_model.bin")
    (path / "model.safetensors").unlink()


@cases(
    pickled=(pickled, "pytorch_model.bin is a pickle, which can run any code, and there are no safetensors"),
    without_weights=(lambda p: (p / "model.safetensors").unlink(), "no *.safetensors; expected the weights"),
    cut_short=(lambda p: (p / "model.safetensors").write_bytes(b"abc"), "cannot be read"),
    code=(lambda p: spoil(p, auto_map={"AutoModelForCausalLM": "mine.Model"}), "asks for code of its own (auto_map)"),
    unknown=(lambda p: spoil(p, model_type="nonsense"), "model_type 'nonsense' is unknown to this version of transformers"),
    nameless=(lambda p: spoil(p, model_type=None), "config.json: names no model_type"),
    no_language=(lambda p: spoil(p, model_type="vit"), "model_type 'vit': expected a language model"),
    without_keys=(lambda p: spoil(p, model_type="mamba"), "model_type 'mamba': expected a language model, causal or with an"),
    quantised=(lambda p: spoil(p, quantization_config={"load_in_8bit": True}), "is quantised"),
    other_sizes=(lambda p: spoil(p, intermediate_size=8), "model.layers.0.mlp.down_proj.weight has another size"),
    more_layers=(lambda p: spoil(p, num_hidden_layers=3), "its weights lack model.layers.2."),
    no_json=(lambda p: (p / "config.json").write_text("{"), "config.json: cannot be read"),
    no_config=(lambda p: (p / "config.json").unlink(), "config.json is missing"),
    no_tokenizer=(lambda p: (p / "tokenizer.json").unlink(), "tokenizer.json is missing; have transformers write it"),
    no_json_tokenizer=(lambda p: (p / "tokenizer.json").write_text("{}"), "tokenizer.json: cannot be read"),
)
def test_foreign_folders(folder, tmp_path, bad, said):
    path = shutil.copytree(folder("llama"), tmp_path / "copy")
    bad(path)
    refused(lambda: given.pretrained(path, window=20), said)


def test_how_to_compute_is_not_taken_from_a_folder(folder, tmp_path):
    path = shutil.copytree(folder("llama"), tmp_path / "copy")
    spoil(path, attn_implementation="some/kernel", _attn_implementation="some/kernel", use_kernels=True)
    model = given.pretrained(path, window=20)
    assert model.log_prob(text=PROSE[0]) == pytest.approx(given.pretrained(folder("llama"), window=20).log_prob(text=PROSE[0]))
    assert "some/kernel" not in model.joint.declared[0].arguments["config"]


def test_variables_that_do_not_fit(folder, monkeypatch):
    text, path = Variable("text", Text(tokenizer=folder("gpt2"), window=20)), folder("gpt2")
    refused(lambda: given.pretrained("no/such"), "no/such: no such folder")
    refused(lambda: PretrainedLM(text, path="no/such"), "no/such: no such folder")
    refused(lambda: PretrainedLM(text), "expected path=, the folder of a model, or config=")
    refused(lambda: PretrainedLM(text, config="{"), "expected JSON")
    few = json.dumps({**json.loads((path / "config.json").read_text()), "vocab_size": 9})
    refused(lambda: PretrainedLM(text, config=few), "text has 270 symbols, its end among them, the model knows 9")
    refused(lambda: PretrainedLM(text, config=json.dumps({**json.loads(few), "vocab_size": 300, "bos_token_id": None,
                                                        "eos_token_id": None})), "pass lead=, the symbols read before a text")
    label = Variable("label", Label([0, 1]))
    refused(lambda: PretrainedLM(text, label, path=path), "expected texts of the model's symbols, got label")
    refused(lambda: given.pretrained(path, window=80), "up to 81 places, the model has 64")
    refused(lambda: given.pretrained(folder("t5")), "the model has an encoder, which reads parents, and there are none")
    refused(lambda: given.pretrained(path, "p(a) p(b | a)"), "expected one factor of one text")
    fetched = []
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name, **how: fetched.append((name, how)) or str(path))
    refused(lambda: given.pretrained("some/model"), "no such folder")
    assert not fetched
    assert str(given.pretrained("some/model", window=20, download=True)) == "p(text)"
    assert fetched == [("some/model", {"allow_patterns": ["*.json", "*.safetensors"]})]


# Leaving


NET = partial(Transformer, width=16, layers=2, heads=2, key_heads=1, positions=Rotary, feedforward=SwiGLU)
FAMILY = partial(Autoregressive, net=NET, embed=partial(Embedding, offsets=0, places=False),
                 head=partial(CategoricalHead, bias=False))


def ours(codec, family=FAMILY, texts=PROSE):
    model = given.model("p(text)", {"text": texts}, codecs={"text": codec}, families={"text": family})
    perturb(model.joint)
    model.facts["fitted"] = True
    model.joint.eval()
    return model


UNITS = {"characters": lambda: Text(), "bytes": lambda: Text("bytes"), "pieces": lambda: Text("pieces", size=262),
         "windows": lambda: Text(window=16)}


def check_export(unit="characters"):
    """Logits of an exported model are ours, after prompts of every length."""
    with tempfile.TemporaryDirectory() as place, torch.no_grad():
        model, path = ours(UNITS[unit]()), Path(place) / "llama"
        model.export(path)
        factor, codec = model.joint.declared[0], model.joint.columns["text"].codec
        theirs, space = transformers.LlamaForCausalLM.from_pretrained(path), factor.x.space
        D, V, end = space.dimensions, space.size, space.end
        values = torch.randint(0, V - 1, (3, D), generator=torch.Generator().manual_seed(1))
        law = factor(Observed(n=3))
        features = law._features(values.double(), torch.arange(3), law.order[None])
        begin = theirs.config.bos_token_id
        for n in range(D):
            told = torch.cat([torch.full((3, 1), begin), values[:, :n]], 1)
            logits = theirs(input_ids=told).logits[:, -1, :V]
            assert torch.allclose(logits, factor.heads[0].logits(features[:, n]), atol=1e-4), f"after {n} symbols"
        cut_by = transformers.AutoTokenizer.from_pretrained(path)
        assert cut_by("the éa").input_ids == [begin, *codec.tokenizer.encode("the éa", 0).tolist()]
        assert cut_by.decode(cut_by("the éa").input_ids, skip_special_tokens=True) == "the éa"
        start, most = "the c", D - len(codec.tokenizer.encode("the c", 0)) - (end is not None)
        told = cut_by(start, return_tensors="pt", return_token_type_ids=False)
        said = theirs.generate(**told, max_new_tokens=most, do_sample=False)
        hoped = model.given(text=prefix(start)).sample(1, how=Temperature(0))["text"][0]
        assert cut_by.decode(said[0], skip_special_tokens=True) == hoped
        if end is not None:
            again = given.pretrained(path, window=codec._room)
            assert again.log_prob(text=PROSE) == pytest.approx(model.log_prob(text=PROSE), abs=1e-4)


@pytest.mark.parametrize("unit", UNITS)
def test_an_exported_model_gives_the_same_logits(unit):
    check_export(unit)


@cases(
    counts=(NGram, "NGram has no counterpart in Llama; learn with families="),
    net=(partial(FAMILY, net=partial(NET, positions=given.nn.LearnedPositions)),
         "positions=LearnedPositions has no counterpart"),
    units=(partial(FAMILY, net=partial(NET, feedforward=given.nn.GELU)), "feedforward=GELU has no counterpart"),
    window=(partial(FAMILY, net=partial(NET, window=3)), "window=3 has no counterpart"),
    recurrent=(partial(FAMILY, net=partial(given.nn.GRU, width=8)), "net=GRU has no counterpart"),
    places=(partial(FAMILY, embed=Embedding), "the embedding's vector a place has no counterpart in Llama; learn with embed="),
    offsets=(partial(FAMILY, embed=partial(Embedding, offsets=2)), "its embedding of entries further back has no counterpart"),
    order=(partial(FAMILY, order=given.nn.AnyOrder()), "its order has no counterpart"),
    bias=(partial(FAMILY, head=CategoricalHead), "the bias of the head's logits has no counterpart in Llama; learn with head="),
)
def test_what_has_no_counterpart_says_so(tmp_path, bad, said):
    refused(lambda: ours(Text(), bad).export(tmp_path / "out"), said)
    assert not (tmp_path / "out").exists()


def test_other_models_do_not_leave(tmp_path, capsys):
    model = given.model("p(label)", {"label": ["a", "b"]}, families={"label": Independent})
    refused(lambda: model.export(tmp_path / "out"), "expected a model of one text")
    model = ours(Text())
    model.save(tmp_path / "text.given")
    assert main(["export", str(tmp_path / "text.given"), "-o", str(tmp_path / "llama")]) == 0
    assert "llama" in capsys.readouterr().err and (tmp_path / "llama" / "tokenizer.json").exists()
    surrogate = ours(Text(), texts=["a\ud800b", "ab"])
    refused(lambda: surrogate.export(tmp_path / "other"), "half a surrogate pair")
    with pytest.raises(UserError, match=r"would be lost; choose a new folder"):
        model.export(tmp_path / "text.given")
