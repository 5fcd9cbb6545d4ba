// Draws what first_screen sends. The slider changes everything here; only a network that is let go of is told to the server.
const GREEN = "#009E73", PURPLE = "#CC79A7", ORANGE = "#D55E00";
const STEEPEST = 17; // degrees of the beam where one end is all safe and the other all in danger

/** @param {string} name @param {Record<string, string | number>} attributes @param {string} [text] */
function svg(name, attributes, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.textContent = text;
  return made;
}

/** @param {number} share */
const percent = (share) => (share === null ? "–" : `${Math.round(100 * share)}%`);

/** A sentence whose ε leads to what that is. */
function say(place, sentence, { term, meaning }) {
  const [before, after] = sentence.split(term), link = document.createElement("a");
  Object.assign(link, { href: meaning, target: "_blank", rel: "noopener", textContent: term });
  place.replaceChildren(before, ...(after === undefined ? [] : [link, after]));
}

/** A network's two pictures, and whether it reads them right. */
function drawNetwork(box, network, at, { labels, stamped, words }) {
  box.querySelector("figcaption").textContent = network.name;
  box.querySelector(".rates").textContent = network.rates;
  const { attacked, stamped: read } = network.pictures[at];
  const pictures = [
    [words.attacked, attacked[0], attacked[1], attacked[2]],
    [words.stamped, stamped[at], read[0], read[1]],
  ].map(([what, source, said, right]) => {
    const picture = document.createElement("div"), image = new Image(), title = document.createElement("small");
    const reads = document.createElement("b"), verdict = document.createElement("span");
    picture.className = "picture";
    image.src = source;
    image.alt = `${labels[at]}, ${what}: ${words.reads} ${said}`;
    image.className = right ? "right" : "wrong";
    verdict.className = `verdict ${image.className}`;
    title.textContent = what;
    verdict.textContent = words.is[Number(right)];
    reads.append(`${words.reads} ${said} `, verdict);
    picture.append(title, image, reads);
    return picture;
  });
  box.querySelector(".pair").replaceChildren(...pictures);
}

/** Above 0 the left end is up: what is withstood, less how far the back door is shut. */
const tiltOf = (network) => network.adversarial - (1 - (network.backdoor ?? 0));

/** The see-saw: each end as high as it is good, with a sign on it, and each number as it is said. */
function drawBeam(beam, network, first, words) {
  const ends = [
    [60, network.adversarial, words.left, GREEN, "start"],
    [340, network.backdoor, words.right, PURPLE, "end"],
  ];
  if (!beam.firstChild) {
    const plank = svg("g", { class: "plank", style: "transform-origin: 200px 110px" });
    plank.append(svg("rect", { x: 40, y: 105, width: 320, height: 10, rx: 5, fill: "currentColor" }));
    for (const [x, , , colour] of ends) {
      plank.append(svg("circle", { cx: x, cy: 110, r: 17, fill: colour }), svg("text", { class: "sign", x, y: 118, "text-anchor": "middle" }));
    }
    const ghost = svg("rect", { class: "ghost", x: 40, y: 107, width: 320, height: 6, rx: 3, fill: "currentColor" });
    ghost.setAttribute("transform", `rotate(${STEEPEST * tiltOf(first)} 200 110)`); // where the first network stands
    beam.append(ghost, plank, svg("path", { d: "M200 116 L172 172 H228 Z", fill: "currentColor", opacity: 0.35 }));
    for (const [x, , what, , anchor] of ends) {
      beam.append(
        svg("text", { class: "big", x: anchor === "start" ? 12 : 388, y: 24, "text-anchor": anchor }),
        svg("text", { x: anchor === "start" ? 12 : 388, y: 42, "text-anchor": anchor }, what),
      );
    }
    beam.append(svg("line", { x1: 0, x2: 400, y1: 110, y2: 110, stroke: "currentColor", "stroke-dasharray": "3 4", opacity: 0.5 }));
    for (const [, , , , anchor] of ends) {
      const x = anchor === "start" ? 0 : 400;
      for (const [y, what] of [[102, words.up], [127, words.down]]) beam.append(svg("text", { class: "side", x, y, "text-anchor": anchor }, what));
    }
    beam.append(svg("text", { class: "faint", x: 200, y: 188, "text-anchor": "middle" }, `${words.ghost}: ${first.name}`));
  }
  const tilt = tiltOf(network);
  beam.querySelector(".plank").style.transform = `rotate(${STEEPEST * tilt}deg)`;
  beam.querySelectorAll(".sign").forEach((sign, end) => (sign.textContent = (end ? tilt < 0 : tilt > 0) ? "✓" : "✗"));
  beam.querySelectorAll(".big").forEach((text, end) => (text.textContent = percent(ends[end][1])));
  beam.setAttribute(
    "aria-label",
    `${words.beam}. ${words.left}: ${percent(ends[0][1])}. ${words.right}: ${percent(ends[1][1])}.`,
  );
}

