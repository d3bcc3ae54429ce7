// How long a page waits for the first token of the model within the package, what a token costs the thread that asks the GPU
// for it, and what the GPU does meanwhile. `node web/tests/bench/web.mjs [first-token] [encoding] [kernels]`, after `npm ci` in
// web/tests/browser and `cargo xtask package`.

import { cpus } from "node:os";
import { readFileSync } from "node:fs";
import { launch, openPage } from "../browser/chromium.mjs";
import { tinyWithLayers } from "../browser/directories.mjs";
import { startServer } from "../browser/server.mjs";
import { threadSeconds } from "./processes.mjs";

const ROUNDS = 3;
const LAYERS = [4, 8, 24];
/** Tokens after a short and a long completion: their difference is free of the prompt and of what happens once. */
const [SHORT, LONG] = [8, 32];

const read = (path) => readFileSync(new URL(path, import.meta.url), "utf8");
/** Eight candidates, and three. */
const set = JSON.parse(read("../../../examples/arithmetic.jsonl").split("\n", 1)[0]);
const { set: few } = JSON.parse(read("../browser/expected.json")).short;
const server = await startServer({ maxAge: 3600 });

/** Opens the page and gives the milliseconds from its opening to the first token, and to some moments before. */
async function open(browser) {
  const { page } = await openPage(browser, server);
  const moments = await page.evaluate(async (set) => {
    const moments = { "package there": performance.now() };
    const aggregator = await conclave.SampleSetAggregator.load({
      device: "webgpu",
      onProgress({ stage, loaded, total }) {
        if (loaded === total) moments[`${stage} done`] ??= performance.now();
      },
    });
    await aggregator.aggregate(set, {
      policy: "always",
      mode: "generate",
      onToken: () => (moments["first token"] ??= performance.now()),
    });
    moments["all tokens"] = performance.now();
    await aggregator.dispose();
    return moments;
  }, set);
  await page.close();
  return moments;
}

async function firstToken() {
  const [cold, warm] = [[], []];
  for (let round = 0; round < ROUNDS; round++) {
    // A browser has a new profile: nothing is cached.
    const browser = await launch();
    cold.push(await open(browser));
    warm.push(await open(browser));
    await browser.close();
  }
  const seconds = (runs, name) => (median(runs.map((run) => run[name])) / 1000).toFixed(2);
  const names = Object.keys(cold[0]);
  table(["seconds from opening the page", ...names], [
    ["cold", ...names.map((name) => seconds(cold, name))],
    ["warm", ...names.map((name) => seconds(warm, name))],
  ]);
}

async function encoding() {
  const browser = await launch();
  const rows = [];
  for (const layers of LAYERS) {
    server.models.set(`layers-${layers}`, tinyWithLayers(layers));
    const { page } = await openPage(browser, server);
    await page.evaluate(async (model) => {
      globalThis.aggregator = await conclave.SampleSetAggregator.load({ model, device: "webgpu" });
    }, server.model(`layers-${layers}`));
    const generate = async (maxNewTokens) => {
      const before = threadSeconds(browser.process().pid, "DedicatedWorker");
      const { usage, elapsed_ms } = await page.evaluate(
        (set, maxNewTokens) => aggregator.aggregate(set, { policy: "always", mode: "generate", maxNewTokens }),
        few,
        maxNewTokens,
      );
      const after = threadSeconds(browser.process().pid, "DedicatedWorker");
      return { tokens: usage.completion_tokens, cpu: 1000 * (after - before), wall: elapsed_ms };
    };
    await generate(SHORT);
    const runs = [];
    for (let round = 0; round < ROUNDS; round++) {
      const [short, long] = [await generate(SHORT), await generate(LONG)];
      const tokens = long.tokens - short.tokens;
      if (tokens < 1) throw new Error(`${layers} layers: the model stopped after ${long.tokens} tokens`);
      runs.push({ cpu: (long.cpu - short.cpu) / tokens, wall: (long.wall - short.wall) / tokens });
    }
    const [cpu, wall] = ["cpu", "wall"].map((what) => median(runs.map((run) => run[what])));
    rows.push([`${layers}`, Number.isNaN(cpu) ? "not known here" : cpu.toFixed(1), wall.toFixed(1), (1000 / wall).toFixed(1)]);
    await page.close();
  }
  table(["layers", "CPU ms of the worker's thread a token", "ms a token", "tokens/s"], rows);
  await browser.close();
}

/** What of prefill and decode is computed in which kernels. */
async function kernels() {
  const browser = await launch();
  const { page } = await openPage(browser, server, "timestamps");
  await page.evaluate(async () => {
    globalThis.aggregator = await conclave.SampleSetAggregator.load({ device: "webgpu" });
    globalThis.ask = (what) =>
      new Promise((resolve) => {
        const channel = new BroadcastChannel("timestamps");
        channel.onmessage = ({ data }) => resolve(data);
        channel.postMessage(what);
      });
  });
  const record = (set, maxNewTokens) =>
    page.evaluate(
      async (set, maxNewTokens) => {
        await ask("start");
        const { usage } = await aggregator.aggregate(set, { policy: "always", mode: "generate", maxNewTokens });
        return { kernels: await ask("stop"), usage };
      },
      set,
      maxNewTokens,
    );
  // Once before: kernels are compiled at their first use.
  await record(set, 2);
  const prefill = await record(set, 1);
  const [one, more] = [await record(few, 1), await record(few, 5)];
  await browser.close();
  table(["", "tokens", "dispatches a token", "shares of the GPU's time"], [
    ["prefill", ...shares(prefill.kernels, {}, prefill.usage.prompt_tokens)],
    ["decode", ...shares(more.kernels, one.kernels, more.usage.completion_tokens - one.usage.completion_tokens)],
  ]);
}

/** Of the difference of two records: the number of tokens, dispatches for each, and the kernels' families by their time. */
function shares(record, less, tokens) {
  const families = new Map();
  let [dispatches, total] = [0, 0];
  for (const [name, { count, ms }] of Object.entries(record)) {
    const family = name.replace(/_(c|t|e|f|in|lhs)_f32.*$/, "");
    const difference = ms - (less[name]?.ms ?? 0);
    dispatches += count - (less[name]?.count ?? 0);
    total += difference;
    families.set(family, (families.get(family) ?? 0) + difference);
  }
  const largest = [...families].sort(([, a], [, b]) => b - a).slice(0, 4);
  const text = largest.map(([family, ms]) => `${family} ${((100 * ms) / total).toFixed(0)}%`).join(", ");
  return [tokens, (dispatches / tokens).toFixed(1), text];
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];

function table(head, rows) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  console.log([line(head), line(head.map(() => "---")), ...rows.map(line), ""].join("\n"));
}

try {
  const browser = await launch();
  console.log(`${await browser.version()}, WebGPU on SwiftShader, ${cpus().length} x ${cpus()[0]?.model}; medians of ${ROUNDS}\n`);
  await browser.close();
  const parts = { "first-token": firstToken, encoding, kernels };
  for (const [name, part] of Object.entries(parts)) {
    if (process.argv.length < 3 || process.argv.includes(name)) await part();
  }
} finally {
  await server.close();
}
