import assert from "node:assert/strict";
import { test } from "node:test";
import { confidenceMeaning, forecast } from "../src/clusters.ts";
import { abstention, callLines, fieldRow, kindLine, kindOptions, kindReason, noAnswer, recordWords, shown } from "../src/kinds.ts";

const cluster = (answer: string, votes: number) => ({ answer, votes, share: 0, candidates: [] });
const SET = { id: "a", problem: "p", candidates: [] };

test("abstention in words", () => {
  const tie = [cluster("positive", 2), cluster("negative", 2), cluster("neutral", 1)];
  assert.equal(abstention(tie, "tie", 5, "labels"), "No answer: tie of positive and negative, 2 votes each.");
  const many = ["a", "b", "c", "d", "e"].map((name) => cluster(name, 1));
  assert.equal(abstention(many, "tie", 5, "labels"), "No answer: tie of a, b, c and 2 more, 1 vote each.");
  assert.equal(abstention(tie, "too_few", 5, "text"), "No answer: positive has 2 of 5 votes, which is too few.");
  assert.equal(abstention([], "tie", 0, null), "No answer.");
  const calls = [1, 2].map((x) => cluster(`{"name":"f","arguments":{"x":${x}}}`, 1));
  assert.equal(abstention(calls, "tie", 2, "tool-call"), "No answer: tie of f(x: 1) and f(x: 2), 1 vote each.");
});

test("calls as code", () => {
  assert.deepEqual(callLines('{"name":"f","arguments":{"a":"x","b":[1]}}'), ['f(a: "x", b: [1])']);
  assert.deepEqual(callLines('[{"name":"f","arguments":{}},{"name":"g","arguments":{}}]'), ["f()", "g()"]);
  for (const odd of ["no JSON", "7", "null", '{"name":"f"}']) assert.deepEqual(callLines(odd), [odd]);
  assert.equal(shown('{"name":"f","arguments":{}}', "labels"), '{"name":"f","arguments":{}}');
});

test("fields as rows: places from 1, null and nothing are two things", () => {
  const base = { votes: 2, share: 0.5, review: false };
  assert.equal(fieldRow({ ...base, path: "/items/0/a~1b~0c", value: 1 }).name, "items › 1 › a/b~c");
  assert.equal(fieldRow({ ...base, path: "/items/-" }).name, "items › one more");
  assert.equal(fieldRow({ ...base, path: "", value: [] }).name, "the whole");
  const row = fieldRow({ ...base, path: "/a", value: null, others: [["x", 2], [1]] });
  assert.deepEqual([row.value, row.isMissing, row.others], ["null", false, "x (2), nothing (1)"]);
  assert.deepEqual([fieldRow({ ...base, path: "/a" }).value, fieldRow({ ...base, path: "/a" }).isMissing], ["nothing", true]);
  assert.ok(fieldRow({ ...base, path: "/a", value: "x".repeat(10_000) }).value.length < 200);
});

test("a record in words", () => {
  const fields = [true, false].map((review) => ({ path: "/a", votes: 1, share: 1, review }));
  assert.equal(recordWords(fields, 3, 4), "3 of 4 candidates have a record; 1 field to review.");
  assert.equal(recordWords([], 4, 4), "All 4 candidates have a record; no field to review.");
});

test("what the package is asked for, and who says so", () => {
  assert.deepEqual(kindOptions(SET, "auto", "a,b"), { answers: "auto", problem: "p" });
  const own = { ...SET, answer_kind: "labels", labels: ["x", 1] };
  assert.deepEqual(kindOptions(own, "auto", ""), { answers: "labels", labels: ["x", "1"], problem: "p" });
  assert.deepEqual(kindOptions(own, "labels", " a, b"), { answers: "labels", labels: ["a", "b"], problem: "p" });
  assert.deepEqual(kindOptions({ ...SET, schema: "no" }, "json", ""), { answers: "json", problem: "p" });
  assert.deepEqual([kindReason(own, "auto", "s"), kindReason(SET, "auto", "s"), kindReason(own, "text", "s")], [
    "as the set says",
    "s",
    "as you say",
  ]);
});

test("what was taken for what", () => {
  assert.equal(kindLine("tool-call", "candidates call tools"), "Taken as tool calls: candidates call tools.");
  assert.equal(kindLine(null, "the candidates look like code"), "Not voted on: the candidates look like code.");
  assert.equal(noAnswer("other_label", undefined), "not one of the labels");
  assert.equal(noAnswer("invalid", "/age: too old"), "not valid: /age: too old");
  assert.equal(noAnswer("not_found", undefined), "no answer");
  assert.match(confidenceMeaning("share").text, /all candidates/);
});

test("the model is asked for mathematics and choice only", () => {
  for (const policy of ["auto", "always", "vote"] as const) {
    assert.match(forecast(policy, 0.5, 3, "labels"), /^The vote decides/);
    assert.equal(forecast(policy, 0, 0, null), "Nothing to vote on.");
  }
  assert.match(forecast("always", 0.5, 3, "choice"), /the model is asked/);
});
