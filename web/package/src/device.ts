// Which device can be used, found out before the wasm module is asked: it panics where WebGPU lacks what it needs.

import { AggregatorError } from "./errors.js";
import type { Device } from "./types.js";

/** Of `navigator.gpu`, what is used. */
export interface GpuLike {
  requestAdapter(options?: { powerPreference?: "high-performance" }): Promise<AdapterLike | null>;
}

interface AdapterLike {
  readonly features: { has(name: string): boolean };
  readonly limits: Readonly<Record<string, number | undefined>> | object;
  readonly info?: { vendor?: string; architecture?: string; device?: string; description?: string };
}

/** The least that the kernels and the largest buffer (a shard of the vocabulary) need; the floor of WebGPU itself. */
const LIMITS: Readonly<Record<string, number>> = {
  maxStorageBufferBindingSize: 128 << 20,
  maxBufferSize: 128 << 20,
  maxStorageBuffersPerShaderStage: 8,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupSizeX: 256,
  maxComputeWorkgroupStorageSize: 16 << 10,
};

/** A device to use. */
export interface Choice {
  device: "webgpu" | "cpu";
  adapter?: string;
  /** Why it is cpu, where "auto" was asked for. */
  fallback?: string;
}

/** Chooses the device. `gpu` is undefined where the host has no WebGPU or its build of the module does not. */
export async function chooseDevice(wanted: Device, gpu: GpuLike | undefined): Promise<Choice> {
  if (wanted === "cpu") return { device: "cpu" };
  try {
    return { device: "webgpu", adapter: await probe(gpu) };
  } catch (error) {
    if (wanted === "webgpu" || !(error instanceof AggregatorError)) throw error;
    return { device: "cpu", fallback: error.message };
  }
}

/** The name of the adapter; `no-webgpu` or `limits` where it cannot be used, saying why. */
async function probe(gpu: GpuLike | undefined): Promise<string> {
  if (gpu === undefined) {
    throw new AggregatorError("no-webgpu", "there is no WebGPU here (no navigator.gpu)");
  }
  let adapter: AdapterLike | null;
  try {
    adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AggregatorError("no-webgpu", `WebGPU gives no adapter (${reason})`, { cause });
  }
  if (adapter === null) {
    throw new AggregatorError("no-webgpu", "WebGPU has no adapter: no GPU, or its driver is blocked");
  }
  // Without it the tensor library panics on wasm, where it cannot measure times by waiting.
  if (!adapter.features.has("timestamp-query")) {
    throw new AggregatorError("limits", "the GPU's adapter has no feature timestamp-query");
  }
  const limits = adapter.limits as Readonly<Record<string, number | undefined>>;
  for (const [name, least] of Object.entries(LIMITS)) {
    const limit = limits[name];
    if (limit !== undefined && limit < least) {
      throw new AggregatorError("limits", `the GPU's limit ${name} is ${limit}, at least ${least} is needed`);
    }
  }
  const { vendor, architecture, device, description } = adapter.info ?? {};
  return description || [vendor, architecture, device].filter(Boolean).join(" ") || "unnamed adapter";
}
