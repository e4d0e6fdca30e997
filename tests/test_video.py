"""Video: files, folders of frames, what is refused, and frames drawn one after another."""

import math
import os
import sys
import tempfile
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

import given
from given.app.cli import main
from given.codecs import IdentityCodec, LabelMap, Video
from given.families import DynamicFilter, Markov, NearestNeighbour, Regression, Residual
from given.solve import DPMSolver
from given.sources import save_clip
from given.tasks import video
from given.variables import Axis, Entries, Observed, Real, UserError, Variable

CLIP = np.zeros((24, 12, 16, 3), np.uint8)
for t in range(24):
    CLIP[t, 3:8, t % 12:t % 12 + 4] = (200, 30, 60)
GREY = CLIP[..., 0]


def frames(folder, clip):
    os.makedirs(folder)
    for t, frame in enumerate(clip):
        Image.fromarray(frame).save(f"{folder}/f{t}.png")


def test_files_come_back(tmp_path):
    for name, clip, most in (("a.gif", CLIP, 0), ("g.gif", GREY, 0), ("a.mp4", CLIP, 6), ("g.mp4", GREY, 6)):
        save_clip(f"{tmp_path}/{name}", clip)
        read = given.read(f"{tmp_path}/{name}", frames=6)["video"]
        assert read.shape == (4, 6, *clip.shape[1:])
        assert np.abs(read.reshape(clip.shape).astype(int) - clip).mean() <= most
    assert given.read(f"{tmp_path}/a.mp4", frames=10, size=(6, 8))["video"].shape == (2, 10, 6, 8, 3)
    assert given.read(f"{tmp_path}/g.gif", format="video")["video"].shape == (1, 24, 12, 16)


@pytest.mark.parametrize("of", [[0] * 5, [0, 0, 0, 1, 1, 1], [0, 1, 1, 0, 2, 2, 2, 0], [3]])
def test_frames_that_repeat_come_back(tmp_path, of):
    noise = np.random.default_rng(0).integers(0, 256, (4, 6, 8, 3)).astype(np.uint8)
    for clip in (noise[of], noise[of][..., 0]):
        save_clip(f"{tmp_path}/a.gif", clip)
        assert np.array_equal(given.read(f"{tmp_path}/a.gif", format="video")["video"][0], clip)


def check_shown_long():
    first, *rest = (Image.fromarray(frame) for frame in GREY[:4])
    for times, of in (([40, 120, 40, 80], [0, 1, 1, 1, 2, 3, 3]), ([30, 40, 30, 40], [0, 1, 2, 3]), ([0] * 4, [0, 1, 2, 3])):
        with tempfile.TemporaryDirectory() as folder:
            first.save(f"{folder}/a.gif", save_all=True, append_images=rest, duration=times)
            assert np.array_equal(given.read(f"{folder}/a.gif", format="video")["video"][0], GREY[:4][of])


def test_a_frame_of_a_gif_stands_for_as_many_as_it_is_shown_long():
    check_shown_long()


def test_folders_of_frames(tmp_path):
    for k, clip in enumerate((GREY, GREY[:13])):
        frames(f"{tmp_path}/c{k}", clip)
    found = given.read(tmp_path, frames=6)["video"]
    assert np.array_equal(found, np.stack([*GREY.reshape(4, 6, 12, 16), GREY[:6], GREY[7:13]]))
    (tmp_path / "metadata.csv").write_text("file_name,text\nc0,a red box\nc1,a box\n")
    assert given.read(tmp_path, frames=6)["text"].tolist() == ["a red box"] * 4 + ["a box"] * 2


def _broken(tmp_path, name):
    folder = tmp_path / name
    frames(folder / "c0", GREY[:12])
    if name == "missing":
        os.remove(folder / "c0" / "f7.png")
    elif name == "other":
        Image.fromarray(GREY[0, :6]).save(folder / "c0" / "f7.png")
    return folder


