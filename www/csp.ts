// The content security policy of the page, in one place: the build writes it into the page, the servers send it.

/**
 * Every directive begins closed and is opened by what the page needs, and no further:
 *
 * - `script-src`: our own files; `wasm-unsafe-eval` compiles WebAssembly and nothing else (it does not allow `eval`).
 * - `worker-src`: the model runs in a module worker, a file of ours.
 * - `connect-src`: any address. The base URL of an API and the URL of a model directory are typed in by the person at the
 *   page, so they are not known when it is served; `http:` is there for models on the same machine or network. What keeps
 *   candidates from using it is that no text of theirs ever becomes script: the other directives, and Trusted Types.
 * - `require-trusted-types-for`: the browser itself refuses innerHTML and its relatives; `default` is the one policy there
 *   is (`src/trusted-types.ts`), and it lets script addresses of our own origin through and nothing else.
 */
const DIRECTIVES: Record<string, string[]> = {
  "default-src": ["'none'"],
  "script-src": ["'self'", "'wasm-unsafe-eval'"],
  "worker-src": ["'self'"],
  "style-src": ["'self'"],
  "font-src": ["'self'"],
  "img-src": ["'self'"],
  "connect-src": ["'self'", "https:", "http:"],
  "base-uri": ["'none'"],
  "form-action": ["'none'"],
  "require-trusted-types-for": ["'script'"],
  "trusted-types": ["default"],
};

/** The policy. In development Vite puts style elements and a WebSocket of its own into the page. */
export function policy(place: "meta" | "header" | "development"): string {
  const directives = structuredClone(DIRECTIVES);
  // Not allowed in a meta tag.
  if (place !== "meta") directives["frame-ancestors"] = ["'none'"];
  if (place === "development") {
    directives["style-src"] = ["'self'", "'unsafe-inline'"];
    directives["connect-src"]?.push("ws:");
    delete directives["require-trusted-types-for"];
    delete directives["trusted-types"];
  }
  return Object.entries(directives)
    .map(([name, sources]) => [name, ...sources].join(" "))
    .join("; ");
}

/** What the servers send with every file. */
export function headers(place: "header" | "development"): Record<string, string> {
  return {
    "Content-Security-Policy": policy(place),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
  };
}
