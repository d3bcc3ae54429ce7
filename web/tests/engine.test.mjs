// A model within the module, on the CPU: loaded, tested, asked, stopped; and what is wrong is said by code.
import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { conclave, conclaveError } from "./module.mjs";

const tiny = fileURLToPath(new URL("../../crates/model/assets/tiny", import.meta.url));
const set = {
  problem: "Ben has 155 packs of 77 books. He buys 95 books. How many now?",
  candidates: ["155*77=11935;11935+95=12030;#12030", { text: "155*77=11935;#11935" }, "155+77=232;#232"],
};

/** The files of the built-in model as a page would hold them, some of them changed. */
const files = (changed = {}) => ({
  async len(file) {
    if (file in changed) return changed[file]?.length;
    return statSync(join(tiny, file), { throwIfNoEntry: false })?.size;
  },
  async read(file, start, end) {
    return new Uint8Array(changed[file] ?? readFileSync(join(tiny, file))).slice(start, end);
  },
});

/** Rejects with this code. */
const rejects = (promise, code, part = "") => assert.rejects(promise, conclaveError(code, part));

test("the built-in model answers, and tells what it does", async () => {
  const progress = [];
  const engine = await conclave.Engine.loadBuiltin({ device: "cpu", onProgress: (...step) => progress.push(step) });
  const { device, parameters, bytes } = engine.info();
  assert.equal(device, "cpu");
  assert.ok(parameters > 100_000 && bytes > 1_000_000);
  assert.deepEqual([...new Set(progress.map(([stage]) => stage))], ["weights", "self-test"]);
  assert.ok(progress.every(([, done, total]) => done <= total));

  const [texts, prompts] = [[], []];
  let pauses = 0;
  const options = {
    policy: "always",
    onToken: (text) => texts.push(text),
    onPrompt: (...step) => prompts.push(step),
    pause: async () => void pauses++,
    shouldStop: () => false,
  };
  const result = await engine.aggregate(set, options);
  assert.equal(result.id, "");
  assert.equal(result.num_candidates, 3);
  assert.ok(result.usage.prompt_tokens > 20 && result.usage.completion_tokens > 0);
  assert.ok(result.completion.startsWith(texts.join("").slice(0, 5)));
  assert.deepEqual(prompts.at(-1), [result.usage.prompt_tokens, result.usage.prompt_tokens]);
  assert.ok(pauses >= result.usage.completion_tokens);
  assert.deepEqual(await engine.aggregate(set, options), result, "the same again");

  const selected = await engine.aggregate({ ...set, id: "x", reference_answer: "12030" }, { policy: "always", mode: "select" });
  assert.equal(selected.method, "select");
  assert.equal(selected.id, "x");
  assert.equal(typeof selected.correct, "boolean");
  assert.equal((await engine.aggregate(set, { policy: "vote" })).method, "vote");
  engine.free();
});

test("sets in words that the built-in model does not know are left to the vote", async () => {
  const engine = await conclave.Engine.loadBuiltin({ device: "cpu" });
  const texts = ["First we add the clips. The answer is \\boxed{72}.", "It is \\boxed{70}."];
  const result = await engine.aggregate({ problem: "Natalia sold clips to her friends.", candidates: texts }, { policy: "always" });
  assert.equal(result.method, "vote");
  assert.ok(result.unknown_words > 0.2);
  engine.free();
});

test("a model from files is the same model", async () => {
  const [builtin, read] = [
    await conclave.Engine.loadBuiltin({ device: "cpu" }),
    await conclave.Engine.load(files(), { device: "cpu" }),
  ];
  assert.deepEqual(read.info(), builtin.info());
  const options = { policy: "always" };
  assert.deepEqual(await read.aggregate(set, options), await builtin.aggregate(set, options));
  builtin.free();
  read.free();
});

test("a call can be stopped, and the next one is not", async () => {
  const engine = await conclave.Engine.loadBuiltin({ device: "cpu" });
  let asked = 0;
  await rejects(engine.aggregate(set, { policy: "always", shouldStop: () => ++asked > 4 }), "cancelled");
  assert.equal((await engine.aggregate(set, { policy: "always" })).num_candidates, 3);
  await rejects(conclave.Engine.loadBuiltin({ device: "cpu", shouldStop: () => true }), "cancelled");
  engine.free();
});

test("wrong numbers are noticed before anything is asked", async () => {
  const weights = new Uint8Array(readFileSync(join(tiny, "model.safetensors")));
  weights.fill(0, weights.length - 400_000);
  await rejects(conclave.Engine.load(files({ "model.safetensors": weights }), { device: "cpu" }), "self_test", "logits differ");
});

test("what is wrong with files and arguments, by code", async () => {
  const load = (changed, options = { device: "cpu" }) => conclave.Engine.load(files(changed), options);
  await rejects(load({ "config.json": undefined }), "not_found", "config.json");
  await rejects(load({ "tokenizer.json": undefined }), "not_found", "tokenizer.json");
  await rejects(load({ "config.json": new TextEncoder().encode("{") }), "format", "config.json");
  await rejects(load({ "config.json": new TextEncoder().encode("{}") }), "config", "config.json");
  await rejects(load({ "model.safetensors": new Uint8Array(100) }), "format");
  await rejects(load({}, {}), "input", "device");
  await rejects(load({}, { device: "abacus" }), "unsupported", "abacus");
  const throwing = { len: async () => 7, read: () => Promise.reject(new RangeError("gone")) };
  await rejects(conclave.Engine.load(throwing, { device: "cpu" }), "io", "gone");

  const engine = await conclave.Engine.loadBuiltin({ device: "cpu" });
  await rejects(engine.aggregate({ problem: "p" }, {}), "input", "candidates");
  await rejects(engine.aggregate({ problem: "p", candidates: [[7]] }, {}), "input", "candidate 1");
  await rejects(engine.aggregate(7, {}), "input", "set");
  await rejects(engine.aggregate(set, { policy: "never" }), "input", "policy");
  await rejects(engine.aggregate(set, { mode: "write" }), "input", "mode");
  engine.free();
});
