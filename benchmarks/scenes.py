"""Scenes: ten questions of one data set, each asked of held-out combinations, judged by nets that learned the renderer's truth.

    python benchmarks/scenes.py judge                  # learns the judges, kept in a folder; 8 CPU-minutes
    python benchmarks/scenes.py text-to-image caption  # learns and judges rows, 8 to 20 CPU-minutes each; appends to RESULTS.md
    python benchmarks/scenes.py --again caption        # judges a model that was kept

Rows are `scenes` to learn from, others in every epoch, and `scenes-unseen` to judge by: the stated things stand in relations
that no scene to learn from has of their shape and colour. Beside each row stand its trivial baselines on the same rows, and the
same judge on what the renderer made, which is the most that it can say. What is told of pictures is a product p(things |
picture) p(text | things, ...), whose first factor is that of `detect.py things --save scenes-models/detect`, learned once for
all. A judge is the family of the task `segment`, learned
from plain pictures, or from all styles. What is used of a condition is the loss of log p where it is shuffled among the rows.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from record import append

import given
from given.codecs import LabelMap, Text
from given.sources import Columns, Scenes
from given.sources.scene_words import Statement, stated_in, words_in
from given.sources.scenes import CLASSES, Factors
from given.tasks import segment, task_named
from given.tasks.to_picture import nearest_rows
from given.verbs import Model
from given.verbs.pictures import nearest_pictures

N, SOME = 500, 300  # rows that are judged; of which draws take long
LEAST = 8  # pixels of a class that are a thing
FOLDER = Path("scenes-models")
KNOWN = 4096  # scenes to learn from that baselines look among
MINUTES = {"text-to-image": 18, "caption": 5, "ask": 7, "converse": 6, "segment": 5, "draw": 6, "restyle": 5, "edit": 9}
BEST = 16  # draws of boxes, of which one is kept
REACH = {"circle": 1.0, "square": 0.85, "triangle": 0.953, "cross": 0.95, "ring": 1.0}  # radii from the centre, across
TOLD = ("caption", "ask", "converse")
Row = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="+", choices=["judge", *MINUTES])
    parser.add_argument("--again", action="store_true", help="judge what was kept")
    parser.add_argument("--minutes", type=float, help="of a processor, to learn a row")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    for name in asked.tasks:
        if name == "judge":
            for column in ("picture", "styled"):
                minutes = 5 if column == "picture" else 4
                learned("segment", minutes, 100, Scenes(KNOWN, seed=7), column=column, again=asked.again)
            continue
        model, seconds = learned(name, asked.minutes or MINUTES[name], asked.seed, Scenes(KNOWN), again=asked.again)
        table = JUDGED[name](model, task_named(name).own)
        few = 40 if JUDGED[name] in (text_to_image, draw, restyle, edit) else N  # a field's score takes a second
        used = [f"{one.value:.1f} ± {one.error:.1f}, z {one.value / one.error:.1f}"
                for one in given.reliance(model, Scenes(few, unseen=True, seed=3))]
        facts = {"seed": str(asked.seed), "learned in": f"{seconds:.0f} CPU-s, one thread", "model": str(model),
                 "lost where a condition is shuffled, nats an item": "; ".join(used)}
        print(name, table, facts, flush=True)
        append(f"scenes_{name.replace('-', '_')}", {"rows": printed(table)}, facts)


def learned(name: str, minutes: float, seed: int, data: Scenes, *, column: str = "",
            again: bool = False) -> tuple[Model, float]:
    """A model of a task, learned for so many minutes of a processor, or as it was kept."""
    place = FOLDER / f"{name}{'-' * bool(column)}{column}-{seed}.given"
    if again and place.exists():
        model = given.load(place)
        return model, model.facts["fit"]["cpu_seconds"]
    own = task_named(name).own
    rows = own.read(data) if not column else Renamed(data.only(["map", column]), column)
    model = own.model(rows, seed=seed)
    learning, before = Model(model.joint.declared[-1]) if name in TOLD else model, 0.0
    parts = getattr(own, "parts", lambda _: {})(model)
    done = (partial(given.verbs.fit_apart, model, rows, parts) if parts else partial(learning.fit, rows))(
        seed=seed, cpu_seconds=60 * minutes, threads=1, bfloat16=True, progress=False, **own.TRAINING | {"held_out": 0})
    if name in TOLD:  # the things of a picture are learned once, for all that is told of them
        while not (FOLDER / "detect-things").exists():
            time.sleep(5)
        things = given.load(FOLDER / "detect-things")
        model.joint.declared[0].load_state_dict(things.joint.declared[0].state_dict())
        before = things.facts["fit"]["cpu_seconds"]
    model.facts |= {"fitted": True, "fit": learning.facts["fit"] | {"cpu_seconds": done.cpu_seconds + before}}
    model.save(place)
    print(f"{place}: {done.steps} steps in {done.cpu_seconds:.0f} CPU-s", flush=True)
    return model, model.facts["fit"]["cpu_seconds"]


class Renamed(given.sources.Source):
    """Maps beside pictures of a column, called `picture`."""

    def __init__(self, source: Scenes, column: str) -> None:
        self.source, self.column, self.n = source, column, source.n

    @property
    def names(self) -> tuple[str, ...]:
        return ("map", "picture")

    def of_epoch(self, seed: int, number: int) -> Renamed:
        return Renamed(self.source.of_epoch(seed, number), self.column)

    def batches(self, size: int) -> Any:
        return (Columns({"map": rows["map"], "picture": rows[self.column]}) for rows in self.source.batches(size))


class Judge:
    """What stands in pictures, by a net that learned maps."""

    def __init__(self, column: str = "picture") -> None:
        self.model = given.load(FOLDER / f"segment-{column}-100.given")

    def maps(self, pictures: np.ndarray) -> np.ndarray:
        return np.concatenate([segment.segmented(self.model, pictures[i:i + 100]) for i in range(0, len(pictures), 100)])

    def things(self, pictures: np.ndarray) -> list[dict[int, np.ndarray]]:
        """Of every picture its classes, and the mean place of each."""
        found = []
        for one in self.maps(pictures):
            counts = np.bincount(one.ravel(), minlength=len(CLASSES))
            found.append({int(k): np.argwhere(one == k).mean(0) for k in np.flatnonzero(counts >= LEAST) if k})
        return found

    def agrees(self, pictures: np.ndarray, stated: list[Statement]) -> float:
        """The share of pictures that show just what is stated, in the relation that is."""
        return float(np.mean([shows(seen, said) for seen, said in zip(self.things(pictures), stated, strict=True)]))


def shows(seen: dict[int, np.ndarray], said: Statement) -> bool:
    """Whether things at places are those stated, in the relation that is."""
    if sorted(seen) != sorted(said.things):
        return False
    if said.relation is None:
        return True
    a, how, b = said.relation
    dy, dx = seen[b] - seen[a]
    return how == ((0 if dx > 0 else 1) if abs(dx) > abs(dy) else (2 if dy > 0 else 3))


def rows_of(n: int, unseen: bool = True) -> tuple[Columns, Factors]:
    """Rows to judge by, and their factors."""
    data = Scenes(n, seed=3 if unseen else 4, unseen=unseen)
    each = [*data.factors()]
    return next(data.batches(n)), Factors(**{name: np.concatenate([vars(f)[name] for f in each]) for name in vars(each[0])})


def known_rows(names: list[str]) -> Columns:
    """Rows to learn from, among which baselines look."""
    return next(Scenes(KNOWN, columns=names).batches(KNOWN))


def text_to_image(model: Model, own: Any) -> dict[str, Row]:
    judge, table = Judge(), dict[str, Row]()
    for unseen in (True, False):
        rows, _ = rows_of(SOME, unseen)
        stated, what = [stated_in(c) for c in rows["caption"].tolist()], "unseen relations" if unseen else "seen relations"
        began = time.process_time()
        drawn = own.drawn(model, rows)
        seconds = time.process_time() - began
        if unseen:
            known = known_rows(["picture", "caption"])
            table["picture of the nearest caption"] = {what: judge.agrees(
                known["picture"][nearest_rows(rows, known, {"caption": Text})], stated)}
            table["picture of other rows"] = {what: judge.agrees(np.roll(rows["picture"], 1, 0), stated)}
            save_sheet("text-to-image", by_bayes(model, own, rows.rows(slice(32)), BEST))
        turned = by_bayes(model, own, rows, BEST)
        for name, pictures in (("model", drawn), (f"of {BEST} draws of boxes, the one that the caption suits best", turned),
                               ("the renderer itself", rows["picture"])):
            table.setdefault(name, {})[what] = judge.agrees(pictures, stated)
        table["model"]["CPU-s a draw"] = seconds / SOME
    return table


def by_bayes(model: Model, own: Any, rows: Columns, n: int) -> np.ndarray:
    """Pictures of boxes drawn from p(boxes | caption), of n draws those with the largest p(caption | things), where things are
    those of the boxes: Bayes' rule by one of many draws, as likely before as their proposal has them."""
    first, second = (Model(factor) for factor in model.joint.declared)
    telling = Model(given.load(FOLDER / "caption-0.given").joint.declared[1])
    drawn = first.given(caption=rows["caption"]).sample(n, seed=1)["boxes"]
    told = np.stack([telling.log_prob(caption=rows["caption"], things=listed([things_of(b) for b in each])) for each in drawn])
    best = listed([drawn[k, row] for row, k in enumerate(told.argmax(0))])
    found = np.asarray(second.given(boxes=best).sample(seed=0, how=own.how(2.0))["picture"])
    return found.reshape(rows.n, *found.shape[-3:])


