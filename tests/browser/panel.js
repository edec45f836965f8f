/** The control panel of tests/support/browser_stage.py: what reached the server, and orders to the network and the bridge. */

export const PANEL = process.env.FOREFILL_PANEL ?? "";
export const PAGE = process.env.FOREFILL_PAGE ?? "";

/**
 * @typedef {{text: string | null, draft: string, answer: string}} Submit
 * @typedef {{draft: string, measures: boolean, edits: number, flushed: number, submits: Submit[], refusals: string[]}} Stream
 */

/** @returns {Promise<{streams: Stream[], log: string}>} */
export async function record() {
  return (await fetch(`${PANEL}/record`)).json();
}

/**
 * The server's answer to a conversation, which depends on nothing else.
 * @param {{role: string, content: string}[]} messages
 * @returns {Promise<string>}
 */
export async function expectedAnswer(messages) {
  return (await fetch(`${PANEL}/expected`, { method: "POST", body: JSON.stringify(messages) })).json();
}

/** @param {"cut" | "down" | "up" | "kill-bridge" | "stop-bridge" | "start-bridge"} what */
export async function order(what) {
  const response = await fetch(`${PANEL}/order/${what}`, { method: "POST" });
  if (!response.ok) throw new Error(`${what}: ${await response.text()}`);
}
