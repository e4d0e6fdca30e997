"""What learning may cost, what it says in the end, and from which checkpoints it goes on."""

import json
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest
import torch

import given
from given.codecs import Integer
from given.families import (
    Autoregressive,
    Categorical,
    ChowLiuTree,
    Dequantised,
    Empirical,
    Ensemble,
    FlowMatching,
    Gaussian,
    GaussianMixture,
    NGram,
)
from given.lessons import Deadline, Solve
from given.nn import PixelCNN, PixelResNet, Transformer
from given.sources import Columns
from given.train import Judge, nested
from given.train.adamw import AdamW
from given.variables import UserError
from given.verbs.standing import Standing


def table(n=400, seed=0):
    rng = np.random.default_rng(seed)
    return Columns({"g": rng.choice(list("abc"), n), "x": rng.normal(size=n), "y": rng.normal(size=n)})


def learned(data, **options):
    model = given.model("p(g, x, y)", data)
    return model, model.fit(data, progress=False, **options)


# Judging


def test_samples_of_held_out_rows_are_nested_and_take_them_from_everywhere():
    rows = Columns({"x": np.arange(1000)})
    few, many = (nested(rows, most)["x"] for most in (50, 400))
    assert (few == many[:50]).all() and len(set(many.tolist())) == 400
    assert abs(many.mean() - 500) < 50 and (many != np.sort(many)).any()


def test_a_stream_is_sampled_as_memory_is():
    class Streamed(given.sources.Source):
        names = ("x",)

        def batches(self, size):
            yield from Columns({"x": np.arange(1000)}).batches(70)

    assert (nested(Streamed(), 60)["x"] == nested(Columns({"x": np.arange(1000)}), 60)["x"]).all()


@pytest.mark.parametrize("seconds, judged", [(10.0, 2), (0.01, 32)])
def test_two_rows_say_what_a_row_costs(seconds, judged):
    """Where no time is left 32 rows are judged all the same, unless two of them take longer than a moment."""
    rows, clock = given.Columns({"a": np.arange(100.0)}), [0.0]

    def score(some):
        clock[0] += seconds * some.n
        return given.Score(some["a"], "exact", "nats/item", "counting", columns=("a",))

    model = given.model("p(a)", rows, families={"a": Gaussian})
    assert Standing.of(model.joint, rows, score, score, lambda: -clock[0]).n == judged


def test_as_many_rows_are_judged_as_make_the_mean_precise():
    rng = np.random.default_rng(0)
    even, steep = (Columns({"g": rng.choice(list("abcd"), 4000, p=p)}) for p in ([.25] * 4, [.85, .05, .05, .05]))
    sizes = []
    for data in (even, steep):
        model = given.model("p(g)", data, families={"g": Categorical})
        model.fit(data, steps=200, held_out=0, lr=0.05, progress=False)
        judge = Judge(model.joint, data)
        judge.score()
        sizes.append(judge.size)
    assert sizes[0] < 256 < 2000 < sizes[1]


def test_later_evaluations_score_the_same_rows():
    data = table()
    model = given.model("p(g, x, y)", data)
    judge = Judge(model.joint, data, first=16)
    score = judge.score(lambda rows: rows <= 64)
    assert judge.size == 64 and judge.score() == score


@pytest.mark.parametrize("budget", [{"steps": 40}, {"cpu_seconds": 1.0}], ids=lambda b: next(iter(b)))
def test_judging_takes_a_small_share_of_a_budget(budget, monkeypatch):
    spent = []
    original = Judge.score

    def score(*args):
        began = time.process_time()
        value = original(*args)
        spent.append(time.process_time() - began)
        return value

    monkeypatch.setattr(Judge, "score", score)
    data = table(1500)
    learned(data, steps=2, held_out=0)
    model = given.model("p(g, x, y)", data)
    began = time.process_time()
    done = model.fit(data, held_out=table(4000, seed=1), patience=None, progress=False, **budget)
    whole = time.process_time() - began
    assert len(done.history) > 2 and sum(spent) < 0.2 * whole


