import { test } from "node:test";
import * as typing from "./typing.js";
import { visit } from "./visits.js";

test("typed key by key, two turns", visit(typing.keyByKey));
test("edits in the middle", visit(typing.editsInTheMiddle));
test("a selection is replaced", visit(typing.replacesASelection));
test("undo and redo", visit(typing.undoesAndRedoes));
test("cut and paste", visit(typing.cutsAndPastes));
test("emoji, CJK, combining marks", visit(typing.typesBeyondTheFirstPlane));
test("dictation that replaces everything", visit(typing.dictates));
test("two lines", visit(typing.writesTwoLines));
test("a composition whose candidates change, committed by Enter", visit(typing.composes));
test("a composition that is cancelled", visit(typing.cancelsAComposition));
test("a composition in the middle", visit(typing.composesInTheMiddle));
