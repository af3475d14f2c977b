# SPDX-License-Identifier: BSL-1.0
"""Twin of examples/models/bert.hpp: same names, same calls, same order."""

import math

import torch
from torch import nn
from torch.nn import functional as F

SMALL = dict(vocabulary=100, hidden=32, layers=2, heads=4, intermediate=64, positions=64, sequence=12)
FULL = dict(vocabulary=30522, hidden=384, layers=6, heads=12, intermediate=1536, positions=512, sequence=32)
TYPES, DROPOUT, EPSILON = 2, 0.1, 1e-12


class Embeddings(nn.Module):
    def __init__(self, vocabulary, hidden, positions):
        super().__init__()
        self.word_embeddings = nn.Embedding(vocabulary, hidden)
        self.position_embeddings = nn.Embedding(positions, hidden)
        self.token_type_embeddings = nn.Embedding(TYPES, hidden)
        self.LayerNorm = nn.LayerNorm(hidden, eps=EPSILON)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, input_ids):
        positions = torch.arange(input_ids.size(1), dtype=input_ids.dtype, device=input_ids.device)
        types = torch.zeros_like(input_ids)
        embedded = self.word_embeddings(input_ids)
        embedded = embedded + self.token_type_embeddings(types)
        embedded = embedded + self.position_embeddings(positions)
        return self.dropout(self.LayerNorm(embedded))


class SelfAttention(nn.Module):
    def __init__(self, hidden, heads):
        super().__init__()
        self.heads, self.head_size = heads, hidden // heads
        self.query = nn.Linear(hidden, hidden)
        self.key = nn.Linear(hidden, hidden)
        self.value = nn.Linear(hidden, hidden)
        self.dropout = nn.Dropout(DROPOUT)

    def split_heads(self, x):
        return x.view(x.size(0), x.size(1), self.heads, self.head_size).permute(0, 2, 1, 3)

    def forward(self, hidden, mask):
        q = self.split_heads(self.query(hidden))
        k = self.split_heads(self.key(hidden))
        v = self.split_heads(self.value(hidden))
        scores = torch.matmul(q, k.transpose(-1, -2)) / math.sqrt(self.head_size)
        weights = self.dropout(torch.softmax(scores + mask, -1))
        context = torch.matmul(weights, v).permute(0, 2, 1, 3)
        return context.reshape(hidden.size(0), hidden.size(1), self.heads * self.head_size)


class Residual(nn.Module):
    def __init__(self, inputs, hidden):
        super().__init__()
        self.dense = nn.Linear(inputs, hidden)
        self.LayerNorm = nn.LayerNorm(hidden, eps=EPSILON)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, x, residual):
        return self.LayerNorm(self.dropout(self.dense(x)) + residual)


class Attention(nn.Module):
    def __init__(self, hidden, heads):
        super().__init__()
        self.self = SelfAttention(hidden, heads)
        self.output = Residual(hidden, hidden)

    def forward(self, hidden, mask):
        return self.output(self.self(hidden, mask), hidden)


class Intermediate(nn.Module):
    def __init__(self, hidden, intermediate):
        super().__init__()
        self.dense = nn.Linear(hidden, intermediate)

    def forward(self, hidden):
        return F.gelu(self.dense(hidden))


class Layer(nn.Module):
    def __init__(self, hidden, heads, intermediate):
        super().__init__()
        self.attention = Attention(hidden, heads)
        self.intermediate = Intermediate(hidden, intermediate)
        self.output = Residual(intermediate, hidden)

    def forward(self, hidden, mask):
        attended = self.attention(hidden, mask)
        return self.output(self.intermediate(attended), attended)


class Encoder(nn.Module):
    def __init__(self, hidden, layers, heads, intermediate):
        super().__init__()
        self.layer = nn.ModuleList(Layer(hidden, heads, intermediate) for _ in range(layers))

    def forward(self, hidden, mask):
        for layer in self.layer:
            hidden = layer(hidden, mask)
        return hidden


class Pooler(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.dense = nn.Linear(hidden, hidden)

    def forward(self, hidden):
        return torch.tanh(self.dense(hidden.select(1, 0)))


class Bert(nn.Module):
    def __init__(self, vocabulary, hidden, layers, heads, intermediate, positions, sequence):
        super().__init__()
        self.embeddings = Embeddings(vocabulary, hidden, positions)
        self.encoder = Encoder(hidden, layers, heads, intermediate)
        self.pooler = Pooler(hidden)

    def forward(self, input_ids, attention_mask):
        hidden = self.embeddings(input_ids)
        keep = attention_mask.unsqueeze(1).unsqueeze(2).to(hidden.dtype)
        mask = (1.0 - keep) * -1e4
        hidden = self.encoder(hidden, mask)
        return hidden, self.pooler(hidden)


def make(**options):
    return Bert(**{**SMALL, **options})


def example_inputs(**options):
    options = {**SMALL, **options}
    sequence = options["sequence"]
    mask = torch.ones(2, sequence, dtype=torch.long)
    mask[1, sequence // 2 :] = 0
    return torch.randint(options["vocabulary"], (2, sequence)), mask
