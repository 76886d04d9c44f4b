// How lines are looked at, as a browser remembers it; and how their times are written.
import {roughly} from "./format.mjs";
import {stored} from "./stored.mjs";

/** @type {import("./html.mjs").Signal<boolean>} */
export const wraps = stored("logs.wrap", matchMedia("(max-width: 720px)").matches);
/** "local", "utc", "relative" or "none". */
export const times = stored("logs.times", "local");
/** "small", "medium" or "large". */
export const size = stored("logs.size", "medium");
/** Whether a line of JSON is shown as its message and its fields. */
export const readsJson = stored("logs.json", true);
/** Whether colours are shown as colours, or as the escapes that they are. */
export const showsColours = stored("logs.colours", true);

/** Height of a row, in px, by size. */
export const HEIGHTS = {small: 17, medium: 20, large: 25};

const two = (/** @type {number} */ value) => String(value).padStart(2, "0");

/** 12:03:04.123, with its date where that is not today's. @param {number} ms @param {number} nowMs @param {boolean} isUtc */
export function clock(ms, nowMs, isUtc = false) {
  const shift = (/** @type {number} */ at) => new Date(isUtc ? at : at - new Date(at).getTimezoneOffset() * 60_000);
  const at = shift(ms);
  const day = at.toISOString().slice(0, 10);
  const time = at.toISOString().slice(11, 23);
  return day === shift(nowMs).toISOString().slice(0, 10) ? time : `${day.slice(5)} ${time}`;
}

/** The same without fractions. @param {number} ms @param {number} nowMs */
export const clockShort = (ms, nowMs) => clock(ms, nowMs).replace(/\.\d+$/, "");

/** As it stands before a line. @param {number} ms @param {number} nowMs @param {string} how */
export function timeOf(ms, nowMs, how) {
  if (how === "relative") return nowMs - ms < 1000 ? "now" : `${roughly((nowMs - ms) / 1000)} ago`;
  return clock(ms, nowMs, how === "utc");
}

/** How wide that is, in letters. @param {string} how @param {boolean} hasDays whether some are not of today */
export const timeWidth = (how, hasDays) => (how === "none" ? 0 : how === "relative" ? 9 : hasDays ? 18 : 12);

/** Two cells for what is wide in a fixed font. */
const WIDE = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/g;

/** How many columns a text takes, about. @param {string} text */
export const columnsOf = (text) => text.length + (text.includes("\t") ? 3 * (text.split("\t").length - 1) : 0) + (/[^\u0000-\u10ff]/.test(text) ? (text.match(WIDE)?.length ?? 0) : 0);

/** Where rows are: all of one height, or of as many as their text is folded into. In rows; the view multiplies. */
export class Tops {
  /** @param {import("./log-lines.mjs").LogLines} lines */
  constructor(lines) {
    this.lines = lines;
    this.columns = 0;
    this.shape = "";
    /** @type {number[]} The end of each row, for the lines from key `from` on. */
    this.ends = [];
    this.from = 0;
    this.begin = 0;
  }

  /** @param {number} columns 0: nothing is folded @param {(line: any) => number} rowsOf @param {string} shape what rowsOf depends on */
  fit(columns, rowsOf, shape) {
    const {lines} = this;
    this.columns = columns;
    if (!columns) return;
    if (this.shape !== shape || lines.base < this.from || lines.base + lines.length < this.from || lines.base - this.from > 200_000) {
      Object.assign(this, {ends: [], from: lines.base, begin: 0, shape});
    }
    const known = this.from + this.ends.length;
    if (known > lines.base + lines.length) this.ends.length = lines.base + lines.length - this.from;
    let sum = this.ends.length ? this.ends[this.ends.length - 1] : 0;
    for (let index = this.from + this.ends.length - lines.base; index < lines.length; index += 1) {
      if (index >= 0) sum += rowsOf(lines.at(index));
      this.ends.push(sum);
    }
    const gone = lines.base - this.from;
    this.begin = gone > 0 ? this.ends[Math.min(gone, this.ends.length) - 1] : 0;
  }

  /** Rows above a line. @param {number} index */
  top(index) {
    if (!this.columns) return index;
    const at = this.lines.base - this.from + index - 1;
    return (at < 0 ? 0 : (this.ends[Math.min(at, this.ends.length - 1)] ?? 0)) - this.begin;
  }

  /** The line that stands there. @param {number} row */
  indexAt(row) {
    let [low, high] = [0, this.lines.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.top(middle + 1) > row) high = middle;
      else low = middle + 1;
    }
    return Math.min(low, Math.max(0, this.lines.length - 1));
  }

  get height() {
    return this.top(this.lines.length);
  }
}
