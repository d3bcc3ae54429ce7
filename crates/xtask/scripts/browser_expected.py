#!/usr/bin/env python3
"""What the native command line answers to the examples: the expectations of the tests in a browser.

    pip install torch transformers
    python3 crates/xtask/scripts/browser_expected.py --conclave target/release/conclave

writes web/tests/browser/expected.json. To be run again when the model within the program, the prompt or the examples change.
Two devices may differ where the two best logits are all but equal. So transformers computes each completion once more, has to
choose the same tokens, and `near_ties` lists where the two best logits are within 1e-3; the tests exempt what follows such a token.
"""
import argparse
import json
import pathlib
import subprocess

import torch
from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM

NEAR = 1e-3

root = pathlib.Path(__file__).resolve().parents[3]
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--conclave", default=root / "target/release/conclave", type=pathlib.Path)
options = parser.parse_args()

model_directory = root / "crates/model/assets/tiny"
model = Qwen2ForCausalLM.from_pretrained(model_directory, dtype=torch.float32)
tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(model_directory / "tokenizer.json"))


def encode(text):
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def compact_prompt(sample_set):
    """The prompt of variant `compact` for a set that is shown whole (crates/core/src/prompt.rs)."""
    parts = ["Question:\n", sample_set["problem"].strip()]
    for place, candidate in enumerate(sample_set["candidates"]):
        parts += [f"\n\nAnswer {place + 1}:\n", candidate["text"].strip()]
    return [token for part in [*parts, "\n\n", "<think>"] for token in encode(part)]


def near_ties(sample_set, result):
    """The two best tokens wherever they are within NEAR, and the smallest difference of all."""
    prompt, completion = compact_prompt(sample_set), encode(result["completion"])
    counted = (result["usage"]["prompt_tokens"], result["usage"]["completion_tokens"])
    assert counted == (len(prompt), len(completion)), (result["id"], counted, len(prompt), len(completion))
    with torch.inference_mode():
        logits = model(torch.tensor([prompt + completion])).logits[0, len(prompt) - 1 : -1]
    values, tokens = logits.topk(2)
    margins = (values[:, 0] - values[:, 1]).tolist()
    ties = []
    for place, token in enumerate(completion):
        if margins[place] < NEAR:
            pair = tokenizer.convert_ids_to_tokens(tokens[place].tolist())
            ties.append({"place": place, "before": "".join(tokenizer.convert_ids_to_tokens(completion[:place])), "tokens": pair, "difference": margins[place]})
        else:
            assert tokens[place, 0] == token, f"{result['id']}: transformers writes another token at {place}"
    return ties, min(margins)


def expectations(sets, mode):
    command = [options.conclave, "aggregate", "-", "--mode", mode, "--policy", "always", "--json"]
    text = "".join(json.dumps(one) + "\n" for one in sets)
    lines = subprocess.run(command, check=True, input=text, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    rows = []
    for sample_set, result in zip(sets, map(json.loads, lines), strict=True):
        assert sample_set["id"] == result["id"]
        kept = ("id", "answer", "method", "confidence", "completion", "usage", "clusters", "unknown_words")
        row = {name: result[name] for name in kept if name in result}
        if "completion" in result:
            row["near_ties"], row["least_difference"] = near_ties(sample_set, result)
        rows.append(row)
    return rows


def examples(file):
    return [json.loads(line) for line in (root / "examples" / file).read_text().splitlines()]


files = {file: examples(file) for file in ("arithmetic.jsonl", "math500.jsonl")}
version = subprocess.run([options.conclave, "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
expected = {"made_by": f"crates/xtask/scripts/browser_expected.py with {version}"}
for mode in ("generate", "select"):
    expected[mode] = {file: expectations(sets, mode) for file, sets in files.items()}
# For tests of other things than answers: that of web/README.md.
short = {
    "id": "short",
    "problem": "Ben has 155 packs of 77 books. He buys 95 books. How many now?",
    "candidates": [{"text": text} for text in ("155*77=11935;11935+95=12030;#12030", "155*77=11935;#11935", "155+77=232;#232")],
    "reference_answer": "12030",
}
expected["short"] = {"set": short, "row": expectations([short], "generate")[0]}
rows = [row for rows in expected["generate"].values() for row in rows if "near_ties" in row]
out = root / "web/tests/browser/expected.json"
# A row a line: a change shows which sets it is about.
text = json.dumps(expected, ensure_ascii=False, separators=(",", ":"))
for start in ('[{"id"', ',{"id"', ',"select"', ',"short"', ',"row"'):
    text = text.replace(start, start[0] + "\n" + start[1:])
out.write_text(text + "\n")
ties = sum(len(row["near_ties"]) for row in rows)
least = min(row["least_difference"] for row in rows)
print(f"{out}: {len(rows)} completions, {ties} near ties, least difference {least:.2g}")
