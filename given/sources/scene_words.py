"""What is said of scenes: captions, questions and their answers, dialogues, edits; and whether what is said is true.

Wording varies; what is stated does not: a caption names the shape and colour of every thing, and how one stands to another.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from given.sources.scenes import BACKGROUNDS, CLASSES, COLOURS, RELATIONS, SHAPES, SIDE, TEXTURES, Factors

__all__ = ["Statement", "answers", "captions", "dialogues", "edits", "questions", "stated_in", "words_in"]

_NUMBERS = ("one", "two", "three")
_WORDINGS = (("left of", "to the left of"), ("right of", "to the right of"), ("above", "over"), ("below", "under"))
_NAMED = {word: number for number, words in enumerate(_WORDINGS) for word in words}
_KINDS = tuple(COLOURS)
_THING = re.compile(rf"\b({'|'.join(COLOURS)}) ({'|'.join(SHAPES)})\b")
_RELATED = re.compile("|".join(sorted(_NAMED, key=len, reverse=True)))
_KEYS = re.compile(rf"\b({'|'.join([*COLOURS, *SHAPES, *TEXTURES, *BACKGROUNDS, *_NUMBERS, 'yes', 'no'])})\b")
_STEP = 6.0  # pixels that an edit moves a thing by
_MOVES = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}


@dataclass(frozen=True)
class Statement:
    """What a caption states.

    Attributes:
        things: classes, numbers of `CLASSES`, in the order they are named.
        relation: the first class, how it stands to the second, a number of `RELATIONS`, and the second; None without.
    """

    things: tuple[int, ...]
    relation: tuple[int, int, int] | None


def _pick(rng: np.random.Generator, options: tuple[str, ...]) -> str:
    return options[int(rng.integers(len(options)))]


def _a(kind: int) -> str:
    name = CLASSES[kind]
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def captions(f: Factors, rng: np.random.Generator) -> np.ndarray:
    """(B,) a sentence a scene."""
    kinds, relations = f.kind.tolist(), f.relations
    found = []
    for row, count in enumerate(f.count.tolist()):
        first, second = f.stated[row].tolist()
        if count == 1:
            found.append(_pick(rng, ("{}", "there is {}", "{} alone", "just {}")).format(_a(kinds[row][0])))
            continue
        how = _pick(rng, _WORDINGS[relations[row, first, second]])
        both = _pick(rng, ("{a} {how} {b}", "there is {a} {how} {b}", "{how} {b} there is {a}", "{a} is {how} {b}")).format(
            a=_a(kinds[row][first]), b=_a(kinds[row][second]), how=how)
        if count == 3:
            other = _a(kinds[row][3 - first - second])
            both = _pick(rng, ("{both}, and {other}", "{both}, with {other}", "{other}, and {both}")).format(
                both=both, other=other)
        found.append(both)
    return np.array(found)


def stated_in(caption: str) -> Statement | None:
    """What a caption of such a form states, or None where it is of another."""
    things = [(m.start(), 1 + SHAPES.index(m[2]) * len(COLOURS) + _KINDS.index(m[1])) for m in _THING.finditer(caption)]
    related = [*_RELATED.finditer(caption)]
    if not things or len(things) > 3 or len(related) != (len(things) > 1):
        return None
    kinds = tuple(kind for _, kind in things)
    if len(things) == 1:
        return Statement(kinds, None)
    at, how = related[0].start(), _NAMED[related[0][0]]
    after = [kind for place, kind in things if place > at]
    before = [kind for place, kind in things if place < at]
    if "there is" in caption[at:]:  # above a blue ring there is a red cross
        return Statement(kinds, (after[1], how, after[0])) if len(after) > 1 else None
    return Statement(kinds, (before[-1], how, after[0])) if before and after else None


def _unique(values: list[int], count: int) -> list[int]:
    """The things whose value no other has."""
    return [i for i in range(count) if values[:count].count(values[i]) == 1]


def questions(f: Factors, rng: np.random.Generator) -> np.ndarray:
    """(B,) a question a scene, which the picture answers."""
    found = []
    for row, count in enumerate(f.count.tolist()):
        shapes, colours = f.shape[row].tolist(), f.colour[row].tolist()
        by_shape, by_colour = _unique(shapes, count), _unique(colours, count)
        open_kinds = ["count", "is there", "background"] + ["colour"] * 2 * bool(by_shape) + ["shape"] * 2 * bool(
            by_colour) + ["texture"] * bool(by_shape) + ["relation"] * 2 * (count > 1)
        kind = _pick(rng, tuple(open_kinds))
        if kind == "count":
            found.append(_pick(rng, ("how many things are there?", "how many objects do you see?")))
        elif kind == "background":
            found.append("what is the background?")
        elif kind == "is there":
            true = int(f.kind[row, rng.integers(count)])
            asked = true if rng.random() < 0.5 else int(rng.integers(1, len(CLASSES)))
            found.append(f"is there {_a(asked)}?")
        elif kind == "colour":
            found.append(f"what colour is the {SHAPES[shapes[by_shape[rng.integers(len(by_shape))]]]}?")
        elif kind == "shape":
            found.append(f"what shape is the {_KINDS[colours[by_colour[rng.integers(len(by_colour))]]]} thing?")
        elif kind == "texture":
            found.append(f"what texture has the {SHAPES[shapes[by_shape[rng.integers(len(by_shape))]]]}?")
        else:
            a, b = rng.permutation(count)[:2]
            true, other = int(f.relations[row, a, b]), int(rng.integers(len(RELATIONS)))
            how = _pick(rng, _WORDINGS[true if rng.random() < 0.4 else other])
            found.append(f"is the {CLASSES[f.kind[row, a]]} {how} the {CLASSES[f.kind[row, b]]}?")
    return np.array(found)


def answers(f: Factors, asked: np.ndarray) -> np.ndarray:
    """(B,) the true answers to questions, a word each."""
    return np.array([_answer(f, row, question) for row, question in enumerate(asked.tolist())])


def _answer(f: Factors, row: int, question: str) -> str:
    count = int(f.count[row])
    things = range(count)
    if question.startswith("how many"):
        return _NUMBERS[count - 1]
    if question.startswith("what is the background"):
        return [*BACKGROUNDS][f.background[row]]
    if question.startswith(("is there", "is the ")):
        kinds = [CLASSES.index(" ".join(m)) for m in _THING.findall(question)]
        mine = f.kind[row, :count].tolist()
        if len(kinds) == 1:
            return "yes" if kinds[0] in mine else "no"
        how = _RELATED.search(question)
        assert how is not None
        return "yes" if f.relations[row, mine.index(kinds[0]), mine.index(kinds[1])] == _NAMED[how[0]] else "no"
    word = re.findall(r"the (\w+)", question)[0]
    if question.startswith("what shape"):
        return SHAPES[next(f.shape[row, i] for i in things if _KINDS[f.colour[row, i]] == word)]
    at = next(i for i in things if SHAPES[f.shape[row, i]] == word)
    return TEXTURES[f.texture[row, at]] if question.startswith("what texture") else _KINDS[f.colour[row, at]]


def dialogues(f: Factors, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(B,) dialogues that end in a question, a line a turn, and (B,) their true replies, in sentences."""
    pairs = [_dialogue(f, row, count, rng) for row, count in enumerate(f.count.tolist())]
    return np.array([d for d, _ in pairs]), np.array([r for _, r in pairs])


