"""Finance: the S&P 500's daily returns, nats a day and value at risk on the last fifth, draws beside data, an option, a rule.

    GIVEN_DATA=... python benchmarks/finance.py            # about four CPU-minutes; appends to RESULTS.md, draws docs/pictures/
    GIVEN_DATA=... python benchmarks/finance.py --print    # prints only

Rows by `arch` (PyPI), where it can be imported, are fitted in the same run to the same days. Every row is chosen by the fifth
before the last, learned from what is before it; then all are learned from the first four fifths, and each day of the last is
judged once, given all days before it. "Yearly" rows are learned again every 252 days from all days before.
"""

from __future__ import annotations

import argparse
import gzip
import math
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from record import ROOT, append

import given
from given.distributions import SkewedStudent, Volatility
from given.evaluate import backtest, crossing, holm, pinball, serial_error, sharpe
from given.families import GARCH, RealizedGARCH
from given.infer import black_scholes, european
from given.sources import Columns
from given.sources.kinds import items
from given.tasks import finance
from given.tasks.finance import Days

PATHS = 20
Fit = Callable[[int], Days]  # days learned from -> what is predicted of all days


def law_of(df: float, skew: float, loc: np.ndarray, scale: np.ndarray) -> SkewedStudent:
    parts = (torch.as_tensor(v, dtype=torch.float64) for v in (df, skew, loc, scale))
    return SkewedStudent(*torch.broadcast_tensors(*parts), validate_args=False)


def normal(returns: np.ndarray) -> Fit:
    def fit(n: int) -> Days:
        ones = np.ones_like(returns)
        return Days(returns, law_of(1e8, 0.0, returns[:n].mean() * ones, returns[:n].std() * ones))

    return fit


def ours(data: Columns, family: Callable[..., given.conditional.Conditional], block: str) -> Fit:
    names = block.split(", ")

    def fit(n: int) -> Days:
        learned = Columns({name: items(data[name][0][:n], [n]) for name in names})
        return finance.days(model_of(learned, family, block), data)

    return fit


def model_of(learned: Columns, family: Callable[..., given.conditional.Conditional], block: str,
             window: int = 8192) -> given.Model:
    codecs = {name: given.codecs.Series(given.codecs.IdentityCodec(given.variables.Real()), window=window)
              for name in block.split(", ")}
    model = given.model(f"p({block})", learned, codecs=codecs, families={block: family})
    model.fit(learned, held_out=0, progress=False)
    return model


def theirs(returns: np.ndarray, mean: str, volatility: str, dist: str) -> Fit:
    from arch import arch_model

    made = partial(arch_model, mean=mean, lags=1 if mean == "AR" else 0, dist=dist, rescale=False,
                   vol="EGARCH" if volatility == "EGARCH" else "GARCH", o=int(volatility != "GARCH"))

    def fit(n: int) -> Days:
        found = made(returns[:n]).fit(disp="off", show_warning=False)
        whole = made(returns).fix(found.params)
        loc, scale = returns - whole.resid, whole.conditional_volatility
        if mean == "AR":  # arch leaves the first day out
            loc[0], scale[0] = found.params["Const"] / (1 - found.params.iloc[1]), returns[:n].std()
        params = found.params
        return Days(returns, law_of(params["nu" if dist == "t" else "eta"], params.get("lambda", 0.0), loc, scale))

    return fit


def yearly(fit: Fit, first: int, days: int) -> Days:
    """What is predicted of the days from the first on, learned again every 252 days; the days before are of the first."""
    parts = [fit(n) for n in range(first, days, 252)]
    law, returns = parts[0].law, parts[0].returns
    joined = [torch.cat([getattr(law, name)[:first], *(getattr(p.law, name)[first + 252 * i:first + 252 * (i + 1)]
                                                       for i, p in enumerate(parts))])
              for name in ("df", "skew", "loc", "scale")]
    return Days(returns, SkewedStudent(*joined, validate_args=False))


def agreement(returns: np.ndarray, n: int) -> str:
    """How far arch's log-likelihood of its own numbers, on the days learned from, is from ours."""
    from arch import arch_model

    found = arch_model(returns[:n], mean="Constant", vol="GARCH", o=1, dist="skewt", rescale=False).fit(disp="off")
    p, first = found.params, found.conditional_volatility[0] ** 2
    numbers = {"mean": p["mu"], "phi": 0.0, "omega": p["omega"], "alpha": p["alpha[1]"], "gamma": p["gamma[1]"],
               "beta": p["beta[1]"], "first": first, "df": p["eta"], "skew": p["lambda"]}
    mine = Volatility(**{k: torch.tensor([v], dtype=torch.float64) for k, v in numbers.items()})
    total = float(mine.each(torch.from_numpy(returns[:n])[None, :, None]).sum())
    return f"{total:.6f} and {found.loglikelihood:.6f} nats of {n} days, {abs(total - found.loglikelihood):.1e} apart"


