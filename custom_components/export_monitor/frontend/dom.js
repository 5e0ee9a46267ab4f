// Builds elements. Texts always become text nodes, so that no name of an entity is ever read as HTML.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

export const h = (tag, attributes = {}, ...children) =>
  fill(document.createElement(tag), attributes, children);

export const svg = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

/** Set a text only where it differs: a screen reader speaks up at every change of a live region. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Fill a section anew only when what it shows has changed, so that it keeps focus and selection. */
export function renew(section, facts, build) {
  const key = JSON.stringify(facts);
  if (section.shownFacts === key) return;
  section.shownFacts = key;
  section.replaceChildren(...[build()].flat().filter(Boolean));
}

const GLYPHS = {
  start: "M8 5v14l11-7z",
  stop: "M6 6h12v12H6z",
  discharge: "M12 4l7 8h-4v8H9v-8H5z",
  charge: "M12 20l-7-8h4V4h6v8h4z",
};

export const glyph = (name) =>
  svg(
    "svg",
    { viewBox: "0 0 24 24", class: "glyph", "aria-hidden": "true" },
    svg("path", { d: GLYPHS[name] }),
  );
