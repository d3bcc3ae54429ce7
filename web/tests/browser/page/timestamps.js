// How long the GPU computes in which kernels. Every dispatch becomes a pass of its own with a time stamp at either end, which
// slows all of it down: the shares count, not the sum.

/** Dispatches that are timed: a query set has 4096 stamps. */
const MOST = 2048;

/** The channel "timestamps" answers to "start", and to "stop" with the number and the milliseconds of dispatches by kernel. */
export function timestamps() {
  const names = new WeakMap();
  const channel = new BroadcastChannel("timestamps");
  let device, queries;
  let recorded;

  replace(GPUAdapter.prototype, "requestDevice", (request) =>
    async function (...args) {
      device = await request.apply(this, args);
      queries = device.createQuerySet({ type: "timestamp", count: 2 * MOST });
      return device;
    },
  );
  replace(GPUDevice.prototype, "createShaderModule", (create) =>
    function (descriptor) {
      const module = create.call(this, descriptor);
      names.set(module, /@compute[^{]*\bfn (\w+)/.exec(descriptor.code)?.[1] ?? "unnamed");
      return module;
    },
  );
  replace(GPUDevice.prototype, "createComputePipeline", (create) =>
    function (descriptor) {
      const pipeline = create.call(this, descriptor);
      names.set(pipeline, names.get(descriptor.compute.module));
      return pipeline;
    },
  );
  replace(GPUCommandEncoder.prototype, "beginComputePass", (begin) =>
    function (descriptor) {
      if (recorded === undefined) return begin.call(this, descriptor);
      let pipeline;
      const groups = new Map();
      return {
        setPipeline: (set) => (pipeline = set),
        setBindGroup: (index, ...rest) => groups.set(index, rest),
        dispatchWorkgroups: (...counts) => {
          const at = 2 * recorded.length;
          const timestampWrites = { querySet: queries, beginningOfPassWriteIndex: at, endOfPassWriteIndex: at + 1 };
          recorded.push(names.get(pipeline));
          const pass = begin.call(this, recorded.length <= MOST ? { timestampWrites } : {});
          pass.setPipeline(pipeline);
          for (const [index, rest] of groups) pass.setBindGroup(index, ...rest);
          pass.dispatchWorkgroups(...counts);
          pass.end();
        },
        end() {},
      };
    },
  );

  channel.onmessage = async ({ data }) => {
    // The page's own thread has no device.
    if (device === undefined) return;
    if (data === "start") recorded = [];
    channel.postMessage(data === "stop" ? await read() : "started");
  };

  async function read() {
    const timed = recorded.slice(0, MOST);
    const kernels = {};
    for (const name of recorded) (kernels[name] ??= { count: 0, ms: 0 }).count += 1;
    recorded = undefined;
    const size = Math.max(16 * timed.length, 16);
    const resolved = device.createBuffer({ size, usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC });
    const copy = device.createBuffer({ size, usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ });
    const encoder = device.createCommandEncoder();
    encoder.resolveQuerySet(queries, 0, 2 * timed.length, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, copy, 0, size);
    device.queue.submit([encoder.finish()]);
    await copy.mapAsync(GPUMapMode.READ);
    const stamps = new BigUint64Array(copy.getMappedRange());
    timed.forEach((name, index) => (kernels[name].ms += Number(stamps[2 * index + 1] - stamps[2 * index]) / 1e6));
    copy.destroy();
    resolved.destroy();
    return kernels;
  }
}

function replace(prototype, method, make) {
  prototype[method] = make(prototype[method]);
}
