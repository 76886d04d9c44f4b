// What is known of the fleet now, as signals. Filled by the stream; read by every screen. A changed worker is a new
// object, an unchanged one is the same: so rows can be compared by identity.
import {computed, effect, signal} from "./html.mjs";
import {onTopic} from "./stream.mjs";
import {rank} from "./status.mjs";

/** By worker_id. The items are those of `GET /api/v1/workers`. @type {import("./html.mjs").Signal<Map<string, any>>} */
export const workers = signal(new Map());
/** By operation_id: those under way, and those that ended while this page was open. */
export const operations = signal(new Map());
/** By batch_id, whole, with results. */
export const batches = signal(new Map());
/** The plan as `GET /api/v1/plan` has it, or null until it is known. */
export const plan = signal(null);
/** What happened while this page was open, the newest last; at most 1000. @type {import("./html.mjs").Signal<any[]>} */
export const happened = signal([]);

/** All workers, the worst first, then by name. */
export const byUrgency = computed(() =>
  [...workers.value.values()].sort((a, b) => rank(a) - rank(b) || (a.worker_id < b.worker_id ? -1 : 1)),
);
/** Those that need somebody: in a bad state, stalled, or with a problem in their file. */
export const failing = computed(() => byUrgency.value.filter((worker) => rank(worker) < 4));

/** One worker as a signal of its own: a screen of one is not drawn anew when another changes. @param {string} id */
export const workerOf = (id) => computed(() => workers.value.get(id) ?? null);

const MOST_EVENTS = 1000;
/** @type {Set<string>} */
let seen = new Set();
let isSettling = false;

onTopic("begin", () => {
  seen = new Set();
  isSettling = true;
});
onTopic("settled", () => {
  // A new connection tells all there are and not who went meanwhile.
  isSettling = false;
  const gone = [...workers.value.keys()].filter((id) => !seen.has(id));
  if (gone.length) workers.value = without(workers.value, gone);
});
onTopic("workers", (items) => {
  const next = new Map(workers.value);
  for (const item of items) {
    if (isSettling) seen.add(item.worker_id);
    if (item.gone) next.delete(item.worker_id);
    else next.set(item.worker_id, item);
  }
  workers.value = next;
});
onTopic("operations", (items) => {
  operations.value = merged(operations.value, items, "operation_id");
});
onTopic("batches", (items) => {
  batches.value = merged(batches.value, items, "batch_id");
});
onTopic("events", (items) => {
  happened.value = [...happened.value, ...items].slice(-MOST_EVENTS);
});
onTopic("plan", (items) => {
  plan.value = items[items.length - 1];
});

/** @param {Map<string, any>} known @param {any[]} items @param {string} key */
function merged(known, items, key) {
  const next = new Map(known);
  for (const item of items) {
    next.delete(item[key]);
    next.set(item[key], item);
  }
  while (next.size > 500) next.delete(next.keys().next().value);
  return next;
}

/** @param {Map<string, any>} known @param {string[]} names */
function without(known, names) {
  const next = new Map(known);
  for (const name of names) next.delete(name);
  return next;
}

const ENDED = new Set(["succeeded", "failed", "superseded"]);

/** Resolves with an operation when it has ended. @param {any} operation @returns {Promise<any>} */
export function whenEnded(operation) {
  if (ENDED.has(operation.state)) return Promise.resolve(operation);
  return new Promise((resolve) => {
    const stop = effect(() => {
      const known = operations.value.get(operation.operation_id);
      if (!known || !ENDED.has(known.state)) return;
      resolve(known);
      queueMicrotask(() => stop());
    });
  });
}
