import assert from "node:assert/strict";
import { test } from "node:test";
import { against, bars, clusterOf, COLOURS, dissent, forecast, letter, MOST_BARS, voteShare } from "../src/clusters.ts";
import type { Cluster, Result } from "../src/sample-set.ts";

function clusters(...votes: number[]): Cluster[] {
  let next = 0;
  return votes.map((count, index) => ({
    answer: `answer ${index}`,
    votes: count,
    share: 0,
    candidates: Array.from({ length: count }, () => next++),
  }));
}

test("letters go on after Z", () => {
  assert.deepEqual([0, 25, 26, 51, 52, 701, 702].map(letter), ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]);
});

test("bars are relative to the largest, shares to all who answered", () => {
  const { bars: drawn, unanswered, more } = bars(clusters(4, 2, 1), 8);
  assert.deepEqual(
    drawn.map(({ length }) => length),
    [1, 0.5, 0.25],
  );
  assert.deepEqual(
    drawn.map(({ share }) => share),
    [4 / 7, 2 / 7, 1 / 7],
  );
  assert.deepEqual([unanswered, more], [1, 0]);
  assert.equal(bars(clusters(4, 2, 1), 8, true).bars[0]?.share, 0.5);
  assert.deepEqual(bars([], 0), { bars: [], more: 0, unanswered: 0 });
});

test("many clusters: some are drawn, colours end in grey, none is forgotten", () => {
  const many = bars(clusters(...Array<number>(10_000).fill(1)), 10_000);
  assert.equal(many.bars.length, MOST_BARS);
  assert.equal(many.more, 10_000 - MOST_BARS);
  assert.equal(many.unanswered, 0);
  assert.deepEqual([many.bars[5]?.colour, many.bars[6]?.colour, many.bars[20]?.colour], [5, COLOURS, COLOURS]);
});

test("select mode shows the model's probability", () => {
  const [cluster] = clusters(1);
  const { bars: drawn } = bars([{ ...cluster!, log_prob: Math.log(0.25) }], 1);
  assert.ok(Math.abs((drawn[0]?.mass ?? 0) - 0.25) < 1e-12);
});

test("candidates find their clusters", () => {
  assert.deepEqual(
    [...clusterOf(clusters(2, 1))],
    [
      [0, 0],
      [1, 0],
      [2, 1],
    ],
  );
});

test("dissent in words", () => {
  assert.equal(dissent(clusters(8), 0, 8), "All agree.");
  assert.equal(dissent(clusters(6), 0, 8), "All who answered agree; 2 gave none.");
  assert.equal(dissent(clusters(4, 2, 1), 1, 8), "2 of 8 candidates agree; 5 gave 2 other answers; 1 gave none.");
  assert.equal(dissent(clusters(4, 2), null, 6), "No candidate gave this answer; 6 gave 2 other answers.");
  assert.equal(dissent([], null, 3), "No candidate gave an answer.");
});

test("what will decide", () => {
  assert.equal(voteShare({ clusters: clusters(3, 1), readings: [...Array(4).fill({ answer: "7" }), undefined] }), 0.75);
  assert.equal(voteShare({ clusters: [], readings: [] }), 0);
  assert.match(forecast("auto", 0.8, 4), /the vote is enough/);
  assert.match(forecast("auto", 0.64, 8), /the model is asked/);
  assert.match(forecast("always", 0.97, 4), /in any case/);
  assert.match(forecast("vote", 0.1, 4), /the vote decides/);
  assert.match(forecast("auto", 0, 0), /No candidate has an answer/);
});

test("for or against the vote", () => {
  const result = { method: "generate" } as Result;
  assert.deepEqual(
    [0, 1, null].map((chosen) => against(result, chosen)),
    ["with", "against", "own"],
  );
  assert.equal(against({ method: "vote" } as Result, null), "with");
});
