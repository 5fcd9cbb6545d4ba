// What the other scripts here are made of: elements, pictures and numbers.
const LETTERS = { k: "keep", r: "remove", u: "unsure" };
const CAPTION = 36, GAP = 10; // pixels below a picture, and around it

/** @param {string} kind @param {Record<string, unknown>} [properties] @param {(Node | string)[]} parts */
function make(kind, properties = {}, ...parts) {
  const made = Object.assign(document.createElement(kind), properties);
  made.append(...parts);
  return made;
}

/** Who marks: a tab, which keeps its name when it is loaded anew. */
function hand() {
  try {
    return (sessionStorage.inspectHand ??= `tab-${crypto.getRandomValues(new Uint32Array(2)).join("-")}`);
  } catch {
    return (window.inspectHand ??= `tab-${Date.now()}`);
  }
}

/** A picture cut out of its sheet, `size` pixels wide. */
function cutOut(picture, { sheets, across, each }, place, size) {
  const number = Math.floor(place / each), at = place % each;
  picture.style.width = picture.style.height = `${size}px`;
  picture.style.backgroundImage = `url("${sheets[number]}")`;
  picture.style.backgroundSize = `${across * size}px auto`;
  picture.style.backgroundPosition = `${-(at % across) * size}px ${-Math.floor(at / across) * size}px`;
  return picture;
}

/** A share of 100 as a bar. */
function bar(share) {
  const full = make("b");
  full.style.width = `${share}%`;
  return make("i", {}, full);
}

const shown = (value) => (Number.isInteger(value) ? String(value) : value.toPrecision(3));
