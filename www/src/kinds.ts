// What answers are: how the page asks the package for it, and how it says what was taken for what. Pure.

import { plural } from "./format.ts";
import type { Cluster, FieldVote, SampleSet } from "./sample-set.ts";

export type Kind = "math" | "choice" | "labels" | "json" | "tool-call" | "text";
/** `auto`: seen in each set. */
export type AnswersChoice = Kind | "auto";

/** Their names, in the order of the page's list. */
export const KINDS: Record<Kind, string> = {
  math: "mathematics",
  choice: "choice",
  labels: "labels",
  json: "JSON",
  "tool-call": "tool calls",
  text: "short texts",
};

/** What the package is told of the answers of a set. */
export interface KindOptions {
  answers: AnswersChoice;
  labels?: string[];
  schema?: object | boolean;
  problem: string;
}

/** The model is trained for these; of all others the vote is taken. */
export function isForModels(kind: string | null | undefined): boolean {
  return kind === "math" || kind === "choice";
}

/** What the person chose, else what the set itself says, as on the command line. */
export function kindOptions(set: SampleSet, choice: AnswersChoice, typed: string): KindOptions {
  const { answer_kind: said, labels, schema } = set;
  // Anything may stand in a file; what is no kind is refused by the package, by name.
  const own = (said ?? "auto") as AnswersChoice;
  const names = choice === "labels" && typed.trim() !== "" ? typed.split(",") : labels;
  const isSchema = typeof schema === "boolean" || (typeof schema === "object" && schema !== null);
  return {
    answers: choice === "auto" ? own : choice,
    ...(Array.isArray(names) ? { labels: names.map((name) => String(name).trim()) } : {}),
    ...(isSchema ? { schema } : {}),
    problem: set.problem,
  };
}

/** Who says what the answers are: the person, the set, or what was seen. */
export function kindReason(set: SampleSet, choice: AnswersChoice, seen: string): string {
  if (choice !== "auto") return "as you say";
  const isSaid = typeof set["answer_kind"] === "string" && set["answer_kind"].trim() !== "auto";
  return isSaid ? "as the set says" : seen;
}

export function kindName(kind: string): string {
  return KINDS[kind as Kind] ?? kind;
}

/** What was taken for what, and why, in a line. */
export function kindLine(kind: string | null, reason: string): string {
  return kind === null ? `Not voted on: ${reason}.` : `Taken as ${kindName(kind)}: ${reason}.`;
}

/** Why there is no answer although candidates have some. */
export function abstention(clusters: Cluster[], abstained: string, candidates: number, kind: string | null): string {
  const [lead] = clusters;
  if (lead === undefined) return "No answer.";
  const name = (cluster: Cluster) => clip(shown(cluster.answer, kind), 48);
  if (abstained !== "tie") {
    return `No answer: ${name(lead)} has ${lead.votes} of ${plural(candidates, "vote")}, which is too few.`;
  }
  const tied = clusters.filter(({ votes }) => votes === lead.votes);
  const named = tied.slice(0, 3).map(name);
  const last = tied.length > 3 ? `${tied.length - 3} more` : (named.pop() ?? "");
  return `No answer: tie of ${named.join(", ")} and ${last}, ${plural(lead.votes, "vote")} each.`;
}

/** An answer as it is shown in a line. */
export function shown(answer: string, kind: string | null): string {
  return kind === "tool-call" ? callLines(answer).join("; ") : answer;
}

/** Calls as code: `search(query: "cats", limit: 5)`, one a line. */
export function callLines(answer: string): string[] {
  try {
    const calls: unknown = JSON.parse(answer);
    return (Array.isArray(calls) ? calls : [calls]).map((call: { name: unknown; arguments: object }) => {
      const written = Object.entries(call.arguments).map(([name, value]) => `${name}: ${JSON.stringify(value)}`);
      return `${String(call.name)}(${written.join(", ")})`;
    });
  } catch {
    return [answer];
  }
}

/** A place of a record as it is shown. */
export interface FieldRow {
  name: string;
  value: string;
  /** The record has nothing here. */
  isMissing: boolean;
  votes: number;
  share: number;
  review: boolean;
  /** What else was said; empty where nothing was. */
  others: string;
}

export function fieldRow({ path, value, votes, share, review, others = [] }: FieldVote): FieldRow {
  const said = others.map((other) => {
    const [count, ...rest] = [...other].reverse();
    return `${rest.length === 0 ? "nothing" : fieldValue(rest[0])} (${String(count)})`;
  });
  return {
    name: fieldName(path),
    value: value === undefined ? "nothing" : fieldValue(value),
    isMissing: value === undefined,
    votes,
    share,
    review,
    others: said.join(", "),
  };
}

/** `/items/0/price` as `items 1 price`: people count from 1. */
function fieldName(path: string): string {
  if (path === "") return "the whole";
  const names = path.slice(1).split("/").map((name) => name.replace(/~1/g, "/").replace(/~0/g, "~"));
  return names.map((name) => (name === "-" ? "one more" : /^\d+$/.test(name) ? String(Number(name) + 1) : name)).join(" › ");
}

function fieldValue(value: unknown): string {
  return clip(typeof value === "string" ? value : JSON.stringify(value), 160);
}

/** What came of a record, in words. */
export function recordWords(fields: FieldVote[], valid: number, candidates: number): string {
  const review = fields.filter((field) => field.review).length;
  const told = valid === candidates ? `All ${plural(candidates, "candidate")} have a record` : `${valid} of ${plural(candidates, "candidate")} have a record`;
  const say = candidates === 1 ? "The candidate has a record" : told;
  return `${say}; ${review === 0 ? "no field" : plural(review, "field")} to review.`;
}

/** Why a candidate has no answer, as its card says it. */
export function noAnswer(reason: string | undefined, detail: string | undefined): string {
  const names: Record<string, string> = {
    other_label: "not one of the labels",
    invalid: "not valid",
    api_error: "an error, no answer",
    empty: "empty",
    truncated: "cut off",
    refusal: "refused",
  };
  const name = names[reason ?? ""] ?? "no answer";
  return detail === undefined ? name : `${name}: ${clip(detail, 120)}`;
}

function clip(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most)}…` : text;
}
