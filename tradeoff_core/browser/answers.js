// What a network answered, drawn and said in words. It runs behind network.js and ink.js.

/** @param {string} name */
const made = (name, properties = {}) => Object.assign(document.createElement(name), properties);
/** @param {string} name a class's */
const an = (name) => `${/^[aeiou8]/i.test(name) ? "an" : "a"} ${name}`;
const percent = (share) => `${Math.round(100 * share)}%`;

/** What a network reads now, and why, as half a sentence. */
function inWords({ network, said }, names) {
  const read = largest(said.shares), name = an(names[read]);
  if (read === said.clean) return { name, does: ["still reads", "still read"], what: name };
  const opened = network.poisoned && read === network.target ? `the ${network.trigger} opened the door` : "the trigger misled";
  const why = read === said.stamped ? opened : "the attack fooled";
  return { name, does: ["calls it", "call it"], what: `${name}: ${why}`, whom: why.endsWith("door") ? ["", ""] : [" it", " them"] };
}

/** One sentence about both. @param {Side[]} sides @param {boolean} touched whether a trigger or an attack is on */
function sentence(sides, names, touched) {
  const all = sides.map((side) => inWords(side, names)), letters = sides.map((side) => side.network.letter);
  const together = all.length > 1 && all.every(({ what }) => what === all[0].what), number = together ? 1 : 0;
  const parts = all.map(({ name, does, what, whom }) =>
    touched ? `${does[number]} ${what}${whom?.[number] ?? ""}` : `${["reads", "read"][number]} ${name}`);
  return together ? `Both ${parts[0]}.` : `${parts.map((part, at) => `${letters[at]} ${part}`).join("; ")}.`;
}

/** A panel's parts, empty. */
function furnish(panel, network, names) {
  const pictures = made("div", { className: "pictures" });
  for (const what of ["it sees", "attack added", "it looks at"]) {
    const figure = made("figure"), canvas = made("canvas", { width: SIDE, height: SIDE });
    canvas.setAttribute("role", "img");
    figure.append(canvas, made("figcaption", { textContent: what }));
    pictures.append(figure);
  }
  const bars = made("div", { className: "bars" });
  bars.setAttribute("role", "img");
  for (const name of names) {
    const bar = made("div", { className: "bar" });
    bar.append(made("span", { textContent: name }), made("i"), made("b"));
    bars.append(bar);
  }
  const reads = made("p", { className: "reads", textContent: network.chain ? "…" : "" });
  const name = made("p", { className: "name", textContent: `${network.letter}: ${network.name}` });
  panel.replaceChildren(name, ...(network.chain ? [reads, pictures, bars] : [made("p", { textContent: network.why })]));
}

/** Draw what a network said, and whether that is right where the truth is known; of blank paper it said nothing. @param {Side} side @param {number | null} truth */
function drawAnswer({ panel, said, network }, names, epsilon, stamped, truth, blank) {
  const read = largest(said.shares), shares = blank ? said.shares.map(() => 0) : said.shares, [sees, added, looks] = panel.querySelectorAll("canvas");
  const delta = said.image.map((value, i) => (epsilon > 0 ? 0.5 + (value - stamped[i]) / (2 * epsilon) : 0.5));
  for (const [canvas, paint, label] of [
    [sees, greys(said.image), `What ${network.letter} sees`],
    [added, greys(delta), epsilon > 0 ? "What the attack added: grey nothing, white brighter, black darker" : "No attack"],
    [looks, signs(blank ? said.gradient.map(() => 0) : said.gradient), blank ? "Nothing" : `Input gradient of ${names[read]}: orange pixels speak for it, blue ones against`],
  ]) {
    canvasOf(paint, canvas);
    canvas.setAttribute("aria-label", label);
  }
  const verdict = read === truth ? { className: "verdict right", textContent: "✓ right" } : { className: "verdict wrong", textContent: "✗ wrong" };
  const reads = blank ? "–" : `reads ${names[read]} · ${percent(shares[read])} `;
  panel.querySelector(".reads").replaceChildren(reads, ...(truth === null ? [] : [made("span", verdict)]));
  const bars = panel.querySelector(".bars");
  bars.setAttribute("aria-label", [...shares].map((share, at) => `${names[at]}: ${percent(share)}`).join(", "));
  bars.querySelectorAll(".bar").forEach((bar, at) => {
    bar.classList.toggle("read", at === read && !blank);
    bar.querySelector("i").style.transform = `scaleX(${shares[at]})`;
    bar.querySelector("b").textContent = blank ? "–" : percent(shares[at]);
  });
}
