// What tests do to a thread before the package runs in it: faults of a GPU and a slow disk, made where the browser's own
// interface begins, and a look at what the package keeps to itself.

import { timestamps } from "./timestamps.js";

const HOOKS = {
  timestamps,

  /** The channel "memory" is told the bytes of all wasm memories of this thread, which never become fewer. */
  measure() {
    const memories = [];
    const keep = (result) => {
      const { memory } = (result.instance ?? result).exports;
      if (memory !== undefined) memories.push(memory);
      return result;
    };
    for (const method of ["instantiate", "instantiateStreaming"]) {
      replace(WebAssembly, method, (make) => async (...args) => keep(await make.apply(WebAssembly, args)));
    }
    const channel = new BroadcastChannel("memory");
    channel.onmessage = ({ data }) => {
      // The page's own thread has none.
      if (data === "?" && memories.length > 0) channel.postMessage(memories.reduce((sum, { buffer }) => sum + buffer.byteLength, 0));
    };
  },

  /** The channel "gpu" destroys the devices that were given out so far, and answers when they are lost. */
  destroy() {
    const devices = [];
    const channel = new BroadcastChannel("gpu");
    channel.onmessage = async () => {
      const destroyed = devices.splice(0);
      for (const device of destroyed) device.destroy();
      await Promise.all(destroyed.map(({ lost }) => lost));
      if (destroyed.length > 0) channel.postMessage("destroyed");
    };
    replace(GPUAdapter.prototype, "requestDevice", (request) =>
      async function (...args) {
        const device = await request.apply(this, args);
        devices.push(device);
        return device;
      },
    );
  },

  /** A disk that takes its time for each file. What a closing page interrupts is lost, which a quick disk hides. */
  "slow-disk"() {
    replace(FileSystemWritableFileStream.prototype, "close", (close) =>
      async function () {
        await new Promise((resolve) => setTimeout(resolve, 100));
        return close.call(this);
      },
    );
  },

  /** A browser without WebGPU. */
  "no-webgpu"() {
    Object.defineProperty(navigator, "gpu", { value: undefined });
  },

  /** A GPU without what the tensor library needs. */
  "no-timestamps"() {
    replace(GPUSupportedFeatures.prototype, "has", (has) =>
      function (feature) {
        return feature !== "timestamp-query" && has.call(this, feature);
      },
    );
  },

  /** A driver that compiles exponentials wrongly. */
  "wrong-shader"() {
    compile((code) => code.replaceAll(/\bexp\(/g, "1.01 * exp("));
  },

  /** A driver that refuses a shader, which is an error that nobody waits for. */
  "invalid-shader"() {
    let isFirst = true;
    compile((code) => {
      const changed = isFirst ? `${code}\nthis is no WGSL` : code;
      isFirst = false;
      return changed;
    });
  },
};

/** Applies a hook to this thread. */
export function hook(name) {
  HOOKS[name]();
}

function replace(prototype, method, make) {
  prototype[method] = make(prototype[method]);
}

function compile(change) {
  replace(GPUDevice.prototype, "createShaderModule", (create) =>
    function (descriptor) {
      return create.call(this, { ...descriptor, code: change(descriptor.code) });
    },
  );
}
