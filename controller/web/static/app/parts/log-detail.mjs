// One record, opened: all of it, where it is from, its link, and what stands around it.
import {html, useRef} from "../html.mjs";
import {clock} from "../log-look.mjs";
import {plain} from "../ansi.mjs";
import {setQuery, withQuery} from "../router.mjs";
import {visible} from "../text.mjs";
import {useKeys} from "../keys.mjs";
import {now} from "../time.mjs";
import {CopyButton} from "./copy.mjs";
import {Icon} from "./icon.mjs";

export const closeLine = () => setQuery({at: null});

/** @param {{line: import("../log-lines.mjs").Line, isFiltered: boolean, isAll: boolean}} props */
export function LogDetail({line, isFiltered, isAll}) {
  const text = useRef(null);
  useKeys([{keys: "Escape", does: "Close the line", group: "Logs", run: closeLine}]);
  const ordinal = line.instance.slice(line.worker.length + 1);
  const log = `/workers/${line.worker}/logs`;
  const context = `${log}?at=${line.id}`;
  return html`<section class="log-detail card" aria-label="The line">
    <header>
      <dl class="log-facts">
        <div><dt>Printed</dt><dd><time datetime=${new Date(line.ms).toISOString()} title=${new Date(line.ms).toISOString()}>${clock(line.ms, now.value)}</time>${line.approximate && " (about)"}</dd></div>
        <div><dt>Instance</dt><dd><a href=${isAll ? `/workers/${line.worker}` : withQuery({instance: ordinal})}>${visible(line.instance || line.worker)}</a></dd></div>
        ${line.run && html`<div><dt>Run</dt><dd><a href=${`${log}?run=${line.run}&at=${line.id}`} title="Only lines of this run"><code>${line.run.slice(0, 8)}</code></a></dd></div>`}
        ${line.stream && html`<div><dt>Stream</dt><dd>${line.stream}</dd></div>`}
        ${line.kind !== "line" && html`<div><dt>Kind</dt><dd>${line.kind}</dd></div>`}
        ${line.level && html`<div><dt>Level</dt><dd>${visible(line.level)}</dd></div>`}
      </dl>
      <div class="log-detail-actions">
        ${(isFiltered || isAll) && html`<a class="button small" href=${context}>See in context</a>`}
        <${CopyButton} text=${plain(line.text)} label="Copy line" of=${() => text.current} />
        <${CopyButton} text=${`${location.origin}${isAll ? withQuery({at: line.id}) : context}`} label="Copy link" />
        <button class="button small icon-only plain" aria-label="Close the line" title="Close (Esc)" onClick=${closeLine}><${Icon} name="close" /></button>
      </div>
    </header>
    <pre ref=${text} tabindex="0" aria-label="Text of the line">${visible(plain(line.text))}</pre>
    ${line.data && html`<pre tabindex="0" aria-label="Fields" class="log-json">${visible(JSON.stringify(line.data, null, 2))}</pre>`}
  </section>`;
}
