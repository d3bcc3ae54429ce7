#!/usr/bin/env python3
"""The tables of reinforcement learning on the arithmetic domain: GRPO behind supervised training, and ParaGator.

    python3 crates/xtask/scripts/tiny_rl.py grpo --start runs/tiny-sft/model --weak runs/tiny-solver/checkpoints/step-00000150 \
        --work runs/rl
    python3 crates/xtask/scripts/tiny_rl.py paragator --start runs/tiny-generator/model --work runs/paragator

Every run has one thread and as many go side by side as there are --jobs. A run that is there is not done again, one that was
interrupted goes on, so the command may be stopped and given again. Needs nothing but Python and `conclave`.
"""
import argparse
import concurrent.futures
import json
import pathlib
import random
import re
import subprocess

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("what", choices=["grpo", "paragator"])
parser.add_argument("--conclave", default="target/release/conclave")
parser.add_argument("--start", required=True, type=pathlib.Path, help="model directory that training goes on from")
parser.add_argument("--weak", type=pathlib.Path, help="grpo: an early checkpoint that training goes on from as well")
parser.add_argument("--work", required=True, type=pathlib.Path)
parser.add_argument("--seeds", type=int, default=3)
parser.add_argument("--jobs", type=int, default=2)
parser.add_argument("--problems", type=int, default=2000)
parser.add_argument("--round-problems", type=int, default=200, help="paragator: the first so many are aggregated in rounds, too")
parser.add_argument("--without", action="append", default=[], help="paragator: a method to leave out, such as pass_at_k")
parser.add_argument("--held-out-seed", type=int, default=77)
parser.add_argument("--set", action="append", default=[], help="a key of the configuration, for every run")
options = parser.parse_args()
options.work.mkdir(parents=True, exist_ok=True)
SEEDS = range(1, options.seeds + 1)
CONFIGS = pathlib.Path("crates/train/configs")


