# SPDX-License-Identifier: BSL-1.0
"""What the peers share: CPU time of a piece of work, and one JSON object a line: {"bench", "size", "value"},
and "calls_left" where a pass changed a graph.

Values are in the unit of the row they belong to (bench/run.py): nanoseconds an item. CPU time, as ours is."""
import argparse
import gc
import json
import time


def options(doc):
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--quick", action="store_true", help="small sizes only")
    parser.add_argument("--folder", help="programs that bench_archive wrote")
    return parser.parse_args()


def median_ns(work, setup=lambda: (), repetitions=5, budget_s=60.0):
    """The median CPU time of work(*setup()), set-up not counted, cyclic garbage collection off. Fewer repetitions,
    but one at least, where they would take longer than the budget."""
    times, began = [], time.monotonic()
    gc.collect()
    while len(times) < repetitions and (not times or time.monotonic() - began < budget_s):
        args = setup()
        gc.disable()
        start = time.process_time_ns()
        kept = work(*args)
        times.append(time.process_time_ns() - start)
        gc.enable()
        del kept, args
    return sorted(times)[len(times) // 2]


def report(bench, size, value, **more):
    print(json.dumps({"bench": bench, "size": str(size), "value": value, **more}), flush=True)
