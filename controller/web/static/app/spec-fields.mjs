// The fields of a spec that holds now, one by one: its value in words, and where it comes from. Pure.
import {bytes, duration} from "./format.mjs";

/** @typedef {{path: string, value: any, isSet: boolean, file: string|null, line: number|null, isOwn: boolean}} Field */

/**
 * All fields, those that somebody set first.
 * @param {any} config of `GET /worker-configs/ID` @param {any} shown of its `/text`, or null @returns {Field[]}
 */
export function fieldsOf(config, shown) {
  const origins = shown?.origins ?? {};
  const explicit = new Set(config.explicit);
  /** @type {Field[]} */
  const found = [];
  const add = (/** @type {string} */ path, /** @type {any} */ value) => {
    if (value !== null && typeof value === "object" && !Array.isArray(value) && Object.keys(value).length) {
      for (const [key, one] of Object.entries(value)) add(`${path}.${key}`, one);
      return;
    }
    const origin = nearest(origins, path);
    const isSet = Boolean(origin) || (!shown && explicit.has(path.split(".")[0]));
    found.push({path, value, isSet, file: origin?.file ?? null, line: origin?.line ?? null, isOwn: origin?.file === config.source.file});
  };
  for (const [key, value] of Object.entries(config.spec)) if (key !== "worker_id" && key !== "kind") add(key, value);
  return found;
}

/** The place of a field, or of the group that it was written with. @param {Record<string, any>} origins @param {string} path */
function nearest(origins, path) {
  for (let name = path; name; name = name.slice(0, Math.max(0, name.lastIndexOf(".")))) if (Object.hasOwn(origins, name)) return origins[name];
  return null;
}

/** A value as it stands, for people. @param {any} value */
export function valueWords(value) {
  if (value === null || value === undefined) return "not set";
  if (value === "") return "empty";
  if (Array.isArray(value)) return value.length ? `[${value.map((one) => JSON.stringify(one)).join(", ")}]` : "none";
  if (typeof value === "object") return Object.keys(value).length ? JSON.stringify(value) : "none";
  return String(value);
}

/** What a figure with its unit in its name is in larger ones: "1 m 30 s", "50 MiB"; empty where that says no more. @param {string} path @param {any} value */
export function inLarger(path, value) {
  if (typeof value !== "number") return "";
  if (path.endsWith("_ms") && value >= 1000) return value % 1000 ? `${value / 1000} s` : duration(value / 1000);
  if (path.endsWith("_bytes") && value >= 1024) return bytes(value);
  return "";
}

/** What a process has and what it is to have, of one worker. @param {any} plan @param {string} id @returns {{fields: any[], holds: any[]}} */
export function driftOf(plan, id) {
  const mine = [...(plan?.actions ?? []), ...(plan?.holds ?? [])].filter((one) => one.worker_id === id);
  const fields = new Map(mine.flatMap((one) => one.fields ?? []).map((one) => [one.path, one]));
  return {fields: [...fields.values()], holds: (plan?.holds ?? []).filter((/** @type {any} */ one) => one.worker_id === id && one.fields?.length)};
}
