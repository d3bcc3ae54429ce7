// What the page does: the only part that calls the package. Given the package and a store, it needs no browser, so the tests
// drive it as it is.

import type * as Conclave from "@conclave/web";
import { ENOUGH_SHARE, MOST_BARS, voteShare } from "./clusters.ts";
import { isForModels, kindOptions, kindReason } from "./kinds.ts";
import type { AnswersChoice } from "./kinds.ts";
import { MOST_BYTES, readJsonl, writeJsonl } from "./jsonl.ts";
import { toInput, toResultLine } from "./sample-set.ts";
import type { Candidate, Cluster, Result, ResultLine, SampleSet } from "./sample-set.ts";
import { arrived, isRunning, onCandidates, onCards } from "./state.ts";
import type { Action, DeviceChoice, Failure, State, Tally } from "./state.ts";
import type { Store } from "./store.ts";

/** What the page uses of the package. */
export type Package = Pick<
  typeof Conclave,
  "SampleSetAggregator" | "majorityVote" | "grade" | "listModels" | "deleteModel" | "sampleCandidates"
>;
type Aggregator = Conclave.SampleSetAggregator;

/** A call to a live API. The key is passed through and kept nowhere. */
export interface LiveRequest {
  baseUrl: string;
  /** Empty where the API wants none. */
  apiKey: string;
  model: string;
  problem: string;
  numCandidates: number;
  temperature?: number;
  maxTokens?: number;
  /** Aggregate when all have arrived or failed. */
  aggregate: boolean;
}

export type Controller = ReturnType<typeof createController>;

