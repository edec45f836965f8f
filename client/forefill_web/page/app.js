// The page: a conversation, its box, and what happens while somebody types.

import { Conversation, bindTextBox } from "/forefill/forefill.js";

import { Chat } from "./chat.js";
import { Composer } from "./composer.js";
import { ConnectionView } from "./connection_view.js";
import { showExamples } from "./examples.js";
import { byId } from "./template.js";
import { bindTheme } from "./theme.js";
import { TimelineView } from "./timeline_view.js";
import { TurnLog } from "./turn_log.js";

bindTheme();

const conversation = new Conversation("/socket", { storage: "forefill" });
const log = new TurnLog();
const timeline = new TimelineView(() => log.shown);
const connection = new ConnectionView();
const composer = new Composer(() => chat.stop());
const chat = new Chat({ conversation, composer, connection, log, timeline });
showExamples(composer.element);

/**
 * @param {string} kind
 * @param {(detail: any) => void} handle
 */
function on(kind, handle) {
  conversation.addEventListener(kind, (/** @type {any} */ event) => handle(event.detail));
}

on("opened", (opened) => {
  connection.showModel(opened);
  chat.open(opened);
});
on("state", () => connection.showState(conversation.state));
on("edit", (edit) => {
  // A submit empties the draft, and then the box: nobody has typed.
  if (edit.length === 0 && composer.text) return;
  log.key(performance.now());
  timeline.change();
  composer.edited(edit.start);
});
on("flush", (flush) => {
  log.flush(performance.now(), flush);
  timeline.change();
  composer.flushed(flush);
});
on("guess", (guess) => {
  log.guess(performance.now(), guess);
  timeline.change();
  composer.guessed(guess);
});
on("started", (started) => chat.started(started));
on("error", (error) => {
  // An answer that failed is told where the answer is followed.
  if (error.turn === undefined) connection.showError(error);
});

byId("new-conversation").addEventListener("click", () => chat.clear());
byId("editing-cancel").addEventListener("click", () => chat.cancelEditing());
bindTextBox(conversation, composer.element, { sendButton: byId("send"), onSubmit: (answer) => chat.ask(answer) });
connection.showState(conversation.state);
// On a touch screen, the keyboard would cover the page before anybody has seen it.
if (matchMedia("(hover: hover)").matches) composer.focus();
