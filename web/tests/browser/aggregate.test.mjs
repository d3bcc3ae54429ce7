// The model within the package on WebGPU: loaded, tested, streaming, stopped, disposed of; and its answers beside those of the
// native command line.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { launch, openPage } from "./chromium.mjs";
import { policy, startServer } from "./server.mjs";

const read = (path) => readFileSync(new URL(path, import.meta.url), "utf8");
const expected = JSON.parse(read("expected.json"));
const sets = (file) => read(`../../../examples/${file}`).trim().split("\n").map((line) => JSON.parse(line));
const FILES = ["arithmetic.jsonl", "math500.jsonl"];
/** A set with few candidates, for what is not about answers. */
const { set: short, row: { completion } } = expected.short;

/** Of a log-probability of a candidate's answer: each of its tokens adds an error of the logits. */
const LOG_PROB_TOLERANCE = 0.02;

let server, browser, page, complaints, headers;

before(async () => {
  server = await startServer();
  browser = await launch();
  ({ page, complaints, headers } = await openPage(browser, server));
});

after(async () => {
  await browser?.close();
  await server?.close();
});

test("the page is served with the demo's policy and without isolation", async () => {
  assert.equal(headers["content-security-policy"], policy());
  assert.match(policy(), /script-src 'self' 'wasm-unsafe-eval';/);
  assert.equal(headers["cross-origin-opener-policy"], undefined);
  assert.equal(headers["cross-origin-embedder-policy"], undefined);
  const { isolated, evaluated } = await page.evaluate(() => {
    const script = document.createElement("script");
    try {
      script.text = "globalThis.evaluated = true";
      document.body.append(script);
    } catch {
      // Refused before it is one.
    }
    return { isolated: crossOriginIsolated, evaluated: "evaluated" in globalThis };
  });
  assert.deepEqual({ isolated, evaluated }, { isolated: false, evaluated: false });
  assert.notEqual(complaints.splice(0).length, 0, "the policy is in force: it was complained about");
});

test("loads on WebGPU and passes the known-answer test", async () => {
  const { value, error } = await page.evaluate(async () => {
    const stages = {};
    const onProgress = ({ stage, loaded, total }) => (stages[stage] = { loaded, total });
    const loaded = await outcome(conclave.SampleSetAggregator.load({ device: "webgpu", onProgress }));
    globalThis.aggregator = loaded.value;
    return { error: loaded.error, value: loaded.value && { info: loaded.value.info, stages } };
  });
  assert.equal(error, undefined);
  const { info, stages } = value;
  assert.deepEqual([info.model, info.device, info.fallback], ["builtin", "webgpu", undefined]);
  assert.match(info.adapter, /swiftshader/i);
  assert.ok(info.parameters > 100_000 && info.bytes > 2 * info.parameters, `${info.parameters} in ${info.bytes} bytes`);
  assert.deepEqual(Object.keys(stages), ["module", "weights", "self-test"]);
  for (const [stage, { loaded, total }] of Object.entries(stages)) {
    assert.ok(loaded === total && total > 0, `${stage}: ${loaded} of ${total}`);
  }
});

test("streams while it writes", async () => {
  const { error, value, heard } = await aggregate(short, { policy: "always", mode: "generate" });
  assert.equal(error, undefined);
  // What ends the text is not shown.
  assert.equal(`${heard.text}</answer>`, value.completion);
  assert.equal(value.completion, completion);
  assert.ok(heard.moments > 10, `text came in ${heard.moments} moments`);
  assert.deepEqual(heard.prompt, [value.usage.prompt_tokens, value.usage.prompt_tokens]);
  assert.ok(value.time_to_first_token_ms > 0 && value.time_to_first_token_ms < value.elapsed_ms);
  assert.equal(value.device, "webgpu");
  assert.equal(value.correct, true);
});

test("stops in the middle, and the next call works", async () => {
  const stopped = await aggregate(short, { policy: "always", mode: "generate" }, 12);
  assert.equal(stopped.error.name, "AggregatorError");
  assert.equal(stopped.error.code, "aborted");
  assert.ok(completion.startsWith(stopped.heard.text) && stopped.heard.text.length < completion.length / 2);
  const next = await aggregate(short, { policy: "always", mode: "generate" });
  assert.equal(next.value?.completion, completion);
});