def statistics(r: np.ndarray) -> dict[str, float]:
    """Of returns (days,): moments, tail indices, how the sizes of returns go on, and how they follow signs."""
    z, size = r - r.mean(), np.abs(r - r.mean())
    top = np.sort(size)[::-1][:len(r) // 20 + 1]

    def after(x: np.ndarray, k: int) -> float:
        return float(np.corrcoef(x[:-k], size[k:])[0, 1])

    return {"standard deviation, %": r.std(), "skewness": (z**3).mean() / r.std() ** 3,
            "kurtosis": (z**4).mean() / r.var() ** 2, "Hill's tail index, largest 5 %": 1 / np.log(top[:-1] / top[-1]).mean(),
            **{f"correlation of sizes, {k} days apart": after(size, k) for k in (1, 10, 50)},
            **{f"correlation of a return and the size {k} days after": after(r, k) for k in (1, 5, 20)}}


def risk_rows(name: str, held: Days, peer: Days) -> tuple[list[list[str]], float]:
    """A row a level: what fell below it, the tests, the pinball loss and how far it is from a peer's."""
    rows, tests = [], dict[str, float]()
    for level in finance.LEVELS:
        tested = backtest(held.returns, held.quantiles(level), level)
        tests |= {f"{level} {test}": p for test, p in tested.tests.items()}
        loss, other = (pinball(d.returns, d.quantiles(level), level) for d in (held, peer))
        apart = 1000 * (loss - other)
        rows.append([name, f"{level:.0%}", f"{tested.exceeded} of {tested.days}", f"{tested.exceeded / tested.days:.2%}",
                     *(f"{p:.3f}" for p in tested.tests.values()), "", f"{1000 * loss.mean():.2f}",
                     "" if held is peer else f"{apart.mean():+.2f} ± {1.96 * serial_error(apart):.2f}"])
    adjusted = holm(tests)
    for row, level in zip(rows, finance.LEVELS, strict=True):
        row[-3] = f"{min(p for test, p in adjusted.items() if test.startswith(f'{level} ')):.3f}"
    return rows, min(adjusted.values())


def option_rows(model: given.Model, data: Columns, spread: float) -> list[list[str]]:
    spot, days, rows = float(data["price"][0]), 63, []
    for seed in range(3):
        paths = model.forecast(data, days, n=10_000, seed=seed).paths["returns"][:, 0]
        for share in (0.9, 1.0, 1.1):
            for call in (True, False):
                found = european(paths, spot, share * spot, call=call)
                plain = black_scholes(spot, share * spot, days / 252, spread, call=call)
                rows.append([str(seed), "call" if call else "put", f"{share:.0%}", f"{found.price:.2f} ± {found.error:.2f}",
                             f"{plain:.2f}", f"{found.before:.4f} ± {found.before_error:.4f}",
                             f"{found.after:.4f} ± {found.after_error:.4f}",
                             f"{found.halted:.3%}"])
    return rows


def rule_rows(model: given.Model, data: Columns, test: int) -> list[list[str]]:
    """Sharpe ratios a year of a crossing of averages of 50 and 200 days and of holding, on the days held out, real and
    simulated from the day before them on."""
    returns = data["returns"][0]
    past = Columns({name: items(data[name][0][:test], [test]) for name in ("returns", "log_range")})
    paths = model.forecast(past, len(returns) - test, n=300).paths["returns"][:, 0]
    found = []
    for ahead in (returns[test:][None], paths):
        whole = np.concatenate([np.broadcast_to(returns[:test], (len(ahead), test)), ahead], 1)
        prices = np.exp(np.concatenate([np.zeros((len(whole), 1)), whole.cumsum(1)], 1) / 100)
        earned = np.expm1(ahead / 100)
        found.append((sharpe(crossing(prices)[:, test:] * earned), sharpe(earned)))
    (rule, hold), (rules, holds) = found
    rows = []
    for name, real, drawn in (("crossing, 50 and 200 days", rule, rules), ("bought and held", hold, holds),
                              ("crossing less held", rule - hold, rules - holds)):
        low, middle, high = np.quantile(drawn, [0.05, 0.5, 0.95])
        rows.append([name, f"{real[0]:+.2f}", f"{middle:+.2f}", f"{low:+.2f} to {high:+.2f}", f"{(drawn > 0).mean():.0%}"])
    return rows


def drawing(real: np.ndarray, drawn: np.ndarray) -> str:
    """Returns beside one draw; sizes that go on, sizes after signs, and tails, beside the middle nine tenths of all draws."""
    W, H, lags = 400, 150, np.arange(1, 101)
    parts, limit = [], float(np.abs(real).max())

    def box(i: int, j: int, title: str, low: float, high: float) -> Callable[[np.ndarray, np.ndarray], str]:
        x0, y0 = 46 + i * (W + 60), 24 + j * (H + 44)
        parts.append(f'<text x="{x0}" y="{y0 - 7}">{title}</text><rect x="{x0}" y="{y0}" width="{W}" height="{H}" fill="none" '
                     f'stroke="#8886"/>' + "".join(f'<text x="{x0 - 4}" y="{y}" text-anchor="end">{v:.3g}</text>'
                                                   for y, v in ((y0 + 10, high), (y0 + H, low))))
        if low < 0 < high:
            zero = y0 + H * high / (high - low)
            parts.append(f'<path d="M{x0} {zero:.1f}H{x0 + W}" stroke="#8886"/>')
        return lambda x, y: " ".join(f"{x0 + W * a:.1f},{y0 + H * (1 - (b - low) / (high - low)):.1f}"
                                     for a, b in zip(x, np.clip(y, low, high), strict=True))

    for j, (name, r, colour) in enumerate((("returns, %, of the days learned from", real, "#777"),
                                           ("a draw of as many days", drawn[0], "#2a7ae2"))):
        at = box(0, j, name, -limit, limit)
        parts.append(f'<polyline points="{at(np.linspace(0, 1, len(r)), r)}" fill="none" stroke="{colour}" stroke-width=".6"/>')

    def curves(r: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        z, size = r - r.mean(), np.abs(r - r.mean())
        both = [np.array([np.corrcoef(x[:-k], size[k:])[0, 1] for k in lags]) for x in (size, z)]
        return both[0], both[1], np.log10(np.quantile(size, 1 - np.logspace(-0.5, -3.5, 100)))

    mine, each = curves(real), [curves(r) for r in drawn]
    names = ("correlation of sizes, 1 to 100 days apart", "correlation of a return and sizes 1 to 100 days after",
             "log10 of the size exceeded by 1 of 3 to 1 of 3,000 days")
    for k, (name, place) in enumerate(zip(names, ((1, 0), (1, 1), (0, 2)), strict=True)):
        bands = np.quantile(np.stack([c[k] for c in each]), [0.05, 0.95], axis=0)
        low, high = min(mine[k].min(), bands.min(), 0), max(mine[k].max(), bands.max(), 0)
        at, x = box(*place, name, float(low), float(high)), np.linspace(0, 1, 100)
        parts.append(f'<polygon points="{at(x, bands[0])} {at(x[::-1], bands[1][::-1])}" fill="#2a7ae2" opacity=".3"/>'
                     f'<polyline points="{at(x, mine[k])}" fill="none" stroke="#444" stroke-width="1.4"/>')
    parts.append(f'<text x="{106 + W}" y="{44 + 2 * (H + 44)}">grey: the data; blue: draws, in bands the middle 90 % of '
                 f'{len(drawn)}</text>')
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * W + 130} {3 * (H + 44) + 10}" font-family="sans-serif" '
            f'font-size="11" fill="#444"><rect width="100%" height="100%" fill="white"/>{"".join(parts)}</svg>\n')


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--print", action="store_true", help="write no record and no picture")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    tables, facts = measured(pictures=not asked.print)
    for title, table in tables.items():
        print(f"\n{title}", *(" | ".join(row) for row in table), sep="\n", flush=True)
    if not asked.print:
        append("finance", tables, facts)


