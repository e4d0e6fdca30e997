"""Rows on a plane, prototypes, one latent at a time, segments; and their commands."""

from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image as Picture

import given
from given.app.cli import main
from given.codecs import Image, Label, Number
from given.evaluate import scatter
from given.families import (
    PCA,
    VAE,
    Autoencoder,
    Categorical,
    Dequantised,
    FactorAnalysis,
    Gaussian,
    KMeans,
    ProbabilisticPCA,
    SplineFlow,
)
from given.variables import Entries, Observed, UserError


@pytest.fixture(scope="module")
def people():
    """Two kinds of people, told apart by age and city and not by shoe."""
    rng = np.random.default_rng(0)
    kind = rng.integers(2, size=300)
    return {"age": np.where(kind == 1, 60.0, 25.0) + rng.normal(0, 4, 300), "shoe": rng.normal(42, 2, 300),
            "city": np.where(kind == 1, "Rome", "Oslo"), "kind": np.array(["young", "old"])[kind]}


@pytest.mark.parametrize("method", ["pca", "factors", "neighbours"])
def test_alike_rows_lie_side_by_side(people, method):
    found = given.plane({k: people[k] for k in ("age", "shoe", "city")}, method=method)
    xy = np.stack([found["x"], found["y"]], 1)
    apart = ((xy[:, None] - xy[None]) ** 2).sum(-1) + np.diag(np.full(300, np.inf))
    assert (people["kind"][apart.argmin(1)] == people["kind"]).mean() > 0.95


def test_a_plane_of_two_numbers_is_theirs():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2)) * [1.0, 1.0] @ np.array([[1.0, 0.9], [0.0, 0.4]])
    found = given.plane({"a": X[:, 0], "b": X[:, 1]})
    u, _, _ = np.linalg.svd((X - X.mean(0)) / X.std(0), full_matrices=False)
    for k, name in enumerate("xy"):
        assert abs(np.corrcoef(found[name], u[:, k])[0, 1]) > 0.999


def test_prototypes_are_the_most_probable_rows_of_their_class(people):
    model = given.model("p(kind) p(age, shoe | kind)", people, families={"kind": Categorical, "age, shoe": Gaussian})
    model.fit(people, held_out=0, progress=False)
    found = model.prototypes(people, "kind", n=2)
    assert found["kind"].tolist() == ["old", "old", "young", "young"]
    assert abs(found["age"][0] - 60) < 1 and abs(found["age"][2] - 25) < 1 and abs(found["shoe"] - 42).max() < 1
    rows = people["kind"] == "old"
    scores = model.given(kind=people["kind"][rows]).log_prob(age=people["age"][rows], shoe=people["shoe"][rows])
    assert found["log_prob"][0] == scores.max()


def test_one_latent_at_a_time():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(500, 1))
    data = {"a": 3 * z[:, 0] + 10 + 0.1 * rng.normal(size=500), "b": -2 * z[:, 0] + 0.1 * rng.normal(size=500)}
    model = given.model("p(a, b)", data, families={"a, b": partial(ProbabilisticPCA, factors=1)})
    model.fit(data, held_out=0, progress=False)
    along = model.traverse("a, b", [-1, 0, 1])
    assert along["a"].shape == (1, 3)
    step = np.diff(along["a"][0])
    assert abs(step[0] - step[1]) < 1e-6 and abs(abs(step[0]) - 3) < 0.3
    assert abs(np.diff(along["b"][0])[0] / step[0] + 2 / 3) < 0.05
    same = model.traverse("a, b", [0], around={"a": 13.0, "b": -2.0})
    assert abs(same["a"][0, 0] - 13) < 0.2
    with pytest.raises(given.UserError, match="no latent to go along"):
        plain = given.model("p(a, b)", data, families={"a, b": Gaussian})
        plain.fit(data, held_out=0, progress=False)
        plain.traverse("a, b")


def check_complete():
    """A row without its shoe's size is no better a prototype for it."""
    rng = np.random.default_rng(1)
    age, shoe = rng.normal(40, 5, 200), rng.normal(42, 2, 200)
    data = {"age": age, "shoe": np.where(np.arange(200) % 4, shoe, np.nan), "kind": np.array(["u", "v"] * 100)}
    model = given.model("p(kind) p(age, shoe | kind)", data, families={"kind": Categorical, "age, shoe": Gaussian},
                        codecs={"shoe": Number(missing="unknown"), "age": Number()})
    model.fit(data, held_out=0, progress=False)
    found = model.prototypes(data, "kind", n=3)
    assert not np.isnan(found["shoe"]).any() and len(found["kind"]) == 6
    assert abs(found["shoe"] - 42).max() < 1.5 and abs(found["age"] - 40).max() < 3
    lacking = {**data, "shoe": np.where(data["kind"] == "u", np.nan, data["shoe"])}
    with pytest.raises(given.UserError, match="no row of kind='u' has all of age, shoe; leave out of the data"):
        model.prototypes(lacking, "kind")
    assert model.prototypes({k: lacking[k] for k in ("age", "kind")}, "kind", n=1)["kind"].tolist() == ["u", "v"]


