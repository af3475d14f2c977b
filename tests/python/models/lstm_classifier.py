# SPDX-License-Identifier: BSL-1.0
"""Twin of examples/models/lstm_classifier.hpp: same names, same calls, same order."""

import torch
from torch import nn

SMALL = dict(vocabulary=100, embedding=16, hidden=16, classes=3, sequence=12)
FULL = dict(vocabulary=10000, embedding=128, hidden=256, classes=4, sequence=32)
LAYERS, DROPOUT = 2, 0.1


class LSTMClassifier(nn.Module):
    def __init__(self, vocabulary, embedding, hidden, classes, sequence):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.lstm = nn.LSTM(
            embedding, hidden, num_layers=LAYERS, dropout=DROPOUT, batch_first=True, bidirectional=True
        )
        self.classifier = nn.Linear(2 * hidden, classes)

    def forward(self, tokens):
        outputs, state = self.lstm(self.embedding(tokens))
        hidden = state[0]  # [layers * directions, batch, hidden]
        forwards = hidden[-2]
        backwards = hidden[-1]
        return self.classifier(torch.cat([forwards, backwards], 1))


def make(**options):
    return LSTMClassifier(**{**SMALL, **options})


def example_inputs(**options):
    options = {**SMALL, **options}
    return (torch.randint(options["vocabulary"], (2, options["sequence"])),)
