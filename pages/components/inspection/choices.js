// What the grid can be sorted and filtered by, with counts of what it shows; tags, and views under a name.
const MARKED = [["", "anything"], [" ", "not yet"], ["r", "remove"], ["k", "keep"], ["u", "unsure"]];
const KEPT_IN_A_VIEW = ["sort", "down", "predicted", "marked", "tagged", "least", "most"];

/** Fill a menu; where the values are the same only their words change, so that an open menu stays open. */
function options(menu, entries, value) {
  if (entries.length === menu.options.length && entries.every(([name], at) => menu.options[at].value === name))
    entries.forEach(([, text], at) => menu.options[at].textContent === text || (menu.options[at].textContent = text));
  else menu.replaceChildren(...entries.map(([name, textContent]) => make("option", { value: name, textContent })));
  menu.value = value;
  if (menu.selectedIndex < 0) menu.selectedIndex = 0;
  return menu.value;
}

function sortsOf({ data }) {
  return [...data.scores.map(({ name, title }) => [name, title]), ["apart", "how far the plot's two scores disagree"], ["order", "place in the data set"]];
}

/** Every menu anew: when another table is shown, and when tags or views are others. */
function fillMenus(grid) {
  const { view } = grid;
  view.sort = options(grid.find(".sort"), sortsOf(grid), view.sort);
  grid.find(".size").value = String(grid.size);
  for (const end of ["least", "most"]) grid.find(`.${end}`).value = view[end];
  options(grid.find(".views"), [["", "as you left it"], ...Object.keys(grid.views).sort().map((name) => [name, name])], grid.viewed ?? "");
  grid.find("#inspect-tags").replaceChildren(...[...grid.tags.keys()].map((value) => make("option", { value })));
  grid.plot.fill();
}

/** The menus that count: how many of each are shown, of how many there are. */
function fillCounts(grid) {
  const { view, data, marks, places, tags } = grid, n = (many) => many.toLocaleString("en");
  const counted = (of) => {
    const all = new Map(), here = new Map();
    for (let place = 0; place < marks.length; place++) all.set(of(place), (all.get(of(place)) ?? 0) + 1);
    for (const place of places) here.set(of(place), (here.get(of(place)) ?? 0) + 1);
    return { all, text: (value) => `${n(here.get(value) ?? 0)} of ${n(all.get(value) ?? 0)}` };
  };
  const read = counted((place) => data.predicted[place]), marked = counted((place) => marks[place]);
  const classes = [...read.all.keys()].sort((one, two) => one - two);
  const score = grid.score();
  grid.find(".of").textContent = score?.title ?? "";
  for (const end of ["from", "to"]) grid.find(`.${end}`).hidden = !score;
  view.predicted = options(
    grid.find(".predicted"), [["", "anything"], ...classes.map((one) => [String(one), `${data.classes[one]} (${read.text(one)})`])], view.predicted,
  );
  view.marked = options(grid.find(".marked"), MARKED.map(([value, name]) => [value, value ? `${name} (${marked.text(value)})` : name]), view.marked);
  const within = new Set(places), tagged = [...tags].map(([name, those]) => [name, `${name} (${n([...those].filter((one) => within.has(one)).length)} of ${n(those.size)})`]);
  view.tagged = options(grid.find(".tagged"), [["", "anything"], ...tagged], view.tagged);
}

/** Put a tag on images, or take it off where all of them have it. */
function putTag(grid, places) {
  const tag = grid.find(".tag").value.trim();
  if (!tag || !places.length) return grid.find(".tag").focus();
  const those = grid.tags.get(tag), off = places.every((place) => those?.has(place));
  grid.step({ tag, tagged: places, off, draws: [] });
  grid.undoable.push([]);
  grid.readSteps();
  fillMenus(grid);
  grid.list();
  grid.draw();
}

/** Keep how the grid is sorted and filtered, with nothing to show forget it. */
function keepView(grid, name, shows) {
  if (!name) return grid.find(".view-name").focus();
  grid.step({ view: name, shows, draws: [] });
  grid.undoable.push([]);
  grid.readSteps();
  grid.viewed = shows ? name : "";
  grid.find(".view-name").value = "";
  fillMenus(grid);
  grid.draw();
}

function asText(grid) {
  return JSON.stringify({ ...Object.fromEntries(KEPT_IN_A_VIEW.map((name) => [name, grid.view[name]])), size: grid.size, axes: grid.plot.axes });
}

function setView(grid, kept) {
  for (const one of KEPT_IN_A_VIEW) if (typeof kept[one] === typeof grid.view[one]) grid.view[one] = kept[one];
  if (kept.size >= 36 && kept.size <= 160) grid.size = kept.size;
  if (Array.isArray(kept.axes)) grid.plot.axes = kept.axes.slice(0, 2).map(String);
}

/** Keep for this tab what is shown: a grid that is drawn anew shows it again. */
function remember(grid) {
  const kept = JSON.stringify({ shows: asText(grid), only: grid.only });
  if (kept === grid.remembered) return;
  grid.remembered = kept;
  try {
    sessionStorage.setItem(`inspect-${grid.key}`, kept);
  } catch { /* a browser that keeps nothing */ }
}

/** Show what this tab showed, unless the address names another order or other images. */
function recall(grid, named) {
  try {
    const { shows, only } = JSON.parse(sessionStorage.getItem(`inspect-${grid.key}`)), kept = JSON.parse(shows);
    if (grid.data.selection || !sortsOf(grid).some(([name]) => name === kept.sort)) return;
    const { sort, down } = grid.view;
    if (named && kept.sort !== sort) return;
    setView(grid, kept);
    if (named) grid.view.down = down;
    grid.only = only;
  } catch { /* nothing was kept */ }
}

/** Sort and filter as a view says; what it says of scores and tags that are not here is left out. */
function apply(grid, name) {
  let kept = {};
  try {
    kept = JSON.parse(grid.views[name] ?? "{}");
  } catch { /* somebody else's file: nothing is changed */ }
  grid.viewed = name;
  if (!name || typeof kept !== "object" || kept === null) return;
  setView(grid, kept);
  fillMenus(grid);
  fillCounts(grid);
  grid.changed();
}

function listenToChoices(grid) {
  for (const name of ["sort", "predicted", "marked", "tagged", "least", "most"])
    grid.find(`.${name}`).oninput = (event) => {
      grid.view[name] = event.target.value;
      if (name === "sort") for (const end of ["least", "most"]) grid.view[end] = grid.find(`.${end}`).value = "";
      grid.changed();
    };
  grid.find(".turn").onclick = () => {
    grid.view.down = !grid.view.down;
    grid.changed();
  };
  grid.find(".size").oninput = (event) => {
    grid.size = Number(event.target.value);
    grid.move(grid.at);
  };
  grid.find(".more").addEventListener("toggle", () => grid.data && grid.plot.draw());
  grid.find(".tag-this").onclick = () => putTag(grid, grid.here());
  grid.find(".tag-all").onclick = () => putTag(grid, [...grid.places]);
  grid.find(".views").onchange = (event) => apply(grid, event.target.value);
  grid.find(".keep-view").onclick = () => keepView(grid, grid.find(".view-name").value.trim(), asText(grid));
  grid.find(".forget-view").onclick = () => grid.viewed && keepView(grid, grid.viewed, "");
}
