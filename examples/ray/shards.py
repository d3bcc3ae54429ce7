"""One command over the shards of its input, on a Ray cluster: a task a shard, each a process of `conclave`.

    python shards.py --shards 40 --out votes -- conclave vote sets.jsonl

Ray starts a task again where its worker or its machine dies. Its process notices that and stops; the next one goes on with what is
there, or finds the shard complete and leaves it alone. So does the whole script, run again.
"""

import argparse
import os
import subprocess
import sys

import ray

# What `conclave` ends with: the arguments are wrong, and no second try helps.
WRONG_ARGUMENTS = 2


class Unfinished(Exception):
    """The shard has no file yet: another try may give it one."""


def run_shard(command, shard, shards, out):
    """Runs one shard; returns whether all of it could be done, and what was said."""
    file = os.path.join(out, f"part-{shard:05}.jsonl")
    line = [*command, "--shard", f"{shard}/{shards}", "--out", file]
    done = subprocess.run(line, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode == WRONG_ARGUMENTS:
        raise ValueError(done.stderr)
    # With exit code 1 and a file, some lines could not be read: they will not be next time either.
    if not os.path.exists(file):
        raise Unfinished(done.stderr)
    return done.returncode == 0, done.stderr


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, required=True, help="number of shards")
    parser.add_argument("--out", required=True, help="folder of the shards' files, which all machines see")
    parser.add_argument("--address", help="the cluster [default: this machine]")
    parser.add_argument("--cpus", type=float, default=1, help="processors of a task")
    parser.add_argument("--gpus", type=float, default=0, help="GPUs of a task")
    parser.add_argument("--retries", type=int, default=10, help="tries after the first")
    parser.add_argument("command", nargs="+", help="the command behind --")
    arguments = parser.parse_args()

    out = os.path.abspath(arguments.out)
    os.makedirs(out, exist_ok=True)
    ray.init(address=arguments.address, log_to_driver=False)
    task = ray.remote(
        num_cpus=arguments.cpus,
        num_gpus=arguments.gpus,
        max_retries=arguments.retries,
        retry_exceptions=[Unfinished],
    )(run_shard)
    command = [os.path.abspath(word) if os.path.exists(word) else word for word in arguments.command]
    numbers = range(1, arguments.shards + 1)
    waiting = {task.remote(command, number, arguments.shards, out): number for number in numbers}
    is_done = True
    while waiting:
        for ready in ray.wait(list(waiting))[0]:
            number = waiting.pop(ready)
            try:
                is_whole, said = ray.get(ready)
            except Exception as error:  # The others go on.
                is_whole, said = False, str(error)
            if not is_whole:
                is_done = False
                print(f"shard {number}/{arguments.shards}: {said.strip()}", file=sys.stderr)
    return 0 if is_done else 1


if __name__ == "__main__":
    sys.exit(main())
