// A plain server of files for a page in a browser: the npm package as it is built, a page around it, and model directories,
// whose answers can be spoiled. It counts requests, and sends the policy of the demo with every file.

import { createReadStream, existsSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const root = join(here, "../../..");

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".wasm": "application/wasm",
};

/** The content security policy of the demo, from its source: what it allows is all that the package may need. */
export function policy() {
  const source = readFileSync(join(root, "www/csp.ts"), "utf8");
  const literal = /const DIRECTIVES[^=]*= (\{.*?\n\});/s.exec(source)?.[1];
  if (literal === undefined) throw new Error("www/csp.ts no longer has its directives as one object");
  const directives = new Function(`return ${literal}`)();
  directives["frame-ancestors"] = ["'none'"];
  return Object.entries(directives)
    .map(([name, sources]) => [name, ...sources].join(" "))
    .join("; ");
}

/** Fails where the package or a module is not built. */
function checkBuilt() {
  for (const file of ["dist/index.js", "wasm/full/conclave_web.js", "wasm/full/conclave_web_bg.wasm"]) {
    if (!existsSync(join(root, "web", file))) throw new Error(`web/${file} is not built: run \`cargo xtask package\``);
  }
}

/**
 * Starts the server; a browser may keep what it sends for `maxAge` seconds. `/` is the page and what it loads, `/web/` the package, `/models/NAME/FILE` what was put into `models`:
 * a folder's path, or a `Map` of bytes by file name.
 */
export async function startServer({ maxAge = 0 } = {}) {
  checkBuilt();
  const csp = policy();
  const models = new Map();
  const requests = [];
  /** By path: changes the bytes of an answer, given which request for the path it is (from 1). */
  const spoils = new Map();

  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, "http://localhost");
    const path = pathname === "/" ? "/index.html" : decodeURIComponent(pathname);
    const [, , model, file] = path.startsWith("/models/") ? path.split("/") : [];
    const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1];
    requests.push({ path, range: request.headers.range });
    response.setHeader("Content-Security-Policy", csp);
    response.setHeader("Cache-Control", `max-age=${maxAge}`);
    response.setHeader("X-Content-Type-Options", "nosniff");
    response.setHeader("Content-Type", TYPES[extname(path)] ?? "application/octet-stream");
    const source = model === undefined ? fileOfPackage(path) : models.get(model);
    const content = source instanceof Map ? source.get(file) : source && model !== undefined ? join(source, file) : source;
    if (path === "/favicon.ico") return void response.writeHead(204).end();
    if (content === undefined || (typeof content === "string" && !existsSync(content))) {
      response.writeHead(404).end();
      return;
    }
    if (request.method === "HEAD") return void response.end();
    const start = Number(range ?? 0);
    const length = typeof content === "string" ? statSync(content).size : content.length;
    if (start > 0 && start >= length) return void response.writeHead(416).end();
    response.setHeader("Accept-Ranges", "bytes");
    response.setHeader("Content-Length", length - start);
    if (start > 0) response.setHeader("Content-Range", `bytes ${start}-${length - 1}/${length}`);
    response.writeHead(start > 0 ? 206 : 200);
    const spoil = spoils.get(path);
    if (typeof content === "string" && spoil === undefined) {
      createReadStream(content, { start }).on("error", () => response.destroy()).pipe(response);
      return;
    }
    const whole = typeof content === "string" ? readFileSync(content) : content;
    const bytes = Buffer.from(whole.subarray(start));
    const count = requests.filter((one) => one.path === path).length;
    const { cutAt, stallAt } = spoil?.(bytes, count) ?? {};
    if (stallAt !== undefined) {
      // In two parts that may arrive within the 50 milliseconds between two reports: the last is told all the same.
      response.write(bytes.subarray(0, stallAt - 1));
      setTimeout(() => response.write(bytes.subarray(stallAt - 1, stallAt)), 10);
      return;
    }
    if (cutAt === undefined) return void response.end(bytes);
    // What was sent arrives before the connection breaks.
    response.write(bytes.subarray(0, cutAt), () => setTimeout(() => response.destroy(), 100));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${server.address().port}`;
  return {
    origin,
    models,
    requests,
    /** The requests for files of a model, as their names (with their range, where they have one). */
    asked: (model) =>
      requests
        .filter(({ path }) => path.startsWith(`/models/${model}/`))
        .map(({ path, range }) => path.split("/").pop() + (range === undefined ? "" : ` ${range}`)),
    /**
     * `change(bytes, n)` changes the bytes of the n-th answer in place, or returns `{ cutAt }` to break it off there, or
     * `{ stallAt }` to send nothing from there on.
     */
    spoil: (model, file, change) => spoils.set(`/models/${model}/${file}`, change),
    model: (name) => `${origin}/models/${name}/`,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Which file a path stands for. */
function fileOfPackage(path) {
  const clean = normalize(path);
  if (clean.startsWith("/web/dist/") || clean.startsWith("/web/wasm/")) return join(root, clean);
  if (dirname(clean) !== "/") return undefined;
  return join(here, "page", clean);
}