def things_of(boxes: list[Any]) -> list[tuple[Any, ...]]:
    """What boxes hold, of a texture that captions do not say."""
    found = []
    for name, left, top, right, bottom in boxes:
        colour, shape = name.split()
        radius = float(np.clip((right - left) / 2 / REACH[shape], 4.25, 6.95))
        y = bottom - 0.55 * radius if shape == "triangle" else (top + bottom) / 2
        found.append((shape, colour, float(np.clip((left + right) / 2, 5, 27)), float(np.clip(y, 5, 27)), radius, "plain"))
    return found


def listed(rows: list[Any]) -> np.ndarray:
    """(n,) lists."""
    found = np.empty(len(rows), dtype=object)
    found[:] = rows
    return found


def true_of(said: list[str], f: Factors) -> Row:
    """The share of captions whose statements are all true, and of those that leave nothing out, too."""
    found = []
    for row, caption in enumerate(said):
        stated, kinds = stated_in(caption), f.kind[row, :f.count[row]].tolist()
        true = stated is not None and all(kind in kinds for kind in stated.things)
        if true and stated is not None and stated.relation is not None:
            a, how, b = stated.relation
            true = a != b and bool(f.relations[row, kinds.index(a), kinds.index(b)] == how)
        found.append((true, true and stated is not None and sorted(stated.things) == sorted(kinds)))
    true, whole = np.mean(found, 0).tolist()
    return {"all statements true": true, "and nothing left out": whole}


