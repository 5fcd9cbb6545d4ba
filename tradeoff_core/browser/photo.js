// A photograph of a digit on paper, as MNIST has its digits: bright on black, its longer side 20 of 28 pixels, its centre of
// mass in the middle. It runs behind ink.js.
const LONGEST = 240, TILES = 8; // pixels that are looked at along the longer side; places where the paper's brightness is measured
const FAINTEST = 0.12, SMALLEST = 24, SPECK = 0.05; // contrast, pixels of the longer side, share of the largest part

/** The value below which a share of the values lies. */
const quantile = (values, share) => Float64Array.from(values).sort()[Math.floor(share * (values.length - 1))];

/** How bright a picture's pixels are, in [0, 1]. @param {ImageBitmap} picture */
function greyOf(picture) {
  const scale = LONGEST / Math.max(picture.width, picture.height);
  const [width, height] = [picture.width, picture.height].map((side) => Math.max(1, Math.round(scale * side)));
  const pen = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  pen.imageSmoothingQuality = "high";
  pen.fillStyle = "white";
  pen.fillRect(0, 0, width, height);
  pen.drawImage(picture, 0, 0, width, height);
  const { data } = pen.getImageData(0, 0, width, height), grey = new Float64Array(width * height);
  for (let i = 0; i < grey.length; i++) grey[i] = (0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2]) / 255;
  return { grey, width, height };
}

/** How much darker than the paper around it each pixel is; of chalk on a board, how much brighter. Shadows are paper too. */
function inkOf({ grey, width, height }) {
  const border = [...grey.keys()].filter((i) => i % width === 0 || i % width === width - 1 || i < width || i >= grey.length - width);
  const chalk = quantile(border.map((i) => grey[i]), 0.5) < (quantile(grey, 0.01) + quantile(grey, 0.99)) / 2;
  const shown = chalk ? grey.map((value) => 1 - value) : grey;
  const [wide, high] = [width, height].map((side) => Math.ceil(side / TILES)), paper = [];
  for (let y = 0; y < TILES; y++)
    for (let x = 0; x < TILES; x++) {
      const tile = [];
      for (let down = y * high; down < Math.min(height, (y + 1) * high); down++)
        for (let across = x * wide; across < Math.min(width, (x + 1) * wide); across++) tile.push(shown[down * width + across]);
      paper.push(tile.length ? quantile(tile, 0.85) : paper.at(-1));
    }
  const between = (at, size) => {
    const place = Math.min(Math.max((at + 0.5) / size - 0.5, 0), TILES - 1), low = Math.min(Math.floor(place), TILES - 2);
    return [low, place - low];
  };
  return shown.map((value, i) => {
    const [x, right] = between(i % width, wide), [y, down] = between(Math.floor(i / width), high), at = y * TILES + x;
    const above = paper[at] * (1 - right) + paper[at + 1] * right, below = paper[at + TILES] * (1 - right) + paper[at + TILES + 1] * right;
    return Math.max(0, above * (1 - down) + below * down - value);
  });
}

/** Otsu's threshold: it parts the values into two groups that differ most. @param {Float64Array} values in [0, 1] */
function otsu(values) {
  const counts = new Float64Array(256);
  for (const value of values) counts[Math.min(255, Math.floor(256 * value))] += 1;
  const sum = counts.reduce((all, count, level) => all + count * level, 0);
  let best = 0, threshold = 0, below = 0, under = 0;
  counts.forEach((count, level) => {
    below += count;
    under += count * level;
    const above = values.length - below;
    if (!below || !above) return;
    const apart = below * above * (under / below - (sum - under) / above) ** 2;
    if (apart > best) [best, threshold] = [apart, (level + 1) / 256];
  });
  return threshold;
}

/** The connected parts of what is inked, as lists of places, without specks and what comes in from outside. */
function partsOf(inked, width) {
  const seen = new Uint8Array(inked.length), parts = [], height = inked.length / width;
  for (let first = 0; first < inked.length; first++) {
    if (!inked[first] || seen[first]) continue;
    const part = [first];
    seen[first] = 1;
    for (let next = 0; next < part.length; next++) {
      const x = part[next] % width, y = Math.floor(part[next] / width);
      for (let down = Math.max(0, y - 1); down <= Math.min(height - 1, y + 1); down++)
        for (let across = Math.max(0, x - 1); across <= Math.min(width - 1, x + 1); across++) {
          const at = down * width + across;
          if (inked[at] && !seen[at]) seen[at] = part.push(at) && 1;
        }
    }
    parts.push(part);
  }
  const inside = parts.filter((part) => part.every((at) => at % width && at % width < width - 1 && at >= width && at < inked.length - width));
  const kept = inside.length ? inside : parts, most = Math.max(0, ...kept.map((part) => part.length));
  return kept.filter((part) => part.length > SPECK * most);
}

/** Where ink is, with thin strokes as wide as MNIST's pen. @returns {Set<number>} */
function thickened(places, width, scale) {
  const edge = [...places].filter((at) => [-1, 1, -width, width].some((step) => !places.has(at + step)));
  const grow = Math.min((PEN / scale - (2 * places.size) / edge.length) / 2, 4 / scale), radius = Math.floor(grow); // a stroke's width: its area by half its outline
  const wider = new Set(places);
  if (radius < 1) return wider;
  for (const at of edge)
    for (let y = -radius; y <= radius; y++)
      for (let x = -radius; x <= radius; x++) if (x * x + y * y <= grow * grow) wider.add(at + y * width + x);
  return wider;
}

/** The digit in a photograph as grey values in [0, 1], null where there is none. @param {Blob} file @returns {Promise<Float64Array | null>} */
async function digitIn(file) {
  const seen = greyOf(await createImageBitmap(file)), { width } = seen, ink = inkOf(seen), threshold = otsu(ink);
  const places = new Set(partsOf(ink.map((value) => Number(value > threshold)), width).flat());
  if (!places.size) return null;
  const strong = quantile([...places].map((at) => ink[at]), 0.5);
  const sides = [(at) => at % width, (at) => Math.floor(at / width)].map((of) => [...places].map(of));
  const long = Math.max(...sides.map((side) => side.reduce((one, other) => Math.max(one, other)) - side.reduce((one, other) => Math.min(one, other)) + 1));
  if (strong < FAINTEST || long < SMALLEST) return null;
  const scale = BOX / long, grown = thickened(places, width, scale);
  let [sum, x, y] = [0, 0, 0];
  const values = new Map([...grown].map((at) => [at, places.has(at) ? Math.min(1, ink[at] / strong) : 1]));
  for (const [at, value] of values) {
    sum += value;
    x += value * (at % width);
    y += value * Math.floor(at / width);
  }
  const image = new Float64Array(SIDE * SIDE);
  for (const [at, value] of values) { // each of its pixels falls on up to four of the image's
    const across = MIDDLE - 0.5 + scale * ((at % width) - x / sum), down = MIDDLE - 0.5 + scale * (Math.floor(at / width) - y / sum);
    const [left, top] = [Math.floor(across), Math.floor(down)];
    for (const [column, row, share] of [[left, top, (1 - across + left) * (1 - down + top)], [left + 1, top, (across - left) * (1 - down + top)],
      [left, top + 1, (1 - across + left) * (down - top)], [left + 1, top + 1, (across - left) * (down - top)]])
      if (column >= 0 && column < SIDE && row >= 0 && row < SIDE) image[row * SIDE + column] += value * share * scale * scale;
  }
  return image.map((value) => Math.min(1, value));
}
