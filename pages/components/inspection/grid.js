// Draws what inspection sends: training images to decide over. A mark is drawn here at once; the server is sent all steps that it
// has not said to have saved, each with a number, so that none is lost and none counts twice.
const SMALL = 60; // pixels of a picture, below which a badge is a sign alone

/** Where the marks differ, [place, mark before] each. */
function changed(before, after) {
  return before.flatMap((mark, place) => (mark === after[place] ? [] : [[place, mark]]));
}

/** Everything that one grid knows; it lives as long as its place on the page. */
class Grid {
  constructor(root) {
    this.root = root;
    this.pending = []; // steps that the server has not said to have saved
    this.undoable = []; // this page's own steps, newest last
    this.taken = null; // what the last Z took back: [place, mark before it] each, or the marks to compare with until the server says
    this.number = 0;
    this.view = { sort: "spectral", down: true, predicted: "", marked: "", tagged: "", least: "", most: "" };
    this.size = 72;
    this.plot = new Plot(this);
    this.listen();
  }

  find(selector) {
    return this.root.querySelector(selector);
  }

  /** What the server says now; what stays the same whatever is decided is fetched once. */
  take(data, send) {
    this.latest = [data, send];
    if (this.fetched === data.table) this.put(data, send);
    else if (this.fetching !== data.table) this.fetchTable(data.table);
  }

  async fetchTable(address) {
    this.fetching = address;
    try {
      const answer = await fetch(address);
      if (!answer.ok) throw new Error(answer.statusText);
      this.table = await answer.json();
      this.fetched = address;
    } catch {
      if (this.fetching === address) this.find(".told").textContent = "The scores did not arrive. Load the page again.";
    }
    if (this.fetching === address) this.fetching = null;
    if (this.fetched === this.latest[0].table) this.put(...this.latest);
  }

  /** Draw it all. */
  put(sent, send) {
    const data = { ...sent, ...this.table, scores: [...this.table.scores, ...sent.others] };
    this.data = data;
    this.send = send;
    const other = this.key !== data.key;
    if (other) {
      Object.assign(this, { key: data.key, pending: [], undoable: [], taken: null, at: 0, anchor: null, only: null, open: false });
      const { named, ...view } = data.view;
      Object.assign(this.view, { predicted: "", marked: "", tagged: "", least: "", most: "" }, view);
      this.viewed = "";
      this.wanted = null;
      this.selection = undefined;
      recall(this, named);
    }
    if (data.hand === hand()) this.pending = this.pending.filter((step) => step.number > data.saved);
    this.readSteps();
    if (this.taken?.marks && !this.pending.length) this.taken = changed(this.taken.marks, this.marks);
    if (JSON.stringify(data.selection) !== this.selection) {
      this.selection = JSON.stringify(data.selection);
      if (data.selection) this.only = { places: data.selection.places, name: data.selection.name };
    }
    if (data.like && this.wanted === data.like.asked) {
      this.wanted = null;
      this.only = { places: [...data.like.of, ...data.like.near], name: `${data.like.near.length} most like ${data.like.name}` };
      Object.assign(this, { at: 0, anchor: null });
    }
    const menus = JSON.stringify([data.scores.map(({ name }) => name), [...this.tags.keys()], Object.keys(this.views)]);
    if (other || this.menus !== menus) fillMenus(this);
    this.menus = menus;
    if (this.pending.length && data.hand !== hand()) { // the server began anew since
      clearTimeout(this.telling);
      this.telling = setTimeout(() => this.pending.length && this.tell(), 500);
    }
    this.root.classList.toggle("smooth", data.pictures.side > 64);
    this.list();
    this.draw();
  }