def measured(*, pictures: bool) -> tuple[dict[str, list[list[str]]], dict[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sp500.csv"
        path.write_bytes(gzip.decompress((Path(os.environ["GIVEN_DATA"]) / "series" / "sp500.csv.gz").read_bytes()))
        data = finance.read(path)
    returns, facts = np.asarray(data["returns"][0]), {"threads": "1"}
    n = len(returns)
    test, valid = int(0.8 * n), int(0.64 * n)
    plain = partial(GARCH, leverage=False, skewed=False, autoregression=False)
    rows: dict[str, tuple[str, Fit]] = {"one normal": ("nothing", normal(returns))}
    try:
        for name, *asked in (("arch: GARCH, t", "Constant", "GARCH", "t"), ("arch: GJR, skewed t", "Constant", "GJR", "skewt"),
                             ("arch: GJR, skewed t, AR(1)", "AR", "GJR", "skewt"),
                             ("arch: EGARCH, skewed t, AR(1)", "AR", "EGARCH", "skewt")):
            rows[name] = ("returns before", theirs(returns, *asked))
        facts["arch, GJR, by both codes"] = agreement(returns, test)
    except ImportError:
        facts["arch"] = "not installed, its rows left out"
    rows |= {"GARCH, t": ("returns before", ours(data, plain, "returns")),
             "GARCH: GJR, skewed t": ("returns before", ours(data, partial(GARCH, autoregression=False), "returns")),
             "GARCH: GJR, skewed t, AR(1)": ("returns before", ours(data, GARCH, "returns")),
             "RealizedGARCH": ("returns and ranges before", ours(data, RealizedGARCH, "returns, log_range"))}
    lines, held, best = [], dict[str, Days](), ("", -math.inf)
    for name, (given_what, fit) in rows.items():
        began = time.process_time()
        chosen_by = fit(valid).log_p[valid:test].mean()
        best = max(best, (name, float(chosen_by)), key=lambda each: each[1])
        held[name] = fit(test).after(test)
        lines.append([name, given_what, f"{chosen_by:.4f}", f"{held[name].log_p.mean():.4f}", "", "",
                      f"{time.process_time() - began:.1f}"])
    peer = next(name for name in ("arch: GJR, skewed t, AR(1)", "GARCH: GJR, skewed t, AR(1)") if name in held)
    for line in lines:
        apart = held[line[0]].log_p - held[peer].log_p
        line[4] = "" if line[0] == peer else f"{apart.mean():+.4f} ± {1.96 * serial_error(apart):.4f}"
        again = yearly(rows[line[0]][1], test, n).after(test)
        held[f"{line[0]}, yearly"], line[5] = again, f"{again.log_p.mean():.4f}"
    facts["chosen on the fifth before"] = best[0]
    risks = [row for name in (peer, best[0], f"{peer}, yearly", f"{best[0]}, yearly")
             for row in risk_rows(name, held[name], held[peer + ", yearly" * name.endswith("yearly")])[0]]
    both = "returns", "log_range"
    past = Columns({name: items(data[name][0][:test], [test]) for name in both})
    model, short = (model_of(past, RealizedGARCH, ", ".join(both), window) for window in (8192, 512))
    drawn = np.stack([np.asarray(r) for r in model.sample(PATHS, length=test)["returns"]])
    mine, each = statistics(returns[:test]), [statistics(r) for r in drawn]
    shown = [[k, f"{v:.3f}", f"{np.mean([e[k] for e in each]):.3f}",
              "{:.3f} to {:.3f}".format(*np.quantile([e[k] for e in each], [0.05, 0.95]))] for k, v in mine.items()]
    if pictures:
        (ROOT / "docs" / "pictures" / "finance.svg").write_text(drawing(returns[:test], drawn))
    return {
        f"S&P 500, nats a day, last fifth, {n - test} days": [
            ["model", "given", "fifth before", "last fifth", f"less {peer}, with 95 %", "learned again yearly", "CPU-s"],
            *lines],
        "Value at risk, last fifth": [
            ["model", "level", "below", "share", "coverage", "independence", "both", "least by Holm", "pinball, thousandths",
             "less the peer's, with 95 %"], *risks],
        f"{PATHS} draws of {test} days beside the data learned from": [
            ["", "data", "draws, mean", "draws, middle 90 %"], *shown],
        "Options of 63 days, by 10,000 paths": [
            ["seed", "right", "strike", "price", "Black-Scholes", "discounted mean, simulated", "corrected", "left out"],
            *option_rows(short, data, float(returns[:test].std()) / 100 * 252**0.5)],
        "Sharpe ratios a year, the days held out": [
            ["rule", "real path", "300 simulated, median", "middle 90 %", "above 0"],
            *rule_rows(model, data, test)]}, facts


if __name__ == "__main__":
    main()
