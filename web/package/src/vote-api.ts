// What the small entry exports, whatever the host: what needs no model.

export { AggregatorError, type ErrorCode } from "./errors.js";
export { sampleCandidates } from "./sample.js";
export type {
  AnswerCluster,
  Candidate,
  Grade,
  SampleFailure,
  SampleOptions,
  SampleResult,
  SampledCandidate,
  Vote,
} from "./types.js";
export { grade, majorityVote } from "./votes.js";
