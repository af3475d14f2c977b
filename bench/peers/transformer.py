# SPDX-License-Identifier: BSL-1.0
"""Twin of bench/models/transformer.hpp."""
import torch
from torch.nn import functional

WIDTH, HEADS, TOKENS = 8, 2, 4


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1 = torch.nn.LayerNorm(WIDTH)
        self.q, self.k, self.v, self.out = (torch.nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.norm2 = torch.nn.LayerNorm(WIDTH)
        self.up, self.down = torch.nn.Linear(WIDTH, 4 * WIDTH), torch.nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        y = self.norm1(x)
        a = functional.scaled_dot_product_attention(heads(self.q(y)), heads(self.k(y)), heads(self.v(y)))
        x = x + self.out(a.transpose(1, 2).reshape(-1, TOKENS, WIDTH))
        return x + self.down(functional.gelu(self.up(self.norm2(x))))


def heads(t):
    return t.view(-1, TOKENS, HEADS, WIDTH // HEADS).transpose(1, 2)


def make(n):
    return torch.nn.Sequential(*(Block() for _ in range(n)))


def example_inputs():
    return (torch.randn(2, TOKENS, WIDTH),)
