// What is wrong with how a page looks: [figure, what, texts] a finding. Texts are told apart as they lie, turned or not.
() => {
  const corners = (text) => {
    const { x, y, width, height } = text.getBBox(), { a, b, c, d, e, f } = text.getScreenCTM();
    return [[x, y], [x + width, y], [x + width, y + height], [x, y + height]].map(([u, v]) => [a * u + c * v + e, b * u + d * v + f]);
  };
  const apart = (one, other) => [one, other].some((box) => [[0, 1], [1, 2]].some(([from, to]) => { // by a line along a side
    const side = [box[to][0] - box[from][0], box[to][1] - box[from][1]], length = Math.hypot(...side) || 1;
    const [p, q] = [one, other].map((all) => all.map((at) => (at[0] * side[0] + at[1] * side[1]) / length));
    return Math.min(Math.max(...p), Math.max(...q)) - Math.max(Math.min(...p), Math.min(...q)) < 2;
  }));
  const found = [];
  for (const plot of document.querySelectorAll(".js-plotly-plot")) {
    const name = plot.closest("[class*='st-key-']")?.className.match(/st-key-(\S+)/)?.[1];
    const all = plot.getBoundingClientRect();
    if (Math.min(all.width, all.height) < 120) found.push([name, "is tiny", all.width, all.height]);
    const legend = plot.querySelector(".legend")?.getBoundingClientRect(), drawn = plot.querySelector(".nsewdrag")?.getBoundingClientRect();
    if (plot.querySelector(".legend .scrollbar")?.getBBox().height) found.push([name, "its legend scrolls"]);
    if (legend && drawn && legend.bottom > drawn.top + 1) found.push([name, "its legend lies over it", legend.bottom - drawn.top]);
    const texts = [...plot.querySelectorAll(".main-svg text")].filter((text) => text.textContent.trim() && text.getBBox().width
      && !text.closest(".hoverlayer") && text.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }));
    const boxes = texts.map(corners);
    boxes.forEach((box, at) => {
      const inside = box.every(([x, y]) => x > all.left - 1 && x < all.right + 1 && y > all.top - 1 && y < all.bottom + 1);
      if (!inside) found.push([name, "is cut", texts[at].textContent]);
      for (let other = at + 1; other < boxes.length; other++)
        if (!apart(box, boxes[other])) found.push([name, "overlap", texts[at].textContent, texts[other].textContent]);
    });
  }
  const main = document.querySelector("[data-testid='stMain']");
  for (const dialog of document.querySelectorAll("[role='dialog']"))
    if (dialog.scrollWidth > dialog.clientWidth) found.push(["dialog", "is wider than its place", dialog.scrollWidth, dialog.clientWidth]);
  if (main.scrollWidth > main.clientWidth) found.push(["page", "is wider than the window", main.scrollWidth, main.clientWidth]);
  for (const one of main.querySelectorAll("[data-testid='stPlotlyChart'], img"))
    if (one.checkVisibility() && !(one.ariaLabel || one.alt)) found.push([one.tagName, "has no name", one.src ?? ""]);
  const named = [...main.querySelectorAll("input[type='checkbox'], input[type='range'], .stDownloadButton button, .stButton button")]
    .filter((one) => one.checkVisibility()).map((one) => one.ariaLabel || one.labels?.[0]?.innerText || one.innerText);
  for (const name of new Set(named.filter((name, at) => named.indexOf(name) < at))) found.push(["controls", "are called alike", name]);
  const levels = [];
  const read = (root) => { // shadow roots too
    for (const one of root.querySelectorAll("*")) {
      if (/^H[1-6]$/.test(one.tagName) && one.checkVisibility()) levels.push(Number(one.tagName[1]));
      if (one.shadowRoot) read(one.shadowRoot);
    }
  };
  read(main);
  if (levels.some((level, at) => level > (levels[at - 1] ?? 0) + 1)) found.push(["headings", "jump", levels.join(" ")]);
  return found;
}
