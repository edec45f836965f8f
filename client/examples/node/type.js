// Type a question at a forefill server from Node, and print the answer as it comes.
//
//     npm ci --prefix client/examples/node
//     node client/examples/node/type.js 127.0.0.1:50051 "Show me all patients"
//
// Lengths on the wire count Unicode code points, not the UTF-16 units that JavaScript's `length` counts: an emoji is one,
// not two. `for (const char of text)` goes by code points, and a `u` in a regular expression makes it do so too.

import { fileURLToPath } from "node:url";

import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";

const PROTO = fileURLToPath(new URL("../../../proto/forefill/v1/keystroke.proto", import.meta.url));
const { forefill } = grpc.loadPackageDefinition(
  protoLoader.loadSync(PROTO, { longs: Number, enums: String, defaults: true, oneofs: true }),
);

const OPEN = {
  messages: [{ role: "system", content: "You write SQL for a clinic. Answer with one statement." }],
  sampling: { temperature: 0, maxTokens: 64 },
};

/** Return the CRC-32, as in zlib and PNG, of a text in UTF-8. From Node 22.2 on, zlib.crc32(text) does it. */
function crc32(text) {
  let crc = 0xffffffff;
  for (const byte of new TextEncoder().encode(text)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

/**
 * Yield what a user causes who types `question`, presses Enter and leaves. A FLUSH follows each word and every fourth
 * code point, since not all scripts put spaces between words.
 */
function* typed(question) {
  let draft = "";
  let codePoints = 0;
  for (const char of question) {
    draft += char;
    codePoints += 1;
    yield { charAdd: { text: char } };
    if (/\s/u.test(char) || codePoints % 4 === 0) {
      yield { flush: { draftCodePoints: codePoints, draftCrc32: crc32(draft) } };
    }
  }
  yield { submit: { text: question } };
  yield { end: {} }; // the answer still comes; leave END out to ask another question after it
}

/** Print the answer and return whether there was one. */
async function ask(address, question) {
  const client = new forefill.v1.KeystrokeService(address, grpc.credentials.createInsecure());
  const stream = client.Compose();
  stream.write({ open: OPEN });
  let seq = 0;
  for (const event of typed(question)) stream.write({ event: { seq: ++seq, ...event } });
  stream.end();

  let answered = false;
  try {
    for await (const { response, flushResult, generationDelta, generationFinished, sessionError } of stream) {
      switch (response) {
        case "flushResult":
          console.error(`${flushResult.outcome}, ${flushResult.confirmedCodePoints} code points confirmed`);
          break;
        case "generationDelta":
          process.stdout.write(generationDelta.text);
          break;
        case "generationFinished": {
          const { cachedTokens, promptTokens } = generationFinished.usage;
          answered = true;
          console.log();
          console.error(`${cachedTokens} of ${promptTokens} tokens were cached`);
          break;
        }
        case "sessionError": // one event was refused; the session goes on
          console.error(`error: ${sessionError.message}`);
      }
    }
  } finally {
    client.close();
  }
  return answered;
}

const [address, question] = process.argv.slice(2);
if (question === undefined) {
  console.error("usage: node type.js HOST:PORT TEXT");
  process.exit(2);
}
try {
  process.exitCode = (await ask(address, question)) ? 0 : 1;
} catch (error) {
  console.error(`error: ${error.details ?? error.message}`); // the stream has ended with it
  process.exitCode = 1;
}
