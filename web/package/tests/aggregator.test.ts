// The class that users have, in this thread and in a worker: the same tests for both.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { SampleSetAggregator } from "../src/aggregator.js";
import { deleteModel, listModels } from "../src/models.js";
import { type Platform, platform, setPlatform } from "../src/platform/platform.js";
import type { LoadOptions, LoadProgress, SampleSetInput } from "../src/types.js";
import { failure } from "./fakes/expect.js";
import { conclaveError } from "./fakes/module.js";
import { type FakePlatform, FakeWorker, fakeGpu, fakePlatform, quickNetwork } from "./fakes/platform.js";
import { ModelServer } from "./fakes/server.js";
import { FakeCaches, FakeOpfs } from "./fakes/storage.js";

const SET: SampleSetInput = { problem: "1+1?", candidates: ["2", { text: "3", model: "m", finish_reason: null }] };

let server: ModelServer;
let inner: FakePlatform;
let workers: FakeWorker[];
let warnings: string[];

/** The host of the next test; what a worker has is the same as what the page has. */
function host(mode: string, changes: Partial<Platform> = {}, startError?: string): void {
  inner = fakePlatform(changes);
  workers = [];
  const startWorker = () => {
    const worker = new FakeWorker(inner, startError);
    workers.push(worker);
    return worker;
  };
  setPlatform({ ...inner, startWorker: mode === "worker" ? startWorker : undefined });
  platform().network = quickNetwork();
}

beforeEach(async () => {
  server = await ModelServer.start();
  warnings = [];
});
afterEach(() => server.stop());

const load = (options: LoadOptions = {}) =>
  SampleSetAggregator.load({ onWarning: (message) => warnings.push(message), ...options });

/** Has the next load keep models in a store of this kind. */
function useStore(kind: string): FakeOpfs | FakeCaches {
  const { storage } = inner;
  if (kind === "Cache API") {
    storage.storage.options.denied = true;
    const caches = new FakeCaches();
    storage.caches = caches;
    return caches;
  }
  storage.storage.options.writing = kind === "OPFS, synchronous" ? "sync" : "stream";
  return storage.storage;
}

/** The server sends the first bytes of the weights and then nothing; the options stop a load that has got them. */
function stopAt(length: number): Required<Pick<LoadOptions, "onProgress" | "signal">> {
  server.habit = (request, response) => {
    if (request.name !== "model.safetensors") return false;
    const bytes = server.files.get(request.name)!;
    response.writeHead(200, { "content-length": bytes.length });
    response.write(bytes.subarray(0, length - 1));
    // Apart, and within the 50 milliseconds between two reports of a worker: the last one is told all the same.
    setTimeout(() => response.write(bytes.subarray(length - 1, length)), 5);
    return true;
  };
  const before = [...server.files].filter(([name]) => name !== "model.safetensors");
  const arrived = before.reduce((sum, [, bytes]) => sum + bytes.length, length);
  const controller = new AbortController();
  const onProgress = ({ stage, loaded }: LoadProgress) => {
    if (stage === "download" && loaded >= arrived) controller.abort();
  };
  return { onProgress, signal: controller.signal };
}

