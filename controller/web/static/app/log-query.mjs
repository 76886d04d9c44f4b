// What the address says of a log, and the same as the API and the command line want it. Pure but for reading the address.
import {asCurl, quoted} from "./api.mjs";
import {place} from "./router.mjs";

export const LEVELS = ["debug", "info", "warning", "error", "critical"];
export const KINDS = ["line", "lifecycle", "error", "task"];
/** All that filters. */
export const FILTERS = ["q", "level", "kind", "instance", "stream", "run", "since", "until", "worker", "selector"];
const SPANS = {m: 60, h: 3600, d: 86_400};

/**
 * @typedef {object} Asked
 * @property {string} q @property {boolean} isFilter whether lines without it are left out, or it is only marked
 * @property {boolean} matchCase @property {boolean} invert @property {boolean} isPattern only where it is marked
 * @property {string} level that one and worse @property {string[]} kinds
 * @property {string} instance @property {string} stream @property {string} run @property {string} since @property {string} until
 * @property {string[]} workers @property {string} selector
 */

/** @returns {Asked} */
export function asked() {
  const {query} = place.value;
  const one = (/** @type {string} */ name) => query.get(name) ?? "";
  const isFilter = one("mode") !== "highlight";
  return {
    q: one("q"), isFilter, matchCase: one("case") === "1", invert: isFilter && one("invert") === "1",
    isPattern: !isFilter && one("regex") === "1", level: LEVELS.includes(one("level")) ? one("level") : "",
    kinds: query.getAll("kind").filter((kind) => KINDS.includes(kind)), instance: one("instance"), stream: one("stream"), run: one("run"),
    since: one("since"), until: one("until"), workers: query.getAll("worker"), selector: one("selector"),
  };
}

/** Whether any line is left out. @param {Asked} one */
export const isFiltered = (one) =>
  Boolean((one.q && one.isFilter) || one.level || (one.kinds.length && !one.kinds.includes("line")) || one.instance || one.stream || one.run || one.since || one.until);

/** A time as the API takes it: "15m" is counted from now. @param {string} text @param {number} nowMs */
export function moment(text, nowMs) {
  const span = /^(\d+)([mhd])$/.exec(text);
  if (span) return String(Math.floor(nowMs / 1000) - Number(span[1]) * SPANS[/** @type {"m"} */ (span[2])]);
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : new Date(ms).toISOString();
}

/** Whose lines, for the API. @param {Asked} one */
export const whoseOf = (one) => ({worker: one.workers.length ? one.workers : undefined, selector: one.selector || undefined});

/** @param {Asked} one @param {number} nowMs @param {{parsed?: boolean}} [how] */
export function apiQuery(one, nowMs, {parsed = false} = {}) {
  const filters = Boolean(one.q && one.isFilter);
  const kinds = one.kinds.length ? [...one.kinds, ...(one.kinds.includes("line") ? ["gap"] : [])] : undefined;
  return {
    ...whoseOf(one), grep: filters ? one.q : undefined, case: filters && !one.matchCase ? "ignore" : undefined,
    invert: filters && one.invert ? 1 : undefined, level: one.level ? LEVELS.slice(LEVELS.indexOf(one.level)) : undefined, kind: kinds,
    instance: one.instance || undefined, stream: one.stream || undefined, run: one.run || undefined,
    since: one.since ? moment(one.since, nowMs) : undefined, until: one.until ? moment(one.until, nowMs) : undefined,
    parsed: parsed ? 1 : undefined,
  };
}

/** The command that shows the same. @param {Asked} one @param {string} [id] of the one worker */
export function commandLine(one, id) {
  const words = ["workerctl", "logs", ...(id ? [id] : one.workers.length || one.selector ? one.workers : ["--all"])];
  const add = (/** @type {string} */ flag, /** @type {string} */ value) => value && words.push(flag, quoted(value));
  add("--selector", one.selector);
  if (one.q && one.isFilter) {
    add("--grep", one.q);
    if (!one.matchCase) words.push("--ignore-case");
    if (one.invert) words.push("--invert");
  }
  for (const name of /** @type {const} */ (["level", "stream", "instance", "run", "since", "until"])) add(`--${name}`, one[name]);
  for (const kind of one.kinds) words.push("--kind", kind);
  if (!one.until) words.push("--follow");
  return words.join(" ");
}

/** @param {string} path @param {Asked} one @param {number} nowMs */
export const curlOf = (path, one, nowMs) => asCurl("GET", path, {query: {...apiQuery(one, nowMs), download: 1}});

/** What is marked, with the flag g; `fault` says what is wrong with a pattern. @param {Asked} one @returns {{pattern: RegExp|null, fault: string}} */
export function patternOf({q, matchCase, invert, isPattern}) {
  if (!q || invert) return {pattern: null, fault: ""};
  const flags = matchCase ? "g" : "gi";
  try {
    return {pattern: new RegExp(isPattern ? q : q.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"), flags), fault: ""};
  } catch (error) {
    return {pattern: null, fault: String(/** @type {Error} */ (error).message).replace(/^Invalid regular expression: /, "")};
  }
}
