// The program of the three projects, which uses both entries of the package.
import { SampleSetAggregator, majorityVote } from "@conclave/web";
import { grade } from "@conclave/web/vote";

globalThis.use = async (set) => {
  const warnings = [];
  let streamed = "";
  const aggregator = await SampleSetAggregator.load({
    device: "cpu",
    // Left out, a worker that cannot be started would only be a warning.
    worker: true,
    onWarning: (message) => warnings.push(message),
  });
  const result = await aggregator.aggregate(set, { onToken: (text) => (streamed += text) });
  const { info } = aggregator;
  await aggregator.dispose();
  const vote = await majorityVote(set.candidates);
  return { warnings, info, streamed, result, vote, grade: await grade("\\frac{1}{2}", "The answer is \\boxed{0.5}.") };
};