for (const mode of ["this thread", "worker"]) {
  const it = (name: string, run: () => Promise<void>) => test(`${mode}: ${name}`, run);

  it("the built-in model", async () => {
    host(mode);
    const progress: LoadProgress[] = [];
    const aggregator = await load({ onProgress: (step) => progress.push(step) });
    assert.deepEqual(aggregator.info, {
      model: "builtin", device: "cpu", fallback: "there is no WebGPU here (no navigator.gpu)", parameters: 10, bytes: 40,
    });
    assert.deepEqual([...new Set(progress.map(({ stage }) => stage))], ["module", "weights", "self-test"]);
    const tokens: string[] = [];
    const prompts: number[][] = [];
    const result = await aggregator.aggregate(SET, {
      onToken: (text) => tokens.push(text),
      onPrompt: (done, total) => prompts.push([done, total]),
      policy: "always",
      mode: "select",
      maxNewTokens: 9,
    });
    assert.equal(result.answer, "7");
    assert.equal(result.device, "cpu");
    assert.ok(result.elapsed_ms >= result.time_to_first_token_ms!);
    assert.deepEqual(tokens, ["t0 ", "t1 ", "t2 "]);
    assert.deepEqual(prompts, [[5, 5]]);
    const { policy, mode: asked, maxNewTokens } = inner.module.lastOptions!;
    assert.deepEqual([policy, asked, maxNewTokens], ["always", "select", 9]);
    assert.deepEqual(inner.module.lastSet, {
      id: "", problem: "1+1?", candidates: [{ text: "2" }, { text: "3", model: "m" }],
    });
    await aggregator.dispose();
    await aggregator.dispose();
    await assert.rejects(aggregator.aggregate(SET), failure("disposed"));
  });

  it("a model from a server, and again without it", async () => {
    host(mode, { gpu: fakeGpu() });
    const stages = new Set<string>();
    const first = await load({ model: server.url, onProgress: ({ stage }) => stages.add(stage) });
    assert.equal(first.info.device, "webgpu");
    assert.equal(first.info.adapter, "acme rocket");
    assert.equal(first.info.model, server.url);
    assert.deepEqual(inner.module.loads, [{ device: "webgpu", config: "{}", weights: 5_000 }]);
    assert.ok(stages.has("download"));
    await first.dispose();
    const [listed] = await listModels();
    assert.equal(listed?.model, server.url);
    assert.equal(listed?.complete, true);
    await server.stop();
    await (await load({ model: server.url.slice(0, -1) })).dispose();
    assert.equal(await deleteModel(server.url), true);
    assert.equal(await deleteModel(server.url), false);
    assert.deepEqual(await listModels(), []);
    await assert.rejects(load({ model: server.url }), failure("network"));
  });

  it("a failing download has its code", async () => {
    host(mode);
    server.files.delete("tokenizer.json");
    await assert.rejects(load({ model: server.url }), failure("not-found", "tokenizer.json"));
    assert.ok(workers.every((worker) => worker.terminated));
  });

  it("a failing read keeps its code on its way through the module", async () => {
    host(mode);
    await (await load({ model: server.url })).dispose();
    const files = inner.storage.storage.files;
    const key = [...files.keys()].find((key) => key.endsWith("model.safetensors@0"))!;
    const load_ = inner.module.Engine.load;
    inner.module.Engine.load = (given, options) => {
      files.delete(key);
      return load_(given, options).catch(() => Promise.reject(conclaveError("io", "lost on the way")));
    };
    await assert.rejects(load({ model: server.url }), failure("format", "gone from the cache"));
  });

  it("wrong results on the GPU: auto goes to the cpu, webgpu is refused", async () => {
    host(mode, { gpu: fakeGpu() });
    inner.module.failing = { webgpu: conclaveError("self_test", "logits differ by 3") };
    await assert.rejects(load({ device: "webgpu" }), failure("self-test-failed", "logits differ"));
    const aggregator = await load();
    assert.equal(aggregator.info.device, "cpu");
    assert.equal(aggregator.info.fallback, "logits differ by 3");
    assert.match(warnings.join(), /logits differ/);
    await aggregator.dispose();
    inner.module.failing = { webgpu: conclaveError("self_test"), cpu: conclaveError("self_test") };
    await assert.rejects(load(), failure("self-test-failed"));
    inner.module.failing = { webgpu: conclaveError("format", "damaged") };
    await assert.rejects(load(), failure("format", "damaged"), "another device would not help");
  });

  it("calls wait for each other, in order", async () => {
    host(mode);
    const aggregator = await load();
    const order: string[] = [];
    const calls = [1, 2, 3].map((number) =>
      aggregator
        .aggregate({ ...SET, id: String(number) }, { onToken: () => order.push(`${number}`) })
        .then((result) => order.push(`${result.id}!`)),
    );
    await Promise.all(calls);
    assert.equal(order.join(""), "1111!2222!3333!");
    await aggregator.dispose();
    assert.equal(mode === "worker" || inner.module.freed === 1, true);
  });

  it("stopping one call leaves the others", async () => {
    host(mode);
    inner.module.steps = 50;
    const aggregator = await load();
    const [running, queued] = [new AbortController(), new AbortController()];
    let tokens = 0;
    const first = aggregator.aggregate(SET, {
      signal: running.signal,
      onToken: () => void (++tokens === 2 && running.abort()),
    });
    const second = aggregator.aggregate(SET, { signal: queued.signal });
    const third = aggregator.aggregate(SET);
    queued.abort();
    await assert.rejects(second, failure("aborted"));
    await assert.rejects(first, failure("aborted"));
    assert.equal(tokens, 2, "nothing is told after the stop");
    inner.module.steps = 1;
    assert.equal((await third).answer, "7");
    await assert.rejects(aggregator.aggregate(SET, { signal: AbortSignal.abort() }), failure("aborted"));
    await aggregator.dispose();
  });

  it("disposing at any moment", async () => {
    for (const moment of [0, 1, 2, 3]) {
      host(mode);
      inner.module.steps = 30;
      const aggregator = await load();
      let tokens = 0;
      const calls = [aggregator.aggregate(SET, { onToken: () => void (++tokens === moment && void aggregator.dispose()) })];
      calls.push(aggregator.aggregate(SET));
      const ends = Promise.allSettled(calls);
      if (moment === 0) void aggregator.dispose();
      for (const end of await ends) {
        assert.ok(end.status === "rejected");
        failure("disposed")(end.reason);
      }
      await aggregator.dispose();
      assert.ok(workers.every((worker) => worker.terminated));
      if (mode !== "worker") assert.equal(inner.module.freed, 1);
    }
  });

  it("stopping a load at any moment", async () => {
    host(mode);
    await assert.rejects(load({ signal: AbortSignal.abort() }), failure("aborted"));
    for (const stage of ["module", "download", "weights"]) {
      host(mode);
      const controller = new AbortController();
      inner.module.hanging = stage === "weights";
      if (stage === "weights") setTimeout(() => controller.abort(), 60);
      const onProgress = (progress: LoadProgress) => void (progress.stage === stage && controller.abort());
      await assert.rejects(load({ model: server.url, signal: controller.signal, onProgress }), failure("aborted"));
      inner.module.hanging = false; // a worker that is no more takes its loops with it; this one does not
      assert.ok(workers.every((worker) => worker.terminated));
    }
    host(mode);
    await (await load({ model: server.url })).dispose();
  });

  for (const kind of ["OPFS, streams", "OPFS, synchronous", "Cache API"]) {
    it(`a stopped download has kept what had arrived before it rejects: ${kind}`, async () => {
      host(mode);
      const store = useStore(kind);
      const controller = stopAt(3_000);
      // A page may close as soon as it is told, so the store has to hold everything at that moment, not later.
      store.options.disk = () => new Promise((resolve) => setTimeout(resolve, 20));
      await assert.rejects(load({ model: server.url, ...controller }), failure("aborted"));
      const stored = store instanceof FakeOpfs ? new Map(store.files) : new Map(store.entries);
      const [block] = [...stored].filter(([key]) => key.endsWith("model.safetensors@0"));
      assert.deepEqual(block?.[1], server.files.get("model.safetensors")!.slice(0, 3_000));
      assert.ok([...stored.keys()].some((key) => key.endsWith("model.safetensors.index")), "the block has its index");
      delete store.options.disk;
      server.habit = () => false;
      await (await load({ model: server.url })).dispose();
      assert.deepEqual(server.asked("model.safetensors"), [undefined, "bytes=3000-"]);
    });
  }

  it("a store that never answers delays a stop, but does not prevent it", async () => {
    host(mode);
    const store = useStore("OPFS, streams");
    inner.storage.keepMs = 50;
    const { onProgress, signal } = stopAt(3_000);
    const stuckAtWeights = (progress: LoadProgress) => {
      if (progress.file === "model.safetensors") store.options.disk = () => new Promise(() => {});
      onProgress(progress);
    };
    await assert.rejects(load({ model: server.url, signal, onProgress: stuckAtWeights }), failure("aborted"));
    assert.ok(workers.every((worker) => worker.terminated));
  });

  it("a lost device: the call rejects, and the next one loads again from the cache", async () => {
    host(mode, { gpu: fakeGpu() });
    const aggregator = await load({ model: server.url, device: "webgpu" });
    await server.stop();
    inner.module.onStep = (step, engine) => {
      if (step !== 1) return;
      engine.lose("destroyed");
      throw conclaveError("other", "a buffer could not be read");
    };
    await assert.rejects(aggregator.aggregate(SET), failure("device-lost", "destroyed"));
    inner.module.onStep = () => {};
    assert.equal((await aggregator.aggregate(SET)).device, "webgpu");
    assert.equal(inner.module.loads.length, 2);
    assert.equal(inner.module.freed, 1);
    // Lost while nothing is asked of it, and found out by the module's own error.
    inner.module.onStep = () => Promise.reject(conclaveError("device_lost", "gone"));
    await assert.rejects(aggregator.aggregate(SET), failure("device-lost", "gone"));
    inner.module.onStep = () => {};
    assert.equal((await aggregator.aggregate(SET)).answer, "7");
    // The GPU does not come back: the reason is the load's.
    inner.module.onStep = () => Promise.reject(conclaveError("device_lost", "gone"));
    await assert.rejects(aggregator.aggregate(SET), failure("device-lost"));
    inner.module.failing = { webgpu: conclaveError("no_webgpu", "no adapter") };
    await assert.rejects(aggregator.aggregate(SET), failure("no-webgpu"));
    await aggregator.dispose();
  });

  it("a panic rejects what hangs, and the next call begins anew", async () => {
    host(mode);
    const aggregator = await load();
    inner.module.onStep = () => {
      inner.module.panic("index out of bounds");
      return new Promise(() => {});
    };
    await assert.rejects(aggregator.aggregate(SET), failure("internal", "index out of bounds"));
    inner.module.onStep = () => {};
    inner.module.running = 0;
    assert.equal((await aggregator.aggregate(SET)).answer, "7");
    await aggregator.dispose();
  });

  it("numbers that are not finite", async () => {
    host(mode);
    const aggregator = await load();
    inner.module.onStep = () => Promise.reject(conclaveError("not_finite"));
    await assert.rejects(aggregator.aggregate(SET), failure("not-finite"));
    await aggregator.dispose();
  });

  it("a callback that throws harms nobody else", async () => {
    host(mode);
    const aggregator = await load();
    const { error } = console;
    console.error = () => {};
    try {
      const onToken = () => {
        throw new RangeError("the page's own mistake");
      };
      assert.equal((await aggregator.aggregate(SET, { onToken })).answer, "7");
    } finally {
      console.error = error;
    }
    await aggregator.dispose();
  });

  it("a module that does not start", async () => {
    host(mode, { loadModule: () => Promise.reject(new Error("CompileError: blocked by CSP")) });
    await assert.rejects(load(), failure("unsupported", "blocked by CSP"));
  });

  it("wrong arguments", async () => {
    host(mode);
    const wrong = (options: object, part: string) =>
      assert.rejects(load(options as LoadOptions), failure("input", part));
    await wrong({ model: "no base" }, "expected a URL");
    await wrong({ model: "ftp://a.org/" }, "http or https");
    await wrong({ device: "gpu" }, "device: expected");
    await wrong({ cache: "disk" }, "cache: expected");
    const aggregator = await load();
    const bad = (set: unknown, part: string, options: object = {}) =>
      assert.rejects(aggregator.aggregate(set as SampleSetInput, options), failure("input", part));
    await bad(null, "set: expected an object");
    await bad({ candidates: [] }, "problem: expected a string");
    await bad({ problem: "p" }, "candidates: expected an array");
    await bad({ problem: "p", candidates: ["a", { text: 7 }] }, "candidates[1]");
    await bad({ problem: "p", candidates: [null] }, "candidates[0]");
    await bad({ problem: "p", candidates: [{ get text() { throw new Error("no"); } }] }, "candidates[0]");
    await bad({ ...SET, id: 7 }, "id: expected a string");
    await bad({ ...SET, reference_answer: 7 }, "reference_answer: expected a string");
    await bad(SET, "policy: expected", { policy: "never" });
    await bad(SET, "mode: expected", { mode: "write" });
    for (const maxNewTokens of [0, -1, 1.5, NaN, "7"]) await bad(SET, "maxNewTokens: expected", { maxNewTokens });
    assert.equal((await aggregator.aggregate(SET)).answer, "7");
    await aggregator.dispose();
  });
}

