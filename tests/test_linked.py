"""Linked tables: keys found, held and refused; children drawn with their own parent, as many as it has, one after the other."""

import builtins
import json
import sqlite3

import numpy as np
import pytest

import given
from given.app.cli import main
from given.sources import LinkedTables
from given.variables import UserError
from given.verbs.linked_rows import plain_rows

SHOP = LinkedTables.read("shop")
PEOPLE = {"id": [1, 2, 3], "age": [30, 40, 50]}
ORDERS = {"id": [1, 2], "customer_id": [3, 3], "amount": [1.5, 2.5]}
KEY = "orders.customer_id=customers.id"


def families(n=2000):
    """Parents of two groups, the second with more children, who mostly do what their parent does, or their last sibling."""
    rng = np.random.default_rng(0)
    group, does = rng.integers(0, 2, (2, n))
    counts = rng.binomial(4, np.where(group == 1, 0.7, 0.2))
    owner = np.repeat(np.arange(n), counts)
    child = np.where(rng.random(len(owner)) < 0.8, does[owner], 1 - does[owner])
    for i in np.flatnonzero((np.diff(owner, prepend=-1) == 0) & (rng.random(len(owner)) < 0.6)):
        child[i] = child[i - 1]
    return LinkedTables({"parents": {"id": np.arange(1, n + 1), "group": np.array(["a", "b"])[group], "does": does},
                         "children": {"parent_id": owner + 1, "does": child}})


def facts(tables):
    """What families are made of: how many children each group has, how many parents have how many, and how what children do is
    correlated with what their parents do, and with what siblings do of one parent that does not."""
    owners, child = tables.owners["children"], tables["children"]["does"]
    counts, group = np.bincount(owners, minlength=tables["parents"].n), tables["parents"]["group"]
    does = tables["parents"]["does"][owners]
    alike = (owners[1:] == owners[:-1]) & (does[1:] == 0)
    return {"a": counts[group == "a"].mean(), "b": counts[group == "b"].mean(),
            "parents": np.corrcoef(does, child)[0, 1], "siblings": np.corrcoef(child[1:][alike], child[:-1][alike])[0, 1],
            **{f"{k} children": np.mean(counts == k) for k in range(5)}}


def check_facts():
    """What is drawn has the numbers of children and the correlations that the data has; both tables are counted."""
    tables = families()
    model = given.LinkedModel(tables, families={"parents": "ChowLiuTree"})
    model.fit(tables, held_out=0)
    true, drawn = facts(tables), facts(model.sample(4000, seed=1))
    assert drawn == pytest.approx(true, abs=0.08)
    assert true["parents"] > 0.5 and true["siblings"] > 0.5 and true["b"] > true["a"] + 1.5


def test_numbers_of_children_and_correlations_are_drawn():
    check_facts()


@pytest.fixture(scope="module")
def shop():
    model = given.LinkedModel(SHOP)
    model.fit(SHOP.rows_of(np.arange(100)), steps=9)
    return model


def test_formulas(shop):
    assert str(shop).splitlines() == [
        "customers: p(age, region, `orders (count)`)",
        "orders: p(day, amount, express, `items (count)` | `customers.age`, `customers.region`, `customers.orders (count)`, "
        "`previous.day`, `previous.amount`, `previous.express`)",
        "items: p(goods, pieces | `orders.day`, `orders.amount`, `orders.express`, `orders.items (count)`, `customers.age`, "
        "`customers.region`, `customers.orders (count)`, `previous.goods`, `previous.pieces`)"]
    assert "orders: siblings in the order of day" in shop.notes and "items: siblings in the order of the file" in shop.notes
    assert "orders.customer_id: left out: it names the row of customers" in shop.notes


def test_keys_of_draws_hold(shop):
    drawn = shop.sample(50, seed=3)
    again = LinkedTables(dict(drawn), [KEY, "items.order_id=orders.id"])  # checks them
    assert again["customers"]["id"].tolist() == list(range(1, 51))
    assert [again[name].names for name in again] == [SHOP[name].names for name in SHOP]
    for name in ("orders", "items"):
        np.testing.assert_array_equal(again.owners[name], drawn.owners[name])
    assert np.bincount(again.owners["items"], minlength=again["orders"].n).min() > 0  # as in the data