def caption(model: Model, own: Any) -> dict[str, Row]:
    rows, f = rows_of(N)
    seen, g = rows_of(N, False)
    known = known_rows(["picture", "caption"])
    constant = Counter(known["caption"].tolist()).most_common(1)[0][0]
    near = known["caption"][nearest_pictures(rows["picture"], known["picture"])]
    return {"most frequent caption": true_of([constant] * N, f), "of the nearest picture": true_of(near.tolist(), f),
            "model": true_of(own.said(model, rows).tolist(), f),
            "model, seen relations": true_of(own.said(model, seen).tolist(), g),
            "the caption itself": true_of(rows["caption"].tolist(), f)}


def ask(model: Model, own: Any) -> dict[str, Row]:
    return _worded(model, own, "answer", lambda a, b: a == b, "right")


def converse(model: Model, own: Any) -> dict[str, Row]:
    return _worded(model, own, "reply", lambda a, b: words_in(a) == words_in(b), "true")


def _worded(model: Model, own: Any, text: str, same: Callable[[str, str], bool], what: str) -> dict[str, Row]:
    rows, _ = rows_of(N)
    known = known_rows(["picture", text])
    constant = Counter(known[text].tolist()).most_common(1)[0][0]
    near = known[text][nearest_pictures(rows["picture"], known["picture"])]
    blind = own.model(own.read(Scenes(KNOWN)), seed=0, blind=True)
    blind.fit(Scenes(KNOWN), cpu_seconds=60, threads=1, progress=False, **own.TRAINING | {"held_out": 0})
    each = {"most frequent": [constant] * N, "of the nearest picture": near.tolist(),
            "without the picture, 60 CPU-s": own.said(blind, rows).tolist(), "model": own.said(model, rows).tolist()}
    return {name: {what: float(np.mean([same(a, b) for a, b in zip(said, rows[text].tolist(), strict=True)]))}
            for name, said in each.items()}


