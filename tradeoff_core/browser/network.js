// The digits' networks in a browser: logits, input gradients, attacks and triggers, as tradeoff_core has them in Python.
// Plain functions, to run in a page, in a worker or in a file that stands alone. Numbers are computed in double precision:
// that is how JavaScript computes, and the weights' float16 fit exactly.

/**
 * @typedef {{stride: number, padding: number, pool: boolean, relu: boolean, weight: string, bias: string}} Stage
 *   what Python's `chain` tells of a convolution or a linear layer
 * @typedef {{shape: number[], values: Float32Array}} Stored
 * @typedef {object} Layer
 * @property {boolean} convolves
 * @property {boolean} pool   maxima of 2 x 2 follow
 * @property {boolean} relu   and then a ReLU
 * @property {boolean} masked its input comes out of a ReLU: where that is 0, no gradient is asked for
 * @property {number} kernel
 * @property {number} stride
 * @property {number} padding
 * @property {number[]} from  (height, width, channels) that come in; images are stored (H, W, C)
 * @property {number[]} to    (height, width, channels) that go out of it, before the pooling
 * @property {Float64Array | Float32Array} weight [in, out] of a linear layer, [block, row, column, in, out] of a convolution
 * @property {Float64Array | Float32Array} back   a convolution's weights as [out, row, column, in]
 * @property {Float64Array} bias
 * @typedef {{layers: Layer[], classes: number}} Network
 * @typedef {{inputs: Float64Array[], winners: (Int32Array | null)[], outputs: Float64Array[], logits: Float64Array}} Passed
 * @typedef {{epsilon: number, step: number, steps: number, target: number | null}} Attack
 * @typedef {{height: number, width: number, grey: Float64Array, opacity: Float64Array}} Picture
 */

/** The number that a float16's bits mean. @param {number} bits */
function fromHalf(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 0) return sign * 2 ** -14 * (fraction / 1024);
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * 2 ** (exponent - 15) * (1 + fraction / 1024);
}

/** The tensors of a safetensors file, float16 or float32. @param {ArrayBuffer} file @returns {Map<string, Stored>} */
function readSafetensors(file) {
  const length = Number(new DataView(file).getBigUint64(0, true)), start = 8 + length;
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(file, 8, length)));
  const halves = new Float32Array(65536).map((_, bits) => fromHalf(bits)); // every one there is
  const stored = new Map();
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const bytes = file.slice(start + entry.data_offsets[0], start + entry.data_offsets[1]);
    if (!["F16", "F32"].includes(entry.dtype)) throw new Error(`${name} is stored as ${entry.dtype}`);
    let values = new Float32Array(bytes, 0, entry.dtype === "F32" ? bytes.byteLength / 4 : 0);
    if (entry.dtype === "F16") {
      const halved = new Uint16Array(bytes);
      values = new Float32Array(halved.length);
      for (let i = 0; i < halved.length; i++) values[i] = halves[halved[i]];
    }
    stored.set(name, { shape: entry.shape, values });
  }
  return stored;
}

const BLOCK = 8; // outputs of a convolution that are summed at once: as many as fit into registers

/** Torch's (out, in, row, column) in the orders that a convolution and its gradient read. */
function arrangeConvolution({ shape: [out, channels, kernel], values }) {
  const area = kernel * kernel, blocks = Math.ceil(out / BLOCK);
  const weight = new Float64Array(blocks * area * channels * BLOCK), back = new Float64Array(values.length);
  for (let o = 0, at = 0; o < out; o++)
    for (let c = 0; c < channels; c++)
      for (let place = 0; place < area; place++, at++) {
        const block = Math.floor(o / BLOCK) * area + place;
        weight[(block * channels + c) * BLOCK + (o % BLOCK)] = values[at];
        back[(o * area + place) * channels + c] = values[at];
      }
  return { weight, back };
}