def test_which_rows_are_judged_and_when_is_no_matter_of_time_under_steps(monkeypatch):
    data = table()
    quick, slow = learned(data, steps=40)[1], None
    original = Judge.score
    monkeypatch.setattr(Judge, "score", lambda *a: (time.sleep(0.02), original(*a))[1])
    slow = learned(data, steps=40)[1]
    assert quick.history == slow.history and len(quick.history) > 2


def test_evaluations_are_fewer_where_one_costs_more_than_its_share():
    data = table()
    few, many = (learned(data, steps=steps, patience=None)[1] for steps in (8, 110))
    assert len(few.history) <= 2 and few.history[-1][0] == 8 and len(many.history) > 20


def test_a_density_that_is_dear_is_scored_on_few_rows():
    rng = np.random.default_rng(0)
    data = Columns({"x": rng.normal(size=3000), "y": rng.normal(size=3000), "z": rng.normal(size=3000)})
    model = given.model("p(x, y, z)", data, families={"x, y, z": FlowMatching})
    began = time.process_time()
    done = model.fit(data, cpu_seconds=2, progress=False)
    assert time.process_time() - began < 2.4
    few, held = done.judged
    assert few < held and f"n = {few} of {held} held-out rows" in str(model.facts["scores"])


def test_what_is_counted_takes_its_time_from_the_budget(monkeypatch):
    data = table()

    class Slow(Autoregressive):
        def lessons(self):
            return [Solve(self._slowly), *super().lessons()]

        def _slowly(self, batches):
            until = time.process_time() + 0.8
            while time.process_time() < until:
                pass

    model = given.model("p(g, x, y)", data, families={"g, x, y": Slow})
    began = time.process_time()
    done = model.fit(data, cpu_seconds=1.2, progress=False)
    assert time.process_time() - began < 1.6 and done.cpu_seconds > 0.8


# What is counted or solved


def seconds():
    """A clock of its own, and a deadline of 10 s by it."""
    now = [0.0]
    return now, Deadline(lambda: 10 - now[0])


def test_as_many_iterations_are_begun_as_there_is_time_for():
    now, deadline = seconds()
    for _ in deadline.within(range(100)):
        now[0] += 3
    assert now[0] == 9 and deadline.met
    assert list(deadline.within("abc")) == list("abc"), "what costs nothing is not cut"
    now[0] = 11
    assert list(deadline.within("abc")) == ["a"], "the first is always made"
    never = Deadline()
    with never.part(1 / 3):
        assert list(never.within(range(5))) == [0, 1, 2, 3, 4] and never.left > 1e9 and not never.met


def test_a_part_of_a_deadline_leaves_the_rest_to_others():
    now, deadline = seconds()
    with deadline.part(1 / 2):
        assert deadline.left == 5
        with deadline.part(1 / 5):
            assert deadline.left == 1
        now[0] = 6
        assert deadline.left == -1
        with deadline.part(1 / 2):
            assert deadline.left == -1
    assert deadline.left == 4


def reals(n, d):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 2)) @ rng.normal(size=(2, d)) + rng.normal(size=(n, d)) * rng.choice([0.3, 1.5], (n, 1))
    return {f"x{i}": x[:, i] for i in range(d)}


def levels(n, values, side):
    return np.random.default_rng(0).integers(0, values, (n, side, side), dtype=np.uint8)


LONG = partial(GaussianMixture, components=8, tolerance=0.0)
SOLVED = {  # formula, columns, family, codecs; each takes some seconds when it may
    "stack": ("p(x0, x1, x2)", lambda: reals(6000, 3), None, {}),
    "GaussianMixture": ("p(x0, x1, x2)", lambda: reals(9000, 3), LONG, {}),
    "Dequantised": ("p(k)", lambda: {"k": np.arange(9000) ** 2 % 200}, partial(Dequantised, family=LONG), {"k": Integer()}),
    "Empirical": ("p(image)", lambda: {"image": levels(3000, 9, 4)}, partial(Empirical, smoothing="held-out"), {}),
    "Ensemble": ("p(x0, x1, x2)", lambda: reals(9000, 3), partial(Ensemble, families=(Gaussian, LONG)), {}),
    "ChowLiuTree": ("p(image)", lambda: {"image": levels(30_000, 16, 8)}, ChowLiuTree, {}),
    "NGram": ("p(text)", lambda: {"text": ["".join(map(chr, 97 + levels(100_000, 10, 2).ravel()))]},
              partial(NGram, order=30), {}),
}


