// Everybody's marks of one hand, counted. A code is level.hand.marks, the marks as bits in hexadecimal, as in the game's address.
const LEFT = 30, BOTTOM = 150, TOP = 24, WIDTH = 480, BLUE = "#0072B2", GREY = "#8a8a8a";

/** @param {string} name @param {Record<string, string | number>} attributes */
function svg(name, attributes, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.textContent = text;
  return made;
}

/** The marks of each line that has a code of this hand, the last of a name's, and the lines that have none. */
function read(text, hand, dealt) {
  const marks = new Map(), refused = [];
  text.split("\n").map((line) => line.trim()).filter(Boolean).forEach((line, at) => {
    const [, before, code, bits] = line.match(/^(.*?)(\d{1,3}\.\d{1,6})\.([0-9a-f]{1,6})$/i) ?? [];
    if (code !== hand || parseInt(bits, 16) >= 2 ** dealt) refused.push(line);
    else marks.set(before.trim().toLowerCase() || `line ${at}`, Array.from({ length: dealt }, (_, place) => (parseInt(bits, 16) >> place) & 1));
  });
  return { marks: [...marks.values()], refused };
}

const choose = (n, k) => { let ways = 1; for (let i = 0; i < k; i++) ways *= (n - i) / (i + 1); return ways; };

/** How probable each number of right images is for somebody who marks `marked` of them at random: hypergeometric. */
function byChance(marked, poisoned, dealt) {
  const shares = new Array(dealt + 1).fill(0);
  for (let found = Math.max(0, marked + poisoned - dealt); found <= Math.min(marked, poisoned); found++)
    shares[dealt - poisoned - marked + 2 * found] += (choose(poisoned, found) * choose(dealt - poisoned, marked - found)) / choose(dealt, marked);
  return shares;
}

const sum = (values) => values.reduce((one, other) => one + other, 0);

function draw(picture, people, expected, words) {
  const most = Math.max(...people, ...expected, 1), step = WIDTH / people.length;
  const high = (count) => ((BOTTOM - TOP) * count) / most;
  picture.replaceChildren(svg("path", { d: `M${LEFT} ${BOTTOM}h${WIDTH}`, stroke: "currentColor", opacity: 0.4 }));
  people.forEach((count, right) => {
    const x = LEFT + right * step;
    if (count) picture.append(svg("rect", { x: x + 2, y: BOTTOM - high(count), width: step - 4, height: high(count), fill: BLUE }));
    if (count) picture.append(svg("text", { x: x + step / 2, y: BOTTOM - high(count) - 3, "text-anchor": "middle" }, count));
    if (right % 4 === 0) picture.append(svg("text", { x: x + step / 2, y: BOTTOM + 16, "text-anchor": "middle" }, right));
  });
  const line = expected.map((count, right) => `${LEFT + (right + 0.5) * step},${BOTTOM - high(count)}`).join(" ");
  picture.append(svg("polyline", { points: line, fill: "none", stroke: GREY, "stroke-width": 2.5, "stroke-dasharray": "6 4" }),
    svg("text", { x: LEFT + WIDTH / 2, y: BOTTOM + 34, "text-anchor": "middle" }, words.right),
    svg("text", { x: LEFT, y: 12 }, `■ ${words.people}   ┄ ${words.chance}`));
}

export default function ({ data, parentElement }) {
  const find = (selector) => parentElement.querySelector(selector), field = find("textarea");
  const { truth, dealt, words, hand } = data, poisoned = sum(truth);
  find("label span").textContent = words.field;
  const kept = `classroom ${hand}`;
  if (!field.value) field.value = sessionStorage.getItem(kept) ?? data.mine;
  const count = () => {
    sessionStorage.setItem(kept, field.value);
    const { marks, refused } = read(field.value, hand, dealt);
    const rightOf = (one) => sum(truth.map((value, place) => Number(value === one[place])));
    const rights = marks.map(rightOf), people = new Array(dealt + 1).fill(0), expected = new Array(dealt + 1).fill(0);
    rights.forEach((right) => { people[right] += 1; });
    const chances = marks.map((one) => byChance(sum(one), poisoned, dealt));
    chances.forEach((shares) => shares.forEach((share, right) => { expected[right] += share; }));
    const means = chances.map((shares) => sum(shares.map((share, right) => share * right)));
    const vote = truth.map((_, place) => Number(2 * sum(marks.map((one) => one[place])) > marks.length));
    const better = rights.filter((right, at) => right > means[at]).length;
    find(".sentence").textContent = marks.length
      ? `${marks.length} ${marks.length === 1 ? "person is" : "people are"} right about ${(sum(rights) / marks.length).toFixed(1)} of ${dealt} on average; `
        + `chance is about ${(sum(means) / marks.length).toFixed(1)}. ${better} of ${marks.length} did better than chance. The ${words.vote} is right about ${rightOf(vote)}.`
      : "";
    find(".refused").textContent = refused.length ? `Not a code of this hand (${hand}.…): ${refused.slice(0, 3).join(", ")}` : "";
    find("svg").setAttribute("aria-label", find(".sentence").textContent);
    draw(find("svg"), people, expected, words);
  };
  field.oninput = count;
  count();
}
