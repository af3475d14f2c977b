# SPDX-License-Identifier: BSL-1.0
"""Operators of the corpus that PyTorch does not have: importing this registers them. tests/program/corpus_run.cpp has the same
in C++; es-opt knows nothing of them."""

import torch

torch.library.define("espalier_corpus::shift_", "(Tensor(a!) x, Tensor by, *, int times=1) -> Tensor")


@torch.library.impl("espalier_corpus::shift_", "CompositeExplicitAutograd")
def shift_(x, by, *, times=1):
    x.add_(by, alpha=times)
    return x.sum()


@torch.library.register_fake("espalier_corpus::shift_")
def _(x, by, *, times=1):
    return x.new_empty(())