  /** What the server has saved, and this page's steps that it has not. */
  readSteps() {
    const { data } = this;
    this.marks = [...data.marks];
    this.tags = new Map(Object.entries(data.tags).map(([name, places]) => [name, new Set(places)]));
    this.views = { ...data.views };
    for (const { draws, tag, tagged, off, view, shows } of this.pending) {
      for (const [place, mark] of draws) this.marks[place] = mark ?? " ";
      if (tag) {
        const those = this.tags.get(tag) ?? new Set();
        for (const place of tagged) off ? those.delete(place) : those.add(place);
        those.size ? this.tags.set(tag, those) : this.tags.delete(tag);
      }
      if (view) shows ? (this.views[view] = shows) : delete this.views[view];
    }
  }

  score() {
    if (this.view.sort === "apart") return this.plot.disagreement();
    return this.data.scores.find(({ name }) => name === this.view.sort);
  }

  /** The places that are shown, in order: of those like another in the order that the server gave. */
  list() {
    const { view, marks, only, data } = this, score = this.score(), values = score?.values;
    const number = (text, else_) => (text === "" || Number.isNaN(Number(text)) ? else_ : Number(text));
    const least = number(view.least, -Infinity), most = number(view.most, Infinity);
    const those = view.tagged === "" ? null : (this.tags.get(view.tagged) ?? new Set());
    const all = only ? only.places : data.index.map((_, place) => place);
    const kept = all.filter(
      (place) =>
        (view.predicted === "" || String(data.predicted[place]) === view.predicted) &&
        (view.marked === "" || marks[place] === view.marked) &&
        (!those || those.has(place)) &&
        (!values || (values[place] >= least && values[place] <= most)),
    );
    if (!(only && !only.sorted) && values) {
      const sign = view.down ? -1 : 1;
      kept.sort((one, two) => sign * (values[one] - values[two]) || one - two);
    } else if (!values && !view.down) kept.reverse();
    this.places = kept;
    this.at = Math.max(0, Math.min(this.at ?? 0, kept.length - 1));
    fillCounts(this);
    remember(this);
  }

  /** Only the rows in view are elements. */
  draw() {
    const grid = this.find(".grid"), all = this.find(".all");
    const width = this.size + GAP, height = this.size + CAPTION + GAP;
    this.across = Math.max(1, Math.floor((grid.clientWidth - 4) / width));
    const rows = Math.ceil(this.places.length / this.across);
    this.stretch = this.range();
    all.style.height = `${Math.max(1, rows * height)}px`;
    const first = Math.max(0, Math.floor(grid.scrollTop / height) - 1) * this.across;
    const last = (Math.ceil((grid.scrollTop + grid.clientHeight) / height) + 1) * this.across;
    const tiles = this.places.slice(first, last).map((place, number) => this.kept(place, first + number, width, height));
    if (!this.places.length) tiles.push(make("p", { textContent: "No image passes these filters." }));
    all.replaceChildren(...tiles);
    grid.setAttribute("aria-activedescendant", this.places.length ? `tile-${this.at}` : "");
    this.drawWords();
    drawDetail(this);
    this.plot.draw();
  }

  /** A tile, made anew only where it has changed. */
  kept(place, number, width, height) {
    const sort = this.view.sort === "apart" ? this.plot.axes : this.view.sort;
    const looks = `${place} ${number} ${this.marks[place]} ${number === this.at} ${this.chosen(number)} ${width} ${this.across} ${this.places.length} ${sort}`;
    if (this.tilesOf !== this.data.key + !!this.data.poisoned || this.tiles.size > 2000)
      [this.tilesOf, this.tiles] = [this.data.key + !!this.data.poisoned, new Map()];
    if (!this.tiles.has(looks)) this.tiles.set(looks, this.tile(place, number, width, height));
    return this.tiles.get(looks);
  }