def test_numbers_of_children_are_asked_about(shop):
    assert shop["customers"].given(region="north").probabilities("orders (count)")["3"] > 0
    drawn = shop.sample(4, **{"orders (count)": 2, "region": "south"})
    assert set(drawn["customers"]["region"]) == {"south"} and drawn["orders"].n == 8


def test_the_first_rows_of_many_are_those_of_few(shop):
    few, many = shop.sample(5, seed=2), shop.sample(40, seed=2)
    for name, columns in few.items():
        for column, values in columns.items():
            assert values.tolist() == many[name][column][:columns.n].tolist()


def test_a_loop_is_over_siblings_alone(shop, monkeypatch):
    calls, sample = [], given.Query.sample
    monkeypatch.setattr(given.Query, "sample", lambda self, *a, **k: calls.append(1) or sample(self, *a, **k))
    drawn = shop.sample(100)
    assert len(calls) == 1 + sum(np.bincount(drawn.owners[name]).max() for name in ("orders", "items"))


def test_a_score_is_the_sum_of_rows_given_parent_and_previous(shop):
    some = SHOP.rows_of(np.array([1, 5, 9]))
    total = shop["customers"].log_prob({**some["customers"], "orders (count)": np.bincount(some.owners["orders"], minlength=3)})
    of, items = some.owners["orders"], np.bincount(some.owners["items"], minlength=some["orders"].n)
    last = None
    for row in sorted(range(len(of)), key=lambda i: (of[i], some["orders"]["day"][i])):
        one = {name: some["orders"][name][[row]] for name in ("day", "amount", "express")}
        above = {f"customers.{name}": some["customers"][name][[of[row]]] for name in ("age", "region")}
        before = last if last is not None and last[0] == of[row] else (of[row], dict.fromkeys(one, np.array([None], object)))
        given_ = above | {"customers.orders (count)": [int((of == of[row]).sum())]}
        given_ |= {f"previous.{name}": value for name, value in before[1].items()}
        total[of[row]] += shop["orders"].log_prob({**one, "items (count)": items[[row]], **given_})[0]
        last = of[row], one
    rows = plain_rows(some, shop.plans)["items"]
    total += np.bincount(rows.up["customers"], shop["items"].log_prob(
        {name: rows.columns[name] for name in shop["items"].joint.columns}), 3)
    np.testing.assert_allclose(shop.log_prob(some), total, rtol=1e-6)


def test_saved_and_loaded(shop, tmp_path):
    shop.save(tmp_path / "shop.given")
    loaded = given.LinkedModel.load(tmp_path / "shop.given")
    some = SHOP.rows_of(np.arange(20))
    np.testing.assert_array_equal(loaded.log_prob(some), shop.log_prob(some))
    assert loaded.sample(5)["items"].names == ("order_id", "goods", "pieces") and str(loaded) == str(shop)
    assert given.load(tmp_path / "shop.given" / "tables" / "orders").sample(
        1, **{name: None for name in shop["orders"].joint.conditions if "previous" in name}, **{
            "customers.age": 30, "customers.region": "north", "customers.orders (count)": 1})["amount"] > 0
    with pytest.raises(UserError, match=r"LinkedModel\.load"):
        given.load(tmp_path / "shop.given")


@pytest.mark.parametrize("place", ["shop", "shop.sqlite"])
def test_written_and_read(place, tmp_path):
    SHOP.save(tmp_path / place)
    back = LinkedTables.read(tmp_path / place)
    assert back.links == SHOP.links and back.ids == SHOP.ids
    for name, columns in SHOP.items():
        for column, values in columns.items():
            np.testing.assert_array_equal(back[name][column], values)
    with pytest.raises(UserError, match="expected a folder"):
        SHOP.save(tmp_path / "shop.csv")


@pytest.mark.parametrize("place", ["drawn", "drawn.sqlite"])
def test_customers_without_orders_are_written_read_and_scored(shop, place, tmp_path):
    drawn = shop.sample(3, **{"orders (count)": 0})
    assert (drawn["orders"].n, drawn["items"].n) == (0, 0)
    drawn.save(tmp_path / place)
    np.testing.assert_array_equal(shop.log_prob(tmp_path / place), shop.log_prob(drawn))