test("a worker that crashes rejects what is pending and is replaced", async () => {
  host("worker");
  const aggregator = await load({ model: server.url });
  await server.stop();
  inner.module.onStep = () => {
    workers[0]!.crash("RuntimeError: unreachable");
    return new Promise(() => {});
  };
  await assert.rejects(aggregator.aggregate(SET), failure("internal", "the worker crashed (RuntimeError: unreachable)"));
  assert.equal(workers[0]!.terminated, true);
  inner.module.onStep = () => {};
  inner.module.running = 0;
  assert.equal((await aggregator.aggregate(SET)).answer, "7");
  assert.equal(workers.length, 2);
  await aggregator.dispose();
});

test("a worker that has nothing to keep is not waited for", async () => {
  for (const moment of ["starting", "weights"]) {
    host("worker");
    inner.module.hanging = true;
    const controller = new AbortController();
    const onProgress = ({ stage }: LoadProgress) => void (stage === moment && controller.abort());
    const loading = load({ model: server.url, signal: controller.signal, onProgress });
    // It computes, and so it does not even hear of a stop.
    const { postMessage } = FakeWorker.prototype;
    workers[0]!.postMessage = (message) => (message as { type: string }).type === "abort" || postMessage.call(workers[0], message);
    if (moment === "starting") controller.abort();
    const late = new Promise((_, reject) => setTimeout(() => reject(new Error("it was waited for")), 2_000).unref());
    await assert.rejects(Promise.race([loading, late]), failure("aborted"));
    assert.equal(workers[0]!.terminated, true);
    inner.module.hanging = false;
  }
});

