# SPDX-License-Identifier: BSL-1.0
"""Twin of examples/models/llama.hpp: same names, same calls, same order."""

import torch
from torch import nn
from torch.nn import functional as F

SMALL = dict(vocabulary=100, hidden=32, layers=2, heads=4, key_value_heads=2, intermediate=64, sequence=12)
FULL = dict(vocabulary=32000, hidden=288, layers=6, heads=6, key_value_heads=2, intermediate=768, sequence=32)
THETA, EPSILON = 10000.0, 1e-5


def projection(inputs, outputs):
    return nn.Linear(inputs, outputs, bias=False)


def rotate(x, rotation):
    cos, sin = rotation
    left, right = x.chunk(2, -1)
    turned = torch.cat([-right, left], -1) * sin
    return x * cos + turned


class RMSNorm(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(hidden))

    def forward(self, x):
        variance = x.pow(2).mean(-1, keepdim=True)
        return self.weight * (x * torch.rsqrt(variance + EPSILON))


class RotaryEmbedding(nn.Module):
    def __init__(self, head_size):
        super().__init__()
        exponents = torch.arange(0, head_size, 2, dtype=torch.float) / head_size
        self.register_buffer("inv_freq", torch.pow(THETA, -exponents))

    def forward(self, sequence):
        positions = torch.arange(sequence, dtype=self.inv_freq.dtype, device=self.inv_freq.device)
        angles = torch.outer(positions, self.inv_freq)
        angles = torch.cat([angles, angles], -1)
        return angles.cos(), angles.sin()


class Attention(nn.Module):
    def __init__(self, hidden, heads, key_value_heads):
        super().__init__()
        self.head_size = hidden // heads
        self.q_proj = projection(hidden, heads * self.head_size)
        self.k_proj = projection(hidden, key_value_heads * self.head_size)
        self.v_proj = projection(hidden, key_value_heads * self.head_size)
        self.o_proj = projection(heads * self.head_size, hidden)

    def split_heads(self, x):
        return x.view(x.size(0), x.size(1), -1, self.head_size).transpose(1, 2)

    def forward(self, x, rotation):
        q = rotate(self.split_heads(self.q_proj(x)), rotation)
        k = rotate(self.split_heads(self.k_proj(x)), rotation)
        v = self.split_heads(self.v_proj(x))
        context = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        return self.o_proj(context.transpose(1, 2).reshape(x.size(0), x.size(1), -1))


class MLP(nn.Module):
    def __init__(self, hidden, intermediate):
        super().__init__()
        self.gate_proj = projection(hidden, intermediate)
        self.up_proj = projection(hidden, intermediate)
        self.down_proj = projection(intermediate, hidden)

    def forward(self, x):
        gate = F.silu(self.gate_proj(x))
        return self.down_proj(gate * self.up_proj(x))


class DecoderLayer(nn.Module):
    def __init__(self, hidden, heads, key_value_heads, intermediate):
        super().__init__()
        self.self_attn = Attention(hidden, heads, key_value_heads)
        self.mlp = MLP(hidden, intermediate)
        self.input_layernorm = RMSNorm(hidden)
        self.post_attention_layernorm = RMSNorm(hidden)

    def forward(self, x, rotation):
        x = x + self.self_attn(self.input_layernorm(x), rotation)
        return x + self.mlp(self.post_attention_layernorm(x))


class Model(nn.Module):
    def __init__(self, vocabulary, hidden, layers, heads, key_value_heads, intermediate):
        super().__init__()
        self.embed_tokens = nn.Embedding(vocabulary, hidden)
        self.layers = nn.ModuleList(
            DecoderLayer(hidden, heads, key_value_heads, intermediate) for _ in range(layers)
        )
        self.norm = RMSNorm(hidden)
        self.rotary_emb = RotaryEmbedding(hidden // heads)

    def forward(self, input_ids):
        hidden = self.embed_tokens(input_ids)
        rotation = self.rotary_emb(input_ids.size(1))
        for layer in self.layers:
            hidden = layer(hidden, rotation)
        return self.norm(hidden)


class Llama(nn.Module):
    def __init__(self, vocabulary, hidden, layers, heads, key_value_heads, intermediate, sequence):
        super().__init__()
        self.model = Model(vocabulary, hidden, layers, heads, key_value_heads, intermediate)
        self.lm_head = projection(hidden, vocabulary)

    def forward(self, input_ids):
        return self.lm_head(self.model(input_ids))


def make(**options):
    return Llama(**{**SMALL, **options})


def example_inputs(**options):
    options = {**SMALL, **options}
    return (torch.randint(options["vocabulary"], (2, options["sequence"])),)
