"""One command over the shards of its input, on HyperQueue: a task a shard, each a process of `conclave`.

    python shards.py --shards 40 --out votes -- conclave vote sets.jsonl

Without --server it starts HyperQueue for itself, on the cores of this machine. A task that is lost with its worker is started again; its
process notices that and stops, and the next one goes on with what is there, or finds the shard complete and leaves it alone. So
does the whole script, run again.
"""

import argparse
import contextlib
import os
import sys

from hyperqueue import Client, Job, LocalCluster
from hyperqueue.cluster import WorkerConfig
from hyperqueue.ffi.protocol import ResourceRequest


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, required=True, help="number of shards")
    parser.add_argument("--out", required=True, help="folder of the shards' files, which all machines see")
    parser.add_argument("--server", help="folder of a running server [default: none, a server of its own]")
    parser.add_argument("--cpus", type=int, default=1, help="processors of a task")
    parser.add_argument("--retries", type=int, default=20, help="tries of a task whose worker died")
    parser.add_argument("command", nargs="+", help="the command behind --")
    arguments = parser.parse_args()

    out = os.path.abspath(arguments.out)
    os.makedirs(out, exist_ok=True)
    files = {number: os.path.join(out, f"part-{number:05}.jsonl") for number in range(1, arguments.shards + 1)}
    job = Job(default_workdir=os.getcwd(), max_fails=None, name="conclave")
    for number, file in files.items():
        job.program(
            [*arguments.command, "--shard", f"{number}/{arguments.shards}", "--out", file],
            stdout=None,
            stderr=f"{file}.log",
            resources=ResourceRequest(cpus=arguments.cpus),
            crash_limit=arguments.retries,
        )
    with contextlib.ExitStack() as stack:
        if arguments.server:
            client = Client(arguments.server)
        else:
            client = stack.enter_context(LocalCluster(worker_config=WorkerConfig(cores=os.cpu_count()))).client()
        is_done = client.wait_for_jobs([client.submit(job)], raise_on_error=False)
    for number, file in files.items():
        if not os.path.exists(file):
            print(f"shard {number}/{arguments.shards} is not complete: see {file}.log", file=sys.stderr)
    return 0 if is_done else 1


if __name__ == "__main__":
    sys.exit(main())
