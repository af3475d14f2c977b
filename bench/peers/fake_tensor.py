# SPDX-License-Identifier: BSL-1.0
"""Python's FakeTensor on the calls of bench/rules.cpp: nanoseconds a call."""
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import measure

CALLS = 500


def repeat(f):
    for _ in range(CALLS):
        f()


if __name__ == "__main__":
    measure.options(__doc__)
    torch.set_num_threads(1)
    with FakeTensorMode(), torch.inference_mode():
        a, b = torch.empty(8, 16, 32), torch.empty(32)
        m, k = torch.empty(64, 32), torch.empty(32, 16)
        for name, call in (
            ("rule_add", lambda: torch.add(a, b)),
            ("rule_mm", lambda: torch.mm(m, k)),
            ("rule_view", lambda: a.view(8, -1)),
            ("rule_sum", lambda: torch.sum(a, [1], True)),
        ):
            repeat(call)
            measure.report(name, "", measure.median_ns(repeat, lambda: (call,)) / CALLS)
