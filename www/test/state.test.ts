import assert from "node:assert/strict";
import { test } from "node:test";
import { arrived, INITIAL, isCounted, onCandidates, onCards, reduce } from "../src/state.ts";
import type { Action, State } from "../src/state.ts";

function after(...actions: Action[]): State {
  return actions.reduce(reduce, INITIAL);
}

const SET = { id: "a", problem: "p", candidates: [{ text: "1" }, { text: "2" }] };
const FAILURE = { code: "timeout", message: "too slow", remedy: "wait" };

test("reducers change nothing in place", () => {
  const frozen = Object.freeze({
    ...INITIAL,
    run: Object.freeze({ ...INITIAL.run }),
    model: Object.freeze({ ...INITIAL.model }),
  });
  reduce(frozen, { type: "run" });
  reduce(frozen, { type: "model", choice: "url" });
  assert.equal(frozen.run.status, "idle");
});

test("a set brings its cards and takes away what belonged to the last one", () => {
  const state = after(
    { type: "set", set: SET },
    { type: "run" },
    { type: "run-token", text: "x", ms: 1 },
    { type: "set", set: SET },
  );
  assert.equal(state.cards.length, 2);
  assert.deepEqual([state.run.status, state.run.stream, state.tally], ["idle", "", null]);
});

test("what arrives for an earlier set is dropped", () => {
  const before = after({ type: "sampling", problem: "p", id: "x", numCandidates: 2 });
  const now = reduce(before, { type: "set", set: SET });
  const late = reduce(now, { type: "sampled-text", generation: before.generation, index: 0, text: "late" });
  assert.equal(late, now);
});

test("candidates stream in, fail and are stopped, each for itself", () => {
  const state = after({ type: "sampling", problem: "p", id: "x", numCandidates: 4 });
  const { generation } = state;
  const actions: Action[] = [
    { type: "sampled-text", generation, index: 0, text: "4" },
    { type: "sampled-text", generation, index: 0, text: "2" },
    { type: "sampled-text", generation, index: 2, text: "part" },
    { type: "sampled", generation, index: 0, candidate: { text: "42", model: "m" } },
    // Late pieces do not reopen a card.
    { type: "sampled-text", generation, index: 0, text: "!" },
    { type: "sample-failed", generation, index: 1, failure: FAILURE },
    { type: "sampled-text", generation, index: 99, text: "nowhere" },
  ];
  const running = actions.reduce(reduce, state);
  assert.deepEqual(
    running.cards.map(({ status, text }) => [status, text]),
    [
      ["done", "42"],
      ["failed", ""],
      ["streaming", "part"],
      ["waiting", ""],
    ],
  );
  const ended = reduce(running, { type: "sampling-ended", generation, status: "stopped", failure: null });
  assert.deepEqual(
    ended.cards.map(({ status }) => status),
    ["done", "failed", "failed", "failed"],
  );
  assert.equal(ended.cards[1]?.failure, FAILURE);
  assert.equal(ended.cards[2]?.failure?.code, "aborted");
  assert.deepEqual(arrived(ended)?.set.candidates, [{ text: "42", model: "m" }]);
});

test("clusters speak of cards on the page and of candidates in a file", () => {
  const cards = [0, 3, 5];
  const cluster = { answer: "x", votes: 2, share: 1, candidates: [0, 2] };
  const [onPage] = onCards([cluster], cards);
  assert.deepEqual(onPage?.candidates, [0, 5]);
  assert.deepEqual(onCandidates([onPage!], cards), [cluster]);
});

test("a run that has ended is not changed by what comes late", () => {
  const stopped = after(
    { type: "set", set: SET },
    { type: "run" },
    { type: "run-token", text: "a", ms: 5 },
    { type: "run-stopped" },
  );
  assert.equal(reduce(stopped, { type: "run-token", text: "b", ms: 6 }), stopped);
  assert.deepEqual([stopped.run.status, stopped.run.stream, stopped.run.firstTokenMs], ["stopped", "a", 5]);
});

test("another model means none is loaded", () => {
  const info = { model: "builtin", device: "cpu" as const, parameters: 1, bytes: 1 };
  const ready = after({ type: "model-loading" }, { type: "model-ready", info });
  assert.equal(ready.model.status, "ready");
  const other = reduce(ready, { type: "model", device: "webgpu" });
  assert.deepEqual([other.model.status, other.model.info, other.model.device], ["idle", null, "webgpu"]);
});

test("with another model a failure of the last one is gone, a result is not", () => {
  const failure = { code: "no-webgpu", message: "m", remedy: "" };
  const failed = after({ type: "run" }, { type: "run-failed", failure });
  assert.equal(failed.run.failure, failure);
  assert.deepEqual(reduce(failed, { type: "model", device: "cpu" }).run, INITIAL.run);
  const stopped = after({ type: "run" }, { type: "run-stopped" });
  assert.equal(reduce(stopped, { type: "model", device: "cpu" }).run, stopped.run);
});

test("nothing is said of answers before they were looked for", () => {
  const shown = after({ type: "set", set: SET });
  assert.equal(isCounted(shown), false);
  const tally = {
    answer: null,
    confidence: 0,
    confidenceKind: "share",
    kind: "labels",
    reason: "seen",
    answered: 0,
    clusters: [],
    readings: [],
    correct: [],
  };
  assert.equal(isCounted(reduce(shown, { type: "tally", generation: shown.generation, tally })), true);
});

test("other answers take away what was found in the last ones, and are kept for the next set", () => {
  const shown = after({ type: "set", set: SET }, { type: "run" }, { type: "answers", answers: "labels", labels: "a, b" });
  assert.deepEqual([shown.answers, shown.labels, shown.run.status, shown.tally], ["labels", "a, b", "idle", null]);
  const next = reduce(shown, { type: "set", set: SET });
  assert.deepEqual([next.answers, next.labels], ["labels", "a, b"]);
});

test("a result of a file may name candidates that are not there", () => {
  const result = {
    id: "a",
    answer: "1",
    method: "vote" as const,
    confidence: 1,
    confidence_kind: "",
    clusters: [{ answer: "1", votes: 2, share: 1, candidates: [0, 7] }],
    usage: { prompt_tokens: 0, completion_tokens: 0 },
    elapsed_ms: 0,
  };
  const state = after({ type: "set", set: SET, result });
  assert.deepEqual(state.run.result?.clusters[0]?.candidates, [0]);
});

test("a highlight is taken back by the same click", () => {
  const once = after({ type: "highlight", cluster: 1 });
  assert.equal(once.highlighted, 1);
  assert.equal(reduce(once, { type: "highlight", cluster: 1 }).highlighted, null);
});
