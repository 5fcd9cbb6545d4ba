// The playground: a digit, a sticker, a watermark and an attack, and what two networks make of them while a finger moves.
// It runs behind network.js, ink.js, photo.js and answers.js, in a page or in a file that stands alone, and asks nothing of a server but weights.
const KEPT = "playground", MOST_TRIES = 12; // in the browser's session
const AT_REST = 900; // milliseconds after which a try is kept
const ENLARGED = 10, NEAR = 2; // pixels of the paper for one of the image; how near to the sticker a finger takes it
const ATTACKS = { FGSM: 1, "PGD-10": 10, "PGD-40": 40 };
const files = new Map(); // weights by their checksum, fetched once

/** @param {string} text base64 */
const bytesOf = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
const kept = (state) => JSON.parse(JSON.stringify(state));

/** A network's file: packed in the page, or fetched. @param {{packed?: string, url?: string}} network */
async function fileOf({ packed, url }) {
  if (packed) return new Response(new Blob([bytesOf(packed)]).stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer();
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return response.arrayBuffer();
}

/** One of the two networks: its worker, its panel, and what it said last. */
class Side {
  constructor(panel, workerUrl, heard) {
    [this.panel, this.worker, this.busy, this.wanted, this.said] = [panel, new Worker(workerUrl), false, null, null];
    this.worker.onmessage = ({ data }) => {
      [this.busy, this.said] = [false, data];
      this.next(); // the worker goes on while this is drawn
      heard(this);
    };
  }

  /** Give the worker its network, unless it has it. */
  async load(network) {
    if (this.network?.sha256 === network.sha256) return;
    [this.network, this.said, this.ready] = [network, null, false];
    if (!network.chain) return;
    if (!files.has(network.sha256)) files.set(network.sha256, fileOf(network));
    const file = await files.get(network.sha256);
    if (this.network !== network) return; // another one was chosen meanwhile
    this.worker.postMessage({ file, chain: network.chain });
    this.ready = true;
    this.next();
  }

  /** Ask about an image; of several that come while it computes, the last one counts. */
  ask(question) {
    this.wanted = question;
    this.next();
  }

  next() {
    if (!this.ready || this.busy || !this.wanted) return;
    this.worker.postMessage(this.wanted);
    [this.wanted, this.busy] = [null, true];
  }
}

/** What the browser's session kept, where it is of these data. */
function remembered(data) {
  try {
    const { state, tries, version } = JSON.parse(sessionStorage.getItem(KEPT));
    if (version === data.version) return { state, tries };
  } catch { /* nothing, or nothing that can be read */ }
  return { state: kept(data.start), tries: [] };
}

/** The playground in a place on a page. */
class Playground {
  constructor(root, data, script) {
    [this.root, this.data, this.turn] = [root, data, 0];
    this.find = (selector) => root.querySelector(selector);
    this.digits = [...bytesOf(data.digits.images)].map((value) => value / 255);
    Object.assign(this, remembered(data));
    this.url = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
    this.sides = [".a", ".b"].map((part) => new Side(this.find(part), this.url, (side) => this.heard(side)));
    this.patterns = Object.fromEntries(Object.entries(data.stickers).map(([pattern, sizes]) => [
      pattern, sizes.map(([height, width, rgba]) => pictureOf(bytesOf(rgba), height, width)),
    ]));
    this.paper = this.find(".paper");
    this.furnishControls();
    this.listen();
  }

  /** The sides that have a network. */
  get answering() { return this.sides.slice(0, this.networks.length); }

  /** What was chosen elsewhere: the networks, and those that the training slider walks through; what was pulled here stays. */
  follow({ networks, stops }, tell) {
    const slider = this.find(".training input"), told = networks.map(({ sha256 }) => sha256).join(" ");
    [this.stops, this.tell] = [stops, tell];
    this.find(".training").style.display = stops.length > 1 ? "" : "none";
    slider.max = String(stops.length - 1);
    if (told === this.told || this.telling) return this.show(this.networks);
    this.told = told;
    slider.value = String(stops.findIndex(({ sha256 }) => sha256 === networks.at(-1).sha256));
    this.show(networks);
  }

  /** The network at which the training slider stands is the last one; it is told once the slider rests. */
  walk(at) {
    const { letter } = this.networks.at(-1);
    clearTimeout(this.telling);
    this.telling = setTimeout(() => { this.telling = 0; this.tell?.(this.networks.at(-1).id); }, AT_REST);
    this.show([...this.networks.slice(0, -1), { ...this.stops[at], letter }]);
  }

  /** The networks, which may be others than before. */
  show(networks) {
    this.networks = networks;
    const { epsilon, letter } = networks.at(-1), training = this.find(".training");
    training.querySelector("output").textContent = epsilon ? `${epsilon.toFixed(2)} (ε)` : "0: never attacked";
    training.querySelector("input").setAttribute("aria-label", `How strong the attacks were that ${letter} was trained against, ε`);
    this.find(".b").style.display = networks.length > 1 ? "" : "none";
    networks.forEach((network, at) => {
      const side = this.sides[at];
      if (side.network?.sha256 !== network.sha256 || !side.panel.firstChild) furnish(side.panel, network, this.data.names);
      side.load(network).catch(() => {
        files.delete(network.sha256);
        side.panel.querySelector(".reads").textContent = "its weights did not arrive: reload the page";
      });
    });
    this.changed();
  }

  end() {
    document.removeEventListener("keydown", this.undoes);
    for (const timer of [this.resting, this.telling]) clearTimeout(timer);
    for (const side of this.sides) side.worker.terminate();
    URL.revokeObjectURL(this.url);
  }

  furnishControls() {
    const { names, digits } = this.data;
    const offer = (of, options) => this.find(`[data-of="${of}"]`).replaceChildren(...options.map(([value, text]) => made("option", { value, textContent: text })));
    offer("sticker.pattern", Object.keys(this.data.stickers).map((name) => [name, name.replaceAll("-", " ")]));
    offer("watermark.pattern", Object.keys(this.data.watermarks).map((name) => [name, name]));
    offer("attack.method", Object.keys(ATTACKS).map((name) => [name, name]));
    offer("attack.target", [["", "any mistake"], ...names.map((name, at) => [String(at), an(name)])]);
    this.find(".digits").replaceChildren(...names.map((name, label) => {
      const button = made("button", { type: "button", textContent: name });
      button.setAttribute("aria-label", `a test digit: ${name}`);
      button.onclick = () => {
        const places = [...digits.labels.keys()].filter((at) => digits.labels[at] === label);
        const at = places[(places.indexOf(this.state.digit) + 1) % places.length];
        this.take({ digit: at });
      };
      return button;
    }));
  }

  /** Other paper: empty, or with a test digit or a photograph on it. */
  take(paper) {
    Object.assign(this.state, { digit: null, photo: null, strokes: [] }, paper);
    this.changed();
  }

  /** A digit from a file, or why there is none. @param {File} file */
  async photograph(file) {
    const digit = await digitIn(file).catch(() => null);
    if (digit) this.take({ photo: btoa(String.fromCharCode(...digit.map((value) => Math.round(255 * value)))) });
    else this.find(".sentence").textContent = "No digit is found in this file: take a picture of one dark digit on bright paper, near enough.";
  }

  /** Every control changes one field of the state, which its name tells. */
  listen() {
    for (const control of this.root.querySelectorAll("[data-of]")) {
      const [part, field] = control.dataset.of.split(".");
      control.oninput = () => {
        this.state[part][field] = control.type === "checkbox" ? control.checked : control.type === "range" ? Number(control.value) : control.value;
        this.changed();
      };
    }
    this.find(".clear").onclick = () => {
      this.state.sticker.on = this.state.watermark.on = false;
      this.take({});
    };
    this.find(".undo").onclick = () => this.undo();
    this.undoes = (event) => {
      if (event.key !== "z" || !(event.ctrlKey || event.metaKey) || event.composedPath()[0].matches?.("input[type='text'], textarea")) return;
      event.preventDefault();
      this.undo();
    };
    document.addEventListener("keydown", this.undoes);
    this.find(".photo input").onchange = ({ target }) => {
      if (target.files.length) this.photograph(target.files[0]);
      target.value = ""; // the same file may be chosen again
    };
    this.find(".training input").oninput = ({ target }) => this.walk(Number(target.value));
    let held = "";
    this.root.onpointerdown = ({ target }) => { held = target.value; };
    this.root.onpointercancel = ({ target }) => { // a finger on a slider turned out to scroll the page
      if (target.type !== "range") return;
      target.value = held;
      target.dispatchEvent(new Event("input"));
    };
    this.paper.onpointerdown = (event) => this.down(event);
    this.paper.onpointermove = (event) => this.moves?.(this.placeOf(event));
    this.paper.onpointerup = this.paper.onpointercancel = () => this.up();
  }

  /** Where on the image a finger is. @param {PointerEvent} event */
  placeOf({ clientX, clientY }) {
    const box = this.paper.getBoundingClientRect();
    return [(SIDE * (clientX - box.left)) / box.width, (SIDE * (clientY - box.top)) / box.height];
  }

  /** A finger takes the sticker where it lies, and else draws or erases. */
  down(event) {
    event.preventDefault();
    this.paper.setPointerCapture(event.pointerId);
    const { sticker, strokes } = this.state, [x, y] = this.placeOf(event), { height, width } = this.picture();
    const away = [x - sticker.column, y - sticker.row];
    const taken = away[0] > -NEAR && away[0] < width + NEAR && away[1] > -NEAR && away[1] < height + NEAR;
    if (sticker.on && taken) {
      this.moves = ([x, y]) => {
        Object.assign(sticker, { column: Math.round(x - away[0]), row: Math.round(y - away[1]) });
        this.changed();
      };
      return;
    }
    const erases = this.find("[value='erase']").checked, stroke = { erases, width: erases ? RUBBER : PEN, points: [] };
    strokes.push(stroke);
    this.moves = (point) => { stroke.points.push(point); this.changed(); };
    this.moves([x, y]);
  }

  up() {
    if (!this.moves) return;
    this.moves = null;
    this.changed();
  }

  /** Take the last stroke back. */
  undo() {
    if (this.moves) return;
    this.state.strokes.pop();
    this.changed();
  }

  /** The triggers that are on. */
  get triggers() {
    return ["sticker", "watermark"].filter((kind) => this.state[kind].on).map((kind) => ({ kind, pattern: this.state[kind].pattern }));
  }

  picture() { return this.patterns[this.state.sticker.pattern][this.state.sticker.size - 1]; }

  /** The digit under what is drawn: a photograph, a test digit, or none. */
  underlay() {
    const { photo, digit } = this.state;
    if (photo) return Float64Array.from(bytesOf(photo), (value) => value / 255);
    return digit === null ? null : Float64Array.from(this.digits.slice(digit * SIDE ** 2, (digit + 1) * SIDE ** 2));
  }

  /** What the networks see, the same with the triggers on, and the paper: strokes stay there, and are seen where MNIST has its digits. */
  images() {
    const { strokes } = this.state, under = this.underlay(), moved = !under && strokes.length > 0;
    const clean = drawnInk(under, moved ? centred(strokes) : strokes), stamped = this.triggered(clean);
    return { clean, stamped, paper: moved ? this.triggered(drawnInk(null, strokes)) : stamped };
  }

  /** An image with the triggers that are on. */
  triggered(image) {
    const { sticker, watermark } = this.state;
    if (watermark.on) image = mark(image, new Float32Array(bytesOf(this.data.watermarks[watermark.pattern]).buffer), watermark.amplitude);
    return sticker.on ? stamp(image, this.picture(), sticker.row, sticker.column, sticker.opacity) : image;
  }

  /** Draw the state, and ask the networks about it. */
  changed() {
    const { sticker, attack, digit, strokes } = this.state, { height, width } = this.picture();
    sticker.row = Math.min(Math.max(sticker.row, 0), SIDE - height);
    sticker.column = Math.min(Math.max(sticker.column, 0), SIDE - width);
    const { clean, stamped, paper } = this.images();
    Object.assign(this, { stamped, blank: !clean.some((value) => value > 0.2) });
    this.drawPaper(paper);
    this.drawControls();
    this.turn += 1;
    this.root.ariaBusy = "true";
    clearTimeout(this.resting);
    const steps = ATTACKS[attack.method], target = attack.target === "" ? null : Number(attack.target);
    const step = (steps > 1 ? 2.5 / steps : 1) * attack.epsilon;
    this.truth = digit !== null && !strokes.length ? this.data.digits.labels[digit] : null;
    const triggered = this.triggers.length > 0;
    const question = { turn: this.turn, clean, stamped, triggered, truth: this.truth, atRandom: steps > 1, attack: { epsilon: attack.epsilon, step, steps, target } };
    for (const side of this.answering) side.ask(question);
    if (this.blank) this.find(".sentence").textContent = "Draw a digit on the black paper, or take one below it.";
    else if (this.answering.every(({ network }) => !network.chain)) this.find(".sentence").textContent = "Choose another network on the left to try this digit.";
  }

  drawPaper(values) {
    const pen = this.paper.getContext("2d"), { sticker } = this.state, { height, width } = this.picture();
    pen.imageSmoothingEnabled = false;
    pen.drawImage(canvasOf(greys(values)), 0, 0, this.paper.width, this.paper.height);
    if (!sticker.on) return;
    pen.setLineDash([6, 4]);
    [pen.lineWidth, pen.strokeStyle] = [2, "#56B4E9"];
    pen.strokeRect(ENLARGED * sticker.column - 1, ENLARGED * sticker.row - 1, ENLARGED * width + 2, ENLARGED * height + 2);
  }

  /** Controls show the state, as after a try was brought back. */
  drawControls() {
    for (const control of this.root.querySelectorAll("[data-of]")) {
      const [part, field] = control.dataset.of.split("."), value = this.state[part][field];
      if (control.type === "checkbox") control.checked = value;
      else if (control.value !== String(value)) control.value = String(value);
      const output = control.parentElement.querySelector("output");
      if (output) output.textContent = Number.isInteger(value) ? value : value.toFixed(2);
    }
    for (const note of this.root.querySelectorAll(".note")) {
      const trigger = this.triggers.find(({ kind }) => note.parentElement.className === kind);
      note.textContent = trigger ? strangers(this.networks, trigger) : "";
    }
    const now = JSON.stringify(this.state);
    this.find(".tries").querySelectorAll("button").forEach((button, at) => { button.ariaPressed = String(JSON.stringify(this.tries[at].state) === now); });
    this.find(".undo").disabled = !this.state.strokes.length;
    const label = this.data.digits.labels[this.state.digit];
    this.find(".digits").querySelectorAll("button").forEach((button, at) => button.setAttribute("aria-pressed", String(at === label)));
    const what = label !== undefined ? `a test digit, ${this.data.names[label]}` : this.state.photo ? "your photograph" : "your drawing";
    this.paper.setAttribute("aria-label", `The paper: ${what}. Draw on it, or take a test digit with the buttons below; the sticker moves by the row and column controls too.`);
  }

  /** A network answered. @param {Side} side */
  heard(side) {
    if (!side.network.chain || !this.answering.includes(side)) return;
    drawAnswer(side, this.data.names, this.state.attack.epsilon, this.stamped, this.truth, this.blank);
    const sides = this.answering.filter(({ network }) => network.chain);
    if (!sides.every(({ said }) => said?.turn === this.turn)) return;
    this.root.ariaBusy = "false";
    if (this.blank) return;
    const { triggers, truth } = this, touched = triggers.length > 0 || this.state.attack.epsilon > 0;
    this.find(".sentence").textContent = sentence(sides, this.data.names, { triggers, touched, truth });
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.keep(sides), AT_REST);
  }

  /** Keep what stands still as a try, with what was said of it. @param {Side[]} sides */
  keep(sides) {
    if (this.moves) return;
    const state = kept(this.state), key = JSON.stringify(state);
    if (!this.tries.some((one) => JSON.stringify(one.state) === key)) {
      const small = made("canvas", { width: SIDE, height: SIDE });
      const read = ({ said }) => this.data.names[largest(said.shares)];
      const said = sides.map((side) => `${side.network.letter}: ${read(side)}`).join(" · ");
      const by = sides.map((side) => `${side.network.letter}, ${side.network.name}, read ${read(side)}`).join("; ");
      this.tries = [{ state, said, by, picture: canvasOf(greys(this.stamped), small).toDataURL() }, ...this.tries].slice(0, MOST_TRIES);
    }
    this.drawTries();
    try {
      sessionStorage.setItem(KEPT, JSON.stringify({ state, tries: this.tries, version: this.data.version }));
    } catch { /* a browser that keeps nothing */ }
  }

  drawTries() {
    this.find(".tries").replaceChildren(...this.tries.map(({ state, said, by, picture }) => {
      const button = made("button", { type: "button", title: by, ariaLabel: `Bring back: ${by}` });
      button.ariaPressed = String(JSON.stringify(state) === JSON.stringify(this.state));
      button.onclick = () => {
        this.state = kept(state);
        this.changed();
        this.find(".stage").scrollIntoView({ block: "nearest", behavior: "smooth" });
      };
      button.append(made("img", { src: picture, alt: "" }), made("span", { textContent: said }));
      return button;
    }));
  }
}

/**
 * Draw the playground, or go on with the one that is there.
 * @param {{networks: object[], stops: object[]}} data @param {(id: string) => void} [tell] hears which network was walked to
 */
function playgroundIn(root, data, script, tell) {
  root.playground ??= new Playground(root, data, script);
  root.playground.follow(data, tell);
  root.playground.drawTries();
  return root.playground;
}