@pytest.mark.parametrize(("name", "options", "said"), [
    ("missing", {"frames": 4}, "c0: frame 7 is missing, between f6.png and f8.png; add it, or number the frames anew"),
    ("other", {"frames": 4}, "c0/f7.png: 6 x 16 grey; expected 12 x 16 grey as in {c0}/f0.png; pass size=(height, width)"),
    ("short", {"frames": 30}, "c0: 12 frames; expected at least 30; pass frames= of at most 12, how many a row has"),
    ("none", {"frames": 0}, "frames=0; expected a whole number from 1"),
    ("crop", {"frames": 4, "crop": 4}, "crop: crop= says nothing about video; leave it out"),
])
def test_a_folder_is_refused(tmp_path, name, options, said):
    folder = _broken(tmp_path, name)
    with pytest.raises(UserError) as error:
        given.read(folder, **options)
    assert str(error.value).endswith(said.format(c0=folder / "c0")) and "\n" not in str(error.value)


def test_clips_keep_their_proportions(tmp_path):
    """Of no size that somebody asked for, a clip is not stretched to the first one's, but refused by name, or left out."""
    for k, width in enumerate((96, 48, 64)):
        save_clip(f"{tmp_path}/c{k}.gif", np.zeros((4, 2 * width // 3 if k < 2 else 32, width), np.uint8))
    with pytest.raises(UserError, match=r"c2.gif: 24 x 48 in proportion; expected 32 x 48 as in .*c0.gif; pass size="):
        video.read(tmp_path, frames=4)
    found = video.read(tmp_path, frames=4, skip_bad=True)
    assert next(found.batches(9))["past"].shape == (2, 2, 32, 48) and len(found.skipped) == 1
    assert next(video.read(tmp_path, frames=4, size=(8, 8)).batches(9))["past"].shape == (3, 2, 8, 8)
    frames(tmp_path / "f", np.zeros((4, 100, 50), np.uint8))
    assert given.read(f"{tmp_path}/f", format="video", size=48)["video"].shape == (1, 4, 48, 24)
    with pytest.raises(UserError, match=r"size=0; expected height and width in pixels, such as \(32, 32\), or the longer side"):
        given.read(f"{tmp_path}/f", format="video", size=0)


def test_files_are_refused(tmp_path, monkeypatch):
    (tmp_path / "x.mp4").write_bytes(b"no film")
    save_clip(f"{tmp_path}/a.mp4", CLIP)
    save_clip(f"{tmp_path}/b.mp4", CLIP[:12, :, :10])
    save_clip(f"{tmp_path}/c.mp4", CLIP[:12])
    for name, options, said in (
            ("x.mp4", {"frames": 2}, "cannot be read as a video (moov atom not found)"),
            ("[ab].mp4", {"frames": 2}, "12 x 10; expected 12 x 16 as in"),
            ("[ac].mp4", {"format": "video"}, "12 frames; expected at least 24, as in"),
            ("a.mp4", {"frames": 25}, "24 frames; expected at least 25; pass frames= of at most 24")):
        with pytest.raises(UserError, match=said.replace("(", r"\(").replace(")", r"\)")):
            given.read(f"{tmp_path}/{name}", **options)
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(UserError, match=r"needs imageio-ffmpeg; install it with pip install 'given\[video\]'"):
        given.read(f"{tmp_path}/a.mp4", frames=2)
    with pytest.raises(UserError, match="expected an ending"):
        save_clip(f"{tmp_path}/a.avi", CLIP)


def test_codecs_know_films():
    maps = (GREY > 0).astype(np.uint8).reshape(4, 6, 12, 16)
    model = given.model("p(video | map)", given.read(video=CLIP.reshape(4, 6, 12, 16, 3), map=maps), codecs={"map": LabelMap()},
                        families={"video": partial(Regression, width=4)})
    film, shown = model.joint.columns["video"], model.joint.columns["map"]
    assert isinstance(film.codec, Video) and film.space.axes[0].shares(shown.space.axes[0])
    assert [axis.name for axis in film.space.axes] == ["frame", "height", "width", "channel"]
    with pytest.raises(UserError, match="Video: expected frames, height and width, or none of them"):
        Video(3)


def test_a_video_is_drawn_frame_by_frame():
    data = given.read(video=CLIP.reshape(4, 6, 12, 16, 3)[:, :3])
    model = given.model("p(video)", data)
    model.fit(data, steps=1, held_out=0, progress=False)
    assert isinstance(model.joint.declared[0], Markov)
    seen = np.zeros((3, 12, 16, 3), bool)
    seen[:2] = True
    drawn = model.given(video=given.part(data["video"][0], seen=seen)).sample(2, seed=0, how=DPMSolver(1))["video"]
    assert (drawn[:, :2] == data["video"][0, :2]).all() and (drawn[0, 2] != drawn[1, 2]).any()


def check_goes_on():
    """A chain reads the last frames that are given, then its own, and slices of what shares its axis; what is known comes
    first."""
    clips = np.random.default_rng(0).integers(0, 2, (2, 12, 4, 4)).astype(np.uint8)
    data = given.read(past=clips[:, :6], next=clips[:, 6:])
    family = partial(Markov, family=partial(Regression, width=4), after="past", order=2)
    chain = given.model("p(next | past)", data, families={"next": family}).joint.declared[0].eval()
    for p in chain.parameters():
        torch.nn.init.normal_(p, std=0.5, generator=torch.Generator().manual_seed(0))
    y = Observed({"past": chain.parents[0].encode(data)})
    x = chain.x.encode(data)
    every = torch.cat([y["past"].tensor, x.tensor], 1)
    law = chain(y)
    each = [chain.inner(Observed({"last": Entries(every[:, t + 4:t + 6].movedim(1, -1))})).log_prob(Entries(x.tensor[:, t]))
            for t in range(6)]
    assert torch.allclose(law.log_prob(x), torch.stack(each).sum(0))
    (lesson,) = chain.lessons()
    assert torch.allclose(lesson.loss(x, y), -law.log_prob(x), atol=1e-3)
    seen = torch.arange(6)[:, None, None] < 2
    known = law.condition(Entries(x.tensor, seen.expand(x.tensor.shape)))
    assert torch.equal(known.sample(seed=0).tensor[:, :2], x.tensor[:, :2])
    assert torch.allclose(known.log_prob(x), torch.stack(each[2:]).sum(0))


class Says(torch.nn.Module):
    """A map that says the same of every entry."""

    def __init__(self, numbers):
        super().__init__()
        self.numbers = torch.tensor(numbers)

    def forward(self, y):
        return self.numbers.expand(len(y.pooled), 4, 5, -1)


def check_moves():
    """A filter that looks to the right, and a little up, moves a frame to the left; what is off its border is as the border."""
    places = Axis("height", 4), Axis("width", 5)
    x, shown = Variable("x", IdentityCodec(Real(axes=places))), Variable("last", IdentityCodec(Real(axes=(
        *places, Axis("before", 2, role="channel")))))
    family = DynamicFilter(x, shown, reach=1, width=4)
    right_up = [0.0] * 10
    right_up[5], right_up[2] = 40.0, 40.0 + math.log(3)  # of three rows of three places, and what is added
    right_up[9] = 0.5
    family.net = Says(right_up)
    frames = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 4, 5, 2)))
    last = np.pad(frames[..., 1].numpy(), ((0, 0), (1, 1), (1, 1)), mode="edge")
    mean = family(Observed({"last": Entries(frames)})).mean().tensor
    assert np.allclose(mean, 0.25 * last[:, 1:5, 2:7] + 0.75 * last[:, :4, 2:7] + 0.5, atol=1e-5)
    unseen = Observed({"last": Entries(frames, torch.zeros(frames.shape, dtype=torch.bool))})
    assert torch.allclose(family(unseen).mean().tensor, torch.tensor(0.5))


