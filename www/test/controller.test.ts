// Whole flows against the fake package, without a browser.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as fake from "../fake/conclave-web.ts";
import { createController } from "../src/controller.ts";
import type { Package } from "../src/controller.ts";
import type { SampleSet } from "../src/sample-set.ts";
import { INITIAL, reduce } from "../src/state.ts";
import type { Action, State } from "../src/state.ts";
import { createStore } from "../src/store.ts";

fake.pace.ms = 0;

const SPLIT: SampleSet = {
  id: "split",
  problem: "How many?",
  reference_answer: "2779",
  candidates: ["#2954", "#2954", "#2779", "nothing to say"].map((text) => ({ text, seed: 1 })),
};
const LIVE = {
  baseUrl: "http://localhost/v1",
  apiKey: "sk-secret",
  model: "m",
  problem: "6 times 7?",
  numCandidates: 5,
  aggregate: false,
};

function page(conclave: Package = fake) {
  const store = createStore<State, Action>(INITIAL, reduce);
  const controller = createController(store, conclave);
  /** Waits for a state: the flows are asynchronous, their end is not a matter of time. */
  const until = (holds: (state: State) => boolean) =>
    new Promise<State>((resolve) => {
      if (holds(store.get())) resolve(store.get());
      store.subscribe((state) => holds(state) && resolve(state));
    });
  return { store, controller, until };
}

test("a set is counted as soon as it is shown", async () => {
  const { controller, until } = page();
  controller.show(SPLIT);
  const { tally } = await until((state) => state.tally !== null);
  assert.deepEqual(
    tally?.clusters.map(({ answer, votes }) => [answer, votes]),
    [
      ["2954", 2],
      ["2779", 1],
    ],
  );
  assert.deepEqual(tally?.correct, [false, true]);
});

test("a run loads the model once, streams, and says how it stands to the vote", async () => {
  const { store, controller } = page();
  controller.show(SPLIT);
  await controller.run();
  const { run, model } = store.get();
  assert.deepEqual([run.status, run.result?.answer, run.chosen, run.correct], ["done", "2779", 1, true]);
  assert.ok(run.pieces > 0 && run.stream === run.result?.completion);
  assert.deepEqual([model.status, run.result?.device, run.result?.model], ["ready", "webgpu", "builtin"]);
});

test("a vote that is enough asks no model", async () => {
  const { store, controller } = page();
  controller.show({ ...SPLIT, candidates: Array.from({ length: 8 }, () => ({ text: "#7" })) });
  await controller.run();
  assert.deepEqual([store.get().run.result?.method, store.get().model.status], ["vote", "idle"]);
});

test("policy `vote` never does", async () => {
  const { store, controller } = page();
  controller.show(SPLIT);
  store.dispatch({ type: "policy", policy: "vote" });
  await controller.run();
  assert.deepEqual(
    [store.get().run.result?.answer, store.get().run.correct, store.get().model.status],
    ["2954", false, "idle"],
  );
});

const LABELS: SampleSet = {
  id: "labels",
  problem: "Good or bad?",
  reference_answer: ["good", "fine"],
  candidates: ["good", "good", "bad", ""].map((text) => ({ text })),
};

test("labels are voted on, and no model is asked whatever the policy", async () => {
  const { store, controller } = page();
  controller.show(LABELS);
  store.dispatch({ type: "policy", policy: "always" });
  await controller.run();
  const { run, model, tally } = store.get();
  assert.deepEqual([run.result?.answer, run.result?.answer_kind, run.correct, run.chosen], ["good", "labels", true, 0]);
  assert.deepEqual([run.result?.confidence, run.result?.confidence_kind, model.status], [0.5, "share", "idle"]);
  assert.deepEqual([tally?.kind, tally?.readings[3]?.no_answer], ["labels", "empty"]);
});

test("a tie of labels is no answer, and is written and read as such", async () => {
  const { store, controller } = page();
  controller.show({ ...LABELS, candidates: LABELS.candidates.slice(1, 3) });
  await controller.run();
  assert.deepEqual([store.get().run.result?.answer, store.get().run.result?.abstained], [null, "tie"]);
  const text = controller.exportRun() ?? "";
  assert.match(text, /"answer_kind":"labels","abstained":"tie"/);
  const again = page();
  again.controller.openFile("run.jsonl", new TextEncoder().encode(text));
  const { run } = await again.until((state) => state.tally !== null);
  assert.deepEqual([run.result?.abstained, run.result?.answer, run.recorded], ["tie", null, true]);
});

