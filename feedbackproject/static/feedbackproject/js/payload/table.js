// Tables: a list of objects, a list of lists, or names and values. Wide and long ones scroll inside.
(() => {
  "use strict";

  const { element, isObject, plural } = window.feedback.dom;

  const MOST_ROWS = 500;

  const readable = (value) => {
    if (value === null || value === undefined) return "–";
    if (typeof value === "object") return JSON.stringify(value, null, 1);
    return String(value);
  };

  const region = (label, head, rows) => element("div", { class: "payload-table", tabindex: "0", role: "region", "aria-label": label },
    element("table", {}, ...(head ? [element("thead", {}, head)] : []), element("tbody", {}, ...rows)));

  /** [[name, value], ..] under two headings. */
  const pairs = (rows, names) => region(`${names[0]} table`,
    element("tr", {}, ...names.map((name) => element("th", { scope: "col" }, name))),
    rows.map(([name, value]) => element("tr", {},
      element("th", { scope: "row", dir: "auto" }, name), element("td", { dir: "auto" }, readable(value)))));

  const isTable = (value) => Array.isArray(value) && value.length > 0 && (value.every(isObject) || value.every(Array.isArray));

  /** Names in the first row, unless it looks like the others. */
  const hasHead = (rows) => rows.length > 1 && rows[0].every((cell) => typeof cell === "string")
    && (rows.slice(1).some((row) => row.some((cell) => typeof cell === "number")) || new Set(rows[0]).size === rows[0].length);

  const table = (value) => {
    let names = null;
    let rows = value;
    if (value.every(isObject)) {
      names = [...new Set(value.flatMap((row) => Object.keys(row)))];
      rows = value.map((row) => names.map((name) => row[name]));
    } else if (hasHead(value)) [names, ...rows] = value;
    const shown = rows.slice(0, MOST_ROWS).map((row) => element("tr", {}, ...row.map((cell) => element("td", {
      dir: "auto", class: typeof cell === "number" ? "num" : null,
    }, readable(cell)))));
    const head = names && element("tr", {}, ...names.map((name) => element("th", { scope: "col", dir: "auto" }, readable(name))));
    const made = region(`Table, ${plural(rows.length, "row")}`, head, shown);
    made.classList.add("payload-grid");
    if (rows.length > MOST_ROWS) made.append(element("p", { class: "muted small" }, `${plural(rows.length - MOST_ROWS, "more row")} not shown.`));
    return made;
  };

  window.feedback.views = { ...window.feedback.views, isTable, pairs, readable, table };
})();
