// Plain data as YAML that reads back the same: for copying a spec, and for comparing two. Pure. Texts that YAML could take
// for something else are quoted, and what cannot be seen in them is written as an escape.

const PLAIN = /^[\p{L}_./][\p{L}\p{N} _./@%+~^()-]*$/u;
const OTHER = /^(true|false|yes|no|on|off|null|y|n|~|\.(inf|nan)|\.)$/i;
const UNSEEN = /[\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]/g;
const WIDE = 88;

/** @param {any} data a map @returns {string} */
export const yamlOf = (data) => `${block(data, 0).replace(/^\n/, "")}\n`;

/** @param {any} value @param {number} depth */
function block(value, depth) {
  const pad = "  ".repeat(depth);
  if (Array.isArray(value)) {
    const line = `[${value.map((one) => (isScalar(one) ? scalar(one, true) : "")).join(", ")}]`;
    if (value.every((one) => isScalar(one) && !String(one).includes("\n")) && line.length + pad.length < WIDE) return line;
    return value.map((one) => `\n${pad}- ${isScalar(one) ? text(one, depth + 1) : block(one, depth + 1).replace(/^\n\s*/, "")}`).join("");
  }
  if (isScalar(value)) return text(value, depth);
  const entries = Object.entries(value);
  if (entries.length === 0) return "{}";
  return entries.map(([key, one]) => {
    const told = block(one, depth + 1);
    return `\n${pad}${scalar(key)}:${told.startsWith("\n") ? "" : " "}${told}`;
  }).join("");
}

/** @param {any} value */
const isScalar = (value) => value === null || typeof value !== "object";

/** A text of several lines as such. @param {any} value @param {number} depth */
function text(value, depth) {
  if (typeof value !== "string" || !value.trim().includes("\n") || /^\s|[\t\r]|[ \t]\n/.test(value) || UNSEEN.test(value) || /[\u0000-\u0009\u000b-\u001f]/.test(value)) {
    UNSEEN.lastIndex = 0;
    return scalar(value);
  }
  const pad = "  ".repeat(Math.max(1, depth));
  const body = value.replace(/\n+$/, "");
  const ends = value.length - body.length;
  if (ends > 1) return scalar(value);
  return `|${ends ? "" : "-"}\n${body.split("\n").map((line) => (line ? pad + line : "")).join("\n")}`;
}

/** @param {any} value @param {boolean} [isFlow] within brackets */
function scalar(value, isFlow = false) {
  if (typeof value !== "string") return JSON.stringify(value);
  if (PLAIN.test(value) && !OTHER.test(value) && !value.endsWith(" ") && !(isFlow && value.includes(",")) && !/^\.?\d/.test(value)) return value;
  return JSON.stringify(value).replace(UNSEEN, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
