// @ts-check
// Checks what source files say: each begins with a sentence on what it is, and comments follow the prose law
// of CONTRIBUTING.md.
import { readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { filesBelow, folders, root } from "./workspace.mjs";

const LONGEST = 110;
const DEFAULT_TAG = "@default" + "Value";
// A comment that begins so can't be read without what stands before it.
const LEANING = /^(Of|Their|Those)\b/;
// Other languages' files, and what tools write.
const SKIPPED = /[\\/](assembly|node_modules|dist|golden)[\\/]|simd-module\.ts$/;

/** The first line of each comment of a file, and its number. @param {string[]} lines */
function* commentStarts(lines) {
  for (const [i, line] of lines.entries()) {
    const doc = /^\s*\/\*\*\s*(.*)$/.exec(line);
    if (doc !== null) yield { at: i + 1, text: doc[1] || (lines[i + 1] ?? "").replace(/^\s*\*\s?/, "") };
    const own = /^\s*\/\/ (.*)$/.exec(line);
    if (own !== null && !/^\s*\/\/ /.test(lines[i - 1] ?? "")) yield { at: i + 1, text: own[1] ?? "" };
  }
}

/** @type {string[]} */
const problems = [];
const sources = [
  ...["packages", "apps"].flatMap((kind) =>
    folders(/** @type {"packages" | "apps"} */ (kind)).flatMap((name) =>
      filesBelow(join(root, kind, name, "src"), ".ts"),
    ),
  ),
  ...filesBelow(join(root, "tools"), ".mjs"),
].filter((file) => !SKIPPED.test(file));
for (const file of sources) {
  const where = relative(root, file);
  const lines = readFileSync(file, "utf8").split("\n");
  if (
    !/^(\/\*\*|\/\/)/.test(
      lines[lines[0]?.startsWith("// @ts-check") || lines[0]?.startsWith("#!") ? 1 : 0] ?? "",
    )
  ) {
    problems.push(`${where}:1 must begin with a comment: one sentence on what the file is.`);
  }
  for (const { at, text } of commentStarts(lines)) {
    if (LEANING.test(text))
      problems.push(`${where}:${at} must stand alone, and begins with "${text.split(" ")[0]}": ${text}`);
  }
  for (const [i, line] of lines.entries()) {
    if (line.includes(DEFAULT_TAG)) problems.push(`${where}:${i + 1} must give the default as "Default X."`);
    if (line.length > LONGEST && /^\s*(\*|\/\/ |\/\*)/.test(line) && !/https?:\/\/\S+$/.test(line)) {
      problems.push(`${where}:${i + 1} has a comment of ${line.length} columns, more than ${LONGEST}.`);
    }
  }
}
for (const problem of problems) console.error(`error: ${problem}`);
if (problems.length > 0) process.exitCode = 1;
else console.log(`prose: ${sources.length} files`);
