// The last ten minutes of each instance of one worker: one request for all of them, asked anew while they are looked at.
// And the runs that an instance had, made of events, which is pure.
import {useEffect, useState} from "./html.mjs";
import {get} from "./api.mjs";
import {serverNow} from "./time.mjs";

const SPAN_S = 600;
const STEP_S = 10;

/** @typedef {{cpu: (number|null)[], memory: (number|null)[]}} Figures */

/** By instance; empty until it is known. @param {string} id @param {boolean} isThere @returns {Map<string, Figures>} */
export function useInstanceFigures(id, isThere) {
  const [known, setKnown] = useState(/** @type {Map<string, Figures>} */ (new Map()));
  useEffect(() => {
    if (!isThere) return undefined;
    const control = new AbortController();
    const ask = () => {
      if (document.hidden) return;
      const since = new Date(serverNow() - SPAN_S * 1000).toISOString();
      get("/metrics-history", {worker: id, by: "instance", metric: ["cpu_percent", "memory_bytes"], since, step: STEP_S}, {signal: control.signal})
        .then((told) => setKnown(byInstance(told.series)), () => {});
    };
    ask();
    const timer = setInterval(ask, STEP_S * 1000);
    return () => {
      control.abort();
      clearInterval(timer);
    };
  }, [id, isThere]);
  return known;
}

/** @param {any[]} series @returns {Map<string, Figures>} */
function byInstance(series) {
  /** @type {Map<string, Figures>} */
  const found = new Map();
  for (const one of series) {
    const figures = found.get(one.instance) ?? {cpu: [], memory: []};
    figures[one.metric === "cpu_percent" ? "cpu" : "memory"] = one.values;
    found.set(one.instance, figures);
  }
  return found;
}

/** What begins and what ends a run. */
export const RUN_EVENTS = ["started", "exited", "completed", "start_failed", "gave_up"];

/** @typedef {{run: string, instance: string, began: string|null, ended: string|null, how: string, cause: string, isBad: boolean, gaveUp: string}} Run */

/** The runs of one instance, the newest first. @param {any[]} events oldest first @param {string} instance @returns {Run[]} */
export function runsOf(events, instance) {
  /** @type {Map<string, Run>} */
  const runs = new Map();
  /** @type {Run|null} */
  let last = null;
  for (const event of events) {
    if (event.instance !== instance) continue;
    if (event.type === "gave_up") {
      if (last) last.gaveUp = event.message;
      continue;
    }
    if (!event.run) continue;
    const run = runs.get(event.run) ?? {run: event.run, instance, began: null, ended: null, how: "", cause: "", isBad: false, gaveUp: ""};
    if (event.type === "started") run.began = event.at;
    else {
      run.ended = event.at;
      run.how = run.how || event.message;
      run.cause = event.cause || run.cause;
      run.isBad = run.isBad || event.type === "start_failed" || (event.type === "exited" && event.cause !== "stopped" && event.data?.code !== 0);
    }
    runs.set(event.run, run);
    last = run;
  }
  return [...runs.values()].reverse();
}
