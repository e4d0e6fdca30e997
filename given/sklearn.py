"""sklearn: a density, a classifier and an imputer as estimators of scikit-learn.

    make_pipeline(StandardScaler(), given.sklearn.Density()).fit(X).score_samples(X)     log p(x), in nats
    cross_val_score(given.sklearn.Classifier(), X, y)                                    p(y | x) by Bayes' rule
    given.sklearn.Imputer().fit_transform(X)                                             E[what is missing | what is seen]
    given.sklearn.from_classifier(model, classifier, "kind")                             p(x) p(kind | x)

X is an array of numbers (n, D), each column a real, or a frame, whose columns of numbers are reals and whose others are
inferred as `given.model` infers them. A number that is missing, NaN, is unknown: left out of what is learned, scored and read.
`model_` is the `given.Model` below, to be asked anything else.

Source: Buitinck et al., API design for machine learning software: experiences from the scikit-learn project, 2013 /
https://arxiv.org/abs/1309.0238
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, DensityMixin, TransformerMixin
from sklearn.utils import check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_feature_names_in, _check_sample_weight, check_is_fitted, validate_data

from given import distributions
from given.codecs import Label, Number
from given.conditional import Conditional, quoted
from given.families import GaussianMixture
from given.lessons import Lesson, Solve, select
from given.variables import Codec, Finite, Observed, UserError, Variable
from given.verbs import Model, model

__all__ = ["Classified", "Classifier", "Density", "Imputer", "from_classifier"]

Family = Callable[..., Conditional]
_WEIGHT, _TARGET = "sample weight", "target"
# Some seconds for what is small, where a stack of mixtures takes a minute: see benchmarks/classics.py.
_QUICK = partial(GaussianMixture, components=select(1, 16), restarts=1, ridge=1e-3, tolerance=1e-3, seed=0)


class _Estimator(BaseEstimator):
    """What the three share. Abstract.

    Args:
        family: of the columns of X, such as `given.families.GaussianMixture`, a partial of one, or its name; None for a mixture
            of normals where all columns are reals, of as many as rows held out like best, and for the default of `given.model`
            elsewhere.
        codecs: column -> codec, for columns that should not be inferred; of an array they are called x0, x1, ...
        minutes: of learning; None for as long as `given.Model.fit` takes. Closed forms take what they take.
        steps: of gradient descent, in place of minutes.
        random_state: of weights, noise and draws.
    """

    def __init__(self, family: Family | str | None = None, *, codecs: Mapping[str, Codec] | None = None,
                 minutes: float | None = None, steps: int | None = None, random_state: Any = 0) -> None:
        self.family, self.codecs, self.minutes, self.steps = family, codecs, minutes, steps
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _learn(self, X: Any, weight: Any, target: Mapping[str, Any]) -> None:
        """Learn p(X), or p(target) p(X | target)."""
        columns = self._columns(X, reset=True)
        weighed: dict[str, Any] = {}
        if weight is not None:
            weighed = {_WEIGHT: _check_sample_weight(weight, next(iter(columns.values())), dtype=float)}
            kept = weighed[_WEIGHT] > 0
            columns, weighed, target = ({name: np.asarray(values)[kept] for name, values in some.items()}
                                        for some in (columns, weighed, target))
        numbers = [name for name, values in columns.items() if _numeric(values)]
        codecs: dict[str, Codec] = {name: Number(missing="unknown", whole=False) for name in numbers}
        codecs |= {name: Label() for name in target} | dict(self.codecs or {})
        left = ", ".join(f"`{name}`" for name in columns)
        formula = f"p({left})" if not target else "".join(f"p(`{t}`) p({left} | `{t}`)" for t in target)
        self.seed_ = int(check_random_state(self.random_state).randint(2**31))
        mixture = _QUICK if not target and len(numbers) == len(columns) and not self.codecs else None
        family = self.family or mixture
        # Scales are learned of distinct rows, so that a weight is worth as many copies of its row.
        made = model(formula, _distinct({**columns, **target}), codecs=codecs, seed=self.seed_,
                     families={", ".join(map(quoted, columns)): family} if family else {})
        solved = all(isinstance(lesson, Solve) for factor in made.joint for lesson in factor.lessons())
        made.fit({**columns, **target, **weighed}, weight=_WEIGHT if weighed else None, held_out=0 if solved else 0.1,
                 minutes=self.minutes, steps=self.steps, seed=self.seed_, progress=False)
        self.model_: Model = made

    def _columns(self, X: Any, reset: bool = False) -> dict[str, np.ndarray]:
        """The columns of X (n, D) by their names: numbers as float64, others as they are."""
        frame = hasattr(X, "columns") and any(not _numeric(X[name]) for name in X.columns)
        checked = validate_data(self, X, reset=reset, skip_check_array=frame, **{} if frame else {
            "dtype": np.float64, "ensure_min_samples": 2 if reset else 1,
            "ensure_all_finite": "allow-nan"})
        names = [str(name) for name in getattr(self, "feature_names_in_", [f"x{i}" for i in range(self.n_features_in_)])]
        columns = [X[name] for name in X.columns] if frame else list(checked.T)
        if _TARGET in names or _WEIGHT in names or any("`" in name for name in names):
            names = [f"x{i}" for i in range(len(names))]
        return {name: np.ascontiguousarray(column, np.float64) if _numeric(column) else np.array(column, dtype=object)
                for name, column in zip(names, columns, strict=True)}


class Density(DensityMixin, _Estimator):
    """p(x) of rows.

    >>> import numpy as np, given.sklearn
    >>> density = given.sklearn.Density().fit(np.array([[0.0], [1.0], [2.0], [4.0]]))
    >>> density.score_samples([[1.0]]).shape
    (1,)
    """

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Density:
        """Learn from rows X (n, D), of weights (n,)."""
        self._learn(X, sample_weight, {})
        return self

    def score_samples(self, X: Any) -> np.ndarray:
        """log p of rows (n, D), in nats and X's units: (n,)."""
        check_is_fitted(self)
        return self.model_.log_prob(self._columns(X), seed=self.seed_)

    def score(self, X: Any, y: Any = None) -> float:
        """The mean log p of rows, as scikit-learn's mixtures have it (its `KernelDensity` has the sum)."""
        return float(self.score_samples(X).mean())

    def sample(self, n_samples: int = 1, random_state: Any = None) -> Any:
        """Drawn rows (n_samples, D), a frame where the model learned from one; the same ones for the same random_state."""
        check_is_fitted(self)
        seed = self.seed_ if random_state is None else int(check_random_state(random_state).randint(2**31))
        drawn = self.model_.sample(n_samples, seed=seed)
        if not hasattr(self, "feature_names_in_"):
            return np.stack([drawn[name] for name in self.model_.joint.columns], 1)
        frame = drawn.to_pandas()
        frame.columns = self.feature_names_in_
        return frame


