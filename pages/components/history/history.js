// One action of the visitor's is one step of the history: the first address that follows it is added, those after it replace it.
const ACTIONS = ["pointerdown", "pointerup", "keydown", "input", "change", "drop"];

export default function () {
  if (window.history.stepsAreActions) return; // the page's own history is wrapped once, however often this is drawn
  const { pushState, replaceState } = window.history;
  let acted = false; // and no address followed it yet
  let leaves = false; // for another page, whose parameters Streamlit sends before its path
  const begin = (event) => { if (event.isTrusted) [acted, leaves] = [true, false]; };
  for (const kind of ACTIONS) window.addEventListener(kind, begin, true);
  window.addEventListener("click", (event) => {
    const link = event.composedPath().find((part) => part instanceof HTMLAnchorElement);
    leaves = !event.ctrlKey && !event.metaKey && link?.origin === location.origin && link.pathname !== location.pathname;
  }, true);
  window.addEventListener("popstate", () => { [acted, leaves] = [false, false]; }, true);
  const written = (state, unused, address) => {
    const to = new URL(address ?? location.href, location.href), elsewhere = to.pathname !== location.pathname;
    if (to.href === location.href || (leaves && !elsewhere)) return;
    (acted || elsewhere ? pushState : replaceState).call(window.history, state, unused, address);
    [acted, leaves] = [false, false];
  };
  Object.assign(window.history, { pushState: written, replaceState: written, stepsAreActions: true });
}
