// The state of the connection, and errors, in plain words with what to do. Pure.

const STATES = /** @type {Record<string, {short: string, long: string}>} */ ({
  connecting: { short: "Connecting", long: "" },
  open: { short: "Connected", long: "" },
  reconnecting: { short: "Reconnecting", long: "The connection was lost. Keep typing: nothing is lost, and it comes back by itself." },
  offline: { short: "Offline", long: "You are offline. Keep typing: what you send goes out when the network is back." },
  closed: { short: "Closed", long: "The connection is closed. Reload the page to go on here." },
});

/**
 * @param {string} state
 * @returns {{short: string, long: string}}
 */
export function stateWords(state) {
  return STATES[state] ?? { short: state, long: "" };
}

const ERRORS = /** @type {Record<string, [string, string]>} */ ({
  DRAFT_TOO_LONG: ["The message is too long.", "Shorten it."],
  PROMPT_TOO_LONG: ["The conversation is too long for this model.", "Shorten the message, or start a new conversation."],
  TEMPLATE_REFUSED: ["The model’s chat template refuses this conversation.", "Edit the last message, or start a new conversation."],
  EMPTY_SUBMIT: ["There is nothing to answer yet.", "Type a message first."],
  GENERATION_RUNNING: ["An answer is still being written.", "Wait for its end, or stop it."],
  ANSWER_RUNNING: ["An answer is still being written.", "Wait for its end, or stop it."],
  ANSWER_LOST: ["The answer failed while the connection was lost.", "Send the message again."],
  CONVERSATION_LOST: ["The answer was lost with the connection.", "Send the message again."],
  TAKEN_OVER: ["This conversation goes on in another tab.", ""],
  SESSION_ENDED: ["The conversation was ended.", "Reload the page to begin another."],
  GENERATION_FAILED: ["The engine could not write an answer.", "Send the message again."],
  GENERATION_INTERRUPTED: ["The engine was lost in the middle of the answer.", "Keep what came, or regenerate it."],
  ENGINE_UNAVAILABLE: ["The engine is not there.", "It may be restarting."],
  SERVER_STOPPING: ["The server is restarting.", "Keep typing: the page connects again by itself."],
  TOO_MANY_SESSIONS: ["The server is full.", "Another place opens when somebody leaves."],
  RATE_LIMITED: ["That was too much in a short time.", ""],
  SESSION_IDLE: ["Nothing was typed for long, so the session ended.", "Type on: a new one opens by itself."],
  SESSION_TOO_OLD: ["The session was open for very long and ended.", "Type on: a new one opens by itself."],
  MESSAGE_TOO_LARGE: ["The message is larger than the server accepts.", "Shorten it."],
  CLIENT_TOO_SLOW: ["This device could not keep up with the answer.", "Regenerate it."],
  UNAUTHENTICATED: ["The server does not know who you are.", "Sign in again."],
  CREDENTIALS_EXPIRED: ["You have been signed out.", "Sign in again."],
  PERMISSION_DENIED: ["You may not do this here.", "Ask whoever runs this server."],
  INTERNAL: ["The server failed.", "Send the message again. If it fails again, tell whoever runs this server."],
});

/**
 * @param {{reason?: string, message?: string, retry_after_ms?: number | null, continues?: boolean}} error
 * @returns {string} what happened and what to do, as sentences
 */
export function errorWords(error) {
  const [what, cure] = ERRORS[error.reason ?? ""] ?? [sentence(error.message), ""];
  return [what, cure, retryWords(error.retry_after_ms)].filter(Boolean).join(" ");
}

/** @param {string} [message] */
function sentence(message) {
  if (!message) return "Something went wrong. Try again.";
  const begun = message[0].toUpperCase() + message.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}

/** @param {number | null} [ms] */
function retryWords(ms) {
  if (!ms) return "";
  const seconds = Math.ceil(ms / 1000);
  return `Try again in ${seconds} ${seconds === 1 ? "second" : "seconds"}.`;
}