/** Torch's (out, C H W) as [in, out], its inputs in the order (H, W, C) that is used here. */
function arrangeLinear({ shape: [out, size], values }, [height, width, channels]) {
  const weight = new Float32Array(values.length), area = height * width; // half as much to read as in double precision
  for (let place = 0, at = 0; place < area; place++)
    for (let c = 0; c < channels; c++)
      for (let o = 0; o < out; o++, at++) weight[at] = values[o * size + c * area + place];
  return { weight, back: weight };
}

/**
 * The network of a safetensors file. @param {ArrayBuffer} file @param {Stage[]} chain
 * @param {number[]} shape (height, width, channels) of its images @returns {Network}
 */
function buildNetwork(file, chain, shape = [28, 28, 1]) {
  const stored = readSafetensors(file), layers = [];
  let from = shape, masked = false;
  for (const { stride, padding, pool, relu, weight, bias } of chain) {
    const given = stored.get(weight), convolves = given.shape.length === 4, kernel = convolves ? given.shape[2] : 0;
    const side = (length) => Math.floor((length + 2 * padding - kernel) / stride) + 1;
    const to = convolves ? [side(from[0]), side(from[1]), given.shape[0]] : [1, 1, given.shape[0]];
    layers.push({
      convolves, pool, relu, masked, kernel, stride, padding, from, to,
      ...(convolves ? arrangeConvolution(given) : arrangeLinear(given, from)),
      bias: stored.get(bias).values,
    });
    from = pool ? [to[0] >> 1, to[1] >> 1, to[2]] : to;
    masked = relu;
  }
  return { layers, classes: from[2] };
}

/** The image with a border of zeros. */
function padded(input, [height, width, channels], padding) {
  const wide = width + 2 * padding, output = new Float64Array((height + 2 * padding) * wide * channels);
  for (let y = 0; y < height; y++) {
    const row = input.subarray(y * width * channels, (y + 1) * width * channels);
    output.set(row, ((y + padding) * wide + padding) * channels);
  }
  return output;
}

/** A convolution, BLOCK outputs at a time; inputs of 0, of which there are many, are passed over. @param {Layer} layer */
function convolve({ kernel, stride, padding, from, to: [rows, columns, out], weight, bias }, input) {
  const output = new Float64Array(rows * columns * out), around = padded(input, from, padding);
  const channels = from[2], line = (from[1] + 2 * padding) * channels, run = kernel * channels;
  const sums = new Float64Array(BLOCK);
  for (let first = 0; first < out; first += BLOCK) {
    const count = Math.min(BLOCK, out - first), block = first * kernel * run;
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++) {
        let a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0, w = block;
        for (let ky = 0; ky < kernel; ky++) {
          let i = (row * stride + ky) * line + column * stride * channels;
          for (const end = i + run; i < end; i++, w += BLOCK) {
            const value = around[i];
            if (value === 0) continue;
            a += value * weight[w]; b += value * weight[w + 1]; c += value * weight[w + 2]; d += value * weight[w + 3];
            e += value * weight[w + 4]; f += value * weight[w + 5]; g += value * weight[w + 6]; h += value * weight[w + 7];
          }
        }
        sums[0] = a; sums[1] = b; sums[2] = c; sums[3] = d; sums[4] = e; sums[5] = f; sums[6] = g; sums[7] = h;
        const at = (row * columns + column) * out + first;
        for (let o = 0; o < count; o++) output[at + o] = sums[o] + bias[first + o];
      }
  }
  return output;
}

