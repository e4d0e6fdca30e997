"""The task of radio channels: any file of complex series, and what is looked at of them."""

import numpy as np
import pytest
from test_cli import run

from given.sources import Columns
from given.tasks import channel
from given.variables import UserError

RNG = np.random.default_rng(7)
H = RNG.normal(size=(12, 20, 2)).cumsum(1) @ [1, 1j]


def rows(path, *columns):
    lines = [",".join(columns), *(f"{i},{t},{str(h).strip('()')},{h.real},{h.imag}" for i, row in enumerate(H)
                                  for t, h in enumerate(row))]
    cells = [line.split(",") for line in lines]
    keep = [k for k, name in enumerate(columns) if name]
    path.write_text("\n".join(",".join(row[k] for k in keep) for row in cells) + "\n")
    return path


@pytest.mark.parametrize("columns", [("item", "index", "h", "", ""), ("item", "index", "", "h_re", "h_im"),
                                     ("item", "", "", "I", "Q")], ids=["text", "parts", "i and q"])
def test_tables_are_read_as_series(tmp_path, columns):
    np.testing.assert_allclose(np.stack(channel.read(rows(tmp_path / "h.csv", *columns))["h"]), H)


def test_arrays_are_read_as_series(tmp_path):
    for name, array, shape in (("a", H, (12, 20)), ("b", H[0], (1, 20)), ("c", H.reshape(4, 3, 20), (4, 3, 20))):
        np.save(tmp_path / f"{name}.npy", array)
        assert channel.read(tmp_path / f"{name}.npy")["x"].shape == shape
    Columns({"h": [[1 + 2j, 3], [2j]]}).save(tmp_path / "d.jsonl")
    assert [item.tolist() for item in channel.read(tmp_path / "d.jsonl")["h"]] == [[1 + 2j, 3], [2j]]


@pytest.mark.parametrize(("columns", "words"), [
    (("", "t", "h", "", ""), "h.csv: expected one column of complex numbers, or two of their parts .*, got t, h; leave"),
    (("", "", "", "load", ""), r"h.csv: load: expected complex numbers, such as 1[+]2j, got Number\(.*\)$"),
], ids=["another", "real"])
def test_other_data_is_named(tmp_path, columns, words):
    with pytest.raises(UserError, match=words):
        channel.read(rows(tmp_path / "h.csv", *columns))


def test_the_task_on_the_command_line(tmp_path, capsys):
    np.savez(tmp_path / "h.npz", h=H)
    status, out, err = run(capsys, "fit", tmp_path / "h.npz", "--task", "channel", "-o", tmp_path / "h.given")
    assert status == 0 and "held out, AR(1)" in out and "nats a sample" in out, err
    status, out, _ = run(capsys, "forecast", tmp_path / "h.given", tmp_path / "h.npz", "--horizon", "2", "-n", "1")
    assert status == 0 and "j" in out.splitlines()[1] and len(out.splitlines()) == 25


def test_what_is_looked_at_of_a_channel():
    turns = np.exp(0.3j * np.arange(40))[None]
    np.testing.assert_allclose(channel.correlation(turns, 1, 2), np.exp(0.3j * np.arange(3)))
    echoes = np.fft.fft([0, 2, 0, 1], axis=-1)
    np.testing.assert_allclose(channel.delay_profile(echoes), [0, 0.8, 0, 0.2], atol=1e-12)
    rises, length = channel.fades(np.array([[1, 0.1, 0.1, 1, 1, 0.1, 1, 1, 1]]), 1, 0.5)
    assert rises == 2 / 8 and length == pytest.approx(3 / 9 * 8 / 2)
