// The one error of this package: a code to decide by, a message that says what and where, and what to do about it.

/** What sort of thing went wrong. */
export type ErrorCode =
  | "input"
  | "aborted"
  | "network"
  | "http"
  | "cors"
  | "unauthorized"
  | "no-such-model"
  | "rate-limited"
  | "timeout"
  | "not-found"
  | "hash-mismatch"
  | "quota"
  | "format"
  | "unsupported"
  | "no-webgpu"
  | "limits"
  | "self-test-failed"
  | "not-finite"
  | "device-lost"
  | "disposed"
  | "internal";

/** What to do about each, where the place of the error knows nothing better. */
export const REMEDIES: Readonly<Record<ErrorCode, string>> = {
  input: "Correct the argument that the message names.",
  aborted: "Nothing is wrong: the caller asked to stop. Call again to go on; a download continues where it stopped.",
  network: "Check the connection and call again; a download continues where it stopped.",
  http: "The server refused or failed: check the address, or try again later.",
  cors: "The server does not let this page read it: have it send Access-Control-Allow-Origin, or serve the files from this page's own origin.",
  unauthorized: "Check the key, and that it may be used for this address.",
  "no-such-model": "Check the model's name against the list of the server.",
  "rate-limited": "Wait a little, or ask with less concurrency.",
  timeout: "The server stopped sending: check the connection and call again; a download continues where it stopped.",
  "not-found": "Check the address: a model directory has conclave.json, config.json, tokenizer.json and weights.",
  "hash-mismatch": "The server's files are not those that its conclave.json names: upload the whole directory again.",
  quota: "Free space with deleteModel(), or load with cache: \"memory\".",
  format: "The model directory is damaged or of another format: write it with `conclave model export`.",
  unsupported: "Use what the message names, or a newer release.",
  "no-webgpu": "Use device \"auto\" or \"cpu\", or a browser and a driver with WebGPU.",
  limits: "Use device \"auto\" or \"cpu\", or a smaller model or prompt.",
  "self-test-failed": "This device computes wrongly with this model: use device \"cpu\", or update the browser and the driver.",
  "not-finite": "The weights are damaged or the device computes wrongly: call deleteModel() and load again, or use device \"cpu\".",
  "device-lost": "Call aggregate again: the model is loaded anew from the cache.",
  disposed: "Load a new aggregator.",
  internal: "This is a bug of the package: please report it with the message.",
};

/** What every function of this package throws or rejects with. */
export class AggregatorError extends Error {
  override readonly name = "AggregatorError";
  /** What sort of thing went wrong. */
  readonly code: ErrorCode;
  /** What to do about it, as a sentence to show. */
  readonly remedy: string;

  constructor(code: ErrorCode, message: string, options: { remedy?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.remedy = options.remedy ?? REMEDIES[code];
  }
}

/** The codes of the wasm module (its errors are named "ConclaveError") in the words of this package. */
const WASM_CODES: Readonly<Record<string, ErrorCode>> = {
  input: "input",
  // The module reads only from the cache, so a failing read is ours; the true reason is kept by `files.ts`.
  io: "internal",
  not_found: "not-found",
  format: "format",
  config: "format",
  tokenizer: "format",
  shape: "format",
  unsupported: "unsupported",
  not_finite: "not-finite",
  cancelled: "aborted",
  capacity: "limits",
  // A driver that fails without losing the device leaves it in an unknown state: it is opened anew all the same.
  device: "device-lost",
  device_lost: "device-lost",
  no_webgpu: "no-webgpu",
  limits: "limits",
  self_test: "self-test-failed",
  // Of a live API; the module says what to do about each.
  wrong_key: "unauthorized",
  no_such_model: "no-such-model",
  rate_limited: "rate-limited",
  no_credit: "http",
  connection_refused: "network",
  unknown_host: "network",
  tls: "network",
  cors: "cors",
  network: "network",
  disconnected: "network",
  timeout: "timeout",
  server_error: "http",
  rejected: "http",
  malformed_answer: "format",
  other: "internal",
};

/** Whether this is the caller's own request to stop, however it is dressed. */
export function isAbort(error: unknown): boolean {
  if (error instanceof AggregatorError) return error.code === "aborted";
  return error instanceof Error && error.name === "AbortError";
}

/** Anything that was thrown, as an error of this package. */
export function toAggregatorError(error: unknown): AggregatorError {
  if (error instanceof AggregatorError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof Error) {
    if (error.name === "ConclaveError") {
      const { code, remedy } = error as { code?: unknown; remedy?: unknown };
      const options = { cause: error, ...(typeof remedy === "string" && { remedy }) };
      return new AggregatorError(WASM_CODES[String(code)] ?? "internal", message, options);
    }
    if (isAbort(error)) return aborted(error);
    if (error.name === "QuotaExceededError") return new AggregatorError("quota", message, { cause: error });
  }
  return new AggregatorError("internal", message, { cause: error });
}

/** The caller asked to stop. */
export function aborted(cause?: unknown): AggregatorError {
  return new AggregatorError("aborted", "stopped by the caller", { cause });
}

/** Throws where the caller has asked to stop. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw aborted(signal.reason);
}

/** An error as it travels between threads: classes do not. */
export interface PlainError {
  code: ErrorCode;
  message: string;
  remedy: string;
}

export function toPlain(error: unknown): PlainError {
  const { code, message, remedy } = toAggregatorError(error);
  return { code, message, remedy };
}

export function fromPlain({ code, message, remedy }: PlainError): AggregatorError {
  return new AggregatorError(code, message, { remedy });
}