def test_other_files_are_not_written_beside(tmp_path):
    (tmp_path / "notes.csv").write_text("a\n1\n")
    with pytest.raises(UserError, match=r"holds notes.csv, which would be taken for a table"):
        SHOP.save(tmp_path)


def test_duckdb(tmp_path):
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect(tmp_path / "s.duckdb") as base:
        base.execute("CREATE TABLE customers (no INTEGER PRIMARY KEY, age INTEGER)")
        base.execute("CREATE TABLE orders (who INTEGER REFERENCES customers (no), day DATE)")
        base.execute("INSERT INTO customers VALUES (7, 30), (8, 40)")
        base.execute("INSERT INTO orders VALUES (8, '2024-01-02'), (NULL, '2024-01-03')")
    found = LinkedTables.read(tmp_path / "s.duckdb")
    assert str(found.links["orders"]) == "orders.who=customers.no" and found.owners["orders"].tolist() == [1, -1]


def test_duckdb_without_its_package(tmp_path, monkeypatch):
    (tmp_path / "s.duckdb").write_bytes(b"12345678DUCK....")
    there = builtins.__import__

    def without(name, *rest):
        if name == "duckdb":
            raise ImportError(name)
        return there(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"pip install 'given\[duckdb\]'"):
        LinkedTables.read(tmp_path / "s.duckdb")


@pytest.mark.parametrize("tables, key", [
    ({"customers": PEOPLE, "orders": ORDERS}, KEY),
    ({"customers": {"customer_id": [1, 3]}, "orders": ORDERS}, "orders.customer_id=customers.customer_id"),
    ({"Customer": PEOPLE, "orders": {"CustomerID": [3.0, None]}}, "orders.CustomerID=Customer.id"),
    ({"categories": {"name": ["a", "b"], "id": [1, 2]}, "goods": {"category": [1, 1]}}, "goods.category=categories.id"),
    ({"cases": {"code": ["x1", "x2"], "id": ["p", "q"]}, "visits": {"case_id": ["q", "q"]}}, "visits.case_id=cases.id"),
])
def test_keys_by_names_and_values(tables, key):
    found = LinkedTables(tables)
    assert [str(link) for link in found.links.values()] == [key] and found.owners[key.partition(".")[0]].max() <= 2


def test_keys_that_are_said_leave_the_rest_out():
    found = LinkedTables({"customers": PEOPLE, "orders": ORDERS, "goods": {"id": [1]}}, [KEY])
    assert tuple(found) == ("customers", "orders") and "goods: left out: no key names it" in found.notes


def test_a_second_key_is_looked_up():
    goods = {"id": ["tea", "jam", "rye"], "price": [1.0, 2.0, 3.0]}
    orders = {"customer_id": [1, 1, 2, 3] * 5, "good_id": ["tea", "jam"] * 10}
    tables = LinkedTables({"customers": PEOPLE, "goods": goods, "orders": orders}, ["orders.customer_id", "orders.good_id"])
    assert tuple(tables) == ("customers", "orders") and tables.looked_up == {"orders": {"good_id": ["jam", "rye", "tea"]}}
    model = given.LinkedModel(tables)
    assert model.plans["orders"].formula.startswith("p(good_id |")
    model.fit(tables, steps=2, held_out=0)
    assert set(model.sample(30)["orders"]["good_id"]) <= {"tea", "jam", "rye"} and model.log_prob(tables).shape == (3,)
    with pytest.raises(UserError, match=r"orders.good_id, row 0: got 'tea', which no row of goods has"):
        LinkedTables({"customers": PEOPLE, "goods": {"id": ["jam", "rye"]}, "orders": orders},
                     ["orders.customer_id", "orders.good_id"])


SELF = {"people": {"id": [1, 2], "boss": [None, 1]}}
TWO = {"customers": PEOPLE, "shops": {"id": [1]}, "orders": {"customer_id": [1], "shop_id": [1]}}


