// Errors: every code has a remedy, the module's codes are known, and nothing is lost between threads.

import assert from "node:assert/strict";
import { test } from "node:test";
import { AggregatorError, type ErrorCode, REMEDIES, fromPlain, isAbort, toAggregatorError, toPlain } from "../src/errors.js";
import { conclaveError } from "./fakes/module.js";

test("every code has a remedy that is a sentence", () => {
  for (const [code, remedy] of Object.entries(REMEDIES)) {
    assert.match(remedy, /^[A-Z].*\.$/s, code);
    const error = new AggregatorError(code as ErrorCode, "x");
    assert.equal(error.remedy, remedy);
    assert.equal(error.name, "AggregatorError");
    assert.ok(error instanceof Error && error.stack !== undefined);
  }
});

test("the codes of the module", () => {
  const codes: Record<string, ErrorCode> = {
    input: "input", io: "internal", not_found: "not-found", format: "format", config: "format", tokenizer: "format",
    shape: "format", unsupported: "unsupported", not_finite: "not-finite", cancelled: "aborted", capacity: "limits",
    device: "device-lost", device_lost: "device-lost", no_webgpu: "no-webgpu", limits: "limits",
    self_test: "self-test-failed", wrong_key: "unauthorized", no_such_model: "no-such-model", rate_limited: "rate-limited",
    no_credit: "http", connection_refused: "network", unknown_host: "network", tls: "network", cors: "cors",
    network: "network", disconnected: "network", timeout: "timeout", server_error: "http", rejected: "http",
    malformed_answer: "format", other: "internal", "one of a later release": "internal",
  };
  for (const [code, expected] of Object.entries(codes)) {
    const error = toAggregatorError(conclaveError(code, "what and where"));
    assert.equal(error.code, expected, code);
    assert.equal(error.message, "what and where");
    assert.ok(error.cause instanceof Error);
  }
});

test("a remedy of the module is better than one for all places", () => {
  const thrown = Object.assign(conclaveError("timeout"), { remedy: "Ask again." });
  assert.equal(toAggregatorError(thrown).remedy, "Ask again.");
  assert.equal(toAggregatorError(conclaveError("timeout")).remedy, REMEDIES.timeout);
});

test("whatever is thrown becomes one", () => {
  const error = new AggregatorError("quota", "full");
  assert.equal(toAggregatorError(error), error);
  assert.equal(toAggregatorError(new DOMException("", "AbortError")).code, "aborted");
  assert.equal(toAggregatorError(new DOMException("", "QuotaExceededError")).code, "quota");
  assert.equal(toAggregatorError(new TypeError("x")).code, "internal");
  for (const thrown of ["text", undefined, null, 7, {}]) assert.equal(toAggregatorError(thrown).code, "internal");
  assert.ok(isAbort(new DOMException("", "AbortError")) && !isAbort(new Error("AbortError")));
});

test("an error survives its way between threads", () => {
  const error = new AggregatorError("cors", "message", { remedy: "A remedy of its own.", cause: () => {} });
  const copy = fromPlain(structuredClone(toPlain(error)));
  assert.deepEqual([copy.code, copy.message, copy.remedy], ["cors", "message", "A remedy of its own."]);
});
