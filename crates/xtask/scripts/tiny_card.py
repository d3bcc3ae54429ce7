#!/usr/bin/env python3
"""The tables of a model card: what a model of the arithmetic domain is worth on fresh problems.

    python3 crates/xtask/scripts/tiny_card.py --conclave target/release/conclave --model runs/tiny-grpo/model --work /tmp/card

Problems come from a seed that no configuration trains on. Rows are kept in the work folder, so that an interrupted run goes
on; with --against (the work folder of another model) the paired differences are printed too. Needs nothing but Python.
"""
import argparse
import json
import pathlib
import subprocess

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--conclave", default="target/release/conclave")
parser.add_argument("--model", required=True)
parser.add_argument("--work", required=True, type=pathlib.Path)
parser.add_argument("--against", type=pathlib.Path)
parser.add_argument("--problems", type=int, default=2000)
parser.add_argument("--seed", type=int, default=77)
parser.add_argument("--permutations", type=int, default=5)
options = parser.parse_args()
options.work.mkdir(parents=True, exist_ok=True)


def conclave(*arguments):
    return subprocess.run([options.conclave, *map(str, arguments)], check=True, stdout=subprocess.PIPE, text=True).stdout


def sets(name, num_candidates, solvers="standard", cut=0.0, share=1.0):
    """`share` of the problems, with so many candidates each."""
    path = options.work / f"sets-{name}.jsonl"
    if not path.exists():
        plain = path.with_suffix(".whole")
        conclave("data", "arithmetic", "--seed", options.seed, "--problems", round(options.problems * share), "--num-candidates",
                 num_candidates, "--solvers", solvers, "--out", plain)
        with plain.open() as lines, path.with_suffix(".part").open("w") as out:
            for line in lines:
                row = json.loads(line)
                if cut:
                    for candidate in row["candidates"]:
                        text = candidate["text"]
                        candidate["text"] = text[: len(text) - max(1, round(len(text) * cut))]
                        candidate["finish_reason"] = "length"
                out.write(json.dumps(row) + "\n")
        path.with_suffix(".part").rename(path)
    return path


def evaluate(name, path, num_candidates, permutations=1):
    report = options.work / f"report-{name}.json"
    if not report.exists():
        rows = options.work / f"rows-{name}.jsonl"
        arguments = ["train", "evaluate", path, "--model", options.model, "--num-candidates", num_candidates,
                     "--permutations", permutations, "--out", rows, "--json"]
        if options.against:
            arguments += ["--against", options.against / rows.name]
        report.write_text(conclave(*arguments))
    return json.loads(report.read_text())


def figure(value, digits=3):
    if not value:
        return "-"
    return f"{value['value']:.{digits}f} ({value['low']:.{digits}f} to {value['high']:.{digits}f})"


print(f"Problems of seed {options.seed}; 95 % intervals in brackets\n")
print("| candidates | problems | mean@1 | majority | any right | accuracy | gap closed | regressions |"
      + (" gain |" if options.against else ""))
print("|---|---|---|---|---|---|---|---|" + ("---|" if options.against else ""))
for name, count, solvers, cut, share in [
    ("3", 3, "standard", 0, 0.5), ("5", 5, "standard", 0, 1), ("8", 8, "standard", 0, 0.5), ("15", 15, "standard", 0, 0.25),
    ("5, mixed solvers", 5, "mixed", 0, 0.5), ("5, last 10 % cut", 5, "standard", 0.1, 0.5),
]:
    key = name.replace(", ", "-").replace(" %", "").replace(" ", "-")
    report = evaluate(key, sets(key, count, solvers, cut, share), count)
    row = [name, report["problems"]] + [figure(report.get(field)) for field in
                    ("mean_at_1", "majority_first", "pass_at_k", "accuracy", "gap_closed", "regression_rate")]
    if options.against:
        row.append(figure(report.get("difference")))
    print("| " + " | ".join(map(str, row)) + " |", flush=True)
control = evaluate("control", sets("control", 1, share=0.25), 0)
print(f"\nThe problem alone, without candidates ({control['problems']} problems): accuracy {figure(control['accuracy'])}")
flips = evaluate("flips", sets("flips", 5, share=0.2), 5, options.permutations)
print(f"Flip rate over {options.permutations} orders ({flips['problems']} problems): {figure(flips['flip_rate'])}")
five = evaluate("5", sets("5", 5), 5)
print(f"Well-formed completions at 5 candidates: {five['well_formed']:.4f}; {five['mean_completion_tokens']:.1f} tokens each")
