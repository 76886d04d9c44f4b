// How many lines of what level when, of all that match: asked of the API portion by portion, the newest first, and grown
// by the lines that are followed. `Counts` is pure: portions of any width are put together, wider spans where there would
// be too many.
import {useEffect, useRef, useState} from "./html.mjs";
import {get} from "./api.mjs";

export const MOST_BARS = 96;
/** So many portions are asked for by themselves, each of about a second; more when somebody wants them. */
const PORTIONS = 4;
/** Seconds, each a multiple of the one before, as the API has them; then twice as long each. */
const ROUND = [1, 5, 10, 30, 60, 300, 600, 1800, 3600, 10_800, 21_600, 43_200, 86_400, 604_800];
/** From the ground up. @type {Record<string, number>} */
const GROUP_OF = {debug: 1, info: 2, warning: 3, error: 4, critical: 4};
const NONE = [0, 0, 0, 0, 0];

/** @typedef {{counts: number[], id: number, worst: number}} Bar `id`: the first line of its worst level */

export class Counts {
  constructor() {
    this.step = 1;
    /** By the number of the span since 1970. @type {Map<number, Bar>} */
    this.spans = new Map();
    /** Milliseconds: what was looked at, with lines or without. */
    this.from = Infinity;
    this.to = -Infinity;
  }

  /** A portion as the API has it. @param {any} told */
  take(told) {
    if (told.times.length === 0) return;
    while (this.step < told.step_s) this.widen();
    this.reach(told.times[0] * 1000, (told.times[told.times.length - 1] + told.step_s) * 1000 - 1);
    for (const {level, values} of told.series) {
      const group = GROUP_OF[level ?? ""] ?? 0;
      values.forEach((/** @type {number} */ number, /** @type {number} */ index) => {
        const isWorst = told.series.find((/** @type {any} */ one) => one.values[index])?.level === level;
        if (number) this.add(told.times[index], group, number, isWorst ? told.worst_ids[index] : 0);
      });
    }
  }

  /** A line that came. @param {import("./log-lines.mjs").Line} line */
  came(line) {
    this.reach(line.ms, line.ms);
    this.add(line.ms / 1000, GROUP_OF[line.level] ?? 0, 1, line.id);
  }

  /** @param {number} at @param {number} group @param {number} number @param {number} id 0: of a line that is not the worst */
  add(at, group, number, id) {
    const span = Math.floor(at / this.step);
    const bar = this.spans.get(span) ?? {counts: [...NONE], id: 0, worst: -1};
    bar.counts[group] += number;
    if (id && (group > bar.worst || (group === bar.worst && id < bar.id))) Object.assign(bar, {id, worst: group});
    this.spans.set(span, bar);
  }

  /** @param {number} from @param {number} to */
  reach(from, to) {
    this.from = Math.min(this.from, from);
    this.to = Math.max(this.to, to);
    while (Math.floor(this.to / 1000 / this.step) - Math.floor(this.from / 1000 / this.step) >= MOST_BARS) this.widen();
  }

  widen() {
    const [before, known] = [this.step, this.spans];
    this.step = ROUND.find((one) => one > before) ?? before * 2;
    this.spans = new Map();
    for (const [span, bar] of known) {
      bar.counts.forEach((number, group) => number && this.add(span * before, group, number, group === bar.worst ? bar.id : 0));
    }
  }

  /** All bars, also those without a line: `at` in milliseconds. @returns {(Bar & {at: number})[]} */
  bars() {
    if (this.from > this.to) return [];
    const first = Math.floor(this.from / 1000 / this.step);
    const number = Math.floor(this.to / 1000 / this.step) - first + 1;
    return Array.from({length: number}, (_, index) => ({
      ...(this.spans.get(first + index) ?? {counts: NONE, id: 0, worst: -1}), at: (first + index) * this.step * 1000,
    }));
  }
}

/**
 * @typedef {object} Told
 * @property {Counts|null} counts null until the first answer
 * @property {number} turn changes with the counts
 * @property {boolean} isCounting
 * @property {number|null} backTo milliseconds, where older ones are not counted
 * @property {any} error
 * @property {() => void} on count further back
 */

/**
 * The counts of a question, for as long as it is asked. @param {import("./log-source.mjs").LogSource} source
 * @returns {Told}
 */
export function useCounts(source) {
  const [state, setState] = useState(/** @type {any} */ ({counts: null, isCounting: true, backTo: null, error: null}));
  const [turn, setTurn] = useState(0);
  const now = useRef(/** @type {any} */ ({}));
  const version = source.version.value;
  const {opened} = source;
  useEffect(() => {
    const control = new AbortController();
    const mine = {control, counts: new Counts(), newest: Infinity, before: "", source};
    now.current = mine;
    setState((/** @type {any} */ was) => ({...was, isCounting: true, error: null}));
    count(mine, PORTIONS, setState);
    return () => control.abort();
  }, [source, opened]);
  useEffect(() => {
    const mine = now.current;
    if (mine.source !== source || source.follows !== "live" || source.lines.length === 0) return;
    const {lines} = source;
    let isNew = false;
    for (let index = lines.after(mine.newest); index < lines.length; index += 1) {
      const line = lines.at(index);
      if (line.kind !== "gap") mine.counts.came(line);
      [mine.newest, isNew] = [line.id, true];
    }
    if (isNew) setTurn((was) => was + 1);
  }, [version, source, state]);
  return {...state, turn, on: () => count(now.current, 1, setState)};
}

/** @param {any} mine @param {number} portions @param {(next: any) => void} tell */
async function count(mine, portions, tell) {
  const {control: {signal}, counts, source} = mine;
  const query = {...source.query, parsed: undefined, spans: MOST_BARS};
  try {
    for (let portion = 0; portion < portions && !signal.aborted; portion += 1) {
      const told = await get(`${source.path}/histogram`, {...query, ...(mine.before && {before: mine.before, step: counts.step})}, {signal});
      counts.take(told);
      if (!mine.before) mine.newest = Number(told.next_cursor);
      mine.before = told.prev_cursor;
      const isCounting = told.stopped_early && portion + 1 < portions;
      tell({counts, isCounting, backTo: told.stopped_early ? Date.parse(told.back_to) : null, error: null});
      if (!told.stopped_early) return;
    }
  } catch (error) {
    if (!signal.aborted) tell((/** @type {any} */ was) => ({...was, isCounting: false, error}));
  }
}
