// Everything that the package exports, whatever the host.

export { SampleSetAggregator } from "./aggregator.js";
export { AggregatorError, type ErrorCode } from "./errors.js";
export { deleteModel, listModels } from "./models.js";
export { sampleCandidates } from "./sample.js";
export { grade, majorityVote } from "./votes.js";
export type {
  AggregateOptions,
  AggregateResult,
  AggregatorInfo,
  AnswerCluster,
  CachedModel,
  Candidate,
  Device,
  Grade,
  LoadOptions,
  LoadProgress,
  NoAnswer,
  Reading,
  SampleFailure,
  SampleOptions,
  SampleResult,
  SampleSetInput,
  SampledCandidate,
  Vote,
} from "./types.js";
