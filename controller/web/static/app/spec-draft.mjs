// A spec that somebody edits, by its YAML and by a form at once. The text is the truth: the form's edits are said to the
// API (`POST /drafts`), which makes the smallest change of the text that says them, as it does for files; so comments
// stay, and there is no YAML in this program. Each answer also has what the text says, what is wrong with it, and the plan
// that it would bring: the same judge that decides when it is applied.
//
// Edits of the form are kept as such until an answer has them, so a person may type on while one is under way, and an
// older answer takes nothing away. Nothing typed is lost: it is kept for this tab (sessionStorage) until it is applied
// or thrown away; and where somebody else wrote meanwhile (412), `conflict` has all three sides.
import {signal} from "./html.mjs";
import {ApiError, send} from "./api.mjs";
import {setAt} from "./spec-schema.mjs";

const SOON_MS = 250;
/** Whoever could not be asked is asked again. */
const LATER_MS = 3000;
const READ_TRIES = 60;
const KEPT = "workerctl.spec.";

/**
 * @typedef {object} Side one version of the document
 * @property {string} text @property {any} document @property {string} etag @property {string} file
 */
/**
 * @typedef {object} State
 * @property {"loading"|"ready"|"failed"} phase
 * @property {any} failure why it could not be read, or the last thing that went wrong
 * @property {Side} base what it was when editing began
 * @property {string} text @property {any} document what the text says, as far as is known
 * @property {boolean} isReadable whether it says anything: without, there is nothing for a form
 * @property {any[]} problems @property {any} refusal @property {any} plan @property {any} config
 * @property {boolean} isJudged whether all that is typed has been judged
 * @property {boolean} isRewritten comments went
 * @property {boolean} isRestored it was kept from before
 * @property {boolean} isGone its spec is there no more
 * @property {Side|null} newer what somebody else wrote meanwhile
 * @property {{was: Side, mine: Side, theirs: Side}|null} conflict
 */
const NONE = {text: "", document: {}, etag: "", file: ""};
const JUDGED = {problems: [], refusal: null, plan: null, config: null};

export class SpecDraft {
  /** @param {string|null} id null: a new worker */
  constructor(id) {
    this.id = id;
    /** @type {import("./html.mjs").Signal<State>} */
    this.state = signal({
      phase: "loading", failure: null, base: NONE, text: "", document: {}, isReadable: true, ...JUDGED, isJudged: true,
      isRewritten: false, isRestored: false, isGone: false, newer: null,
      conflict: null,
    });
    /** @type {{path: (string|number)[], value: any}[]} Edits of the form that no answer has yet. */
    this.edits = [];
    this.isTyped = false;
    /** Of the file as it was written last. */
    this.written = "";
    /** @type {Set<string>} Of the file as it was before: who tells of those is late. */
    this.former = new Set();
    /** @type {any} */
    this.timer = 0;
    /** @type {AbortController|null} */
    this.asking = null;
  }

  get isDirty() {
    const {text, base} = this.state.value;
    return text !== base.text || this.edits.length > 0;
  }

  /** @param {Partial<State>} changes */
  set(changes) {
    this.state.value = {...this.state.value, ...changes};
  }

  /** Begin: the spec as it stands, or what was typed before. */
  async load() {
    const kept = this.kept();
    this.edits = kept?.edits ?? [];
    if (this.id === null) {
      this.set({phase: "ready", text: kept?.text ?? "", document: kept?.document ?? {}, isRestored: Boolean(kept)});
      if (kept) this.judge();
      return;
    }
    try {
      const now = await this.now();
      if (!kept || (kept.text === now.side.text && !kept.edits.length)) this.settle(now);
      else if (kept.base.etag === now.side.etag) {
        this.set({...told(now.data), phase: "ready", base: now.side, text: kept.text, document: kept.document, isRestored: true});
        this.judge();
      } else {
        this.set({phase: "ready", base: kept.base, text: kept.text, document: kept.document, isRestored: true});
        this.set({conflict: {was: kept.base, mine: {...kept.base, text: kept.text, document: kept.document}, theirs: now.side}});
      }
    } catch (error) {
      this.set({phase: "failed", failure: error});
    }
  }

