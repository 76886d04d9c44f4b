// What is on a long page: links to its headings, beside it; where the window is narrow, folded above it. And the place in
// the page that the address names.
import {cls, html, useEffect, useState} from "../html.mjs";
import {place} from "../router.mjs";

/** Go to what the address names once the page `isThere`, and whenever the address changes. @param {boolean} isThere */
export function useAnchor(isThere) {
  const hash = place.value.hash;
  useEffect(() => {
    if (!isThere || hash.length < 2) return;
    const named = document.getElementById(decodeURIComponent(hash.slice(1)));
    named?.scrollIntoView();
    named?.focus({preventScroll: true});
  }, [isThere, hash, place.value.path]);
}

const BELOW_BAR = 96;

/** The last heading above the middle of what is looked at. @param {string[]} anchors */
function useWhere(anchors) {
  const [at, setAt] = useState("");
  useEffect(() => {
    let asked = 0;
    const look = () => {
      asked = 0;
      const passed = anchors.filter((one) => (document.getElementById(one)?.getBoundingClientRect().top ?? Infinity) < BELOW_BAR);
      setAt(passed.at(-1) ?? "");
    };
    const soon = () => {
      asked ||= requestAnimationFrame(look);
    };
    look();
    addEventListener("scroll", soon, {passive: true});
    return () => {
      cancelAnimationFrame(asked);
      removeEventListener("scroll", soon);
    };
  }, [anchors.join(" ")]);
  return at;
}

/** @param {{entries: {anchor: string, label: any, isBelow?: boolean}[]}} props */
export function OnThisPage({entries}) {
  const at = useWhere(entries.map((one) => one.anchor));
  const [isOpen, setOpen] = useState(false);
  if (entries.length < 2) return null;
  const links = html`<ul>${entries.map((one) => html`<li key=${one.anchor} class=${cls(one.isBelow && "below")}>
    <a href=${`#${one.anchor}`} aria-current=${one.anchor === at ? "location" : undefined} onClick=${() => setOpen(false)}>${one.label}</a></li>`)}</ul>`;
  return html`<nav class="on-this-page" aria-label="On this page">
    <h2>On this page</h2>
    <button class="button on-this-page-button" aria-expanded=${isOpen} onClick=${() => setOpen(!isOpen)}>On this page</button>
    <div class=${cls("on-this-page-list", isOpen && "open")}>${links}</div>
  </nav>`;
}
