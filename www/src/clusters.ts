// Clusters of answers as the page draws them: letters, colours, bars, and the dissent in words. Pure.

import { plural, probability } from "./format.ts";
import { isForModels } from "./kinds.ts";
import type { Cluster, Result } from "./sample-set.ts";
import type { Tally } from "./state.ts";

/** As many colours as can be told apart; later clusters are grey and keep their letters. */
export const COLOURS = 6;
/** Bars drawn at once; the rest is told in one line. */
export const MOST_BARS = 26;

export interface Bar {
  letter: string;
  /** From 0; `COLOURS` is grey. */
  colour: number;
  answer: string;
  votes: number;
  share: number;
  /** Length of the bar, 0 to 1, the largest cluster filling it. */
  length: number;
  /** Select mode: the model's probability of the answer. */
  mass: number | undefined;
  candidates: number[];
}

export interface Bars {
  bars: Bar[];
  /** Clusters that are not drawn. */
  more: number;
  /** Candidates without an answer. */
  unanswered: number;
}

/** Shares are of those that answered; `ofAll`: of all, where who failed did not agree. */
export function bars(clusters: Cluster[], candidates: number, ofAll = false): Bars {
  const most = Math.max(1, ...clusters.slice(0, MOST_BARS).map((cluster) => cluster.votes));
  const answered = clusters.reduce((sum, cluster) => sum + cluster.votes, 0);
  return {
    bars: clusters.slice(0, MOST_BARS).map((cluster, index) => ({
      letter: letter(index),
      colour: Math.min(index, COLOURS),
      answer: cluster.answer,
      votes: cluster.votes,
      share: cluster.votes / Math.max(1, ofAll ? candidates : answered),
      length: cluster.votes / most,
      mass: cluster.log_prob === undefined ? undefined : Math.exp(cluster.log_prob),
      candidates: cluster.candidates,
    })),
    more: Math.max(0, clusters.length - MOST_BARS),
    unanswered: Math.max(0, candidates - answered),
  };
}

/** A to Z, then AA, AB, as spreadsheets name columns. */
export function letter(index: number): string {
  const before = Math.floor(index / 26);
  return (before > 0 ? letter(before - 1) : "") + String.fromCharCode(65 + (index % 26));
}

/** For each candidate the index of its cluster, by one walk over all clusters. */
export function clusterOf(clusters: Cluster[]): Map<number, number> {
  const found = new Map<number, number>();
  clusters.forEach((cluster, index) => cluster.candidates.forEach((candidate) => found.set(candidate, index)));
  return found;
}

/** How far the candidates stand behind an answer: its cluster's index, or null where no candidate gave it. */
export function dissent(clusters: Cluster[], chosen: number | null, candidates: number): string {
  if (clusters.length === 0) return "No candidate gave an answer.";
  const behind = chosen === null ? 0 : (clusters[chosen]?.votes ?? 0);
  const answered = clusters.reduce((sum, cluster) => sum + cluster.votes, 0);
  const silent = candidates - answered;
  const other = answered - behind;
  const parts: string[] = [];
  if (chosen === null) parts.push("No candidate gave this answer");
  else if (other === 0) parts.push(silent > 0 ? "All who answered agree" : "All agree");
  else parts.push(`${behind} of ${plural(candidates, "candidate")} agree`);
  const others = clusters.length - (chosen === null ? 0 : 1);
  if (other > 0) parts.push(`${other} gave ${others === 1 ? "one other answer" : `${others} other answers`}`);
  if (silent > 0) parts.push(`${silent} gave none`);
  return `${parts.join("; ")}.`;
}

/** What the figure beside an answer is, in words: meanings that are never mixed. */
export function confidenceMeaning(kind: string): { name: string; text: string } {
  switch (kind) {
    case "correct":
      return { name: "Probability of being right", text: "as votes of many models on known problems have it" };
    case "lead_probability":
      return {
        name: "Stability of the vote",
        text: "probability that the leading answer stays ahead, not that it is right",
      };
    case "answer_mass":
      return { name: "The model's probability", text: "of this answer among all it could write here" };
    case "token_product":
      return { name: "The model's probability", text: "product over the tokens of the answer" };
    case "share":
      return {
        name: "Share of the votes",
        text: "out of all candidates, those without an answer too; of a record the mean of its fields",
      };
    default:
      return { name: "Confidence", text: kind };
  }
}

/** From this share on the policy `auto` takes the vote without the model (`ENOUGH_SHARE` in `crates/core/src/router.rs`). */
export const ENOUGH_SHARE = 0.8;

/** The share of the first answer among all candidates that were read, those without an answer too. */
export function voteShare({ clusters, readings }: Pick<Tally, "clusters" | "readings">): number {
  const read = readings.filter((reading) => reading !== undefined).length;
  return (clusters[0]?.votes ?? 0) / Math.max(1, read);
}

/** What will decide, before it does. */
export function forecast(
  policy: "auto" | "always" | "vote",
  share: number,
  answered: number,
  kind: string | null = "math",
): string {
  if (kind === null) return "Nothing to vote on.";
  if (!isForModels(kind)) return "The vote decides: the model is asked for mathematics and choice only.";
  const first = `Share of the first answer ${probability(share)}`;
  if (answered === 0)
    return policy === "vote" ? "No candidate has an answer." : "No candidate has an answer: the model is asked.";
  if (policy === "vote") return `${first}; the vote decides.`;
  if (policy === "always") return `${first}; the model is asked in any case.`;
  return share >= ENOUGH_SHARE ? `${first}: the vote is enough.` : `${first}, below ${ENOUGH_SHARE}: the model is asked.`;
}

/** Whether the answer is the vote's, another candidate's, or the model's own. */
export function against(result: Result, chosen: number | null): "with" | "against" | "own" {
  if (result.method === "vote" || chosen === 0) return "with";
  return chosen === null ? "own" : "against";
}
