// Candidates of a live API, from a real server on this machine with every bad habit, over the fetch of Node.js.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, beforeEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { conclave, conclaveError } from "./module.mjs";

const KEY = "sk-1234567890abcdef";
const TEXT = "Sure: 6 × 7 is 42 👍.\n\nThe answer is \\boxed{42}.";

let server;
let baseUrl;
/** The requests so far: `{ url, headers, body, isClosed }`. */
let requests;
/** Answers request `number` (from 0). */
let answer;

before(async () => {
  server = createServer(async (request, response) => {
    const received = { url: request.url, headers: request.headers, isClosed: false };
    const number = requests.push(received) - 1;
    response.on("close", () => (received.isClosed = !response.writableFinished));
    const parts = [];
    for await (const part of request) parts.push(part);
    received.body = JSON.parse(Buffer.concat(parts).toString("utf8"));
    await answer(response, number);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  baseUrl = `http://127.0.0.1:${server.address().port}/v1`;
});
after(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  requests = [];
  answer = (response) => stream(response, TEXT);
});

const event = (delta, rest = {}) => `data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: null, ...rest }] })}\r\n\r\n`;

/** A whole answer of one event a word, sent in chunks of `size` bytes, which cut through words and characters. */
async function stream(response, text, size = 1 << 20) {
  const words = text.match(/\S+\s*/g).map((content) => event({ content }));
  const end = `${event({}, { finish_reason: "stop" })}data: [DONE]\n\n`;
  const bytes = Buffer.from([": begins\r\n\r\n", ...words, end].join(""), "utf8");
  response.writeHead(200, { "content-type": "text/event-stream" });
  for (let at = 0; at < bytes.length; at += size) {
    response.write(bytes.subarray(at, at + size));
    if (at % 16 === 0) await sleep(0);
  }
  response.end();
}

function refuse(response, status, message, headers = {}) {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify({ error: { message } }));
}

/** Samples, and what was told meanwhile. */
async function sample(options = {}) {
  const told = { tokens: [], arrived: [], failures: [] };
  const candidates = await conclave.sampleCandidates({
    baseUrl,
    apiKey: KEY,
    model: "m",
    problem: "6 × 7?",
    numCandidates: 1,
    onToken: (index, text) => (told.tokens[index] = (told.tokens[index] ?? "") + text),
    onCandidate: (index, candidate) => (told.arrived[index] = candidate),
    onFailure: (index, error) => (told.failures[index] = error),
    ...options,
  });
  return { candidates, ...told, codes: told.failures.filter(Boolean).map(({ code }) => code).sort() };
}

test("of several candidates some arrive, and the others say why they do not", async () => {
  answer = (response, number) => {
    if (number === 0) return stream(response, TEXT, 1);
    if (number === 1) return stream(response, TEXT, 7);
    if (number === 2) return refuse(response, 401, `no such key: ${KEY}`);
    if (number === 3) return refuse(response, 429, "busy", { "retry-after": "0" });
    if (number === 4) {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(event({ content: "I would" }));
      return sleep(20).then(() => response.destroy());
    }
    if (number === 5) return response.end(JSON.stringify({ model: "m-2", choices: [{ message: { content: TEXT } }] }));
    return stream(response, TEXT);
  };
  const told = await sample({ numCandidates: 6, temperature: 0.5, maxTokens: 99 });
  const { candidates, arrived, tokens, codes, failures } = told;
  assert.equal(candidates.length, 4);
  assert.deepEqual(candidates.map(({ text }) => text), Array(4).fill(TEXT));
  assert.deepEqual(candidates.map(({ model }) => model).sort(), ["m", "m", "m", "m-2"]);
  assert.deepEqual(arrived.filter(Boolean), candidates);
  assert.equal(tokens.filter((text) => text === TEXT).length, 4);
  assert.equal(tokens.filter((text) => text === "I would").length, 1);
  assert.deepEqual(codes, ["disconnected", "wrong_key"]);
  assert.equal(requests.length, 7);
  const [{ body, headers, url }] = requests;
  assert.equal(body.messages.at(-1).content, "6 × 7?");
  assert.match(body.messages[0].content, /boxed/);
  assert.deepEqual([body.model, body.temperature, body.max_tokens, body.stream], ["m", 0.5, 99, true]);
  assert.equal(headers.authorization, `Bearer ${KEY}`);
  assert.equal(url, "/v1/chat/completions");

  const wrongKey = failures.find((error) => error?.code === "wrong_key");
  assert.match(wrongKey.message, /does not accept the key \(401\), and says: "no such key: \[key\]"/);
  assert.match(wrongKey.remedy, /^Check the key.*\.$/);
  const shown = JSON.stringify(told) + failures.map((error) => `${error?.stack} ${error?.message} ${JSON.stringify(error)}`).join();
  assert.ok(!shown.includes(KEY));
});

