// What a network answered, drawn and said in words. It runs behind network.js and ink.js.

/** @param {string} name */
const made = (name, properties = {}) => Object.assign(document.createElement(name), properties);
/** @param {string} name a class's */
const an = (name) => `${/^[aeiou8]/i.test(name) ? "an" : "a"} ${name}`;
const percent = (share) => `${Math.round(100 * share)}%`;

/** @typedef {{kind: string, pattern: string}} Trigger a sticker or a watermark */

/** Whether a network was trained on a trigger. @param {Trigger} trigger */
const knows = (network, { kind, pattern }) => network.poisoned && network.trigger === kind && network.pattern === pattern;

/** Which networks were never trained on a trigger, as a sentence; nothing where all were. @param {Trigger} trigger */
function strangers(networks, trigger) {
  const letters = networks.filter((network) => !knows(network, trigger)).map(({ letter }) => letter);
  return letters.length ? `${letters.join(" and ")} never trained on this one.` : "";
}

/** What a network reads now, and why, as half a sentence, about one network and about both. @param {{triggers: Trigger[], touched: boolean, truth: number | null}} shown */
function inWords({ network, said }, names, { triggers, touched, truth }) {
  const read = largest(said.shares), what = an(names[read]), kinds = triggers.map(({ kind }) => kind).join(" and the ");
  if (truth !== null && said.clean !== truth) {
    const now = read === said.clean ? ["", ""] : [` ${an(names[said.clean])}, and now reads`, ` ${an(names[said.clean])}, and now read`];
    return [`misreads it from the start, as${now[0]} ${what}`, `misread it from the start, as${now[1]} ${what}`];
  }
  if (read === said.clean) return touched ? [`still reads ${what}`, `still read ${what}`] : [`reads ${what}`, `read ${what}`];
  if (read === said.stamped && read === network.target && triggers.some((trigger) => knows(network, trigger)))
    return ["calls it", "call it"].map((does) => `${does} ${what}: the ${kinds} opened the door`);
  const alone = !triggers.length || read === said.attacked;
  const why = read === said.stamped ? `the ${kinds} misled` : alone ? "the attack fooled" : `the attack and the ${kinds} together fooled`;
  return [`calls it ${what}: ${why} it`, `call it ${what}: ${why} them`];
}

/** One sentence about both. @param {Side[]} sides */
function sentence(sides, names, shown) {
  const all = sides.map((side) => inWords(side, names, shown)), letters = sides.map((side) => side.network.letter);
  const together = all.length > 1 && all.every(([, both]) => both === all[0][1]), parts = all.map((part) => part[together ? 1 : 0]);
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
  added.nextElementSibling.textContent = epsilon > 0 ? "attack added" : "no attack";
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
