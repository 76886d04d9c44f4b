// Tabs that are places: links, each with a URL of its own.
import {html, useEffect, useRef} from "../html.mjs";

/** @param {{label: string, tabs: {href: string, label: any, isHere: boolean, count?: number}[]}} props */
export function Tabs({label, tabs}) {
  const bar = useRef(/** @type {any} */ (null));
  const here = tabs.find((tab) => tab.isHere)?.href;
  useEffect(() => {
    const tab = bar.current?.querySelector("[aria-current]");
    if (tab) bar.current.scrollLeft = Math.max(0, tab.offsetLeft + tab.offsetWidth - bar.current.clientWidth + 24);
  }, [here]);
  return html`<nav class="tabs" aria-label=${label} ref=${bar}><ul>${tabs.map((tab) => html`<li key=${tab.href}>
    <a href=${tab.href} aria-current=${tab.isHere ? "page" : undefined}>${tab.label}${tab.count ? html`<span class="tab-count">${tab.count}</span>` : null}</a></li>`)}</ul></nav>`;
}