def test_a_filter_moves_what_it_is_shown():
    check_moves()


def check_left_after():
    """What a net leaves over is learned when the net is."""
    x, z = (Variable(name, IdentityCodec(Real(axes=(Axis("place", 2),)))) for name in "xz")
    family = Residual(x, z, base=Regression, family=Regression, shows=True)
    assert [lesson.stage for lesson in family.lessons()] == [0, 1]
    assert [v.name for v in family.inner.parents] == ["z", "expected"]


def test_what_a_net_leaves_over_comes_after_it():
    check_left_after()


def test_a_chain_goes_on():
    check_goes_on()


def test_a_chain_refuses():
    clips = np.random.default_rng(0).integers(0, 2, (2, 8, 4, 4)).astype(np.uint8)
    data = given.read(past=clips[:, :4], next=clips[:, 4:])
    for options, said in (({"after": "before"}, "after='before' is no parent; expected one of past"),
                          ({"after": "past", "order": 5}, "expected the slices that next goes on after, at least 5"),
                          ({"family": NearestNeighbour}, "is not learned by descent"),
                          ({"family": None}, "expected family="),
                          ({"steps": 9}, "steps from 1 to 4")):
        with pytest.raises(UserError, match=said):
            given.model("p(next | past)", data, families={"next": partial(Markov, **{"family": Regression, **options})})


