"""PretrainedCaptioner, PretrainedContrastive: numbers are those of the models asked directly, and saved ones need no folder.
Checkpoints are tiny and made on the spot."""

import json
import shutil
import sys

import numpy as np
import pytest
import tiny_pictures as tiny
import torch
from PIL import Image as Pillow
from test_bad_input import cases, refused

import given
from given import Beam, Temperature
from given.app.cli import main
from given.codecs import Image, Label, Text
from given.families import PretrainedCaptioner, PretrainedContrastive
from given.nn import Pixels
from given.testing import perturb
from given.variables import Variable

transformers = pytest.importorskip("transformers")
torch.set_num_threads(1)

CAPTIONS = ["a cat on a mat", "a red dog", "dog"]
PICTURES = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3)).astype(np.uint8)


def checkpoint(folder, config, ends):
    """As transformers itself writes it."""
    said = json.loads(config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        auto = transformers.AutoModel if ends else transformers.AutoModelForImageTextToText
        model = auto.from_config(transformers.CONFIG_MAPPING[said["model_type"]].from_dict(said))
        perturb(model, 0.3)
    model.save_pretrained(folder)
    (folder / "tokenizer.json").write_text(tiny.words(ends))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "[end]"}))
    (folder / "preprocessor_config.json").write_text(tiny.PIXELS)
    return folder


@pytest.fixture(scope="module")
def captions(tmp_path_factory):
    return checkpoint(tmp_path_factory.mktemp("captions"), tiny.captions(tiny.V + 2), ends=False)


@pytest.fixture(scope="module")
def matches(tmp_path_factory):
    return checkpoint(tmp_path_factory.mktemp("matches"), tiny.matches(), ends=True)


def prepared(pictures):
    """(n, 3, 4, 4) as an image processor would."""
    mean, std = (np.array(json.loads(tiny.PIXELS)[name])[:, None, None] for name in ("image_mean", "image_std"))
    return torch.tensor((np.moveaxis(pictures, 3, 1) / 255 - mean) / std, dtype=torch.float32)


def ids(text):
    return [json.loads(tiny.words())["model"]["vocab"][word] for word in text.split()]


@torch.no_grad()
def direct(path, pictures, texts):
    """log p of captions and their ends, by the model of a folder itself: over the tokenizer's symbols."""
    model, found = transformers.AutoModelForImageTextToText.from_pretrained(path).eval(), []
    for pixels, text in zip(prepared(pictures), texts, strict=True):
        symbols = [*ids(text), tiny.END]
        logits = model(pixel_values=pixels[None], decoder_input_ids=torch.tensor([[tiny.BEGIN, *symbols[:-1]]])).logits
        log_p = logits[0, :, :tiny.V].double().log_softmax(-1)
        found.append(float(log_p[torch.arange(len(symbols)), symbols].sum()))
    return found


def test_a_caption_is_scored_as_by_the_model_itself(captions, tmp_path):
    kept = shutil.copytree(captions, tmp_path / "kept")
    model = given.pretrained(kept, window=8)
    shutil.rmtree(kept)
    hoped = direct(captions, PICTURES, CAPTIONS)
    score = model.score(caption=CAPTIONS, picture=PICTURES)
    assert str(model) == "p(caption | picture)" and score.kind == "exact"
    assert score.items == pytest.approx(hoped, abs=1e-4)
    model.save(tmp_path / "mine.given")
    again = given.load(tmp_path / "mine.given")
    assert again.log_prob(caption=CAPTIONS, picture=PICTURES) == pytest.approx(hoped, abs=1e-4)
    drawn, same = (m.given(picture=PICTURES).sample(2, seed=1)["caption"] for m in (model, again))
    assert drawn.shape == (2, 3) and np.array_equal(drawn, same)
    ranked = model.given(picture=PICTURES[0]).rank(caption=CAPTIONS)
    assert ranked["log_prob"] == pytest.approx(sorted(direct(captions, PICTURES[[0] * 3], CAPTIONS), reverse=True), abs=1e-4)


def test_greedy_is_that_of_the_package(captions):
    model = given.pretrained(captions, "p(words | photo)", window=8)
    asked = transformers.AutoModelForImageTextToText.from_pretrained(captions)
    drawn = model.given(photo=PICTURES).sample(1, how=Temperature(0))["words"][0]
    for i, text in enumerate(drawn):
        found = asked.generate(pixel_values=prepared(PICTURES[i:i + 1]), max_new_tokens=8, do_sample=False, bos_token_id=1,
                               suppress_tokens=[tiny.V, tiny.V + 1])[0, 1:].tolist()
        hoped = found[:found.index(tiny.END)] if tiny.END in found else found
        assert text.split() == [tiny.WORDS[v - 3] for v in hoped if v > 2]
    assert model.given(photo=PICTURES[0]).sample(1, how=Beam(3))["words"].shape == (1,)


