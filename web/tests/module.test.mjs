// The module itself: that its exports are called directly, and that they stay fast and small however often.
import assert from "node:assert/strict";
import { test } from "node:test";
import { conclave, memorySize, wasm } from "./module.mjs";

/** The names of the functions of a wasm module, from its name section. */
function functionNames(bytes) {
  const [section] = WebAssembly.Module.customSections(new WebAssembly.Module(bytes), "name");
  assert.ok(section, "the build keeps its name section");
  const view = new Uint8Array(section);
  let at = 0;
  const number = () => {
    let [value, scale] = [0, 1];
    for (;;) {
      const byte = view[at++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
  };
  const names = [];
  while (at < view.length) {
    const id = view[at++];
    const end = number() + at;
    if (id === 1) {
      for (let left = number(); left > 0; left--) {
        number(); // the function's index
        const length = number();
        names.push(new TextDecoder().decode(view.subarray(at, at + length)));
        at += length;
      }
    }
    at = end;
  }
  return names;
}

for (const build of ["full", "cpu", "client", "vote"]) {
  test(`${build}: no export is wrapped to run the static constructors again`, () => {
    const names = functionNames(wasm(build));
    assert.ok(names.length > 100, `${names.length} functions have names`);
    assert.ok(names.includes("__wasm_call_ctors"), "the start function calls the static constructors");
    assert.deepEqual(names.filter((name) => name.includes("command_export")), []);
  });
}

test("many calls do not grow the memory", () => {
  const call = () => conclave.majorityVote(["The answer is 7", "\\boxed{8}", "7"]);
  for (let i = 0; i < 1_000; i++) call();
  const before = memorySize();
  for (let i = 0; i < 20_000; i++) call();
  assert.equal(memorySize(), before);
});
