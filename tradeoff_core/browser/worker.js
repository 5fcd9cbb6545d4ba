// A network in a worker of its own, behind network.js: it is given its file once, and then answers about images.
let network = null;
let before = { image: new Float64Array(0), passed: null }; // the clean image changes seldom

/** @param {Float64Array} image */
function passedClean(image) {
  if (!before.passed || image.some((value, i) => value !== before.image[i])) before = { image, passed: forward(network, image) };
  return before.passed;
}

/** What the network reads in an image: clean, with the triggers on, after its own attack on that, and after one without them where that tells the cause. */
function answer({ clean, stamped, truth, attack, atRandom, triggered }) {
  const label = largest(passedClean(clean).logits);
  const attacked = (image) => perturb(network, image, truth ?? label, attack, atRandom ? randomStart(image, attack.epsilon) : image);
  const readIn = (image) => largest(forward(network, image).logits);
  const image = attack.epsilon > 0 ? attacked(stamped) : stamped;
  const passed = forward(network, image), read = largest(passed.logits);
  const unattacked = image === stamped ? read : readIn(stamped);
  return {
    image,
    clean: label,
    stamped: unattacked,
    attacked: triggered && read !== label && read !== unattacked ? readIn(attacked(clean)) : null,
    shares: softmax(passed.logits),
    gradient: inputGradient(network, passed, read),
  };
}

self.onmessage = ({ data }) => {
  if (data.file) [network, before] = [buildNetwork(data.file, data.chain), { image: new Float64Array(0), passed: null }];
  else self.postMessage({ turn: data.turn, ...answer(data) });
};
