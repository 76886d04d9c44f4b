// Browsers that are logged in with a token: an admin sees all, everybody those of their own token. Each can be logged out.
import {html} from "../html.mjs";
import {send} from "../api.mjs";
import {logOut} from "../session.mjs";
import {oneLine} from "../text.mjs";
import {Tag} from "./badge.mjs";
import {ErrorNotice, toast, toastError} from "./notice.mjs";
import {Card} from "./page.mjs";
import {Table} from "./table.mjs";
import {When} from "./when.mjs";

/** @param {{sessions: any, isAdmin: boolean, again: () => void}} props */
export function SessionsCard({sessions, isAdmin, again}) {
  const rows = /** @type {any[]} */ (sessions.data?.items ?? []);
  const end = async (/** @type {any} */ one) => {
    try {
      if (one.is_own) return await logOut();
      await send("DELETE", `/sessions/${one.id}`);
      toast({tone: "good", text: html`A browser of <strong>${oneLine(one.name)}</strong> is logged out.`});
    } catch (refused) {
      toastError(refused);
    }
    return again();
  };
  return html`<${Card} title="Browsers that are logged in" class="wide" flush=${rows.length > 0}>
    <${ErrorNotice} error=${sessions.error} retry=${sessions.again} />
    ${rows.length ? html`<${Table} label="Browsers that are logged in" rows=${rows} columns=${columnsOf(end)} keyOf=${(/** @type {any} */ one) => one.id} />`
      : !sessions.isLoading && html`<p class="muted">${isAdmin ? "None. Whoever logs in with a token is listed here." : "None with your token."}</p>`}
  <//>`;
}

/** @param {(one: any) => void} end @returns {import("./table.mjs").Column[]} */
const columnsOf = (end) => [
  {id: "name", label: "Token", class: "whole head", cell: (one) => html`<strong>${oneLine(one.name)}</strong> ${one.is_own && html`<${Tag}>this browser<//>`}`},
  {id: "role", label: "Role", class: "half", cell: (one) => one.role},
  {id: "begun", label: "Logged in", class: "half nowrap", cell: (one) => html`<${When} at=${one.begun_at} />`},
  {id: "ends", label: "Ends", class: "half nowrap", cell: (one) => html`<${When} at=${one.expires_at} />`},
  {id: "end", label: "Log out", unnamed: true, class: "num whole", cell: (one) => html`<button class="button small" aria-label=${one.is_own ? "Log out here" : `Log out a browser of ${one.name}`} onClick=${() => end(one)}>Log out</button>`},
];
