// Something to be copied: a command, an id, a YAML file. The clipboard needs a secure page; where there is none, the
// text is selected, so that a keystroke copies it.
import {html, useRef, useState} from "../html.mjs";
import {Icon} from "./icon.mjs";

/** @param {string} text @param {Element|null} beside */
async function copy(text, beside) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    if (beside) getSelection()?.selectAllChildren(beside);
    return false;
  }
}

/** A button that copies; `mark`: the icon alone. @param {{text: string, label?: string, mark?: boolean, of?: () => Element|null}} props */
export function CopyButton({text, label = "Copy", mark = false, of = () => null}) {
  const [state, setState] = useState("");
  const onClick = async () => {
    setState((await copy(text, of())) ? "Copied" : "Selected");
    setTimeout(() => setState(""), 1500);
  };
  return html`<button class=${`button small plain copy ${mark ? "copy-mark" : ""}`} type="button" onClick=${onClick} aria-label=${state || label} title=${mark ? label : undefined}>
    <${Icon} name=${state ? "check" : "copy"} size=${mark ? 14 : 16} />${!mark && html`<span aria-hidden="true">${state || label}</span>`}
  </button>`;
}

/** A block of text with its button. @param {{text: string, name?: string, wrap?: boolean}} props */
export function Snippet({text, name, wrap = false}) {
  const block = useRef(null);
  return html`<div class="snippet">
    ${name && html`<span class="snippet-name">${name}</span>`}
    <pre ref=${block} class=${wrap ? "wraps" : ""} tabindex="0" aria-label=${name ?? "Text to copy"}>${text}</pre>
    <${CopyButton} text=${text} label="Copy" of=${() => block.current} />
  </div>`;
}

/** The same wish for a terminal: two tabs, the command line and curl. @param {{cli: string, curl: string}} props */
export function AsCommand({cli, curl}) {
  const [which, choose] = useState("cli");
  return html`<div class="as-command">
    <div class="segments" role="group" aria-label="The same from a terminal">
      <button type="button" aria-pressed=${which === "cli"} onClick=${() => choose("cli")}>Command line</button>
      <button type="button" aria-pressed=${which === "curl"} onClick=${() => choose("curl")}>curl</button>
    </div>
    <${Snippet} text=${which === "cli" ? cli : curl} wrap />
  </div>`;
}
