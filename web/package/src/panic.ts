// A panic of the wasm module leaves its promises hanging: whoever waits for one is told otherwise.

import { AggregatorError } from "./errors.js";

/** A module, as far as it tells of panics: to one listener, which all that wait have to share. */
interface Panicking {
  onPanic(callback: (message: string) => void): void;
}

const listeners = new WeakMap<Panicking, Set<(message: string) => void>>();

/** Runs a call into the module until it is done or the module panics; `then` is called at a panic, before it is thrown. */
export async function unlessPanic<T>(module: Panicking, call: () => Promise<T>, then?: () => void): Promise<T> {
  let forget: (() => void) | undefined;
  const panic = new Promise<never>((_, reject) => {
    forget = listen(module, (message) => {
      then?.();
      reject(new AggregatorError("internal", `the wasm module panicked: ${message}`));
    });
  });
  panic.catch(() => {});
  try {
    return await Promise.race([call(), panic]);
  } finally {
    forget?.();
  }
}

function listen(module: Panicking, listener: (message: string) => void): () => void {
  let all = listeners.get(module);
  if (all === undefined) {
    const added = new Set<(message: string) => void>();
    all = added;
    listeners.set(module, added);
    module.onPanic((message) => added.forEach((listener) => listener(message)));
  }
  const present = all;
  present.add(listener);
  return () => present.delete(listener);
}
