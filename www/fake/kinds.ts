// Votes of the fake: equal texts count as equal answers, fields of records are counted one by one.

import type { AnswerCluster, AnswerKind, FieldVote, Reading, Vote, VoteOptions } from "./conclave-web.ts";

export function vote(texts: string[], { answers = "auto", labels }: VoteOptions): Vote {
  const seen = answers === "auto" ? kindOf(texts) : answers;
  const reason = answers === "auto" ? "the fake saw it" : "as the options say";
  const nothing = { confidence: 0, answered: 0, clusters: [], readings: [] };
  if (seen === null) {
    const words = "the candidates look like code";
    const undecided = { undecided: "code" as const, message: `${words}: not voted on` };
    return { answer: null, kind: null, kind_reason: words, confidence_kind: "share", ...nothing, ...undecided };
  }
  const readings = texts.map((text) => read(text, seen, labels));
  const { clusters, answered } = count(readings);
  const [lead, second] = [clusters[0]?.votes ?? 0, clusters[1]?.votes ?? 0];
  const base = { kind: seen, kind_reason: reason, answered, clusters, readings };
  if (seen === "math" || seen === "choice") {
    // Grows with the lead; the real one is fitted on answers of many models.
    const confidence = answered === 0 ? 0 : 1 - 0.5 ** (lead - second + 1);
    return { answer: clusters[0]?.answer ?? null, confidence, confidence_kind: "correct", ...base };
  }
  if (seen === "json") {
    const fields = merge(readings);
    const record = Object.fromEntries(fields.map(({ path, value }) => [path.slice(1), value]));
    const confidence = fields.reduce((sum, field) => sum + field.share, 0) / Math.max(1, fields.length);
    return { answer: JSON.stringify(record), confidence, confidence_kind: "share", ...base, record, fields };
  }
  const isTie = lead > 0 && lead === second;
  const winner = isTie ? null : (clusters[0]?.answer ?? null);
  const abstained = isTie ? { abstained: "tie" as const } : {};
  return { answer: winner, confidence: isTie ? 0 : lead / texts.length, confidence_kind: "share", ...base, ...abstained };
}

/** The calls of an API as the fake reads them in a text. */
export function callsIn(calls: unknown): string {
  const [first] = calls as { function: { name: string; arguments: string } }[];
  return first === undefined ? "" : `{"name":"${first.function.name}","arguments":${first.function.arguments}}`;
}

function kindOf(texts: string[]): AnswerKind | null {
  const most = (test: RegExp) => 2 * texts.filter((text) => test.test(text)).length >= texts.length;
  if (texts.length === 0) return "math";
  if (most(/^\{"name":.*"arguments":/)) return "tool-call";
  if (most(/^\{"/)) return "json";
  if (most(/^```|^def /)) return null;
  return most(/^[A-Za-z]+$/) ? "labels" : "math";
}

function read(text: string, kind: AnswerKind, labels: readonly string[] | undefined): Reading {
  const none = (no_answer: string) => ({ answer: null, found_by: null, no_answer });
  if (kind === "math" || kind === "choice") {
    const answer = answerIn(text);
    return answer === null ? none("not_found") : { answer, found_by: "boxed" };
  }
  if (text === "") return none("empty");
  if (kind === "json" || kind === "tool-call") {
    try {
      return { answer: JSON.stringify(JSON.parse(text)), found_by: "json" };
    } catch {
      return none("invalid");
    }
  }
  if (labels !== undefined && !labels.includes(text)) return none("other_label");
  return { answer: text, found_by: "whole" };
}

function count(readings: Reading[]): { clusters: AnswerCluster[]; answered: number } {
  const clusters = new Map<string, AnswerCluster>();
  readings.forEach(({ answer }, index) => {
    if (answer === null) return;
    const key = answer.replace(/\s+/g, "");
    const cluster = clusters.get(key) ?? { answer, votes: 0, share: 0, candidates: [], forms: [] };
    cluster.votes += 1;
    cluster.candidates.push(index);
    if (!cluster.forms.includes(answer)) cluster.forms.push(answer);
    clusters.set(key, cluster);
  });
  const sorted = [...clusters.values()].sort((a, b) => b.votes - a.votes);
  const answered = sorted.reduce((sum, cluster) => sum + cluster.votes, 0);
  for (const cluster of sorted) cluster.share = cluster.votes / answered;
  return { clusters: sorted, answered };
}

function merge(readings: Reading[]): FieldVote[] {
  const records = readings.flatMap(({ answer }) => (answer === null ? [] : [JSON.parse(answer) as Record<string, unknown>]));
  const names = [...new Set(records.flatMap((record) => Object.keys(record)))];
  return names.map((name) => {
    const votes = new Map<string, number>();
    for (const record of records) {
      const text = JSON.stringify(record[name]) ?? "";
      votes.set(text, (votes.get(text) ?? 0) + 1);
    }
    const [[value, most] = ["", 0], ...others] = [...votes].sort((a, b) => b[1] - a[1]);
    const share = most / readings.length;
    const said = others.map(([text, number]): [unknown, number] | [number] => (text === "" ? [number] : [JSON.parse(text), number]));
    const review = share < 0.5 || others[0]?.[1] === most;
    const rest = said.length === 0 ? {} : { others: said };
    return { path: `/${name}`, ...(value === "" ? {} : { value: JSON.parse(value) as unknown }), votes: most, share, review, ...rest };
  });
}

export function answerIn(text: string): string | null {
  const end = text.slice(-4000);
  const boxed = end.lastIndexOf("\\boxed{");
  if (boxed >= 0) {
    let depth = 0;
    for (let at = boxed + 6; at < end.length; at += 1) {
      if (end[at] === "{") depth += 1;
      if (end[at] === "}" && (depth -= 1) === 0) return end.slice(boxed + 7, at);
    }
  }
  return /#\s*([^#\n]+)$/.exec(end)?.[1] ?? end.match(/-?\d+(?:\.\d+)?/g)?.at(-1) ?? null;
}
