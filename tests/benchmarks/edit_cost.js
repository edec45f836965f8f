// What the module's part of one key costs with a long draft: from a text box's new content to the message on the socket.
// Not what the browser itself does for a key, nor the reading of its text.
//
//     node tests/benchmarks/edit_cost.js
//
// An edit is compared, counted, told to listeners and sent as JSON. Each text is made anew, flat, as a text box gives it.

import { performance } from "node:perf_hooks";

import { conversationWith, ModelBridge, settled } from "../browser/module/world.js";

const CHARACTERS = 20_000;
const KEYS = 2000;
const RUNS = 5;
const WARM_UP = 200;
const flat = (text) => JSON.parse(JSON.stringify(text));
const TEXTS = { "ASCII": "Show me all. ", "with emoji": "Show 😀 all. ", "Chinese": "显示所有病人。" };
const PLACES = { "at the end": 1, "in the middle": 0.5, "at the beginning": 0 };

function quantile(sorted, share) {
  return (sorted[Math.floor(share * (sorted.length - 1))] * 1000).toFixed(0).padStart(5);
}

async function timesOf(text, place) {
  const bridge = new ModelBridge();
  bridge._edit = () => {}; // the model's own cost is not the module's
  const ending = [];
  const conversation = conversationWith({ after: (end) => ending.push(end) }, bridge);
  conversation.addEventListener("edit", () => {});
  conversation.setDraft(text);
  await settled();
  let at = [...text].slice(0, Math.floor([...text].length * place)).join("").length;
  const times = [];
  for (let key = 0; key < KEYS + WARM_UP; key++) {
    text = flat(text.slice(0, at) + "x" + text.slice(at++));
    bridge.heard.length = 0;
    const began = performance.now();
    conversation.setDraft(text);
    times.push(performance.now() - began);
    if (bridge.heard.length !== 1) throw new Error("a key is one message");
  }
  for (const end of ending) end();
  return times.slice(WARM_UP).sort((one, other) => one - other);
}

console.log(`Node ${process.version}, ${CHARACTERS} characters, ${KEYS} keys, ${RUNS} runs; microseconds a key`);
console.log("text         place              median of each run          p99 of each run");
for (const [name, piece] of Object.entries(TEXTS)) {
  const text = piece.repeat(Math.ceil(CHARACTERS / piece.length)).slice(0, CHARACTERS).toWellFormed();
  for (const [where, place] of Object.entries(PLACES)) {
    const runs = [];
    for (let run = 0; run < RUNS; run++) runs.push(await timesOf(text, place));
    const columns = [0.5, 0.99].map((share) => runs.map((times) => quantile(times, share)).join(""));
    console.log(`${name.padEnd(12)} ${where.padEnd(17)}${columns.join("  ")}`);
  }
}
