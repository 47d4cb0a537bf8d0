// Makes src/types.gen.ts of docs/openapi.json: a type for each schema, and for what each path answers. `npm run build` runs it first, so that the page is checked against the description as it is.
import { readFileSync, writeFileSync } from "node:fs";

const api = JSON.parse(readFileSync(new URL("../../docs/openapi.json", import.meta.url), "utf8"));
const TUPLE_MAX = 8; // an array of one known length and no more is written out

const PRIMITIVES = { string: "string", integer: "number", number: "number", boolean: "boolean", null: "null" };

function arrayOf(schema) {
    const item = typeOf(schema.items ?? {});
    if (schema.minItems && schema.minItems === schema.maxItems && schema.minItems <= TUPLE_MAX) return `[${Array(schema.minItems).fill(item).join(", ")}]`;
    return `(${item})[]`;
}

function objectOf({ properties, required = [], additionalProperties }) {
    if (!properties) return additionalProperties?.type ? `Record<string, ${typeOf(additionalProperties)}>` : "Record<string, unknown>";
    return `{ ${Object.entries(properties)
        .map(([name, schema]) => `${JSON.stringify(name)}${required.includes(name) ? "" : "?"}: ${typeOf(schema)}`)
        .join("; ")} }`;
}

function typeOf(schema) {
    if (schema.$ref) return schema.$ref.replace("#/components/schemas/", "");
    if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
    return [schema.type ?? []]
        .flat()
        .map((type) => (type === "array" ? arrayOf(schema) : type === "object" ? objectOf(schema) : PRIMITIVES[type]))
        .join(" | ") || "unknown";
}

// What it answers when all is well; without a body, null.
function answerOf({ responses }) {
    const good = Object.entries(responses).filter(([status]) => status.startsWith("2"));
    const types = good.map(([, { content }]) => (content?.["application/json"] ? typeOf(content["application/json"].schema ?? {}) : "null"));
    return [...new Set(types)].join(" | ") || "null";
}

const lines = ["// Made of docs/openapi.json by ui/tools/types.mjs."];
for (const [name, schema] of Object.entries(api.components.schemas)) lines.push(`export type ${name} = ${typeOf(schema)};`);
lines.push("export interface Answers {");
for (const [path, methods] of Object.entries(api.paths)) for (const [method, what] of Object.entries(methods)) lines.push(`    ${JSON.stringify(`${method.toUpperCase()} ${path}`)}: ${answerOf(what)};`);
lines.push("}", "");
writeFileSync(new URL("../src/types.gen.ts", import.meta.url), lines.join("\n"));
