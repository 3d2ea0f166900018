// Image boxes: rectangles drawn on the image with the mouse, a finger or the keyboard alone.
// All places are fractions of the shown image, so neither its size on the page nor the zoom matters.
(() => {
  "use strict";

  const { MarkEditor, editors, dom } = window.feedback;
  const { element } = dom;

  const STEP_PIXELS = 8;
  const SMALLEST_PIXELS = 4;
  const NEW_BOX = 0.25;
  const DIGITS = 1e6;
  const HANDLES = ["nw", "n", "ne", "e", "se", "s", "sw", "w"];

  const clamp = (value, low = 0, high = 1) => Math.min(Math.max(value, low), high);
  const rounded = (value) => Math.round(value * DIGITS) / DIGITS;
  const percent = (share) => `${100 * share}%`;

  class Boxes extends MarkEditor {
    build() {
      Object.assign(this, {
        noun: "box", nouns: "boxes", ownLetters: "xn", howTo: this.isCoarse ? "Draw a box with your finger." : "Draw a box on the image, or press N for a new one.",
      });
      this.field = this.schema.field ?? "image";
      super.build();
      const add = dom.button({ class: "button small" }, "New box ", dom.kbd("N"));
      add.addEventListener("click", () => this.create());
      this.nothing.before(add);
    }

    attach() {
      this.selection = null;
      this.drag = null;
      this.pointers = new Map();
      this.figure = this.config.payload?.querySelector(`.payload-image[data-field="${CSS.escape(this.field)}"]`) ?? null;
      this.view = this.figure?.view ?? null;
      if (!this.view) {
        this.surface = null;
        return;
      }
      this.surface = element("div", {
        class: "boxes-surface", tabindex: "0", role: "application", "aria-roledescription": "image to mark",
        "aria-label": `${this.view.image.alt}. N makes a new box, the arrow keys move it, with Shift they resize it.`,
      });
      this.view.canvas.append(this.surface);
      // The surface takes the focus in place of the room around it.
      this.view.viewport.tabIndex = -1;
      this.surface.addEventListener("pointerdown", (event) => this.pointerDown(event));
      this.surface.addEventListener("pointermove", (event) => this.pointerMove(event));
      for (const name of ["pointerup", "pointercancel"]) this.surface.addEventListener(name, (event) => this.pointerUp(event));
    }

    // -- pointer ---------------------------------------------------------------------------------------------

    at(event) {
      const area = this.surface.getBoundingClientRect();
      return { x: clamp((event.clientX - area.x) / area.width), y: clamp((event.clientY - area.y) / area.height) };
    }

    /** The smallest box at a place: a large one must not cover those in it. */
    boxAt({ x, y }) {
      return this.marks
        .filter((box) => box.x <= x && x <= box.x + box.width && box.y <= y && y <= box.y + box.height)
        .sort((a, b) => a.width * a.height - b.width * b.height)[0] ?? null;
    }

    pointerDown(event) {
      if (event.button !== 0) return;
      event.preventDefault();
      this.surface.focus({ preventScroll: true });
      this.pointers.set(event.pointerId, event);
      if (this.pointers.size > 1) {
        // A second finger: it is about the view, not about a box.
        this.drag = null;
        this.drawSurface();
        return;
      }
      this.surface.setPointerCapture(event.pointerId);
      const start = this.at(event);
      const handle = event.target.closest(".box-handle")?.dataset.handle ?? null;
      const under = this.boxAt(start);
      const kind = handle ? "resize" : under && under === this.current ? "move" : "draw";
      this.drag = { kind, handle, start, under, box: kind === "draw" ? null : { ...this.current }, clientX: event.clientX, clientY: event.clientY, hasMoved: false };
    }

    pointerMove(event) {
      const before = this.pointers.get(event.pointerId);
      if (!before) return;
      this.pointers.set(event.pointerId, event);
      if (this.pointers.size > 1) {
        this.view.viewport.scrollBy((before.clientX - event.clientX) / this.pointers.size, (before.clientY - event.clientY) / this.pointers.size);
        return;
      }
      const { drag } = this;
      if (!drag) return;
      drag.hasMoved ||= Math.hypot(event.clientX - drag.clientX, event.clientY - drag.clientY) >= SMALLEST_PIXELS;
      if (!drag.hasMoved) return;
      drag.result = this.dragged(drag, this.at(event));
      this.drawSurface();
    }

    dragged({ kind, handle, start, box }, now) {
      if (kind === "draw") return this.between(start, now);
      const [dx, dy] = [now.x - start.x, now.y - start.y];
      if (kind === "move") return { ...box, x: clamp(box.x + dx, 0, 1 - box.width), y: clamp(box.y + dy, 0, 1 - box.height) };
      const edges = { left: box.x, right: box.x + box.width, top: box.y, bottom: box.y + box.height };
      if (handle.includes("w")) edges.left = clamp(edges.left + dx);
      if (handle.includes("e")) edges.right = clamp(edges.right + dx);
      if (handle.includes("n")) edges.top = clamp(edges.top + dy);
      if (handle.includes("s")) edges.bottom = clamp(edges.bottom + dy);
      return { ...box, ...this.between({ x: edges.left, y: edges.top }, { x: edges.right, y: edges.bottom }) };
    }

    between(one, other) {
      const [x, y] = [Math.min(one.x, other.x), Math.min(one.y, other.y)];
      return { x, y, width: Math.abs(one.x - other.x), height: Math.abs(one.y - other.y) };
    }

    pointerUp(event) {
      if (!this.pointers.delete(event.pointerId) || !this.drag) return;
      const { kind, result, hasMoved, under } = this.drag;
      this.drag = null;
      if (event.type === "pointercancel") {
        this.drawSurface();
      } else if (!hasMoved) {
        // A click: the next smaller one under the pointer, or none.
        this.select(under);
      } else if (!this.isLargeEnough(result)) this.drawSurface();
      else if (kind === "draw") this.add(result);
      else this.reshape(this.current, result);
    }

    isLargeEnough({ width, height }) {
      const area = this.surface.getBoundingClientRect();
      return width * area.width >= SMALLEST_PIXELS && height * area.height >= SMALLEST_PIXELS;
    }

    // -- marks -----------------------------------------------------------------------------------------------

    parse(answer) {
      return answer.boxes.map((box) => ({ ...box }));
    }

    format(marks) {
      return {
        boxes: marks.map((mark) => {
          const [x, y] = [rounded(mark.x), rounded(mark.y)];
          return {
            x, y, width: rounded(Math.min(mark.width, 1 - x)), height: rounded(Math.min(mark.height, 1 - y)), class: mark.class,
          };
        }),
      };
    }

    describe({ x, y, width, height }) {
      const share = (value) => Math.round(100 * value);
      return `${share(width)} × ${share(height)}% at ${share(x)}, ${share(y)}`;
    }

    add(place) {
      const box = { ...place, class: this.armed };
      this.change(() => {
        this.marks.push(box);
        this.current = box;
      });
      this.announce(`New box, ${this.describe(box)}${box.class === null ? ". Choose its class." : `: ${this.titleOf(box)}.`}`);
    }

    /** A box in the middle of what is to be seen of the image. */
    create() {
      if (!this.surface) return;
      const area = this.surface.getBoundingClientRect();
      const room = this.view.viewport.getBoundingClientRect();
      const middle = (low, high, start, size) => (size > 0 ? clamp(((Math.max(low, start) + Math.min(high, start + size)) / 2 - start) / size) : 0.5);
      const size = NEW_BOX / this.view.zoom;
      const x = clamp(middle(room.left, room.right, area.x, area.width) - size / 2, 0, 1 - size);
      const y = clamp(middle(room.top, room.bottom, area.y, area.height) - size / 2, 0, 1 - size);
      this.add({ x, y, width: size, height: size });
      this.focus();
    }

    reshape(box, place) {
      this.change(() => Object.assign(box, { x: place.x, y: place.y, width: place.width, height: place.height }));
      this.announce(this.describe(box));
    }

    // -- keyboard --------------------------------------------------------------------------------------------

    handleSurfaceKey(event) {
      const { key, shiftKey, ctrlKey } = event;
      if (event.altKey || event.metaKey || !this.surface) return false;
      if (!ctrlKey && (key.toLowerCase() === "n" || key === "Insert") && !this.picker.optionFor(key, false)) {
        if (!event.repeat) this.create();
        return true;
      }
      if (this.view.handleKey(event)) return true;
      const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key] ?? [0, 0];
      if ((!dx && !dy) || !this.current) return false;
      const area = this.surface.getBoundingClientRect();
      const pixels = ctrlKey ? 1 : STEP_PIXELS;
      const [stepX, stepY] = [dx * pixels / area.width, dy * pixels / area.height];
      const [leastX, leastY] = [Math.min(SMALLEST_PIXELS / area.width, 1), Math.min(SMALLEST_PIXELS / area.height, 1)];
      const { x, y, width, height } = this.current;
      this.reshape(this.current, shiftKey
        ? { x, y, width: clamp(width + stepX, Math.min(leastX, width), 1 - x), height: clamp(height + stepY, Math.min(leastY, height), 1 - y) }
        : { x: clamp(x + stepX, 0, 1 - width), y: clamp(y + stepY, 0, 1 - height), width, height });
      this.surface.querySelector(".box.is-current")?.scrollIntoView({ block: "nearest", inline: "nearest" });
      return true;
    }

    // -- drawing ---------------------------------------------------------------------------------------------

    drawSurface() {
      if (!this.surface) return;
      const shown = this.marks.map((mark) => (
        this.drag?.result && this.drag.kind !== "draw" && mark === this.current ? { ...this.drag.result, mark } : { ...mark, mark }));
      if (this.drag?.result && this.drag.kind === "draw") shown.push({ ...this.drag.result, mark: null });
      this.surface.classList.toggle("ghost", this.isAccepting);
      this.surface.replaceChildren(...shown.map((each) => this.box(each)));
    }

    box({ x, y, width, height, mark }) {
      const isCurrent = mark !== null && mark === this.current;
      const tone = mark ? this.tones.get(mark.class) ?? "none" : "none";
      const made = element("div", { class: `box tone-${tone}${isCurrent ? " is-current" : ""}${y < 0.06 ? " is-at-top" : ""}` });
      Object.assign(made.style, { left: percent(x), top: percent(y), width: percent(width), height: percent(height) });
      if (mark) made.append(element("span", { class: "box-tag", dir: "auto" }, this.titleOf(mark)));
      if (isCurrent) made.append(...HANDLES.map((name) => element("span", { class: `box-handle handle-${name}`, "data-handle": name })));
      return made;
    }

    get keysHelp() {
      return [
        [["N"], "A new box in the middle"],
        [["←", "→", "↑", "↓"], "Move the box; with Ctrl by one pixel"],
        [["Shift+←", "→", "↑", "↓"], "Resize it; with Ctrl by one pixel"],
        [["+", "−"], "Enlarge and shrink the image"],
        ...this.classKeysHelp,
      ];
    }
  }

  editors.boxes = Boxes;
})();
