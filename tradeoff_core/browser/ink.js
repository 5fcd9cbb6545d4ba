// What is drawn by hand: strokes in the image's own coordinates, 28 x 28, centred as MNIST's digits are.

/** @typedef {{erases: boolean, width: number, points: number[][]}} Stroke */
const SIDE = 28, BOX = 20, FINE = 4; // a digit fills a box of 20; strokes are drawn four times as fine
const MIDDLE = SIDE / 2 + 0.5; // where MNIST has a digit's centre of mass, across and down: in the middle of pixel 14
const PEN = 2.4, RUBBER = 4, MOST_ENLARGED = 3;

/** Strokes over a digit (or none), as grey values in [0, 1]. @param {Float64Array | null} digit @param {Stroke[]} strokes */
function drawnInk(digit, strokes) {
  if (!strokes.length) return digit ?? new Float64Array(SIDE * SIDE);
  const canvas = new OffscreenCanvas(SIDE * FINE, SIDE * FINE), pen = canvas.getContext("2d", { willReadFrequently: true });
  if (digit) {
    pen.imageSmoothingEnabled = false;
    pen.drawImage(canvasOf((data) => digit.forEach((value, i) => data.set([255, 255, 255, 255 * value], 4 * i))), 0, 0, SIDE * FINE, SIDE * FINE);
  }
  pen.scale(FINE, FINE);
  pen.lineCap = pen.lineJoin = "round";
  pen.strokeStyle = "white";
  for (const { erases, width, points } of strokes) {
    pen.globalCompositeOperation = erases ? "destination-out" : "source-over";
    pen.lineWidth = width;
    pen.beginPath();
    pen.moveTo(...points[0]);
    for (const point of points) pen.lineTo(...point);
    pen.stroke();
  }
  const fine = pen.getImageData(0, 0, SIDE * FINE, SIDE * FINE).data, values = new Float64Array(SIDE * SIDE);
  for (let y = 0, i = 3; y < SIDE * FINE; y++)
    for (let x = 0; x < SIDE * FINE; x++, i += 4)
      values[Math.floor(y / FINE) * SIDE + Math.floor(x / FINE)] += fine[i] / 255 / FINE ** 2;
  return values;
}

/** The strokes moved to where MNIST has its digits: the longer side fills the box, the centre of mass is in its place. */
function centred(strokes) {
  const ink = drawnInk(null, strokes), there = [...ink.keys()].filter((i) => ink[i] > 0.2);
  if (!there.length) return [];
  const rows = there.map((i) => Math.floor(i / SIDE)), columns = there.map((i) => i % SIDE);
  const long = Math.max(...[rows, columns].map((places) => Math.max(...places) - Math.min(...places) + 1));
  const scale = Math.min(MOST_ENLARGED, (BOX - PEN) / Math.max(1, long - PEN));
  const middle = (ink) => {
    let sum = 0, x = 0, y = 0;
    ink.forEach((value, i) => {
      sum += value;
      x += value * ((i % SIDE) + 0.5);
      y += value * (Math.floor(i / SIDE) + 0.5);
    });
    return [x / sum, y / sum];
  };
  const moved = (strokes, scale, [x, y]) => strokes.map(({ erases, width, points }) => ({
    erases,
    width: erases ? PEN + (width - PEN) * scale : PEN, // what the rubber covers there it covers here
    points: points.map(([across, down]) => [MIDDLE + scale * (across - x), MIDDLE + scale * (down - y)]),
  }));
  const sized = moved(strokes, scale, middle(ink));
  return moved(sized, 1, middle(drawnInk(null, sized))); // the pen is as wide as before, so the middle is another
}

/** A canvas of the image's size; `paint` sets its RGBA bytes. @param {(data: Uint8ClampedArray) => void} paint */
function canvasOf(paint, canvas = new OffscreenCanvas(SIDE, SIDE)) {
  const context = canvas.getContext("2d"), image = context.createImageData(SIDE, SIDE);
  paint(image.data);
  context.putImageData(image, 0, 0);
  return canvas;
}

/** Paint grey values in [0, 1]. @param {Float64Array} values */
const greys = (values) => (data) => values.forEach((value, i) => data.set([255 * value, 255 * value, 255 * value, 255], 4 * i));

const ORANGE = [213, 94, 0], BLUE = [0, 114, 178], WHITE = 255;

/** Paint signed values: orange above 0, blue below, white at 0. @param {Float64Array} values */
const signs = (values) => (data) => {
  const most = values.reduce((one, other) => Math.max(one, Math.abs(other)), 1e-30);
  values.forEach((value, i) => {
    const share = Math.abs(value) / most, colour = value > 0 ? ORANGE : BLUE;
    data.set([...colour.map((part) => WHITE + share * (part - WHITE)), 255], 4 * i);
  });
};