test("records are merged, their fields written to the file", async () => {
  const { store, controller } = page();
  const candidates = ['{"a":1,"b":"x"}', '{"a":1,"b":"y"}', '{"a":2}', "sorry"].map((text) => ({ text }));
  controller.show({ id: "records", problem: "p", candidates });
  await controller.run();
  const { result } = store.get().run;
  assert.deepEqual(result?.fields?.map(({ path, value, votes, review }) => [path, value, votes, review]), [
    ["/a", 1, 2, false],
    ["/b", "x", 1, true],
  ]);
  assert.match(controller.exportRun() ?? "", /"fields":\[\{"path":"\/a","value":1,"votes":2/);
});

test("code is not voted on, until somebody says what it is", async () => {
  const { store, controller, until } = page();
  controller.show({ id: "code", problem: "p", reference_answer: "7", candidates: [{ text: "def f(): return 7" }] });
  await controller.run();
  const { run, tally } = store.get();
  assert.deepEqual([tally?.kind, run.result?.answer, run.correct, run.status], [null, null, undefined, "done"]);
  assert.match(run.result?.error ?? "", /not voted on/);
  controller.chooseAnswers({ answers: "text" });
  const after = await until((state) => state.tally?.kind === "text");
  assert.deepEqual([after.run.status, after.tally?.answer], ["idle", "def f(): return 7"]);
  controller.show(SPLIT, { recorded: "split" });
  assert.equal(store.get().answers, "auto");
});

test("the package is told what the person chose, else what the set says", async () => {
  const seen: unknown[] = [];
  const watching: Package = {
    ...fake,
    majorityVote: (candidates, options) => {
      seen.push(options);
      return fake.majorityVote(candidates, {});
    },
  };
  const { store, controller, until } = page(watching);
  const schema = { type: "object" };
  controller.show({ ...LABELS, answer_kind: "labels", labels: ["good", "bad"], schema });
  assert.equal((await until((state) => state.tally !== null)).tally?.reason, "as the set says");
  controller.chooseAnswers({ answers: "labels", labels: "good, bad,so-so" });
  await until((state) => state.tally?.reason === "as you say");
  assert.deepEqual(seen, [
    { answers: "labels", labels: ["good", "bad"], schema, problem: "Good or bad?" },
    { answers: "labels", labels: ["good", "bad", "so-so"], schema, problem: "Good or bad?" },
  ]);
  assert.equal(store.get().labels, "good, bad,so-so");
});

test("stopping in the middle keeps what was written, and the next run starts anew", async () => {
  const { store, controller, until } = page();
  controller.show(SPLIT);
  const run = controller.run();
  await until((state) => state.run.pieces > 2);
  controller.stop();
  assert.equal(store.get().run.status, "stopped");
  await run;
  assert.equal(store.get().run.status, "stopped");
  assert.ok(store.get().run.stream.length > 0);
  await controller.run();
  assert.equal(store.get().run.status, "done");
});

test("another set in the middle of a run takes its place", async () => {
  const { store, controller, until } = page();
  controller.show(SPLIT);
  const run = controller.run();
  await until((state) => state.run.pieces > 0);
  controller.show({ ...SPLIT, id: "other" });
  await run;
  assert.deepEqual([store.get().set?.id, store.get().run.status, store.get().run.stream], ["other", "idle", ""]);
});

test("a download is cancelled without a complaint", async () => {
  const { store, controller, until } = page();
  controller.chooseModel({ choice: "url", url: "https://models.example/slow/" });
  const load = controller.loadAhead();
  await until((state) => (state.model.progress?.loaded ?? 0) > 0 && state.model.progress?.stage === "download");
  controller.cancelLoad();
  await load;
  assert.deepEqual([store.get().model.status, store.get().model.failure], ["idle", null]);
});

test("a model that cannot be loaded fails the run with a remedy", async () => {
  const { store, controller } = page();
  controller.show(SPLIT);
  controller.chooseModel({ choice: "url", url: "https://models.example/fail:self-test-failed/" });
  await controller.run();
  const { run, model } = store.get();
  assert.deepEqual(
    [run.status, run.failure?.code, model.failure?.code],
    ["failed", "self-test-failed", "self-test-failed"],
  );
  assert.notEqual(run.failure?.remedy, "");
  controller.chooseModel({ url: "" });
  await controller.run();
  assert.equal(store.get().run.failure?.code, "input");
});

test("after a lost device the same model is asked again", async () => {
  const { store, controller } = page();
  controller.show(SPLIT);
  controller.chooseModel({ choice: "url", url: "https://models.example/fail:device-lost/" });
  await controller.run();
  assert.equal(store.get().run.failure?.code, "device-lost");
  await controller.run();
  assert.equal(store.get().run.status, "done");
});

test("live candidates: one fails, the others count", async () => {
  const { store, controller } = page();
  await controller.sample({ ...LIVE, model: "one-fails", aggregate: true });
  const { cards, sampling, run, tally } = store.get();
  assert.deepEqual(
    cards.map(({ status }) => status),
    ["done", "done", "failed", "done", "done"],
  );
  assert.equal(cards[2]?.failure?.code, "rate-limited");
  assert.equal(sampling.status, "done");
  // Clusters name cards, not places among those that arrived.
  assert.deepEqual(
    tally?.clusters.map(({ candidates }) => candidates),
    [
      [0, 3],
      [1, 4],
    ],
  );
  assert.equal(run.status, "done");
});

test("live candidates: all fail, and nothing is aggregated", async () => {
  const { store, controller } = page();
  await controller.sample({ ...LIVE, model: "fail:unauthorized", aggregate: true });
  const { cards, run, sampling } = store.get();
  assert.ok(cards.every(({ failure }) => failure?.code === "unauthorized"));
  assert.equal(run.status, "idle");
  // Where the key was typed, too.
  assert.deepEqual([sampling.status, sampling.failure?.code], ["failed", "unauthorized"]);
});

test("live candidates: stopped in the middle", async () => {
  const { store, controller, until } = page();
  const sampled = controller.sample({ ...LIVE, aggregate: true });
  await until((state) => state.cards.some(({ status }) => status === "done"));
  controller.stopSampling();
  await sampled;
  const { cards, sampling, run } = store.get();
  assert.deepEqual([sampling.status, sampling.failure], ["stopped", null]);
  assert.ok(cards.some(({ status }) => status === "done") && cards.some(({ status }) => status === "failed"));
  assert.equal(run.status, "idle");
});

test("a call that is refused as a whole is said once, in the panel", async () => {
  const refusing: Package = {
    ...fake,
    sampleCandidates: () => Promise.reject(new fake.AggregatorError("input", "no base URL", "Give one.")),
  };
  const { store, controller } = page(refusing);
  await controller.sample(LIVE);
  assert.deepEqual([store.get().sampling.status, store.get().sampling.failure?.code], ["failed", "input"]);
});

test("the key is nowhere but in the call", async () => {
  const seen: object[] = [];
  const watching: Package = {
    ...fake,
    sampleCandidates: (options) => {
      seen.push(options);
      return fake.sampleCandidates(options);
    },
  };
  const { store, controller } = page(watching);
  await controller.sample({ ...LIVE, aggregate: true });
  assert.doesNotMatch(JSON.stringify(store.get()) + controller.exportRun(), /sk-secret/);
  await controller.sample({ ...LIVE, apiKey: "" });
  assert.deepEqual(
    seen.map((options) => ("apiKey" in options ? options.apiKey : "none")),
    ["sk-secret", "none"],
  );
});

test("a run is exported and read again as it was", async () => {
  const first = page();
  first.controller.show(SPLIT);
  await first.controller.run();
  const text = first.controller.exportRun();
  assert.ok(text);
  const second = page();
  second.controller.openFile("run.jsonl", new TextEncoder().encode(text));
  await second.until((state) => state.run.chosen !== null);
  const [a, b] = [first.store.get(), second.store.get()];
  assert.deepEqual(b.file.bad, []);
  assert.deepEqual(b.set, a.set);
  assert.deepEqual(
    [b.run.result?.answer, b.run.chosen, b.run.correct, b.run.stream],
    [a.run.result?.answer, 1, true, a.run.stream],
  );
  assert.equal(second.controller.exportRun(), text);
});

test("an export after a failed candidate counts candidates, not cards", async () => {
  const { controller } = page();
  await controller.sample({ ...LIVE, model: "one-fails", aggregate: true });
  const [set, result] = (controller.exportRun() ?? "")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.equal(set.candidates.length, 4);
  assert.deepEqual(
    result.clusters.map((cluster: { candidates: number[] }) => cluster.candidates),
    [
      [0, 2],
      [1, 3],
    ],
  );
});

test("garbage is reported and changes nothing on the page", async () => {
  const { store, controller, until } = page();
  controller.show(SPLIT);
  await until((state) => state.tally !== null);
  controller.openFile(
    "garbage.bin",
    new Uint8Array(4096).map((_, index) => (index * 131) % 256),
  );
  const { file, set } = store.get();
  assert.ok(file.bad.length > 0 && file.sets.length === 0);
  assert.equal(set?.id, "split");
});
