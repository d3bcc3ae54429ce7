// One request, its failures by name. Retrying is in `download.ts`.

import { AggregatorError, aborted, isAbort } from "./errors.js";

/** The network, so that tests have another. */
export interface Network {
  fetch(url: string, init: RequestInit): Promise<Response>;
  /** Waits; rejects with `aborted` where the signal says so. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
  /** Milliseconds without a byte after which a connection is given up. */
  stallMs: number;
  /** Attempts in a row that bring nothing new, before it is given up. */
  attempts: number;
  /** The page's origin, where there is a page: only there other origins have to agree. */
  origin?: string | undefined;
}

export function defaultNetwork(): Network {
  return {
    // Called through the global: in some hosts `fetch` insists on its `this`.
    fetch: (url, init) => globalThis.fetch(url, init),
    sleep,
    stallMs: 30_000,
    attempts: 5,
    origin: (globalThis as { location?: { origin?: string } }).location?.origin,
  };
}

function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(aborted(signal.reason));
    const onAbort = () => {
      clearTimeout(timer);
      reject(aborted(signal?.reason));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/** An error that another attempt may mend, after `waitMs` if the server said how long. */
export class Transient extends Error {
  readonly error: AggregatorError;
  readonly waitMs: number | undefined;

  constructor(error: AggregatorError, waitMs?: number) {
    super(error.message);
    this.error = error;
    this.waitMs = waitMs;
  }
}

/** Runs `work` until it is done, the signal aborts, or nothing has come for `stallMs`. */
export async function untilStalled<T>(network: Network, what: string, work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stalled = new Promise<never>((_, reject) => {
    const message = `${what}: nothing came for ${network.stallMs / 1000} s`;
    timer = setTimeout(() => reject(new Transient(new AggregatorError("timeout", message))), network.stallMs);
  });
  try {
    return await Promise.race([work, stalled]);
  } finally {
    clearTimeout(timer);
  }
}

/** Sends a request; throws `Transient` for what may go away and `AggregatorError` for the rest. */
export async function request(network: Network, url: string, from: number, signal: AbortSignal): Promise<Response> {
  const name = nameOf(url);
  let response: Response;
  try {
    const init: RequestInit = { signal };
    // Not where there is no page: workerd refuses the option. Weights are kept by us, once is enough; and a manifest
    // of an earlier state with files of the next would be of no use.
    if (network.origin !== undefined) init.cache = "no-store";
    // A plain range needs no preflight. Without one no header is sent, for servers that take every range as a refusal.
    if (from > 0) init.headers = { range: `bytes=${from}-` };
    response = await untilStalled(network, name, network.fetch(url, init));
  } catch (error) {
    if (error instanceof Transient) throw error;
    if (isAbort(error) || signal.aborted) throw aborted(error);
    throw await connectionError(network, url, error, signal);
  }
  if (response.ok || (response.status === 416 && from > 0)) return response;
  // A body that nobody reads keeps its connection.
  void response.body?.cancel().catch(() => {});
  throw statusError(name, response);
}

function statusError(name: string, response: Response): AggregatorError | Transient {
  const { status } = response;
  const message = `${name}: the server answered ${status}${response.statusText ? ` ${response.statusText}` : ""}`;
  if (status === 401 || status === 403) {
    const remedy = "Check that the address may be read without signing in.";
    return new AggregatorError("unauthorized", message, { remedy });
  }
  if (status === 404 || status === 410) return new AggregatorError("not-found", message);
  if (status === 429) return new Transient(new AggregatorError("rate-limited", message), retryAfter(response));
  if (status === 408) return new Transient(new AggregatorError("timeout", message));
  if (status >= 500) return new Transient(new AggregatorError("http", message), retryAfter(response));
  return new AggregatorError("http", message);
}

/** The wait that the server asks for, if it is one that a person would sit out. */
function retryAfter(response: Response): number | undefined {
  const seconds = Number(response.headers.get("retry-after") ?? "");
  return seconds > 0 ? Math.min(seconds, 30) * 1000 : undefined;
}

/** `fetch` says only that it failed. From another origin the reason may be that it does not let us read. */
async function connectionError(
  network: Network,
  url: string,
  cause: unknown,
  signal: AbortSignal,
): Promise<AggregatorError | Transient> {
  const name = nameOf(url);
  const { origin } = new URL(url);
  if (network.origin !== undefined && network.origin !== "null" && network.origin !== origin) {
    try {
      // Whoever answers this is reachable; then it was the answer's headers.
      await untilStalled(network, name, network.fetch(url, { method: "HEAD", mode: "no-cors", signal }));
      return new AggregatorError("cors", `${name}: ${origin} does not let this page read it`, { cause });
    } catch {}
  }
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new Transient(new AggregatorError("network", `${name}: no connection to ${origin} (${reason})`, { cause }));
}

/** How messages name a file: its address may hold a signature. */
export function nameOf(url: string): string {
  return new URL(url).pathname.split("/").pop() || url;
}
