// Where the lines of a view come from: the newest, older ones page by page, those around one line, and what comes. It
// knows how far it looked and says so. The view reads `version`; everything else is as of that.
import {ApiError, follow, get} from "./api.mjs";
import {signal} from "./html.mjs";
import {LogLines, lineOf} from "./log-lines.mjs";

const FIRST = 1000;
const PAGE = 2000;
const AROUND = 400;
const ENOUGH = 60;
const RETRY_MS = [500, 1000, 2000, 5000, 10_000];

export class LogSource {
  /** @param {string} path below /api/v1 @param {Record<string, any>} query what filters, without where to begin */
  constructor(path, query) {
    this.path = path;
    this.query = query;
    this.lines = new LogLines();
    /** Changes with every change, at most once per frame. */
    this.version = signal(0);
    this.state = "loading";
    /** @type {any} */
    this.error = null;
    /** "off", "live", or "broken": tried again. */
    this.follows = "off";
    /** Whether nothing newer is known to be. */
    this.isAtEnd = false;
    /** Where older ones are; null: there are none. @type {string|null} */
    this.older = null;
    this.isLoading = false;
    /** The search stopped for its time was over; until when it came, if that is known. */
    this.stoppedEarly = false;
    /** @type {number|null} */
    this.searchedTo = null;
    /** @type {{lines: number, until: string}|null} What retention has removed of it. */
    this.removed = null;
    /** Lines that came since the view was opened. */
    this.arrived = 0;
    /** The view looks elsewhere: nothing of what it looks at may go. */
    this.isHeld = false;
    this.newest = 0;
    /** How many times it began anew: what was known of the end is void. */
    this.opened = 0;
    this.control = new AbortController();
    this.asked = 0;
  }

  /** Draw soon. */
  tell() {
    if (this.asked) return;
    const now = () => {
      this.asked = 0;
      this.version.value += 1;
    };
    this.asked = document.hidden ? /** @type {any} */ (setTimeout(now, 250)) : requestAnimationFrame(now);
  }

  close() {
    this.control.abort();
  }

  /** From the newest line, or from around one. @param {number} [at] */
  async open(at) {
    this.control.abort();
    this.control = new AbortController();
    Object.assign(this, {state: "loading", error: null, follows: "off", isAtEnd: false, stoppedEarly: false, searchedTo: null, removed: null, isLoading: false});
    this.opened += 1;
    this.lines.clear();
    this.tell();
    const {signal: until} = this.control;
    try {
      if (at) {
        const [before, after] = await Promise.all([
          this.ask({before: at + 1, tail: AROUND}, until),
          this.ask({after: at, limit: AROUND}, until),
        ]);
        this.began(before, [...before.items, ...after.items]);
        this.came(after, AROUND);
      } else {
        const page = await this.ask({tail: FIRST}, until);
        this.began(page, page.items);
        this.newest = Number(page.next_cursor);
        this.isAtEnd = true;
      }
      this.state = "ready";
      this.watch();
      this.searchOn(until);
    } catch (error) {
      if (until.aborted) return;
      this.state = "error";
      this.error = error;
    }
    this.tell();
  }

  /** A search whose time was over goes on by itself until there is something to look at. @param {AbortSignal} until */
  async searchOn(until) {
    while (this.stoppedEarly && this.lines.length < ENOUGH && !until.aborted && !this.error) await this.loadOlder();
  }

  /** @param {Record<string, any>} place @param {AbortSignal} until */
  ask(place, until) {
    return get(this.path, {...this.query, ...place}, {signal: until});
  }

  /** @param {any} page @param {any[]} items */
  began(page, items) {
    this.lines.append(items.map(lineOf));
    this.looked(page);
  }

  /** How far back that page was looked for. @param {any} page */
  looked(page) {
    this.older = page.prev_cursor;
    this.stoppedEarly = page.stopped_early;
    this.removed = page.prev_cursor === null ? page.removed : this.removed;
    if (page.stopped_early && page.prev_cursor) this.learnTime(Number(page.prev_cursor));
    else this.searchedTo = null;
  }

