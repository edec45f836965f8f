// forefill in a web page: the model reads the prompt while it is typed, so that the answer starts at Enter.

export { Answer } from "./answer.js";
export { Conversation } from "./conversation.js";
export { ForefillError } from "./errors.js";
export { bindTextBox, TextBox } from "./text_box.js";

/** @typedef {import("./answer_state.js").AnswerPart} AnswerPart */
/** @typedef {import("./events.js").ConversationEvents} ConversationEvents */
/** @typedef {import("./conversation.js").ConversationOptions} ConversationOptions */
/** @typedef {import("./draft.js").Edit} Edit */
/** @typedef {import("./messages.js").Failure} Failure */
/** @typedef {import("./messages.js").Finished} Finished */
/** @typedef {import("./messages.js").Flush} Flush */
/** @typedef {import("./messages.js").Guess} Guess */
/** @typedef {import("./messages.js").Message} Message */
/** @typedef {import("./messages.js").Opened} Opened */
/** @typedef {import("./messages.js").Started} Started */
/** @typedef {import("./messages.js").Twin} Twin */
/** @typedef {import("./socket.js").SocketState} SocketState */
/** @typedef {import("./text_box.js").TextBoxOptions} TextBoxOptions */