  tile(place, number, width, height) {
    const { data, marks } = this, score = this.score(), mark = LETTERS[marks[place]] ?? "";
    const picture = cutOut(make("div", { className: "picture" }), data.pictures, place, this.size);
    const value = score ? `${shown(score.values[place])}` : `#${data.index[place]}`;
    const read = data.classes[data.predicted[place]];
    const small = this.size < SMALL, sign = { keep: "✓", remove: "✗", unsure: "?" }[mark];
    if (mark) picture.append(make("span", { className: "badge", textContent: small ? sign : `${sign} ${marks[place].toUpperCase()}` }));
    if (data.poisoned?.[place] === "1") picture.append(make("span", { className: "poison", textContent: small ? "P" : "poisoned" }));
    const tile = make(
      "div", { className: `tile ${mark} ${number === this.at ? "here" : ""} ${this.chosen(number) ? "chosen" : ""}`, id: `tile-${number}` },
      picture, make("small", { textContent: `read ${read}` }), make("small", { textContent: value }),
    );
    tile.style.cssText = `left:${(number % this.across) * width + 2}px;top:${Math.floor(number / this.across) * height}px;width:${width}px`;
    tile.dataset.number = String(number);
    for (const [name, said] of Object.entries({
      role: "option", "aria-selected": String(this.chosen(number)), "aria-setsize": String(this.places.length),
      "aria-posinset": String(number + 1), "aria-label": this.described(place, value),
    })) tile.setAttribute(name, said);
    return tile;
  }

  /** An image in words. */
  described(place, value) {
    const { data, marks } = this, score = this.score();
    const truth = data.poisoned ? (data.poisoned[place] === "1" ? ", poisoned" : ", clean") : "";
    return `Training image ${data.index[place]}, label ${data.label}, read ${data.classes[data.predicted[place]]}` +
      `${score ? `, ${score.title} ${value}` : ""}, ${LETTERS[marks[place]] ?? "not marked"}${truth}`;
  }

  drawWords() {
    const { data, marks, view, places, only } = this, n = marks.length;
    const count = (letter) => marks.filter((one) => one === letter).length;
    const [removed, kept, unsure] = ["r", "k", "u"].map(count);
    const bars = this.root.querySelectorAll(".progress div");
    [removed, kept, unsure].forEach((many, at) => (bars[at].style.width = `${(100 * many) / n}%`));
    const done = removed + kept + unsure;
    this.find(".counts").textContent =
      `${done.toLocaleString("en")} of ${n.toLocaleString("en")} decided: ${removed} remove, ${kept} keep, ${unsure} unsure`;
    this.find(".next").hidden = !removed;
    this.find(".next span").textContent = `${removed.toLocaleString("en")} marked to remove`;
    this.find(".to-retrain").hidden = !data.retrain;
    this.find(".turn").textContent = view.down ? "↓ high first" : "↑ low first";
    const told = [make("span", { textContent: `${places.length.toLocaleString("en")} of ${n.toLocaleString("en")} shown` })];
    const [from, until] = this.stretch;
    if (until > from) told.push(make("span", { textContent: `${(until - from + 1).toLocaleString("en")} selected` }));
    const link = (textContent, className, act) => {
      const made = make("button", { type: "button", className, textContent });
      made.onclick = act;
      told.push(made);
    };
    if (Array.isArray(this.taken)) {
      const many = this.taken.length;
      told.push(make("span", { className: "taken", textContent: many ? `${many.toLocaleString("en")} ${many === 1 ? "mark" : "marks"} taken back` : "the last step is taken back" }));
      if (many) link("Put back ⇧Z", "redo", () => this.redo());
    }
    if (this.emptyBox) told.push(make("span", { textContent: "no image that is shown lies in that box" }));
    const hidden = (only?.places.length ?? places.length) - places.length;
    if (hidden) link(`${hidden.toLocaleString("en")} hidden by filters ✕`, "unfilter", () => this.unfilter());
    if (only) {
      const all = make("button", { type: "button", className: "everything", textContent: `${only.name} ✕` });
      all.onclick = () => this.show(null);
      told.push(all);
    }
    if (data.problem && this.pending.length) {
      const again = make("button", { type: "button", className: "again", textContent: "Save again" });
      again.onclick = () => this.tell();
      told.push(make("span", { className: "wrong", textContent: `${this.pending.length} not saved: ${data.problem}` }), again);
    } else {
      const any = done || this.tags.size || Object.keys(this.views).length;
      told.push(make("span", { className: "saved", textContent: this.pending.length ? "saving…" : any ? data.kept : "" }));
    }
    this.find(".told").replaceChildren(...told);
  }

