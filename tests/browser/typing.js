/**
 * What a person does in a text box, whatever kind of box it is. At each SUBMIT the server's own draft is what the box
 * shows; see User.
 */
import assert from "node:assert/strict";

/** @typedef {import("./user.js").User} User */

/** @param {User} user */
export async function keyByKey(user) {
  await user.types("Show me all the patients that were seen last year.");
  await user.asks();
  await user.types("And those of this year?");
  await user.asks();
}

/** @param {User} user */
export async function editsInTheMiddle(user) {
  await user.types("Show patients");
  await user.presses("Home", ...Array(5).fill("ArrowRight"));
  await user.types("me all ");
  await user.presses("Delete", "Backspace", "End", "Backspace");
  assert.equal(await user.settled(), "Show me allatient");
  await user.asks();
}

/** @param {User} user */
export async function replacesASelection(user) {
  await user.types("Which beds are free?");
  await user.presses("Home", ...Array(6).fill("ArrowRight"), ...Array(4).fill("Shift+ArrowRight"));
  await user.types("rooms");
  assert.equal(await user.settled(), "Which rooms are free?");
  await user.presses("Control+A");
  await user.types("W");
  assert.equal(await user.settled(), "W");
  await user.types("ho works?");
  await user.asks();
}

/** @param {User} user */
export async function undoesAndRedoes(user) {
  await user.types("Show me ");
  await user.inserts("all ");
  await user.presses("Control+A", "Delete");
  assert.equal(await user.settled(), "");
  await user.presses("Control+Z");
  const undone = await user.settled();
  assert.equal(undone, "Show me all ", "undo brought the text back");
  await user.presses("Control+Z");
  assert.notEqual(await user.settled(), undone, "undo went on");
  await user.presses("Control+Shift+Z");
  assert.equal(await user.settled(), undone, "redo");
  await user.asks();
}

/** @param {User} user */
export async function cutsAndPastes(user) {
  await user.types("beds free, ");
  await user.presses("Control+A", "Control+X");
  assert.equal(await user.settled(), "");
  await user.presses("Control+V", "Control+V");
  assert.equal((await user.settled()).trimEnd(), "beds free, beds free,");
  await user.asks();
}

/** @param {User} user */
export async function typesBeyondTheFirstPlane(user) {
  await user.types("患者 👨‍👩‍👧 𝔘𝔫𝔦 e\u0301te\u0301 ไทย");
  await user.presses("Home", "ArrowRight", "ArrowRight", "ArrowRight", "ArrowRight");
  await user.types("🚑了");
  await user.settled();
  await user.presses("Backspace", "Backspace", "Delete");
  await user.types("x");
  await user.asks();
}

/** @param {User} user */
export async function dictates(user) {
  await user.box.focus();
  for (const heard of ["shoe", "shoe me old", "Show me all patience", "Show me all patients 😷 in cardiology."]) {
    await user.presses("Control+A");
    await user.inserts(heard);
    assert.equal(await user.settled(), heard);
  }
  await user.asks();
}

/** @param {User} user */
export async function writesTwoLines(user) {
  await user.types("One line");
  await user.presses("Shift+Enter");
  await user.types("and another");
  assert.equal(await user.settled(), "One line\nand another");
  await user.asks();
}

/** @param {User} user */
export async function composes(user) {
  await user.types("Show ");
  for (const shown of ["k", "か", "かん", "かんじゃ", "患者", "感じゃ", "患者"]) {
    await user.composes(shown);
    assert.equal(await user.settled(), `Show ${shown}`);
  }
  await commitsByEnter(user, "患者");
  assert.equal(await user.settled(), "Show 患者");
  assert.deepEqual(await user.submits(), [], "the Enter that ends a composition does not send");
  await user.types(" now");
  await user.asks();
}

/** @param {User} user */
export async function cancelsAComposition(user) {
  await user.types("Show beds");
  await user.composes("か");
  await user.composes("かん");
  await user.composes("");
  assert.equal(await user.settled(), "Show beds");
  await user.types("!");
  await user.asks();
}

/** @param {User} user */
export async function composesInTheMiddle(user) {
  await user.types("Show  beds");
  await user.presses("Home", ...Array(5).fill("ArrowRight"));
  await user.composes("に");
  await user.composes("二");
  await user.settled();
  await user.inserts("二");
  assert.equal(await user.settled(), "Show 二 beds");
  await user.asks();
}

/**
 * Enter as an input method of a Mac takes it: the page gets the key code 229, and then the text.
 * @param {User} user
 * @param {string} text
 */
async function commitsByEnter(user, text) {
  const cdp = await user.cdp();
  const enter = { code: "Enter", windowsVirtualKeyCode: 229, nativeVirtualKeyCode: 229 };
  await cdp.send("Input.dispatchKeyEvent", { ...enter, type: "rawKeyDown", key: "Enter" });
  await cdp.send("Input.insertText", { text });
  await cdp.send("Input.dispatchKeyEvent", { ...enter, type: "keyUp", key: "Enter" });
}
