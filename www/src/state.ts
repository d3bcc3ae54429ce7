// The state of the page as plain data, and the one function that changes it. No browser, no package, no clock in here.
//
// The key of an API is not part of it: it stays in its input element and is handed to the call alone.

import type { BadLine } from "./jsonl.ts";
import type { AnswersChoice } from "./kinds.ts";
import type { Candidate, Cluster, FieldVote, Reading, Result, ResultLine, SampleSet } from "./sample-set.ts";

export type Source = "recorded" | "file" | "live";
export type Policy = "auto" | "always" | "vote";
/** `trained`: what the model was trained for. */
export type Mode = "trained" | "generate" | "select";
export type DeviceChoice = "auto" | "webgpu" | "cpu";

/** An error as it is shown: what happened and what to do. */
export interface Failure {
  code: string;
  message: string;
  remedy: string;
}

/** A place for one candidate. */
export interface Card {
  status: "waiting" | "streaming" | "done" | "failed";
  text: string;
  /** What it became, with all its fields. */
  candidate?: Candidate;
  failure?: Failure;
}

/** The vote on the candidates that have arrived. Indices are those of cards. */
export interface Tally {
  answer: string | null;
  confidence: number;
  confidenceKind: string;
  /** What the answers are; null where nothing was voted on. */
  kind: string | null;
  /** Who says so, or what was seen. */
  reason: string;
  answered: number;
  clusters: Cluster[];
  /** What was read in each card; nothing where it has not arrived. */
  readings: (Reading | undefined)[];
  /** Why there is no answer although candidates have some. */
  abstained?: string;
  /** Of a merged record. */
  fields?: FieldVote[];
  /** Why the schema does not allow the merged record. */
  recordReason?: string;
  /** For each cluster whether it equals the reference; empty without one. */
  correct: boolean[];
}

export interface Progress {
  stage: string;
  file?: string;
  loaded: number;
  total: number;
}

export interface ModelInfo {
  model: string;
  device: "webgpu" | "cpu";
  adapter?: string;
  /** Why it is the processor where that was not asked for. */
  fallback?: string;
  parameters: number;
  bytes: number;
}

export interface ModelState {
  choice: "builtin" | "url";
  url: string;
  device: DeviceChoice;
  status: "idle" | "loading" | "ready" | "failed";
  progress: Progress | null;
  info: ModelInfo | null;
  failure: Failure | null;
}

export interface RunState {
  status: "idle" | "loading" | "reading" | "writing" | "done" | "failed" | "stopped";
  /** Tokens of the prompt that are read, of how many. */
  read: number;
  prompt: number;
  stream: string;
  /** Pieces streamed so far: about one a token. */
  pieces: number;
  /** By the page's own clock, from the start of the call. */
  firstTokenMs: number | null;
  elapsedMs: number | null;
  result: Result | null;
  /** The index of the cluster that holds the result's answer. */
  chosen: number | null;
  correct: boolean | undefined;
  failure: Failure | null;
  /** The result was read from a file. */
  recorded: boolean;
}

export interface FileState {
  name: string;
  sets: SampleSet[];
  results: ResultLine[];
  bad: BadLine[];
  at: number;
  status: "empty" | "reading" | "read";
}

export interface State {
  source: Source;
  /** Which recorded set is chosen, by its id. */
  recorded: string;
  file: FileState;
  sampling: { status: "idle" | "running" | "done" | "stopped" | "failed"; failure: Failure | null };
  /** The set on the page, without its candidates' order ever changing; null before there is one. */
  set: SampleSet | null;
  /** Counts the sets shown, so that what arrives late for an earlier one is dropped. */
  generation: number;
  cards: Card[];
  tally: Tally | null;
  /** The vote could not be taken. */
  tallyFailure: Failure | null;
  model: ModelState;
  /** What the person says that the answers are. */
  answers: AnswersChoice;
  /** The labels, as typed. */
  labels: string;
  policy: Policy;
  mode: Mode;
  run: RunState;
  /** A cluster whose cards are brought forward. */
  highlighted: number | null;
  /** Cards drawn: a set may have thousands. */
  shown: number;
}

export const CARDS_AT_ONCE = 48;

const IDLE_RUN: RunState = {
  status: "idle",
  read: 0,
  prompt: 0,
  stream: "",
  pieces: 0,
  firstTokenMs: null,
  elapsedMs: null,
  result: null,
  chosen: null,
  correct: undefined,
  failure: null,
  recorded: false,
};

const EMPTY_FILE: FileState = { name: "", sets: [], results: [], bad: [], at: 0, status: "empty" };

export const INITIAL: State = {
  source: "recorded",
  recorded: "",
  file: EMPTY_FILE,
  sampling: { status: "idle", failure: null },
  set: null,
  generation: 0,
  cards: [],
  tally: null,
  tallyFailure: null,
  model: {
    choice: "builtin",
    url: "",
    device: "auto",
    status: "idle",
    progress: null,
    info: null,
    failure: null,
  },
  answers: "auto",
  labels: "",
  policy: "auto",
  mode: "trained",
  run: IDLE_RUN,
  highlighted: null,
  shown: CARDS_AT_ONCE,
};

