"""Sounds: WAVs in and out, levels and frames, what is said and what is heard."""

import copy
import json
import math
import struct
import wave

import numpy as np
import pytest
import torch

import given
from given.app.cli import main
from given.codecs import LogMel, MuLaw, Series
from given.sources import Columns, Varied, joined, recording
from given.sources.wav import packed, unpacked
from given.tasks import hear, speak
from given.variables import UserError

torch.set_num_threads(1)
RATE = 4000
PITCH = {"low": 300, "high": 1200}


def chirp(word, seed, seconds=0.2):
    """A tone of a word's pitch, of a length and loudness of its own, in noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(RATE * seconds * rng.uniform(0.6, 1))) / RATE
    tone = rng.uniform(0.1, 0.3) * np.sin(2 * np.pi * PITCH[word] * rng.uniform(0.95, 1.05) * t)
    return (32767 * (tone + 0.002 * rng.normal(size=len(t)))).astype(np.int16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """48 WAVs of two words, with metadata."""
    place = tmp_path_factory.mktemp("tones")
    words = ["low", "high"] * 24
    sounds = np.empty(48, dtype=object)
    sounds[:] = [chirp(word, i) for i, word in enumerate(words)]
    Columns({"sound": sounds, "text": words}, dtypes={"sound": f"sound({RATE})"}).save(f"{place}/")
    return place


def refused(run, *words):
    with pytest.raises(UserError) as caught:
        run()
    assert "\n" not in str(caught.value) and all(word in str(caught.value) for word in words), str(caught.value)


def stored(path, samples, width=2, channels=1, rate=RATE):
    """A WAV by Python's own writer, of samples as whole numbers of a width in bytes."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        whole = np.asarray(samples, dtype=np.int64) + (128 if width == 1 else 0)
        file.writeframes(b"".join(int(s).to_bytes(width, "little", signed=width > 1) for s in whole))


def test_a_folder_is_read_as_it_was_written(folder):
    data = given.read(folder)
    assert data.names == ("sound", "text") and data.dtypes["sound"] == f"sound({RATE})" and data.n == 48
    assert np.array_equal(data["sound"][3], chirp("high", 3)) and data["sound"][3].dtype == np.int16
    assert f"{RATE:,} samples a second" in data.described()
    assert np.array_equal(recording(folder / "03.wav", RATE), chirp("high", 3))


