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
  AnswerKind,
  CachedModel,
  Candidate,
  CandidateObject,
  Device,
  FieldVote,
  Grade,
  GradeOptions,
  KindOptions,
  Layer,
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
  VoteOptions,
} from "./types.js";
