// GPUs that are missing, too small, wrong, or taken away.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { launch, openPage } from "./chromium.mjs";
import { startServer } from "./server.mjs";

const read = (path) => readFileSync(new URL(path, import.meta.url), "utf8");
const { set, row: { completion } } = JSON.parse(read("expected.json")).short;

let server, browser;

before(async () => {
  server = await startServer();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server?.close();
});

test("a GPU lost while it writes: the call fails by name, and the next one loads anew", async () => {
  const { page } = await openPage(browser, server, "destroy");
  const { lost, then, pieces } = await page.evaluate(async (set) => {
    const aggregator = await conclave.SampleSetAggregator.load({ device: "webgpu" });
    const options = { policy: "always", mode: "generate" };
    let pieces = 0;
    const onToken = () => void (++pieces === 5 && new BroadcastChannel("gpu").postMessage("destroy"));
    const lost = await outcome(aggregator.aggregate(set, { ...options, onToken }));
    return { lost, pieces, then: await outcome(aggregator.aggregate(set, options)) };
  }, set);
  assert.equal(lost.error?.code, "device-lost", JSON.stringify(lost));
  assert.match(lost.error.remedy, /again/);
  assert.ok(pieces < completion.length / 2, `${pieces} pieces of text came`);
  assert.equal(then.error, undefined);
  assert.deepEqual([then.value.device, then.value.completion], ["webgpu", completion]);
  await page.close();
});

test("a GPU lost between two calls, in the page's own thread: the next call loads anew", async () => {
  const { page } = await openPage(browser, server, "destroy");
  const result = await page.evaluate(async (set) => {
    const aggregator = await conclave.SampleSetAggregator.load({ device: "webgpu", worker: false });
    const channel = new BroadcastChannel("gpu");
    await new Promise((resolve) => {
      channel.onmessage = resolve;
      channel.postMessage("destroy");
    });
    return outcome(aggregator.aggregate(set, { policy: "always", mode: "generate" }));
  }, set);
  assert.equal(result.error, undefined);
  assert.deepEqual([result.value.device, result.value.completion], ["webgpu", completion]);
  await page.close();
});

for (const [hook, code, reason] of [
  ["no-webgpu", "no-webgpu", /navigator\.gpu/],
  ["no-timestamps", "limits", /timestamp-query/],
]) {
  test(`${hook}: "webgpu" is refused, "auto" computes on the processor and says why`, async () => {
    const { page, complaints } = await openPage(browser, server, hook);
    const { refused, info, result } = await page.evaluate(refuse, set);
    assert.equal(refused.error?.code, code, JSON.stringify(refused));
    assert.match(refused.error.message, reason);
    assert.equal(info.device, "cpu");
    assert.match(info.fallback, reason);
    assert.deepEqual([result.device, result.completion], ["cpu", completion]);
    assert.deepEqual(complaints, []);
    await page.close();
  });
}

test("a shader that computes wrongly fails the known-answer test", async () => {
  const { page } = await openPage(browser, server, "wrong-shader");
  const { error } = await page.evaluate(() => outcome(conclave.SampleSetAggregator.load({ device: "webgpu" })));
  assert.equal(error?.code, "self-test-failed", JSON.stringify(error));
  assert.match(error.message, /`webgpu` computes other values than were recorded/);
  await page.close();
});

test("a shader that the driver refuses is noticed: the processor computes instead", async () => {
  const { page } = await openPage(browser, server, "invalid-shader");
  const { info, warnings, result } = await page.evaluate(async (set) => {
    const warnings = [];
    const aggregator = await conclave.SampleSetAggregator.load({ onWarning: (message) => warnings.push(message) });
    const { info } = aggregator;
    return { info, warnings, result: await aggregator.aggregate(set, { policy: "always", mode: "generate" }) };
  }, set);
  assert.equal(info.device, "cpu");
  assert.match(info.fallback, /the GPU refused an operation/);
  assert.equal(warnings.length, 1);
  assert.deepEqual([result.device, result.completion], ["cpu", completion]);
  await page.close();
});

test("a browser without WebGPU", async () => {
  await browser.close();
  browser = await launch({ adapter: "none" });
  const { page } = await openPage(browser, server);
  const { refused, info, result } = await page.evaluate(refuse, set);
  assert.equal(refused.error?.code, "no-webgpu");
  assert.match(refused.error.remedy, /"auto"/);
  assert.equal(info.device, "cpu");
  assert.match(info.fallback, /WebGPU/);
  assert.deepEqual([result.device, result.completion], ["cpu", completion]);
});

/** Runs in the page: what "webgpu" is refused with, and what "auto" does instead. */
async function refuse(set) {
  const { SampleSetAggregator } = conclave;
  const refused = await outcome(SampleSetAggregator.load({ device: "webgpu" }));
  const aggregator = await SampleSetAggregator.load();
  return { refused, info: aggregator.info, result: await aggregator.aggregate(set, { policy: "always", mode: "generate" }) };
}
