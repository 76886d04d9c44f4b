"""The web UI: static files, served at `/` of the API (pages.py), and a client of the public API like any other.

Nothing is built. `static/app/*.mjs` are plain ES modules of Preact, htm and signals, which lie in `static/vendor` with
their hashes; what is in the folder is what runs. The policy of pages.py holds for all of it: no inline script or style
(`style=${{...}}` in htm is fine, it goes through the CSSOM), no eval, no string that becomes markup. Files are at most
400 lines, with JSDoc types; `tests/web/` looks at all of it in a real browser.

How it hangs together
  - `stream.mjs` has the one EventSource of a tab and fills `store.mjs`: `workers`, `byUrgency`, `failing`,
    `operations`, `batches`, `plan`, `happened` are signals. Reading `.value` in a component draws it anew when that
    changes. A worker that did not change is the same object. No screen opens an EventSource; log lines of one screen
    are followed with `api.follow` (NDJSON, filtered by the server) and let go when it is left.
  - `api.mjs`: `get`, `getAll`, `send`, `follow`; what is refused is an `ApiError`, shown whole by `<ErrorNotice>`.
    `parts/page.mjs` has `useFetched` for what only one screen wants.
  - `router.mjs`: `place`, `go`, `setQuery`, `withQuery`. Every place is an `<a href>`; filters stand in the query.
  - `actions.mjs` knows what start, stop and restart do, in words, as a command and as curl; `confirmAction` of
    `parts/confirm.mjs` is the one way to act. Who may not act (`mayAct` of session.mjs) sees no button.
  - `status.mjs` has the words, order and meaning of states; `format.mjs` figures; `time.mjs` the server's clock;
    `text.mjs` makes the text of strangers harmless (`visible`, `oneLine`): everything that a worker, a file or a person
    wrote goes through it. It is a text node anyway; this is about what cannot be seen.
  - `spec-draft.mjs` is a spec that somebody edits, by form and YAML at once: the API says each edit in the text and
    judges it, so there is no YAML here; `spec-schema.mjs` makes the form's fields of the JSON Schema. Two versions
    beside each other: `Diff` and `FieldDiff` of `parts/diff.mjs`.
  - `keys.mjs`: `useKeys`, `useCommands`. `stored.mjs`: what a browser remembers.

How to add a screen
  1. `static/app/screens/NAME.mjs` with a default export `({params}) => html`. Begin with `<PageHead title=...>`: its h1
     is where the focus goes. What is remembered or shared is in the URL.
  2. A row in `screens.mjs`; its path in `_SCREENS` of pages.py, if it is not there. A tab of a worker: a row in
     `worker-tabs.mjs`, and the component gets `{id, item, status}`.
  3. Rules of style that are its own in `style/NAME.css`, linked in index.html, with the names of tokens.css.
  4. Empty (`<Empty>` that says what to do), loading (`<Loading>`), refused (`<ErrorNotice>`), read only, 390 px wide,
     dark, by keyboard, a thousand of it, text full of markup: a screen is done when it holds for all of them. Add it to
     the list of tests/web/test_web_screens.py, which looks at each with axe.

Tokens (style/tokens.css): space `--s1` 4 px to `--s8` 64; type `--small` 12, `--body` 14, `--large` 16, `--title` 22,
`--figure` 28; ground, surface, raised, sunken, line, text, muted, ink (the one primary button). Colour has a meaning or
it is grey: `--run` running and good, `--busy` on its way, `--warn` crashed or careful, `--bad` error, `--odd` unknown,
`--off` stopped; each with `-soft` for grounds. `class="s-STATUS"` sets `--s` and `--s-soft`. Never colour alone: a
shape or a word stands with it.

Components (app/parts): page `PageHead Card Facts useFetched`, table `Table`, badge `Status StatusShape Tag`, when
`When Due`, notice `Notice ErrorNotice toast toastError`, dialog `Dialog open closeDialog`, confirm `confirmAction`,
menu `Menu ActionButtons WorkerMenu`, filters `FilterText FilterChoices ActiveFilters SavedViews param params`, copy
`CopyButton Snippet AsCommand`, empty `Empty Loading`, tabs `Tabs`, strip `InstanceStrip`, spark `Spark`, why `Why
useStatus`, events `EventList useRecent`, icon `Icon`, palette, code `CodeBlock`, doc-link `withCode` (what stands
in backticks is code, and `workerctl help TOPIC` a link), on-this-page `OnThisPage useAnchor`. Markdown is drawn by
markdown.mjs from the tokens of a lexer; docs-index.mjs knows what there is to read.
"""