  /** Let every image pass. */
  unfilter() {
    for (const name of ["predicted", "marked", "tagged", "least", "most"]) this.view[name] = "";
    for (const end of ["least", "most"]) this.find(`.${end}`).value = "";
    this.show(this.only);
  }

  goTo(place) {
    const at = this.places.indexOf(place);
    if (at >= 0) this.select(at);
    else this.show({ places: [place, ...this.places], name: "and its neighbour" });
  }

  show(only) {
    this.emptyBox = false;
    this.only = only;
    this.anchor = null;
    this.at = 0;
    this.find(".grid").scrollTop = 0;
    this.list();
    this.draw();
  }

  /** Go there; `on` stretches what is selected until there. */
  select(to, on = false) {
    this.anchor = on ? (this.anchor ?? this.places[this.at]) : null;
    this.move(to);
  }

  move(to) {
    this.at = Math.max(0, Math.min(to, this.places.length - 1));
    const grid = this.find(".grid"), height = this.size + CAPTION + GAP, top = Math.floor(this.at / this.across) * height;
    if (top < grid.scrollTop) grid.scrollTop = top;
    else if (top + height > grid.scrollTop + grid.clientHeight) grid.scrollTop = top + height - grid.clientHeight;
    this.draw();
  }

  /** Draw a step, and send it. */
  step(step) {
    this.taken = null;
    this.number = Math.max(Date.now(), this.number + 1);
    this.pending.push({ number: this.number, ...step });
    for (const [place, mark] of step.draws) this.marks[place] = mark ?? " ";
    this.tell();
  }

  tell() {
    const steps = this.pending.map(({ draws, ...step }) => step);
    this.send("steps", { hand: hand(), key: this.key, tried: (this.tried = (this.tried ?? 0) + 1), steps });
  }

  mark(letter, places) {
    if (!places.length) return;
    const before = places.map((place) => [place, this.marks[place]]);
    this.step({ marks: places.map((place) => [place, LETTERS[letter] ?? null]), draws: places.map((place) => [place, letter]) });
    this.undoable.push(before);
    this.list();
    this.draw();
  }

  /** Mark what is selected, and go to what follows. */
  decide(letter) {
    const [first, last] = this.range(), there = this.places[last];
    this.mark(letter, this.here());
    this.select(this.places[last] === there ? last + 1 : first);
  }

  undo() {
    const before = this.undoable.pop(), marks = [...this.marks]; // of a step before this page was loaded the server knows
    if (!before && !this.tags.size && !Object.keys(this.views).length && marks.every((one) => one === " ")) return;
    this.step({ undo: true, draws: before ?? [] });
    this.taken = before ? changed(marks, this.marks) : { marks };
    this.list();
    if (before?.length === 1 && this.places.includes(before[0][0])) this.select(this.places.indexOf(before[0][0]));
    else this.draw();
  }

  redo() {
    const again = Array.isArray(this.taken) ? this.taken : [];
    if (!again.length) return;
    const before = again.map(([place]) => [place, this.marks[place]]);
    this.step({ marks: again.map(([place, mark]) => [place, LETTERS[mark] ?? null]), draws: again });
    this.undoable.push(before);
    this.list();
    this.draw();
  }

  like(places, name) {
    if (!places.length) return;
    this.wanted = `${places.length}-${places[0]}-${Date.now()}`;
    this.send("like", { asked: this.wanted, places, name });
  }

