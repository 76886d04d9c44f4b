// The head of a screen: its one h1, what it says of itself, its actions; and cards, its parts. And fetching, with all
// three outcomes.
import {cls, html, useEffect, useState} from "../html.mjs";
import {get} from "../api.mjs";

/** @param {{title: any, children?: any, actions?: any, over?: any}} props `over`: a line above, as where it belongs */
export function PageHead({title, children, actions, over}) {
  return html`<header class="page-head">
    <div class="page-title">
      ${over && html`<p class="over">${over}</p>`}
      <h1 id="title" tabindex="-1">${title}</h1>
      ${children && html`<div class="page-sub">${children}</div>`}
    </div>
    ${actions && html`<div class="page-actions">${actions}</div>`}
  </header>`;
}

/** @param {{title?: any, aside?: any, children: any, flush?: boolean, class?: string}} props `flush`: no inner margin, for tables */
export function Card({title, aside, children, flush = false, class: name = ""}) {
  return html`<section class=${cls("card", flush && "flush", name)}>
    ${title && html`<header class="card-head"><h2>${title}</h2>${aside && html`<div class="card-aside">${aside}</div>`}</header>`}
    <div class="card-body">${children}</div>
  </section>`;
}

/** Terms and what they are. @param {{items: [any, any][]}} props */
export function Facts({items}) {
  return html`<dl class="facts">${items.filter(Boolean).map(([term, value]) => html`<div key=${term}>
    <dt>${term}</dt><dd>${value}</dd></div>`)}</dl>`;
}

/**
 * Fetch while a screen is shown. `again` fetches anew and keeps what is there until the answer comes; `inputs` as of
 * useEffect: when one changes it is fetched anew. A null path fetches nothing.
 * @param {string|null} path @param {Record<string, any>} [query] @param {any[]} [inputs]
 * @returns {{data: any, error: any, isLoading: boolean, again: () => void}}
 */
export function useFetched(path, query = {}, inputs = []) {
  const [state, setState] = useState(/** @type {any} */ ({data: null, error: null, isLoading: true, for: ""}));
  const [turn, setTurn] = useState(0);
  const key = path === null ? "" : `${path}?${JSON.stringify(query)}`;
  useEffect(() => {
    if (path === null) return undefined;
    const control = new AbortController();
    get(path, query, {signal: control.signal}).then(
      (data) => setState({data, error: null, isLoading: false, for: key}),
      (error) => control.signal.aborted || setState((/** @type {any} */ was) => ({
        data: was.for === key ? was.data : null, error, isLoading: false, for: key,
      })),
    );
    return () => control.abort();
  }, [key, turn, ...inputs]);
  const isOld = state.for !== key;
  return {
    data: isOld ? null : state.data,
    error: isOld ? null : state.error,
    isLoading: isOld || state.isLoading,
    again: () => setTurn((/** @type {number} */ was) => was + 1),
  };
}
