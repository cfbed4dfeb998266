/** The runner alone, natively: npm test */
import assert from "node:assert/strict";
import { test } from "node:test";

import { Captured, MOST_TEXT, MOST_VALUES, plain, shown } from "./plain.js";
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

test("what is too much is not looked at", () => {
  const sparse = new Array(2 ** 32 - 1);
  const notes = [];
  assert.equal(plain(sparse, notes).length, MOST_VALUES);
  assert.deepEqual(notes, ["result[99999]: there are too many values (... stands there)"]);
  let deep = null;
  for (let at = 0; at < 100_000; at += 1) deep = { deep };
  const text = shown({ deep, sparse: [1, , 3], map: new Map([[1n, /x/]]) });
  assert.ok(text.endsWith('"sparse":[1,null,3],"map":[["1","/x/"]]}'), text.slice(-80));
  assert.equal(shown(new Date(0)), '"1970-01-01T00:00:00.000Z"');
});

test("what is printed is cut, and counted", () => {
  const captured = new Captured();
  captured.line(["x".repeat(MOST_TEXT + 9)]);
  assert.equal(captured.text().length, MOST_TEXT);
  assert.equal(captured.lost, 10);
});
