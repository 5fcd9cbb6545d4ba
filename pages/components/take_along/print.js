// A figure for print, laid out anew and white whatever the screen is, with its font in the file. plotly.js stands above this.
const FONT = 12; // pixels for which the figures are drawn: all of a figure grows with its font
const USUAL = { mm: { width: 85, height: 64, font: 8 }, px: { width: 1920, height: 1080, font: 28 } };
const PIXELS = { mm: 96 / 25.4, px: 1 }, OF_FONT = { mm: 96 / 72, px: 1 }; // a font is told in points or in pixels
const DOTS = { mm: 300 / 96, px: 1 }; // of a PNG for each of these pixels

const asText = (blob) => new Promise((resolve) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result);
  reader.readAsDataURL(blob);
});

/** The app's own font as a rule whose file is part of it, so that a file that names it carries it along. */
async function embeddedFont(family) {
  const rules = [...document.styleSheets].flatMap((sheet) => {
    try { return [...sheet.cssRules].map((rule) => [rule, sheet.href]); } catch { return []; } // of another host
  });
  const faces = rules.filter(([rule]) => rule instanceof CSSFontFaceRule && rule.style.fontFamily.replaceAll('"', "") === family
    && rule.style.fontStyle !== "italic");
  const embedded = await Promise.all(faces.map(async ([rule, sheet]) => {
    const address = new URL(rule.style.getPropertyValue("src").match(/url\("?([^")]+)"?\)/)[1], sheet ?? document.baseURI);
    const file = await asText(await (await fetch(address)).blob());
    return `@font-face{font-family:"${family}";font-weight:${rule.style.fontWeight || "normal"};src:url(${file})}`;
  }));
  return embedded.join("");
}

/** The figure as the text of an SVG of this size, which is in `wanted.unit`. */
async function drawn(figure, wanted, font) {
  const { unit } = wanted, scale = (wanted.font * OF_FONT[unit]) / FONT;
  const [width, height] = [wanted.width, wanted.height].map((side) => Math.round((side * PIXELS[unit]) / scale));
  const layout = { ...figure.layout, width, height, font: { ...figure.layout.font, family: font.family, size: FONT }, paper_bgcolor: "white" };
  const address = await window.Plotly.toImage({ data: figure.data, layout }, { format: "svg", width, height });
  const text = decodeURIComponent(address.slice(address.indexOf(",") + 1));
  const picture = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  for (const [key, value] of [["width", wanted.width], ["height", wanted.height]]) picture.setAttribute(key, `${value}${unit}`);
  picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const style = document.createElementNS("http://www.w3.org/2000/svg", "style");
  style.textContent = font.rule;
  picture.prepend(style);
  return new XMLSerializer().serializeToString(picture);
}

/** The picture as a PNG: 300 dots an inch of paper, or as many pixels as were asked for. */
async function asPNG(image, { width, height, unit }) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height].map((side) => Math.round(side * PIXELS[unit] * DOTS[unit]));
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

export default function ({ data, parentElement }) {
  const form = parentElement.querySelector("form"), image = form.querySelector("img"), fields = form.elements;
  const usual = () => {
    for (const [name, value] of Object.entries(USUAL[fields.unit.value])) fields[name].value = String(value);
  };
  const wanted = () => ({ unit: fields.unit.value, format: fields.format.value,
    ...Object.fromEntries(["width", "height", "font"].map((name) => [name, Number(fields[name].value)])) });
  const family = getComputedStyle(form).fontFamily.split(",")[0].replaceAll('"', "").trim();
  parentElement.font ??= embeddedFont(family).then((rule) => ({ family, rule }));
  const show = async () => {
    if (!form.checkValidity()) return;
    const text = await drawn(data.figure, wanted(), await parentElement.font);
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
    image.alt = `Preview: ${data.alt}`;
    await image.decode();
    return text;
  };
  form.onchange = (event) => {
    if (event.target === fields.unit) usual();
    show();
  };
  form.onsubmit = async (event) => {
    event.preventDefault();
    const size = wanted(), text = await show();
    const blob = size.format === "SVG" ? new Blob([text], { type: "image/svg+xml" }) : await asPNG(image, size);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${data.name}.${size.format.toLowerCase()}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };
  if (!fields.width.value) usual();
  show();
}
