// One page of the documentation: its text, what is on it, and the pages before and after it.
import {html, useEffect, useMemo} from "../html.mjs";
import {loadDocs, parted, topics} from "../docs-index.mjs";
import {Markdown, useLexer} from "../markdown.mjs";
import {useHeading} from "../shell.mjs";
import {Empty, Loading} from "../parts/empty.mjs";
import {CopyButton} from "../parts/copy.mjs";
import {ErrorNotice} from "../parts/notice.mjs";
import {OnThisPage, useAnchor} from "../parts/on-this-page.mjs";
import {PageHead, useFetched} from "../parts/page.mjs";

/** @param {{params: {topic: string}}} props */
export default function Doc({params}) {
  const {data, error, again} = useFetched(`/docs/${params.topic}`);
  const lexer = useLexer();
  useEffect(loadDocs, []);
  const tokens = useMemo(() => (data && lexer ? lexer(data.text) : null), [data, lexer]);
  const [name, about] = parted(data?.title ?? params.topic);
  useHeading(name);
  useAnchor(Boolean(tokens));
  const over = html`<a href="/docs">Documentation</a>`;
  if (error?.status === 404) return html`<${PageHead} title="No such page" over=${over} /><div class="card"><${Empty} title=${`There is no page named ${params.topic}`}><p><a href="/docs">All pages</a></p><//></div>`;
  return html`<${PageHead} title=${name} over=${over} actions=${html`<${CopyButton} text=${`workerctl help ${params.topic}`} label="Copy as a command" />`}>${about}<//>
    <${ErrorNotice} error=${error} retry=${again} />
    ${tokens ? html`<div class="read">
      <article class="read-text"><${Markdown} tokens=${tokens} anchors=${data.headings.map((/** @type {any} */ one) => one.anchor)} /><${Beside} topic=${params.topic} /></article>
      <${OnThisPage} entries=${data.headings.filter((/** @type {any} */ one) => one.level < 4).map((/** @type {any} */ one) => ({anchor: one.anchor, label: one.title, isBelow: one.level > 2}))} />
    </div>` : !error && html`<${Loading} rows=${10} />`}`;
}

/** @param {{topic: string}} props */
function Beside({topic}) {
  const all = topics.value ?? [];
  const at = all.findIndex((one) => one.topic === topic);
  const link = (/** @type {any} */ one, /** @type {string} */ word) => one && html`<a href=${`/docs/${one.topic}`}><small>${word}</small>${parted(one.title)[0]}</a>`;
  if (at < 0) return null;
  return html`<nav class="beside" aria-label="Pages beside this one"><span>${link(all[at - 1], "Before")}</span><span>${link(all[at + 1], "Next")}</span></nav>`;
}
