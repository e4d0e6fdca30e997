"""The page of pictures: docs/pictures.md and RESULTS.md, of the rows that pictures.py has written."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
from record import ROOT, append, markdown

PAGE = ROOT / "docs" / "pictures.md"
LEAD = """# Digits by every family

p(image | label) of MNIST, 28 x 28 pixels of 256 levels, by every family that makes pictures here, on at most
{seconds} CPU-seconds of one thread to learn (a column says how many), from the first 55,000 training images. 1,000
digits are drawn, 100 of every label, and judged alike. What every number is stands below the table; how digits look,
at the end. Written by [pictures.py](../benchmarks/pictures.py), whose text says what is learned from, chosen on and judged by.
"""
MEANING = """- **named rightly**: how many draws a judge names by the label that they were drawn for. The judge is a small
  convolutional net that learned all training images and names {judge:.1%} of the test images rightly. One good
  picture a label, drawn again and again, would get 100 %, so the next three stand beside it.
- **recall**: the share of real images that have a draw about them, so that what is left out shows; at least .5 is
  asked for here.
- **precision**: the share of draws that have real images about them. "About" is within the distance of the fifth
  neighbour, in the judge's 64 features.
- **Fréchet**: how far apart the means and covariances of draws and of real images are, in the same features; 0 for
  two equal ones. The first line of the table is of 1,000 real images beside 1,000 others: no model can be expected
  below it.
- **copies**: draws that lie nearer to an image learned from than 95 % of held-out images do, and than half the way to
  that image's own nearest.
- **bits/dim**: -log2 p of a test image by its number of pixels: the fewer, the better; 8 for levels at random.
  *exact* is the number itself; a *bound* is at least it, so the truth may be better; an *estimate* has noise and the
  error of a solver. Families without a density have none.
- **CPU-s**: of one thread, to learn and to draw 1,000. Cores were shared, so those of drawing vary by some 10 %.
- **evaluations**: how often one draw goes through the net: the mean over the weights that it uses, where parts are
  used unequally.
"""
GUIDED = """A bold line is guided: the label weighs more in it than in what was learned, by the factor named. After ± stand
standard errors over seeds; of bits/dim of one seed, over images, whose levels are counted.
"""
CHOICE = """## How many steps, and how much guidance

A way to draw is chosen by 1,000 draws of another seed beside other held-out images than those reported: the highest
share named rightly of the ways with a recall of at least {recall} and a Fréchet distance of at most {floors} times
that between real images; where there is none, the way of the least distance. Unguided and guided ways are chosen
apart, and **bold** here. Guidance makes draws more like their label and less like one another: recall falls.
"""
COMMANDS = """## To make it again

```console
$ export GIVEN_DATA=data OMP_NUM_THREADS=1   # data/images/mnist.npz: x_train, y_train, x_test, y_test
{lines}
$ python benchmarks/pictures.py --page
```

