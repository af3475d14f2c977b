#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Checks the documentation: relative links resolve, and every C++ block is code that the tests compile and run.

A ```cpp block is right when some source under examples/ or tests/ holds it: each of its parts (between blank lines and lines of
`...`) stands there line by line; comments and indentation may differ. With a comment line before it, a block of any language
must stand in that very file, comments too: `<!-- file: examples/readme.cpp -->`. `./dev docs PAGE...` checks these pages only.
"""

import pathlib
import re
import sys
import textwrap

ROOT = pathlib.Path(__file__).resolve().parent.parent
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
BLOCK = re.compile(r"(?:<!-- file: (\S+) -->\s*\n)?^```(\w*)\n(.*?)^```", re.S | re.M)
FOLDERS, SUFFIXES = ("examples", "tests"), {".cpp", ".hpp"}
NOT_CODE = {"compile_fail"}  # what must not compile shows nothing


def lines_of(text):
    """Lines without trailing space; indentation is that of the text's first line."""
    lines = [line.rstrip() for line in textwrap.dedent(text).splitlines()]
    return lines


def paragraphs(text):
    return [lines_of(p) for p in re.split(r"\n\s*\n", text.strip("\n")) if p.strip()]


def code_of(lines):
    """Lines without comments and indentation; those with nothing left are left out."""
    code = (re.sub(r"(^|\s)//.*", "", line).strip() for line in lines)
    return [line for line in code if line]


def parts(text):
    """The code of a block between blank lines and lines of `...`."""
    found = [[]]
    for line in text.splitlines():
        if line.strip() in ("", "...", "// ..."):
            found.append([])
        else:
            found[-1].append(line)
    return [code for code in map(code_of, found) if code]


def holds(source, paragraph):
    """Whether `source` (a list of lines) has the paragraph, at any indentation."""
    for i in range(len(source) - len(paragraph) + 1):
        if source[i].strip() == paragraph[0].strip() and lines_of("\n".join(source[i:i + len(paragraph)])) == paragraph:
            return True
    return False


def contains(lines, part):
    return any(lines[i:i + len(part)] == part for i in range(len(lines) - len(part) + 1))


def sources():
    """The lines of code of every file that the tests compile."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in SUFFIXES and not NOT_CODE & set(path.relative_to(ROOT).parts):
                yield code_of(path.read_text().splitlines())


def check_block(name, language, block, compiled):
    """What is wrong with a block, or None."""
    if name:
        source = ROOT / name
        if not source.exists():
            return f"a block names '{name}', which does not exist"
        text = source.read_text().splitlines()
        for p in paragraphs(block):
            if not holds(text, p):
                return f"'{name}' does not hold the lines that begin with '{p[0].strip()}'; copy them from there"
        return None
    if language != "cpp":
        return None
    wanted, best = parts(block), 0
    for lines in compiled:
        found = [contains(lines, part) for part in wanted]
        if all(found):
            return None
        best = max(best, found.index(False))
    return (f"no source under {' or '.join(FOLDERS)} holds the block; the lines that begin with '{wanted[best][0]}' differ: "
            "write the code in a test or an example, and copy it here")


def main(arguments):
    problems, blocks = [], 0
    pages = [pathlib.Path(a).resolve() for a in arguments] or [
        ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
    compiled = list(sources())
    for page in pages:
        text = page.read_text()
        where = page.relative_to(ROOT) if page.is_relative_to(ROOT) else page
        for target in LINK.findall(re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)):
            if "://" not in target and not (page.parent / target).exists():
                problems.append(f"{where}: link to '{target}', which does not exist")
        for m in BLOCK.finditer(text):
            blocks += m[2] == "cpp" or m[1] is not None
            if why := check_block(m[1], m[2], m[3], compiled):
                problems.append(f"{where}:{text.count(chr(10), 0, m.start()) + 1}: {why}")
    for p in problems:
        print(p)
    print(f"docs: {len(pages)} pages, {blocks} blocks of code, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
