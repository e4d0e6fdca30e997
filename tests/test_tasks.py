"""Tasks of texts, each on a tiny made-up language: learned through the command line, asked, and asked wrongly."""

import gzip
import io
import json
from xml.etree import ElementTree

import numpy as np
import pytest

import given
from given.app.cli import main
from given.sources import so_far
from given.tasks import answer, chat, code, keyboard, translate
from given.variables import UserError

WORDS = {"un": "a", "chien": "dog", "chat": "cat", "voit": "sees", "mange": "eats", "le": "the", "pain": "bread"}


def sentences(n, seed=0):
    rng = np.random.default_rng(seed)

    def noun():
        return [str(rng.choice(["un", "le"])), str(rng.choice(["chien", "chat", "pain"]))]

    return [" ".join([*noun(), str(rng.choice(["voit", "mange"])), *noun()]) for _ in range(n)]


def english(text):
    return " ".join(WORDS[word] for word in text.split())


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    source = sentences(300)
    with gzip.open(folder / "train.fr.gz", "wt") as file:
        file.write("\n".join(source) + "\n")
    (folder / "train.en").write_text("\n".join(map(english, source)) + "\n")
    return folder


@pytest.fixture(scope="module")
def translator(pairs):
    data = translate.read(pairs / "train.fr.gz", pairs / "train.en")
    model = translate.model(data, pieces=260, width=32, layers=1, dropout=0.0)
    model.fit(data, steps=100, **translate.TRAINING | {"lr": 1.5e-2})
    model.save(pairs / "fr-en.given")
    return pairs / "fr-en.given"


def run(capsys, *words, stdin=None, monkeypatch=None):
    if stdin is not None:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
    status = main([str(word) for word in words])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_word_by_word_finds_the_words(pairs):
    data = translate.read(pairs / "train.fr.gz", pairs / "train.en")
    words = translate.WordByWord().fit(data["source"].tolist(), data["target"].tolist())
    assert words.best == WORDS
    assert words.translate("le chien mange , un oiseau .") == "the dog eats, a oiseau."


def test_translation_is_learned_and_set_beside_its_baselines(pairs, translator, tmp_path, capsys):
    files = pairs / "train.fr.gz", pairs / "train.en"
    assert run(capsys, "fit", *files, "--task", "translate", "--dry-run")[0] == 0
    status, _, err = run(capsys, "fit", *files, "--task", "translate", "-o", tmp_path / "m.given", "--steps", "1")
    scores = given.load(tmp_path / "m.given").facts["scores"]
    assert status == 0 and list(scores) == ["held out, this model", "held out, a copy of the source", "held out, word by word"]
    assert "held out, word by word: BLEU 100" in err
    data = translate.read(*files)
    _, held = given.load(translator).split(data)
    assert translate.measure(given.load(translator), held)["BLEU"] > 60


def test_beams_translate_in_any_order_and_leave_blank_lines(translator, tmp_path, capsys, monkeypatch):
    lines = ["un chat voit le pain", "", "le chien mange un chat"]
    status, out, _ = run(capsys, "translate", translator, "--attention", tmp_path / "a.svg", stdin="\n".join(lines),
                         monkeypatch=monkeypatch)
    said = out.split("\n")
    assert status == 0 and said[1] == "" and len(said) == 4
    model = given.load(translator)
    assert translate.translate(model, lines[::-1]) == said[2::-1]
    assert translate.translate(model, ["un chat voit\u00a0le pain"])  # a blank that does not break is no control character
    with pytest.raises(UserError, match=r"text 2: a control character '\\x07' at 3"):
        translate.translate(model, ["un chat", "un \x07"])
    source, target, weights = translate.attention(model, lines[0], said[0])
    assert weights.shape == (len(target), len(source)) and np.allclose(weights.sum(1), 1, atol=1e-5)
    assert "".join(source[:-1]) == lines[0] and source[-1] == target[-1] == "end"
    drawn = ElementTree.parse(tmp_path / "a.svg").getroot()
    assert len(drawn.findall("{*}rect")) == 1 + len(source) * len(target)
    assert [text.text or "" for text in drawn.findall("{*}text")] == [piece.strip() for piece in (*source, *target)]


