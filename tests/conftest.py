"""Every test starts from the same global generator: networks take their first weights from it. One thread a worker."""

import collections
import gc

import pytest
import torch

torch.set_num_threads(1)
gc.disable()  # until all is collected


@pytest.fixture(autouse=True)
def _seeded():
    torch.set_num_threads(1)
    torch.default_generator.manual_seed(0)  # torch.manual_seed turns to every kind of device, and notes the stack for each


def pytest_collection_finish():
    """What is collected stays to the end: it is not garbage to look for."""
    gc.freeze()
    gc.enable()


def pytest_terminal_summary(terminalreporter):
    """How often a law was obeyed, and why it was skipped how often."""
    def laws(outcome):
        return [report for report in terminalreporter.stats.get(outcome, ())
                if report.when == ("setup" if outcome == "error" else "call") and "test_laws.py::" in report.nodeid]

    skipped = collections.Counter(report.longrepr[2].partition("law: ")[2].partition(";")[0] for report in laws("skipped"))
    obeyed = len(laws("passed"))
    if obeyed or skipped:
        terminalreporter.write_sep("=", f"laws: {obeyed:,} obeyed, {len(laws('failed')):,} broken, {skipped.total():,} skipped")
        for reason, times in skipped.most_common():
            terminalreporter.write_line(f"{times:5,} {reason}")
