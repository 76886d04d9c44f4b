// The last minutes of CPU and memory of the workers that are looked at: asked for once, few at a time, then grown by what
// the stream tells; what has scrolled by before its turn came is not asked for. For sparklines; charts have their own.
import {signal} from "./html.mjs";
import {get} from "./api.mjs";
import {onTopic} from "./stream.mjs";
import {serverNow} from "./time.mjs";

const SPAN_S = 600;
const STEP_S = 10;
const AT_ONCE = 3;
const LOOKED_AT_MS = 150;

/** @typedef {{cpu: (number|null)[], memory: (number|null)[], at: number}} Figures */
/** @type {Map<string, import("./html.mjs").Signal<Figures|null>>} */
const known = new Map();
/** @type {Set<string>} */
const queue = new Set();
let running = 0;
/** @type {any} */
let timer;

/** A worker's last ten minutes; null until they are known. @param {string} id */
export function figuresOf(id) {
  let found = known.get(id);
  if (!found) {
    // Somebody looks, or nobody any more: signals know.
    found = signal(null, {watched: () => wait(id), unwatched: () => queue.delete(id)});
    known.set(id, found);
  }
  return found;
}

/** @param {string} id */
function wait(id) {
  if (known.get(id)?.peek()) return;
  queue.add(id);
  clearTimeout(timer);
  timer = setTimeout(next, LOOKED_AT_MS);
}

function next() {
  while (running < AT_ONCE && queue.size) {
    const [id] = queue;
    queue.delete(id);
    running += 1;
    const since = new Date(serverNow() - SPAN_S * 1000).toISOString();
    get("/metrics-history", {worker: id, metric: ["cpu_percent", "memory_bytes"], since, step: STEP_S})
      .then((told) => {
        const of = (/** @type {string} */ metric) => told.series.find((/** @type {any} */ one) => one.metric === metric)?.values ?? [];
        const figures = known.get(id);
        if (figures) figures.value = {cpu: of("cpu_percent"), memory: of("memory_bytes"), at: serverNow()};
      })
      .catch(() => known.delete(id))
      .finally(() => {
        running -= 1;
        next();
      });
  }
}

onTopic("workers", (items) => {
  const at = serverNow();
  for (const item of items) {
    const figures = known.get(item.worker_id);
    if (!figures?.value) continue;
    if (item.gone) {
      known.delete(item.worker_id);
    } else if (at - figures.value.at >= STEP_S * 900) {
      const keep = SPAN_S / STEP_S;
      figures.value = {
        cpu: [...figures.value.cpu, item.cpu_percent].slice(-keep),
        memory: [...figures.value.memory, item.memory_bytes].slice(-keep),
        at,
      };
    }
  }
});
