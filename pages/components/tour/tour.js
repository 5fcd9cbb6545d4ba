// The tour: its step is in the address, its bar below the page, a ring around what it shows. And the look for a projector.
const LARGER = "135%", KEPT_STEP = "tour-step", KEPT_LOOK = "look", EVERY = 250; // milliseconds
const FOLDING = 3000; // in which Streamlit may unfold the sidebar of a page that it draws; later it is the visitor's
const STYLE = `
#tour { position: fixed; z-index: 2000000; left: 0; right: 0; bottom: 0; display: flex; flex-wrap: wrap; gap: 0.4rem 0.6rem; align-items: center;
  padding: 0.7rem clamp(0.8rem, 3vw, 2rem); background: #14213d; color: white; font: 1.25rem/1.3 var(--tour-font, sans-serif); box-shadow: 0 -2px 12px #0006; }
#tour p { flex: 1 1 17rem; margin: 0; font-weight: 600; }
#tour span { opacity: 0.85; font-variant-numeric: tabular-nums; }
#tour button { font: inherit; font-size: 0.85rem; color: white; background: #ffffff22; border: 1px solid #ffffff88; border-radius: 0.4rem; padding: 0.3rem 0.5rem; cursor: pointer; }
#tour button:focus-visible { outline: 3px solid #56B4E9; outline-offset: 2px; }
#tour button:disabled { opacity: 0.4; cursor: default; }
#tour-ring { box-sizing: border-box; position: fixed; z-index: 1999990; pointer-events: none; border: 4px solid #0072B2; border-radius: 10px; box-shadow: 0 0 0 3px white, 0 0 0 200vmax #0003; }
@media print { #tour, #tour-ring { display: none; } }`;
const FIELDS = "input, textarea, select, [contenteditable='true'], [role='slider'], [role='combobox'], [role='listbox'], [role='radio'], [role='tab'], [role='grid'], [role='dialog']";

/** The first element of a selector, in shadow roots too. @param {string} selector @returns {Element | null} */
function found(selector, root = document.querySelector("[data-testid='stMain']")) {
  if (!root) return null;
  const seen = [...root.querySelectorAll(selector)].find((one) => one.getBoundingClientRect().height > 0);
  if (seen) return seen;
  for (const one of root.querySelectorAll("*")) {
    const inside = one.shadowRoot && found(selector, one.shadowRoot);
    if (inside) return inside;
  }
  return null;
}

class Tour {
  constructor() {
    this.bar = this.ring = this.notes = null;
    document.head.append(Object.assign(document.createElement("style"), { textContent: STYLE }));
    this.channel = new BroadcastChannel("tour");
    this.channel.onmessage = ({ data }) => { if (data === "which") this.channel.postMessage(this.step()); };
    window.addEventListener("keydown", (event) => this.pressed(event), true);
    for (const kind of ["wheel", "touchmove", "pointerdown"]) window.addEventListener(kind, () => { this.free = true; }, { passive: true, capture: true });
    for (const kind of ["scroll", "resize"]) window.addEventListener(kind, () => this.surround(), true);
    if (new URLSearchParams(location.search).get("look") === "projector") sessionStorage.setItem(KEPT_LOOK, "projector");
    setInterval(() => this.check(), EVERY);
  }

  /** The step that the address names, 0 for none. */
  step() {
    const step = Number(new URLSearchParams(location.search).get("tour"));
    return Number.isInteger(step) && step >= 1 && step <= this.steps.length ? step : 0;
  }

  go(step) {
    if (step >= 1 && step <= this.steps.length) location.assign(this.steps[step - 1].address);
  }

  leave() {
    const address = new URL(location.href);
    address.searchParams.delete("tour");
    history.replaceState(history.state, "", address);
    this.check();
  }

  /** The page is as the address and the look say. */
  check() {
    const step = this.step();
    if (step !== this.drawn) this.draw(step);
    if (step) this.surround();
    this.look();
  }

  draw(step) {
    this.drawn = step;
    this.shown = null;
    this.free = false;
    for (const part of [this.bar, this.ring]) part?.remove();
    this.bar = this.ring = null;
    document.querySelector("[data-testid='stMain']")?.style.setProperty("padding-bottom", step ? "7rem" : "");
    this.channel.postMessage(step);
    if (!step) return;
    sessionStorage.setItem(KEPT_STEP, String(step));
    const bar = document.createElement("section"), text = document.createElement("p"), number = document.createElement("span");
    Object.assign(bar, { id: "tour", ariaLabel: "Tour" });
    bar.setAttribute("role", "region");
    bar.style.setProperty("--tour-font", getComputedStyle(document.querySelector(".stApp")).fontFamily);
    text.textContent = this.steps[step - 1].sentence;
    text.setAttribute("aria-live", "polite");
    number.textContent = `${step} / ${this.steps.length}`;
    const button = (name, act, off = false) => {
      const made = Object.assign(document.createElement("button"), { type: "button", textContent: name, disabled: off, onclick: act });
      return made;
    };
    bar.append(number, text, button("← Back", () => this.go(step - 1), step === 1), button("Next →", () => this.go(step + 1), step === this.steps.length),
      button("Notes (N)", () => this.openNotes()), button("Leave (Esc)", () => this.leave()));
    document.body.append(bar);
    this.bar = bar;
  }

