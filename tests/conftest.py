"""Every test starts from the same global generator: networks take their first weights from it."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _seeded():
    torch.set_num_threads(1)
    torch.manual_seed(0)
