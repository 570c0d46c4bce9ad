// Runs the tests in Node, on the modules of src/ as they are, without their types.

import { spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";

import { buildSync } from "esbuild";

const OUTPUT = "build/tests";
const tests = readdirSync("tests").filter((name) => name.endsWith(".test.ts"));

rmSync("build", { recursive: true, force: true });
buildSync({ entryPoints: ["src/*.ts", "tests/*.ts"], outdir: "build", target: "es2022", format: "esm" });
const reporters = ["spec", "./scripts/coverage.js"].flatMap((name) => [
  `--test-reporter=${name}`,
  "--test-reporter-destination=stdout",
]);
const files = tests.map((name) => `${OUTPUT}/${name.replace(/ts$/, "js")}`);
const ended = spawnSync(process.execPath, ["--test", "--experimental-test-coverage", ...reporters, ...files], {
  stdio: "inherit",
});
process.exitCode = ended.status ?? 1;
