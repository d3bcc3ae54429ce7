"""Shards on an engine whose workers are killed (`cargo xtask peers ray`, `cargo xtask peers hyperqueue`).

Makes sets, has one process vote on them, then the engine by its script in `examples`, once undisturbed and once with workers killed
by SIGKILL at random moments, and merges. Fails where a merged file is not, row for row, what the one process wrote.
"""

import argparse
import glob
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

EXAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../examples")


def timed(line, **options):
    """Runs a command that must succeed; returns its seconds."""
    begun = time.monotonic()
    done = subprocess.run(line, stderr=subprocess.PIPE, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(line)}\n{done.stderr}")
    return time.monotonic() - begun


def rows(path):
    """The rows of a file, without what differs from run to run."""
    with open(path, encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            row.pop("elapsed_ms")
            yield row


def processes():
    """Number, parent and command line of all processes."""
    for path in glob.glob("/proc/[0-9]*"):
        try:
            with open(f"{path}/stat", encoding="utf-8") as file:
                parent = int(file.read().rsplit(")", 1)[1].split()[1])
            with open(f"{path}/cmdline", encoding="utf-8", errors="replace") as file:
                yield int(os.path.basename(path)), parent, file.read()
        except OSError:
            pass


def descendants(of):
    """Those that a process has started, with their command lines."""
    known = list(processes())
    family = {of}
    while True:
        more = {number for number, parent, _ in known if parent in family} - family
        if not more:
            return [(number, line) for number, _, line in known if number in family and number != of]
        family |= more


class Ray:
    """A task runs in a worker process, which is what is killed; Ray starts the task again."""

    name = "Ray"

    def run(self, line, kills):
        killed = 0
        driver = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        while driver.poll() is None and killed < kills:
            time.sleep(random.uniform(0.1, 0.6))
            workers = [number for number, name in descendants(driver.pid) if name.startswith("ray::run_shard")]
            if workers:
                os.kill(random.choice(workers), signal.SIGKILL)
                killed += 1
        _, said = driver.communicate()
        if driver.returncode != 0:
            sys.exit(said)
        return killed


class HyperQueue:
    """Its Python package runs server and workers in one process, which is what is killed; then it is run again."""

    name = "HyperQueue"

    def run(self, line, kills):
        killed = 0
        while True:
            driver = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            if killed < kills:
                try:
                    driver.wait(timeout=random.uniform(0.8, 2.0))
                except subprocess.TimeoutExpired:
                    driver.kill()
                    killed += 1
            _, said = driver.communicate()
            if driver.returncode == 0:
                return killed
            if driver.returncode != -signal.SIGKILL:
                sys.exit(said)


ENGINES = {"ray": Ray(), "hyperqueue": HyperQueue()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("conclave", help="the program")
    parser.add_argument("--engine", choices=ENGINES, required=True)
    parser.add_argument("--sets", type=int, default=100_000)
    parser.add_argument("--shards", type=int, default=40)
    parser.add_argument("--kills", type=int, default=7)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    engine = ENGINES[arguments.engine]
    conclave = os.path.abspath(arguments.conclave)
    folder = tempfile.mkdtemp(prefix="conclave-shards-")
    try:
        check(arguments, engine, conclave, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check(arguments, engine, conclave, folder):
    sets, whole = os.path.join(folder, "sets.jsonl"), os.path.join(folder, "whole.jsonl")
    timed([conclave, "data", "arithmetic", "--problems", str(arguments.sets), "--num-candidates", "5", "--out", sets])
    size = os.path.getsize(sets) / 1e6
    seconds = timed([conclave, "vote", sets, "--out", whole])
    print(f"{arguments.sets} sets, {size:.0f} MB; one process: {seconds:.1f} s", flush=True)
    script = os.path.join(EXAMPLES, arguments.engine, "shards.py")
    for kills in [0, arguments.kills]:
        out, merged = os.path.join(folder, f"out-{kills}"), os.path.join(folder, f"merged-{kills}.jsonl")
        line = [sys.executable, script, "--shards", str(arguments.shards), "--out", out]
        begun = time.monotonic()
        killed = engine.run([*line, "--", conclave, "vote", sets], kills)
        seconds = time.monotonic() - begun
        if killed < kills:
            sys.exit(f"only {killed} of {kills} workers were killed before all was done: more --sets")
        parts = sorted(glob.glob(os.path.join(out, "part-*.jsonl")))
        merging = timed([conclave, "merge", *parts, "--of", sets, "--out", merged])
        left = [name for name in os.listdir(out) if name.endswith(".partial")]
        same = sum(ours == theirs for ours, theirs in zip(rows(merged), rows(whole), strict=True))
        if same != arguments.sets or left:
            sys.exit(f"{same} of {arguments.sets} rows are those of one process; left over: {left}")
        print(
            f"{engine.name}, {arguments.shards} shards, {killed} workers killed: {seconds:.1f} s, merged in {merging:.1f} s; "
            f"{same} of {arguments.sets} rows as one process writes them",
            flush=True,
        )


if __name__ == "__main__":
    main()
