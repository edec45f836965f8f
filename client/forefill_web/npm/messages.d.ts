export type Message = {
    role: "user" | "assistant";
    content: string;
};
/**
 * The answer to `open`.
 */
export type Opened = {
    type: "opened";
    token: string;
    /**
     * Whether the bridge still had the conversation.
     */
    resumed: boolean;
    model: string;
    block_size: number;
    base_prompt_tokens: number;
    /**
     * The longest draft; 0 for no limit.
     */
    max_draft_code_points: number;
    /**
     * Why warming has no effect here; "" if it works.
     */
    warming_inert_reason: string;
    accepts_hints: boolean;
    offers_twin: boolean;
    messages: Message[];
    /**
     * What the bridge has.
     */
    draft: string;
    /**
     * The last turn that was asked for; 0 if none.
     */
    turn: number;
    answer?: RunningAnswer;
};
/**
 * The answer that runs when a socket opens: what has come of it so far.
 */
export type RunningAnswer = {
    turn: number;
    submitted_text: string;
    text: string;
    reasoning: string;
    started?: Omit<Started, "type">;
};
/**
 * A result of the server's warming.
 */
export type Flush = {
    type: "flush";
    confirmed_code_points: number;
    /**
     * null: the server cannot tell
     */
    cached_code_points: number | null;
    stable_tokens: number;
    cached_tokens: number;
    computed_tokens: number;
    outcome: string;
    shed_reason: string;
};
/**
 * An answer to the draft was begun, or came to an outcome.
 */
export type Guess = {
    type: "guess";
    begun: boolean;
    outcome?: string;
    tokens: number;
    engine_ms: number;
};
/**
 * The first token of an answer has come.
 */
export type Started = {
    type: "started";
    turn: number;
    source: string;
    cached_tokens: number;
    prompt_tokens: number;
    /**
     * Measured by the bridge from the receipt of `submit`.
     */
    ttft_ms: number;
};
export type Delta = {
    type: "delta";
    turn: number;
    text?: string;
    reasoning?: string;
};
/**
 * The end of an answer.
 */
export type Finished = {
    type?: "finished";
    turn: number;
    /**
     * Such as "stop", "length", "cancelled".
     */
    reason: string;
    /**
     * The fields of the SDK's Report; null if the bridge was never told of the turn.
     */
    report: Record<string, unknown> | null;
    /**
     * The report's ledger in words.
     */
    ledger: string[];
};
/**
 * Something went wrong. With `turn`, that answer failed. Without `continues`, the conversation is closed.
 */
export type Failure = {
    type?: "error";
    reason: string;
    message: string;
    turn?: number;
    retry_after_ms?: number;
    continues: boolean;
};
/**
 * The wait for an answer, and what it would have been without forefill, in milliseconds.
 */
export type Twin = {
    type?: "twin";
    turn: number;
    /**
     * With nothing cached.
     */
    cold_ms?: number;
    /**
     * With the conversation before the message cached, as prefix caching alone has it.
     */
    static_ms?: number;
    /**
     * What this answer waited.
     */
    waited_ms?: number;
    /**
     * Why it could not be measured.
     */
    error?: string;
};
export type BridgeState = {
    type: "state";
    state: "open" | "reconnecting";
    message?: string;
};
export type FromBridge = Opened | Flush | Guess | Started | Delta | Finished | Failure | Twin | BridgeState | {
    type: "resync";
};