def test_the_task_by_commands(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_clip("clip.gif", CLIP)
    assert main(["fit", "clip.gif", "--task", "video", "--frames", "6", "--steps", "2", "-o", "m.given"]) == 0
    assert "held out, last frame: error 1," in capsys.readouterr().err
    assert main(["sample", "m.given", "past=clip.gif", "-n", "2", "-o", "next.gif"]) == 0
    assert "past: the last 3 of 24 frames of clip.gif, at 12 x 16" in capsys.readouterr().err
    assert given.read("next.gif", format="video")["video"].shape[:4] == (1, 3, 12, 33)
    assert main(["sample", "m.given", "past=clip.gif", "-n", "2", "-o", "next/"]) == 0
    assert given.read("next", format="video")["video"].shape == (2, 3, 12, 16, 3)
    assert not main(["score", "m.given", "clip.gif"]) and not main(["report", "m.given", "clip.gif", "-o", "r.html"])
    assert not main(["query", "m.given", "next | past", "clip.gif", "-o", "q.npz"])
    assert "3,-" in capsys.readouterr().out and given.read("q.npz")["next"].shape[:3] == (1, 4, 3)  # 6 frames a row, as learned
    assert main(["score", "m.given", "q.npz"]) == 1
    assert "q.npz" in (said := capsys.readouterr().err) and said.count("\n") == 1
    save_clip("short.gif", CLIP[:2])
    assert main(["sample", "m.given", "past=short.gif"]) == 1
    assert "past=short.gif: has 2 frames; expected at least 3" in capsys.readouterr().err
    save_clip("wide.gif", np.repeat(CLIP, 2, 2))
    assert main(["sample", "m.given", "past=wide.gif"]) == 1
    assert "past=wide.gif: is 12 x 32; expected the proportions of 12 x 16, as what was learned" in capsys.readouterr().err
    assert main(["fit", "clip.gif", "--task", "video", "--frames", "24", "--steps", "2"]) == 1
    assert "1 row is too few to hold out" in capsys.readouterr().err


def test_the_task_of_texts_and_maps():
    rows = given.read(video=CLIP.reshape(4, 6, 12, 16, 3)[:, :2], map=(GREY > 0).astype(np.uint8).reshape(4, 6, 12, 16)[:, :2],
                      words=["a box", "a red box", "a box", "no box"])
    for given_, expected in ((["words"], "p(video | words)"), (["map"], "p(video | map)")):
        data = video.cut(given.read({k: rows[k] for k in ("video", *given_)}))
        model = video.model(data, width=8)
        assert str(model) == expected and list(video.models(data)) == ["field"]
        model.fit(data, steps=2, held_out=0, progress=False)
        assert video.drawn(model, data).shape == (1, 4, 2, 12, 16, 3)
    with pytest.raises(UserError, match="expected a column of this name, or one of video"):
        video.cut(given.read(words=["a box"]))


def test_columns_are_saved(tmp_path):
    drawn = given.read(video=GREY.reshape(4, 6, 12, 16))
    drawn.save(tmp_path / "all.gif")
    assert given.read(tmp_path / "all.gif", format="video")["video"].shape == (1, 6, 12, 67)
    with pytest.raises(UserError, match="expected one column of video, got none; save as"):
        given.read(age=[1, 2]).save(tmp_path / "all.gif")
