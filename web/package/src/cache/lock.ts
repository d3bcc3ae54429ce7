// One download of a model at a time, over all tabs of an origin: two would write each other's blocks.

import { throwIfAborted } from "../errors.js";

/** `navigator.locks`, as far as it is used. */
export interface LocksLike {
  request<T>(name: string, options: { signal: AbortSignal }, work: () => Promise<T>): Promise<T>;
}

/** Where there are no locks there are no tabs either: an order within this thread is enough. */
const tails = new Map<string, Promise<unknown>>();

/** Runs `work` when nobody else does under this name; rejects with `aborted` where the wait is given up. */
export async function exclusively<T>(
  locks: LocksLike | undefined,
  name: string,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  if (locks !== undefined) return locks.request(`conclave-models:${name}`, { signal }, work);
  const run = (tails.get(name) ?? Promise.resolve()).then(() => {
    throwIfAborted(signal);
    return work();
  });
  const tail = run.then(() => {}, () => {});
  tails.set(name, tail);
  void tail.then(() => tails.get(name) === tail && tails.delete(name));
  return run;
}
