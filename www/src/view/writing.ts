// What the model writes, and what the run costs.

import { bytes, count, duration, tokensPerSecond } from "../format.ts";
import { isForModels } from "../kinds.ts";
import { isRunning } from "../state.ts";
import type { RunState, State } from "../state.ts";
import { byId, h, setText } from "./dom.ts";
import { showFailure } from "./page.ts";
import type { Page } from "./page.ts";

const NAMES = ["First token", "Speed", "Read", "Written", "Time", "Device", "Memory"] as const;

export function mountWriting({ watch }: Page): void {
  const stream = byId("stream");
  const written = document.createTextNode("");
  stream.append(written);
  const values = NAMES.map((name) => {
    const value = h("dd", {}, "\u2013");
    byId("metrics").append(h("div", {}, h("dt", {}, name), value));
    return value;
  });

  watch(
    (state) => [state.run.stream, state.run.status, state.run.result],
    ({ run }) => {
      const isAtEnd = stream.scrollTop + stream.clientHeight >= stream.scrollHeight - 8;
      // Appending keeps a selection, and only the new text is announced.
      if (run.stream.startsWith(written.data)) written.appendData(run.stream.slice(written.length));
      else written.data = run.stream;
      if (isAtEnd) stream.scrollTop = stream.scrollHeight;
      stream.dataset["empty"] = placeholder(run);
      stream.classList.toggle("is-empty", run.stream === "");
      stream.setAttribute("aria-busy", String(isRunning(run)));
      setText(byId("phase"), phase(run));
    },
  );
  watch(
    (state) => [state.run, state.model.info],
    (state) => {
      metrics(state).forEach((text, index) => setText(values[index]!, text ?? "\u2013"));
      showFailure(byId("run-report"), state.run.failure);
    },
  );
}

function placeholder({ status, result }: RunState): string {
  if (result?.unknown_words !== undefined) return "The model does not know the words of this problem: the vote stands.";
  if (result?.error !== undefined) return "Nothing was voted on, and the model was not asked.";
  const isOther = result?.answer_kind !== undefined && !isForModels(result.answer_kind);
  if (isOther) return "The model is asked for mathematics and choice only: the vote stands.";
  if (result?.method === "vote") return "The vote was enough: the model was not asked.";
  if (result?.method === "select") return "The model chose among the answers and wrote nothing.";
  if (status === "reading") return "Reading the problem and the candidates";
  if (status === "loading") return "Loading the model";
  if (status === "stopped") return "Stopped.";
  return "Nothing yet.";
}

function phase({ status }: RunState): string {
  const phases: Record<RunState["status"], string> = {
    idle: "",
    loading: "Loading the model",
    reading: "Reading the candidates",
    writing: "Writing",
    done: "Done",
    failed: "Failed",
    stopped: "Stopped",
  };
  return phases[status];
}

function metrics({ run, model }: State): (string | undefined)[] {
  const { result } = run;
  // The package's own clock where it has one: it does not count the way through the worker.
  const first = result?.time_to_first_token_ms ?? run.firstTokenMs ?? undefined;
  const elapsed = result?.elapsed_ms ?? run.elapsedMs ?? undefined;
  const tokens = result === null ? run.pieces : result.usage.completion_tokens;
  const speed = elapsed === undefined ? undefined : tokensPerSecond(tokens, elapsed, first);
  const asked = result === null || result.method !== "vote";
  const device = result?.device ?? (isRunning(run) ? model.info?.device : undefined);
  return [
    first === undefined ? undefined : duration(first),
    speed === undefined || !asked ? undefined : `${speed.toFixed(speed < 10 ? 1 : 0)} tokens/s`,
    result !== null && asked
      ? `${count(result.usage.prompt_tokens)} tokens`
      : run.prompt > 0
        ? `${run.read} of ${run.prompt}`
        : undefined,
    asked && tokens > 0 ? `${count(tokens)} tokens` : undefined,
    elapsed === undefined ? undefined : duration(elapsed),
    device === undefined ? undefined : deviceName(device, model.info?.adapter),
    memory(model.info?.bytes),
  ];
}

function deviceName(device: string, adapter: string | undefined): string {
  if (device !== "webgpu") return device === "cpu" ? "processor" : device;
  return adapter === undefined || adapter === "" ? "WebGPU" : `WebGPU, ${adapter}`;
}

/** The weights, and where the browser tells it the page's own heap. */
function memory(weights: number | undefined): string | undefined {
  if (weights === undefined) return undefined;
  const heap = (performance as { memory?: { usedJSHeapSize: number } }).memory?.usedJSHeapSize;
  return `${bytes(weights)} model${heap === undefined ? "" : `, ${bytes(heap)} page`}`;
}