def conclave(*arguments):
    done = subprocess.run([options.conclave, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"conclave {' '.join(map(str, arguments))}\n{done.stderr[-2000:]}")
    return done.stdout


def train(kind, config, name, settings):
    run = options.work / name
    if not (run / "model" / "conclave.json").exists():
        settings = ["train.threads=1"] + [f"{key}={value}" for key, value in settings.items()] + options.set
        arguments = [argument for setting in settings for argument in ("--set", setting)]
        conclave("train", kind, "--config", CONFIGS / config, "--output", run, "--resume", *arguments)
    return run


def side_by_side(work):
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        return list(pool.map(lambda one: one(), work))


def problems(name, num_candidates, *more):
    path = options.work / f"sets-{name}.jsonl"
    if not path.exists():
        part = path.with_suffix(".part")
        conclave("data", "arithmetic", "--seed", options.held_out_seed, "--problems", options.problems,
                 "--num-candidates", num_candidates, *more, "--out", part)
        part.rename(path)
    return path


def cut(path, share=0.1):
    """The same sets without the last tenth of every candidate."""
    out = path.with_name(path.stem + "-cut.jsonl")
    if not out.exists():
        rows = [json.loads(line) for line in path.open()]
        for row in rows:
            for candidate in row["candidates"]:
                text = candidate["text"]
                candidate.update(text=text[:len(text) - max(1, round(len(text) * share))], finish_reason="length")
        out.with_suffix(".part").write_text("".join(json.dumps(row) + "\n" for row in rows))
        out.with_suffix(".part").rename(out)
    return out


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def interval(values, form=".3f", draws=2000):
    """The mean over problems and its 95 % bootstrap interval."""
    rng, count = random.Random(1), len(values)
    means = sorted(mean(rng.choices(values, k=count)) for _ in range(draws))
    return f"{mean(values):{form}} ({means[int(.025 * draws)]:{form}} to {means[int(.975 * draws)]:{form}})"


def difference(after, before):
    """The mean paired difference over problems and its 95 % bootstrap interval."""
    return interval([a - b for a, b in zip(after, before, strict=True)], "+.3f")


def by_seed(values):
    return " / ".join(f"{mean(one):.3f}" for one in values)


def over_seeds(values):
    """Mean over seeds, problem by problem."""
    return [mean(one) for one in zip(*values, strict=True)]


def grpo():
    mixed = problems("mixed", 5, "--solvers", "mixed")
    files = {
        "full": {"5": problems("5", 5), "8": problems("8", 8), "5, mixed solvers": mixed, "5, last 10 % cut": cut(mixed)},
        "weak": {"4, small numbers": problems("small", 4, "--numbers", "small")},
    }

    def correct(model, start, name, label):
        rows = options.work / f"rows-{label}-{files[start][name].stem}.jsonl"
        if not rows.exists():
            conclave("train", "evaluate", files[start][name], "--model", model, "--num-candidates", name.split(",")[0],
                     "--threads", 1, "--out", rows)
        rows = [json.loads(line) for line in rows.open()]
        return [float(row["correct"]) for row in rows], [float(row["vote_correct"]) for row in rows]

    CONFIG = {"full": "tiny-grpo.toml", "weak": "tiny-grpo-weak.toml"}
    starts = {"full": options.start} | ({"weak": options.weak} if options.weak else {})
    side_by_side([lambda start=start, path=path, seed=seed: train(
        "grpo", CONFIG[start], f"grpo-{start}-{seed}", {"model.path": json.dumps(str(path)), "train.seed": seed})
        for start, path in starts.items() for seed in SEEDS])
    models = {start: path for start, path in starts.items()}
    models |= {f"{start}-{seed}": options.work / f"grpo-{start}-{seed}" / "model" for start in starts for seed in SEEDS}
    side_by_side([lambda label=label, path=path, start=label.split("-")[0], name=name: correct(path, start, name, label)
                  for label, path in models.items() for name in files[label.split("-")[0]]])

    print(f"{options.problems} problems of seed {options.held_out_seed}, greedy; 95 % intervals over problems; GRPO: the mean "
          f"of {options.seeds} seeds\n")
    print("| start | candidates | vote | supervised | with GRPO | by seed | gain of GRPO |\n|---|---|---|---|---|---|---|")
    for start in starts:
        for name in files[start]:
            before, vote = correct(models[start], start, name, start)
            seeds = [correct(models[f"{start}-{seed}"], start, name, f"{start}-{seed}")[0] for seed in SEEDS]
            after = over_seeds(seeds)
            print(f"| {start} | {name} | {mean(vote):.3f} | {interval(before)} | {interval(after)} | {by_seed(seeds)} "
                  f"| {difference(after, before)} |")
    for start in starts:
        print(f"\nOver the run, {start} start, mean of {options.seeds} seeds:\n")
        curves([options.work / f"grpo-{start}-{seed}" for seed in SEEDS],
               ["reward", "reward_std", "kl", "entropy", "sampling/sampling_logp_difference/mean",
                "sampling/sampling_logp_difference/max", "completions/mean_length", "grad_norm"])


def curves(runs, names):
    """Means of metrics over the tenths of runs."""
    logs = [[json.loads(line) for line in (run / "metrics.jsonl").open()] for run in runs]
    logs = [[row for row in log if "reward" in row] for log in logs]
    steps = min(map(len, logs))
    parts = [(steps * i // 6, steps * (i + 1) // 6) for i in range(6)]
    print("| | " + " | ".join(f"steps {a + 1} to {b}" for a, b in parts) + " |\n|---|" + "---|" * len(parts))
    for name in names:
        cells = []
        for a, b in parts:
            values = [row[name] for log in logs for row in log[a:b] if row.get(name) is not None]
            cells.append(f"{mean(values):.3g}" if values else "-")
        print(f"| {name} | " + " | ".join(cells) + " |")


METHODS = {"start": "untrained start", "dr_grpo": "Dr.GRPO, generator alone", "pass_at_k": "pass@k, generator alone",
           "offline": "offline aggregation",
           "online_multitask": "online multitask", "joint": "ParaGator"}
ROUNDS, CANDIDATES, POOL = 3, 8, 4


def answer(text):
    """What a solution of the domain says: its box, else what stands behind the last #."""
    found = re.findall(r"\\boxed\{(-?\d+)\}", text) or re.findall(r"#(-?\d+)", text)
    return found[-1] if found else None


def pass_at(correct, total, k):
    """Chen et al.'s unbiased estimator."""
    miss = 1.0
    for i in range(k):
        miss *= max(total - correct - i, 0) / (total - i)
    return 1 - miss


def paragator():
    methods = {method: label for method, label in METHODS.items() if method not in options.without}
    held_out = problems("small", 1, "--numbers", "small")
    first = held_out.with_name(f"sets-small-first-{options.round_problems}.jsonl")
    first.write_text("".join(held_out.read_text().splitlines(keepends=True)[:options.round_problems]))

    def written(name, model, seed, sets, rounds):
        """Pools of every round, from round 0, which the generator writes: right candidates and candidates, by problem."""
        path = options.work / f"pools-{name}-{rounds}.jsonl"
        if not path.exists():
            answers = options.work / f"answers-{name}-{rounds}.jsonl"
            answers.unlink(missing_ok=True)
            conclave("aggregate", sets, "--model", model, "--generator", model, "--rounds", rounds, "--num-candidates",
                     CANDIDATES, "--pool-size", POOL, "--temperature", 1, "--seed", seed, "--max-new-tokens", 96,
                     "--out", answers, "--pools", path.with_suffix(".part"))
            path.with_suffix(".part").rename(path)
        found = {}
        for row in map(json.loads, path.open()):
            right = sum(answer(candidate["text"]) == row["reference_answer"] for candidate in row["candidates"])
            found.setdefault(row["round"], {})[row["id"]] = (right, len(row["candidates"]))
        # What is drawn for a problem depends on its place: of a longer file, the first ones are the same.
        ids = [json.loads(line)["id"] for line in sets.open()]
        return [[found[t][one] for one in ids] for t in range(rounds + 1)]

    def pools(method, seed):
        name = f"{method}-{seed}"
        model = options.start
        if method != "start":
            # Measured behind the run, on more problems than during it.
            settings = {"paragator.baseline": method, "train.seed": seed, "model.path": json.dumps(str(options.start)),
                        "eval.every": 0, "eval.at_start": "false", "eval.problems": 8}
            model = train("paragator", "tiny-paragator.toml", name, settings) / "model"
        # Generating costs little, aggregating reads four texts for each one it writes.
        return written(name, model, seed, held_out, 0) + written(name, model, seed, first, ROUNDS)[1:]

    # The start is one model whatever the seed: it is drawn from once.
    work = [(method, seed) for seed in SEEDS for method in methods if method != "start" or seed == 1]
    found = dict(zip(work, side_by_side([lambda one=one: pools(*one) for one in work]), strict=True))

    def figure(method, t, k):
        return [[pass_at(right, total, k) for right, total in found[method, seed][t]]
                for seed in SEEDS if (method, seed) in found]

    print(f"Pass rates on {options.problems} problems of seed {options.held_out_seed}, {CANDIDATES} solutions each; rounds on the "
          f"first {options.round_problems}, in pools of {POOL}; means of {options.seeds} seeds, 95 % intervals over problems\n")
    print(f"| method | pass@1 | pass@{POOL} | by seed | pass@{CANDIDATES} | " + " | ".join(
        f"round {t}: accuracy" for t in range(1, ROUNDS + 1)) + f" | round {ROUNDS} by seed |\n|---|" + "---|" * (ROUNDS + 5))
    for method, label in methods.items():
        cells = [interval(over_seeds(figure(method, 0, 1))), interval(over_seeds(figure(method, 0, POOL))),
                 by_seed(figure(method, 0, POOL)), interval(over_seeds(figure(method, 0, CANDIDATES)))]
        cells += [interval(over_seeds(figure(method, t, 1))) for t in range(1, ROUNDS + 1)]
        print(f"| {label} | " + " | ".join(cells) + f" | {by_seed(figure(method, ROUNDS, 1))} |")
    print("\n| difference | pass@1 | " + f"pass@{POOL} | pass@{CANDIDATES} | round {ROUNDS} |\n|---|---|---|---|---|")
    for a, b in [("pass_at_k", "dr_grpo"), ("joint", "online_multitask"), ("joint", "dr_grpo"), ("joint", "offline"), ("joint", "start"),
                 ("online_multitask", "dr_grpo"), ("dr_grpo", "start")]:
        if not {a, b} <= methods.keys():
            continue
        cells = [difference(over_seeds(figure(a, t, k)), over_seeds(figure(b, t, k)))
                 for t, k in [(0, 1), (0, POOL), (0, CANDIDATES), (ROUNDS, 1)]]
        print(f"| {methods[a]} - {methods[b]} | " + " | ".join(cells) + " |")


{"grpo": grpo, "paragator": paragator}[options.what]()