def test_a_captioner_learns(captions):
    model = given.pretrained(captions, window=8)
    before = model.log_prob(caption=CAPTIONS, picture=PICTURES).mean()
    model.fit({"caption": CAPTIONS, "picture": PICTURES}, steps=10, lr=3e-3, held_out=0, progress=False)
    assert model.log_prob(caption=CAPTIONS, picture=PICTURES).mean() > before + 0.3


@torch.no_grad()
def logits(path, pictures, texts):
    model = transformers.AutoModel.from_pretrained(path).eval()
    each = [model(pixel_values=prepared(pictures), input_ids=torch.tensor([[*ids(text), tiny.END]])).logits_per_image
            for text in texts]
    return torch.cat(each, 1).double()


def test_a_text_goes_with_a_picture_as_the_model_itself_says(matches, tmp_path):
    kept = shutil.copytree(matches, tmp_path / "kept")
    model = given.pretrained(kept, candidates=CAPTIONS)
    shutil.rmtree(kept)
    model.save(tmp_path / "mine.given")
    hoped = logits(matches, PICTURES, CAPTIONS).log_softmax(1).diagonal()
    for each in (model, given.load(tmp_path / "mine.given")):
        score = each.score(text=CAPTIONS, picture=PICTURES)
        assert score.items == pytest.approx(hoped.tolist(), abs=1e-4) and score.kind == "exact"
    others = ["dog", "a mat", "red cat on mat", "2"]  # which it never heard of
    hoped = logits(matches, PICTURES[1:2], others)[0].log_softmax(0)
    ranked = model.given(picture=PICTURES[1]).rank(text=others)
    order = hoped.argsort(descending=True).tolist()
    assert ranked["text"].tolist() == [others[i] for i in order]
    assert ranked["log_prob"] == pytest.approx(hoped[order].tolist(), abs=1e-4) and np.exp(ranked["log_prob"]).sum() == (
        pytest.approx(1))
    assert list(model.given(picture=PICTURES[1]).probabilities("text")) == CAPTIONS  # which are what they were


def test_a_template_stands_about_every_category(matches):
    picture = Variable("picture", Image(4, 4, channels=3, levels=256))
    family = PretrainedContrastive(Variable("what", Label(["cat", "dog"])), picture, path=matches, template="a red {}")
    found = given.Model(family).given(picture=PICTURES).probabilities("what")
    hoped = logits(matches, PICTURES, ["a red cat", "a red dog"]).softmax(1)
    assert np.stack([*found.values()], 1) == pytest.approx(hoped.numpy(), abs=1e-5)


