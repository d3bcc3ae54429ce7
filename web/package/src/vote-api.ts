// What the entry of votes exports, whatever the host.

export { AggregatorError, type ErrorCode } from "./errors.js";
export type { AnswerCluster, Candidate, Grade, NoAnswer, Reading, Vote } from "./types.js";
export { grade, majorityVote } from "./votes.js";