const AT_REST = 600; // milliseconds after which the network that is shown is told
const LEFT = 34, WIDTH = 356, TOP = 8, HEIGHT = 112;

/** The measured curve, each seed a point and the means a line, and a marker at the network that is shown. */
function drawCurve(curve, runs, network, words) {
  const most = Math.max(...runs.map(([epsilon]) => epsilon));
  const x = (epsilon) => LEFT + (WIDTH * epsilon) / most, y = (share) => TOP + HEIGHT * (1 - share);
  if (!curve.firstChild) {
    for (const share of [0, 0.5, 1]) {
      curve.append(
        svg("line", { x1: LEFT, x2: LEFT + WIDTH, y1: y(share), y2: y(share), stroke: "currentColor", opacity: 0.2 }),
        svg("text", { class: "faint", x: LEFT - 4, y: y(share) + 4, "text-anchor": "end" }, percent(share)),
      );
    }
    for (const [column, colour, what] of [[1, GREEN, words.left], [2, PURPLE, words.right]]) {
      const epsilons = [...new Set(runs.map(([epsilon]) => epsilon))].sort((one, other) => one - other);
      const means = epsilons.map((epsilon) => {
        const there = runs.filter((run) => run[0] === epsilon).map((run) => run[column]);
        return [x(epsilon), y(there.reduce((sum, value) => sum + value, 0) / there.length)];
      });
      curve.append(svg("polyline", { points: means.join(" "), fill: "none", stroke: colour, "stroke-width": 2.5 }));
      for (const run of runs) curve.append(svg("circle", { cx: x(run[0]), cy: y(run[column]), r: 2.5, fill: colour }));
      curve.append(
        svg("text", { x: column === 1 ? LEFT : LEFT + WIDTH, y: TOP + HEIGHT + 24, "text-anchor": column === 1 ? "start" : "end",
          style: `fill: ${colour}; font-weight: 600` }, `● ${what}`),
      );
    }
    curve.append(
      svg("text", { class: "faint", x: LEFT + WIDTH / 2, y: TOP + HEIGHT + 24, "text-anchor": "middle" }, words.dots),
      svg("line", { class: "marker", y1: TOP - 4, y2: TOP + HEIGHT, stroke: ORANGE, "stroke-width": 2 }),
    );
    curve.setAttribute("aria-label", words.curve);
  }
  const marker = curve.querySelector(".marker");
  for (const end of ["x1", "x2"]) marker.setAttribute(end, x(network.epsilon));
}

export default function ({ data, parentElement, setTriggerValue }) {
  const find = (selector) => parentElement.querySelector(selector);
  const [slider, beam, curve, next] = ["input", ".beam", ".curve", ".next"].map(find);
  const several = data.stops.length > 1;
  const told = JSON.stringify([data.first.id, data.stops.map((stop) => stop.id), data.chosen]);
  if (parentElement.told !== told) { // another pair, or another network chosen elsewhere: else what is shown stays
    parentElement.told = told;
    parentElement.at = data.stops.some((stop) => stop.id === parentElement.shown) ? parentElement.at : data.start;
    slider.max = String(data.stops.length - 1);
    slider.value = String(data.chosen);
    beam.replaceChildren();
    curve.replaceChildren();
  }
  find(".over").style.display = several ? "" : "none";
  for (const part of [".a", ".beam"]) find(part).style.display = data.alone ? "none" : ""; // nothing to compare
  next.textContent = data.words.next;

  const draw = () => {
    const network = data.stops[Number(slider.value)];
    parentElement.shown = network.id;
    say(find(".sentence"), network.sentence, data.words);
    drawNetwork(find(".a"), data.first, parentElement.at, data);
    drawNetwork(find(".b"), network, parentElement.at, data);
    drawBeam(beam, network, data.first, data.words);
    if (several) drawCurve(curve, data.curve, network, data.words);
    find(".slider span").textContent = data.words.slider;
    slider.setAttribute("aria-valuetext", network.sentence);
  };
  slider.oninput = draw;
  slider.onchange = () => {
    clearTimeout(parentElement.telling);
    parentElement.telling = setTimeout(() => setTriggerValue("chosen", parentElement.shown), AT_REST);
  };
  next.onclick = () => {
    parentElement.at = (parentElement.at + 1) % data.labels.length;
    draw();
  };
  draw();
}
