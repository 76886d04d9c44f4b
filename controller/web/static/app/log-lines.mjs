// The lines that a screen holds: at most so many and so much text, in the order in which they were stored. Each has a key
// that stays while others come and go at both ends, so that a view stays where it is.

/**
 * @typedef {object} Line
 * @property {number} id its place among all lines that are stored
 * @property {number} ms when it was printed
 * @property {string} worker
 * @property {string} instance
 * @property {string} run
 * @property {string} stream "stdout", "stderr", or "" where it was not printed
 * @property {string} kind
 * @property {string} level "" where it says nothing
 * @property {string} text
 * @property {any} data the fields of a line of JSON, or of what happened
 * @property {boolean} approximate whether its time is a guess
 * @property {boolean} partial whether it goes on in the next one
 */

export const MOST_LINES = 100_000;
export const MOST_CHARACTERS = 32_000_000;

/** @type {Map<string, string>} Names are few: each is held once, not once per line. */
const names = new Map();
/** @param {string|null} name */
const held = (name) => {
  if (!name) return "";
  const known = names.get(name);
  if (known !== undefined) return known;
  if (names.size > 20_000) names.clear();
  names.set(name, name);
  return name;
};

/** @param {any} item as the API has it @returns {Line} */
export const lineOf = (item) => ({
  id: item.id,
  ms: Date.parse(item.at),
  worker: held(item.worker_id),
  instance: held(item.instance),
  run: held(item.run),
  stream: held(item.stream),
  kind: held(item.kind),
  level: held(item.level),
  text: item.text,
  data: item.data ?? null,
  approximate: item.approximate,
  partial: item.partial,
});

export class LogLines {
  constructor(most = MOST_LINES, mostCharacters = MOST_CHARACTERS) {
    this.most = most;
    this.mostCharacters = mostCharacters;
    /** @type {Line[]} */
    this.all = [];
    this.begin = 0;
    this.base = 0;
    this.characters = 0;
  }

  get length() {
    return this.all.length - this.begin;
  }

  /** Whether nothing more can come without something going. */
  get isFull() {
    return this.length >= this.most || this.characters >= this.mostCharacters;
  }

  /** @param {number} index @returns {Line} */
  at(index) {
    return this.all[this.begin + index];
  }

  /** @param {number} index */
  keyOf(index) {
    return this.base + index;
  }

  /** New ones at the end; the oldest go. @param {Line[]} lines @returns {number} how many went */
  append(lines) {
    for (const line of lines) {
      this.all.push(line);
      this.characters += line.text.length;
    }
    let gone = 0;
    while (this.length > this.most || (this.characters > this.mostCharacters && this.length > 1)) {
      this.characters -= this.all[this.begin].text.length;
      this.begin += 1;
      gone += 1;
    }
    this.base += gone;
    if (this.begin > this.most / 2) {
      this.all = this.all.slice(this.begin);
      this.begin = 0;
    }
    return gone;
  }

  /** Older ones before the first; the newest go. @param {Line[]} lines @returns {number} how many went */
  prepend(lines) {
    this.all = [...lines, ...this.all.slice(this.begin)];
    this.begin = 0;
    this.base -= lines.length;
    for (const line of lines) this.characters += line.text.length;
    let gone = 0;
    while (this.length > this.most || (this.characters > this.mostCharacters && this.length > 1)) {
      this.characters -= /** @type {Line} */ (this.all.pop()).text.length;
      gone += 1;
    }
    return gone;
  }

  clear() {
    this.base += this.length;
    this.all = [];
    this.begin = 0;
    this.characters = 0;
  }

  /** Where a line stands, or -1. @param {number} id */
  indexOf(id) {
    const index = this.after(id - 1);
    return index < this.length && this.at(index).id === id ? index : -1;
  }

  /** The first line behind that place. @param {number} id */
  after(id) {
    let [low, high] = [0, this.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.at(middle).id > id) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
