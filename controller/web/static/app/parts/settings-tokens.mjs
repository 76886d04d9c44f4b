// The tokens of this controller: who has one, one more, one less. A token's text is shown once, when it is made.
import {html, useState} from "../html.mjs";
import {asCurl, send} from "../api.mjs";
import {plural} from "../format.mjs";
import {logOut, who} from "../session.mjs";
import {oneLine} from "../text.mjs";
import {now} from "../time.mjs";
import {Tag} from "./badge.mjs";
import {AsCommand, Snippet} from "./copy.mjs";
import {closeDialog, Dialog, open} from "./dialog.mjs";
import {Empty, Loading} from "./empty.mjs";
import {ErrorNotice, Notice, toast} from "./notice.mjs";
import {Card} from "./page.mjs";
import {Table} from "./table.mjs";
import {When} from "./when.mjs";

const ROLES = [["viewer", "Viewer: looks, changes nothing"], ["operator", "Operator: also acts on workers and writes specs"], ["admin", "Admin: also makes and revokes tokens"]];
/** Seconds, in words, as the command line takes them. @type {[number, string, string][]} */
const LIVES = [[86_400, "A day", "1d"], [604_800, "A week", "7d"], [2_592_000, "30 days", "30d"], [7_776_000, "90 days", "90d"], [31_536_000, "A year", "365d"], [0, "Until it is revoked", ""]];

/** @param {{tokens: any, sessions: any[], isAdmin: boolean, again: () => void}} props */
export function TokensCard({tokens, sessions, isAdmin, again}) {
  if (!isAdmin) {
    return html`<${Card} title="Tokens" class="wide"><p class="muted">Tokens let people and programs in. An admin makes and revokes them; ask one for another role. On the controller\u2019s machine, its own user can: <code>workerctl token create NAME</code>.</p><//>`;
  }
  const make = html`<button class="button" onClick=${() => open(html`<${NewToken} done=${again} taken=${rows.map((one) => one.name)} />`)}>New token</button>`;
  const rows = /** @type {any[]} */ (tokens.data?.items ?? []);
  const columns = columnsOf((/** @type {any} */ one) => open(html`<${Revoke} one=${one} sessions=${sessions.filter((session) => session.token_id === one.id).length} isLast=${isLast(one, rows)} done=${again} />`));
  return html`<${Card} title="Tokens" class="wide" flush=${rows.length > 0} aside=${rows.length > 0 && make}>
    <${ErrorNotice} error=${tokens.error} retry=${tokens.again} />
    ${rows.length ? html`<${Table} label="Tokens" rows=${rows} columns=${columns} keyOf=${(/** @type {any} */ one) => one.id} />` : tokens.isLoading ? html`<${Loading} />`
      : html`<${Empty} title="No tokens yet" actions=${make}><p>A token lets a person\u2019s browser or a program in from another machine, with no more rights than its role.</p><//>`}
  <//>`;
}

const isOver = (/** @type {any} */ one) => one.expires_at !== null && Date.parse(one.expires_at) <= now.value;
const isLast = (/** @type {any} */ one, /** @type {any[]} */ all) => one.role === "admin" && !all.some((other) => other.id !== one.id && other.role === "admin" && !isOver(other));

/** @param {(one: any) => void} revoke @returns {import("./table.mjs").Column[]} */
const columnsOf = (revoke) => [
  {id: "name", label: "Name", class: "whole head", cell: (one) => html`<strong>${oneLine(one.name)}</strong> ${one.id === who.value?.token_id && html`<${Tag}>yours<//>`}<div class="name-more"><code>${one.id}</code></div>`},
  {id: "role", label: "Role", class: "half", cell: (one) => one.role},
  {id: "used", label: "Last used", class: "half nowrap", cell: (one) => (one.last_used_at ? html`<${When} at=${one.last_used_at} />` : html`<span class="muted">never</span>`)},
  {id: "created", label: "Created", class: "half nowrap", cell: (one) => html`<${When} at=${one.created_at} />`},
  {id: "expires", label: "Expires", class: "half nowrap", cell: (one) => (isOver(one) ? html`<${Tag} tone="warn">expired<//>` : one.expires_at ? html`<${When} at=${one.expires_at} />` : html`<span class="muted">never</span>`)},
  {id: "revoke", label: "Revoke", unnamed: true, class: "num whole", cell: (one) => html`<button class="button small" aria-label=${`Revoke ${one.name}`} onClick=${() => revoke(one)}>Revoke\u2026</button>`},
];

/** @param {{done: () => void, taken: string[]}} props */
function NewToken({done, taken}) {
  const [wish, setWish] = useState({name: "", role: "viewer", life: 2_592_000});
  const [made, setMade] = useState(/** @type {any} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  const [isBusy, setBusy] = useState(false);
  const set = (/** @type {any} */ changes) => setWish((/** @type {any} */ was) => ({...was, ...changes}));
  if (made) return html`<${Made} made=${made} />`;
  const body = {name: wish.name || "NAME", role: wish.role, ...(wish.life && {expires_in_s: wish.life})};
  const words = LIVES.find(([seconds]) => seconds === wish.life)?.[2];
  const isTaken = taken.includes(wish.name);
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    setBusy(true);
    try {
      setMade((await send("POST", "/tokens", body)).data);
      done();
    } catch (refused) {
      setError(refused);
    }
    setBusy(false);
  };
  return html`<${Dialog} title="New token"><form class="stack" onSubmit=${submit}>
    <label class="field"><span>Name <small>whom or what it is for: a-z, 0-9, and . _ - within</small></span>
      <input name="name" required maxlength="63" pattern="[a-z0-9]([a-z0-9._\\-]*[a-z0-9])?" autocomplete="off" spellcheck=${false} autofocus value=${wish.name} onInput=${(/** @type {any} */ event) => set({name: event.target.value.trim()})} /></label>
    ${isTaken && html`<p class="log-fault">There is a token of this name. Revoke that one first, or take another name.</p>`}
    <label class="field"><span>Role</span><select name="role" value=${wish.role} onChange=${(/** @type {any} */ event) => set({role: event.target.value})}>
      ${ROLES.map(([value, label]) => html`<option key=${value} value=${value}>${label}</option>`)}</select></label>
    <label class="field"><span>Lives</span><select name="life" value=${wish.life} onChange=${(/** @type {any} */ event) => set({life: Number(event.target.value)})}>
      ${LIVES.map(([value, label]) => html`<option key=${value} value=${value}>${label}</option>`)}</select></label>
    <${ErrorNotice} error=${error} />
    <${AsCommand} cli=${`workerctl token create ${body.name} --role ${wish.role}${words ? ` --expires ${words}` : ""}`} curl=${asCurl("POST", "/tokens", {body})} />
    <div class="form-foot"><button type="button" class="button" onClick=${closeDialog}>Cancel</button><button class="button primary" disabled=${isBusy || isTaken || !wish.name}>Make it</button></div>
  </form><//>`;
}

