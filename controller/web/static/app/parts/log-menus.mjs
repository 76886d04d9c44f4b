// What a log can be looked at like, and taken along as: menus at the right of its bar.
import {html} from "../html.mjs";
import {address} from "../api.mjs";
import {count} from "../format.mjs";
import {clock, readsJson, showsColours, size, times, wraps} from "../log-look.mjs";
import {apiQuery, commandLine, curlOf, isFiltered, whoseOf} from "../log-query.mjs";
import {now, serverNow} from "../time.mjs";
import {AsCommand} from "./copy.mjs";
import {Dialog, open} from "./dialog.mjs";
import {Icon} from "./icon.mjs";
import {written} from "./log-row.mjs";
import {Menu} from "./menu.mjs";
import {toast} from "./notice.mjs";

/** @param {{source: import("../log-source.mjs").LogSource, asked: any, path: string, id?: string}} props */
export function LogMenus({source, asked, path, id}) {
  const is = (/** @type {any} */ signal, /** @type {any} */ value, /** @type {string} */ label) => ({
    label, icon: signal.value === value ? "check" : "none", run: () => {
      signal.value = value;
    },
  });
  const look = [
    is(times, "local", "Times of this browser"), is(times, "utc", "Times in UTC"), is(times, "relative", "How long ago"), is(times, "none", "No times"),
    is(size, "small", "Small"), is(size, "medium", "Medium"), is(size, "large", "Large"),
    {...is(readsJson, true, "JSON as message and fields"), run: () => {
      readsJson.value = !readsJson.value;
    }},
    {...is(showsColours, true, "Colours of terminals"), run: () => {
      showsColours.value = !showsColours.value;
    }},
  ];
  const href = (/** @type {any} */ query, /** @type {string} */ format) => address(path, {...query, download: 1, format});
  const these = apiQuery(asked, Math.floor(now.value / 60_000) * 60_000);
  const all = whoseOf(asked);
  const take = [
    {label: `Copy the ${count(source.lines.length)} lines loaded`, icon: "copy", run: () => copyLoaded(source)},
    ...(isFiltered(asked) ? [{label: "Matching lines as text", icon: "download", href: href(these, "text")}, {label: "Matching lines as NDJSON", icon: "download", href: href(these, "ndjson")}] : []),
    {label: "All lines as text", icon: "download", href: href(all, "text")}, {label: "All lines as NDJSON", icon: "download", href: href(all, "ndjson")},
    {label: "As a command\u2026", icon: "api", run: () => open(html`<${Dialog} title="This log from a terminal" size="wide">
      <${AsCommand} cli=${commandLine(asked, id)} curl=${curlOf(path, asked, serverNow())} /><//>`)},
  ];
  return html`<span class="log-menus">
    <button class="button small plain" aria-pressed=${wraps.value} title="Wrap long lines (w)" onClick=${() => {
      wraps.value = !wraps.value;
    }}>Wrap</button>
    <${Menu} label="How lines look" class="button small plain" items=${look}>Look<${Icon} name="down" size=${12} /><//>
    <${Menu} label="Copy or download" class="button small plain" items=${take}>Save<${Icon} name="down" size=${12} /><//>
  </span>`;
}

/** @param {import("../log-source.mjs").LogSource} source */
async function copyLoaded({lines}) {
  const rows = [];
  for (let index = 0; index < lines.length; index += 1) {
    const line = lines.at(index);
    rows.push(`${clock(line.ms, now.peek())} ${line.instance} ${line.kind === "line" ? written(line) : `[${line.text}]`}`);
  }
  try {
    await navigator.clipboard.writeText(`${rows.join("\n")}\n`);
    toast({tone: "good", text: `${count(rows.length)} lines copied`});
  } catch {
    toast({tone: "bad", text: "The browser lets nobody copy here; a download does the same."});
  }
}
