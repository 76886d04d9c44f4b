// The OpenAPI document as a reference shows it: operations in groups, shapes as text, a request as curl. Pure.
import {quoted} from "./api.mjs";

/**
 * @typedef {object} Operation
 * @property {string} id
 * @property {string} method
 * @property {string} path
 * @property {string} role
 * @property {string} summary
 * @property {any[]} parameters
 * @property {{types: string[], schema: any, isNeeded: boolean}|null} body
 * @property {{status: string, description: string, types: string[], schema: any, isProblem: boolean}[]} answers
 */

/** Groups by the first words of a path below /api/v1; the first that fits. @type {[string, RegExp][]} */
const GROUPS = [
  ["Workers", /^\/api\/v1\/(workers|gone-workers)/],
  ["Specs", /^\/api\/v1\/(worker-configs|drafts|schema|explain)/],
  ["Logs", /^\/api\/v1\/logs/],
  ["Figures and events", /^\/(metrics|api\/v1\/(metrics-history|events|stream))/],
  ["Plan, operations, batches", /^\/api\/v1\/(plan|reconcile|operations|batches)/],
  ["Access", /^\/api\/v1\/(session|sessions|whoami|tokens)/],
  ["This server", /./],
];
const METHODS = ["get", "post", "put", "patch", "delete"];

/** @param {any} document @returns {{title: string, operations: Operation[]}[]} */
export function grouped(document) {
  const all = Object.entries(document.paths).flatMap(([path, methods]) => METHODS.filter((one) => methods[one]).map((one) => operation(path, one, methods[one])));
  return GROUPS.map(([title, fits], index) => ({
    title,
    operations: all.filter((one) => fits.test(one.path) && !GROUPS.slice(0, index).some(([, other]) => other.test(one.path))),
  })).filter((group) => group.operations.length);
}

/** @param {string} path @param {string} method @param {any} told @returns {Operation} */
function operation(path, method, told) {
  const content = told.requestBody?.content ?? null;
  return {
    id: told.operationId,
    method: method.toUpperCase(),
    path,
    role: told["x-role"] ?? "",
    summary: told.summary ?? "",
    parameters: told.parameters ?? [],
    body: content && {types: Object.keys(content), schema: Object.values(content)[0].schema, isNeeded: Boolean(told.requestBody.required)},
    answers: Object.entries(told.responses).map(([status, answer]) => ({
      status,
      description: answer.description,
      types: Object.keys(answer.content ?? {}),
      schema: answer.content?.["application/json"]?.schema ?? null,
      isProblem: "application/problem+json" in (answer.content ?? {}),
    })),
  };
}

const MOST_DEEP = 3;

/** A JSON Schema as a person would jot it down. @param {any} schema @param {any} shapes by name @param {number} [depth] @param {string[]} [within] @returns {string} */
export function shapeOf(schema, shapes, depth = 0, within = []) {
  if (!schema) return "anything";
  if (schema.$ref) {
    const name = schema.$ref.split("/").at(-1);
    return depth >= MOST_DEEP || within.includes(name) || !shapes[name] ? name : shapeOf(shapes[name], shapes, depth, [...within, name]);
  }
  const inner = (/** @type {any} */ one) => shapeOf(one, shapes, depth, within);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return [...new Set(choices.map(inner))].join(" | ");
  if (schema.enum) return schema.enum.map((/** @type {any} */ one) => JSON.stringify(one)).join(" | ");
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.type === "array") return `[${inner(schema.items)}]`;
  if (schema.properties) return objectOf(schema, shapes, depth, within);
  if (typeof schema.additionalProperties === "object") return `{[name]: ${inner(schema.additionalProperties)}}`;
  if (schema.type === "object") return "{\u2026}";
  return simple(schema);
}

/** @param {any} schema @param {any} shapes @param {number} depth @param {string[]} within */
function objectOf(schema, shapes, depth, within) {
  const needed = new Set(schema.required ?? []);
  const rows = Object.entries(schema.properties).map(([name, one]) => {
    const text = `${name}${needed.has(name) ? "" : "?"}: ${shapeOf(one, shapes, depth + 1, within)}`;
    return text.split("\n").map((line) => `  ${line}`).join("\n");
  });
  return `{\n${rows.join("\n")}\n}`;
}