/** The one time that it is seen. Closing asks once more, for there is no second time. @param {{made: any}} props */
function Made({made}) {
  const [isAsked, ask] = useState(false);
  const close = () => (isAsked ? closeDialog() : ask(true));
  return html`<${Dialog} title=${`The token of ${made.name}`} onClose=${close}><div class="stack">
    <${Notice} tone="warn" title="This is the only time that it is shown.">Copy it to where it is needed. Here only a hash of it is kept.<//>
    <${Snippet} name="The token" text=${made.token} wrap />
    <div class="use-it"><h3>Use it</h3><${Snippet} name="Use it with curl" wrap text=${`WORKERCTL_TOKEN=${made.token}\ncurl -H "Authorization: Bearer $WORKERCTL_TOKEN" ${location.origin}/api/v1/whoami`} /></div>
    <p class="muted">The command line takes it from <code>WORKERCTL_TOKEN</code> or <code>--token-file</code>; a browser asks for it when it logs in.</p>
    ${isAsked && html`<${Notice} tone="warn" title="Is it copied?">It cannot be shown again; a new one can be made.<//>`}
    <div class="form-foot"><button class="button primary" onClick=${closeDialog}>I have it</button></div>
  </div><//>`;
}

/** What will stop to work, then the end of it. @param {{one: any, sessions: number, isLast: boolean, done: () => void}} props */
function Revoke({one, sessions, isLast: isLastAdmin, done}) {
  const [error, setError] = useState(/** @type {any} */ (null));
  const [isBusy, setBusy] = useState(false);
  const isOwn = one.id === who.value?.token_id;
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    setBusy(true);
    try {
      await send("DELETE", `/tokens/${one.id}`);
      closeDialog();
      if (isOwn) await logOut();
      else {
        done();
        toast({tone: "good", text: html`<strong>${oneLine(one.name)}</strong> is revoked.`});
      }
    } catch (refused) {
      setError(refused);
      setBusy(false);
    }
  };
  return html`<${Dialog} title=${`Revoke ${one.name}?`}><form class="stack" onSubmit=${submit}>
    <ul class="points">
      <li>Whatever sends it is refused from now on${one.last_used_at ? html`; it was last used <${When} at=${one.last_used_at} />` : "; it was never used"}.</li>
      <li>${sessions ? `${plural(sessions, "browser")} logged in with it ${sessions === 1 ? "is" : "are"} logged out` : "No browser is logged in with it"}; open streams end.</li>
      <li>Workers are not touched. It cannot be undone; a new one can be made.</li>
    </ul>
    ${isOwn && html`<${Notice} tone="warn" title="You are logged in with it.">You will be logged out.<//>`}
    ${isLastAdmin && html`<${Notice} tone="warn" title="No other admin has a token.">Then only the controller\u2019s own user and root make one, on its machine: <code>workerctl token create NAME --role admin</code><//>`}
    <${ErrorNotice} error=${error} />
    <${AsCommand} cli=${`workerctl token revoke ${one.id}`} curl=${asCurl("DELETE", `/tokens/${one.id}`)} />
    <div class="form-foot"><button type="button" class="button" autofocus onClick=${closeDialog}>Cancel</button><button class="button primary harsh" disabled=${isBusy}>Revoke</button></div>
  </form><//>`;
}
