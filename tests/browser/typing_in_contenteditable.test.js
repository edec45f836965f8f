import { test } from "node:test";
import * as typing from "./typing.js";
import { visit } from "./visits.js";

test("contenteditable: typed key by key, two turns", visit(typing.keyByKey, { box: "editable" }));
test("contenteditable: edits in the middle", visit(typing.editsInTheMiddle, { box: "editable" }));
test("contenteditable: a selection is replaced", visit(typing.replacesASelection, { box: "editable" }));
test("contenteditable: undo and redo", visit(typing.undoesAndRedoes, { box: "editable" }));
test("contenteditable: cut and paste", visit(typing.cutsAndPastes, { box: "editable" }));
test("contenteditable: emoji, CJK, combining marks", visit(typing.typesBeyondTheFirstPlane, { box: "editable" }));
test("contenteditable: dictation that replaces everything", visit(typing.dictates, { box: "editable" }));
test("contenteditable: two lines", visit(typing.writesTwoLines, { box: "editable" }));
test("contenteditable: a composition whose candidates change, committed by Enter", visit(typing.composes, { box: "editable" }));
test("contenteditable: a composition that is cancelled", visit(typing.cancelsAComposition, { box: "editable" }));
test("contenteditable: a composition in the middle", visit(typing.composesInTheMiddle, { box: "editable" }));
