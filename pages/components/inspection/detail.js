// One image in detail: large, with what the network looks at, its scores as percentiles, and its neighbours.

/** The boxes on a large picture: the patch that the network looks at most, and the sticker where the truth is revealed. */
function boxes(look, trigger, side, size) {
  const box = (kind, [row, column, height, width]) => {
    const made = make("span", { className: `box ${kind}` }), scale = size / side;
    made.style.cssText = `top:${row * scale}px;left:${column * scale}px;height:${height * scale}px;width:${width * scale}px`;
    return made;
  };
  return [...(look ? [box("patch", look.patch)] : []), ...(trigger ? [box("trigger", trigger)] : [])];
}

/** What the sticker test says. */
function test(look, data) {
  const percent = (share) => `${Math.round(100 * share)}%`;
  const reads = look.read === look.before ? `still ${data.classes[look.read]}` : `${data.classes[look.read]} instead of ${data.classes[look.before]}`;
  return `Sticker test: with the boxed ${look.patch[2]} x ${look.patch[3]} pixels covered it reads ${reads}; ` +
    `its label's share goes from ${percent(look.kept[0])} to ${percent(look.kept[1])}.`;
}

function losses(values) {
  const most = Math.max(...values, 1e-9), points = values.map((value, at) => `${(100 * at) / Math.max(1, values.length - 1)},${30 - (28 * value) / most}`);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), line = document.createElementNS(svg.namespaceURI, "polyline");
  for (const [name, value] of Object.entries({ viewBox: "0 0 100 30", preserveAspectRatio: "none", role: "img", class: "losses",
    "aria-label": `Loss by epoch, from ${shown(values[0])} to ${shown(values.at(-1))}` })) svg.setAttribute(name, value);
  line.setAttribute("points", points.join(" "));
  svg.append(line);
  return svg;
}

function drawDetail(grid) {
  const detail = grid.find(".detail"), place = grid.places[grid.at], wasHidden = detail.hidden, { data } = grid;
  detail.hidden = !grid.open || place === undefined;
  if (detail.hidden !== wasHidden) queueMicrotask(() => grid.draw()); // the grid's width is another
  const near = data.near?.of === place ? data.near : null;
  const tags = [...grid.tags].filter(([, those]) => those.has(place)).map(([name]) => name);
  const looks = `${place} ${grid.marks[place]} ${data.near?.of} ${data.key} ${data.scores.length} ${!!data.poisoned} ${tags}`;
  if (detail.hidden || grid.detailed === looks) return;
  grid.detailed = looks;
  const large = make("div", { className: "picture" }), truth = data.poisoned?.[place] === "1";
  large.setAttribute("role", "img");
  large.setAttribute("aria-label", grid.described(place, ""));
  large.append(...boxes(near?.look, truth ? data.trigger : null, data.pictures.side, 132));
  const rows = data.scores.map(({ title, values, rank }) =>
    make("tr", {}, make("td", { textContent: title }), make("td", { textContent: shown(values[place]) }),
      make("td", {}, make("div", { className: "rank" }, bar(rank[place]), `${rank[place]}%`))),
  );
  const about = make("div", {}, make("h4", { textContent: `Image ${data.index[place]}` }),
    make("p", { textContent: `label ${data.label}` }), make("p", { textContent: `read ${data.classes[data.predicted[place]]}` }),
    make("p", { textContent: LETTERS[grid.marks[place]] ?? "not marked" }), ...(tags.length ? [make("p", { textContent: tags.join(", ") })] : []),
    ...(truth && data.trigger ? [make("p", { className: "of-trigger", textContent: "the sticker is boxed" })] : []));
  const body = [make("div", { className: "top" }, cutOut(large, data.pictures, place, 132), about)];
  if (near) {
    const saliency = make("img", { className: "saliency", src: near.look.saliency, width: 88, height: 88,
      alt: "What speaks for the label, pixel by pixel: bright is much" });
    body.push(make("div", { className: "top" }, saliency, make("p", { className: "test", textContent: test(near.look, data) })));
    if (near.losses) body.push(make("p", { textContent: "Loss by epoch" }), losses(near.losses));
  }
  body.push(make("table", {}, make("caption", { textContent: "Scores, and how many are no more suspicious" }), ...rows));
  body.push(make("p", { textContent: near ? "Nearest among the features" : "Looking for the nearest…" }));
  if (near) body.push(make("div", { className: "near" }, ...near.places.map((one) => {
    const button = make("button", { type: "button", title: grid.described(one, "") });
    button.setAttribute("aria-label", grid.described(one, ""));
    button.append(cutOut(make("div", { className: "picture" }), data.pictures, one, 44));
    button.onclick = () => grid.goTo(one);
    return button;
  })));
  detail.replaceChildren(...body);
  if (!near && grid.nearOf !== place) {
    grid.nearOf = place;
    clearTimeout(grid.asking);
    grid.asking = setTimeout(() => grid.send("near", place), 150);
  }
}