/** @param {any} schema */
function simple(schema) {
  const type = Array.isArray(schema.type) ? schema.type.join(" | ") : (schema.type ?? "anything");
  const bounds = [
    schema.format === "date-time" && "time",
    schema.minimum !== undefined && schema.maximum !== undefined && `${schema.minimum} to ${schema.maximum}`,
    schema.default !== undefined && schema.default !== null && `default ${JSON.stringify(schema.default)}`,
  ].filter(Boolean);
  return bounds.length ? `${type} (${bounds.join(", ")})` : type;
}

/** What may be sent, as short as it may be. @param {any} schema @param {any} shapes @returns {any} */
export function exampleOf(schema, shapes) {
  if (schema.$ref) return exampleOf(shapes[schema.$ref.split("/").at(-1)] ?? {}, shapes);
  const choice = (schema.anyOf ?? schema.oneOf)?.find((/** @type {any} */ one) => one.type !== "null");
  if (choice) return exampleOf(choice, shapes);
  if (schema.examples) return schema.examples[0];
  if (schema.enum) return schema.enum[0];
  if (schema.type === "array") return [exampleOf(schema.items ?? {}, shapes)];
  if (schema.properties) {
    const names = schema.required?.length ? schema.required : Object.keys(schema.properties).slice(0, 1);
    return Object.fromEntries(names.map((/** @type {string} */ name) => [name, named(name) ?? exampleOf(schema.properties[name], shapes)]));
  }
  return {integer: schema.minimum ?? 1, number: schema.minimum ?? 1, boolean: true, object: {}}[/** @type {string} */ (schema.type)] ?? "text";
}

/** @param {string} name @returns {any} */
const named = (name) => ({worker_id: "web", worker_ids: ["web"], name: "ci", reason: "new words", command: ["python3", "web.py"]}[name]);

/** Path and query with values filled in; a part without a value stays as it is named. @param {Operation} one @param {Record<string, string>} values */
export function targetOf(one, values) {
  const path = one.path.replace(/\{(\w+)\}/g, (whole, name) => (values[name] ? encodeURIComponent(values[name]) : whole));
  const query = new URLSearchParams();
  for (const parameter of one.parameters) {
    if (parameter.in !== "query" || !values[parameter.name]) continue;
    const several = parameter.schema?.type === "array" ? values[parameter.name].split(",") : [values[parameter.name]];
    for (const value of several) query.append(parameter.name, value.trim());
  }
  const text = query.toString();
  return `${path}${text ? `?${text}` : ""}`;
}

/**
 * The request as one types it. `needsToken`: whoever asks from here has to show one.
 * @param {Operation} one @param {Record<string, string>} values @param {any} shapes @param {boolean} needsToken
 */
export function curlOf(one, values, shapes, needsToken) {
  const parts = ["curl"];
  if (one.answers.some((answer) => answer.status === "200" && answer.types[0] === "text/event-stream")) parts.push("-N");
  if (one.method !== "GET") parts.push("-X", one.method);
  parts.push(quoted(location.origin + targetOf(one, values)));
  if (needsToken && !["public", "worker"].includes(one.role)) parts.push('-H "Authorization: Bearer $WORKERCTL_TOKEN"');
  if (one.role === "worker") parts.push('-H "Authorization: Bearer $WORKERCTL_HEARTBEAT_TOKEN"');
  for (const parameter of one.parameters) {
    if (parameter.in === "header" && values[parameter.name]) parts.push("-H", quoted(`${parameter.name}: ${values[parameter.name]}`));
  }
  if (one.body) parts.push("-H", quoted(`Content-Type: ${one.body.types[0]}`), "-d", quoted(JSON.stringify(exampleOf(one.body.schema, shapes))));
  return parts.join(" ");
}
