"""The estimators of scikit-learn: its own checks, and what users of it do."""

from functools import partial

import numpy as np
import pandas
import pytest
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import parametrize_with_checks

import given
from given.families import Gaussian, GaussianMixture, Independent
from given.sklearn import Classifier, Density, Imputer, from_classifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning",
                                        "ignore:invalid value encountered in cast:RuntimeWarning",
                                        "ignore::numpy.exceptions.ComplexWarning")


@parametrize_with_checks([Classifier(), Density(Gaussian), Imputer(Gaussian), Imputer(Gaussian, draw=True)])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_a_density_scores_rows_in_the_data_s_units():
    X = np.random.default_rng(0).normal(3, 10, (500, 2))
    inside = make_pipeline(StandardScaler(), Density(Gaussian)).fit(X)
    bare = Density(Gaussian).fit(X)
    np.testing.assert_allclose(bare.score_samples(X[:5]), inside.score_samples(X[:5]) - np.log(X.std(0)).sum(), atol=1e-6)
    assert abs(bare.score(X) + 2 * (0.5 * np.log(2 * np.pi * np.e) + np.log(10))) < 0.1
    assert bare.sample(7).shape == (7, 2)
    assert (bare.sample(3, random_state=1) == bare.sample(3, random_state=1)).all()


def test_a_classifier_is_cross_validated_and_searched():
    X, y = load_iris(return_X_y=True)
    assert cross_val_score(Classifier(), X, y, cv=3).mean() > 0.95
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    search = GridSearchCV(make_pipeline(StandardScaler(), Classifier()), {
        "classifier__family": [Gaussian, partial(Independent)]}, cv=3).fit(X, names)
    assert search.best_params_["classifier__family"] is Gaussian
    assert set(search.predict(X[:60])) == {"setosa", "versicolor"}
    proba = search.predict_proba(X)
    np.testing.assert_allclose(proba.sum(1), 1)
    assert (search.classes_[proba.argmax(1)] == search.predict(X)).all()


def test_an_imputer_beats_the_mean():
    X = load_breast_cancer().data[:, :8]
    rng = np.random.default_rng(0)
    hidden = rng.random(X.shape) < 0.3
    holed = np.where(hidden, np.nan, X)

    def error(imputer):
        return (((imputer.fit_transform(holed) - X)[hidden] / X.std(0)[np.nonzero(hidden)[1]]) ** 2).mean() ** 0.5

    assert error(Imputer(Gaussian)) < 0.6 * error(SimpleImputer())
    drawn = Imputer(Gaussian, draw=True).fit_transform(holed)
    assert (drawn[~hidden] == X[~hidden]).all() and not np.isnan(drawn).any()
    assert abs(np.nanstd(drawn[:, 0]) / X[:, 0].std() - 1) < 0.1  # means alone would narrow it


def test_frames_keep_their_columns_and_categories():
    rng = np.random.default_rng(0)
    kind = rng.choice(["cat", "dog"], 300)
    frame = pandas.DataFrame({"kind": kind, "weight": np.where(kind == "cat", 4.0, 20.0) + rng.normal(0, 1, 300)})
    density = Density(Independent).fit(frame)
    drawn = density.sample(5)
    assert list(drawn.columns) == ["kind", "weight"] and set(drawn["kind"]) <= {"cat", "dog"}
    holed = frame.copy()
    holed.loc[::3, "kind"] = None
    holed.loc[1::3, "weight"] = np.nan
    filled = Imputer(steps=300).fit_transform(holed)
    assert (filled["kind"] == frame["kind"]).mean() > 0.95
    assert (abs(filled["weight"] - frame["weight"]) < 5).mean() > 0.95


def test_a_default_density_is_learned():
    X = np.concatenate([np.random.default_rng(0).normal(m, 1, (100, 1)) for m in (-5, 5)])
    density = Density(partial(GaussianMixture, components=2)).fit(X)
    assert density.score(X) > Density(Gaussian).fit(X).score(X) + 0.3


def test_columns_named_as_what_is_beside_them():
    X = pandas.DataFrame(np.random.default_rng(0).normal(size=(50, 2)), columns=["target", "n"])
    y = (X["n"] > 0).to_numpy()
    assert (Classifier().fit(X, y).predict(X) == y).mean() > 0.9
    assert list(Density(Gaussian).fit(X).sample(2).columns) == ["target", "n"]


def test_a_slip_is_one_line():
    with pytest.raises(given.UserError, match="unknown name 'GausianMixture'; did you mean"):
        Density("GausianMixture").fit(np.zeros((3, 2)))


def mixture(n=4000):
    """Two classes of equal weight, normal around -1 and 1 with deviation 1 along a; b is noise."""
    rng = np.random.default_rng(0)
    kind = rng.integers(2, size=n)
    return {"a": 2.0 * kind - 1 + rng.normal(size=n), "b": rng.normal(size=n)}, kind


class Truth:
    """The classifier of that mixture: p(1 | a) = 1 / (1 + exp(-2 a))."""

    classes_, n_features_in_ = np.array(["cat", "dog"]), 2

    def predict_proba(self, rows):
        p = 1 / (1 + np.exp(-2 * rows[:, 0]))
        return np.stack([1 - p, p], 1)


