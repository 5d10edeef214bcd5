"""Settings of the loss tests: one thread, so that sums come out the same on every machine."""

import torch

torch.set_num_threads(1)