@pytest.mark.parametrize("case", SOLVED)
def test_what_is_counted_or_solved_keeps_to_a_budget(case):
    formula, columns, family, codecs = SOLVED[case]
    data, left = given.read(columns()), formula[2:-1]
    model = given.model(formula, data, codecs=codecs, families={left: family} if family else {}, seed=0)
    began = time.process_time()
    done = model.fit(data, cpu_seconds=0.4, progress=False)
    took = time.process_time() - began
    assert took < 1.1 * 0.4 + 0.3, f"{took:.2f} s"  # and one iteration
    assert done.stopped == "budget" and model.facts["fit"]["cut_short"]
    drawn = model.sample(3, seed=0)
    assert np.isfinite(model.log_prob(drawn)).all()


def test_what_has_time_is_not_cut_short():
    data = Columns(reals(60, 2))
    model = given.model("p(x0, x1)", data, seed=0)
    done = model.fit(data, cpu_seconds=60, progress=False)
    assert done.stopped == "closed form" and not model.facts["fit"]["cut_short"]


# What is said in the end


def correlated(n=500):
    x = np.random.default_rng(0).normal(size=n)
    return Columns({"x": np.where(x > 0, x, 0), "y": np.where(x > 0, 2 * x, 0), "g": np.where(x > 0, "a", "b")})


def test_a_model_below_independent_columns_says_so_and_what_to_do(capsys):
    data = table()
    model = given.model("p(g, x, y)", data)
    done = model.fit(data, steps=1, progress=True)
    assert done.margin < 0 < done.margin_error and done.baseline == "independent columns"
    assert done.notice.startswith("worse than independent columns by ")
    assert "minutes=" in done.notice and "families=" in done.notice
    assert done.notice in capsys.readouterr().err
    assert model.facts["fit"]["margin"] == done.margin


def test_a_model_above_says_nothing(capsys):
    done = learned(correlated(), steps=60)[1]
    assert done.margin > 0 and not done.notice and "worse" not in capsys.readouterr().err


def test_the_margin_is_the_mean_difference_on_the_same_rows():
    data = table()
    model, done = learned(data, steps=1)
    train, held = model.split(data)
    apart = model.score(held).items - model.baseline(train)[1].score(held).items
    assert done.judged == (held.n, held.n)
    assert np.isclose(done.margin, apart.mean()) and np.isclose(done.margin_error, apart.std(ddof=1) / held.n**0.5)


def test_given_fit_says_so_in_the_words_of_the_line(tmp_path, capsys):
    from given.app.cli import main

    table().save(tmp_path / "t.csv")
    assert main(["fit", str(tmp_path / "t.csv"), "p(g, x, y)", "--steps", "1", "-o", str(tmp_path / "m")]) == 0
    out = capsys.readouterr().out
    assert "worse than independent columns by" in out and "--minutes" in out and "--family" in out and "minutes=" not in out


def dated(order):
    days = np.datetime64("2024-01-01") + np.arange(60)
    return Columns({"day": days[order], "x": np.random.default_rng(0).normal(size=60)})


def test_rows_in_the_order_of_time_are_said_to_be_learned_as_independent(tmp_path, capsys):
    from given.app.cli import main

    for order, said in ((np.arange(60), True), (np.random.default_rng(0).permutation(60), False)):
        data = dated(order)
        model = given.model("p(day, x)", data)
        model.fit(data, steps=1, progress=True)
        assert ("order, which is ignored" in capsys.readouterr().err) is said
        assert any(note.startswith("day: the rows stand in its order") for note in model.notes) is said
        data.save(tmp_path / "t.csv")
        for more in (["--dry-run"], ["--steps", "1", "-o", str(tmp_path / "m")]):
            main(["fit", str(tmp_path / "t.csv"), "p(day, x)", *more])
            assert ("order, which is ignored" in capsys.readouterr().out) is said


# Checkpoints


