// Candidates of a live API, on a module of its own in the calling thread: it waits for a network and computes little.

import { told } from "./callbacks.js";
import { AggregatorError, aborted, throwIfAborted, toAggregatorError } from "./errors.js";
import { LazyModule } from "./lazy.js";
import { unlessPanic } from "./panic.js";
import type { SampleFailure, SampleOptions, SampleResult } from "./types.js";
import type { ClientModule } from "./wasm.js";

/** The module that speaks with APIs. */
export const clientModule = new LazyModule<ClientModule>();

/**
 * Asks an OpenAI-compatible API for several answers to one problem at once.
 *
 * A candidate that fails costs no other: it is in `failures`, and the promise resolves even where all failed. It rejects
 * with `input` for what cannot be sent, and with `aborted` as soon as the signal says so; then no callback is called any
 * more, and what had arrived was given to `onCandidate`.
 */
export async function sampleCandidates(options: SampleOptions): Promise<SampleResult> {
  if (typeof options !== "object" || options === null) throw new AggregatorError("input", "options: expected an object");
  const { baseUrl, apiKey, model, problem, numCandidates, concurrency, temperature, maxTokens, signal } = options;
  const { onCandidate, onToken, onFailure } = options;
  throwIfAborted(signal);
  const module = await clientModule.get();
  const failures: SampleFailure[] = [];
  try {
    const candidates = await unlessPanic(module, () =>
      module.sampleCandidates({
        baseUrl,
        apiKey,
        model,
        problem,
        numCandidates,
        concurrency,
        temperature,
        maxTokens,
        signal,
        onCandidate: (index, candidate) => told(() => onCandidate?.(index, candidate)),
        onToken: (index, text) => told(() => onToken?.(index, text)),
        onFailure: (index, cause) => {
          const error = toAggregatorError(cause);
          failures.push({ index, error });
          told(() => onFailure?.(index, error));
        },
      }),
    );
    return { candidates, failures: failures.sort((a, b) => a.index - b.index) };
  } catch (cause) {
    const error = toAggregatorError(cause);
    throw error.code === "aborted" ? aborted(signal?.reason) : error;
  }
}
