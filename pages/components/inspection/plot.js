// Two scores as a plot, linked with the grid: what the grid shows is drawn strong, and a box drawn here is what the grid shows.
const PLOT_HEIGHT = 240, PLOT_EDGE = 12, NEAR_ENOUGH = 12; // pixels

class Plot {
  constructor(grid) {
    this.grid = grid;
    this.canvas = grid.find(".plot canvas");
    this.axes = ["", ""];
    for (const [number, name] of ["across", "up"].entries())
      grid.find(`.${name}`).onchange = (event) => {
        this.axes[number] = event.target.value;
        grid.changed();
      };
    this.canvas.addEventListener("pointerdown", (event) => this.begin(event));
    this.canvas.addEventListener("pointermove", (event) => this.box && this.pull(event));
    this.canvas.addEventListener("pointerup", (event) => this.end(event));
    this.canvas.addEventListener("pointercancel", () => this.draw((this.box = null)));
    new ResizeObserver(() => grid.data && this.draw()).observe(this.canvas.parentElement);
  }

  /** The scores that can be chosen; the first two unless they were chosen before. */
  fill() {
    const { scores } = this.grid.data;
    for (const [number, name] of ["across", "up"].entries()) {
      if (!scores.some((score) => score.name === this.axes[number])) this.axes[number] = scores[Math.min(number, scores.length - 1)].name;
      const menu = this.grid.find(`.${name}`);
      menu.replaceChildren(...scores.map((score) => make("option", { value: score.name, textContent: score.title })));
      menu.value = this.axes[number];
    }
  }

  pair() {
    return this.axes.map((name) => this.grid.data.scores.find((score) => score.name === name));
  }

  /** How far the two scores disagree over each image, as a score to sort by. */
  disagreement() {
    const [one, two] = this.pair();
    if (this.apart?.one !== one || this.apart.two !== two) {
      const values = one.rank.map((rank, place) => Math.abs(rank - two.rank[place]));
      this.apart = { one, two, name: "apart", title: "how far the plot's two scores disagree", values, rank: values };
    }
    return this.apart;
  }

  /** Where an image lies on the canvas: by percentiles, those of equal ones spread a little. */
  at(place) {
    const [one, two] = this.pair(), { width } = this, spread = ((place * 7919) % 97) / 97 - 0.5, other = ((place * 104729) % 89) / 89 - 0.5;
    return [
      PLOT_EDGE + ((width - 2 * PLOT_EDGE) * (one.rank[place] + spread)) / 100,
      PLOT_HEIGHT - PLOT_EDGE - ((PLOT_HEIGHT - 2 * PLOT_EDGE) * (two.rank[place] + other)) / 100,
    ];
  }

  draw() {
    const { grid, canvas } = this;
    if (!grid.find(".more").open) return;
    this.width = Math.max(200, canvas.parentElement.clientWidth);
    const sharp = window.devicePixelRatio || 1;
    [canvas.width, canvas.height] = [this.width * sharp, PLOT_HEIGHT * sharp];
    canvas.style.height = `${PLOT_HEIGHT}px`;
    const context = canvas.getContext("2d"), style = getComputedStyle(grid.root), text = style.color;
    context.scale(sharp, sharp);
    const within = new Set(grid.places), [one, two] = this.pair();
    for (let place = 0; place < grid.marks.length; place++) this.point(context, place, within.has(place), text);
    const here = grid.places[grid.at];
    if (here !== undefined) {
      context.globalAlpha = 1;
      context.strokeStyle = style.getPropertyValue("--st-primary-color");
      context.lineWidth = 2.5;
      context.beginPath();
      context.arc(...this.at(here), 7, 0, 7);
      context.stroke();
    }
    if (this.box) {
      context.globalAlpha = 1;
      context.lineWidth = 1;
      context.strokeStyle = text;
      context.strokeRect(...this.box.slice(0, 2), this.box[2] - this.box[0], this.box[3] - this.box[1]);
    }
    canvas.setAttribute("aria-label", `Every image by ${one.title}, from left to right, and ${two.title}, upwards: each by its percentile, the suspicious at the upper right`);
    this.legend(within);
  }

  /** A mark has its own shape: a cross is removed, a bar kept, a ring unsure; poisoned ones have a square around them. */
  point(context, place, strong, text) {
    const [x, y] = this.at(place), mark = this.grid.marks[place];
    context.globalAlpha = strong ? 0.9 : 0.18;
    context.lineWidth = 2;
    context.strokeStyle = context.fillStyle = mark === "r" ? "#e69f00" : text;
    context.beginPath();
    if (mark === "r") for (const sign of [1, -1]) { context.moveTo(x - 4, y - 4 * sign); context.lineTo(x + 4, y + 4 * sign); }
    else if (mark === "k") { context.moveTo(x - 4, y); context.lineTo(x + 4, y); }
    else context.arc(x, y, mark === "u" ? 4 : 2, 0, 7);
    if (mark === " ") context.fill();
    else context.stroke();
    if (this.grid.data.poisoned?.[place] === "1") {
      context.lineWidth = 1.5;
      context.strokeStyle = "#cc79a7";
      context.strokeRect(x - 5, y - 5, 10, 10);
    }
  }

  /** What the shapes mean, and how many of each are shown of how many there are. */
  legend(within) {
    const { marks, data } = this.grid, shownOf = (is) => {
      let all = 0, here = 0;
      for (let place = 0; place < marks.length; place++) if (is(place)) { all += 1; here += within.has(place); }
      return `${here.toLocaleString("en")} of ${all.toLocaleString("en")}`;
    };
    const entries = [["✕", "remove", "r"], ["–", "keep", "k"], ["○", "unsure", "u"], ["•", "not marked", " "]]
      .map(([sign, name, letter]) => `${sign} ${name}: ${shownOf((place) => marks[place] === letter)}`);
    if (data.poisoned) entries.push(`□ poisoned: ${shownOf((place) => data.poisoned[place] === "1")}`);
    this.grid.find(".plot-legend").replaceChildren(...entries.map((textContent) => make("span", { textContent })));
  }

  here(event) {
    const frame = this.canvas.getBoundingClientRect();
    return [event.clientX - frame.left, event.clientY - frame.top];
  }

  begin(event) {
    const [x, y] = this.here(event);
    this.canvas.setPointerCapture(event.pointerId);
    this.box = [x, y, x, y];
  }

  pull(event) {
    this.box.splice(2, 2, ...this.here(event));
    this.draw();
  }

  end(event) {
    if (!this.box) return;
    const { grid } = this, [left, top] = this.box, [x, y] = this.here(event);
    this.box = null;
    if (Math.hypot(x - left, y - top) < 5) {
      const far = (place) => Math.hypot(this.at(place)[0] - x, this.at(place)[1] - y);
      const nearest = grid.places.reduce((best, place) => (best === null || far(place) < far(best) ? place : best), null);
      if (nearest !== null && far(nearest) < NEAR_ENOUGH) grid.goTo(nearest);
      else this.draw();
      return;
    }
    const between = (value, one, two) => value >= Math.min(one, two) && value <= Math.max(one, two);
    const inside = grid.places.filter((place) => {
      const [across, down] = this.at(place);
      return between(across, left, x) && between(down, top, y);
    });
    if (inside.length) grid.show({ places: inside, name: `${inside.length.toLocaleString("en")} in the plot's box`, sorted: true });
    else grid.draw((grid.emptyBox = true));
  }
}