test("where a worker cannot start the page stands in, unless a worker was asked for", async () => {
  host("worker", {}, "blocked by CSP");
  await assert.rejects(load({ worker: true }), failure("unsupported", "blocked by CSP"));
  const aggregator = await load();
  assert.match(warnings.join(), /blocked by CSP.*in this thread/);
  assert.equal((await aggregator.aggregate(SET)).answer, "7");
  await aggregator.dispose();
  setPlatform({ ...inner, startWorker: () => { throw new DOMException("another origin", "SecurityError"); } });
  await (await load()).dispose();
  await assert.rejects(load({ worker: true }), failure("unsupported", "another origin"));
  host("this thread");
  await assert.rejects(load({ worker: true }), failure("unsupported", "no workers"));
});

test("two loads at once download a model once", async () => {
  host("this thread");
  const both = await Promise.all([load({ model: server.url }), load({ model: server.url })]);
  assert.equal(server.asked("model.safetensors").length, 1);
  assert.equal(server.asked("conclave.json").length, 1);
  for (const aggregator of both) await aggregator.dispose();
});

test("worker: false keeps it in this thread", async () => {
  host("worker");
  const aggregator = await load({ worker: false });
  assert.equal((await aggregator.aggregate(SET)).answer, "7");
  assert.equal(workers.length, 0);
  await aggregator.dispose();
});

test("a full disk is a warning, not a failure", async () => {
  host("this thread");
  inner.storage.storage.options.quota = 3_000;
  const aggregator = await load({ model: server.url });
  assert.match(warnings.join(), /stays in memory/);
  assert.deepEqual(inner.module.loads[0], { device: "cpu", config: "{}", weights: 5_000 });
  await aggregator.dispose();
  await deleteModel(server.url);
  assert.deepEqual(await listModels(), []);
});
