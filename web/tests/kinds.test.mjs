// Votes on labels, records, calls of tools and texts: what is taken for what, when nobody wins, and that nothing stray does.
import assert from "node:assert/strict";
import { test } from "node:test";
import { conclave, conclaveError, lines } from "./module.mjs";

const vote = conclave.majorityVote;
const votes = ({ clusters }) => clusters.map(({ answer, votes }) => [answer, votes]);

test("labels: JSON among plain words says the same as they do", () => {
  const found = vote(["positive", "positive", '{"label":"positive","score":0.9}', "negative"]);
  assert.deepEqual([found.kind, found.answer, found.confidence, found.confidence_kind], ["labels", "positive", 0.75, "share"]);
  assert.equal(found.kind_reason, "candidates are a few words");
  assert.deepEqual(votes(found), [["positive", 3], ["negative", 1]]);
});

test("labels: a tie has no answer, and who failed stays in the denominator", () => {
  const tie = vote(["spam", "ham", "Ham.", "It is spam."], { labels: ["spam", "ham"] });
  assert.deepEqual([tie.answer, tie.abstained, tie.confidence, tie.kind_reason], [null, "tie", 0, "as the options say"]);
  assert.deepEqual(votes(tie), [["spam", 2], ["ham", 2]]);
  assert.equal(vote(["spam", "ham"], { labels: ["spam", "ham"], ties: "first" }).answer, "spam");
  const three = ["spam", "spam", "", "Error: 429 Too Many Requests"];
  const failed = vote(three, { labels: ["spam", "ham"], rule: "strict" });
  assert.deepEqual([failed.answer, failed.abstained, failed.answered], [null, "too_few", 2]);
  assert.deepEqual(failed.readings.map(({ no_answer }) => no_answer), [undefined, undefined, "empty", "api_error"]);
  assert.equal(vote(three, { labels: ["spam", "ham"] }).confidence, 0.5);
  assert.equal(vote(three, { labels: ["spam", "ham"], rule: { atLeast: 2 } }).answer, "spam");
  assert.equal(vote(three, { labels: ["spam", "ham"], rule: { atLeast: 3 } }).abstained, "too_few");
  assert.equal(vote(["spam", "spam"], { labels: ["spam", "ham"], rule: "unanimous" }).answer, "spam");
});

test("labels: one that is not in the list is no answer", () => {
  const found = vote(["positive", "mixed"], { labels: ["positive", "negative"] });
  assert.deepEqual([found.answer, found.readings[1].no_answer], ["positive", "other_label"]);
});

test("labels: the median of an order", () => {
  const texts = ["low", "high", "high", "medium", "low"];
  assert.equal(vote(texts, { labels: ["low", "medium", "high"], ordinal: true }).answer, "medium");
});

const RECORDS = [
  '{"name":"Ada","age":36,"tags":["a","b"]}',
  'Here it is:\n```json\n{"name": "Ada", "age": "36", "tags": ["b", "a"]}\n```',
  '{"name":"Ada L.","age":37,"__proto__":{"x":1}}',
  "I cannot do that.",
];

test("records: merged field by field, with votes out of all", () => {
  const found = vote(RECORDS);
  assert.deepEqual([found.kind, found.answered], ["json", 3]);
  assert.deepEqual([found.record.name, found.record.age], ["Ada", 36]);
  assert.deepEqual(JSON.parse(found.answer), found.record);
  const age = found.fields.find(({ path }) => path === "/age");
  assert.deepEqual(age, { path: "/age", value: 36, votes: 2, share: 0.5, review: false, others: [[37, 1]] });
  const name = vote(RECORDS, { reviewBelow: 0.6 }).fields.find(({ path }) => path === "/name");
  assert.deepEqual([name.value, name.review], ["Ada", true]);
  assert.equal({}.x, undefined);
  assert.equal(found.readings[3].no_answer !== undefined, true);
});

test("records: nearly equal numbers are equal where that is said", () => {
  const texts = ['{"price":100}', '{"price":100.4}', '{"price":90}'];
  assert.equal(vote(texts).fields[0].votes, 1);
  assert.equal(vote(texts, { tolerance: 0.01 }).fields[0].votes, 2);
});

test("records: one that the schema does not allow is none", () => {
  const asked = [];
  const check = (record) => {
    asked.push(JSON.parse(record));
    return JSON.parse(record)?.age === 37 ? "/age: 37 is too old" : undefined;
  };
  const found = vote(RECORDS, { schema: {} }, check);
  assert.equal(found.answered, 2);
  assert.deepEqual(found.readings[2], { answer: null, found_by: null, no_answer: "invalid", reason: "/age: 37 is too old" });
  assert.equal(asked[0], null, "the schema itself is tried first");
  assert.throws(() => vote(RECORDS, { schema: {} }), conclaveError("input", "schema: nothing here can check it"));
  const failing = () => { throw new Error("no such schema"); };
  assert.throws(() => vote(RECORDS, { schema: {} }, failing), conclaveError("input", "schema: no such schema"));
});

