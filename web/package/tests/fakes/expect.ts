// What tests say about errors.

import assert from "node:assert/strict";
import { AggregatorError, type ErrorCode } from "../../src/errors.js";

/** For `assert.rejects` and `assert.throws`: an error of the package with this code, whose message has this part. */
export const failure = (code: ErrorCode, part = "") => (error: unknown) => {
  assert.ok(error instanceof AggregatorError, `not an AggregatorError: ${String(error)}`);
  assert.equal(error.code, code, error.message);
  assert.ok(error.message.includes(part), `"${error.message}" has no "${part}"`);
  assert.ok(error.remedy.length > 10);
  return true;
};
