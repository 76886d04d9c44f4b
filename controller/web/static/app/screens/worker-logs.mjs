// The log of one worker, running or gone.
import {html} from "../html.mjs";
import {Empty} from "../parts/empty.mjs";
import {Choice} from "../parts/log-filters.mjs";
import {LogPanel} from "../parts/log-panel.mjs";
import {visible} from "../text.mjs";

const STREAMS = [["", "Both streams"], ["stdout", "stdout"], ["stderr", "stderr"]];
const RUNS = [["", "All runs"], ["current", "Current run"], ["previous", "Previous run"]];

/** @param {{id: string, item: any}} props */
export default function WorkerLogs({id, item}) {
  const instances = [["", "All instances"], ...(item?.instances ?? []).map((/** @type {any} */ one) => [String(one.ordinal), one.instance])];
  const isOne = instances.length <= 2;
  return html`<${LogPanel} path=${`/workers/${id}/logs`} id=${id} whose=${isOne ? "none" : "instance"} label=${`Log of ${id}`} empty=${html`<${Nothing} id=${id} item=${item} />`}>
    ${!isOne && html`<${Choice} name="instance" label="Instance" options=${instances} />`}
    <${Choice} name="stream" label="Stream" options=${STREAMS} />
    <${Choice} name="run" label="Run" options=${RUNS} />
  <//>`;
}

/** @param {{id: string, item: any}} props */
function Nothing({id, item}) {
  if (item?.status === "stopped") return html`<${Empty} title="Nothing is kept, and it is stopped">What ${visible(id)} prints will appear here once it runs.<//>`;
  return html`<${Empty} title="Nothing printed yet">Lines appear here when ${visible(id)} prints them, from now on without a reload. Many programs keep what they print in a buffer when no terminal reads it:
    <code>PYTHONUNBUFFERED=1</code> in <code>env</code>, or <code>stdbuf -oL</code> before the command, helps.<//>`;
}
