// The messages between a browser and the bridge, as SOCKET.md of forefill's repository defines them. Types alone.

/** @typedef {{ role: "user" | "assistant", content: string }} Message */

/**
 * The answer to `open`.
 * @typedef {object} Opened
 * @property {"opened"} type
 * @property {string} token
 * @property {boolean} resumed Whether the bridge still had the conversation.
 * @property {string} model
 * @property {number} block_size
 * @property {number} base_prompt_tokens
 * @property {number} max_draft_code_points The longest draft; 0 for no limit.
 * @property {string} warming_inert_reason Why warming has no effect here; "" if it works.
 * @property {boolean} accepts_hints
 * @property {boolean} offers_twin
 * @property {Message[]} messages
 * @property {string} draft What the bridge has.
 * @property {number} turn The last turn that was asked for; 0 if none.
 * @property {RunningAnswer} [answer]
 */

/**
 * The answer that runs when a socket opens: what has come of it so far.
 * @typedef {object} RunningAnswer
 * @property {number} turn
 * @property {string} submitted_text
 * @property {string} text
 * @property {string} reasoning
 * @property {Omit<Started, "type">} [started]
 */

/**
 * A result of the server's warming.
 * @typedef {object} Flush
 * @property {"flush"} type
 * @property {number} confirmed_code_points
 * @property {number | null} cached_code_points null: the server cannot tell
 * @property {number} stable_tokens
 * @property {number} cached_tokens
 * @property {number} computed_tokens
 * @property {string} outcome
 * @property {string} shed_reason
 */

/**
 * An answer to the draft was begun, or came to an outcome.
 * @typedef {object} Guess
 * @property {"guess"} type
 * @property {boolean} begun
 * @property {string} [outcome]
 * @property {number} tokens
 * @property {number} engine_ms
 */

/**
 * The first token of an answer has come.
 * @typedef {object} Started
 * @property {"started"} type
 * @property {number} turn
 * @property {string} source
 * @property {number} cached_tokens
 * @property {number} prompt_tokens
 * @property {number} ttft_ms Measured by the bridge from the receipt of `submit`.
 */

/** @typedef {{ type: "delta", turn: number, text?: string, reasoning?: string }} Delta */

/**
 * The end of an answer.
 * @typedef {object} Finished
 * @property {"finished"} [type]
 * @property {number} turn
 * @property {string} reason Such as "stop", "length", "cancelled".
 * @property {Record<string, unknown> | null} report The fields of the SDK's Report; null if the bridge was never told of the turn.
 * @property {string[]} ledger The report's ledger in words.
 */

/**
 * Something went wrong. With `turn`, that answer failed. Without `continues`, the conversation is closed.
 * @typedef {object} Failure
 * @property {"error"} [type]
 * @property {string} reason
 * @property {string} message
 * @property {number} [turn]
 * @property {number} [retry_after_ms]
 * @property {boolean} continues
 */

/**
 * The wait for an answer, and what it would have been without forefill, in milliseconds.
 * @typedef {object} Twin
 * @property {"twin"} [type]
 * @property {number} turn
 * @property {number} [cold_ms] With nothing cached.
 * @property {number} [static_ms] With the conversation before the message cached, as prefix caching alone has it.
 * @property {number} [waited_ms] What this answer waited.
 * @property {string} [error] Why it could not be measured.
 */

/** @typedef {{ type: "state", state: "open" | "reconnecting", message?: string }} BridgeState */

/** @typedef {Opened | Flush | Guess | Started | Delta | Finished | Failure | Twin | BridgeState | { type: "resync" }} FromBridge */

export {};
