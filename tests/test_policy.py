"""Policies: episodes and the pairs cut from them, a world that is acted in, and what was left over by a closed form."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

import given
import given.evaluate.closed_loop
import given.sources.episodes
from given.app.cli import main
from given.evaluate import rollouts, worlds
from given.families import Gaussian, Residual
from given.sources import Columns, items
from given.tasks import policy
from given.variables import UserError

QUICK = {"held_out": 0, "progress": False}


class Point:
    """A point that goes where it is sent, at most one a step, and is rewarded for being near the middle."""

    def reset(self, *, seed=None):
        self.at = np.random.default_rng(seed).uniform(-4, 4, 2)
        return self.at.copy(), {}

    def step(self, action):
        self.at = self.at + np.clip(action - self.at, -1, 1)
        near = float(np.exp(-np.abs(self.at).max()))
        return self.at.copy(), near, near > 0.9, False, {}


def episodes(n=24, steps=8):
    """Somebody who goes to the middle, always one step ahead of where they are."""
    states, actions, world = [], [], Point()
    for seed in range(n):
        state, _ = world.reset(seed=seed)
        for _ in range(steps):
            action = state - np.clip(state, -1, 1)
            states.append(state)
            actions.append(action)
            state = world.step(action)[0]
    ends = np.arange(1, n + 1) * steps
    return {"state": np.array(states), "action": np.array(actions), "episode_ends": ends}


def check_chunks():
    """What is ahead begins with the step itself and stays within the episode, and so does what was before."""
    steps = np.arange(7)
    data = Columns({name: items(values, [3, 4]) for name, values in (("action", 10 * steps), ("state", steps))})
    found = given.sources.episodes.chunks(data, ["action"], steps=3, history=2)
    assert found["action"].tolist() == [[0, 10, 20], [10, 20, 20], [20] * 3, [30, 40, 50], [40, 50, 60], [50, 60, 60], [60] * 3]
    assert found["state"].tolist() == [[0, 0], [0, 1], [1, 2], [3, 3], [3, 4], [4, 5], [5, 6]]
    assert found["episode"].tolist() == [0] * 3 + [1] * 4


def test_pairs_stay_within_their_episode():
    check_chunks()


def check_horizon():
    """So many actions are done of those that are said, each in its turn, given the last observations."""
    asked = []

    def act(past, seed):
        asked.append(past["state"].copy())
        return np.stack([np.full((2, 2), 5.0), np.full((2, 2), -5.0), np.full((2, 2), 99.0)], 1)

    found = given.evaluate.closed_loop.rollouts(act, [Point(), Point()], seeds=[1, 2], execute=2, steps=5,
                                                 history=2)
    assert found.actions[0, :, 0].tolist() == [5, -5, 5, -5, 5] and found.rewards.shape == (2, 5) and len(asked) == 3
    start = Point().reset(seed=1)[0]
    assert np.allclose(asked[0][0], [start, start]) and np.allclose(asked[1][0], [start + 1, start])
    assert np.array_equal(found.best, found.rewards.max(1)) and (found.lengths == 5).all()


def test_some_actions_are_done_before_it_is_asked_again():
    check_horizon()


def test_a_policy_is_learned_and_acts():
    data = policy.read(given.read(episodes()), ahead=4)
    assert data["state"].shape == (192, 1, 2) and data["action"].shape == (192, 4, 2)
    model = policy.model(data, width=16, layers=1)
    model.fit(data, steps=80, **{**policy.TRAINING, **QUICK, "batch": 32, "lr": 4e-3})
    starts = {"seeds": range(100, 106), "execute": 2, "steps": 8}
    own = rollouts(policy.acting(model), [Point() for _ in range(6)], **starts)
    still = rollouts(lambda past, seed: past["state"][:, -1:], [Point() for _ in range(6)], **starts)
    near = rollouts(policy.nearest(data), [Point() for _ in range(6)], **starts)
    assert own.best.mean() > still.best.mean() + 0.3 and near.best.mean() > still.best.mean()
    again = rollouts(policy.acting(model), [Point() for _ in range(6)], **starts)
    assert np.array_equal(own.rewards, again.rewards, equal_nan=True)


def test_the_mean_is_what_regression_does():
    data = policy.read(given.read(episodes()), ahead=4)
    model = policy.model(data, width=16, layers=1, mean=True)
    model.fit(data, steps=5, **{**policy.TRAINING, **QUICK})
    act = policy.acting(model, mean=True)
    assert np.array_equal(act(data, 0), act(data, 1)) and act(data, 0).shape == data["action"].shape


def test_pictures_are_read_as_channels():
    raw = episodes(4)
    raw["picture"] = np.zeros((32, 6, 6, 3), dtype=np.uint8)
    raw["picture"][:, 2, 3] = 200
    data = policy.read(given.read(raw), ahead=4, history=2)
    assert data["picture"].shape == (32, 6, 6, 6)
    model = policy.model(data, width=8, layers=1)
    model.fit(data, steps=2, **{**policy.TRAINING, **QUICK, "batch": 4})
    assert set(policy.measure(model, data)) == {"off"}


def test_the_command_line_learns_one(tmp_path, capsys):
    np.savez(tmp_path / "e.npz", **episodes(6))
    said = ["--task", "policy", "--steps", "3", "--held-out", "0.3", "-o", str(tmp_path / "m.given")]
    assert main(["fit", str(tmp_path / "e.npz"), *said]) == 0
    assert "of the nearest step" in capsys.readouterr().err
    assert main(["score", str(tmp_path / "m.given"), str(tmp_path / "e.npz")]) == 0  # read as the task reads it, a row a step
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(policy.read(given.read(tmp_path / "e.npz"))["episode"])
    rows = ["episode,x,action_x", *(f"{i // 4},{i},{i + 1}" for i in range(8))]
    (tmp_path / "e.csv").write_text("\n".join(rows) + "\n")
    data = policy.read(given.read(tmp_path / "e.csv", by="episode"), ahead=2, history=1)
    assert data["state"].tolist() == [[[i]] for i in range(8)] and data["action"][0].tolist() == [[1], [2]]


def check_ordered():
    """Steps stand in the order of the column that counts them, from 0 in every episode."""
    no, lengths = np.array([2, 0, 1, 1, 3, 0, 2]), [3, 4]
    data = Columns({name: items(v, lengths) for name, v in (("no", no), ("action", 10 * no), ("x", no**2 + no % 2))})
    found, counters = given.sources.episodes.in_order(data, ["no", "x"])
    assert counters == ["no"] and [item.tolist() for item in found["action"]] == [[0, 10, 20], [0, 10, 20, 30]]


def test_what_counts_orders():
    check_ordered()


def test_a_table_in_any_order_is_ordered_by_what_counts_its_steps(tmp_path, capsys):
    """What counts is not observed; what has no numbers is left out; messages know episodes by their names."""
    rows = [f"ep{e},{t},{t / 10},{5 - t * (e + 1) / 10:.2f},{'open' if t else 'shut'},{e + t / 7:.3f},{-t - e}"
            for e in range(6) for t in range(6 + e)]
    shuffled = np.random.default_rng(0).permutation([*rows, "ep9,0,0,1,open,1,1"])
    (tmp_path / "e.csv").write_text("\n".join(["name,no,elapsed,x (mm),door,y,action dx", *shuffled]))
    table = given.read(tmp_path / "e.csv", by="name")
    with pytest.raises(UserError, match=r"^episode ep9: has one step, .* or leave bad episodes out by skip_bad=True"):
        policy.read(table)
    data = policy.read(table, ahead=2, skip_bad=True)
    of = data["action"][data["episode"] == [name for name in table["name"] if name != "ep9"].index("ep0")]
    assert of[:, 0, 0].tolist() == [0, -1, -2, -3, -4, -5] and of[0, 1, 0] == -1
    assert data["state"].shape[1:] == (1, 2) and data.skipped[0].startswith("episode ep9")
    assert main(["fit", str(tmp_path / "e.csv"), "--task", "policy", "--by", "name", "--skip-bad", "--steps", "2", "--held-out",
                 "0.3", "-o", str(tmp_path / "m")]) == 0
    said = capsys.readouterr().err
    assert "no: left out of what is observed: it says in which order" in said and "; write it as numbers to have it" in said
    assert "state: holds x (mm), y, in this order" in said
    assert main(["sample", str(tmp_path / "m"), "x (mm)=3"]) == 1
    assert "x (mm) is number 0 of state, which holds x (mm), y, in this order" in capsys.readouterr().err


def check_left_over():
    """What is left has a mean of 0 and a deviation of 1, and its density is that of x in x's own units."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=2000)
    data = {"z": z, "x": 100 * z[:, None] + rng.normal(size=(2000, 2)) * [1.0, 3.0]}
    one = given.model("p(x | z)", data, families={"x": partial(Residual, base=Gaussian, family=Gaussian)})
    one.fit(data, held_out=0, progress=False)
    other = given.model("p(x | z)", data, families={"x": Gaussian})
    other.fit(data, held_out=0, progress=False)
    assert abs(one.log_prob(data) - other.log_prob(data)).mean() < 0.02
    drawn = one.given(z=z).sample(seed=1)["x"].reshape(2000, 2) - 100 * z[:, None]
    assert np.allclose(drawn.std(0), [1, 3], rtol=0.1)
    (factor,) = one.joint.declared
    with torch.no_grad():
        x, y = factor.x.encode(data), given.variables.Observed({"z": factor.parents[0].encode(data)}, 2000)
        left = factor._left(x, y, None)[0].tensor
    assert torch.allclose(left.std(0), torch.ones(2).double(), atol=0.01) and float(left.mean(0).abs().max()) < 0.01


