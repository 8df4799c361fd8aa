// What CI says of suites that can't run, and that what it fetches is pinned.
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { summarize } from "../test-summary.mjs";
import { filesBelow, packageManager, root } from "../workspace.mjs";

const read = (file: string): string => readFileSync(join(root, file), "utf8");

describe("the end of npm test", () => {
  const opFiles = [
    "packages/nms/test/nms.op.test.ts",
    "packages/nn/test/nn.op.test.ts",
    "apps/trainer/test/run.op.test.ts",
  ];
  const report = {
    numPassedTests: 40,
    numFailedTests: 0,
    numPendingTests: 3,
    testResults: [
      {
        name: "apps/web/test/page.test.ts",
        assertionResults: [
          { status: "skipped", fullName: "the page a" },
          { status: "pending", fullName: "the page b" },
        ],
      },
      {
        name: "packages/nms/test/nms.op.test.ts",
        assertionResults: [
          { status: "skipped", fullName: "nms of one kind" },
          { status: "passed", fullName: "nms" },
        ],
      },
    ],
  };
  const whole = {
    opFiles,
    backends: { tensorflow: { available: true }, webgpu: { available: true } },
    chromium: { path: "/usr/bin/chromium" },
    isFiltered: false,
    mustRunAll: false,
    failed: [],
    suitesPassed: true,
  };
  const without = {
    ...whole,
    backends: {
      ...whole.backends,
      webgpu: { available: false, reason: "no adapter", command: "apt-get install mesa-vulkan-drivers" },
    },
    chromium: { reason: "no Chromium is here" },
    troubles: { chromium: "apt-get could not install it: E: no network" },
  };

  test("names the suites that did not run just before the count, each with its reason", () => {
    const { lines, failures } = summarize(report, without);
    expect(failures).toBe(0);
    expect(lines.slice(-4)).toEqual([
      "not run: 2 tests of apps/web/test/page.test.ts: no Chromium is here (apt-get could not install it: E: no network).",
      "not run: 3 suites on webgpu: no adapter. To run them: apt-get install mesa-vulkan-drivers",
      "not run: 3 suites on webgpu in a page: no Chromium is here (apt-get could not install it: E: no network).",
      "40 passed, 0 failed, 9 skipped",
    ]);
    expect(lines[0]).toBe("skipped: nms of one kind");
  });

  test("counts them as failures where every suite must run", () => {
    const { lines, failures } = summarize(report, { ...without, mustRunAll: true });
    expect(failures).toBe(3);
    expect(lines.at(-1)).toBe("40 passed, 3 failed, 9 skipped");
    expect(summarize(report, { ...whole, mustRunAll: true })).toMatchObject({ failures: 0 });
  });

  test("counts what failed, and a suite that could not be loaded", () => {
    expect(
      summarize({ ...report, numFailedTests: 2 }, { ...whole, failed: ["lint"], suitesPassed: false }),
    ).toMatchObject({ failures: 3 });
    expect(summarize(report, { ...whole, suitesPassed: false }).lines.at(-1)).toBe(
      "40 passed, 1 failed, 4 skipped",
    );
  });
});

