// Downloads from a real server on loopback: each way in which one can go wrong, by the code of its error.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { gzipSync } from "node:zlib";
import { MemoryBlobs } from "../src/cache/blobs.js";
import { ModelFolder } from "../src/cache/folder.js";
import { throwIfAborted } from "../src/errors.js";
import { fetchModel } from "../src/download.js";
import type { Network } from "../src/http.js";
import type { LoadProgress } from "../src/types.js";
import { failure } from "./fakes/expect.js";
import { quickNetwork } from "./fakes/platform.js";
import { ModelServer, cut, noise, sha256Of } from "./fakes/server.js";

const WEIGHTS = "model.safetensors";
const BLOCK = 512;

let server: ModelServer;
let blobs: MemoryBlobs;

beforeEach(async () => {
  server = await ModelServer.start();
  blobs = new MemoryBlobs();
});
afterEach(() => server.stop());

interface Settings {
  network?: Partial<Network>;
  signal?: AbortSignal;
  onProgress?: (progress: LoadProgress) => void;
}

async function fetch_({ network = {}, signal = new AbortController().signal, onProgress = () => {} }: Settings = {}) {
  const folder = new ModelFolder(blobs, server.url, BLOCK);
  await fetchModel(server.url, folder, quickNetwork(network), { signal, onProgress });
  return folder;
}

/** Everything is there and right, as a page would find it after a reload. */
async function assertWhole(): Promise<void> {
  const folder = new ModelFolder(blobs, server.url);
  for (const [name, bytes] of server.files) {
    assert.equal(await folder.length(name), bytes.length, name);
    assert.deepEqual(await folder.read(name, 0, bytes.length), bytes.slice(), name);
  }
}

test("a model is fetched once and then checked without the network", async () => {
  const progress: LoadProgress[] = [];
  await fetch_({ onProgress: (step) => progress.push(step) });
  await assertWhole();
  assert.deepEqual(server.requests.map(({ name }) => name), ["conclave.json", "config.json", "tokenizer.json", WEIGHTS]);
  assert.ok(server.requests.every(({ range, method }) => range === undefined && method === "GET"));
  const last = progress.at(-1)!;
  assert.equal(last.stage, "download");
  assert.equal(last.loaded, [...server.files.values()].reduce((sum, bytes) => sum + bytes.length, 0));
  assert.equal(last.loaded, last.total);
  assert.ok(progress.every((step) => step.total === 0 || step.loaded <= step.total));

  await server.stop();
  const again: LoadProgress[] = [];
  await fetch_({ onProgress: (step) => again.push(step) });
  assert.deepEqual([...new Set(again.map(({ stage }) => stage))], ["verify"]);
});

test("a download that breaks is continued at any byte", async () => {
  const bytes = server.files.get(WEIGHTS)!;
  // Around blocks of the cache and of the hash, and some others.
  const places = [0, 1, 2, 63, 64, 65, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2_500, 4_096, 4_998, 4_999, 5_000];
  for (let at = 17; at < bytes.length; at += 331) places.push(at);
  for (const at of places) {
    blobs = new MemoryBlobs();
    server.requests.length = 0;
    server.habit = (request, response, count) =>
      request.name === WEIGHTS && count === 1 && at < bytes.length && cut(server, request, response, at);
    await fetch_();
    await assertWhole();
    const ranges = server.asked(WEIGHTS);
    // What is still in a socket when it is cut may be lost.
    if (ranges.length === 2) assert.match(ranges[1] ?? "bytes=0-", /^bytes=\d+-$/);
    assert.equal(ranges.length, at < bytes.length ? 2 : 1, `cut at ${at}: ${ranges.join(", ")}`);
  }
});

test("a connection that breaks every few bytes still gets there", async () => {
  server.habit = (request, response) => request.name === WEIGHTS && cut(server, request, response, 700);
  server.files.set(WEIGHTS, noise(5_600));
  server.sign();
  // The last piece is whole.
  const habit = server.habit;
  server.habit = (request, response, count) => (request.range === "bytes=4900-" ? false : habit(request, response, count));
  await fetch_();
  await assertWhole();
});

test("a download is continued after the page was closed", async () => {
  const controller = new AbortController();
  server.habit = (request, response) => {
    if (request.name !== WEIGHTS) return false;
    response.writeHead(200, { "content-length": 5_000 });
    response.write(server.files.get(WEIGHTS)!.subarray(0, 3_000));
    return true; // and no more
  };
  const onProgress = ({ file, loaded }: LoadProgress) => {
    if (file === WEIGHTS && loaded >= 3_000) controller.abort();
  };
  await assert.rejects(fetch_({ signal: controller.signal, onProgress }), failure("aborted"));
  server.habit = () => false;
  await fetch_();
  await assertWhole();
  assert.equal(server.asked(WEIGHTS)[1], "bytes=3000-");
  assert.equal(server.asked("tokenizer.json").length, 1);
  assert.equal(server.asked("conclave.json").length, 2);
});

