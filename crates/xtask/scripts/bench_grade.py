"""Grading rates of Conclave and Math-Verify on the same pairs, in one run, on one core each.

    pip install math-verify
    python crates/xtask/scripts/bench_grade.py

Runs `cargo bench -p conclave-core --bench grade -- grade/` and reads its estimates, then times Math-Verify's
parse(reference), parse(prediction), verify on the pairs that the benchmark selects (the rule stands in
`crates/core/benches/grade.rs`). Optional: nothing else needs Python.
"""

import json
import logging
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
FILES = ["math_verify.jsonl", "near_misses.jsonl", "matches.jsonl"]
ROUNDS = 3


def selections():
    pairs = []
    for file in FILES:
        lines = (ROOT / "tests/data/equivalence" / file).read_text(encoding="utf-8").splitlines()
        pairs += [(pair["reference"], pair["prediction"]) for pair in map(json.loads, lines)]
    simple = [p for p in pairs if all(set(side) <= set("0123456789.,/-") for side in p)]
    short = [p for p in pairs if all(len(side.encode()) <= 120 for side in p)]
    latex = [p for p in short if any("\\" in side for side in p)]
    return {"simple": simple, "latex": latex, "texts": [p for p in pairs if p not in short]}


def conclave_rates(names):
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    command = ["cargo", "bench", "-p", "conclave-core", "--bench", "grade", "--", "grade/"]
    subprocess.run(command, cwd=ROOT, check=True, stdout=sys.stderr)
    rates = {}
    for name, pairs in names.items():
        estimates = json.loads((target / "criterion/grade" / name / "new/estimates.json").read_text())
        rates[name] = len(pairs) / (estimates["mean"]["point_estimate"] * 1e-9)
    return rates


def math_verify_rate(pairs):
    from math_verify import parse, verify

    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for reference, prediction in pairs:
            # Its own way of reading bare LaTeX is with dollar signs.
            verify(parse(f"${reference}$"), parse(f"${prediction}$"))
        best = min(best, time.perf_counter() - start)
    return len(pairs) / best


def main():
    logging.disable(logging.CRITICAL)
    names = selections()
    ours = conclave_rates(names)
    print(f"{'pairs':8} {'count':>6} {'Conclave/s':>12} {'Math-Verify/s':>14} {'ratio':>8}")
    for name, pairs in names.items():
        theirs = math_verify_rate(pairs)
        print(f"{name:8} {len(pairs):6} {ours[name]:12,.0f} {theirs:14,.1f} {ours[name] / theirs:8,.0f}")


if __name__ == "__main__":
    main()
