// A model of the shape of Qwen2.5-0.5B in a browser: random weights in f32 (2 GB), over loopback, through the npm package, on
// WebGPU. Its known-answer test holds the logits to the native command line's; then it reads a real sample set and writes 16
// greedy tokens, which have to be the command line's. Prints seconds and peak memory.
//
//     target/release/conclave model init --preset qwen2.5-0.5b --tokenizer tests/data/qwen2-tokenizer/tokenizer.json.gz \
//         --out /tmp/random-05b
//     cargo xtask package && npm ci --prefix web/tests/browser
//     node crates/xtask/scripts/browser_05b.mjs --model /tmp/random-05b --conclave target/release/conclave
//
// Options: --set ID (of examples/math500.jsonl), --candidates N (of it; without it all), --tokens N, --gpu ADAPTER
// (`swiftshader`, the default, computes on the processor; `default` takes the browser's own choice). Minutes on a software adapter, and 8 GB of memory and of disk.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { launch, openPage } from "../../../web/tests/browser/chromium.mjs";
import { startServer } from "../../../web/tests/browser/server.mjs";
import { processes } from "../../../web/tests/bench/processes.mjs";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const { values: options } = parseArgs({
  options: {
    model: { type: "string" },
    conclave: { type: "string", default: join(root, "target/release/conclave") },
    set: { type: "string", default: "algebra/1255" },
    candidates: { type: "string" },
    tokens: { type: "string", default: "16" },
    gpu: { type: "string", default: "swiftshader" },
  },
});
if (options.model === undefined) {
  console.error("usage: node browser_05b.mjs --model DIRECTORY [--conclave PROGRAM] [--set ID] [--candidates N] [--tokens N] [--gpu ADAPTER]");
  process.exit(2);
}
const maxNewTokens = Number(options.tokens);
const MiB = 2 ** 20;
const started = performance.now();
const say = (text) => console.log(`${((performance.now() - started) / 1000).toFixed(1).padStart(7)} s  ${text}`);

const folder = mkdtempSync(join(tmpdir(), "conclave-05b-"));
const found = readFileSync(join(root, "examples/math500.jsonl"), "utf8")
  .split("\n")
  .find((one) => one !== "" && JSON.parse(one).id === options.set);
assert.ok(found, `examples/math500.jsonl has no set ${options.set}`);
const set = JSON.parse(found);
if (options.candidates !== undefined) set.candidates = set.candidates.slice(0, Number(options.candidates));
const line = JSON.stringify(set);