  /** The spec as it stands now. */
  async now() {
    const {data} = await draft({worker_id: this.id});
    return {side: {text: data.text, document: data.document ?? {}, etag: data.etag ?? "", file: data.file ?? ""}, data};
  }

  /** It is this, and nothing is typed. @param {{side: Side, data: any}} now */
  settle({side, data}) {
    this.stop();
    this.edits = [];
    this.set({...told(data), phase: "ready", base: side, text: side.text, document: side.document, isRestored: false,
      isJudged: true, isRewritten: false, isGone: false, newer: null, conflict: null, failure: null});
    this.keep();
  }

  /** The text was typed. @param {string} text */
  type(text) {
    this.isTyped = true;
    this.set({text, isJudged: false, isRewritten: false});
    this.keep();
    this.soon();
  }

  /** A field of the form was changed; undefined takes it away. @param {(string|number)[]} path @param {any} value */
  edit(path, value) {
    this.edits.push({path, value});
    this.set({document: setAt(this.state.value.document, path, value), isJudged: false});
    this.keep();
    this.soon();
  }

  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.judge(), SOON_MS);
  }

  stop() {
    clearTimeout(this.timer);
    this.asking?.abort();
    this.asking = null;
  }

  /** Ask what the text is worth, with the form's edits; whoever was asked before is not waited for. */
  async judge() {
    this.stop();
    const control = new AbortController();
    this.asking = control;
    const {text, isReadable} = this.state.value;
    // A text that was typed is read before the form's edits are said in it: they are edits of what it says.
    const isSaying = this.edits.length > 0 && !this.isTyped && isReadable;
    const [said, isTyped] = [isSaying ? this.edits.length : 0, this.isTyped];
    this.isTyped = false;
    const body = {worker_id: this.id, text, document: said ? this.state.value.document : null};
    try {
      const {data} = await draft(body, control.signal);
      if (control.signal.aborted) return;
      this.take(data, said);
    } catch (error) {
      if (control.signal.aborted) {
        this.isTyped ||= isTyped;
        return;
      }
      this.isTyped ||= isTyped;
      this.set({failure: error});
      if (error.status === 0 || error.status === 429 || error.status >= 500) this.timer = setTimeout(() => this.judge(), LATER_MS);
    }
  }

  /** @param {any} data @param {number} said so many edits are in it */
  take(data, said) {
    this.asking = null;
    this.edits = this.edits.slice(said);
    const isReadable = data.document !== null;
    const document = isReadable ? data.document : this.state.value.document;
    this.set({
      ...told(data), text: data.text, isReadable, failure: null, isJudged: this.edits.length === 0,
      document: this.edits.reduce((found, one) => setAt(found, one.path, one.value), document),
      isRewritten: this.state.value.isRewritten || data.rewritten,
    });
    this.keep();
    if (this.edits.length && isReadable) this.soon();
  }

  /** Write it. @returns {Promise<string>} "" , or what stands in the way: "conflict", "gone", "refused" */
  async apply() {
    const {text, base, document} = this.state.value;
    const name = this.id ?? document.worker_id;
    const seen = base.etag ? {"If-Match": base.etag} : {"If-None-Match": "*"};
    try {
      this.written = (await put(name, text, seen)).etag;
    } catch (error) {
      return this.refuse(error);
    }
    this.forget();
    return "";
  }

  /** @param {any} error @returns {Promise<string>} */
  async refuse(error) {
    if (error.status === 412) {
      try {
        this.former.add(this.state.value.base.etag);
        const theirs = (await this.read())?.side;
        if (!theirs) throw error;
        if (theirs.text === this.state.value.base.text && theirs.etag !== this.state.value.base.etag) {
          this.set({base: theirs}); // another worker of the same file
          return this.apply();
        }
        this.compare(theirs);
        return "conflict";
      } catch (other) {
        this.set({isGone: other instanceof ApiError && other.status === 404, failure: other});
        return "gone";
      }
    }
    if (error.status === 404) this.set({isGone: true});
    else if (error.status === 422) this.set({problems: error.errors});
    else this.set({failure: error});
    return error.status === 404 ? "gone" : "refused";
  }

  /** It was written, by us, as the file of this etag: a controller that has much to do reads it a little later. @param {string} etag */
  async wrote(etag) {
    this.former.add(this.state.value.base.etag);
    this.former.delete(etag);
    const now = await this.read().catch(() => null);
    if (now) this.settle(now);
    else this.set({failure: new ApiError(0, {detail: "it is written, and the controller has not read it yet"})});
  }

  /** The spec as it stands now, once the controller has read it; null where that takes long. */
  async read() {
    for (let tries = 0; tries < READ_TRIES; tries += 1) {
      const now = await this.now();
      if (!this.former.has(now.side.etag)) return now;
      await new Promise((resolve) => setTimeout(resolve, SOON_MS));
    }
    return null;
  }

  /** Show both sides. @param {Side} theirs */
  compare(theirs) {
    const {text, document, base} = this.state.value;
    this.stop();
    this.set({newer: null, conflict: {was: base, mine: {...base, text, document}, theirs}});
  }

  /** Whether somebody else wrote meanwhile. */
  async look() {
    if (this.id === null || this.state.value.phase !== "ready" || this.state.value.conflict) return;
    const now = await this.now().catch(() => null);
    if (now === null || now.side.etag === this.state.value.base.etag || this.former.has(now.side.etag)) return;
    if (now.side.text === this.state.value.base.text) this.set({base: now.side});
    else if (this.isDirty) this.set({newer: now.side});
    else this.settle(now);
  }

  /** From now on it is theirs that is edited: this text, with these edits. @param {Side} theirs @param {Side} side @param {{path: string[], value: any}[]} [edits] */
  takeOver(theirs, side, edits = []) {
    this.edits = edits;
    const document = edits.reduce((found, one) => setAt(found, one.path, one.value), side.document);
    this.set({base: theirs, text: side.text, document, isReadable: true, conflict: null, isJudged: false, isRestored: false, newer: null, failure: null});
    this.keep();
    return this.judge();
  }

  /** Its spec is gone: what is typed is a new one. */
  anew() {
    this.set({base: NONE, isGone: false, failure: null});
    this.keep();
  }

  /** Throw away what was typed; returns what brings it back. */
  discard() {
    const {text, base} = this.state.value;
    this.edits = [];
    this.set({text: base.text, document: base.document, isRestored: false, isRewritten: false, isReadable: true, conflict: null, isGone: false, ...JUDGED});
    this.keep();
    if (base.text) this.judge();
    return () => this.type(text);
  }

  // --- what this tab keeps ---

  kept() {
    try {
      return JSON.parse(sessionStorage.getItem(KEPT + (this.id ?? "")) ?? "null");
    } catch {
      return null;
    }
  }

  keep() {
    const {text, document, base} = this.state.value;
    try {
      if (!this.isDirty) this.forget();
      else sessionStorage.setItem(KEPT + (this.id ?? ""), JSON.stringify({text, document, base, edits: this.edits}));
    } catch {
      // It is kept as long as the page is open.
    }
  }

  forget() {
    this.edits = [];
    try {
      sessionStorage.removeItem(KEPT + (this.id ?? ""));
    } catch {
      // Nothing was kept.
    }
  }
}

/** @param {any} data */
const told = (data) => ({
  problems: data.problems, refusal: data.refusal, plan: data.plan, config: data.config, isReadable: data.document !== null,
});

/** Judge a draft: nothing is written, so there is nothing to be done twice. @param {any} body @param {AbortSignal} [signal] */
export const draft = (body, signal) => send("POST", "/drafts", body, {signal, headers: {"Idempotency-Key": ""}});

/** Write a worker's document as it is typed. @param {string} name @param {string} text @param {Record<string, string>} seen */
export const put = (name, text, seen) => send("PUT", `/worker-configs/${name}`, undefined, {text, headers: seen});