def segmented(model: Model, own: Any) -> dict[str, Row]:
    table, known = dict[str, Row](), known_rows(["picture", "map"])
    classes = np.bincount(known["map"].ravel(), minlength=len(CLASSES))
    for unseen in (False, True):
        rows, _ = rows_of(N, unseen)
        near = known["map"][nearest_pictures(rows["picture"], known["picture"])]
        what = ", unseen relations" * unseen
        each = {"all background": np.full_like(rows["map"], classes.argmax()), "map of the nearest picture": near,
                "model": segment.segmented(model, rows["picture"])}
        for name, maps in each.items():
            table.setdefault(name, {})[f"mean IoU{what}"] = segment.mean_iou(rows["map"], maps)
            table[name][f"right pixels{what}"] = float((rows["map"] == maps).mean())
    return table


def draw(model: Model, own: Any) -> dict[str, Row]:
    judge, (rows, f) = Judge(), rows_of(SOME)
    known, drawn = known_rows(["picture", "map"]), own.drawn(model, rows)
    near = known["picture"][nearest_rows(rows, known, {"map": LabelMap})]
    after = given.sources.scenes.scene_maps(moved(f))
    edits = np.concatenate([own.edited(model, *each)[:1] for each in zip(rows["picture"], rows["map"], after, strict=True)
                            if (each[1] != each[2]).any()][:100])
    kept = [i for i in range(SOME) if (rows["map"][i] != after[i]).any()][:100]
    away = np.stack([far(rows["map"][i] != after[i]) for i in kept])
    changed = (np.abs(edits.astype(int) - rows["picture"][kept]).max(-1) > 4)[away].mean()
    direct, turned = both_ways(model, judge.model, rows["picture"][kept][:60], rows["map"][kept][:60], after[kept][:60])
    save_sheet("draw", np.concatenate([rows["picture"][kept][:16], edits[:16]]))
    return {"picture of the nearest map": {"mean IoU": segment.mean_iou(rows["map"], judge.maps(near))},
            "which of two maps a picture has, by the judge": {"right": direct},
            "the same by Bayes' rule, from this model": {"right": turned},
            "model": {"mean IoU": segment.mean_iou(rows["map"], judge.maps(drawn)),
                      "mean IoU, edited": segment.mean_iou(after[kept], judge.maps(edits)),
                      "pixels away from the edit that change": float(changed)},
            "the renderer itself": {"mean IoU": segment.mean_iou(rows["map"], judge.maps(rows["picture"]))}}


def both_ways(drawing: Model, naming: Model, pictures: np.ndarray, true: np.ndarray, other: np.ndarray) -> tuple[float, ...]:
    """How often the true map of a picture is likelier than another with a thing of another colour: by p(map | picture), and
    by p(picture | map) where both maps are as likely before."""
    each = ((naming.log_prob(picture=pictures, map=true), naming.log_prob(picture=pictures, map=other)),
            (drawing.log_prob(picture=pictures, map=true), drawing.log_prob(picture=pictures, map=other)))
    return tuple(float((a > b).mean()) for a, b in each)


def moved(f: Factors) -> Factors:
    """The scenes with the first thing of another colour."""
    return Factors(**{**vars(f), "colour": np.where(np.arange(3) == 0, (f.colour + 3) % 8, f.colour)})


def far(changed: np.ndarray, margin: int = 3) -> np.ndarray:
    """Pixels that lie further from what was changed."""
    near = [np.roll(changed, (i, j), (0, 1)) for i in range(-margin, margin + 1) for j in range(-margin, margin + 1)]
    found: np.ndarray = ~np.any(near, 0)
    return found