@pytest.mark.parametrize(("change", "said"), [
    ({"lr": 1e-3}, "another lr"), ({"batch": 16}, "another batch"), ({"seed": 1}, "another seed"),
    ({"muon": True}, "another muon"), ({"held_out": 0.2}, "another held_out")], ids=lambda c: str(c))
def test_a_checkpoint_of_another_call_is_refused(change, said, tmp_path):
    data = table()
    learned(data, steps=2, checkpoint=tmp_path / "c")
    with pytest.raises(UserError, match=said) as error:
        learned(data, steps=3, checkpoint=tmp_path / "c", resume=True, **change)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("other", "said"), [
    (table(399), "number of rows"),
    (Columns({**table(), "g": np.where(table()["g"] == "c", "z", table()["g"])}), "codec of g"),
    (Columns({**table(), "g": table()["g"][::-1]}), "column g"),
], ids=["fewer rows", "another category", "another order"])
def test_a_checkpoint_of_other_data_is_refused(other, said, tmp_path):
    learned(table(), steps=2, checkpoint=tmp_path / "c")
    with pytest.raises(UserError, match=f"this checkpoint was made with another {said}") as error:
        learned(other, steps=3, checkpoint=tmp_path / "c", resume=True)
    assert "\n" not in str(error.value)


def test_a_checkpoint_of_another_family_is_refused(tmp_path):
    data = table()
    learned(data, steps=2, checkpoint=tmp_path / "c")
    family = partial(Autoregressive, net=partial(Transformer, dropout=0.5))
    other = given.model("p(g, x, y)", data, families={"g, x, y": family})
    with pytest.raises(UserError, match=r"another family of p\(g, x, y\)"):
        other.fit(data, steps=3, checkpoint=tmp_path / "c", resume=True, progress=False)


def test_a_budget_may_be_raised(tmp_path):
    data = table()
    learned(data, steps=2, checkpoint=tmp_path / "c")
    assert learned(data, steps=5, checkpoint=tmp_path / "c", resume=True)[1].steps == 5
    assert learned(data, cpu_seconds=60, steps=7, checkpoint=tmp_path / "c", resume=True)[1].steps == 7


# Pictures


@pytest.mark.parametrize(("shape", "net", "batch"), [((8, 8), Transformer, 32), ((16, 17), PixelCNN, 32),
                                                     ((64, 64, 3), PixelResNet, 5)], ids=str)
def test_defaults_follow_the_size_of_pictures(shape, net, batch, monkeypatch):
    rng = np.random.default_rng(0)
    data = Columns({"image": rng.integers(0, 256, (40, *shape)).astype("uint8")})
    model = given.model("p(image)", data)
    assert type(model.joint.declared[0].net) is net
    taken = []
    monkeypatch.setattr(given.train.Trainer, "_take", lambda self, batch: taken.append(batch.n) or 0.0)
    model.fit(data, steps=1, held_out=0)
    assert taken == [batch]


# Starting up


def test_adamw_takes_the_steps_of_its_paper():
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=(5, 3)), rng.normal(size=(6, 5, 3))
    weight = torch.nn.Parameter(torch.from_numpy(start).float())
    optimiser = AdamW([{"params": [weight], "weight_decay": 0.05}], lr=0.01, betas=(0.9, 0.98))
    x, m, v = start, 0.0, 0.0
    for t, g in enumerate(gradients, 1):
        weight.grad = torch.from_numpy(g).float()
        optimiser.step()
        m, v = 0.9 * m + 0.1 * g, 0.98 * v + 0.02 * g**2
        x = x - 0.01 * 0.05 * x - 0.01 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.98**t)) + 1e-8)
    assert np.allclose(weight.detach().numpy(), x, atol=1e-6)


def test_learning_loads_neither_a_compiler_nor_another_library():
    heavy = ("torch._dynamo", "pandas", "sklearn", "scipy", "sympy", "zuko", "tokenizers", "transformers", "diffusers",
             "pyarrow", "polars")
    code = f"""
import sys, given
from given.app import ask, describe, judge, learn, tasks
given.model(None, {{"a": list("xyyx") * 9, "b": list(range(36))}}).fit({{"a": list("xyyx") * 9, "b": list(range(36))}}, steps=1)
print([name for name in {heavy} if name in sys.modules])
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]", run.stdout


@pytest.mark.parametrize(("name", "others"), [("sample", ["judge", "learn", "tasks"]), ("score", ["learn", "tasks"])])
def test_a_command_loads_its_own_module_alone_and_looks_for_no_garbage_meanwhile(name, others):
    code = f"""