test("an abort in the middle closes the connections, and nothing is told any more", async () => {
  const controller = new AbortController();
  answer = async (response, number) => {
    if (number === 0) return stream(response, TEXT);
    response.writeHead(200, { "content-type": "text/event-stream" });
    await sleep(50);
    response.write(event({ content: "I think" }));
  };
  let after = 0;
  const told = () => controller.signal.aborted && after++;
  const arrived = [];
  const started = performance.now();
  const sampled = sample({
    numCandidates: 4,
    signal: controller.signal,
    onCandidate: (index, { text }) => told() || arrived.push(text),
    onToken: (index, text) => told() || (text === "I think" && controller.abort()),
    onFailure: told,
  });
  await assert.rejects(sampled, conclaveError("cancelled", "by the caller"));
  assert.ok(performance.now() - started < 5_000);
  assert.deepEqual(arrived, [TEXT]);
  for (let wait = 0; wait < 100 && requests.filter(({ isClosed }) => isClosed).length < 3; wait++) await sleep(10);
  assert.deepEqual(requests.map(({ isClosed }) => isClosed).sort(), [false, true, true, true]);
  assert.equal(after, 0);
});

test("an abort while it waits to ask again, and one before it begins", async () => {
  const controller = new AbortController();
  answer = (response) => {
    response.on("finish", () => setTimeout(() => controller.abort(), 50));
    refuse(response, 503, "later", { "retry-after": "30" });
  };
  await assert.rejects(sample({ signal: controller.signal }), conclaveError("cancelled", ""));
  assert.equal(requests.length, 1);
  await assert.rejects(sample({ signal: AbortSignal.abort() }), conclaveError("cancelled", ""));
  assert.equal(requests.length, 1);
});

test("an abort behind the end changes nothing", async () => {
  const controller = new AbortController();
  const { candidates } = await sample({ signal: controller.signal });
  controller.abort();
  assert.equal(candidates.length, 1);
});

test("no more at a time than asked for", async () => {
  let [now, most] = [0, 0];
  answer = async (response) => {
    most = Math.max(most, ++now);
    await sleep(10);
    now--;
    await stream(response, TEXT);
  };
  const { candidates } = await sample({ numCandidates: 7, concurrency: 2 });
  assert.deepEqual([candidates.length, most], [7, 2]);
});

test("a failure that would come again is not run into again", async () => {
  answer = (response) => refuse(response, 404, "The model `m` does not exist");
  const { codes } = await sample({ numCandidates: 3, concurrency: 1 });
  assert.deepEqual(codes, ["no_such_model", "no_such_model", "no_such_model"]);
  assert.equal(requests.length, 1);
});

test("silence, and a server that is not there", async () => {
  answer = () => {};
  const silent = await sample({ timeoutMs: 1000 });
  assert.deepEqual(silent.codes, ["timeout"]);
  assert.match(silent.failures[0].message, /has not answered for 1 s$/);
  answer = (response) => void response.write(event({ content: "I" }));
  assert.match((await sample({ timeoutMs: 1000 })).failures[0].message, /has sent nothing for 1 s$/);

  const refused = await sample({ baseUrl: "http://127.0.0.1:1/v1" });
  // Port 1 is one that `fetch` asks nobody at; the detail says so.
  assert.deepEqual([refused.codes, refused.failures[0].message.includes("bad port")], [["network"], true]);
  const gone = createServer();
  await new Promise((resolve) => gone.listen(0, "127.0.0.1", resolve));
  const { port } = gone.address();
  await new Promise((resolve) => gone.close(resolve));
  const { codes, failures } = await sample({ baseUrl: `http://127.0.0.1:${port}` });
  assert.deepEqual(codes, ["connection_refused"]);
  assert.equal(failures[0].message, `nothing listens at http://127.0.0.1:${port}/chat/completions`);
});

