// The page under test: the package as global `conclave`, and what the tests need beside it. `#HOOK` in its address spoils the
// GPU or the disk of this thread and of workers, see `hooks.js`.

import { hook } from "./hooks.js";

// The one policy that the demo allows (www/src/trusted-types.ts): the package's worker is a script of our own.
trustedTypes.createPolicy("default", {
  createScriptURL(url) {
    if (new URL(url, location.href).origin === location.origin) return url;
    throw new TypeError("scripts come from this page's own origin only");
  },
});

const name = location.hash.slice(1);
if (name !== "") {
  hook(name);
  const Plain = Worker;
  globalThis.Worker = class extends Plain {
    constructor(url, options) {
      super(new URL("hooked-worker.js", location.href), { ...options, name });
      this.hooked = url;
    }
  };
}

/** What becomes of a promise, as values that leave the page. */
globalThis.outcome = (promise) =>
  promise.then(
    (value) => ({ value }),
    (error) => ({ error: { name: error.name, code: error.code, message: error.message, remedy: error.remedy } }),
  );

try {
  globalThis.conclave = await import("/web/dist/index.js");
} catch (error) {
  globalThis.failure = String(error);
}