describe(".ci/run", () => {
  let bin: string;
  beforeEach(() => {
    bin = mkdtempSync(join(tmpdir(), "mrcnn-ci-"));
    // Only these are found: no Chromium, no driver (`ls` finds nothing), nobody is root but everybody may.
    for (const name of ["bash", "env", "dirname", "sed", "head", "tail", "cat"])
      symlinkSync(
        spawnSync("bash", ["-c", `command -v ${name}`], { encoding: "utf8" }).stdout.trim(),
        join(bin, name),
      );
    stub("ls", "exit 2");
    stub("id", "echo 0");
    stub("timeout", 'shift; "$@"');
    stub("tee", `cat > "${bin}/written"`);
    stub("npm", 'echo "npm $*: ${MRCNN_NO_CHROMIUM-unset}; ${MRCNN_NO_WEBGPU-unset}."');
  });
  afterEach(() => rmSync(bin, { recursive: true, force: true }));
  function stub(name: string, script: string): void {
    writeFileSync(join(bin, name), `#!${join(bin, "bash")}\n${script}\n`);
    chmodSync(join(bin, name), 0o755);
  }
  const run = (): { lines: string[]; status: number | null } => {
    const { stdout, status } = spawnSync(join(bin, "bash"), [join(root, ".ci", "run")], {
      env: { PATH: bin, HOME: bin },
      encoding: "utf8",
      timeout: 30_000,
    });
    return { lines: stdout.trim().split("\n"), status };
  };

  test("passes on why Chromium and an adapter can't be had", () => {
    stub(
      "apt-get",
      'case "$1" in indextargets) exit 0 ;; update) exit 0 ;; *) echo "reading"; echo "E: Unable to locate package ${@: -1}" >&2; exit 100 ;; esac',
    );
    const { lines, status } = run();
    expect(status).toBe(0);
    expect(lines.at(-1)).toBe(
      "npm test: apt-get could not install it: E: Unable to locate package chromium; apt-get could not install it: E: Unable to locate package mesa-vulkan-drivers.",
    );
  });

  test("goes on where apt says nothing, and where there is none", () => {
    stub("apt-get", "exit 1");
    expect(run().lines.at(-1)).toBe(
      "npm test: apt-get could not install it: it said nothing, or took too long; apt-get could not install it: it said nothing, or took too long.",
    );
    rmSync(join(bin, "apt-get"));
    expect(run().lines.at(-1)).toBe(
      "npm test: there is no apt-get here to install it; there is no apt-get here to install it.",
    );
  });

  test("takes backports of Debian 12 from the mirror that the machine has", () => {
    stub(
      "apt-get",
      `case "$1" in indextargets) echo "bookworm-security main http://security.example/debian-security/"; echo "bookworm main http://mirror.example/debian/" ;; *) echo "$*" >> "${bin}/asked" ;; esac`,
    );
    expect(run().lines.at(-1)).toBe("npm test: ; .");
    expect(readFileSync(join(bin, "written"), "utf8")).toBe(
      "deb http://mirror.example/debian/ bookworm-backports main\n",
    );
    expect(readFileSync(join(bin, "asked"), "utf8")).toContain(
      "install -qq -y -t bookworm-backports mesa-vulkan-drivers",
    );
    stub(
      "apt-get",
      `case "$1" in indextargets) echo "noble main http://mirror.example/ubuntu/" ;; *) echo "$*" > "${bin}/asked" ;; esac`,
    );
    rmSync(join(bin, "written"));
    run();
    expect(readFileSync(join(bin, "asked"), "utf8")).toBe("install -qq -y mesa-vulkan-drivers\n");
  });

  test("names no host", () => {
    expect(read(".ci/run")).not.toMatch(/https?:\/\/|\.(org|com|net)\b/);
  });
});

describe("what is fetched", () => {
  test("is an action of one commit, with its version beside it", () => {
    const uses = filesBelow(join(root, ".github"), ".yml").flatMap((file) =>
      [...readFileSync(file, "utf8").matchAll(/uses: *(.*)/g)].map(([, text]) => text!),
    );
    expect(uses.length).toBeGreaterThan(0);
    for (const text of uses) expect(text).toMatch(/^[\w-]+\/[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
  });

  test("is the pnpm of the lock file wherever it is called", () => {
    const files = [
      "package.json",
      "CONTRIBUTING.md",
      "README.md",
      ".ci/run",
      ".github/workflows/ci.yml",
      ...filesBelow(join(root, "tools"), ".mjs").map((file) => file.slice(root.length + 1)),
    ];
    const called = files.flatMap((file) => [...read(file).matchAll(/pnpm@[\d.]+\d/g)].map(([name]) => name));
    expect(called.length).toBeGreaterThan(3);
    expect(new Set(called)).toEqual(new Set([packageManager()]));
    // Tools that npx brings are of one version too.
    for (const [, name] of read("package.json").matchAll(/npx --yes (?:-p )?([\w@/.-]+)/g))
      expect(name).toMatch(/^[\w-]+@\d+\.\d+\.\d+$/);
  });
});