test("calls of tools: of an API, of a text, in any order of keys", () => {
  const call = (args) => ({ content: null, tool_calls: [{ id: "c", type: "function", function: { name: "search", arguments: JSON.stringify(args) } }] });
  const candidates = [
    call({ query: "cats", limit: 5, seed: 1 }),
    call({ limit: 5.0, query: "cats", seed: 2 }),
    '<tool_call>{"name":"search","arguments":{"query":"dogs","limit":5,"seed":3}}</tool_call>',
  ];
  const apart = vote(candidates);
  assert.deepEqual([apart.kind, apart.kind_reason, apart.answer, apart.abstained], ["tool-call", "candidates call tools", null, "tie"]);
  const found = vote(candidates, { ignoreArguments: ["seed"] });
  assert.deepEqual(found.clusters.map(({ votes }) => votes), [2, 1]);
  assert.equal(JSON.parse(found.answer).arguments.query, "cats");
});

test("choices and texts", () => {
  const problem = "Which is a mammal?\nA) trout\nB) whale\nC) eagle";
  const choice = vote(["b", "The answer is B.", "(C)"], { problem });
  assert.deepEqual([choice.kind, choice.answer, choice.kind_reason], ["choice", "B", "the problem has options"]);
  const texts = ["The Battle of Hastings", "battle of Hastings.", "the siege of Paris"];
  assert.deepEqual([vote(texts, { answers: "text" }).answer !== null, votes(vote(texts, { answers: "text" }))[0][1]], [true, 2]);
  assert.equal(vote(texts.slice(1), { answers: "text" }).abstained, "too_few");
});

test("code, essays and mixtures have no answer, and the message says what to do", () => {
  const essay = "In the autumn of 1847 the three brothers left their village.\n\nThey walked for 12 days along the river, past mills and churches, and nobody saw them again, though many looked and more wrote letters.";
  for (const [undecided, texts] of [
    ["code", ["def f(x):\n    return x + 1\n", "```python\ndef f(y):\n    return 1 + y\n```"]],
    ["prose", [essay, `${essay} Some say that they reached the sea.`]],
  ]) {
    const found = vote(texts);
    assert.deepEqual([found.answer, found.kind, found.undecided], [null, null, undecided]);
    assert.deepEqual([found.clusters, found.readings, found.confidence, found.answered], [[], [], 0, 0]);
    assert.match(found.message, /not voted on; if that is wrong say what the answers are with the option `answers`/);
    assert.notEqual(vote(texts, { answers: "text" }).kind, null, "unless somebody says what they are");
  }
});

test("grades by kind", () => {
  const grade = (...all) => conclave.grade(...all);
  const labels = { labels: ["positive", "negative"] };
  assert.deepEqual(grade("positive", "I would say it is positive.", labels), { answer: "positive", equivalent: true, verdict: "same" });
  assert.equal(grade(["neutral", "Negative"], "negative", labels).verdict, "same");
  assert.deepEqual(grade("positive", "mixed", labels), { answer: null, no_answer: "other_label", equivalent: false, verdict: "different" });
  assert.equal(grade('{"a":1,"b":"x"}', '```json\n{"b":"x","a":1.0}\n```', { answers: "json" }).equivalent, true);
  assert.equal(grade('{"a":1}', '{"a":1.05}', { answers: "json", tolerance: 0.1 }).equivalent, true);
  assert.equal(grade('{"a":1}', '{"a":1}', { schema: {} }, (record) => (record === "null" ? undefined : "no")).no_answer, "invalid");
  const call = { tool_calls: [{ function: { name: "f", arguments: '{"a":1}' } }] };
  assert.equal(grade('{"name":"f","arguments":{"a":1}}', call, { answers: "tool-call" }).equivalent, true);
  assert.equal(grade("the cat", "Cat!", { answers: "text" }).equivalent, true);
  assert.equal(grade("B", "(b)", { answers: "choice" }).equivalent, true);
});

test("halves of characters cost nothing but themselves", () => {
  const cut = { text: null, content: '{"label":"good \ud83d"}', tool_calls: null };
  const found = vote([cut, { text: "\\\\ud83d good" }, "good", "good"], { labels: ["good", "bad"] });
  assert.equal(found.answer, "good");
  assert.equal(found.clusters[0].votes >= 3, true);
});

test("the order of the candidates does not change labels, records and calls", () => {
  const sets = [["a b", "A b", "c"], RECORDS, ['{"name":"f","arguments":{"x":1}}', '{"name":"f","arguments":{"x":2}}']];
  for (const set of sets) {
    const answers = new Set([set, set.toReversed?.() ?? [...set].reverse()].map((texts) => vote(texts).answer));
    assert.equal(answers.size, 1);
  }
});

test("the examples have the results of the native crate", () => {
  const check = (schema) => (record) => {
    const value = JSON.parse(record);
    const missing = schema.required.find((name) => value?.[name] === undefined);
    return missing ?? Object.keys(schema.properties).find((name) => value[name] > schema.properties[name].maximum);
  };
  const expected = lines("kinds/examples.jsonl");
  const sets = ["labels", "records"].flatMap((file) => lines(`../../examples/${file}.jsonl`));
  assert.equal(sets.length, expected.length);
  sets.forEach(({ id, problem, candidates, answer_kind: answers, labels, schema }, index) => {
    const found = vote(candidates, { answers, labels, schema, problem }, schema && check(schema));
    const { kind, answer, abstained = null, confidence, clusters, fields = null } = found;
    const result = { id, kind, answer, abstained, confidence, votes: clusters.map(({ votes }) => votes), fields };
    assert.deepEqual(result, expected[index]);
  });
});