  /** When the line was printed to which the search came: it may have found none. @param {number} cursor */
  async learnTime(cursor) {
    const whose = {worker: this.query.worker, selector: this.query.selector};
    const {signal: until} = this.control;
    const page = await get(this.path, {...whose, before: cursor + 1, tail: 1}, {signal: until}).catch(() => null);
    if (until.aborted || !page?.items.length || this.older !== String(cursor)) return;
    this.searchedTo = Date.parse(page.items[0].at);
    this.tell();
  }

  /** A page forwards. @param {any} page @param {number} limit */
  came(page, limit) {
    this.newest = Number(page.next_cursor);
    this.isAtEnd = page.items.length < limit && !page.stopped_early;
  }

  async loadOlder() {
    if (this.isLoading || this.older === null || this.state !== "ready") return;
    await this.load(async (until) => {
      const first = this.lines.length ? this.lines.at(0).id : null;
      const before = this.stoppedEarly || first === null ? this.older : Math.min(first, Number(this.older));
      const page = await this.ask({before, tail: PAGE}, until);
      if (this.lines.prepend(page.items.map(lineOf)) > 0) this.leaveEnd();
      this.looked(page);
    });
  }

  async loadNewer() {
    if (this.isLoading || this.isAtEnd || this.state !== "ready" || this.lines.length === 0) return;
    await this.load(async (until) => {
      const page = await this.ask({after: this.newest, limit: PAGE}, until);
      this.add(page.items);
      this.came(page, PAGE);
      this.watch();
    });
  }

  /** @param {(until: AbortSignal) => Promise<void>} work */
  async load(work) {
    const {signal: until} = this.control;
    this.isLoading = true;
    this.tell();
    try {
      await work(until);
      this.error = null;
    } catch (error) {
      if (until.aborted) return;
      this.error = error;
    }
    this.isLoading = false;
    this.tell();
  }

  /** @param {any[]} items */
  add(items) {
    const lines = items.map(lineOf);
    if (this.lines.append(lines) > 0) {
      // Those that went are older ones, which can be had again.
      this.older = String(this.lines.at(0).id);
      this.stoppedEarly = false;
      this.searchedTo = null;
    }
  }

  /** What was at the end has gone, or will not be taken: it is not followed until somebody comes back to the end. */
  leaveEnd() {
    this.isAtEnd = false;
    this.follows = "off";
    this.watching?.abort();
    if (this.lines.length) this.newest = this.lines.at(this.lines.length - 1).id;
  }

  /** Follow, if what there is has been read to its end and the question has none. */
  watch() {
    if (!this.isAtEnd || this.query.until || this.follows !== "off") return;
    this.watching = new AbortController();
    this.control.signal.addEventListener("abort", () => this.watching?.abort());
    this.follows = "live";
    this.followOn(this.watching.signal);
  }

  /** @param {AbortSignal} until */
  async followOn(until) {
    for (let attempt = 0; !until.aborted; ) {
      const began = Date.now();
      try {
        await follow(this.path, {...this.query, after: this.newest}, (items) => this.take(items), until);
      } catch (error) {
        if (until.aborted) return;
        if (error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 429) {
          this.error = error;
          this.follows = "off";
          this.tell();
          return;
        }
      }
      if (until.aborted) return;
      attempt = Date.now() - began > 10_000 ? 0 : attempt + 1;
      this.follows = "broken";
      this.tell();
      await new Promise((done) => setTimeout(done, RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)]));
    }
  }

  /** @param {any[]} items */
  take(items) {
    this.follows = "live";
    const lines = items.filter((item) => item.id);
    const missing = items.find((item) => item.kind === "gap" && !item.id);
    if (missing) this.removed = {lines: 0, until: missing.at};
    if (lines.length) {
      if (this.isHeld && this.lines.isFull) {
        this.arrived += lines.length;
        this.leaveEnd();
      } else {
        this.add(lines);
        this.newest = lines[lines.length - 1].id;
        this.arrived += lines.length;
      }
    }
    this.tell();
  }
}