@pytest.mark.parametrize(("source", "target", "words"), [
    (b"a\nb\n", b"c\n", "has 2 lines"), (b"a\n\nb\n", b"c\nd\ne\n", "line 2: is empty"), (b"\n\n", b"\n\n", "got none"),
    (b"a\n\xff\n", b"b\nc\n", "line 2: not UTF-8")])
def test_pairs_that_are_none(tmp_path, source, target, words):
    (tmp_path / "s").write_bytes(source)
    (tmp_path / "t").write_bytes(target)
    with pytest.raises(UserError, match=words) as error:
        translate.read(tmp_path / "s", tmp_path / "t")
    assert "\n" not in str(error.value)


def test_a_table_of_pairs(tmp_path):
    (tmp_path / "pairs.tsv").write_text("fr\ten\nun chien\ta dog\nle chat\tthe cat\n")
    assert translate.read(tmp_path / "pairs.tsv")["target"].tolist() == ["a dog", "the cat"]
    (tmp_path / "three.tsv").write_text("fr\ten\tde\nun\ta\tein\n")
    with pytest.raises(UserError, match="expected two columns"):
        translate.read(tmp_path / "three.tsv")


def test_the_other_language_is_noticed(translator):
    with pytest.raises(UserError, match="or are the two files swapped"):
        translate.translate(given.load(translator), ["the dog eats the bread", "a cat sees the dog"])


def dialogues(n):
    rng = np.random.default_rng(1)
    for i in range(n):
        town, dish = rng.choice(["Rome", "Oslo", "Bern"]), rng.choice(["fish", "rice", "soup"])
        said = [f"food in {town} please", f"what food in {town}?", f"{dish} please", f"{dish} it is, bye"]
        yield {"split": "train" if i % 5 else "test", "turns": [
            {"speaker": "AB"[j % 2], "utterance": text} for j, text in enumerate(said)]}


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    path = tmp_path_factory.mktemp("talk") / "talk.jsonl"
    path.write_text("\n".join(json.dumps(d) for d in dialogues(120)) + "\n")
    return path


def test_replies_are_read_with_what_was_said_before(talk):
    data = chat.read(talk, split="test")
    assert data.n == 48 and set(data["number"]) == set(range(0, 120, 5))
    assert data["dialogue"][1].split("\n")[1] == "< " + data["reply"][0] and data["dialogue"][1].startswith("food in")
    assert so_far(["aaaa", "bbbb", "cccc"], 10) == "bbbb\ncccc" and so_far(["a" * 30], 10) == "a" * 10
    own = chat.read(talk, speaker="A")
    assert own["dialogue"][0].startswith("< food in") and own["reply"][0].endswith("please")


def test_a_reply_is_ranked_streamed_and_talked_with(talk, tmp_path, capsys, monkeypatch):
    train, test = (chat.read(talk, split=split) for split in ("train", "test"))
    model = chat.model(train, pieces=270, width=32, layers=1)
    model.fit(train, steps=60, **chat.TRAINING | {"lr": 1e-2})
    model.save(tmp_path / "talk.given")
    value = chat.rank(model, *answer.candidates(test, 20), chat.prior(model, train))
    assert value.shape == (20, 10) and answer.ranked_first(value) > 0.25
    status, out, err = run(capsys, "chat", tmp_path / "talk.given", stdin="food in Rome please\nsoup\x07\nsoup please\n\n",
                           monkeypatch=monkeypatch)
    assert status == 0 and len(out.splitlines()) == 2 and "no partner for open conversation" in err
    assert "a control character '\\x07' at 4" in err
    status, _, err = run(capsys, "translate", tmp_path / "talk.given", stdin="x", monkeypatch=monkeypatch)
    assert status == 1 and "needs one learned by given fit ... --task translate" in err


def test_a_chat_is_set_beside_a_trigram(talk, tmp_path, capsys):
    status, out, err = run(capsys, "fit", talk, "--task", "chat", "-o", tmp_path / "m.given", "--steps", "1", "--held-out",
                           ".05")
    assert status == 0 and "trigram" in err and "held out, this model" in out