for (const file of FILES) {
  test(`writes what the native command line writes: ${file}`, async (t) => {
    const all = sets(file);
    assert.deepEqual(expected.generate[file].map(({ id }) => id), all.map(({ id }) => id));
    for (const row of expected.generate[file]) {
      const set = all.find(({ id }) => id === row.id);
      const { value, error } = await aggregate(set, { policy: "always", mode: "generate" });
      assert.equal(error, undefined, row.id);
      const tie = row.near_ties?.[0];
      if (tie !== undefined && value.completion !== row.completion) {
        t.diagnostic(`${row.id}: exempt from token ${tie.place} on, where ${tie.tokens.join(" and ")} are within 1e-3`);
        assert.ok(value.completion.startsWith(tie.before), row.id);
        continue;
      }
      assert.equal(value.completion, row.completion, row.id);
      assert.ok(Math.abs(value.confidence - row.confidence) < 1e-3, `${row.id}: confidence ${value.confidence}`);
      for (const name of ["answer", "method", "usage", "clusters", "unknown_words"]) {
        assert.deepEqual(value[name], row[name], `${row.id}: ${name}`);
      }
    }
  });
}

test("selects what the native command line selects", async () => {
  const all = sets("arithmetic.jsonl");
  for (const [index, row] of expected.select["arithmetic.jsonl"].entries()) {
    const { value, error } = await aggregate(all[index], { policy: "always", mode: "select" });
    assert.equal(error, undefined, row.id);
    assert.deepEqual([value.answer, value.method, value.usage], [row.answer, row.method, row.usage], row.id);
    const without = (clusters) => clusters.map(({ log_prob, ...rest }) => rest);
    assert.deepEqual(without(value.clusters), without(row.clusters), row.id);
    for (const [place, { log_prob }] of value.clusters.entries()) {
      const difference = Math.abs(log_prob - row.clusters[place].log_prob);
      assert.ok(difference < LOG_PROB_TOLERANCE, `${row.id}: log_prob differs by ${difference}`);
    }
  }
});

test("is disposed of in the middle, and can be loaded again", async () => {
  const { during, then, again, info } = await page.evaluate(async (set) => {
    const options = { policy: "always", mode: "generate" };
    let running;
    await new Promise((resolve) => {
      running = outcome(aggregator.aggregate(set, { ...options, onToken: resolve }));
    });
    await aggregator.dispose();
    const during = await running;
    const then = await outcome(aggregator.aggregate(set, options));
    globalThis.aggregator = await conclave.SampleSetAggregator.load({ device: "webgpu" });
    return { during, then, again: await outcome(aggregator.aggregate(set, options)), info: aggregator.info };
  }, short);
  assert.equal(during.error?.code, "disposed");
  assert.equal(then.error?.code, "disposed");
  assert.equal(info.device, "webgpu");
  assert.equal(again.value?.completion, completion);
});

test("nothing was complained about", () => {
  assert.deepEqual(complaints, []);
});

/** One aggregation, with what was heard of it; it is stopped after `stopAfter` pieces of text. */
function aggregate(set, options, stopAfter) {
  return page.evaluate(
    async (set, options, stopAfter) => {
      const heard = { text: "", pieces: 0, moments: 0, prompt: undefined };
      const controller = new AbortController();
      let isNewMoment = true;
      const onToken = (text) => {
        heard.text += text;
        if (isNewMoment) heard.moments += 1;
        isNewMoment = false;
        setTimeout(() => (isNewMoment = true), 0);
        if (++heard.pieces === stopAfter) controller.abort();
      };
      const onPrompt = (...progress) => (heard.prompt = progress);
      const { signal } = controller;
      const result = await outcome(aggregator.aggregate(set, { ...options, onToken, onPrompt, signal }));
      // Long enough for text that should no longer come.
      if (stopAfter !== undefined) await new Promise((resolve) => setTimeout(resolve, 300));
      return { ...result, heard };
    },
    set,
    options,
    stopAfter,
  );
}
