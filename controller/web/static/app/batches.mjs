// Batches in words: states, counts, and the requests and commands that begin, end and repeat one. Pure but for `begin`.
import {asCurl, quoted, send} from "./api.mjs";

/** What can become of a worker in a batch, in the order of a bar; with its tone. @type {[string, string, string][]} */
export const RESULTS = [
  ["succeeded", "good", "succeeded"], ["running", "busy", "under way"], ["failed", "bad", "failed"], ["not_found", "bad", "not found"],
  ["skipped", "warn", "skipped"], ["cancelled", "off", "cancelled"], ["pending", "off", "waits"],
];
/** @type {Record<string, string>} */
export const TONES = {running: "busy", succeeded: "good", failed: "bad", cancelled: ""};
export const VERBS = {restart: "Restart", start: "Start", stop: "Stop"};

/** @param {string} state */
export const resultWord = (state) => RESULTS.find(([id]) => id === state)?.[2] ?? state;
/** @param {any} batch */
export const isOver = (batch) => batch.state !== "running";
/** How many of it have come to an end. @param {any} batch */
export const doneOf = (batch) => batch.total - batch.counts.pending - batch.counts.running;
/** @param {any} batch */
export const toRetry = (batch) => batch.counts.failed + batch.counts.skipped;

/**
 * @typedef {object} BatchWish
 * @property {"restart"|"start"|"stop"} action
 * @property {"label"|"names"} by
 * @property {string} selector
 * @property {string[]} names
 * @property {number} parallel
 * @property {boolean} stopOnFailure
 * @property {boolean} graceful
 * @property {string} reason
 */

/** @param {BatchWish} wish */
export function bodyOf(wish) {
  return {
    action: wish.action,
    ...(wish.by === "label" ? {selector: wish.selector} : {worker_ids: wish.names}),
    options: {graceful: wish.graceful, parallel: wish.parallel, stop_on_failure: wish.stopOnFailure},
    ...(wish.reason && {reason: wish.reason}),
  };
}

/** @param {BatchWish} wish */
export function commandOf(wish) {
  const parts = ["workerctl batch", wish.action];
  if (wish.by === "label") parts.push("-l", quoted(wish.selector || "KEY=VALUE"));
  else parts.push(...(wish.names.length ? wish.names : ["NAME"]));
  if (wish.parallel !== 4) parts.push("--parallel", String(wish.parallel));
  if (wish.stopOnFailure) parts.push("--stop-on-failure");
  if (!wish.graceful) parts.push("--no-graceful");
  if (wish.reason) parts.push("--reason", quoted(wish.reason));
  return parts.join(" ");
}

/** @param {BatchWish} wish */
export const curlOf = (wish) => asCurl("POST", "/workers/batch", {body: bodyOf(wish)});

/** @param {BatchWish} wish @returns {Promise<any>} the batch */
export const begin = async (wish) => (await send("POST", "/workers/batch", bodyOf(wish))).data;

/** Whom a selector means now: KEY=VALUE or KEY, with commas between. @param {any[]} workers @param {string} selector */
export function matching(workers, selector) {
  const terms = selector.split(",").map((term) => term.trim()).filter(Boolean);
  if (terms.length === 0) return [];
  return workers.filter((one) => terms.every((term) => {
    const [key, ...rest] = term.split("=");
    return Object.hasOwn(one.labels, key) && (rest.length === 0 || one.labels[key] === rest.join("="));
  }));
}