import gc, sys
from given.app.cli import _loading, command
runs = []
gc.callbacks.append(lambda phase, info: runs.append(phase))
with _loading():
    command({name!r})
    found = len(runs)
print(found, gc.isenabled(), [m for m in {others} if f"given.app.{{m}}" in sys.modules])
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "0 True []\n", run.stdout


@pytest.mark.parametrize("arguments", [["families"], ["tasks"], ["completion", "bash"], ["fit", "--help"], ["--help"], []],
                         ids=lambda a: " ".join(a) or "nothing")
def test_what_needs_no_torch_loads_none(arguments):
    code = """
import sys, time
from given.app.cli import main
try:
    main()
except SystemExit:
    pass
print(time.process_time() < 0.5, sorted({"torch", "numpy"} & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert run.stdout.endswith("True []\n"), run.stdout[-200:] + run.stderr


def test_the_listing_without_torch_is_that_of_the_classes(capsys):
    from given import families
    from given.app.cli import main
    from given.tasks import TASKS

    main(["families", "--json"])
    found = json.loads(capsys.readouterr().out)
    docs = {name: sys.modules[getattr(families, name).__module__].__doc__ for name in families.__all__}
    assert found.keys() == docs.keys() and all(found[name].split()[0] in docs[name] for name in docs)
    main(["tasks", "--json"])
    assert [task["example"] for task in json.loads(capsys.readouterr().out)] == [task.example for task in TASKS]


def test_given_alone_prints_its_commands_by_what_they_are_for(capsys):
    from given.app.cli import main
    from given.app.parser import parser

    assert main([]) == 2
    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if line in ("learn:", "ask:", "judge:", "tasks:")] == [
        "learn:", "ask:", "judge:", "tasks:"]
    commands = next(a for a in parser()._actions if isinstance(a.choices, dict)).choices
    assert all(sum(line.startswith(f"  {name} ") for line in out.splitlines()) == 1 for name in commands)


@pytest.mark.parametrize("order", [["{t}", "--dry-run", "p(g) p(x | g)"], ["--dry-run", "{t}", "p(g) p(x | g)"],
                                   ["{t}", "--seed", "3", "p(g) p(x | g)", "--dry-run"]], ids=str)
def test_options_stand_anywhere(order, tmp_path, capsys):
    from given.app.cli import main

    table(40).save(tmp_path / "t.csv")
    assert main(["fit", *(word.format(t=tmp_path / "t.csv") for word in order)]) == 0
    assert "p(g) p(x | g)" in capsys.readouterr().out


def test_conditions_may_stand_on_both_sides_of_an_option():
    from given.app.parser import parser

    parsed = parser().parse_args(["sample", "m.given", "a=1", "-n", "3", "b=2"])
    assert parsed.given == [("a", "1"), ("b", "2")] and parsed.n == 3


def test_a_model_is_set_beside_its_baseline_by_the_rows_weights():
    rng = np.random.default_rng(0)
    x = np.r_[rng.normal(0, 1, 300), rng.normal(50, 1, 300)]
    rows = {"x": x, "y": 2 * x + rng.normal(size=600), "weight": np.r_[np.ones(300), np.zeros(300)]}
    model = given.model("p(x, y)", rows, families={"x, y": Gaussian})
    done = model.fit(rows, weight="weight", progress=False)
    assert done.margin > 0 and done.margin_error < 1 and not done.notice


@pytest.mark.parametrize("n", [6, 8, 10, 30])
def test_few_rows_hold_out_one_at_least(n):
    """A tenth of ten is one, whatever the seed; of four it is none, which is refused."""
    data = given.read(x=np.arange(n, dtype=float))
    for seed in range(20):
        train, valid = given.train.split(data, 0.1, seed)
        assert valid.n >= 1 and train.n + valid.n == n
