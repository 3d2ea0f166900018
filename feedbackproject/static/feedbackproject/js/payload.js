// Shows an item's payload by convention: text, Markdown, conversation, image, table, columns, pixels, features; what is left
// as names and values. Nothing from a payload is ever read as HTML; Markdown comes as HTML that the service sanitised.
(() => {
  "use strict";

  const { element, isObject } = window.feedback.dom;
  const { chat, image, isChat, isGrid, isImage, isTable, pairs, pixels, readable, table } = window.feedback.views;

  // Fields that are read rather than looked up.
  const PROSE = new Set(["body", "context", "description", "document", "input", "instruction", "instructions", "prompt", "query", "question", "title"]);

  const number = (value) => (typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value);

  const text = (value, name = null) => element("p", { class: "payload-text", dir: "auto", "data-field": name }, readable(value));

  const folded = (title, content) => element("details", { class: "more" }, element("summary", {}, title), content);

  /** The service's HTML; without it, the Markdown as it was written. */
  const markdown = (value, html) => {
    if (typeof html !== "string") return text(value);
    const made = element("div", { class: "payload-markdown", dir: "auto" });
    made.innerHTML = html;
    for (const link of made.querySelectorAll("a")) {
      link.target = "_blank";
      link.rel = "noopener noreferrer nofollow";
    }
    return made;
  };

  const features = (values, names, isAlone) => {
    const named = Array.isArray(names) ? names : [];
    const rows = pairs(values.map((value, index) => [String(named[index] ?? index + 1), number(value)]), ["Feature", "Value"]);
    // Beside a text or a picture the numbers are for the model rather than for the reader.
    return isAlone || named.length ? rows : folded(`${values.length} features`, rows);
  };

  /** `path` names the fields on the way here, as the service does in `rendered`. */
  const parts = (fields, rendered, path = "", left = new Set()) => {
    const made = [];
    const done = new Set(left);
    const draw = (name, isFit, view) => {
      if (!(name in fields) || done.has(name) || !isFit(fields[name])) return;
      done.add(name);
      made.push(view(fields[name]));
    };
    draw("text", () => true, (value) => text(value, `${path}text`));
    draw("markdown", (value) => typeof value === "string", (value) => markdown(value, rendered[`${path}markdown`] ?? rendered[path.slice(0, -1)]));
    for (const name of ["messages", "chat"]) draw(name, isChat, chat);
    draw("image", isImage, (value) => image(value, `${path}image`));
    draw("table", isTable, table);
    draw("columns", (value) => Array.isArray(value) && value.length > 0 && value.every(isObject), (value) => columns(value.map(({ title, ...rest }, index) => (
      { title: readable(title ?? index + 1), content: parts(rest, rendered, `${path}columns.${index}.`) }))));
    draw("pixels", isGrid, (value) => pixels(value, fields.pixel_max));
    if (done.has("pixels")) done.add("pixel_max");
    draw("features", Array.isArray, (value) => features(value, fields.feature_names, !made.length));
    if (done.has("features")) done.add("feature_names");
    const others = [];
    for (const [name, value] of Object.entries(fields).filter(([key]) => !done.has(key))) {
      const isMarkdown = isObject(value) && typeof value.markdown === "string";
      if (isMarkdown || isChat(value) || (PROSE.has(name.toLowerCase()) && typeof value === "string")) made.push(titled(name, whole(value, rendered, `${path}${name}`)));
      else others.push([name, value]);
    }
    if (others.length) made.push(pairs(others, ["Field", "Value"]));
    return made;
  };

  /** One value of its own, such as one side of a comparison. */
  const whole = (value, rendered, path) => {
    if (isChat(value)) return [chat(value)];
    if (isTable(value)) return [table(value)];
    return isObject(value) ? parts(value, rendered, `${path}.`) : [text(value, path)];
  };

  const titled = (title, content) => element("section", { class: "payload-titled" }, element("h3", { class: "muted small", dir: "auto" }, title), ...content);

  const columns = (each) => element("div", { class: "payload-columns" }, ...each.map(({ title, name, content }) => (
    element("section", { class: "payload-column", "data-side": name, "aria-label": title },
      element("h3", { class: "column-title", dir: "auto" }, title), element("div", { class: "column-content", tabindex: "0", role: "group", "aria-label": `${title}, content` }, ...content)))));

  /** What the schema asks about is drawn for its editor; the rest is what goes with it. */
  const special = (fields, schema, rendered) => {
    if (schema.kind === "preference") {
      const sides = [["A", schema.a ?? "a", "a"], ["B", schema.b ?? "b", "b"]];
      const made = columns(sides.map(([title, name, side]) => ({ title, name: side, content: whole(fields[name], rendered, name) })));
      return { names: sides.map(([, name]) => name), made: [made] };
    }
    if (schema.kind === "spans") {
      const name = schema.field ?? "text";
      return { names: [name], made: [text(fields[name] ?? "", name)] };
    }
    if (schema.kind === "boxes") {
      const name = schema.field ?? "image";
      return { names: [name], made: [isImage(fields[name]) ? image(fields[name], name) : text("This item has no image.")] };
    }
    if (schema.kind === "text_correction") {
      const name = schema.source ?? "output";
      // It stands in the editor; here, too, if there is nothing else to see.
      return { names: Object.keys(fields).some((key) => key !== name) ? [name] : [], made: [] };
    }
    return { names: [], made: [] };
  };

  const show = (container, item, schema = {}) => {
    const { payload, rendered = {} } = item;
    const fields = isObject(payload) ? payload : { text: payload };
    const { names, made } = special(fields, schema, rendered);
    const context = parts(fields, rendered, "", new Set(names));
    const all = [...context, ...made];
    container.replaceChildren(...(all.length ? all : [text("(empty)")]));
    container.dataset.kind = schema.kind ?? "";
  };

  /** Fetch the images of an item that is not shown yet, so that they are there when it is its turn. */
  const prefetch = ({ payload }, schema = {}) => {
    if (!isObject(payload)) return;
    const nested = [...(Array.isArray(payload.columns) ? payload.columns : []), payload[schema.a ?? "a"], payload[schema.b ?? "b"]];
    const own = schema.kind === "boxes" ? payload[schema.field ?? "image"] : payload.image;
    for (const value of [own, ...nested.map((each) => each?.image)]) {
      const url = isObject(value) ? value.url : value;
      if (typeof url === "string" && /^(https?:\/\/|\/)\S+$/.test(url)) new Image().src = url;
    }
  };

  window.feedback.payload = { prefetch, show };
})();