export function createController(store: Store<State, Action>, conclave: Package, now = () => performance.now()) {
  let aggregator: Aggregator | null = null;
  let loading: AbortController | null = null;
  let running: AbortController | null = null;
  let sampling: AbortController | null = null;
  let tallies = 0;
  /** The last call of the model: the next begins when it has ended, also one that was stopped. */
  let asked: Promise<unknown> = Promise.resolve();
  const { get, dispatch } = store;

  /** Puts a set on the page, with its result where a file had one, in place of what was there. */
  function show(set: SampleSet | null, from: { recorded?: string; result?: ResultLine | undefined } = {}): void {
    sampling?.abort();
    endRun();
    // What was said of another set's answers need not be so of these.
    if (from.recorded !== undefined) dispatch({ type: "answers", answers: "auto" });
    dispatch({ type: "set", set, ...from });
    if (set !== null) void tally().then(judgeRecorded);
  }

  function openFile(name: string, bytes: Uint8Array): void {
    if (bytes.length > MOST_BYTES) {
      const reason = `larger than ${MOST_BYTES >> 20} MiB: use the command line for it (conclave vote)`;
      dispatch({ type: "file", name, sets: [], results: [], bad: [{ line: 1, reason }] });
      return;
    }
    const { sets, results, bad } = readJsonl(bytes);
    dispatch({ type: "file", name, sets, results, bad });
    if (sets.length > 0) {
      dispatch({ type: "answers", answers: "auto" });
      showAt(0);
    }
  }

  function showAt(at: number): void {
    const { sets, results } = get().file;
    const set = sets[at];
    if (set === undefined) return;
    dispatch({ type: "file-at", at });
    show(set, { result: results.findLast((result) => result.id === set.id) });
  }

  /** Votes on what has arrived. Of two under way the later one counts. */
  async function tally(): Promise<void> {
    const { generation } = get();
    const own = ++tallies;
    const here = arrived(get());
    if (here === null) return;
    const reference = here.set.reference_answer;
    const { answers, labels } = get();
    try {
      const vote = await conclave.majorityVote(
        toInput(here.set).candidates,
        kindOptions(here.set, answers, labels) as Conclave.VoteOptions,
      );
      const clusters = onCards(vote.clusters, here.cards);
      const correct = reference === undefined ? [] : await equivalents(reference, clusters, vote.kind);
      if (own !== tallies) return;
      const { answer, confidence, kind, answered, abstained, fields, record_reason: recordReason } = vote;
      const readings: Tally["readings"] = [];
      vote.readings.forEach((reading, index) => (readings[here.cards[index] ?? index] = reading));
      const tally: Tally = {
        answer,
        confidence,
        confidenceKind: vote.confidence_kind,
        kind,
        reason: vote.undecided === undefined ? kindReason(here.set, answers, vote.kind_reason) : vote.kind_reason,
        answered,
        clusters,
        readings,
        correct,
        ...(abstained === undefined ? {} : { abstained }),
        ...(fields === undefined ? {} : { fields }),
        ...(recordReason === undefined ? {} : { recordReason }),
      };
      dispatch({ type: "tally", generation, tally });
    } catch (error) {
      if (own === tallies) dispatch({ type: "tally-failed", generation, failure: failure(error) });
    }
  }

  /** Which of the clusters are the same as a reference, compared as answers of this kind are. */
  async function equivalents(
    reference: string | string[],
    clusters: Cluster[],
    kind: string | null | undefined,
  ): Promise<boolean[]> {
    const grades = clusters.slice(0, MOST_BARS).map((cluster) => same(reference, cluster.answer, kind));
    return await Promise.all(grades);
  }

  async function same(reference: string | string[], answer: string, kind: string | null | undefined): Promise<boolean> {
    const { set, answers, labels } = get();
    const options = set === null ? undefined : kindOptions(set, answers, labels);
    const list = kind === "labels" && options?.labels !== undefined ? { labels: options.labels } : {};
    const given = { ...(kind === null || kind === undefined ? {} : { answers: kind }), ...list };
    return (await conclave.grade(reference, answer, given as Conclave.GradeOptions)).equivalent;
  }

  /** A result from a file names its answer; which cluster that is has to be found. */
  async function judgeRecorded(): Promise<void> {
    const { run, generation, set } = get();
    if (!run.recorded || run.result === null || set === null) return;
    try {
      const verdict = await judge(set, run.result);
      dispatch({ type: "chosen", generation, ...verdict });
    } catch {
      // The result is shown all the same, without the comparison.
    }
  }

  async function judge(
    set: SampleSet,
    result: Result,
  ): Promise<{ chosen: number | null; correct: boolean | undefined }> {
    const { answer, clusters, answer_kind: kind } = result;
    const reference = set.reference_answer;
    // What was not voted on is neither right nor wrong.
    if (result.error !== undefined) return { chosen: null, correct: undefined };
    if (answer === null) return { chosen: null, correct: reference === undefined ? undefined : false };
    const correct = reference === undefined ? undefined : await same(reference, answer, kind);
    const at = clusters.findIndex((cluster) => cluster.answer === answer || cluster.forms?.includes(answer));
    if (at >= 0) return { chosen: at, correct };
    const found = (await equivalents(answer, clusters, kind)).indexOf(true);
    return { chosen: found < 0 ? null : found, correct };
  }

  /** Draws candidates from a live API. */
  async function sample(request: LiveRequest): Promise<void> {
    show(null);
    const own = new AbortController();
    sampling = own;
    const { apiKey, aggregate, ...api } = request;
    const { problem, numCandidates } = api;
    dispatch({ type: "sampling", problem, numCandidates, id: liveId() });
    const { generation } = get();
    const fail = (index: number, error: unknown) =>
      dispatch({ type: "sample-failed", generation, index, failure: failure(error) });
    let status: "done" | "stopped" | "failed" = "done";
    let problemWithAll: Failure | null = null;
    try {
      const { candidates, failures } = await conclave.sampleCandidates({
        ...api,
        // A field that was left empty is no key.
        ...(apiKey === "" ? {} : { apiKey }),
        signal: own.signal,
        onToken: (index, text) => dispatch({ type: "sampled-text", generation, index, text }),
        onCandidate: (index, candidate) => {
          dispatch({ type: "sampled", generation, index, candidate: plain(candidate) });
          if (get().generation === generation) void tally();
        },
        onFailure: fail,
      });
      for (const { index, error } of failures) fail(index, error);
      // The cards say it too, but they may be far from where the key was typed.
      const first = failures[0];
      if (candidates.length === 0 && first !== undefined) [status, problemWithAll] = ["failed", failure(first.error)];
    } catch (error) {
      problemWithAll = failure(error);
      status = "failed";
    }
    if (own.signal.aborted) [status, problemWithAll] = ["stopped", null];
    dispatch({ type: "sampling-ended", generation, status, failure: problemWithAll });
    if (sampling === own) sampling = null;
    if (get().generation !== generation) return;
    await tally();
    const some = get().cards.some((card) => card.status === "done");
    if (aggregate && status === "done" && some && get().generation === generation) await run();
  }

  function stopSampling(): void {
    sampling?.abort();
  }

  /** What the person says that the answers are. */
  function chooseAnswers(choice: { answers?: AnswersChoice; labels?: string }): void {
    endRun();
    dispatch({ type: "answers", ...choice });
    void tally();
  }

  function chooseModel(choice: { choice?: "builtin" | "url"; url?: string; device?: DeviceChoice }): void {
    dropModel();
    dispatch({ type: "model", ...choice });
  }

  function dropModel(): void {
    endRun();
    dispatch({ type: "run-stopped" });
    loading?.abort();
    loading = null;
    void aggregator?.dispose();
    aggregator = null;
  }

  /** Loads the chosen model, once. Throws what the package throws; the state has it then. */
  async function load(): Promise<Aggregator> {
    if (aggregator !== null) return aggregator;
    loading?.abort();
    const own = new AbortController();
    loading = own;
    const { choice, url, device } = get().model;
    dispatch({ type: "model-loading" });
    try {
      const loaded = await conclave.SampleSetAggregator.load({
        model: choice === "builtin" ? "builtin" : modelUrl(url),
        device,
        signal: own.signal,
        onProgress: (progress) => {
          if (loading === own) dispatch({ type: "model-progress", progress });
        },
      });
      if (loading !== own || own.signal.aborted) {
        await loaded.dispose();
        throw new DOMException("the model was dropped while it was loading", "AbortError");
      }
      aggregator = loaded;
      dispatch({ type: "model-ready", info: { ...loaded.info } });
      return loaded;
    } catch (error) {
      if (loading === own) dispatch({ type: "model-failed", failure: own.signal.aborted ? null : failure(error) });
      throw error;
    } finally {
      if (loading === own) loading = null;
    }
  }

  /** Loads ahead of a run; a failure is shown with the model. */
  async function loadAhead(): Promise<void> {
    await load().catch(() => undefined);
  }

  function cancelLoad(): void {
    loading?.abort();
  }

  /** One answer from what has arrived. */
  async function run(): Promise<void> {
    const here = arrived(get());
    if (here === null || isRunning(get().run)) return;
    const own = new AbortController();
    running = own;
    const isOwn = () => running === own && !own.signal.aborted;
    dispatch({ type: "run" });
    try {
      const vote = await enoughVote();
      const [result, ms] = vote === null ? await ask(here, own.signal, isOwn) : [vote, vote.elapsed_ms];
      const verdict = await judge(here.set, result);
      if (isOwn()) dispatch({ type: "run-done", result, ms, ...verdict });
    } catch (error) {
      // Under another run's name nothing may be said.
      if (running === own) {
        const stopped = own.signal.aborted || failure(error).code === "aborted";
        dispatch(stopped ? { type: "run-stopped" } : { type: "run-failed", failure: failure(error) });
      }
      if (failure(error).code === "disposed") {
        aggregator = null;
        dispatch({ type: "model-dropped" });
      }
    } finally {
      if (running === own) running = null;
    }
  }

  /** The vote as a result where it decides, so that no model is downloaded only to agree. Else null. */
  async function enoughVote(): Promise<Result | null> {
    const start = now();
    await tally();
    const { policy, tally: vote, tallyFailure } = get();
    if (vote === null) throw tallyFailure ?? new Error("the candidates could not be counted");
    const isEnough = policy === "vote" || !isForModels(vote.kind) || (policy === "auto" && voteShare(vote) >= ENOUGH_SHARE);
    if (!isEnough) return null;
    const { answer, confidence, confidenceKind, kind, abstained, fields, reason, clusters } = vote;
    return {
      answer,
      method: "vote",
      confidence,
      confidence_kind: confidenceKind,
      ...(kind === null ? { error: `${reason}: not voted on` } : { answer_kind: kind }),
      ...(abstained === undefined ? {} : { abstained }),
      ...(fields === undefined ? {} : { fields }),
      clusters,
      layers: kind === null ? [] : [{ layer: "vote", answer, confidence, confidence_kind: confidenceKind }],
      usage: { prompt_tokens: 0, completion_tokens: 0 },
      elapsed_ms: now() - start,
    };
  }

  async function ask(
    here: { set: SampleSet; cards: number[] },
    signal: AbortSignal,
    isOwn: () => boolean,
  ): Promise<[Result, number]> {
    const model = await load();
    await asked.catch(() => undefined);
    signal.throwIfAborted();
    const start = now();
    const { policy, mode } = get();
    const call = model.aggregate(toInput(here.set), {
      policy,
      ...(mode === "trained" ? {} : { mode }),
      signal,
      onPrompt: (read, prompt) => {
        if (isOwn()) dispatch({ type: "run-reading", read, prompt });
      },
      onToken: (text) => {
        if (isOwn()) dispatch({ type: "run-token", text, ms: now() - start });
      },
    });
    asked = call;
    const result = await call;
    return [{ ...result, clusters: onCards(result.clusters, here.cards), model: model.info.model }, now() - start];
  }

  /** Stops a run, and the loading it waits for. */
  function stop(): void {
    running?.abort();
    loading?.abort();
    dispatch({ type: "run-stopped" });
  }

  /** Ends a run without a word, as what it was for is gone. */
  function endRun(): void {
    const own = running;
    running = null;
    own?.abort();
  }

  /** The set and its result as a file; null where there is nothing to write. */
  function exportRun(): string | null {
    const here = arrived(get());
    if (here === null) return null;
    const { result, correct } = get().run;
    if (result === null) return writeJsonl([here.set]);
    const written = { ...result, clusters: onCandidates(result.clusters, here.cards) };
    return writeJsonl([here.set, toResultLine(here.set, written, correct)]);
  }

  return {
    show,
    openFile,
    showAt,
    sample,
    stopSampling,
    chooseAnswers,
    chooseModel,
    loadAhead,
    cancelLoad,
    run,
    stop,
    exportRun,
    storedModels: () => conclave.listModels(),
    deleteModel: (model: string) => conclave.deleteModel(model),
  };
}

/** An error in the words of the package, whatever was thrown. */
export function failure(error: unknown): Failure {
  if (typeof error !== "object" || error === null) return { code: "internal", message: String(error), remedy: "" };
  const { code, message, remedy, name } = error as Partial<Record<string, unknown>>;
  return {
    code: name === "AbortError" ? "aborted" : typeof code === "string" ? code : "internal",
    message: typeof message === "string" ? message : String(error),
    remedy: typeof remedy === "string" ? remedy : "",
  };
}

/** The URL of a model directory as the person may have typed it. */
function modelUrl(typed: string): string {
  const url = typed.trim();
  if (url !== "") return url;
  throw Object.assign(new Error("no model directory is given"), {
    code: "input",
    remedy: "Give the URL of a folder with config.json, tokenizer.json and the weights, or choose the built-in model.",
  });
}

/** A candidate as data of our own: the package may give a text alone. */
function plain(candidate: unknown): Candidate {
  return typeof candidate === "string" ? { text: candidate } : { ...(candidate as Candidate) };
}

/** A name for a set drawn now, of figures alone. */
function liveId(): string {
  return `live-${new Date().toISOString().replace(/[-:]|\.\d+/g, "")}`;
}