def test_candidates_hold_the_true_reply_first_and_nine_of_other_dialogues(talk):
    test = chat.read(talk, split="test")
    asked, replies = answer.candidates(test, 20)
    assert len(asked) == 20 and {len(each) for each in replies} == {10}
    pairs = set(zip(test["dialogue"].tolist(), test["reply"].tolist(), strict=True))
    assert all((dialogue, each[0]) in pairs for dialogue, each in zip(asked, replies, strict=True))
    assert answer.ranked_first(np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])) == 0.5


def test_answers_are_chosen_by_rank(tmp_path, capsys):
    towns, rng = ["Rome", "Oslo", "Bern", "Lima", "Cork"], np.random.default_rng(0)
    pairs = [(f"when is the train to {town}", f"to {town} at {hour}") for hour in rng.permutation(24) for town in towns]
    given.read(question=[q for q, _ in pairs], answer=[a for _, a in pairs]).save(tmp_path / "faq.csv")
    status, out, err = run(capsys, "fit", tmp_path / "faq.csv", "--task", "answer-by-rank", "-o", tmp_path / "faq.given",
                           "--steps", "60")
    assert status == 0 and "TF-IDF" in err and "one of ten" in out
    (tmp_path / "answers.txt").write_text("".join(f"to {town} at 7\n" for town in towns))
    for pmi, by in (((), "log_prob"), (("--pmi", "self"), "pmi")):
        status, out, _ = run(capsys, "rank", tmp_path / "faq.given", tmp_path / "answers.txt",
                             "dialogue=when is the train to Bern", *pmi)
        assert status == 0 and out.splitlines()[0] == f"reply,{by}" and len(out.splitlines()) == 6
        assert out.splitlines()[1].startswith("to Bern at 7,")
    own = answer.rank(given.load(tmp_path / "faq.given"), ["when is the train to Bern"], [["to Oslo at 7", "to Bern at 7"]])
    assert float(own[0, 1]) == pytest.approx(float(out.splitlines()[1].rpartition(",")[2]), abs=1e-4)
    (tmp_path / "bad.csv").write_text("question,answer\nwhen?,\n")
    with pytest.raises(UserError, match="row 0: holds nothing in one of question, answer"):
        chat.read(tmp_path / "bad.csv")
    (tmp_path / "three.csv").write_text("a,b,c\n1,2,3\n")
    with pytest.raises(UserError, match="a table of two columns"):
        chat.read(tmp_path / "three.csv")


@pytest.mark.parametrize("line", ["nonsense", "[]", '{"turns": ["a"]}', '{"messages": [{"role": "a"}]}'])
def test_a_line_that_is_no_dialogue(tmp_path, line):
    (tmp_path / "d.jsonl").write_text(line + "\n")
    with pytest.raises(UserError, match="line 1: expected a dialogue"):
        chat.read(tmp_path / "d.jsonl")


def test_tasks_that_do_not_exist(talk, capsys):
    status, _, err = run(capsys, "fit", talk, "--task", "sing")
    assert status == 1 and "unknown task 'sing'; expected labelled images, images, language, series, table, " in err
    status, _, err = run(capsys, "fit", "wine", "--task", "language", "--dry-run")
    assert status == 1 and "wine: is no data for --task language, but for table" in err
    assert run(capsys, "fit", "shakespeare", "--task", "language", "--dry-run")[0] == 0


PLAY = "\n".join("CAT: the dog sees a cat, and the cat sees the dog .".split(" . ") * 90) + "\n"


def test_a_keyboard_proposes_words_and_ends_of_words():
    data = given.read(text=[PLAY])
    model = keyboard.model(data, width=16, layers=1)
    model.fit(data, steps=3, **keyboard.TRAINING)
    (word, p), *_ = keyboard.next_words(model, "CAT: the dog sees ")
    assert word == "a" and p > 0.5
    assert [word for word, _ in keyboard.next_words(model, "CAT: the dog s", 1)] == ["sees"]
    assert next(word for word, _ in keyboard.next_words(model, "")) == "CAT"
    figures = keyboard.measure(model, given.read(text=["CAT: the dog sees a cat\nCAT: a zebra"]))
    assert figures["first"] <= figures["among three"] < 1 and 0 < figures["keys saved"] < 1
    for text, words in (("the\x1b[2J", "control character"), ("the q", "begins with 'q'")):
        with pytest.raises(UserError, match=words):
            keyboard.next_words(model, text)


