// Stopping: promises that reject when their caller no longer wants them.

import { aborted, throwIfAborted } from "./errors.js";

/**
 * Waits for `work`, unless the signal aborts: then this rejects with `aborted`, whatever `work` does. It does so at once,
 * or where `lastWork` gives a promise, when that has ended.
 */
export async function stoppable<T>(
  signal: AbortSignal,
  work: Promise<T>,
  lastWork: () => Promise<unknown> | undefined = () => undefined,
): Promise<T> {
  let onAbort = () => {};
  const stopped = new Promise<never>((_, reject) => {
    onAbort = () => {
      const stop = () => reject(aborted(signal.reason));
      const last = lastWork();
      if (last === undefined) stop();
      else void last.then(stop, stop);
    };
  });
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  try {
    const value = await Promise.race([work, stopped]);
    throwIfAborted(signal);
    return value;
  } catch (error) {
    throwIfAborted(signal);
    throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** Ends when `work` has ended, in whichever way, and after so many milliseconds at the latest. */
export async function endOf(work: Promise<unknown>, milliseconds: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, milliseconds);
  });
  const end = work.then(() => {}, () => {});
  await Promise.race([end, late]);
  clearTimeout(timer);
}
