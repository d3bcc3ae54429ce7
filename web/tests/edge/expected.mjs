// What every host has to answer: what the native command line does, and the cases that the native tests read.
import assert from "node:assert/strict";
import { expected, lines, set } from "../native.mjs";

const votes = lines("tests/data/votes.jsonl");
const pairs = lines("examples/pairs.jsonl");

/** What `use` is asked on this device (left out: the package chooses). */
export const request = (device) => ({ device, set, votes, pairs });

/** Whether `use` has answered as it should. */
export function check(answer, device) {
  const { info } = answer;
  assert.equal(info.model, "builtin");
  assert.equal(info.device, device, info.fallback);
  assert.ok(info.parameters > 100_000 && info.bytes > 1_000_000);
  assert.deepEqual(answer.stages, ["module", "weights", "self-test"]);
  assert.deepEqual(answer.warnings, []);

  const { generated, selected, voted } = answer;
  checkResult(generated, expected("generate"), device);
  assert.equal(generated.completion, expected("generate").completion);
  assert.notEqual(generated.answer, generated.clusters[0].answer, "against the vote");
  assert.ok(answer.streamed.length > 10);
  assert.ok(generated.completion.startsWith(answer.streamed.join("").trim()), answer.streamed.join(""));
  const read = generated.usage.prompt_tokens;
  assert.deepEqual(answer.prompt.at(-1), [read, read]);
  checkResult(selected, expected("select"), device);

  assert.deepEqual([voted.method, voted.answer, voted.usage.prompt_tokens], ["vote", generated.clusters[0].answer, 0]);
  assert.deepEqual(voted.clusters, generated.clusters);
  for (const result of [generated, selected, voted]) {
    // No more can be said of it: in workerd the clock stands still while it computes.
    assert.ok(result.elapsed_ms >= 0);
    assert.deepEqual([result.id, result.device], [set.id, device]);
    assert.equal(result.correct, result.answer === set.reference_answer);
  }
  assert.deepEqual([answer.aborted, answer.disposed, answer.wrong], ["aborted", "disposed", "input"]);
  checkAnswers(answer);
}

function checkResult(result, expected, device) {
  // Numbers of a GPU are another's.
  const tolerance = device === "webgpu" ? 1e-3 : 1e-4;
  assert.deepEqual([result.answer, result.method], [expected.answer, expected.method]);
  assert.deepEqual(result.usage, expected.usage);
  near(result.confidence, expected.confidence, tolerance);
  assert.equal(result.clusters.length, expected.clusters.length);
  result.clusters.forEach(({ log_prob, ...cluster }, index) => {
    const { log_prob: expectedLogProb, ...expectedCluster } = expected.clusters[index];
    assert.deepEqual(cluster, expectedCluster);
    // A sum over the tokens of an answer, here of a size of 10.
    if (expectedLogProb === undefined) assert.equal(log_prob, undefined);
    else near(log_prob, expectedLogProb, 10 * tolerance);
  });
}

/** Votes and grades, which need no model. */
function checkAnswers({ vote, votes: found, grades }) {
  const clusters = vote.clusters.map(({ forms, ...cluster }) => cluster);
  assert.deepEqual(clusters, expected("generate").clusters);
  assert.equal(found.length, votes.length);
  votes.forEach(({ case: name, answer, votes, confidence }, index) => {
    assert.equal(found[index].answer, answer, name);
    assert.deepEqual(found[index].clusters.map(({ votes }) => votes), votes, name);
    near(found[index].lead_probability, confidence, 1e-12);
  });
  assert.deepEqual(grades.map(({ equivalent }) => equivalent), pairs.map(({ equivalent }) => equivalent));
}

function near(value, expected, tolerance) {
  assert.ok(Math.abs(value - expected) <= tolerance, `${value} is not near ${expected}`);
}
