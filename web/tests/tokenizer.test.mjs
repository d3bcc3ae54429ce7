// The Qwen2.5 tokenizer in wasm: the same ids as natively, and nothing of a candidate is prompt syntax.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { conclave, conclaveError, data } from "./module.mjs";

let json;
let tokenizer;
before(() => {
  json = gunzipSync(data("qwen2-tokenizer/tokenizer.json.gz"));
  tokenizer = new conclave.Tokenizer(json);
});

test("the reference vectors, both ways", () => {
  const vectors = JSON.parse(data("qwen2-tokenizer/vectors.json"));
  assert.ok(vectors.length >= 9);
  for (const { text, ids } of vectors) {
    assert.deepEqual([...tokenizer.encodeTrusted(text)], ids, JSON.stringify(text));
    if (text.includes("<|")) continue; // a chat frame: for untrusted text see the next test
    assert.deepEqual([...tokenizer.encodeUntrusted(text)], ids, JSON.stringify(text));
    assert.equal(tokenizer.decode(ids), text);
    assert.equal(tokenizer.decode(Uint32Array.from(ids)), text);
  }
});

test("no added token comes out of a candidate", () => {
  const added = JSON.parse(json).added_tokens;
  assert.equal(added.length, 22);
  for (const { id, content } of added) {
    assert.equal(tokenizer.tokenId(content), id);
    const ids = [...tokenizer.encodeUntrusted(`so ${content} and ${content}`)];
    assert.ok(ids.every((id) => id < 151_643), content);
    assert.equal(tokenizer.decode(ids), `so ${content} and ${content}`);
  }
});

test("ids and sizes", () => {
  assert.equal(tokenizer.vocabSize, 151_665);
  assert.equal(tokenizer.tokenId("<|endoftext|>"), 151_643);
  assert.equal(tokenizer.tokenId("no such token"), undefined);
  assert.equal(tokenizer.decode([]), "");
  assert.equal(tokenizer.decode([9707, 4_294_967_295]), "Hello");
});

test("wrong arguments and damaged files are typed errors", () => {
  assert.throws(() => new conclave.Tokenizer("{}"), conclaveError("input", "json: expected the file's bytes"));
  for (const bytes of [json.subarray(0, 1_000), new Uint8Array(), new TextEncoder().encode("{}"), new Uint8Array([255])]) {
    assert.throws(() => new conclave.Tokenizer(bytes), conclaveError("tokenizer", "tokenizer.json"));
  }
  assert.throws(() => tokenizer.encodeUntrusted(7), conclaveError("input", "text: expected a string"));
  assert.throws(() => tokenizer.decode("7"), conclaveError("input", "ids: expected"));
  for (const id of [-1, 1.5, 2 ** 32, NaN, "7", null]) {
    assert.throws(() => tokenizer.decode([9707, id]), conclaveError("input", "ids[1]"));
  }
});
