import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const PACKAGE = join(ROOT, "client/forefill_web/npm");
const COMPILER = join(ROOT, "tests/browser/node_modules/typescript/bin/tsc");
const manifest = JSON.parse(readFileSync(join(PACKAGE, "package.json"), "utf8"));
const sources = readdirSync(PACKAGE).filter((name) => name.endsWith(".js"));
const read = (name) => readFileSync(join(PACKAGE, name), "utf8");

test("npm pack takes the modules, their declarations, README and licence, and nothing else", () => {
  const said = execFileSync("npm", ["pack", "--dry-run", "--json"], { cwd: PACKAGE, encoding: "utf8" });
  const [{ files }] = JSON.parse(said);
  const declarations = sources.map((name) => name.replace(/\.js$/, ".d.ts"));
  assert.deepEqual(
    files.map(({ path }) => path).sort(),
    [...sources, ...declarations, "LICENSE", "README.md", "package.json"].sort(),
  );
});

test("the package has the version and the licence of the whole", () => {
  assert.match(readFileSync(join(ROOT, "pyproject.toml"), "utf8"), new RegExp(`^version = "${manifest.version}"$`, "m"));
  assert.equal(read("LICENSE"), readFileSync(join(ROOT, "LICENSE"), "utf8"));
});

test("the package depends on nothing", () => {
  assert.equal(manifest.dependencies, undefined);
  for (const name of sources) {
    for (const [, from] of read(name).matchAll(/\b(?:from|import) ?\(?"([^"]+)"/g)) assert.match(from, /^\.\/\w+\.js$/, name);
  }
});

test("nothing in it needs what a strict content security policy forbids, or stores beyond the tab", () => {
  const forbidden = /\beval\b|new Function|innerHTML|outerHTML|insertAdjacentHTML|document\.write|localStorage|document\.cookie|indexedDB/;
  for (const name of sources) assert.doesNotMatch(read(name), forbidden, name);
});

test("the public names", async () => {
  const names = Object.keys(await import("../../../client/forefill_web/npm/forefill.js"));
  assert.deepEqual(names, ["Answer", "Conversation", "ForefillError", "TextBox", "bindTextBox"]);
});

for (const resolution of ["nodenext", "bundler"]) {
  test(`a TypeScript program that has installed it is checked: ${resolution}`, (t) => {
    const project = mkdtempSync(join(tmpdir(), "forefill-types-"));
    t.after(() => rmSync(project, { recursive: true }));
    mkdirSync(join(project, "node_modules"));
    symlinkSync(PACKAGE, join(project, "node_modules/forefill"));
    copyFileSync(new URL("types/program.ts", import.meta.url), join(project, "program.ts"));
    const module = resolution === "bundler" ? "esnext" : "nodenext";
    const compilerOptions = { module, moduleResolution: resolution, target: "es2022", strict: true, noEmit: true, types: [] };
    writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["program.ts"] }));
    writeFileSync(join(project, "package.json"), JSON.stringify({ type: "module" }));
    try {
      execFileSync("node", [COMPILER, "-p", project], { encoding: "utf8" });
    } catch (error) {
      assert.fail(error.stdout);
    }
  });
}
