"""The pages say what is so: code blocks run, tables are those of RESULTS.md, links lead somewhere."""

import re
import shlex
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import given
from given.app.cli import main
from given.sources import Columns, Scenes
from given.sources.samples import SAMPLES

ROOT = Path(given.__file__).parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))
import record  # noqa: E402

PAGES = [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LOG.md")), *(ROOT / "docs").glob("*.md")]


def test_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"(?s)```python\n(.*?)```", (ROOT / "README.md").read_text())
    assert blocks
    for block in blocks:
        space = {}
        exec(block.replace("minutes=2", "steps=3"), space)
    assert space["model"].sample(2)["image"].shape == (2, 8, 8)


def test_the_results_page_is_made_from_the_records():
    text = (ROOT / "docs" / "results.md").read_text()
    assert record.fill(text) == text, "run python benchmarks/record.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if "://" not in link:
            assert (page.parent / link).exists(), f"{page.name}: {link} leads nowhere"


def test_the_readme_lists_every_family():
    from given import families

    rows = re.findall(r"(?m)^\| (\w+)", (ROOT / "README.md").read_text())
    assert set(families.__all__) <= set(rows)


EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_examples_run_and_are_short(path, capsys):
    assert len(path.read_text().splitlines()) <= 30
    exec(compile(path.read_text(), str(path), "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out


DOCS = ROOT / "docs"


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="argparse words its help otherwise elsewhere")
def test_the_command_line_page_is_what_help_prints():
    code = f"import sys; sys.path.insert(0, {str(DOCS)!r}); import make; print(make.made(), end='')"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert made == (DOCS / "command-line.md").read_text(), "run python docs/make.py"


@pytest.fixture
def _short_samples(monkeypatch):
    """The plays end after some pages, and scenes are few: what a page shows is how to ask, and counting a million characters
    takes a minute."""
    monkeypatch.setitem(SAMPLES, "scenes", lambda: Scenes(256))
    whole = SAMPLES["shakespeare"]
    monkeypatch.setitem(SAMPLES, "shakespeare", lambda **reading: Columns({"text": [whole(**reading)["text"][0][:20_000]]}))


def run_line(line):
    """A line of a shell: commands and Python in this process, for a new one imports for seconds what is imported here."""
    words = shlex.split(line)
    if words[0] == "given":
        assert main(words[1:]) == 0
    elif words[:2] == ["python", "-c"] and len(words) == 3:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # a file that the line opens, its end closes
            exec(words[2], {})
    else:
        line = line.replace("python ", f"{sys.executable} ", 1).replace("| given ", f"| {sys.executable} -m given ")
        subprocess.run(line, shell=True, check=True)


@pytest.mark.usefixtures("_short_samples")
@pytest.mark.parametrize("page", ["tables", "images", "text", "autoregression", "compression", "translate", "chat", "keyboard",
                                  "code", "answer-by-rank", "series", "fields", "asking", "comparing", "describe", "fill",
                                  "picture", "upscale", "finance", "channel", "traffic", "health", "quality", "linked",
                                  "anomalies", "impute", "predict", "segments", "label-few", "exemplars", "latent-factors",
                                  "scenes", "sets", "recognise", "molecules", "policy", "grounded", "video", "speak",
                                  "backbone", "shape"])
def test_quickstarts_run(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = (DOCS / f"{page}.md").read_text()
    for line in re.findall(r"(?m)^\$ (.*)$", text):
        run_line(line.replace("--minutes 1", "--steps 2"))
        assert capsys.readouterr().out or "-o" in line or not line.startswith("given "), f"{line}: printed nothing"
    for block in re.findall(r"(?s)```python\n(.*?)```", text):
        exec(block, {})


def test_the_page_on_pretrained_models_runs(tmp_path, monkeypatch, capsys):
    pytest.importorskip("transformers")
    monkeypatch.chdir(tmp_path)
    for block in re.findall(r"(?s)```python run\n(.*?)```", (DOCS / "pretrained.md").read_text()):
        exec(block.replace("steps=200", "steps=2"), {})
    ours, theirs = map(float, re.findall(r"-[\d.]+", capsys.readouterr().out))
    assert ours == pytest.approx(theirs, abs=1e-4)
    assert main(["export", "tale.given", "-o", "again"]) == 0
