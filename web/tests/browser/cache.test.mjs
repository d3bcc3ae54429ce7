// A model by its address: downloaded, checked, kept, and read from the cache. What reaches the server is counted.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, openPage } from "./chromium.mjs";
import { tiny } from "./directories.mjs";
import { startServer } from "./server.mjs";

const NEEDED = ["conclave.json", "config.json", "generation_config.json", "tokenizer.json", "selftest.safetensors", "model.safetensors"];
const WEIGHTS = "model.safetensors";

let server, browser;

before(async () => {
  server = await startServer();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server?.close();
});

test("the second load, on another page, needs no network", async () => {
  server.models.set("kept", tiny());
  const cold = await load("kept");
  assert.equal(cold.error, undefined);
  assert.equal(cold.value.info.model, server.model("kept"));
  assert.deepEqual(server.asked("kept"), NEEDED);
  server.models.delete("kept");
  const warm = await load("kept");
  assert.equal(warm.error, undefined);
  assert.deepEqual(server.asked("kept"), NEEDED, "nothing was asked again");
  const { page } = await openPage(browser, server);
  const listed = await page.evaluate(() => conclave.listModels());
  assert.deepEqual(listed.map(({ model, complete }) => ({ model, complete })), [{ model: server.model("kept"), complete: true }]);
  assert.ok(listed[0].bytes > 1_700_000);
});

test("a file that was damaged in the cache is fetched again, alone", async () => {
  server.models.set("kept", tiny());
  const { page } = await openPage(browser, server);
  const damaged = await page.evaluate(async () => {
    const root = await navigator.storage.getDirectory();
    const folder = await root.getDirectoryHandle("conclave-models");
    let largest;
    for await (const handle of folder.values()) {
      const file = await handle.getFile();
      if (largest === undefined || file.size > largest.file.size) largest = { handle, file };
    }
    const bytes = new Uint8Array(await largest.file.arrayBuffer());
    bytes[bytes.length >> 1] ^= 1;
    const stream = await largest.handle.createWritable();
    await stream.write(bytes);
    await stream.close();
    return bytes.length;
  });
  assert.equal(damaged, tiny().get(WEIGHTS).length);
  await page.close();
  server.requests.length = 0;
  const { error } = await load("kept");
  assert.equal(error, undefined);
  // One request for the manifest, as the model is no longer complete.
  assert.deepEqual(server.asked("kept"), ["conclave.json", WEIGHTS]);
});

test("a shard that arrives damaged is fetched once more", async () => {
  server.models.set("damaged-once", tiny());
  server.spoil("damaged-once", WEIGHTS, (bytes, count) => void (count === 1 && (bytes[1000] ^= 1)));
  const { error } = await load("damaged-once");
  assert.equal(error, undefined);
  assert.deepEqual(server.asked("damaged-once"), [...NEEDED, WEIGHTS]);
});

test("a shard that is damaged for good is a clear error", async () => {
  server.models.set("damaged", tiny());
  server.spoil("damaged", WEIGHTS, (bytes) => void (bytes[1000] ^= 1));
  const { error } = await load("damaged");
  assert.equal(error?.code, "hash-mismatch");
  assert.match(error.message, /model\.safetensors.*sha256/);
  assert.deepEqual(server.asked("damaged"), [...NEEDED, WEIGHTS]);
});

test("a broken connection goes on where it broke", async () => {
  server.models.set("broken", tiny());
  server.spoil("broken", WEIGHTS, (_, count) => (count === 1 ? { cutAt: 1_000_000 } : undefined));
  const { error } = await load("broken");
  assert.equal(error, undefined);
  assert.deepEqual(server.asked("broken"), [...NEEDED, `${WEIGHTS} bytes=1000000-`]);
});

test("a cancelled download is continued by the next load", async () => {
  const files = tiny();
  server.models.set("cancelled", files);
  server.spoil("cancelled", WEIGHTS, (_, count) => (count === 1 ? { stallAt: 1_200_000 } : undefined));
  const before = NEEDED.filter((name) => name !== WEIGHTS).reduce((sum, name) => sum + files.get(name).length, 0);
  // The page is closed as soon as the load has rejected.
  const cancelled = await load("cancelled", { stopAt: before + 1_200_000, hook: "slow-disk" });
  assert.equal(cancelled.error?.code, "aborted");
  const { error } = await load("cancelled");
  assert.equal(error, undefined);
  assert.deepEqual(server.asked("cancelled"), [...NEEDED, "conclave.json", `${WEIGHTS} bytes=1200000-`]);
});

test("a deleted model is gone, and other addresses are not there", async () => {
  const { page } = await openPage(browser, server);
  const deleted = await page.evaluate(
    async (kept) => [await conclave.deleteModel(kept), await conclave.deleteModel(kept)],
    server.model("kept"),
  );
  assert.deepEqual(deleted, [true, false]);
  const { error } = await load("nowhere");
  assert.equal(error?.code, "not-found");
});

/** Loads a model on a page of its own, on the CPU: what is tested comes before the device. */
async function load(name, { stopAt, hook } = {}) {
  const { page, complaints } = await openPage(browser, server, hook);
  const result = await page.evaluate(
    async (model, stopAt) => {
      const controller = new AbortController();
      const onProgress = ({ stage, loaded }) => {
        if (stopAt !== undefined && stage === "download" && loaded >= stopAt) controller.abort();
      };
      const { signal } = controller;
      const loading = conclave.SampleSetAggregator.load({ model, device: "cpu", onProgress, signal });
      const { value, error } = await outcome(loading);
      await value?.dispose();
      return { error, value: value && { info: value.info } };
    },
    server.model(name),
    stopAt,
  );
  await page.close();
  // The browser itself says what a server does not have, and which connections broke.
  assert.deepEqual(complaints.filter((one) => !/Failed to load resource/.test(one)), []);
  return result;
}
