// A built page in Chromium: served with a strict policy, asked, and compared with what the native program answers.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createReadStream, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { launch } from "../browser/chromium.mjs";
import { expected, set } from "../native.mjs";

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".wasm": "application/wasm" };

/** The policy of web/README.md, which has to be enough. An import map stands in the page: its hash allows it. */
function policy(page) {
  const map = /<script type="importmap">([^]*?)<\/script>/.exec(page)?.[1];
  const hash = map === undefined ? "" : ` 'sha256-${createHash("sha256").update(map).digest("base64")}'`;
  return `default-src 'none'; script-src 'self' 'wasm-unsafe-eval'${hash}; worker-src 'self'; connect-src 'self'`;
}

/** Serves the files of a folder until the test is done; gives the address. */
export async function serve(folder, context) {
  const csp = policy(readFileSync(join(folder, "index.html"), "utf8"));
  const server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, "http://localhost").pathname));
    const file = join(folder, path === "/" ? "index.html" : path);
    if (!statSync(file, { throwIfNoEntry: false })?.isFile()) return void response.writeHead(404).end();
    response.setHeader("Content-Security-Policy", csp);
    response.setHeader("Content-Type", TYPES[extname(file)] ?? "application/octet-stream");
    createReadStream(file).pipe(response);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}/`;
}

/** Opens the page and lets it do what it is for. */
export async function check(address) {
  const browser = await launch({ webgpu: false });
  try {
    const page = await browser.newPage();
    const complaints = [];
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("console", (message) => {
      const { url = "" } = message.location();
      // A page without an icon is complete.
      if (!["error", "warn"].includes(message.type()) || url.endsWith("/favicon.ico")) return;
      complaints.push(`${message.text()} (${url})`);
    });
    await page.goto(address);
    await page.waitForFunction(() => "use" in globalThis);
    const answer = await page.evaluate((set) => globalThis.use(set), set);

    const { answer: native, method, completion, usage, clusters, confidence } = expected("generate");
    const { result } = answer;
    assert.equal(result.completion, completion);
    assert.ok(completion.startsWith(answer.streamed.trim()) && answer.streamed.length > 10, answer.streamed);
    assert.deepEqual([result.answer, result.method, result.usage], [native, method, usage]);
    assert.ok(Math.abs(result.confidence - confidence) < 1e-4, String(result.confidence));
    assert.deepEqual([answer.info.model, answer.info.device, result.device], ["builtin", "cpu", "cpu"]);
    assert.equal(answer.vote.answer, clusters[0].answer);
    assert.deepEqual(answer.vote.clusters.map(({ votes }) => votes), clusters.map(({ votes }) => votes));
    assert.deepEqual(answer.grade, { answer: "0.5", equivalent: true, verdict: "same" });
    assert.deepEqual(answer.warnings, []);
    assert.deepEqual(complaints, []);
  } finally {
    await browser.close();
  }
}
