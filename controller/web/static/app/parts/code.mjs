// A block of code as documentation shows it: it scrolls within its own box and can be copied. Of a session in a terminal
// it is the commands that are copied, without the prompt and without what was answered.
import {html, useRef} from "../html.mjs";
import {CopyButton} from "./copy.mjs";

/** The lines of a session, and whether a person typed them. @param {string} text @returns {{line: string, isTyped: boolean}[]} */
function session(text) {
  let goesOn = false;
  return text.split("\n").map((line) => {
    const isTyped = goesOn || line.startsWith("$ ");
    goesOn = isTyped && line.endsWith("\\");
    return {line, isTyped};
  });
}

/** What a person would type of it. @param {string} text @param {string} lang */
export function typed(text, lang) {
  const commands = lang === "console" ? session(text).filter((one) => one.isTyped) : [];
  return commands.map(({line}) => line.replace(/^\$ /, "")).join("\n") || text;
}

/** @param {{text: string, lang?: string, name?: string}} props */
export function CodeBlock({text, lang = "", name = "Code"}) {
  const block = useRef(/** @type {any} */ (null));
  const lines = lang !== "console" ? text : session(text).map(({line, isTyped}, index) => html`<span key=${index} class=${isTyped ? "typed" : "answered"}>${`${line}\n`}</span>`);
  return html`<div class="snippet code-block">
    <pre ref=${block} tabindex="0" aria-label=${name}>${lines}</pre>
    <${CopyButton} text=${typed(text, lang)} label="Copy" mark of=${() => block.current} />
  </div>`;
}
