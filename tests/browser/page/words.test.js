import assert from "node:assert/strict";
import { test } from "node:test";

import { errorWords, stateWords } from "../../../client/forefill_web/page/connection_words.js";
import { SpokenAnswer } from "../../../client/forefill_web/page/spoken_answer.js";

test("an open connection needs no explanation, a lost one says what to do", () => {
  assert.equal(stateWords("open").long, "");
  for (const state of ["reconnecting", "offline", "closed"]) assert.match(stateWords(state).long, /Keep typing|Reload/);
});

test("an error says what happened, what to do, and when", () => {
  assert.equal(
    errorWords({ reason: "RATE_LIMITED", message: "x", retry_after_ms: 1500 }),
    "That was too much in a short time. Try again in 2 seconds.",
  );
  assert.equal(errorWords({ reason: "DRAFT_TOO_LONG", message: "x" }), "The message is too long. Shorten it.");
});

test("an error that the page does not know is told in the server's words", () => {
  assert.equal(errorWords({ reason: "NEW", message: "the moon is full" }), "The moon is full.");
  assert.equal(errorWords({}), "Something went wrong. Try again.");
});

test("an answer is spoken in whole sentences, each once", () => {
  const answer = "The first sentence is long enough to be spoken. The second one is shorter. And the rest";
  const spoken = new SpokenAnswer();
  const said = [...answer].map((letter) => spoken.read(letter)).filter(Boolean);
  said.push(spoken.end());
  assert.deepEqual(said, [
    "The first sentence is long enough to be spoken.",
    "The second one is shorter. And the rest",
  ]);
  assert.equal(spoken.end(), "");
});

test("a number is not the end of a sentence, and fences are not spoken", () => {
  const spoken = new SpokenAnswer();
  assert.equal(spoken.read("The value of the constant is close to 3.1415926 "), "");
  assert.equal(spoken.read("or so.\n```js\n"), "The value of the constant is close to 3.1415926 or so.");
});
