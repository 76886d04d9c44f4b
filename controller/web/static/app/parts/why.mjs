// Why a worker is as it is, and what comes next and when: the controller's own sentence, with a countdown.
import {html, useEffect, useRef, useState} from "../html.mjs";
import {get} from "../api.mjs";
import {nextRetry} from "../status.mjs";
import {visible} from "../text.mjs";
import {withCode} from "./doc-link.mjs";
import {Due} from "./when.mjs";

export {withCode};

const AT_MOST_EACH_MS = 1000;

/**
 * `GET /workers/ID/status`, fetched anew when the list's item changes, at most once a second.
 * @param {string} id @param {any} item of the store; null for a worker that is not listed
 * @returns {{data: any, error: any}}
 */
export function useStatus(id, item) {
  const [state, setState] = useState(/** @type {any} */ ({id, data: null, error: null}));
  const last = useRef(/** @type {any} */ ({id: "", at: 0}));
  useEffect(() => {
    const control = new AbortController();
    const wait = last.current.id === id ? Math.max(0, last.current.at + AT_MOST_EACH_MS - Date.now()) : 0;
    const timer = setTimeout(() => {
      last.current = {id, at: Date.now()};
      get(`/workers/${id}/status`, {}, {signal: control.signal}).then(
        (data) => setState({id, data, error: null}),
        (error) => control.signal.aborted || setState({id, data: null, error}),
      );
    }, wait);
    return () => {
      clearTimeout(timer);
      control.abort();
    };
  }, [id, item]);
  return state.id === id ? state : {data: null, error: null};
}

/** A clause as a sentence; a name at its beginning stays as it is. @param {string} text */
export const sentence = (text) => {
  const shown = visible(text).trim();
  if (!shown) return "";
  const isName = /^[a-z]+[-/0-9]/.test(shown);
  return (isName ? shown[0] : shown[0].toUpperCase()) + shown.slice(1) + (/[.!?\u2026]$/.test(shown) ? "" : ".");
};

/** What comes next; where it says in how long, that counts down. @param {{text: string, retry: string|null}} props */
function Next({text, retry}) {
  const [before, after] = text.split(/\bin \d+(?:\.\d+)? s\b/);
  if (!retry) return withCode(text);
  if (after === undefined) return html`${withCode(text)} <span class="next-due">Tried again <${Due} at=${retry} />.</span>`;
  return html`${withCode(before)}<span class="next-due"><${Due} at=${retry} /></span>${withCode(after)}`;
}

/** @param {{status: any}} props the answer of `useStatus` */
export function Why({status}) {
  if (!status) return html`<p class="why muted">\u2026</p>`;
  const retry = nextRetry(status);
  return html`<div class="why">
    <p>${withCode(sentence(status.why))}</p>
    ${(status.next || retry) && html`<p class="next"><span class="next-word">Next</span> <${Next} text=${sentence(status.next)} retry=${retry} /></p>`}
  </div>`;
}
