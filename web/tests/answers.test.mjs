// Votes and grades: the cases that the native tests read too, and what happens to arguments of the wrong kind.
import assert from "node:assert/strict";
import { test } from "node:test";
import { conclave, conclaveError, lines } from "./module.mjs";

test("votes of the shared cases", () => {
  const cases = lines("votes.jsonl");
  assert.ok(cases.length > 20);
  for (const { case: name, candidates, answer, votes, confidence } of cases) {
    // They are of mathematics, whatever a few of them look like.
    const vote = conclave.majorityVote(candidates, { answers: "math" });
    assert.equal(vote.answer, answer, name);
    assert.deepEqual(vote.clusters.map((cluster) => cluster.votes), votes, name);
    assert.ok(Math.abs(vote.lead_probability - confidence) < 1e-12, `${name}: ${vote.lead_probability}`);
    assert.equal(vote.answered, votes.reduce((sum, count) => sum + count, 0), name);
  }
});

test("a vote says who voted for what", () => {
  const { confidence, ...vote } = conclave.majorityVote(["\\boxed{8}", "I don't know.", { text: "\\boxed{7}" }, "7.0", "7"]);
  assert.ok(confidence > 0.5 && confidence < 0.9, `${confidence}`);
  assert.deepEqual(vote, {
    answer: "7",
    confidence_kind: "correct",
    lead_probability: 0.8125,
    kind: "math",
    kind_reason: "candidates announce or calculate a value",
    answered: 4,
    clusters: [
      { answer: "7", votes: 3, share: 0.75, candidates: [2, 3, 4], forms: ["7", "7.0"] },
      { answer: "8", votes: 1, share: 0.25, candidates: [0], forms: ["8"] },
    ],
    readings: [
      { answer: "8", found_by: "boxed" },
      { answer: null, found_by: null, no_answer: "refusal" },
      { answer: "7", found_by: "boxed" },
      { answer: "7.0", found_by: "whole" },
      { answer: "7", found_by: "whole" },
    ],
  });
});

test("an answer that fits two that differ stands alone", () => {
  const vote = conclave.majorityVote(["12 cm", "12", "12 ft", "12 cm"]);
  assert.deepEqual(vote.clusters.map(({ answer, votes, fits }) => [answer, votes, fits]), [
    ["12 cm", 2, undefined],
    ["12", 1, ["12 cm", "12 ft"]],
    ["12 ft", 1, undefined],
  ]);
});

test("a grade says what was found", () => {
  const found = (reference, prediction) => conclave.grade(reference, prediction);
  assert.deepEqual(found("1234", "So the total is \\boxed{1,234}."), { answer: "1,234", equivalent: true, verdict: "same" });
  assert.deepEqual(found("1234", "\\boxed{1243}"), { answer: "1243", equivalent: false, verdict: "different" });
  assert.deepEqual(found("7", ""), { answer: null, no_answer: "empty", equivalent: false, verdict: "different" });
  assert.deepEqual(found(["8", "7"], "7.0"), { answer: "7.0", equivalent: true, verdict: "same" });
  assert.deepEqual(found("0", "\\infty - \\infty"), { answer: "\\infty - \\infty", equivalent: false, verdict: "unknown" });
});

test("wrong arguments are typed errors", () => {
  for (const candidates of [undefined, null, 3, "7", { length: 1 }]) {
    assert.throws(() => conclave.majorityVote(candidates), conclaveError("input", "candidates: expected an array"));
  }
  for (const candidate of [undefined, null, 7, [], {}, { text: 7 }]) {
    assert.throws(() => conclave.majorityVote(["7", candidate]), conclaveError("input", "candidates[1]"));
  }
  const throwing = { get text() { throw new RangeError("no"); } };
  assert.throws(() => conclave.majorityVote([throwing]), conclaveError("input", "candidates[0]"));
  for (const options of [7, "math", []]) {
    assert.throws(() => conclave.majorityVote(["7"], options), conclaveError("input", "options: expected an object"));
  }
  for (const [name, value] of [
    ["answers", "maths"], ["answers", 7], ["labels", "a,b"], ["labels", ["a"]], ["labels", ["a", "A!", ""]], ["schema", 7],
    ["rule", "most"], ["rule", { atLeast: 0 }], ["rule", { atLeast: 1.5 }], ["ties", "last"], ["ordinal", 1], ["ordinal", true],
    ["tolerance", -1], ["reviewBelow", 2], ["ignoreArguments", "a"], ["problem", 7],
  ]) {
    assert.throws(() => conclave.majorityVote(["7"], { [name]: value }), conclaveError("input", `${name}: `), name);
  }
  assert.throws(() => conclave.majorityVote(["7"], { labels: ["a", "b"], schema: {} }), conclaveError("input", "answers: "));
  assert.throws(() => conclave.grade("7", "7", { answers: "auto" }), conclaveError("input", "answers: "));
  assert.throws(() => conclave.grade([], "7"), conclaveError("input", "reference: "));
  assert.throws(() => conclave.grade(7, "7"), conclaveError("input", "reference: expected a string"));
  assert.throws(() => conclave.grade("7"), conclaveError("input", "prediction: expected a string"));
});

test("hostile texts are valid candidates", () => {
  const texts = ["\\boxed{".repeat(10_000), "(".repeat(100_000), "\ud800", "\0", "9".repeat(100_000), "^{".repeat(50_000)];
  const vote = conclave.majorityVote([...texts, "\\boxed{7}", "\\boxed{7}"]);
  assert.equal(vote.answer, "7");
  assert.deepEqual(conclave.majorityVote(new Array(10_000).fill("\\boxed{3}")).clusters.length, 1);
});