class Classifier(ClassifierMixin, _Estimator):
    """p(y | x) by Bayes' rule from p(y) p(x | y), learned both; by default a Gaussian a class where columns are numbers."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Classifier:
        """Learn from rows X (n, D) of classes y (n,), of weights (n,).

        Raises:
            ValueError: y is no class a row; a class is missing.
        """
        X, y = self._beside(X, y)
        self.classes_, symbols = np.unique(y, return_inverse=True)
        self._learn(X, sample_weight, {_TARGET: symbols})
        return self

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """log p(y | x), (n, classes)."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict_proba(self, X: Any) -> np.ndarray:
        """p(y | x), (n, classes), in the order of `classes_`."""
        check_is_fitted(self)
        found = self.model_.given(self._columns(X)).probabilities(_TARGET)
        return np.stack([found[name] for name in found], 1)

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of every row, (n,)."""
        best = self.predict_proba(X).argmax(1)
        return self.classes_[best]

    def _beside(self, X: Any, y: Any) -> tuple[Any, np.ndarray]:
        y = column_or_1d(y, warn=True)
        if (none := _missing(y)).any():
            raise ValueError(f"y: row {int(none.argmax())} of {len(y)} has no class, NaN or None (rows counted from 0); drop "
                             "such rows, or learn from them too with given.model(\"p(y) p(x | y)\", data)")
        check_classification_targets(y)
        check_consistent_length(X, y)
        return X, y


class Imputer(TransformerMixin, _Estimator):
    """What is missing of rows, from what is seen of them: the mean, or a draw, of p(missing | seen).

    Args:
        family, codecs, minutes, steps, random_state: as of `Density`.
        draw: fill by a draw, which keeps the spread of the data, rather than by the mean.
    """

    def __init__(self, family: Family | str | None = None, *, codecs: Mapping[str, Codec] | None = None,
                 minutes: float | None = None, steps: int | None = None, random_state: Any = 0, draw: bool = False) -> None:
        super().__init__(family, codecs=codecs, minutes=minutes, steps=steps, random_state=random_state)
        self.draw = draw

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Imputer:
        """Learn from rows X (n, D), of weights (n,)."""
        self._learn(X, sample_weight, {})
        return self

    def transform(self, X: Any) -> Any:
        """Rows (n, D) with what was missing filled: an array of numbers, or a frame where some columns hold none. Of a column
        that holds no numbers, the most frequent of 32 draws stands in for the mean."""
        check_is_fitted(self)
        columns = self._columns(X)
        holes = {name: missing for name, values in columns.items() if (missing := _missing(values)).any()}
        filled = {name: values.copy() for name, values in columns.items()}
        drawn = list(holes) if self.draw else [name for name in holes if not _numeric(columns[name])]
        if drawn:
            some = self.model_.complete(columns, n=1 if self.draw else 32, seed=self.seed_)
            for name in drawn:
                draws = some[name] if self.draw else [_most_frequent(each) for each in some[name].T.tolist()]
                filled[name] = np.array(draws, columns[name].dtype)
        for name in holes.keys() - set(drawn):
            rows = np.flatnonzero(holes[name])
            query = self.model_.given({other: each[rows] for other, each in columns.items() if other != name})
            filled[name][rows] = query.mean(name, seed=self.seed_)
        if all(map(_numeric, columns.values())):
            return np.stack(list(filled.values()), 1)
        frame = X.copy()
        for name, values in zip(X.columns, filled.values(), strict=True):
            frame[name] = values
        return frame

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """The names of the columns, which stay as they are."""
        return _check_feature_names_in(self, input_features)

class Classified(Conditional):
    """p(y | x) as a classifier has it: nothing of it is learned here, and it cannot be saved.

    Args:
        x: a label, whose categories are the classifier's.
        parents: the columns that the classifier reads, in its order.
        classifier: with `predict_proba` and `classes_`.
    """

    waits = "its classifier is no net"

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable], *, classifier: Any) -> None:
        super().__init__(x, parents)
        self.classifier = classifier

    def forward(self, y: Observed) -> distributions.Categorical:
        columns = dict[str, np.ndarray]()
        for v in self.parents:
            if not y[v.name].complete:
                raise UserError(f"{self}: the classifier reads whole rows, and {v.name} is unknown; draw it first")
            columns |= v.decode(y[v.name].to("cpu"))
        rows: Any = np.concatenate([np.asarray(values).reshape(y.n, -1) for values in columns.values()], 1)
        if hasattr(self.classifier, "feature_names_in_"):
            import pandas  # which it was fitted with

            rows = pandas.DataFrame(columns)
        p = torch.as_tensor(np.asarray(self.classifier.predict_proba(rows), dtype=np.float64), device=y.device)
        assert isinstance(self.x.space, Finite)
        return distributions.Categorical(p.log(), self.x.space)

    def lessons(self) -> list[Lesson]:
        return []


def from_classifier(density: Model, classifier: Any, name: str) -> Model:
    """p(x) p(name | x): a model's density with a classifier's word beside it. Given a class, x is drawn by p(class | x) p(x),
    which is as right as both are; one more classifier refines it ("dog", then "brown").

    Args:
        density: a model that has learned p(x).
        classifier: fitted, with `predict_proba`; it reads the model's columns in their order, or those it names.
        name: of the new column.

    Raises:
        UserError: a classifier without probabilities, one that reads other columns, or a name that is taken.
    """
    who = type(classifier).__name__
    if not (hasattr(classifier, "predict_proba") and hasattr(classifier, "classes_")):
        raise UserError(f"{who}: expected a fitted classifier with predict_proba; for one without, "
                        "CalibratedClassifierCV of scikit-learn adds it")
    if name in density.joint.columns:
        raise UserError(f"{name}: is a column of {density} already; choose another name")
    mine = [column for f in density.joint.declared if not isinstance(f, Classified) for column in f.x.columns]
    names = [str(column) for column in getattr(classifier, "feature_names_in_", mine)]
    absent = [column for column in names if column not in mine]
    width = sum(density.joint.columns[column].space.dimensions for column in names if column not in absent)
    if absent or getattr(classifier, "n_features_in_", width) != width:
        what = f"reads {absent[0]}" if absent else f"reads {classifier.n_features_in_} numbers a row"
        raise UserError(f"{who}: {what}, where {density} has {', '.join(mine)} of {width}; fit it on those")
    label = Variable(name, Label(list(classifier.classes_)))
    factor = Classified(label, [density.joint.columns[column] for column in names], classifier=classifier)
    made = Model(*density.joint.declared, factor)
    made.facts = dict(density.facts)
    return made


def _distinct(columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The rows that differ; all of them where some values are no numbers."""
    if not all(map(_numeric, columns.values())):
        return dict(columns)
    rows = np.stack([values.astype(np.float64) for values in columns.values()], 1)
    _, first = np.unique(rows, axis=0, return_index=True)
    return {name: values[np.sort(first)] for name, values in columns.items()}


def _missing(values: np.ndarray) -> np.ndarray:
    return np.isnan(values) if _numeric(values) else np.array([value is None or value != value for value in values.tolist()])


def _most_frequent(values: list[Any]) -> Any:
    return Counter(values).most_common(1)[0][0]


def _numeric(column: Any) -> bool:
    return getattr(column.dtype, "kind", "O") in "biuf"