  /** The ring lies around what is shown, which is brought into view until a hand scrolls. */
  surround() {
    const step = this.step();
    if (!step || !this.shown?.isConnected || !this.shown.getBoundingClientRect().height) this.shown = step ? found(this.steps[step - 1].shows) : null;
    const { shown } = this;
    if (!shown || !this.bar) {
      this.ring?.remove();
      this.ring = null;
      return;
    }
    const room = window.innerHeight - this.bar.offsetHeight, top = 60;
    let box = shown.getBoundingClientRect();
    if (!this.free && (box.top < top || box.bottom > room)) {
      const main = document.querySelector("[data-testid='stMain']");
      const wanted = box.height > room - top - 16 ? top + 12 : top + (room - top - box.height) / 2;
      main.scrollTop += box.top - wanted;
      box = shown.getBoundingClientRect();
    }
    if (!this.ring) {
      this.ring = Object.assign(document.createElement("div"), { id: "tour-ring" });
      document.body.append(this.ring);
    }
    Object.assign(this.ring.style, { left: `${box.left - 8}px`, top: `${box.top - 8}px`, width: `${box.width + 16}px`, height: `${box.height + 16}px` });
  }

  /** Larger type and a folded sidebar, or as usual. */
  look() {
    const large = sessionStorage.getItem(KEPT_LOOK) === "projector", root = document.documentElement;
    const sidebar = document.querySelector("[data-testid='stSidebar']");
    if (!sidebar) return; // the page is not drawn yet
    if (large !== (root.dataset.look === "projector")) {
      root.dataset.look = large ? "projector" : "";
      root.style.fontSize = large ? LARGER : "";
      this.folds = performance.now() + FOLDING;
    }
    const folded = sidebar.dataset.collapsed === "true";
    if (performance.now() > (this.folds ?? 0) || folded === large) return;
    document.querySelector(large ? "[data-testid='stSidebarCollapseButton'] button" : "[data-testid='stExpandSidebarButton']")?.click();
  }

  /** @param {KeyboardEvent} event */
  pressed(event) {
    const at = event.composedPath()[0], field = at instanceof Element && at.closest(FIELDS), step = this.step();
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    const clicker = { PageDown: 1, PageUp: -1 }[event.key], arrow = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const steps = step && !(at instanceof HTMLTextAreaElement) && (clicker ?? (field ? 0 : arrow ?? 0));
    const acts = {
      Escape: step && (() => this.leave()),
      n: step && (() => this.openNotes()),
      t: !step && (() => this.go(Number(sessionStorage.getItem(KEPT_STEP)) || 1)),
      p: () => this.switchLook(),
    };
    const act = steps ? () => this.go(step + steps) : !field && acts[event.key];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }

  switchLook() {
    if (sessionStorage.getItem(KEPT_LOOK) === "projector") {
      sessionStorage.removeItem(KEPT_LOOK);
      const address = new URL(location.href);
      address.searchParams.delete("look");
      history.replaceState(history.state, "", address);
    } else sessionStorage.setItem(KEPT_LOOK, "projector");
    this.look();
  }

  /** All notes in a window of their own, which follows the steps and can be printed. */
  openNotes() {
    const notes = window.open("", "tour-notes", "width=560,height=760");
    if (!notes) return;
    const page = notes.document, safe = (text) => text.replace(/[&<>]/g, (one) => `&#${one.charCodeAt(0)};`);
    page.open();
    page.write(`<!doctype html><html lang="en"><meta charset="utf-8"><title>Speaker's notes</title><style>
      :root { color-scheme: light dark; } body { font: 1.05rem/1.5 system-ui, sans-serif; margin: 1rem auto; max-width: 42rem; padding: 0 1rem; }
      li { padding: 0.4rem 0.8rem; border-left: 5px solid transparent; break-inside: avoid; } li.now { border-color: #0072B2; background: #0072B222; }
      b { display: block; } @media print { button { display: none; } li.now { border-color: transparent; background: none; } }
      </style><h1>Speaker's notes</h1><button onclick="print()">Print</button><ol>${this.steps.map(({ sentence, note }) => `<li><b>${safe(sentence)}</b>${safe(note)}</li>`).join("")}</ol>
      <script>const channel = new BroadcastChannel("tour"), all = [...document.querySelectorAll("li")];
      channel.onmessage = ({ data }) => { if (typeof data !== "number") return; all.forEach((one, at) => one.classList.toggle("now", at === data - 1)); all[data - 1]?.scrollIntoView({ block: "nearest" }); };
      channel.postMessage("which");</${"script"}></html>`);
    page.close();
  }
}

export default function ({ data }) {
  window.appTour ??= new Tour();
  window.appTour.steps = data.steps;
  window.appTour.check();
}
