// Candidates of a live API: what the package adds to the module. What goes over a network is tested with the module.

import assert from "node:assert/strict";
import { test } from "node:test";
import { AggregatorError } from "../src/errors.js";
import { clientModule, sampleCandidates } from "../src/sample.js";
import type { SampleOptions } from "../src/types.js";
import type { WasmSampleOptions } from "../src/wasm.js";
import { failure } from "./fakes/expect.js";
import { FakeModule, conclaveError } from "./fakes/module.js";

const OPTIONS: SampleOptions = { baseUrl: "http://127.0.0.1/v1", apiKey: "sk-1", model: "m", problem: "p", numCandidates: 3 };

const module = new FakeModule();
let given: WasmSampleOptions | undefined;

/** What the module does with the next call. */
function does(work: (options: WasmSampleOptions) => Promise<{ text: string }[]>): void {
  module.sampling = (options) => work((given = options));
}

test("a module that cannot be loaded is asked for again", async () => {
  clientModule.set(async () => {
    throw new Error("offline");
  });
  await assert.rejects(sampleCandidates(OPTIONS), failure("unsupported", "offline"));
  clientModule.set(async () => module);
  assert.deepEqual(await sampleCandidates(OPTIONS), { candidates: [], failures: [] });
});

test("what was asked for reaches the module, and what came of it the caller", async () => {
  does(async (options) => {
    options.onToken(1, "on");
    options.onFailure(2, Object.assign(conclaveError("rate_limited", "busy"), { remedy: "Wait." }));
    options.onCandidate(1, { text: "one" });
    options.onFailure(0, conclaveError("cors"));
    return [{ text: "one" }];
  });
  const told: unknown[] = [];
  const { candidates, failures } = await sampleCandidates({
    ...OPTIONS,
    temperature: 0.5,
    onToken: (...token) => told.push(token),
    onCandidate: (...candidate) => told.push(candidate),
    onFailure: (index, error) => told.push([index, error]),
  });
  assert.deepEqual(candidates, [{ text: "one" }]);
  assert.deepEqual(failures.map(({ index, error }) => [index, error.code]), [[0, "cors"], [2, "rate-limited"]]);
  assert.deepEqual(told, [[1, "on"], [2, failures[1]!.error], [1, { text: "one" }], [0, failures[0]!.error]]);
  assert.equal(told[1] instanceof Array && told[1][1], failures[1]!.error, "the same error");
  assert.ok(failures[1]!.error instanceof AggregatorError && failures[1]!.error.remedy === "Wait.");
  const { baseUrl, apiKey, numCandidates, temperature, concurrency, maxTokens } = given!;
  assert.deepEqual([baseUrl, apiKey, numCandidates, temperature], ["http://127.0.0.1/v1", "sk-1", 3, 0.5]);
  assert.deepEqual([concurrency, maxTokens], [undefined, undefined]);
});

test("it resolves where all failed", async () => {
  does(async (options) => {
    for (const index of [0, 1, 2]) options.onFailure(index, conclaveError("wrong_key"));
    return [];
  });
  const { candidates, failures } = await sampleCandidates(OPTIONS);
  assert.deepEqual([candidates, failures.length, failures[0]?.error.code], [[], 3, "unauthorized"]);
});

test("mistakes of callbacks stop nothing", async (context) => {
  const complaint = context.mock.method(console, "error", () => {});
  does(async (options) => {
    options.onToken(0, "x");
    options.onFailure(0, conclaveError("network"));
    return [];
  });
  const fails = () => {
    throw new Error("no");
  };
  const { failures } = await sampleCandidates({ ...OPTIONS, onToken: fails, onFailure: fails });
  assert.equal(failures.length, 1);
  assert.equal(complaint.mock.callCount(), 2);
});

test("an abort, before and in the middle", async () => {
  let calls = 0;
  does(async (options) => {
    calls++;
    options.onCandidate(0, { text: "early" });
    const signal = options.signal as AbortSignal;
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    throw conclaveError("cancelled");
  });
  await assert.rejects(sampleCandidates({ ...OPTIONS, signal: AbortSignal.abort("why") }), failure("aborted"));
  assert.equal(calls, 0);
  const controller = new AbortController();
  const arrived: string[] = [];
  const onCandidate = (_: number, { text }: { text: string }) => {
    arrived.push(text);
    setTimeout(() => controller.abort("why"), 5);
  };
  const sampled = sampleCandidates({ ...OPTIONS, signal: controller.signal, onCandidate });
  await assert.rejects(sampled, (error) => failure("aborted")(error) && (error as Error).cause === "why");
  assert.deepEqual(arrived, ["early"]);
});

test("what concerns the whole call rejects", async () => {
  does(async () => {
    throw conclaveError("input", "model: expected a string");
  });
  await assert.rejects(sampleCandidates(OPTIONS), failure("input", "model: expected a string"));
  await assert.rejects(sampleCandidates(undefined as never), failure("input", "options: expected an object"));
});

test("a panic of the module is not waited for", async () => {
  does(() => new Promise(() => setTimeout(() => module.panic("at line 1"), 5)));
  await assert.rejects(sampleCandidates(OPTIONS), failure("internal", "panicked: at line 1"));
});
