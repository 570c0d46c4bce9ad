// A reporter for Node's test runner: fails where less than 95 % of src/ is covered, in lines or in branches.

import path from "node:path";

const LEAST = 95;
const MEASURED = path.resolve("build/src");

/** Yields one line, and makes the run fail if it is a bad one. */
export default async function* coverage(events) {
  for await (const { type, data } of events) {
    if (type !== "test:coverage") continue;
    const files = data.summary.files.filter((file) => file.path.startsWith(MEASURED));
    const lines = percentOf(files, "Line");
    const branches = percentOf(files, "Branch");
    if (!(lines >= LEAST && branches >= LEAST)) process.exitCode = 1;
    yield `src/ is covered to ${lines.toFixed(1)} % of lines and ${branches.toFixed(1)} % of branches, of ${LEAST} %\n`;
  }
}

function percentOf(files, kind) {
  const sum = (field) => files.reduce((total, file) => total + file[field], 0);
  return (100 * sum(`covered${kind}Count`)) / sum(`total${kind}Count`);
}
