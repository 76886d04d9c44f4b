// Tabs that are places: links, each with a URL of its own.
import {html} from "../html.mjs";

/** @param {{label: string, tabs: {href: string, label: any, isHere: boolean, count?: number}[]}} props */
export function Tabs({label, tabs}) {
  return html`<nav class="tabs" aria-label=${label}><ul>${tabs.map((tab) => html`<li key=${tab.href}>
    <a href=${tab.href} aria-current=${tab.isHere ? "page" : undefined}>${tab.label}${tab.count ? html`<span class="tab-count">${tab.count}</span>` : null}</a></li>`)}</ul></nav>`;
}
