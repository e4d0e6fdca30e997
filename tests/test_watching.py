"""Sheets of draws while a model learns."""

import os
import tempfile
from contextlib import nullcontext
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image as Picture

import given
from given.app.cli import main
from given.families import Dequantised, FlowMatching
from given.variables import UserError
from given.verbs import watching

FLOW = {"image": partial(Dequantised, family=FlowMatching)}


def pixels(n=40, seed=0):
    return np.random.default_rng(seed).integers(0, 17, (n, 4, 4)).astype(np.uint8)


def fitted(data, formula="p(image)", families=None, **options):
    model = given.model(formula, data, families=families)
    done = model.fit(data, progress=False, device="cpu", patience=None, **{"steps": 60, "batch": 8, **options})
    return model, done


def test_a_sheet_an_evaluation(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(watching, "_SHARE", 1e6)
    monkeypatch.setattr(watching, "_FIRST", 1e6)
    data = given.read(image=pixels())
    model, done = fitted(data, watch=tmp_path / "draws")
    names = sorted(os.listdir(tmp_path / "draws"))
    assert names == [f"step-{step:06d}.png" for step, _ in done.history] and len(names) > 1
    with Picture.open(tmp_path / "draws" / names[-1]) as sheet:
        assert sheet.size == (4 * (4 * 12 + 12) + 12,) * 2, "sixteen draws"
    assert capsys.readouterr().err == ""
    plain, _ = fitted(data)
    assert all(v.equal(plain.joint.state_dict()[k]) for k, v in model.joint.state_dict().items()), "it changes nothing"


def test_conditions_are_of_the_data(tmp_path, monkeypatch):
    monkeypatch.setattr(watching, "_SHARE", 1e6)
    monkeypatch.setattr(watching, "_FIRST", 1e6)
    data = given.read(image=pixels(), label=np.arange(40) % 4)
    fitted(data, "p(image | label)", steps=5, held_out=0, watch=tmp_path)
    assert len(os.listdir(tmp_path)) == 5, "at every step of so few, without held-out rows too"


def check_share():
    """Of 25 evaluations of 1,000 seconds those have a sheet of 7 seconds that leave all within 40 seconds."""
    clock = [0.0]

    def sheet(self):
        clock[0] += 7.0
        return b""

    with pytest.MonkeyPatch.context() as patched, tempfile.TemporaryDirectory() as folder:
        patched.setattr(watching, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
        patched.setattr(watching.Watch, "_sheet", sheet)
        data = given.read(image=pixels())
        watch = watching.Watch(given.model("p(image)", data).joint, folder, data, 0)
        trainer = SimpleNamespace(averaged_weights=nullcontext)
        for step in range(1, 26):
            trainer.step, trainer.spent, trainer.wall = step, step / 25, 40.0 * step
            watch(trainer)
    assert (watch.written, watch.skipped) == (5, 20)


def test_sheets_take_their_share():
    check_share()


def test_what_takes_too_long_is_left_out_and_said(tmp_path, monkeypatch, capsys):
    data = given.read(image=pixels())
    monkeypatch.setattr(watching, "_FIRST", 1e-9)
    monkeypatch.setattr(watching, "_SHARE", 1e-9)
    _, done = fitted(data, watch=tmp_path)
    assert not os.listdir(tmp_path)
    said = capsys.readouterr().err
    assert f"0 sheets of draws; {len(done.history)} evaluations have none: drawing would have taken more" in said
    assert said.count("\n") == 1


def test_fewer_are_drawn_where_many_take_too_long(tmp_path):
    data = given.read(image=pixels(), label=np.arange(40) % 4)
    watch = watching.Watch(given.model("p(image | label)", data).joint, tmp_path, data, 0)
    trainer = SimpleNamespace(averaged_weights=nullcontext, step=1, spent=0.5, wall=0.0)
    watch(trainer)
    assert (watch.written, watch.skipped, watch.draws) == (0, 1, 4)
    trainer.step, trainer.wall = 2, 1e6
    watch(trainer)
    assert os.listdir(tmp_path) == ["step-000002.png"]
    with Picture.open(tmp_path / "step-000002.png") as sheet:
        assert sheet.size == (2 * (4 * 12 + 12) + 12,) * 2, "four draws"


def test_drawing_gives_up_in_its_middle():
    data = given.read(image=pixels())
    model, _ = fitted(data, families=FLOW, steps=2, held_out=0)
    before = {name: len(part._forward_pre_hooks) for name, part in model.joint.named_modules()}
    with pytest.raises(watching._Late), watching._at_most(model.joint, 0.0):
        model.sample(2)
    assert before == {name: len(part._forward_pre_hooks) for name, part in model.joint.named_modules()}
    with watching._at_most(model.joint, 60.0):
        assert model.sample(2).n == 2


def test_pixel_by_pixel_gives_up_in_its_middle():
    data = given.read(image=pixels())
    model = given.model("p(image)", data)
    model.fit(data, steps=2, progress=False, device="cpu")
    with pytest.raises(watching._Late), watching._at_most(model.joint, 0.0):
        model.sample(2)


def test_what_draws_no_pictures_says_so_before_it_learns(tmp_path, capsys):
    rows = given.read(age=[3.0, 4.0, 5.0] * 9)
    with pytest.raises(UserError, match=r"watch=: p\(age\) draws no pictures; leave it out"):
        given.model("p(age)", rows).fit(rows, steps=1, watch=tmp_path / "draws")
    (tmp_path / "file").write_text("")
    data = given.read(image=pixels())
    with pytest.raises(UserError, match="file: cannot be a folder of pictures"):
        fitted(data, watch=tmp_path / "file")
    np.savez(tmp_path / "few.npz", image=pixels())
    words = ["fit", str(tmp_path / "few.npz"), "--steps", "2", "--watch", str(tmp_path / "s"), "-o", str(tmp_path / "m.given")]
    assert main(words) == 0
    assert os.path.isdir(tmp_path / "s")