def check_from_classifier():
    """Draws and scores given a class are those of its component."""
    data, _ = mixture()
    density = given.model("p(a, b)", data, families={"a, b": partial(GaussianMixture, components=2)})
    density.fit(data, held_out=0, progress=False)
    model = from_classifier(density, Truth(), "kind")
    assert str(model) == "p(a, b) p(kind | a, b)"
    drawn = model.given(kind="dog").sample(4000)
    assert abs(drawn["a"].mean() - 1) < 0.08 and abs(drawn["a"].std() - 1) < 0.06
    assert set(drawn["kind"]) == {"dog"} or "kind" not in drawn
    both = model.given(kind=["cat", "dog"]).sample(1000)["a"]
    assert both[:, 0].mean() < -0.9 and both[:, 1].mean() > 0.9
    score = model.given(kind="dog").log_prob(a=[0.0, 1.0], b=[0.0, 0.0])
    whole = density.log_prob(a=[0.0, 1.0], b=[0.0, 0.0]) + np.log(1 / (1 + np.exp([0.0, -2.0])) / 0.5)
    np.testing.assert_allclose(score, whole, atol=0.08)
    assert abs(model.given(kind="dog").mean("a") - 1) < 0.15


def test_a_class_is_drawn_by_a_classifier_and_a_density():
    check_from_classifier()


def test_a_second_classifier_refines_the_first():
    class Upper(Truth):
        classes_ = np.array([False, True])

        def predict_proba(self, rows):
            p = (rows[:, 1] > 0).astype(float)
            return np.stack([1 - p, p], 1)

    data, _ = mixture()
    density = given.model("p(a, b)", data, families={"a, b": Gaussian})
    density.fit(data, held_out=0, progress=False)
    model = from_classifier(from_classifier(density, Truth(), "kind"), Upper(), "upper")
    drawn = model.given(kind="dog", upper=True).sample(500)
    assert drawn["b"].min() > 0 and drawn["a"].mean() > 0.5


def test_a_classifier_of_scikit_learn_and_what_it_cannot_be(tmp_path):
    data, kind = mixture(400)
    frame = pandas.DataFrame(data)
    density = given.model("p(a, b)", data, families={"a, b": Gaussian})
    density.fit(data, held_out=0, progress=False)
    model = from_classifier(density, LogisticRegression().fit(frame, kind), "kind")
    assert model.given(kind=1).sample(200)["a"].mean() > 0.5
    assert model.given(a=2.0, b=0.0).probabilities("kind")["1"] > 0.8
    for classifier, name, message in ((LinearSVC().fit(frame, kind), "kind", "predict_proba"),
                                      (LogisticRegression().fit(frame.rename(columns={"a": "c"}), kind), "kind", "reads c"),
                                      (LogisticRegression().fit(frame.to_numpy()[:, :1], kind), "kind", "reads 1 numbers"),
                                      (Truth(), "a", "is a column of")):
        with pytest.raises(given.UserError, match=message):
            from_classifier(density, classifier, name)
    with pytest.raises(given.UserError, match="cannot save the argument"):
        model.save(tmp_path / "m")


@pytest.mark.parametrize("y", [[0.0, 1.0, np.nan, 1.0], np.array(["a", "b", None, "a"], object),
                               np.array(["a", "b", np.nan, "a"], object)], ids=["numbers", "none", "nan"])
def test_a_missing_class_is_one_line(y):
    with pytest.raises(ValueError, match="y: row 2 of 4 has no class") as error:
        Classifier().fit(np.eye(4), y)
    assert "\n" not in str(error.value)


def test_names_of_any_kind_holes_and_folds():
    rng = np.random.default_rng(0)
    frame = pandas.DataFrame({"a.b": rng.normal(size=120), "mean radius": np.arange(120) % 7 + 0.0})
    y = (frame["a.b"] > 0).to_numpy().astype(int)
    assert list(Density(Gaussian).fit(frame).sample(2).columns) == ["a.b", "mean radius"]
    frame.loc[::5, "mean radius"] = np.nan
    assert np.isfinite(Density(Gaussian).fit(frame).score_samples(frame)).all()
    assert (Classifier().fit(frame, y).predict(frame) == y).mean() > 0.9
    both = make_pipeline(Imputer(Gaussian), Classifier(Gaussian))  # a mean that is imputed is no whole number
    assert np.isfinite(cross_val_score(both, frame, y, cv=2)).all()


def test_by_default_rows_held_out_choose_a_mixture():
    """Of as many normals as the rows bear, by few passes: what is small takes no minute."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, (120, 2)), rng.normal(9, 1, (60, 2))])
    density = Density().fit(X)
    (points,) = density.model_.curves.values()
    assert dict(points)[2] > dict(points)[1] + 0.5 and len(points) < 9
    assert density.model_.joint.declared[0].components == max(points, key=lambda each: each[1])[0]
    assert density.score(X) > Density(Gaussian).fit(X).score(X) + 0.5
    holed = np.where(rng.random(X.shape) < 0.2, np.nan, X)
    filled = Imputer().fit_transform(holed)
    plain = SimpleImputer().fit_transform(holed)
    assert np.square((filled - X)[np.isnan(holed)]).mean() < 0.5 * np.square((plain - X)[np.isnan(holed)]).mean()