def test_rows_that_lack_a_column_are_no_prototypes():
    check_complete()


LATENT = {"PCA": partial(PCA, components=2), "factors": partial(FactorAnalysis, factors=2, tolerance=1e-3),
          "VAE": partial(VAE, latent=2), "autoencoder": partial(Autoencoder, latent=2)}


def check_along(name="PCA"):
    """A step goes from where the family says that codes lie, as far as they vary by it; of levels by way of reals too."""
    rng, family = np.random.default_rng(0), LATENT[name]
    pixels = (4 + 2 * rng.normal(size=(60, 1, 1)) * np.ones((4, 2)) + rng.normal(size=(60, 4, 2))).round().clip(0, 9)
    data = {"image": pixels.astype(np.uint8)}
    for wrapped in (family, partial(Dequantised, family=family)):
        x = data if wrapped is not family or family.func is VAE else {"image": pixels}
        codec = {"image": Image()} if x is data else {"image": Number()}
        model = given.model("p(image)", x, codecs=codec, families={"image": wrapped})
        model.fit(x, steps=3, held_out=0, progress=False)
        factor = model.joint.factors[0]
        along = model.traverse("image", [0, 1])["image"]
        assert along.shape == (2, 2, 4, 2)
        z = factor.latent(Observed(n=1))
        mean, scale = z.mean().tensor.double(), z.deviation().tensor.double()
        moved = Entries(torch.cat([mean, mean + torch.tensor([[0.0, 1.0]]) * scale]))
        with torch.no_grad():
            there = factor.decode(moved, Observed(n=2))
        assert np.allclose(model.joint.columns["image"].codec.decode(there), along[1], atol=1e-4)
        codes = model.encode(x)
        row = given.read(x).rows(slice(3, 4))
        for around in (row, {"image": x["image"][3]}, {"image": x["image"][3:4]}):
            same = model.traverse("image", [0.0], around=around)["image"][0, 0]
            code = torch.tensor([[codes["image.z1"][3], codes["image.z2"][3]]]).double()
            with torch.no_grad():
                there = factor.decode(Entries(code), Observed(n=1))
            assert np.allclose(model.joint.columns["image"].codec.decode(there)[0], same, atol=1e-3)
    with pytest.raises(given.UserError, match=r"around= has 2 rows; expected one"):
        model.traverse("image", around=given.read(x).rows(slice(0, 2)))


@pytest.mark.parametrize("name", LATENT)
def test_every_latent_is_gone_along_by_its_own_standard_deviations(name):
    check_along(name)


def test_a_latent_without_moments_is_gone_along_by_its_draws():
    rng = np.random.default_rng(0)
    data = {"x": rng.normal(size=(60, 3))}
    model = given.model("p(x)", data, codecs={"x": Number()}, families={"x": partial(
        VAE, latent=2, prior=partial(SplineFlow, transforms=1, hidden=(8,)))})
    model.fit(data, steps=2, held_out=0, progress=False)
    assert model.traverse("x", [-1, 1])["x"].shape == (2, 2, 3)


def test_centres_are_no_latent_to_go_along():
    data = {"x": np.random.default_rng(0).normal(size=(60, 3))}
    model = given.model("p(x)", data, codecs={"x": Number()}, families={"x": partial(KMeans, components=2)})
    model.fit(data, held_out=0, progress=False)
    with pytest.raises(given.UserError, match="KMeans has no latent to go along"):
        model.traverse("x")


def test_segments_are_named_by_what_tells_them(people):
    data = {k: people[k] for k in ("age", "shoe")}
    model = given.model("p(group) p(age, shoe | group)", data, latents={"group": Label(range(2))},
                        families={"group": Categorical, "age, shoe": Gaussian})
    model.fit(data, held_out=0, progress=False)
    found = model.segments(people, "group")
    assert abs(found["share"].sum() - 1) < 1e-9 and found["segment"].tolist() == ["0", "1"]
    assert all(line.split()[0] in ("age", "city", "kind") and "shoe" not in line.split(";")[1] for line in found["telling"])
    by = model.segments(people, "kind")
    assert set(by["segment"]) == {"young", "old"} and all("(all" in line for line in by["telling"])


