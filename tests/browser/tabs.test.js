/** Two tabs of one person. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { opens } from "./opens.js";
import { visit } from "./visits.js";

test("two tabs are two conversations", visit(async (user, context) => {
  await user.types("Show me all patients");
  await user.settled();
  const second = await opens(context);
  await second.types("Which beds are free?");
  await second.asks();
  user.streamsEnd = second.streamsBefore;
  await user.asks();
  await second.hasSeenNothingWrong();
}));
