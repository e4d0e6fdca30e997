"""quality_page: the quality and the privacy of synthetic rows as one self-contained HTML page, for wide and narrow screens."""

from __future__ import annotations

from collections.abc import Mapping

from given.evaluate.charts import intervals
from given.evaluate.discrimination import Estimate
from given.evaluate.page import bars, page, paragraph, table
from given.evaluate.privacy import Membership
from given.evaluate.quality import FRESH, INDEPENDENT, SYNTHETIC, Quality

__all__ = ["quality_page"]

_ROWS, _DRAWN = 15, 24  # of tables, and columns that are drawn
_COPIES = ("Copies are what a generator made too near to its data. That there are few does not make rows private: the distance "
           "to the closest record alone is no measure of privacy. A generator may give away that a person was among its data, "
           "or what their values are, without a single near copy; only a bound on what any one row can change, such as "
           "differential privacy, promises more than that some attacks failed.")


def quality_page(found: Quality) -> str:
    """The page."""
    sections = [("Can they be told from real rows?", _told(found)), ("Column by column", _marginals(found)),
                ("Pairs of columns", _pairs(found)), ("What are they worth to learn from?", _transfer(found)),
                ("Are rows copied?", _copies(found)), ("Can members be told?", _membership(found)),
                ("What was compared", _compared(found))]
    return page("Quality and privacy of synthetic rows", _lead(found), [(head, body) for head, body in sections if body])


def _lead(found: Quality) -> str:
    said = []
    if found.two_sample is not None:
        said.append(f"told from {found.two_sample.against} with AUC {found.two_sample.areas[SYNTHETIC].value:.2f}")
    said.append(f"{len(found.beyond_chance)} of {len(found.marginals)} columns differ by more than chance")
    said.append(f"{found.copied.equal.value:.1%} equal a row learned from")
    if found.membership is not None:
        worst = max(each.value for each in _attacks(found.membership).values())
        said.append(f"members told from others with AUC {worst:.2f}")
    sentence = "; ".join(said)
    return f"{found.rows['synthetic']:,} synthetic rows beside {found.rows['real']:,} real ones: {sentence}."


def _drawn(figures: Mapping[str, Estimate], names: Mapping[str, str], low: float, high: float, marks: list[tuple[float, str]],
           title: str) -> str:
    order = [who for who in (FRESH, SYNTHETIC, INDEPENDENT) if who in figures]
    rows = [(names.get(who, who), figures[who].value, figures[who].low, figures[who].high) for who in order]
    return intervals(rows, low, high, marks, title)


def _reason(found: Quality, part: str) -> str:
    return paragraph(f"Skipped: {found.skipped[part]}.") if part in found.skipped else ""


def _told(found: Quality) -> str:
    test = found.two_sample
    if test is None:
        return _reason(found, "two-sample test")
    low = min(0.45, *(area.low for area in test.areas.values()))
    ceiling = ("Fresh real rows are the ceiling: no synthetic rows can be told less. " if FRESH in test.areas else
               "Without held-out rows there is no ceiling measured; it is .5. ")
    warning = paragraph(f"Beware: {found.warning}.") if found.warning else ""
    return warning + _drawn(test.areas, {FRESH: "fresh real rows"}, low, 1.0, [(0.5, "not told"), (1.0, "told")],
                  f"AUC at which boosted trees tell rows from {test.against}, with 95 % intervals") + paragraph(
        f"{test.n:,} rows of each set, every row scored by trees of the other four fifths. {ceiling}Independent columns are "
        "the floor: each column is real and shuffled for itself, so that nothing between columns is right.")


def _marginals(found: Quality) -> str:
    order = sorted(found.marginals, key=lambda m: -m.value / max(m.chance, 1e-12))
    rows = [["column", "measure", "difference", "chance", "beyond"],
            *([m.column, m.measure, f"{m.value:.3f}", f"{m.chance:.3f}", "yes" if m.value > m.chance else "no"]
              for m in order[:_ROWS])]
    drawn = [bars(*found.shares[m.column], m.column, f"grey: real, blue: synthetic; {m.measure} {m.value:.3f}")
             for m in order[:_DRAWN]]
    more = "" if len(order) <= _ROWS else f" The {_ROWS} largest of {len(order)} are listed."
    return table(rows) + paragraph(
        "Difference: the largest one of two distribution functions (KS), or half the sum of the differences of shares (total "
        "variation); from 0 to 1. Chance: what it stays below 95 % of the time where both are draws of one distribution, at "
        f"these numbers of rows, so that one column in twenty is beyond it by chance.{more}") + (
        f'<div class="grid">{"".join(drawn)}</div>')


