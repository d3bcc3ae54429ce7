// Votes and grades: the module is loaded at the first use, once, and its errors are ours.

import assert from "node:assert/strict";
import { test } from "node:test";
import { grade, majorityVote, voteModule } from "../src/votes.js";
import { failure } from "./fakes/expect.js";
import { FakeModule } from "./fakes/module.js";

test("the module is loaded at the first use, and again after a failure", async () => {
  let loads = 0;
  voteModule.set(async () => {
    if (++loads === 1) throw new Error("offline");
    return new FakeModule();
  });
  await assert.rejects(majorityVote(["7"]), failure("unsupported", "offline"));
  const votes = await Promise.all([majorityVote(["7"]), majorityVote(["7", { text: "8" }])]);
  assert.deepEqual(votes.map(({ answered }) => answered), [1, 2]);
  assert.deepEqual(await grade("7", "7"), { answer: "7", equivalent: true, verdict: "same" });
  assert.equal(loads, 2);
});

test("wrong arguments", async () => {
  voteModule.set(async () => new FakeModule());
  await assert.rejects(majorityVote("7" as never), failure("input", "candidates: expected an array"));
  await assert.rejects(majorityVote([7] as never), failure("input", "candidates[0]"));
  await assert.rejects(grade(7 as never, "7"), failure("input", "reference: expected a string"));
  await assert.rejects(grade("7", undefined as never), failure("input", "prediction: expected a string"));
  await assert.rejects(grade("throw", "7"), failure("input", "no"));
});

test("what the answers are goes on to the module, candidates as plain data", async () => {
  const module = new FakeModule();
  voteModule.set(async () => module);
  const call = { id: "x", function: { name: "f", arguments: "{}" } };
  const message = { role: "assistant", content: null, tool_calls: [call] };
  await majorityVote(["a", message, { text: null, refusal: "no" }], { labels: ["a", "b"], rule: { atLeast: 2 } });
  assert.deepEqual(module.lastKind, {
    given: [{ text: "a" }, { content: null, tool_calls: [call] }, { refusal: "no" }],
    options: { labels: ["a", "b"], rule: { atLeast: 2 } },
    check: undefined,
  });
  await grade(["a", "b"], message, { answers: "tool-call" });
  assert.deepEqual(module.lastKind?.given, { content: null, tool_calls: [call] });
  await assert.rejects(majorityVote([{}]), failure("input", "candidates[0]"));
  await assert.rejects(majorityVote([], 7 as never), failure("input", "options: expected an object"));
  await assert.rejects(grade([], "7"), failure("input", "reference"));
});

test("a schema comes as a function that checks records", async () => {
  const module = new FakeModule();
  voteModule.set(async () => module);
  await majorityVote(["{}"], { schema: { required: ["a"] } });
  const { options, check } = module.lastKind!;
  assert.deepEqual(options, { schema: true });
  assert.equal(check?.('{"a":1}'), undefined);
  assert.match(check?.("{}") ?? "", /"a"/);
  await assert.rejects(majorityVote(["{}"], { schema: { type: "strange" } }), failure("input", "schema: /type"));
});
