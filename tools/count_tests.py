#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Adds up what the test runs of the given build folders said, and closes with the line `N passed, N failed`.

`count_tests.py FOLDER... FAILURES`: doctest's summaries in each folder's meson log count by test case, other tests as
one. FAILURES is the number of steps outside meson that failed.
"""

import json
import pathlib
import re
import sys

CASES = re.compile(r"test cases:\s*(\d+)\s*\|\s*(\d+) passed\s*\|\s*(\d+) failed")
PLAIN = re.compile(r"^(\d+) passed, (\d+) failed$", re.M)

passed = 0
failed = int(sys.argv[-1])
for folder in sys.argv[1:-1]:
    log = pathlib.Path(folder) / "meson-logs" / "testlog.json"
    if not log.exists():
        failed += 1
        continue
    for line in log.read_text().splitlines():
        test = json.loads(line)
        text = re.sub(r"\x1b\[[0-9;]*m", "", test.get("stdout", "") or "")
        summary = CASES.search(text) or PLAIN.search(text)
        ok = test["result"] in ("OK", "EXPECTEDFAIL")
        if summary:
            counts = [int(x) for x in summary.groups()]
            good, bad = (counts[1], counts[2]) if len(counts) == 3 else counts
            passed += good
            failed += max(bad, 0 if ok else 1)
        else:
            passed += ok
            failed += not ok
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed or not passed else 0)
