// What the processes of a browser use, by Linux's own account; elsewhere nothing is known.

import { readFileSync, readdirSync } from "node:fs";

const read = (path) => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // The process has ended, or this is not Linux.
    return "";
  }
};

/** The process `pid` and all below it: what kind of process each is, and its present and largest resident bytes. */
export function processes(pid) {
  let all;
  try {
    all = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number);
  } catch {
    return [];
  }
  const parents = new Map(all.map((one) => [one, Number(/^PPid:\s*(\d+)/m.exec(read(`/proc/${one}/status`))?.[1])]));
  const isOurs = (one) => one === pid || (parents.has(one) && one > 1 && isOurs(parents.get(one)));
  return all.filter(isOurs).map((one) => {
    const status = read(`/proc/${one}/status`);
    const bytes = (field) => 1024 * Number(new RegExp(`^${field}:\\s*(\\d+)`, "m").exec(status)?.[1] ?? 0);
    const kind = /--type=([\w-]+)/.exec(read(`/proc/${one}/cmdline`))?.[1] ?? "browser";
    return { pid: one, kind, resident: bytes("VmRSS"), peak: bytes("VmHWM") };
  });
}

/** Seconds of CPU that threads of this name have used in the processes below `pid`; undefined where there are none. */
export function threadSeconds(pid, name) {
  let nanoseconds;
  for (const { pid: one } of processes(pid)) {
    let threads = [];
    try {
      threads = readdirSync(`/proc/${one}/task`);
    } catch {
      // As above.
    }
    for (const thread of threads) {
      const folder = `/proc/${one}/task/${thread}`;
      if (!read(`${folder}/comm`).startsWith(name)) continue;
      nanoseconds = (nanoseconds ?? 0) + Number(read(`${folder}/schedstat`).split(" ")[0]);
    }
  }
  return nanoseconds === undefined ? undefined : nanoseconds / 1e9;
}
