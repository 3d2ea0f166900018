// Small helpers to build elements. What comes from outside goes in as text or as an attribute, never as HTML.
(() => {
  "use strict";

  const element = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
    }
    made.append(...children);
    return made;
  };

  const button = (attributes, ...children) => element("button", { type: "button", ...attributes }, ...children);

  const kbd = (key) => element("kbd", { "aria-hidden": "true" }, key);

  const quoted = (title) => `“${title}”`;

  const plural = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

  const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

  /** Whether arrows and letters belong to the field that has the focus. */
  const isField = (target) => target instanceof Element && target.closest("input, textarea, select, [contenteditable]") !== null;

  const hasModifier = (event) => event.ctrlKey || event.metaKey || event.altKey;

  const titleOf = (labelClass) => labelClass.title || labelClass.key;

  /** Bring a part into sight inside the list that scrolls; the page itself stays where it is. */
  const scrollWithin = (list, part) => {
    const [outer, inner] = [list.getBoundingClientRect(), part.getBoundingClientRect()];
    if (inner.top < outer.top) list.scrollTop -= outer.top - inner.top;
    else if (inner.bottom > outer.bottom) list.scrollTop += inner.bottom - outer.bottom;
  };

  window.feedback.dom = { button, element, hasModifier, isField, isObject, kbd, plural, quoted, scrollWithin, titleOf };
})();
