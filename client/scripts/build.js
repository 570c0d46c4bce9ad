// Builds what pages load, from src/ into the static files of the Django app; with --check it only compares.
//
// There are two files of the same content: a module has to say `export`, which is an error in a classic script, and
// those who used Channels 1 load a script, by the name that it has here. One file for both would be no module.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { gzipSync } from "node:zlib";

import { buildSync } from "esbuild";

const { generateDtsBundle } = createRequire(import.meta.url)("dts-bundle-generator");

const ROOT = path.resolve(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), "../..");
const STATIC = path.join(ROOT, "src/channels/static/channels/js");
const MOST = 5 * 1024; // bytes, gzipped
const NOTE = "Channels Relay, BSD-3-Clause. Built from client/src by `npm run build`.";
const GLOBAL = "channels";

const built = {
  "client.js": bundle({ format: "esm" }),
  "websocketbridge.js": bundle({ format: "iife", globalName: GLOBAL }),
  "client.d.ts": declarations(),
};
const check = process.argv.includes("--check");
const faults = Object.entries(built).flatMap(([name, text]) => [...tooLarge(name, text), ...settle(name, text)]);
for (const fault of faults) console.error(fault);
process.exitCode = faults.length ? 1 : 0;

function bundle(format) {
  const options = { bundle: true, minify: true, target: "es2022", write: false, banner: { js: `/* ${NOTE} */` } };
  const { outputFiles } = buildSync({ entryPoints: ["src/index.ts"], ...options, ...format });
  return outputFiles[0].text;
}

function declarations() {
  const output = { umdModuleName: GLOBAL, noBanner: true, exportReferencedTypes: false };
  const [text] = generateDtsBundle([{ filePath: "src/index.ts", output }], { preferredConfigPath: "tsconfig.json" });
  return `// ${NOTE}\n\n${text}`;
}

// Declarations are for compilers: no page loads them.
function tooLarge(name, text) {
  if (!name.endsWith(".js")) return [];
  const size = gzipSync(text, { level: 9 }).length;
  console.log(`${name}: ${size} bytes gzipped, of ${MOST} at most`);
  return size < MOST ? [] : [`${name} has ${size} bytes gzipped; it may have ${MOST}`];
}

// Writes a file, or compares it with what is there.
function settle(name, text) {
  const file = path.join(STATIC, name);
  if (check) return read(file) === text ? [] : [`${file} is not what client/src gives: run "npm run build" in client/`];
  mkdirSync(STATIC, { recursive: true });
  writeFileSync(file, text);
  return [];
}

function read(file) {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