def test_a_keyboard_on_the_command_line(tmp_path, capsys):
    (tmp_path / "play.txt").write_text(PLAY)
    status, out, err = run(capsys, "fit", tmp_path / "play.txt", "--task", "keyboard", "-o", tmp_path / "k.given", "--steps",
                           "1")
    assert status == 0 and "trigram: first" in err and "held out, this model" in out
    status, out, _ = run(capsys, "keyboard", tmp_path / "k.given", "CAT: the dog ", "-n", "2", "--json")
    assert status == 0 and next(iter(json.loads(out))) == "sees"


def test_keys_that_are_saved_are_those_of_somebody_who_types():
    """By hand: counts propose aa, ab, ac, always: of 12 keys those of two words are saved."""
    data = given.read(text=["aa ab ac ad aa ab ac aa ab aa " * 20])
    model = given.model("p(text)", data, codecs={"text": keyboard.Text("words", window=8)},
                        families={"text": lambda x, y: keyboard.NGram(x, y, order=1)})
    model.fit(data, held_out=0)
    figures = keyboard.measure(model, given.read(text=["aa ab ad zz"]))
    assert figures == {"first": 0.25, "among three": 0.5, "keys saved": pytest.approx(4 / 12)}


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("src")
    (folder / "inner").mkdir()
    for i, name in enumerate(["add", "sub", "mul", "div", "pow", "mod"]):
        (folder / "inner" / f"{name}.py").write_text("".join(
            f"def {name}{j}(a, b):\n    return a {'+-*/@%'[i]} b\n\n\n" for j in range(9)))
    (folder / "picture.png").write_bytes(bytes(range(256)))
    (folder / "notes.md").write_text("notes\n")
    return folder


def test_a_folder_of_sources(sources, tmp_path):
    data = code.read(sources)
    assert data.n == 6 and len(data.skipped) == 2
    assert "picture.png: is no text" in data.skipped[0] and "notes.md: does not end in .py" in data.skipped[1]
    (tmp_path / "a.py").write_bytes(b"\0")
    for folder, words in ((tmp_path, "got none that are text"), (sources / "notes.md", "expected a folder")):
        with pytest.raises(UserError, match=words):
            code.read(folder)


def test_stretches_are_told_whole(sources):
    data = code.read(sources)
    told = code.arranged(data, stretch=60)["text"].tolist()
    stretches = [text for text in told if text.startswith(code.MARKS[0])]
    whole = [text for text in told if text not in stretches]
    assert stretches and 0 < len(whole) < data.n and set(whole) <= set(data["text"].tolist())
    assert all(len(text.encode()) <= 64 for text in stretches)
    for text in stretches:
        before, after, middle = text[1:-1].replace(code.MARKS[1], code.MARKS[2]).split(code.MARKS[2])
        assert any(before + middle + after in whole for whole in data["text"])


def test_code_is_scored_and_filled(sources, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(code, "_WINDOW", 256)  # what learned one step seldom ends before the window does
    status, out, err = run(capsys, "fit", sources, "--task", "code", "-o", tmp_path / "c.given", "--steps", "1", "--held-out",
                           ".3")
    assert status == 0 and "left out 2" in err and "xz after all" in err and "middle bits/byte" in out
    hole = "def add1(a, b):\n    return\f b\n"
    status, out, _ = run(capsys, "fill", tmp_path / "c.given", "-n", "2", "--json", stdin=hole, monkeypatch=monkeypatch)
    assert status == 0 and len(json.loads(out)) == 2
    status, _, err = run(capsys, "fill", tmp_path / "c.given", stdin="def", monkeypatch=monkeypatch)
    assert status == 1 and "expected a form feed" in err
    with pytest.raises(UserError, match="control character"):
        code.fill(given.load(tmp_path / "c.given"), "a\x1b", "b")
