#!/usr/bin/env python3
"""Candidates from a real server: `conclave sample`, `conclave ask` and the demo's live panel against LiteLLM's proxy on loopback.

    python3 -m venv ~/litellm && ~/litellm/bin/pip install 'litellm[proxy]==1.106.2'
    cargo xtask wasm && (cd web && npm ci && npm run build) && (cd www && npm ci && npm run build)
    python3 crates/xtask/scripts/litellm.py --litellm ~/litellm/bin/litellm --conclave target/debug/conclave --demo

starts the proxy with a key, a slow model that writes recorded candidates and fails at one of eight (`litellm_solver.py`), mock
responses, and deployments that fail on purpose; prints what holds, and exits with 1 at the first thing that does not. --demo
includes the page in Chromium (`CHROME`, or /usr/bin/chromium), --screenshot FILE takes its picture. Nothing leaves this machine.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

KEY = "sk-conclave-5d1f0c7be2a94863"
WRONG_KEY = "sk-conclave-wrong-77aa02c4f1e35b98"
CONFIG = """
model_list:
  - {model_name: solver, litellm_params: {model: slow/solver}}
  - {model_name: mock, litellm_params: {model: openai/mock-right, api_key: none, mock_response: "MOCK_RIGHT"}}
  - {model_name: mock, litellm_params: {model: openai/mock-wrong, api_key: none, mock_response: "MOCK_WRONG"}}
  - {model_name: busy, litellm_params: {model: openai/busy, api_key: none, mock_response: "litellm.RateLimitError"}}
  - {model_name: locked, litellm_params: {model: slow/locked}}
litellm_settings:
  custom_provider_map: [{provider: slow, custom_handler: litellm_solver.solver}]
  num_retries: 0
