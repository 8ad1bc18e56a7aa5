// Two panes, each with one panel of one run and a block of it. The address holds both: #a=run/panel/seed/block&b=...
const data = JSON.parse(document.getElementById("data").textContent);
const KEYS = ["model", "weights", "question", "way", "panel", "seed"];
const together = document.getElementById("together");
const value = (panel, key) => String(key in panel ? panel[key] : data.runs[panel.run][key]);
const dark = matchMedia("(prefers-color-scheme: dark)");
const images = new Map();

function loaded(uri) {
  if (!images.has(uri)) {
    const image = new Image();
    image.src = uri;
    images.set(uri, image.decode().then(() => image));
  }
  return images.get(uri);
}

// The panel that has `wanted` at `key` and is most like `now`, earlier keys first.
function nearest(now, key, wanted) {
  const alike = (panel) => KEYS.reduce((sum, k, i) => sum + (value(panel, k) === value(now, k)) * 2 ** (KEYS.length - i), 0);
  const fits = data.panels.filter((panel) => value(panel, key) === wanted &&
    KEYS.slice(0, KEYS.indexOf(key)).every((k) => value(panel, k) === value(now, k)));
  return fits.reduce((best, panel) => (alike(panel) > alike(best) ? panel : best));
}

function chart(place, values, x, y, marks, description) {
  const ink = getComputedStyle(document.documentElement).getPropertyValue("--ink").trim();
  const line = getComputedStyle(document.documentElement).getPropertyValue("--line").trim();
  const axis = { labelColor: ink, titleColor: ink, gridColor: line, domainColor: ink, tickColor: ink };
  const spec = {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json", description, width: "container", height: 130,
    autosize: { type: "fit", contains: "padding" }, background: null, data: { values },
    layer: marks.map((mark) => ({ mark: { color: dark.matches ? "#8cc2ff" : "#0b57a4", ...mark.mark }, ...(mark.transform ? { transform: mark.transform } : {}),
      encoding: { x: { field: "x", type: "quantitative", ...x }, y: { field: "y", type: "quantitative", ...y } } })),
    config: { axis, view: { stroke: null } },
  };
  return window.vegaEmbed(place, spec, { actions: false, renderer: "svg", ast: false });
}

class Pane {
  constructor(name) {
    this.name = name;
    this.root = document.getElementById(`pane-${name}`);
    this.slider = this.root.querySelector("input[type=range]");
    this.selects = KEYS.map((key) => this.root.querySelector(`select[data-key=${key}]`));
    this.selects.forEach((select, i) => select.addEventListener("change", () => {
      const block = this.block;
      this.show(nearest(this.panel, KEYS[i], select.value), block);
      write();
    }));
    this.slider.addEventListener("input", () => {
      this.draw();
      if (together.checked) panes.filter((pane) => pane !== this).forEach((pane) => pane.follow(this));
      write();
    });
  }

  get run() { return data.runs[this.panel.run]; }
  get place() { return Number(this.slider.value); }
  get block() { return this.run.blocks[this.place]; }
  get address() { return [this.panel.run, this.panel.panel, this.panel.seed, this.block].join("/"); }

  // Another panel, at the block nearest to `block`.
  show(panel, block) {
    this.panel = panel;
    const off = this.run.blocks.map((own) => Math.abs(own - block));
    this.slider.max = this.run.blocks.length - 1;
    this.slider.value = off.indexOf(Math.min(...off));
    KEYS.forEach((key, i) => {
      const fits = data.panels.filter((other) => KEYS.slice(0, i).every((k) => value(other, k) === value(panel, k)));
      const options = [...new Set(fits.map((other) => value(other, key)))];
      this.selects[i].replaceChildren(...options.map((text) => new Option(text, text, false, text === value(panel, key))));
      this.selects[i].disabled = options.length < 2;
    });
    this.draw();
  }

  // As deep in its own stack as the other pane is in its.
  follow(other) {
    const share = other.place / Math.max(1, other.run.blocks.length - 1);
    this.slider.value = Math.round(share * (this.run.blocks.length - 1));
    this.draw();
  }

