// Letting messages in. Where the module computes on the CPU it never waits by itself, so without a pause neither a
// request to stop nor a click would be seen until it is done.

/** Milliseconds of computing between two pauses. */
const BUSY_MS = 8;

/** A function that, if the last pause is long enough ago, gives a promise to wait for. */
export function pauser(): () => Promise<void> | undefined {
  let last = performance.now();
  return () => {
    if (performance.now() - last < BUSY_MS) return undefined;
    return macrotask().then(() => {
      last = performance.now();
    });
  };
}

/** After what is waiting in the event loop. Not `setTimeout` where there is better: browsers make it wait 4 ms. */
function macrotask(): Promise<void> {
  const { setImmediate } = globalThis as { setImmediate?: (callback: () => void) => void };
  if (setImmediate !== undefined) return new Promise((resolve) => setImmediate(resolve));
  if (typeof MessageChannel === "undefined") return new Promise((resolve) => setTimeout(resolve, 0));
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}
