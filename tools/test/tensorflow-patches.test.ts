import { describe, expect, it } from "vitest";
import { patchBackend } from "../setup/tensorflow/patches.mjs";

const passages = [
  "#include <cstring>\n",
  "    case TF_ATTR_STRING: {\n",
  "    case TF_ATTR_TYPE: {\n",
  "  TFE_ContextOptions *tfe_options = TFE_NewContextOptions();\n",
];

describe("patchBackend", () => {
  it("puts each patch right after its passage and leaves the rest alone", () => {
    const patched = patchBackend(passages.join("// between\n"));
    expect(patched).toMatch(
      /#include <cstring>\n#include <cstdlib>\n#include "absl\/log\/globals.h"\n\/\/ between/,
    );
    expect(patched).toMatch(
      /case TF_ATTR_STRING: \{\n +if \(IsArray[^]*TFE_OpSetAttrStringList[^]*\/\/ between\n +case TF_ATTR_TYPE: \{\n +if \(IsArray[^]*TFE_OpSetAttrTypeList/,
    );
    expect(patched).toMatch(
      /TFE_NewContextOptions\(\);\n[^]*absl::SetMinLogLevel[^]*TFE_ContextOptionsSetConfig/,
    );
    expect(patched.split("// between\n")).toHaveLength(passages.length);
  });

  it("refuses a source without one of them, or with one twice", () => {
    for (const passage of passages) {
      const others = passages.filter((other) => other !== passage);
      expect(() => patchBackend(others.join(""))).toThrow("once, got it 0 times");
      expect(() => patchBackend([...passages, passage].join(""))).toThrow("once, got it 2 times");
    }
  });
});
