// Before anything is painted: the theme that was chosen, so that no page flashes in the other one. A classic script, for
// a module would run too late. `app/theme.mjs` is the rest.
try {
  const chosen = localStorage.getItem("workerctl.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage is refused: the system's theme it is.
}