test("a redirection is not followed with the key", async () => {
  answer = (response) => response.writeHead(307, { location: "/v2/elsewhere" }).end();
  assert.deepEqual((await sample()).codes, ["not_found"]);
  assert.equal(requests.length, 1);
});

test("what a server adds is data, whatever it is", async () => {
  const odd = `{"choices":[{"message":{"content":"7","reasoning":"hm"},"finish_reason":"stop"}],
    "usage":{"n":18446744073709551615,"__proto__":{"polluted":1}}}`;
  answer = (response) => response.end(odd);
  const { candidates } = await sample();
  assert.equal(candidates[0].text, "7");
  assert.equal(candidates[0].reasoning, "hm");
  assert.equal(candidates[0].usage.n, 2 ** 64);
  assert.equal({}.polluted, undefined);
  assert.equal(Object.getPrototypeOf(candidates[0].usage), Object.prototype);
});

test("a callback that throws stops nothing", async () => {
  const { candidates } = await sample({ onToken: () => { throw new Error("no"); } });
  assert.equal(candidates[0].text, TEXT);
});

test("wrong arguments are typed errors that quote no secret", async () => {
  const cases = [
    [{ baseUrl: undefined }, "baseUrl: expected a string"],
    [{ baseUrl: "api.example.org" }, "does not begin with"],
    [{ baseUrl: `https://example.org/?key=${KEY}` }, "has the key in it"],
    [{ baseUrl: "http://example.org/v1" }, "in the clear"],
    [{ apiKey: "" }, "the key is empty"],
    [{ apiKey: `${KEY} and more` }, "the key has blanks"],
    [{ apiKey: 7 }, "apiKey: expected a string"],
    [{ model: " " }, "the model has no name"],
    [{ problem: 7 }, "problem: expected a string"],
    [{ numCandidates: undefined }, "numCandidates: expected a whole number"],
    [{ numCandidates: 0 }, "numCandidates: expected a whole number from 1 to 10000, not 0"],
    [{ numCandidates: NaN }, "numCandidates"],
    [{ concurrency: 1.5 }, "concurrency"],
    [{ temperature: "hot" }, "temperature: expected a number"],
    [{ temperature: -1 }, "temperature"],
    [{ maxTokens: 2 ** 32 }, "maxTokens"],
    [{ signal: {} }, "signal: expected an AbortSignal"],
  ];
  for (const [options, part] of cases) {
    const error = await sample(options).then(() => assert.fail(part), (error) => error);
    assert.ok(conclaveError("input", part)(error), `${part}: ${error}`);
    assert.ok(!`${error.message} ${error.stack}`.includes(KEY), part);
  }
  for (const options of [undefined, null, 7]) {
    await assert.rejects(conclave.sampleCandidates(options), conclaveError("input", "expected a string"));
  }
  assert.equal(requests.length, 0);
});

test("in a page, a server that is there but gives nothing away is told from one that is not there", async () => {
  const { fetch } = globalThis;
  const asked = [];
  const page = (isThere) => async (url, init) => {
    asked.push({ url, ...init });
    if (init.mode === "no-cors" && isThere) return new Response(null);
    throw new TypeError("Failed to fetch");
  };
  try {
    globalThis.location = { origin: "https://page.example" };
    globalThis.fetch = page(true);
    const { codes, failures } = await sample({ numCandidates: 2, concurrency: 1 });
    assert.deepEqual(codes, ["cors", "cors"]);
    assert.match(failures[0].message, /does not let this page read its answers \(Failed to fetch\)$/);
    assert.deepEqual(asked.map(({ method, mode, credentials }) => [method, mode, credentials]), [["POST", undefined, "omit"], ["HEAD", "no-cors", "omit"]]);
    assert.equal(asked[1].headers, undefined, "the key is in the first alone");

    globalThis.fetch = page(false);
    assert.deepEqual((await sample()).codes, ["network"]);
    asked.length = 0;
    globalThis.location = { origin: new URL(baseUrl).origin };
    globalThis.fetch = page(true);
    assert.deepEqual((await sample()).codes, ["network"]);
    assert.equal(asked.length, 1, "its own server needs no consent");

    globalThis.fetch = async () => Object.defineProperty(new Response(null), "type", { value: "opaqueredirect" });
    const redirected = await sample();
    assert.deepEqual([redirected.codes, redirected.failures[0].message.endsWith("redirects to somewhere else")], [["not_found"], true]);
  } finally {
    delete globalThis.location;
    globalThis.fetch = fetch;
  }
});
