# SPDX-License-Identifier: BSL-1.0
"""Twins in Python of the models under examples/models. Each module has make(**options) and example_inputs(**options)."""

NAMES = ("resnet18", "bert", "llama", "lstm_classifier")
