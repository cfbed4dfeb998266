/** The runner alone, natively: npm test */
import assert from "node:assert/strict";
import { test } from "node:test";

import { Captured, MOST_TEXT, plain } from "./plain.js";
import { run } from "./tool.js";

test("print and result are apart", () => {
  const { stdout, result, exception } = run({ code: "console.log(input); input + 1", input: 1 });
  assert.deepEqual({ stdout, result, exception }, { stdout: "1\n", result: 2, exception: null });
});

test("a return at the top gives the result", () => {
  assert.equal(run({ code: "if (true) { return 3 }" }).result, 3);
});

test("a brace too many is no way out of the check", () => {
  assert.equal(run({ code: "}); (function(){" }).exception.type, "SyntaxError");
});

test("an exception is told", () => {
  const { type, message } = run({ code: "null.x" }).exception;
  assert.equal(type, "TypeError");
  assert.match(message, /null/);
});

test("values that JSON cannot say have a note", () => {
  const ring = [];
  ring.push(ring);
  const notes = [];
  assert.deepEqual(plain([1n, ring, Infinity], notes), ["1", ["..."], "Infinity"]);
  assert.equal(notes.length, 3);
});

test("what is printed is cut, and counted", () => {
  const captured = new Captured();
  captured.line(["x".repeat(MOST_TEXT + 9)]);
  assert.equal(captured.text().length, MOST_TEXT);
  assert.equal(captured.lost, 10);
});
