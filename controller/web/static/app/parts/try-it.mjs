// A request that only reads, sent from the page: what came back, as it came.
import {html, useEffect, useRef, useState} from "../html.mjs";
import {bytes} from "../format.mjs";
import {visible} from "../text.mjs";
import {CopyButton} from "./copy.mjs";

const MOST_SHOWN = 20_000;

/** @param {{target: string, isWhole: boolean}} props `isWhole`: no part of the path is without a value */
export function TryIt({target, isWhole}) {
  const [told, setTold] = useState(/** @type {any} */ (null));
  const [isBusy, setBusy] = useState(false);
  const control = useRef(/** @type {any} */ (null));
  const block = useRef(/** @type {any} */ (null));
  useEffect(() => () => control.current?.abort(), []);
  const send = async () => {
    control.current?.abort();
    const mine = control.current = new AbortController();
    setBusy(true);
    const begun = performance.now();
    try {
      const response = await fetch(target, {cache: "no-store", signal: mine.signal, headers: {Accept: "application/json, */*;q=0.5"}});
      const text = await response.text();
      setTold({status: response.status, type: response.headers.get("Content-Type") ?? "", ms: Math.round(performance.now() - begun), size: text.length, text: laid(text)});
    } catch {
      if (!mine.signal.aborted) setTold({status: 0, type: "", ms: 0, size: 0, text: "The controller cannot be reached."});
    }
    if (!mine.signal.aborted) setBusy(false);
  };
  return html`<section class="try-it"><h3>Try it</h3>
    <div class="row"><button type="button" class="button small" disabled=${!isWhole || isBusy} onClick=${send}>Send</button><code class="try-target">GET ${target}</code></div>
    <div role="status">${told && html`<p class="try-told"><span class=${`answer-status ${told.status >= 200 && told.status < 300 ? "is-good" : "is-bad"}`}>${told.status || "none"}</span>
      <span class="muted">${told.type} \u00b7 ${bytes(told.size)} \u00b7 ${told.ms} ms</span></p>`}</div>
    ${told && html`<div class="snippet code-block"><pre ref=${block} tabindex="0" aria-label="The answer">${visible(told.text.slice(0, MOST_SHOWN))}${told.text.length > MOST_SHOWN ? `\n\u2026 ${bytes(told.text.length - MOST_SHOWN)} more` : ""}</pre>
      <${CopyButton} text=${told.text} mark label="Copy the answer" of=${() => block.current} /></div>`}</section>`;
}

/** JSON with line ends; anything else as it is. @param {string} text */
function laid(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
