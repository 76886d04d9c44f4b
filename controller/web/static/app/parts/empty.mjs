// Where there is nothing to show: why, and what to do about it.
import {html} from "../html.mjs";

/** @param {{title: string, children?: any, actions?: any}} props */
export function Empty({title, children, actions}) {
  return html`<div class="empty">
    <h2>${title}</h2>
    ${children && html`<div class="empty-text">${children}</div>`}
    ${actions && html`<div class="empty-actions">${actions}</div>`}
  </div>`;
}

/** While something is fetched: grey bars, only when it takes long enough to be noticed. @param {{rows?: number, label?: string}} props */
export function Loading({rows = 4, label = "Loading"}) {
  return html`<div class="loading" role="status" aria-label=${label}>
    ${Array.from({length: rows}, (_, index) => html`<div key=${index} class="bar"></div>`)}
  </div>`;
}
