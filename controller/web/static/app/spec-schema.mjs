// What a form of a spec is made of: the fields of the JSON Schema (`GET /api/v1/schema`), in groups, each with the kind
// of control that fits it. Pure. A field that a later version adds appears by itself, under "More".

/** @typedef {{id: string, title: string, fields: string[], rare?: string[]}} Group `rare`: shown when set, or asked for */
/** @type {Group[]} In the order of the form. */
export const GROUPS = [
  {id: "identity", title: "Who it is", fields: ["worker_id", "name", "description", "labels"], rare: ["description"]},
  {id: "process", title: "What runs", fields: ["command", "working_dir", "port", "env", "env_files", "secrets", "user", "group", "umask"],
    rare: ["working_dir", "env_files", "secrets", "user", "group", "umask"]},
  {id: "scale", title: "How many, and when", fields: ["replicas", "desired_state", "auto_start", "depends_on", "max_accounts"],
    rare: ["auto_start", "depends_on", "max_accounts"]},
  {id: "restarts", title: "After a crash", fields: ["auto_restart", "max_restart_attempts", "restart_window_ms", "restart_delay_ms", "restart_backoff", "success_exit_codes"],
    rare: ["restart_window_ms", "restart_backoff", "success_exit_codes"]},
  {id: "health", title: "Health", fields: ["startup", "readiness", "liveness", "start_grace_ms"], rare: ["start_grace_ms"]},
  {id: "stop", title: "Stopping, and hooks", fields: ["stop", "hooks"]},
  {id: "limits", title: "Limits", fields: ["limits"]},
  {id: "logs", title: "Output", fields: ["logs"]},
  {id: "place", title: "Where", fields: ["deployment_type", "host"]},
];
const UNSHOWN = new Set(["kind"]);

/** The groups with those fields that the schema has. @param {any} schema @returns {Group[]} */
export function groupsOf(schema) {
  const known = Object.keys(schema.properties).filter((name) => !UNSHOWN.has(name) && !("not" in schema.properties[name]));
  const listed = new Set(GROUPS.flatMap((group) => group.fields));
  const more = known.filter((name) => !listed.has(name));
  return [...GROUPS, {id: "more", title: "More", fields: more}]
    .map((group) => ({...group, fields: group.fields.filter((name) => known.includes(name))}))
    .filter((group) => group.fields.length > 0);
}

/** @typedef {"command"|"choice"|"group"|"map"|"lines"|"numbers"|"number"|"text"|"long"} Kind */

/** The control of a field. @param {any} node @param {string} name @returns {Kind} */
export function kindOf(node, name) {
  if (name === "command") return "command";
  if (name === "description") return "long";
  const parts = partsOf(node);
  if (parts.some((one) => one.type === "array") && parts.some((one) => one.type === "integer")) return "numbers";
  if (parts.some((one) => one.enum || one.type === "boolean")) return "choice";
  const [first] = parts;
  if (has(first, "object")) return first.properties ? "group" : "map";
  if (has(first, "array")) return has(first.items, "integer") ? "numbers" : "lines";
  return has(first, "integer") || has(first, "number") ? (parts.some((one) => has(one, "string")) ? "text" : "number") : "text";
}

/** What a field may be, null aside. @param {any} node @returns {any[]} */
const partsOf = (node) => (node.anyOf ?? [node]).filter((/** @type {any} */ one) => one.type !== "null");

/** @param {any} node @param {string} type */
const has = (node, type) => [node?.type].flat().includes(type);

/** What may be chosen. @param {any} node @returns {any[]} */
export const choicesOf = (node) => partsOf(node).flatMap((one) => one.enum ?? (one.type === "boolean" ? [true, false] : []));

/** The schema of an entry of a map. @param {any} node */
export const entryOf = (node) => Object.values(node.patternProperties ?? {})[0] ?? node.additionalProperties;

/** Whether whole numbers count as such in a text. @param {any} node */
export const takesNumbers = (node) => partsOf(node).some((one) => has(one, "integer") || has(one, "number"));

/** Whether null means something else than leaving it out: "never give up". @param {any} node */
export const takesNull = (node) => has(node, "null") && node.default !== undefined && node.default !== null;

/** What it is, and what changing it does. @param {any} node @returns {{help: string, effect: string}} */
export function wordsOf(node) {
  const [help, effect = ""] = String(node.description ?? "").split("\n\n");
  return {help, effect};
}

/** A value as it is typed. @param {any} value */
export function typed(value) {
  if (value === undefined) return "";
  if (Array.isArray(value)) return value.join(", ");
  return value === null ? "null" : String(value);
}

/** What was typed for a number: what is none stays a text, so that the API says what it expects. @param {string} text */
export function numberOf(text) {
  const trimmed = text.trim();
  if (trimmed === "") return undefined;
  if (trimmed === "null") return null;
  return /^-?(\d{1,15}|\d*\.\d+)$/.test(trimmed) ? Number(trimmed) : trimmed;
}

/** "200", or "0, 3". @param {string} text @param {boolean} isList one alone is a list, too */
export function numbersOf(text, isList) {
  const found = text.split(/[\s,]+/).filter(Boolean).map(numberOf);
  if (found.length === 0) return undefined;
  return found.length === 1 && !isList ? found[0] : found;
}

/** The value at a path. @param {any} document @param {(string|number)[]} path */
export const at = (document, path) => path.reduce((found, key) => found?.[key], document);

/**
 * A copy with another value there; `undefined` takes it away, and a group that is empty by it.
 * @param {any} document @param {(string|number)[]} path @param {any} value @returns {any}
 */
export function setAt(document, path, value) {
  const [key, ...below] = path;
  const copy = {...(document ?? {})};
  const next = below.length ? setAt(isMap(copy[key]) ? copy[key] : {}, below, value) : value;
  const isEmptied = below.length > 0 && value === undefined && Object.keys(next).length === 0;
  if (next === undefined || isEmptied) delete copy[key];
  else copy[key] = next;
  return copy;
}

/** @param {any} value */
export const isMap = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

/** A JSON pointer. @param {(string|number)[]} path */
export const pointerOf = (path) => path.map((key) => `/${String(key).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");

/** @param {string} pointer @returns {string[]} */
export const pathOf = (pointer) => pointer.split("/").slice(1).map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