def test_a_sub_folder_is_a_class_and_a_glob_rows(tmp_path):
    for word in PITCH:
        (tmp_path / word).mkdir()
        stored(tmp_path / word / "a.wav", chirp(word, 0))
    assert given.read(tmp_path)["label"].tolist() == ["high", "low"]
    assert given.read(f"{tmp_path}/*/*.wav")["label"].tolist() == ["high", "low"]
    assert given.read(tmp_path / "low" / "a.wav").names == ("sound",)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_whole_samples_of_every_width(tmp_path, width):
    top = 1 << (8 * width - 1)
    stored(tmp_path / "a.wav", [0, top - 1, -top, top // 2], width)
    found = given.read(tmp_path / "a.wav")["sound"][0]
    full = 32768 if width < 3 else 1
    assert found.dtype == (np.int16 if width < 3 else np.float32)
    assert np.allclose(found / full, [0, 1 - 1 / top, -1, 0.5], atol=1e-7)


def test_reals_and_extensible_formats_are_read_and_written(tmp_path):
    real = np.array([0.25, -1, 0.5], dtype=np.float32)
    assert np.array_equal(unpacked(packed(real, RATE))[0][:, 0], real)
    plain = packed(np.array([1, -2], dtype=np.int16), RATE)
    form = struct.pack("<HHIIHH", 0xFFFE, 1, RATE, 2 * RATE, 2, 16) + struct.pack("<HHIH", 22, 16, 4, 1) + bytes(14)
    made = b"RIFF\0\0\0\0WAVELIST\3\0\0\0abc\0fmt " + struct.pack("<I", len(form)) + form + plain[-12:]
    assert unpacked(made)[0][:, 0].tolist() == [1, -2]
    (tmp_path / "a.wav").write_bytes(packed(real, RATE))
    stored(tmp_path / "b.wav", [0, 16384])
    assert [s.tolist() for s in given.read(tmp_path)["sound"]] == [real.tolist(), [0, 0.5]]


def test_bad_sounds_are_refused_in_a_line(tmp_path, folder):
    def alone(name, content=b""):
        (tmp_path / name).write_bytes(content)
        return lambda: given.read(tmp_path / name)

    stored(tmp_path / "stereo.wav", [1, 2, 3, 4], channels=2)
    refused(lambda: given.read(tmp_path / "stereo.wav"), "stereo.wav: has 2 channels; expected 1; mix them", "-ac 1")
    stored(tmp_path / "none.wav", [])
    refused(lambda: given.read(tmp_path / "none.wav"), "none.wav: holds no sample")
    refused(alone("empty.wav"), "empty.wav: is empty; expected a sound")
    refused(alone("text.wav", b"hello" * 9), "text.wav: cannot be read as a sound (is neither WAV, FLAC nor OGG)")
    whole = packed(np.arange(50, dtype=np.int16), RATE)
    refused(alone("cut.wav", whole[:-20]), "cut.wav: is cut short: has 80 bytes of samples of 100")
    refused(alone("law.wav", whole[:20] + b"\7" + whole[21:]), "is a WAV of mu-law, 16 bits; expected", "convert it")
    refused(alone("odd.wav", whole[:30]), "is a WAV without samples")
    refused(alone("nan.wav", packed(np.array([np.nan], dtype=np.float32), RATE)), "no finite numbers")


def test_a_folder_that_does_not_agree_is_refused(tmp_path):
    stored(tmp_path / "a.wav", [1, 2])
    stored(tmp_path / "b.wav", [1, 2], rate=RATE * 2)
    refused(lambda: given.read(tmp_path), "b.wav: has 8,000 samples a second; expected 4,000", "`ffmpeg -i IN -ar 4000")
    assert given.read(tmp_path, skip_bad=True).n == 1
    (tmp_path / "b.wav").unlink()
    (tmp_path / "metadata.csv").write_text("file_name,text\na.wav,one\nc.wav,two\n")
    refused(lambda: given.read(tmp_path), "metadata.csv: no sound c.wav in the folder", "skip_bad=True")
    (tmp_path / "metadata.csv").write_text("file_name,sound\na.wav,one\n")
    refused(lambda: given.read(tmp_path), "the metadata have a column 'sound' too; rename it")
    (tmp_path / "metadata.csv").unlink()
    (tmp_path / "notes.md").write_text("x")
    refused(lambda: given.read(tmp_path), "notes.md: is no sound; move it elsewhere")


def test_flac_without_soundfile_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "soundfile", None)
    (tmp_path / "a.flac").write_bytes(b"fLaC" + bytes(40))
    refused(lambda: given.read(tmp_path / "a.flac"), "a.flac: FLAC and OGG need soundfile", "given[sound]")


def test_flac_and_ogg(tmp_path):
    import soundfile

    wave = 0.5 * np.sin(2 * np.pi * 440 / 8000 * np.arange(4000))
    for name, subtype in (("a.flac", "PCM_16"), ("b.flac", "PCM_24"), ("c.ogg", "VORBIS")):
        soundfile.write(tmp_path / name, wave, 8000, subtype=subtype)
    whole, fine, lossy = (given.read(tmp_path / name)["sound"][0] for name in ("a.flac", "b.flac", "c.ogg"))
    assert whole.dtype == np.int16 and np.abs(whole / 32768 - wave).max() < 1e-4
    assert np.abs(fine - wave).max() < 1e-6 and len(lossy) == 4000 and np.abs(lossy - wave).mean() < 0.02
    assert given.read(tmp_path).n == 3
    soundfile.write(tmp_path / "d.flac", np.stack([wave, wave], 1), 8000)
    refused(lambda: given.read(tmp_path / "d.flac"), "d.flac: has 2 channels; expected 1; mix them")


def test_sounds_are_saved_where_they_are_one_or_in_a_folder(folder, tmp_path):
    data = given.read(folder)
    refused(lambda: data.save(tmp_path / "all.wav"), "one file holds one sound, got 48; save them in a folder, as")
    refused(lambda: Columns({"x": [1]}).save(f"{tmp_path}/x/"), "expected one column of sounds, got none among x")
    data.rows(slice(0, 1)).save(tmp_path / "one.wav")
    assert np.array_equal(recording(tmp_path / "one.wav"), data["sound"][0])
    refused(lambda: recording(tmp_path / "one.wav", 16000), "has 4,000 samples a second; expected 16,000")
    refused(lambda: recording(tmp_path / "two.wav"), "no such file; expected a sound")
    (tmp_path / "a.mp3").write_bytes(b"ID3")
    refused(lambda: given.read(tmp_path / "a.mp3"), "a.mp3: is a sound in a format that is not read", "`ffmpeg -i IN -ac 1")


def test_levels_come_back_within_half_of_their_interval():
    codec, raw = MuLaw(), np.arange(-32768, 32768).astype(np.int16)
    codec.learn(raw)
    x = codec.encode(raw)
    half = np.diff(codec.edges())[x.tensor.numpy()] / 2
    assert (np.abs(codec.decode(x).astype(int) - raw) <= half + 1).all()
    assert len(np.unique(x.tensor)) == 256 and half[len(raw) // 2] < 3
    refused(lambda: codec.encode(np.array(["0.5"])), "expected samples, int16 or real, got <U3")
    refused(lambda: MuLaw().learn(np.array([0.5, 1.5])), "got a sample of 1.5; expected real samples within -1 and 1")
    refused(lambda: MuLaw(1), "levels=1; expected")


def test_frames_know_pitch_loudness_and_length():
    codec = LogMel(8000)
    t = np.arange(4000) / 8000
    sounds = np.empty(3, dtype=object)
    sounds[:] = [(a * np.sin(2 * np.pi * f * t[:n])) for a, f, n in ((0.5, 1000, 4000), (0.25, 1000, 4000), (0.5, 2500, 2000))]
    codec.learn(sounds)
    level = codec.decibels(codec.encode(sounds))
    assert np.allclose(level[0, 5:20].max(-1) - level[1, 5:20].max(-1), 20 * math.log10(2), atol=0.01)
    assert level[0, 10].argmax() < level[2, 10].argmax() and (level[2, 17:-1] <= -79).all()
    lengths = [len(sound) for sound in codec.decode(codec.encode(sounds))]
    assert all(abs(a - b) <= 2 * codec.hop for a, b in zip(lengths, (4000, 4000, 2000), strict=True))
    refused(lambda: codec.encode(np.zeros((1, 9000))), "lasts 1.12 s; expected at most", "by the longest learned from")
    refused(lambda: LogMel(8000, seconds=0.1).learn(sounds), "lasts 0.50 s; expected at most 0.11; cut it")
    refused(lambda: codec.learn(np.zeros((1, 90), dtype=np.int16)), "expected real samples as before, got int16; divide by")
    refused(lambda: LogMel(10), "rate=10")


def test_any_folder_of_sounds_is_fitted_drawn_and_scored(folder, tmp_path, capsys):
    path = str(tmp_path / "any.given")
    assert main(["fit", str(folder), "--steps", "2", "-o", path]) == 0
    assert main(["sample", path, "text=low", "-n", "2", "--length", "400", "-o", f"{tmp_path}/drawn/"]) == 0
    drawn = given.read(tmp_path / "drawn")
    assert drawn.n == 2 and all(len(sound) == 400 for sound in drawn["sound"])
    assert main(["score", path, str(folder), "--json"]) == 0
    model = given.load(path)
    codec = model.joint.columns["sound"].codec
    assert isinstance(codec, Series) and isinstance(codec.of, MuLaw)
    assert str(model.score(given.read(folder)).measure).endswith("length in raw units of sound")


def test_what_is_said_is_drawn_and_heard(folder, tmp_path, capsys):
    data = hear.read(folder)
    model = hear.model(data, width=16)
    model.fit(hear.arranged(data), steps=60, held_out=0, progress=False, **{**hear.TRAINING, "lr": 1e-2, "batch": 8})
    model.facts["task"] = "hear"
    model.save(tmp_path / "hear.given")
    assert hear.measure(model, data)["right"] > 0.9
    assert main(["hear", f"{tmp_path}/hear.given", f"{folder}/00.wav", f"{folder}/01.wav"]) == 0
    assert capsys.readouterr().out.split() == ["low", "high"]
    stored(tmp_path / "long.wav", [0, 9000] * 1000)
    assert main(["hear", f"{tmp_path}/hear.given", f"{folder}/00.wav", f"{tmp_path}/long.wav"]) == 1
    assert "long.wav: sound, row 0: lasts 0.50 s; expected at most" in capsys.readouterr().err
    assert main(["query", f"{tmp_path}/hear.given", "text | sound", str(folder), "-n", "1"]) == 0
    capsys.readouterr()
    assert main(["fit", str(folder), "--task", "speak", "--steps", "2", "-o", f"{tmp_path}/speak.given", "--json"]) == 0
    assert "unknown: who hears learns from held-out sounds, got " in json.loads(capsys.readouterr().out)["held out, this model"]
    assert main(["speak", f"{tmp_path}/speak.given", "low", "-o", f"{tmp_path}/low.wav"]) == 0
    assert recording(tmp_path / "low.wav", RATE).dtype == np.int16
    assert main(["speak", f"{tmp_path}/speak.given", "low", "-n", "2", "-o", f"{tmp_path}/low.wav"]) == 1
    assert "one file holds one sound, got -n 2" in capsys.readouterr().err
    assert main(["speak", f"{tmp_path}/speak.given", "loud", "-o", f"{tmp_path}/x.wav"]) == 1
    assert "'loud'" in capsys.readouterr().err
    assert main(["hear", f"{tmp_path}/speak.given", f"{folder}/00.wav"]) == 1
    assert "expected one of text given a sound" in capsys.readouterr().err


@pytest.mark.parametrize("codec", [LogMel(RATE, seconds=0.2), MuLaw()])
def test_sounds_of_any_bits_are_one_sound(codec, tmp_path):
    """What was learned of files of 16 bits, or of 24, takes files of either, of as many and of fewer."""
    whole = chirp("low", 0)
    for width in (1, 2, 3):
        stored(tmp_path / f"{width}.wav", np.floor(whole * 256.0 ** (width - 2)), width=width)
    sounds = {width: recording(tmp_path / f"{width}.wav", RATE) for width in (1, 2, 3)}
    assert [sounds[width].dtype.kind for width in (1, 2, 3)] == ["i", "i", "f"]
    rows = [[sounds[width]] if isinstance(codec, LogMel) else sounds[width] for width in (2, 3, 1)]
    for learned in rows[:2]:
        own = copy.deepcopy(codec)
        own.learn(learned)
        assert torch.equal(own.encode(rows[0]).tensor, own.encode(rows[1]).tensor)
        assert own.decode(own.encode(rows[2]))[0].dtype == sounds[2 if learned is rows[0] else 3].dtype
    own = copy.deepcopy(codec)
    own.learn(rows[0])
    refused(lambda: own.encode([1200 * sounds[3]] if isinstance(codec, LogMel) else 1200 * sounds[3]), "got a sample of",
            "within -1 and 1; divide")


def test_a_sound_varies_from_epoch_to_epoch_and_never_beyond_the_longest(folder):
    data = given.read(folder)
    varied = Varied(data, "sound")
    assert all(np.array_equal(a, b) for a, b in zip(next(varied.batches(48))["sound"], data["sound"], strict=True))
    one, again, other = (joined([*varied.of_epoch(*epoch).batches(size)])["sound"] for epoch, size in (
        ((0, 1), 48), ((0, 1), 7), ((0, 2), 48)))
    assert all(np.array_equal(a, b) and a.dtype == np.int16 for a, b in zip(one, again, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    longest = max(map(len, data["sound"]))
    ratio = [len(a) / len(b) for a, b in zip(one, data["sound"], strict=True)]
    assert max(map(len, one)) <= longest and 0.75 < min(ratio) < 0.95 and 1.05 < max(ratio) < 1.3
    loud = [np.abs(a).max() / np.abs(b.astype(float)).max() for a, b in zip(one, data["sound"], strict=True)]
    assert min(loud) < 0.5 and max(loud) > 2 and max(np.abs(a.astype(int)).max() for a in one) <= 32767
    silent = Varied(Columns({"sound": np.zeros((2, 9), dtype=np.int16)}, dtypes={"sound": f"sound({RATE})"}), "sound")
    assert all(np.abs(each).max() < 9 for each in joined([*silent.of_epoch(0, 0).batches(2)])["sound"])
    refused(lambda: Varied(data, "text"), "Varied: text: is no column of sounds; there are sound, text")


def test_sounds_are_as_loud_where_they_are_dynamic():
    codec, tone = LogMel(8000, dynamic=50.0), 0.5 * np.sin(2 * np.pi * 1000 * np.arange(4000) / 8000)
    codec.learn(sounds := np.stack([tone, tone / 1000, 0 * tone]))
    level = codec.decibels(codec.encode(sounds))
    assert np.allclose(level[0], level[1], atol=1e-3) and abs(level.max() - -30) < 1e-3
    assert abs(level[0].min() - -80) < 1e-3 and np.allclose(level[2], -80, atol=1e-3)  # what is silent stays silent
    refused(lambda: LogMel(8000, dynamic=0), "dynamic=0; expected decibels above 0, at most 80")


def test_word_error_counts_words_put_in_left_out_and_replaced():
    assert hear.word_error(["a b c", "d"], ["a c", "d e"]) == 0.5
    assert hear.word_error(["a b"], ["b a"]) == 1.0


def test_samples_are_scored_in_bits_of_their_levels(folder):
    data = speak.read(folder)
    model = speak.wave(data, window=256)
    model.fit(data, steps=2, held_out=0, progress=False)
    assert 3 < speak.bits(model, data) < 6  # of 8: nothing is learned but by least squares
    refused(lambda: speak.speak(model, "low", guidance=2), "is of models of frames")
    assert len(speak.speak(model, "low", length=300)[0]) == 300
