"""Votes of sets in Parquet (or whatever Ray Data reads) as Parquet, on a Ray cluster: a process of `conclave` a batch.

    python parquet.py sets.parquet votes

The columns are those of a sample set: `id`, `problem`, `candidates` (a list of texts), `reference_answer` where there is one.
Another command: `--command "conclave aggregate - --json --model DIR"`. What is written is `id`, `answer`, `confidence`, and the
whole `result` as JSON.
"""

import argparse
import json
import shlex
import subprocess

import pandas
import ray


def results(batch, command):
    """The results of a batch of sets, in its order."""
    text = batch.to_json(orient="records", lines=True)
    done = subprocess.run(command, input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    if len(rows) != len(batch):
        raise RuntimeError(f"{len(rows)} results of {len(batch)} sets: {done.stderr}")
    return pandas.DataFrame(
        {
            "id": [row["id"] for row in rows],
            "answer": [row["answer"] for row in rows],
            "confidence": [row["confidence"] for row in rows],
            "result": [json.dumps(row) for row in rows],
        }
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", help="Parquet files, or a folder or bucket of them")
    parser.add_argument("out", help="folder or bucket for the results")
    parser.add_argument("--command", default="conclave vote - --json", help="reads sets, writes a result for each")
    parser.add_argument("--batch-size", type=int, default=10_000, help="sets a process")
    arguments = parser.parse_args()
    sets = ray.data.read_parquet(arguments.sets)
    command = shlex.split(arguments.command)
    votes = sets.map_batches(
        results, fn_kwargs={"command": command}, batch_size=arguments.batch_size, batch_format="pandas"
    )
    votes.write_parquet(arguments.out)


if __name__ == "__main__":
    main()
