import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { readJsonl, readJsonlText, writeJsonl } from "../src/jsonl.ts";
import { toResultLine } from "../src/sample-set.ts";

const GOOD = '{"id":"a","problem":"p","candidates":[]}';

function reason(line: string): string {
  const { bad, sets } = readJsonlText(line);
  assert.equal(sets.length, 0);
  return bad[0]?.reason ?? "nothing was bad";
}

test("bad lines are reported by number and reading goes on", () => {
  const bytes = Buffer.concat([
    Buffer.from(`${GOOD}\n\n`),
    Buffer.from([0xff, 0x0a]),
    Buffer.from(`{]\r\n[1]\n${GOOD}`),
  ]);
  const { sets, bad } = readJsonl(bytes);
  assert.equal(sets.length, 2);
  assert.deepEqual(
    bad.map(({ line }) => line),
    [3, 4, 5],
  );
  assert.match(bad[0]?.reason ?? "", /^not UTF-8/);
  assert.match(bad[1]?.reason ?? "", /^not JSON/);
  assert.match(bad[2]?.reason ?? "", /found an array/);
});

test("a byte order mark, CRLF and an empty file are fine", () => {
  assert.equal(readJsonl(Buffer.from(`\uFEFF${GOOD}\r\n`)).sets.length, 1);
  assert.deepEqual(readJsonlText(""), { sets: [], results: [], bad: [] });
});

test("errors name the field", () => {
  assert.equal(reason('{"id":"a","problem":"p"}'), "`candidates`: missing; expected an array (it may be empty)");
  assert.equal(reason('{"id":"a","candidates":[]}'), "`problem`: missing; expected a string");
  assert.equal(
    reason('{"id":"a","problem":"p","candidates":[{"text":"t"},{"model":"m"}]}'),
    "candidate 2: `text`: missing; expected a string",
  );
  assert.match(reason('{"id":"a","problem":"p","candidates":[["t"]]}'), /expected a text or an object .* found an array/);
  assert.match(reason('{"id":9007199254740993,"problem":"p","candidates":[]}'), /too large to be read exactly/);
  assert.match(reason('{"id":"a","problem":"p","reference_answer":[["7"]],"candidates":[]}'), /list within a list/);
  assert.match(reason('{"id":"a","problem":"p","reference_answer":" ","candidates":[]}'), /is empty/);
  assert.match(reason('{"id":"a","method":"guess","clusters":[]}'), /expected vote, select or generate/);
});

test("the message for a long bad line is short", () => {
  assert.ok(reason(`{"id": "${"x".repeat(2_000_000)}`).length < 300);
});

test("numbers become texts and extra fields are kept", () => {
  const [set] = readJsonlText(
    '{"id":7,"problem":"p","reference_answer":18,"candidates":[{"text":"t","seed":3}],"level":5}',
  ).sets;
  assert.deepEqual(set, {
    id: "7",
    problem: "p",
    reference_answer: "18",
    candidates: [{ text: "t", seed: 3 }],
    level: 5,
  });
});

test("what is meant is read, as on the command line", () => {
  const read = (fields: object) => readJsonlText(JSON.stringify({ id: "a", problem: "p", candidates: [], ...fields })).sets[0];
  const texts = (candidates: unknown[]) => read({ candidates })?.candidates.map(({ text }) => text);
  const parts = [{ type: "text", text: "a" }, { type: "text", text: "b" }];
  const calls = { content: null, tool_calls: [] };
  assert.deepEqual(texts(["t", 7, true, null, { text: null }, { text: 7 }, { content: "c" }, { content: parts }, calls]), [
    "t", "7", "true", "", "", "7", "c", "ab", "",
  ]);
  const reference = (value: unknown) => read({ reference_answer: value })?.reference_answer;
  assert.equal(reference("16 - 3 = 13\n#### 1,800 "), "1,800");
  assert.deepEqual(reference(["18", 19, null]), ["18", "19"]);
  assert.equal(reference({ a: [1] }), '{"a":[1]}');
  assert.equal(reference(["7"]), "7");
  assert.equal(reference([]), undefined);
});

test("results of labels and records are read as they were written", () => {
  const line = {
    id: "a",
    answer: '{"a":1}',
    method: "vote",
    confidence: 0.5,
    confidence_kind: "share",
    answer_kind: "json",
    fields: [
      { path: "/a", value: 1, votes: 2, share: 0.5, review: true, others: [[null, 1], [1]] },
      { path: "/b", votes: 2, share: 0.5, review: false },
    ],
    num_candidates: 4,
    clusters: [],
    usage: { prompt_tokens: 0, completion_tokens: 0 },
    elapsed_ms: 0,
    reference_answer: ['{"a":1}', '{"a":2}'],
  };
  const undecided = { ...line, id: "b", answer: null, answer_kind: "labels", abstained: "tie", fields: undefined };
  const text = `${JSON.stringify(line)}\n${JSON.stringify(undecided)}\n`;
  const { results, bad } = readJsonlText(text);
  assert.deepEqual(bad, []);
  assert.deepEqual(JSON.parse(JSON.stringify(results)), [line, JSON.parse(JSON.stringify(undecided))]);
  assert.match(reason(JSON.stringify({ ...line, fields: [7] })), /^field 1: /);
});

test("a candidate of 2 MB and hostile keys survive", () => {
  const text = "x".repeat(2_000_000);
  const [set] = readJsonlText(
    `{"id":"a","problem":"p","candidates":[{"text":"${text}"}],"__proto__":{"polluted":1}}`,
  ).sets;
  assert.equal(set?.candidates[0]?.text.length, 2_000_000);
  assert.equal(({} as Record<string, unknown>)["polluted"], undefined);
});

test("the examples are read as they are", () => {
  for (const [file, count] of [
    ["arithmetic", 20],
    ["math500", 10],
    ["labels", 6],
    ["records", 5],
  ] as const) {
    const text = readFileSync(new URL(`../../examples/${file}.jsonl`, import.meta.url));
    const { sets, bad } = readJsonl(text);
    assert.deepEqual([sets.length, bad], [count, []]);
    assert.ok(sets.every(({ candidates }) => candidates.length >= 4));
  }
});

test("a run written is the run read", () => {
  const [set] = readJsonlText(
    '{"id":"a","problem":"p","reference_answer":"7","candidates":[{"text":"7","seed":3}],"level":5}',
  ).sets;
  assert.ok(set);
  const result = {
    answer: "7",
    method: "select" as const,
    confidence: 0.5,
    confidence_kind: "answer_mass",
    clusters: [{ answer: "7", votes: 1, share: 1, candidates: [0], log_prob: -0.7, forms: ["7"] }],
    layers: [
      { layer: "vote", answer: "7", confidence: 0.75, confidence_kind: "lead_probability" },
      {
        layer: "model",
        answer: "7",
        confidence: 0.5,
        confidence_kind: "answer_mass",
        usage: { prompt_tokens: 3, completion_tokens: 0 },
      },
    ],
    usage: { prompt_tokens: 3, completion_tokens: 0 },
    elapsed_ms: 12.5,
    device: "cpu",
  };
  const line = toResultLine(set, result, true);
  const text = writeJsonl([set, line]);
  assert.equal(text.split("\n").length, 3);
  const again = readJsonlText(text);
  assert.deepEqual(again, { sets: [set], results: [line], bad: [] });
  assert.equal(writeJsonl([again.sets[0]!, again.results[0]!]).length, text.length);
});