def _dialogue(f: Factors, row: int, count: int, rng: np.random.Generator) -> tuple[str, str]:
    shapes, colours, kinds = f.shape[row].tolist(), f.colour[row].tolist(), f.kind[row].tolist()
    i = int(rng.integers(count))
    by_shape, by_colour = i in _unique(shapes, count), i in _unique(colours, count)
    if by_shape and (not by_colour or rng.random() < 0.5):
        turns, left = [f"is there a {SHAPES[shapes[i]]}?", "yes, there is."], "colour"
    elif by_colour:
        turns, left = [f"do you see something {_KINDS[colours[i]]}?", "yes, I do."], "shape"
    else:
        turns, left = ["what do you see?", f"among others, {_a(kinds[i])}."], ""
    asked = _pick(rng, ("texture", "where", "others", *([left] * 2 if left else [])))
    if asked == "colour":
        return "\n".join([*turns, "what colour is it?"]), f"it is {_KINDS[colours[i]]}."
    if asked == "shape":
        return "\n".join([*turns, "what shape is it?"]), f"it is a {SHAPES[shapes[i]]}."
    if asked == "texture":
        return "\n".join([*turns, "what texture has it?"]), f"it is {TEXTURES[f.texture[row, i]]}."
    others = [j for j in range(count) if j != i]
    if asked == "where" and others:
        j = others[int(rng.integers(len(others)))]
        how = _WORDINGS[f.relations[row, i, j]]
        turns += [f"there is {_a(kinds[j])} too.", "where is the first?"]
        return "\n".join(turns), f"it is {_pick(rng, how)} the {CLASSES[kinds[j]]}."
    said = " and ".join(_a(kinds[j]) for j in sorted(others, key=lambda j: f.x[row, j]))
    return "\n".join([*turns, "what else is there?"]), f"{said}." if said else "no, nothing else."


def words_in(reply: str) -> frozenset[str]:
    """What a reply states: its words for colours, shapes, textures, backgrounds and numbers, and relations."""
    return frozenset([*_KEYS.findall(reply), *(RELATIONS[_NAMED[how]] for how in _RELATED.findall(reply))])


def edits(f: Factors, rng: np.random.Generator) -> tuple[np.ndarray, Factors]:
    """(B,) what is to be changed of a scene, and the scenes after it."""
    after = Factors(**{name: values.copy() for name, values in vars(f).items()})
    found = []
    for row, count in enumerate(f.count.tolist()):
        i = int(rng.integers(count))
        name, taken = CLASSES[f.kind[row, i]], f.kind[row, :count].tolist()
        asked = _pick(rng, ("colour", "shape", "move", *["remove"] * (count > 1)))
        if asked == "remove":
            found.append(_pick(rng, ("remove the {}", "take the {} away")).format(name))
            order = [j for j in range(3) if j != i] + [i]
            for values in (after.shape, after.colour, after.texture, after.x, after.y, after.radius):
                values[row] = values[row, order]
            after.count[row] -= 1
        elif asked == "move":
            ways = [word for word, (dx, dy) in _MOVES.items()
                    if all(1.15 * f.radius[row, i] <= v <= SIDE - 1.15 * f.radius[row, i]
                           for v in (f.x[row, i] + _STEP * dx, f.y[row, i] + _STEP * dy))]
            word = _pick(rng, tuple(ways))
            found.append(f"move the {name} {word}")
            after.x[row, i] += _STEP * _MOVES[word][0]
            after.y[row, i] += _STEP * _MOVES[word][1]
        else:
            of, number = (after.colour, len(COLOURS)) if asked == "colour" else (after.shape, len(SHAPES))
            free = [v for v in range(number) if v != of[row, i] and 1 + (
                f.shape[row, i] * len(COLOURS) + v if asked == "colour" else v * len(COLOURS) + f.colour[row, i]) not in taken]
            of[row, i] = free[int(rng.integers(len(free)))]
            found.append(f"make the {name} {_KINDS[of[row, i]]}" if asked == "colour" else
                         f"turn the {name} into a {SHAPES[of[row, i]]}")
    return np.array(found), after