export type Action =
  | { type: "source"; source: Source }
  | { type: "set"; set: SampleSet | null; recorded?: string; result?: ResultLine | undefined }
  | { type: "file-reading"; name: string }
  | { type: "file"; name: string; sets: SampleSet[]; results: ResultLine[]; bad: BadLine[] }
  | { type: "file-at"; at: number }
  | { type: "sampling"; problem: string; id: string; numCandidates: number }
  | { type: "sampled-text"; generation: number; index: number; text: string }
  | { type: "sampled"; generation: number; index: number; candidate: Candidate }
  | { type: "sample-failed"; generation: number; index: number; failure: Failure }
  | { type: "sampling-ended"; generation: number; status: "done" | "stopped" | "failed"; failure: Failure | null }
  | { type: "tally"; generation: number; tally: Tally }
  | { type: "tally-failed"; generation: number; failure: Failure }
  | { type: "answers"; answers?: AnswersChoice; labels?: string }
  | { type: "model"; choice?: "builtin" | "url"; url?: string; device?: DeviceChoice }
  | { type: "model-loading" }
  | { type: "model-progress"; progress: Progress }
  | { type: "model-ready"; info: ModelInfo }
  | { type: "model-failed"; failure: Failure | null }
  | { type: "model-dropped" }
  | { type: "policy"; policy: Policy }
  | { type: "mode"; mode: Mode }
  | { type: "run" }
  | { type: "run-reading"; read: number; prompt: number }
  | { type: "run-token"; text: string; ms: number }
  | { type: "run-done"; result: Result; chosen: number | null; correct: boolean | undefined; ms: number }
  | { type: "chosen"; generation: number; chosen: number | null; correct: boolean | undefined }
  | { type: "run-failed"; failure: Failure }
  | { type: "run-stopped" }
  | { type: "highlight"; cluster: number | null }
  | { type: "show-more" };

export function reduce(state: State, action: Action): State {
  // What arrives for a set that is no longer on the page changes nothing.
  if ("generation" in action && action.generation !== state.generation) return state;
  switch (action.type) {
    case "source":
      return { ...state, source: action.source };
    case "set":
      return withSet(state, action.set, action.recorded, action.result);
    case "file-reading":
      return { ...state, file: { ...EMPTY_FILE, name: action.name, status: "reading" } };
    case "file": {
      const { name, sets, results, bad } = action;
      return { ...state, file: { name, sets, results, bad, at: 0, status: "read" } };
    }
    case "file-at":
      return { ...state, file: { ...state.file, at: action.at } };
    case "sampling": {
      const set = { id: action.id, problem: action.problem, candidates: [] };
      const cards = Array.from({ length: action.numCandidates }, (): Card => ({ status: "waiting", text: "" }));
      return { ...withSet(state, set), cards, sampling: { status: "running", failure: null } };
    }
    case "sampled-text":
      return withCard(state, action.index, (card) =>
        card.status === "waiting" || card.status === "streaming"
          ? { ...card, status: "streaming", text: card.text + action.text }
          : card,
      );
    case "sampled":
      return withCard(state, action.index, () => ({
        status: "done",
        text: action.candidate.text,
        candidate: action.candidate,
      }));
    case "sample-failed":
      return withCard(state, action.index, (card) =>
        card.status === "done" ? card : { ...card, status: "failed", failure: action.failure },
      );
    case "sampling-ended": {
      const { status, failure } = action;
      const unfinished: Failure = failure ?? {
        code: "aborted",
        message: "stopped before it was complete",
        remedy: "",
      };
      const cards = state.cards.map(
        (card): Card =>
          card.status === "waiting" || card.status === "streaming"
            ? { ...card, status: "failed", failure: unfinished }
            : card,
      );
      return { ...state, cards, sampling: { status, failure } };
    }
    case "tally":
      return { ...state, tally: action.tally, tallyFailure: null, highlighted: null };
    case "tally-failed":
      return { ...state, tally: null, tallyFailure: action.failure };
    case "answers": {
      const { answers = state.answers, labels = state.labels } = action;
      // What was found before was found in other answers.
      return { ...state, answers, labels, tally: null, tallyFailure: null, run: IDLE_RUN, highlighted: null };
    }
    case "model": {
      const { choice, url, device } = { ...state.model, ...action };
      const idle = { status: "idle", progress: null, info: null, failure: null } as const;
      // What failed, failed with another model or device.
      const run = state.run.status === "failed" ? IDLE_RUN : state.run;
      return { ...state, run, model: { ...idle, choice, url, device } };
    }
    case "model-loading":
      return { ...state, model: { ...state.model, status: "loading", progress: null, info: null, failure: null } };
    case "model-progress":
      if (state.model.status !== "loading") return state;
      return { ...state, model: { ...state.model, progress: action.progress } };
    case "model-ready":
      return { ...state, model: { ...state.model, status: "ready", progress: null, info: action.info } };
    case "model-failed": {
      const status = action.failure === null ? "idle" : "failed";
      return { ...state, model: { ...state.model, status, progress: null, info: null, failure: action.failure } };
    }
    case "model-dropped":
      return { ...state, model: { ...state.model, status: "idle", progress: null, info: null } };
    case "policy":
      return { ...state, policy: action.policy };
    case "mode":
      return { ...state, mode: action.mode };
    case "run":
      return { ...state, run: { ...IDLE_RUN, status: "loading" }, highlighted: null };
    case "run-reading":
      return withRun(state, { status: "reading", read: action.read, prompt: action.prompt });
    case "run-token":
      return withRun(state, {
        status: "writing",
        stream: state.run.stream + action.text,
        pieces: state.run.pieces + 1,
        firstTokenMs: state.run.firstTokenMs ?? action.ms,
        elapsedMs: action.ms,
      });
    case "run-done": {
      const { result, chosen, correct, ms } = action;
      const stream = result.completion ?? state.run.stream;
      return withRun(state, { status: "done", result, chosen, correct, elapsedMs: ms, stream });
    }
    case "chosen":
      return { ...state, run: { ...state.run, chosen: action.chosen, correct: action.correct } };
    case "run-failed":
      return withRun(state, { status: "failed", failure: action.failure });
    case "run-stopped":
      return withRun(state, { status: "stopped" });
    case "highlight":
      return { ...state, highlighted: state.highlighted === action.cluster ? null : action.cluster };
    case "show-more":
      return { ...state, shown: state.shown + CARDS_AT_ONCE };
  }
}

