// What the small entry exports, whatever the host: votes and grades alone.

export { AggregatorError, type ErrorCode } from "./errors.js";
export type { AnswerCluster, Candidate, Grade, Vote } from "./types.js";
export { grade, majorityVote } from "./votes.js";
