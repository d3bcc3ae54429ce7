// What each host does with the package: the same calls, as a stranger would write them.
import { SampleSetAggregator, majorityVote } from "@conclave/web";
import { AggregatorError, grade, majorityVote as smallVote } from "@conclave/web/vote";

/** Everything that is asked for, as plain values; the tests compare them. */
export async function use({ device, set, votes, pairs }) {
  const stages = new Set();
  const warnings = [];
  const aggregator = await SampleSetAggregator.load({
    ...(device !== undefined && { device }),
    onProgress: ({ stage }) => stages.add(stage),
    onWarning: (message) => warnings.push(message),
  });
  const streamed = [];
  const prompt = [];
  const generated = await aggregator.aggregate(set, {
    onToken: (text) => streamed.push(text),
    onPrompt: (...progress) => prompt.push(progress),
  });
  const selected = await aggregator.aggregate(set, { mode: "select", policy: "always" });
  const voted = await aggregator.aggregate(set, { policy: "vote" });
  const stopping = new AbortController();
  const aborted = codeOf(aggregator.aggregate(set, { onToken: () => stopping.abort(), signal: stopping.signal }));
  await aborted;
  const { info } = aggregator;
  await aggregator.dispose();
  return {
    info,
    stages: [...stages],
    warnings,
    generated,
    streamed,
    prompt,
    selected,
    voted,
    aborted: await aborted,
    disposed: await codeOf(aggregator.aggregate(set)),
    ...(device === "cpu" && { gpu: await codeOf(SampleSetAggregator.load({ device: "webgpu" })) }),
    vote: await majorityVote(set.candidates),
    votes: await inOrder(votes, ({ candidates }) => smallVote(candidates, { answers: "math" })),
    grades: await inOrder(pairs, ({ reference, prediction }) => grade(reference, prediction)),
    wrong: await codeOf(smallVote([7])),
  };
}

async function inOrder(values, work) {
  const results = [];
  for (const value of values) results.push(await work(value));
  return results;
}

/** The code of the error with which it rejects; "none" where it does not. */
async function codeOf(promise) {
  try {
    await promise;
    return "none";
  } catch (error) {
    return error instanceof AggregatorError ? error.code : `not an AggregatorError: ${error}`;
  }
}
