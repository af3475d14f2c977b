# SPDX-License-Identifier: BSL-1.0
"""Twin of bench/models/mlp.hpp."""
import torch

WIDTH = 4


class Mlp(torch.nn.Module):
    def __init__(self, n):
        super().__init__()
        layers = []
        for _ in range(n):
            layers += [torch.nn.Linear(WIDTH, WIDTH), torch.nn.ReLU()]
        self.layers = torch.nn.Sequential(*layers)

    def forward(self, x):
        return self.layers(x)


def example_inputs():
    return (torch.randn(2, WIDTH),)
