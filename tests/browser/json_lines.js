/** A reporter: one line of JSON for each test that has ended. */
import { inspect } from "node:util";

/** @param {AsyncIterable<{type: string, data: any}>} events */
export default async function* jsonLines(events) {
  for await (const { type, data } of events) {
    if (type !== "test:pass" && type !== "test:fail") continue;
    if (data.skip !== undefined) continue; // it was not asked for
    const error = data.details?.error;
    const failure = type === "test:fail" ? inspect(error?.cause ?? error, { depth: 4, maxStringLength: 4000 }) : "";
    yield `${JSON.stringify({ name: data.name, failure, seconds: data.details?.duration_ms / 1000 })}\n`;
  }
}