A row is kept in [mnist.json](pictures/mnist.json); `--judge` in place of learning judges a saved model anew, and
`--quick` tries a family in a minute.
"""
KEYS = (("right", 3), ("recall", 2), ("precision", 2), ("frechet", 1), ("copies", 0), ("CPU-s", 1), ("passes", 0))
HEAD = ["named rightly", "recall", "precision", "Fréchet", "copies", "CPU-s to draw", "evaluations"]


def page(rows: Sequence[dict], order: Sequence[str]) -> None:
    """The page and the record.

    Args:
        rows: of mnist.json.
        order: of families, the trivial one first.
    """
    from pictures import FLOORS, RECALL

    for each in rows:
        if "chosen" not in each:
            print(f"{each['family']} {each['seed']}: no way was chosen; use --judge. The first is shown", file=sys.stderr)
    families = [[each for each in rows if each["family"] == name] for name in order]
    families = [mine for mine in families if mine]
    several = [mine for mine in families if len(mine[0]["ways"]) > 1]
    seconds = max(each["learned"] for each in rows)
    lines = "\n".join(f"$ python benchmarks/pictures.py {_quoted(each['family'])} --seed {each['seed']}{_less(each, seconds)}"
                      for each in rows)
    parts = [LEAD.format(seconds=f"{seconds:,.0f}"), "\n".join(markdown(table(families))),
             GUIDED if several else "",
             MEANING.format(judge=rows[0]["judge"]),
             CHOICE.format(recall=RECALL, floors=FLOORS), "\n".join(markdown(of_ways(several))), _copied(rows),
             "## What they draw\n\nThe first two draws of every label, by the way that was chosen, guided where it can be.",
             "\n\n".join(_strip(mine[0]) for mine in families if _strip(mine[0])),
             COMMANDS.format(lines=lines)]
    PAGE.write_text("\n\n".join(part.strip("\n") for part in parts if part).rstrip() + "\n")
    append("pictures", {"MNIST": table(families), "Ways": of_ways(several)}, {
        "threads": "1", "conditioned on": "label", "the judge on test images": f"{rows[0]['judge']:.4f}",
        "real against real, n = 1,000": ", ".join(f"{k} {v:.2f}" for k, v in rows[0]["floor"].items())})


def table(families: Sequence[Sequence[dict]]) -> list[list[str]]:
    """A line for real images, then one or two a family: as it is, and guided."""
    judge, floor = families[0][0]["judge"], families[0][0]["floor"]
    real = [f"{judge:.3f}", f"{floor['recall']:.2f}", f"{floor['precision']:.2f}", f"{floor['frechet']:.1f}"]
    lines = [["family", "drawn by", "seeds", *HEAD, "bits/dim", "kind", "CPU-s to learn", "weights"],
             ["real images", "", "", *real, *[""] * 7]]
    for mine in families:
        for what in _chosen(mine[0]):
            drawn = [each["ways"][_chosen(each).get(what, next(iter(each["ways"])))] for each in mine]
            bits = [each["bits"] for each in mine if what == "unguided" and "bits" in each]
            error = f" ± {bits[0]['error']:.3f}" if len(bits) == 1 else ""
            name = mine[0]["family"]
            lines.append([f"**{name}**" if what == "guided" else name, _chosen(mine[0])[what] or "its one way", str(len(mine)),
                          *_figures(drawn), _mean([b["value"] for b in bits], 3) + error if bits else "",
                          _kind(bits[0]) if bits else "" if what == "guided" else "none",
                          _mean([each["learned"] for each in mine], 0),
                          f"{mine[0]['weights']:,}" if mine[0]["weights"] else "counts"])
    return lines


def of_ways(families: Sequence[Sequence[dict]]) -> list[list[str]]:
    """A line for every way to draw of families that have several, fewest evaluations first."""
    lines = [["family", "drawn by", *HEAD]]
    for mine in families:
        picked = set(_chosen(mine[0]).values())
        ways = sorted(mine[0]["ways"], key=lambda way: (way.startswith("guided"), mine[0]["ways"][way]["CPU-s"]))
        for way in ways:
            drawn = [each["ways"][way] for each in mine if way in each["ways"]]
            lines.append([mine[0]["family"], f"**{way}**" if way in picked else way, *_figures(drawn)])
    return lines


def _kind(bits: dict) -> str:
    """Of a score, and of how many test images where these were not all that others were scored on."""
    return f"{bits['kind']}, {bits['images']} images" if "images" in bits else bits["kind"]


def _chosen(found: dict) -> dict[str, str]:
    return found.get("chosen", {"unguided": next(iter(found["ways"]))})


def _figures(drawn: Sequence[dict]) -> list[str]:
    return [_mean([each[key] for each in drawn], digits) if all(key in each for each in drawn) and (
        key != "passes" or drawn[0][key]) else "" for key, digits in KEYS]


def _mean(values: Sequence[float], digits: int) -> str:
    spread = f" ± {np.std(values, ddof=1) / len(values) ** 0.5:.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{spread}"


def _copied(rows: Sequence[dict]) -> str:
    """The copies among the draws of the ways that were chosen."""
    found = [f"- {each['family']}, seed {each['seed']}, {way}: " + ", ".join(
                 f"draw {i} of training image {j} (distance {far:.0f} levels)" for i, j, far in each["ways"][way]["copied"])
             for each in rows for way in _chosen(each).values() if each["ways"][way].get("copied")]
    return "Copies, the nearest ten of each:\n\n" + "\n".join(found) if found else "No draw of a chosen way is a copy."


def _strip(found: dict) -> str:
    name = f"pictures/mnist-{'-'.join(found['family'].split())}.png"
    way = [*_chosen(found).values()][-1]
    return f"**{found['family']}**{', ' * bool(way)}{way}\n\n![ten digits, twice, drawn by {found['family']}]({name})" * (
        PAGE.parent / name).exists()


def _less(found: dict, most: float) -> str:
    """The option that asks for the budget of a row, where others had more."""
    return f" --seconds {found['learned']:.0f}" if 1 < found["learned"] < 0.9 * most and found["weights"] else ""


def _quoted(name: str) -> str:
    return f'"{name}"' if " " in name else name
