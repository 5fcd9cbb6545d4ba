// A network in a worker of its own, behind network.js: it is given its file once, and then answers about images.
let network = null;
let before = { image: new Float64Array(0), passed: null }; // the clean image changes seldom

/** @param {Float64Array} image */
function passedClean(image) {
  if (!before.passed || image.some((value, i) => value !== before.image[i])) before = { image, passed: forward(network, image) };
  return before.passed;
}

/** What the network reads in an image: clean, with the triggers on, and after its own attack on that. */
function answer({ clean, stamped, truth, attack, atRandom }) {
  const label = largest(passedClean(clean).logits), aimed = truth ?? label;
  const start = atRandom ? randomStart(stamped, attack.epsilon) : stamped;
  const image = attack.epsilon > 0 ? perturb(network, stamped, aimed, attack, start) : stamped;
  const passed = forward(network, image), read = largest(passed.logits);
  return {
    image,
    clean: label,
    stamped: image === stamped ? read : largest(forward(network, stamped).logits),
    shares: softmax(passed.logits),
    gradient: inputGradient(network, passed, read),
  };
}

self.onmessage = ({ data }) => {
  if (data.file) [network, before] = [buildNetwork(data.file, data.chain), { image: new Float64Array(0), passed: null }];
  else self.postMessage({ turn: data.turn, ...answer(data) });
};
