/** The functions alone, natively: npm test */
import assert from "node:assert/strict";
import { test } from "node:test";

import { count } from "./tool.js";

test("everything is counted", () => {
  const counted = count({ text: "To be, or\nnot to be\n", phrase: "to be" });
  assert.deepEqual(counted, { characters: 20, words: 6, lines: 2, occurrences: 2 });
});

test("an empty phrase is refused", () => {
  assert.throws(() => count({ text: "text", phrase: " " }), /phrase:/);
});
