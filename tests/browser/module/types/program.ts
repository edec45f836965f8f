// A program of somebody who installed the package: every public name, with the types that it should have.

import { Answer, bindTextBox, Conversation, ForefillError, TextBox } from "forefill";
import type { AnswerPart, ConversationOptions, Failure, Finished, Message, Opened, SocketState, TextBoxOptions, Twin } from "forefill";

const options: ConversationOptions = {
  messages: [{ role: "user", content: "Hi" }],
  storage: "chat",
  onError: (failure: Failure) => console.error(failure.reason, failure.retry_after_ms ?? 0),
};
const conversation = new Conversation(new URL("wss://example.org/socket"), options);

conversation.addEventListener("opened", ({ detail }) => detail.max_draft_code_points satisfies number);
conversation.addEventListener("edit", ({ detail }) => [detail.start, detail.composing] satisfies [number, boolean]);
conversation.addEventListener("state", ({ detail: { state } }) => state satisfies SocketState, { once: true });
// @ts-expect-error: an event that there is not has no detail
conversation.addEventListener("closed", ({ detail }) => detail);

const bound: TextBoxOptions = { submitOn: "ctrl+enter", lazy: true, onSubmit: (answer) => void show(answer) };
const box: TextBox = bindTextBox(conversation, document.createElement("textarea"), bound);
// @ts-expect-error: there is no such key
bindTextBox(conversation, document.createElement("div"), { submitOn: "space" });

async function show(answer: Answer): Promise<void> {
  try {
    for await (const part of answer) console.log((part satisfies AnswerPart).text, part.reasoning);
    const finished: Finished = await answer.finished;
    console.log(finished.reason, finished.ledger.join(" "), answer.started?.ttft_ms);
    const twin: Twin = await conversation.measureTwin(answer.turn);
    console.log(twin.cold_ms, twin.static_ms, twin.waited_ms, twin.error);
  } catch (error) {
    if (error instanceof ForefillError) console.error(error.reason, error.retryAfterMs, error.turn, error.continues);
  }
  // @ts-expect-error: only the conversation writes an answer
  answer.text = "";
}

const asked: Answer | null = box.submit() ?? conversation.submit("text") ?? conversation.regenerate();
void asked?.cancel({ keepText: false });
conversation.rewrite(1, [{ role: "assistant", content: "Hello" }]) satisfies boolean;
conversation.setDraft("text", { composing: true });
conversation.hint(false);
const said: readonly Message[] = conversation.messages;
const opened: Opened | null = conversation.opened;
console.log(said.length, opened?.model, conversation.draft.length, conversation.token, conversation.running?.turn);
// @ts-expect-error: only rewrite changes the messages
conversation.messages = [];
box.sync();
box.detach();
conversation.connect();
conversation.close();
