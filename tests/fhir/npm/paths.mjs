// Reads {resources, tasks: [[index, expression], ...]} and prints what npm fhirpath gives for each:
// {"values": [...]} or {"error": true}. One process for a whole batch.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(process.argv[2] + "/package.json");
const fhirpath = require("fhirpath");
const r4 = require("fhirpath/fhir-context/r4");

const { resources, tasks } = JSON.parse(readFileSync(0, "utf8"));
const compiled = new Map();
const answers = tasks.map(([index, expression]) => {
  try {
    if (!compiled.has(expression)) compiled.set(expression, fhirpath.compile(expression, r4));
    const found = compiled.get(expression)(resources[index], { resource: resources[index] });
    return { values: JSON.parse(JSON.stringify(found, (_, v) => typeof v === "bigint" ? Number(v) : v)) };
  } catch (error) {
    return { error: String(error.message ?? error).slice(0, 200) };
  }
});
process.stdout.write(JSON.stringify(answers));