test("a server without ranges sends all again", async () => {
  server.ranges = false;
  server.habit = (request, response, count) => request.name === WEIGHTS && count === 1 && cut(server, request, response, 3_000);
  await fetch_();
  await assertWhole();
  assert.equal(server.asked(WEIGHTS).length, 2);
});

test("a server that answers another range is asked for all", async () => {
  server.habit = (request, response, count) => {
    if (request.name !== WEIGHTS) return false;
    if (count === 1) return cut(server, request, response, 3_000);
    if (count > 2) return false;
    response.writeHead(206, { "content-range": "bytes 10-4999/5000", "content-length": 4_990 });
    response.end(server.files.get(WEIGHTS)!.subarray(10));
    return true;
  };
  await fetch_();
  await assertWhole();
  assert.equal(server.asked(WEIGHTS)[2], undefined);
});

test("all bytes are there but the end was not seen: 416 is no error", async () => {
  const bytes = server.files.get(WEIGHTS)!;
  const folder = new ModelFolder(blobs, server.url, BLOCK);
  const writer = await folder.writer(WEIGHTS, sha256Of(bytes));
  await writer.write(bytes);
  await writer.flush();
  await fetch_();
  await assertWhole();
  assert.deepEqual(server.asked(WEIGHTS), ["bytes=5000-"]);
});

test("wrong bytes are fetched once more, and then an error", async () => {
  server.habit = (request, response, count) => {
    if (request.name === WEIGHTS && count === 1) response.end(noise(5_000, 99));
    return request.name === WEIGHTS && count === 1;
  };
  await fetch_();
  await assertWhole();
  assert.equal(server.asked(WEIGHTS).length, 2);

  blobs = new MemoryBlobs();
  server.requests.length = 0;
  server.habit = (request, response) => {
    if (request.name === WEIGHTS) response.end(noise(5_000, 99));
    return request.name === WEIGHTS;
  };
  await assert.rejects(fetch_(), failure("hash-mismatch", WEIGHTS));
  assert.equal(server.asked(WEIGHTS).length, 2);
  assert.equal(await new ModelFolder(blobs, server.url).partialLength(WEIGHTS, sha256Of(noise(5_000))), 0);
});

test("a damaged cache is mended", async () => {
  for (const damage of ["change", "delete"]) {
    for (const name of [WEIGHTS, "config.json", "conclave.json"]) {
      blobs = new MemoryBlobs();
      await fetch_();
      server.requests.length = 0;
      const key = (await blobs.keys()).find((key) => key.endsWith(`${name}@0`))!;
      const bytes = (await blobs.get(key))!;
      bytes[0]! ^= 1;
      await (damage === "change" ? blobs.put(key, bytes) : blobs.delete(key));
      await fetch_();
      await assertWhole();
      assert.equal(server.asked(name).length, 1, `${damage} ${name}`);
      assert.equal(server.asked("tokenizer.json").length, 0);
    }
  }
});

test("a model that was changed on the server while half of it is here", async () => {
  server.habit = (request, response) => request.name === WEIGHTS && void response.writeHead(404).end() === undefined;
  await assert.rejects(fetch_(), failure("not-found", WEIGHTS));
  server.habit = () => false;
  server.files.set("tokenizer.json", noise(900, 8));
  server.files.set(WEIGHTS, noise(6_000, 9));
  server.sign();
  await fetch_();
  await assertWhole();
});

test("wrong lengths", async () => {
  // Promises more than it has: the connection ends early, each time.
  server.habit = (request, response) => {
    if (request.name !== WEIGHTS) return false;
    return cut(server, request, response, 0);
  };
  await assert.rejects(fetch_(), failure("network", WEIGHTS));
  assert.equal(server.asked(WEIGHTS).length, 3);
  // Promises less: a short file, whose hash is wrong.
  blobs = new MemoryBlobs();
  server.habit = (request, response) => {
    if (request.name === WEIGHTS) response.writeHead(200, { "content-length": 1_000 }).end(noise(1_000));
    return request.name === WEIGHTS;
  };
  await assert.rejects(fetch_(), failure("hash-mismatch", "1000 bytes"));
  // The manifest knows better.
  server.sign({ sizes: { [WEIGHTS]: 5_000 } });
  server.requests.length = 0;
  server.habit = (request, response, count) => {
    if (request.name !== WEIGHTS || count > 1) return false;
    response.writeHead(200, { "content-length": 1_000 }).end(noise(1_000));
    return true;
  };
  await fetch_();
  assert.deepEqual(server.asked(WEIGHTS), [undefined, "bytes=1000-"]);
});