def _pairs(found: Quality) -> str:
    if not found.pairs.each:
        return ""
    rows = [["columns", "measure", "real", "synthetic", "difference"],
            *([" and ".join(p.columns), p.measure, f"{p.real:.3f}", f"{p.synthetic:.3f}", f"{p.difference:+.3f}"]
              for p in found.pairs.each[:_ROWS])]
    return table(rows) + paragraph(
        f"{len(found.pairs.each):,} pairs; on average associations differ by {found.pairs.mean:.3f}, where the rows of both "
        f"are dealt out at random by {found.pairs.chance:.3f}. Listed are those that differ most.")


def _transfer(found: Quality) -> str:
    part = found.transfer
    if part is None:
        return _reason(found, "train on synthetic, test on real")
    out = ""
    for measure, figures in part.measures.items():
        low = min(0.0 if measure == "R2" else 1.0, *(f.low for f in figures.values()))
        out += _drawn(figures, {}, low - 0.03, 1.0, [(1.0, "perfect")],
                      f"{measure} of boosted trees that predict {part.target}, by what they learned from, with 95 % intervals")
    chosen = f"{part.target} is the last column of two to ten categories. " if part.chosen else ""
    return out + paragraph(
        f"{chosen}Trees learn {part.target} from all other columns of {part.learned:,} rows, and are tested on {part.tested:,} "
        "held-out real rows. Learned from real rows is the ceiling; from independent columns, the mean of five shuffles, the "
        "floor.")


def _copies(found: Quality) -> str:
    c = found.copied
    rows = [["share of rows", "synthetic", "held-out"],
            ["equal to a row learned from", _percent(c.equal), _percent(c.equal_held_out)]]
    if c.near is not None:
        rows.append([f"within {c.distance:.4f} of a row learned from", _percent(c.near), _percent(c.near_held_out)])
    said = "" if c.near is None else (
        f"Distance is Gower's, over {c.asked:,} synthetic rows; {c.distance:.4f} is what 5 % of held-out rows are within of a "
        "row learned from. A larger share of synthetic rows within it says that some are copies. ")
    return table(rows) + _reason(found, "near copies") + paragraph(said + _COPIES)


def _attacks(part: Membership) -> dict[str, Estimate]:
    return {"by distance": part.nearest, "by density": part.density, "by density ratio": part.ratio}


def _membership(found: Quality) -> str:
    part = found.membership
    if part is None:
        return _reason(found, "membership attack")
    rows = [(name, each.value, each.low, each.high) for name, each in _attacks(part).items()]
    low = min(0.45, *(each[2] for each in rows))
    return intervals(rows, low, 1.0, [(0.5, "not told"), (1.0, "told")],
                     "AUC at which attacks tell members from held-out rows, with 95 % intervals") + paragraph(
        f"Members are rows learned from; {part.members:,} of them and {part.others:,} held-out rows are asked about. Attacks "
        "score a row by its nearest synthetic row, by its density under the synthetic rows (a kernel over Gower's distance), "
        "and by that density over the one under the other half of the held-out rows. At .5 they fail, which does not say that "
        "every attack would.")


def _compared(found: Quality) -> str:
    rows = [["rows", "number"], *([name.replace("_", "-"), f"{n:,}"] for name, n in found.rows.items())]
    held = paragraph(f"Held-out rows: {found.held_out}.") if found.held_out else ""
    gone = [["column", "left out"], *([name, why] for name, why in found.left_out.items())]
    return table(rows) + held + (f'<div class="reasons">{table(gone)}</div>' if found.left_out else "")


def _percent(figure: Estimate | None) -> str:
    return "-" if figure is None else f"{figure.value:.2%} [{figure.low:.2%}, {figure.high:.2%}]"