/** Whether a run is under way. */
export function isRunning(run: RunState): boolean {
  return run.status === "loading" || run.status === "reading" || run.status === "writing";
}

/** The clusters to draw: the result's, which may carry the model's scores, else the vote's. */
export function clustersOf(state: State): Cluster[] {
  return state.run.result?.clusters ?? state.tally?.clusters ?? [];
}

/** Whether answers were looked for in what has arrived: before, nothing can be said about them. */
export function isCounted({ tally, run }: State): boolean {
  return tally !== null || run.result !== null;
}

/** The set as it would be written to a file, with the candidates that arrived, and for each of these its card. */
export function arrived(state: State): { set: SampleSet; cards: number[] } | null {
  if (state.set === null) return null;
  const cards: number[] = [];
  const candidates: Candidate[] = [];
  state.cards.forEach((card, index) => {
    if (card.candidate === undefined) return;
    cards.push(index);
    candidates.push(card.candidate);
  });
  return { set: { ...state.set, candidates }, cards };
}

/** Clusters over the candidates that arrived, in terms of cards. */
export function onCards(clusters: Cluster[], cards: number[]): Cluster[] {
  return clusters.map((cluster) => ({
    ...cluster,
    candidates: cluster.candidates.flatMap((candidate) => cards[candidate] ?? []),
  }));
}

/** The same backwards, for a file, where candidates that never arrived have no place. */
export function onCandidates(clusters: Cluster[], cards: number[]): Cluster[] {
  const place = new Map(cards.map((card, candidate) => [card, candidate]));
  return clusters.map((cluster) => ({
    ...cluster,
    candidates: cluster.candidates.flatMap((card) => place.get(card) ?? []),
  }));
}

function withSet(state: State, set: SampleSet | null, recorded?: string, line?: ResultLine): State {
  const cards = (set?.candidates ?? []).map(
    (candidate): Card => ({
      status: "done",
      text: candidate.text,
      candidate,
    }),
  );
  const run: RunState =
    line === undefined
      ? IDLE_RUN
      : {
          ...IDLE_RUN,
          status: "done",
          // Indices in a file may be anything.
          result: { ...line, clusters: onCards(line.clusters, [...cards.keys()]) },
          stream: line.completion ?? "",
          correct: line.correct,
          recorded: true,
          firstTokenMs: line.time_to_first_token_ms ?? null,
          elapsedMs: line.elapsed_ms,
        };
  return {
    ...state,
    set,
    recorded: recorded ?? state.recorded,
    generation: state.generation + 1,
    cards,
    tally: null,
    tallyFailure: null,
    run,
    highlighted: null,
    shown: CARDS_AT_ONCE,
    sampling: { status: "idle", failure: null },
  };
}

function withCard(state: State, index: number, change: (card: Card) => Card): State {
  const card = state.cards[index];
  if (card === undefined) return state;
  const changed = change(card);
  return changed === card ? state : { ...state, cards: state.cards.with(index, changed) };
}

/** Changes a run that is under way; one that has ended stays as it is. */
function withRun(state: State, change: Partial<RunState>): State {
  return isRunning(state.run) ? { ...state, run: { ...state.run, ...change } } : state;
}
