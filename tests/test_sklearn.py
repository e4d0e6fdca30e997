"""The estimators of scikit-learn: its own checks, and what users of it do."""

from functools import partial

import numpy as np
import pandas
import pytest
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import given
from given.families import Gaussian, GaussianMixture, Independent
from given.sklearn import Classifier, Density, Imputer

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
    with pytest.raises(given.UserError, match="families"):
        Density("GaussianMixture").fit(np.zeros((3, 2)))
