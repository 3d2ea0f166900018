// An image that fits the room it is given, can be enlarged, and says so when it cannot be loaded.
// The room does not depend on the image, so nothing moves when it arrives. Editors draw on `.image-canvas`, which always
// has the very size of the shown image.
(() => {
  "use strict";

  const { button, element, isObject } = window.feedback.dom;

  const ZOOMS = [1, 1.5, 2, 3, 4, 6, 8];

  const MOST_ENLARGED = 4;
  const LEAST_SHOWN = 240;

  const isImage = (value) => (typeof value === "string" && value.trim() !== "") || (isObject(value) && typeof value.url === "string");

  const isShowable = (address) => {
    try {
      const url = new URL(address, location.href);
      return ["https:", "http:"].includes(url.protocol) || address.startsWith("data:image/");
    } catch {
      return false;
    }
  };

  class ImageView {
    constructor(value, name) {
      const { url, alt, width, height } = isObject(value) ? value : { url: value };
      this.url = url;
      this.zoom = 1;
      this.size = width > 0 && height > 0 ? { width, height } : null;
      this.image = element("img", { alt: alt || "Image of this item; it has no description", draggable: "false", decoding: "async" });
      this.canvas = element("div", { class: "image-canvas" }, this.image);
      this.error = element("div", { class: "image-error", role: "alert", hidden: true },
        element("p", {}, "This image could not be loaded."),
        element("p", { class: "mono", dir: "ltr" }, url),
        button({ class: "button small" }, "Try again"));
      this.viewport = element("div", { class: "image-viewport", tabindex: "0", role: "group", "aria-label": "Image; plus and minus enlarge and shrink it" }, this.canvas);
      this.level = element("output", { class: "image-level" });
      this.element = element("figure", { class: "payload-image", "data-field": name }, this.#tools(), this.viewport, this.error);
      this.element.view = this;
      this.#listen();
      this.load();
    }

    #tools() {
      const tool = (text, label, action) => {
        const made = button({ class: "button quiet small", "aria-label": label, title: label }, text);
        made.addEventListener("click", action);
        return made;
      };
      return element("div", { class: "image-tools" },
        tool("−", "Smaller", () => this.step(-1)), this.level, tool("+", "Larger", () => this.step(1)), tool("Fit", "Fit the image to the page", () => this.zoomTo(1)));
    }

    #listen() {
      this.image.addEventListener("load", () => {
        this.size = { width: this.image.naturalWidth || 300, height: this.image.naturalHeight || 150 };
        this.element.dataset.state = "shown";
        this.fit();
        this.element.dispatchEvent(new CustomEvent("imageshown"));
      });
      this.image.addEventListener("error", () => this.fail());
      this.error.querySelector("button").addEventListener("click", () => this.load());
      this.canvas.addEventListener("dblclick", (event) => this.zoomTo(this.zoom > 1 ? 1 : 2, event));
      this.viewport.addEventListener("wheel", (event) => {
        if (!event.ctrlKey && !event.metaKey) return;
        event.preventDefault();
        this.step(event.deltaY < 0 ? 1 : -1, event);
      }, { passive: false });
      this.viewport.addEventListener("keydown", (event) => {
        if (!event.defaultPrevented && this.handleKey(event)) {
          event.preventDefault();
          event.stopPropagation();
        }
      });
      new ResizeObserver(() => this.fit()).observe(this.viewport);
    }

    handleKey({ key, ctrlKey, metaKey, altKey }) {
      if (ctrlKey || metaKey || altKey) return false;
      if (key === "+" || key === "=") this.step(1);
      else if (key === "-" || key === "−") this.step(-1);
      else return false;
      return true;
    }

    load() {
      this.error.hidden = true;
      this.viewport.hidden = false;
      this.element.dataset.state = "loading";
      if (!isShowable(this.url)) this.fail();
      else this.image.src = this.url;
    }

    fail() {
      this.element.dataset.state = "failed";
      this.viewport.hidden = true;
      this.error.hidden = false;
    }

    step(by, event) {
      const at = ZOOMS.findIndex((zoom) => zoom >= this.zoom);
      this.zoomTo(ZOOMS[Math.min(Math.max(at + by, 0), ZOOMS.length - 1)], event);
    }

    /** The point under the pointer, else the middle, stays where it is. */
    zoomTo(zoom, event = null) {
      const view = this.viewport.getBoundingClientRect();
      const before = this.canvas.getBoundingClientRect();
      const [x, y] = event?.clientX === undefined || event === null ? [view.x + view.width / 2, view.y + view.height / 2] : [event.clientX, event.clientY];
      const share = [(x - before.x) / (before.width || 1), (y - before.y) / (before.height || 1)];
      this.zoom = zoom;
      this.fit();
      const after = this.canvas.getBoundingClientRect();
      this.viewport.scrollBy(after.x + share[0] * after.width - x, after.y + share[1] * after.height - y);
    }

    fit() {
      this.level.textContent = `${Math.round(100 * this.zoom)}%`;
      if (!this.size) return;
      const { clientWidth, clientHeight } = this.viewport;
      if (!clientWidth || !clientHeight) return;
      const { width, height } = this.size;
      // Small images are enlarged, but not beyond what their pixels bear; tiny ones until there is something to see.
      const most = Math.max(MOST_ENLARGED, LEAST_SHOWN / Math.max(width, height));
      const scale = Math.min(clientWidth / width, clientHeight / height, most) * this.zoom;
      this.image.classList.toggle("is-coarse", scale > MOST_ENLARGED);
      this.canvas.style.width = `${Math.max(1, Math.floor(this.size.width * scale))}px`;
      this.canvas.style.height = `${Math.max(1, Math.floor(this.size.height * scale))}px`;
    }
  }

  const image = (value, name) => new ImageView(value, name).element;

  window.feedback.views = { ...window.feedback.views, image, isImage };
})();