  likeHere() {
    const here = this.here();
    this.like(here, here.length > 1 ? `the ${here.length.toLocaleString("en")} selected` : `image ${this.data.index[here[0]]}`);
  }

  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = this.across * Math.max(1, Math.floor(this.find(".grid").clientHeight / (this.size + CAPTION + GAP)));
    const moves = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: this.across, ArrowUp: -this.across, PageDown: page, PageUp: -page,
      Home: -this.places.length, End: this.places.length };
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (key in moves) this.select(this.at + moves[key], event.shiftKey);
    else if (key in LETTERS) this.decide(key);
    else if (key === "l") this.likeHere();
    else if (key === " ") this.toggle();
    else if (key === "Escape" && (this.open || this.only)) this.open ? this.toggle() : this.show(null);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Z takes back wherever the focus is, and with shift puts back, but in a field where one types. */
  pressAnywhere(event) {
    if (event.key.toLowerCase() !== "z" || event.altKey || event.target.matches("[type=text], [type=number]")) return;
    event.shiftKey ? this.redo() : this.undo();
    event.preventDefault();
    event.stopPropagation();
  }

  toggle() {
    this.open = !this.open;
    this.draw();
  }

  /** Sorted or filtered otherwise. */
  changed() {
    this.emptyBox = false;
    if (this.only) this.only.sorted = true;
    this.list();
    this.find(".grid").scrollTop = 0;
    this.anchor = null;
    this.at = 0;
    this.draw();
    const { sort, down } = this.view, told = `${sort} ${down}`;
    if (this.toldView !== told) this.send("view", { sort, down });
    this.toldView = told;
  }

  /** Where the selection begins and ends among those shown: at one image unless it was stretched with shift. */
  range() {
    const anchor = this.places.indexOf(this.anchor);
    return anchor < 0 ? [this.at, this.at] : [Math.min(anchor, this.at), Math.max(anchor, this.at)];
  }

  chosen(number) {
    const [first, last] = this.stretch;
    return first <= number && number <= last;
  }

  here() {
    const [first, last] = this.range();
    return this.places.slice(first, last + 1);
  }

  listen() {
    const grid = this.find(".grid");
    grid.addEventListener("keydown", (event) => this.press(event));
    this.root.addEventListener("keydown", (event) => this.pressAnywhere(event));
    // a button that goes once it is clicked takes the focus along
    this.root.addEventListener("click", () => this.root.getRootNode().activeElement ?? grid.focus({ preventScroll: true }));
    grid.addEventListener("scroll", () => this.draw(), { passive: true });
    grid.addEventListener("click", (event) => {
      const tile = event.target.closest(".tile");
      if (tile) this.select(Number(tile.dataset.number), event.shiftKey);
    });
    grid.addEventListener("dblclick", (event) => event.target.closest(".tile") && this.toggle());
    new ResizeObserver(() => this.data && this.draw()).observe(grid);
    listenToChoices(this);
    const button = (text, key, act) => {
      const made = make("button", { type: "button", textContent: `${text} ` });
      if (key) made.append(make("kbd", { textContent: key }));
      made.onclick = act;
      return made;
    };
    const marked = (letter) => this.marks.flatMap((one, place) => (one === letter ? [place] : []));
    this.find(".to-retrain").onclick = () => document.querySelector(".st-key-retraining")?.scrollIntoView({ block: "center" });
    this.find(".keys").replaceChildren(
      button("Remove", "R", () => this.decide("r")), button("Keep", "K", () => this.decide("k")),
      button("Unsure", "U", () => this.decide("u")), button("Undo", "Z", () => this.undo()),
      button("Detail", "space", () => this.toggle()), button("More like this", "L", () => this.likeHere()),
      button("More like those removed", "", () => this.like(marked("r"), "those removed")),
      button("Remove all shown", "", () => this.mark("r", [...this.places])),
      button("Keep all shown", "", () => this.mark("k", [...this.places])),
    );
  }
}

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".inspect");
  (root.grid ??= new Grid(root)).take(data, setStateValue);
}