def restyle(model: Model, own: Any) -> dict[str, Row]:
    judge, (rows, _) = Judge("styled"), rows_of(SOME)
    styles = {style: _styled_mean(style) for style in given.sources.scenes.STYLES}
    drawn = own.drawn(model, rows)
    save_sheet("restyle", np.concatenate([rows["picture"][:16], drawn[:16], rows["styled"][:16]]))
    return {name: {"style right": float(np.mean(named(pictures, styles) == rows["style"])),
                   "content kept, mean IoU": segment.mean_iou(rows["map"], judge.maps(pictures))}
            for name, pictures in (("the picture itself", rows["picture"]), ("model", drawn),
                                   ("the renderer itself", rows["styled"]))}


def _styled_mean(style: str) -> np.ndarray:
    """Features of a style: of scenes to learn from, mean and covariance."""
    rows = known_rows(["style", "styled"])
    return features(rows["styled"][rows["style"] == style])


def features(pictures: np.ndarray) -> np.ndarray:
    """(n, 9) what tells styles apart: levels, their spread, and how far neighbours are apart, in pairs of columns too."""
    x = pictures.astype(np.float64) / 255
    across = np.abs(np.diff(x, axis=2))
    return np.concatenate([x.mean((1, 2)), np.median(x, (1, 2)), x.std((1, 2)).mean(1)[:, None],
                           across[:, :, ::2].mean((1, 2, 3))[:, None], across[:, :, 1::2].mean((1, 2, 3))[:, None]], 1)


def named(pictures: np.ndarray, styles: dict[str, np.ndarray]) -> np.ndarray:
    """The style of every picture, by boosted trees on features."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    x, y = np.concatenate([*styles.values()]), np.repeat([*styles], [len(v) for v in styles.values()])
    found: np.ndarray = HistGradientBoostingClassifier(random_state=0).fit(x, y).predict(features(pictures))
    return found


def edit(model: Model, own: Any) -> dict[str, Row]:
    judge, (rows, _) = Judge(), rows_of(SOME)
    drawn, true = own.drawn(model, rows), judge.things(rows["edited"])
    changed = np.abs(rows["edited"].astype(int) - rows["picture"]).max(-1) > 0
    away = np.stack([far(c, 2) for c in changed])
    save_sheet("edit", np.concatenate([rows["picture"][:16], drawn[:16], rows["edited"][:16]]))
    table = dict[str, Row]()
    for name, pictures in (("the picture itself", rows["picture"]), ("model", drawn), ("the renderer itself", rows["edited"])):
        made = [sorted(a) == sorted(b) and all(np.hypot(*(a[k] - b[k])) < 2.5 for k in a)
                for a, b in zip(judge.things(pictures), true, strict=True)]
        off = np.abs(pictures.astype(int) - rows["picture"]).max(-1)
        table[name] = {"change made, rest kept": float(np.mean(made)), **{
            f"other pixels off by more than {k}": float((off > k)[away].mean()) for k in (4, 8, 16)}}
    return table


def save_sheet(name: str, pictures: np.ndarray, columns: int = 16, times: int = 3) -> None:
    """Pictures in rows, three times as large, in docs/pictures."""
    from PIL import Image

    n = len(pictures) // columns
    side = pictures.shape[1]
    sheet = pictures[:n * columns].reshape(n, columns, side, side, 3).swapaxes(1, 2).reshape(n * side, columns * side, 3)
    place = Path(__file__).parent.parent / "docs" / "pictures" / f"{name}.png"
    Image.fromarray(sheet).resize((columns * side * times, n * side * times), 0).save(place, optimize=True)


def printed(table: dict[str, Row]) -> list[list[str]]:
    """A table of rows by name."""
    what = list(dict.fromkeys(name for row in table.values() for name in row))
    return [["row", *what], *([name, *(f"{row[w]:.3f}" if w in row else "" for w in what)] for name, row in table.items())]


JUDGED: dict[str, Callable[[Model, Any], dict[str, Row]]] = {
    "text-to-image": text_to_image, "caption": caption, "ask": ask, "converse": converse, "segment": segmented, "draw": draw,
    "restyle": restyle, "edit": edit}

if __name__ == "__main__":
    main()