/** Its gradient: every output that has one gives it back to the inputs that it came from. @param {Layer} layer */
function convolveBack({ kernel, stride, padding, from: [height, width, channels], to, back }, gradient) {
  const [rows, columns, out] = to, given = new Float64Array(height * width * channels);
  for (let row = 0, i = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      for (let o = 0; o < out; o++, i++) {
        const value = gradient[i];
        if (value === 0) continue;
        for (let ky = 0; ky < kernel; ky++) {
          const y = row * stride - padding + ky;
          if (y < 0 || y >= height) continue;
          const first = Math.max(0, padding - column * stride);
          const past = Math.min(kernel, width + padding - column * stride);
          let w = ((o * kernel + ky) * kernel + first) * channels;
          let at = (y * width + column * stride - padding + first) * channels;
          for (const end = at + (past - first) * channels; at < end; at++, w++) given[at] += value * back[w];
        }
      }
  return given;
}

/** Where the values are not 0. */
function placesOf(values) {
  const places = new Int32Array(values.length);
  let count = 0;
  for (let i = 0; i < values.length; i++) if (values[i] !== 0) places[count++] = i;
  return places.subarray(0, count);
}

/** A linear layer, four inputs at a time, to which inputs of 0 add nothing. @param {Layer} layer */
function multiply({ to: [, , out], weight, bias }, input) {
  const output = Float64Array.from(bias), places = placesOf(input), fours = places.length & ~3;
  for (let j = 0; j < fours; j += 4) {
    const p = places[j], q = places[j + 1], r = places[j + 2], s = places[j + 3];
    const a = input[p], b = input[q], c = input[r], d = input[s];
    for (let o = 0, at = p * out, bt = q * out, ct = r * out, dt = s * out; o < out; o++)
      output[o] += a * weight[at + o] + b * weight[bt + o] + c * weight[ct + o] + d * weight[dt + o];
  }
  for (const p of places.subarray(fours)) // those that are left
    for (let o = 0; o < out; o++) output[o] += input[p] * weight[p * out + o];
  return output;
}

/** Its gradient, where it is asked for. @param {Layer} layer */
function multiplyBack({ to: [, , out], weight, masked }, gradient, input) {
  const places = placesOf(gradient), given = new Float64Array(input.length);
  for (let i = 0; i < input.length; i++) {
    if (masked && input[i] === 0) continue;
    let sum = 0;
    for (let j = 0, row = i * out; j < places.length; j++) sum += gradient[places[j]] * weight[row + places[j]];
    given[i] = sum;
  }
  return given;
}

/** The maxima of 2 x 2, and where each was: the first of equals, as torch has it. @param {Layer} layer */
function pooled({ to: [rows, columns, channels] }, values) {
  const high = rows >> 1, wide = columns >> 1;
  const output = new Float64Array(high * wide * channels), winners = new Int32Array(output.length);
  for (let y = 0, i = 0; y < high; y++)
    for (let x = 0; x < wide; x++)
      for (let c = 0; c < channels; c++, i++) {
        const corner = (2 * y * columns + 2 * x) * channels + c;
        let best = corner;
        const right = corner + channels, below = corner + columns * channels, across = below + channels;
        if (values[right] > values[best]) best = right;
        if (values[below] > values[best]) best = below;
        if (values[across] > values[best]) best = across;
        output[i] = values[best];
        winners[i] = best;
      }
  return { output, winners };
}

/** What a network makes of an image (H, W, C), layer by layer. @param {Network} network @returns {Passed} */
function forward(network, image) {
  const inputs = [], winners = [], outputs = [];
  let values = image;
  for (const layer of network.layers) {
    inputs.push(values);
    values = layer.convolves ? convolve(layer, values) : multiply(layer, values);
    const after = layer.pool ? pooled(layer, values) : { output: values, winners: null };
    if (layer.relu) for (let i = 0; i < after.output.length; i++) if (after.output[i] < 0) after.output[i] = 0;
    values = after.output;
    winners.push(after.winners);
    outputs.push(values);
  }
  return { inputs, winners, outputs, logits: values };
}

/** The gradient of `weights` · logits with respect to the image. @param {Network} network @param {Passed} passed */
function backward(network, passed, weights) {
  let gradient = weights;
  for (let at = network.layers.length - 1; at >= 0; at--) {
    const layer = network.layers[at], output = passed.outputs[at], winners = passed.winners[at];
    const spread = new Float64Array(layer.to[0] * layer.to[1] * layer.to[2]);
    for (let i = 0; i < output.length; i++)
      if (!layer.relu || output[i] > 0) spread[winners ? winners[i] : i] = gradient[i];
    gradient = layer.convolves ? convolveBack(layer, spread) : multiplyBack(layer, spread, passed.inputs[at]);
  }
  return gradient;
}

/** Shares of certainty that sum to 1. @param {Float64Array} logits */
function softmax(logits) {
  const most = Math.max(...logits), powers = logits.map((logit) => Math.exp(logit - most));
  const sum = powers.reduce((one, other) => one + other);
  return powers.map((power) => power / sum);
}

/** @param {Float64Array} values */
const largest = (values) => values.indexOf(Math.max(...values));

/** The gradient of the logit of a class: what brightens a pixel does for it. @param {Network} network */
function inputGradient(network, passed, label) {
  return backward(network, passed, new Float64Array(network.classes).fill(1, label, label + 1));
}

/**
 * Logits of which the cross-entropy is steep, as attacks/gradient.py has them: those that lie too far apart or too near are
 * divided so that the label leads by 10, or that they lie 10 apart; others are left alone.
 * @param {Float64Array} logits
 */
function steep(logits, label) {
  const lead = logits[label] - Math.max(...logits.filter((_, at) => at !== label));
  const apart = Math.max(...logits) - Math.min(...logits);
  const divisor = lead > 30 ? lead / 10 : apart > 0 && apart < 1 ? apart / 10 : 1;
  return logits.map((logit) => logit / divisor);
}

/** The gradient of the cross-entropy with a class, or what points the same way. @param {Network} network */
function lossGradient(network, image, label) {
  const passed = forward(network, image), weights = softmax(steep(passed.logits, label));
  weights[label] = 0;
  weights[label] = -weights.reduce((one, other) => one + other); // exact also where the network is certain
  return backward(network, passed, weights);
}

/**
 * PGD in l-inf from a given start; FGSM is one step of ε from the image itself (Goodfellow et al. 2015, Madry et al. 2018).
 * @param {Network} network @param {Float64Array} image @param {number} label @param {Attack} attack
 * @param {Float64Array} start
 */
function perturb(network, image, label, { epsilon, step, steps, target }, start = image) {
  let current = start;
  const length = target === null ? step : -step; // up the loss of the label, or down that of the target
  for (let taken = 0; taken < steps; taken++) {
    const gradient = lossGradient(network, current, target ?? label);
    current = current.map((value, i) => {
      const moved = value + length * Math.sign(gradient[i]);
      return clamp(Math.min(Math.max(moved, image[i] - epsilon), image[i] + epsilon));
    });
  }
  return current;
}

/** @param {number} value */
const clamp = (value) => Math.min(Math.max(value, 0), 1);

/** The image moved to a point of the ε ball that is always the same (mulberry32), so that a picture at rest stays at rest. */
function randomStart(image, epsilon, seed = 0) {
  let state = seed;
  return image.map((value) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return clamp(value + epsilon * (((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1));
  });
}

/** A sticker's picture from its stored pixels, RGBA. @param {Uint8Array} rgba */
function pictureOf(rgba, height, width) {
  const grey = new Float64Array(height * width), opacity = new Float64Array(height * width);
  for (let i = 0; i < grey.length; i++) {
    grey[i] = (0.299 * rgba[4 * i] + 0.587 * rgba[4 * i + 1] + 0.114 * rgba[4 * i + 2]) / 255; // ITU-R BT.601
    opacity[i] = rgba[4 * i + 3] / 255;
  }
  return { height, width, grey, opacity };
}

/** A copy of a grey image with a sticker on it. @param {Picture} picture */
function stamp(image, picture, row, column, opacity, side = 28) {
  const stamped = image.slice();
  for (let y = 0, i = 0; y < picture.height; y++)
    for (let x = 0; x < picture.width; x++, i++) {
      const at = (row + y) * side + column + x;
      stamped[at] += (picture.grey[i] - stamped[at]) * picture.opacity[i] * opacity;
    }
  return stamped;
}

/** A copy of a grey image with a watermark's pattern over it. */
function mark(image, pattern, amplitude) {
  return image.map((value, i) => clamp(value + amplitude * pattern[i]));
}