router_settings: {num_retries: 0, disable_cooldowns: true}
general_settings: {master_key: MASTER_KEY}
"""

root = pathlib.Path(__file__).resolve().parents[3]
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--litellm", required=True, type=pathlib.Path, help="the proxy's command, in its virtual environment")
parser.add_argument("--conclave", default=root / "target/debug/conclave", type=pathlib.Path)
parser.add_argument("--demo", action="store_true", help="also the page, which must have been built")
parser.add_argument("--no-cli", action="store_true", help="only the page")
parser.add_argument("--screenshot", type=pathlib.Path, help="where the picture of the page goes")
options = parser.parse_args()

work = pathlib.Path(tempfile.mkdtemp(prefix="conclave-litellm-"))
events_file = work / "events.jsonl"
with (root / "examples/arithmetic.jsonl").open(encoding="utf-8") as lines:
    example = json.loads(next(lines))
problem, texts = example["problem"], [candidate["text"] for candidate in example["candidates"]]
right = next(text for text in texts if text.endswith("#" + example["reference_answer"]))
wrong = next(text for text in texts if not text.endswith("#" + example["reference_answer"]))
outputs = []


def main():
    process, url = start_proxy()
    try:
        if not options.no_cli:
            command_line(url)
        if options.demo:
            demo(url)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
    shutil.rmtree(work)


def start_proxy():
    config = CONFIG.replace("MOCK_RIGHT", right).replace("MOCK_WRONG", wrong).replace("MASTER_KEY", KEY)
    (work / "config.yaml").write_text(config)
    shutil.copy(pathlib.Path(__file__).with_name("litellm_solver.py"), work)
    events_file.touch()
    port = free_port()
    environment = os.environ | {
        "CONCLAVE_SETS": str(root / "examples/arithmetic.jsonl"),
        "CONCLAVE_LOG": str(events_file),
        "CONCLAVE_PACE": "0.15",
        # Else it asks the network for prices.
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    log = (work / "proxy.log").open("wb")
    command = [options.litellm, "--config", work / "config.yaml", "--host", "127.0.0.1", "--port", str(port), "--telemetry", "False"]
    process = subprocess.Popen(command, cwd=work, env=environment, stdout=log, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 300
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health/liveliness", timeout=10).read()
            break
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"the proxy does not start:\n{(work / 'proxy.log').read_text()[-4000:]}")
            time.sleep(0.5)
    version = subprocess.run([options.litellm, "--version"], capture_output=True, text=True, env=environment).stdout
    found = re.search(r"\d+\.\d+\.\d+", version)
    print(f"LiteLLM's proxy {found[0] if found else '(version unknown)'} listens")
    return process, f"http://127.0.0.1:{port}/v1"


def command_line(url):
    mark = len(events())
    asked = conclave("ask", problem, url=url, model="solver", more=["--num-candidates", "8", "--json"])
    expect(asked.returncode == 0, "ask: the exit code is 0 though a candidate fails", asked)
    result = json.loads(asked.stdout)
    expect(result["num_candidates"] == 7 and sum(cluster["votes"] for cluster in result["clusters"]) == 7,
           "ask: seven of eight candidates arrive and are aggregated", asked)
    expect(result["answer"] == example["reference_answer"] and result["method"] == "generate",
           "ask: the built-in model answers, against the vote", asked)
    expect("1 candidate failed" in asked.stderr and "fails on purpose" in asked.stderr,
           "ask: the one that fails is reported in the server's words", asked)
    seen = events()[mark:]
    begun = [event["event"] for event in seen[:8]]
    expect(begun == ["begun"] * 8, "ask: eight streams are open at once", seen)
    broken = [event for event in seen if event["event"] == "broke off"]
    expect(len(broken) == 1 and 0 < broken[0]["sent"] < broken[0]["pieces"], "ask: it failed half-way, and was not asked for again", seen)

    people = conclave("ask", problem, url=url, model="mock", more=["--num-candidates", "4"])
    expect(people.returncode == 0 and re.search(rf"^answer +({result['answer']}|{wrong.split('#')[1]})$", people.stdout, re.M) and not people.stderr,
           "ask: mock responses are aggregated, and nothing is complained of", people)

    problems = work / "problems.jsonl"
    problems.write_text(json.dumps({"id": "live", "problem": problem}) + "\n")
    sampled = conclave("sample", problems, url=url, model="solver", more=["--num-candidates", "8", "--out", work / "sets.jsonl"])
    rows = [json.loads(line) for line in (work / "sets.jsonl").read_text().splitlines()]
    expect(sampled.returncode == 1 and len(rows) == 1 and len(rows[0]["candidates"]) == 7,
           "sample: seven candidates are written, and the exit code is 1 because one failed", sampled)
    expect([failure["code"] for failure in rows[0]["failures"]] == ["server-error"], "sample: the row names the failure", rows)
    known = sorted(text for place, text in enumerate(texts) if place != 2)
    expect(sorted(candidate["text"] for candidate in rows[0]["candidates"]) == known, "sample: the texts are whole", rows)
    whole = conclave("sample", problems, url=url, model="mock", more=["--num-candidates", "8"])
    expect(whole.returncode == 0 and len(json.loads(whole.stdout)["candidates"]) == 8, "sample: where none fails the exit code is 0", whole)

    stopped = interrupted(url)
    lines = stopped.stderr.splitlines()
    expect(stopped.returncode == 130 and any(line.startswith("stopped: the answer is that of the") for line in lines),
           "ask: Ctrl-C in the middle leaves the exit code 130 and says so", stopped)
    expect(re.search(r"^answer +\S+$", stopped.stdout, re.M), "ask: and an answer of those that arrived", stopped)

    # LiteLLM without a database says `No connected db.` (400) to any key that is not its own.
    refused = conclave("ask", problem, url=url, model="mock", more=[], key=WRONG_KEY)
    expect(refused.returncode == 1 and not refused.stdout and re.search(r"does not accept the (key|request)", refused.stderr),
           "a wrong key: exit code 1 and a named failure", refused)
    locked = conclave("sample", problems, url=url, model="locked", more=["--num-candidates", "8"])
    expect(locked.returncode == 1 and "does not accept the key (401)" in locked.stderr, "401: the key is named as the reason", locked)
    unknown = conclave("ask", problem, url=url, model="no-such-model", more=[])
    expect(unknown.returncode == 1 and "does not have the model `no-such-model`" in unknown.stderr, "an unknown model is named", unknown)
    busy = conclave("ask", problem, url=url, model="busy", more=["--num-candidates", "1"])
    expect(busy.returncode == 1 and "too many requests (429)" in busy.stderr, "429 is asked again, and then named", busy)
    nobody = conclave("ask", problem, url=f"http://127.0.0.1:{free_port()}/v1", model="mock", more=[])
    expect(nobody.returncode == 1 and "nothing listens" in nobody.stderr.lower(), "where nothing listens it says so", nobody)

    written = "".join(outputs) + (work / "sets.jsonl").read_text()
    expect(KEY not in written and WRONG_KEY not in written, f"no key in {len(written)} characters of output and recordings", "it is there")


def interrupted(url):
    """`ask`, stopped when two candidates have arrived and others are half-way."""
    mark = len(events())
    process = subprocess.Popen(arguments("ask", problem, url, "solver", []), env=environment(KEY), stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    wait_for(lambda: count(mark, "complete") >= 2, "two candidates complete")
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=120)
    outputs.extend([stdout, stderr])
    completed = subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)
    wait_for(lambda: count(mark, "complete") + count(mark, "broke off") == 8, "all streams ended")
    hung_up = [event for event in events()[mark:] if event["event"] == "broke off" and event["error"] != "InternalServerError"]
    expect(hung_up, f"ask: at Ctrl-C the connections are closed: the server saw it on {len(hung_up)}", completed)
    return completed


def demo(url):
    if not (root / "www/dist/index.html").exists():
        sys.exit("the page is not built: see --help")
    environment = os.environ | {"LITELLM_URL": url, "LITELLM_KEY": KEY, "LITELLM_WRONG_KEY": WRONG_KEY, "LITELLM_EVENTS": str(events_file),
                                "LITELLM_PROBLEM": problem, "LITELLM_ANSWER": example["reference_answer"]}
    if options.screenshot:
        environment["SCREENSHOT"] = str(options.screenshot.resolve())
    if subprocess.run(["npm", "run", "--silent", "test:live"], cwd=root / "www", env=environment).returncode != 0:
        sys.exit("the page: failed")


def arguments(command, subject, url, model, more):
    return [options.conclave, command, subject, "--base-url", url, "--model", model, "--key-env", "CONCLAVE_TEST_KEY", *more]


def environment(key):
    return os.environ | {"CONCLAVE_TEST_KEY": key}


def conclave(command, subject, *, url, model, more, key=KEY):
    done = subprocess.run(arguments(command, subject, url, model, more), env=environment(key), capture_output=True, text=True, timeout=300)
    outputs.extend([done.stdout, done.stderr])
    return done


def events():
    return [json.loads(line) for line in events_file.read_text().splitlines()]


def count(mark, event):
    return sum(one["event"] == event for one in events()[mark:])


def wait_for(condition, what):
    deadline = time.monotonic() + 120
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"waited in vain for: {what}")
        time.sleep(0.05)


def expect(holds, what, evidence):
    if not holds:
        print(f"FAILED  {what}")
        if isinstance(evidence, subprocess.CompletedProcess):
            evidence = f"exit code {evidence.returncode}\n{evidence.stdout}\n{evidence.stderr}"
        sys.exit(str(evidence).replace(KEY, "[KEY]").replace(WRONG_KEY, "[WRONG KEY]"))
    print(f"ok      {what}", flush=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


main()