@pytest.mark.parametrize("tables, keys, said", [
    ({"customers": PEOPLE, "orders": ORDERS | {"customer_id": [3, 9]}}, [],
     r"orders.customer_id, row 1: got 9, which no row of customers has as its id; remove the row, leave the key empty"),
    ({"customers": PEOPLE | {"id": [1, 1, 3]}, "orders": ORDERS}, [], r"customers.id, row 1: got 1, which row 0 has too"),
    ({"customers": PEOPLE | {"id": [1, None, 3]}, "orders": ORDERS}, [KEY], r"customers.id, row 1: is missing"),
    ({"orders": ORDERS}, [KEY], r"there is no table customers; there are orders"),
    ({"customers": PEOPLE, "orders": ORDERS}, ["orders.who=customers.id"], r"orders has no column who"),
    ({"customers": PEOPLE, "orders": ORDERS}, ["orders"], r"expected a column and the one it refers to"),
    ({"a": {"id": [1], "b_id": [1]}, "b": {"id": [1], "a_id": [1]}}, [], r"refer to one another in a circle"),
    (SELF, ["people.boss=people.id"], r"people.boss: refers to its own table"),
    (TWO, [], r"orders: refers to customers by customer_id and to shops by shop_id; expected one; say by keys="),
    ({"customers": PEOPLE, "orders": ORDERS | {"by": [1, 2]}}, [KEY, "orders.by=customers.id"],
     r"a second key of orders, of a table to be looked up, and customers is drawn anew; leave it out"),
    ({"customers": PEOPLE | {"no": [1, 2, 3]}, "a": {"x": [1]}, "b": {"y": [1]}}, ["a.x=customers.id", "b.y=customers.no"],
     r"customers: a refers to its id and b to its no; expected one column"),
    ({"customers": PEOPLE, "goods": {"price": [1.0]}}, [], r"no key links customers, goods to another; say by"),
    ({"may": {"x": [1]}, "june": {"x": [2]}}, [], r"all have the same columns; read the files of one table by a glob"),
    ({"customers": {"id": []}}, [], r"expected at least one table with rows"),
])
def test_refused(tables, keys, said):
    with pytest.raises(UserError, match=said) as error:
        LinkedTables(tables, keys)
    assert "\n" not in str(error.value)


def test_keys_of_a_database_that_are_refused(tmp_path):
    def read(*lines):
        path = tmp_path / f"{len(lines[0])}.sqlite"
        with sqlite3.connect(path) as base:
            for line in lines:
                base.execute(line)
        base.close()
        return LinkedTables.read(path)

    with pytest.raises(UserError, match="b: refers to a by x and y together; expected one column"):
        read("CREATE TABLE a (x, y, PRIMARY KEY (x, y))", "CREATE TABLE b (x, y, FOREIGN KEY (x, y) REFERENCES a)",
             "INSERT INTO a VALUES (1, 2)", "INSERT INTO b VALUES (1, 2)")
    with pytest.raises(UserError, match=r"b\.x: refers to a, and there is no such table"):
        read("CREATE TABLE b (x REFERENCES a (x))", "INSERT INTO b VALUES (1)")


def test_rows_without_a_parent_and_tables_without_columns():
    tables = LinkedTables({"customers": PEOPLE, "orders": ORDERS | {"customer_id": [3, None]},
                           "marks": {"order_id": [1, 1, 2], "note": [None] * 3}})
    model = given.LinkedModel(tables, codecs={"customers.age": given.codecs.Number()})
    assert "orders: 1 rows whose customer_id is empty, or that belong to such, are left out" in model.notes
    assert model.plans["orders"].previous == {}
    model.fit(tables, steps=3, held_out=0)
    assert model.sample(20)["marks"].names[0] == "order_id" and model.score(tables).items.shape == (3,)


def test_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    SHOP.rows_of(np.arange(40)).save("shop.sqlite")
    assert main(["fit", "shop.sqlite", "--key", KEY, "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["key orders.customer_id"] == "customers.id: 0 to 7 rows each, 1.9 on average"
    assert plan["formula of customers"] == "p(age, region, `orders (count)`)"
    assert main(["fit", "shop.sqlite", "--steps", "2", "--key", KEY, "--held-out", "0"]) == 0
    assert main(["sample", "shop.given", "region=north", "-n", "9", "-o", "drawn/"]) == 0
    assert main(["score", "shop.given", "drawn", "--anomalies", "2"]) == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()[-3:]) == 3 and "items: left out: no key names it" in captured.err
    assert main(["sample", "shop.given", "-n", "2"]) == 0
    assert "[orders]" in capsys.readouterr().out
    assert main(["fit", "shop", "p(age)"]) == 1
    assert "about which a formula, which follows from the keys, says nothing" in capsys.readouterr().err
