// What the entry of votes exports, whatever the host.

export { AggregatorError, type ErrorCode } from "./errors.js";
export type {
  AnswerCluster,
  AnswerKind,
  Candidate,
  CandidateObject,
  FieldVote,
  Grade,
  GradeOptions,
  KindOptions,
  NoAnswer,
  Reading,
  Vote,
  VoteOptions,
} from "./types.js";
export { grade, majorityVote } from "./votes.js";