def test_what_is_left_over_is_in_units_of_its_own():
    check_left_over()


def bad(change):
    raw = episodes(3)
    change(raw)
    return raw


@pytest.mark.parametrize(("change", "said"), [
    (lambda raw: raw.update(episode_ends=np.array([1, 8, 24])), "episode 0: has one step, from which nothing follows"),
    (lambda raw: raw.update(episode_ends=np.array([8, 8, 24])), "episode_ends, episode 1: got 8 after 8; expected numbers"),
    (lambda raw: raw.update(episode_ends=np.array([8, 16, 25])), "episode_ends: the last is 25, and state has 24 steps"),
    (lambda raw: raw["action"].__setitem__((10, 1), np.nan), "action, episode 1, step 2: got"),
    (lambda raw: raw.update(action=np.full(24, "left")), "action: expected numbers of every step, got 'left'; write"),
    (lambda raw: raw.pop("action"), "policy: expected episodes, with columns action"),
])
def test_bad_episodes_are_said_in_a_line(change, said):
    with pytest.raises(UserError) as error:
        policy.read(given.read(bad(change)))
    assert said in str(error.value) and "\n" not in str(error.value)


def test_a_world_that_is_not_there_is_said():
    with pytest.raises(UserError, match="pip install"):
        worlds("no_such_package/World-v0", 1)
    with pytest.raises(UserError, match="expected a seed a world"):
        rollouts(lambda past, seed: past["state"], [Point()], seeds=[1, 2])
    with pytest.raises(UserError, match="of them no number"):
        rollouts(lambda past, seed: past["state"][:, -1:] * np.nan, [Point()], seeds=[1])
