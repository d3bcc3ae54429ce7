// A project that uses the package as strangers do: by its name, through its `exports`, with the strictest settings.
// It is only compiled. What must not compile is marked so, and fails to compile if it does.

import {
  type AggregateResult,
  AggregatorError,
  type CachedModel,
  type ErrorCode,
  type FieldVote,
  type Grade,
  type LoadProgress,
  type SampleOptions,
  type SampleResult,
  SampleSetAggregator,
  type Vote,
  type VoteOptions,
  deleteModel,
  grade,
  listModels,
  majorityVote,
  sampleCandidates,
} from "@conclave/web";
import * as client from "@conclave/web/client";
import * as small from "@conclave/web/vote";

export async function use(signal: AbortSignal): Promise<string | null> {
  const aggregator: SampleSetAggregator = await SampleSetAggregator.load({
    model: "https://example.org/model/",
    device: "auto",
    onProgress: ({ stage, file, loaded, total }: LoadProgress) => console.log(stage, file?.length, loaded / total),
    signal,
    worker: true,
    cache: "memory",
  });
  const set = { problem: "1+1?", candidates: ["2", { text: "3", model: "m", finish_reason: null }] };
  const result: AggregateResult = await aggregator.aggregate(set, {
    policy: "always",
    mode: "select",
    maxNewTokens: 16,
    onToken: (text: string) => console.log(text.length),
    onPrompt: (done: number, total: number) => console.log(done, total),
    signal,
  });
  const first: number | undefined = result.time_to_first_token_ms;
  const votes: number | undefined = result.clusters[0]?.votes;
  console.log(first, votes, result.usage.prompt_tokens, aggregator.info.adapter?.length, aggregator.info.fallback);
  await aggregator.dispose();
  return result.answer;
}

export async function plain(): Promise<void> {
  const vote: Vote = await majorityVote(["7", { text: "8" }] as const);
  const verdict: Grade = await small.grade("7", vote.answer ?? "");
  const models: CachedModel[] = await listModels();
  const deleted: boolean = await deleteModel(models[0]?.model ?? "");
  console.log(verdict.equivalent, verdict.verdict, vote.readings[0]?.no_answer, deleted, (await small.majorityVote([])).confidence, await grade("1", "1"));
}

export async function kinds(): Promise<unknown> {
  const options: VoteOptions = { answers: "labels", labels: ["good", "bad"] as const, rule: { atLeast: 2 }, ties: "first", ordinal: true };
  const vote = await majorityVote(["good", { content: null, tool_calls: [] }], options);
  if (vote.undecided !== undefined) return vote.message?.length;
  const record = await small.majorityVote(["{}"], { schema: { type: "object" }, reviewBelow: 0.7, tolerance: 0.01 });
  const fields: FieldVote[] = record.fields ?? [];
  console.log(vote.kind === "labels", vote.kind_reason, vote.abstained === "tie", record.readings[0]?.reason, fields[0]?.others);
  const { verdict } = await grade(["good", "fine"], { text: "good" }, { labels: ["good", "bad"] });
  return [verdict, record.record];
}

export async function live(signal: AbortSignal): Promise<string | null> {
  const options: SampleOptions = {
    baseUrl: "https://api.example.org/v1",
    apiKey: "sk-...",
    model: "m",
    problem: "1+1?",
    numCandidates: 8,
    concurrency: 4,
    temperature: 0.7,
    maxTokens: 256,
    signal,
    onCandidate: (index, candidate) => console.log(index, candidate.text.length, candidate.usage?.["total_tokens"]),
    onToken: (index: number, text: string) => console.log(index, text.length),
    onFailure: (index, error) => console.log(index, error.code, error.remedy),
  };
  const { candidates, failures }: SampleResult = await sampleCandidates(options);
  const codes: ErrorCode[] = failures.map(({ error }) => error.code);
  console.log(codes, candidates[0]?.model, await small.majorityVote(candidates));
  await client.sampleCandidates({ baseUrl: "http://localhost", model: "m", problem: "p", numCandidates: 1 });
  const aggregator = await SampleSetAggregator.load();
  return (await aggregator.aggregate({ problem: options.problem, candidates })).answer;
}

export function remedy(error: unknown): string | undefined {
  if (!(error instanceof AggregatorError)) return undefined;
  const code: ErrorCode = error.code;
  switch (code) {
    case "device-lost":
      return "again";
    // @ts-expect-error no such code
    case "device_lost":
      return undefined;
    default:
      return error.remedy;
  }
}

export async function wrong(aggregator: SampleSetAggregator): Promise<void> {
  // @ts-expect-error an aggregator is loaded, not made
  new SampleSetAggregator();
  // @ts-expect-error no such device
  await SampleSetAggregator.load({ device: "gpu" });
  // @ts-expect-error undefined is not the same as left out
  await SampleSetAggregator.load({ model: undefined });
  // @ts-expect-error no candidates
  await aggregator.aggregate({ problem: "p" });
  // @ts-expect-error a candidate is a text or has one
  await majorityVote([7]);
  // @ts-expect-error no such kind
  await majorityVote(["7"], { answers: "maths" });
  // @ts-expect-error a grade sees one text and cannot tell
  await grade("7", "7", { answers: "auto" });
  // @ts-expect-error what was loaded is not to be changed
  aggregator.info = aggregator.info;
  // @ts-expect-error how many is always said
  await sampleCandidates({ baseUrl: "http://localhost", model: "m", problem: "p" });
  // @ts-expect-error the small entry has no models
  small.listModels();
}
