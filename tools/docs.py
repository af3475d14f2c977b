#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Checks the documentation: relative links resolve, and code blocks that name a file equal it.

A block is tied to a file by a comment line before it: `<!-- file: examples/readme.cpp -->`; the block must be part of
that file, line by line.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
BLOCK = re.compile(r"<!-- file: (\S+) -->\s*\n```\w*\n(.*?)```", re.S)


def main():
    problems = []
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
    for page in pages:
        text = page.read_text()
        for target in LINK.findall(re.sub(r"```.*?```", "", text, flags=re.S)):
            if "://" not in target and not (page.parent / target).exists():
                problems.append(f"{page.relative_to(ROOT)}: link to '{target}', which does not exist")
        for name, block in BLOCK.findall(text):
            source = ROOT / name
            if not source.exists():
                problems.append(f"{page.relative_to(ROOT)}: a block names '{name}', which does not exist")
            elif block.strip() not in source.read_text():
                problems.append(f"{page.relative_to(ROOT)}: the block of '{name}' is not what the file says")
    for p in problems:
        print(p)
    print(f"docs: {len(pages)} pages, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