def test_texts_of_a_file_are_ranked_for_a_photograph(matches, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    given.pretrained(matches, candidates=["dog"]).save("m.given")
    (tmp_path / "texts.txt").write_text("a cat\na red mat\n")
    Pillow.fromarray(PICTURES[0]).save("photo.png")
    assert main(["rank", "m.given", "texts.txt", "picture=photo.png"]) == 0
    assert "a red mat" in capsys.readouterr().out


@pytest.mark.parametrize("way", [2, 3])
def test_a_photograph_is_brought_to_the_encoders_size_as_pillow_does(way):
    said = json.dumps({**json.loads(tiny.PIXELS), "size": {"shortest_edge": 8}, "resample": way, "do_center_crop": True,
                       "crop_size": {"height": 8, "width": 8}})
    photo = np.random.default_rng(1).integers(0, 256, (24, 40, 3)).astype(np.uint8)
    v = Variable("photo", Image(24, 40, channels=3, levels=256))
    resized = np.asarray(Pillow.fromarray(photo).resize((13, 8), way))[:, 2:10]
    found = Pixels(v, said, 8)(v.encode({"photo": photo[None]}))
    assert (found - prepared(resized[None])).abs().max() < 0.02
    grey = Variable("photo", Image(8, 8, levels=256))
    found = Pixels(grey, said, 8)(grey.encode({"photo": photo[None, :8, :8, 0]}))
    assert torch.allclose(found, prepared(photo[None, :8, :8, [0] * 3]), atol=1e-6)


@cases(
    no_pixels=(lambda p: (p / "preprocessor_config.json").unlink(), "preprocessor_config.json is missing"),
    pixels_of_nothing=(lambda p: (p / "preprocessor_config.json").write_text("{"), "preprocessor_config.json: cannot be read"),
    pixels_of_another_size=(lambda p: (p / "preprocessor_config.json").write_text('{"size": 6}'),
                            "become 6 x 6; expected 4 x 4, which the encoder reads"),
    no_mean=(lambda p: (p / "preprocessor_config.json").write_text('{"size": 4}'), "image_mean=None; expected three numbers"),
    padded_pixels=(lambda p: (p / "preprocessor_config.json").write_text('{"do_pad": true}'), "do_pad=True; expected"),
    other_levels=(lambda p: (p / "preprocessor_config.json").write_text('{"do_rescale": false}'), "expected levels from 0"),
    no_weights=(lambda p: (p / "model.safetensors").unlink(), "no *.safetensors; expected the weights"),
    no_config=(lambda p: (p / "config.json").unlink(), "config.json is missing"),
    code=(lambda p: (p / "config.json").write_text(json.dumps({**json.loads((p / "config.json").read_text()), "text_config": {
        "auto_map": {}}})), "asks for code of its own (auto_map)"),
    no_tokenizer=(lambda p: (p / "tokenizer.json").unlink(), "tokenizer.json is missing"),
    no_json_tokenizer=(lambda p: (p / "tokenizer.json").write_text("{}"), "tokenizer.json: cannot be read"),
)
@pytest.mark.parametrize("kind", ["captions", "matches"])
def test_foreign_folders(request, tmp_path, kind, bad, said):
    path = shutil.copytree(request.getfixturevalue(kind), tmp_path / "copy")
    bad(path)
    refused(lambda: given.pretrained(path, **{"candidates": CAPTIONS} if kind == "matches" else {"window": 8}), said)


def test_what_is_refused(captions, matches, monkeypatch):
    photo, label = Variable("photo", Image(4, 4, channels=3, levels=256)), Variable("label", Label(["cat"]))
    text = Variable("text", Text(tokenizer=captions, window=8))
    own = {"config": tiny.captions(), "pixels": tiny.PIXELS}
    refused(lambda: PretrainedCaptioner(text, photo), "expected path=, the folder of a model, or config= and pixels=")
    refused(lambda: PretrainedCaptioner(text, photo, path=matches), "model_type 'clip': expected 'vision-encoder-decoder'")
    refused(lambda: PretrainedCaptioner(text, label, path=captions), "expected a picture, grey or in colour, got label")
    refused(lambda: PretrainedCaptioner(text, path=captions), "expected one picture right of the bar")
    refused(lambda: PretrainedCaptioner(label, photo, path=captions), "expected a text of the model's symbols, got label")
    refused(lambda: PretrainedCaptioner(text, photo, **own | {"config": tiny.captions(9)}), "symbols, its end among them")
    refused(lambda: PretrainedCaptioner(text, photo, **own | {"config": "{"}), "expected JSON")
    refused(lambda: given.pretrained(captions, window=20), "up to 21 places, the model has 16")
    refused(lambda: given.pretrained(captions, "p(caption)"), "expected a text given a picture, p(caption | picture)")
    refused(lambda: given.pretrained(captions, candidates=["cat"]), "expected texts of a model that chooses among texts")
    refused(lambda: given.pretrained(matches), "candidates=None; expected texts of a model that chooses among texts")
    refused(lambda: given.pretrained(matches, candidates=["a", "a"]), "expected a list of distinct categories")
    refused(lambda: given.pretrained(matches, candidates=["a cat on a red mat"]), "is 7 pieces long; expected 1 to 6, which")
    refused(lambda: given.pretrained(matches, candidates=["a bird"]), "'a bird' has what the model has no symbol for")
    refused(lambda: PretrainedContrastive(label, photo), "expected path=, the folder of a model, or config=, pixels= and")
    refused(lambda: PretrainedContrastive(label, photo, path=captions), "expected one of clip, siglip")
    refused(lambda: PretrainedContrastive(text, photo, path=matches), "expected one of some texts, got text")
    refused(lambda: PretrainedContrastive(label, photo, path=matches, template="a"), "template='a'; expected a text with '{}'")
    model = given.pretrained(matches, candidates=["cat", "dog"])
    refused(lambda: model.given(picture=PICTURES[0]).rank(text=["a cat on a red mat"]), "text: 'a cat on a red mat' is 7 piece")
    refused(lambda: model.given(picture=PICTURES[0, :2]).sample(), "picture")
    monkeypatch.setitem(sys.modules, "transformers", None)
    refused(lambda: PretrainedCaptioner(text, photo, **own), "pip install 'given[pretrained]'")
