"""PretrainedDiffusion: draws are those of the pipeline asked directly, whatever is drawn beside them, and a saved model needs
no folder. The pipeline is tiny and made on the spot."""

import json
import shutil
import sys

import numpy as np
import pytest
import torch
from test_bad_input import refused
from tiny_pipeline import files

import given
from given.codecs import Image, Label, Text
from given.families import PretrainedDiffusion
from given.nn import built_pipeline
from given.testing import perturb
from given.variables import Observed, Variable

pytest.importorskip("diffusers")
torch.set_num_threads(1)

CAPTIONS = ["a cat", "dogs", ""]


def picture(*size, channels=3):
    return Variable("image", Image(*size, channels=channels, levels=256))


def caption():
    codec = Text(longest=20)
    codec.learn(np.array(CAPTIONS))
    return Variable("caption", codec)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A checkpoint, written by diffusers itself."""
    path = tmp_path_factory.mktemp("pipeline")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = built_pipeline(files())
        perturb(net.parts, 0.3)
    net.pipeline.save_pretrained(path)
    return path


def observed(family, texts):
    variable = family.parents[0]
    return Observed({variable.name: variable.codec.encode(np.array(texts))}, len(texts))


def test_draws_are_those_of_the_pipeline(folder):
    family = PretrainedDiffusion(picture(8, 8), caption(), path=folder, steps=3, guidance=2.0)
    law, seeds = family(observed(family, CAPTIONS)), []
    drawn = law.sample((2,), seed=1).tensor
    assert drawn.shape == (2, 3, 8, 8, 3)
    law.program = lambda rows, each: seeds.extend(each) or torch.zeros(len(rows), 8, 8, 3)
    law.sample((2,), seed=1)
    assert len({*seeds}) == 6
    hoped = family.net.pipeline(["dogs"], height=8, width=8, num_inference_steps=3, guidance_scale=2.0, output_type="np",
                                generator=[torch.Generator().manual_seed(seeds[4])]).images[0]
    assert np.abs(drawn[1, 1].numpy() - 255 * hoped).max() < 0.51
    larger = PretrainedDiffusion(picture(4, 4), caption(), path=folder, size=(8, 8), steps=3, guidance=2.0)
    assert np.abs(larger(observed(larger, CAPTIONS)).sample((2,), seed=1).tensor[1, 1].numpy()
                  - 255 * hoped.reshape(4, 2, 4, 2, 3).mean((1, 3))).max() < 0.51


def test_a_saved_one_needs_no_folder(folder, tmp_path):
    kept = shutil.copytree(folder, tmp_path / "kept")
    model = given.pretrained(kept, "p(image | caption)")
    shutil.rmtree(kept)
    model.save(tmp_path / "mine.given")
    again = given.load(tmp_path / "mine.given")
    drawn, same = (m.given(caption=CAPTIONS).sample(2, seed=1)["image"] for m in (model, again))
    alone = again.given(caption=CAPTIONS[:1]).sample(2, seed=1)["image"]
    assert drawn.dtype == np.uint8 and drawn.shape == (2, 3, 8, 8, 3) and drawn.std(0).mean() > 1
    assert np.array_equal(drawn, same) and np.abs(alone[:, 0].astype(int) - drawn[:, 0]).max() <= 1
    refused(lambda: again.log_prob(image=drawn[0], caption=CAPTIONS), "has no density here; learn FlowMatching, whose density")
    refused(lambda: again.given(caption="a caption that is long").sample(1), "is 20 pieces long, and the pipeline reads 8")


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    refused(lambda: PretrainedDiffusion(picture(8, 8), caption(), files=files()), "pip install 'given[diffusion]'")


def test_what_is_refused(folder, tmp_path):
    text = caption()
    refused(lambda: PretrainedDiffusion(picture(8, 8), text), "expected path=, the folder of a pipeline, or files=")
    refused(lambda: PretrainedDiffusion(picture(8, 8), text, path="no/such"), "no/such: no such folder")
    refused(lambda: PretrainedDiffusion(picture(8, 8), text, path=tmp_path), "model_index.json is missing")
    refused(lambda: PretrainedDiffusion(picture(8, 8), text, files="{"), "expected JSON")
    refused(lambda: PretrainedDiffusion(picture(8, 8, channels=None), text, files=files()),
            "expected a picture in colour, got image")
    refused(lambda: PretrainedDiffusion(picture(8, 8), Variable("label", Label([0, 1])), files=files()),
            "expected one text right of the bar, as in p(image | caption), got label")
    refused(lambda: PretrainedDiffusion(picture(9, 9), text, files=files()), "size=(9, 9); expected multiples of 8")
    refused(lambda: PretrainedDiffusion(picture(8, 8), text, files=files(), size=(8, 16)), "has not the proportions of image")
    for changes, message in (({"scheduler": ["os", "system"]}, "scheduler is of 'os'; expected a class of diffusers"),
                             ({"unet": ["diffusers", "utils"]}, "'utils' is unknown to this version of diffusers"),
                             ({"_class_name": ["mine", "Mine"]}, "['mine', 'Mine'] is unknown to this version of diffusers"),
                             ({"_class_name": "DDPMPipeline"}, "is no whole DDPMPipeline")):
        refused(lambda changes=changes: PretrainedDiffusion(picture(8, 8), text, files=files(**changes)), message)
    outside = json.dumps({**json.loads(files()), "../mine.txt": ""})
    refused(lambda: PretrainedDiffusion(picture(8, 8), text, files=outside), "'../mine.txt' is outside of the folder")
    kept = shutil.copytree(folder, tmp_path / "kept")
    weights = next((kept / "unet").glob("*.safetensors"))
    weights.rename(weights.with_suffix(".bin"))
    refused(lambda: PretrainedDiffusion(picture(8, 8), text, path=kept), "unet has no *.safetensors")
