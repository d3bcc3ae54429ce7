// The hash against the vectors of NIST (FIPS 180-4, and the byte-oriented ones of CAVP) and against Node.js.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Sha256, sha256 } from "../src/sha256.js";
import { noise, sha256Of } from "./fakes/server.js";

const text = (text: string) => new TextEncoder().encode(text);

test("the vectors of NIST", () => {
  const vectors: [Uint8Array, string][] = [
    [text(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
    [text("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
    [
      text("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
    ],
    [
      text("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu"),
      "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1",
    ],
    [text("a".repeat(1_000_000)), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"],
    [Uint8Array.of(0xd3), "28969cdfa74a12c82f3bad960b0b000aca2ac329deea5c2328ebc6f2ba9802c1"],
    [Uint8Array.of(0x11, 0xaf), "5ca7133fa735326081558ac312c620eeca9970d1e70a4b95533d956f072d1f98"],
    [Uint8Array.of(0x74, 0xba, 0x25, 0x21), "b16aa56be3880d18cd41e68384cf1ec8c17680c45a02b1575dc1518923ae8b0e"],
    [Uint8Array.of(0xc9, 0x8c, 0x8e, 0x55), "7abc22c0ae5af26ce93dbb94433a0e0b2e119d014f8e7f65bd56c61ccccd9504"],
  ];
  for (const [bytes, hash] of vectors) assert.equal(sha256(bytes), hash);
});

test("every length around the blocks", () => {
  for (let length = 0; length <= 260; length++) {
    const bytes = noise(length, length + 1);
    assert.equal(sha256(bytes), sha256Of(bytes), String(length));
  }
});

test("any division into pieces gives the same", () => {
  const bytes = noise(3_000);
  const expected = sha256Of(bytes);
  for (let seed = 1; seed <= 300; seed++) {
    const sizes = noise(200, seed);
    const hash = new Sha256();
    let at = 0;
    for (let i = 0; at < bytes.length; i++) {
      const size = i < sizes.length ? sizes[i]! % (seed % 3 === 0 ? 130 : 70) : bytes.length;
      hash.update(bytes.subarray(at, at + size));
      at += size;
    }
    assert.equal(hash.hex(), expected, String(seed));
  }
});