let browser, server, failed;
try {
  const git = (...args) => execFileSync("git", args, { cwd: root, encoding: "utf8" }).trim();
  say(`commit ${git("rev-parse", "--short=12", "HEAD")}; ${cpus().length} x ${cpus()[0]?.model}, ${Math.round(totalmem() / MiB / 1024)} GiB`);
  const { usage, completion, elapsed_ms } = runNative();
  say(`native: ${usage.prompt_tokens} tokens read, ${usage.completion_tokens} written in ${Math.round(elapsed_ms / 1000)} s: ${JSON.stringify(completion)}`);

  server = await startServer();
  server.models.set("random-05b", options.model);
  browser = await launch({ adapter: options.gpu });
  const { page, complaints } = await openPage(browser, server, "measure");
  say(`${await browser.version()} is open`);
  const watch = watchMemory(page);
  await page.evaluate((model) => {
    const stages = {};
    globalThis.work = { told: "" };
    const loading = conclave.SampleSetAggregator.load({
      model,
      device: "webgpu",
      onProgress({ stage, file, loaded, total }) {
        const now = performance.now();
        stages[stage] = { from: stages[stage]?.from ?? now, to: now };
        work.told = `${stage} ${file ?? ""}: ${Math.floor((10 * loaded) / (total || 1)) * 10}%`;
      },
    });
    outcome(loading.then((loaded) => (globalThis.aggregator = loaded))).then(({ error }) => {
      work.result = error ? { error } : { value: { info: aggregator.info, stages } };
    });
  }, server.model("random-05b"));
  const load = await follow(page);
  const { info, stages } = load.value;
  for (const [stage, { from, to }] of Object.entries(stages)) say(`  ${stage}: ${((to - from) / 1000).toFixed(1)} s`);
  assert.equal(info.device, "webgpu");
  say(`loaded in ${load.seconds} s on ${info.adapter}: ${Math.round(info.parameters / 1e6)} M parameters, ${mib(info.bytes)}`);
  const tested = existsSync(join(options.model, "selftest.safetensors"));
  if (tested) say("the known-answer test has passed: logits within 1e-3 of the native command line's, and its greedy tokens");
  else say("the directory has no known-answer test; that of the built-in model has passed");
  say(`while loading: ${await watch.report()}`);

  await page.evaluate(
    (set, maxNewTokens) => {
      globalThis.work = { told: "" };
      let text = "";
      const answering = aggregator.aggregate(set, {
        policy: "always",
        mode: "generate",
        maxNewTokens,
        onPrompt: (done, total) => (work.told = `read ${done} of ${total} tokens`),
        onToken: (piece) => (work.told = `wrote ${JSON.stringify((text += piece))}`),
      });
      outcome(answering).then((result) => (work.result = result));
    },
    set,
    maxNewTokens,
  );
  const { value, seconds } = await follow(page);
  const [read, wrote] = [value.usage.prompt_tokens, value.usage.completion_tokens];
  say(`browser: ${read} tokens read, ${wrote} written in ${seconds} s: ${JSON.stringify(value.completion)}`);
  const first = value.time_to_first_token_ms / 1000;
  const rate = (wrote - 1) / (value.elapsed_ms / 1000 - first);
  say(`  first text after ${first.toFixed(1)} s (${(read / first).toFixed(1)} tokens/s), then about ${rate.toFixed(2)} tokens/s`);
  say(`in all: ${await watch.report()}`);
  await watch.stop();
  assert.deepEqual(complaints, []);
  assert.deepEqual(value.usage, usage);
  assert.equal(value.completion, completion);
  say(`the ${value.usage.completion_tokens} greedy tokens are the native command line's`);
} catch (error) {
  failed = error;
  console.error(error);
} finally {
  await browser?.close();
  await server?.close();
  rmSync(folder, { recursive: true });
}
process.exit(failed === undefined ? 0 : 1);

/** The command line's answer to the set. */
function runNative() {
  const file = join(folder, "set.jsonl");
  writeFileSync(file, `${line}\n`);
  const how = ["--policy", "always", "--mode", "generate", "--max-new-tokens", options.tokens, "--json"];
  const args = ["aggregate", file, "--model", options.model, ...how];
  return JSON.parse(execFileSync(options.conclave, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }));
}

/** Waits for the work that was begun in the page, and says now and then what it told last. */
async function follow(page) {
  const from = performance.now();
  for (let said = ""; ; await new Promise((resolve) => setTimeout(resolve, 1000))) {
    const { told, result } = await page.evaluate(() => work);
    if (told !== said) say(`  ${(said = told)}`);
    if (result === undefined) continue;
    if (result.error !== undefined) throw new Error(`${result.error.code}: ${result.error.message}`);
    return { value: result.value, seconds: ((performance.now() - from) / 1000).toFixed(1) };
  }
}

/** Looks at the heap of the worker's JavaScript five times a second; the rest remembers its own peak. */
function watchMemory(page) {
  const peak = { used: 0, buffers: 0 };
  let isOver = false;
  const loop = (async () => {
    while (!isOver) {
      for (const worker of page.workers()) {
        const usage = await worker.client.send("Runtime.getHeapUsage").catch(() => ({}));
        peak.used = Math.max(peak.used, usage.usedSize ?? 0);
        peak.buffers = Math.max(peak.buffers, usage.backingStorageSize ?? 0);
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  })();
  return {
    async report() {
      const wasm = await page.evaluate(
        () =>
          new Promise((resolve) => {
            const channel = new BroadcastChannel("memory");
            channel.onmessage = ({ data }) => resolve(data);
            channel.postMessage("?");
          }),
      );
      const resident = processes(browser.process().pid)
        .filter(({ kind }) => ["browser", "renderer", "gpu-process"].includes(kind))
        .map(({ kind, peak }) => `${kind} ${mib(peak)}`);
      const heaps = `wasm memory ${mib(wasm)}, JavaScript heap of the worker ${mib(peak.used)} and buffers ${mib(peak.buffers)}`;
      return `peak of ${heaps}; largest resident sizes: ${resident.join(", ")}`;
    },
    async stop() {
      isOver = true;
      await loop;
    },
  };
}

function mib(bytes) {
  return `${Math.round(bytes / MiB)} MiB`;
}
