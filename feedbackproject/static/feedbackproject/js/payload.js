// Shows an item's payload by convention: text, pixels, features; everything else as a table of its own.
// Nothing from a payload is ever read as HTML: all of it goes in as text.
(() => {
  "use strict";

  const KNOWN = new Set(["text", "pixels", "pixel_max", "features", "feature_names"]);

  const element = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };

  const readable = (value) => {
    if (value === null) return "–";
    if (typeof value === "object") return JSON.stringify(value, null, 1);
    return String(value);
  };

  const number = (value) => (typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value);

  const text = (value) => element("p", { class: "payload-text", dir: "auto" }, readable(value));

  const isGrid = (grid) => Array.isArray(grid) && grid.length > 0 && Array.isArray(grid[0])
    && grid[0].length > 0 && grid.every((row) => Array.isArray(row) && row.length === grid[0].length);

  /** One canvas pixel a value, enlarged by CSS without smoothing. High values are ink on white paper. */
  const picture = (grid, most) => {
    const [height, width] = [grid.length, grid[0].length];
    const canvas = element("canvas", { class: "payload-pixels", role: "img", "aria-label": `Picture, ${width} by ${height} pixels` });
    canvas.width = width;
    canvas.height = height;
    canvas.style.aspectRatio = `${width} / ${height}`;
    const context = canvas.getContext("2d");
    const image = context.createImageData(width, height);
    const top = most > 0 ? most : Math.max(...grid.map((row) => Math.max(...row))) || 1;
    grid.flat().forEach((value, index) => {
      const shade = Math.round(255 * (1 - Math.min(Math.max(Number(value) / top, 0), 1)));
      image.data.set([shade, shade, shade, 255], 4 * index);
    });
    context.putImageData(image, 0, 0);
    return canvas;
  };

  const table = (rows, names) => {
    const body = element("tbody");
    for (const [name, value] of rows) {
      body.append(element("tr", {},
        element("th", { scope: "row", dir: "auto" }, name),
        element("td", { dir: "auto" }, readable(value))));
    }
    const head = element("thead", {}, element("tr", {},
      element("th", { scope: "col" }, names[0]), element("th", { scope: "col" }, names[1])));
    return element("div", { class: "payload-table", tabindex: "0", role: "region", "aria-label": `${names[0]} table` },
      element("table", {}, head, body));
  };

  const folded = (title, content) => element("details", { class: "more" }, element("summary", {}, title), content);

  const show = (container, payload) => {
    const parts = [];
    const fields = payload !== null && typeof payload === "object" && !Array.isArray(payload) ? payload : { text: payload };
    if ("text" in fields) parts.push(text(fields.text));
    if (isGrid(fields.pixels)) parts.push(picture(fields.pixels, fields.pixel_max));
    if (Array.isArray(fields.features)) {
      const names = Array.isArray(fields.feature_names) ? fields.feature_names : [];
      const rows = fields.features.map((value, index) => [String(names[index] ?? index + 1), number(value)]);
      const features = table(rows, ["Feature", "Value"]);
      // Beside a text or a picture the numbers are for the model rather than for the reader.
      parts.push(parts.length && !names.length ? folded(`${rows.length} features`, features) : features);
    }
    const others = Object.entries(fields).filter(([key]) => !KNOWN.has(key) || (key === "pixels" && !isGrid(fields.pixels)));
    if (others.length) parts.push(table(others, ["Field", "Value"]));
    if (!parts.length) parts.push(text("(empty)"));
    container.replaceChildren(...parts);
  };

  window.feedback.payload = { show };
})();
