// What the page and the worker say to each other. Each request has a number, which its answers carry.

import type { AggregateRequest, LoadRequest } from "./engine.js";
import type { PlainError } from "./errors.js";
import type { AggregateResult, AggregatorInfo, LoadProgress, SampleSetInput } from "./types.js";

export type ToWorker =
  | { type: "load"; id: number; request: LoadRequest; base: string | undefined }
  | { type: "aggregate"; id: number; set: SampleSetInput; request: AggregateRequest }
  | { type: "abort"; id: number };

export type FromWorker =
  /** Sent once, when the worker's modules have run: before it, a failure is one of starting. */
  | { type: "started" }
  | { type: "progress"; id: number; progress: LoadProgress }
  | { type: "warning"; id: number; message: string }
  | { type: "token"; id: number; text: string }
  | { type: "prompt"; id: number; done: number; total: number }
  | { type: "loaded"; id: number; info: AggregatorInfo }
  | { type: "aggregated"; id: number; result: AggregateResult; info: AggregatorInfo }
  | { type: "failed"; id: number; error: PlainError }
  /** The worker can no longer be used. */
  | { type: "crashed"; message: string };
