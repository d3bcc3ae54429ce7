// Other models than the built-in one, and numbers from outside: what transformers computes for the parity fixtures is the
// known-answer test of their directories, so that loading one on WebGPU compares all logits (1e-3) and all greedy tokens.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, openPage } from "./chromium.mjs";
import { parity, scaleWeight, withManifest } from "./directories.mjs";
import { startServer } from "./server.mjs";

let server, browser, page, complaints;

before(async () => {
  server = await startServer();
  browser = await launch();
  ({ page, complaints } = await openPage(browser, server));
});

after(async () => {
  await browser?.close();
  await server?.close();
});

for (const name of ["tied-gqa", "untied-mqa-bf16-sharded"]) {
  test(`computes what transformers computes: ${name}`, async () => {
    server.models.set(name, parity(name));
    const { value, error } = await load(name, "webgpu");
    assert.equal(error, undefined);
    assert.equal(value.info.device, "webgpu");
    // Three prompts, each with its logits and 24 tokens.
    assert.deepEqual(value.cases, { loaded: 3, total: 3 });
  });
}

test("a weight that is wrong by a hundredth fails the known-answer test, though its hash is right", async () => {
  const files = parity("tied-gqa");
  scaleWeight(files, "model.norm.weight", 7, 1.01);
  server.models.set("wrong", withManifest(files));
  const { error } = await load("wrong", "auto");
  const differs = /computes other values than were recorded \(case `a`: logits differ by up to \d\.\de-3, 24 of 24 tokens agree\)/;
  assert.equal(error?.code, "self-test-failed");
  assert.match(error.message, differs);
  // That was the processor. Before it, the GPU.
  assert.equal(complaints.length, 1);
  const warning = complaints.pop();
  assert.match(warning, /WebGPU is not used: `webgpu`/);
  assert.match(warning, differs);
});

test("nothing else was complained about", () => {
  assert.deepEqual(complaints, []);
});

/** Loads a model and disposes of it. */
function load(name, device) {
  return page.evaluate(
    async (model, device) => {
      let cases;
      const onProgress = ({ stage, loaded, total }) => stage === "self-test" && (cases = { loaded, total });
      const { value, error } = await outcome(conclave.SampleSetAggregator.load({ model, device, onProgress }));
      await value?.dispose();
      return { error, value: value && { info: value.info, cases } };
    },
    server.model(name),
    device,
  );
}