  async draw() {
    const { panel, run, place, block } = this, target = data.targets[panel.target];
    const where = block ? `block ${block}` : "the stem", name = `${run.model}, ${run.weights}, ${panel.panel}, ${where}`;
    this.root.classList.toggle("alone", target === undefined);
    this.root.querySelector("output").textContent = block ? `${block}` : "0, the stem";
    this.slider.setAttribute("aria-valuetext", where);
    const numbers = target === undefined ? [] : [
      ["SSIM", panel.ssim[place]], ["distance ratio", panel.ratio[place] ?? "infinite"], ["converged", panel.converged[place] ? "yes" : "no: SSIM may rise further"],
    ];
    this.root.querySelector(".numbers").replaceChildren(...[...numbers, ["run", panel.run]].map(([term, text]) => {
      const div = document.createElement("div"), dt = document.createElement("dt"), dd = document.createElement("dd");
      dt.textContent = term;
      dd.textContent = text;
      dd.dataset.number = term;
      div.append(dt, dd);
      return div;
    }));
    const [strip, photograph] = await Promise.all([loaded(panel.strip), target && loaded(target)]);
    if (panel !== this.panel || place !== this.place) return; // moved on while it was decoded
    const shown = this.paint(".picture", strip, place * run.side, `Picture for ${name}`);
    if (target !== undefined) {
      const wanted = this.paint(".target", photograph, 0, `The photograph ${panel.panel}`);
      const off = shown.data.map((level, i) => (i % 4 === 3 ? 255 : Math.abs(level - wanted.data[i])));
      const canvas = this.root.querySelector(".difference");
      canvas.width = canvas.height = run.side;
      canvas.getContext("2d").putImageData(new ImageData(off, run.side), 0, 0);
      canvas.setAttribute("aria-label", `How the picture for ${name} differs from the photograph`);
      const values = run.blocks.map((x, i) => ({ x, y: panel.ssim[i], here: x === block }));
      chart(this.root.querySelector(".ssim"), values, { title: "block", scale: { nice: false }, axis: { tickMinStep: 1, format: "d", grid: false } }, { title: null, scale: { domain: [Math.min(0, ...panel.ssim), 1] } },
        [{ mark: { type: "line", point: true } }, { mark: { type: "point", filled: true, size: 130 }, transform: [{ filter: "datum.here" }] }], `SSIM by block for ${name}`);
    }
    const values = run.loss[place].map(([x, y]) => ({ x, y })), positive = values.every(({ y }) => y > 0);
    chart(this.root.querySelector(".loss"), values, { title: "step", scale: { nice: false }, axis: { tickMinStep: 1, format: "d", grid: false } },
      { title: null, scale: positive ? { type: "log", nice: false } : { zero: false }, axis: { tickCount: 3, format: "~g", labelOverlap: true, grid: false } },
      [{ mark: { type: "line" } }], `Loss by step for ${run.model}, ${where}, mean over panels`);
    this.root.dataset.drawn = this.address;
  }

  paint(selector, image, x, label) {
    const canvas = this.root.querySelector(selector), side = this.run.side, pen = canvas.getContext("2d", { willReadFrequently: true });
    canvas.width = canvas.height = side;
    pen.drawImage(image, x, 0, side, side, 0, 0, side, side);
    canvas.setAttribute("aria-label", label);
    return pen.getImageData(0, 0, side, side);
  }
}

const panes = ["a", "b"].map((name) => new Pane(name));

function write() {
  history.replaceState(null, "", `#${panes.map((pane) => `${pane.name}=${encodeURIComponent(pane.address)}`).join("&")}`);
}

// What the address asks for; what it does not name or know stays as it is.
function read() {
  const asked = new URLSearchParams(location.hash.slice(1));
  panes.forEach((pane, i) => {
    for (const address of [asked.get(pane.name) ?? "", pane.panel ? "" : data.first[i] ?? ""]) {
      const [run, panel, seed, block] = address.split("/");
      const found = data.panels.find((one) => one.run === run && one.panel === panel && String(one.seed) === seed);
      if (found) return pane.show(found, Number(block));
    }
  });
}

read();
addEventListener("hashchange", () => {
  const leads = location.hash.includes("=");
  read();
  write();
  if (leads) panes[0].root.scrollIntoView({ block: "start" });
});
dark.addEventListener("change", () => panes.forEach((pane) => pane.draw()));
