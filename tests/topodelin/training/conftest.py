"""One thread: small tensors are quickest so, and results are the same bits everywhere."""

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
