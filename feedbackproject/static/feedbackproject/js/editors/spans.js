// Text spans: passages of the item's text, marked with the mouse, a finger or the keyboard alone.
// Inside, places are UTF-16 units, as the browser counts them; answers count code points.
(() => {
  "use strict";

  const { MarkEditor, TextOffsets, editors, dom } = window.feedback;
  const { element, quoted } = dom;

  const LONGEST_SHOWN = 60;

  class Spans extends MarkEditor {
    build() {
      Object.assign(this, { noun: "span", nouns: "spans", ownLetters: "x", howTo: "Select words in the text, then choose a class." });
      this.field = this.schema.field ?? "text";
      super.build();
      // What the mouse or a finger selects, while it is being selected.
      document.addEventListener("selectionchange", () => this.followSelection());
      document.addEventListener("pointerup", () => {
        if (this.armed && this.isPointed && this.selection) this.addSelected(this.armed);
      });
    }

    attach() {
      const value = this.payload[this.field];
      this.offsets = new TextOffsets(typeof value === "string" ? value : "");
      this.selection = null;
      this.isPointed = false;
      this.anchor = this.head = null;
      this.surface = this.config.payload?.querySelector(`[data-field="${CSS.escape(this.field)}"]`) ?? null;
      if (!this.surface) return;
      this.surface.classList.add("spans-surface");
      for (const [name, content] of Object.entries({
        tabindex: "0", role: "application", "aria-roledescription": "text to mark",
        "aria-label": "Text. Arrow keys go from word to word, with Shift they select more, a class's key marks what is selected.",
      })) this.surface.setAttribute(name, content);
      this.surface.addEventListener("pointerdown", () => {
        // Drawing anew here would take the text away from under the pointer.
        for (const part of this.surface.querySelectorAll(".is-selected, .is-current")) part.classList.remove("is-selected", "is-current");
      });
      this.surface.addEventListener("click", (event) => this.clicked(event));
    }

    // -- pointer ---------------------------------------------------------------------------------------------

    followSelection() {
      const chosen = getSelection();
      if (!this.surface?.isConnected || chosen.rangeCount === 0 || chosen.isCollapsed) return;
      const range = chosen.getRangeAt(0);
      if (!this.surface.contains(range.startContainer) || !this.surface.contains(range.endContainer)) return;
      this.selection = this.offsets.trimmed({
        start: this.unitOf(range.startContainer, range.startOffset), end: this.unitOf(range.endContainer, range.endOffset),
      });
      this.isPointed = this.selection !== null;
      if (this.isPointed) this.current = null;
    }

    /** The place in the text of a place in the document; the tags between count for nothing. */
    unitOf(node, offset) {
      const part = (node instanceof Element ? node : node.parentElement).closest("[data-start]");
      if (part && this.surface.contains(part) && part !== this.surface) {
        return Number(part.dataset.start) + (node instanceof Text && !part.matches(".span-tag") ? offset : 0);
      }
      const next = node.childNodes[offset];
      return next ? Number(next.dataset?.start ?? 0) : this.offsets.text.length;
    }

    clicked(event) {
      const chosen = getSelection();
      const tag = event.target.closest(".span-tag");
      if (tag) {
        this.isPointed = false;
        this.select(this.marks[Number(tag.dataset.index)]);
        return;
      }
      if (!chosen.isCollapsed || chosen.rangeCount === 0 || !this.surface.contains(chosen.anchorNode)) return;
      const unit = this.unitOf(chosen.anchorNode, chosen.anchorOffset);
      this.isPointed = false;
      this.anchor = this.head = this.offsets.wordAt(unit);
      this.select(this.marksAt(unit)[0] ?? null);
    }

    // -- marks -----------------------------------------------------------------------------------------------

    marksAt(unit) {
      return this.marks.filter((mark) => mark.start <= unit && unit < mark.end).sort((a, b) => (a.end - a.start) - (b.end - b.start));
    }

    parse(answer) {
      return answer.spans.map((span) => ({ ...this.offsets.range(span), class: span.class })).filter((mark) => mark.start < mark.end);
    }

    format(marks) {
      return { spans: marks.map((mark) => ({ ...this.offsets.points(mark), class: mark.class })) };
    }

    describe(mark) {
      const text = [...this.offsets.slice(mark)];
      return quoted(text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN).join("")}…` : text.join(""));
    }

    /** Why these places cannot be a span of that class, or nothing. */
    obstacle(range, key, self = null) {
      const other = this.marks.find((mark) => mark !== self && (this.schema.allows_overlap
        ? mark.start === range.start && mark.end === range.end && mark.class === key
        : mark.start < range.end && range.start < mark.end));
      if (!other) return "";
      return this.schema.allows_overlap ? "That span is there already." : `It would overlap with ${this.titleOf(other)} ${this.describe(other)}.`;
    }

    addSelected(key) {
      const { start, end } = this.selection;
      const obstacle = this.obstacle(this.selection, key);
      if (obstacle) {
        this.refuse(obstacle);
        return;
      }
      const mark = { start, end, class: key };
      getSelection().removeAllRanges();
      this.selection = null;
      this.isPointed = false;
      this.change(() => {
        this.marks.push(mark);
        this.sort();
      });
      this.announce(`${this.titleOf(mark)}: ${this.describe(mark)}`);
      // The arrows go on behind it.
      this.anchor = this.head = this.offsets.wordAt(Math.max(end - 1, start));
    }

    refuse(text) {
      this.announce(text);
      this.count.textContent = text;
    }

    sort() {
      this.marks.sort((a, b) => a.start - b.start || a.end - b.end || (a.class < b.class ? -1 : 1));
    }

    // -- keyboard --------------------------------------------------------------------------------------------

    handleSurfaceKey(event) {
      const { key, shiftKey, target } = event;
      if (event.altKey || event.metaKey || !this.offsets.words.length) return false;
      if (target.closest?.(".payload-table, .image-viewport")) return false;
      const isMirrored = this.surface !== null && getComputedStyle(this.surface).direction === "rtl";
      const sideways = { ArrowRight: isMirrored ? -1 : 1, ArrowLeft: isMirrored ? 1 : -1 }[key];
      if (event.ctrlKey) return sideways !== undefined && this.nudge(sideways, shiftKey);
      if (sideways !== undefined) this.move(sideways, shiftKey);
      else if (key === "ArrowDown" || key === "ArrowUp") this.moveLine(key === "ArrowDown" ? 1 : -1, shiftKey);
      else if (key === "Home") this.moveTo(0, shiftKey);
      else if (key === "End") this.moveTo(this.offsets.words.length - 1, shiftKey);
      else if ((key === "Delete" || key === "Backspace") && !this.current && this.selection && this.marksAt(this.selection.start).length) {
        this.remove(this.marksAt(this.selection.start)[0]);
      } else return false;
      return true;
    }

    /** What the arrows change: the current span, else what is selected. */
    get range() {
      return this.current ?? this.selection;
    }

    move(by, isExtending) {
      if (isExtending && this.range) {
        const at = this.offsets.wordAt(Math.max(this.range.end - 1, this.range.start));
        if (this.current) this.resize({ start: this.current.start, end: this.#wordEnd(at + by, this.current.start) });
        else this.moveTo(this.head + by, true);
        return;
      }
      const from = this.current ? this.offsets.wordAt(by > 0 ? this.current.end - 1 : this.current.start) : this.head;
      if (from === null) this.moveTo(by > 0 ? 0 : this.offsets.words.length - 1, false);
      // Behind a marked passage, or after a click, the first step shows where the cursor is, or goes on from there.
      else this.moveTo(from + by, false);
    }

    #wordEnd(index, start) {
      const { words } = this.offsets;
      const word = words[Math.min(Math.max(index, 0), words.length - 1)];
      return word.end > start ? word.end : words[this.offsets.wordAt(start)].end;
    }

    moveTo(index, isExtending) {
      const { words } = this.offsets;
      const to = Math.min(Math.max(index, 0), words.length - 1);
      if (this.isPointed) {
        // Words take over from where the mouse left off.
        this.anchor = this.offsets.wordAt(this.selection.start);
        this.isPointed = false;
      }
      this.head = to;
      if (!isExtending || this.anchor === null) this.anchor = to;
      const [first, last] = [Math.min(this.anchor, to), Math.max(this.anchor, to)];
      getSelection().removeAllRanges();
      const hadCurrent = this.current !== null;
      this.current = null;
      this.selection = { start: words[first].start, end: words[last].end };
      if (hadCurrent) this.draw();
      else this.drawSurface();
      this.showSelection();
      const inside = this.marksAt(words[to].start);
      this.announce(`${this.offsets.slice(this.selection)}${inside.length ? `, in ${inside.map((mark) => this.titleOf(mark)).join(" and ")}` : ""}`);
      this.onChange();
    }

    /** To the word above or below; without a line there, to the first or last word. */
    moveLine(by, isExtending) {
      const part = this.surface.querySelector(".is-selected, .is-current");
      if (!part || this.head === null) {
        this.move(by, isExtending);
        return;
      }
      const boxes = [...part.getClientRects()];
      const box = by > 0 ? boxes.at(-1) : boxes[0];
      const lineHeight = parseFloat(getComputedStyle(this.surface).lineHeight) || box.height;
      const [x, y] = [box.x + Math.min(box.width / 2, 12), box.y + box.height / 2 + by * lineHeight];
      const range = document.caretRangeFromPoint?.(x, y) ?? null;
      const place = range ? { node: range.startContainer, offset: range.startOffset } : document.caretPositionFromPoint?.(x, y);
      const node = place?.node ?? place?.offsetNode;
      if (node && this.surface.contains(node) && node !== this.surface) this.moveTo(this.offsets.wordAt(this.unitOf(node, place.offset)), isExtending);
      else this.moveTo(by > 0 ? this.offsets.words.length - 1 : 0, isExtending);
    }

    /** One character: the start, or with Shift the end. */
    nudge(by, isEnd) {
      const { range } = this;
      if (!range) return false;
      const start = isEnd ? range.start : this.offsets.step(range.start, by);
      const end = isEnd ? this.offsets.step(range.end, by) : range.end;
      if (start >= end) return true;
      if (this.current) this.resize({ start, end });
      else {
        this.selection = { start, end };
        this.draw();
        this.announce(this.offsets.slice(this.selection));
      }
      return true;
    }

    resize(range) {
      const mark = this.current;
      const obstacle = this.obstacle(range, mark.class, mark);
      if (obstacle) {
        this.refuse(obstacle);
        return;
      }
      this.change(() => {
        Object.assign(mark, range);
        this.sort();
      });
      this.announce(this.describe(mark));
    }

    showSelection() {
      this.surface?.querySelector(".is-selected")?.scrollIntoView({ block: "nearest" });
    }

    // -- drawing ---------------------------------------------------------------------------------------------

    drawSurface() {
      if (!this.surface || !this.offsets.text) return;
      const selected = this.isPointed ? null : this.selection;
      const places = new Set([0, this.offsets.text.length]);
      for (const range of selected ? [...this.marks, selected] : this.marks) places.add(range.start).add(range.end);
      const sorted = [...places].sort((a, b) => a - b);
      const parts = [];
      sorted.slice(0, -1).forEach((start, index) => {
        const end = sorted[index + 1];
        parts.push(this.part(start, end, selected));
        for (const mark of this.marks) if (mark.end === end) parts.push(this.tag(mark));
      });
      this.surface.classList.toggle("ghost", this.isAccepting);
      this.surface.replaceChildren(...parts);
    }

    part(start, end, selected) {
      const made = element("span", { "data-start": String(start) }, this.offsets.text.slice(start, end));
      const inside = this.marks.filter((mark) => mark.start <= start && end <= mark.end);
      if (inside.length) {
        made.className = `span-part tone-${this.tones.get(inside.at(-1).class)}`;
        // Overlapping spans have a line each.
        if (inside.length > 1) made.style.boxShadow = inside.map((mark, depth) => `0 ${3 * depth + 2}px 0 var(--tone-${this.tones.get(mark.class)})`).join(", ");
      }
      if (inside.includes(this.current)) made.classList.add("is-current");
      if (selected && selected.start <= start && end <= selected.end) made.classList.add("is-selected");
      return made;
    }

    tag(mark) {
      return element("span", {
        class: `span-tag tone-${this.tones.get(mark.class)}${mark === this.current ? " is-current" : ""}`, "aria-hidden": "true",
        "data-start": String(mark.end), "data-index": String(this.marks.indexOf(mark)),
      }, this.titleOf(mark));
    }

    get keysHelp() {
      return [
        [["←", "→"], "The word before or after; ↑ ↓ the line above or below"],
        [["Shift+←", "Shift+→"], "Select more or less, or resize the current span"],
        [["Ctrl+←", "Ctrl+→"], "Move the start by one character; with Shift the end"],
        ...this.classKeysHelp,
      ];
    }
  }

  editors.spans = Spans;
})();
