// What the entry of live candidates exports, whatever the host.

export { AggregatorError, type ErrorCode } from "./errors.js";
export { sampleCandidates } from "./sample.js";
export type { SampleFailure, SampleOptions, SampleResult, SampledCandidate } from "./types.js";
