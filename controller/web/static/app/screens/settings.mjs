// Settings: who one is, how it looks, who has a token, which browsers are logged in, what this server is, and what this
// browser remembers.
import {html} from "../html.mjs";
import {bytes, count} from "../format.mjs";
import {logOut, who} from "../session.mjs";
import {setTheme, theme} from "../theme.mjs";
import {oneLine} from "../text.mjs";
import {Tag} from "../parts/badge.mjs";
import {CopyButton} from "../parts/copy.mjs";
import {Loading} from "../parts/empty.mjs";
import {Icon} from "../parts/icon.mjs";
import {ErrorNotice} from "../parts/notice.mjs";
import {Card, Facts, PageHead, useFetched} from "../parts/page.mjs";
import {Remembered} from "../parts/settings-remembered.mjs";
import {SessionsCard} from "../parts/settings-sessions.mjs";
import {TokensCard} from "../parts/settings-tokens.mjs";
import {When} from "../parts/when.mjs";

export default function Settings() {
  const person = who.value;
  const isAdmin = person?.role === "admin";
  const tokens = useFetched(isAdmin ? "/tokens" : null);
  const sessions = useFetched(person ? "/sessions" : null);
  const again = () => {
    tokens.again();
    sessions.again();
  };
  return html`<${PageHead} title="Settings">You, the access of others, and what this controller is.<//>
    <div class="settings">
      <${You} person=${person} /><${Look} />
      <${TokensCard} tokens=${tokens} sessions=${sessions.data?.items ?? []} isAdmin=${isAdmin} again=${again} />
      <${SessionsCard} sessions=${sessions} isAdmin=${isAdmin} again=${again} />
      <${Server} /><${Remembered} />
    </div>`;
}

/** @type {Record<string, string>} */
const MAY = {
  viewer: "May look at everything, and change nothing.",
  operator: "May also start, stop and restart workers, and write specs.",
  admin: "May do everything, also make and revoke tokens.",
};
/** @type {Record<string, string>} */
const VIA = {
  peer: "By being the controller\u2019s own user, or root, on its machine: no token is needed.",
  token: "By a token that is sent with each request.",
  session: "By a token that was typed here once.",
};

/** @param {{person: any}} props */
function You({person}) {
  if (!person) return html`<${Card} title="You"><${Loading} rows=${3} /><//>`;
  const leave = person.via === "session" && html`<button class="button small" onClick=${() => logOut()}>Log out</button>`;
  return html`<${Card} title="You" aside=${leave}><div class="stack">
    <p class="you"><strong>${oneLine(person.name.replace(/^token:/, ""))}</strong> <${Tag}>${person.role}<//></p>
    <p>${MAY[person.role]}</p>
    <p class="muted">${VIA[person.via]}${person.expires_at && html` It ends <${When} at=${person.expires_at} />.`}${person.token_id && html` The token is <code>${person.token_id}</code>.`}</p>
  </div><//>`;
}

const THEMES = [["light", "Light", "sun"], ["dark", "Dark", "moon"], ["system", "As the system", "system"]];

function Look() {
  return html`<${Card} title="Look"><div class="stack">
    <div class="looks" role="group" aria-label="Theme">${THEMES.map(([name, label, icon]) => html`<button key=${name} class="look" aria-pressed=${theme.value === name}
      onClick=${() => setTheme(/** @type {any} */ (name))}><${Icon} name=${icon} />${label}</button>`)}</div>
    <p class="muted">For a screen on the wall add <code>?kiosk=1</code> to an address: larger, and without controls. <a href="/?kiosk=1">The overview like that</a></p>
  </div><//>`;
}

/** @type {Record<string, string>} */
const WRITES = {
  file: "into the files", commit: "into the files, each as a commit", push: "into the files, committed and pushed", readonly: "not at all: the specs are read only",
};

/** What this controller is: a version to tell somebody, and places to look for. */
function Server() {
  const {data, error, again} = useFetched("/server");
  return html`<${Card} title="This controller" class="wide" aside=${data && html`<${CopyButton} text=${JSON.stringify(data, null, 2)} label="Copy all" />`}>
    <${ErrorNotice} error=${error} retry=${again} />
    ${!data ? !error && html`<${Loading} />` : html`<${Facts} items=${[
      ["Version", html`workerctl ${data.version}, Python ${data.python}`],
      ["Started", html`<${When} at=${data.started_at} />, pid ${data.pid}`],
      ["Runs on", `${oneLine(data.host)}, as ${oneLine(data.user)}`],
      ["Listens at", html`<code>${data.listen}</code> ${data.is_encrypted ? "with TLS" : "without TLS"}`],
      ["Lets in", data.auth === "required" ? "tokens only" : "tokens; its own user and root without one"],
      ["Specs", html`<code>${oneLine(data.specs)}</code>`],
      ["Writes specs", WRITES[data.writes]],
      ["State", html`<code>${oneLine(data.state_dir)}</code>`],
      ["Database", html`${{sqlite: "SQLite", postgresql: "PostgreSQL"}[data.database.kind]}, <code>${oneLine(data.database.at)}</code>`],
      ["Keeps log lines", kept(data.retain)],
      ["At its end workers", data.on_exit === "stop" ? "are stopped" : "go on"],
      ["Forwards log lines to", data.forward ? `${data.forward} ${data.forward === 1 ? "place" : "places"}` : "nobody"],
    ]} /><p class="settings-more">What each setting does: <a href="/docs/operations">operations</a>. What this version does not do: <a href="/docs/not-yet">not yet</a>.</p>`}
  <//>`;
}

/** @param {{days: number|null, lines: number|null, bytes: number|null}} retain */
function kept({days, lines, bytes: most}) {
  const limits = [days !== null && `${count(days)} days`, lines !== null && `${count(lines)} lines`, most !== null && bytes(most)].filter(Boolean);
  return limits.length ? `at most ${limits.join(", ")}` : "for ever";
}
