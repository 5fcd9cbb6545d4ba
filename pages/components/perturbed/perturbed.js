// Draws what perturbed sends: rows of pictures that follow the slider here; the server hears where it comes to rest.
const AT_REST = 400; // milliseconds

/** A picture and what is said below it. */
function pictureOf() {
  const figure = document.createElement("figure");
  figure.append(new Image(), document.createElement("figcaption"));
  return figure;
}

export default function ({ data, parentElement, setStateValue }) {
  const find = (selector) => parentElement.querySelector(selector);
  const slider = find("input"), rows = find(".rows");
  find("label span").textContent = data.label;
  slider.max = String(data.epsilons.length - 1);
  slider.disabled = data.sentences.length < data.epsilons.length; // the other pictures are still computed
  if (parentElement.told !== data.at) slider.value = String(data.at); // as by the address; else what is shown stays
  parentElement.told = data.at;
  rows.style.setProperty("--least", `${data.least}px`);
  rows.style.setProperty("--most", `${data.most}px`);
  rows.replaceChildren(
    ...data.rows.flatMap((row) => {
      const title = document.createElement("h2"), pictures = document.createElement("div");
      title.textContent = row.title;
      pictures.className = "row";
      pictures.append(...row.pictures[0].map(pictureOf));
      return [title, pictures];
    }),
  );
  const draw = () => {
    const at = Number(slider.value), sentence = data.sentences[at % data.sentences.length];
    find("label b").textContent = `ε = ${data.epsilons[at]}`;
    find(".sentence").textContent = sentence;
    slider.setAttribute("aria-valuetext", `ε = ${data.epsilons[at]}. ${sentence}`);
    rows.querySelectorAll(".row").forEach((pictures, number) => {
      const { title, pictures: sources, captions } = data.rows[number];
      pictures.querySelectorAll("figure").forEach((figure, place) => {
        const said = captions?.[at % captions.length][place] ?? "";
        const image = figure.querySelector("img");
        image.src = sources[at % sources.length][place]; // one for all ε where nothing changes
        image.alt = `${title}, ${place + 1}${said && `: ${said}`}`;
        figure.querySelector("figcaption").textContent = said;
        figure.classList.toggle("wrong", said.includes(data.wrong));
      });
    });
  };
  slider.oninput = draw;
  slider.onchange = () => {
    clearTimeout(parentElement.telling);
    parentElement.telling = setTimeout(() => setStateValue("at", (parentElement.told = Number(slider.value))), AT_REST);
  };
  draw();
}
