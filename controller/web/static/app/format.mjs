// Figures in words: bytes, percent, durations, counts. Pure; what is not known is an en dash.

export const UNKNOWN = "\u2013";

/** 93.1 MiB. @param {number|null|undefined} value */
export function bytes(value) {
  if (value === null || value === undefined) return UNKNOWN;
  if (value < 1024) return `${value} B`;
  let [figure, unit] = [value, 0];
  while (figure >= 1000 && unit < 4) [figure, unit] = [figure / 1024, unit + 1];
  return `${figure < 10 ? figure.toFixed(1) : Math.round(figure)} ${["B", "KiB", "MiB", "GiB", "TiB"][unit]}`;
}

/** 0.4 %. @param {number|null|undefined} value */
export function percent(value) {
  if (value === null || value === undefined) return UNKNOWN;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} %`;
}

/** 12,345. @param {number|null|undefined} value */
export const count = (value) => (value === null || value === undefined ? UNKNOWN : value.toLocaleString("en"));

/** "1 worker", "3 workers". @param {number} number @param {string} one @param {string} [many] */
export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

const UNITS = [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]];

/** The two largest units: "3 d 4 h", "12 m 5 s", "8 s". @param {number|null|undefined} seconds */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return UNKNOWN;
  let rest = Math.max(0, Math.floor(seconds));
  const parts = [];
  for (const [unit, size] of /** @type {[string, number][]} */ (UNITS)) {
    const amount = Math.floor(rest / size);
    rest -= amount * size;
    if (amount || (parts.length === 0 && size === 1)) parts.push(`${amount} ${unit}`);
    else if (parts.length) break;
    if (parts.length === 2) break;
  }
  return parts.join(" ");
}

/** The largest unit alone, for "ago" and "in". @param {number} seconds */
export function roughly(seconds) {
  return duration(seconds).split(" ").slice(0, 2).join(" ");
}

/** How a run ended, in a few words. @param {{cause: string, code: number|null, signal: string|null}|null} exit */
export function exitWords(exit) {
  if (!exit) return "";
  if (exit.cause === "oom_killed") return "out of memory";
  if (exit.signal) return exit.signal;
  if (exit.code !== null && exit.code !== undefined) return `exit ${exit.code}`;
  return exit.cause.replaceAll("_", " ");
}
