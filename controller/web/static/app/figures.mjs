// The last minutes of CPU and memory of the workers that are looked at: asked for once, few at a time, then grown by what
// the stream tells. For sparklines; charts ask for their own history.
import {signal} from "./html.mjs";
import {get} from "./api.mjs";
import {onTopic} from "./stream.mjs";
import {serverNow} from "./time.mjs";

const SPAN_S = 600;
const STEP_S = 10;
const AT_ONCE = 3;

/** @typedef {{cpu: (number|null)[], memory: (number|null)[], at: number}} Figures */
/** @type {Map<string, import("./html.mjs").Signal<Figures|null>>} */
const known = new Map();
/** @type {string[]} */
const queue = [];
let running = 0;

/** A worker's last ten minutes; null until they are known. @param {string} id */
export function figuresOf(id) {
  let found = known.get(id);
  if (!found) {
    found = signal(null);
    known.set(id, found);
    queue.push(id);
    next();
  }
  return found;
}

function next() {
  while (running < AT_ONCE && queue.length) {
    const id = /** @type {string} */ (queue.pop());
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