def test_a_drawing_has_a_legend_and_one_line_errors():
    x = np.arange(12.0)
    drawing = scatter(x, x, ("a < b", "c"), "t", np.array(["u", None] * 6, dtype=object), "kind")
    assert drawing.count("<circle") == 12 + 2 and "missing" in drawing and "a &lt; b" in drawing
    assert "linearGradient" in scatter(x, x, ("a", "b"), "t", x, "n")
    with pytest.raises(given.UserError, match="finite"):
        scatter(x * np.nan, x, ("a", "b"), "t")
    for data, options, message in (({"a": [1.0, 2.0]}, {}, "at least 3 rows"), ({"a": [1.0] * 5}, {}, "no column varies"),
                                   ({"a": [1.0, 2, 3]}, {"method": "umap"}, "expected one of pca")):
        with pytest.raises(given.UserError, match=message):
            given.plane(data, **options)


def test_the_command_draws_a_map(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["map", "wine", "--color", "cultivar", "-o", "wine.svg"]) == 0
    assert (tmp_path / "wine.svg").read_text().count("<circle") > 178
    assert main(["map", "wine", "--color", "cultivar", "-o", "wine.csv"]) == 0
    assert (tmp_path / "wine.csv").read_text().startswith("x,y,cultivar\n")
    assert main(["map", "wine", "--color", "grape"]) == 1
    assert main(["map", "wine", "-o", "wine.gif"]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert "no column grape" in errors[-2] and "expected .svg" in errors[-1]


def test_dates_and_holes_are_described():
    days = np.datetime64("2020-01-01") + np.arange(40)
    drawing = scatter(np.arange(40.0), np.arange(40.0), ("a", "b"), "t", days, "day")
    assert "2020-01-01" in drawing and "2020-02-09" in drawing and "linearGradient" in drawing
    data = {"day": days.astype("datetime64[s]"), "a": np.arange(40.0), "kind": np.array(["u"] * 20 + [None] * 20, dtype=object)}
    model = given.model("p(a)", data, families={"a": Gaussian})
    model.fit(data, held_out=0, progress=False)
    found = model.segments(data, "kind")
    assert set(found["segment"]) == {"u", "missing"} and abs(found["share"] - 0.5).max() < 1e-9
    assert any("2020-01-10" in line for line in found["telling"])
    with pytest.raises(given.UserError, match="60 values; expected a column of at most 50"):
        model.segments({"a": np.arange(60.0)}, "a")
    with pytest.raises(given.UserError, match="expected a column of categories"):
        model.prototypes(data, "a")


def test_a_shell_names_what_families_are_built_of():
    from given import families
    from given.distributions import Diagonal, Karras
    from given.nn import MLP
    from given.verbs.literals import built

    assert isinstance(built("GaussianMixture(covariance=Diagonal())", families, "--family").keywords["covariance"], Diagonal)
    assert isinstance(built("Diffusion(path=Karras(low=0.1))", families, "--family").keywords["path"], Karras)
    assert built("FlowMatching(net=MLP)", families, "--family").keywords["net"] is MLP
    with pytest.raises(given.UserError, match="unknown name 'Diagnal'"):
        built("GaussianMixture(covariance=Diagnal())", families, "--family")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A VAE of digits by their label, saved, and two rows."""
    folder, data = tmp_path_factory.mktemp("along"), given.read("digits").rows(slice(0, 60))
    model = given.model("p(image | label)", data, families={"image": partial(VAE, latent=2)}, seed=0)
    model.fit(data, steps=30, batch=16, held_out=0, progress=False)
    model.save(folder / "m.given")
    data.rows(np.array([3, 7])).save(folder / "two.npz")
    return model, data, folder


def check_line():
    """Factors are a linear map: halfway between two rows' latents lies the mean of what the ends are decoded to."""
    rows = given.read(x=np.random.default_rng(0).normal(size=(50, 1)) * np.array([1.0, 2.0, -1.0]) + [0.0, 5.0, 9.0])
    model = given.model("p(x)", rows, families={"x": partial(FactorAnalysis, factors=1)}, seed=0)
    model.fit(rows, held_out=0, progress=False)
    two = rows.rows(np.array([4, 9]))
    found = model.interpolate("x", two, 3)["x"]
    assert np.allclose(found[1], (found[0] + found[2]) / 2)
    assert np.allclose(found[[0, 2]], two["x"], atol=0.2) and abs(found[0] - found[2]).max() > 0.4


def test_a_straight_line_between_two_rows():
    check_line()


def test_from_one_picture_to_another(pictures):
    model, data, _ = pictures
    two = data.rows(np.array([3, 7]))
    found = model.interpolate("image", two, 5)["image"]
    assert found.shape == (5, 8, 8)
    for end, row in ((0, 3), (-1, 7)):  # the ends are what their own latents are decoded to
        alone = model.traverse("image", [0.0], around=data.rows(np.array([row])), label=data["label"][row])["image"][0, 0]
        assert np.array_equal(found[end], alone)
    with pytest.raises(UserError, match="got 3 rows and steps=8; expected two rows"):
        model.interpolate("image", data.rows(np.array([1, 2, 3])))
    with pytest.raises(UserError, match="interpolate: unknown name 'picture'"):
        model.interpolate("picture", two)


def test_along_a_latent_in_a_shell(pictures):
    model, _, folder = pictures
    path = str(folder / "m.given")
    for words, shape in ((["label=3"], (2, 5, 8, 8)), (["--between", str(folder / "two.npz"), "-n", "4"], (4, 8, 8))):
        assert main(["traverse", path, "image", *words, "-o", str(folder / "x.npz")]) == 0
        assert np.load(folder / "x.npz")["image"].reshape(shape).dtype == np.uint8
        assert main(["traverse", path, "image", *words, "-o", str(folder / "x.png")]) == 0
    assert np.array_equal(np.load(folder / "x.npz")["image"], model.interpolate("image", str(folder / "two.npz"), 4)["image"])


def check_strip():
    """Of a plane of pictures, the direction in which they vary most comes first, and a step is its standard deviation."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(400, 2)) * [4.0, 12.0]
    down, across = np.array([1.0, 1, -1, -1])[:, None] * np.ones((4, 4)), np.array([1.0, -1, 1, -1]) * np.ones((4, 4))
    pixels = (128 + z[:, 0, None, None] * down + z[:, 1, None, None] * across).round().clip(0, 255).astype(np.uint8)
    model = given.model("p(image)", {"image": pixels}, codecs={"image": Image()}, families={"image": partial(
        Dequantised, family=partial(PCA, components=3))})
    model.fit({"image": pixels}, held_out=0, progress=False)
    found = model.strip({"image": pixels[7]}, values=[-2, 0, 2])
    assert found.name == "image" and found.latents == (1, 2, 3) and found.pictures.shape == (3, 3, 4, 4)
    assert np.allclose(found.moved[:2], np.array([12, 4]) * 2 * (2 / 3) ** 0.5, rtol=0.1) and found.moved[2] < 0.5
    assert np.abs(found.pictures[:, 1].astype(int) - pixels[7]).max() <= 2
    change = found.pictures[0, 2].astype(float) - found.pictures[0, 0]
    assert np.abs(np.abs(change) - 48).max() < 5 and np.abs(np.sign(change * across).mean()) == 1
    return model, pixels


def test_what_moves_a_picture_most_comes_first(tmp_path):
    model, pixels = check_strip()
    model.save(tmp_path / "m.given")
    Picture.fromarray(pixels[7]).save(tmp_path / "photo.png")
    words = "--steps", "3", "--reach", "2", "--most", "2", "-o", str(tmp_path / "strip.png")
    assert main(["strip", str(tmp_path / "m.given"), str(tmp_path / "photo.png"), *words]) == 0
    assert (tmp_path / "strip.png").read_bytes() == model.strip({"image": pixels[7]}, values=[-2, 0, 2], most=2).png()
    for call, said in ((lambda: model.strip({"image": pixels[:2]}), "got 2 rows; expected one"),
                       (lambda: model.strip({"image": pixels[0]}, most=0), "most=0 and 7 values; expected at least 1"),
                       (lambda: model.strip({"picture": pixels[:1]}), "strip: column: unknown name 'image'"),
                       (lambda: model.strip({"image": pixels[0]}).save("strip.jpg"), "expected a name that ends in .png")):
        with pytest.raises(UserError, match=said):
            call()


def test_a_strip_in_a_shell(pictures, capsys):
    model, data, folder = pictures
    path, out = str(folder / "m.given"), str(folder / "strip.png")
    assert main(["strip", path, "digits", "--row", "3", "--steps", "5", "-o", out]) == 0
    first = capsys.readouterr().out.splitlines()
    assert first[0] == "latent,moved" and len(first) == 3
    found = model.strip(data.rows(slice(3, 4)), values=np.linspace(-3, 3, 5).tolist())
    assert [int(line.split(",")[0]) for line in first[1:]] == list(found.latents) and found.moved[0] >= found.moved[1]
    assert (folder / "strip.png").read_bytes() == found.png()
    assert main(["strip", path, "digits", "--row", "3000", "-o", out]) == 1
    assert "--row 3000: digits has rows 0 to 1,796" in capsys.readouterr().err
