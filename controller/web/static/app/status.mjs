// The words of a state, their order, their shape. No screen has words or colours of its own for a status.
import {duration, exitWords, plural} from "./format.mjs";

/** All states, the worst first, as the controller sums them. */
export const STATUSES = ["unknown", "error", "crashed", "stopping", "starting", "running", "stopped"];

/** What each means, in one line. @type {Record<string, string>} */
export const MEANING = {
  unknown: "Its host cannot be asked: nobody knows how it is.",
  error: "It gave up or cannot start. It waits for somebody.",
  crashed: "It died and will be tried again by itself.",
  stopping: "It was asked to end and is ending.",
  starting: "It was started and is not up yet.",
  running: "It runs.",
  stopped: "It does not run, and is not meant to.",
};

/** Where a worker stands in a list: below 4 it needs somebody. @param {any} worker */
export function rank(worker) {
  const index = STATUSES.indexOf(worker.status);
  if (index < 3) return index;
  if (isStalled(worker) || worker.problems.length) return 3;
  return index + 1;
}

/** @param {any} worker @param {string} type */
export const condition = (worker, type) => worker.conditions.find((/** @type {any} */ one) => one.type === type) ?? null;
/** @param {any} worker */
export const isStalled = (worker) => condition(worker, "Stalled")?.status === "True";
/** @param {any} worker */
export const isSuspended = (worker) => /^Kept/.test(condition(worker, "Suspended")?.reason ?? "");

/** The instance that a worker's state is about: the worst, then the lowest. @param {any} worker */
export function worst(worker) {
  return worker.instances.reduce((/** @type {any} */ found, /** @type {any} */ one) => {
    const better = !found || STATUSES.indexOf(one.status) < STATUSES.indexOf(found.status);
    return better ? one : found;
  }, null);
}

/** When it is tried again, or null. @param {any} worker @returns {string|null} */
export function nextRetry(worker) {
  const times = worker.instances.map((/** @type {any} */ one) => one.next_retry_at).filter(Boolean);
  return times.length ? times.sort()[0] : null;
}

/** The longest that all of it has been up. @param {any} worker @param {number} nowMs */
export function upFor(worker, nowMs) {
  const starts = worker.instances
    .filter((/** @type {any} */ one) => one.status === "running" && one.started_at)
    .map((/** @type {any} */ one) => Date.parse(one.started_at));
  return starts.length ? Math.max(0, (nowMs - Math.max(...starts)) / 1000) : null;
}

/** Why it is as it is, as short as a row has room for; empty where there is nothing to say. @param {any} worker */
export function shortly(worker) {
  if (worker.problems.length) return `${plural(worker.problems.length, "problem")} in its file`;
  if (worker.desired_state === "absent") return "its spec is gone";
  const one = worst(worker);
  const exit = exitWords(one?.last_exit ?? null);
  if (worker.status === "crashed" || worker.status === "error") return [spaced(one?.reason ?? ""), exit].filter(Boolean).join(", ");
  const held = condition(worker, "Stalled");
  if (held?.status === "True") return held.message || held.reason;
  const suspended = condition(worker, "Suspended");
  if (isSuspended(worker)) return suspended.message || suspended.reason;
  const ready = condition(worker, "Ready");
  if (worker.status === "running" && ready?.status === "False") return ready.message || ready.reason;
  if (worker.status === "unknown") return one?.reason || "its host cannot be asked";
  return "";
}

/** "GaveUp" as "gave up". @param {string} reason */
export const spaced = (reason) => reason.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase();

/** "in 12 s", "any moment". @param {string} at @param {number} nowMs */
export function dueIn(at, nowMs) {
  const seconds = (Date.parse(at) - nowMs) / 1000;
  return seconds < 1 ? "any moment" : `in ${duration(Math.ceil(seconds))}`;
}
