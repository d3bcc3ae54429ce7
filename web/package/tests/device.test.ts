// Which device is chosen, and what is said where WebGPU cannot be used.

import assert from "node:assert/strict";
import { test } from "node:test";
import { chooseDevice } from "../src/device.js";
import { failure } from "./fakes/expect.js";
import { fakeGpu } from "./fakes/platform.js";

test("a GPU that has all that is needed", async () => {
  for (const wanted of ["auto", "webgpu"] as const) {
    assert.deepEqual(await chooseDevice(wanted, fakeGpu()), { device: "webgpu", adapter: "acme rocket" });
  }
  assert.deepEqual(await chooseDevice("cpu", fakeGpu()), { device: "cpu" });
});

test("each reason has its words", async () => {
  const broken = { requestAdapter: () => Promise.reject(new Error("blocked")) };
  const cases = [
    [undefined, "no-webgpu", "no navigator.gpu"],
    [fakeGpu({ adapter: null }), "no-webgpu", "no adapter"],
    [broken, "no-webgpu", "blocked"],
    [fakeGpu({ features: [] }), "limits", "timestamp-query"],
    [fakeGpu({ limits: { maxStorageBufferBindingSize: 1 << 20 } }), "limits", "maxStorageBufferBindingSize is 1048576"],
    [fakeGpu({ limits: { maxStorageBuffersPerShaderStage: 4 } }), "limits", "maxStorageBuffersPerShaderStage is 4, at least 8"],
    [fakeGpu({ limits: { maxComputeInvocationsPerWorkgroup: 128 } }), "limits", "maxComputeInvocationsPerWorkgroup"],
    [fakeGpu({ limits: { maxComputeWorkgroupStorageSize: 1024 } }), "limits", "maxComputeWorkgroupStorageSize"],
  ] as const;
  for (const [gpu, code, part] of cases) {
    await assert.rejects(chooseDevice("webgpu", gpu), failure(code, part));
    const { device, fallback } = await chooseDevice("auto", gpu);
    assert.equal(device, "cpu");
    assert.ok(fallback?.includes(part), fallback);
  }
});
