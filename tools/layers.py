# SPDX-License-Identifier: BSL-1.0
"""The layers of include/espalier, in order: a header includes its own layer and those before it."""

GROUND = ["support", "schema", "symbolic", "meta", "ir", "signature", "pipeline", "rewrite", "passes", "archive"]
UPPER = ["bridge", "trace", "program", "exporting", "opt"]
ORDER = GROUND + UPPER
