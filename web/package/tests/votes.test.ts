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