test("a body without a length, and a compressed one", async () => {
  server.habit = (request, response) => {
    const bytes = server.files.get(request.name)!;
    if (request.name === WEIGHTS) response.writeHead(200).end(bytes);
    else response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync(bytes));
    return true;
  };
  await fetch_();
  await assertWhole();
});

const STATUSES = [
  [400, "http", 1],
  [401, "unauthorized", 1],
  [403, "unauthorized", 1],
  [404, "not-found", 1],
  [410, "not-found", 1],
  [408, "timeout", 3],
  [429, "rate-limited", 3],
  [500, "http", 3],
  [503, "http", 3],
] as const;
for (const [status, code, requests] of STATUSES) {
  test(`status ${status} is ${code}`, async () => {
    for (const name of ["conclave.json", WEIGHTS]) {
      blobs = new MemoryBlobs();
      server.requests.length = 0;
      server.habit = (request, response) => request.name === name && void response.writeHead(status).end() === undefined;
      await assert.rejects(fetch_(), failure(code, `${name}: the server answered ${status}`));
      assert.equal(server.asked(name).length, requests);
    }
  });
}

test("a server that recovers, and says when to ask again", async () => {
  const waits: number[] = [];
  server.habit = (request, response, count) => {
    if (request.name !== WEIGHTS || count > 2) return false;
    response.writeHead(count === 1 ? 429 : 503, count === 1 ? { "retry-after": "7" } : {}).end();
    return true;
  };
  await fetch_({ network: { sleep: async (milliseconds) => void waits.push(milliseconds) } });
  await assertWhole();
  assert.deepEqual(waits, [7_000, 1_000]);
});

test("nobody is there", async () => {
  await server.stop();
  await assert.rejects(fetch_(), failure("network", "no connection to http://127.0.0.1"));
});

test("another origin that is there but does not let the page read is cors", async () => {
  const asked: string[] = [];
  const network = {
    origin: "https://page.example",
    fetch: async (_: string, init: RequestInit) => {
      asked.push(init.mode ?? "cors");
      if (init.mode === "no-cors") return new Response();
      throw new TypeError("Failed to fetch");
    },
  };
  await assert.rejects(fetch_({ network }), failure("cors", "does not let this page read it"));
  assert.deepEqual(asked, ["cors", "no-cors"]);
});

test("a connection that stalls is given up", async () => {
  for (const begin of [false, true]) {
    blobs = new MemoryBlobs();
    server.habit = (request, response) => {
      if (request.name === WEIGHTS && begin) response.writeHead(200, { "content-length": 5_000 }).write(noise(10));
      return request.name === WEIGHTS;
    };
    await assert.rejects(fetch_({ network: { stallMs: 40, attempts: 2 } }), failure("timeout", "nothing came for 0.04 s"));
  }
});

test("a page in place of the manifest", async () => {
  server.files.set("conclave.json", new TextEncoder().encode("<!doctype html>"));
  await assert.rejects(fetch_(), failure("format", "conclave.json: is not JSON"));
});

test("what arrives together with a stop is kept", async () => {
  const controller = new AbortController();
  const bytes = server.files.get(WEIGHTS)!;
  // A body that does not know of the signal, and a stop before its first chunk is read.
  const body = () =>
    new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: (stream) => {
        controller.abort();
        stream.enqueue(bytes.slice(0, 3_000));
      },
    });
  const fetch = async (url: string, init: RequestInit) =>
    url.endsWith(WEIGHTS) ? new Response(body()) : globalThis.fetch(url, init);
  await assert.rejects(fetch_({ network: { fetch }, signal: controller.signal }), failure("aborted"));
  assert.equal(await new ModelFolder(blobs, server.url).partialLength(WEIGHTS, sha256Of(bytes)), 3_000);
});

test("stopping at any moment", async () => {
  await assert.rejects(fetch_({ signal: AbortSignal.abort() }), failure("aborted"));
  for (const moment of ["conclave.json", "config.json", "tokenizer.json", WEIGHTS]) {
    blobs = new MemoryBlobs();
    const controller = new AbortController();
    server.habit = (request) => {
      if (request.name === moment) setTimeout(() => controller.abort(), 5);
      return request.name === moment; // never answered
    };
    await assert.rejects(fetch_({ signal: controller.signal }), failure("aborted"), moment);
  }
  const waiting = new AbortController();
  server.habit = (_, response) => void response.writeHead(503).end() === undefined;
  const sleep = async (_: number, signal?: AbortSignal) => {
    waiting.abort();
    throwIfAborted(signal);
  };
  await assert.rejects(fetch_({ signal: waiting.signal, network: { sleep } }), failure("aborted"));
});
