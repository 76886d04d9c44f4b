// One worker: who it is, how it is, what can be done; and its tabs.
import {html, useEffect, useMemo, useState} from "../html.mjs";
import {useCommands, useKeys} from "../keys.mjs";
import {mayAct} from "../session.mjs";
import {workerOf} from "../store.mjs";
import {oneLine, visible} from "../text.mjs";
import {useHeading} from "../shell.mjs";
import {WORKER_TABS} from "../worker-tabs.mjs";
import {Status, Tag} from "../parts/badge.mjs";
import {Empty, Loading} from "../parts/empty.mjs";
import {confirmAction} from "../parts/confirm.mjs";
import {ActionButtons, sensible} from "../parts/menu.mjs";
import {ErrorNotice} from "../parts/notice.mjs";
import {PageHead} from "../parts/page.mjs";
import {Tabs} from "../parts/tabs.mjs";
import {GoneWorker} from "../parts/gone-workers.mjs";
import {useStatus} from "../parts/why.mjs";

/** @param {{params: Record<string, string>}} props */
export default function Worker({params}) {
  const id = params.id;
  const item = useMemo(() => workerOf(id), [id]).value;
  const status = useStatus(id, item);
  const tab = WORKER_TABS.find((one) => one.id === (params.tab ?? ""));
  useHeading(id);
  useCommands(() => WORKER_TABS.map((one) => ({group: "Tab", label: `${one.label} of ${id}`, href: hrefOf(id, one.id)})), [id]);
  useKeys(item && mayAct.value && sensible(item).includes("restart") ? [{keys: "r", does: `Restart ${id}`, run: () => confirmAction("restart", [item])}] : [], [item, mayAct.value]);
  const tabs = WORKER_TABS.map((one) => ({href: hrefOf(id, one.id), label: one.label, isHere: one === tab}));
  const isUnknown = !item && status.error?.status === 404;
  return html`<${PageHead} over=${html`<a href="/workers">Workers</a>`}
      title=${html`<span class="worker-title"><span>${visible(id)}</span>${item && html`<${Status} value=${item.status} />`}${item?.desired_state === "absent" && html`<${Tag} tone="warn">spec is gone<//>`}</span>`}
      actions=${item && html`<${ActionButtons} worker=${item} />`}>
      ${item?.name && html`<bdi>${oneLine(item.name)}</bdi>`}
    <//>
    <${Tabs} label=${`Of ${id}`} tabs=${tabs} />
    ${isUnknown && (params.tab ?? "") === "" ? html`<${GoneWorker} id=${id} />` : html`<${Tab} key=${params.tab} tab=${tab} id=${id} item=${item} status=${status} />`}`;
}

/** @param {string} id @param {string} tab */
const hrefOf = (id, tab) => `/workers/${id}${tab && `/${tab}`}`;

/** @param {{tab: any, id: string, item: any, status: {data: any, error: any}}} props */
function Tab({tab, id, item, status}) {
  const [state, setState] = useState(/** @type {any} */ ({}));
  useEffect(() => {
    tab?.load().then((/** @type {any} */ module) => setState({component: module.default}), () => setState({isBroken: true}));
  }, [tab]);
  if (!tab) return html`<${Empty} title="There is no such tab" />`;
  if (state.isBroken) return html`<${ErrorNotice} error=${{message: "This tab could not be loaded."}} retry=${() => location.reload()} />`;
  if (!state.component) return html`<${Loading} />`;
  const Component = state.component;
  return html`<${Component} id=${id} item=${item} status=${status.data} />`;
}
