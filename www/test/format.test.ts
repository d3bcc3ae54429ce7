import assert from "node:assert/strict";
import { test } from "node:test";
import { bytes, duration, excerpt, parameters, plural, probability, tokensPerSecond } from "../src/format.ts";

const plain = (text: string) => text.replaceAll("\u202f", " ");

test("bytes", () => {
  const cases = [
    [0, "0 B"],
    [999, "999 B"],
    [1000, "1.0 kB"],
    [2_080_768, "2.1 MB"],
    [279_400_000, "279 MB"],
    [999_960, "1.0 MB"],
  ] as const;
  for (const [count, text] of cases) assert.equal(plain(bytes(count)), text);
});

test("durations", () => {
  const cases = [
    [0, "0 ms"],
    [84.2, "84 ms"],
    [999.6, "1.00 s"],
    [1240, "1.24 s"],
    [12_340, "12.3 s"],
    [59_960, "1 min 0 s"],
    [185_000, "3 min 5 s"],
  ] as const;
  for (const [milliseconds, text] of cases) assert.equal(plain(duration(milliseconds)), text);
});

test("a probability is never rounded to certainty", () => {
  assert.deepEqual(
    [0, 0.0001, 0.637, 0.9999, 1].map((value) => plain(probability(value))),
    ["0.000", "< 0.001", "0.637", "> 0.999", "1.000"],
  );
});

test("parameters and plurals", () => {
  assert.deepEqual([1150, 1_030_000, 494_000_000, 1_540_000_000].map(parameters), [
    "1,150",
    "1.0 million",
    "494 million",
    "1.5 billion",
  ]);
  assert.deepEqual([plural(1, "vote"), plural(1200, "vote")], ["1 vote", "1,200 votes"]);
});

test("speed counts from the first token on", () => {
  assert.equal(tokensPerSecond(11, 2000, 1000), 10);
  assert.equal(tokensPerSecond(10, 1000, undefined), 10);
  assert.equal(tokensPerSecond(1, 1000, 500), undefined);
  assert.equal(tokensPerSecond(0, 0, undefined), undefined);
});

test("an excerpt keeps both ends, whole characters and the count", () => {
  assert.deepEqual(excerpt("short", 10), { head: "short", omitted: 0, tail: "" });
  const { head, omitted, tail } = excerpt("a".repeat(10) + "b".repeat(100), 30);
  assert.deepEqual([head, omitted, tail], ["a".repeat(10), 80, "b".repeat(20)]);
  for (let most = 3; most < 12; most += 1) {
    const parts = excerpt("\u{1F600}".repeat(20), most);
    // Half a character would be encoded as the mark for what is none.
    assert.doesNotMatch(Buffer.from(`${parts.head}${parts.tail}`).toString(), /\ufffd/);
    assert.equal(parts.head.length + parts.omitted + parts.tail.length, 40);
  }
});
