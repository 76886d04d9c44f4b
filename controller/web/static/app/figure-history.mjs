// Figures of a worker over time, and what happened meanwhile: which span (in the URL), fetched, and fetched anew as it
// moves on. `marksOf` is pure.
import {useEffect, useState} from "./html.mjs";
import {get} from "./api.mjs";
import {place} from "./router.mjs";
import {serverNow} from "./time.mjs";

/** @type {[string, number, string][]} */
export const RANGES = [["15m", 900, "15 min"], ["1h", 3600, "1 h"], ["6h", 21_600, "6 h"], ["24h", 86_400, "24 h"], ["7d", 604_800, "7 d"]];
const USUAL = "1h";
const FRESH_MS = 10_000;

/** @typedef {{name: string, span: number, from: string, to: string}} Range `span` 0: from `from` to `to` */

/** What the URL says. @returns {Range} */
export function rangeOf() {
  const query = place.value.query;
  const [from, to] = [query.get("from") ?? "", query.get("to") ?? ""];
  if (from && to && Date.parse(from) < Date.parse(to)) return {name: "custom", span: 0, from, to};
  const found = RANGES.find(([name]) => name === (query.get("range") ?? USUAL)) ?? RANGES[1];
  return {name: found[0], span: found[1], from: "", to: ""};
}

/** @param {Range} range @returns {{since: string, until: string}} */
export function timesOf(range) {
  if (range.span === 0) return {since: new Date(range.from).toISOString(), until: new Date(range.to).toISOString()};
  const now = serverNow();
  return {since: new Date(now - range.span * 1000).toISOString(), until: new Date(now).toISOString()};
}

/**
 * @param {string} id @param {Range} range @param {{by?: string, instance?: string}} of @param {number} turn counts what asks for a fresh answer
 * @returns {{data: any, error: any, isLoading: boolean}} what is known stays until the next answer
 */
export function useHistory(id, range, of, turn = 0) {
  const key = JSON.stringify([id, range, of]);
  const [state, setState] = useState(/** @type {any} */ ({key: "", data: null, error: null}));
  useEffect(() => {
    const control = new AbortController();
    /** @type {any} */
    let timer;
    const ask = () => {
      if (document.hidden) {
        timer = setTimeout(ask, FRESH_MS);
        return;
      }
      get("/metrics-history", {worker: id, ...timesOf(range), ...of}, {signal: control.signal}).then(
        (data) => setState({key, data, error: null}),
        (error) => control.signal.aborted || setState((/** @type {any} */ was) => ({key, data: was.key === key ? was.data : null, error})),
      ).finally(() => {
        if (!control.signal.aborted && range.span) timer = setTimeout(ask, Math.max(FRESH_MS, range.span * 5));
      });
    };
    ask();
    return () => {
      control.abort();
      clearTimeout(timer);
    };
  }, [key, turn]);
  return {data: state.data, error: state.error, isLoading: state.key !== key};
}

/** What a mark on a chart is: its word, and its colour's token. @type {Record<string, [string, string]>} In the order of a legend. */
export const KINDS = {
  died: ["died", "--warn"], gaveup: ["gave up", "--bad"], spec: ["spec changed", "--busy"], asked: ["asked by a person", "--text"],
  started: ["started", "--run"], ended: ["ended as asked", "--off"],
};

/** @typedef {{at: number, kind: string, instance: string|null, text: string, by: string}} Mark `at` in seconds */

/** @param {any[]} annotations as the API has them, oldest first @returns {Mark[]} */
export function marksOf(annotations) {
  const ending = new Set();
  /** @type {Mark[]} */
  const marks = [];
  for (const one of annotations) {
    if (one.type === "stop_requested" && one.actor === "agent") {
      ending.add(one.instance);
      continue;
    }
    const kind = kindOf(one, ending.has(one.instance));
    if (one.type === "exited" || one.type === "started") ending.delete(one.instance);
    marks.push({at: Date.parse(one.at) / 1000, kind, instance: one.instance, text: one.message, by: one.actor});
  }
  return marks;
}

/** @param {any} one @param {boolean} wasAsked to end @returns {string} */
function kindOf(one, wasAsked) {
  if (one.type === "started") return "started";
  if (one.type === "gave_up") return "gaveup";
  if (one.type.startsWith("spec_")) return "spec";
  if (one.type === "completed" || (one.type === "exited" && (wasAsked || / code 0\b/.test(one.message)))) return "ended";
  if (one.type === "exited" || one.type === "killed") return "died";
  return "asked";
}
